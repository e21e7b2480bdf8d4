//! Identities to accounts, by hash: the text stays in the account alone, which halves the memory of a million
//! accounts. Whoever looks up compares the text, so that a collision of hashes is only a second candidate.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use types::charging::SubscriberIdKind;

use crate::fingerprint::Fingerprint;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdentityIndex {
    first: HashMap<u64, u32>,
    /// Accounts whose identity has the hash of another one's.
    more: BTreeMap<u64, Vec<u32>>,
}

impl IdentityIndex {
    pub fn insert(&mut self, hash: u64, account: u32) {
        match self.first.get(&hash) {
            None => {
                self.first.insert(hash, account);
            }
            Some(present) if *present == account => {}
            Some(_) => {
                let others = self.more.entry(hash).or_default();
                if !others.contains(&account) {
                    others.push(account);
                }
            }
        }
    }

    /// The first candidate that `is_it` accepts.
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let first = *self.first.get(&hash)?;
        if is_it(first) {
            return Some(first);
        }
        self.more.get(&hash)?.iter().copied().find(|account| is_it(*account))
    }
}

/// The same on every machine and in every release, because snapshots contain it.
pub(crate) fn identity_hash(tenant: &str, kind: SubscriberIdKind, value: &str) -> u64 {
    let kind = match kind {
        SubscriberIdKind::E164 => 0,
        SubscriberIdKind::Imsi => 1,
        SubscriberIdKind::SipUri => 2,
        SubscriberIdKind::Nai => 3,
        SubscriberIdKind::Private => 4,
    };
    Fingerprint::of(|hash| {
        hash.text(tenant);
        hash.number(kind);
        hash.text(value);
    })
    .low_half()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colliding_hashes_are_told_apart_by_the_text() {
        let mut index = IdentityIndex::default();
        let names = ["anna", "bert", "carl"];
        for number in 0..3 {
            index.insert(7, number);
            index.insert(7, number);
        }
        let find = |name: &str| index.find(7, |number| names.get(number as usize) == Some(&name));
        assert_eq!((find("anna"), find("bert"), find("carl"), find("dora")), (Some(0), Some(1), Some(2), None));
        assert_eq!(index.find(8, |_| true), None);
    }
}
