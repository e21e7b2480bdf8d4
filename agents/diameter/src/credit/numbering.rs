//! From the client's CC-Request-Number to the number under which the core knows the request.
//!
//! The core takes the requests of a session in rising order; clients do not send them so: some have an update for each rating
//! group on the way at once and they overtake each other, some begin at 1, some repeat a number in the last request. So a request goes
//! under its own number if that is above all before it, else under the next free one, which is remembered. A copy goes under the
//! number of its original.

use protocol_codecs::diameter::CcRequestType;
use serde::{Deserialize, Serialize};

/// The numbers of one session. Kept with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Numbering {
    /// The highest number used with the core; `None` = none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u32>,
    /// The number of the first request, and of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    initial: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    termination: Option<u32>,
    /// Updates seen, as ranges without gaps, rising.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    updates: Vec<(u32, u32)>,
    /// Requests that went under another number: type, own number, number with the core.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    moved: Vec<(i32, u32, u32)>,
}

impl Numbering {
    /// The number with the core; the same again for a copy. `None`: numbers are used up, or out of all order.
    pub fn number(&mut self, request_type: CcRequestType, own: u32) -> Option<u32> {
        if self.is_seen(request_type, own) {
            let moved = self.moved.iter().find(|(kind, from, _)| (*kind, *from) == (request_type.number(), own));
            return Some(moved.map_or(own, |(_, _, to)| *to));
        }
        let with_core = match self.last {
            Some(last) if own <= last => last.checked_add(1).filter(|next| *next < OURS)?,
            _ => Some(own).filter(|own| *own < OURS)?,
        };
        if with_core != own {
            if self.moved.len() >= MOVED_MAX {
                return None;
            }
            self.moved.push((request_type.number(), own, with_core));
        }
        self.last = Some(with_core);
        self.see(request_type, own).then_some(with_core)
    }

    /// Whether this is a copy of a request that has its number.
    pub fn is_seen(&self, request_type: CcRequestType, own: u32) -> bool {
        match request_type {
            CcRequestType::Initial => self.initial == Some(own),
            CcRequestType::Termination => self.termination == Some(own),
            CcRequestType::Update | CcRequestType::Event => {
                self.updates.iter().any(|(from, to)| (*from..=*to).contains(&own))
            }
        }
    }

    fn see(&mut self, request_type: CcRequestType, own: u32) -> bool {
        match request_type {
            CcRequestType::Initial => self.initial = Some(own),
            CcRequestType::Termination => self.termination = Some(own),
            CcRequestType::Update | CcRequestType::Event => {
                let at = self.updates.partition_point(|(from, _)| *from < own);
                self.updates.insert(at, (own, own));
                self.join();
                return self.updates.len() <= RANGES_MAX;
            }
        }
        true
    }

    fn join(&mut self) {
        self.updates.dedup_by(|next, range| {
            let touches = range.1.checked_add(1) == Some(next.0);
            if touches {
                range.1 = next.1;
            }
            touches
        });
    }
}

/// Used by ourselves to end a session that its client will not end.
pub const OURS: u32 = u32::MAX;
/// A client that lets so many requests overtake each other has no order at all.
const MOVED_MAX: usize = 256;
const RANGES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use CcRequestType::{Initial, Termination, Update};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_in_order_keep_their_numbers() {
        for first in [0, 1, 7] {
            let mut numbers = Numbering::default();
            assert_eq!(numbers.number(Initial, first), Some(first));
            for own in first + 1..first + 20 {
                assert_eq!(numbers.number(Update, own), Some(own));
            }
            assert_eq!(numbers.number(Termination, first + 20), Some(first + 20));
            assert_eq!((numbers.updates.len(), numbers.moved.len()), (1, 0));
        }
    }

    #[test]
    fn overtaken_and_repeated_numbers_are_moved_and_their_copies_follow() {
        let mut numbers = Numbering::default();
        let rows = [
            (Initial, 0, 0),
            (Update, 3, 3),
            (Update, 1, 4),
            (Update, 2, 5),
            (Update, 1, 4),
            (Update, 4, 6),
            (Update, 7, 7),
            (Termination, 7, 8),
            (Termination, 7, 8),
            (Update, 3, 3),
            (Update, 0, 9),
            (Initial, 0, 0),
        ];
        for (request_type, own, with_core) in rows {
            assert_eq!(numbers.number(request_type, own), Some(with_core), "{request_type:?} {own}");
        }
    }

    proptest! {
        /// New requests rise, copies repeat, also after the numbering was written and read again.
        #[test]
        fn the_core_sees_rising_numbers(requests in prop::collection::vec((1_i32..4, 0_u32..40), 0..80)) {
            let (mut numbers, mut known, mut highest) = (Numbering::default(), std::collections::HashMap::new(), None);
            for (kind, own) in requests {
                let request_type = CcRequestType::from_number(kind).expect("a type");
                // One first and one last request a session.
                let key = (kind, if kind == 2 { own } else { 0 });
                let own = if kind == 2 { own } else { *known.get(&key).map_or(&own, |(own, _)| own) };
                let with_core = numbers.number(request_type, own).expect("few requests");
                match known.get(&key) {
                    Some((_, before)) => prop_assert_eq!(with_core, *before),
                    None => {
                        prop_assert!(highest.is_none_or(|highest| with_core > highest));
                        highest = Some(with_core);
                        known.insert(key, (own, with_core));
                    }
                }
                let written = serde_json::to_string(&numbers).expect("it can be written");
                prop_assert_eq!(serde_json::from_str::<Numbering>(&written).expect("and read"), numbers.clone());
            }
        }
    }
}
