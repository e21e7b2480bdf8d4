//! The write side: encodes a record, queues it for the log's thread, and answers when it is on disk.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cdr_model::{CallRecord, MAX_RECORD_BYTES};
use segment_log::{
    CorruptPolicy, DirStorage, Error as LogError, GroupCommit, GroupCommitOptions, Log, Options, Position, Storage,
    Verify,
};
use serde::Deserialize;
use tracing::{error, info, warn};

use crate::error::JournalError;
use crate::options::JournalOptions;
use crate::recent::{Done, Known, Recent};
use crate::retention::Retention;
use crate::space::{FreeSpace, Space, of_disk};
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
}

/// The journal; share it by `Arc`. Dropping it closes it.
pub struct Journal {
    group: Arc<GroupCommit>,
    shared: Arc<Shared>,
    queue_records: usize,
    measuring: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("group", &self.group)
            .field("counters", &self.shared.counters)
            .finish_non_exhaustive()
    }
}

/// What the journal's threads and shippers share.
struct Shared {
    storage: Arc<dyn Storage>,
    recent: Mutex<Recent>,
    counters: JournalCounters,
    space: Space,
    retention: Mutex<Retention>,
    followers: Mutex<Vec<Weak<Wake>>>,
    measure: Wake,
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
        let (log, recovered) = Log::open(
            Arc::clone(&storage),
            Options {
                segment_bytes: options.segment_bytes,
                corrupt: CorruptPolicy::Skip,
                // A journal that keeps everything grows without bound; opening it must not.
                verify: Verify::LastSegment,
                ..Options::default()
            },
        )?;
        let (recent, undecodable) = recent_ids(&log, options.recent_ids)?;
        let recovered = Recovered { log: recovered, recent_ids: recent.durable(), undecodable };
        report(storage.as_ref(), &recovered);
        let space = Space::new(Arc::clone(&storage), free, options.reserve_bytes, options.segment_bytes);
        space.clean();
        measure(&space);
        let shared = Arc::new(Shared {
            storage,
            recent: Mutex::new(recent),
            counters: JournalCounters::default(),
            space,
            retention: Mutex::new(Retention::new(options.keep_shipped, options.recent_ids, &options.sinks)),
            followers: Mutex::default(),
            measure: Wake::default(),
        });
        let bounds = GroupCommitOptions { queue_records: options.queue_records, queue_bytes: options.queue_bytes };
        let group = Arc::new(GroupCommit::start(log, bounds)?);
        let measuring = Mutex::new(start_measuring(&shared, options.space_interval.std())?);
        Ok((Self { group, shared, queue_records: options.queue_records, measuring }, recovered))
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
        let queued = self.queue(record, Box::new(done));
        if let Err(reason) = &queued {
            self.shared.counters.refused.fetch_add(1, Ordering::Relaxed);
            self.shared.space.failed(reason);
        }
        queued
    }

    /// Appends a record and waits until it is durable. If the future is dropped the record is written all the same.
    ///
    /// # Errors
    /// As [`Journal::append`], and [`JournalError::NoSpace`]: the record is not in the journal.
    pub async fn append_durable(&self, record: &CallRecord) -> Result<Position, JournalError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        // Nobody listens any more when the future was dropped.
        self.append(record, move |outcome| drop(answer.send(outcome)))?;
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

    /// Counts since the journal was opened.
    #[must_use]
    pub fn counters(&self) -> &JournalCounters {
        &self.shared.counters
    }

    /// Records that wait for the disk, without the batch being written.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.group.queued()
    }

    /// All records below this are durable.
    #[must_use]
    pub fn durable(&self) -> Position {
        self.group.durable()
    }

    /// Takes no more records, writes and answers what is queued, and releases the lock. Calling it again returns the same.
    ///
    /// # Errors
    /// [`JournalError::Stopped`] when the journal had stopped.
    pub fn close(&self) -> Result<Position, JournalError> {
        self.shared.space.closed();
        let closed = self.group.close();
        self.shared.measure.stop(Instant::now());
        let measuring = lock(&self.measuring).take();
        if measuring.is_some_and(|thread| thread.join().is_err()) {
            error!("thread that measures free space ended by a panic");
        }
        Ok(closed?)
    }

    /// For shippers in this process.
    pub(crate) fn follow(&self) -> Follower {
        Follower { shared: Arc::clone(&self.shared), group: Arc::downgrade(&self.group), durable: self.durable() }
    }

    fn queue(&self, record: &CallRecord, done: Done) -> Result<(), JournalError> {
        let json = record.to_json().map_err(|e| JournalError::Encode { source: Arc::new(e) })?;
        let bytes = json.len();
        if bytes > MAX_RECORD_BYTES {
            return Err(JournalError::RecordTooLong { bytes, limit: MAX_RECORD_BYTES });
        }
        let mut recent = lock(&self.shared.recent);
        match recent.known(&record.record_id) {
            Known::Unknown => {}
            Known::Writing if recent.waiting() >= self.queue_records => {
                return Err(JournalError::QueueFull { records: recent.waiting(), bytes: 0 });
            }
            Known::Writing => {
                recent.wait(&record.record_id, done);
                self.shared.counters.duplicates.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            Known::Durable(position) => {
                drop(recent);
                self.shared.counters.duplicates.fetch_add(1, Ordering::Relaxed);
                done(Ok(position));
                return Ok(());
            }
        }
        let id: Arc<str> = Arc::from(&*record.record_id);
        recent.begin(Arc::clone(&id));
        let shared = Arc::clone(&self.shared);
        let written = Arc::clone(&id);
        // Queued under the lock, so that a copy of this record never waits for one that was not queued after all.
        let queued = self.group.try_submit(json, move |outcome| shared.settle(&written, bytes, outcome, done));
        queued.map_err(|rejected| {
            // Without copies: they could not have come in between.
            drop(recent.settle(&id, None));
            rejected.error.into()
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
    fn settle(&self, id: &Arc<str>, bytes: usize, outcome: Result<Position, LogError>, done: Done) {
        let outcome = outcome.map_err(JournalError::from);
        let copies = lock(&self.recent).settle(id, outcome.as_ref().ok().copied());
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

    fn wake_followers(&self) {
        for follower in lock(&self.followers).iter().filter_map(Weak::upgrade) {
            follower.work();
        }
    }
}

/// A shipper's hold on the journal in its own process.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    /// Weak: a shipper does not keep the journal open.
    group: Weak<GroupCommit>,
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

    /// The sink has shipped everything below `position`; segments that nobody needs are removed.
    pub fn shipped(&self, sink: &str, position: Position) {
        let removable = lock(&self.shared.retention).shipped(sink, position);
        let (Some(below), Some(group)) = (removable, self.group.upgrade()) else { return };
        let shared = Arc::clone(&self.shared);
        let asked = group.truncate_front(below, move |outcome| match outcome {
            Ok(first) => info!(first = first.index(), "shipped records were removed"),
            Err(reason) => {
                warn!(reason = &reason as &dyn std::error::Error, "shipped records cannot be removed");
                shared.space.failed(&reason.into());
            }
        });
        if let Err(reason) = asked {
            warn!(reason = &reason as &dyn std::error::Error, "shipped records cannot be removed");
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under the locks of this crate, so what they guard is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As much of a record as the filter needs; a record of a newer release has this too.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    record_id: Box<str>,
}

fn recent_ids(log: &Log, limit: usize) -> Result<(Recent, u64), LogError> {
    let wanted = u64::try_from(limit).unwrap_or(u64::MAX);
    let from = Position::new(log.durable().index().saturating_sub(wanted)).max(log.first());
    let (mut recent, mut undecodable) = (Recent::new(limit), 0);
    let mut records = log.records(from);
    while let Some(record) = records.read_next()? {
        match serde_json::from_slice::<Identity>(record.payload) {
            Ok(identity) => recent.insert(identity.record_id.into(), record.position),
            Err(_) => undecodable += 1,
        }
    }
    Ok((recent, undecodable))
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

fn measure(space: &Space) {
    if let Err(reason) = space.measure() {
        warn!(reason = &reason as &dyn std::error::Error, "free space is unknown, new calls go on");
    }
}

fn start_measuring(shared: &Arc<Shared>, interval: Duration) -> Result<Option<JoinHandle<()>>, JournalError> {
    if interval.is_zero() {
        return Ok(None);
    }
    let shared = Arc::clone(shared);
    let thread = std::thread::Builder::new().name("journal-space".to_owned()).spawn(move || {
        loop {
            shared.measure.wait(interval);
            if shared.measure.deadline().is_some() {
                break;
            }
            measure(&shared.space);
        }
    });
    thread.map(Some).map_err(|e| JournalError::Thread { source: Arc::new(e) })
}
