//! Bytes to frames: header lines, a blank line, and as many bytes of body as `Content-Length` says. Looks only at the
//! two headers that frame; what a frame says is decided in `frame`. Incremental: a frame may come in any pieces, any
//! number of frames in one piece, and no byte is searched twice: a body of any size in single bytes costs what it costs in
//! one piece.

use std::ops::Range;

use super::error::FrameError;
use super::limits::{BODY_BYTES_MAX, HEADER_BLOCK_BYTES_MAX, HEADER_LINE_BYTES_MAX, LENGTH_DIGITS_MAX};
use super::names::ContentType;
use super::plain::split_line;

/// Where the first frame of the bytes given to [`FrameScanner::scan`] stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameSpan {
    /// Header lines without the blank line behind them.
    pub head: Range<usize>,
    /// The body; empty without `Content-Length`.
    pub body: Range<usize>,
    /// `None` for one that is not in the table, or absent.
    pub content_type: Option<ContentType>,
    /// Bytes to drop from the front before the next call.
    pub consumed: usize,
}

/// Finds frames in bytes it does not own. After a fault it repeats that fault for ever.
#[derive(Debug, Clone, Default)]
pub struct FrameScanner {
    consumed_bytes: u64,
    scan: Scan,
    fault: Option<FrameError>,
}

/// What is known of the frame at the front.
#[derive(Debug, Clone, Default)]
struct Scan {
    /// Bytes looked at.
    scanned: usize,
    /// Blank lines in front of the frame.
    start: usize,
    /// Where the line begins that is being looked at.
    line: usize,
    first: First,
    content_type: Option<Option<ContentType>>,
    body_bytes: Option<usize>,
    /// The blank line: where it begins, and where the body does.
    head_end: Option<(usize, usize)>,
}

/// Which frame the first header promises. Replies come with `Content-Type` first, from a small buffer that can cut
/// them; the answer to `connect` begins with the event's name and is never cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum First {
    #[default]
    Unknown,
    Reply,
    Other,
}

impl FrameScanner {
    /// Looks for the first frame in `input`, which must begin where the last frame ended: the caller drops
    /// [`FrameSpan::consumed`] bytes after each frame and none otherwise. `None` = more bytes are needed.
    ///
    /// # Errors
    /// Every [`FrameError`] is fatal.
    pub fn scan(&mut self, input: &[u8]) -> Result<Option<FrameSpan>, FrameError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let found = self.scan.scan(input, self.consumed_bytes);
        match &found {
            Ok(Some(span)) => {
                self.consumed_bytes = self.consumed_bytes.saturating_add(wide(span.consumed));
                self.scan = Scan::default();
            }
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
        if rest.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return Ok(());
        }
        Err(FrameError::EndInFrame { offset: self.consumed_bytes, held_bytes: rest.len() })
    }
}

impl Scan {
    fn scan(&mut self, input: &[u8], offset: u64) -> Result<Option<FrameSpan>, FrameError> {
        while self.head_end.is_none() {
            let rest = input.get(self.scanned..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                self.scanned = input.len();
                self.check_sizes(input.len(), offset)?;
                return Ok(None);
            };
            self.scanned = self.scanned.saturating_add(end).saturating_add(1);
            self.check_sizes(self.scanned, offset)?;
            self.take_line(input, offset)?;
        }
        Ok(self.whole_frame(input.len()))
    }

    fn take_line(&mut self, input: &[u8], offset: u64) -> Result<(), FrameError> {
        let line = input.get(self.line..self.scanned.saturating_sub(1)).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let at = offset.saturating_add(wide(self.line));
        if !line.is_empty() {
            self.header(line, at)?;
        } else if self.line == self.start {
            // A blank line in front of a frame says nothing.
            self.start = self.scanned;
        } else {
            self.head_end = Some((self.line, self.scanned));
        }
        self.line = self.scanned;
        Ok(())
    }

    fn header(&mut self, line: &[u8], at: u64) -> Result<(), FrameError> {
        let (name, value) = split_line(line).ok_or(FrameError::BadHeader { offset: at })?;
        let glued = self.first == First::Reply && (names_framing(value) || (names_framing(line) && !is_framing(name)));
        if glued {
            return Err(FrameError::CutReply { offset: at });
        }
        if name.eq_ignore_ascii_case(b"Content-Type") {
            let content_type = std::str::from_utf8(value).ok().and_then(|text| ContentType::parse(text.trim()));
            if self.content_type.replace(content_type).is_some() {
                return Err(FrameError::CutReply { offset: at });
            }
            if self.first == First::Unknown && content_type == Some(ContentType::CommandReply) {
                self.first = First::Reply;
            }
        } else if name.eq_ignore_ascii_case(b"Content-Length") {
            let body_bytes = content_length(value, at)?;
            if self.body_bytes.replace(body_bytes).is_some() {
                return Err(FrameError::BadLength { offset: at });
            }
        }
        if self.first == First::Unknown {
            self.first = First::Other;
        }
        Ok(())
    }

    fn whole_frame(&self, held: usize) -> Option<FrameSpan> {
        let (head_end, body_start) = self.head_end?;
        let end = body_start.saturating_add(self.body_bytes.unwrap_or(0));
        (end <= held).then(|| FrameSpan {
            head: self.start..head_end,
            body: body_start..end,
            content_type: self.content_type.flatten(),
            consumed: end,
        })
    }

    /// `end`: how far the headers reach as far as known.
    fn check_sizes(&self, end: usize, offset: u64) -> Result<(), FrameError> {
        if end > HEADER_BLOCK_BYTES_MAX {
            return Err(FrameError::HeadersTooLong { offset, limit_bytes: HEADER_BLOCK_BYTES_MAX });
        }
        if end.saturating_sub(self.line) > HEADER_LINE_BYTES_MAX {
            let offset = offset.saturating_add(wide(self.line));
            return Err(FrameError::LineTooLong { offset, limit_bytes: HEADER_LINE_BYTES_MAX });
        }
        Ok(())
    }
}

fn is_framing(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"Content-Type") || name.eq_ignore_ascii_case(b"Content-Length")
}

/// A header that frames stands in the text.
fn names_framing(text: &[u8]) -> bool {
    [b"Content-Type:".as_slice(), b"Content-Length:"].iter().any(|word| text.windows(word.len()).any(|at| at == *word))
}

fn content_length(value: &[u8], at: u64) -> Result<usize, FrameError> {
    let digits = value.trim_ascii();
    let plain = (1..=LENGTH_DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let parsed = std::str::from_utf8(digits).ok().filter(|_| plain).and_then(|text| text.parse().ok());
    let body_bytes: usize = parsed.ok_or(FrameError::BadLength { offset: at })?;
    if body_bytes > BODY_BYTES_MAX {
        return Err(FrameError::BodyTooLong { offset: at, body_bytes, limit_bytes: BODY_BYTES_MAX });
    }
    Ok(body_bytes)
}

/// Widening only: `usize` has at most 64 bits on every platform we build for.
fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
