//! `cdr ship-status`: how it stands with the sinks, from the running process, or from the journal's directory when there is none.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use clap::Args;
use serde::Serialize;
use types::UtcMs;

use super::{ConfigArgs, process, show};
use crate::exit::UsageError;
use crate::sinks::{SinkReport, SinksAnswer};

/// `cdr ship-status`
#[derive(Debug, Args)]
pub struct ShipStatusArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The journal's directory, asked without any process; goes before the configuration.
    #[arg(long, value_name = "DIR", conflicts_with = "http")]
    journal: Option<PathBuf>,
    /// The address of the process's /metrics; otherwise found in the data directory.
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Again and again, each so many seconds, until interrupted.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    #[command(flatten)]
    format: show::Format,
}

/// Who was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum From {
    Process,
    Directory,
}

#[derive(Serialize)]
struct Row<'r> {
    from: From,
    #[serde(flatten)]
    report: &'r SinkReport,
}

/// Does it.
pub fn run(args: &ShipStatusArgs) -> anyhow::Result<()> {
    loop {
        let (from, reports) = ask(args)?;
        if args.format.json {
            for report in &reports {
                show::json(&Row { from, report })?;
            }
        } else {
            print(from, &reports)?;
        }
        let Some(seconds) = args.watch else { return Ok(()) };
        std::thread::sleep(Duration::from_secs(seconds));
        if !args.format.json {
            show::line("")?;
        }
    }
}

fn ask(args: &ShipStatusArgs) -> anyhow::Result<(From, Vec<SinkReport>)> {
    if let Some(address) = args.http {
        return Ok((From::Process, of_process(address)?.sinks));
    }
    let directory = match &args.journal {
        Some(directory) => directory.clone(),
        None => {
            let config = args.config.load()?;
            let directory = config.journal_dir();
            // A process that cannot be asked any more has ended, and its directory tells.
            let answer = process::listening(&config.top.data_dir).and_then(|address| of_process(address).ok());
            if let Some(answer) =
                answer.filter(|answer| answer.journal.as_deref().is_some_and(|of| same(of, &directory)))
            {
                return Ok((From::Process, answer.sinks));
            }
            directory
        }
    };
    Ok((From::Directory, of_directory(&directory)?))
}

/// Another process may have the port by now.
fn same(of: &Path, directory: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    of == directory || real(of).is_some_and(|of| real(directory) == Some(of))
}

fn of_process(address: SocketAddr) -> anyhow::Result<SinksAnswer> {
    process::ask(address, "/sinks")
}

fn of_directory(directory: &Path) -> anyhow::Result<Vec<SinkReport>> {
    if !directory.is_dir() {
        let text = format!("{} is no directory; name the journal's with --journal or -c", directory.display());
        return Err(UsageError(text).into());
    }
    let places = cdr_journal::places(directory)
        .map_err(|error| anyhow!(error).context(format!("journal {}", directory.display())))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = UtcMs(i64::try_from(now).unwrap_or(i64::MAX));
    let report = |place: cdr_journal::SinkPlace| SinkReport {
        checkpoint: place.checkpoint.index(),
        backlog_records: place.backlog(),
        lag_ms: place.oldest_unshipped.map_or(0, |oldest| now.since(oldest)),
        oldest_unshipped: place.oldest_unshipped.map(|oldest| oldest.to_string()),
        sink: place.sink,
        ..SinkReport::default()
    };
    Ok(places.into_iter().map(report).collect())
}

fn print(from: From, reports: &[SinkReport]) -> anyhow::Result<()> {
    if from == From::Directory {
        show::line("No process answers; from the journal's directory:")?;
    }
    let rows = reports.iter().map(row).collect();
    show::rows(HEADER, rows, "no sinks")?;
    for report in reports {
        if let Some(trouble) = &report.trouble {
            show::line(&format!("{}: since {}: {}", report.sink, trouble.since, trouble.error))?;
        }
    }
    Ok(())
}

const HEADER: [&str; 12] = [
    "SINK",
    "KIND",
    "STATE",
    "CHECKPOINT",
    "BACKLOG",
    "LAG",
    "RECORDS/S",
    "THROTTLED",
    "RETRIED",
    "DUPLICATES?",
    "LAST SUCCESS",
    "ALARMS",
];

fn row(report: &SinkReport) -> [String; 12] {
    let count = |of: fn(&crate::sinks::Counts) -> u64| show::or_dash(report.counts.as_ref().map(of));
    let state = match (report.running, &report.trouble, &report.counts) {
        (_, _, None) => "down",
        (false, ..) => "stopped",
        (true, Some(_), _) => "failing",
        (true, None, _) => "running",
    };
    let alarms: Vec<&str> = report.alarms.iter().map(|alarm| alarm.as_str()).collect();
    [
        report.sink.clone(),
        show::or_dash(report.kind.as_ref()),
        state.to_owned(),
        report.checkpoint.to_string(),
        report.backlog_records.to_string(),
        format!("{}.{:01}s", report.lag_ms / 1000, report.lag_ms % 1000 / 100),
        count(|counts| counts.records_per_s),
        count(|counts| counts.throttled),
        count(|counts| counts.retried),
        count(|counts| counts.possible_duplicates),
        show::or_dash(report.last_success.as_ref()),
        show::or_dash((!alarms.is_empty()).then(|| alarms.join(","))),
    ]
}
