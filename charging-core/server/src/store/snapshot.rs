//! Snapshots: the books at a position, so that the log before it can go.
//!
//! Made by threads of their own from the files alone (the last snapshot and the log behind it), so that the ledger
//! never waits for one, and step by step, at a [`Pace`]. Costs a second copy of the books in memory while it runs; sessions that are over and of which the log says
//! nothing are copied from file to file as they are.
//!
//! The last two are kept, and the log reaches back to the older one: a newest snapshot that the disk has damaged costs a
//! longer start and nothing else. Until the log has been cut, it has everything: then no snapshot is needed at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ledger::{AHEAD, Books, BooksOfFormat1, BooksOfFormat2, Change, Replica, pack};
use segment_log::{CorruptPolicy, Error, Operation, Position, Reader, Storage, read_snapshot, write_snapshot};
use serde::Deserialize;
use tracing::error;

use super::pace::Pace;
use super::{CoreError, entry, recovery};

pub(crate) const NEWEST: &str = "books";
pub(crate) const PREVIOUS: &str = "books.previous";
/// Whole, and not yet in its place.
const NEXT: &str = "books.next";
/// Of what is written. 2 had sessions as structures in a map and lists of them by account, client and time; 1 had neither balances
/// beside the main one nor limits. Both are read.
const VERSION: u8 = 3;

/// A snapshot as it was read.
pub(crate) struct Kept {
    pub(crate) books: Books,
    /// The position of the first change that is not in them.
    pub(crate) at: Position,
    /// The file's content, as it is; absent when there is no snapshot yet.
    pub(crate) content: Option<Vec<u8>>,
    /// What it takes; 0 when there is none.
    pub(crate) octets: u64,
}

/// The newest snapshot that can be read; empty books at 0 where there is none, or where none can be read and the log has everything
/// that ever was.
pub(crate) fn read(storage: &dyn Storage) -> Result<Kept, CoreError> {
    match find(storage)? {
        Some(found) => decode_books(storage, found),
        None => Ok(Kept { books: Books::new(), at: Position::ZERO, content: None, octets: 0 }),
    }
}

/// The snapshot of that name; `None` when there is none.
pub(crate) fn read_named(storage: &dyn Storage, name: &'static str) -> Result<Option<Kept>, CoreError> {
    let found = read_snapshot(storage, name)?.map(|content| Found { name, content });
    found.map(|found| decode_books(storage, found)).transpose()
}

/// A snapshot that checks, and is not decoded yet.
struct Found {
    name: &'static str,
    content: Vec<u8>,
}

/// The newest that checks.
fn find(storage: &dyn Storage) -> Result<Option<Found>, CoreError> {
    let damage = match read_snapshot(storage, NEWEST) {
        Ok(Some(content)) => return Ok(Some(Found { name: NEWEST, content })),
        // Between two renames.
        Ok(None) => None,
        Err(damage @ Error::Corrupt { .. }) => Some(damage),
        Err(error) => return Err(error.into()),
    };
    match (read_snapshot(storage, PREVIOUS), damage) {
        (Ok(Some(content)), damage) => {
            if let Some(damage) = damage {
                let error = &damage as &dyn std::error::Error;
                error!(
                    error,
                    "the newest ledger snapshot is damaged: going on from the one before it and the log, nothing is \
                     lost; check the disk"
                );
            }
            Ok(Some(Found { name: PREVIOUS, content }))
        }
        (Ok(None) | Err(Error::Corrupt { .. }), Some(damage)) | (Err(damage @ Error::Corrupt { .. }), None) => {
            without_any(storage, damage).map(|()| None)
        }
        (Err(_), Some(error)) | (Err(error), None) => Err(error.into()),
        (Ok(None), None) => Ok(None),
    }
}

/// Every snapshot is damaged: well, where the log begins with the first record there ever was; otherwise the damage.
fn without_any(storage: &dyn Storage, damage: Error) -> Result<(), CoreError> {
    let first = segment_log::segments(storage)?.into_iter().next().map(|segment| segment.first);
    if first != Some(Position::ZERO) {
        return Err(damage.into());
    }
    let error = &damage as &dyn std::error::Error;
    error!(
        error,
        "no ledger snapshot is good, and the log has everything: going on from the log alone, nothing is lost; check \
         the disk"
    );
    Ok(())
}

fn decode_books(storage: &dyn Storage, found: Found) -> Result<Kept, CoreError> {
    let (at, books) = decode(storage, &found)?;
    Ok(Kept { books, at, octets: octets_of(&found.content), content: Some(found.content) })
}

/// Where it stands, and the books as wanted: whole, or to be written again.
fn decode<'c, T: From<Books> + Deserialize<'c>>(
    storage: &dyn Storage,
    found: &'c Found,
) -> Result<(Position, T), CoreError> {
    let fault = |reason: String| CoreError::Snapshot { reason };
    let unfit = |error: postcard::Error| fault(error.to_string());
    let (at, books) = match found.content.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(unfit)?,
        Some((2, rest)) => {
            let (at, books): (u64, BooksOfFormat2) = postcard::from_bytes(rest).map_err(unfit)?;
            (at, Books::from(books).into())
        }
        Some((1, rest)) => {
            let (at, books): (u64, BooksOfFormat1) = postcard::from_bytes(rest).map_err(unfit)?;
            (at, Books::from(books).into())
        }
        Some((version, _)) => {
            let file = storage.path(found.name);
            return Err(CoreError::NewerSnapshot { file, found: *version, supported: VERSION });
        }
        None => return Err(fault("it is empty".to_owned())),
    };
    Ok((Position::new(at), books))
}

/// A snapshot that was made.
pub(super) struct Made {
    /// The position of the first change that is not in it.
    pub(super) at: Position,
    /// Where the one before it stands: the log up to there can go.
    pub(super) previous: Position,
    /// What it takes on the disk.
    pub(super) octets: u64,
}

/// Makes a snapshot of everything durable before `until`, in steps. `None` when `stopping` was set before it was written.
pub(super) fn make(
    storage: &Arc<dyn Storage>,
    until: Position,
    pace: &Pace,
    stopping: &AtomicBool,
) -> Result<Option<Made>, CoreError> {
    let found = pace.step(|| find(&**storage))??;
    let (from, mut replica) = match &found {
        Some(found) => pace.step(|| decode::<Replica<'_>>(&**storage, found))??,
        None => (Position::ZERO, Replica::default()),
    };
    let mut room = found.as_ref().map_or(0, |found| octets_of(&found.content));
    let mut reader = Reader::on(Arc::clone(storage), from, CorruptPolicy::Refuse);
    let mut at = from;
    while at < until {
        if stopping.load(Ordering::Acquire) {
            return Ok(None);
        }
        let end = Position::new(at.index().saturating_add(STEP_RECORDS).min(until.index()));
        let (reached, octets) = pace.step(|| replay(&mut replica, &mut reader, at, end))??;
        room += octets;
        if reached == at {
            break;
        }
        at = reached;
    }
    let fault = |error: ledger::PackError| CoreError::Snapshot { reason: error.to_string() };
    // All the room at once, as far as it can be told: growing would copy everything again and again.
    let mut content = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
    content.push(VERSION);
    pack(&at.index(), &mut content).map_err(fault)?;
    for part in replica.parts() {
        pace.step(|| pack(&part, &mut content))?.map_err(fault)?;
    }
    pace.step(|| drop(replica))?;
    let is_newest = found.is_some_and(|found| found.name == NEWEST);
    pace.step(|| write_snapshot(&**storage, NEXT, &content))??;
    let rename = |from: &str, to: &str| {
        let failed = |source: std::io::Error| Error::Io {
            operation: Operation::Rename,
            file: storage.path(from),
            source: Arc::new(source),
        };
        storage.rename(from, to).map_err(failed)
    };
    if is_newest {
        rename(NEWEST, PREVIOUS)?;
    }
    rename(NEXT, NEWEST)?;
    let failed = |source: std::io::Error| Error::Poisoned {
        operation: Operation::SyncDir,
        file: storage.directory().into(),
        source: Arc::new(source),
    };
    storage.sync_dir().map_err(failed)?;
    Ok(Some(Made { at, previous: from, octets: octets_of(&content) }))
}

/// Applies the log from `at` up to `end`; how far it got, and what was read in octets.
fn replay(
    replica: &mut Replica<'_>,
    reader: &mut Reader,
    mut at: Position,
    end: Position,
) -> Result<(Position, u64), CoreError> {
    let mut octets = 0;
    let mut some = recovery::Chunk::with_capacity(AHEAD);
    while at < end
        && let Some(record) = reader.read_next()?
    {
        let position = record.position.index();
        octets += octets_of(record.payload);
        some.push((position, entry::decode(position, record.payload)?));
        at = record.position.next();
        if some.len() >= AHEAD {
            apply(replica, &some)?;
            some.clear();
        }
    }
    apply(replica, &some)?;
    Ok((at, octets))
}

fn apply(replica: &mut Replica<'_>, entries: &[(u64, Vec<Change>)]) -> Result<(), CoreError> {
    for (position, changes) in entries {
        replica.announce(changes).map_err(|reason| CoreError::Entry { position: *position, reason })?;
    }
    recovery::apply(replica.books_mut(), entries)
}

/// Of the log, applied in one step: some tenths of a second of a processor.
const STEP_RECORDS: u64 = 1 << 16;

/// What content takes.
pub(crate) fn octets_of(content: &[u8]) -> u64 {
    u64::try_from(content.len()).unwrap_or(u64::MAX)
}
