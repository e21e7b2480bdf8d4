//! Calls per second through a real Kamailio, with tollkeeper beside it and without: what does charging add to the
//! post-dial delay, and what does a call cost in CPU?
//!
//! One run on one machine: gateway (SIPp), Kamailio with the shipped configuration, the tollkeeper binary of
//! `TOLLKEEPER_BIN` (a release build), and SIPp as the callers. Uncharged, Kamailio runs with `TK_NO_AGENT_ALLOW` and
//! nobody is connected to it. A failed call makes the exit code 1.

mod phase;
mod report;

use std::process::ExitCode;

use benches::machine;
use clap::Parser;

/// Measures calls through a real Kamailio, charged and uncharged.
#[derive(Debug, Parser)]
struct Options {
    /// New calls a second, one measurement each.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 200])]
    rates: Vec<u32>,
    /// How long calls are made at each rate, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// How long each call talks, in milliseconds.
    #[arg(long, default_value_t = 2_000)]
    talk_ms: u32,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// cargo bench hands this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let report = measure(&options)?;
    if options.json {
        report.print_json()?
    } else {
        report.print_table()
    }
    Ok(if report.failed_calls() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(options: &Options) -> anyhow::Result<report::Report> {
    let folder = tempfile::Builder::new().prefix("sipp-load-").tempdir_in(demo::lab::repository().join("target"))?;
    let load_before = machine::load_average()?;
    let mut report = report::Report { load_before, ..report::Report::default() };
    report.fsync_before = machine::fsync_baseline(folder.path())?;
    for &calls_per_second in &options.rates {
        for charged in [true, false] {
            let plan = phase::Plan { calls_per_second, seconds: options.seconds, talk_ms: options.talk_ms, charged };
            let name = format!("{calls_per_second}-{}", if charged { "charged" } else { "uncharged" });
            eprintln!("{name}: {} s of calls", options.seconds);
            let place = folder.path().join(name);
            std::fs::create_dir_all(&place)?;
            report.phases.push(phase::run(&place, &plan)?);
        }
    }
    report.fsync_after = machine::fsync_baseline(folder.path())?;
    report.load_after = machine::load_average()?;
    Ok(report)
}
