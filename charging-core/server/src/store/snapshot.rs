//! Snapshots: the books at a position, so that the log before it can go.
//!
//! Made by a thread of their own from the files alone (the last snapshot and the log behind it), so that the ledger
//! never waits for one. Costs a second copy of the books in memory while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ledger::{Books, BooksOfFormat1};
use segment_log::{CorruptPolicy, Position, Reader, Storage, read_snapshot, write_snapshot};

use super::{CoreError, entry};

const NAME: &str = "books";
const VERSION: u8 = 2;

/// The books and the position of the first change that is not in them; empty books at 0 without a snapshot.
pub(super) fn read(storage: &dyn Storage) -> Result<(Books, Position), CoreError> {
    let Some(content) = read_snapshot(storage, NAME)? else { return Ok((Books::new(), Position::ZERO)) };
    let fault = |reason: String| CoreError::Snapshot { reason };
    match content.split_first() {
        Some((&VERSION, rest)) => {
            let (at, books): (u64, Books) = postcard::from_bytes(rest).map_err(|error| fault(error.to_string()))?;
            Ok((books, Position::new(at)))
        }
        Some((1, rest)) => {
            let read: Result<(u64, BooksOfFormat1), _> = postcard::from_bytes(rest);
            let (at, books) = read.map_err(|error| fault(error.to_string()))?;
            Ok((books.into(), Position::new(at)))
        }
        Some((version, _)) => Err(fault(format!("it has format {version}, this release reads 1 to {VERSION}"))),
        None => Err(fault("it is empty".to_owned())),
    }
}

/// Makes a snapshot of everything durable before `until`. Returns where it stands; `None` when `stopping` was set
/// before it was written.
pub(super) fn make(
    storage: &Arc<dyn Storage>,
    until: Position,
    stopping: &AtomicBool,
) -> Result<Option<Position>, CoreError> {
    let (mut books, from) = read(&**storage)?;
    let mut reader = Reader::on(Arc::clone(storage), from, CorruptPolicy::Refuse);
    let mut at = from;
    while at < until
        && let Some(record) = reader.read_next()?
    {
        if stopping.load(Ordering::Acquire) {
            return Ok(None);
        }
        let position = record.position.index();
        let changes = entry::decode(position, record.payload)?;
        books.apply_all(&changes).map_err(|error| CoreError::Entry { position, reason: error.to_string() })?;
        at = record.position.next();
    }
    let fault = |error: postcard::Error| CoreError::Snapshot { reason: error.to_string() };
    let content = postcard::to_extend(&(at.index(), &books), vec![VERSION]).map_err(fault)?;
    write_snapshot(&**storage, NAME, &content)?;
    Ok(Some(at))
}
