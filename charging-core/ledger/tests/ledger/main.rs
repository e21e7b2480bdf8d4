//! The ledger through its public face: the worked examples of the money, keys, modes, accounts, and random operations.

mod accounts;
mod balances;
mod desk;
mod examples;
mod examples_more;
mod expiry;
mod golden;
mod groups;
mod keys;
mod modes;
mod notices;
mod overruns;
mod play;
mod policy;
mod random;
mod replica;
mod slicing;
mod tariff;
