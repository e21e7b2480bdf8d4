//! The log's thread: takes decided batches in their order, makes each durable, and only then answers. Meanwhile the ledger
//! decides the next one.
//!
//! A batch that the disk has no room for is answered so, and with it every later one, because they were decided on top of it:
//! until the ledger has gone back to what is durable and says [`Work::Resume`]. A failed fsync ends the process.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use ledger::{Change, Command, Outcome, most_octets};
use metrics::{Histogram, counter, histogram};
use segment_log::{Error, FRAME_HEADER_BYTES, Log, MAX_RECORD_BYTES, Options, Position, Storage};
use tracing::{error, warn};
use types::ClientId;
use types::charging::Notification;

use super::hub::{self, Hub};
use super::ledger_thread::{AbortOnPanic, f64_of, stop_process};
use super::snapshot::octets_of;
use super::{CoreError, Decided, Reply, Request, entry};
use crate::metric::names;

/// What waits for one commit.
#[derive(Default)]
pub(super) struct Batch {
    /// The changes of each decision, for one entry of the log each. Packed by the log's thread, which has the time.
    decided: Vec<Vec<Change>>,
    /// What those entries take at most, in octets.
    room: usize,
    outcomes: Vec<(Reply, Decided)>,
    /// Let go of by that thread, too.
    commands_done: Vec<Command>,
    /// Decided commands.
    pub(super) commands: u32,
}

/// What an entry takes at most, in octets.
pub(super) struct Room(usize);

impl Batch {
    /// The room that the changes of one decision take; `None`: there is none for them, commit first.
    ///
    /// # Errors
    /// When they would never fit.
    pub(super) fn room_for(&self, changes: &[Change]) -> Result<Option<Room>, CoreError> {
        let most = most_octets(changes);
        if most > MAX_RECORD_BYTES {
            let bytes = entry::octets_of(changes);
            if bytes > MAX_RECORD_BYTES {
                return Err(CoreError::TooLarge { bytes, limit: MAX_RECORD_BYTES });
            }
        }
        let room = most + FRAME_HEADER_BYTES;
        // Alone they fit, however much was told.
        let fits = self.decided.is_empty() || self.room + room <= Options::default().max_batch_bytes;
        Ok(fits.then_some(Room(room)))
    }

    /// Adds the changes of one decision.
    pub(super) fn add(&mut self, changes: Vec<Change>, room: Room) {
        self.room += room.0;
        self.decided.push(changes);
    }

    pub(super) fn answer(&mut self, reply: Reply, outcome: Decided, command: Command) {
        self.outcomes.push((reply, outcome));
        self.commands_done.push(command);
    }

    /// So much that whoever has been decided should not wait for those behind.
    pub(super) fn is_worth_a_sync(&self) -> bool {
        self.commands >= WORTH_A_SYNC
    }

    /// As much as one commit takes: bounds the latency of the first command.
    pub(super) fn is_full(&self) -> bool {
        self.commands >= MAX_COMMANDS || self.outcomes.len() >= MAX_OUTCOMES
    }

    /// Nothing to store, and nobody to answer.
    pub(super) fn is_empty(&self) -> bool {
        self.decided.is_empty() && self.outcomes.is_empty() && self.commands == 0
    }

    /// Tells everybody that there was no room.
    pub(super) fn refuse(&mut self) {
        for (reply, _) in self.outcomes.drain(..) {
            reply.tell(Err(CoreError::DiskFull));
        }
        self.clear();
    }

    fn clear(&mut self) {
        self.decided.clear();
        self.room = 0;
        self.outcomes.clear();
        self.commands_done.clear();
        self.commands = 0;
    }
}

/// What the log's thread is asked.
enum Work {
    Commit(Batch),
    Subscribe {
        client_id: ClientId,
        subscription: hub::Sender,
        pending: Vec<Notification>,
    },
    Truncate {
        position: Position,
    },
    /// Answered when all work before it is done.
    Flush(SyncSender<()>),
    /// The ledger is at what is durable again.
    Resume,
}

/// What both threads see.
struct Shared {
    log: Mutex<Log>,
    durable: AtomicU64,
    /// What entries took since that was last asked.
    octets: AtomicU64,
    /// Batches that are not answered yet.
    unanswered: AtomicUsize,
    /// There was no room for a batch, and the ledger does not know yet.
    refusing: AtomicBool,
}

/// The ledger's end of the log's thread.
pub(super) struct Writer {
    work: Option<SyncSender<Work>>,
    shared: Arc<Shared>,
    storage: Arc<dyn Storage>,
    /// Batches to be filled again.
    empty: Receiver<Batch>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread; `wake` hears [`Request::Committed`] when a batch was answered.
    pub(super) fn start(log: Log, wake: SyncSender<Request>) -> std::io::Result<Self> {
        let storage = Arc::clone(log.storage());
        let shared = Arc::new(Shared {
            durable: AtomicU64::new(log.durable().index()),
            octets: AtomicU64::new(0),
            log: Mutex::new(log),
            unanswered: AtomicUsize::new(0),
            refusing: AtomicBool::new(false),
        });
        let (work, received) = sync_channel(WAITING);
        let (emptied, empty) = sync_channel(WAITING + 2);
        let thread = Thread {
            shared: Arc::clone(&shared),
            hub: Hub::default(),
            wake,
            emptied,
            entries: Entries::default(),
            batches: histogram!(names::BATCH),
            seconds: histogram!(names::COMMIT_SECONDS),
        };
        let thread = std::thread::Builder::new().name("ledger-log".to_owned()).spawn(move || thread.run(&received))?;
        Ok(Self { work: Some(work), shared, storage, empty, thread: Some(thread) })
    }

    /// True when no batch waits for the disk.
    pub(super) fn is_idle(&self) -> bool {
        self.shared.unanswered.load(Ordering::Acquire) == 0
    }

    /// True when there was no room for a batch since [`Writer::resume`].
    pub(super) fn is_refusing(&self) -> bool {
        self.shared.refusing.load(Ordering::Acquire)
    }

    /// Hands a batch over, and gives an empty one; waits when some wait already.
    pub(super) fn commit(&self, batch: Batch) -> Batch {
        if batch.is_empty() {
            return batch;
        }
        self.shared.unanswered.fetch_add(1, Ordering::AcqRel);
        self.ask(Work::Commit(batch));
        self.empty.try_recv().unwrap_or_default()
    }

    pub(super) fn subscribe(&self, client_id: ClientId, subscription: hub::Sender, pending: Vec<Notification>) {
        self.ask(Work::Subscribe { client_id, subscription, pending });
    }

    pub(super) fn truncate(&self, position: Position) {
        self.ask(Work::Truncate { position });
    }

    /// Waits until everything handed over is durable, or refused.
    pub(super) fn flush(&self) {
        if self.is_idle() {
            return;
        }
        let (done, wait) = sync_channel(1);
        self.ask(Work::Flush(done));
        wait.recv().expect(GONE);
    }

    /// The ledger is at what is durable: batches are taken again. Everything before must have been flushed.
    pub(super) fn resume(&self) {
        self.ask(Work::Resume);
        self.shared.refusing.store(false, Ordering::Release);
    }

    /// Everything before is durable.
    pub(super) fn durable(&self) -> Position {
        Position::new(self.shared.durable.load(Ordering::Acquire))
    }

    /// What was written to the log since this was last asked, in octets.
    pub(super) fn take_octets(&self) -> u64 {
        self.shared.octets.swap(0, Ordering::Relaxed)
    }

    pub(super) fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// The log between two commits.
    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.log()
    }

    fn ask(&self, work: Work) {
        self.work.as_ref().expect(GONE).send(work).expect(GONE);
    }
}

/// Finishes what was handed over, and closes the log.
impl Drop for Writer {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        // A panic of a thread that has it ends the process.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Thread {
    shared: Arc<Shared>,
    hub: Hub,
    wake: SyncSender<Request>,
    emptied: SyncSender<Batch>,
    entries: Entries,
    batches: Histogram,
    seconds: Histogram,
}

impl Thread {
    fn run(mut self, received: &Receiver<Work>) {
        let aborts = AbortOnPanic;
        let mut refusing = false;
        while let Ok(work) = received.recv() {
            match work {
                Work::Commit(mut batch) => {
                    if refusing || !self.commit(&mut batch) {
                        refusing = true;
                        self.shared.refusing.store(true, Ordering::Release);
                        batch.refuse();
                    }
                    // Before the ledger looks for it.
                    if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) =
                        self.emptied.try_send(batch)
                    {
                        drop(batch);
                    }
                    self.shared.unanswered.fetch_sub(1, Ordering::AcqRel);
                    // A ledger with a full queue is awake.
                    drop(self.wake.try_send(Request::Committed));
                }
                Work::Subscribe { client_id, subscription, pending } => {
                    self.hub.subscribe(client_id, subscription, pending);
                }
                Work::Truncate { position } => {
                    if let Err(error) = self.shared.log().truncate_front(position) {
                        warn!(error = &error as &dyn std::error::Error, "the log before the snapshot was not removed");
                    }
                }
                Work::Flush(done) => drop(done.send(())),
                Work::Resume => refusing = false,
            }
        }
        std::mem::forget(aborts);
    }

    /// False: there is no room on the disk, and nothing of the batch is on it.
    fn commit(&mut self, batch: &mut Batch) -> bool {
        if !batch.decided.is_empty() && !self.write(batch) {
            return false;
        }
        if batch.commands > 0 {
            self.batches.record(f64_of(batch.commands));
        }
        // Before anybody is told: who has an answer alone need not copy it.
        let notices: Vec<_> = batch.decided.drain(..).flatten().filter_map(notice).collect();
        Reply::tell_all(batch.outcomes.drain(..));
        for (client_id, notification) in &notices {
            self.hub.publish(client_id, notification);
        }
        batch.clear();
        true
    }

    fn write(&mut self, batch: &Batch) -> bool {
        let begun = Instant::now();
        self.entries.pack(&batch.decided);
        let mut log = self.shared.log();
        for entry in self.entries.iter() {
            if let Err(error) = log.append(entry) {
                stop_process(&error);
            }
        }
        match log.commit() {
            Ok(durable) => {
                self.shared.durable.store(durable.index(), Ordering::Release);
                self.shared.octets.fetch_add(octets_of(&self.entries.octets), Ordering::Relaxed);
                self.seconds.record(begun.elapsed());
                true
            }
            Err(Error::NoSpace { directory, batch_bytes, .. }) => {
                counter!(names::DISK_FULL).increment(1);
                error!(directory = %directory.display(), batch_bytes, "no room for the ledger: nothing is charged before there is; nothing was lost");
                false
            }
            Err(error) => stop_process(&error),
        }
    }
}

/// What a client must be told, of a change that is durable.
fn notice(change: Change) -> Option<(ClientId, Notification)> {
    match change {
        Change::Notified { client_id, notification } => Some((client_id, notification)),
        _ => None,
    }
}

/// Entries as they are written, one behind the other.
#[derive(Default)]
struct Entries {
    octets: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Entries {
    /// Replaces what there was.
    fn pack(&mut self, decided: &[Vec<Change>]) {
        self.octets.clear();
        // Few are so large.
        self.octets.shrink_to(USUAL_OCTETS);
        self.ends.clear();
        for changes in decided {
            entry::append(&mut self.octets, changes);
            self.ends.push(self.octets.len());
        }
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(from, end)| self.octets.get(from..*end).unwrap_or_default())
    }
}

/// What counts of an outcome, by the word of the metric.
pub(super) fn word(outcome: &Outcome) -> Word {
    match outcome {
        Outcome::Charged(charged) if charged.replayed => Word::Replayed,
        Outcome::Charged(charged) if charged.denial.is_some() => Word::Denied,
        Outcome::Refused(_) => Word::Refused,
        _ => Word::Ok,
    }
}

/// A label of the metric of decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Ok,
    Denied,
    Replayed,
    Refused,
}

impl Word {
    pub(super) const ALL: [Self; 4] = [Self::Ok, Self::Denied, Self::Replayed, Self::Refused];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Replayed => "replayed",
            Self::Refused => "refused",
        }
    }
}

const GONE: &str = "invariant: the log's thread lives as long as the ledger's";
/// Syncs for fewer commands cost more processor time than deciding them.
const WORTH_A_SYNC: u32 = 96;
const MAX_COMMANDS: u32 = 4096;
/// Those that were not decided included.
const MAX_OUTCOMES: usize = 4096;
/// Kept of a batch for the next one.
const USUAL_OCTETS: usize = 1 << 20;
/// Batches that wait while one is written.
const WAITING: usize = 1;
