//! Walks the committed records of a log across its segments; under [`crate::Records`], [`crate::Reader`] and recovery.
//!
//! Everything below the limit it is given has been acknowledged, so here every fault is damage, never a torn write.

use std::io;
use std::sync::Arc;

use crate::error::{Error, Reason};
use crate::options::CorruptPolicy;
use crate::position::Position;
use crate::recovery::Skipped;
use crate::segment::{Frame, SegmentScan, Step, list_segments};
use crate::storage::Storage;

#[derive(Debug)]
pub(crate) struct Cursor {
    storage: Arc<dyn Storage>,
    policy: CorruptPolicy,
    next: u64,
    limit: u64,
    scan: Option<SegmentScan>,
    skipped: Skipped,
    /// The segment's end is damaged and counted as a region; what is missing behind it is not another one.
    end_damaged: bool,
    failed: Option<Error>,
}

impl Cursor {
    pub fn new(storage: Arc<dyn Storage>, policy: CorruptPolicy, from: Position, limit: Position) -> Self {
        let (next, limit) = (from.index(), limit.index());
        Self { storage, policy, next, limit, scan: None, skipped: Skipped::default(), end_damaged: false, failed: None }
    }

    /// The position of the next record.
    pub fn next(&self) -> Position {
        Position::new(self.next)
    }

    pub fn limit(&self) -> Position {
        Position::new(self.limit)
    }

    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    pub fn storage(&self) -> &dyn Storage {
        self.storage.as_ref()
    }

    /// Lets the cursor go on to `limit`. What was read ahead of the old limit may have been half written and is read again.
    pub fn raise_limit(&mut self, limit: Position) {
        if limit.index() > self.limit {
            self.limit = limit.index();
            if let Some(scan) = &mut self.scan {
                scan.refresh();
            }
        }
    }

    /// The next record below the limit. An error stays: the cursor does not move past what it may not skip.
    pub fn advance(&mut self) -> Result<Option<Frame>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let advanced = self.try_advance();
        if let Err(error) = &advanced {
            self.failed = Some(error.clone());
        }
        advanced
    }

    pub fn payload(&self, frame: &Frame) -> &[u8] {
        self.scan.as_ref().map_or(&[], |scan| scan.payload(frame))
    }

    fn try_advance(&mut self) -> Result<Option<Frame>, Error> {
        while self.next < self.limit {
            let Some(scan) = &mut self.scan else {
                self.enter_first()?;
                continue;
            };
            match scan.step(self.storage.as_ref())? {
                Step::Frame(frame) if frame.position < self.next => {}
                Step::Frame(frame) => {
                    self.next = frame.position + 1;
                    return Ok(Some(frame));
                }
                Step::Damage { offset, bytes, expected, resumed } => {
                    // Damage wholly before the wanted position was reported to whoever asked for that part.
                    let until = resumed.as_ref().map(|frame| frame.position);
                    if until.is_none_or(|until| until > self.next) {
                        let position = self.next.max(expected);
                        self.damaged(offset, position, Reason::Frame)?;
                        self.skipped.add(1, bytes, until.unwrap_or(position) - position);
                        self.next = until.unwrap_or(position);
                        self.end_damaged = until.is_none();
                    }
                }
                Step::End { offset } => self.enter_following(offset)?,
            }
        }
        Ok(None)
    }

    /// Opens the segment that holds `next`.
    fn enter_first(&mut self) -> Result<(), Error> {
        let bases = list_segments(self.storage.as_ref())?;
        match bases.iter().rev().find(|base| **base <= self.next) {
            Some(base) => self.enter(*base),
            None => {
                let first = bases.first().copied().unwrap_or(self.limit);
                Err(Error::Truncated { wanted: self.next(), first: Position::new(first) })
            }
        }
    }

    /// The current segment ended at `offset` although more is committed: the next one must begin right there.
    fn enter_following(&mut self, offset: u64) -> Result<(), Error> {
        let current = self.scan.as_ref().map_or(0, |scan| scan.base);
        let expected = self.scan.as_ref().map_or(0, |scan| scan.expected);
        let bases = list_segments(self.storage.as_ref())?;
        let following = bases.iter().copied().find(|base| *base > current);
        if bases.first().is_some_and(|first| *first > current && *first > self.next) {
            // Removed behind our back by truncate_front.
            return Err(Error::Truncated {
                wanted: self.next(),
                first: Position::new(bases.first().copied().unwrap_or(0)),
            });
        }
        let begin = following.unwrap_or(self.limit);
        let missing_from = self.next.max(expected);
        if begin > missing_from {
            self.damaged(offset, missing_from, Reason::Missing)?;
            self.skipped.add(u64::from(!self.end_damaged), 0, begin - missing_from);
            self.next = self.next.max(begin);
        }
        self.end_damaged = false;
        match following {
            Some(base) => self.enter(base),
            None => Ok(()),
        }
    }

    fn enter(&mut self, base: u64) -> Result<(), Error> {
        match SegmentScan::open(self.storage.as_ref(), base, self.policy) {
            Ok(scan) => {
                if scan.header_damaged {
                    self.skipped.add(1, scan.offset, 0);
                }
                self.scan = Some(scan);
                Ok(())
            }
            // Removed between listing and opening: list again.
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.scan = None;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn damaged(&self, offset: u64, position: u64, reason: Reason) -> Result<(), Error> {
        match (&self.scan, self.policy) {
            (Some(scan), CorruptPolicy::Refuse) => Err(scan.corrupt(self.storage.as_ref(), offset, position, reason)),
            _ => Ok(()),
        }
    }
}
