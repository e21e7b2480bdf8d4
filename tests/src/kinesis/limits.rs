//! What a shard takes in a second, as the service counts it: records, and octets of data and partition key.

use std::time::Duration;

/// The limits of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardLimits {
    /// Records a second.
    pub records: u64,
    /// Octets a second.
    pub bytes: u64,
}

impl ShardLimits {
    /// A provisioned shard: 1000 records and 1 MiB a second
    /// (<https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>).
    pub const PROVISIONED: Self = Self { records: 1000, bytes: 1024 * 1024 };
}

/// What one shard has left. Holds one second's worth at most.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    limits: ShardLimits,
    /// In millionths, so that a microsecond adds a whole number.
    records: u64,
    bytes: u64,
    filled_at: Duration,
}

const MILLION: u64 = 1_000_000;

impl Bucket {
    /// Full at `now`, which counts from any fixed moment.
    pub fn full(limits: ShardLimits, now: Duration) -> Self {
        Self { limits, records: limits.records * MILLION, bytes: limits.bytes * MILLION, filled_at: now }
    }

    /// Takes one record of so many octets, or nothing.
    pub fn take(&mut self, bytes: u64, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.filled_at);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(MILLION).min(MILLION);
        let fill = |left: u64, rate: u64| (left + rate * micros).min(rate * MILLION);
        self.records = fill(self.records, self.limits.records);
        self.bytes = fill(self.bytes, self.limits.bytes);
        // What is left of the microsecond counts for the next time.
        self.filled_at =
            if elapsed >= Duration::from_secs(1) { now } else { self.filled_at + Duration::from_micros(micros) };
        let (Some(records), Some(octets)) =
            (self.records.checked_sub(MILLION), self.bytes.checked_sub(bytes.saturating_mul(MILLION)))
        else {
            return false;
        };
        (self.records, self.bytes) = (records, octets);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(limits: ShardLimits, bytes: u64, seconds: u64) -> u64 {
        let mut bucket = Bucket::full(limits, Duration::ZERO);
        let tries = (0..seconds * 10_000).map(|step| Duration::from_micros(step * 100));
        tries.filter(|now| bucket.take(bytes, *now)).count().try_into().unwrap_or(0)
    }

    #[test]
    fn a_second_gives_what_the_limit_says() {
        let limits = ShardLimits::PROVISIONED;
        // The first second's worth is there at once.
        for (bytes, expected) in [(100, 6 * 1000), (1024, 6 * 1000), (2048, 6 * 512), (1024 * 1024, 6)] {
            let got = accepted(limits, bytes, 5);
            assert!(got.abs_diff(expected) <= 1, "{got} of {bytes} octets, {expected} expected");
        }
        assert_eq!(accepted(limits, 1024 * 1024 + 1, 5), 0, "larger than the limit never fits");
    }

    #[test]
    fn nothing_is_saved_beyond_a_second() {
        let mut bucket = Bucket::full(ShardLimits { records: 10, bytes: 1000 }, Duration::ZERO);
        let at = |bucket: &mut Bucket, now: Duration| (0..100).filter(|_| bucket.take(1, now)).count();
        assert_eq!(at(&mut bucket, Duration::ZERO), 10);
        assert_eq!(at(&mut bucket, Duration::from_millis(500)), 5);
        assert_eq!(at(&mut bucket, Duration::from_secs(3600)), 10);
    }
}
