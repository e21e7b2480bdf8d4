//! The charging core under load, through its production entry points: rating over a large plan, stored outcomes and policy on, a
//! million accounts, random ones of them calling random destinations.
//!
//! Each part runs in a process of its own, so that its memory and its processor time are its own. Figures of one machine at
//! one load: both are printed beside them, with the disk's own speed before and after.

mod core;
mod engine;
mod parts;
mod report;
mod run;
mod tariff;
mod threads;
mod traffic;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// The allocator of the binary: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the charging core.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  core_load\n  core_load --only engine --in-flight 512 --seconds 20 --json")]
struct Options {
    #[command(flatten)]
    all: All,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct All {
    /// Accounts.
    #[arg(long, default_value_t = 1_000_000)]
    pub accounts: u64,
    /// Length of each run of load.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Requests of the engine and the stream that are not answered yet.
    #[arg(long)]
    pub in_flight: Option<usize>,
    /// Only this; all unless told.
    #[arg(long, value_enum)]
    pub only: Vec<What>,
    /// Where the cores' data goes. Absent: in target/.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Fail (exit 1) when a goal is missed.
    #[arg(long)]
    pub strict: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// One of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Accounts without keys: memory and restart.
    Accounts,
    /// Durable decisions in one process.
    Engine,
    /// Through `ChargeStream`.
    Stream,
    /// Through `Charge`.
    Unary,
}

/// One process of a measurement.
#[derive(Debug, Subcommand)]
enum Part {
    #[command(hide = true)]
    Fill {
        place: PathBuf,
        accounts: u64,
        #[arg(action = clap::ArgAction::Set)]
        money: bool,
    },
    #[command(hide = true)]
    Restart { place: PathBuf },
    #[command(hide = true)]
    Engine { place: PathBuf, accounts: u64, in_flight: usize, seconds: u64, number: u64 },
    #[command(hide = true)]
    Serve { place: PathBuf },
    #[command(hide = true)]
    Wire {
        address: String,
        accounts: u64,
        in_flight: usize,
        connections: usize,
        seconds: u64,
        #[arg(action = clap::ArgAction::Set)]
        unary: bool,
        number: u64,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let Some(part) = options.part else { return parts::measure(&options.all) };
    // One thread makes all the load of the engine; a server has the threads that it has in production.
    let single = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    // Without sockets nobody has to look for their events between two commands.
    let without_sockets = || tokio::runtime::Builder::new_current_thread().enable_time().build();
    match part {
        Part::Fill { place, accounts, money } => parts::tell(&single()?.block_on(core::fill(&place, accounts, money))?),
        Part::Restart { place } => parts::tell(&single()?.block_on(core::restart(&place))?),
        Part::Engine { place, accounts, in_flight, seconds, number } => {
            parts::tell(&without_sockets()?.block_on(engine::run(&place, accounts, in_flight, seconds, number))?)
        }
        Part::Serve { place } => {
            let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            threads.block_on(core::serve(place)).map(|()| ExitCode::SUCCESS)
        }
        Part::Wire { address, accounts, in_flight, connections, seconds, unary, number } => {
            let load = wire::Load { address, accounts, in_flight, connections, seconds, unary, number };
            parts::tell(&single()?.block_on(wire::run(&load))?)
        }
    }
}
