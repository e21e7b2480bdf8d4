//! The machine against a simulated world: one clock, one tiny core, every effect written down.

mod adopt;
mod clock;
mod core;
mod failures;
mod hold;
mod lateness;
mod money;
mod property;
mod races;
mod release;
mod reopen;
mod restart;
mod show;
mod sim;
mod table;
mod without_core;
