//! The ledger's thread: the only one that decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ledger::{Books, Change, Command, Outcome, Settings, decide};
use metrics::{counter, gauge, histogram};
use segment_log::{Error, Log, Position};
use tokio::sync::oneshot;
use tracing::{error, info, warn};
use types::UtcMs;

use super::hub::Hub;
use super::tariff_notices::TariffNotices;
use super::{CoreError, Decided, Request, durable, snapshot};
use crate::metric::names;
use crate::pricing::TariffPricing;

pub(super) struct LedgerThread {
    pub(super) books: Books,
    pub(super) log: Log,
    pub(super) pricing: TariffPricing,
    pub(super) settings: Settings,
    pub(super) hub: Hub,
    pub(super) tariff_notices: TariffNotices,
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) snapshot_records: u64,
    /// Where the last snapshot stands, or was tried.
    pub(super) snapshot_at: Position,
    /// The thread that makes one.
    pub(super) snapshot: Option<JoinHandle<()>>,
    pub(super) stopping: Arc<AtomicBool>,
    /// When the disk last had no room.
    pub(super) full_since: Option<Instant>,
    pub(super) keys_swept: Option<Instant>,
    pub(super) requests: SyncSender<Request>,
}

/// What waits for the commit.
#[derive(Default)]
struct Batch {
    outcomes: Vec<(oneshot::Sender<Decided>, Decided)>,
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
            for _ in 1..MAX_BATCH {
                if stop {
                    break;
                }
                let Ok(request) = received.try_recv() else { break };
                stop = self.take(request, &mut batch);
            }
            self.expire(&mut batch);
            self.tell_of_tariff(&mut batch);
            self.commit(batch);
            self.consider_snapshot();
        }
        self.stopping.store(true, Ordering::Release);
        if let Some(snapshot) = self.snapshot.take() {
            // Whoever opens this directory next must not meet it.
            drop(snapshot.join());
        }
        info!(records = self.log.durable().index(), "ledger stopped");
        std::mem::forget(aborts);
    }

    /// Until the next session expires, at most a second: clocks may jump.
    fn idle_time(&self) -> Duration {
        let due = self.books.next_deadline().filter(|_| !self.is_full());
        let due = due.map_or(1000, |deadline| deadline.since(utc_now()));
        let due = Duration::from_millis(due.clamp(1, 1000));
        self.tariff_notices.pause().filter(|_| !self.is_full()).map_or(due, |pause| due.min(pause))
    }

    /// The disk had no room a moment ago: not tried again with every batch.
    fn is_full(&self) -> bool {
        self.full_since.is_some_and(|since| since.elapsed() < FULL_PAUSE)
    }

    fn take(&mut self, request: Request, batch: &mut Batch) -> bool {
        self.waiting.fetch_sub(usize::from(counted(&request)), Ordering::Relaxed);
        match request {
            Request::Decide { command, reply } => {
                let outcome = self.decide(&command, batch);
                if let Ok(outcome) = &outcome {
                    count(outcome);
                }
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
                if let Err(error) = self.log.truncate_front(position) {
                    warn!(error = &error as &dyn std::error::Error, "the log before the snapshot was not removed");
                }
            }
            Request::Stop => return true,
        }
        false
    }

    fn decide(&mut self, command: &Command, batch: &mut Batch) -> Decided {
        loop {
            let decision = decide(&self.books, &self.pricing, &self.settings, command, utc_now());
            if !decision.changes.is_empty() {
                if self.is_full() {
                    return Err(CoreError::DiskFull);
                }
                match durable::write(&mut self.books, &mut self.log, &decision.changes) {
                    Ok(()) => {}
                    Err(Error::BatchFull { .. }) if self.log.pending_records() > 0 => {
                        // Should there be no room for the batch, this command is decided again without it.
                        self.commit(std::mem::take(batch));
                        continue;
                    }
                    Err(Error::RecordTooLong { bytes, limit }) => return Err(CoreError::TooLarge { bytes, limit }),
                    Err(error) => stop_process(&error),
                }
                batch.changes.extend(decision.changes);
            }
            batch.commands += 1;
            return Ok(decision.outcome);
        }
    }

    fn expire(&mut self, batch: &mut Batch) {
        let due = self.books.next_deadline().is_some_and(|deadline| deadline <= utc_now());
        let mut more = !self.is_full() && (due || self.sweep_due());
        while more && batch.commands < MAX_BATCH {
            match self.decide(&Command::Expire, batch) {
                Ok(Outcome::Swept { expired, more: again }) => {
                    if let Some(session_id) = expired {
                        counter!(names::EXPIRED).increment(1);
                        warn!(%session_id, "a session was not heard of in time and is settled provisionally");
                    }
                    more = again;
                }
                Ok(_) => return,
                Err(error) => {
                    error!(error = &error as &dyn std::error::Error, "expired sessions could not be settled");
                    return;
                }
            }
        }
    }

    fn tell_of_tariff(&mut self, batch: &mut Batch) {
        if self.is_full() {
            return;
        }
        let Some(command) = self.tariff_notices.next(&self.pricing.tariffs, &self.books, utc_now()) else { return };
        if let Err(error) = self.decide(&command, batch) {
            // They report by themselves before long.
            warn!(error = &error as &dyn std::error::Error, "clients were not told of the tariff that came in force");
        }
    }

    /// Old keys are dropped now and then, not after every command.
    fn sweep_due(&mut self) -> bool {
        let due = self.keys_swept.is_none_or(|swept| swept.elapsed() >= KEYS_SWEPT_EVERY);
        if due {
            self.keys_swept = Some(Instant::now());
        }
        due
    }

    fn commit(&mut self, batch: Batch) {
        if !batch.changes.is_empty() && !self.commit_log() {
            for (reply, _) in batch.outcomes {
                drop(reply.send(Err(CoreError::DiskFull)));
            }
            return;
        }
        if batch.commands > 0 {
            histogram!(names::BATCH).record(f64_of(batch.commands));
        }
        for (reply, outcome) in batch.outcomes {
            // Whoever asked may have gone; a copy of the request gets the stored answer.
            drop(reply.send(outcome));
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
                self.full_since = None;
                true
            }
            Err(Error::NoSpace { directory, batch_bytes, .. }) => {
                counter!(names::DISK_FULL).increment(1);
                error!(directory = %directory.display(), batch_bytes, "no room for the ledger: nothing is charged before there is; nothing was lost");
                self.full_since = Some(Instant::now());
                self.read_again();
                false
            }
            Err(error) => stop_process(&error),
        }
    }

    /// The batch is not on the disk, so it must not be in the books either.
    fn read_again(&mut self) {
        match durable::read_again(&self.log) {
            Ok(books) => self.books = books,
            Err(error) => stop_process(&error),
        }
    }

    fn consider_snapshot(&mut self) {
        let (until, at) = (self.log.durable(), self.snapshot_at);
        let due = until.index().saturating_sub(at.index()) >= self.snapshot_records;
        if !due || self.snapshot.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        // Also if it fails: tried again after as many records, not after each batch.
        self.snapshot_at = until;
        let (storage, requests) = (Arc::clone(self.log.storage()), self.requests.clone());
        let stopping = Arc::clone(&self.stopping);
        let made = std::thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            match snapshot::make(&storage, until, &stopping) {
                Ok(Some((position, previous))) => {
                    counter!(names::SNAPSHOTS, "result" => "ok").increment(1);
                    info!(position = position.index(), "ledger snapshot made");
                    // One snapshot back: the newest may turn out to be damaged.
                    tell(&requests, previous, &stopping);
                }
                Ok(None) => {}
                Err(error) => {
                    counter!(names::SNAPSHOTS, "result" => "failed").increment(1);
                    error!(error = &error as &dyn std::error::Error, "ledger snapshot failed; the log is kept");
                }
            }
        });
        match made {
            Ok(thread) => self.snapshot = Some(thread),
            Err(error) => warn!(%error, "no thread for a snapshot"),
        }
    }
}

/// Lets the ledger remove the log before a position. One that is stopping is not told: a later snapshot does it.
fn tell(requests: &SyncSender<Request>, position: Position, stopping: &AtomicBool) {
    while !stopping.load(Ordering::Acquire) {
        match requests.try_send(Request::Truncate { position }) {
            Err(TrySendError::Full(_)) => std::thread::sleep(Duration::from_millis(10)),
            Ok(()) | Err(TrySendError::Disconnected(_)) => return,
        }
    }
}

/// Nothing may be answered that is not durable, and what the disk holds now shows only at the next start.
fn stop_process(error: &(dyn std::error::Error + 'static)) -> ! {
    error!(error, "the ledger's disk failed: stopping the process; it recovers from its log");
    std::process::abort();
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
pub(super) fn utc_now() -> UtcMs {
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
const KEYS_SWEPT_EVERY: Duration = Duration::from_secs(60);
/// Between tries on a disk without room.
const FULL_PAUSE: Duration = Duration::from_secs(1);
