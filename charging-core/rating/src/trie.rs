//! Longest prefix match over a trie, in flat arrays laid out for few misses of the cache: a look-up that is not in it takes
//! longer than all the comparing.
//!
//! A prefix carries a *zone*: the set of destinations it belongs to. A rating plan that has no rate for the longest
//! match may have one for a shorter prefix, so the match leads on to the shorter ones.
//!
//! The first digits of a number, about as many as the prefixes have, are looked up in a table at once. What stands there
//! is mostly the answer; else it is a node, one cache line, with a slot for each digit, or the rest of the one prefix that
//! is left. A slot without a longer prefix has the longest so far, so nothing is remembered on the way.

mod build;
mod label;

use crate::geography::PrefixRow;
use crate::tariff::{index, row};
use label::Label;

/// The trie; built once, read by many.
#[derive(Debug)]
pub(crate) struct Trie {
    /// What a match can be; the first is none.
    ends: Vec<End>,
    nodes: Vec<Node>,
    tails: Vec<Tail>,
    /// Children of nodes that begin with something else than a digit, in order.
    others: Vec<(u8, Slot)>,
    root: Slot,
    /// For numbers that begin with digits.
    heads: Heads,
    /// For those that begin with digits behind a `+`.
    heads_behind_plus: Heads,
}

/// A prefix's zone, and the next shorter prefix. Prefixes that are alike in that share one, so they stay in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct End {
    zone: u32,
    shorter: u32,
    length: u8,
}

/// Where to go on after some bytes: an end, a tail or a node, told apart by the highest bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot(u32);

enum Place {
    /// No longer prefix begins so; this is the longest.
    End(u32),
    Tail(u32),
    Node(u32),
}

/// Several longer prefixes: one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Node {
    digits: [Slot; 10],
    /// The longest prefix of a number that goes on with the label and then with nothing that has a child.
    here: u32,
    /// The same of a number that does not go on with the label.
    missed: u32,
    others_start: u32,
    others: u8,
    /// Bytes from the root to the label.
    depth: u8,
    label: Label<9>,
}

/// One longer prefix.
#[derive(Debug, Clone, Copy)]
struct Tail {
    hit: u32,
    missed: u32,
    depth: u8,
    label: Label<6>,
}

const _: () = assert!(size_of::<Node>() == 64 && size_of::<Tail>() == 16);

/// A slot for every text of so many digits: as far as these alone lead.
#[derive(Debug, Default)]
struct Heads {
    digits: usize,
    slots: Vec<Slot>,
}

/// A prefix of the number that some destination has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    end: u32,
    pub zone: u32,
    /// Bytes matched.
    pub length: u16,
}

impl Trie {
    /// Builds the trie of prefixes with their zones: sorted, distinct, none empty, none over 255 bytes.
    pub(crate) fn new(text: &[u8], prefixes: &[PrefixRow]) -> Self {
        let mut trie = build::without_heads(text, prefixes);
        let with_plus = prefixes.iter().filter(|row| row.prefix(text).first() == Some(&b'+')).count();
        trie.heads = trie.heads_of("", prefixes.len() - with_plus);
        trie.heads_behind_plus = trie.heads_of("+", with_plus);
        trie
    }

    /// The longest prefix of `number`.
    pub(crate) fn longest(&self, number: &str) -> Option<Match> {
        let head = self.head(number);
        let number = number.as_bytes();
        let end = match self.descend(head, number).place() {
            Place::End(end) => end,
            Place::Tail(at) => {
                let tail = row(&self.tails, at)?;
                if tail.label.is_at(tail.depth, number) { tail.hit } else { tail.missed }
            }
            Place::Node(at) => {
                let node = row(&self.nodes, at)?;
                if node.label.is_at(node.depth, number) { node.here } else { node.missed }
            }
        };
        self.matched(end)
    }

    /// Where the first digits of `number` lead.
    pub(crate) fn head(&self, number: &str) -> Slot {
        let (heads, digits) = match number.as_bytes().split_first() {
            Some((b'+', behind)) => (&self.heads_behind_plus, behind),
            _ => (&self.heads, number.as_bytes()),
        };
        heads.slot(digits).unwrap_or(self.root)
    }

    /// Something of what a slot leads to, read for the processor's cache.
    pub(crate) fn touched(&self, slot: Slot) -> u64 {
        match slot.place() {
            Place::End(at) => row(&self.ends, at).map_or(0, |end| u64::from(end.zone)),
            Place::Tail(at) => row(&self.tails, at).map_or(0, |tail| u64::from(tail.hit)),
            Place::Node(at) => row(&self.nodes, at).map_or(0, |node| u64::from(node.here)),
        }
    }

    /// The next shorter prefix.
    pub(crate) fn shorter(&self, longer: Match) -> Option<Match> {
        self.matched(row(&self.ends, longer.end)?.shorter)
    }

    /// Calls `look` with every prefix and its zone, in order of the prefixes.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&str, u32)) {
        self.visit(self.root, &mut Vec::new(), &mut look);
    }

    fn matched(&self, end: u32) -> Option<Match> {
        let found = row(&self.ends, end).filter(|_| end != NOTHING)?;
        Some(Match { end, zone: found.zone, length: u16::from(found.length) })
    }

    /// Follows `number` from a slot on its way to an end or a tail, or to the node at which it is over.
    fn descend(&self, mut slot: Slot, number: &[u8]) -> Slot {
        while let Place::Node(at) = slot.place()
            && let Some(node) = row(&self.nodes, at)
            && let Some(byte) = number.get(usize::from(node.depth) + usize::from(node.label.length))
        {
            if !node.label.is_at(node.depth, number) {
                return Slot::end(node.missed);
            }
            slot = self.child(node, *byte);
        }
        slot
    }

    fn child(&self, node: &Node, byte: u8) -> Slot {
        if let Some(slot) = node.digits.get(usize::from(byte.wrapping_sub(b'0'))) {
            return *slot;
        }
        let start = usize::try_from(node.others_start).unwrap_or(usize::MAX);
        let others = self.others.get(start..start.saturating_add(usize::from(node.others)));
        let other = others.into_iter().flatten().find(|(first, _)| *first == byte);
        other.map_or(Slot::end(node.here), |(_, slot)| *slot)
    }

    /// The table for texts that begin with `before`: a few slots for each prefix that does.
    fn heads_of(&self, before: &str, prefixes: usize) -> Heads {
        let (mut digits, mut size) = (0, 1usize);
        while size.saturating_mul(10) <= prefixes.saturating_mul(SLOTS_A_PREFIX) {
            (digits, size) = (digits + 1, size * 10);
        }
        let mut text = before.as_bytes().to_vec();
        text.resize(before.len() + digits, b'0');
        let slots = (0..size).map(|at| {
            let mut left = at;
            for place in text.iter_mut().skip(before.len()).rev() {
                *place = b'0' + u8::try_from(left % 10).unwrap_or(0);
                left /= 10;
            }
            self.descend(self.root, &text)
        });
        Heads { digits, slots: slots.collect() }
    }

    /// Calls `look` with the prefixes from a slot on, which `prefix` leads to.
    fn visit(&self, slot: Slot, prefix: &mut Vec<u8>, look: &mut impl FnMut(&str, u32)) {
        // Slots without a prefix of their own have a shorter one.
        let own = |end: u32, prefix: &[u8], look: &mut dyn FnMut(&str, u32)| {
            if let Some(found) = self.matched(end)
                && usize::from(found.length) == prefix.len()
                && let Ok(prefix) = std::str::from_utf8(prefix)
            {
                look(prefix, found.zone);
            }
        };
        let above = prefix.len();
        match slot.place() {
            Place::End(end) => own(end, prefix, look),
            Place::Tail(at) => {
                let Some(tail) = row(&self.tails, at) else { return };
                own(tail.missed, prefix, look);
                prefix.extend_from_slice(tail.label.bytes());
                own(tail.hit, prefix, look);
            }
            Place::Node(at) => {
                let Some(node) = row(&self.nodes, at) else { return };
                own(node.missed, prefix, look);
                if node.label.length > 0 {
                    prefix.extend_from_slice(node.label.bytes());
                    own(node.here, prefix, look);
                }
                for byte in 0..=u8::MAX {
                    prefix.push(byte);
                    self.visit(self.child(node, byte), prefix, look);
                    prefix.pop();
                }
            }
        }
        prefix.truncate(above);
    }
}

impl Default for Trie {
    fn default() -> Self {
        Self {
            ends: vec![End { zone: u32::MAX, shorter: NOTHING, length: 0 }],
            nodes: Vec::new(),
            tails: Vec::new(),
            others: Vec::new(),
            root: Slot::end(NOTHING),
            heads: Heads::default(),
            heads_behind_plus: Heads::default(),
        }
    }
}

impl Heads {
    /// Where the first digits lead; nothing if there are too few.
    fn slot(&self, number: &[u8]) -> Option<Slot> {
        let mut at = 0;
        for byte in number.get(..self.digits)? {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            at = at * 10 + usize::from(digit);
        }
        self.slots.get(at).copied()
    }
}

impl Slot {
    const fn end(at: u32) -> Self {
        Self(at)
    }

    fn tail(at: usize) -> Self {
        Self(TAIL | small(at))
    }

    fn node(at: usize) -> Self {
        Self(NODE | small(at))
    }

    const fn place(self) -> Place {
        if self.0 < TAIL {
            Place::End(self.0)
        } else if self.0 < NODE {
            Place::Tail(self.0 - TAIL)
        } else {
            Place::Node(self.0 - NODE)
        }
    }
}

/// An index that leaves room for the bits that tell slots apart.
fn small(at: usize) -> u32 {
    let at = index(at);
    assert!(at < TAIL, "invariant: fewer than 2^30 prefixes fit the memory");
    at
}

const NOTHING: u32 = 0;
const TAIL: u32 = 1 << 30;
const NODE: u32 = 1 << 31;
/// Of the tables of first digits: 16 bytes a prefix at most.
const SLOTS_A_PREFIX: usize = 4;

#[cfg(test)]
mod tests;
