//! The books and the log they are made of, without thread, queue or clock: decide, append, apply, commit, recover.
//!
//! What the ledger's and the log's thread do in turns, [`DurableBooks`] does in one, for whoever brings commands and time along,
//! such as the simulation in `tests`: entries, recovery and snapshots are the same code. Refuses nothing by itself: what cannot
//! be decided is an outcome, what the disk says is an error.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ledger::{Books, Change, Command, Decision, Pricing, Settings, decide};
use segment_log::{Error, Log, Position, Storage};
use types::UtcMs;

use super::pace::Pace;
use super::schedule::Schedule;
use super::{CoreError, entry, recovery, snapshot};

/// The books in memory and their log. Nothing decided may be told to anybody before [`DurableBooks::commit`] says true.
#[derive(Debug)]
pub struct DurableBooks {
    books: Books,
    log: Log,
    snapshot_at: Position,
    /// Of the last snapshot, and of the log since then.
    snapshot_octets: u64,
    log_octets: u64,
}

impl DurableBooks {
    /// Opens the log in `storage`, which locks it, and recovers: the snapshot, then every change after it. New segments of the
    /// log take `segment_bytes` octets, 4 KiB to 1 GiB.
    ///
    /// # Errors
    /// As [`super::Core::start`], the tariffs aside.
    pub fn open(storage: Arc<dyn Storage>, segment_bytes: u64) -> Result<Self, CoreError> {
        let opened = recovery::open(storage, segment_bytes)?;
        let recovery::Opened { books, log, snapshot_at, snapshot_octets, log_octets } = opened;
        Ok(Self { books, log, snapshot_at, snapshot_octets, log_octets })
    }

    /// The books with everything decided, durable or not.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Decides a command at `now`, and appends and applies what follows from it.
    ///
    /// # Errors
    /// [`Error::BatchFull`]: commit, then decide again. Others as [`Log::append`]. Nothing is changed by an error.
    pub fn decide(
        &mut self,
        pricing: &dyn Pricing,
        settings: &Settings,
        command: &Command,
        now: UtcMs,
    ) -> Result<Decision, Error> {
        let decision = decide(&self.books, pricing, settings, command, now);
        if !decision.changes.is_empty() {
            self.log_octets += write(&mut self.books, &mut self.log, &decision.changes)?;
        }
        Ok(decision)
    }

    /// Makes durable what was decided. False: the disk has no room, and the books are as before the batch.
    ///
    /// # Errors
    /// What the disk says: the process must stop, and what is on the disk shows at the next opening.
    pub fn commit(&mut self) -> Result<bool, CoreError> {
        match self.log.commit() {
            Ok(_) => Ok(true),
            Err(Error::NoSpace { .. }) => {
                self.books = read_again(&self.log)?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the ledger's thread would make a snapshot now, with `snapshot_records` and `snapshot_log_percent` of
    /// [`crate::CoreConfig`].
    pub fn is_snapshot_due(&self, snapshot_records: u64, snapshot_log_percent: u64) -> bool {
        let (at, log_octets) = (self.snapshot_at, self.log_octets);
        let schedule = Schedule { records: snapshot_records, percent: snapshot_log_percent, at, log_octets };
        schedule.is_due(self.log.durable(), self.snapshot_octets)
    }

    /// Makes a snapshot of what is durable, from the files alone, and removes the log before the snapshot that was there.
    ///
    /// # Errors
    /// What the disk says; the log is whole. The next one is due after as many records all the same.
    pub fn snapshot(&mut self) -> Result<(), CoreError> {
        let until = self.log.durable();
        (self.snapshot_at, self.log_octets) = (until, 0);
        let made = snapshot::make(self.log.storage(), until, &Pace::hurried(), &AtomicBool::new(false))?;
        if let Some(made) = made {
            self.snapshot_octets = made.octets;
            self.log.truncate_front(made.previous)?;
        }
        Ok(())
    }
}

/// Appends decided changes to the log's batch and applies them; what they take. By an error nothing is changed.
fn write(books: &mut Books, log: &mut Log, changes: &[Change]) -> Result<u64, Error> {
    let mut octets = Vec::new();
    entry::append(&mut octets, changes);
    log.append(&octets)?;
    books.apply_all(changes).expect("invariant: what was decided on the books applies to them");
    Ok(snapshot::octets_of(&octets))
}

/// The books as the disk has them: a batch that is not there must not be in them either.
pub(super) fn read_again(log: &Log) -> Result<Books, CoreError> {
    let kept = snapshot::read(&**log.storage())?;
    recovery::replay(kept.books, log, kept.at).map(|replayed| replayed.books)
}
