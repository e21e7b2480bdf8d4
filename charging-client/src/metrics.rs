//! What the client counts, as plain atomics; whoever exports metrics reads them.

use std::sync::atomic::{AtomicU64, Ordering};

use segment_log::SyncWatch;

/// A number that only this crate changes.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The number now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn subtract_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counted by a [`crate::Client`].
#[derive(Debug, Default)]
pub struct ClientMetrics {
    /// Requests taken.
    pub requests_taken: Count,
    /// Requests not taken because too many were pending.
    pub requests_not_taken: Count,
    /// Requests answered.
    pub requests_answered: Count,
    /// Requests given back to their caller as refused.
    pub requests_refused: Count,
    /// Requests held now: not yet answered.
    pub requests_pending: Count,
    /// Attempts made, first ones included.
    pub attempts: Count,
    /// Attempts made with `retransmission` set by the client.
    pub retransmissions: Count,
    /// Attempts that the core answered with 3004, too busy.
    pub too_busy: Count,
    /// Callers that stopped waiting.
    pub deadlines_passed: Count,
    /// Answers that came when nobody held the [`crate::AwaitedAnswer`] any more.
    pub answers_unclaimed: Count,
    /// Requests of the outbox from before the start, asked again.
    pub requests_recovered: Count,
    /// Requests that the outbox did not take: INITIAL and EVENT were refused, UPDATE and TERMINATION sent all the same.
    pub outbox_failures: Count,
    /// Hears how long the outbox's disk takes for each batch of requests.
    pub outbox_syncs: SyncWatch,
    /// Notifications handed on.
    pub notifications: Count,
    /// Subscriptions to notifications that were made, the first one included.
    pub subscriptions: Count,
}

/// Counted by a [`crate::GrpcTransport`].
#[derive(Debug, Default)]
pub struct TransportMetrics {
    /// Streams opened.
    pub connections: Count,
    /// Attempts to open one that failed.
    pub connection_failures: Count,
    /// Streams that ended.
    pub connections_lost: Count,
    /// 1 while a stream is open, else 0.
    pub connected: Count,
    /// Requests in flight now.
    pub in_flight: Count,
    /// Requests written to a stream.
    pub requests_sent: Count,
    /// Requests that found the window full and had to wait.
    pub window_waits: Count,
    /// Answers received, with and without a request waiting.
    pub answers: Count,
    /// Answers that matched no request in flight: copies, or answers after a timeout.
    pub answers_unmatched: Count,
    /// Answers and notifications that could not be read.
    pub unreadable: Count,
    /// Attempts that got no answer in time.
    pub timeouts: Count,
}
