//! The journal and the shippers of its sinks.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use cdr_journal::Journal;
use tracing::{error, info};

use super::slot::Slot;
use crate::config::Config;
use crate::sinks::SinkReport;

/// What keeps and ships records.
pub(super) struct Records {
    pub(super) directory: PathBuf,
    pub(super) journal: Arc<Journal>,
    slots: Arc<Vec<Slot>>,
    keeping_up: Option<KeepingUp>,
}

/// The thread that looks after the sinks.
struct KeepingUp {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Records {
    /// Opens the journal and starts a shipper for each sink. A sink that cannot be opened is tried again while the process runs.
    pub(super) fn start(config: &Config) -> anyhow::Result<Self> {
        let directory = config.journal_dir();
        let sinks = config.sinks.iter().map(|sink| sink.name().to_owned()).collect();
        let (journal, recovered) = Journal::open(&directory, config.journal.options(sinks))
            .with_context(|| format!("journal in {}; is another process writing it?", directory.display()))?;
        info!(
            directory = %directory.display(),
            records = recovered.log.next.index().saturating_sub(recovered.log.first.index()),
            "journal started"
        );
        let journal = Arc::new(journal);
        let slots: Arc<Vec<Slot>> = Arc::new(config.sinks.iter().map(|sink| Slot::new(Arc::clone(sink))).collect());
        slots.iter().for_each(|slot| slot.keep_up(&journal, &directory));
        let keeping_up = if slots.is_empty() { None } else { Some(KeepingUp::start(&slots, &journal, &directory)?) };
        Ok(Self { directory, journal, slots, keeping_up })
    }

    /// How it stands with each sink.
    pub(super) fn reports(&self) -> Vec<SinkReport> {
        let durable = self.journal.durable().index();
        self.slots.iter().map(|slot| slot.report(durable)).collect()
    }

    /// Whether a sink that was configured so has an alarm.
    pub(super) fn unready(&self) -> bool {
        let durable = self.journal.durable().index();
        let mut strict = self.slots.iter().filter(|slot| slot.sink.shared.unready_on_alarm);
        strict.any(|slot| !slot.report(durable).alarms.is_empty())
    }

    /// What ended by itself and takes the process along: a journal that was told to stop after a disk error.
    pub(super) fn ended(&self) -> Option<&'static str> {
        self.journal.has_stopped_for_good().then_some("the journal, whose disk failed,")
    }

    /// Takes no more records, and ships those that are there for at most `grace`. Blocks. Returns what was left.
    pub(super) fn close(&self, grace: Duration) -> Vec<String> {
        let mut left = Vec::new();
        if let Some(keeping_up) = &self.keeping_up {
            keeping_up.stop();
        }
        if let Err(error) = self.journal.close() {
            left.push(format!("the journal in {} had stopped: {error}", self.directory.display()));
        }
        let until = Instant::now() + grace;
        // At once, so that a slow sink does not take the time of the others.
        let closing: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (self.slots.iter())
                .map(|slot| scope.spawn(move || slot.close(until.saturating_duration_since(Instant::now()))))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(Err("a sink, by a bug".to_owned()))).collect()
        });
        left.extend(closing.into_iter().filter_map(Result::err));
        left
    }
}

impl KeepingUp {
    fn start(slots: &Arc<Vec<Slot>>, journal: &Arc<Journal>, directory: &std::path::Path) -> anyhow::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let (stopped, slots, directory) = (Arc::clone(&stop), Arc::clone(slots), directory.to_path_buf());
        // Weak: the journal is closed by those who write it.
        let journal = Arc::downgrade(journal);
        let work = move || {
            let (flag, wake) = &*stopped;
            loop {
                let told = flag.lock().unwrap_or_else(PoisonError::into_inner);
                let (told, _) =
                    wake.wait_timeout_while(told, INTERVAL, |told| !*told).unwrap_or_else(PoisonError::into_inner);
                let Some(journal) = (!*told).then(|| journal.upgrade()).flatten() else { return };
                drop(told);
                slots.iter().for_each(|slot| slot.keep_up(&journal, &directory));
            }
        };
        let thread = std::thread::Builder::new().name("sinks".to_owned()).spawn(work).context("starting a thread")?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    fn stop(&self) {
        let (flag, wake) = &*self.stop;
        *flag.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("thread that looks after the sinks ended by a panic");
        }
    }
}

/// How often a sink that does not run is tried again, and over how long rates are measured.
const INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use cdr_journal::{JournalOptions, OnDiskError};
    use cdr_model::CallRecord;
    use segment_log::Operation;
    use segment_log::fault::{Failure, FaultStorage};
    use types::ConfigDuration;

    use super::*;

    fn record() -> CallRecord {
        let json = br#"{"recordId":"s/STOP/0","callId":"c","sessionId":"s","legId":"A","recordType":"STOP","recordSequence":0,
            "tenant":"default","startTime":"2026-11-22T10:00:00.000Z","callingParty":{},"calledParty":{"dialledNumber":"1"},
            "service":"VOICE","callType":"VOICE","callDirection":"MOBILE_ORIGINATED","sipData":{},"metadata":{"serverNode":"k1"}}"#;
        CallRecord::from_json(json).expect("a record")
    }

    #[tokio::test]
    async fn a_failed_disk_ends_the_process_only_where_it_was_told_to() {
        for (on_disk_error, fails, ends) in [
            (OnDiskError::Stop, true, true),
            (OnDiskError::Stop, false, false),
            (OnDiskError::RefuseCalls, true, false),
        ] {
            let disk = FaultStorage::new();
            let options = JournalOptions {
                on_disk_error,
                space_interval: ConfigDuration::from_ms(0),
                ..JournalOptions::default()
            };
            let (journal, _) =
                Journal::open_on(Arc::new(disk.clone()), Arc::new(|| Ok(u64::MAX)), options).expect("opened");
            let records = Records {
                directory: PathBuf::new(),
                journal: Arc::new(journal),
                slots: Arc::default(),
                keeping_up: None,
            };
            if fails {
                disk.fail_all(Operation::Sync, Failure::Io);
            }
            assert_eq!(records.ended(), None);
            assert_eq!(records.journal.append_durable(&record()).await.is_err(), fails);
            assert_eq!(records.ended().is_some(), ends, "{on_disk_error:?}");
            assert_eq!(records.close(Duration::ZERO).is_empty(), !fails, "a disk that failed is told of at the end");
        }
    }
}
