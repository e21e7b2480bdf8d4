//! A full journal, the shipper and the Kinesis sink, against shards that take exactly what the service's take: which share of
//! the limits is used, and what a record costs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use benches::machine;
use cdr_journal::{Journal, JournalError, JournalOptions, JournalSource, Shipper, ShipperOptions};
use cdr_shipping::kinesis::{KinesisConfig, KinesisSink};
use clap::Args;
use segment_log::{DirStorage, Storage};
use serde::Serialize;
use tests::kinesis::ShardLimits;
use tests::kinesis::calls::{Scribe, lengths};

use crate::stream::{Line, Running, STREAM};

/// What is measured.
#[derive(Debug, Args)]
pub struct Options {
    /// Shards of the stream, one run for each.
    #[arg(long, value_delimiter = ',', default_values_t = [3, 10])]
    shards: Vec<u32>,
    /// Octets of a record with its partition key, one run for each: 1024 meets the limit of records, 4096 that of octets.
    #[arg(long, value_delimiter = ',', default_values_t = [1024, 4096])]
    record_bytes: Vec<usize>,
    /// How long is measured.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Calls at the same time: a request holds one record of each at most.
    #[arg(long, default_value_t = 5000)]
    calls: usize,
    /// Where the journals are made. Absent: in target/.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Fail (exit 1) when a run uses less of the limits, in thousandths.
    #[arg(long, default_value_t = 0)]
    at_least: u64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// One run.
#[derive(Debug, Serialize)]
struct Run {
    shards: u32,
    record_bytes: usize,
    records_per_second: u64,
    bytes_per_second: u64,
    /// Of the limit that was met first, in thousandths.
    share: u64,
    /// Entries refused, in thousandths of those accepted.
    throttled: u64,
    /// Entries in one request, on average.
    entries_per_request: u64,
    /// CPU of this process for one record, user and system, in nanoseconds.
    cpu_ns: u64,
    load: String,
}

/// The buckets of the stream hold one second's worth at the beginning; after that only the limits count.
const SETTLED: Duration = Duration::from_secs(3);

/// Measures, prints, and says whether it was enough.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let root = options.dir.clone().unwrap_or_else(|| demo::lab::repository().join("target"));
    let folder = tempfile::Builder::new().prefix("bench-cdr-").tempdir_in(root)?;
    let mut runs = Vec::new();
    for shards in &options.shards {
        for record_bytes in &options.record_bytes {
            runs.push(one(folder.path(), *shards, *record_bytes, options)?);
        }
    }
    if options.json {
        println!("{}", serde_json::to_string(&runs)?)
    } else {
        print(&runs)
    }
    let enough = runs.iter().all(|run| run.share >= options.at_least);
    Ok(if enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one(folder: &Path, shards: u32, record_bytes: usize, options: &Options) -> anyhow::Result<Run> {
    let place = folder.join(format!("{shards}-{record_bytes}"));
    let limits = ShardLimits::PROVISIONED;
    // What the shards can take in the time, and a little more, so that the journal does not run dry.
    let a_second = limits.records.min(limits.bytes / u64::try_from(record_bytes)?) * u64::from(shards);
    let records = a_second * (options.seconds + SETTLED.as_secs() + 4);
    let journal_options = JournalOptions { reserve_bytes: 0, ..JournalOptions::default() };
    let (journal, _) = Journal::open(&place, journal_options)?;
    fill(&journal, records, record_bytes, options.calls)?;
    let stream = Running::start(folder, shards)?;
    let config = KinesisConfig {
        region: Some(demo::lab::LAB_REGION.to_owned()),
        endpoint_url: Some(stream.url.clone()),
        credentials_file: Some(credentials(folder)?),
        ..KinesisConfig::of_stream(STREAM)
    };
    let checkpoints: Arc<dyn Storage> = Arc::new(DirStorage::create_dir(&place)?);
    let sink = Box::new(KinesisSink::open("kinesis", &config)?);
    let shipper = Shipper::start(JournalSource::of(&journal), checkpoints, sink, ShipperOptions::default())?;
    let begun = Instant::now();
    std::thread::sleep(SETTLED);
    let (from, cpu_before) = (stream.latest()?, cpu());
    std::thread::sleep(Duration::from_secs(options.seconds));
    let (to, cpu) = (stream.latest()?, cpu().saturating_sub(cpu_before));
    anyhow::ensure!(to.did.records < records, "the journal ran dry after {:?}", begun.elapsed());
    shipper.close(Duration::ZERO)?;
    journal.close()?;
    std::fs::remove_dir_all(&place)?;
    report(shards, record_bytes, (&from, &to), cpu)
}

fn report(shards: u32, record_bytes: usize, (from, to): (&Line, &Line), cpu: Duration) -> anyhow::Result<Run> {
    let (did, ms) = (to.did.since(&from.did), (to.at_ms - from.at_ms).max(1));
    let (records_per_second, bytes_per_second) = (did.records * 1000 / ms, did.bytes * 1000 / ms);
    let limits = ShardLimits::PROVISIONED;
    let share = |per_second: u64, limit: u64| per_second * 1000 / (limit * u64::from(shards)).max(1);
    Ok(Run {
        shards,
        record_bytes,
        records_per_second,
        bytes_per_second,
        share: share(records_per_second, limits.records).max(share(bytes_per_second, limits.bytes)),
        throttled: did.throttled * 1000 / did.records.max(1),
        entries_per_request: (did.records + did.throttled) / did.requests.max(1),
        cpu_ns: u64::try_from(cpu.as_nanos() / u128::from(did.records.max(1)))?,
        load: machine::load_average()?,
    })
}

/// Appends the records of many calls, each call's in its order.
fn fill(journal: &Journal, records: u64, record_bytes: usize, calls: usize) -> anyhow::Result<()> {
    const SEED: u64 = 1;
    let key_bytes = Scribe::new(SEED, 0)?.record(0, 0, 2).call_id.as_str().len();
    let scribe = Scribe::new(SEED, record_bytes.saturating_sub(key_bytes))?;
    let failed = Arc::new(AtomicU64::new(0));
    for (number, group) in lengths(SEED, records).chunks(calls.max(1)).enumerate() {
        let longest = group.iter().max().copied().unwrap_or_default();
        for sequence in 0..longest {
            for (place, length) in group.iter().enumerate().filter(|(_, length)| sequence < **length) {
                let record = scribe.record(number * calls + place, sequence, *length);
                loop {
                    let failed = Arc::clone(&failed);
                    let appended = journal.append(&record, move |outcome| {
                        failed.fetch_add(u64::from(outcome.is_err()), Ordering::Relaxed);
                    });
                    match appended {
                        Err(JournalError::QueueFull { .. }) => std::thread::sleep(Duration::from_micros(200)),
                        appended => break appended?,
                    }
                }
            }
        }
    }
    while journal.durable().index() < records && failed.load(Ordering::Relaxed) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    anyhow::ensure!(failed.load(Ordering::Relaxed) == 0, "records could not be written");
    Ok(())
}

/// No server of a benchmark verifies them, but the client wants some.
pub fn credentials(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("credentials");
    std::fs::write(&path, "[default]\naws_access_key_id = lab\naws_secret_access_key = lab\n")?;
    Ok(path)
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn print(runs: &[Run]) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header([
        "shards",
        "octets",
        "records/s",
        "KiB/s",
        "of the limit",
        "throttled",
        "a request",
        "CPU us/record",
        "load",
    ]);
    let percent = |thousandths: u64| format!("{}.{} %", thousandths / 10, thousandths % 10);
    for run in runs {
        table.add_row([
            run.shards.to_string(),
            run.record_bytes.to_string(),
            run.records_per_second.to_string(),
            (run.bytes_per_second / 1024).to_string(),
            percent(run.share),
            percent(run.throttled),
            run.entries_per_request.to_string(),
            format!("{}.{:03}", run.cpu_ns / 1000, run.cpu_ns % 1000),
            run.load.clone(),
        ]);
    }
    println!("{table}");
    println!(
        "A full journal to a stream on loopback whose shards take 1000 records/s and 1 MiB/s each, as the service's do; the \
         stream in a process of its own, its CPU not counted; the first {} s left out.",
        SETTLED.as_secs()
    );
}
