//! Requests on disk until they are done with: durable before they are sent, so that a crash of the agent forgets none whose
//! fate the core may decide.
//!
//! A log of two kinds of entries: a request was taken under a number; that number is done. What is taken and not done is asked
//! again at the next start, as a retransmission with the same key. A `done` is not waited for: asking once more does no harm.
//! Entries that stay long are written again at the end, so that the log does not grow with what was done since.

mod entry;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use segment_log::{CorruptPolicy, DirStorage, GroupCommit, GroupCommitOptions, Log, Options, Position, Storage};
use types::charging::ChargingRequest;

use entry::Entry;

/// Why an outbox cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The files.
    #[error("the outbox of charging requests")]
    Log(#[from] segment_log::Error),
}

/// The outbox of one client, in a directory of its own.
#[derive(Debug)]
pub(crate) struct Outbox {
    log: GroupCommit,
    /// Where each request that is not done stands; absent while it is being written.
    standing: BTreeMap<u64, Option<Position>>,
    /// Marks since the front was last moved.
    marks: u32,
}

/// A request from before the last start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) request: ChargingRequest,
}

impl Outbox {
    /// The place of an outbox: `directory`, which is made when it is absent.
    ///
    /// # Errors
    /// What is wrong with the directory; [`segment_log::Error`] says the remedy.
    pub(crate) fn directory(directory: &Path) -> Result<Arc<dyn Storage>, OutboxError> {
        Ok(Arc::new(DirStorage::create_dir(directory)?))
    }

    /// Opens it. A request that comes alone is written at once; those that come within `sync_interval`, and the marks of what is done,
    /// share the disk's work.
    ///
    /// # Errors
    /// What is wrong with the files; [`segment_log::Error`] says the remedy.
    pub(crate) fn open(storage: Arc<dyn Storage>, sync_interval: Duration) -> Result<(Self, Loaded), OutboxError> {
        // A damaged entry is one request: the others are still owed.
        let options = Options { corrupt: CorruptPolicy::Skip, segment_bytes: SEGMENT_BYTES, ..Options::default() };
        let (log, recovered) = Log::open(storage, options)?;
        let (mut kept, mut standing, mut next_number) = (BTreeMap::new(), BTreeMap::new(), FIRST_NUMBER);
        let mut unreadable = recovered.skipped.regions;
        let mut records = log.records(log.first());
        while let Some(record) = records.read_next()? {
            match Entry::decode(record.payload) {
                Some(Entry::Taken { number, request }) => {
                    next_number = next_number.max(number.saturating_add(1));
                    standing.insert(number, Some(record.position));
                    kept.insert(number, *request);
                }
                Some(Entry::Done { number }) => {
                    next_number = next_number.max(number.saturating_add(1));
                    standing.remove(&number);
                    kept.remove(&number);
                }
                None => unreadable += 1,
            }
        }
        drop(records);
        let bounds = GroupCommitOptions { queue_records: QUEUED, sync_interval, ..Default::default() };
        let log = GroupCommit::start(log, bounds)?;
        let requests = kept.into_iter().map(|(number, request)| Kept { number, request }).collect();
        Ok((Self { log, standing, marks: 0 }, Loaded { requests, next_number, unreadable }))
    }

    /// Writes a request; `written` is called from another thread when it is durable, or with the reason why it is not. Once
    /// for each call, now or later.
    pub(crate) fn take<F>(&mut self, number: u64, request: &ChargingRequest, written: F)
    where
        F: FnOnce(Result<Position, String>) + Send + 'static,
    {
        self.standing.entry(number).or_default();
        let payload = entry::taken(number, request);
        let result = self.log.try_submit(payload, move |result| written(result.map_err(|error| text(&error))));
        if let Err(rejected) = result {
            // Not queued, so not called.
            (rejected.completion)(Err(rejected.error));
        }
    }

    /// A request is durable here.
    pub(crate) fn stands(&mut self, number: u64, position: Position) {
        if let Some(standing) = self.standing.get_mut(&number) {
            *standing = Some(position);
        }
    }

    /// A request need not be asked again.
    pub(crate) fn done(&mut self, number: u64) {
        if self.standing.remove(&number).is_none() {
            return;
        }
        // Not waited for, and not missed when it fails.
        drop(self.log.try_submit(entry::done(number), |_| {}));
        self.marks = self.marks.saturating_add(1);
        if self.marks >= MARKS_A_MOVE {
            self.marks = 0;
            let unwritten = self.standing.values().any(Option::is_none);
            let front = self.standing.values().flatten().min().copied().unwrap_or_else(|| self.log.durable());
            if !unwritten {
                drop(self.log.truncate_front(front, |_| {}));
            }
        }
    }

    /// The oldest requests, when they hold back a long log: to be taken again under the same numbers.
    pub(crate) fn holding_back(&self, longest_log: u64) -> Vec<u64> {
        let far_behind = self.log.durable().index().saturating_sub(longest_log);
        let behind = self.standing.iter().filter(|(_, position)| position.is_some_and(|at| at.index() < far_behind));
        behind.map(|(number, _)| *number).collect()
    }
}

/// What an outbox holds when it is opened.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) requests: Vec<Kept>,
    pub(crate) next_number: u64,
    /// Entries that could not be read, and are lost.
    pub(crate) unreadable: u64,
}

fn text(error: &segment_log::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// 0 stands for a request that is not here.
const FIRST_NUMBER: u64 = 1;
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
/// More than the client holds, so that its own limit is the one that counts.
const QUEUED: usize = 65_536;
const MARKS_A_MOVE: u32 = 1_024;
/// Entries between the oldest request and the end: at half a kilobyte each, 32 MiB.
pub(crate) const LONGEST_LOG: u64 = 65_536;

#[cfg(test)]
mod tests;
