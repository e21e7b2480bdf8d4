//! What the client holds until it is answered: a queue a session, in the order taken. Pure. A request enters by
//! [`Pending::push`] and leaves by [`Pending::pop`] only.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::iter::once;

use foldhash::{HashMap, HashMapExt};
use types::SessionId;

/// Queues of `T`, one a session, never an empty one.
#[derive(Debug)]
pub(super) struct Pending<T> {
    sessions: HashMap<SessionId, Queue<T>>,
}

/// Most have one entry: it stands in the map itself.
#[derive(Debug)]
struct Queue<T> {
    first: T,
    more: VecDeque<T>,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { sessions: HashMap::new() }
    }
}

impl<T> Pending<T> {
    /// Takes an entry; true if it is now the first of its session, and so the one to attempt.
    pub(super) fn push(&mut self, session_id: SessionId, entry: T) -> bool {
        match self.sessions.entry(session_id) {
            Entry::Occupied(mut queue) => {
                queue.get_mut().more.push_back(entry);
                false
            }
            Entry::Vacant(place) => {
                place.insert(Queue { first: entry, more: VecDeque::new() });
                true
            }
        }
    }

    /// The first entry of a session.
    pub(super) fn first(&mut self, session_id: &SessionId) -> Option<&mut T> {
        self.sessions.get_mut(session_id).map(|queue| &mut queue.first)
    }

    /// Lets the first entry of a session go; true beside it if another one is now first.
    pub(super) fn pop(&mut self, session_id: &SessionId) -> Option<(T, bool)> {
        let queue = self.sessions.get_mut(session_id)?;
        match queue.more.pop_front() {
            Some(next) => Some((std::mem::replace(&mut queue.first, next), true)),
            None => self.sessions.remove(session_id).map(|queue| (queue.first, false)),
        }
    }

    /// The entries of a session, oldest first.
    pub(super) fn of(&mut self, session_id: &SessionId) -> impl Iterator<Item = &mut T> {
        self.sessions.get_mut(session_id).into_iter().flat_map(|queue| once(&mut queue.first).chain(&mut queue.more))
    }

    /// All entries, in order within each session.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.sessions.values().flat_map(|queue| once(&queue.first).chain(&queue.more))
    }

    /// Everything, in order within each session.
    pub(super) fn into_entries(self) -> impl Iterator<Item = T> {
        self.sessions.into_values().flat_map(|queue| once(queue.first).chain(queue.more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out_within_a_session() {
        let mut pending = Pending::default();
        let (a, b) = (SessionId::from("a"), SessionId::from("b"));
        assert!(pending.push(a.clone(), 0));
        assert!(!pending.push(a.clone(), 1));
        assert!(pending.push(b.clone(), 2));
        assert_eq!(pending.first(&a).copied(), Some(0));
        assert_eq!(pending.pop(&a), Some((0, true)));
        assert_eq!(pending.pop(&b), Some((2, false)));
        assert_eq!(pending.first(&b), None);
        assert!(!pending.push(a.clone(), 3));
        assert_eq!(pending.into_entries().collect::<Vec<_>>(), [1, 3]);
    }
}
