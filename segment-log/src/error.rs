//! Every way this crate can fail, and what the caller is to do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::position::Position;
use crate::storage::Operation;

/// What a caller does about an [`Error`]; also the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The log cannot be used any further: stop the process.
    Fatal,
    /// Only this record or this call is at fault.
    Skip,
    /// The same call may succeed later.
    Retry,
    /// The request cannot be granted as things stand; repeating it changes nothing.
    Refused,
}

impl ErrorClass {
    /// The metric label: `fatal`, `skip`, `retry` or `refused`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Skip => "skip",
            Self::Retry => "retry",
            Self::Refused => "refused",
        }
    }
}

/// What is wrong at a damaged place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The segment's header does not check, or contradicts the file's name.
    Header,
    /// A frame does not check although acknowledged records lie there or behind it.
    Frame,
    /// Records are missing: the file ends, or the next one begins, too early or too late.
    Missing,
    /// A snapshot's header, length or checksum is wrong.
    Snapshot,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "segment header damaged",
            Self::Frame => "record damaged",
            Self::Missing => "records missing",
            Self::Snapshot => "snapshot damaged",
        })
    }
}

/// Why a call on a log, reader, writer or snapshot failed. Clonable, because one failed batch answers many callers.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file operation failed; nothing was changed or promised by it.
    #[error("{operation} failed on {file}")]
    Io {
        /// What was tried.
        operation: Operation,
        /// The file or directory.
        file: PathBuf,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// The disk or quota is full. The batch was taken back whole: none of its records is or will be in the log.
    #[error("no space for a batch of {batch_bytes} octets in {directory}")]
    NoSpace {
        /// The log's directory.
        directory: PathBuf,
        /// What the batch needed.
        batch_bytes: u64,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// A write or fsync failed earlier (or now): what the disk holds beyond the last commit is unknown. Never retried.
    #[error("log stopped: {operation} failed on {file}; opening it again recovers what was acknowledged")]
    Poisoned {
        /// What failed.
        operation: Operation,
        /// The file or directory.
        file: PathBuf,
        /// The system's answer at that time.
        source: Arc<io::Error>,
    },
    /// Another process (or another part of this one) has the log open.
    #[error("log in {directory} is open elsewhere")]
    Locked {
        /// The log's directory.
        directory: PathBuf,
    },
    /// The file was written by a later release.
    #[error("{file} has format version {found}, this release reads up to {supported}")]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// The version in its first octet.
        found: u8,
        /// The newest version known here.
        supported: u8,
    },
    /// Acknowledged content is damaged. See [`Error::remedy`].
    #[error("{reason} in {file} at byte {offset} (position {position}); remedy: {}", remedy(*reason))]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// Where the damage begins, in octets from the start of the file.
        offset: u64,
        /// The first position concerned; 0 for a snapshot.
        position: Position,
        /// What is wrong.
        reason: Reason,
    },
    /// A record longer than [`crate::MAX_RECORD_BYTES`].
    #[error("record of {bytes} octets exceeds the limit of {limit}")]
    RecordTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A record of no octets: the format has no room for it, because zeros mean "nothing written here".
    #[error("record is empty")]
    RecordEmpty,
    /// The buffered batch would exceed [`crate::Options::max_batch_bytes`]: commit first.
    #[error("batch would hold {bytes} octets, the limit is {limit}")]
    BatchFull {
        /// What the batch would have held.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The records asked for were removed by `truncate_front`.
    #[error("position {wanted} was removed, the log begins at {first}")]
    Truncated {
        /// The position asked for.
        wanted: Position,
        /// The first position still there.
        first: Position,
    },
    /// No further position exists.
    #[error("log is at its last position {last}")]
    Exhausted {
        /// [`Position::MAX`].
        last: Position,
    },
    /// An option lies outside its range.
    #[error("option {option} is {value}, allowed is {min} to {max}")]
    OptionOutOfRange {
        /// The field of [`crate::Options`] or of [`crate::GroupCommitOptions`].
        option: &'static str,
        /// What was given.
        value: u64,
        /// Least allowed value.
        min: u64,
        /// Greatest allowed value.
        max: u64,
    },
    /// The writer's queue is full ([`crate::GroupCommit::try_submit`]).
    #[error("queue is full at {records} records and {bytes} octets")]
    QueueFull {
        /// Records waiting.
        records: usize,
        /// Octets waiting.
        bytes: usize,
    },
    /// The writer was closed before this request.
    #[error("log writer is closed")]
    Closed,
    /// The writer's thread ended by a panic (its own or a completion's).
    #[error("log writer stopped by a panic")]
    WriterPanicked,
    /// A snapshot's name is not a plain file name, or is one the log uses.
    #[error("{name:?} cannot name a snapshot")]
    SnapshotName {
        /// The name.
        name: String,
    },
}

impl Error {
    /// What the caller does about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Io { .. }
            | Self::Poisoned { .. }
            | Self::Corrupt { .. }
            | Self::Exhausted { .. }
            | Self::WriterPanicked => ErrorClass::Fatal,
            Self::RecordTooLong { .. } | Self::RecordEmpty => ErrorClass::Skip,
            Self::NoSpace { .. } | Self::BatchFull { .. } | Self::QueueFull { .. } => ErrorClass::Retry,
            Self::Locked { .. }
            | Self::NewerFormat { .. }
            | Self::Truncated { .. }
            | Self::OptionOutOfRange { .. }
            | Self::Closed
            | Self::SnapshotName { .. } => ErrorClass::Refused,
        }
    }

    /// What an operator can do, for the errors where that is not plain from the text.
    #[must_use]
    pub const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Corrupt { reason, .. } => Some(remedy(*reason)),
            Self::Locked { .. } => Some("stop the other process, or give this one a directory of its own"),
            Self::NewerFormat { .. } => Some("run the release that wrote the file, or a later one"),
            Self::NoSpace { .. } => Some("free space on the disk or raise the quota; nothing is lost"),
            Self::Poisoned { .. } => {
                Some("check the disk, then restart: recovery keeps everything that was acknowledged")
            }
            _ => None,
        }
    }

    pub(crate) fn io(operation: Operation, file: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { operation, file: file.into(), source: Arc::new(source) }
    }

    pub(crate) fn out_of_range(option: &'static str, value: usize, min: usize, max: usize) -> Self {
        let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Self::OptionOutOfRange { option, value: wide(value), min: wide(min), max: wide(max) }
    }
}

const fn remedy(reason: Reason) -> &'static str {
    match reason {
        Reason::Header | Reason::Frame | Reason::Missing => {
            "stop, copy the directory, check the disk, then restore the file from a backup; do not delete it, later records depend on it"
        }
        Reason::Snapshot => {
            "restore it from a backup, or remove it if an older snapshot and the log reach back far enough"
        }
    }
}
