//! The `MARK` file: the first position that is not durable yet, for readers in other processes and for recovery.
//!
//! It is written after the fsync that it speaks of, so it never claims too much; it is not synced itself (that would double
//! the cost of a commit), so after a power cut it may claim too little. A write that fails is made up for by the next commit.

use std::io;

use crate::error::Error;
use crate::format::{FORMAT_VERSION, HeaderFault, MARK_BYTES, decode_mark, encode_mark};
use crate::position::Position;
use crate::storage::{Operation, Storage, StorageFile};

const MARK: &str = "MARK";
/// A reader may catch the writer between two halves of the 16 octets; the checksum shows it and the next look succeeds.
const READ_ATTEMPTS: usize = 8;

/// The writer's side.
#[derive(Debug)]
pub(crate) struct Mark {
    file: Box<dyn StorageFile>,
}

impl Mark {
    /// Opens or creates the mark and sets it durably. Called with every record below `position` durable.
    pub fn open(storage: &dyn Storage, position: Position) -> Result<Self, Error> {
        let fail = |operation, e| Error::io(operation, storage.path(MARK), e);
        let file = match storage.open(MARK, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                storage.create(MARK).map_err(|e| fail(Operation::Create, e))?
            }
            other => other.map_err(|e| fail(Operation::Open, e))?,
        };
        file.write_at(&encode_mark(position.index()), 0).map_err(|e| fail(Operation::Write, e))?;
        file.sync_data().map_err(|e| fail(Operation::Sync, e))?;
        storage.sync_dir().map_err(|e| Error::io(Operation::SyncDir, storage.directory(), e))?;
        Ok(Self { file })
    }

    /// Publishes a new position; false when that failed and readers lag until the next commit.
    pub fn publish(&self, position: Position) -> bool {
        self.file.write_at(&encode_mark(position.index()), 0).is_ok()
    }
}

/// What the mark says; `None` when there is none or it does not check.
pub(crate) fn read_mark(storage: &dyn Storage) -> Result<Option<Position>, Error> {
    let file = match storage.open(MARK, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| Error::io(Operation::Open, storage.path(MARK), e))?,
    };
    for _ in 0..READ_ATTEMPTS {
        let mut bytes = [0; MARK_BYTES];
        let read = file.read_at(&mut bytes, 0).map_err(|e| Error::io(Operation::Read, storage.path(MARK), e))?;
        match decode_mark(bytes.get(..read).unwrap_or(&[])) {
            Ok(position) => return Ok(Some(Position::new(position))),
            Err(HeaderFault::Newer(found)) if read == MARK_BYTES => {
                return Err(Error::NewerFormat { file: storage.path(MARK), found, supported: FORMAT_VERSION });
            }
            Err(_) => {}
        }
    }
    Ok(None)
}
