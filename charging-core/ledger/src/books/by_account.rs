//! What many accounts have and not all, by account number: found with one step, because every request asks.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Written as a map in the order of the numbers, as books of every release have it.
#[derive(Debug, Clone)]
pub(crate) struct ByAccount<T> {
    /// By account number, up to the last one that has something.
    places: Vec<Option<Box<T>>>,
}

impl<T> Default for ByAccount<T> {
    fn default() -> Self {
        Self { places: Vec::new() }
    }
}

impl<T: PartialEq> PartialEq for ByAccount<T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Eq> Eq for ByAccount<T> {}

impl<T> ByAccount<T> {
    pub fn get(&self, account: u32) -> Option<&T> {
        self.places.get(usize::try_from(account).ok()?)?.as_deref()
    }

    pub fn get_mut(&mut self, account: u32) -> Option<&mut T> {
        self.places.get_mut(usize::try_from(account).ok()?)?.as_deref_mut()
    }

    pub fn insert(&mut self, account: u32, kept: T) {
        *self.place(account) = Some(Box::new(kept));
    }

    pub fn remove(&mut self, account: u32) {
        if let Some(place) = usize::try_from(account).ok().and_then(|at| self.places.get_mut(at)) {
            *place = None;
        }
    }

    /// What the account has; `made` where it has nothing yet.
    pub fn or_insert_with(&mut self, account: u32, made: impl FnOnce() -> T) -> &mut T {
        self.place(account).get_or_insert_with(|| Box::new(made()))
    }

    fn place(&mut self, account: u32) -> &mut Option<Box<T>> {
        let at = usize::try_from(account).expect("invariant: 32 bits fit");
        if self.places.len() <= at {
            self.places.resize_with(at + 1, || None);
        }
        self.places.get_mut(at).expect("invariant: there is room")
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.places).filter_map(|(account, place)| place.as_deref().map(|kept| (account, kept)))
    }
}

impl<T: Serialize> Serialize for ByAccount<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.iter().count()))?;
        self.iter().try_for_each(|(account, kept)| map.serialize_entry(&account, kept))?;
        map.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByAccount<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = ByAccount<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map by account number")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ByAccount<T>, A::Error> {
        let mut all = ByAccount::default();
        while let Some((account, kept)) = map.next_entry()? {
            all.or_insert_with(account, || kept);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Of what a snapshot has, whether it was written from a tree or from this.
    #[test]
    fn it_reads_and_writes_as_a_map() {
        let map: BTreeMap<u32, u64> = [(3, 30), (0, 1), (500, 7)].into();
        let written = postcard::to_extend(&map, Vec::new()).expect("written");
        let mut all: ByAccount<u64> = postcard::from_bytes(&written).expect("read");
        assert_eq!(postcard::to_extend(&all, Vec::new()).expect("written"), written);
        assert_eq!((all.get(3), all.get(4), all.get(501)), (Some(&30), None, None));
        let before = all.clone();
        *all.or_insert_with(4, || 2) += 3;
        assert_eq!(
            all.iter().map(|(account, kept)| (account, *kept)).collect::<Vec<_>>(),
            [(0, 1), (3, 30), (4, 5), (500, 7)]
        );
        assert_ne!(all, before);
    }
}
