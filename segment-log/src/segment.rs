//! One segment file: its name, and reading it frame by frame, damage included.
//!
//! The scan only reports what is there. Whether damage is a torn write, an error or something to skip is decided by
//! [`crate::recovery`] (last segment, when a log is opened) and [`crate::cursor`] (everything committed).

use std::ops::Range;

use crate::error::{Error, Reason};
use crate::format::{FORMAT_VERSION, MAX_RECORD_BYTES};
use crate::format::{
    FRAME_HEADER_BYTES, FrameHeader, HeaderFault, MIN_FRAME_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use crate::options::CorruptPolicy;
use crate::position::Position;
use crate::storage::{Operation, Storage, StorageFile};
use crate::window::Window;

const SUFFIX: &str = ".seg";
/// A segment under this suffix is not part of the log yet.
pub(crate) const UNFINISHED_SUFFIX: &str = ".seg.tmp";

/// The name of the segment that begins at `base`; names sort like positions.
pub(crate) fn segment_name(base: u64) -> String {
    format!("{base:020}{SUFFIX}")
}

/// The base in a segment's name; `None` for files that are not segments.
pub(crate) fn segment_base(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|base| *base <= Position::MAX.index())
}

/// The bases of all segments, ascending.
pub(crate) fn list_segments(storage: &dyn Storage) -> Result<Vec<u64>, Error> {
    let names = storage.list().map_err(|e| Error::io(Operation::List, storage.directory(), e))?;
    let mut bases: Vec<u64> = names.iter().filter_map(|name| segment_base(name)).collect();
    bases.sort_unstable();
    Ok(bases)
}

/// A frame that checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub position: u64,
    /// Records of its batch before it: positions below `position - batch_index` were durable when it was written.
    pub batch_index: u32,
    /// Where the payload lies in the file.
    pub payload: Range<u64>,
}

impl Frame {
    /// The first position of its batch.
    pub fn batch_start(&self) -> u64 {
        self.position.saturating_sub(u64::from(self.batch_index))
    }
}

/// What a scan finds next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next record.
    Frame(Frame),
    /// Octets that are neither a frame nor zeros to the end; `resumed` is the first good frame behind them, which the next
    /// step returns.
    Damage { offset: u64, bytes: u64, expected: u64, resumed: Option<Frame> },
    /// Nothing but zeros from `offset` on, or nothing at all.
    End { offset: u64 },
}

/// Reads one segment from its first frame on.
#[derive(Debug)]
pub(crate) struct SegmentScan {
    pub name: String,
    pub base: u64,
    pub salt: u64,
    pub header_damaged: bool,
    /// Where the next frame begins.
    pub offset: u64,
    /// The position it must have.
    pub expected: u64,
    file: Box<dyn StorageFile>,
    window: Window,
    exhausted: bool,
}

impl SegmentScan {
    /// Opens the segment at `base` and reads its header.
    pub fn open(storage: &dyn Storage, base: u64, policy: CorruptPolicy) -> Result<Self, Error> {
        let name = segment_name(base);
        let file = storage.open(&name, false).map_err(|e| Error::io(Operation::Open, storage.path(&name), e))?;
        let mut scan = Self {
            base,
            salt: 0,
            header_damaged: false,
            offset: offset_of(SEGMENT_HEADER_BYTES),
            expected: base,
            file,
            window: Window::default(),
            exhausted: false,
            name,
        };
        let header = scan.fill(storage, 0, SEGMENT_HEADER_BYTES)?.to_vec();
        match SegmentHeader::decode(&header) {
            Ok(header) if header.base == base => scan.salt = header.salt,
            Err(HeaderFault::Newer(found)) => {
                return Err(Error::NewerFormat { file: storage.path(&scan.name), found, supported: FORMAT_VERSION });
            }
            Ok(_) | Err(HeaderFault::Damaged) if policy == CorruptPolicy::Refuse => {
                return Err(scan.corrupt(storage, 0, base, Reason::Header));
            }
            Ok(_) | Err(HeaderFault::Damaged) => {
                scan.header_damaged = true;
                scan.choose_salt(storage, &header)?;
            }
        }
        Ok(scan)
    }

    /// The next frame, damage or the end.
    pub fn step(&mut self, storage: &dyn Storage) -> Result<Step, Error> {
        if self.exhausted {
            return Ok(Step::End { offset: self.offset });
        }
        if let Some(frame) = self.frame_at(storage, self.offset, 0)? {
            self.offset = frame.payload.end;
            self.expected = frame.position.saturating_add(1);
            return Ok(Step::Frame(frame));
        }
        self.pass_damage(storage)
    }

    /// The payload of the frame just returned by `step`.
    pub fn payload(&self, frame: &Frame) -> &[u8] {
        let length = usize::try_from(frame.payload.end - frame.payload.start).unwrap_or(0);
        self.window.from(frame.payload.start).get(..length).unwrap_or(&[])
    }

    /// Forgets what was read ahead: the writer may have written there since.
    pub fn refresh(&mut self) {
        self.window.clear();
        self.exhausted = false;
    }

    pub fn file_length(&self, storage: &dyn Storage) -> Result<u64, Error> {
        self.file.length().map_err(|e| Error::io(Operation::Read, storage.path(&self.name), e))
    }

    pub fn corrupt(&self, storage: &dyn Storage, offset: u64, position: u64, reason: Reason) -> Error {
        Error::Corrupt { file: storage.path(&self.name), offset, position: Position::new(position), reason }
    }

    /// With a damaged header, the copy of the salt under which the first frame checks.
    fn choose_salt(&mut self, storage: &dyn Storage, header: &[u8]) -> Result<(), Error> {
        for salt in SegmentHeader::salts(header) {
            self.salt = salt;
            if self.frame_at(storage, self.offset, 0)?.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// The frame at `offset`, if one checks there whose position is `expected` or up to `ahead` later.
    fn frame_at(&mut self, storage: &dyn Storage, offset: u64, ahead: u64) -> Result<Option<Frame>, Error> {
        let (salt, expected) = (self.salt, self.expected);
        let head = self.fill(storage, offset, FRAME_HEADER_BYTES)?;
        let Some(header) = FrameHeader::decode(head, salt) else {
            return Ok(None);
        };
        let distance = u64::from(header.ahead_of(expected));
        let position = expected.saturating_add(distance);
        let Ok(length) = usize::try_from(header.length) else {
            return Ok(None);
        };
        if distance > ahead || u64::from(header.batch_index) > position - self.base || length > MAX_RECORD_BYTES {
            return Ok(None);
        }
        let bytes = self.fill(storage, offset, FRAME_HEADER_BYTES + length)?;
        match bytes.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + length) {
            Some(payload) if header.checks(salt, position, payload) => {
                let start = offset + offset_of(FRAME_HEADER_BYTES);
                Ok(Some(Frame {
                    position,
                    batch_index: header.batch_index,
                    payload: start..start + u64::from(header.length),
                }))
            }
            _ => Ok(None),
        }
    }

    /// Looks for the next good frame behind a place where none is. Every lost record took at least 17 octets, so the distance
    /// bounds how far positions may have advanced; that, and the salt, keep chance and malice from passing as a frame.
    fn pass_damage(&mut self, storage: &dyn Storage) -> Result<Step, Error> {
        let (offset, expected) = (self.offset, self.expected);
        let Some(mut used) = self.next_used(storage, offset)? else {
            self.exhausted = true;
            return Ok(Step::End { offset });
        };
        let mut at = offset + 1;
        while let Some(next) = self.next_used(storage, at)? {
            used = next;
            // The first octets of a frame are its length and one of them is not zero.
            at = at.max(next.saturating_sub(3));
            let ahead = (at - offset) / MIN_FRAME_BYTES;
            if let Some(frame) = self.frame_at(storage, at, ahead)?.filter(|frame| frame.position > expected) {
                self.offset = at;
                self.expected = frame.position;
                return Ok(Step::Damage { offset, bytes: at - offset, expected, resumed: Some(frame) });
            }
            at += 1;
        }
        self.exhausted = true;
        Ok(Step::Damage { offset, bytes: used + 1 - offset, expected, resumed: None })
    }

    /// The offset of the first octet that is not zero, from `at` on.
    fn next_used(&mut self, storage: &dyn Storage, mut at: u64) -> Result<Option<u64>, Error> {
        loop {
            let bytes = self.fill(storage, at, 1)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(index) = bytes.iter().position(|byte| *byte != 0) {
                return Ok(Some(at + offset_of(index)));
            }
            at += offset_of(bytes.len());
        }
    }

    fn fill(&mut self, storage: &dyn Storage, offset: u64, want: usize) -> Result<&[u8], Error> {
        let Self { window, file, name, .. } = self;
        window.fill(file.as_ref(), offset, want).map_err(|e| Error::io(Operation::Read, storage.path(name), e))
    }
}

/// Lengths in memory are at most a few GiB.
pub(crate) fn offset_of(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
