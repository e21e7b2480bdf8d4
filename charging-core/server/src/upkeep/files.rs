//! Files copied and checked, durably.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use segment_log::DirStorage;

use super::{LEDGER, UpkeepError};

/// Wraps the system's answer.
pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> UpkeepError + use<> {
    let path = path.to_path_buf();
    move |source| UpkeepError::File { what, path, source }
}

/// The storage of the ledger in `data_dir`, if there is one.
pub(super) fn ledger_in(data_dir: &Path) -> Result<DirStorage, UpkeepError> {
    let folder = data_dir.join(LEDGER);
    if has_ledger(&folder)? { Ok(DirStorage::at(folder)) } else { Err(UpkeepError::NoLedger { folder }) }
}

/// Whether a log or a snapshot is there.
pub(super) fn has_ledger(folder: &Path) -> Result<bool, UpkeepError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(failed("reading", folder))?,
    };
    for entry in entries {
        let name = entry.map_err(failed("reading", folder))?.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".seg") || name.starts_with("books") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// All files below `folder`, by path, without those that were never finished.
pub(super) fn files_below(folder: &Path) -> Result<Vec<PathBuf>, UpkeepError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed("reading", folder))? {
        let path = entry.map_err(failed("reading", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "unfinished" || extension == "tmp") {
            continue;
        }
        if path.is_dir() { found.extend(files_below(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

/// Copies a file and syncs it; returns its length and crc32c. Folders above it are made.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(u64, u32), UpkeepError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(failed("making", parent))?;
    }
    let mut source = File::open(from).map_err(failed("opening", from))?;
    let mut target = File::create(to).map_err(failed("writing", to))?;
    let sum = each_chunk(&mut source, from, |chunk| target.write_all(chunk).map_err(failed("writing", to)))?;
    // The source's owner and readers stay the same: it names subscribers.
    let permissions = source.metadata().map_err(failed("reading", from))?.permissions();
    target.set_permissions(permissions).map_err(failed("writing", to))?;
    target.sync_all().map_err(failed("fsync of", to))?;
    Ok(sum)
}

/// Length and crc32c of a file.
pub(super) fn sum(path: &Path) -> Result<(u64, u32), UpkeepError> {
    let mut file = File::open(path).map_err(failed("opening", path))?;
    each_chunk(&mut file, path, |_| Ok(()))
}

fn each_chunk(
    file: &mut File,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), UpkeepError>,
) -> Result<(u64, u32), UpkeepError> {
    let mut chunk = vec![0; 1024 * 1024];
    let (mut bytes, mut crc) = (0_u64, 0_u32);
    loop {
        let read = match file.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(failed("reading", path))?,
        };
        let part = chunk.get(..read).unwrap_or_default();
        if part.is_empty() {
            return Ok((bytes, crc));
        }
        bytes += u64::try_from(part.len()).unwrap_or(u64::MAX);
        crc = crc32c::crc32c_append(crc, part);
        take(part)?;
    }
}

/// Syncs a folder and all folders below it.
pub(super) fn sync_folders(folder: &Path) -> Result<(), UpkeepError> {
    for entry in fs::read_dir(folder).map_err(failed("reading", folder))? {
        let path = entry.map_err(failed("reading", folder))?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    sync_folder(folder)
}

/// Makes names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), UpkeepError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("fsync of", folder))
}

/// Removes a folder with everything in it; one that is not there is no error.
pub(super) fn remove_folder(folder: &Path) -> Result<(), UpkeepError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("removing", folder)(error)),
        _ => Ok(()),
    }
}

/// The path with a word behind its name.
pub(super) fn beside(path: &Path, word: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(word);
    path.with_file_name(name)
}
