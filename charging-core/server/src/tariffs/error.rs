//! Why a tariff cannot be used.

use std::path::PathBuf;

use rating::{LoadErrors, PlanVersion};
use types::{ErrorClass, UtcMs};

/// Why a tariff cannot be used, and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TariffError {
    /// The operator's folder has faults.
    #[error("tariff folder {folder}:\n{faults}")]
    Faulty {
        /// The folder.
        folder: PathBuf,
        /// All of them.
        faults: LoadErrors,
    },
    /// A setting is wrong.
    #[error("core.tariff.{key} {problem}")]
    Setting {
        /// Its path below `core.tariff`.
        key: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// A kept version or the history cannot be read or written.
    #[error("tariff version in {path}")]
    Kept {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A kept version does not load any more.
    #[error("tariff version in {path} is damaged: put back the files of that folder from a backup, or move it away")]
    Damaged {
        /// Its folder.
        path: PathBuf,
    },
    /// A version that was loaded once is gone.
    #[error("tariff version {version} is not in {folder} any more: put its folder back from a backup")]
    NotKept {
        /// Which.
        version: PlanVersion,
        /// Where it should be.
        folder: PathBuf,
    },
    /// The history is damaged.
    #[error(
        "tariff history {path} is damaged in line {line}: put the file back from a backup, or move it away (the versions \
         stay; which one is in force is then that of core.tariff.folder, until another one is activated)"
    )]
    History {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 means the file as a whole.
        line: u64,
    },
    /// No version is called so.
    #[error("no tariff version {asked:?}; `tollkeeper tariff history` lists them")]
    Unknown {
        /// What was asked for.
        asked: Box<str>,
    },
    /// More than one version begins so.
    #[error("{versions} tariff versions begin with {asked}; write more digits")]
    Ambiguous {
        /// What was asked for.
        asked: Box<str>,
        /// How many.
        versions: usize,
    },
    /// Not a name for a version.
    #[error(
        "{name:?} cannot name a tariff version; take 1 to 64 letters, digits, -, _ and ., not only hexadecimal digits"
    )]
    Name {
        /// The name.
        name: Box<str>,
    },
    /// The name of another version.
    #[error("{name:?} is the name of tariff version {version}; choose another name")]
    NameTaken {
        /// The name.
        name: Box<str>,
        /// Whose it is.
        version: PlanVersion,
    },
    /// A version cannot be put in force in the past.
    #[error("{from} has passed (it is {now}); what was charged stays charged: leave the time out for now")]
    Passed {
        /// The time asked for.
        from: UtcMs,
        /// The core's clock.
        now: UtcMs,
    },
    /// A time beyond the calendar.
    #[error("the time is later than {last}, the last there is")]
    TooFar {
        /// The last one.
        last: UtcMs,
    },
}

impl TariffError {
    /// What the caller may do.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Kept { .. } | Self::Damaged { .. } | Self::NotKept { .. } | Self::History { .. } => ErrorClass::Fatal,
            _ => ErrorClass::Refused,
        }
    }
}
