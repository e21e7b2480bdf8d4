//! Snapshots: the books at a position, so that the log before it can go.
//!
//! Made by a thread of their own from the files alone (the last snapshot and the log behind it), so that the ledger
//! never waits for one. Costs a second copy of the books in memory while it runs.
//!
//! The last two are kept, and the log reaches back to the older one: a newest snapshot that the disk has damaged costs a
//! longer start and nothing else. Until the log has been cut, it has everything: then no snapshot is needed at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ledger::{AHEAD, Books, BooksOfFormat1, pack};
use segment_log::{CorruptPolicy, Error, Operation, Position, Reader, Storage, read_snapshot, write_snapshot};
use tracing::error;

use super::{CoreError, entry, recovery};

pub(crate) const NEWEST: &str = "books";
pub(crate) const PREVIOUS: &str = "books.previous";
/// Whole, and not yet in its place.
const NEXT: &str = "books.next";
const VERSION: u8 = 2;

/// A snapshot as it was read.
pub(crate) struct Kept {
    pub(crate) books: Books,
    /// The position of the first change that is not in them.
    pub(crate) at: Position,
    /// The file's content, as it is; absent when there is no snapshot yet.
    pub(crate) content: Option<Vec<u8>>,
    /// What it takes; 0 when there is none.
    pub(crate) octets: u64,
    /// Whether it is the newest there is.
    is_newest: bool,
}

/// The newest snapshot that can be read; empty books at 0 where there is none, or where none can be read and the log has everything
/// that ever was.
pub(crate) fn read(storage: &dyn Storage) -> Result<Kept, CoreError> {
    let damage = match read_named(storage, NEWEST) {
        Ok(Some(kept)) => return Ok(kept),
        // Between two renames.
        Ok(None) => None,
        Err(damage @ CoreError::Store(Error::Corrupt { .. })) => Some(damage),
        Err(error) => return Err(error),
    };
    match (read_named(storage, PREVIOUS), damage) {
        (Ok(Some(kept)), None) => Ok(kept),
        (Ok(Some(kept)), Some(damage)) => {
            let error = &damage as &dyn std::error::Error;
            error!(
                error,
                previous_at = kept.at.index(),
                "the newest ledger snapshot is damaged: going on from the one before it and the log, nothing is lost; \
                 check the disk"
            );
            Ok(kept)
        }
        (Ok(None) | Err(CoreError::Store(Error::Corrupt { .. })), Some(damage)) => without_any(storage, damage),
        (Err(damage @ CoreError::Store(Error::Corrupt { .. })), None) => without_any(storage, damage),
        (Err(_), Some(damage)) => Err(damage),
        (Ok(None), None) => Ok(Kept::none()),
        (Err(error), None) => Err(error),
    }
}

/// Nothing yet, where every snapshot is damaged and the log begins with the first record there ever was; otherwise the damage.
fn without_any(storage: &dyn Storage, damage: CoreError) -> Result<Kept, CoreError> {
    let first = segment_log::segments(storage)?.into_iter().next().map(|segment| segment.first);
    if first != Some(Position::ZERO) {
        return Err(damage);
    }
    let error = &damage as &dyn std::error::Error;
    error!(
        error,
        "no ledger snapshot is good, and the log has everything: going on from the log alone, nothing is lost; check the disk"
    );
    Ok(Kept::none())
}

impl Kept {
    /// Before the first snapshot.
    fn none() -> Self {
        Self { books: Books::new(), at: Position::ZERO, content: None, octets: 0, is_newest: false }
    }
}

/// The snapshot of that name; `None` when there is none.
pub(crate) fn read_named(storage: &dyn Storage, name: &str) -> Result<Option<Kept>, CoreError> {
    let Some(content) = read_snapshot(storage, name)? else { return Ok(None) };
    let fault = |reason: String| CoreError::Snapshot { reason };
    let (at, books) = match content.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(|error| fault(error.to_string()))?,
        Some((1, rest)) => {
            let read: Result<(u64, BooksOfFormat1), _> = postcard::from_bytes(rest);
            let (at, books) = read.map_err(|error| fault(error.to_string()))?;
            (at, books.into())
        }
        Some((version, _)) => {
            return Err(CoreError::NewerSnapshot { file: storage.path(name), found: *version, supported: VERSION });
        }
        None => return Err(fault("it is empty".to_owned())),
    };
    let octets = octets_of(&content);
    Ok(Some(Kept { books, at: Position::new(at), content: Some(content), octets, is_newest: name == NEWEST }))
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

/// Makes a snapshot of everything durable before `until`. `None` when `stopping` was set before it was written.
pub(super) fn make(
    storage: &Arc<dyn Storage>,
    until: Position,
    stopping: &AtomicBool,
) -> Result<Option<Made>, CoreError> {
    let Kept { mut books, at: from, is_newest, octets: mut room, .. } = read(&**storage)?;
    let mut reader = Reader::on(Arc::clone(storage), from, CorruptPolicy::Refuse);
    let mut at = from;
    let mut some = recovery::Chunk::with_capacity(AHEAD);
    while at < until
        && let Some(record) = reader.read_next()?
    {
        if stopping.load(Ordering::Acquire) {
            return Ok(None);
        }
        let position = record.position.index();
        room += octets_of(record.payload);
        some.push((position, entry::decode(position, record.payload)?));
        at = record.position.next();
        if some.len() >= AHEAD {
            recovery::apply(&mut books, &some)?;
            some.clear();
        }
    }
    recovery::apply(&mut books, &some)?;
    let fault = |error: ledger::PackError| CoreError::Snapshot { reason: error.to_string() };
    // All the room at once, as far as it can be told: growing would copy everything again and again.
    let mut content = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
    content.push(VERSION);
    pack(&(at.index(), &books), &mut content).map_err(fault)?;
    write_snapshot(&**storage, NEXT, &content)?;
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

/// What content takes.
pub(crate) fn octets_of(content: &[u8]) -> u64 {
    u64::try_from(content.len()).unwrap_or(u64::MAX)
}
