//! `journal ...`: is everything there, take it elsewhere, ship it again. `verify` and `export` work beside a running writer.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use cdr_journal::{JournalRecords, Position, Replay, ReplayFrom, Verified};
use clap::{Args, Subcommand};
use flate2::{Compression, write::GzEncoder};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;

use super::cdr::{FilterArgs, JournalArgs};
use super::{parse, show};
use crate::exit;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read every file of the journal and tell what is there, damaged or missing; exit 1 when acknowledged records are.
    #[command(after_help = "Examples:
  tollkeeper journal verify
  tollkeeper journal verify --journal /var/lib/tollkeeper/journal --json
  tollkeeper journal verify --files                one line for each file

It takes no lock: the journal may be in use. What a running writer has not committed yet is shown as uncommitted; on a stopped
journal that is the torn tail of a crash, which was acknowledged to nobody and is cut at the next start.")]
    Verify(VerifyArgs),
    /// Write records as JSON lines, archives included, each recordId once.
    #[command(after_help = "Examples:
  tollkeeper journal export > records.jsonl
  tollkeeper journal export --account alice --since 2026-11-01 --until 2026-12-01 -o alice.jsonl
  tollkeeper journal export --type STOP --gzip -o stops.jsonl.gz

A file appears under its name only when it is complete.")]
    Export(ExportArgs),
    /// Set a sink back, so that it gets records again at its next start; without --apply it is only told what that would mean.
    #[command(after_help = "Examples:
  tollkeeper journal replay --sink kinesis --from 2026-11-22T10:00:00Z
  tollkeeper journal replay --sink kinesis --from 120000 --apply
  tollkeeper journal replay --sink kinesis --from 2026-11-22 --apply --json

The process that writes the journal must be stopped. What the sink had already it gets twice: consumers know it by its recordId.")]
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    from: JournalArgs,
    /// One line for each file.
    #[arg(long)]
    files: bool,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    from: JournalArgs,
    #[command(flatten)]
    filters: FilterArgs,
    /// The file to write. Absent: standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Compressed.
    #[arg(long)]
    gzip: bool,
    /// What was exported, as one JSON object; needs --output.
    #[arg(long, requires = "output")]
    json: bool,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    from: JournalArgs,
    /// The sink, by its name in the configuration.
    #[arg(long, value_name = "NAME")]
    sink: String,
    /// A position in the journal, or a time: the first record of something that happened then or later.
    #[arg(long = "from", value_name = "POSITION|TIME", value_parser = place)]
    place: ReplayFrom,
    /// Do it.
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    format: show::Format,
}

/// Does it.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Verify(args) => verify(&args),
        Command::Export(args) => export(args).map(|()| ExitCode::SUCCESS),
        Command::Replay(args) => replay(&args).map(|()| ExitCode::SUCCESS),
    }
}

fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let directory = args.from.directory()?;
    let bar = progress("files");
    let verified = cdr_journal::verify(&directory, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let verified = verified.with_context(|| format!("journal {}", directory.display()))?;
    if args.format.json {
        show::json(&Report { whole: verified.is_whole(), verified: &verified })?;
    } else {
        print(&verified, args.files)?;
    }
    Ok(if verified.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

/// `verify --json`
#[derive(Serialize)]
struct Report<'a> {
    whole: bool,
    #[serde(flatten)]
    verified: &'a Verified,
}

fn print(verified: &Verified, files: bool) -> anyhow::Result<()> {
    if files {
        let header = ["FILE", "RECORDS", "FROM", "TO", "BYTES", "DAMAGED", "LOST"];
        let rows = verified.files.iter().map(|file| {
            let numbers = [file.records, file.first, file.next, file.file_bytes, file.damaged_places, file.lost];
            let [records, first, next, bytes, damaged, lost] = numbers.map(|number| number.to_string());
            [file.name.clone(), records, first, next, bytes, damaged, lost]
        });
        show::rows(header, rows.collect(), "no files")?;
    }
    show::fields(&[
        ("segments", verified.segments.to_string()),
        ("archives", verified.archives.to_string()),
        ("records", verified.records.to_string()),
        ("octets of records", verified.payload_bytes.to_string()),
        ("octets of files", verified.file_bytes.to_string()),
        ("duplicates", format!("{} (readers pass them by)", verified.duplicates)),
        ("uncommitted", format!("{} records, {} octets", verified.uncommitted_records, verified.uncommitted_bytes)),
        ("leftovers", verified.leftovers.to_string()),
        ("damaged places", verified.damaged_places.to_string()),
        ("lost in them", verified.lost.to_string()),
        ("gaps between files", format!("{}, {} records missing", verified.gaps, verified.missing)),
        ("not call records", verified.undecodable.to_string()),
    ])?;
    show::line(if verified.is_whole() {
        "whole"
    } else {
        "DAMAGED: copy the directory, check the disk, restore from a backup"
    })
}

fn export(args: ExportArgs) -> anyhow::Result<()> {
    let directory = args.from.directory()?;
    let context = || format!("journal {}", directory.display());
    let mut records = cdr_journal::search(&directory, args.filters.filters()).with_context(context)?;
    let Some(output) = &args.output else {
        let out = BufWriter::new(io::stdout().lock());
        write(&mut records, out, args.gzip).with_context(context)?;
        return warn(&records, &directory);
    };
    // Under its name only when it is whole: a reader must not take half of it for all.
    let name = output.file_name().context("--output names no file")?;
    let unfinished = output.with_file_name(format!("{}.tmp", name.to_string_lossy()));
    let named = || unfinished.display().to_string();
    let written = File::create(&unfinished).with_context(named).and_then(|file| {
        let written = write(&mut records, BufWriter::new(&file), args.gzip).with_context(context)?;
        file.sync_all().with_context(named)?;
        Ok(written)
    });
    let written = match written.and_then(|written| {
        fs::rename(&unfinished, output).with_context(|| output.display().to_string())?;
        Ok(written)
    }) {
        Ok(written) => written,
        Err(error) => {
            // There may be none.
            fs::remove_file(&unfinished).unwrap_or_default();
            return Err(error);
        }
    };
    if args.json {
        let (damaged, undecodable) = (records.damaged(), records.undecodable());
        show::json(&json!({
            "file": output.display().to_string(), "records": written, "duplicates": records.duplicates(),
            "damaged": damaged, "undecodable": undecodable,
        }))?;
    } else {
        show::line(&format!("{written} records in {}", output.display()))?;
    }
    warn(&records, &directory)
}

fn write(records: &mut JournalRecords, mut out: impl Write, gzip: bool) -> anyhow::Result<u64> {
    if gzip {
        let mut encoder = GzEncoder::new(out, Compression::default());
        let written = lines(records, &mut encoder)?;
        encoder.finish()?.flush()?;
        return Ok(written);
    }
    let written = lines(records, &mut out)?;
    out.flush()?;
    Ok(written)
}

fn lines(records: &mut JournalRecords, out: &mut impl Write) -> anyhow::Result<u64> {
    let bar = progress("records");
    bar.set_length(records.remaining().unwrap_or_default());
    let mut written = 0;
    while let Some(found) = records.next() {
        out.write_all(&found?.json)?;
        out.write_all(b"\n")?;
        written += 1;
        let read = bar.length().unwrap_or_default().saturating_sub(records.remaining().unwrap_or_default());
        bar.set_position(read);
    }
    bar.finish_and_clear();
    Ok(written)
}

fn warn(records: &JournalRecords, directory: &Path) -> anyhow::Result<()> {
    let lost = records.damaged().saturating_add(records.undecodable());
    if lost > 0 {
        exit::complain(&format!("warning: {lost} damaged records in {} were passed by", directory.display()));
    }
    Ok(())
}

fn replay(args: &ReplayArgs) -> anyhow::Result<()> {
    let directory = args.from.directory()?;
    let bar = progress("records");
    bar.enable_steady_tick(Duration::from_millis(200));
    let replayed = cdr_journal::replay(&directory, &args.sink, args.place, args.apply);
    bar.finish_and_clear();
    let Replay { checkpoint, from, records, lost, .. } = replayed?;
    let (checkpoint, from) = (checkpoint.index(), from.index());
    if args.format.json {
        return show::json(&json!({
            "sink": args.sink, "applied": args.apply, "checkpoint": checkpoint, "from": from, "records": records, "lost": lost,
        }));
    }
    let sink = &args.sink;
    show::line(&match (records, args.apply) {
        (0, _) => format!("sink {sink} is at {checkpoint}: there is nothing to ship again"),
        (_, true) => format!("sink {sink} was at {checkpoint} and goes on at {from}: {records} records again"),
        (_, false) => {
            format!("sink {sink} is at {checkpoint}; from {from} it would get {records} records again; --apply does it")
        }
    })?;
    if lost > 0 {
        exit::complain(&format!("warning: {lost} records between the two are damaged or removed"));
    }
    Ok(())
}

/// A bar on the terminal; nothing elsewhere.
pub(super) fn progress(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} {eta}");
    let bar = ProgressBar::new(0).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn place(text: &str) -> Result<ReplayFrom, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let position = text.parse().map_err(|_| "a position is a number".to_owned())?;
        return Ok(ReplayFrom::Position(Position::new(position)));
    }
    parse::time(text).map(ReplayFrom::Time)
}
