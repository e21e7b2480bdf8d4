//! One connection with a Diameter node, without its socket: who may say what when, and whether the other end still lives.

mod machine;
mod watchdog;

#[cfg(test)]
mod tests;

pub use machine::{Action, CloseReason, Event, Opening, PeerMachine, PeerTimes, State};
pub use watchdog::{Heard, Overdue, Watchdog, WatchdogState};
