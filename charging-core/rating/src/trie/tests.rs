//! Longest prefixes, held against a walk over all of them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::geography::Destinations;

/// A trie in which each prefix has a zone of its own, numbered in order of the prefixes.
fn trie(prefixes: &[&str]) -> Trie {
    let mut destinations = Destinations::default();
    for (at, prefix) in prefixes.iter().enumerate() {
        destinations.push(&at.to_string(), prefix);
    }
    destinations.finish().1
}

fn chain(trie: &Trie, number: &str) -> Vec<(u32, u16)> {
    std::iter::successors(trie.longest(number), |found| trie.shorter(*found))
        .map(|found| (found.zone, found.length))
        .collect()
}

#[test]
fn longest_first_then_shorter() {
    let trie_of_six = trie(&["4", "49", "4915", "4917", "+49", "43"]);
    // in order: +49, 4, 43, 49, 4915, 4917
    let rows: [(&str, &[(u32, u16)]); 8] = [
        ("4915112345", &[(4, 4), (3, 2), (1, 1)]),
        ("491", &[(3, 2), (1, 1)]),
        ("4918", &[(3, 2), (1, 1)]),
        ("43", &[(2, 2), (1, 1)]),
        ("5", &[]),
        ("", &[]),
        ("+4915", &[(0, 3)]),
        ("+4", &[]),
    ];
    for (number, expected) in rows {
        assert_eq!(chain(&trie_of_six, number), expected, "{number}");
    }
    assert_eq!(chain(&trie(&[]), "49"), []);
}

/// The same as a walk over all prefixes.
fn check(prefixes: &BTreeSet<String>, numbers: &[String]) -> Result<(), TestCaseError> {
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    let trie = trie(&prefixes);
    let zones = || prefixes.iter().copied().zip(0u32..);
    for number in numbers {
        let matching = zones().filter(|(prefix, _)| number.starts_with(*prefix));
        let mut expected: Vec<(u32, u16)> = matching.map(|(prefix, zone)| (zone, prefix.len() as u16)).collect();
        expected.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
        prop_assert_eq!(chain(&trie, number), expected, "{}", number);
    }
    let mut visited = Vec::new();
    trie.for_each(|prefix, zone| visited.push((prefix.to_owned(), zone)));
    prop_assert_eq!(visited, zones().map(|(prefix, zone)| (prefix.to_owned(), zone)).collect::<Vec<_>>());
    Ok(())
}

fn texts(pattern: &'static str, count: usize) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(pattern, 0..count)
}

proptest! {
    #[test]
    fn equals_a_walk_over_all_prefixes(
        prefixes in proptest::collection::btree_set("[0-2+éèa]{1,6}", 0..60),
        numbers in texts("[0-2+éèa]{0,8}", 8),
    ) {
        check(&prefixes, &numbers)?;
    }

    /// Enough of them for tables of three digits.
    #[test]
    fn with_many_prefixes(
        prefixes in proptest::collection::btree_set("[+]?[0-9]{1,5}|[+]?[0-9a*]{1,3}", 0..700),
        numbers in texts("[+]?[0-9]{0,7}|[+]?[0-9a*]{0,5}", 40),
    ) {
        check(&prefixes, &numbers)?;
    }

    /// Prefixes that have more in common than a node takes; numbers that are such a prefix, or most of it, and more.
    #[test]
    fn with_long_prefixes(
        prefixes in proptest::collection::btree_set("[+]?(0{0,9}|7{8,12})[01]{1,4}(0{1,12}|1{5,7})[01]{0,3}|0{200}[01]{1,55}", 1..30),
        picks in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..=255, "[01a]{0,3}"), 0..20),
    ) {
        let all: Vec<&String> = prefixes.iter().collect();
        let number = |(at, length, more): &(prop::sample::Index, usize, String)| {
            let prefix = all[at.index(all.len())];
            format!("{}{more}", &prefix[..(*length).min(prefix.len())])
        };
        let numbers: Vec<String> = picks.iter().map(number).collect();
        check(&prefixes, &numbers)?;
    }
}
