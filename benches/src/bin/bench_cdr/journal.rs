//! `Journal::append` from some threads, with so many records in flight, until each is answered after fdatasync. JSON is made in
//! `append`, so it is part of the figure; it is also measured alone.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use benches::machine::{self, Spread};
use cdr_journal::{Journal, JournalError, JournalOptions};
use clap::Args;
use serde::Serialize;

use crate::record;

/// What is measured.
#[derive(Debug, Args)]
pub struct Options {
    /// Records in one run.
    #[arg(long, default_value_t = 400_000)]
    records: u64,
    /// Records appended and not answered, over all threads.
    #[arg(long, default_value_t = 1024)]
    in_flight: usize,
    /// Threads that append.
    #[arg(long, default_value_t = 1)]
    producers: usize,
    /// How often: a disk shared with others differs from run to run.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Where the journals are made. Absent: in target/.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Fail (exit 1) when the best run has fewer records a second.
    #[arg(long, default_value_t = 0)]
    at_least: u64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    records: u64,
    in_flight: usize,
    producers: usize,
    record_bytes: usize,
    load_before: String,
    load_after: String,
    /// 4 KiB written and synced, one after the other.
    fsync_before: Spread,
    fsync_after: Spread,
    /// One record to JSON on one thread, in nanoseconds.
    json_ns: u64,
    runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
struct Run {
    records_per_second: u64,
    /// From `append` to the answer.
    answer: Spread,
    longest_us: u64,
    /// CPU of the whole process for one record, user and system, in nanoseconds.
    cpu_ns: u64,
    /// The machine's load average at the end of the run.
    load: String,
}

/// Measures, prints, and says whether it was enough.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let root = options.dir.clone().unwrap_or_else(|| demo::lab::repository().join("target"));
    let folder = tempfile::Builder::new().prefix("bench-cdr-").tempdir_in(root)?;
    let record = record::template()?;
    let mut report = Report {
        records: options.records,
        in_flight: options.in_flight,
        producers: options.producers.max(1),
        record_bytes: {
            let mut record = record.clone();
            record::number(&mut record, options.records);
            record.to_json()?.len()
        },
        load_before: machine::load_average()?,
        load_after: String::new(),
        fsync_before: machine::fsync_baseline(folder.path())?,
        fsync_after: Spread::default(),
        json_ns: json_ns()?,
        runs: Vec::new(),
    };
    for number in 0..options.runs {
        let place = folder.path().join(number.to_string());
        report.runs.push(one(&place, options)?);
        std::fs::remove_dir_all(&place)?;
    }
    report.fsync_after = machine::fsync_baseline(folder.path())?;
    report.load_after = machine::load_average()?;
    let best = report.runs.iter().map(|run| run.records_per_second).max().unwrap_or_default();
    if options.json {
        println!("{}", serde_json::to_string(&report)?)
    } else {
        print(&report)
    }
    Ok(if best >= options.at_least { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn json_ns() -> anyhow::Result<u64> {
    const ROUNDS: u64 = 100_000;
    let mut record = record::template()?;
    let mut bytes = 0;
    let begun = Instant::now();
    for round in 0..ROUNDS {
        record.record_sequence = u32::try_from(round)?;
        bytes += std::hint::black_box(record.to_json()?).len();
    }
    let elapsed = begun.elapsed();
    anyhow::ensure!(bytes > 0, "nothing was encoded");
    Ok(u64::try_from(elapsed.as_nanos())? / ROUNDS)
}

fn one(place: &Path, options: &Options) -> anyhow::Result<Run> {
    let (journal, _) = Journal::open(place, JournalOptions::default())?;
    let producers = options.producers.max(1);
    let window = (options.in_flight / producers).max(1);
    let each = options.records / u64::try_from(producers)?;
    let answers: Arc<[AtomicU64]> = (0..options.records).map(|_| AtomicU64::new(0)).collect();
    let (begun, cpu_before) = (Instant::now(), cpu());
    let outcome: anyhow::Result<()> = thread::scope(|scope| {
        let threads: Vec<_> = (0..u64::try_from(producers)?)
            .map(|producer| {
                let (journal, answers) = (&journal, Arc::clone(&answers));
                scope.spawn(move || produce(journal, producer * each..(producer + 1) * each, window, &answers))
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a producer panicked"))??;
        }
        Ok(())
    });
    outcome?;
    let (elapsed, cpu) = (begun.elapsed(), cpu().saturating_sub(cpu_before));
    let written = each * u64::try_from(producers)?;
    anyhow::ensure!(journal.durable().index() == written, "records are missing");
    journal.close()?;
    let nanos: Vec<u64> =
        answers.iter().map(|nanos| nanos.load(Ordering::Relaxed)).filter(|nanos| *nanos > 0).collect();
    anyhow::ensure!(u64::try_from(nanos.len())? == written, "answers are missing");
    let longest_us = nanos.iter().max().copied().unwrap_or_default() / 1000;
    Ok(Run {
        records_per_second: u64::try_from(u128::from(written) * 1_000_000_000 / elapsed.as_nanos().max(1))?,
        answer: Spread::of(nanos.into_iter().map(|nanos| nanos / 1000).collect()),
        longest_us,
        cpu_ns: u64::try_from(cpu.as_nanos() / u128::from(written.max(1)))?,
        load: machine::load_average()?,
    })
}

/// What a producer and the answers to it share.
struct Window {
    in_flight: AtomicUsize,
    waits: AtomicBool,
    producer: Thread,
    failed: AtomicBool,
}

impl Window {
    fn answered(&self, outcome: &Result<cdr_journal::Position, JournalError>) {
        if outcome.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
        if self.waits.swap(false, Ordering::AcqRel) {
            self.producer.unpark();
        }
    }

    /// Returns when fewer than `bound` are in flight.
    fn below(&self, bound: usize) {
        while self.in_flight.load(Ordering::Acquire) >= bound {
            self.waits.store(true, Ordering::Release);
            if self.in_flight.load(Ordering::Acquire) >= bound {
                thread::park_timeout(Duration::from_millis(100));
            }
        }
    }
}

fn produce(
    journal: &Journal,
    numbers: std::ops::Range<u64>,
    bound: usize,
    answers: &Arc<[AtomicU64]>,
) -> anyhow::Result<()> {
    let window = Arc::new(Window {
        in_flight: AtomicUsize::new(0),
        waits: AtomicBool::new(false),
        producer: thread::current(),
        failed: AtomicBool::new(false),
    });
    let mut record = record::template()?;
    for number in numbers {
        record::number(&mut record, number);
        window.below(bound);
        window.in_flight.fetch_add(1, Ordering::AcqRel);
        let (of_answer, answers) = (Arc::clone(&window), Arc::clone(answers));
        let (index, begun) = (usize::try_from(number)?, Instant::now());
        journal.append(&record, move |outcome| {
            let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1);
            if let Some(answer) = answers.get(index) {
                answer.store(nanos, Ordering::Relaxed);
            }
            of_answer.answered(&outcome);
        })?;
    }
    window.below(1);
    anyhow::ensure!(!window.failed.load(Ordering::Relaxed), "records failed");
    Ok(())
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn print(report: &Report) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["records/s", "answer p50 ms", "p99 ms", "longest ms", "CPU us/record", "load"]);
    let ms = |us: u64| format!("{}.{:03}", us / 1000, us % 1000);
    for run in &report.runs {
        table.add_row([
            run.records_per_second.to_string(),
            ms(run.answer.p50_us),
            ms(run.answer.p99_us),
            ms(run.longest_us),
            ms(run.cpu_ns),
            run.load.clone(),
        ]);
    }
    println!("{table}");
    let disk = |spread: Spread| format!("p50 {} ms, p99 {} ms", ms(spread.p50_us), ms(spread.p99_us));
    println!(
        "{} records of {} octets a run, {} in flight from {} threads; answered after fdatasync, JSON included",
        report.records, report.record_bytes, report.in_flight, report.producers
    );
    println!("JSON alone: {} us a record on one thread", ms(report.json_ns));
    println!("4 KiB write + fdatasync before: {}; after: {}", disk(report.fsync_before), disk(report.fsync_after));
    println!("load average before: {}; after: {}", report.load_before, report.load_after);
}
