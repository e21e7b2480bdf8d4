//! The ledger's thread: the only one that decides.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ledger::{Books, Change, Command, Outcome, Settings, decide};
use metrics::{counter, gauge, histogram};
use segment_log::{Error, Log, Position};
use tokio::sync::oneshot;
use tracing::{error, info, warn};
use types::UtcMs;

use super::hub::Hub;
use super::{CoreError, Request, entry, recovery, snapshot};
use crate::metric::names;
use crate::pricing::TariffPricing;

pub(super) struct LedgerThread {
    pub(super) books: Books,
    pub(super) log: Log,
    pub(super) directory: PathBuf,
    pub(super) pricing: TariffPricing,
    pub(super) settings: Settings,
    pub(super) hub: Hub,
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) snapshot_records: u64,
    pub(super) snapshot_at: Position,
    pub(super) snapshotting: Arc<AtomicBool>,
    pub(super) requests: SyncSender<Request>,
}

/// What waits for the commit.
#[derive(Default)]
struct Batch {
    outcomes: Vec<(oneshot::Sender<Result<Outcome, CoreError>>, Outcome)>,
    changes: Vec<Change>,
    commands: u32,
}

impl LedgerThread {
    pub(super) fn run(mut self, received: &Receiver<Request>) {
        // A panic here is a bug in the books: going on could give away money. Recovery from the log is tested.
        let aborts = AbortOnPanic;
        let mut stop = false;
        while !stop {
            let mut batch = Batch::default();
            match received.recv_timeout(self.idle_time()) {
                Ok(request) => stop = self.take(request, &mut batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stop = true,
            }
            while !stop && batch.commands < MAX_BATCH {
                match received.try_recv() {
                    Ok(request) => stop = self.take(request, &mut batch),
                    Err(_) => break,
                }
            }
            self.expire(&mut batch);
            self.commit(batch);
            self.consider_snapshot();
        }
        info!(records = self.log.durable().index(), "ledger stopped");
        std::mem::forget(aborts);
    }

    /// Until the next session expires, at most a second: clocks may jump.
    fn idle_time(&self) -> Duration {
        let due = self.books.next_deadline().map_or(1000, |deadline| deadline.since(utc_now()));
        Duration::from_millis(due.clamp(1, 1000))
    }

    fn take(&mut self, request: Request, batch: &mut Batch) -> bool {
        self.waiting.fetch_sub(usize::from(counted(&request)), Ordering::Relaxed);
        match request {
            Request::Decide { command, reply } => {
                let outcome = self.decide(&command, batch);
                count(&outcome);
                batch.outcomes.push((reply, outcome));
            }
            Request::Query(question) => {
                // What is not durable is not shown.
                self.commit(std::mem::take(batch));
                question(&self.books);
            }
            Request::Subscribe { client_id, subscription } => {
                self.commit(std::mem::take(batch));
                let pending = self.books.notifications(&client_id);
                self.hub.subscribe(client_id, subscription, pending);
            }
            Request::Truncate { position } => {
                self.snapshot_at = position;
                if let Err(error) = self.log.truncate_front(position) {
                    warn!(error = &error as &dyn std::error::Error, "the log before the snapshot was not removed");
                }
            }
            Request::Stop => return true,
        }
        false
    }

    fn decide(&mut self, command: &Command, batch: &mut Batch) -> Outcome {
        batch.commands += 1;
        let decision = decide(&self.books, &self.pricing, &self.settings, command, utc_now());
        if decision.changes.is_empty() {
            return decision.outcome;
        }
        self.books.apply_all(&decision.changes).expect("invariant: what was decided on the books applies to them");
        let payload = entry::encode(&decision.changes).expect("invariant: changes are plain data");
        if self.log.append(&payload).is_err() {
            // The batch is full: make it durable, then there is room.
            self.commit_log();
            self.log.append(&payload).expect("invariant: an entry fits an empty batch");
        }
        batch.changes.extend(decision.changes);
        decision.outcome
    }

    fn expire(&mut self, batch: &mut Batch) {
        let due = self.books.next_deadline().is_some_and(|deadline| deadline <= utc_now());
        let mut more = due || self.sweep_due();
        while more && batch.commands < MAX_BATCH {
            let outcome = self.decide(&Command::Expire, batch);
            let Outcome::Swept { expired, more: again } = outcome else { return };
            if let Some(session_id) = expired {
                counter!(names::EXPIRED).increment(1);
                warn!(%session_id, "a session was not heard of in time and is settled provisionally");
            }
            more = again;
        }
    }

    /// Old keys are dropped now and then, not after every command.
    fn sweep_due(&self) -> bool {
        self.log.next().index().is_multiple_of(KEYS_SWEPT_EVERY)
    }

    fn commit(&mut self, batch: Batch) {
        if batch.commands == 0 {
            return;
        }
        if !batch.changes.is_empty() && !self.commit_log() {
            for (reply, _) in batch.outcomes {
                drop(reply.send(Err(CoreError::DiskFull)));
            }
            return;
        }
        histogram!(names::BATCH).record(f64_of(batch.commands));
        for (reply, outcome) in batch.outcomes {
            // Whoever asked may have gone; a copy of the request gets the stored answer.
            drop(reply.send(Ok(outcome)));
        }
        for change in &batch.changes {
            if let Change::Notified { client_id, notification } = change {
                self.hub.publish(client_id, notification);
            }
        }
        gauge!(names::OPEN_SESSIONS).set(f64_of(small(self.books.open_session_count())));
        gauge!(names::ACCOUNTS).set(f64_of(small(self.books.account_count())));
        gauge!(names::QUEUE).set(f64_of(small(self.waiting.load(Ordering::Relaxed))));
    }

    /// False: no room on the disk, the books are as before the batch.
    fn commit_log(&mut self) -> bool {
        let begun = Instant::now();
        match self.log.commit() {
            Ok(_) => {
                histogram!(names::COMMIT_SECONDS).record(begun.elapsed());
                true
            }
            Err(Error::NoSpace { directory, batch_bytes, .. }) => {
                counter!(names::DISK_FULL).increment(1);
                error!(directory = %directory.display(), batch_bytes, "no room for the ledger: nothing is charged before there is; nothing was lost");
                self.read_again();
                false
            }
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "the ledger's disk failed: stopping, so that nothing is answered that is not durable");
                std::process::abort();
            }
        }
    }

    /// The batch is not on the disk, so it must not be in the books either.
    fn read_again(&mut self) {
        let reread = snapshot::read(&**self.log.storage())
            .and_then(|(books, from)| recovery::replay(books, &self.log, from));
        match reread {
            Ok(books) => self.books = books,
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "the ledger cannot be read again: stopping");
                std::process::abort();
            }
        }
    }

    fn consider_snapshot(&mut self) {
        let (durable, at) = (self.log.durable(), self.snapshot_at);
        let due = durable.index().saturating_sub(at.index()) >= self.snapshot_records;
        if !due || self.snapshotting.swap(true, Ordering::AcqRel) {
            return;
        }
        let (directory, requests, busy) = (self.directory.clone(), self.requests.clone(), Arc::clone(&self.snapshotting));
        let made = std::thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            match snapshot::make(&directory, durable) {
                Ok(position) => {
                    counter!(names::SNAPSHOTS, "result" => "ok").increment(1);
                    info!(position = position.index(), "ledger snapshot made");
                    // The ledger has stopped: the next start sees the snapshot.
                    drop(requests.send(Request::Truncate { position }));
                }
                Err(error) => {
                    counter!(names::SNAPSHOTS, "result" => "failed").increment(1);
                    error!(error = &error as &dyn std::error::Error, "ledger snapshot failed; the log is kept");
                }
            }
            busy.store(false, Ordering::Release);
        });
        if let Err(error) = made {
            warn!(%error, "no thread for a snapshot");
            self.snapshotting.store(false, Ordering::Release);
        }
    }
}

fn counted(request: &Request) -> bool {
    !matches!(request, Request::Stop | Request::Truncate { .. })
}

fn count(outcome: &Outcome) {
    let word = match outcome {
        Outcome::Charged(charged) if charged.replayed => "replayed",
        Outcome::Charged(charged) => {
            if let Some(denial) = charged.denial {
                counter!(names::DENIALS, "cause" => denial.as_str()).increment(1);
                "denied"
            } else {
                "ok"
            }
        }
        Outcome::Refused(_) => "refused",
        _ => "ok",
    };
    counter!(names::DECISIONS, "outcome" => word).increment(1);
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn f64_of(count: u32) -> f64 {
    f64::from(count)
}

/// The wall clock. A clock before 1970 counts as 1970.
fn utc_now() -> UtcMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Ends the process when the thread that holds it unwinds.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        error!("the ledger panicked: stopping the process; it recovers from its log");
        std::process::abort();
    }
}

/// Bounds the latency of the first command in a batch.
const MAX_BATCH: u32 = 4096;
/// In log records.
const KEYS_SWEPT_EVERY: u64 = 1024;
