//! A log examined segment by segment, for a report to people: what is there, what is damaged, what is missing.
//!
//! It takes no lock and changes nothing. A writer may go on: what it commits after [`Survey::open`] is no part of the report, and
//! a segment that it removes meanwhile gives `None`.

use std::io;
use std::sync::Arc;

use crate::error::Error;
use crate::mark::read_mark;
use crate::options::CorruptPolicy;
use crate::position::Position;
use crate::reader::Record;
use crate::recovery::Skipped;
use crate::segment::{SegmentScan, Step, list_segments, segment_name};
use crate::storage::Storage;

/// A segment of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFile {
    /// The position of its first record.
    pub first: Position,
    /// The file's name.
    pub name: String,
}

/// The segments in `storage`, oldest first.
///
/// # Errors
/// [`Error::Io`].
pub fn segments(storage: &dyn Storage) -> Result<Vec<SegmentFile>, Error> {
    let bases = list_segments(storage)?;
    Ok(bases.into_iter().map(|base| SegmentFile { first: Position::new(base), name: segment_name(base) }).collect())
}

/// What one segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentSurvey {
    /// The segment.
    pub file: SegmentFile,
    /// The position after its last committed record, or after the last that is known to be missing.
    pub next: Position,
    /// Committed records that check.
    pub records: u64,
    /// Octets of those records, without frame headers.
    pub payload_bytes: u64,
    /// Octets of the file, reserved space included.
    pub file_bytes: u64,
    /// Committed records and octets that do not check or are not there.
    pub damaged: Skipped,
    /// What stands behind the last committed record: the batch that a running writer has in hand, or what a crash left of one and
    /// the next opening cuts. Nobody was told that it is safe.
    pub uncommitted: Option<Uncommitted>,
}

/// Octets that were written and not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uncommitted {
    /// Whole records among them.
    pub records: u64,
    /// All of them.
    pub bytes: u64,
}

/// A log as it was when the survey began.
#[derive(Debug)]
pub struct Survey {
    storage: Arc<dyn Storage>,
    segments: Vec<SegmentFile>,
    /// The first position that was not committed; absent without a readable mark: then every record that checks counts.
    mark: Option<Position>,
}

impl Survey {
    /// Looks at what is there.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NewerFormat`].
    pub fn open(storage: Arc<dyn Storage>) -> Result<Self, Error> {
        // In this order: what the mark speaks of is in the segments listed after it.
        let mark = read_mark(storage.as_ref())?;
        let segments = segments(storage.as_ref())?;
        Ok(Self { storage, segments, mark })
    }

    /// The segments, oldest first.
    #[must_use]
    pub fn segments(&self) -> &[SegmentFile] {
        &self.segments
    }

    /// Reads the segment of that number in [`Survey::segments`] and hands every committed record to `visit`. `None` when the
    /// segment was removed meanwhile, or there is no such number.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NewerFormat`]; damage is no error here.
    pub fn segment(&self, number: usize, visit: &mut dyn FnMut(Record<'_>)) -> Result<Option<SegmentSurvey>, Error> {
        let Some(file) = self.segments.get(number) else { return Ok(None) };
        let following = self.segments.get(number + 1).map(|following| following.first);
        let storage = self.storage.as_ref();
        let mut scan = match SegmentScan::open(storage, file.first.index(), CorruptPolicy::Skip) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let limit = self.mark.unwrap_or(Position::MAX).min(following.unwrap_or(Position::MAX)).index();
        let mut seen = Seen { limit, ..Seen::default() };
        if scan.header_damaged {
            seen.damaged.add(1, scan.offset, 0);
        }
        let mut next = file.first.index();
        loop {
            match scan.step(storage)? {
                Step::Frame(frame) if frame.position < limit => {
                    next = frame.position + 1;
                    seen.records += 1;
                    seen.payload_bytes += frame.payload.end - frame.payload.start;
                    visit(Record { position: Position::new(frame.position), payload: scan.payload(&frame) });
                }
                Step::Frame(frame) => seen.beyond(1, frame.payload.end - frame.payload.start),
                Step::Damage { bytes, expected, resumed, .. } => {
                    seen.damage(bytes, expected, resumed.map(|frame| frame.position), self.mark.is_some());
                }
                Step::End { .. } => break,
            }
        }
        // Where the next segment or the mark says that there was more.
        let end = if limit == Position::MAX.index() { next } else { limit };
        if end > scan.expected.max(next) {
            seen.damaged.add(u64::from(!seen.end_damaged), 0, end - scan.expected.max(next));
        }
        Ok(Some(SegmentSurvey {
            file: file.clone(),
            next: Position::new(end.max(next)),
            records: seen.records,
            payload_bytes: seen.payload_bytes,
            file_bytes: scan.file_length(storage)?,
            damaged: seen.damaged,
            uncommitted: seen.uncommitted,
        }))
    }
}

/// What a scan has met so far.
#[derive(Default)]
struct Seen {
    /// Records from here on are not committed.
    limit: u64,
    records: u64,
    payload_bytes: u64,
    damaged: Skipped,
    uncommitted: Option<Uncommitted>,
    /// The end is damaged and counted as a region.
    end_damaged: bool,
}

impl Seen {
    fn beyond(&mut self, records: u64, bytes: u64) {
        let uncommitted = self.uncommitted.get_or_insert_default();
        uncommitted.records += records;
        uncommitted.bytes += bytes;
    }

    /// Octets that are no frame, before the record `expected`, up to the record `resumed`.
    fn damage(&mut self, bytes: u64, expected: u64, resumed: Option<u64>, marked: bool) {
        if expected >= self.limit || (!marked && resumed.is_none()) {
            self.beyond(0, bytes);
            return;
        }
        let until = resumed.unwrap_or(expected).min(self.limit);
        self.damaged.add(1, bytes, until.saturating_sub(expected));
        self.end_damaged = resumed.is_none();
    }
}
