//! `backup.json`: what a backup holds, and how to tell that it still does.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use types::UtcMs;

use super::files::{failed, sum};
use super::{Progress, UpkeepError};

pub(super) const FILE: &str = "backup.json";
const FORMAT: u32 = 1;

/// The manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Raised when a release reads it differently.
    pub format: u32,
    /// ISO 8601.
    pub made: Box<str>,
    /// The release that made it.
    pub release: Box<str>,
    /// The first position of the log that is not in it.
    pub position: u64,
    pub accounts: u64,
    pub open_sessions: u64,
    pub files: Vec<BackupFile>,
}

/// A file by its path within the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BackupFile {
    pub path: Box<str>,
    pub bytes: u64,
    pub crc32c: u32,
}

impl Manifest {
    pub fn new(made: UtcMs) -> Self {
        Self {
            format: FORMAT,
            made: made.to_string().into(),
            release: env!("CARGO_PKG_VERSION").into(),
            position: 0,
            accounts: 0,
            open_sessions: 0,
            files: Vec::new(),
        }
    }

    /// Durable when it returns.
    pub fn write(&self, backup: &Path) -> Result<(), UpkeepError> {
        let path = backup.join(FILE);
        let text = serde_json::to_string_pretty(self).map_err(io::Error::from).map_err(failed("writing", &path))?;
        let write = || {
            let mut file = fs::File::create(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(failed("writing", &path))
    }

    /// Absent: this is no backup.
    pub fn read(backup: &Path) -> Result<Option<Self>, UpkeepError> {
        let path = backup.join(FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed("reading", &path))?,
        };
        let damaged = |error: serde_json::Error| UpkeepError::Damaged { path: path.clone(), reason: error.to_string() };
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
        let found = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if found > u64::from(FORMAT) {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            return Err(UpkeepError::NewerBackup { path, found, supported: FORMAT });
        }
        serde_json::from_value(value).map(Some).map_err(damaged)
    }

    /// Reads every file again; the first that differs is an error.
    pub fn check(&self, backup: &Path, progress: Progress<'_>) -> Result<(), UpkeepError> {
        let total = count(self.files.len());
        for (done, file) in (0..).zip(&self.files) {
            progress("files checked", done, total);
            let path = backup.join(&*file.path);
            if !path.is_file() {
                return Err(UpkeepError::Damaged { path, reason: "is missing".into() });
            }
            let (bytes, crc) = sum(&path)?;
            if (bytes, crc) != (file.bytes, file.crc32c) {
                let reason = format!(
                    "has {bytes} octets with checksum {crc:08x}, the manifest says {} with {:08x}",
                    file.bytes, file.crc32c
                );
                return Err(UpkeepError::Damaged { path, reason });
            }
        }
        progress("files checked", total, total);
        Ok(())
    }
}

pub(super) fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
