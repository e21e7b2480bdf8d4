//! The latest `recordId`s: of two records with one id only the first durable one is stored.
//!
//! | the id is | a record with it |
//! |---|---|
//! | unknown | is written; the id is then being written |
//! | being written | waits and gets the answer of the one being written |
//! | durable | is answered at once, with the position of the first |
//!
//! A write that fails makes its id unknown again. The durable ids are bounded, oldest first out; those being written are
//! bounded by the queue.
//!
//! Ids are kept as 128 bits under two keys of this process: nobody can make two of them meet, and chance does not.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use segment_log::Position;

use crate::error::JournalError;

/// What is called with a record's fate.
pub(crate) type Done = Box<dyn FnOnce(Result<Position, JournalError>) + Send>;

/// A `recordId`, as 128 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u64; 2]);

/// Makes keys, outside of any lock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys([RandomState; 2]);

impl Keys {
    pub fn of(&self, id: &str) -> Key {
        Key(self.0.each_ref().map(|key| key.hash_one(id)))
    }
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0[0]);
    }
}

/// Takes what is a hash already.
#[derive(Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Default)]
pub(crate) struct Recent {
    limit: usize,
    states: HashMap<Key, State, BuildHasherDefault<AsItIs>>,
    /// The durable ids, oldest first.
    durable: VecDeque<Key>,
    /// Copies that wait.
    waiting: usize,
}

enum State {
    Writing(Vec<Done>),
    Durable(Position),
}

/// What is known of an id.
pub(crate) enum Known {
    Unknown,
    Writing,
    Durable(Position),
}

impl Recent {
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub fn known(&self, id: Key) -> Known {
        match self.states.get(&id) {
            None => Known::Unknown,
            Some(State::Writing(_)) => Known::Writing,
            Some(State::Durable(position)) => Known::Durable(*position),
        }
    }

    /// The id is being written from now on.
    pub fn begin(&mut self, id: Key) {
        self.states.insert(id, State::Writing(Vec::new()));
    }

    /// A copy waits for the one being written.
    pub fn wait(&mut self, id: Key, done: Done) {
        if let Some(State::Writing(copies)) = self.states.get_mut(&id) {
            copies.push(done);
            self.waiting += 1;
        }
    }

    /// Copies that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Ids known to be durable.
    pub fn durable(&self) -> usize {
        self.durable.len()
    }

    /// The write has ended; returns the copies that waited for it.
    pub fn settle(&mut self, id: Key, written: Option<Position>) -> Vec<Done> {
        let kept = written.filter(|_| self.limit > 0);
        let state = match (kept, self.states.get_mut(&id)) {
            (Some(position), Some(state @ State::Writing(_))) => {
                Some(std::mem::replace(state, State::Durable(position)))
            }
            (Some(_), _) => None,
            (None, _) => self.states.remove(&id),
        };
        let Some(State::Writing(copies)) = state else { return Vec::new() };
        self.waiting = self.waiting.saturating_sub(copies.len());
        if kept.is_some() {
            self.push_durable(id);
        }
        copies
    }

    /// A durable record, in the order of the journal; the first of an id stays.
    pub fn insert(&mut self, id: Key, position: Position) {
        if self.limit == 0 || self.states.contains_key(&id) {
            return;
        }
        self.states.insert(id, State::Durable(position));
        self.push_durable(id);
    }

    fn push_durable(&mut self, id: Key) {
        if self.durable.len() >= self.limit
            && let Some(oldest) = self.durable.pop_front()
        {
            self.states.remove(&oldest);
        }
        self.durable.push_back(id);
    }
}
