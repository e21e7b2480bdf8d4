//! One connection with a Diameter node, without its socket: who may say what when, and whether the other end still lives.

mod election;
mod machine;
mod watchdog;

#[cfg(test)]
mod tests;

pub use election::{Elected, elect};
pub use machine::{Action, CloseReason, Event, Opening, PeerMachine, PeerTimes, State};
pub use watchdog::{Heard, Overdue, Watchdog, WatchdogState};
