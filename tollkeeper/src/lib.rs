//! The one binary: command line, configuration, and the wiring of core, journal, sinks and agents in one process.
//!
//! Nothing is decided about money here. `run` reads like a story in [`mod@run`]; what a process runs is what its configuration
//! file names. All other commands talk gRPC to a running core, or read a journal's directory.

pub mod agents;
pub mod cli;
pub mod config;
pub mod exit;
pub mod in_process;
pub mod run;
pub mod sinks;

use std::process::ExitCode;

/// What the binary does.
pub fn main() -> ExitCode {
    cli::main()
}
