//! The write side: encodes a record, queues it for the log's thread, and answers when it is on disk.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use cdr_model::{CallRecord, MAX_RECORD_BYTES};
use segment_log::{DirStorage, Error as LogError, GroupCommit, Position, Storage, SyncWatch};
use tracing::{error, info, warn};
use types::UtcMs;

use crate::archive::remove_unfinished;
use crate::error::JournalError;
use crate::opening::{self, Opened};
use crate::options::{JournalOptions, OnDiskError};
use crate::recent::{Done, Key, Keys, Known, Recent};
use crate::retention::Retention;
use crate::space::{FreeSpace, Space, of_disk};
use crate::upkeep::{Aging, Upkeep};
use crate::wake::Wake;

/// What opening a journal found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// What the log found: where it begins and ends, what was cut, what was skipped. Damage is looked for in the last segment only;
    /// shippers and readers count what they meet in the others.
    pub log: segment_log::Recovered,
    /// `recordId`s known again from the tail.
    pub recent_ids: usize,
    /// Records of the tail without a readable `recordId`.
    pub undecodable: u64,
}

/// Counts since the journal was opened. Plain atomics: read them with any ordering.
#[derive(Debug, Default)]
pub struct JournalCounters {
    /// Records that became durable.
    pub records: AtomicU64,
    /// Their octets of JSON.
    pub bytes: AtomicU64,
    /// Records that were not stored because one with their `recordId` was there or on its way.
    pub duplicates: AtomicU64,
    /// Records that were queued and failed.
    pub failures: AtomicU64,
    /// Records that were not queued: queue full, journal closed or stopped, record too long.
    pub refused: AtomicU64,
    /// How often the journal was recovered from the disk after a failed write or fsync.
    pub recoveries: AtomicU64,
    /// Segments that were compressed.
    pub archived: AtomicU64,
    /// Segments and archives that were removed because all sinks have their records and they are old enough.
    pub removed: AtomicU64,
    /// Hears how long the disk takes for each batch of records.
    pub syncs: SyncWatch,
}

/// The journal; share it by `Arc`. Dropping it closes it.
pub struct Journal {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("durable", &self.durable())
            .field("counters", &self.shared.counters)
            .finish_non_exhaustive()
    }
}

/// What the journal's threads and shippers share.
pub(crate) struct Shared {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) options: JournalOptions,
    pub(crate) keys: Keys,
    pub(crate) intake: Mutex<Intake>,
    pub(crate) counters: JournalCounters,
    pub(crate) space: Space,
    pub(crate) retention: Mutex<Retention>,
    /// Held through a whole upkeep, and through a recovery: one at a time. Two upkeeps would write one archive, and one that was
    /// overtaken by a recovery would ask a writer that is gone.
    pub(crate) aging: Mutex<Aging>,
    followers: Mutex<Vec<Weak<Wake>>>,
    pub(crate) measure: Wake,
    pub(crate) upkeep: Wake,
}

/// What a record passes on its way to the disk. Replaced as one after a recovery: ids and writer belong together.
pub(crate) struct Intake {
    pub(crate) recent: Recent,
    pub(crate) group: Arc<GroupCommit>,
}

impl Journal {
    /// Opens the journal in `directory`, which is created where missing, and recovers it. Holds the directory's lock until closed.
    ///
    /// # Errors
    /// [`JournalError::Log`] with `Locked`, `NewerFormat`, `OptionOutOfRange` or `Io`; [`JournalError::NoSpace`].
    pub fn open(directory: impl AsRef<Path>, options: JournalOptions) -> Result<(Self, Recovered), JournalError> {
        let directory = directory.as_ref();
        let storage = DirStorage::create_dir(directory)?;
        Self::open_on(Arc::new(storage), of_disk(directory.to_path_buf()), options)
    }

    /// [`Journal::open`] on any storage, with any measure of its free space.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_on(
        storage: Arc<dyn Storage>,
        free: FreeSpace,
        options: JournalOptions,
    ) -> Result<(Self, Recovered), JournalError> {
        let keys = Keys::default();
        let counters = JournalCounters::default();
        let Opened { group, recent, recovered } = opening::open(&storage, &options, &keys, &counters.syncs)?;
        // Only now is the lock ours: before, it might be an archive that another process is writing.
        remove_unfinished(storage.as_ref())?;
        report(storage.as_ref(), &recovered);
        let space = Space::new(Arc::clone(&storage), free, options.reserve_bytes, options.segment_bytes);
        space.clean();
        let shared = Arc::new(Shared {
            storage,
            keys,
            intake: Mutex::new(Intake { recent, group: Arc::new(group) }),
            counters,
            space,
            retention: Mutex::new(Retention::new(options.recent_ids, &options.sinks)),
            aging: Mutex::default(),
            followers: Mutex::default(),
            measure: Wake::default(),
            upkeep: Wake::default(),
            options,
        });
        shared.measure_space();
        let threads = Mutex::new(Self::start_threads(&shared)?);
        Ok((Self { shared, threads }, recovered))
    }

    /// Queues a record; never blocks on the disk. `done` gets its position once it is durable, or the reason why it is not; it runs on
    /// the journal's thread, or at once on this one when a record of this `recordId` is durable already. It should only pass
    /// the result on, and must not panic: that stops the journal.
    ///
    /// # Errors
    /// Nothing was queued, `done` is not called, the caller keeps the record: [`JournalError::QueueFull`] (come again),
    /// [`JournalError::RecordTooLong`], [`JournalError::Encode`], [`JournalError::Stopped`], [`JournalError::Closed`].
    pub fn append<F>(&self, record: &CallRecord, done: F) -> Result<(), JournalError>
    where
        F: FnOnce(Result<Position, JournalError>) + Send + 'static,
    {
        self.counted(self.queue(record, false, Box::new(done)))
    }

    /// [`Journal::append`] for a record that somebody waits for: [`JournalOptions::sync_interval`] does not hold it up.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_awaited<F>(&self, record: &CallRecord, done: F) -> Result<(), JournalError>
    where
        F: FnOnce(Result<Position, JournalError>) + Send + 'static,
    {
        self.counted(self.queue(record, true, Box::new(done)))
    }

    /// Appends a record and waits until it is durable. If the future is dropped the record is written all the same.
    ///
    /// # Errors
    /// As [`Journal::append`], and [`JournalError::NoSpace`]: the record is not in the journal.
    pub async fn append_durable(&self, record: &CallRecord) -> Result<Position, JournalError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        // Nobody listens any more when the future was dropped.
        self.append_awaited(record, move |outcome| drop(answer.send(outcome)))?;
        answered.await.unwrap_or(Err(JournalError::Stopped { source: LogError::WriterPanicked }))
    }

    /// Whether new chargeable calls may begin: their records would find room. Never asked for emergency calls. Cheap.
    #[must_use]
    pub fn accepts_calls(&self) -> bool {
        self.shared.space.accepts_calls()
    }

    /// Measures free space now; returns it in octets. Otherwise done each [`JournalOptions::space_interval`]. Asks the file system.
    ///
    /// # Errors
    /// [`JournalError::FreeSpace`]; the earlier verdict stays.
    pub fn measure_space(&self) -> Result<u64, JournalError> {
        self.shared.space.measure()
    }

    /// After a failed write or fsync: tries to recover from the disk and to go on in a new segment. True when the journal works again.
    /// Otherwise done each [`JournalOptions::space_interval`]. Does nothing, and returns false, on a journal that has not stopped or
    /// is not to go on ([`crate::OnDiskError`]).
    ///
    /// # Errors
    /// As [`Journal::open`], and [`JournalError::Missing`]; the journal stays stopped.
    pub fn recover(&self) -> Result<bool, JournalError> {
        self.shared.recover()
    }

    /// Begins a new segment when the current one is old enough, compresses what every sink has, and removes what was kept long
    /// enough. Otherwise done by itself, off the way of the records. `now` is the wall clock's time.
    ///
    /// # Errors
    /// [`JournalError::Log`] when a file cannot be written, read or removed, [`JournalError::NoSpace`]: nothing is lost, call it again
    /// later. [`JournalError::Stopped`], [`JournalError::Closed`].
    pub fn keep_up(&self, now: UtcMs) -> Result<Upkeep, JournalError> {
        self.shared.keep_up(now)
    }

    /// Whether a write or fsync failed and nothing is taken until it is recovered from.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.shared.space.has_stopped()
    }

    /// Whether it has stopped and will not recover by itself ([`crate::OnDiskError::Stop`]): the process should end, so that another
    /// one takes over.
    #[must_use]
    pub fn has_stopped_for_good(&self) -> bool {
        self.has_stopped() && self.shared.options.on_disk_error == OnDiskError::Stop
    }

    /// Counts since the journal was opened.
    #[must_use]
    pub fn counters(&self) -> &JournalCounters {
        &self.shared.counters
    }

    /// Records that wait for the disk, without the batch being written.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.shared.group().queued()
    }

    /// All records below this are durable.
    #[must_use]
    pub fn durable(&self) -> Position {
        self.shared.group().durable()
    }

    /// Takes no more records, writes and answers what is queued, and releases the lock. Calling it again returns the same.
    ///
    /// # Errors
    /// [`JournalError::Stopped`] when the journal had stopped.
    pub fn close(&self) -> Result<Position, JournalError> {
        self.shared.space.closed();
        // First, so that no recovery brings a new writer.
        [&self.shared.measure, &self.shared.upkeep].into_iter().for_each(|wake| wake.stop(Instant::now()));
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            if thread.join().is_err() {
                error!("a thread of the journal ended by a panic");
            }
        }
        Ok(self.shared.group().close()?)
    }

    /// For shippers in this process.
    pub(crate) fn follow(&self) -> Follower {
        Follower { shared: Arc::clone(&self.shared), durable: self.durable() }
    }

    fn start_threads(shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>, JournalError> {
        if shared.options.space_interval.std().is_zero() {
            return Ok(Vec::new());
        }
        let mut threads = Vec::new();
        for (name, work) in [("journal-space", measuring as fn(&Shared)), ("journal-upkeep", keeping_up)] {
            let shared = Arc::clone(shared);
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared));
            threads.push(thread.map_err(|e| JournalError::Thread { source: Arc::new(e) })?);
        }
        Ok(threads)
    }

    fn counted(&self, queued: Result<(), JournalError>) -> Result<(), JournalError> {
        queued.inspect_err(|_| {
            self.shared.counters.refused.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn queue(&self, record: &CallRecord, awaited: bool, done: Done) -> Result<(), JournalError> {
        let json = record.to_json().map_err(|e| JournalError::Encode { source: Arc::new(e) })?;
        let bytes = json.len();
        if bytes > MAX_RECORD_BYTES {
            return Err(JournalError::RecordTooLong { bytes, limit: MAX_RECORD_BYTES });
        }
        let id = self.shared.keys.of(&record.record_id);
        let mut intake = lock(&self.shared.intake);
        let Intake { recent, group } = &mut *intake;
        match recent.known(id) {
            Known::Unknown => {}
            Known::Writing if recent.waiting() >= self.shared.options.queue_records => {
                return Err(JournalError::QueueFull { records: recent.waiting(), bytes: 0 });
            }
            Known::Writing => {
                recent.wait(id, done);
                self.shared.counters.duplicates.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            Known::Durable(position) => {
                drop(intake);
                self.shared.counters.duplicates.fetch_add(1, Ordering::Relaxed);
                done(Ok(position));
                return Ok(());
            }
        }
        recent.begin(id);
        let shared = Arc::clone(&self.shared);
        // Queued under the lock, so that a copy of this record never waits for one that was not queued after all.
        let settle = move |outcome| shared.settle(id, bytes, outcome, done);
        let queued = if awaited { group.try_submit_awaited(json, settle) } else { group.try_submit(json, settle) };
        queued.map_err(|rejected| {
            // Without copies: they could not have come in between.
            drop(recent.settle(id, None));
            let reason = rejected.error.into();
            // Under the lock as well: a recovery that comes in between must not be followed by what the writer before it said.
            self.shared.space.failed(&reason);
            reason
        })
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Whoever wants to know how it ended calls close.
        drop(self.close());
    }
}

impl Shared {
    /// On the log's thread: a record became durable or failed.
    fn settle(&self, id: Key, bytes: usize, outcome: Result<Position, LogError>, done: Done) {
        let outcome = outcome.map_err(JournalError::from);
        let copies = lock(&self.intake).recent.settle(id, outcome.as_ref().ok().copied());
        match &outcome {
            Ok(_) => {
                self.counters.records.fetch_add(1, Ordering::Relaxed);
                self.counters.bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
                self.space.written();
                self.wake_followers();
            }
            Err(reason) => {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                self.space.failed(reason);
            }
        }
        for copy in copies {
            copy(outcome.clone());
        }
        done(outcome);
    }

    pub(crate) fn group(&self) -> Arc<GroupCommit> {
        Arc::clone(&lock(&self.intake).group)
    }

    fn measure_space(&self) {
        if let Err(reason) = self.space.measure() {
            warn!(reason = &reason as &dyn std::error::Error, "free space is unknown, new calls go on");
        }
    }

    pub(crate) fn wake_followers(&self) {
        for follower in lock(&self.followers).iter().filter_map(Weak::upgrade) {
            follower.work();
        }
    }
}

/// A shipper's hold on the journal in its own process; it does not keep the journal open.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    /// What was durable when it began to follow.
    pub durable: Position,
}

impl Follower {
    pub fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.shared.storage)
    }

    /// Each commit wakes it from now on.
    pub fn wake(&self, wake: &Arc<Wake>) {
        let mut followers = lock(&self.shared.followers);
        followers.retain(|follower| follower.strong_count() > 0);
        followers.push(Arc::downgrade(wake));
    }

    /// The sink has shipped everything below `position`; the next upkeep may archive or remove it.
    pub fn shipped(&self, sink: &str, position: Position) {
        lock(&self.shared.retention).shipped(sink, position);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under the locks of this crate, so what they guard is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn report(storage: &dyn Storage, recovered: &Recovered) {
    let Recovered { log, recent_ids, undecodable } = recovered;
    let (directory, records) = (storage.directory().display(), log.next.index().saturating_sub(log.first.index()));
    info!(%directory, first = log.first.index(), records, recent_ids, "journal opened");
    if let Some(torn) = &log.torn_tail {
        info!(%directory, bytes = torn.bytes, "journal's torn tail was cut, nothing acknowledged was in it");
    }
    if log.skipped.records > 0 || *undecodable > 0 {
        error!(%directory, lost = log.skipped.records, undecodable, "journal is damaged, the rest is kept");
    }
}

/// The thread that measures free space, and that tries to go on after a disk error.
fn measuring(shared: &Shared) {
    let interval = shared.options.space_interval.std();
    loop {
        shared.measure.wait(interval);
        if shared.measure.deadline().is_some() {
            return;
        }
        if let Err(reason) = shared.recover() {
            warn!(reason = &reason as &dyn std::error::Error, "journal cannot be recovered yet, trying again");
        }
        shared.measure_space();
    }
}

/// The thread that rotates, archives and removes.
fn keeping_up(shared: &Shared) {
    loop {
        shared.upkeep.wait(UPKEEP_INTERVAL);
        if shared.upkeep.deadline().is_some() {
            return;
        }
        if shared.space.has_stopped() {
            continue;
        }
        if let Err(reason) = shared.keep_up(wall_clock()) {
            warn!(
                reason = &reason as &dyn std::error::Error,
                "shipped records cannot be archived or removed, trying again"
            );
        }
    }
}

fn wall_clock() -> UtcMs {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Rotation by age is as exact as this.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);
