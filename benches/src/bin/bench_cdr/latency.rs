//! From `Journal::append` until a reader has the record from kinesalite, at a steady rate.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use benches::machine::{self, Spread};
use cdr_journal::{Journal, JournalOptions, JournalSource, Shipper, ShipperOptions};
use cdr_shipping::kinesis::{KinesisConfig, KinesisSink};
use clap::Args;
use demo::lab::Kinesalite;
use segment_log::{DirStorage, Storage};
use serde_json::{Value, json};
use tests::kinesis::calls::Scribe;

use crate::shipper::credentials;
use crate::stream::STREAM;

/// What is measured.
#[derive(Debug, Args)]
pub struct Options {
    /// Records a second.
    #[arg(long, default_value_t = 200)]
    rate: u64,
    /// How long.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Shards of the stream.
    #[arg(long, default_value_t = 3)]
    shards: u32,
    /// Octets of a record.
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Pause of the reader between two looks at all shards, in milliseconds; part of what is measured.
    #[arg(long, default_value_t = 5)]
    poll_ms: u64,
    /// Where the journal is made. Absent: in target/.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let root = options.dir.clone().unwrap_or_else(|| demo::lab::repository().join("target"));
    let folder = tempfile::Builder::new().prefix("bench-cdr-").tempdir_in(root)?;
    let server = Kinesalite::start(folder.path(), options.shards, STREAM)?;
    let place = folder.path().join("journal");
    let (journal, _) = Journal::open(&place, JournalOptions { reserve_bytes: 0, ..JournalOptions::default() })?;
    let config = KinesisConfig {
        region: Some(demo::lab::LAB_REGION.to_owned()),
        endpoint_url: Some(server.url()),
        credentials_file: Some(credentials(folder.path())?),
        ..KinesisConfig::of_stream(STREAM)
    };
    let checkpoints: Arc<dyn Storage> = Arc::new(DirStorage::create_dir(&place)?);
    let sink = Box::new(KinesisSink::open("kinesis", &config)?);
    let shipper = Shipper::start(JournalSource::of(&journal), checkpoints, sink, ShipperOptions::default())?;
    let total = usize::try_from(options.rate * options.seconds)?;
    let appending = append(&journal, options, total);
    let (times, durable) = std::thread::scope(|scope| {
        let appended = scope.spawn(|| appending.run());
        let read = read(&server, options, total);
        let appended = appended.join().map_err(|_| anyhow::anyhow!("the producer panicked"))??;
        anyhow::Ok((spread(&appended.begun, &read?)?, appended.durable))
    })?;
    shipper.close(Duration::from_secs(5))?;
    journal.close()?;
    let load = machine::load_average()?;
    if options.json {
        let report = json!({"rate": options.rate, "poll_ms": options.poll_ms, "durable": durable, "readable": times, "load": load});
        println!("{report}");
    } else {
        let ms = |us: u64| format!("{}.{:03} ms", us / 1000, us % 1000);
        println!(
            "{} records of {} octets at {} a second, {} shards of kinesalite, default settings (a short batch waits {} ms)",
            times.count,
            options.record_bytes,
            options.rate,
            options.shards,
            config.batch_age.ms()
        );
        println!("append to durable:  p50 {}, p99 {}", ms(durable.p50_us), ms(durable.p99_us));
        println!("append to readable: p50 {}, p99 {}", ms(times.p50_us), ms(times.p99_us));
        println!("the reader looks each {} ms; load average {load}", options.poll_ms);
    }
    Ok(ExitCode::SUCCESS)
}

/// The producer's side.
struct Append<'a> {
    journal: &'a Journal,
    options: &'a Options,
    total: usize,
}

/// When each record was appended, and how long that took.
struct Appended {
    begun: HashMap<String, Instant>,
    durable: Spread,
}

fn append<'a>(journal: &'a Journal, options: &'a Options, total: usize) -> Append<'a> {
    Append { journal, options, total }
}

impl Append<'_> {
    fn run(&self) -> anyhow::Result<Appended> {
        let scribe = Scribe::new(1, self.options.record_bytes)?;
        let took: Arc<[AtomicU64]> = (0..self.total).map(|_| AtomicU64::new(0)).collect();
        let (mut begun, beginning) = (HashMap::new(), Instant::now());
        for number in 0..self.total {
            let due = Duration::from_micros(u64::try_from(number)? * 1_000_000 / self.options.rate.max(1));
            std::thread::sleep(due.saturating_sub(beginning.elapsed()));
            let record = scribe.record(number, 0, 2);
            let (took, now) = (Arc::clone(&took), Instant::now());
            begun.insert(record.record_id.to_string(), now);
            self.journal.append(&record, move |outcome| {
                let micros = u64::try_from(now.elapsed().as_micros()).unwrap_or(u64::MAX);
                if let (Ok(_), Some(took)) = (outcome, took.get(number)) {
                    took.store(micros.max(1), Ordering::Relaxed);
                }
            })?;
        }
        while took.last().is_some_and(|last| last.load(Ordering::Relaxed) == 0) {
            anyhow::ensure!(beginning.elapsed().as_secs() < self.options.seconds + 30, "records do not become durable");
            std::thread::sleep(Duration::from_millis(1));
        }
        let durable = Spread::of(took.iter().map(|micros| micros.load(Ordering::Relaxed)).collect());
        Ok(Appended { begun, durable })
    }
}

/// Reads all shards again and again; when each record was first seen.
fn read(server: &Kinesalite, options: &Options, total: usize) -> anyhow::Result<HashMap<String, Instant>> {
    let mut iterators = Vec::new();
    for shard in server.open_shards()? {
        let begin = json!({
            "StreamName": STREAM, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON",
        });
        iterators.push(server.ask("GetShardIterator", &begin)?["ShardIterator"].clone());
    }
    let (mut seen, begun) = (HashMap::new(), Instant::now());
    while seen.len() < total {
        anyhow::ensure!(
            begun.elapsed().as_secs() < options.seconds + 30,
            "{} of {total} records are there",
            seen.len()
        );
        for iterator in &mut iterators {
            let answer = server.ask("GetRecords", &json!({"ShardIterator": iterator}))?;
            let now = Instant::now();
            for record in answer["Records"].as_array().into_iter().flatten() {
                seen.entry(record_id(record)?).or_insert(now);
            }
            *iterator = answer["NextShardIterator"].clone();
        }
        std::thread::sleep(Duration::from_millis(options.poll_ms));
    }
    Ok(seen)
}

fn record_id(record: &Value) -> anyhow::Result<String> {
    let data = base64::engine::general_purpose::STANDARD.decode(record["Data"].as_str().context("Data")?)?;
    let record: Value = serde_json::from_slice(&data)?;
    Ok(record["recordId"].as_str().context("recordId")?.to_owned())
}

fn spread(begun: &HashMap<String, Instant>, seen: &HashMap<String, Instant>) -> anyhow::Result<Spread> {
    let mut micros = Vec::new();
    for (id, seen) in seen {
        let begun = begun.get(id).with_context(|| format!("{id} was not appended"))?;
        micros.push(u64::try_from(seen.saturating_duration_since(*begun).as_micros())?);
    }
    Ok(Spread::of(micros))
}
