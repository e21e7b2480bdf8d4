//! What a shipper and its sink count. Plain atomics: read them with any ordering.

use std::sync::atomic::{AtomicI64, AtomicU64};

/// Counts since the shipper began.
#[derive(Debug, Default)]
pub struct ShipperCounters {
    /// Records delivered, with their checkpoint written.
    pub records: AtomicU64,
    /// Their octets of JSON.
    pub bytes: AtomicU64,
    /// Steps that failed.
    pub failures: AtomicU64,
    /// Records that were damaged in the journal and never arrive.
    pub damaged: AtomicU64,
    /// Records that were removed from the journal before they were shipped.
    pub removed: AtomicU64,
    /// Records that the sink's view does not show it.
    pub withheld: AtomicU64,
    /// Records that are no call records, so nobody can say whether the sink may see them: it does not.
    pub undecodable: AtomicU64,
    /// The checkpoint: everything below has arrived.
    pub checkpoint: AtomicU64,
    /// Records committed and not shipped, as of the last look.
    pub backlog: AtomicU64,
    /// When the oldest record that is not delivered happened, in milliseconds since 1970 UTC: the latest time it tells itself
    /// (`endTime`, `answerTime`, `startTime`). The journal keeps no time of its own; this one outlives a restart, and a record that
    /// came late is as old as it is for whoever waits for it. 0: everything is delivered, or it tells no time.
    pub oldest_unshipped_ms: AtomicI64,
}

/// What a sink has met at its destination, for sinks that tell.
#[derive(Debug, Default)]
pub struct SinkCounters {
    /// Requests sent.
    pub requests: AtomicU64,
    /// Requests that failed as a whole: no answer, an error, a refusal.
    pub failed_requests: AtomicU64,
    /// Entries sent again, for whatever reason.
    pub retried: AtomicU64,
    /// Entries the destination turned away because they came too fast.
    pub throttled: AtomicU64,
    /// Entries sent again although the first sending may have arrived: the answer was lost.
    pub possible_duplicates: AtomicU64,
    /// Records the destination can never take, kept in a file instead.
    pub parked: AtomicU64,
}
