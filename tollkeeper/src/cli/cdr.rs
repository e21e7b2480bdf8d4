//! `cdr ...`: records from the journal's directory, beside a running writer or without one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cdr_journal::{Filters, JournalRecords};
use cdr_model::{CallRecord, RecordType};
use clap::{Args, Subcommand, ValueEnum};
use types::{CallId, Number, SessionId, TerminationReason, UtcMs};

use super::{ConfigArgs, parse, show};
use crate::exit::UsageError;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The last records, and with -f all that come.
    #[command(after_help = "Examples:
  tollkeeper cdr tail
  tollkeeper cdr tail -f -n 100 -c tollkeeper.toml
  tollkeeper cdr tail --journal /var/lib/tollkeeper/journal --json | jq .callId")]
    Tail(TailArgs),
    /// The records that fit all conditions, oldest first.
    #[command(after_help = "Examples:
  tollkeeper cdr search --account alice --since 2026-11-22
  tollkeeper cdr search --number +49301234567 --type STOP --json
  tollkeeper cdr search --call-id CALL_ID")]
    Search(SearchArgs),
    /// How it stands with the sinks: backlog, lag, rates, throttling, last error.
    #[command(after_help = "Examples:
  tollkeeper cdr ship-status -c tollkeeper.toml
  tollkeeper cdr ship-status --watch 5
  tollkeeper cdr ship-status --json | jq 'select(.lag_ms > 60000)'
  tollkeeper cdr ship-status --journal /var/lib/tollkeeper/journal

The running process is asked; where none answers, the journal's directory tells checkpoints, backlog and lag.")]
    ShipStatus(super::ship_status::ShipStatusArgs),
    /// The JSON Schema of the records that this release writes.
    #[command(after_help = "Examples:
  tollkeeper cdr schema > call-record.schema.json
  tollkeeper cdr schema | jq '.properties | keys'")]
    Schema,
}

#[derive(Debug, Args)]
pub struct JournalArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The journal's directory; goes before the configuration.
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TailArgs {
    #[command(flatten)]
    from: JournalArgs,
    /// The records' own JSON, one a line.
    #[arg(long)]
    json: bool,
    /// Wait for more.
    #[arg(short, long)]
    follow: bool,
    /// How many.
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    count: usize,
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    #[command(flatten)]
    from: JournalArgs,
    /// The records' own JSON, one a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: FilterArgs,
}

/// Which records; all conditions must hold.
#[derive(Debug, Args)]
pub struct FilterArgs {
    /// The conversation.
    #[arg(long)]
    call_id: Option<String>,
    /// The charging session.
    #[arg(long)]
    session_id: Option<String>,
    /// The paying account.
    #[arg(long)]
    account: Option<String>,
    /// A party's number: calling, called or as dialled.
    #[arg(long)]
    number: Option<String>,
    /// The type of record.
    #[arg(long = "type", value_enum, ignore_case = true)]
    record_type: Option<Type>,
    /// The call was offered at this time or later.
    #[arg(long, value_parser = parse::time, value_name = "TIME")]
    since: Option<UtcMs>,
    /// The call was offered before this time.
    #[arg(long, value_parser = parse::time, value_name = "TIME")]
    until: Option<UtcMs>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Type {
    /// Answered.
    #[value(name = "START")]
    Start,
    /// Still talking.
    #[value(name = "INTERIM")]
    Interim,
    /// Over.
    #[value(name = "STOP")]
    Stop,
    /// Refused, unanswered, adjusted.
    #[value(name = "EVENT")]
    Event,
}

/// Does it.
pub fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Tail(args) => {
            let directory = args.from.directory()?;
            let records = cdr_journal::tail(&directory, args.follow, args.count);
            let records = records.with_context(|| format!("journal {}", directory.display()))?;
            if args.follow { follow(records, args.json) } else { print(records, &directory, args.json) }
        }
        Command::ShipStatus(args) => super::ship_status::run(&args),
        Command::Schema => show::raw(cdr_model::CALL_RECORD_SCHEMA.as_bytes()),
        Command::Search(args) => {
            let directory = args.from.directory()?;
            let filters = args.filters.filters();
            let records = cdr_journal::search(&directory, filters);
            let records = records.with_context(|| format!("journal {}", directory.display()))?;
            print(records, &directory, args.json)
        }
    }
}

impl FilterArgs {
    /// What they ask for.
    pub fn filters(self) -> Filters {
        Filters {
            call_id: self.call_id.map(CallId::from),
            session_id: self.session_id.map(SessionId::from),
            account: self.account.map(Number::new),
            tenant: None,
            record_types: self.record_type.map(Into::into).into_iter().collect(),
            number: self.number.map(Number::new),
            since: self.since,
            until: self.until,
        }
    }
}

impl JournalArgs {
    /// The journal's directory, which exists.
    pub fn directory(&self) -> anyhow::Result<PathBuf> {
        let directory = match &self.journal {
            Some(directory) => directory.clone(),
            None => self.config.load()?.journal_dir(),
        };
        if directory.is_dir() {
            return Ok(directory);
        }
        let text = format!(
            "there is no journal in {}; name it with --journal DIR, --data-dir DIR or -c FILE",
            directory.display()
        );
        Err(UsageError(text).into())
    }
}

fn print(records: JournalRecords, directory: &Path, json: bool) -> anyhow::Result<()> {
    let mut records = records;
    let mut rows = Vec::new();
    for found in records.by_ref() {
        let record = found.with_context(|| format!("journal {}", directory.display()))?.record;
        if json {
            show::json(&record)?;
        } else {
            rows.push(row(&record));
        }
    }
    if !json {
        show::rows(HEADER, rows, "no records")?;
    }
    let lost = records.damaged().saturating_add(records.undecodable());
    if lost > 0 {
        crate::exit::complain(&format!("warning: {lost} damaged records in {} were passed by", directory.display()));
    }
    Ok(())
}

/// Line by line, because nobody knows how many will come.
fn follow(records: JournalRecords, json: bool) -> anyhow::Result<()> {
    for found in records {
        let record = found?.record;
        if json {
            show::json(&record)?;
        } else {
            let [time, kind, from, to, seconds, cost, outcome, call_id] = row(&record);
            show::line(&format!(
                "{time}  {kind:<7}  {from:<16}  {to:<16}  {seconds:>9}  {cost:<14}  {outcome:<18}  {call_id}"
            ))?;
        }
    }
    Ok(())
}

const HEADER: [&str; 8] = ["TIME", "TYPE", "FROM", "TO", "SECONDS", "COST", "OUTCOME", "CALL"];

/// Numbers are shown to the operator as they are.
fn row(record: &CallRecord) -> [String; 8] {
    let shown = |number: Option<&Number>| show::or_dash(number.map(Number::expose));
    let parties = (&record.calling_party, &record.called_party);
    let cost = record.cost.as_ref().and_then(|cost| Some(format!("{} {}", cost.amount?, cost.currency?)));
    let seconds = record.duration.map(|seconds| format!("{}.{:03}", seconds.ms() / 1000, seconds.ms() % 1000));
    let outcome = record.release_cause.map(|cause| cause.as_str().to_owned());
    let outcome = outcome.or_else(|| record.termination_reason.map(word));
    [
        record.end_time.or(record.answer_time).unwrap_or(record.start_time).to_string(),
        record.record_type.as_str().to_owned(),
        shown(parties.0.subscriber_id.as_ref().or(parties.0.number.as_ref())),
        shown(parties.1.number.as_ref().or(Some(&parties.1.dialled_number))),
        show::or_dash(seconds),
        show::or_dash(cost),
        show::or_dash(outcome),
        record.call_id.to_string(),
    ]
}

/// As the record writes it.
fn word(reason: TerminationReason) -> String {
    let value = serde_json::to_value(reason).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

impl From<Type> for RecordType {
    fn from(kind: Type) -> Self {
        match kind {
            Type::Start => Self::Start,
            Type::Interim => Self::Interim,
            Type::Stop => Self::Stop,
            Type::Event => Self::Event,
        }
    }
}
