//! Reading a journal for people, while it is written or not, without its lock.
//!
//! Records come in the order of the journal, each `recordId` once: the first durable one wins. What is damaged or cannot be
//! decoded is passed by and counted.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cdr_model::CallRecord;
use segment_log::{CorruptPolicy, DirStorage, Error as LogError, Position, Reader, Storage};

use crate::error::JournalError;
use crate::filters::Filters;

/// How often a following reader looks for more: quick enough for people, cheap enough to forget about.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(100);

/// A record and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRecord {
    /// Its place in the journal.
    pub position: Position,
    /// The record.
    pub record: CallRecord,
}

/// The last `n` records of the journal in `directory`, and with `follow` all that come after: the iterator then waits for them
/// (100 ms between two looks) and never ends by itself. A journal that does not exist is an empty one.
///
/// # Errors
/// [`JournalError::Log`] when the journal cannot be read or is of a later release.
pub fn tail(directory: impl AsRef<Path>, follow: bool, n: usize) -> Result<JournalRecords, JournalError> {
    tail_on(Arc::new(DirStorage::at(directory.as_ref())), follow, n)
}

/// [`tail`] on any storage.
///
/// # Errors
/// As [`tail`].
pub fn tail_on(storage: Arc<dyn Storage>, follow: bool, n: usize) -> Result<JournalRecords, JournalError> {
    let committed = reader_at(&storage, Position::ZERO).committed()?;
    let from = committed.index().saturating_sub(u64::try_from(n).unwrap_or(u64::MAX));
    let end = if follow { None } else { Some(committed) };
    Ok(JournalRecords::new(storage, Position::new(from), end, Filters::default()))
}

/// The records in `directory` that match, oldest first, as of now. Reads the whole journal; keeps 16 octets for each record read.
///
/// # Errors
/// As [`tail`].
pub fn search(directory: impl AsRef<Path>, filters: Filters) -> Result<JournalRecords, JournalError> {
    search_on(Arc::new(DirStorage::at(directory.as_ref())), filters)
}

/// [`search`] on any storage.
///
/// # Errors
/// As [`tail`].
pub fn search_on(storage: Arc<dyn Storage>, filters: Filters) -> Result<JournalRecords, JournalError> {
    let committed = reader_at(&storage, Position::ZERO).committed()?;
    Ok(JournalRecords::new(storage, Position::ZERO, Some(committed), filters))
}

/// Records of a journal. After an error there are no more.
#[derive(Debug)]
pub struct JournalRecords {
    storage: Arc<dyn Storage>,
    reader: Reader,
    /// Absent: waits for more.
    end: Option<Position>,
    filters: Filters,
    seen: Seen,
    duplicates: u64,
    undecodable: u64,
    damaged: u64,
    failed: bool,
}

impl JournalRecords {
    fn new(storage: Arc<dyn Storage>, from: Position, end: Option<Position>, filters: Filters) -> Self {
        let reader = reader_at(&storage, from);
        let seen = Seen::default();
        Self { storage, reader, end, filters, seen, duplicates: 0, undecodable: 0, damaged: 0, failed: false }
    }

    /// Records passed by because one with their `recordId` came before.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Records passed by because they are no call records of this release.
    #[must_use]
    pub fn undecodable(&self) -> u64 {
        self.undecodable
    }

    /// Records lost by damage.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged.saturating_add(self.reader.skipped().records)
    }

    fn look(&mut self) -> Look {
        if self.failed || self.end.is_some_and(|end| self.reader.position() >= end) {
            return Look::End;
        }
        match self.reader.read_next() {
            Ok(None) if self.end.is_some() => Look::End,
            Ok(None) => Look::NothingYet,
            Ok(Some(record)) if self.end.is_some_and(|end| record.position >= end) => Look::End,
            Ok(Some(record)) => match CallRecord::from_json(record.payload) {
                Ok(decoded) => Look::Record(Box::new(JournalRecord { position: record.position, record: decoded })),
                Err(_) => Look::Undecodable,
            },
            Err(LogError::Truncated { first, .. }) => Look::BeginAt(first),
            Err(error) => Look::Failed(error),
        }
    }
}

enum Look {
    Record(Box<JournalRecord>),
    Undecodable,
    NothingYet,
    /// What stood before was removed.
    BeginAt(Position),
    End,
    Failed(LogError),
}

impl Iterator for JournalRecords {
    type Item = Result<JournalRecord, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.look() {
                Look::End => return None,
                Look::NothingYet => std::thread::park_timeout(FOLLOW_INTERVAL),
                Look::Undecodable => self.undecodable += 1,
                Look::BeginAt(first) => {
                    self.damaged = self.damaged();
                    self.reader = reader_at(&self.storage, first);
                }
                Look::Failed(error) => {
                    self.failed = true;
                    return Some(Err(error.into()));
                }
                Look::Record(found) if !self.seen.insert(&found.record.record_id) => self.duplicates += 1,
                Look::Record(found) if self.filters.accept(&found.record) => return Some(Ok(*found)),
                Look::Record(_) => {}
            }
        }
    }
}

/// The ids that came by, as 128 bits each under two keys of this process: nobody can make two of them meet, and chance does not.
#[derive(Debug, Default)]
struct Seen {
    keys: [RandomState; 2],
    ids: HashSet<[u64; 2]>,
}

impl Seen {
    /// False when it was there.
    fn insert(&mut self, id: &str) -> bool {
        self.ids.insert(self.keys.each_ref().map(|key| key.hash_one(id)))
    }
}

fn reader_at(storage: &Arc<dyn Storage>, position: Position) -> Reader {
    Reader::on(Arc::clone(storage), position, CorruptPolicy::Skip)
}
