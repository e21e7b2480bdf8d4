//! One call in the driver.

use std::sync::Arc;

use agent_call::CallMachine;
use cdr_model::{CallRecord, Parties};
use tracing::Span;

/// A call's place in the driver; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CallKey(pub(super) u64);

/// A machine and what is under way for it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) machine: CallMachine,
    /// What the numbering plan says of its parties; looked up for the first record.
    pub(super) parties: Option<Box<Parties>>,
    /// Records handed to the journal and not durable yet; and what records wait for.
    pub(super) records_under_way: u32,
    /// Records that the journal refused or failed to write, oldest first; offered again before the next one. While there
    /// is one, the switch must keep the call's end.
    pub(super) refused: Vec<Arc<CallRecord>>,
    /// Records that wait until the outbox keeps what says that they are written; absent while nothing is waited for.
    pub(super) held: Option<Vec<Arc<CallRecord>>>,
    /// The machine has emitted Finished.
    pub(super) finished: bool,
    pub(super) span: Span,
    /// The next input meets a bug.
    #[cfg(test)]
    pub(super) panics: bool,
}
