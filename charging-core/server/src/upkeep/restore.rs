//! A backup put in place of a ledger.
//!
//! Everything is checked and copied beside its place first; then a mark is set, the folders are renamed, and the mark is removed.
//! While the mark is there no core starts: half a restore must not look like an empty ledger.

use std::fs;
use std::path::{Path, PathBuf};

use segment_log::{DirStorage, LockGuard, Storage as _};
use serde::Serialize;
use types::UtcMs;

use super::backup::is_manifest;
use super::files::{beside, copy, failed, has_ledger, remove_folder, sync_folder, sync_folders};
use super::manifest::{FILE, Manifest, count};
use super::{LEDGER, Progress, TARIFFS, UpkeepError};
use crate::store::CoreError;

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// When the backup was made, ISO 8601: what was answered later is not in it.
    pub made: Box<str>,
    /// The first position of the log that is not in it.
    pub position: u64,
    /// Accounts.
    pub accounts: u64,
    /// Sessions that were open then.
    pub open_sessions: u64,
    /// Folders that were there before, under their new names.
    pub put_aside: Vec<PathBuf>,
}

/// Restores the backup `from` into `data_dir`. A ledger that is there is put aside under another name when `replace` says so;
/// `now` goes into that name.
///
/// # Errors
/// When `from` is no whole backup, a core runs on `data_dir`, a ledger is there and `replace` is false, or a file cannot be
/// written. Until the very last step the earlier ledger is where it was.
pub fn restore(
    from: &Path,
    data_dir: &Path,
    replace: bool,
    now: UtcMs,
    progress: Progress<'_>,
) -> Result<Restored, UpkeepError> {
    let manifest = Manifest::read(from)?;
    let manifest = manifest.ok_or_else(|| UpkeepError::NotABackup { folder: from.into(), file: FILE })?;
    let ledger = data_dir.join(LEDGER);
    let occupied = has_ledger(&ledger)?;
    if occupied && !replace {
        return Err(UpkeepError::WouldReplace { path: ledger });
    }
    // Held to the end: no core may start meanwhile.
    let _lock = if occupied { Some(lock(&ledger)?) } else { None };
    manifest.check(from, progress)?;
    fs::create_dir_all(data_dir).map_err(failed("making", data_dir))?;
    let folders = [LEDGER, TARIFFS].map(|name| data_dir.join(name));
    for folder in &folders {
        remove_folder(&beside(folder, "restored"))?;
    }
    let total = count(manifest.files.len());
    for (done, file) in (0..).zip(manifest.files.iter().filter(|file| !is_manifest(&file.path))) {
        progress("files copied", done, total);
        let Some((folder, rest)) = file.path.split_once('/') else { continue };
        copy(&from.join(&*file.path), &beside(&data_dir.join(folder), "restored").join(rest))?;
    }
    progress("files copied", total, total);
    let put_aside = swap(data_dir, &folders, now)?;
    Ok(Restored {
        made: manifest.made,
        position: manifest.position,
        accounts: manifest.accounts,
        open_sessions: manifest.open_sessions,
        put_aside,
    })
}

/// The new folders in, the old ones aside, under the mark.
fn swap(data_dir: &Path, folders: &[PathBuf], now: UtcMs) -> Result<Vec<PathBuf>, UpkeepError> {
    let mark = data_dir.join(MARK);
    for folder in folders.iter().map(|folder| beside(folder, "restored")).filter(|folder| folder.is_dir()) {
        sync_folders(&folder)?;
    }
    fs::write(&mark, b"").map_err(failed("writing", &mark))?;
    sync_folder(data_dir)?;
    let moment = now.to_string().replace([':', '.'], "-");
    let mut put_aside = Vec::new();
    for folder in folders {
        let aside = beside(folder, &format!("replaced-{moment}"));
        let restored = beside(folder, "restored");
        if restored.is_dir() {
            if folder.is_dir() {
                fs::rename(folder, &aside).map_err(failed("renaming", folder))?;
                put_aside.push(aside);
            }
            fs::rename(&restored, folder).map_err(failed("renaming", &restored))?;
        }
    }
    sync_folder(data_dir)?;
    fs::remove_file(&mark).map_err(failed("removing", &mark))?;
    sync_folder(data_dir)?;
    Ok(put_aside)
}

fn lock(ledger: &Path) -> Result<LockGuard, UpkeepError> {
    let locked = DirStorage::at(ledger).lock(LOCK).map_err(failed("locking", &ledger.join(LOCK)))?;
    locked.ok_or_else(|| UpkeepError::InUse { path: ledger.into() })
}

/// An error while a restore into `data_dir` is not finished.
pub(crate) fn refuse_unfinished(data_dir: &Path) -> Result<(), CoreError> {
    let mark = data_dir.join(MARK);
    if mark.exists() { Err(CoreError::RestoreUnfinished { mark }) } else { Ok(()) }
}

const MARK: &str = "restore.unfinished";
/// The log's own lock.
const LOCK: &str = "LOCK";
