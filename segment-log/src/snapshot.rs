//! One checksummed file, replaced atomically: the state at a position, so that the log before it can be dropped.
//!
//! Version 1, `tollsnp`, length u64, crc32c of length and content u32, content. Written beside its place, synced, renamed, and
//! the directory synced: after a crash there is the old content or the new, never a mixture.

use std::io;

use crc32c::{crc32c, crc32c_append};

use crate::error::{Error, Reason};
use crate::format::{FORMAT_VERSION, HeaderFault, check_version, u32_at, u64_at};
use crate::position::Position;
use crate::segment::{UNFINISHED_SUFFIX, offset_of, segment_base};
use crate::storage::{Operation, Storage, StorageFile, is_no_space};

const MAGIC: &[u8; 7] = b"tollsnp";
const HEADER_BYTES: usize = 20;
const UNFINISHED: &str = ".tmp";
/// Some milliseconds of a disk.
const PIECE_BYTES: usize = 4 << 20;

/// Replaces the snapshot `name` in the directory of `storage` with `content`, durably. Snapshots may live beside a log.
///
/// # Errors
/// [`Error::SnapshotName`]; [`Error::NoSpace`] and [`Error::Io`]: the earlier snapshot is still in place. An fsync that fails is
/// [`Error::Poisoned`]: the process stops.
pub fn write_snapshot(storage: &dyn Storage, name: &str, content: &[u8]) -> Result<(), Error> {
    check_name(name)?;
    let unfinished = format!("{name}{UNFINISHED}");
    let fail = |operation, source: io::Error| match operation {
        Operation::Sync | Operation::SyncDir => {
            Error::Poisoned { operation, file: storage.path(name), source: source.into() }
        }
        _ if is_no_space(&source) => {
            let batch_bytes = offset_of(HEADER_BYTES + content.len());
            Error::NoSpace { directory: storage.directory().to_path_buf(), batch_bytes, source: source.into() }
        }
        _ => Error::io(operation, storage.path(&unfinished), source),
    };
    let file = storage.create(&unfinished).map_err(|e| fail(Operation::Create, e))?;
    if let Err((operation, source)) = write_in_pieces(&*file, content) {
        drop(file);
        if operation == Operation::Write {
            // Half a snapshot would keep the space that is missing.
            storage.remove(&unfinished).map_err(|e| fail(Operation::Remove, e))?;
        }
        return Err(fail(operation, source));
    }
    storage.rename(&unfinished, name).map_err(|e| fail(Operation::Rename, e))?;
    storage.sync_dir().map_err(|e| fail(Operation::SyncDir, e))
}

/// Header and content, each piece on the disk before the next: a log on the same disk waits for one piece and not for all.
fn write_in_pieces(file: &dyn StorageFile, content: &[u8]) -> Result<(), (Operation, io::Error)> {
    file.write_at(&header(content), 0).map_err(|e| (Operation::Write, e))?;
    let mut offset = HEADER_BYTES;
    for piece in content.chunks(PIECE_BYTES) {
        if offset > HEADER_BYTES {
            file.sync_data().map_err(|e| (Operation::Sync, e))?;
        }
        file.write_at(piece, offset_of(offset)).map_err(|e| (Operation::Write, e))?;
        offset += piece.len();
    }
    file.sync_data().map_err(|e| (Operation::Sync, e))
}

/// The content of the snapshot `name`; `None` when there is none.
///
/// # Errors
/// [`Error::Corrupt`] when it does not check, [`Error::NewerFormat`], [`Error::SnapshotName`], [`Error::Io`].
pub fn read_snapshot(storage: &dyn Storage, name: &str) -> Result<Option<Vec<u8>>, Error> {
    check_name(name)?;
    let fail = |operation, e| Error::io(operation, storage.path(name), e);
    let file = match storage.open(name, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| fail(Operation::Open, e))?,
    };
    let damaged =
        || Error::Corrupt { file: storage.path(name), offset: 0, position: Position::ZERO, reason: Reason::Snapshot };
    let length = file.length().map_err(|e| fail(Operation::Read, e))?;
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| damaged())?];
    let mut filled = 0;
    while let Some(free) = bytes.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read_at(free, offset_of(filled)).map_err(|e| fail(Operation::Read, e))? {
            0 => return Err(damaged()),
            read => filled += read,
        }
    }
    match check_version(&bytes, MAGIC) {
        Err(HeaderFault::Newer(found)) => {
            return Err(Error::NewerFormat { file: storage.path(name), found, supported: FORMAT_VERSION });
        }
        Err(HeaderFault::Damaged) => return Err(damaged()),
        Ok(()) => {}
    }
    let content = bytes.get(HEADER_BYTES..).ok_or_else(damaged)?;
    if u64_at(&bytes, 8) != Some(offset_of(content.len())) || u32_at(&bytes, 16) != Some(checksum(content)) {
        return Err(damaged());
    }
    bytes.drain(..HEADER_BYTES);
    Ok(Some(bytes))
}

fn header(content: &[u8]) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[0] = FORMAT_VERSION;
    bytes[1..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&offset_of(content.len()).to_le_bytes());
    bytes[16..].copy_from_slice(&checksum(content).to_le_bytes());
    bytes
}

fn checksum(content: &[u8]) -> u32 {
    crc32c_append(crc32c(&offset_of(content.len()).to_le_bytes()), content)
}

/// A plain file name that the log beside it will not take for its own.
fn check_name(name: &str) -> Result<(), Error> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    let ours = ["LOCK", "MARK"].contains(&name)
        || segment_base(name).is_some()
        || name.ends_with(UNFINISHED_SUFFIX)
        || name.ends_with(UNFINISHED);
    if plain && !ours && !name.ends_with(".seg") { Ok(()) } else { Err(Error::SnapshotName { name: name.to_owned() }) }
}
