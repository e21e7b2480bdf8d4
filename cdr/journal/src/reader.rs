//! The whole journal in order, archives first: what shippers, searches and exports read.
//!
//! It begins in the segments. Where those have been removed it goes on in the archives, and comes back to the segments behind the
//! last one. It takes no lock; archives and segments may come and go while it reads.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use segment_log::{
    CorruptPolicy, Error as LogError, Operation, Position, Reader, Record, Skipped, Storage, StorageFile,
};

use crate::archive::{ArchiveFile, io_error, list_archives, written};
use crate::members::{Members, Step};

/// Clocks of switches may differ from ours; by less than this.
const CLOCK_SLACK: Duration = Duration::from_secs(24 * 3600);

/// Follows a journal through archives and segments. Damage is passed by and counted.
#[derive(Debug)]
pub struct JournalReader {
    storage: Arc<dyn Storage>,
    log: Reader,
    archive: Option<OpenArchive>,
    /// Archives still to be read before the segments.
    following: VecDeque<ArchiveFile>,
    /// The position that comes next while an archive is read.
    next: u64,
    /// Archives last written before that time are of no interest.
    since: Option<SystemTime>,
    damaged: Skipped,
    payload: Vec<u8>,
}

#[derive(Debug)]
struct OpenArchive {
    name: String,
    file: Box<dyn StorageFile>,
    members: Members,
    /// Octets of the member's lines that were passed on.
    taken: usize,
    /// The position of the line behind them.
    line: u64,
}

impl JournalReader {
    /// Reads the journal in `storage` from `from` on. It need not exist yet.
    #[must_use]
    pub fn on(storage: Arc<dyn Storage>, from: Position) -> Self {
        Self {
            log: log_at(&storage, from),
            storage,
            archive: None,
            following: VecDeque::new(),
            next: from.index(),
            since: None,
            damaged: Skipped::default(),
            payload: Vec::new(),
        }
    }

    /// Passes by archives that were finished before that time, with a day to spare: no record in them is of a call offered later.
    #[must_use]
    pub fn written_since(mut self, time: SystemTime) -> Self {
        self.since = time.checked_sub(CLOCK_SLACK);
        self
    }

    /// The next committed record; `None` when there is none yet: call again later.
    ///
    /// # Errors
    /// [`LogError::Truncated`] when neither segments nor archives have it any more: begin again at its `first`.
    /// [`LogError::NewerFormat`], [`LogError::Io`].
    pub fn read_next(&mut self) -> Result<Option<Record<'_>>, LogError> {
        loop {
            if let Some(position) = self.archived()? {
                return Ok(Some(Record { position: Position::new(position), payload: &self.payload }));
            }
            match self.log.read_next() {
                Ok(Some(record)) => {
                    // Copied, because the reader cannot lend in a loop.
                    self.payload.clear();
                    self.payload.extend_from_slice(record.payload);
                    let position = record.position;
                    return Ok(Some(Record { position, payload: &self.payload }));
                }
                Ok(None) => return Ok(None),
                Err(LogError::Truncated { wanted, first }) => self.enter_archives(wanted, first)?,
                Err(error) => return Err(error),
            }
        }
    }

    /// The position of the record that comes next.
    #[must_use]
    pub fn position(&self) -> Position {
        if self.in_archives() { Position::new(self.next) } else { self.log.position() }
    }

    /// The journal's first position that is not committed yet, read anew.
    ///
    /// # Errors
    /// [`LogError::NewerFormat`], [`LogError::Io`].
    pub fn committed(&mut self) -> Result<Position, LogError> {
        self.log.committed()
    }

    /// What was passed by because it is damaged or missing.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        let (mut all, log) = (self.damaged, self.log.skipped());
        all.regions = all.regions.saturating_add(log.regions);
        all.bytes = all.bytes.saturating_add(log.bytes);
        all.records = all.records.saturating_add(log.records);
        all
    }

    fn in_archives(&self) -> bool {
        self.archive.is_some() || !self.following.is_empty()
    }

    /// The segments begin at `first`: finds the archives that hold what lies before.
    fn enter_archives(&mut self, wanted: Position, first: Position) -> Result<(), LogError> {
        let archives: Vec<_> =
            list_archives(self.storage.as_ref())?.into_iter().filter(|archive| archive.first < first).collect();
        // The last one that begins at or before it may hold it.
        let from = archives.iter().rposition(|archive| archive.first <= wanted);
        let Some(earliest) = archives.get(from.unwrap_or(0)) else {
            return Err(LogError::Truncated { wanted, first });
        };
        if from.is_none() {
            return Err(LogError::Truncated { wanted, first: earliest.first });
        }
        self.next = wanted.index();
        self.following = archives.into_iter().skip(from.unwrap_or(0)).collect();
        self.damaged = self.skipped();
        // The segments that come behind the archives.
        self.log = log_at(&self.storage, first);
        Ok(())
    }

    /// The next record of the archives, in `payload`; `None` when they are at their end.
    fn archived(&mut self) -> Result<Option<u64>, LogError> {
        loop {
            let Some(archive) = &mut self.archive else {
                let Some(file) = self.following.pop_front() else { return Ok(None) };
                self.open(&file)?;
                if self.archive.is_none() && self.following.is_empty() {
                    self.lost_until(self.log.position().index());
                }
                continue;
            };
            if let Some(position) = archive.take_line(&mut self.payload) {
                if position >= self.next {
                    self.lost_until(position);
                    self.next = position + 1;
                    return Ok(Some(position));
                }
                continue;
            }
            let step = archive.members.step(archive.file.as_ref(), self.next);
            let step =
                step.map_err(|source| io_error(Operation::Read, self.storage.as_ref(), &archive.name, source))?;
            match step {
                Some(Step::Member(header)) => (archive.taken, archive.line) = (0, header.first),
                Some(Step::Damage { bytes }) => {
                    self.damaged.regions += 1;
                    self.damaged.bytes += bytes;
                }
                None => {
                    self.archive = None;
                    if self.following.is_empty() {
                        self.lost_until(self.log.position().index());
                    }
                }
            }
        }
    }

    fn open(&mut self, file: &ArchiveFile) -> Result<(), LogError> {
        let storage = self.storage.as_ref();
        if let Some(since) = self.since
            && let Some(following) = self.following.front().map_or(Some(self.log.position()), |next| Some(next.first))
            && written(storage, &file.name).is_ok_and(|written| written < since)
        {
            self.next = self.next.max(following.index());
            return Ok(());
        }
        match storage.open(&file.name, false) {
            // Removed since it was listed: too old to be kept.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => {
                let opened = other.map_err(|source| io_error(Operation::Open, storage, &file.name, source))?;
                let (name, members) = (file.name.clone(), Members::default());
                self.archive = Some(OpenArchive { name, file: opened, members, taken: 0, line: 0 });
                Ok(())
            }
        }
    }

    /// What should have stood before `position` was damaged, or is gone.
    fn lost_until(&mut self, position: u64) {
        self.damaged.records += position.saturating_sub(self.next);
        self.next = self.next.max(position);
    }
}

impl OpenArchive {
    fn take_line(&mut self, payload: &mut Vec<u8>) -> Option<u64> {
        let rest = self.members.lines().get(self.taken..)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        payload.clear();
        payload.extend_from_slice(rest.get(..end)?);
        self.taken += end + 1;
        self.line += 1;
        Some(self.line - 1)
    }
}

fn log_at(storage: &Arc<dyn Storage>, position: Position) -> Reader {
    Reader::on(Arc::clone(storage), position, CorruptPolicy::Skip)
}
