//! What an operator does with a ledger's files: verify, back up, restore. No core need run; verifying and backing up also work
//! beside a running one, because they take no lock and change nothing there.
//!
//! | file of a backup | content |
//! |---|---|
//! | `backup.json` | the manifest: position, counts, and every file with its length and checksum |
//! | `ledger/` | a snapshot and the log behind it, as a core reads them |
//! | `tariffs/` | every kept tariff version and the history |
//!
//! A backup has the layout of a data directory, so whatever reads one reads the other.

mod backup;
mod files;
mod manifest;
mod restore;
mod verify;

use std::path::PathBuf;

use types::ErrorClass;

pub use backup::{Backup, back_up};
pub use restore::{Restored, restore};
pub use verify::{CurrencyTotals, LedgerReport, SegmentReport, SnapshotReport, Totals, verify};

pub(crate) use restore::refuse_unfinished;

use crate::store::CoreError;

/// How far something that takes a while has come: what is done, how many of it, of how many.
pub type Progress<'p> = &'p mut dyn FnMut(&'static str, u64, u64);

/// Why a ledger cannot be verified, backed up or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpkeepError {
    /// No ledger there.
    #[error("no ledger in {folder}; name the data directory of the core with --data-dir or -c")]
    NoLedger {
        /// Where one was expected.
        folder: PathBuf,
    },
    /// Something of that name is there.
    #[error("{path} exists already; name a new directory, nothing is written over")]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// A restore where a ledger is.
    #[error("{path} holds a ledger; --replace puts it aside under another name and restores the backup in its place")]
    WouldReplace {
        /// The ledger.
        path: PathBuf,
    },
    /// A core uses the ledger.
    #[error("a running core uses {path}; stop it first")]
    InUse {
        /// The ledger.
        path: PathBuf,
    },
    /// Not a backup, or one that was never finished.
    #[error("{folder} is no backup: it has no {file}; a backup that was interrupted is none, make another one")]
    NotABackup {
        /// The directory.
        folder: PathBuf,
        /// What is missing.
        file: &'static str,
    },
    /// A backup of a later release.
    #[error(
        "{path} has format {found}, this release reads up to {supported}; use the release that made it, or a later one"
    )]
    NewerBackup {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known here.
        supported: u32,
    },
    /// A file of a backup is not as it was written.
    #[error("{path} {reason}; the backup is damaged, use another one")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The writer removed what was being read, again and again.
    #[error("the log of {folder} moved on while it was read, three times; try again")]
    Overtaken {
        /// The ledger.
        folder: PathBuf,
    },
    /// The ledger's files.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// Another file.
    #[error("{what} {path} failed")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl UpkeepError {
    /// What the caller may do.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Overtaken { .. } => ErrorClass::Retry,
            Self::NoLedger { .. }
            | Self::Exists { .. }
            | Self::WouldReplace { .. }
            | Self::InUse { .. }
            | Self::NotABackup { .. } => ErrorClass::Refused,
            _ => ErrorClass::Fatal,
        }
    }
}

impl From<segment_log::Error> for UpkeepError {
    fn from(error: segment_log::Error) -> Self {
        Self::Core(error.into())
    }
}

/// The ledger's folder in a data directory.
const LEDGER: &str = "ledger";
/// The tariffs' folder in a data directory.
const TARIFFS: &str = "tariffs";
