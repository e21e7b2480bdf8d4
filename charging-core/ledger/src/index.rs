//! Identities to accounts, by hash: the text stays in the account alone. One open table of eight octets a place, which a
//! million accounts can afford. Whoever looks up compares the text, so that equal hashes are only further candidates.

use serde::{Deserialize, Serialize};
use types::charging::SubscriberIdKind;

use crate::fingerprint::{Fingerprint, Hash as _};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(u32, u32)>", into = "Vec<(u32, u32)>")]
pub(crate) struct IdentityIndex {
    /// At most seven eighths are taken; empty at first. As many as are needed and not a power of two, which could be twice that.
    places: Vec<Place>,
    taken: usize,
}

/// Part of the hash, and the account's number plus 1; 0 is free.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    tag: u32,
    account: u32,
}

impl IdentityIndex {
    pub fn insert(&mut self, hash: u64, account: u32) {
        self.put(Place { tag: tag_of(hash), account: account.saturating_add(1) });
    }

    /// The first candidate that `is_it` accepts.
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag_of(hash);
        let of_hash = self.run(tag).filter(|place| place.tag == tag).map(|place| place.account - 1);
        of_hash.into_iter().find(|account| is_it(*account))
    }

    fn put(&mut self, new: Place) {
        if self.run(new.tag).any(|place| place.tag == new.tag && place.account == new.account) {
            return;
        }
        if (self.taken + 1) * 8 > self.places.len() * 7 {
            let grown = vec![Place::default(); (self.places.len() / 2 * 3).max(16)];
            let earlier = std::mem::replace(&mut self.places, grown);
            earlier.into_iter().filter(|place| place.account != 0).for_each(|place| self.place(place));
        }
        self.place(new);
        self.taken += 1;
    }

    /// Into the first free place from where the tag points to; there is one.
    fn place(&mut self, new: Place) {
        let count = self.places.len();
        let mut at = self.first(new.tag);
        while let Some(place) = self.places.get_mut(at) {
            if place.account == 0 {
                *place = new;
                return;
            }
            at = (at + 1) % count;
        }
    }

    /// The places from where a tag points to, up to the first free one.
    fn run(&self, tag: u32) -> impl Iterator<Item = Place> {
        let (before, from) = self.places.split_at_checked(self.first(tag)).unwrap_or_default();
        from.iter().chain(before).copied().take_while(|place| place.account != 0)
    }

    fn first(&self, tag: u32) -> usize {
        // The tag as a fraction of all tags, of the places.
        let scaled = (u64::from(tag) * self.places.len() as u64) >> u32::BITS;
        usize::try_from(scaled).unwrap_or(0)
    }

    fn sorted(&self) -> Vec<(u32, u32)> {
        let taken = self.places.iter().filter(|place| place.account != 0);
        let mut all: Vec<(u32, u32)> = taken.map(|place| (place.tag, place.account)).collect();
        all.sort_unstable();
        all
    }
}

/// Where a place is depends on the order of insertion, what is found does not.
impl PartialEq for IdentityIndex {
    fn eq(&self, other: &Self) -> bool {
        self.taken == other.taken && self.sorted() == other.sorted()
    }
}

impl Eq for IdentityIndex {}

impl From<Vec<(u32, u32)>> for IdentityIndex {
    fn from(all: Vec<(u32, u32)>) -> Self {
        // All the room at once: growing would move everything again and again.
        let room = all.len() + all.len() / SPARE + 1;
        let places = room.saturating_mul(8).div_ceil(7).max(16);
        let mut index = Self { places: vec![Place::default(); places], taken: 0 };
        all.into_iter()
            .filter(|(_, account)| *account != 0)
            .for_each(|(tag, account)| index.put(Place { tag, account }));
        index
    }
}

impl From<IdentityIndex> for Vec<(u32, u32)> {
    fn from(index: IdentityIndex) -> Self {
        index.sorted()
    }
}

/// Of what was read, this part more has room before all must be moved.
const SPARE: usize = 16;

/// Both halves of the hash in one.
fn tag_of(hash: u64) -> u32 {
    u32::try_from((hash ^ (hash >> 32)) & u64::from(u32::MAX)).unwrap_or(0)
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
        assert_eq!(index.taken, 3);
    }

    #[test]
    fn thousands_are_found_again_however_they_came() {
        // Tags that point to the last places, so that runs go over the end.
        let hash = |number: u32| {
            if number.is_multiple_of(3) { 0xffff_fff0 } else { u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) }
        };
        let mut index = IdentityIndex::default();
        (0..3000).for_each(|number| index.insert(hash(number), number));
        let mut other = IdentityIndex::default();
        (0..3000).rev().for_each(|number| other.insert(hash(number), number));
        let written: Vec<(u32, u32)> = index.clone().into();
        assert!(index == other && IdentityIndex::from(written) == index);
        for number in 0..3000 {
            assert_eq!(index.find(hash(number), |found| found == number), Some(number));
        }
        assert_eq!(index.find(0xffff_fff0, |_| false), None);
    }
}
