//! What happens to a segment after its records are on disk: it ends by size or age, is compressed once every sink has it, and goes when
//! it was kept long enough.
//!
//! | segment | `archive = "gzip"` | `archive = "off"` |
//! |---|---|---|
//! | not shipped by all sinks, or with one of the latest `recent_ids` | stays | stays |
//! | younger than `keep_days` | archive written, synced, read back; then removed | stays |
//! | older | removed | removed |
//!
//! An archive older than `keep_days` is removed. Age counts from the last write. Oldest first, one whole step after the other, each
//! durable before the next: whatever stops in between, the journal stays one row of archives and segments, and the next upkeep goes on.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use segment_log::{Error as LogError, GroupCommit, Operation, Position, SegmentFile, segments};
use tracing::info;
use types::UtcMs;

use crate::archive::{io_error, list_archives, write_archive, written};
use crate::error::JournalError;
use crate::journal::{Shared, lock};
use crate::options::Archive;

/// What an upkeep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Upkeep {
    /// The segment in use had become too old, and another was begun.
    pub rotated: bool,
    /// Segments compressed.
    pub archived: u64,
    /// Segments removed without or after an archive.
    pub segments_removed: u64,
    /// Archives removed because they were too old.
    pub archives_removed: u64,
}

/// How long the segment in use has had records.
#[derive(Debug, Default)]
pub(crate) struct Aging {
    segment: Option<Position>,
    since: UtcMs,
}

impl Shared {
    pub fn keep_up(&self, now: UtcMs) -> Result<Upkeep, JournalError> {
        let mut aging = lock(&self.aging);
        let group = self.group();
        let mut done = Upkeep { rotated: self.rotate_by_age(&mut aging, &group, now)?, ..Upkeep::default() };
        // In a statement of its own: shippers report under that lock, and must not wait until everything is archived.
        let below = lock(&self.retention).removable(group.durable());
        if let Some(below) = below {
            self.remove_archives(below, now, &mut done)?;
            self.remove_segments(&group, below, now, &mut done)?;
        }
        Ok(done)
    }

    fn rotate_by_age(&self, aging: &mut Aging, group: &GroupCommit, now: UtcMs) -> Result<bool, JournalError> {
        let limit = self.options.segment_age.ms();
        let last = segments(self.storage.as_ref())?.pop();
        let Some(last) = last.filter(|last| limit > 0 && group.durable() > last.first) else { return Ok(false) };
        if aging.segment != Some(last.first) {
            *aging = Aging { segment: Some(last.first), since: now };
        }
        if now.since(aging.since) < limit {
            return Ok(false);
        }
        // Once for each segment.
        aging.since = UtcMs(i64::MAX);
        self.asked(|answer| group.rotate(answer))?;
        Ok(true)
    }

    fn remove_archives(&self, below: Position, now: UtcMs, done: &mut Upkeep) -> Result<(), JournalError> {
        let storage = self.storage.as_ref();
        let archives = list_archives(storage)?;
        // The last archive ends where the segments begin. A sink that was set back, or is new, may still need what others had once.
        let Some(segments_begin) = segments(storage)?.first().map(|segment| segment.first) else { return Ok(()) };
        let ends = archives.iter().skip(1).map(|following| following.first).chain([segments_begin]);
        for (archive, _) in archives.iter().zip(ends).take_while(|(_, end)| *end <= below) {
            let age = written(storage, &archive.name);
            let age = age.map_err(|source| io_error(Operation::Read, storage, &archive.name, source))?;
            if !self.is_over(age, now) {
                // Later ones are younger, and a hole in the row would look like a loss.
                break;
            }
            storage.remove(&archive.name).map_err(|e| io_error(Operation::Remove, storage, &archive.name, e))?;
            storage.sync_dir().map_err(|e| io_error(Operation::SyncDir, storage, "", e))?;
            done.archives_removed += 1;
            self.counters.removed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn remove_segments(
        &self,
        group: &GroupCommit,
        below: Position,
        now: UtcMs,
        done: &mut Upkeep,
    ) -> Result<(), JournalError> {
        let storage = self.storage.as_ref();
        let all = segments(storage)?;
        for pair in all.windows(2) {
            let [segment, following] = pair else { break };
            if following.first > below || self.upkeep.deadline().is_some() {
                break;
            }
            let age = storage.modified(&segment.name);
            let age = age.map_err(|source| io_error(Operation::Read, storage, &segment.name, source))?;
            match (self.is_over(age, now), self.options.archive) {
                (true, _) => {}
                (false, Archive::Off) => break,
                (false, Archive::Gzip) => self.archive(segment, following.first, done)?,
            }
            self.asked(|answer| group.truncate_front(following.first, answer))?;
            done.segments_removed += 1;
            self.counters.removed.fetch_add(1, Ordering::Relaxed);
            info!(segment = segment.name, "segment was removed, every sink has its records");
        }
        Ok(())
    }

    fn archive(&self, segment: &SegmentFile, next: Position, done: &mut Upkeep) -> Result<(), JournalError> {
        let records = write_archive(&self.storage, segment, next)?;
        done.archived += 1;
        self.counters.archived.fetch_add(1, Ordering::Relaxed);
        info!(segment = segment.name, records, "segment was archived");
        Ok(())
    }

    fn is_over(&self, written: SystemTime, now: UtcMs) -> bool {
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
        let kept = Duration::from_secs(u64::from(self.options.keep_days) * DAY_S);
        now.duration_since(written).unwrap_or_default() >= kept
    }

    /// Has the writer do something between two batches, and waits for it.
    fn asked(
        &self,
        ask: impl FnOnce(Box<dyn FnOnce(Result<Position, LogError>) + Send>) -> Result<(), LogError>,
    ) -> Result<(), JournalError> {
        let (answer, answered) = mpsc::channel();
        // Nobody waits for an answer that comes after a panic.
        let asked = ask(Box::new(move |outcome| drop(answer.send(outcome))));
        let outcome = asked.and_then(|()| answered.recv().unwrap_or(Err(LogError::WriterPanicked)));
        outcome.map(|_| ()).map_err(|error| {
            let error = JournalError::from(error);
            self.space.failed(&error);
            error
        })
    }
}

const DAY_S: u64 = 24 * 3600;
