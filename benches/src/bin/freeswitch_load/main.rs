//! 200 call set-ups a second through the whole FreeSWITCH agent: how much of a processor does it take, how late are its
//! answers, and is every call charged to the last unit?
//!
//! The agent is the tollkeeper binary of `TOLLKEEPER_BIN` (a release build) with its journal on disk, measured twice: in a
//! process of its own with the core in another one (that process is the agent and nothing else), and with the core in the
//! same process as the binary wires it by default. The switch is a double in this process: it plays recorded calls with
//! their own times and ids over the event socket, and obeys. Beside it: what it costs to read the same events and their
//! fields, by our codec and by the crate freeswitch-esl-tokio. CPU is what the kernel counts for the process (or the thread, of readers).
//!
//! Answers are late by what is shared: the agent works in turns of 4 ms, requests are written to the disk and sent each 20 ms. All calls
//! are between the same two numbers, which the agent then knows: what the numbering plan says of a number that is new takes 0.02 ms more.

mod charged;
mod double;
mod phase;
mod reader;
mod report;
mod script;

use std::process::ExitCode;
use std::sync::Arc;

use benches::machine;
use clap::Parser;

use crate::script::{Detail, Script};

/// Measures the agent beside FreeSWITCH.
#[derive(Debug, Parser)]
struct Options {
    /// New calls a second.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// How long calls are made, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Fails when an agent in a process of its own takes more of one core than this, in percent, for three events a call.
    #[arg(long, default_value_t = 15)]
    at_most: u64,
    /// Measures nothing but the agent in a process of its own with three events a call: what the limit is for.
    #[arg(long)]
    briefly: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// cargo bench hands this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let target = demo::lab::repository().join("target");
    std::fs::create_dir_all(&target)?;
    let folder = tempfile::Builder::new().prefix("freeswitch-load-").tempdir_in(target)?;
    let mut report = report::Report { load_before: machine::load_average()?, ..report::Report::default() };
    let (details, processes): (&[Detail], &[bool]) =
        if options.briefly { (&[Detail::Three], &[true]) } else { (&[Detail::Three, Detail::All], &[true, false]) };
    for &detail in details {
        let script = Arc::new(Script::recorded(detail)?);
        for &apart in processes {
            let plan = phase::Plan { rate: options.rate, seconds: options.seconds, apart };
            let place = folder.path().join(format!("{detail:?}-{apart}"));
            std::fs::create_dir_all(&place)?;
            eprintln!("{}: {} s of calls", plan.name(), options.seconds);
            let outcome = phase::run(&place, &plan, &script)?;
            eprintln!("{}", serde_json::to_string(&outcome)?);
            report.agents.push(outcome);
        }
        let readers: &[reader::Who] = if options.briefly { &[] } else { &[reader::Who::Ours, reader::Who::Theirs] };
        for &who in readers {
            eprintln!("{}: {} s of calls", who.name(), options.seconds);
            let outcome = reader::run(who, options.rate, options.seconds, &script)?;
            eprintln!("{}", serde_json::to_string(&outcome)?);
            report.readers.push(outcome);
        }
    }
    report.load_after = machine::load_average()?;
    if options.json {
        report.print_json()?
    } else {
        report.print_table()
    }
    Ok(if report.is_good(options.at_most) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
