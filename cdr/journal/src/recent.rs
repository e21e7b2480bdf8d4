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

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use segment_log::Position;

use crate::error::JournalError;

/// What is called with a record's fate.
pub(crate) type Done = Box<dyn FnOnce(Result<Position, JournalError>) + Send>;

#[derive(Default)]
pub(crate) struct Recent {
    limit: usize,
    states: HashMap<Arc<str>, State>,
    /// The durable ids, oldest first.
    durable: VecDeque<Arc<str>>,
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

    pub fn known(&self, id: &str) -> Known {
        match self.states.get(id) {
            None => Known::Unknown,
            Some(State::Writing(_)) => Known::Writing,
            Some(State::Durable(position)) => Known::Durable(*position),
        }
    }

    /// The id is being written from now on.
    pub fn begin(&mut self, id: Arc<str>) {
        self.states.insert(id, State::Writing(Vec::new()));
    }

    /// A copy waits for the one being written.
    pub fn wait(&mut self, id: &str, done: Done) {
        if let Some(State::Writing(copies)) = self.states.get_mut(id) {
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
    pub fn settle(&mut self, id: &Arc<str>, written: Option<Position>) -> Vec<Done> {
        let copies = match self.states.remove(id) {
            Some(State::Writing(copies)) => copies,
            _ => Vec::new(),
        };
        self.waiting = self.waiting.saturating_sub(copies.len());
        if let Some(position) = written {
            self.insert(Arc::clone(id), position);
        }
        copies
    }

    /// A durable record, in the order of the journal; the first of an id stays.
    pub fn insert(&mut self, id: Arc<str>, position: Position) {
        if self.limit == 0 || self.states.contains_key(&id) {
            return;
        }
        if self.durable.len() >= self.limit
            && let Some(oldest) = self.durable.pop_front()
        {
            self.states.remove(&oldest);
        }
        self.states.insert(Arc::clone(&id), State::Durable(position));
        self.durable.push_back(id);
    }
}
