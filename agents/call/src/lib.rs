//! The life of one charged call, whatever the switch: inputs in, effects out.
//!
//! Deterministic and pure: no I/O, no clock, no randomness. The time is an argument of every input; the same inputs
//! give the same effects. Agents translate their wire into [`SwitchEvent`]s and carry out [`Command`]s; the driver in
//! `agents/runtime` carries the rest.
//!
//! | state | input | effects | next |
//! |---|---|---|---|
//! | (new) | offer | INITIAL | Authorising |
//! | (new) | offer without payer or number | Refuse, EVENT | Refused |
//! | (new) | never-refuse offer | - | Ringing |
//! | (new) | adopted answered call | INITIAL, START | Authorising |
//! | Authorising | granted | Admit | Ringing (Talking when answered already) |
//! | Authorising | denied, core failed, released | Refuse, EVENT, TERMINATION 0 unless denied | Refused |
//! | Authorising | ended | EVENT, TERMINATION 0 | Closing |
//! | Ringing | answered, alive | START, timers | Talking |
//! | Ringing | ended, gone, ring timer | EVENT, TERMINATION 0 | Closing |
//! | Ringing | release | Release | Ringing |
//! | Ringing | switch lost / ringing again | ring timer stops / goes on | Ringing |
//! | Refused | ended, gone, ring timer | - | Finished (after the TERMINATION's answer) |
//! | Talking | margin | UPDATE | Talking |
//! | Talking | granted | MoveBackstop, timers, WarnLowBalance once | Talking |
//! | Talking | end of the grant, release, longest call | Release, repeated until proven | Talking |
//! | Authorising | continue | Admit | Ringing, as if granted (Talking when answered already) |
//! | Talking | nearly the end of the grant, no answer | CoreSilent | Talking |
//! | Talking | continue | MoveBackstop | Talking |
//! | Talking | interim timer | INTERIM | Talking |
//! | Talking | switch lost / alive | timers stop / proof, timers go on | Talking |
//! | Talking | alive after a restart, beyond a grant that was not the last, continue | MoveBackstop, UPDATE | Talking |
//! | Talking | ended, gone | TERMINATION | Closing |
//! | Closing | charged | STOP (or COST_ADJUSTMENT after a PENDING one) | Finished |
//! | Closing | price late | Keep, STOP PENDING | Closing |
//! | (new) | over before the restart, TERMINATION asked again | START, STOP or EVENT again | Closing |
//! | (new) | denied when INITIAL is asked again after the restart | - | Ringing, Talking if it was answered |
//! | Ringing, denied | ringing | Refuse | Ringing |
//! | Talking, denied | alive | Release | Talking |
//!
//! What is not in the table is ignored: duplicates and late news change nothing. REAUTHORIZE is met by an UPDATE as soon
//! as the call talks, the switch is heard and no request is in flight. A never-refuse call has no ring timer, no request
//! and no command.

mod authorise;
mod close;
mod effect;
mod event;
mod machine;
mod meter;
pub mod numbers;
mod record;
mod reopen;
mod settings;
mod snapshot;
mod talk;
mod without_core;

pub use effect::{Alarm, Command, Effect, Input, TIMERS, Timer};
pub use event::{Answer, CallEnd, CallOffer, SwitchEvent};
pub use machine::{CallMachine, Phase};
pub use settings::{CallSettings, HoldCharging};
pub use snapshot::{Ending, Snapshot};

// The simulation of the unit tests is compiled into the integration tests too, under the crate's own name.
#[cfg(test)]
extern crate self as agent_call;
#[cfg(test)]
mod tests;
