//! Call records through the production entry points: how many a second become durable, and what each one costs.
//!
//! One subcommand for each part of the way. Figures of one machine at one load: both are printed beside them, with the disk's
//! own speed before and after.

mod journal;
mod latency;
mod record;
mod shipper;
mod stream;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures the records' way.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    part: Part,
    /// cargo bench hands this to every benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// `Journal::append` to the answer after fdatasync.
    Journal(journal::Options),
    /// A full journal to a stream with the limits of the service: which share of them is used.
    Shipper(shipper::Options),
    /// `Journal::append` to the record readable in kinesalite.
    Latency(latency::Options),
    /// The stream of `shipper`, in a process of its own.
    #[command(hide = true)]
    Stream(stream::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    match Options::parse().part {
        Part::Journal(options) => journal::run(&options),
        Part::Shipper(options) => shipper::run(&options),
        Part::Latency(options) => latency::run(&options),
        Part::Stream(options) => stream::run(&options),
    }
}
