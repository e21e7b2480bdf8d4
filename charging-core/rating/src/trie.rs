//! Longest prefix match over a compressed trie (runs of bytes without a branch share one node), in flat arrays.
//!
//! A prefix carries a *zone*: the set of destinations it belongs to. A rating plan that has no rate for the longest
//! match may have one for a shorter prefix, so the match leads on to the shorter ones.

use crate::geography::PrefixRow;
use crate::tariff::{index, row};

/// The trie; built once, read by many.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    /// The first byte of each node's label: those of the children of a node stand side by side.
    firsts: Vec<u8>,
    /// What follows the first byte.
    labels: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    label_start: u32,
    first_child: u32,
    /// [`NO_ZONE`] for none.
    zone: u32,
    /// The nearest node above that has a zone; the root, which never has one, if there is none.
    shorter: u32,
    children: u16,
    /// Without the first byte.
    label_len: u8,
    /// Bytes from the root to the end of this node.
    depth: u8,
}

/// A prefix of the number that some destination has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    node: u32,
    pub zone: u32,
    /// Bytes matched.
    pub length: u16,
}

impl Trie {
    /// Builds the trie of prefixes with their zones: sorted, distinct, none empty.
    pub(crate) fn new(text: &[u8], prefixes: &[PrefixRow]) -> Self {
        let mut trie = Self::default();
        let expected = prefixes.len() + prefixes.len() / 4 + 1;
        trie.nodes.reserve(expected);
        trie.firsts.reserve(expected);
        trie.nodes.push(ROOT);
        trie.firsts.push(0);
        trie.fill(0, text, prefixes);
        trie.nodes.shrink_to_fit();
        trie.firsts.shrink_to_fit();
        trie.labels.shrink_to_fit();
        trie
    }

    /// The longest prefix of `number`.
    pub(crate) fn longest(&self, number: &str) -> Option<Match> {
        let mut rest = number.as_bytes();
        let mut best = None;
        let mut node = self.nodes.first()?;
        while let Some((first, tail)) = rest.split_first() {
            let from = usize::try_from(node.first_child).ok()?;
            let firsts = self.firsts.get(from..from + usize::from(node.children))?;
            let Some(at) = firsts.iter().position(|byte| byte == first) else { break };
            let at = index(from + at);
            node = row(&self.nodes, at)?;
            rest = tail;
            if node.label_len > 0 {
                let Some(tail) = rest.strip_prefix(self.label(node)) else { break };
                rest = tail;
            }
            if node.zone != NO_ZONE {
                best = Some(Match { node: at, zone: node.zone, length: u16::from(node.depth) });
            }
        }
        best
    }

    /// The next shorter prefix.
    pub(crate) fn shorter(&self, longer: Match) -> Option<Match> {
        let at = row(&self.nodes, longer.node)?.shorter;
        let node = row(&self.nodes, at).filter(|node| node.zone != NO_ZONE)?;
        Some(Match { node: at, zone: node.zone, length: u16::from(node.depth) })
    }

    /// Calls `look` with every prefix and its zone, in order of the prefixes.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&str, u32)) {
        // Nodes to visit, and how much of the prefix above them stays.
        let mut open = vec![(0u32, 0usize)];
        let mut prefix: Vec<u8> = Vec::new();
        while let Some((at, above)) = open.pop() {
            let Some(node) = row(&self.nodes, at) else { continue };
            prefix.truncate(above);
            if at > 0 {
                prefix.extend(row(&self.firsts, at));
                prefix.extend_from_slice(self.label(node));
            }
            // Prefixes are cut out of texts at their ends, but branches may be within a character.
            if node.zone != NO_ZONE
                && let Ok(text) = std::str::from_utf8(&prefix)
            {
                look(text, node.zone);
            }
            let children = node.first_child..node.first_child + u32::from(node.children);
            open.extend(children.rev().map(|child| (child, prefix.len())));
        }
    }

    fn label(&self, node: &Node) -> &[u8] {
        let start = usize::try_from(node.label_start).unwrap_or(usize::MAX);
        self.labels.get(start..start.saturating_add(usize::from(node.label_len))).unwrap_or_default()
    }

    /// Gives node `at` its zone and children from `entries`: sorted, distinct, all beginning with the node's prefix.
    fn fill(&mut self, at: usize, text: &[u8], entries: &[PrefixRow]) {
        let Some(node) = self.nodes.get(at).copied() else { return };
        let depth = usize::from(node.depth);
        let own = entries.first().filter(|entry| entry.prefix(text).len() == depth).map(|entry| entry.value);
        let below = if own.is_some() { entries.get(1..).unwrap_or_default() } else { entries };
        let byte = |entry: &PrefixRow| entry.prefix(text).get(depth).copied();
        let groups = || below.chunk_by(|left, right| byte(left) == byte(right));
        let first_child = self.nodes.len();
        let shorter = if own.is_some() { index(at) } else { node.shorter };
        for group in groups() {
            self.push_child(shorter, depth, text, group);
        }
        let children = self.nodes.len() - first_child;
        if let Some(node) = self.nodes.get_mut(at) {
            node.zone = own.unwrap_or(NO_ZONE);
            node.first_child = index(first_child);
            node.children = u16::try_from(children).expect("invariant: a byte has 256 values");
        }
        for (child, group) in groups().enumerate() {
            self.fill(first_child + child, text, group);
        }
    }

    fn push_child(&mut self, shorter: u32, depth: usize, text: &[u8], group: &[PrefixRow]) {
        let end = |entry: Option<&PrefixRow>| entry.map_or(&[][..], |entry| entry.prefix(text));
        let (first, last) = (end(group.first()), end(group.last()));
        let shared = first.iter().zip(last).take_while(|(left, right)| left == right).count();
        let (first_byte, label) = first.get(depth..shared).and_then(<[u8]>::split_first).unwrap_or((&0, &[]));
        let short = |length: usize| u8::try_from(length).expect("invariant: prefixes have at most 255 bytes");
        let label_start = index(self.labels.len());
        self.labels.extend_from_slice(label);
        self.firsts.push(*first_byte);
        self.nodes.push(Node { label_start, label_len: short(label.len()), depth: short(shared), shorter, ..ROOT });
    }
}

const NO_ZONE: u32 = u32::MAX;

const ROOT: Node =
    Node { label_start: 0, first_child: 0, zone: NO_ZONE, shorter: 0, children: 0, label_len: 0, depth: 0 };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geography::Destinations;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn equals_a_walk_over_all_prefixes(
            prefixes in proptest::collection::btree_set("[0-2+éè]{1,6}", 0..40),
            number in "[0-2+éè]{0,8}",
        ) {
            let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
            let trie = trie(&prefixes);
            let zones = || prefixes.iter().copied().zip(0u32..);
            let mut expected: Vec<(u32, u16)> = zones()
                .filter(|(prefix, _)| number.starts_with(*prefix))
                .map(|(prefix, zone)| (zone, prefix.len() as u16))
                .collect();
            expected.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
            prop_assert_eq!(chain(&trie, &number), expected);
            let mut visited = Vec::new();
            trie.for_each(|prefix, zone| visited.push((prefix.to_owned(), zone)));
            prop_assert_eq!(visited, zones().map(|(prefix, zone)| (prefix.to_owned(), zone)).collect::<Vec<_>>());
        }
    }
}
