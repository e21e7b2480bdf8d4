//! Bytes to frames: netstrings, or bare JSON objects. Looks only at lengths and brackets; what a frame says is decided
//! in `message`. Incremental: a frame may come in any pieces, and any number of frames in one piece.

use std::ops::Range;

use super::error::FrameError;
use super::limits::{BUFFER_BYTES_MAX, FRAME_BYTES_MAX, LENGTH_DIGITS_MAX, READ_BYTES_MAX};

/// How messages are told apart (module parameter `netstring_format` of evapi).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// `<bytes>:<json>,` (`netstring_format=1`, Kamailio's default).
    #[default]
    Netstring,
    /// JSON objects one after the other, white space between them ignored (`netstring_format=0`).
    BareJson,
}

/// Where the first frame of the bytes given to [`FrameScanner::scan`] stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameSpan {
    /// The JSON text.
    pub text: Range<usize>,
    /// Bytes to drop from the front before the next call: framing and text.
    pub consumed: usize,
}

/// Finds frames in bytes it does not own. After a fault it repeats that fault for ever.
#[derive(Debug, Clone, Default)]
pub struct FrameScanner {
    framing: Framing,
    consumed_bytes: u64,
    bare: BareScan,
    fault: Option<FrameError>,
}

impl FrameScanner {
    /// A scanner at the start of a connection.
    pub fn new(framing: Framing) -> Self {
        Self { framing, ..Self::default() }
    }

    /// Looks for the first frame in `input`, which must begin where the last frame ended: the caller drops
    /// [`FrameSpan::consumed`] bytes after each frame and none otherwise. `None` = more bytes are needed.
    ///
    /// # Errors
    /// Every [`FrameError`] is fatal.
    pub fn scan(&mut self, input: &[u8]) -> Result<Option<FrameSpan>, FrameError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let found = match self.framing {
            Framing::Netstring => netstring(input, self.consumed_bytes),
            Framing::BareJson => self.bare.scan(input, self.consumed_bytes),
        };
        match &found {
            Ok(Some(span)) => self.consumed_bytes = self.consumed_bytes.saturating_add(wide(span.consumed)),
            Ok(None) => {}
            Err(fault) => self.fault = Some(*fault),
        }
        found
    }

    /// Call at the end of the connection with the bytes that are left.
    ///
    /// # Errors
    /// [`FrameError::EndInFrame`] when a frame had begun.
    pub fn finish(&self, rest: &[u8]) -> Result<(), FrameError> {
        let blank = self.framing == Framing::BareJson && rest.iter().all(u8::is_ascii_whitespace);
        if rest.is_empty() || blank {
            return Ok(());
        }
        Err(FrameError::EndInFrame { offset: self.consumed_bytes, held_bytes: rest.len() })
    }
}

/// Owns the bytes between reads; never holds more than [`BUFFER_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct FrameReader {
    scanner: FrameScanner,
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that belong to frames already handed out.
    taken: usize,
}

impl FrameReader {
    /// A reader at the start of a connection.
    pub fn new(framing: Framing) -> Self {
        Self { scanner: FrameScanner::new(framing), ..Self::default() }
    }

    /// Adds what one read gave, at most [`READ_BYTES_MAX`] bytes. Take all frames out before the next push.
    ///
    /// # Errors
    /// [`FrameError::NotDrained`] when that would exceed the buffer's limit; the bytes are not taken.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let held_bytes = self.buffer.len();
        let limit_bytes = BUFFER_BYTES_MAX;
        if bytes.len() > READ_BYTES_MAX || bytes.len() > limit_bytes.saturating_sub(held_bytes) {
            return Err(FrameError::NotDrained { bytes: bytes.len(), held_bytes, limit_bytes });
        }
        // Exact: the usual doubling could go beyond the limit.
        self.buffer.reserve_exact(bytes.len());
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The JSON text of the next frame, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// As [`FrameScanner::scan`].
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some(span) = self.scanner.scan(rest)? else {
            return Ok(None);
        };
        self.taken = self.taken.saturating_add(span.consumed).min(self.buffer.len());
        Ok(rest.get(span.text))
    }

    /// Call at the end of the connection.
    ///
    /// # Errors
    /// [`FrameError::EndInFrame`] when a frame had begun.
    pub fn finish(&self) -> Result<(), FrameError> {
        self.scanner.finish(self.buffer.get(self.taken..).unwrap_or_default())
    }

    /// Memory held, in bytes.
    pub fn capacity_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}

fn netstring(input: &[u8], offset: u64) -> Result<Option<FrameSpan>, FrameError> {
    let mut length = 0_usize;
    let mut digits = 0_usize;
    for byte in input {
        match byte {
            b'0'..=b'9' => {
                if digits == 1 && length == 0 {
                    return Err(FrameError::LeadingZero { offset });
                }
                if digits == LENGTH_DIGITS_MAX {
                    return Err(FrameError::LengthDigits { offset, limit: LENGTH_DIGITS_MAX });
                }
                length = length * 10 + usize::from(byte - b'0');
                digits += 1;
            }
            b':' if digits > 0 => return netstring_text(input, offset, digits + 1, length),
            _ => return Err(FrameError::BadLength { offset: offset.saturating_add(wide(digits)) }),
        }
    }
    Ok(None)
}

fn netstring_text(input: &[u8], offset: u64, start: usize, length: usize) -> Result<Option<FrameSpan>, FrameError> {
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::FrameTooLong { offset, frame_bytes: length, limit_bytes: FRAME_BYTES_MAX });
    }
    let end = start + length;
    match input.get(end) {
        None => Ok(None),
        Some(b',') => Ok(Some(FrameSpan { text: start..end, consumed: end + 1 })),
        Some(_) => Err(FrameError::MissingComma { offset: offset.saturating_add(wide(end)) }),
    }
}

/// How far the bare object at the front of the input has been looked at, so that no byte is looked at twice.
#[derive(Debug, Clone, Default)]
struct BareScan {
    /// Bytes looked at.
    scanned: usize,
    /// White space in front of the object.
    start: usize,
    /// Open brackets; 0 = the object has not begun.
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl BareScan {
    fn scan(&mut self, input: &[u8], offset: u64) -> Result<Option<FrameSpan>, FrameError> {
        for byte in input.iter().skip(self.scanned) {
            self.scanned += 1;
            // White space counts too: a peer that sends nothing else must not fill the buffer.
            if self.scanned > FRAME_BYTES_MAX {
                let frame_bytes = self.scanned;
                return Err(FrameError::FrameTooLong { offset, frame_bytes, limit_bytes: FRAME_BYTES_MAX });
            }
            if self.depth == 0 {
                match byte {
                    b' ' | b'\t' | b'\r' | b'\n' => self.start += 1,
                    b'{' => self.depth = 1,
                    _ => return Err(FrameError::NotAnObject { offset: offset.saturating_add(wide(self.start)) }),
                }
            } else if self.closes(*byte) {
                let span = FrameSpan { text: self.start..self.scanned, consumed: self.scanned };
                *self = Self::default();
                return Ok(Some(span));
            }
        }
        Ok(None)
    }

    /// Takes one byte of the object; true when it was the last.
    fn closes(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
            return false;
        }
        match byte {
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            b'{' | b'[' if !self.in_string => self.depth += 1,
            b'}' | b']' if !self.in_string => self.depth -= 1,
            _ => {}
        }
        self.depth == 0
    }
}

/// Widening only: `usize` has at most 64 bits on every platform we build for.
fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
