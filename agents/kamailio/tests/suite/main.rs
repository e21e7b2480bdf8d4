//! The agent against recorded bytes of a real Kamailio, with the real ledger and journal behind it.

mod connection;
mod double;
mod oddities;
mod recorded;
mod recording;
mod resync;
mod shutdown;
mod stage;
mod synthetic;
