//! The agent against a double of FreeSWITCH that speaks recorded events, with the real ledger and journal behind it.

mod beside;
mod calls;
mod connection;
mod double;
mod empty_balance;
mod faults;
mod given_up;
mod legs;
mod money;
mod recorded;
mod recording;
mod resync;
mod socket;
mod socket_line;
mod socket_strangers;
mod stage;
mod strays;
mod synthetic;
mod transfers;
