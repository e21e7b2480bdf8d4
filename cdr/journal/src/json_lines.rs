//! A file with one JSON object a line, each record exactly once, closed and begun anew by size and age if wanted.
//!
//! The state in the checkpoint says how far the file reaches and how it begins. Lines are appended and synced before the checkpoint
//! moves; whatever stands behind was written by a crash or a failure in between, is cut off and written again. A file that is full is
//! renamed ([`Rotation`]) before anything else is written, so everything in a file with a rotated name is behind a checkpoint: such a
//! file never changes again but for being compressed, and may be collected at any time.
//!
//! | found | done |
//! |---|---|
//! | the file as it was left, longer | cut to the checkpoint |
//! | the file as it was left, shorter | refused: synced lines are gone |
//! | no file, or an empty one | a new one is begun: it was moved away, by us or by another program |
//! | another file, of our lines | cut to nothing: the file was moved away and a crash came before the next checkpoint |
//! | another file, of somebody else | refused: not ours |
//!
//! A program that moves the file away while this sink runs (logrotate) finds no line in two files; it must not copy and truncate.

mod rotated;
mod state;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use segment_log::{DirStorage, Operation, Storage, StorageFile};
use tracing::{info, warn};
use types::UtcMs;

use crate::error::SinkError;
use crate::sink::{Delivered, JournalEntry, Sink};
use rotated::Rotated;
pub use rotated::Rotation;
use state::{Current, Head};

/// The wall clock; tests bring their own.
pub type WallClock = Arc<dyn Fn() -> UtcMs + Send + Sync>;

/// The sink for a laptop, and for whoever reads files.
pub struct JsonLinesSink {
    name: String,
    storage: Arc<dyn Storage>,
    file_name: String,
    rotation: Rotation,
    rotated: Rotated,
    clock: WallClock,
    /// As the checkpoint has it.
    current: Current,
    /// Rotated files may be waiting to be compressed or removed.
    untidy: bool,
}

impl std::fmt::Debug for JsonLinesSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonLinesSink")
            .field("name", &self.name)
            .field("file", &self.storage.path(&self.file_name))
            .field("rotation", &self.rotation)
            .finish_non_exhaustive()
    }
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

    /// [`JsonLinesSink::open`] on any storage.
    #[must_use]
    pub fn on(name: impl Into<String>, storage: Arc<dyn Storage>, file_name: impl Into<String>) -> Self {
        let file_name = file_name.into();
        Self {
            name: name.into(),
            rotated: Rotated::of(&file_name),
            storage,
            file_name,
            rotation: Rotation::default(),
            clock: Arc::new(now),
            current: Current::default(),
            untidy: false,
        }
    }

    /// Closes files by size and age. Without, one file grows for ever, or until another program moves it away.
    #[must_use]
    pub fn rotating(mut self, rotation: Rotation) -> Self {
        self.rotation = rotation;
        self
    }

    /// Takes the time from somewhere else.
    #[must_use]
    pub fn with_clock(mut self, clock: WallClock) -> Self {
        self.clock = clock;
        self
    }

    fn failed(&self, operation: Operation) -> impl FnOnce(io::Error) -> SinkError {
        let file = self.storage.path(&self.file_name);
        move |source| SinkError::Io { operation, file, source }
    }

    /// The file, created durably where missing. Opened for each delivery: it may have been moved away since.
    fn open_file(&self) -> Result<Box<dyn StorageFile>, SinkError> {
        match self.storage.open(&self.file_name, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = self.storage.create(&self.file_name).map_err(self.failed(Operation::Create))?;
                self.storage.sync_dir().map_err(self.failed(Operation::SyncDir))?;
                Ok(file)
            }
            other => other.map_err(self.failed(Operation::Open)),
        }
    }

    /// Makes the file end where the last delivered line ends, or finds that it is another one. Returns what there is to go on from.
    fn settle(&self, file: &dyn StorageFile) -> Result<Current, SinkError> {
        let path = || self.storage.path(&self.file_name);
        let bytes = file.length().map_err(self.failed(Operation::Read))?;
        let (mut current, expected) = (self.current.clone(), self.current.length);
        if expected > 0 && !self.is_as_left(file, bytes)? {
            if bytes > 0 && !self.is_ours(file)? {
                return Err(if bytes < expected {
                    SinkError::Shorter { file: path(), bytes, expected }
                } else {
                    SinkError::Foreign { file: path(), bytes }
                });
            }
            if !self.rotated.exists(self.storage.as_ref(), &current).map_err(self.failed(Operation::List))? {
                warn!(file = %path().display(), expected, "file was moved away or emptied, a new one begins");
            }
            current = Current::default();
        }
        if bytes > current.length {
            let cut = bytes - current.length;
            info!(file = %path().display(), cut, "lines without a checkpoint are cut and written again");
            file.set_len(current.length).map_err(self.failed(Operation::SetLen))?;
            file.sync_all().map_err(self.failed(Operation::Sync))?;
        }
        if bytes < current.length {
            return Err(SinkError::Shorter { file: path(), bytes, expected });
        }
        Ok(current)
    }

    /// Whether this is the file of the checkpoint, by its first line.
    fn is_as_left(&self, file: &dyn StorageFile, bytes: u64) -> Result<bool, SinkError> {
        match &self.current.head {
            Some(head) => Ok(Head::read(file, head.bytes).map_err(self.failed(Operation::Read))? == Some(head.clone())),
            // Written by a release that did not note how the file begins.
            None => Ok(bytes > 0),
        }
    }

    /// Whether a file that is not the checkpoint's was begun by this sink: then the checkpoint's own was moved away, and nothing in
    /// this one is behind a checkpoint.
    fn is_ours(&self, file: &dyn StorageFile) -> Result<bool, SinkError> {
        if self.rotated.exists(self.storage.as_ref(), &self.current).map_err(self.failed(Operation::List))? {
            return Ok(true);
        }
        let mut begin = [0; 256];
        let filled = state::fill(file, &mut begin).map_err(self.failed(Operation::Read))?;
        let begin = String::from_utf8_lossy(begin.get(..filled).unwrap_or_default());
        Ok(begin.starts_with('{') && begin.contains("\"recordId\":"))
    }

    /// Closes the file when it is full or old; everything in it is behind a checkpoint.
    fn rotate(&mut self, current: &Current, next: &JournalEntry, now: UtcMs) -> Result<bool, SinkError> {
        let line = u64::try_from(next.json.len()).unwrap_or(u64::MAX).saturating_add(1);
        let full = self.rotation.max_bytes.is_some_and(|most| current.length.saturating_add(line) > most);
        let old = self.rotation.max_age.is_some_and(|most| now.since(current.begun) >= most.ms());
        if current.length == 0 || !(full || old) {
            return Ok(false);
        }
        let name = self.rotated.name(current);
        self.storage.rename(&self.file_name, &name).map_err(self.failed(Operation::Rename))?;
        self.storage.sync_dir().map_err(self.failed(Operation::SyncDir))?;
        info!(file = %self.storage.path(&name).display(), bytes = current.length, "file of records closed");
        self.untidy = true;
        Ok(true)
    }

    /// Compresses and removes rotated files. What fails is tried again after the next rotation: it holds up no record.
    fn tidy(&mut self) {
        self.untidy = false;
        if let Err(reason) = self.rotated.tidy(self.storage.as_ref(), &self.rotation) {
            let directory = self.storage.directory().display();
            warn!(%directory, reason = &reason as &dyn std::error::Error, "rotated files cannot be compressed or removed");
        }
    }

    /// As many lines as go into one write and into the file; at least one.
    fn lines(&self, window: &[JournalEntry], length: u64) -> (usize, Vec<u8>) {
        let room = self.rotation.max_bytes.unwrap_or(u64::MAX).saturating_sub(length);
        let most = usize::try_from(room).unwrap_or(usize::MAX).min(WRITE_BYTES);
        let (mut entries, mut lines) = (0, Vec::new());
        for entry in window {
            if entries > 0 && lines.len() + entry.json.len() >= most {
                break;
            }
            lines.extend_from_slice(&entry.json);
            lines.push(b'\n');
            entries += 1;
        }
        (entries, lines)
    }
}

impl Sink for JsonLinesSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn resume(&mut self, state: Option<&str>) -> Result<String, SinkError> {
        let file = self.open_file()?;
        match state {
            Some(text) => {
                self.current = Current::parse(text).ok_or(SinkError::State { bytes: text.len() })?;
                self.current.complete(file.as_ref(), (self.clock)()).map_err(self.failed(Operation::Read))?;
            }
            None => {
                let bytes = file.length().map_err(self.failed(Operation::Read))?;
                if bytes > 0 {
                    return Err(SinkError::Foreign { file: self.storage.path(&self.file_name), bytes });
                }
            }
        }
        self.current = self.settle(file.as_ref())?;
        self.untidy = self.rotation.is_on();
        Ok(self.current.to_text())
    }

    fn deliver(&mut self, window: &[JournalEntry]) -> Result<Delivered, SinkError> {
        let Some(first) = window.first() else {
            return Ok(Delivered { entries: 0, state: self.current.to_text() });
        };
        let now = (self.clock)();
        let mut file = self.open_file()?;
        let mut current = self.settle(file.as_ref())?;
        if self.rotate(&current, first, now)? {
            current = Current::default();
            file = self.open_file()?;
        }
        let (entries, lines) = self.lines(window, current.length);
        if current.length == 0 {
            current = Current { length: 0, first: Some(first.position.index()), begun: now, head: Head::of(&lines) };
        }
        file.write_at(&lines, current.length).map_err(self.failed(Operation::Write))?;
        // When this fails, the next attempt cuts and writes the lines anew: a second fsync alone would save nothing.
        file.sync_data().map_err(self.failed(Operation::Sync))?;
        current.length = current.length.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        current.first = current.first.or(Some(first.position.index()));
        let state = current.to_text();
        self.current = current;
        // Not before the lines are safe; a closed file is final, so it need not wait for the next checkpoint.
        if self.untidy {
            self.tidy();
        }
        Ok(Delivered { entries, state })
    }

    /// A file is closed, or moved away, only with lines that are behind the checkpoint.
    fn builds_on_checkpoint(&self) -> bool {
        true
    }
}

fn now() -> UtcMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Octets of one write at most, but for a single longer line: the window may hold far more than one fsync should wait for.
const WRITE_BYTES: usize = 1024 * 1024;
