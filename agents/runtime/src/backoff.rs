//! How long to wait before the next try: doubling with jitter, for ever.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Waits between tries: each is drawn from half to all of a limit that doubles from `first` to `longest`, so that a
/// hundred agents do not come back in the same moment.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    jitter: RandomState,
}

impl Backoff {
    /// From `first` up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0, jitter: RandomState::new() }
    }

    /// The wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let limit = self.first.saturating_mul(2_u32.saturating_pow(self.failures.min(16))).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let mut hasher = self.jitter.build_hasher();
        hasher.write_u32(self.failures);
        let half = limit / 2;
        let spread_us = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_micros(hasher.finish() % spread_us)
    }

    /// It worked: the next failure waits shortly again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_bounds_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        for limit_ms in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let wait = backoff.next_wait();
            assert!(wait >= Duration::from_millis(limit_ms / 2) && wait <= Duration::from_millis(limit_ms), "{wait:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(100));
    }
}
