//! Shipping again: a sink's checkpoint is set back, and its next start ships from there. What the sink had already it gets twice;
//! consumers know it by its `recordId`.
//!
//! Only while nobody runs the journal: a running shipper would write its own checkpoint over this one.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cdr_model::CallRecord;
use segment_log::{DirStorage, Error as LogError, LockGuard, Operation, Position, Storage};
use types::UtcMs;

use crate::archive::io_error;
use crate::checkpoint::{Checkpoint, file_name};
use crate::error::ShipError;
use crate::reader::JournalReader;

/// From where a sink gets records again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayFrom {
    /// This position in the journal.
    Position(Position),
    /// The first record of something that happened then or later, by the record's latest time.
    Time(UtcMs),
}

/// What is, or would be, shipped again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replay {
    /// Where the sink was.
    pub checkpoint: Position,
    /// Where it goes on.
    pub from: Position,
    /// Records between the two that are still there. A filter of the sink may leave out some.
    pub records: u64,
    /// Records between the two that were damaged or removed.
    pub lost: u64,
}

/// Sets the sink `sink` of the journal in `directory` back; with `apply` false it only tells what that would mean.
///
/// # Errors
/// [`ShipError::JournalInUse`], [`ShipError::InUse`], [`ShipError::NoCheckpoint`], [`ShipError::NotBack`], [`ShipError::Name`],
/// [`ShipError::Journal`], [`ShipError::Checkpoint`], [`ShipError::CheckpointForm`]. The checkpoint is then as it was.
pub fn replay(directory: impl AsRef<Path>, sink: &str, from: ReplayFrom, apply: bool) -> Result<Replay, ShipError> {
    replay_on(&(Arc::new(DirStorage::at(directory.as_ref())) as Arc<dyn Storage>), sink, from, apply)
}

/// [`replay`] on any storage.
///
/// # Errors
/// As [`replay`].
pub fn replay_on(storage: &Arc<dyn Storage>, sink: &str, from: ReplayFrom, apply: bool) -> Result<Replay, ShipError> {
    let name = file_name(sink)?;
    let disk = storage.as_ref();
    // The journal's own lock, then the shipper's: one may run without the other.
    let in_use = || ShipError::JournalInUse { directory: disk.directory().to_path_buf() };
    let _journal = take(disk, "LOCK")?.ok_or_else(in_use)?;
    let _shipper = take(disk, &format!("{sink}.lock"))?.ok_or_else(|| ShipError::InUse { name: sink.to_owned() })?;
    let stored = Checkpoint::load(disk, &name)?.ok_or_else(|| ShipError::NoCheckpoint { sink: sink.to_owned() })?;
    let planned = plan(storage, sink, stored.position, from)?;
    if apply && planned.from < stored.position {
        Checkpoint { position: planned.from, ..stored }.save(disk, &name)?;
    }
    Ok(planned)
}

fn take(storage: &dyn Storage, name: &str) -> Result<Option<LockGuard>, ShipError> {
    storage.lock(name).map_err(|e| ShipError::Journal { source: io_error(Operation::Lock, storage, name, e) })
}

fn plan(storage: &Arc<dyn Storage>, sink: &str, checkpoint: Position, from: ReplayFrom) -> Result<Replay, ShipError> {
    let wanted = match from {
        ReplayFrom::Position(wanted) if wanted > checkpoint => {
            return Err(ShipError::NotBack { sink: sink.to_owned(), checkpoint, wanted });
        }
        ReplayFrom::Position(wanted) => wanted,
        ReplayFrom::Time(_) => Position::ZERO,
    };
    let mut reader = reader_at(storage, wanted, from);
    let mut begin = if let ReplayFrom::Position(wanted) = from { Some(wanted) } else { None };
    let (mut records, mut lost_before) = (0, 0);
    loop {
        let record = match reader.read_next() {
            Ok(Some(record)) if record.position < checkpoint => record,
            Ok(_) => break,
            Err(LogError::Truncated { first, .. }) => {
                if first >= checkpoint {
                    break;
                }
                begin = begin.map(|begin: Position| begin.max(first));
                reader = reader_at(storage, first, from);
                continue;
            }
            Err(source) => return Err(ShipError::Journal { source }),
        };
        let position = record.position;
        if begin.is_none() && !matches!(from, ReplayFrom::Time(time) if happened(record.payload) >= Some(time)) {
            continue;
        }
        if begin.is_none() {
            (begin, lost_before) = (Some(position), reader.skipped().records);
        }
        records += 1;
    }
    let lost = reader.skipped().records.saturating_sub(lost_before);
    Ok(Replay { checkpoint, from: begin.unwrap_or(checkpoint), records, lost })
}

fn reader_at(storage: &Arc<dyn Storage>, position: Position, from: ReplayFrom) -> JournalReader {
    let reader = JournalReader::on(Arc::clone(storage), position);
    match from {
        ReplayFrom::Position(_) => reader,
        ReplayFrom::Time(time) => {
            let since_1970 = Duration::from_millis(u64::try_from(time.0).unwrap_or(0));
            reader.written_since(SystemTime::UNIX_EPOCH + since_1970)
        }
    }
}

/// The latest time a record tells; `None` when it cannot be read.
fn happened(json: &[u8]) -> Option<UtcMs> {
    let record = CallRecord::from_json(json).ok()?;
    Some(record.end_time.or(record.answer_time).unwrap_or(record.start_time))
}
