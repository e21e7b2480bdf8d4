//! From the disk to the books: the snapshot, then every change after it.

use std::path::Path;
use std::sync::Arc;

use ledger::Books;
use segment_log::{CorruptPolicy, Log, Options, Position, Storage, Verify};
use tracing::{info, warn};

use super::{CoreError, entry, snapshot};
use crate::tariffs::{TariffError, Tariffs};

/// What recovery brings.
pub(super) struct Opened {
    pub(super) books: Books,
    pub(super) log: Log,
    /// Everything before this is in the snapshot.
    pub(super) snapshot_at: Position,
}

/// Opens the log, which locks it, and reads the books.
pub(super) fn open(storage: Arc<dyn Storage>) -> Result<Opened, CoreError> {
    let snapshot::Kept { mut books, at: mut start, .. } = snapshot::read(&*storage)?;
    let options = Options { corrupt: CorruptPolicy::Refuse, verify: Verify::LastSegment, start, ..Options::default() };
    let (log, recovered) = Log::open(storage, options)?;
    if let Some(torn) = &recovered.torn_tail {
        warn!(?torn, "the last, never acknowledged, write to the ledger was torn and is cut off");
    }
    if log.first() > start {
        // Whoever held the lock until now has made another one since.
        snapshot::Kept { books, at: start, .. } = snapshot::read(&**log.storage())?;
    }
    if log.first() > start {
        let (start, first) = (start.index(), log.first().index());
        return Err(CoreError::Snapshot {
            reason: format!("it stands at {start}, and the log begins at {first} only"),
        });
    }
    let snapshot_at = start;
    if log.next() < snapshot_at {
        // What is appended before the snapshot's place would never be read again.
        let reason = format!("the log ends before it, the snapshot stands at {}", snapshot_at.index());
        return Err(CoreError::Entry { position: log.next().index(), reason });
    }
    let books = replay(books, &log, snapshot_at)?;
    if let Err(imbalance) = books.check() {
        return Err(CoreError::Entry { position: log.next().index(), reason: imbalance.to_string() });
    }
    info!(
        accounts = books.account_count(),
        open_sessions = books.open_session_count(),
        snapshot_at = snapshot_at.index(),
        records_replayed = log.next().index().saturating_sub(snapshot_at.index()),
        "ledger recovered"
    );
    Ok(Opened { books, log, snapshot_at })
}

/// Every kept session can be priced again: its version is held in memory, or the first that cannot be read is an error.
pub(super) fn hold_tariffs(books: &Books, tariffs: &Tariffs, kept_in: &Path) -> Result<(), CoreError> {
    for version in books.plan_versions() {
        tariffs.hold(version).map_err(|error| match error {
            TariffError::NotKept { .. } => CoreError::MissingTariff { version, folder: kept_in.into() },
            error => CoreError::Tariff(error),
        })?;
    }
    Ok(())
}

/// Applies every durable entry from `from` on.
pub(super) fn replay(mut books: Books, log: &Log, from: Position) -> Result<Books, CoreError> {
    let mut records = log.records(from);
    while let Some(record) = records.read_next()? {
        let position = record.position.index();
        let changes = entry::decode(position, record.payload)?;
        books.apply_all(&changes).map_err(|error| CoreError::Entry { position, reason: error.to_string() })?;
    }
    Ok(books)
}
