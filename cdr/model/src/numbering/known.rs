//! The latest numbers that were looked up, and what the plan says of them.

use std::collections::HashMap;

use types::Number;

use super::{Numbering, Parties, look_up};
use crate::CallRecord;

/// Numbers that need not be looked up again: the latest [`KnownNumbers::REMEMBERED`] and at most as many older ones. What the plan
/// does not know is remembered too.
#[derive(Debug, Default)]
pub struct KnownNumbers {
    latest: HashMap<Number, Option<Numbering>>,
    /// Those before; away when the latest are full again.
    older: HashMap<Number, Option<Numbering>>,
}

impl KnownNumbers {
    /// At some hundred octets each.
    pub const REMEMBERED: usize = 8_192;

    /// As [`Parties::of`].
    pub fn parties(&mut self, record: &CallRecord) -> Parties {
        Parties::found(record, |number| self.look_up(number))
    }

    fn look_up(&mut self, number: &Number) -> Option<Numbering> {
        if let Some(known) = self.latest.get(number) {
            return known.clone();
        }
        let found = self.older.remove(number).unwrap_or_else(|| look_up(number));
        if self.latest.len() >= Self::REMEMBERED {
            self.older = std::mem::take(&mut self.latest);
        }
        self.latest.insert(number.clone(), found.clone());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_is_found_and_bounded() {
        let mut known = KnownNumbers::default();
        for index in 0..3 * KnownNumbers::REMEMBERED {
            // One in a thousand is in the plan; the others are looked up at no cost.
            let plus = if index % 1_000 == 0 { "+" } else { "" };
            let number = Number::from(format!("{plus}493012{index:06}").as_str());
            let found = look_up(&number);
            assert_eq!(found.is_some(), plus == "+", "{index}");
            assert_eq!((known.look_up(&number), known.look_up(&number)), (found.clone(), found), "{index}");
            assert!(known.latest.contains_key(&number));
            assert!(known.latest.len().max(known.older.len()) <= KnownNumbers::REMEMBERED);
        }
        assert_eq!(known.older.len(), KnownNumbers::REMEMBERED);
    }
}
