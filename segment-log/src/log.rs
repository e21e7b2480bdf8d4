//! The log itself: buffers records, writes them as batches, rotates and drops segments. No clock, and no threads but the one that
//! closes removed segments ([`crate::freeing`]).
//!
//! A commit ends in one of three ways: durable; taken back whole (no space; the log goes on); or the log is poisoned. There is no
//! fourth: a batch is never durable in part, because it lies in one segment and is cut off before `NoSpace` is reported.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::directory::DirStorage;
use crate::error::Error;
use crate::format::{FRAME_HEADER_BYTES, MAX_RECORD_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, push_frame};
use crate::freeing::Freeing;
use crate::mark::Mark;
use crate::options::Options;
use crate::position::Position;
use crate::reader::Records;
use crate::recovery::{OpenSegment, Recovered, recover};
use crate::segment::{UNFINISHED_SUFFIX, offset_of, segment_name};
use crate::storage::{LockGuard, Operation, Storage, is_no_space};

const LOCK: &str = "LOCK";

/// An open log; holds the directory's lock until dropped. Records not committed by then are gone.
#[derive(Debug)]
pub struct Log {
    storage: Arc<dyn Storage>,
    options: Options,
    salt: u64,
    /// Bases of all segments, ascending.
    bases: VecDeque<u64>,
    active: Option<OpenSegment>,
    mark: Mark,
    /// Frames of the batch being collected.
    batch: Vec<u8>,
    batch_records: u32,
    durable: Position,
    poison: Option<Error>,
    freeing: Freeing,
    _lock: Lock,
}

struct Lock(#[expect(dead_code, reason = "held, never read")] LockGuard);

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lock")
    }
}

/// Why a batch did not become durable.
#[derive(Debug)]
enum Failure {
    /// Nothing of it is on disk.
    NoSpace(io::Error),
    /// What is on disk is unknown.
    Broken(Operation, String, io::Error),
}

impl Log {
    /// Opens the log in `storage`, or begins one, and recovers it (see [`CorruptPolicy`](crate::CorruptPolicy)).
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::NewerFormat`], [`Error::Corrupt`] under `Refuse`, [`Error::OptionOutOfRange`], [`Error::Io`].
    pub fn open(storage: Arc<dyn Storage>, options: Options) -> Result<(Self, Recovered), Error> {
        options.check()?;
        let lock = storage.lock(LOCK).map_err(|e| Error::io(Operation::Lock, storage.path(LOCK), e))?;
        let Some(lock) = lock else {
            return Err(Error::Locked { directory: storage.directory().to_path_buf() });
        };
        let opened = recover(&storage, &options)?;
        let log = Self {
            salt: opened.salt,
            bases: opened.bases.into(),
            active: opened.active,
            mark: opened.mark,
            batch: Vec::new(),
            batch_records: 0,
            durable: opened.recovered.next,
            poison: None,
            freeing: Freeing::default(),
            _lock: Lock(lock),
            storage,
            options,
        };
        Ok((log, opened.recovered))
    }

    /// [`Log::open`] on a directory, which is created where missing.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_dir(directory: impl AsRef<Path>, options: Options) -> Result<(Self, Recovered), Error> {
        Self::open(Arc::new(DirStorage::create_dir(directory.as_ref())?), options)
    }

    /// Adds a record to the batch; it is not on disk before [`Log::commit`] returns.
    ///
    /// # Errors
    /// [`Error::RecordTooLong`], [`Error::RecordEmpty`]: this record only. [`Error::BatchFull`]: commit, then append it again.
    /// [`Error::Poisoned`]. The batch is unchanged by an error.
    pub fn append(&mut self, payload: &[u8]) -> Result<Position, Error> {
        self.check()?;
        let bytes = self.batch.len() + FRAME_HEADER_BYTES + payload.len();
        let limit = self.options.max_batch_bytes;
        let length = match u32::try_from(payload.len()) {
            Ok(length) if payload.len() <= MAX_RECORD_BYTES => length,
            _ => return Err(Error::RecordTooLong { bytes: payload.len(), limit: MAX_RECORD_BYTES }),
        };
        if length == 0 {
            return Err(Error::RecordEmpty);
        }
        if bytes > limit {
            return Err(Error::BatchFull { bytes, limit });
        }
        let position = self.next();
        if position >= Position::MAX {
            return Err(Error::Exhausted { last: Position::MAX });
        }
        push_frame(&mut self.batch, self.salt, position.index(), self.batch_records, length, payload);
        self.batch_records += 1;
        Ok(position)
    }

    /// Writes the batch and syncs it. Returns the new [`Log::durable`]. Without a batch nothing happens.
    ///
    /// # Errors
    /// [`Error::NoSpace`]: the batch is gone, its positions will be used again, the log can go on. [`Error::Poisoned`]: stop the
    /// process; whether the batch is on disk shows at the next opening.
    pub fn commit(&mut self) -> Result<Position, Error> {
        self.check()?;
        if self.batch_records == 0 {
            return Ok(self.durable);
        }
        let written = self.write_batch();
        let (next, batch_bytes) = (self.next(), offset_of(self.batch.len()));
        self.batch.clear();
        self.batch_records = 0;
        match written {
            Ok(()) => {
                self.durable = next;
                // A mark that lags is allowed and the next commit makes up for it.
                self.mark.publish(next);
                Ok(next)
            }
            Err(Failure::NoSpace(source)) => Err(Error::NoSpace {
                directory: self.storage.directory().to_path_buf(),
                batch_bytes,
                source: Arc::new(source),
            }),
            Err(Failure::Broken(operation, name, source)) => Err(self.poison(operation, &name, source)),
        }
    }

    /// Commits the batch and ends the current segment, so that it can be removed or kept elsewhere: the next record begins a new
    /// one. Nothing happens to a segment without a record. Returns [`Log::durable`].
    ///
    /// # Errors
    /// As [`Log::commit`].
    pub fn rotate(&mut self) -> Result<Position, Error> {
        self.commit()?;
        if self.active.as_ref().is_some_and(|active| !active.is_empty)
            && let Err(Failure::NoSpace(source) | Failure::Broken(_, _, source)) = self.seal()
        {
            let name = self.bases.back().map(|base| segment_name(*base)).unwrap_or_default();
            return Err(self.poison(Operation::SetLen, &name, source));
        }
        Ok(self.durable)
    }

    /// Drops the batch being collected, as if it had never been appended.
    pub fn discard(&mut self) {
        self.batch.clear();
        self.batch_records = 0;
    }

    /// Removes the segments that hold only records below `position`; the last segment stays. Returns the first position left. Their
    /// names are gone then, durably; the disk has their space back soon after, and by the time the log is dropped.
    ///
    /// # Errors
    /// [`Error::Io`]: not removed, try again later. [`Error::Poisoned`]: an fsync failed.
    pub fn truncate_front(&mut self, position: Position) -> Result<Position, Error> {
        self.check()?;
        while let (Some(first), Some(second)) = (self.bases.front().copied(), self.bases.get(1).copied()) {
            // Only what is durable may decide that a segment is over.
            if second > position.index() || second > self.durable.index() {
                break;
            }
            let name = segment_name(first);
            // Held so that the removal does not wait for its blocks; whatever hinders that does not hinder the removal.
            let held = self.storage.open(&name, false).ok();
            self.storage.remove(&name).map_err(|e| Error::io(Operation::Remove, self.storage.path(&name), e))?;
            // Synced one by one: were two removals to reach the disk in the wrong order, a crash would leave a gap.
            if let Err(source) = self.storage.sync_dir() {
                return Err(self.poison(Operation::SyncDir, "", source));
            }
            self.bases.pop_front();
            held.into_iter().for_each(|file| self.freeing.close(file));
        }
        Ok(self.first())
    }

    /// The durable records from `from` on, as of now. Independent of this log: it can be read while appending.
    ///
    /// Reading fails with [`Error::Truncated`] when `from` was removed; from [`Log::durable`] on there is nothing.
    #[must_use]
    pub fn records(&self, from: Position) -> Records {
        Records::new(Cursor::new(Arc::clone(&self.storage), self.options.corrupt, from, self.durable))
    }

    /// The first record still there; equal to [`Log::durable`] when there is none.
    #[must_use]
    pub fn first(&self) -> Position {
        self.bases.front().map_or(self.durable, |base| Position::new(*base))
    }

    /// All records below this are durable.
    #[must_use]
    pub fn durable(&self) -> Position {
        self.durable
    }

    /// The position the next [`Log::append`] will return.
    #[must_use]
    pub fn next(&self) -> Position {
        Position::new(self.durable.index().saturating_add(u64::from(self.batch_records)))
    }

    /// Records in the batch being collected.
    #[must_use]
    pub fn pending_records(&self) -> u32 {
        self.batch_records
    }

    /// Octets of the batch being collected, frame headers included.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.batch.len()
    }

    /// The files underneath, for snapshots beside the log.
    #[must_use]
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    fn check(&self) -> Result<(), Error> {
        self.poison.clone().map_or(Ok(()), Err)
    }

    fn poison(&mut self, operation: Operation, name: &str, source: io::Error) -> Error {
        let error = Error::Poisoned { operation, file: self.storage.path(name), source: Arc::new(source) };
        self.poison = Some(error.clone());
        error
    }

    fn write_batch(&mut self) -> Result<(), Failure> {
        let batch_bytes = offset_of(self.batch.len());
        if self
            .active
            .as_ref()
            .is_some_and(|active| !active.is_empty && active.offset + batch_bytes > self.options.segment_bytes)
        {
            self.seal()?;
        }
        if self.active.is_none() {
            self.create_segment(batch_bytes)?;
        }
        let segment_bytes = self.options.segment_bytes;
        let Some(active) = &mut self.active else {
            unreachable!("invariant: a segment was just created");
        };
        match active.reserve(batch_bytes, segment_bytes).and_then(|()| active.write(&self.batch)) {
            Err(Failure::NoSpace(source)) => {
                active.take_back()?;
                return Err(Failure::NoSpace(source));
            }
            other => other?,
        }
        active.file.sync_data().map_err(|e| active.broken(Operation::Sync, e))?;
        active.offset += batch_bytes;
        active.is_empty = false;
        Ok(())
    }

    /// Ends the current segment: its file gets exactly the length of its records, durably, before another exists.
    fn seal(&mut self) -> Result<(), Failure> {
        if let Some(active) = &mut self.active {
            active.take_back()?;
        }
        self.active = None;
        Ok(())
    }

    /// A segment appears under its name only with a durable header.
    fn create_segment(&mut self, batch_bytes: u64) -> Result<(), Failure> {
        let base = self.durable.index();
        let name = segment_name(base);
        let unfinished = format!("{base:020}{UNFINISHED_SUFFIX}");
        let file = match self.storage.create(&unfinished) {
            Err(source) if is_no_space(&source) => return Err(Failure::NoSpace(source)),
            other => other.map_err(|e| Failure::Broken(Operation::Create, unfinished.clone(), e))?,
        };
        let mut segment = OpenSegment { name: unfinished.clone(), file, offset: 0, reserved: 0, is_empty: true };
        let header = SegmentHeader { base, salt: self.salt }.encode();
        let needed = offset_of(SEGMENT_HEADER_BYTES) + batch_bytes;
        match segment.reserve(needed, self.options.segment_bytes).and_then(|()| segment.write(&header)) {
            Err(Failure::NoSpace(source)) => {
                drop(segment);
                self.storage.remove(&unfinished).map_err(|e| Failure::Broken(Operation::Remove, unfinished, e))?;
                return Err(Failure::NoSpace(source));
            }
            other => other?,
        }
        segment.file.sync_data().map_err(|e| segment.broken(Operation::Sync, e))?;
        self.storage.rename(&unfinished, &name).map_err(|e| segment.broken(Operation::Rename, e))?;
        self.storage.sync_dir().map_err(|e| Failure::Broken(Operation::SyncDir, String::new(), e))?;
        segment.name = name;
        segment.offset = offset_of(SEGMENT_HEADER_BYTES);
        self.bases.push_back(base);
        self.active = Some(segment);
        Ok(())
    }
}

impl OpenSegment {
    /// Makes room for `bytes` more: the whole segment at once if the disk has it, else just what is needed.
    fn reserve(&mut self, bytes: u64, segment_bytes: u64) -> Result<(), Failure> {
        let needed = self.offset + bytes;
        if needed <= self.reserved {
            return Ok(());
        }
        let whole = needed.max(segment_bytes);
        let allocated = match self.file.allocate(whole) {
            Err(error) if is_no_space(&error) && whole > needed => self.file.allocate(needed),
            other => other,
        };
        allocated.map_err(|e| self.failure(Operation::Allocate, e))?;
        self.reserved = self.file.length().map_err(|e| self.broken(Operation::Read, e))?;
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_at(bytes, self.offset).map_err(|e| self.failure(Operation::Write, e))
    }

    /// Cuts the file behind the last record, durably.
    fn take_back(&mut self) -> Result<(), Failure> {
        self.file.set_len(self.offset).map_err(|e| self.broken(Operation::SetLen, e))?;
        self.file.sync_all().map_err(|e| self.broken(Operation::Sync, e))?;
        self.reserved = self.offset;
        Ok(())
    }

    fn failure(&self, operation: Operation, source: io::Error) -> Failure {
        if is_no_space(&source) { Failure::NoSpace(source) } else { self.broken(operation, source) }
    }

    fn broken(&self, operation: Operation, source: io::Error) -> Failure {
        Failure::Broken(operation, self.name.clone(), source)
    }
}
