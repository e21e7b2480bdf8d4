//! Which shard a partition key belongs to: the MD5 of the key as a number of 128 bits, most significant octet first, lies in the hash key
//! range of one open shard (Kinesis Data Streams developer guide, "partition key"; API reference, `HashKeyRange`).

use std::sync::Arc;

use aws_sdk_kinesis::types::Shard;
use md5::{Digest as _, Md5};

/// A range of hash keys that is written by one request at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// The shard; absent while nobody can say which there are, and then one range holds all keys.
    pub shard: Option<Arc<str>>,
    /// The first hash key.
    pub first: u128,
    /// The last one.
    pub last: u128,
}

impl KeyRange {
    /// All keys, for a stream whose shards may not be listed.
    #[must_use]
    pub const fn all() -> Self {
        Self { shard: None, first: 0, last: u128::MAX }
    }
}

/// The hash key of a partition key.
#[must_use]
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// The ranges of the open shards, in order; `None` when they do not make sense: a bound that is no number, a gap, an overlap. Then the
/// list was taken in the middle of a resharding and will make sense soon.
pub(super) fn open_ranges(shards: &[Shard]) -> Option<Vec<KeyRange>> {
    let mut ranges = Vec::with_capacity(shards.len());
    for shard in shards {
        if shard.sequence_number_range().is_none_or(|range| range.ending_sequence_number().is_none()) {
            let keys = shard.hash_key_range()?;
            let (first, last) = (keys.starting_hash_key().parse().ok()?, keys.ending_hash_key().parse().ok()?);
            ranges.push(KeyRange { shard: Some(shard.shard_id().into()), first, last });
        }
    }
    ranges.sort_by_key(|range| range.first);
    let whole = ranges.first()?.first == 0
        && ranges.last()?.last == u128::MAX
        && ranges.iter().all(|range| range.first <= range.last)
        && ranges.windows(2).all(|pair| matches!(pair, [a, b] if a.last.checked_add(1) == Some(b.first)));
    whole.then_some(ranges)
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::types::{HashKeyRange, SequenceNumberRange};

    use super::*;

    fn shard(id: &str, first: &str, last: &str, closed: bool) -> Shard {
        let keys = HashKeyRange::builder().starting_hash_key(first).ending_hash_key(last).build().unwrap();
        let ending = closed.then(|| "2".to_owned());
        let sequence = SequenceNumberRange::builder().starting_sequence_number("1").set_ending_sequence_number(ending);
        let sequence = sequence.build().unwrap();
        Shard::builder().shard_id(id).hash_key_range(keys).sequence_number_range(sequence).build().unwrap()
    }

    #[test]
    fn md5_decides() {
        // `printf %s KEY | md5sum`
        for (key, hash) in [
            ("", 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e),
            ("a", 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661),
            ("message digest", 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0),
        ] {
            assert_eq!(hash_key(key), hash);
        }
    }

    #[test]
    fn only_open_shards_that_cover_every_key_once_make_lanes() {
        const MAX: &str = "340282366920938463463374607431768211455";
        let whole =
            open_ranges(&[shard("c", "101", MAX, false), shard("a", "0", MAX, true), shard("b", "0", "100", false)]);
        let ids: Vec<_> =
            whole.unwrap().into_iter().map(|range| (range.shard.unwrap().to_string(), range.last)).collect();
        assert_eq!(ids, [("b".to_owned(), 100), ("c".to_owned(), u128::MAX)]);
        for (what, shards) in [
            ("nothing", vec![]),
            ("all closed", vec![shard("a", "0", MAX, true)]),
            ("a gap", vec![shard("a", "0", "99", false), shard("b", "101", MAX, false)]),
            ("an overlap", vec![shard("a", "0", "101", false), shard("b", "101", MAX, false)]),
            ("no beginning", vec![shard("a", "1", MAX, false)]),
            ("no end", vec![shard("a", "0", "9", false)]),
            ("no number", vec![shard("a", "0", "end", false)]),
            ("too large a number", vec![shard("a", "0", "340282366920938463463374607431768211456", false)]),
        ] {
            assert_eq!(open_ranges(&shards), None, "{what}");
        }
    }
}
