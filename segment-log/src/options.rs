//! How a log is opened.

use crate::error::Error;
use crate::format::{FRAME_HEADER_BYTES, MAX_RECORD_BYTES};
use crate::position::Position;

/// What to do about acknowledged records that do not check. (A torn tail, which nobody was told is safe, is always cut.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CorruptPolicy {
    /// Return [`Error::Corrupt`]: for money, where a missing change makes every later one wrong.
    #[default]
    Refuse,
    /// Skip and count them, and go on at the next good record: for call records, where one lost is better than all waiting.
    Skip,
}

/// How much is checked when a log is opened. Reading checks every record in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// All segments, so that [`crate::Recovered`] tells all damage at once.
    #[default]
    Everything,
    /// The last segment only: for callers that read the rest right afterwards.
    LastSegment,
}

/// How a [`crate::Log`] is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Size at which a new segment is begun, in octets; 4 KiB to 1 GiB. A batch is never split, so a segment that holds one
    /// large batch may be larger.
    pub segment_bytes: u64,
    /// The most one batch may hold, in octets with frame headers; at least one record of maximal length, at most 1 GiB.
    pub max_batch_bytes: usize,
    /// What to do about damaged acknowledged records.
    pub corrupt: CorruptPolicy,
    /// How much is checked at opening.
    pub verify: Verify,
    /// The first position of a log that is still empty; ignored otherwise.
    pub start: Position,
}

impl Default for Options {
    /// 64 MiB segments and batches, `Refuse`, everything verified, starting at 0.
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            max_batch_bytes: 64 * 1024 * 1024,
            corrupt: CorruptPolicy::Refuse,
            verify: Verify::Everything,
            start: Position::ZERO,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (min, max) = (4 * 1024, 1024 * 1024 * 1024);
        if !(min..=max).contains(&self.segment_bytes) {
            return Err(Error::OptionOutOfRange { option: "segment_bytes", value: self.segment_bytes, min, max });
        }
        // Less than 2^32 records a segment follow from this and the frame's 17 octets: positions in frames are 32 bits wide.
        let (min, max) = (MAX_RECORD_BYTES + FRAME_HEADER_BYTES, 1024 * 1024 * 1024);
        if !(min..=max).contains(&self.max_batch_bytes) {
            return Err(Error::out_of_range("max_batch_bytes", self.max_batch_bytes, min, max));
        }
        if self.start > Position::MAX {
            return Err(Error::OptionOutOfRange {
                option: "start",
                value: self.start.index(),
                min: 0,
                max: Position::MAX.index(),
            });
        }
        Ok(())
    }
}
