//! Reading committed records: [`Records`] from an open log, [`Reader`] from outside it.

use std::path::Path;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::directory::DirStorage;
use crate::error::Error;
use crate::mark::read_mark;
use crate::options::CorruptPolicy;
use crate::position::Position;
use crate::recovery::Skipped;
use crate::storage::Storage;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the log.
    pub position: Position,
    /// What was appended, exactly.
    pub payload: &'a [u8],
}

/// The records of a [`crate::Log`] that were durable when [`crate::Log::records`] was called. One segment chunk is in memory.
#[derive(Debug)]
pub struct Records {
    cursor: Cursor,
}

impl Records {
    pub(crate) fn new(cursor: Cursor) -> Self {
        Self { cursor }
    }

    /// The next record; `None` after the last.
    ///
    /// # Errors
    /// [`Error::Corrupt`] under `Refuse`, [`Error::Truncated`], [`Error::NewerFormat`], [`Error::Io`]; the same again at each later call.
    pub fn read_next(&mut self) -> Result<Option<Record<'_>>, Error> {
        read_next(&mut self.cursor)
    }

    /// The position of the record that comes next.
    #[must_use]
    pub fn position(&self) -> Position {
        self.cursor.next()
    }

    /// What was skipped so far under [`CorruptPolicy::Skip`].
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.cursor.skipped()
    }
}

/// Follows a log while another thread or process writes it. Takes no lock and changes nothing.
///
/// It returns a record only once the writer has made it durable (the `MARK` file says so), so whatever it passes on is never
/// taken back by a crash of the writer. After a power cut the mark may lag until the writer has opened the log again.
#[derive(Debug)]
pub struct Reader {
    cursor: Cursor,
}

impl Reader {
    /// Reads the log in `directory` from `from` on; damage is an error. The log need not exist yet.
    #[must_use]
    pub fn open(directory: impl AsRef<Path>, from: Position) -> Self {
        Self::on(Arc::new(DirStorage::at(directory.as_ref())), from, CorruptPolicy::Refuse)
    }

    /// [`Reader::open`] on any storage, with a choice about damage.
    #[must_use]
    pub fn on(storage: Arc<dyn Storage>, from: Position, corrupt: CorruptPolicy) -> Self {
        Self { cursor: Cursor::new(storage, corrupt, from, Position::ZERO) }
    }

    /// The next committed record; `None` when there is none yet: call again later.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the writer removed it: begin again at its `first`. [`Error::Corrupt`] under `Refuse`,
    /// [`Error::NewerFormat`], [`Error::Io`]. The same again at each later call.
    pub fn read_next(&mut self) -> Result<Option<Record<'_>>, Error> {
        if self.cursor.next() >= self.cursor.limit() {
            self.committed()?;
        }
        read_next(&mut self.cursor)
    }

    /// The position of the record that comes next; what a shipper stores as its checkpoint.
    #[must_use]
    pub fn position(&self) -> Position {
        self.cursor.next()
    }

    /// The log's first position that is not committed yet, read anew; minus [`Reader::position`] it is the backlog in records.
    ///
    /// # Errors
    /// [`Error::NewerFormat`], [`Error::Io`].
    pub fn committed(&mut self) -> Result<Position, Error> {
        if let Some(mark) = read_mark(self.cursor.storage())? {
            self.cursor.raise_limit(mark);
        }
        Ok(self.cursor.limit())
    }

    /// What was skipped so far under [`CorruptPolicy::Skip`].
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.cursor.skipped()
    }
}

fn read_next(cursor: &mut Cursor) -> Result<Option<Record<'_>>, Error> {
    let Some(frame) = cursor.advance()? else {
        return Ok(None);
    };
    Ok(Some(Record { position: Position::new(frame.position), payload: cursor.payload(&frame) }))
}
