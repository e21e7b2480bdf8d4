//! The agent against a double of FreeSWITCH that speaks recorded events, with the real ledger and journal behind it.

mod calls;
mod connection;
mod double;
mod legs;
mod money;
mod recorded;
mod recording;
mod resync;
mod stage;
mod synthetic;
mod transfers;
