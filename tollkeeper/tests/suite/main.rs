//! The real binary, as an operator uses it; and the way from agents to a core in the same process.

mod access;
mod accounts;
mod configuration;
mod help;
mod http;
mod in_process;
mod journal;
mod kills;
mod ledger;
mod lifecycle;
mod quotes;
mod records;
mod sessions;
mod sinks;
mod support;
mod tariff;
