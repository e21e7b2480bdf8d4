//! A file with one JSON object a line, each record exactly once.
//!
//! The state in the checkpoint is the file's length. Lines are appended and synced before the checkpoint moves; whatever stands
//! behind the length of the checkpoint was written by a crash or a failure in between, is cut off and written again.
//!
//! | found | done |
//! |---|---|
//! | file longer than the checkpoint says | cut to it |
//! | file missing or empty | a new one is begun: it was moved away (rotation) |
//! | file shorter, but not empty | refused: synced lines are gone |
//! | no checkpoint, and a file that is not empty | refused: not ours |

use std::io;
use std::path::Path;
use std::sync::Arc;

use segment_log::{DirStorage, Operation, Storage, StorageFile};
use tracing::{info, warn};

use crate::error::SinkError;
use crate::sink::{Delivered, JournalEntry, Sink};

/// The sink for a laptop, and for whoever reads files.
#[derive(Debug)]
pub struct JsonLinesSink {
    name: String,
    storage: Arc<dyn Storage>,
    file_name: String,
    file: Option<Box<dyn StorageFile>>,
    /// Octets written and synced.
    length: u64,
}

impl JsonLinesSink {
    /// Writes to the file `path`; its directory is created where missing. The sink is called `name`.
    ///
    /// # Errors
    /// [`SinkError::Path`], [`SinkError::Directory`].
    pub fn open(name: impl Into<String>, path: impl AsRef<Path>) -> Result<Self, SinkError> {
        let path = path.as_ref();
        let no_file = || SinkError::Path { path: path.to_path_buf() };
        let file_name = path.file_name().and_then(|file_name| file_name.to_str()).ok_or_else(no_file)?;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let storage = DirStorage::create_dir(directory).map_err(|source| SinkError::Directory { source })?;
        Ok(Self::on(name, Arc::new(storage), file_name))
    }

    /// Writes to the file `file_name` in `storage`.
    #[must_use]
    pub fn on(name: impl Into<String>, storage: Arc<dyn Storage>, file_name: impl Into<String>) -> Self {
        Self { name: name.into(), storage, file_name: file_name.into(), file: None, length: 0 }
    }

    fn failed(&self, operation: Operation) -> impl FnOnce(io::Error) -> SinkError {
        let file = self.storage.path(&self.file_name);
        move |source| SinkError::Io { operation, file, source }
    }

    /// The file's length, and the file; created durably where missing.
    fn open_file(&self) -> Result<(Box<dyn StorageFile>, u64), SinkError> {
        match self.storage.open(&self.file_name, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = self.storage.create(&self.file_name).map_err(self.failed(Operation::Create))?;
                self.storage.sync_dir().map_err(self.failed(Operation::SyncDir))?;
                Ok((file, 0))
            }
            other => {
                let file = other.map_err(self.failed(Operation::Open))?;
                let bytes = file.length().map_err(self.failed(Operation::Read))?;
                Ok((file, bytes))
            }
        }
    }

    /// Makes the file end where the last delivered line ends.
    fn settle(&self, file: &dyn StorageFile, bytes: u64, expected: u64) -> Result<u64, SinkError> {
        let path = || self.storage.path(&self.file_name);
        if bytes > expected {
            info!(file = %path().display(), cut = bytes - expected, "lines without a checkpoint are cut and written again");
            file.set_len(expected).map_err(self.failed(Operation::SetLen))?;
            file.sync_all().map_err(self.failed(Operation::Sync))?;
            return Ok(expected);
        }
        if bytes < expected && bytes > 0 {
            return Err(SinkError::Shorter { file: path(), bytes, expected });
        }
        if bytes < expected {
            warn!(file = %path().display(), expected, "file was moved away or emptied, a new one begins");
        }
        Ok(bytes)
    }
}

impl Sink for JsonLinesSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn resume(&mut self, state: Option<&str>) -> Result<String, SinkError> {
        let expected = match state {
            Some(text) => Some(text.parse().map_err(|_| SinkError::State { bytes: text.len() })?),
            None => None,
        };
        let (file, bytes) = self.open_file()?;
        self.length = match expected {
            None if bytes > 0 => return Err(SinkError::Foreign { file: self.storage.path(&self.file_name), bytes }),
            None => 0,
            Some(expected) => self.settle(file.as_ref(), bytes, expected)?,
        };
        self.file = Some(file);
        Ok(self.length.to_string())
    }

    fn deliver(&mut self, batch: &[JournalEntry]) -> Result<Delivered, SinkError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => self.open_file()?.0,
        };
        let mut lines = Vec::with_capacity(batch.iter().map(|entry| entry.json.len() + 1).sum());
        for entry in batch {
            lines.extend_from_slice(&entry.json);
            lines.push(b'\n');
        }
        let bytes = file.length().map_err(self.failed(Operation::Read))?;
        let begin = self.settle(file.as_ref(), bytes, self.length)?;
        file.write_at(&lines, begin).map_err(self.failed(Operation::Write))?;
        // When this fails, the next attempt cuts and writes the lines anew: a second fsync alone would save nothing.
        file.sync_data().map_err(self.failed(Operation::Sync))?;
        self.file = Some(file);
        self.length = begin.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        Ok(Delivered { entries: batch.len(), state: self.length.to_string() })
    }
}
