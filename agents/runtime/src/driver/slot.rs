//! One call in the driver.

use agent_call::CallMachine;
use tracing::Span;

/// A call's place in the driver; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CallKey(pub(super) u64);

/// A machine and what is under way for it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) machine: CallMachine,
    /// Records handed to the journal and not durable yet.
    pub(super) records_under_way: u32,
    /// A record was refused or failed: the switch must keep the call's end.
    pub(super) record_lost: bool,
    /// The machine has emitted Finished.
    pub(super) finished: bool,
    pub(super) span: Span,
}
