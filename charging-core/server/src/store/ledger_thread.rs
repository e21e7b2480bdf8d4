//! The ledger's thread: the only one that decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ledger::{AHEAD, Books, Command, Fingerprint, Outcome, Settings, decide_known};
use metrics::{Counter, Gauge, counter, gauge};
use segment_log::Position;
use tracing::{error, info, warn};
use types::UtcMs;

use super::pace::Pace;
use super::schedule::{Schedule, Wanted};
use super::tariff_notices::TariffNotices;
use super::writer::{self, Batch, Word, Writer};
use super::{CoreError, Decided, Request, ahead, durable, snapshot};
use crate::metric::names;
use crate::pricing::TariffPricing;

pub(super) struct LedgerThread {
    pub(super) books: Books,
    pub(super) writer: Writer,
    pub(super) pricing: TariffPricing,
    pub(super) settings: Settings,
    pub(super) tariff_notices: TariffNotices,
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) schedule: Schedule,
    /// What the last snapshot takes.
    pub(super) snapshot_octets: Arc<AtomicU64>,
    /// The one that is made, or was made last.
    pub(super) snapshot: Option<Making>,
    pub(super) stopping: Arc<AtomicBool>,
    /// When the disk last had no room.
    pub(super) full_since: Option<Instant>,
    pub(super) keys_swept: Option<Instant>,
    pub(super) requests: SyncSender<Request>,
    pub(super) figures: Figures,
}

/// A snapshot in the making.
pub(super) struct Making {
    thread: JoinHandle<()>,
    pace: Arc<Pace>,
}

/// The metrics of the ledger, found once.
pub(super) struct Figures {
    /// By [`Word`].
    decisions: [Counter; 4],
    /// Not yet told.
    decided: [u64; 4],
    open_sessions: Gauge,
    accounts: Gauge,
    queue: Gauge,
    log_records: Gauge,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            decisions: Word::ALL.map(|word| counter!(names::DECISIONS, "outcome" => word.as_str())),
            decided: [0; 4],
            open_sessions: gauge!(names::OPEN_SESSIONS),
            accounts: gauge!(names::ACCOUNTS),
            queue: gauge!(names::QUEUE),
            log_records: gauge!(names::SNAPSHOT_AGE),
        }
    }
}

impl LedgerThread {
    pub(super) fn run(mut self, received: &Receiver<Request>) {
        // A panic here is a bug in the books: going on could give away money. Recovery from the log is tested.
        let aborts = AbortOnPanic;
        let mut stop = false;
        let mut batch = Batch::default();
        let mut next = Vec::with_capacity(AHEAD);
        while !stop {
            match received.recv_timeout(self.idle_time()) {
                Ok(request) => next.push(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stop = true,
            }
            // Not for as long as they go on asking: what is below has its turn as well.
            for _ in 0..TURNS {
                if batch.is_full() || stop {
                    break;
                }
                next.extend(received.try_iter().take(AHEAD - next.len()));
                if next.is_empty() {
                    break;
                }
                ahead::look_ahead(&self.books, &self.pricing, &next);
                for request in next.drain(..) {
                    stop = stop || self.take(request, &mut batch);
                }
                // The disk does not wait until nobody asks for anything any more.
                if batch.is_worth_a_sync() && self.writer.is_idle() {
                    break;
                }
            }
            self.expire(&mut batch);
            self.tell_of_tariff(&mut batch);
            // While the disk is at work the batch grows: one more sync would make nobody's answer come sooner.
            if self.writer.is_idle() || batch.is_full() || stop {
                self.commit(&mut batch);
            }
            self.consider_snapshot();
        }
        self.stopping.store(true, Ordering::Release);
        self.writer.flush();
        if let Some(snapshot) = self.snapshot.take() {
            // Whoever opens this directory next must not meet it.
            drop(snapshot.thread.join());
        }
        info!(records = self.writer.durable().index(), "ledger stopped");
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
            Request::Decide { command, fingerprint, reply } => {
                let outcome = self.decide(&command, fingerprint, batch);
                if let Ok(outcome) = &outcome {
                    self.count(outcome);
                }
                batch.answer(reply, outcome, command);
            }
            Request::Query(question) => {
                // What is not durable is not shown.
                self.commit_all(batch);
                question(&self.books);
            }
            Request::Subscribe { client_id, subscription } => {
                self.commit_all(batch);
                let pending = self.books.notifications(&client_id);
                self.writer.subscribe(client_id, subscription, pending);
            }
            Request::Truncate { position } => self.writer.truncate(position),
            Request::Committed => {}
            Request::Stop => return true,
        }
        false
    }

    fn decide(&mut self, command: &Command, fingerprint: Option<Fingerprint>, batch: &mut Batch) -> Decided {
        loop {
            self.go_back(batch);
            let tariffs = self.pricing.hold();
            let decision =
                decide_known(&self.books, &tariffs.pricing(), &self.settings, command, fingerprint, utc_now());
            drop(tariffs);
            if !decision.changes.is_empty() {
                if self.is_full() {
                    return Err(CoreError::DiskFull);
                }
                let Some(room) = batch.room_for(&decision.changes)? else {
                    // Should there be no room for the batch on the disk, this command is decided again without it.
                    self.commit(batch);
                    continue;
                };
                let applied = self.books.apply_all(&decision.changes);
                applied.expect("invariant: what was decided on the books applies to them");
                batch.add(decision.changes, room);
            }
            batch.commands += 1;
            return Ok(decision.outcome);
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        if let Outcome::Charged(charged) = outcome
            && let Some(denial) = charged.denial
            && !charged.replayed
        {
            counter!(names::DENIALS, "cause" => denial.as_str()).increment(1);
        }
        let word = writer::word(outcome);
        let words = Word::ALL.iter().zip(&mut self.figures.decided);
        words.filter(|(known, _)| **known == word).for_each(|(_, decided)| *decided += 1);
    }

    fn expire(&mut self, batch: &mut Batch) {
        let due = self.books.next_deadline().is_some_and(|deadline| deadline <= utc_now());
        let mut more = !self.is_full() && (due || self.sweep_due());
        while more && !batch.is_full() {
            match self.decide(&Command::Expire, None, batch) {
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
        if let Err(error) = self.decide(&command, None, batch) {
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

    /// Hands the batch to the log's thread, which answers it when it is durable.
    fn commit(&mut self, batch: &mut Batch) {
        self.go_back(batch);
        *batch = self.writer.commit(std::mem::take(batch));
        let figures = &mut self.figures;
        for (counter, decided) in figures.decisions.iter().zip(&mut figures.decided) {
            counter.increment(std::mem::take(decided));
        }
        figures.open_sessions.set(f64_of(small(self.books.open_session_count())));
        figures.accounts.set(f64_of(small(self.books.account_count())));
        figures.queue.set(f64_of(small(self.waiting.load(Ordering::Relaxed))));
        let records = self.schedule.records_since(self.writer.durable());
        figures.log_records.set(f64_of(u32::try_from(records).unwrap_or(u32::MAX)));
    }

    /// Returns when everything decided is durable, or taken back.
    fn commit_all(&mut self, batch: &mut Batch) {
        self.commit(batch);
        self.writer.flush();
        self.go_back(batch);
    }

    /// Where the disk had no room for a batch: that one, all after it and this one are taken back. What is not on the disk
    /// must not be in the books either.
    fn go_back(&mut self, batch: &mut Batch) {
        if !self.writer.is_refusing() {
            return;
        }
        self.writer.flush();
        batch.refuse();
        self.full_since = Some(Instant::now());
        match durable::read_again(&self.writer.log()) {
            Ok(books) => self.books = books,
            Err(error) => stop_process(&error),
        }
        self.writer.resume();
    }

    fn consider_snapshot(&mut self) {
        let until = self.writer.durable();
        self.schedule.log_octets += self.writer.take_octets();
        let octets = self.snapshot_octets.load(Ordering::Relaxed);
        let making = self.snapshot.as_ref().filter(|making| !making.thread.is_finished());
        let pace = match (self.schedule.wants(until, octets, making.is_some()), making) {
            (Wanted::Snapshot, _) => Arc::new(Pace::default()),
            (Wanted::Urgent, _) => Arc::new(Pace::hurried()),
            (Wanted::Hurry, Some(making)) => return making.pace.hurry(),
            (Wanted::Nothing | Wanted::Hurry, _) => return,
        };
        // Also if it fails: tried again after as much, not after each batch.
        self.schedule.begin(until);
        let (storage, requests) = (Arc::clone(self.writer.storage()), self.requests.clone());
        let (stopping, octets) = (Arc::clone(&self.stopping), Arc::clone(&self.snapshot_octets));
        let paced = Arc::clone(&pace);
        let made = std::thread::Builder::new().name("snapshots".to_owned()).spawn(move || {
            let begun = Instant::now();
            match snapshot::make(&storage, until, &paced, &stopping) {
                Ok(Some(made)) => {
                    octets.store(made.octets, Ordering::Relaxed);
                    counter!(names::SNAPSHOTS, "result" => "ok").increment(1);
                    gauge!(names::SNAPSHOT_BYTES).set(f64_of_octets(made.octets));
                    let (position, bytes) = (made.at.index(), made.octets);
                    info!(position, bytes, seconds = begun.elapsed().as_secs(), "ledger snapshot made");
                    // One snapshot back: the newest may turn out to be damaged.
                    tell(&requests, made.previous, &stopping);
                }
                Ok(None) => {}
                Err(error) => {
                    counter!(names::SNAPSHOTS, "result" => "failed").increment(1);
                    error!(error = &error as &dyn std::error::Error, "ledger snapshot failed; the log is kept");
                }
            }
        });
        match made {
            Ok(thread) => self.snapshot = Some(Making { thread, pace }),
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
pub(super) fn stop_process(error: &(dyn std::error::Error + 'static)) -> ! {
    error!(error, "the ledger's disk failed: stopping the process; it recovers from its log");
    std::process::abort();
}

fn counted(request: &Request) -> bool {
    !matches!(request, Request::Stop | Request::Truncate { .. } | Request::Committed)
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

pub(super) fn f64_of(count: u32) -> f64 {
    f64::from(count)
}

/// For a metric: exact up to 2^53.
pub(super) fn f64_of_octets(octets: u64) -> f64 {
    octets as f64
}

/// The wall clock. A clock before 1970 counts as 1970.
pub(super) fn utc_now() -> UtcMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Ends the process when the thread that holds it unwinds.
pub(super) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        error!("the ledger panicked: stopping the process; it recovers from its log");
        std::process::abort();
    }
}

/// How often in a row requests are taken, [`AHEAD`] of them at most each time.
const TURNS: usize = 128;
const KEYS_SWEPT_EVERY: Duration = Duration::from_secs(60);
/// Between tries on a disk without room.
const FULL_PAUSE: Duration = Duration::from_secs(1);
