//! What an outbox keeps in mind of its log, without the thread that writes it: which requests are not done, where they stand, what
//! is written for them, and how far the log can go. [`super::Outbox`] writes it by group commit; the simulation in `tests` writes it
//! by hand, on a disk that fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use segment_log::{CorruptPolicy, Log, Options, Position, Storage};
use types::charging::ChargingRequest;

use super::OutboxError;
use super::entry::{self, Entry};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct OutboxBook {
    /// Where each request that is not done stands.
    standing: BTreeMap<u64, Place>,
    /// Marks since the front was last moved.
    marks: u32,
}

/// Where a request stands in the log.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Durable.
    At(Position),
    /// On its way to the disk, behind all that was durable when it was taken.
    NotBefore(Position),
}

impl Place {
    /// Nothing before this is needed for the request.
    fn earliest(self) -> Position {
        let (Self::At(position) | Self::NotBefore(position)) = self;
        position
    }

    fn durable(self) -> Option<Position> {
        match self {
            Self::At(position) => Some(position),
            Self::NotBefore(_) => None,
        }
    }
}

/// What an outbox holds when it is opened.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What is not done, by number.
    pub requests: Vec<Kept>,
    /// The number of the next request.
    pub next_number: u64,
    /// Entries that could not be read, and are lost.
    pub unreadable: u64,
}

/// A request from before the last start.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its number in the outbox.
    pub number: u64,
    /// As it was taken.
    pub request: ChargingRequest,
}

impl OutboxBook {
    /// Opens and reads the log of an outbox.
    ///
    /// # Errors
    /// What is wrong with the files; [`segment_log::Error`] says the remedy.
    pub fn open(storage: Arc<dyn Storage>) -> Result<(Log, Self, Loaded), OutboxError> {
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
                    standing.insert(number, Place::At(record.position));
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
        let requests = kept.into_iter().map(|(number, request)| Kept { number, request }).collect();
        Ok((log, Self { standing, marks: 0 }, Loaded { requests, next_number, unreadable }))
    }

    /// A request is taken, for the first time or once more; what is to be written. Not sent before that is durable. `durable`: the
    /// end of the log, before it is written there.
    pub fn taken(&mut self, number: u64, request: &ChargingRequest, durable: Position) -> Vec<u8> {
        // One that is there already is needed until it stands anew.
        self.standing.entry(number).or_insert(Place::NotBefore(durable));
        entry::taken(number, request)
    }

    /// A request is durable here.
    pub fn stands(&mut self, number: u64, position: Position) {
        if let Some(standing) = self.standing.get_mut(&number) {
            *standing = Place::At(position);
        }
    }

    /// A request need not be asked again; what is to be written, which nobody waits for. Absent: it was done already.
    pub fn done(&mut self, number: u64) -> Option<Vec<u8>> {
        self.standing.remove(&number)?;
        self.marks = self.marks.saturating_add(1);
        Some(entry::done(number))
    }

    /// Now and then: everything before this place can go. `durable`: the end of the log.
    pub fn front(&mut self, durable: Position) -> Option<Position> {
        if self.marks < MARKS_A_MOVE {
            return None;
        }
        self.marks = 0;
        Some(self.standing.values().map(|place| place.earliest()).min().unwrap_or(durable))
    }

    /// The oldest requests, when they hold back a long log: to be taken again under the same numbers.
    pub(super) fn holding_back(&self, durable: Position, longest_log: u64) -> Vec<u64> {
        let far_behind = durable.index().saturating_sub(longest_log);
        let behind =
            self.standing.iter().filter(|(_, place)| place.durable().is_some_and(|at| at.index() < far_behind));
        behind.map(|(number, _)| *number).collect()
    }
}

/// 0 stands for a request that is not here.
const FIRST_NUMBER: u64 = 1;
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
pub(super) const MARKS_A_MOVE: u32 = 1_024;
