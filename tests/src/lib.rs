//! What the tests of several parts together share: a charging core in memory with everything that can go wrong on the
//! way to it, a world of one switch, one driver and one core in simulated time, a simulation of many with an auditor, and a
//! Kinesis that fails on purpose.

pub mod core;
pub mod kinesis;
pub mod sim;
pub mod world;
