//! Segment headers, frames and the mark as octets (format version 1; the layout is in the crate's documentation).
//!
//! Pure. Decoding refuses what does not check; nothing here allocates by a length it has read.

use crc32c::{crc32c, crc32c_append};

/// The format this release writes, and the newest it reads.
pub const FORMAT_VERSION: u8 = 1;

/// The longest record: 16 MiB. A charging change or a call record has a few kB; the limit is there so that a damaged length
/// cannot make a reader allocate gigabytes, and so that one record always fits a batch.
pub const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;

/// Octets before the first frame of a segment.
pub const SEGMENT_HEADER_BYTES: usize = 40;

/// Octets before the payload in each frame.
pub const FRAME_HEADER_BYTES: usize = 16;

/// Octets of the smallest frame: a header and one octet.
pub(crate) const MIN_FRAME_BYTES: u64 = 17;

/// Octets of the mark.
pub(crate) const MARK_BYTES: usize = 16;

const SEGMENT_MAGIC: &[u8; 7] = b"tollseg";
const MARK_MAGIC: &[u8; 3] = b"mrk";
const MAX_BASE: u64 = crate::position::Position::MAX.index();

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub base: u64,
    pub salt: u64,
}

/// Why a header or mark is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Newer(u8),
    Damaged,
}

/// A frame's header, unmasked; says nothing yet about whether the frame checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub length: u32,
    pub crc: u32,
    pub position_low: u32,
    pub batch_index: u32,
}

impl SegmentHeader {
    pub fn encode(self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[0] = FORMAT_VERSION;
        bytes[1..8].copy_from_slice(SEGMENT_MAGIC);
        bytes[8..16].copy_from_slice(&self.base.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.salt.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc32c(&bytes[..36]);
        bytes[36..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        check_version(bytes, SEGMENT_MAGIC)?;
        let checked = bytes.get(..36).ok_or(HeaderFault::Damaged)?;
        let (base, salt) = (u64_at(bytes, 8), u64_at(bytes, 16));
        match (base, salt, u32_at(bytes, 36)) {
            (Some(base), Some(salt), Some(crc)) if crc == crc32c(checked) && base <= MAX_BASE => {
                Ok(Self { base, salt })
            }
            _ => Err(HeaderFault::Damaged),
        }
    }

    /// Both copies of the salt of a damaged header: a single damaged octet spoils one of them at most.
    pub fn salts(bytes: &[u8]) -> [u64; 2] {
        [u64_at(bytes, 16).unwrap_or(0), u64_at(bytes, 24).unwrap_or(0)]
    }
}

impl FrameHeader {
    /// `None` when there are too few octets or no frame can have that length.
    pub fn decode(bytes: &[u8], salt: u64) -> Option<Self> {
        let length = u32_at(bytes, 0)?;
        if length == 0 || usize::try_from(length).ok()? > MAX_RECORD_BYTES {
            return None;
        }
        let (low, high) = halves(salt);
        Some(Self {
            length,
            crc: u32_at(bytes, 4)?,
            position_low: u32_at(bytes, 8)? ^ low,
            batch_index: u32_at(bytes, 12)? ^ high,
        })
    }

    /// How far the frame's position lies ahead of `expected` (modulo 2^32; a segment holds fewer records than that).
    pub fn ahead_of(&self, expected: u64) -> u32 {
        self.position_low.wrapping_sub(halves(expected).0)
    }

    pub fn checks(&self, salt: u64, position: u64, payload: &[u8]) -> bool {
        self.crc == frame_crc(salt, position, self.length, self.batch_index, payload)
    }
}

/// Appends one frame. The caller has checked the payload's length.
pub(crate) fn push_frame(
    buffer: &mut Vec<u8>,
    salt: u64,
    position: u64,
    batch_index: u32,
    length: u32,
    payload: &[u8],
) {
    let (low, high) = halves(salt);
    buffer.reserve(FRAME_HEADER_BYTES + payload.len());
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&frame_crc(salt, position, length, batch_index, payload).to_le_bytes());
    buffer.extend_from_slice(&(halves(position).0 ^ low).to_le_bytes());
    buffer.extend_from_slice(&(batch_index ^ high).to_le_bytes());
    buffer.extend_from_slice(payload);
}

/// The mark: version, `mrk`, position, crc32c.
pub(crate) fn encode_mark(position: u64) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[0] = FORMAT_VERSION;
    bytes[1..4].copy_from_slice(MARK_MAGIC);
    bytes[4..12].copy_from_slice(&position.to_le_bytes());
    let crc = crc32c(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

pub(crate) fn decode_mark(bytes: &[u8]) -> Result<u64, HeaderFault> {
    check_version(bytes, MARK_MAGIC)?;
    let checked = bytes.get(..12).ok_or(HeaderFault::Damaged)?;
    match (u64_at(bytes, 4), u32_at(bytes, 12)) {
        (Some(position), Some(crc)) if crc == crc32c(checked) && position <= MAX_BASE => Ok(position),
        _ => Err(HeaderFault::Damaged),
    }
}

/// The first octet is the version in every file of every release, the magic follows it.
pub(crate) fn check_version(bytes: &[u8], magic: &[u8]) -> Result<(), HeaderFault> {
    if bytes.get(1..=magic.len()) != Some(magic) {
        return Err(HeaderFault::Damaged);
    }
    match bytes.first() {
        Some(&FORMAT_VERSION) => Ok(()),
        Some(&found) if found > FORMAT_VERSION => Err(HeaderFault::Newer(found)),
        _ => Err(HeaderFault::Damaged),
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

fn frame_crc(salt: u64, position: u64, length: u32, batch_index: u32, payload: &[u8]) -> u32 {
    let mut head = [0; 24];
    head[..8].copy_from_slice(&salt.to_le_bytes());
    head[8..16].copy_from_slice(&position.to_le_bytes());
    head[16..20].copy_from_slice(&length.to_le_bytes());
    head[20..].copy_from_slice(&batch_index.to_le_bytes());
    crc32c_append(crc32c(&head), payload)
}

/// Low and high half.
fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}
