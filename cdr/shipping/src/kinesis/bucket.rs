//! A token bucket in integers: a shard's limit per second, and how much of it may come at once.

use types::MonoMs;

/// Tokens are counted in millionths, so that a rate in thousandths of a limit, times milliseconds, loses nothing.
const MICRO: i64 = 1_000_000;

/// Longer pauses fill no more than the bucket anyway; keeps the product far from overflow.
const LONGEST_REFILL_MS: u64 = 60_000;

#[derive(Debug, Clone)]
pub(super) struct Bucket {
    per_second: u64,
    capacity: i64,
    level: i64,
    at: MonoMs,
}

impl Bucket {
    /// A full bucket that holds `burst_ms` worth of `per_second`, at least one token.
    pub fn new(per_second: u64, burst_ms: u64, now: MonoMs) -> Self {
        let burst = per_second.saturating_mul(burst_ms) / 1000;
        let capacity = i64::try_from(burst.max(1)).unwrap_or(i64::MAX).saturating_mul(MICRO);
        Self { per_second: per_second.max(1), capacity, level: capacity, at: now }
    }

    /// Lets in what the time since the last call brought, at `permille` thousandths of the limit.
    pub fn refill(&mut self, now: MonoMs, permille: u64) {
        let elapsed_ms = now.since(self.at).min(LONGEST_REFILL_MS);
        self.at = self.at.max(now);
        let micro = self.per_second.saturating_mul(permille).saturating_mul(elapsed_ms);
        self.level = self.level.saturating_add(i64::try_from(micro).unwrap_or(i64::MAX)).min(self.capacity);
    }

    /// Milliseconds until `tokens` are there, or the bucket is full: more than it holds is taken on credit.
    pub fn wait_ms(&self, tokens: u64, permille: u64) -> u64 {
        let wanted = i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(MICRO).min(self.capacity);
        let missing = u64::try_from(wanted.saturating_sub(self.level)).unwrap_or(0);
        missing.div_ceil(self.per_second.saturating_mul(permille).max(1))
    }

    /// Whole tokens there are; 0 when in debt.
    pub fn available(&self) -> u64 {
        u64::try_from(self.level / MICRO).unwrap_or(0)
    }

    /// Takes `tokens`, if need be on credit.
    pub fn take(&mut self, tokens: u64) {
        let micro = i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(MICRO);
        self.level = self.level.saturating_sub(micro);
    }

    /// The destination says that there is nothing left.
    pub fn empty(&mut self) {
        self.level = self.level.min(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(1000, 900, MonoMs(0));
        assert_eq!(bucket.available(), 900);
        bucket.take(900);
        for (ms, permille, available, wait_for_100) in [
            (0, 1000, 0, 100),
            (1, 1000, 1, 99),
            (50, 1000, 50, 50),
            (150, 500, 100, 0),
            (151, 333, 100, 0),
            (100, 1000, 100, 0),
            (5000, 1000, 900, 0),
        ] {
            bucket.refill(MonoMs(ms), permille);
            assert_eq!((bucket.available(), bucket.wait_ms(100, 1000)), (available, wait_for_100), "{ms}");
        }
        bucket.take(2000);
        assert_eq!((bucket.available(), bucket.wait_ms(1, 1000), bucket.wait_ms(1, 100)), (0, 1101, 11_010));
        bucket.refill(MonoMs(6101), 1000);
        assert_eq!(bucket.available(), 1);
        assert_eq!(Bucket::new(10, 1000, MonoMs(0)).wait_ms(500, 1000), 0, "more than it holds goes on credit");
        bucket.empty();
        assert_eq!(bucket.available(), 0);
    }
}
