//! Prefixes, the destinations they belong to, and zones: a zone is the set of destinations of one or more prefixes.
//!
//! Plans have a million prefixes, so rows are kept in a dozen bytes each and sorted where they stand.

use std::collections::HashMap;

use crate::tariff::{index, row};
use crate::trie::Trie;

/// The rows of Destinations as they are read.
#[derive(Debug, Default)]
pub(crate) struct Destinations {
    names: Vec<Box<str>>,
    by_name: HashMap<Box<str>, u32>,
    /// All prefixes, one behind the other.
    text: Vec<u8>,
    rows: Vec<PrefixRow>,
}

/// A prefix (at most 255 bytes) and what it has: a destination while rows are read, a zone afterwards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PrefixRow {
    start: u32,
    length: u8,
    pub value: u32,
}

impl PrefixRow {
    pub(crate) fn prefix<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let start = usize::try_from(self.start).unwrap_or(usize::MAX);
        text.get(start..start.saturating_add(usize::from(self.length))).unwrap_or_default()
    }
}

/// Where destinations are.
#[derive(Debug, Default)]
pub(crate) struct Geography {
    /// Names of the destinations.
    names: Vec<Box<str>>,
    by_name: HashMap<Box<str>, u32>,
    /// Destinations of each zone, by index, sorted.
    zones: Vec<Box<[u32]>>,
    /// Zones of each destination.
    zones_of: Vec<Vec<u32>>,
}

impl Destinations {
    /// For about so many rows.
    pub(crate) fn reserve(&mut self, rows: usize, bytes: usize) {
        self.rows.reserve(rows);
        self.text.reserve(bytes);
    }

    /// One row; `prefix` has at most 255 bytes.
    pub(crate) fn push(&mut self, name: &str, prefix: &str) {
        let known = self.by_name.get(name).copied();
        let value = known.unwrap_or_else(|| {
            let next = index(self.names.len());
            self.names.push(name.into());
            self.by_name.insert(name.into(), next);
            next
        });
        let length = u8::try_from(prefix.len()).expect("invariant: longer prefixes are faults");
        self.rows.push(PrefixRow { start: index(self.text.len()), length, value });
        self.text.extend_from_slice(prefix.as_bytes());
    }

    /// Finds the zones, and the trie that leads to them.
    pub(crate) fn finish(self) -> (Geography, Trie) {
        let Self { names, by_name, text, mut rows } = self;
        rows.sort_unstable_by(|a, b| a.prefix(&text).cmp(b.prefix(&text)).then(a.value.cmp(&b.value)));
        let zones_of = vec![Vec::new(); names.len()];
        let mut geography = Geography { names, by_name, zones: Vec::new(), zones_of };
        let mut zone_of_set: HashMap<Box<[u32]>, u32> = HashMap::new();
        let mut set: Vec<u32> = Vec::new();
        let (mut read, mut written) = (0, 0);
        while let Some(first) = rows.get(read).copied() {
            set.clear();
            while let Some(same) = rows.get(read).filter(|other| other.prefix(&text) == first.prefix(&text)) {
                if set.last() != Some(&same.value) {
                    set.push(same.value);
                }
                read += 1;
            }
            let known = zone_of_set.get(&*set).copied();
            let zone = known.unwrap_or_else(|| {
                let zone = geography.add_zone(&set);
                zone_of_set.insert(set.as_slice().into(), zone);
                zone
            });
            if let Some(place) = rows.get_mut(written) {
                *place = PrefixRow { value: zone, ..first };
            }
            written += 1;
        }
        rows.truncate(written);
        let trie = Trie::new(&text, &rows);
        (geography, trie)
    }
}

impl Geography {
    fn add_zone(&mut self, set: &[u32]) -> u32 {
        let zone = index(self.zones.len());
        for destination in set {
            let zones = usize::try_from(*destination).ok().and_then(|at| self.zones_of.get_mut(at));
            zones.into_iter().for_each(|zones| zones.push(zone));
        }
        self.zones.push(set.into());
        zone
    }

    /// The zones of a destination; none if it has no prefix.
    pub(crate) fn zones_of(&self, name: &str) -> Option<&[u32]> {
        let destination = self.by_name.get(name)?;
        row(&self.zones_of, *destination).map(Vec::as_slice)
    }

    /// The names of the destinations of a zone, sorted.
    pub(crate) fn names_of(&self, zone: u32) -> Vec<&str> {
        let destinations = row(&self.zones, zone).into_iter().flatten();
        let mut names: Vec<&str> = destinations.filter_map(|at| row(&self.names, *at)).map(|name| &**name).collect();
        names.sort_unstable();
        names
    }
}
