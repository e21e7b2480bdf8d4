//! Where records go: what a shipper asks of a destination.

use std::sync::Arc;

use segment_log::{Position, Storage};

use crate::counters::SinkCounters;
use crate::error::SinkError;

/// One record on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its place in the journal; gaps are records that were damaged there, or that the sink's view withholds.
    pub position: Position,
    /// The record as one line of JSON, without the newline.
    pub json: Vec<u8>,
}

/// How much of a window arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// So many from the front of the window arrived for good, without a gap. They are cut off; the rest is offered again, with new
    /// entries behind it. 0: nothing yet, the sink has waited a little itself (20 ms, say) and wants to be called again.
    pub entries: usize,
    /// What the sink wants back in [`Sink::resume`]: stored with the checkpoint, in one atomic write. Short.
    pub state: String,
}

/// A destination. Called by one thread, which may be blocked; a destination with an asynchronous client brings a runtime.
///
/// The checkpoint is written some time after `deliver` has returned, so after a crash the last entries may be offered again. A sink
/// that can undo (a file) does so in `resume`; others deliver at least once and leave it to `recordId`.
pub trait Sink: Send {
    /// Names the checkpoint: 1 to 64 of a-z, 0-9, - and _, unique among the sinks of a journal.
    fn name(&self) -> &str;

    /// Called once, before `resume`: the directory of the checkpoint, where a sink may keep files whose names begin with its own.
    fn keep_beside(&mut self, checkpoints: Arc<dyn Storage>) {
        drop(checkpoints);
    }

    /// Called once before everything else with the state of the checkpoint, or `None` when there is no checkpoint yet: undoes what
    /// was delivered after it. Returns the state to store now.
    ///
    /// # Errors
    /// The shipper does not start.
    fn resume(&mut self, state: Option<&str>) -> Result<String, SinkError>;

    /// Delivers what it can of a window, in order, never empty. The window is everything read and not yet delivered: it begins with the
    /// entries of the last call that were not cut off, unchanged, so a sink may remember by position what it has done for them;
    /// it may be called again with nothing new. What the sink reports as delivered is safe at the destination. On an error
    /// nothing counts; the same entries are offered again if the class is `Retry`.
    ///
    /// # Errors
    /// Any; the class decides whether the shipper goes on.
    fn deliver(&mut self, window: &[JournalEntry]) -> Result<Delivered, SinkError>;

    /// True: what `deliver` returned is in the checkpoint before it is called again, a new state without entries too, whatever the
    /// interval of checkpoints. For a sink that must know that a crash takes it back to its last state and not further.
    fn builds_on_checkpoint(&self) -> bool {
        false
    }

    /// The shipper was told to end: no more entries may come, so waiting for a fuller batch or file makes no sense any more.
    fn ending(&mut self) {}

    /// What keeps records from arriving just now, with the remedy; for a sink that goes on trying by itself while `deliver` returns no
    /// error. Absent: nothing.
    fn trouble(&self) -> Option<&str> {
        None
    }

    /// What the destination is like; asked once at the start. All zero for a sink that has nothing to say.
    fn counters(&self) -> Arc<SinkCounters> {
        Arc::default()
    }
}
