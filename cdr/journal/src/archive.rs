//! Shipped segments, compressed for audit: `<first position, 20 digits>.jsonl.gz`, one record a line, for `zcat` and everything
//! else that reads gzip.
//!
//! A file is a chain of gzip members (RFC 1952 section 2.2), each of which can be checked and passed by alone. A member's extra
//! field, `TK`, says (little endian) version 1 u8, the member's octets u32, the position of its first line u64, its lines u32, and the crc32c of
//! these u32. Lines of a member are consecutive; a record that was lost is no line, the next member begins behind it. MTIME is when the
//! segment was last written.
//!
//! An archive is written under another name, synced and read back before it gets its own; only then is its segment removed. After a crash
//! in between both are there: the segment counts, and the archive is written again.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crc32c::crc32c;
use flate2::{Compression, GzBuilder};
use segment_log::{CorruptPolicy, Error as LogError, Operation, Position, Reader, SegmentFile, Storage, StorageFile};

const SUFFIX: &str = ".jsonl.gz";
/// An archive under this suffix is not finished.
pub(crate) const UNFINISHED: &str = ".jsonl.gz.tmp";
/// Lines are collected up to so many octets; also what a reader holds in memory, but for one long line.
const MEMBER_BYTES: usize = 256 * 1024;
/// A member decodes to no more than this: lines of [`MEMBER_BYTES`], and one record of the log's maximal length.
pub(crate) const LONGEST_MEMBER: u64 = 20 * 1024 * 1024;
/// ID1, ID2, deflate, and an extra field as the only flag.
const MAGIC: [u8; 4] = [0x1f, 0x8b, 8, 4];
const SUBFIELD: [u8; 4] = [b'T', b'K', FIELD_BYTES, 0];
const FIELD_BYTES: u8 = 21;
const VERSION: u8 = 1;
/// Octets before the compressed data of a member.
pub(crate) const MEMBER_HEADER_BYTES: usize = 37;

/// An archive in the journal's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArchiveFile {
    /// The position of its segment's first record.
    pub first: Position,
    pub name: String,
}

/// What a member's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemberHeader {
    /// All of it, header and trailer included.
    pub bytes: u32,
    pub first: u64,
    pub records: u32,
    /// Seconds since 1970.
    pub written: u32,
}

pub(crate) fn archive_name(first: Position) -> String {
    format!("{:020}{SUFFIX}", first.index())
}

/// All archives, oldest first.
pub(crate) fn list_archives(storage: &dyn Storage) -> Result<Vec<ArchiveFile>, LogError> {
    let names = storage.list().map_err(|source| io_error(Operation::List, storage, "", source))?;
    let mut archives: Vec<ArchiveFile> = names.into_iter().filter_map(archive_of).collect();
    archives.sort_unstable_by_key(|archive| archive.first);
    Ok(archives)
}

fn archive_of(name: String) -> Option<ArchiveFile> {
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let first = digits.parse().ok().map(Position::new).filter(|first| *first <= Position::MAX)?;
    Some(ArchiveFile { first, name })
}

/// Removes what a crash left of an archive.
pub(crate) fn remove_unfinished(storage: &dyn Storage) -> Result<(), LogError> {
    let names = storage.list().map_err(|source| io_error(Operation::List, storage, "", source))?;
    for name in names.iter().filter(|name| name.ends_with(UNFINISHED)) {
        storage.remove(name).map_err(|source| io_error(Operation::Remove, storage, name, source))?;
    }
    Ok(())
}

/// Writes the archive of the segment `file`, whose records end before `next`; durable when it returns. Returns the records in it.
pub(crate) fn write_archive(storage: &Arc<dyn Storage>, file: &SegmentFile, next: Position) -> Result<u64, LogError> {
    let (name, unfinished) = (archive_name(file.first), format!("{:020}{UNFINISHED}", file.first.index()));
    let disk = storage.as_ref();
    let modified = disk.modified(&file.name).map_err(|source| io_error(Operation::Read, disk, &file.name, source))?;
    let target = disk.create(&unfinished).map_err(|source| io_error(Operation::Create, disk, &unfinished, source))?;
    let written = seconds(modified);
    let records = match write_members(storage, file, next, target.as_ref(), &unfinished, written) {
        Ok(records) => records,
        Err(error) => {
            drop(target);
            // It keeps space that may be what is missing; the next opening removes it otherwise.
            drop(disk.remove(&unfinished));
            return Err(error);
        }
    };
    drop(target);
    disk.rename(&unfinished, &name).map_err(|source| io_error(Operation::Rename, disk, &name, source))?;
    disk.sync_dir().map_err(|source| io_error(Operation::SyncDir, disk, "", source))?;
    Ok(records)
}

fn write_members(
    storage: &Arc<dyn Storage>,
    file: &SegmentFile,
    next: Position,
    target: &dyn StorageFile,
    name: &str,
    written: u32,
) -> Result<u64, LogError> {
    let mut reader = Reader::on(Arc::clone(storage), file.first, CorruptPolicy::Skip);
    let mut member = Member { written, ..Member::default() };
    let (mut offset, mut records) = (0, 0_u64);
    let fail = |operation, source| io_error(operation, storage.as_ref(), name, source);
    while reader.position() < next {
        let Some(record) = reader.read_next()?.filter(|record| record.position < next) else { break };
        if !member.continues(record.position.index(), record.payload.len()) {
            offset += member.flush(target, offset).map_err(|source| fail(Operation::Write, source))?;
        }
        member.push(record.position.index(), record.payload);
        records += 1;
    }
    if reader.position() < next {
        // The mark could not be written and lags: what it does not speak of cannot be read yet.
        let source = format!("records from {} to {next} are not marked as committed", reader.position());
        return Err(fail(Operation::Read, io::Error::other(source)));
    }
    member.flush(target, offset).map_err(|source| fail(Operation::Write, source))?;
    target.sync_data().map_err(|source| fail(Operation::Sync, source))?;
    let found = count_records(target).map_err(|source| fail(Operation::Read, source))?;
    if found != records {
        let source =
            io::Error::new(io::ErrorKind::InvalidData, format!("{records} records written, {found} read back"));
        return Err(fail(Operation::Read, source));
    }
    Ok(records)
}

/// Lines being collected.
#[derive(Default)]
struct Member {
    lines: Vec<u8>,
    first: u64,
    records: u32,
    written: u32,
}

impl Member {
    fn continues(&self, position: u64, bytes: usize) -> bool {
        self.records == 0
            || (self.first + u64::from(self.records) == position && self.lines.len() + bytes < MEMBER_BYTES)
    }

    fn push(&mut self, position: u64, payload: &[u8]) {
        if self.records == 0 {
            self.first = position;
        }
        self.records += 1;
        let from = self.lines.len();
        self.lines.extend_from_slice(payload);
        // In JSON a line break can only stand between words, where a space means the same.
        self.lines.iter_mut().skip(from).filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        self.lines.push(b'\n');
    }

    /// Writes what there is at `offset` and begins anew; returns the octets written.
    fn flush(&mut self, target: &dyn StorageFile, offset: u64) -> io::Result<u64> {
        if self.records == 0 {
            return Ok(0);
        }
        let placeholder = [&SUBFIELD[..], &[0; FIELD_BYTES as usize]].concat();
        let builder = GzBuilder::new().mtime(self.written).extra(placeholder).operating_system(3);
        let mut encoder = builder.write(Vec::with_capacity(self.lines.len() / 4), Compression::new(LEVEL));
        encoder.write_all(&self.lines)?;
        let mut bytes = encoder.finish()?;
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let header = MemberHeader { bytes: length, first: self.first, records: self.records, written: self.written };
        bytes.splice(16..MEMBER_HEADER_BYTES, header.field());
        target.write_at(&bytes, offset)?;
        self.lines.clear();
        self.records = 0;
        Ok(u64::from(length))
    }
}

impl MemberHeader {
    fn field(&self) -> [u8; FIELD_BYTES as usize] {
        let mut field = [0; FIELD_BYTES as usize];
        field[0] = VERSION;
        field[1..5].copy_from_slice(&self.bytes.to_le_bytes());
        field[5..13].copy_from_slice(&self.first.to_le_bytes());
        field[13..17].copy_from_slice(&self.records.to_le_bytes());
        let crc = crc32c(&field[..17]);
        field[17..].copy_from_slice(&crc.to_le_bytes());
        field
    }

    /// `None` when it is not one of ours, of a later version, or does not check.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let field = bytes.get(16..MEMBER_HEADER_BYTES)?;
        let u32_at = |bytes: &[u8], at: usize| bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk));
        let header = Self {
            written: u32_at(bytes, 4)?,
            bytes: u32_at(field, 1)?,
            first: field.get(5..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))?,
            records: u32_at(field, 13)?,
        };
        let known = bytes.get(..4)? == MAGIC && bytes.get(12..16)? == SUBFIELD && *field.first()? == VERSION;
        let checks = u32_at(field, 17)? == crc32c(field.get(..17)?);
        let possible = header.first <= Position::MAX.index() && header.bytes as usize > MEMBER_HEADER_BYTES;
        (known && checks && possible).then_some(header)
    }
}

/// Reads everything back; lines, all of which check.
fn count_records(file: &dyn StorageFile) -> io::Result<u64> {
    let mut members = crate::members::Members::default();
    let mut records = 0;
    while let Some(step) = members.step(file, 0)? {
        match step {
            crate::members::Step::Member(header) => records += u64::from(header.records),
            crate::members::Step::Damage { .. } => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "archive does not check"));
            }
        }
    }
    Ok(records)
}

/// When the segment of an archive was last written, by its first member; by the file's own time when that does not check.
pub(crate) fn written(storage: &dyn Storage, name: &str) -> io::Result<SystemTime> {
    let file = storage.open(name, false)?;
    let mut head = [0; MEMBER_HEADER_BYTES];
    let read = file.read_at(&mut head, 0)?;
    match MemberHeader::decode(head.get(..read).unwrap_or(&[])) {
        Some(header) => Ok(UNIX_EPOCH + std::time::Duration::from_secs(header.written.into())),
        None => storage.modified(name),
    }
}

fn seconds(time: SystemTime) -> u32 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

pub(crate) fn io_error(operation: Operation, storage: &dyn Storage, name: &str, source: io::Error) -> LogError {
    let file = if name.is_empty() { storage.directory().to_path_buf() } else { storage.path(name) };
    LogError::Io { operation, file, source: Arc::new(source) }
}

/// Nearly as small as the best, at several times the speed.
const LEVEL: u32 = 4;
