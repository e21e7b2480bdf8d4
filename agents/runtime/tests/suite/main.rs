//! The call driver over the real client and ledger in simulated time, with journals, disks and cores that fail.

mod continuing;
mod notices;
mod outbox;
mod proofs;
mod records;
mod restore;
mod rig;
mod room;
