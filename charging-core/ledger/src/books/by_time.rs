//! Sessions by a moment: when they expire, and when they ended. Many share a millisecond, so those of one are kept together and
//! told apart by where their id is kept, not by comparing text.

use std::collections::BTreeMap;

use types::{SessionId, UtcMs};

use crate::few::Few;

/// Not written: each session has its moments.
#[derive(Debug, Clone, Default)]
pub(crate) struct ByTime {
    /// Those of one moment in no order.
    times: BTreeMap<UtcMs, Few<SessionId>>,
    count: usize,
}

impl ByTime {
    /// A session is added once for a moment.
    pub fn insert(&mut self, at: UtcMs, session_id: SessionId) {
        self.times.entry(at).or_default().push(session_id);
        self.count += 1;
    }

    pub fn remove(&mut self, at: UtcMs, session_id: &SessionId) {
        let Some(of_time) = self.times.get_mut(&at) else { return };
        let place = of_time.iter().position(|kept| kept.shares_text(session_id));
        let place = place.or_else(|| of_time.iter().position(|kept| kept == session_id));
        let Some(place) = place else { return };
        of_time.remove(place);
        self.count -= 1;
        if of_time.is_empty() {
            self.times.remove(&at);
        }
    }

    /// The first moment.
    pub fn first(&self) -> Option<UtcMs> {
        self.times.first_key_value().map(|(at, _)| *at)
    }

    /// Takes away the sessions of the first moment, if that is before `end`.
    pub fn pop_before(&mut self, end: UtcMs) -> Option<Vec<SessionId>> {
        let first = self.times.first_entry().filter(|first| *first.key() < end)?;
        let sessions = first.remove().as_slice().to_vec();
        self.count -= sessions.len();
        Some(sessions)
    }

    /// Up to a moment and with it, in the order of time.
    pub fn through(&self, last: UtcMs) -> impl Iterator<Item = &SessionId> {
        self.times.range(..=last).flat_map(|(_, sessions)| sessions.iter())
    }

    /// All, in the order of time.
    pub fn iter(&self) -> impl Iterator<Item = &SessionId> {
        self.times.values().flat_map(Few::iter)
    }

    pub fn contains(&self, at: UtcMs, session_id: &SessionId) -> bool {
        self.times.get(&at).is_some_and(|sessions| sessions.iter().any(|kept| kept == session_id))
    }

    pub fn len(&self) -> usize {
        self.count
    }

    fn pairs(&self) -> Vec<(UtcMs, &SessionId)> {
        let mut pairs = Vec::with_capacity(self.count);
        for (at, sessions) in &self.times {
            let before = pairs.len();
            pairs.extend(sessions.iter().map(|session_id| (*at, session_id)));
            pairs.get_mut(before..).unwrap_or_default().sort_unstable();
        }
        pairs
    }
}

impl PartialEq for ByTime {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.pairs() == other.pairs()
    }
}

impl Eq for ByTime {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_found_by_their_moment_whatever_order_they_came_in() {
        let id = |text: &str| SessionId::from(text);
        let of = |pairs: [(i64, &str); 3]| {
            let mut all = ByTime::default();
            pairs.into_iter().for_each(|(at, text)| all.insert(UtcMs(at), id(text)));
            all
        };
        let (mut all, mut other) = (of([(7, "b"), (7, "a"), (2, "c")]), of([(2, "c"), (7, "a"), (7, "b")]));
        assert_eq!(all, other);
        other.insert(UtcMs(1), id("a"));
        other.remove(UtcMs(7), &id("a"));
        assert_ne!(all, other);
        all.remove(UtcMs(7), &id("x"));
        all.remove(UtcMs(3), &id("a"));
        assert!(all.contains(UtcMs(7), &id("a")) && !all.contains(UtcMs(2), &id("a")));
        assert_eq!((all.len(), all.first()), (3, Some(UtcMs(2))));
        assert_eq!(all.through(UtcMs(6)).collect::<Vec<_>>(), [&id("c")]);
        assert_eq!(all.pop_before(UtcMs(2)), None);
        assert_eq!(all.pop_before(UtcMs(3)), Some(vec![id("c")]));
        all.remove(UtcMs(7), &id("b"));
        assert_eq!((all.iter().collect::<Vec<_>>(), all.len()), (vec![&id("a")], 1));
    }
}
