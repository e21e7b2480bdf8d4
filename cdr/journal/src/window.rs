//! What was read and is not delivered: entries come in behind and are cut off in front, and stand in one piece for the sink.

use crate::sink::JournalEntry;

#[derive(Debug, Default)]
pub(crate) struct Window {
    entries: Vec<JournalEntry>,
    /// So many in front were cut off; they are moved out only when they are as many as the rest, so each entry is moved once on average.
    cut: usize,
    bytes: usize,
}

impl Window {
    pub fn as_slice(&self) -> &[JournalEntry] {
        self.entries.get(self.cut..).unwrap_or(&[])
    }

    pub fn first(&self) -> Option<&JournalEntry> {
        self.as_slice().first()
    }

    pub fn len(&self) -> usize {
        self.entries.len() - self.cut
    }

    /// Octets of JSON.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn push(&mut self, entry: JournalEntry) {
        self.bytes += entry.json.len();
        self.entries.push(entry);
    }

    /// Cuts `count` entries off in front, at most all; returns their octets.
    pub fn cut(&mut self, count: usize) -> usize {
        let end = self.entries.len().min(self.cut + count);
        let mut bytes = 0;
        for entry in self.entries.get_mut(self.cut..end).unwrap_or(&mut []) {
            // The memory goes now, not when the entries are moved.
            bytes += std::mem::take(&mut entry.json).len();
        }
        self.bytes -= bytes;
        self.cut = end;
        if self.cut >= self.entries.len() - self.cut {
            self.entries.drain(..self.cut);
            self.cut = 0;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use segment_log::Position;

    use super::*;

    #[test]
    fn what_comes_in_behind_goes_out_in_front_whole_and_once() {
        let mut window = Window::default();
        let (mut next, mut front) = (0_u64, 0_u64);
        for (push, cut) in [(5, 0), (0, 2), (3, 1), (0, 9), (1, 0), (700, 300), (0, 1), (20, 420), (0, 1)] {
            for _ in 0..push {
                window.push(JournalEntry { position: Position::new(next), json: vec![b'x'; 10] });
                next += 1;
            }
            let before = window.len();
            let bytes = window.cut(cut);
            front += u64::try_from(bytes / 10).unwrap();
            assert_eq!(bytes, cut.min(before) * 10);
            let positions: Vec<_> = window.as_slice().iter().map(|entry| entry.position.index()).collect();
            assert_eq!(positions, (front..next).collect::<Vec<_>>());
            assert_eq!((window.len(), window.bytes()), (positions.len(), positions.len() * 10));
            assert!(window.as_slice().iter().all(|entry| entry.json.len() == 10));
            assert_eq!(window.first().map(|entry| entry.position.index()), positions.first().copied());
        }
    }
}
