//! Reading an archive member by member: each is decoded whole and checked before a line of it is passed on. Damage is passed by, up
//! to the next member that checks. The layout is in [`crate::archive`].

use std::io::{self, Read as _};

use flate2::bufread::GzDecoder;
use segment_log::StorageFile;

use crate::archive::{LONGEST_MEMBER, MEMBER_HEADER_BYTES, MemberHeader};

/// How much is looked through at once for the next member.
const CHUNK_BYTES: usize = 64 * 1024;
/// A member is at most a little longer than what it decodes to.
const LONGEST_COMPRESSED: u32 = 21 * 1024 * 1024;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A member that checks; its lines are in memory.
    Member(MemberHeader),
    /// Octets that are no member, or one that does not check; the next step goes on behind them.
    Damage { bytes: u64 },
}

/// A place in an archive, and the lines of the member before it.
#[derive(Debug, Default)]
pub(crate) struct Members {
    offset: u64,
    lines: Vec<u8>,
}

impl Members {
    /// The lines of the member that `step` returned last.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// The next member that has records at `from` or later, or damage before it; `None` at the end.
    pub fn step(&mut self, file: &dyn StorageFile, from: u64) -> io::Result<Option<Step>> {
        self.lines.clear();
        loop {
            let mut head = [0; MEMBER_HEADER_BYTES];
            let read = read_full(file, &mut head, self.offset)?;
            if read == 0 {
                return Ok(None);
            }
            let Some(header) = header_of(&head) else { return self.pass_damage(file).map(Some) };
            let end = self.offset + u64::from(header.bytes);
            if header.first.saturating_add(header.records.into()) <= from && end <= file.length()? {
                self.offset = end;
                continue;
            }
            return match self.decode(file, &header)? {
                true => {
                    self.offset = end;
                    Ok(Some(Step::Member(header)))
                }
                false => self.pass_damage(file).map(Some),
            };
        }
    }

    /// Whether the member at the offset checks: length, gzip's own checksum, and as many lines as it says.
    fn decode(&mut self, file: &dyn StorageFile, header: &MemberHeader) -> io::Result<bool> {
        let Ok(length) = usize::try_from(header.bytes) else { return Ok(false) };
        let mut bytes = vec![0; length];
        if read_full(file, &mut bytes, self.offset)? < length {
            return Ok(false);
        }
        let mut decoder = GzDecoder::new(&bytes[..]).take(LONGEST_MEMBER);
        // From memory: only its content can be at fault.
        let decoded = decoder.read_to_end(&mut self.lines).is_ok() && decoder.into_inner().into_inner().is_empty();
        let lines = self.lines.iter().filter(|byte| **byte == b'\n').count();
        let good = decoded && self.lines.ends_with(b"\n") && u64::try_from(lines).ok() == Some(header.records.into());
        if !good {
            self.lines.clear();
        }
        Ok(good)
    }

    /// Goes on to the next place where a member's header checks, or to the end.
    fn pass_damage(&mut self, file: &dyn StorageFile) -> io::Result<Step> {
        let begin = self.offset;
        let mut at = begin + 1;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = read_full(file, &mut chunk, at)?;
            let seen = chunk.get(..read).unwrap_or(&[]);
            if let Some(index) = seen.windows(MEMBER_HEADER_BYTES).position(|window| header_of(window).is_some()) {
                self.offset = at + u64::try_from(index).unwrap_or(0);
                return Ok(Step::Damage { bytes: self.offset - begin });
            }
            if read < CHUNK_BYTES {
                self.offset = file.length()?.max(at);
                return Ok(Step::Damage { bytes: self.offset - begin });
            }
            // A header may lie across two chunks.
            at += u64::try_from(read - MEMBER_HEADER_BYTES).unwrap_or(1);
        }
    }
}

fn header_of(bytes: &[u8]) -> Option<MemberHeader> {
    MemberHeader::decode(bytes).filter(|header| header.bytes <= LONGEST_COMPRESSED)
}

/// Fewer octets only where the file ends.
fn read_full(file: &dyn StorageFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read_at(free, offset + u64::try_from(filled).unwrap_or(u64::MAX))? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
