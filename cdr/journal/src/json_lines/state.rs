//! What the checkpoint says of the file being written.

use std::io;

use crc32c::crc32c;
use segment_log::StorageFile;
use serde::{Deserialize, Serialize};
use types::UtcMs;

/// The file being written, as far as it is behind the checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Current {
    /// Octets written and synced.
    pub length: u64,
    /// Position of its first record.
    #[serde(default)]
    pub first: Option<u64>,
    /// When it was begun.
    #[serde(default)]
    pub begun: UtcMs,
    /// How it begins; absent while it is empty.
    #[serde(default)]
    pub head: Option<Head>,
}

/// The begin of a file, which holds a `recordId` and so is the begin of no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// How many octets.
    pub bytes: usize,
    /// Their crc32c.
    pub crc: u32,
}

impl Current {
    /// From the checkpoint; a number alone is a length, as earlier releases wrote it.
    pub fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(length) => Some(Self { length, ..Self::default() }),
            Err(_) => serde_json::from_str(text).ok(),
        }
    }

    /// For the checkpoint.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("invariant: numbers have a JSON form")
    }

    /// Adds what an earlier release did not note: the begin of the file, if it is all there, and `now` as when it was begun.
    pub fn complete(&mut self, file: &dyn StorageFile, now: UtcMs) -> io::Result<()> {
        if self.length > 0 && self.head.is_none() && file.length()? >= self.length {
            self.head = Head::read(file, usize::try_from(self.length).unwrap_or(usize::MAX).min(MOST_BYTES))?;
            self.begun = now;
        }
        Ok(())
    }
}

impl Head {
    /// Of the lines that begin a file.
    pub fn of(lines: &[u8]) -> Option<Self> {
        let begin = lines.get(..lines.len().min(MOST_BYTES)).filter(|begin| !begin.is_empty())?;
        Some(Self { bytes: begin.len(), crc: crc32c(begin) })
    }

    /// Of the first `bytes` octets of a file; none when it is shorter.
    pub fn read(file: &dyn StorageFile, bytes: usize) -> io::Result<Option<Self>> {
        let mut begin = vec![0; bytes.min(MOST_BYTES)];
        let filled = fill(file, &mut begin)?;
        Ok((filled == bytes).then(|| Self { bytes, crc: crc32c(&begin) }))
    }
}

/// Reads from the beginning until the buffer is full or the file ends.
pub(super) fn fill(file: &dyn StorageFile, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read_at(free, u64::try_from(filled).unwrap_or(u64::MAX))? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Longer than what stands before and in the `recordId` of a first line.
const MOST_BYTES: usize = 512;
