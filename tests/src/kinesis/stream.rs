//! A stream: its shards, split and merged as the service does it, and what each of them has accepted in order.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::limits::ShardLimits;
use super::shard::{Shard, even_ranges, hash_key, shard_id};

/// A record that a shard has accepted.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Its sequence number.
    pub sequence_number: Box<str>,
    /// Its partition key.
    pub partition_key: Box<str>,
    /// Its data in base64, as it came.
    pub data: Box<str>,
    /// When it came, in milliseconds since 1970.
    pub arrived_ms: u64,
}

impl Accepted {
    /// Its data; nothing when that is not base64.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        STANDARD.decode(self.data.as_bytes()).unwrap_or_default()
    }

    /// The `recordId` of the call record in it.
    #[must_use]
    pub fn record_id(&self) -> Option<String> {
        let record: serde_json::Value = serde_json::from_slice(&self.octets()).ok()?;
        record["recordId"].as_str().map(str::to_owned)
    }
}

/// A stream in memory.
#[derive(Debug)]
pub struct Stream {
    pub(super) name: String,
    pub(super) shards: Vec<Shard>,
    pub(super) limits: Option<ShardLimits>,
    keep: bool,
    next_sequence: u64,
    /// Records accepted, kept or not.
    pub(super) accepted: u64,
}

/// Why a resharding is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NoSuchShard,
    /// It is closed, or not beside the other, or the key is not within it.
    InvalidArgument,
}

impl Stream {
    /// A stream of so many even shards. Without `keep` the records are counted and forgotten.
    #[must_use]
    pub fn new(name: &str, shards: u32, limits: Option<ShardLimits>, keep: bool) -> Self {
        let mut stream =
            Self { name: name.to_owned(), shards: Vec::new(), limits, keep, next_sequence: 1, accepted: 0 };
        for range in even_ranges(shards) {
            stream.open_shard(range, Vec::new());
        }
        stream
    }

    /// What another server has, as far as it is known: its shards are learnt later.
    pub(super) fn behind(name: &str) -> Self {
        Self { name: name.to_owned(), shards: Vec::new(), limits: None, keep: true, next_sequence: 1, accepted: 0 }
    }

    /// Everything accepted, shard after shard, parents before children.
    pub fn records(&self) -> impl Iterator<Item = (&str, &Accepted)> {
        self.shards.iter().flat_map(|shard| shard.records.iter().map(|record| (shard.id.as_str(), record)))
    }

    /// The open shard of a hash key; a stream always has one.
    pub(super) fn shard_of(&self, hash_key: u128) -> usize {
        self.shards.iter().position(|shard| shard.takes(hash_key)).unwrap_or(0)
    }

    /// The same for a partition key, or the hash key that the client chose.
    pub(super) fn route(&self, partition_key: &str, explicit: Option<&str>) -> usize {
        self.shard_of(explicit.and_then(|key| key.parse().ok()).unwrap_or_else(|| hash_key(partition_key)))
    }

    /// Whether the limits of the shard have room for a record now; takes it.
    pub(super) fn has_room(&mut self, shard: usize, bytes: u64, now: Duration) -> bool {
        let limits = self.limits;
        self.shards.get_mut(shard).is_some_and(|shard| shard.has_room(limits, bytes, now))
    }

    /// Accepts a record; returns its sequence number.
    pub(super) fn accept(&mut self, shard: usize, partition_key: &str, data: &str, arrived_ms: u64) -> String {
        let sequence_number = self.sequence_number();
        self.note(shard, &sequence_number, partition_key, data, arrived_ms);
        sequence_number
    }

    /// Another server has accepted a record under this sequence number.
    pub(super) fn note(&mut self, shard: usize, sequence: &str, partition_key: &str, data: &str, arrived_ms: u64) {
        self.accepted += 1;
        if let (true, Some(shard)) = (self.keep, self.shards.get_mut(shard)) {
            shard.records.push(Accepted {
                sequence_number: sequence.into(),
                partition_key: partition_key.into(),
                data: data.into(),
                arrived_ms,
            });
        }
    }

    /// Closes a shard and opens two: below `new_hash_key`, and from it on.
    pub(super) fn split(&mut self, id: &str, new_hash_key: u128) -> Result<(), Refusal> {
        let shard = self.shards.iter().find(|shard| shard.id == id).ok_or(Refusal::NoSuchShard)?;
        let (begin, end) = (*shard.range.start(), *shard.range.end());
        if shard.closed || new_hash_key <= begin || new_hash_key > end {
            return Err(Refusal::InvalidArgument);
        }
        self.close_shard(id);
        self.open_shard(begin..=new_hash_key - 1, vec![id.to_owned()]);
        self.open_shard(new_hash_key..=end, vec![id.to_owned()]);
        Ok(())
    }

    /// Closes two shards beside each other and opens one.
    pub(super) fn merge(&mut self, id: &str, adjacent: &str) -> Result<(), Refusal> {
        let find = |id: &str| self.shards.iter().find(|shard| shard.id == id).ok_or(Refusal::NoSuchShard);
        let (one, other) = (find(id)?, find(adjacent)?);
        let (low, high) = if one.range.start() < other.range.start() { (one, other) } else { (other, one) };
        if one.closed || other.closed || low.range.end().checked_add(1) != Some(*high.range.start()) {
            return Err(Refusal::InvalidArgument);
        }
        let range = *low.range.start()..=*high.range.end();
        self.close_shard(id);
        self.close_shard(adjacent);
        self.open_shard(range, vec![id.to_owned(), adjacent.to_owned()]);
        Ok(())
    }

    fn close_shard(&mut self, id: &str) {
        let last = self.sequence_number();
        if let Some(shard) = self.shards.iter_mut().find(|shard| shard.id == id) {
            shard.closed = true;
            shard.last_sequence = Some(last);
        }
    }

    fn open_shard(&mut self, range: std::ops::RangeInclusive<u128>, parents: Vec<String>) {
        let (id, first) = (shard_id(self.shards.len()), self.sequence_number());
        self.shards.push(Shard::new(id, range, parents, first));
    }

    /// 56 digits, growing, as those of the service.
    fn sequence_number(&mut self) -> String {
        let number = self.next_sequence;
        self.next_sequence += 1;
        format!("49680450304741746758841717429769{number:024}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(stream: &Stream) -> Vec<&str> {
        stream.shards.iter().filter(|shard| !shard.closed).map(|shard| shard.id.as_str()).collect()
    }

    #[test]
    fn a_split_and_a_merge() {
        let mut stream = Stream::new("s", 2, None, true);
        let (zero, one) = (shard_id(0), shard_id(1));
        let middle = stream.shards[0].range.end() / 2;
        assert_eq!(stream.split(&zero, 0), Err(Refusal::InvalidArgument));
        assert_eq!(stream.split("shardId-x", 1), Err(Refusal::NoSuchShard));
        assert_eq!(stream.split(&zero, middle), Ok(()));
        assert_eq!(stream.split(&zero, middle), Err(Refusal::InvalidArgument), "closed");
        assert_eq!(open(&stream), ["shardId-000000000001", "shardId-000000000002", "shardId-000000000003"]);
        assert_eq!((stream.shard_of(middle - 1), stream.shard_of(middle)), (2, 3));
        assert_eq!(stream.merge(&shard_id(2), &one), Err(Refusal::InvalidArgument), "not beside each other");
        assert_eq!(stream.merge(&one, &shard_id(3)), Ok(()));
        assert_eq!(open(&stream), ["shardId-000000000002", "shardId-000000000004"]);
        assert_eq!(stream.shards[4].parents, [one, shard_id(3)]);
        for key in [0, middle - 1, middle, u128::MAX] {
            assert!(stream.shards[stream.shard_of(key)].takes(key));
        }
    }

    #[test]
    fn accepted_records_are_kept_in_order_with_growing_numbers() {
        let mut stream = Stream::new("s", 1, None, true);
        let first = stream.accept(0, "k", "eyJyZWNvcmRJZCI6ImEifQ==", 1);
        let second = stream.accept(0, "k", "eyJyZWNvcmRJZCI6ImIifQ==", 2);
        assert!(first < second && first.len() == 56 && second.len() == 56);
        let ids: Vec<_> = stream.records().filter_map(|(_, record)| record.record_id()).collect();
        assert_eq!(ids, ["a", "b"]);
        let mut counting = Stream::new("s", 1, None, false);
        counting.accept(0, "k", "", 1);
        assert_eq!((counting.accepted, counting.records().count()), (1, 0));
    }
}
