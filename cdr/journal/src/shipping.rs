//! Shipping without a thread: one step reads what is new, offers the sink all that is not delivered, and moves the checkpoint.
//!
//! The checkpoint is the contiguous low-water mark: everything below it has arrived, or is not for this sink, whatever else may have
//! arrived. A step that fails changes nothing that the next one does not take up again: what was read stays, a checkpoint that could not
//! be written is written first.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use segment_log::{DirStorage, Error as LogError, LockGuard, Position, Storage};
use serde::Deserialize;
use tracing::{error, warn};
use types::UtcMs;
use types::time::iso8601;

use crate::checkpoint::{Checkpoint, file_name};
use crate::counters::{ShipperCounters, SinkCounters};
use crate::error::ShipError;
use crate::journal::{Follower, Journal};
use crate::options::ShipperOptions;
use crate::reader::JournalReader;
use crate::sink::{JournalEntry, Sink};
use crate::view::{Seen, View};
use crate::window::Window;

/// The journal that is shipped, as its sink sees it.
pub struct JournalSource {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) follower: Option<Follower>,
    view: View,
}

impl JournalSource {
    /// A journal of this process: its commits wake the shipper, and shipped segments may be removed.
    #[must_use]
    pub fn of(journal: &Journal) -> Self {
        let follower = journal.follow();
        Self { storage: follower.storage(), follower: Some(follower), view: View::default() }
    }

    /// A journal that another process writes, or nobody: the shipper looks each [`ShipperOptions::poll`].
    #[must_use]
    pub fn directory(directory: impl AsRef<Path>) -> Self {
        Self { storage: Arc::new(DirStorage::at(directory.as_ref())), follower: None, view: View::default() }
    }

    /// Shows the sink only this of it; without, everything as it is.
    #[must_use]
    pub fn seen_through(self, view: View) -> Self {
        Self { view, ..self }
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to ship.
    Idle,
    /// Nothing arrived yet; what there is is on its way, or was not for this sink. Call again.
    Pending,
    /// So many records arrived.
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
    sink_counters: Arc<SinkCounters>,
    reader: JournalReader,
    /// Damaged records the reader has met that are counted already.
    damaged_counted: u64,
    window: Window,
    /// The front of the window when the age of the oldest record was looked at.
    front: Option<Position>,
    checkpoint: Checkpoint,
    /// The checkpoint is not on disk yet: of so many records and octets.
    unsaved: Option<Arrived>,
    saved: Instant,
    _lock: LockGuard,
}

#[derive(Debug, Default, Clone, Copy)]
struct Arrived {
    entries: usize,
    bytes: usize,
    /// The sink has a new state, and not only were records passed by.
    state: bool,
}

impl Shipping {
    /// Begins at the checkpoint of the sink's name in the directory of `checkpoints` (which may be the journal's own), or at the
    /// journal's beginning, and lets the sink take back what it got after it.
    ///
    /// # Errors
    /// [`ShipError::Name`], [`ShipError::InUse`], [`ShipError::Checkpoint`], [`ShipError::CheckpointForm`],
    /// [`ShipError::CheckpointAhead`], [`ShipError::Journal`], and [`ShipError::Sink`] from the sink's `resume`.
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
        sink.keep_beside(Arc::clone(&checkpoints));
        let state = sink.resume(stored.as_ref().map(|stored| stored.state.as_str()))?;
        let checkpoint = Checkpoint { position, state };
        // Before anything is delivered, so that a crash in the first delivery finds something to go back to.
        checkpoint.save(checkpoints.as_ref(), &name)?;
        if let Some(follower) = &source.follower {
            // Also when nothing comes for a while: what it has may be archived.
            follower.shipped(sink.name(), position);
        }
        let reader = reader_at(&source, position);
        let shipping = Self {
            source,
            checkpoints,
            name,
            sink_counters: sink.counters(),
            sink,
            options,
            counters: Arc::default(),
            reader,
            damaged_counted: 0,
            window: Window::default(),
            front: None,
            checkpoint,
            unsaved: None,
            saved: Instant::now(),
            _lock: lock,
        };
        shipping.counters.checkpoint.store(position.index(), Ordering::Relaxed);
        Ok(shipping)
    }

    /// Reads what is new and lets the sink deliver.
    ///
    /// # Errors
    /// Of class `Retry`: call it again. Others: it makes no sense to go on.
    pub fn step(&mut self) -> Result<Step, ShipError> {
        self.save_when_due()?;
        let read = self.fill()?;
        self.look();
        if self.window.len() == 0 {
            self.pass_by();
            return Ok(if read == 0 { Step::Idle } else { Step::Pending });
        }
        let delivered = self.sink.deliver(self.window.as_slice())?;
        let entries = delivered.entries.min(self.window.len());
        if entries == 0 && delivered.state == self.checkpoint.state {
            return Ok(Step::Pending);
        }
        let bytes = self.window.cut(entries);
        // Records behind the last delivered one that are damaged or not for this sink are passed by, too.
        let position = self.window.first().map_or(self.reader.position(), |next| next.position);
        self.checkpoint = Checkpoint { position, state: delivered.state };
        let unsaved = self.unsaved.get_or_insert_default();
        unsaved.entries += entries;
        unsaved.bytes += bytes;
        unsaved.state = true;
        self.save_when_due()?;
        Ok(if entries == 0 { Step::Pending } else { Step::Shipped(entries) })
    }

    /// Writes the checkpoint now, if anything arrived since it was written.
    ///
    /// # Errors
    /// [`ShipError::Checkpoint`]; the earlier one stands.
    pub fn save(&mut self) -> Result<(), ShipError> {
        let Some(Arrived { entries, bytes, .. }) = self.unsaved else { return Ok(()) };
        self.checkpoint.save(self.checkpoints.as_ref(), &self.name)?;
        (self.unsaved, self.saved) = (None, Instant::now());
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

    /// No more may come: the sink need not wait for it.
    pub fn ending(&mut self) {
        self.sink.ending();
    }

    /// Counts since the start; share them with whoever shows them.
    #[must_use]
    pub fn counters(&self) -> &Arc<ShipperCounters> {
        &self.counters
    }

    /// What the sink has met since the start.
    #[must_use]
    pub fn sink_counters(&self) -> &Arc<SinkCounters> {
        &self.sink_counters
    }

    /// Everything below has arrived, and the checkpoint says so.
    #[must_use]
    pub fn checkpoint(&self) -> Position {
        Position::new(self.counters.checkpoint.load(Ordering::Relaxed))
    }

    /// What keeps records from arriving just now although no step fails, see [`Sink::trouble`].
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.sink.trouble()
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

    /// When the checkpoint is to be written next; `None`: it is written.
    pub(crate) fn due(&self) -> Option<Duration> {
        let interval = self.options.checkpoint_interval.std();
        self.unsaved.map(|_| interval.saturating_sub(self.saved.elapsed()))
    }

    fn save_when_due(&mut self) -> Result<(), ShipError> {
        let built_on = self.unsaved.is_some_and(|arrived| arrived.state) && self.sink.builds_on_checkpoint();
        let now = built_on || self.due().is_some_and(|due| due.is_zero());
        if now { self.save() } else { Ok(()) }
    }

    /// Nothing waits for delivery, so all that was read has arrived or never will.
    fn pass_by(&mut self) {
        let position = self.reader.position();
        if position > self.checkpoint.position {
            self.checkpoint.position = position;
            self.unsaved.get_or_insert_default();
        }
    }

    /// Reads until the window is full; returns how many records were read, also those that are not for this sink.
    fn fill(&mut self) -> Result<usize, ShipError> {
        let mut read = 0;
        while self.window.len() == 0 && read == 0 || self.has_room(read) {
            match self.reader.read_next() {
                Ok(None) => break,
                Ok(Some(record)) => {
                    read += 1;
                    let (position, seen) = (record.position, self.source.view.see(record.payload));
                    match seen {
                        Seen::Shown(None) => {
                            self.window.push(JournalEntry { position, json: record.payload.to_vec() });
                        }
                        Seen::Shown(Some(json)) => self.window.push(JournalEntry { position, json }),
                        Seen::Withheld => {
                            self.counters.withheld.fetch_add(1, Ordering::Relaxed);
                        }
                        Seen::Undecodable(reason) => self.count_undecodable(position, &reason),
                    }
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
                    if self.window.len() == 0 {
                        return Err(ShipError::Journal { source });
                    }
                    break;
                }
            }
        }
        self.count_damaged();
        self.look_at_front();
        Ok(read)
    }

    /// Withheld records count as well: a step ends, however many there are of them.
    fn has_room(&self, read: usize) -> bool {
        let ShipperOptions { window_records, window_bytes, .. } = self.options;
        self.window.len() < window_records && self.window.bytes() < window_bytes && read < window_records
    }

    fn look_at_front(&mut self) {
        let front = self.window.first().map(|entry| entry.position);
        if front != self.front {
            self.front = front;
            let oldest = self.window.first().and_then(|entry| happened_ms(&entry.json)).unwrap_or(0);
            self.counters.oldest_unshipped_ms.store(oldest, Ordering::Relaxed);
        }
    }

    fn count_undecodable(&self, position: Position, reason: &serde_json::Error) {
        let (sink, reason) = (self.sink.name(), reason as &dyn std::error::Error);
        error!(sink, position = position.index(), reason, "record cannot be decoded, the sink does not get it");
        self.counters.undecodable.fetch_add(1, Ordering::Relaxed);
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

fn reader_at(source: &JournalSource, position: Position) -> JournalReader {
    JournalReader::on(Arc::clone(&source.storage), position)
}

/// The first record that is still there.
fn beginning(source: &JournalSource) -> Result<Position, ShipError> {
    match reader_at(source, Position::ZERO).read_next() {
        Err(LogError::Truncated { first, .. }) => Ok(first),
        Err(source) => Err(ShipError::Journal { source }),
        Ok(_) => Ok(Position::ZERO),
    }
}

/// The latest time a record tells of itself.
pub(crate) fn happened_ms(json: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Times {
        #[serde(default, with = "iso8601::option")]
        start_time: Option<UtcMs>,
        #[serde(default, with = "iso8601::option")]
        answer_time: Option<UtcMs>,
        #[serde(default, with = "iso8601::option")]
        end_time: Option<UtcMs>,
    }
    let Times { start_time, answer_time, end_time } = serde_json::from_slice(json).ok()?;
    [start_time, answer_time, end_time].into_iter().flatten().max().map(|time| time.0)
}
