//! Tests of the log through its public face, on the failing disk and on a real one.

mod crash;
mod damage;
mod directory;
mod fault;
mod freeing;
mod golden;
mod group;
mod log;
mod reader;
mod snapshot;
mod support;
