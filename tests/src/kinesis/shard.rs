//! One shard: a range of hash keys, and what it has accepted.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::limits::{Bucket, ShardLimits};
use super::stream::Accepted;

/// A shard.
#[derive(Debug)]
pub(super) struct Shard {
    pub id: String,
    pub range: RangeInclusive<u128>,
    /// Split: one; merged: two.
    pub parents: Vec<String>,
    /// Takes no more: it was split or merged.
    pub closed: bool,
    pub first_sequence: String,
    pub last_sequence: Option<String>,
    pub records: Vec<Accepted>,
    bucket: Option<Bucket>,
}

impl Shard {
    pub fn new(id: String, range: RangeInclusive<u128>, parents: Vec<String>, first_sequence: String) -> Self {
        Self {
            id,
            range,
            parents,
            closed: false,
            first_sequence,
            last_sequence: None,
            records: Vec::new(),
            bucket: None,
        }
    }

    /// Open, and the key is within its range.
    pub fn takes(&self, hash_key: u128) -> bool {
        !self.closed && self.range.contains(&hash_key)
    }

    /// Whether its limits have room for a record of so many octets now; takes it.
    pub fn has_room(&mut self, limits: Option<ShardLimits>, bytes: u64, now: Duration) -> bool {
        let Some(limits) = limits else { return true };
        self.bucket.get_or_insert_with(|| Bucket::full(limits, now)).take(bytes, now)
    }
}

/// The name of the `number`th shard of a stream.
pub(super) fn shard_id(number: usize) -> String {
    format!("shardId-{number:012}")
}

/// Where a partition key goes: its MD5 as a number of 128 bits
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecordsRequestEntry.html>).
pub(super) fn hash_key(partition_key: &str) -> u128 {
    use md5::Digest;
    u128::from_be_bytes(md5::Md5::digest(partition_key).into())
}

/// So many ranges of the same size that cover all hash keys.
pub(super) fn even_ranges(shards: u32) -> Vec<RangeInclusive<u128>> {
    let shards = u128::from(shards.max(1));
    let width = u128::MAX / shards;
    let begin = |number: u128| number * width + number.min(u128::MAX % shards);
    (0..shards)
        .map(|number| {
            let end = if number + 1 == shards { u128::MAX } else { begin(number + 1) - 1 };
            begin(number)..=end
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_key_once() {
        for shards in [1, 2, 3, 7, 10, 100] {
            let ranges = even_ranges(shards);
            assert_eq!(ranges.len(), shards as usize);
            assert_eq!((*ranges[0].start(), *ranges[ranges.len() - 1].end()), (0, u128::MAX));
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].end() + 1, *pair[1].start());
            }
        }
    }

    #[test]
    fn keys_go_where_md5_says() {
        // RFC 1321, appendix A.5.
        assert_eq!(hash_key("abc"), 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72);
        assert_eq!(hash_key(""), 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e);
    }
}
