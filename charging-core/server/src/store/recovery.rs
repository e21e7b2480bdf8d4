//! From the disk to the books: the snapshot, then every change after it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use ledger::{AHEAD, About, Books, Change};
use segment_log::{CorruptPolicy, Log, Options, Position, Records, Storage, Verify};
use tracing::{info, warn};

use super::{CoreError, entry, snapshot};
use crate::tariffs::{TariffError, Tariffs};

/// What recovery brings.
pub(super) struct Opened {
    pub(super) books: Books,
    pub(super) log: Log,
    /// Everything before this is in the snapshot.
    pub(super) snapshot_at: Position,
    /// What it takes; 0 without one.
    pub(super) snapshot_octets: u64,
    /// What the log behind it takes.
    pub(super) log_octets: u64,
}

/// The books after a replay.
pub(super) struct Replayed {
    pub(super) books: Books,
    /// What was read of the log.
    pub(super) octets: u64,
}

/// Opens the log, which locks it, and reads the books; new segments of the log take so many octets.
pub(super) fn open(storage: Arc<dyn Storage>, segment_bytes: u64) -> Result<Opened, CoreError> {
    let snapshot::Kept { mut books, at: mut start, mut octets, .. } = snapshot::read(&*storage)?;
    let (corrupt, verify) = (CorruptPolicy::Refuse, Verify::LastSegment);
    let options = Options { segment_bytes, corrupt, verify, start, ..Options::default() };
    let (log, recovered) = Log::open(storage, options)?;
    if let Some(torn) = &recovered.torn_tail {
        warn!(?torn, "the last, never acknowledged, write to the ledger was torn and is cut off");
    }
    if log.first() > start {
        // Whoever held the lock until now has made another one since.
        snapshot::Kept { books, at: start, octets, .. } = snapshot::read(&**log.storage())?;
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
    let Replayed { books, octets: log_octets } = replay(books, &log, snapshot_at)?;
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
    Ok(Opened { books, log, snapshot_at, snapshot_octets: octets, log_octets })
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

/// Applies every durable entry from `from` on. Another thread reads and decodes meanwhile.
pub(super) fn replay(mut books: Books, log: &Log, from: Position) -> Result<Replayed, CoreError> {
    let (decoded, entries) = sync_channel(CHUNKS_AHEAD);
    let records = log.records(from);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || decode_all(records, &decoded));
        for chunk in entries {
            apply(&mut books, &chunk)?;
        }
        // What it could not read comes after all that it could.
        let octets = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(Replayed { books, octets })
    })
}

/// Entries by position, some together.
pub(super) type Chunk = Vec<(u64, Vec<Change>)>;

/// Applies entries in their order.
pub(super) fn apply(books: &mut Books, entries: &[(u64, Vec<Change>)]) -> Result<(), CoreError> {
    for some in entries.chunks(AHEAD) {
        books.look_ahead(some.iter().filter_map(|(_, changes)| About::changes(changes)));
        for (position, changes) in some {
            let applied = books.apply_all(changes);
            applied.map_err(|error| CoreError::Entry { position: *position, reason: error.to_string() })?;
        }
    }
    Ok(())
}

fn decode_all(mut records: Records, decoded: &SyncSender<Chunk>) -> Result<u64, CoreError> {
    let mut octets = 0;
    let mut chunk = Chunk::with_capacity(CHUNK);
    while let Some(record) = records.read_next()? {
        let position = record.position.index();
        octets += snapshot::octets_of(record.payload);
        chunk.push((position, entry::decode(position, record.payload)?));
        // Whoever applied them may have found one that does not fit.
        if chunk.len() >= CHUNK && decoded.send(std::mem::replace(&mut chunk, Chunk::with_capacity(CHUNK))).is_err() {
            return Ok(octets);
        }
    }
    drop(decoded.send(chunk));
    Ok(octets)
}

const CHUNK: usize = 256;
const CHUNKS_AHEAD: usize = 8;
