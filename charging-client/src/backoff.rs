//! Growing, jittered pauses. The calculation is pure; [`Jitter`] is the edge where randomness enters.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The bounds of the pauses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// The first pause, at most, in milliseconds.
    pub(crate) first_ms: u64,
    /// The longest pause, in milliseconds.
    pub(crate) max_ms: u64,
}

impl Backoff {
    /// The pause after so many failures (from 1): doubled each time up to the longest, then spread over its upper half
    /// by `random`, so that many clients do not come back in step.
    pub(crate) fn pause(self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let full_ms = self.first_ms.saturating_mul(1 << doublings).min(self.max_ms);
        let half_ms = full_ms / 2;
        Duration::from_millis(half_ms + random % (full_ms - half_ms + 1))
    }
}

/// Numbers good enough to spread pauses (xorshift64*), never for anything secret.
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    /// Seeded from the wall clock and the process id, so that agents started together differ.
    pub(crate) fn seeded() -> Self {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::from(since.subsec_nanos()));
        let seed = (nanos << 32) ^ u64::from(std::process::id()) ^ 0x9e37_79b9_7f4a_7c15;
        Self(AtomicU64::new(seed.max(1)))
    }

    /// The next number. Two threads may draw the same one, which does no harm.
    pub(crate) fn next(&self) -> u64 {
        let mut state = self.0.load(Ordering::Relaxed);
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.0.store(state, Ordering::Relaxed);
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff { first_ms: 100, max_ms: 1000 };
        for (failures, least, most) in
            [(1, 50, 100), (2, 100, 200), (3, 200, 400), (4, 400, 800), (5, 500, 1000), (u32::MAX, 500, 1000)]
        {
            assert_eq!(backoff.pause(failures, 0), Duration::from_millis(least), "{failures}");
            assert_eq!(backoff.pause(failures, most - least), Duration::from_millis(most), "{failures}");
        }
    }

    #[test]
    fn jitter_spreads() {
        let jitter = Jitter::seeded();
        let drawn: std::collections::HashSet<u64> = (0..1000).map(|_| jitter.next() % 100).collect();
        assert!(drawn.len() > 90, "{} of 100", drawn.len());
    }

    proptest! {
        #[test]
        fn a_pause_is_never_longer_than_the_longest(first_ms: u64, max_ms in 0..u64::MAX, failures: u32, random: u64) {
            let pause = Backoff { first_ms, max_ms }.pause(failures, random);
            prop_assert!(pause <= Duration::from_millis(max_ms));
        }
    }
}
