//! Builds the nodes and tails of a trie from sorted prefixes, the shortest first and each before those that go on from it.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::{End, Label, NOTHING, Node, Slot, Tail, Trie, small};
use crate::geography::PrefixRow;
use crate::tariff::{NameHasher, index};

/// All of it but the tables of first digits.
pub(super) fn without_heads(text: &[u8], prefixes: &[PrefixRow]) -> Trie {
    let mut builder = Builder { text, trie: Trie::default(), known: HashMap::default() };
    let root = builder.slot(prefixes, 0, NOTHING);
    let mut trie = Trie { root, ..builder.trie };
    trie.ends.shrink_to_fit();
    trie.nodes.shrink_to_fit();
    trie.tails.shrink_to_fit();
    trie.others.shrink_to_fit();
    trie
}

struct Builder<'t> {
    text: &'t [u8],
    trie: Trie,
    /// Ends by what they are, so that none is there twice.
    known: HashMap<End, u32, BuildHasherDefault<NameHasher>>,
}

impl Builder<'_> {
    /// The slot of prefixes that have their first `depth` bytes in common, behind which `longest` is the longest that is
    /// shorter than they are. Calls itself with longer prefixes: at most 255 times within each other.
    fn slot(&mut self, prefixes: &[PrefixRow], depth: usize, longest: u32) -> Slot {
        let (longest, longer) = self.without_own(prefixes, depth, longest);
        let Some((first, last)) = longer.first().zip(longer.last()) else { return Slot::end(longest) };
        let text = self.text;
        let (first, last) = (first.prefix(text), last.prefix(text));
        let rest = first.get(depth..).unwrap_or_default();
        let short = u8::try_from(depth).expect("invariant: prefixes have at most 255 bytes");
        let tail = Label::of(rest);
        if let [only] = longer
            && tail.bytes() == rest
        {
            let hit = self.end(only, longest);
            self.trie.tails.push(Tail { hit, missed: longest, depth: short, label: tail });
            return Slot::tail(self.trie.tails.len() - 1);
        }
        let shared = first.iter().zip(last).take_while(|(left, right)| left == right).count();
        let label = Label::of(first.get(depth..shared).unwrap_or_default());
        let end = depth + usize::from(label.length);
        let (here, below) = self.without_own(longer, end, longest);
        let mut node = Node {
            digits: [Slot::end(here); 10],
            here,
            missed: longest,
            others_start: 0,
            others: 0,
            depth: short,
            label,
        };
        // Its place is before its children's: what is on the way stands close together.
        let at = self.trie.nodes.len();
        self.trie.nodes.push(node);
        let byte = |row: &PrefixRow| row.prefix(text).get(end).copied().unwrap_or_default();
        let mut others = Vec::new();
        for group in below.chunk_by(|left, right| byte(left) == byte(right)) {
            let first = group.first().map(byte).unwrap_or_default();
            let slot = self.slot(group, end + 1, here);
            match node.digits.get_mut(usize::from(first.wrapping_sub(b'0'))) {
                Some(place) => *place = slot,
                None => others.push((first, slot)),
            }
        }
        node.others_start = index(self.trie.others.len());
        node.others = u8::try_from(others.len()).expect("invariant: a byte that is no digit has 246 values");
        self.trie.others.extend(others);
        if let Some(place) = self.trie.nodes.get_mut(at) {
            *place = node;
        }
        Slot::node(at)
    }

    /// The longest prefix of `depth` bytes, and the prefixes that are longer.
    fn without_own<'e>(&mut self, prefixes: &'e [PrefixRow], depth: usize, longest: u32) -> (u32, &'e [PrefixRow]) {
        match prefixes.split_first() {
            Some((own, longer)) if own.prefix(self.text).len() == depth => (self.end(own, longest), longer),
            _ => (longest, prefixes),
        }
    }

    fn end(&mut self, prefix: &PrefixRow, shorter: u32) -> u32 {
        let length = u8::try_from(prefix.prefix(self.text).len()).expect("invariant: prefixes have at most 255 bytes");
        let end = End { zone: prefix.value, shorter, length };
        *self.known.entry(end).or_insert_with(|| {
            self.trie.ends.push(end);
            small(self.trie.ends.len() - 1)
        })
    }
}
