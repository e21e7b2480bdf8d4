//! How fast a lane may send: the shard's limits, lowered when the stream says "too fast" and raised again in steps.
//!
//! Additive increase, multiplicative decrease: an answer with throttled entries takes half as much off the rate as its share of them;
//! without them a fifth of the limit comes back each second. Others may write to the same shard, so the limit is a hope, not a right.

use types::MonoMs;

use super::Limits;
use crate::kinesis::bucket::Bucket;

/// The rate of a lane in thousandths of one shard's limit: at least this.
const LOWEST_PERMILLE: u64 = 10;
/// The limit of a lane that is one shard.
const SHARD_PERMILLE: u64 = 1000;
/// A lane for all shards, how many nobody knows, begins like an on-demand stream of 4 shards and finds out.
const UNKNOWN_BEGIN_PERMILLE: u64 = 4 * SHARD_PERMILLE;
const UNKNOWN_PERMILLE: u64 = 500 * SHARD_PERMILLE;
/// A shard lets a whole second's worth come at once; a tenth less, and a request that was late on the way does not make the next one
/// come too early.
const BURST_MS: u64 = 900;
/// A lane that has used up its rate gathers so much for the next request, or it would send one record at a time.
const QUANTUM_MS: u64 = 100;

#[derive(Debug, Clone)]
pub(super) struct Pace {
    records: Bucket,
    bytes: Bucket,
    quantum_records: u64,
    quantum_bytes: u64,
    permille: u64,
    ceiling: u64,
    /// Thousandths of a permille that are owed to the rate.
    rest: u64,
    at: MonoMs,
}

impl Pace {
    pub fn new(limits: &Limits, shard_known: bool, now: MonoMs) -> Self {
        let (permille, ceiling, burst) = if shard_known {
            (SHARD_PERMILLE, SHARD_PERMILLE, BURST_MS)
        } else {
            (UNKNOWN_BEGIN_PERMILLE, UNKNOWN_PERMILLE, BURST_MS * UNKNOWN_BEGIN_PERMILLE / SHARD_PERMILLE)
        };
        let (records, bytes) = (limits.shard_records_per_s, limits.shard_bytes_per_s);
        Self {
            records: Bucket::new(records, burst, now),
            bytes: Bucket::new(bytes, burst, now),
            quantum_records: (records * QUANTUM_MS / 1000).max(1),
            quantum_bytes: (bytes * QUANTUM_MS / 1000).max(1),
            permille,
            ceiling,
            rest: 0,
            at: now,
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: MonoMs) {
        self.records.refill(now, self.permille);
        self.bytes.refill(now, self.permille);
        let raise = now.since(self.at).min(60_000) * (self.permille / 5).max(SHARD_PERMILLE / 5) + self.rest;
        self.rest = raise % 1000;
        self.permille = (self.permille + raise / 1000).min(self.ceiling);
        self.at = self.at.max(now);
    }

    /// Milliseconds until a request of `records` and `bytes`, or a good part of one, may be sent.
    pub fn wait_ms(&self, records: u64, bytes: u64) -> u64 {
        let for_records = self.records.wait_ms(records.min(self.quantum_records), self.permille);
        for_records.max(self.bytes.wait_ms(bytes.min(self.quantum_bytes), self.permille))
    }

    /// Records and octets that may go now; one record always may.
    pub fn available(&self) -> (u64, u64) {
        (self.records.available().max(1), self.bytes.available())
    }

    pub fn take(&mut self, records: u64, bytes: u64) {
        self.records.take(records);
        self.bytes.take(bytes);
    }

    /// So many of `entries` came too fast.
    pub fn throttled(&mut self, throttled: u64, entries: u64) {
        let cut = self.permille * throttled / entries.max(1) / 2;
        self.permille = self.permille.saturating_sub(cut.max(1)).max(LOWEST_PERMILLE);
        self.records.empty();
        self.bytes.empty();
    }

    #[cfg(test)]
    pub fn permille(&self) -> u64 {
        self.permille
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { shard_records_per_s: 1000, shard_bytes_per_s: 1 << 20, ..Limits::default() }
    }

    #[test]
    fn throttling_slows_down_and_time_brings_the_rate_back() {
        let mut pace = Pace::new(&limits(), true, MonoMs(0));
        assert_eq!(pace.permille(), 1000);
        pace.throttled(500, 500);
        assert_eq!((pace.permille(), pace.available()), (500, (1, 0)));
        pace.throttled(50, 500);
        assert_eq!(pace.permille(), 475);
        assert_eq!(pace.wait_ms(500, 1000), 211, "a tenth of a second's worth at this rate");
        for ms in 1..=1000 {
            pace.advance(MonoMs(ms));
        }
        assert_eq!(pace.permille(), 675, "in steps of a millisecond or in one");
        pace.advance(MonoMs(9000));
        assert_eq!(pace.permille(), 1000, "never above the limit");
        for _ in 0..100 {
            pace.throttled(9, 9);
        }
        assert_eq!(pace.permille(), LOWEST_PERMILLE, "and never nothing");
    }

    #[test]
    fn a_lane_for_an_unknown_number_of_shards_finds_its_rate() {
        let mut pace = Pace::new(&limits(), false, MonoMs(0));
        assert_eq!(pace.available().0, 3600);
        for second in 1..=30 {
            pace.advance(MonoMs(second * 1000));
        }
        assert_eq!(pace.permille(), UNKNOWN_PERMILLE);
    }
}
