//! A backup of the ledger and its tariffs, made beside a running core.
//!
//! The newest snapshot is copied, and every committed record behind it is read, applied to the books, and written into a log of
//! the backup's own: what cannot be recovered from is found now, not when it is needed. The tariffs come second: a version is
//! kept before anything is rated with it, so every version that the ledger's part names is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::Books;
use segment_log::{CorruptPolicy, DirStorage, Error, Log, Options, Position, Reader, Storage, Survey, write_snapshot};
use serde::Serialize;
use types::UtcMs;

use super::files::{beside, copy, failed, files_below, ledger_in, remove_folder, sum, sync_folder, sync_folders};
use super::manifest::{BackupFile, FILE, Manifest, count};
use super::{LEDGER, Progress, TARIFFS, UpkeepError};
use crate::store::{CoreError, entry, snapshot};
use crate::tariffs;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// Where it is.
    pub folder: PathBuf,
    /// When it was begun, ISO 8601: everything answered before is in it.
    pub made: Box<str>,
    /// The first position of the log that is not in it.
    pub position: u64,
    /// Log records behind its snapshot.
    pub records: u64,
    /// Accounts.
    pub accounts: u64,
    /// Sessions that are open.
    pub open_sessions: u64,
    /// Files.
    pub files: u64,
    /// Octets in them.
    pub bytes: u64,
    /// Records that stood in the log and were not marked as committed when it was read: those of a running core are on their way
    /// and will be in the next backup; of a core that lost power, its next start decides about them.
    pub uncommitted: u64,
}

/// Makes a backup of the ledger in `data_dir` as the new directory `to`; `now` goes into its manifest. It appears under its name
/// only when it is whole, durable and checked.
///
/// # Errors
/// When `to` exists, there is no ledger, or something cannot be read, applied or written. Nothing is left behind then.
pub fn back_up(data_dir: &Path, to: &Path, now: UtcMs, progress: Progress<'_>) -> Result<Backup, UpkeepError> {
    let source = Arc::new(ledger_in(data_dir)?);
    if to.exists() {
        return Err(UpkeepError::Exists { path: to.into() });
    }
    let unfinished = beside(to, "unfinished");
    let made = make(&source, data_dir, &unfinished, now, progress).and_then(|backup| {
        fs::rename(&unfinished, to).map_err(failed("renaming", &unfinished))?;
        sync_folder(parent(to))?;
        Ok(Backup { folder: to.into(), ..backup })
    });
    if made.is_err() {
        // What went wrong is told; that the rest of it could not be removed is not worth more words.
        drop(remove_folder(&unfinished));
    }
    made
}

fn make(
    source: &Arc<DirStorage>,
    data_dir: &Path,
    unfinished: &Path,
    now: UtcMs,
    progress: Progress<'_>,
) -> Result<Backup, UpkeepError> {
    let mut tries = 0;
    let (books, copied) = loop {
        remove_folder(unfinished)?;
        fs::create_dir_all(unfinished).map_err(failed("making", unfinished))?;
        match copy_ledger(source, &unfinished.join(LEDGER), progress) {
            // A new snapshot took the log before it away.
            Err(UpkeepError::Core(CoreError::Store(Error::Truncated { .. }))) if tries < 2 => tries += 1,
            Err(UpkeepError::Core(CoreError::Store(Error::Truncated { .. }))) => {
                return Err(UpkeepError::Overtaken { folder: source.directory().into() });
            }
            other => break other?,
        }
    };
    let kept = data_dir.join(TARIFFS);
    let mut manifest = Manifest::new(now);
    if kept.is_dir() {
        copy_tariffs(&kept, &unfinished.join(TARIFFS), progress)?;
    }
    tariffs::check_kept(&unfinished.join(TARIFFS), books.plan_versions()).map_err(CoreError::from)?;
    manifest.position = copied.position;
    manifest.accounts = count(books.account_count());
    manifest.open_sessions = count(books.open_session_count());
    for path in files_below(unfinished)? {
        let (bytes, crc32c) = sum(&path)?;
        let within = path.strip_prefix(unfinished).unwrap_or(&path).to_string_lossy().into();
        manifest.files.push(BackupFile { path: within, bytes, crc32c });
    }
    manifest.write(unfinished)?;
    sync_folders(unfinished)?;
    Ok(Backup {
        folder: unfinished.into(),
        made: manifest.made.clone(),
        position: manifest.position,
        records: copied.records,
        accounts: manifest.accounts,
        open_sessions: manifest.open_sessions,
        files: count(manifest.files.len()),
        bytes: manifest.files.iter().map(|file| file.bytes).sum(),
        uncommitted: uncommitted(source)?,
    })
}

struct Copied {
    position: u64,
    records: u64,
}

fn copy_ledger(source: &Arc<DirStorage>, to: &Path, progress: Progress<'_>) -> Result<(Books, Copied), UpkeepError> {
    let target = Arc::new(DirStorage::create_dir(to)?);
    let kept = snapshot::read(&**source)?;
    let (mut books, from) = (kept.books, kept.at);
    if let Some(content) = &kept.content {
        write_snapshot(&*target, snapshot::NEWEST, content)?;
    }
    let (mut log, _) = Log::open(target, Options { start: from, ..Options::default() })?;
    let mut reader = Reader::on(Arc::clone(source) as Arc<dyn Storage>, from, CorruptPolicy::Refuse);
    // As far as it goes now: a busy core would never let it end.
    let until = reader.committed()?;
    let total = until.index().saturating_sub(from.index());
    while log.next() < until
        && let Some(record) = reader.read_next()?
    {
        let position = record.position.index();
        let unfit = |reason: String| CoreError::Entry { position, reason };
        let changes = entry::decode(position, record.payload)?;
        books.apply_all(&changes).map_err(|error| unfit(error.to_string()))?;
        append(&mut log, record.payload)?;
        let done = position.saturating_sub(from.index());
        if done.is_multiple_of(PROGRESS_EVERY) {
            progress("log records", done, total);
        }
    }
    let position = log.commit()?;
    progress("log records", total, total);
    if let Err(imbalance) = books.check() {
        return Err(CoreError::Entry { position: position.index(), reason: imbalance.to_string() }.into());
    }
    // Ends the segment where its records do, so that no reserved space is copied about.
    log.rotate()?;
    Ok((books, Copied { position: position.index(), records: position.index().saturating_sub(from.index()) }))
}

fn append(log: &mut Log, payload: &[u8]) -> Result<Position, UpkeepError> {
    match log.append(payload) {
        Err(Error::BatchFull { .. }) => {
            log.commit()?;
            Ok(log.append(payload)?)
        }
        other => Ok(other?),
    }
}

/// The history first: what it names was kept before.
fn copy_tariffs(from: &Path, to: &Path, progress: Progress<'_>) -> Result<(), UpkeepError> {
    let mut files = files_below(from)?;
    files.sort_by_key(|path| path.parent() != Some(from));
    // A version that was kept since the list was made and is named by nothing yet may be missing.
    let total = count(files.len());
    for (done, file) in (0..).zip(&files) {
        progress("tariff files", done, total);
        copy(file, &to.join(file.strip_prefix(from).unwrap_or(file)))?;
    }
    progress("tariff files", total, total);
    Ok(())
}

/// Records behind the mark of the last segment.
fn uncommitted(source: &Arc<DirStorage>) -> Result<u64, UpkeepError> {
    let survey = Survey::open(Arc::clone(source) as Arc<dyn Storage>)?;
    let last = survey.segments().len().saturating_sub(1);
    let last = survey.segment(last, &mut |_| ())?;
    Ok(last.and_then(|segment| segment.uncommitted).map_or(0, |uncommitted| uncommitted.records))
}

/// Where a name is written.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a file belongs to the manifest alone.
pub(super) fn is_manifest(path: &str) -> bool {
    path == FILE
}

const PROGRESS_EVERY: u64 = 4096;
