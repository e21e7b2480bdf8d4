//! Longest prefix match over a compressed trie (runs of bytes without a branch share one node), in flat arrays.
//!
//! A prefix carries a *zone*: the set of destinations it belongs to. A rating plan that has no rate for the longest
//! match may have one for a shorter prefix, so the match leads on to the shorter ones.

use std::collections::BTreeMap;

/// The trie; built once, read by many.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    labels: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    label_start: u32,
    label_len: u16,
    children: u16,
    first_child: u32,
    /// Bytes from the root to the end of this node.
    depth: u16,
    zone: Option<u32>,
    /// The nearest node above that has a zone; the root, which never has one, if there is none.
    shorter: u32,
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
    /// Builds the trie of prefixes (at most 255 bytes each) with their zones.
    pub(crate) fn new(prefixes: &BTreeMap<&str, u32>) -> Self {
        let entries: Vec<(&[u8], u32)> = prefixes.iter().map(|(prefix, zone)| (prefix.as_bytes(), *zone)).collect();
        let mut trie = Self::default();
        trie.nodes.push(ROOT);
        trie.fill(0, &entries);
        trie
    }

    /// The longest prefix of `number`.
    pub(crate) fn longest(&self, number: &str) -> Option<Match> {
        let mut rest = number.as_bytes();
        let (mut at, mut best) = (0, self.matched(0));
        loop {
            let node = self.node(at)?;
            let Some((first, _)) = rest.split_first() else { return best };
            let children = node.first_child..node.first_child.saturating_add(u32::from(node.children));
            let Some(child) = children.into_iter().find(|child| self.label(*child).first() == Some(first)) else {
                return best;
            };
            let Some(tail) = rest.strip_prefix(self.label(child)) else { return best };
            rest = tail;
            at = child;
            best = self.matched(at).or(best);
        }
    }

    /// The next shorter prefix.
    pub(crate) fn shorter(&self, longer: Match) -> Option<Match> {
        self.matched(self.node(longer.node)?.shorter)
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(usize::try_from(at).ok()?)
    }

    fn matched(&self, at: u32) -> Option<Match> {
        let node = self.node(at)?;
        node.zone.map(|zone| Match { node: at, zone, length: node.depth })
    }

    fn label(&self, at: u32) -> &[u8] {
        let Some(node) = self.node(at) else { return &[] };
        let start = usize::try_from(node.label_start).unwrap_or(usize::MAX);
        self.labels.get(start..start.saturating_add(usize::from(node.label_len))).unwrap_or_default()
    }

    /// Gives node `at` its zone and children from `entries`: sorted, distinct, all beginning with the node's prefix.
    fn fill(&mut self, at: usize, entries: &[(&[u8], u32)]) {
        let Some(node) = self.nodes.get(at).copied() else { return };
        let depth = usize::from(node.depth);
        let own = entries.first().filter(|(prefix, _)| prefix.len() == depth).map(|(_, zone)| *zone);
        let below = if own.is_some() { entries.get(1..).unwrap_or_default() } else { entries };
        let groups: Vec<&[(&[u8], u32)]> =
            below.chunk_by(|(left, _), (right, _)| left.get(depth) == right.get(depth)).collect();
        let first_child = self.nodes.len();
        for group in &groups {
            let child = self.child(at, node.shorter, own, depth, group);
            self.nodes.push(child);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.zone = own;
            node.first_child = narrow(first_child);
            node.children = u16::try_from(groups.len()).expect("invariant: a byte has 256 values");
        }
        for (child, group) in groups.iter().enumerate() {
            self.fill(first_child + child, group);
        }
    }

    fn child(&mut self, at: usize, shorter: u32, own: Option<u32>, depth: usize, group: &[(&[u8], u32)]) -> Node {
        let (first, last) = (group.first().map_or(&[][..], |e| e.0), group.last().map_or(&[][..], |e| e.0));
        let shared = first.iter().zip(last).take_while(|(left, right)| left == right).count();
        let label = first.get(depth..shared).unwrap_or_default();
        let label_start = narrow(self.labels.len());
        self.labels.extend_from_slice(label);
        Node {
            label_start,
            label_len: u16::try_from(label.len()).expect("invariant: prefixes have at most 255 bytes"),
            depth: u16::try_from(shared).expect("invariant: prefixes have at most 255 bytes"),
            shorter: if own.is_some() { narrow(at) } else { shorter },
            ..ROOT
        }
    }
}

/// Four thousand million prefixes do not fit the memory that would be needed to get here.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("invariant: fewer than 2^32 nodes and label bytes")
}

const ROOT: Node = Node { label_start: 0, label_len: 0, children: 0, first_child: 0, depth: 0, zone: None, shorter: 0 };

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain(trie: &Trie, number: &str) -> Vec<(u32, u16)> {
        std::iter::successors(trie.longest(number), |found| trie.shorter(*found))
            .map(|found| (found.zone, found.length))
            .collect()
    }

    #[test]
    fn longest_first_then_shorter() {
        let prefixes = [("4", 0), ("49", 1), ("4915", 2), ("4917", 3), ("+49", 4), ("43", 5)];
        let trie = Trie::new(&prefixes.into_iter().collect());
        let rows: [(&str, &[(u32, u16)]); 8] = [
            ("4915112345", &[(2, 4), (1, 2), (0, 1)]),
            ("491", &[(1, 2), (0, 1)]),
            ("4918", &[(1, 2), (0, 1)]),
            ("43", &[(5, 2), (0, 1)]),
            ("5", &[]),
            ("", &[]),
            ("+4915", &[(4, 3)]),
            ("+4", &[]),
        ];
        for (number, expected) in rows {
            assert_eq!(chain(&trie, number), expected, "{number}");
        }
        assert_eq!(chain(&Trie::new(&BTreeMap::new()), "49"), []);
    }

    proptest! {
        #[test]
        fn equals_a_walk_over_all_prefixes(
            prefixes in proptest::collection::btree_set("[0-2+é]{1,6}", 0..40),
            number in "[0-2+é]{0,8}",
        ) {
            let zones: BTreeMap<&str, u32> = prefixes.iter().map(String::as_str).zip(0..).collect();
            let mut expected: Vec<(u32, u16)> = zones
                .iter()
                .filter(|(prefix, _)| number.starts_with(**prefix))
                .map(|(prefix, zone)| (*zone, prefix.len() as u16))
                .collect();
            expected.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
            prop_assert_eq!(chain(&Trie::new(&zones), &number), expected);
        }
    }
}
