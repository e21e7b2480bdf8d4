//! Longest prefix match over a compressed trie (runs of bytes without a branch share one node), in flat arrays.
//!
//! A prefix carries a *zone*: the set of destinations it belongs to. A rating plan that has no rate for the longest
//! match may have one for a shorter prefix, so the match leads on to the shorter ones.

use std::collections::VecDeque;

use crate::geography::PrefixRow;
use crate::tariff::{index, row};

/// The trie; built once, read by many. What a look-up touches is kept small: most prefixes are leaves right below a branch,
/// which are found without a look at their nodes.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    /// The zone of each node, [`NO_ZONE`] for none.
    zones: Vec<u32>,
    /// The first byte of each node's label: those of the children of a node stand side by side, in order.
    firsts: Vec<u8>,
    /// What follows the first byte.
    labels: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    label_start: u32,
    first_child: u32,
    /// The nearest node above that has a zone; the root, which never has one, if there is none.
    shorter: u32,
    children: u16,
    /// Which digits have a child: bit 0 for `0`.
    digits: u16,
    /// Which of them are leaves with a label of one byte; and [`HAS_ZONE`].
    leaves: u16,
    /// Children that stand before those of the digits.
    before_digits: u8,
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
        trie.zones.reserve(expected);
        trie.firsts.reserve(expected);
        trie.nodes.push(ROOT);
        trie.zones.push(NO_ZONE);
        trie.firsts.push(0);
        // Level by level: the branches that every look-up goes through stand close together.
        let mut open = VecDeque::from([(0, prefixes)]);
        while let Some((at, entries)) = open.pop_front() {
            trie.fill(at, text, entries, &mut open);
        }
        trie.nodes.shrink_to_fit();
        trie.zones.shrink_to_fit();
        trie.firsts.shrink_to_fit();
        trie.labels.shrink_to_fit();
        trie
    }

    /// The longest prefix of `number`.
    pub(crate) fn longest(&self, number: &str) -> Option<Match> {
        let number = number.as_bytes();
        let (mut node, mut best) = (self.nodes.first()?, None);
        while let Some(byte) = number.get(usize::from(node.depth)) {
            let digit = 1u16.checked_shl(u32::from(byte.wrapping_sub(b'0'))).unwrap_or(0) & ALL_DIGITS;
            let at = if digit == 0 {
                let Some(at) = self.child_scanned(node, *byte) else { break };
                at
            } else if node.digits & digit != 0 {
                let at = node.first_child + u32::from(node.before_digits) + (node.digits & (digit - 1)).count_ones();
                if node.leaves & digit != 0 {
                    best = Some((at, u16::from(node.depth) + 1));
                    break;
                }
                at
            } else {
                break;
            };
            let (above, child) = (usize::from(node.depth) + 1, row(&self.nodes, at)?);
            let end = usize::from(child.depth);
            if end > above && number.get(above..end) != Some(self.label(child, end - above)) {
                break;
            }
            node = child;
            if node.leaves & HAS_ZONE != 0 {
                best = Some((at, u16::from(node.depth)));
            }
        }
        best.and_then(|(node, length)| Some(Match { node, zone: *row(&self.zones, node)?, length }))
    }

    fn child_scanned(&self, node: &Node, byte: u8) -> Option<u32> {
        let from = usize::try_from(node.first_child).ok()?;
        let firsts = self.firsts.get(from..from + usize::from(node.children))?;
        firsts.iter().position(|first| *first == byte).map(|at| index(from + at))
    }

    /// The next shorter prefix.
    pub(crate) fn shorter(&self, longer: Match) -> Option<Match> {
        let at = row(&self.nodes, longer.node)?.shorter;
        let node = row(&self.nodes, at).filter(|node| node.leaves & HAS_ZONE != 0)?;
        Some(Match { node: at, zone: *row(&self.zones, at)?, length: u16::from(node.depth) })
    }

    /// Calls `look` with every prefix and its zone, in order of the prefixes.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&str, u32)) {
        // Nodes to visit, and how much of the prefix above them stays.
        let mut open = vec![(0u32, 0usize)];
        let mut prefix: Vec<u8> = Vec::new();
        while let Some((at, above)) = open.pop() {
            let (Some(node), Some(zone)) = (row(&self.nodes, at), row(&self.zones, at)) else { continue };
            prefix.truncate(above);
            if at > 0 {
                prefix.extend(row(&self.firsts, at));
                prefix.extend_from_slice(self.label(node, usize::from(node.depth).saturating_sub(above + 1)));
            }
            // Prefixes are cut out of texts at their ends, but branches may be within a character.
            if *zone != NO_ZONE
                && let Ok(text) = std::str::from_utf8(&prefix)
            {
                look(text, *zone);
            }
            let children = node.first_child..node.first_child + u32::from(node.children);
            open.extend(children.rev().map(|child| (child, prefix.len())));
        }
    }

    /// What follows the first byte of a label: the bytes between the node above and this one, but one.
    fn label(&self, node: &Node, length: usize) -> &[u8] {
        let start = usize::try_from(node.label_start).unwrap_or(usize::MAX);
        self.labels.get(start..start.saturating_add(length)).unwrap_or_default()
    }

    /// Gives node `at` its zone and children from `entries`: sorted, distinct, all beginning with the node's prefix. Leaves
    /// are done with that, other children are left `open`.
    fn fill<'e>(
        &mut self,
        at: usize,
        text: &[u8],
        entries: &'e [PrefixRow],
        open: &mut VecDeque<(usize, &'e [PrefixRow])>,
    ) {
        let Some(mut node) = self.nodes.get(at).copied() else { return };
        let depth = usize::from(node.depth);
        let own = entries.first().filter(|entry| entry.prefix(text).len() == depth);
        let below = if own.is_some() { entries.get(1..).unwrap_or_default() } else { entries };
        if let (Some(own), Some(zone)) = (own, self.zones.get_mut(at)) {
            *zone = own.value;
            node.leaves |= HAS_ZONE;
        }
        let shorter = if own.is_some() { index(at) } else { node.shorter };
        let byte = |entry: &PrefixRow| entry.prefix(text).get(depth).copied();
        let first_child = self.nodes.len();
        for group in below.chunk_by(|left, right| byte(left) == byte(right)) {
            let child = self.nodes.len();
            let (first, is_leaf) = self.push_child(shorter, depth, text, group);
            match first {
                b'0'..=b'9' => {
                    node.digits |= 1 << (first - b'0');
                    node.leaves |= u16::from(is_leaf) << (first - b'0');
                }
                before if before < b'0' => node.before_digits += 1,
                _ => {}
            }
            if !is_leaf {
                open.push_back((child, group));
            }
        }
        node.first_child = index(first_child);
        node.children = u16::try_from(self.nodes.len() - first_child).expect("invariant: a byte has 256 values");
        if let Some(place) = self.nodes.get_mut(at) {
            *place = node;
        }
    }

    /// Gives the child's first byte, and whether it is a leaf with that byte for a label, which needs no more.
    fn push_child(&mut self, shorter: u32, depth: usize, text: &[u8], group: &[PrefixRow]) -> (u8, bool) {
        let end = |entry: Option<&PrefixRow>| entry.map_or(&[][..], |entry| entry.prefix(text));
        let (first, last) = (end(group.first()), end(group.last()));
        let shared = first.iter().zip(last).take_while(|(left, right)| left == right).count();
        let (first_byte, label) = first.get(depth..shared).and_then(<[u8]>::split_first).unwrap_or((&0, &[]));
        let label_start = index(self.labels.len());
        self.labels.extend_from_slice(label);
        self.firsts.push(*first_byte);
        let depth = u8::try_from(shared).expect("invariant: prefixes have at most 255 bytes");
        let leaf = group.first().filter(|_| group.len() == 1 && label.is_empty());
        self.zones.push(leaf.map_or(NO_ZONE, |leaf| leaf.value));
        let leaves = if leaf.is_some() { HAS_ZONE } else { 0 };
        self.nodes.push(Node { label_start, depth, shorter, leaves, ..ROOT });
        (*first_byte, leaf.is_some())
    }
}

const NO_ZONE: u32 = u32::MAX;
const ALL_DIGITS: u16 = 0b11_1111_1111;
/// Beside the digits of [`Node::leaves`]: the node is the end of a prefix.
const HAS_ZONE: u16 = 1 << 15;

const ROOT: Node =
    Node { label_start: 0, first_child: 0, shorter: 0, children: 0, digits: 0, leaves: 0, before_digits: 0, depth: 0 };

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
            prefixes in proptest::collection::btree_set("[0-2+éèa]{1,6}", 0..60),
            number in "[0-2+éèa]{0,8}",
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
