//! Requests on disk until they are done with: durable before they are sent, so that a crash of the agent forgets none whose
//! fate the core may decide.
//!
//! A log of two kinds of entries: a request was taken under a number; that number is done. What is taken and not done is asked
//! again at the next start, as a retransmission with the same key. A `done` is not waited for: asking once more does no harm.
//! Entries that stay long are written again at the end, so that the log does not grow with what was done since.

mod book;
mod entry;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use segment_log::{DirStorage, GroupCommit, GroupCommitOptions, Position, Storage, SyncWatch};
use types::charging::ChargingRequest;

pub use book::{Kept, Loaded, OutboxBook};

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
    book: OutboxBook,
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
    /// share the disk's work; `syncs` hears how long that takes.
    ///
    /// # Errors
    /// What is wrong with the files; [`segment_log::Error`] says the remedy.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        sync_interval: Duration,
        syncs: SyncWatch,
    ) -> Result<(Self, Loaded), OutboxError> {
        let (log, book, loaded) = OutboxBook::open(storage)?;
        let bounds = GroupCommitOptions { queue_records: QUEUED, sync_interval, ..Default::default() };
        let log = GroupCommit::start_watched(log, bounds, syncs)?;
        Ok((Self { log, book }, loaded))
    }

    /// Writes a request; `written` is called from another thread when it is durable, or with the reason why it is not. Once
    /// for each call, now or later.
    pub(crate) fn take<F>(&mut self, number: u64, request: &ChargingRequest, written: F)
    where
        F: FnOnce(Result<Position, String>) + Send + 'static,
    {
        let payload = self.book.taken(number, request, self.log.durable());
        let result = self.log.try_submit(payload, move |result| written(result.map_err(|error| text(&error))));
        if let Err(rejected) = result {
            // Not queued, so not called.
            (rejected.completion)(Err(rejected.error));
        }
    }

    /// A request is durable here.
    pub(crate) fn stands(&mut self, number: u64, position: Position) {
        self.book.stands(number, position);
    }

    /// A request need not be asked again.
    pub(crate) fn done(&mut self, number: u64) {
        let Some(mark) = self.book.done(number) else { return };
        // Not waited for, and not missed when it fails.
        drop(self.log.try_submit(mark, |_| {}));
        if let Some(front) = self.book.front(self.log.durable()) {
            drop(self.log.truncate_front(front, |_| {}));
        }
    }

    /// The oldest requests, when they hold back a long log: to be taken again under the same numbers.
    pub(crate) fn holding_back(&self, longest_log: u64) -> Vec<u64> {
        self.book.holding_back(self.log.durable(), longest_log)
    }
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

/// More than the client holds, so that its own limit is the one that counts.
const QUEUED: usize = 65_536;
/// Entries between the oldest request and the end: at half a kilobyte each, 32 MiB.
pub(crate) const LONGEST_LOG: u64 = if cfg!(test) { 256 } else { 65_536 };

#[cfg(test)]
mod tests;
