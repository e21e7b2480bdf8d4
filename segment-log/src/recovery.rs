//! Opening a log: what is kept, what is cut, what is refused.
//!
//! | found in the last segment | meaning | done |
//! |---|---|---|
//! | zeros after the last good frame | reserved space | nothing |
//! | no good frame behind the fault, mark not beyond it | torn write | cut, reported |
//! | good frames behind the fault, all of the fault's own batch, mark not beyond it | blocks of an unsynced batch arrived out of order | cut, reported |
//! | a good frame of a later batch behind the fault, or mark beyond it | acknowledged records damaged | [`CorruptPolicy`] |
//!
//! In earlier segments nothing can be torn: a segment is synced before the next one is created. Recovery may be interrupted and
//! repeated at any point; it cuts before anything is appended, and syncs what it keeps before telling anybody.

use std::io;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::error::{Error, Reason};
use crate::format::FRAME_HEADER_BYTES;
use crate::mark::{Mark, read_mark};
use crate::options::{CorruptPolicy, Options, Verify};
use crate::position::Position;
use crate::segment::{Frame, SegmentScan, Step, UNFINISHED_SUFFIX, list_segments, offset_of, segment_name};
use crate::storage::{Operation, Storage, StorageFile};

/// How much of a batch is rewritten at once.
const REWRITE_BYTES: usize = 1024 * 1024;

/// What opening a log found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// The first record still in the log (equal to `next` when it holds none).
    pub first: Position,
    /// The position of the next record to be appended; all below are durable.
    pub next: Position,
    /// Segment files.
    pub segments: usize,
    /// The write that a crash interrupted, if there was one: never acknowledged, cut off.
    pub torn_tail: Option<TornTail>,
    /// Acknowledged records that were skipped ([`CorruptPolicy::Skip`] only), as far as [`Verify`] looked.
    pub skipped: Skipped,
}

/// An interrupted write that was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment's file name.
    pub segment: String,
    /// Where it was cut, in octets.
    pub offset: u64,
    /// Octets from there to the last one that was not zero.
    pub bytes: u64,
}

/// Counts of damage that was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Skipped {
    /// Damaged places.
    pub regions: u64,
    /// Octets in them; 0 for records of which nothing is left.
    pub bytes: u64,
    /// Records lost in them, exactly: positions are contiguous.
    pub records: u64,
}

impl Skipped {
    pub(crate) fn add(&mut self, regions: u64, bytes: u64, records: u64) {
        self.regions = self.regions.saturating_add(regions);
        self.bytes = self.bytes.saturating_add(bytes);
        self.records = self.records.saturating_add(records);
    }
}

/// What the log goes on with.
#[derive(Debug)]
pub(crate) struct Opened {
    pub recovered: Recovered,
    /// Bases of all segments, ascending.
    pub bases: Vec<u64>,
    /// The segment to append to; `None`: create one at `recovered.next`.
    pub active: Option<OpenSegment>,
    pub salt: u64,
    pub mark: Mark,
}

/// A segment open for appending.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub name: String,
    pub file: Box<dyn StorageFile>,
    /// Where the next batch goes.
    pub offset: u64,
    /// The file's length; what lies between reads as zeros.
    pub reserved: u64,
    /// Whether it holds no record.
    pub is_empty: bool,
}

/// Recovers the log; the caller holds the lock.
pub(crate) fn recover(storage: &Arc<dyn Storage>, options: &Options) -> Result<Opened, Error> {
    remove_unfinished(storage.as_ref())?;
    let bases = list_segments(storage.as_ref())?;
    let mark = read_mark(storage.as_ref())?;
    let mut skipped = Skipped::default();
    let (Some(first), Some(last)) = (bases.first().copied(), bases.last().copied()) else {
        return recover_empty(storage.as_ref(), options, mark);
    };
    if options.verify == Verify::Everything && first < last {
        let mut cursor = Cursor::new(Arc::clone(storage), options.corrupt, Position::new(first), Position::new(last));
        while cursor.advance()?.is_some() {}
        skipped = cursor.skipped();
    }
    let tail = scan_last(storage.as_ref(), last, options.corrupt, mark, &mut skipped)?;
    let active = settle_last(storage.as_ref(), &tail)?;
    let next = Position::new(tail.next);
    let mark = Mark::open(storage.as_ref(), next)?;
    let recovered =
        Recovered { first: Position::new(first), next, segments: bases.len(), torn_tail: tail.torn, skipped };
    Ok(Opened { recovered, bases, active, salt: tail.salt, mark })
}

/// A segment whose creation was interrupted was never part of the log.
fn remove_unfinished(storage: &dyn Storage) -> Result<(), Error> {
    let names = storage.list().map_err(|e| Error::io(Operation::List, storage.directory(), e))?;
    for name in names.iter().filter(|name| name.ends_with(UNFINISHED_SUFFIX)) {
        storage.remove(name).map_err(|e| Error::io(Operation::Remove, storage.path(name), e))?;
    }
    Ok(())
}

/// No segments: a new log, unless the mark knows of records that were there.
fn recover_empty(storage: &dyn Storage, options: &Options, mark: Option<Position>) -> Result<Opened, Error> {
    let mut skipped = Skipped::default();
    let mut next = options.start;
    if let Some(mark) = mark.filter(|mark| *mark > options.start) {
        if options.corrupt == CorruptPolicy::Refuse {
            let file = storage.path(&segment_name(options.start.index()));
            return Err(Error::Corrupt { file, offset: 0, position: options.start, reason: Reason::Missing });
        }
        skipped.add(1, 0, mark.index() - next.index());
        next = mark;
    }
    let mark = Mark::open(storage, next)?;
    let recovered = Recovered { first: next, next, segments: 0, torn_tail: None, skipped };
    Ok(Opened { recovered, bases: Vec::new(), active: None, salt: storage.salt(), mark })
}

/// What the last segment holds.
#[derive(Debug)]
struct Tail {
    base: u64,
    salt: u64,
    next: u64,
    /// Octets to keep.
    keep: u64,
    /// The last batch: its first position, and where it begins in the file.
    batch: (u64, u64),
    /// Whether the mark proves that everything kept was synced by its writer.
    proven: bool,
    length: u64,
    torn: Option<TornTail>,
    /// False when the end is damaged: the rest is left as evidence and a new segment is begun.
    appendable: bool,
}

fn scan_last(
    storage: &dyn Storage,
    base: u64,
    policy: CorruptPolicy,
    mark: Option<Position>,
    skipped: &mut Skipped,
) -> Result<Tail, Error> {
    let mut scan = SegmentScan::open(storage, base, policy)?;
    let mark = mark.map_or(0, Position::index);
    let length = scan.file_length(storage)?;
    let mut tail = Tail {
        base,
        salt: scan.salt,
        next: base,
        keep: scan.offset,
        batch: (base, scan.offset),
        proven: false,
        length,
        torn: None,
        appendable: !scan.header_damaged,
    };
    if scan.header_damaged {
        skipped.add(1, scan.offset, 0);
    }
    loop {
        match scan.step(storage)? {
            Step::Frame(frame) => {
                if frame.batch_start() != tail.batch.0 {
                    tail.batch =
                        (frame.batch_start(), frame.payload.start.saturating_sub(offset_of(FRAME_HEADER_BYTES)));
                }
                tail.next = frame.position + 1;
                tail.keep = frame.payload.end;
            }
            Step::Damage { offset, bytes, expected, resumed } => {
                if is_torn(expected, resumed.as_ref(), mark) {
                    tail.torn = Some(TornTail {
                        segment: scan.name.clone(),
                        offset,
                        bytes: used_behind(storage, &mut scan, offset, bytes)?,
                    });
                    break;
                }
                if policy == CorruptPolicy::Refuse {
                    return Err(scan.corrupt(storage, offset, expected, Reason::Frame));
                }
                skipped.add(1, bytes, resumed.as_ref().map_or(0, |frame| frame.position - expected));
                if resumed.is_none() {
                    tail.appendable = false;
                }
            }
            Step::End { .. } => break,
        }
    }
    tail.proven = mark >= tail.next;
    if mark > tail.next {
        if policy == CorruptPolicy::Refuse {
            return Err(scan.corrupt(storage, tail.keep, tail.next, Reason::Missing));
        }
        skipped.add(0, 0, mark - tail.next);
        tail.appendable = false;
        tail.next = mark;
    }
    if !tail.appendable && tail.next == base {
        // The file of that name stays as evidence; the new segment needs another.
        skipped.add(0, 0, 1);
        tail.next = base + 1;
    }
    Ok(tail)
}

/// Whether a fault at `expected` concerns only records that were never acknowledged.
fn is_torn(expected: u64, resumed: Option<&Frame>, mark: u64) -> bool {
    mark <= expected && resumed.is_none_or(|frame| frame.batch_start() <= expected)
}

/// For the report: octets from `offset` to the last one in use, good frames of the cut batch included.
fn used_behind(storage: &dyn Storage, scan: &mut SegmentScan, offset: u64, bytes: u64) -> Result<u64, Error> {
    let mut end = offset + bytes;
    loop {
        match scan.step(storage)? {
            Step::Frame(frame) => end = frame.payload.end,
            Step::Damage { offset, bytes, .. } => end = offset + bytes,
            Step::End { .. } => return Ok(end - offset),
        }
    }
}

/// Writes the last batch over itself. Its writer may have died of a failed fsync: the page cache then shows it, calls it clean,
/// and a mere fsync would save nothing.
fn rewrite(file: &dyn StorageFile, mut from: u64, until: u64) -> io::Result<()> {
    let mut chunk = vec![0; REWRITE_BYTES];
    while from < until {
        let wanted = usize::try_from(until - from).unwrap_or(REWRITE_BYTES).min(REWRITE_BYTES);
        let read = file.read_at(chunk.get_mut(..wanted).unwrap_or_default(), from)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_at(chunk.get(..read).unwrap_or_default(), from)?;
        from += offset_of(read);
    }
    Ok(())
}

/// Cuts what is torn, and makes durable what is kept: a process that was killed may have left it in the page cache only.
fn settle_last(storage: &dyn Storage, tail: &Tail) -> Result<Option<OpenSegment>, Error> {
    let name = segment_name(tail.base);
    let fail = |operation, e| Error::io(operation, storage.path(&name), e);
    let file = storage.open(&name, true).map_err(|e| fail(Operation::Open, e))?;
    let mut reserved = tail.length;
    if tail.torn.is_some() {
        file.set_len(tail.keep).map_err(|e| fail(Operation::SetLen, e))?;
        reserved = tail.keep;
    }
    if !tail.proven {
        rewrite(file.as_ref(), tail.batch.1, tail.keep).map_err(|e| fail(Operation::Write, e))?;
    }
    file.sync_all().map_err(|e| fail(Operation::Sync, e))?;
    storage.sync_dir().map_err(|e| Error::io(Operation::SyncDir, storage.directory(), e))?;
    let segment = OpenSegment { name, file, offset: tail.keep, reserved, is_empty: tail.next == tail.base };
    Ok(tail.appendable.then_some(segment))
}
