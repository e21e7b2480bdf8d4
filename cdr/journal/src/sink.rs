//! Where records go: what a shipper asks of a destination.

use crate::error::SinkError;
use segment_log::Position;

/// One record on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its place in the journal; gaps are records that were damaged there.
    pub position: Position,
    /// The record as one line of JSON, without the newline.
    pub json: Vec<u8>,
}

/// How much of a batch arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// So many from the front of the batch arrived for good, without a gap. The rest is offered again, first in the next batch.
    pub entries: usize,
    /// What the sink wants back in [`Sink::resume`]: stored with the checkpoint, in one atomic write. Short.
    pub state: String,
}

/// A destination. Called by one thread, which may be blocked; a destination with an asynchronous client brings a runtime.
///
/// The checkpoint is written after `deliver` has returned, so after a crash the last batch may be offered again. A sink that can undo
/// (a file) does so in `resume`; others deliver at least once and leave it to `recordId`.
pub trait Sink: Send {
    /// Names the checkpoint: 1 to 64 of a-z, 0-9, - and _, unique among the sinks of a journal.
    fn name(&self) -> &str;

    /// Called once before everything else with the state of the checkpoint, or `None` when there is no checkpoint yet: undoes what
    /// was delivered after it. Returns the state to store now.
    ///
    /// # Errors
    /// The shipper does not start.
    fn resume(&mut self, state: Option<&str>) -> Result<String, SinkError>;

    /// Delivers a batch, in order, never empty. What it reports as delivered is safe at the destination. On an error nothing of the
    /// batch counts; the same entries are offered again if the class is `Retry`.
    ///
    /// # Errors
    /// Any; the class decides whether the shipper goes on.
    fn deliver(&mut self, batch: &[JournalEntry]) -> Result<Delivered, SinkError>;
}
