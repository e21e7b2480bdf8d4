//! The charging core on real and failing disks, and its gRPC services over loopback.

mod access;
mod accounts;
mod balances;
mod charging;
mod disk;
mod durable;
mod expiry;
mod flood;
mod network;
mod parallel;
mod recovery;
mod rig;
mod rotation;
mod snapshots;
mod tariff_desk;
mod tariffs;
mod upkeep;
