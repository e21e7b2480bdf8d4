//! What the tests of several parts together share: a charging core in memory with everything that can go wrong on the
//! way to it, and a world of one switch, one driver and one core in simulated time.

pub mod core;
pub mod world;
