//! Opening the log under the journal: at the start, and again after a disk error.
//!
//! After a failed fsync the kernel may show what it will never write, and call it clean. So nothing in memory is trusted: the
//! writer is ended, the log recovered from its files (which writes the last batch over itself and syncs that), and the journal goes on in
//! a new segment. A directory that lacks what was acknowledged is left alone. Records that were not acknowledged are on disk or not; their callers come again with them, and those that are there
//! are recognised by their `recordId`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use segment_log::{
    CorruptPolicy, Error as LogError, GroupCommit, GroupCommitOptions, Log, Options, Position, Storage, SyncWatch,
    Verify, segments,
};
use serde::Deserialize;
use tracing::info;

use crate::error::JournalError;
use crate::journal::{Intake, Recovered, Shared, lock};
use crate::options::{JournalOptions, OnDiskError};
use crate::recent::{Keys, Recent};

/// A journal that can take records.
pub(crate) struct Opened {
    pub group: GroupCommit,
    pub recent: Recent,
    pub recovered: Recovered,
}

/// Opens the log, learns the latest ids and starts the writer.
pub(crate) fn open(
    storage: &Arc<dyn Storage>,
    options: &JournalOptions,
    keys: &Keys,
    syncs: &SyncWatch,
) -> Result<Opened, JournalError> {
    let (log, recovered) = open_log(storage, options)?;
    start(log, recovered, options, keys, syncs)
}

fn open_log(
    storage: &Arc<dyn Storage>,
    options: &JournalOptions,
) -> Result<(Log, segment_log::Recovered), JournalError> {
    let opened = Log::open(
        Arc::clone(storage),
        Options {
            segment_bytes: options.segment_bytes,
            corrupt: CorruptPolicy::Skip,
            // A journal that keeps everything grows without bound; opening it must not.
            verify: Verify::LastSegment,
            ..Options::default()
        },
    )?;
    Ok(opened)
}

fn start(
    log: Log,
    recovered: segment_log::Recovered,
    options: &JournalOptions,
    keys: &Keys,
    syncs: &SyncWatch,
) -> Result<Opened, JournalError> {
    let (recent, undecodable) = recent_ids(&log, options.recent_ids, keys)?;
    let recovered = Recovered { log: recovered, recent_ids: recent.durable(), undecodable };
    let bounds = GroupCommitOptions {
        queue_records: options.queue_records,
        queue_bytes: options.queue_bytes,
        sync_interval: options.sync_interval.std(),
        awaited_interval: AWAITED_INTERVAL,
    };
    Ok(Opened { group: GroupCommit::start_watched(log, bounds, syncs.clone())?, recent, recovered })
}

impl Shared {
    /// Goes on after a disk error; true when that was needed and done.
    pub fn recover(&self) -> Result<bool, JournalError> {
        let needed =
            || self.space.has_stopped() && !self.space.is_closed() && self.options.on_disk_error != OnDiskError::Stop;
        // Asked before waiting: an upkeep may take long, and whoever asks here measures the free space next.
        if !needed() {
            return Ok(false);
        }
        let _alone = lock(&self.aging);
        if !needed() {
            return Ok(false);
        }
        // Ends the old writer, which answers what it holds, and releases the lock. How it ended is known.
        let group = self.group();
        drop(group.close());
        // Looked at before anything is written there: a mount point without its disk looks like a new journal.
        if segments(self.storage.as_ref())?.is_empty() {
            self.is_all_there(Position::ZERO, group.durable())?;
        }
        let (mut log, recovered) = open_log(&self.storage, &self.options)?;
        self.is_all_there(recovered.next, group.durable())?;
        // Whatever is wrong with that place on the disk, nothing new is written there.
        log.rotate()?;
        let Opened { group, recent, recovered } =
            start(log, recovered, &self.options, &self.keys, &self.counters.syncs)?;
        let mut intake = lock(&self.intake);
        *intake = Intake { recent, group: Arc::new(group) };
        self.space.recovered();
        drop(intake);
        self.counters.recoveries.fetch_add(1, Ordering::Relaxed);
        self.wake_followers();
        let (directory, next) = (self.storage.directory().display(), recovered.log.next.index());
        info!(%directory, next, "journal was recovered from the disk and takes records again");
        Ok(true)
    }

    fn is_all_there(&self, found: Position, durable: Position) -> Result<(), JournalError> {
        if found < durable {
            let directory = self.storage.directory().to_path_buf();
            return Err(JournalError::Missing { directory, found, durable });
        }
        Ok(())
    }
}

/// As much of a record as the filter needs; a record of a newer release has this too.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    record_id: Box<str>,
}

fn recent_ids(log: &Log, limit: usize, keys: &Keys) -> Result<(Recent, u64), LogError> {
    let wanted = u64::try_from(limit).unwrap_or(u64::MAX);
    let from = Position::new(log.durable().index().saturating_sub(wanted)).max(log.first());
    let (mut recent, mut undecodable) = (Recent::new(limit), 0);
    let mut records = log.records(from);
    while let Some(record) = records.read_next()? {
        match serde_json::from_slice::<Identity>(record.payload) {
            Ok(identity) => recent.insert(keys.of(&identity.record_id), record.position),
            Err(_) => undecodable += 1,
        }
    }
    Ok((recent, undecodable))
}

/// Between batches with records that somebody waits for: several times what a sync takes on a disk that is not busy.
const AWAITED_INTERVAL: Duration = Duration::from_millis(2);
