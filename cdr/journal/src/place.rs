//! How far the sinks of a journal are, by its directory alone: for when the process that ships is down.

use std::path::Path;
use std::sync::Arc;

use segment_log::{DirStorage, Error as LogError, Operation, Position, Storage};
use types::UtcMs;

use crate::checkpoint::{Checkpoint, file_name};
use crate::error::ShipError;
use crate::reader::JournalReader;
use crate::shipping::happened_ms;

/// A sink as its checkpoint and the journal tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkPlace {
    /// Its name.
    pub sink: String,
    /// Everything below has arrived.
    pub checkpoint: Position,
    /// The journal's first position that is not committed.
    pub committed: Position,
    /// The latest time that the first record not delivered tells of itself; absent: there is none, or it tells none. What a filter
    /// withholds counts until the shipper has passed it by.
    pub oldest_unshipped: Option<UtcMs>,
}

impl SinkPlace {
    /// Records committed and not delivered.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.committed.index().saturating_sub(self.checkpoint.index())
    }
}

/// All sinks that have a checkpoint in the journal of `directory`, by name. Takes no lock.
///
/// # Errors
/// [`ShipError::Journal`], [`ShipError::Checkpoint`], [`ShipError::CheckpointForm`].
pub fn places(directory: impl AsRef<Path>) -> Result<Vec<SinkPlace>, ShipError> {
    places_on(&(Arc::new(DirStorage::at(directory.as_ref())) as Arc<dyn Storage>))
}

/// [`places`] on any storage.
///
/// # Errors
/// As [`places`].
pub fn places_on(storage: &Arc<dyn Storage>) -> Result<Vec<SinkPlace>, ShipError> {
    let listed = storage.list().map_err(|source| ShipError::Journal {
        source: LogError::Io {
            operation: Operation::List,
            file: storage.directory().to_path_buf(),
            source: Arc::new(source),
        },
    })?;
    let mut sinks: Vec<&str> = listed.iter().filter_map(|name| name.strip_suffix(".checkpoint")).collect();
    sinks.sort_unstable();
    sinks.into_iter().filter_map(|sink| place(storage, sink).transpose()).collect()
}

fn place(storage: &Arc<dyn Storage>, sink: &str) -> Result<Option<SinkPlace>, ShipError> {
    let failed = |source| ShipError::Journal { source };
    let Some(Checkpoint { position: checkpoint, .. }) = Checkpoint::load(storage.as_ref(), &file_name(sink)?)? else {
        return Ok(None);
    };
    let mut reader = JournalReader::on(Arc::clone(storage), checkpoint);
    let committed = reader.committed().map_err(failed)?;
    let oldest_unshipped = loop {
        let at = reader.position();
        match reader.read_next() {
            Ok(record) => break record.and_then(|record| happened_ms(record.payload)).map(UtcMs),
            Err(LogError::Truncated { first, .. }) if first > at => {
                reader = JournalReader::on(Arc::clone(storage), first);
            }
            Err(source) => return Err(failed(source)),
        }
    };
    Ok(Some(SinkPlace { sink: sink.to_owned(), checkpoint, committed, oldest_unshipped }))
}
