//! A sliding view of a file: at most one chunk, or one frame, of it is in memory.

use std::io;

use crate::storage::StorageFile;

/// How much is read at once when a frame needs less.
const CHUNK_BYTES: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    start: u64,
}

impl Window {
    /// Forgets what was read: the file may have grown since.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// What the file holds from `offset` on: `want` octets or more, fewer only where it ends.
    pub fn fill(&mut self, file: &dyn StorageFile, offset: u64, want: usize) -> io::Result<&[u8]> {
        if self.from(offset).len() < want {
            self.slide(file, offset, want.max(CHUNK_BYTES))?;
        }
        Ok(self.from(offset))
    }

    /// What is in memory from `offset` on.
    pub fn from(&self, offset: u64) -> &[u8] {
        offset.checked_sub(self.start).and_then(|skip| self.bytes.get(usize::try_from(skip).ok()?..)).unwrap_or(&[])
    }

    fn slide(&mut self, file: &dyn StorageFile, offset: u64, target: usize) -> io::Result<()> {
        let kept = self.from(offset).len();
        self.bytes.drain(..self.bytes.len() - kept);
        self.start = offset;
        self.bytes.resize(target.max(kept), 0);
        let mut filled = kept;
        while let Some(free) = self.bytes.get_mut(filled..).filter(|free| !free.is_empty()) {
            let at = offset + u64::try_from(filled).unwrap_or(u64::MAX);
            match file.read_at(free, at) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) => {
                    self.bytes.clear();
                    return Err(error);
                }
            }
        }
        self.bytes.truncate(filled);
        Ok(())
    }
}
