//! Every way this crate can fail, by boundary: writing and reading the journal, shipping it, one sink.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use segment_log::{Error as LogError, Operation, Position};
use types::ErrorClass;

/// Why a record was not taken, or the journal could not be opened or read. Clonable, because one failed batch answers many.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The queue is full: keep the record and append it again.
    #[error("journal queue is full at {records} records and {bytes} octets")]
    QueueFull {
        /// Records waiting.
        records: usize,
        /// Octets waiting; 0 when the bound on copies of records being written was met.
        bytes: usize,
    },
    /// The disk is full. The record is not in the journal and will not be: keep it and append it again.
    #[error("journal has no space; free some, nothing is lost")]
    NoSpace {
        /// What the log said.
        source: LogError,
    },
    /// A write or fsync failed, now or earlier; whether this record is on disk shows when the journal has recovered. Keep it and append
    /// it again: if it is there, the copy is recognised by its `recordId`.
    #[error("journal has stopped after a disk error; look at the disk")]
    Stopped {
        /// What the log said.
        source: LogError,
    },
    /// After a disk error, the directory does not hold what was acknowledged: its disk is not mounted, or was replaced. No record
    /// is written there; the journal stays stopped and goes on when everything is back.
    #[error("journal in {directory} ends at {found}, acknowledged were all below {durable}; is its disk mounted?")]
    Missing {
        /// The journal's directory.
        directory: PathBuf,
        /// Where what is there ends.
        found: Position,
        /// All records below had been acknowledged.
        durable: Position,
    },
    /// The journal was closed before.
    #[error("journal is closed")]
    Closed,
    /// The record is longer than [`cdr_model::MAX_RECORD_BYTES`]: this one will never be taken.
    #[error("record of {bytes} octets exceeds the limit of {limit}")]
    RecordTooLong {
        /// Its length as JSON.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The record has no JSON form.
    #[error("record cannot be encoded")]
    Encode {
        /// What the encoder said.
        source: Arc<serde_json::Error>,
    },
    /// Free space cannot be measured.
    #[error("free space of {directory} is unknown")]
    FreeSpace {
        /// The journal's directory.
        directory: PathBuf,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// No thread could be started.
    #[error("journal cannot start a thread")]
    Thread {
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// The log underneath cannot be opened or read.
    #[error(transparent)]
    Log(LogError),
}

impl JournalError {
    /// What the caller does about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::QueueFull { .. }
            | Self::NoSpace { .. }
            | Self::FreeSpace { .. }
            | Self::Stopped { .. }
            | Self::Missing { .. } => ErrorClass::Retry,
            Self::Thread { .. } => ErrorClass::Fatal,
            Self::Closed => ErrorClass::Refused,
            Self::RecordTooLong { .. } | Self::Encode { .. } => ErrorClass::Skip,
            Self::Log(error) => class_of(error),
        }
    }
}

impl From<LogError> for JournalError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::QueueFull { records, bytes } => Self::QueueFull { records, bytes },
            LogError::NoSpace { .. } => Self::NoSpace { source: error },
            LogError::Poisoned { .. } | LogError::WriterPanicked => Self::Stopped { source: error },
            LogError::Closed => Self::Closed,
            other => Self::Log(other),
        }
    }
}

/// The log's classes in the words of all crates.
const fn class_of(error: &LogError) -> ErrorClass {
    match error.class() {
        segment_log::ErrorClass::Fatal => ErrorClass::Fatal,
        segment_log::ErrorClass::Skip => ErrorClass::Skip,
        segment_log::ErrorClass::Retry => ErrorClass::Retry,
        segment_log::ErrorClass::Refused => ErrorClass::Refused,
    }
}

/// Why a shipper does not get on. `Retry`: it tries again by itself. Any other class: it stopped, the journal keeps the records.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShipError {
    /// The journal cannot be read.
    #[error("journal cannot be read")]
    Journal {
        /// What the log said.
        source: LogError,
    },
    /// The sink did not take a batch.
    #[error("sink did not take the records")]
    Sink {
        /// What the sink said.
        #[from]
        source: SinkError,
    },
    /// The checkpoint cannot be read or written.
    #[error("checkpoint {name} cannot be kept")]
    Checkpoint {
        /// Its file's name.
        name: String,
        /// What the log said.
        source: LogError,
    },
    /// The checkpoint does not say what a checkpoint says; its checksum is good, so another program or release wrote it.
    #[error(
        "checkpoint {name} of {bytes} octets is not understood; run the release that wrote it, or remove it to ship everything again"
    )]
    CheckpointForm {
        /// Its file's name.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// The checkpoint lies beyond the journal: it belongs to another journal, or this one was replaced. Remove it to ship
    /// everything.
    #[error(
        "checkpoint {name} is at {checkpoint}, the journal ends at {durable}: one of them was replaced; remove the checkpoint to ship everything"
    )]
    CheckpointAhead {
        /// Its file's name.
        name: String,
        /// What it says.
        checkpoint: Position,
        /// The journal's end.
        durable: Position,
    },
    /// A sink that has shipped nothing yet cannot be set back: it begins with the oldest record by itself.
    #[error("there is no checkpoint of a sink named {sink}; a sink begins with the oldest record by itself")]
    NoCheckpoint {
        /// The sink's name.
        sink: String,
    },
    /// Records would be left out: a checkpoint is only ever set back.
    #[error("sink {sink} is at {checkpoint}, setting it to {wanted} would leave out records")]
    NotBack {
        /// The sink's name.
        sink: String,
        /// Where it is.
        checkpoint: Position,
        /// Where it was to go.
        wanted: Position,
    },
    /// The journal is in use: a running shipper would write its checkpoint over this one. Stop the process first.
    #[error("the journal in {directory} is in use; stop that process first")]
    JournalInUse {
        /// The journal's directory.
        directory: PathBuf,
    },
    /// Another shipper of this name runs.
    #[error("a shipper named {name} is running; give this sink another name, or end that one")]
    InUse {
        /// The sink's name.
        name: String,
    },
    /// A sink's name is 1 to 64 of a-z, 0-9, - and _: it names a file.
    #[error("{name:?} cannot name a sink; 1 to 64 of a-z, 0-9, - and _ can")]
    Name {
        /// The name.
        name: String,
    },
    /// No thread could be started.
    #[error("shipper cannot start a thread")]
    Thread {
        /// The system's answer.
        source: io::Error,
    },
    /// The thread ended by a panic: a bug of the sink.
    #[error("shipper stopped by a panic")]
    Panicked,
}

impl ShipError {
    /// What the shipper does about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            // Reading changes nothing, so whatever the system said may be asked again.
            Self::Journal { source: LogError::Io { .. } } => ErrorClass::Retry,
            // The earlier checkpoint is still in place.
            Self::Checkpoint { source: LogError::Io { .. }, .. } => ErrorClass::Retry,
            Self::Journal { source } | Self::Checkpoint { source, .. } => class_of(source),
            Self::Sink { source } => source.class(),
            Self::NoCheckpoint { .. }
            | Self::NotBack { .. }
            | Self::JournalInUse { .. }
            | Self::CheckpointForm { .. }
            | Self::CheckpointAhead { .. }
            | Self::InUse { .. }
            | Self::Name { .. } => ErrorClass::Refused,
            Self::Thread { .. } | Self::Panicked => ErrorClass::Fatal,
        }
    }
}

/// Why a sink did not take a batch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// A file operation failed; nothing of the batch counts, and the next attempt begins by cutting off what there is of it.
    #[error("{operation} failed on {file}")]
    Io {
        /// What was tried.
        operation: Operation,
        /// The file or directory.
        file: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file lost lines that were synced. Move it away and the next records begin a new one.
    #[error("{file} has {bytes} octets, {expected} were written and synced; move it away, and a new one is begun")]
    Shorter {
        /// The file.
        file: PathBuf,
        /// Its length.
        bytes: u64,
        /// What was written and synced.
        expected: u64,
    },
    /// The file holds something, and no checkpoint says that it is ours. Move it away.
    #[error("{file} has {bytes} octets that this sink did not write; move it away, or name another file")]
    Foreign {
        /// The file.
        file: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The path names no file.
    #[error("{path} names no file; end it in one, such as records.jsonl")]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// The directory cannot be created.
    #[error("directory of the sink cannot be created")]
    Directory {
        /// What was tried on what.
        source: LogError,
    },
    /// The state in the checkpoint is not one of this sink.
    #[error(
        "state of {bytes} octets in the checkpoint is not of this sink; give the sink a name that no other kind had"
    )]
    State {
        /// Its length.
        bytes: usize,
    },
    /// A failure of another kind of sink.
    #[error("destination failed")]
    Destination {
        /// `Retry`: the batch is offered again. Anything else stops the shipper.
        class: ErrorClass,
        /// What it said.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl SinkError {
    /// What the shipper does about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Io { .. } => ErrorClass::Retry,
            Self::Shorter { .. } | Self::Foreign { .. } | Self::Path { .. } | Self::State { .. } => ErrorClass::Refused,
            Self::Directory { source } => class_of(source),
            Self::Destination { class, .. } => *class,
        }
    }
}
