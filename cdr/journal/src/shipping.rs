//! Shipping without a thread: one step reads a batch, delivers it, and moves the checkpoint.
//!
//! The checkpoint is the contiguous low-water mark: everything below it has arrived, whatever else may have. A step that fails
//! changes nothing that the next one does not take up again: the batch read stays, a checkpoint that could not be written is written first.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use segment_log::{CorruptPolicy, DirStorage, Error as LogError, LockGuard, Position, Reader, Storage};
use tracing::{error, warn};

use crate::checkpoint::{Checkpoint, file_name};
use crate::error::ShipError;
use crate::journal::{Follower, Journal};
use crate::options::ShipperOptions;
use crate::sink::{JournalEntry, Sink};

/// The journal that is shipped.
pub struct JournalSource {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) follower: Option<Follower>,
}

impl JournalSource {
    /// A journal of this process: its commits wake the shipper, and shipped segments may be removed.
    #[must_use]
    pub fn of(journal: &Journal) -> Self {
        let follower = journal.follow();
        Self { storage: follower.storage(), follower: Some(follower) }
    }

    /// A journal that another process writes, or nobody: the shipper looks each [`ShipperOptions::poll`].
    #[must_use]
    pub fn directory(directory: impl AsRef<Path>) -> Self {
        Self { storage: Arc::new(DirStorage::at(directory.as_ref())), follower: None }
    }
}

/// Counts since the shipper began. Plain atomics.
#[derive(Debug, Default)]
pub struct ShipperCounters {
    /// Records delivered, with their checkpoint written.
    pub records: AtomicU64,
    /// Their octets of JSON.
    pub bytes: AtomicU64,
    /// Steps that failed.
    pub failures: AtomicU64,
    /// Records that were damaged in the journal and never arrive.
    pub damaged: AtomicU64,
    /// Records that were removed from the journal before they were shipped.
    pub removed: AtomicU64,
    /// The checkpoint: everything below has arrived.
    pub checkpoint: AtomicU64,
    /// Records committed and not shipped, as of the last look.
    pub backlog: AtomicU64,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to ship.
    Idle,
    /// So many records arrived and the checkpoint has moved.
    Shipped(usize),
}

/// One sink following one journal; [`crate::Shipper`] runs it on a thread.
pub struct Shipping {
    source: JournalSource,
    checkpoints: Arc<dyn Storage>,
    name: String,
    sink: Box<dyn Sink>,
    options: ShipperOptions,
    counters: Arc<ShipperCounters>,
    reader: Reader,
    /// Damaged records the reader has met that are counted already.
    damaged_counted: u64,
    /// Read, not delivered.
    batch: Vec<JournalEntry>,
    checkpoint: Checkpoint,
    /// The checkpoint is not on disk yet: of so many records and octets.
    unsaved: Option<(usize, usize)>,
    _lock: LockGuard,
}

impl Shipping {
    /// Begins at the checkpoint of the sink's name in the directory of `checkpoints` (which may be the journal's own), or at the
    /// journal's beginning, and lets the sink take back what it got after it.
    ///
    /// # Errors
    /// All but `Stalled`, `Thread` and `Panicked`.
    pub fn start(
        source: JournalSource,
        checkpoints: Arc<dyn Storage>,
        mut sink: Box<dyn Sink>,
        options: ShipperOptions,
    ) -> Result<Self, ShipError> {
        let name = file_name(sink.name())?;
        let failed = |source| ShipError::Checkpoint { name: name.clone(), source };
        let locked = checkpoints.lock(&format!("{}.lock", sink.name())).map_err(|source| {
            failed(LogError::Io {
                operation: segment_log::Operation::Lock,
                file: checkpoints.path(&name),
                source: Arc::new(source),
            })
        })?;
        let Some(lock) = locked else { return Err(ShipError::InUse { name: sink.name().to_owned() }) };
        let stored = Checkpoint::load(checkpoints.as_ref(), &name)?;
        if let (Some(stored), Some(follower)) = (&stored, &source.follower)
            && stored.position > follower.durable
        {
            return Err(ShipError::CheckpointAhead { name, checkpoint: stored.position, durable: follower.durable });
        }
        let position = match &stored {
            Some(stored) => stored.position,
            None => beginning(&source)?,
        };
        let state = sink.resume(stored.as_ref().map(|stored| stored.state.as_str()))?;
        let checkpoint = Checkpoint { position, state };
        // Before anything is delivered, so that a crash in the first batch finds something to go back to.
        checkpoint.save(checkpoints.as_ref(), &name)?;
        let reader = reader_at(&source, position);
        let shipping = Self {
            source,
            checkpoints,
            name,
            sink,
            options,
            counters: Arc::default(),
            reader,
            damaged_counted: 0,
            batch: Vec::new(),
            checkpoint,
            unsaved: None,
            _lock: lock,
        };
        shipping.counters.checkpoint.store(position.index(), Ordering::Relaxed);
        Ok(shipping)
    }

    /// Ships one batch.
    ///
    /// # Errors
    /// Of class `Retry`: call it again. Others: it makes no sense to go on.
    pub fn step(&mut self) -> Result<Step, ShipError> {
        self.save()?;
        if self.batch.is_empty() {
            self.fill()?;
        }
        if self.batch.is_empty() {
            return Ok(Step::Idle);
        }
        let delivered = self.sink.deliver(&self.batch)?;
        let entries = delivered.entries.min(self.batch.len());
        if entries == 0 {
            return Err(ShipError::Stalled { entries: self.batch.len() });
        }
        let bytes = self.batch.drain(..entries).map(|entry| entry.json.len()).sum();
        // Damaged records behind the last delivered one are passed by, too.
        let position = self.batch.first().map_or(self.reader.position(), |next| next.position);
        self.checkpoint = Checkpoint { position, state: delivered.state };
        self.unsaved = Some((entries, bytes));
        self.save()?;
        Ok(Step::Shipped(entries))
    }

    /// Counts since the start; share them with whoever shows them.
    #[must_use]
    pub fn counters(&self) -> &Arc<ShipperCounters> {
        &self.counters
    }

    /// Everything below has arrived.
    #[must_use]
    pub fn checkpoint(&self) -> Position {
        Position::new(self.counters.checkpoint.load(Ordering::Relaxed))
    }

    pub(crate) fn sink_name(&self) -> &str {
        self.sink.name()
    }

    pub(crate) fn follower(&self) -> Option<&Follower> {
        self.source.follower.as_ref()
    }

    /// Looks how much is committed and not shipped.
    pub(crate) fn look(&mut self) {
        if let Ok(committed) = self.reader.committed() {
            let backlog = committed.index().saturating_sub(self.checkpoint().index());
            self.counters.backlog.store(backlog, Ordering::Relaxed);
        }
    }

    fn save(&mut self) -> Result<(), ShipError> {
        let Some((entries, bytes)) = self.unsaved else { return Ok(()) };
        self.checkpoint.save(self.checkpoints.as_ref(), &self.name)?;
        self.unsaved = None;
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.counters.records.fetch_add(wide(entries), Ordering::Relaxed);
        self.counters.bytes.fetch_add(wide(bytes), Ordering::Relaxed);
        self.counters.checkpoint.store(self.checkpoint.position.index(), Ordering::Relaxed);
        self.look();
        if let Some(follower) = &self.source.follower {
            follower.shipped(self.sink.name(), self.checkpoint.position);
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), ShipError> {
        let mut bytes = 0;
        while self.batch.is_empty()
            || (self.batch.len() < self.options.batch_records && bytes < self.options.batch_bytes)
        {
            match self.reader.read_next() {
                Ok(None) => break,
                Ok(Some(record)) => {
                    bytes += record.payload.len();
                    self.batch.push(JournalEntry { position: record.position, json: record.payload.to_vec() });
                }
                Err(LogError::Truncated { wanted, first }) => {
                    let removed = first.index().saturating_sub(wanted.index());
                    error!(sink = self.sink.name(), removed, "records were removed before they were shipped");
                    self.counters.removed.fetch_add(removed, Ordering::Relaxed);
                    self.begin_at(first);
                }
                Err(source) => {
                    // The reader repeats an error for ever.
                    self.begin_at(self.reader.position());
                    if self.batch.is_empty() {
                        return Err(ShipError::Journal { source });
                    }
                    break;
                }
            }
        }
        self.count_damaged();
        Ok(())
    }

    fn begin_at(&mut self, position: Position) {
        self.count_damaged();
        self.reader = reader_at(&self.source, position);
        self.damaged_counted = 0;
    }

    fn count_damaged(&mut self) {
        let damaged = self.reader.skipped().records;
        let new = damaged.saturating_sub(self.damaged_counted);
        if new > 0 {
            warn!(sink = self.sink.name(), records = new, "records are damaged in the journal and cannot be shipped");
            self.counters.damaged.fetch_add(new, Ordering::Relaxed);
            self.damaged_counted = damaged;
        }
    }
}

fn reader_at(source: &JournalSource, position: Position) -> Reader {
    Reader::on(Arc::clone(&source.storage), position, CorruptPolicy::Skip)
}

/// The first record that is still there.
fn beginning(source: &JournalSource) -> Result<Position, ShipError> {
    match reader_at(source, Position::ZERO).read_next() {
        Err(LogError::Truncated { first, .. }) => Ok(first),
        Err(source) => Err(ShipError::Journal { source }),
        Ok(_) => Ok(Position::ZERO),
    }
}
