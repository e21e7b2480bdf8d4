//! Reading a journal for people, archives included, while it is written or not, without its lock.
//!
//! Records come in the order of the journal, each `recordId` once: the first durable one wins. What is damaged or cannot be
//! decoded is passed by and counted.

use std::collections::HashSet;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cdr_model::CallRecord;
use segment_log::{DirStorage, Error as LogError, Position, Storage};

use crate::error::JournalError;
use crate::filters::Filters;
use crate::reader::JournalReader;
use crate::recent::{AsItIs, Key, Keys};

/// How often a following reader looks for more: quick enough for people, cheap enough to forget about.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(100);

/// A record and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRecord {
    /// Its place in the journal.
    pub position: Position,
    /// The record.
    pub record: CallRecord,
    /// The record as it stands in the journal: with everything that a later release wrote and this one does not know.
    pub json: Vec<u8>,
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
    let committed = JournalReader::on(Arc::clone(&storage), Position::ZERO).committed()?;
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
    let committed = JournalReader::on(Arc::clone(&storage), Position::ZERO).committed()?;
    Ok(JournalRecords::new(storage, Position::ZERO, Some(committed), filters))
}

/// Records of a journal. After an error there are no more.
#[derive(Debug)]
pub struct JournalRecords {
    storage: Arc<dyn Storage>,
    reader: JournalReader,
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
        let reader = reader_at(&storage, from, &filters);
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

    /// Positions still to be read, as of when the search began; `None` when it waits for more.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.end.map(|end| end.index().saturating_sub(self.reader.position().index()))
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
                Ok(decoded) => {
                    let (position, json) = (record.position, record.payload.to_vec());
                    Look::Record(Box::new(JournalRecord { position, record: decoded, json }))
                }
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
                    self.reader = reader_at(&self.storage, first, &self.filters);
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

/// The ids that came by.
#[derive(Default)]
pub(crate) struct Seen {
    keys: Keys,
    ids: HashSet<Key, BuildHasherDefault<AsItIs>>,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").field("ids", &self.ids.len()).finish_non_exhaustive()
    }
}

impl Seen {
    /// False when it was there.
    pub fn insert(&mut self, id: &str) -> bool {
        self.ids.insert(self.keys.of(id))
    }
}

fn reader_at(storage: &Arc<dyn Storage>, position: Position, filters: &Filters) -> JournalReader {
    let reader = JournalReader::on(Arc::clone(storage), position);
    match filters.since {
        // Nobody was called before 1970.
        Some(since) => {
            let since = Duration::from_millis(u64::try_from(since.0).unwrap_or(0));
            reader.written_since(SystemTime::UNIX_EPOCH + since)
        }
        None => reader,
    }
}
