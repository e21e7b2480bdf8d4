//! A Kinesis for tests that does what the real one does and the others do not: shards with limits, entries that fail, answers
//! that are lost, outages, resharding.
//!
//! [`FaultProxy`] stands before another server (kinesalite, moto), or answers by itself from a [`Stream`] in memory. What it
//! does wrong follows from a seed and the number of the request; what was accepted, it knows, shard by shard and in order.
//! It speaks AWS JSON 1.1 (`X-Amz-Target: Kinesis_20131202.PutRecords`), verifies no signature, and listens on loopback only.
//! Records for it come from [`calls`].

pub mod calls;
pub(crate) mod dice;
mod limits;
mod operations;
mod plan;
mod proxy;
mod put;
mod shard;
mod stream;
mod upstream;
mod wire;

pub use dice::Dice;
pub use limits::ShardLimits;
pub use plan::FaultPlan;
pub use proxy::{Backend, FaultProxy, Frozen, Outage, Statistics};
pub use stream::{Accepted, Stream};
