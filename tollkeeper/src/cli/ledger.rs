//! `ledger ...`: are the files whole, a backup beside the running core, a backup put back. On files, not over gRPC.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use charging_server::upkeep::{self, Backup, LedgerReport, Restored};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde::Serialize;
use types::UtcMs;

use super::journal::progress;
use super::{ConfigArgs, show};
use crate::exit;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read every file of the ledger, apply every change, and tell what is there, damaged or missing; exit 1 when something is.
    #[command(after_help = "Examples:
  tollkeeper ledger verify -c /etc/tollkeeper/tollkeeper.toml
  tollkeeper ledger verify --data-dir /var/lib/tollkeeper --files
  tollkeeper ledger verify --backup /backup/2026-11-22 --json

It takes no lock and changes nothing: the core may be running. It needs about as much memory as the core.")]
    Verify(VerifyArgs),
    /// Copy the ledger and its tariffs into a new directory, beside the running core, and check the copy while it is made.
    #[command(after_help = "Examples:
  tollkeeper ledger backup /backup/2026-11-22 -c /etc/tollkeeper/tollkeeper.toml
  tollkeeper ledger backup /backup/$(date +%F) --data-dir /var/lib/tollkeeper --json

Everything that was answered before it began is in it. The directory appears under its name when it is whole. Take it as the user
that runs the core, and not onto the same disk. It needs about as much memory as the core.")]
    Backup(BackupArgs),
    /// Put a backup in place of the ledger and its tariffs. The core must be stopped.
    #[command(after_help = "Examples:
  tollkeeper ledger restore /backup/2026-11-22 -c /etc/tollkeeper/tollkeeper.toml
  tollkeeper ledger restore /backup/2026-11-22 --data-dir /var/lib/tollkeeper --replace

Do it as the user that runs the core. What was charged after the backup was made is not in it: docs/ledger-files.md tells what that
means and how records bring it back.")]
    Restore(RestoreArgs),
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    place: ConfigArgs,
    /// A backup instead of the data directory.
    #[arg(long, value_name = "DIR")]
    backup: Option<PathBuf>,
    /// One line for each segment of the log.
    #[arg(long)]
    files: bool,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The directory to make.
    #[arg(value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    place: ConfigArgs,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "DIR")]
    from: PathBuf,
    #[command(flatten)]
    place: ConfigArgs,
    /// Put a ledger that is there aside, under another name in the data directory.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    format: show::Format,
}

/// Does it.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Verify(args) => verify(&args),
        Command::Backup(args) => back_up(&args).map(|()| ExitCode::SUCCESS),
        Command::Restore(args) => restore(&args).map(|()| ExitCode::SUCCESS),
    }
}

fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let place = match &args.backup {
        Some(backup) => backup.clone(),
        None => data_dir(&args.place)?,
    };
    let bar = progress("");
    let report = upkeep::verify(&place, &mut |what, done, total| show_progress(&bar, what, done, total));
    bar.finish_and_clear();
    let report = report.with_context(|| in_place(&place))?;
    if args.format.json {
        show::json(&Json { whole: report.is_whole(), recoverable: report.is_recoverable(), report: &report })?;
    } else {
        print(&report, args.files)?;
    }
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

/// `verify --json`
#[derive(Serialize)]
struct Json<'a> {
    whole: bool,
    recoverable: bool,
    #[serde(flatten)]
    report: &'a LedgerReport,
}

fn print(report: &LedgerReport, files: bool) -> anyhow::Result<()> {
    if files {
        let header = ["SEGMENT", "FROM", "TO", "RECORDS", "BYTES", "DAMAGED", "LOST"];
        let rows = report.segments.iter().map(|segment| {
            let numbers = [segment.first, segment.next, segment.records, segment.file_bytes];
            let [first, next, records, bytes] = numbers.map(|number| number.to_string());
            let [damaged, lost] = [segment.damaged_places, segment.lost].map(|number| number.to_string());
            [segment.name.clone(), first, next, records, bytes, damaged, lost]
        });
        show::rows(header, rows.collect(), "no segments")?;
    }
    let snapshot = |one: &upkeep::SnapshotReport| match one.position {
        Some(position) => format!("{} at {position}", one.name),
        None => format!("{} DAMAGED", one.name),
    };
    let snapshots: Vec<String> = report.snapshots.iter().map(snapshot).collect();
    let mut fields = vec![
        ("snapshots", if snapshots.is_empty() { "none yet".to_owned() } else { snapshots.join(", ") }),
        ("segments", report.segments.len().to_string()),
        ("uncommitted records", report.uncommitted_records.to_string()),
        ("tariff versions in use", report.tariff_versions.to_string()),
    ];
    if let Some(books) = &report.books {
        fields.push(("position", books.position.to_string()));
        fields.push(("accounts", books.accounts.to_string()));
        fields.push(("sessions", format!("{} open, {} kept", books.open_sessions, books.kept_sessions)));
        let money = |one: &upkeep::CurrencyTotals| format!("{} {}, {} held", one.balance, one.currency, one.held);
        fields.push(("balances", books.currencies.iter().map(money).collect::<Vec<_>>().join("; ")));
    }
    show::fields(&fields)?;
    for fault in &report.faults {
        show::line(&format!("fault: {fault}"))?;
    }
    show::line(match (report.is_whole(), report.is_recoverable()) {
        (true, _) => "whole",
        (false, true) => "DAMAGED, and a core starts with all that was acknowledged: make a backup, check the disk",
        (false, false) => {
            "DAMAGED: stop the core, copy the directory, check the disk, then restore a backup (tollkeeper ledger restore --help)"
        }
    })
}

fn back_up(args: &BackupArgs) -> anyhow::Result<()> {
    let data_dir = data_dir(&args.place)?;
    let bar = progress("");
    let made = upkeep::back_up(&data_dir, &args.to, now(), &mut |what, done, total| {
        show_progress(&bar, what, done, total);
    });
    bar.finish_and_clear();
    let backup: Backup = made.with_context(|| in_place(&data_dir))?;
    if args.format.json {
        return show::json(&backup);
    }
    show::fields(&[
        ("backup", backup.folder.display().to_string()),
        ("made", backup.made.to_string()),
        ("position", backup.position.to_string()),
        ("accounts", backup.accounts.to_string()),
        ("open sessions", backup.open_sessions.to_string()),
        ("files", format!("{}, {} octets", backup.files, backup.bytes)),
    ])?;
    if backup.uncommitted > 0 {
        exit::complain(&format!(
            "note: {} log records were not committed when they were looked at and are not in it; if no core is running, start it \
             once and make the backup then",
            backup.uncommitted
        ));
    }
    Ok(())
}

fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let data_dir = data_dir(&args.place)?;
    let bar = progress("");
    let restored = upkeep::restore(&args.from, &data_dir, args.replace, now(), &mut |what, done, total| {
        show_progress(&bar, what, done, total);
    });
    bar.finish_and_clear();
    let restored: Restored = restored.with_context(|| in_place(&data_dir))?;
    if args.format.json {
        return show::json(&restored);
    }
    show::fields(&[
        ("restored into", data_dir.display().to_string()),
        ("as of", restored.made.to_string()),
        ("accounts", restored.accounts.to_string()),
        ("open sessions", restored.open_sessions.to_string()),
    ])?;
    for folder in &restored.put_aside {
        show::line(&format!("put aside: {}", folder.display()))?;
    }
    Ok(())
}

fn data_dir(place: &ConfigArgs) -> anyhow::Result<PathBuf> {
    Ok(place.load()?.top.data_dir)
}

fn in_place(place: &Path) -> String {
    format!("ledger of {}", place.display())
}

fn show_progress(bar: &ProgressBar, what: &'static str, done: u64, total: u64) {
    bar.set_message(what);
    bar.set_length(total);
    bar.set_position(done);
}

fn now() -> UtcMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
