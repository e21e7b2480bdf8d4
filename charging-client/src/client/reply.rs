//! Where the outcome of a request goes: to one who waits for it alone, or to the queue of one who waits for many.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::driver::Outcome;
use crate::failure::{ChargingFailure, FailureCause};
use crate::metrics::ClientMetrics;

/// The outcome of a request that was given to [`Client::submit_to`](super::Client::submit_to).
#[derive(Debug)]
pub struct Answered {
    /// As given with the request.
    pub ticket: u64,
    /// As [`AwaitedAnswer::within`](super::AwaitedAnswer::within) gives it, but never for a deadline: that is the caller's.
    pub outcome: Outcome,
}

/// The caller's end of a request that is held.
pub(super) enum Reply {
    One(oneshot::Sender<Outcome>),
    Queue(QueueEnd),
}

impl Reply {
    /// False: nobody waits for it any more.
    pub(super) fn send(self, outcome: Outcome) -> bool {
        match self {
            Self::One(sender) => sender.send(outcome).is_ok(),
            Self::Queue(end) => end.send(outcome),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::One(sender) => sender.is_closed(),
            Self::Queue(end) => end.queue.is_closed(),
        }
    }
}

/// One outcome's place in a queue. Dropped without one, it says that the client was stopped.
pub(super) struct QueueEnd {
    queue: mpsc::UnboundedSender<Answered>,
    ticket: u64,
    is_owed: bool,
}

impl QueueEnd {
    pub(super) fn new(queue: mpsc::UnboundedSender<Answered>, ticket: u64) -> Self {
        Self { queue, ticket, is_owed: true }
    }

    /// Nothing will come: the caller was told otherwise.
    pub(super) fn release(mut self) {
        self.is_owed = false;
    }

    fn send(mut self, outcome: Outcome) -> bool {
        self.is_owed = false;
        self.queue.send(Answered { ticket: self.ticket, outcome }).is_ok()
    }
}

impl Drop for QueueEnd {
    fn drop(&mut self) {
        if self.is_owed {
            let outcome = Err(ChargingFailure::UnknownFate { cause: FailureCause::Stopped });
            // Nobody to tell it to is the usual end.
            drop(self.queue.send(Answered { ticket: self.ticket, outcome }));
        }
    }
}

/// What is known of a request that has no answer yet.
#[derive(Debug, Clone)]
pub struct Fate {
    maybe_sent: Arc<AtomicBool>,
    metrics: Arc<ClientMetrics>,
}

impl Fate {
    pub(super) fn new(maybe_sent: Arc<AtomicBool>, metrics: Arc<ClientMetrics>) -> Self {
        Self { maybe_sent, metrics }
    }

    /// The caller has waited so long and goes on without the answer; it comes all the same.
    pub fn deadline_passed(&self, after: Duration) -> ChargingFailure {
        self.metrics.deadlines_passed.add_one();
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.without_answer(FailureCause::Deadline { after_ms })
    }

    pub(super) fn without_answer(&self, cause: FailureCause) -> ChargingFailure {
        if self.maybe_sent.load(Ordering::Acquire) {
            ChargingFailure::UnknownFate { cause }
        } else {
            ChargingFailure::NotSent { cause }
        }
    }
}
