//! The agent with real sockets on loopback, the real ledger and rating behind it, and a client that speaks Diameter through our codec.

mod base;
mod board;
mod copies;
mod core_away;
mod events;
mod fuzz_body;
mod hostile;
mod hostile_more;
mod load;
mod money;
mod notices;
mod scripted;
mod sessions;
mod stage;
mod tls;
