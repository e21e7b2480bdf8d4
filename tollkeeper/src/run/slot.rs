//! One configured sink of a running process: its shipper while it has one, and how it stands.
//!
//! A sink that cannot be opened, or that ended by a refusal (a file that is not ours, say), stops neither the process nor calls: it
//! is tried again and again, and the journal keeps its records.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cdr_journal::{
    Journal, JournalSource, Shipped, Shipper, ShipperCounters, ShipperOptions, SinkCounters, SinkPlace, Standing,
    Trouble,
};
use segment_log::{DirStorage, Storage};
use tracing::{debug, error, info};
use types::UtcMs;

use crate::sinks::{ConfiguredSink, Counts, SinkReport, TroubleReport};

/// See the module.
pub(super) struct Slot {
    pub(super) sink: Arc<ConfiguredSink>,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    shipper: Option<Shipper>,
    /// Of shippers before this one.
    before: Counts,
    /// Why there is none.
    trouble: Option<Trouble>,
    /// How far the one before came, while there is none.
    place: Option<SinkPlace>,
    sample: Option<Sample>,
}

/// For rates.
#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    records: u64,
    bytes: u64,
    records_per_s: u64,
    bytes_per_s: u64,
}

impl Slot {
    pub(super) fn new(sink: Arc<ConfiguredSink>) -> Self {
        Self { sink, current: Mutex::default() }
    }

    /// Starts the shipper if none runs, and takes a sample for the rates.
    pub(super) fn keep_up(&self, journal: &Journal, directory: &std::path::Path) {
        let running = {
            let mut current = self.lock();
            let running = current.shipper.as_ref().is_some_and(Shipper::is_running);
            if running {
                current.trouble = None;
            } else {
                current.put_by();
            }
            running
        };
        if !running {
            // Without the lock: a file system may take its time, and whoever asks how it stands does not wait for it.
            let opened = open(&self.sink, journal, directory);
            let places = if opened.is_ok() { Vec::new() } else { cdr_journal::places(directory).unwrap_or_default() };
            let place = places.into_iter().find(|place| place.sink == self.sink.name());
            let mut current = self.lock();
            current.started(&self.sink, opened);
            current.place = place;
        }
        self.lock().take_sample();
    }

    /// Ships what is there for at most `grace` and ends it.
    pub(super) fn close(&self, grace: Duration) -> Result<(), String> {
        let name = self.sink.name();
        let (shipper, trouble) = {
            let mut current = self.lock();
            (current.shipper.take(), current.trouble.clone())
        };
        let Some(shipper) = shipper else {
            let why = trouble.map_or_else(|| "it never ran".to_owned(), |trouble| trouble.text);
            return Err(format!("records for sink {name}, which stay in the journal: {why}"));
        };
        match shipper.close(grace) {
            Ok(Shipped { backlog: 0, .. }) => {
                info!(sink = name, "everything is shipped");
                Ok(())
            }
            Ok(Shipped { backlog, .. }) => Err(format!("{backlog} records for sink {name}, which stay in the journal")),
            Err(error) => {
                Err(format!("records for sink {name}, which stay in the journal: {:#}", anyhow::Error::new(error)))
            }
        }
    }

    /// How it stands now.
    pub(super) fn report(&self, durable: u64) -> SinkReport {
        let current = self.lock();
        let sink = &self.sink;
        let mut report = SinkReport {
            sink: sink.name().to_owned(),
            kind: Some(sink.kind().to_owned()),
            destination: Some(sink.own.destination()),
            counts: Some(current.before.clone()),
            ..SinkReport::default()
        };
        let mut trouble = current.trouble.clone();
        if current.shipper.is_none() {
            let oldest = current.place.as_ref().and_then(|place| place.oldest_unshipped);
            report.checkpoint = current.place.as_ref().map_or(0, |place| place.checkpoint.index());
            wait(&mut report, durable, oldest);
        }
        if let Some(shipper) = &current.shipper {
            let counters = shipper.counters();
            report.running = shipper.is_running();
            report.checkpoint = of(&counters.checkpoint);
            let oldest = UtcMs(counters.oldest_unshipped_ms.load(Ordering::Relaxed));
            // Counted anew: the shipper's own look is as old as its last step.
            wait(&mut report, durable, Some(oldest).filter(|oldest| oldest.0 > 0));
            let Standing { delivered, trouble: standing } = shipper.standing();
            report.last_success = delivered.map(|at| utc(at).to_string());
            trouble = standing.or(trouble);
            report.counts = Some(counts(shipper, &current.before));
        }
        if let (Some(counts), Some(sample)) = (&mut report.counts, &current.sample) {
            (counts.records_per_s, counts.bytes_per_s) = (sample.records_per_s, sample.bytes_per_s);
        }
        report.trouble =
            trouble.map(|trouble| TroubleReport { since: utc(trouble.since).to_string(), error: trouble.text });
        report.alarms = report.alarms_by(sink.shared.alarm_lag, sink.shared.alarm_backlog_records);
        report
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    /// A shipper that has ended: what it counted, and why it ended.
    fn put_by(&mut self) {
        let Some(shipper) = self.shipper.take() else { return };
        self.before = counts(&shipper, &self.before);
        if let Err(error) = shipper.close(Duration::ZERO) {
            self.fail(format!("{:#}", anyhow::Error::new(error)));
        }
    }

    fn started(&mut self, sink: &ConfiguredSink, opened: anyhow::Result<Shipper>) {
        match opened {
            Ok(shipper) => {
                info!(sink = sink.name(), kind = sink.kind(), "shipper started");
                self.shipper = Some(shipper);
            }
            Err(reason) => {
                let text = format!("{reason:#}");
                let known = self.trouble.as_ref().is_some_and(|trouble| trouble.text == text);
                let (sink, kind) = (sink.name(), sink.kind());
                if known {
                    debug!(sink, kind, reason = text, "sink still cannot be opened");
                } else {
                    error!(
                        sink,
                        kind,
                        reason = text,
                        "sink cannot be opened, the journal keeps its records; trying again"
                    );
                }
                self.fail(text);
            }
        }
    }

    fn fail(&mut self, text: String) {
        let since = self.trouble.as_ref().map_or_else(SystemTime::now, |trouble| trouble.since);
        self.trouble = Some(Trouble { since, text });
    }

    fn take_sample(&mut self) {
        let Some(shipper) = &self.shipper else { return self.sample = None };
        let (at, Counts { records, bytes, .. }) = (Instant::now(), counts(shipper, &self.before));
        let rate = |now: u64, before: u64, ms: u128| {
            let ms = u64::try_from(ms).unwrap_or(u64::MAX).max(1);
            now.saturating_sub(before).saturating_mul(1000) / ms
        };
        let (mut records_per_s, mut bytes_per_s) = (0, 0);
        if let Some(last) = &self.sample {
            let ms = at.duration_since(last.at).as_millis();
            (records_per_s, bytes_per_s) = (rate(records, last.records, ms), rate(bytes, last.bytes, ms));
        }
        self.sample = Some(Sample { at, records, bytes, records_per_s, bytes_per_s });
    }
}

fn open(sink: &ConfiguredSink, journal: &Journal, directory: &std::path::Path) -> anyhow::Result<Shipper> {
    let checkpoints: Arc<dyn Storage> = Arc::new(DirStorage::create_dir(directory)?);
    let source = JournalSource::of(journal).seen_through(sink.shared.view());
    Ok(Shipper::start(source, checkpoints, sink.own.open()?, ShipperOptions::default())?)
}

/// What waits, and for how long.
fn wait(report: &mut SinkReport, durable: u64, oldest: Option<UtcMs>) {
    report.backlog_records = durable.saturating_sub(report.checkpoint);
    if let Some(oldest) = oldest.filter(|_| report.backlog_records > 0) {
        report.lag_ms = utc(SystemTime::now()).since(oldest);
        report.oldest_unshipped = Some(oldest.to_string());
    }
}

/// What a shipper counted, and those before it.
fn counts(shipper: &Shipper, before: &Counts) -> Counts {
    let ShipperCounters { records, bytes, failures, damaged, removed, withheld, undecodable, .. } =
        &**shipper.counters();
    let SinkCounters { requests, failed_requests, retried, throttled, possible_duplicates, parked, .. } =
        &**shipper.sink_counters();
    let sum = |counter: &AtomicU64, before: u64| of(counter).saturating_add(before);
    Counts {
        records_per_s: 0,
        bytes_per_s: 0,
        records: sum(records, before.records),
        bytes: sum(bytes, before.bytes),
        failures: sum(failures, before.failures),
        withheld: sum(withheld, before.withheld),
        damaged: sum(damaged, before.damaged),
        removed: sum(removed, before.removed),
        undecodable: sum(undecodable, before.undecodable),
        requests: sum(requests, before.requests),
        failed_requests: sum(failed_requests, before.failed_requests),
        retried: sum(retried, before.retried),
        throttled: sum(throttled, before.throttled),
        possible_duplicates: sum(possible_duplicates, before.possible_duplicates),
        parked: sum(parked, before.parked),
    }
}

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn utc(time: SystemTime) -> UtcMs {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
