//! The table.

use std::collections::BTreeMap;

use benches::machine::Spread;
use serde::Serialize;

use crate::core::{Filled, Restarted};
use crate::run::Run;

/// All figures.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub accounts: u64,
    pub processors: usize,
    pub load_before: String,
    pub load_after: String,
    /// 4 KiB written and synced, one after the other.
    pub fsync_before: Spread,
    pub fsync_after: Spread,
    pub restart_bare: Option<Restarted>,
    /// The same core without accounts.
    pub empty: Option<Restarted>,
    pub filled: Option<Filled>,
    pub restart_keyed: Option<Restarted>,
    pub engine: Option<Run>,
    /// Memory that one stored outcome of the engine's run takes, its session's part included.
    pub outcome_bytes: u64,
    pub restart_busy: Option<Restarted>,
    pub stream: Option<Run>,
    pub unary: Option<Run>,
}

impl Report {
    /// Figure, goal, whether at least or at most.
    fn goals(&self) -> Vec<(String, u64, &'static str, u64)> {
        let mut goals = Vec::new();
        let mut run = |name: &str, run: &Option<Run>, least: u64, p99_us: u64| {
            if let Some(run) = run {
                goals.push((format!("{name}: operations/s"), run.operations_per_second, "at least", least));
                if p99_us > 0 {
                    goals.push((format!("{name}: p99, us"), u64::from(run.p99_us), "at most", p99_us));
                }
            }
        };
        run("engine", &self.engine, 250_000, 10_000);
        run("ChargeStream", &self.stream, 100_000, 15_000);
        run("Charge", &self.unary, 15_000, 0);
        if let Some(bare) = &self.restart_bare {
            // What a core without accounts takes, the tariff in particular, is not theirs.
            let empty = self.empty.as_ref().map_or(bare.before_bytes, |empty| empty.bytes);
            let books = bare.bytes.saturating_sub(empty) >> 20;
            goals.push(("accounts without keys: MiB".into(), books, "at most", 150));
            goals.push(("restart of these: ms".into(), bare.ms, "at most", 3000));
        }
        goals
    }

    /// How many goals are missed.
    pub fn missed(&self) -> usize {
        self.goals().iter().filter(|(_, figure, bound, goal)| !is_met(*figure, bound, *goal)).count()
    }
}

fn is_met(figure: u64, bound: &str, goal: u64) -> bool {
    if bound == "at most" { figure <= goal } else { figure >= goal }
}

pub fn print(report: &Report) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["", "operations/s", "p50 ms", "p99 ms", "longest ms", "in flight", "batch", "commit ms", "load"]);
    for (name, run) in [("engine", &report.engine), ("ChargeStream", &report.stream), ("Charge", &report.unary)] {
        let Some(run) = run else { continue };
        table.add_row([
            name.to_owned(),
            run.operations_per_second.to_string(),
            thousandths(run.p50_us.into()),
            thousandths(run.p99_us.into()),
            thousandths(run.longest_us.into()),
            run.in_flight.to_string(),
            format!("{} ({})", run.batch, run.largest_batch),
            thousandths(run.commit_us),
            run.load_average.clone(),
        ]);
    }
    println!("{table}");
    for (name, run) in [("engine", &report.engine), ("ChargeStream", &report.stream), ("Charge", &report.unary)] {
        if let Some(run) = run {
            println!(
                "{name}: CPU us/operation: core {}; load {}; memory {} MiB, at most {} MiB",
                cpu(&run.core_cpu_ns),
                cpu(&run.load_cpu_ns),
                run.core_bytes >> 20,
                run.core_peak_bytes >> 20
            );
        }
    }
    let restarts = [
        ("accounts without keys", &report.restart_bare),
        ("accounts at all", &report.empty),
        ("accounts with money and a key each", &report.restart_keyed),
        ("the same after the engine's run", &report.restart_busy),
    ];
    for (name, restarted) in restarts {
        if let Some(one) = restarted {
            println!(
                "restart, {} {name}, {} sessions kept: {} ms; memory {} MiB (before {}), at most {} MiB; {} MiB on disk",
                one.accounts,
                one.kept_sessions,
                one.ms,
                one.bytes >> 20,
                one.before_bytes >> 20,
                one.peak_bytes >> 20,
                one.disk_bytes >> 20
            );
        }
    }
    if report.engine.is_some() {
        println!("a stored outcome takes {} octets of memory, with its part of the session", report.outcome_bytes);
    }
    for (what, figure, bound, goal) in report.goals() {
        let missed = if is_met(figure, bound, goal) { "" } else { "   MISSED" };
        println!("{what:<46} {figure:>9}   goal: {bound} {goal}{missed}");
    }
    let disk = |spread: Spread| format!("p50 {} ms, p99 {} ms", thousandths(spread.p50_us), thousandths(spread.p99_us));
    println!("{} processors, {} accounts", report.processors, report.accounts);
    println!("4 KiB write + fdatasync before: {}; after: {}", disk(report.fsync_before), disk(report.fsync_after));
    println!("load average before: {}; after: {}", report.load_before, report.load_after);
}

fn thousandths(value: u64) -> String {
    format!("{}.{:03}", value / 1000, value % 1000)
}

fn cpu(ns: &BTreeMap<String, u64>) -> String {
    let all: u64 = ns.values().sum();
    let each: Vec<String> = ns.iter().map(|(name, ns)| format!("{name} {}", thousandths(*ns))).collect();
    format!("{} ({})", thousandths(all), each.join(", "))
}
