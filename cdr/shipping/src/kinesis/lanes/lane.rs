//! One hash key range: its records that may go, its one request, its pace and its pauses.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use types::MonoMs;

use super::pace::Pace;
use super::{KeyRange, Limits};

#[derive(Debug)]
pub(super) struct Lane {
    pub range: KeyRange,
    pub pace: Pace,
    /// Its request is not answered.
    pub in_flight: bool,
    /// Requests in a row that stored nothing.
    pub failures: u32,
    not_before: MonoMs,
    /// The earliest first: what failed goes ahead of what came later.
    ready: BinaryHeap<Reverse<u64>>,
    ready_bytes: u64,
}

/// When a lane may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Now,
    At(MonoMs),
    /// Not before something else happens.
    Never,
}

impl Lane {
    pub fn new(range: KeyRange, limits: &Limits, now: MonoMs) -> Self {
        let pace = Pace::new(limits, range.shard.is_some(), now);
        let ready = BinaryHeap::new();
        Self { range, pace, in_flight: false, failures: 0, not_before: MonoMs(0), ready, ready_bytes: 0 }
    }

    /// The same shard without its records.
    pub fn emptied(self) -> Self {
        Self { ready: BinaryHeap::new(), ready_bytes: 0, ..self }
    }

    pub fn push(&mut self, record: u64, bytes: u64) {
        self.ready.push(Reverse(record));
        self.ready_bytes += bytes;
    }

    pub fn front(&self) -> Option<u64> {
        self.ready.peek().map(|Reverse(record)| *record)
    }

    pub fn pop(&mut self, bytes: u64) {
        if self.ready.pop().is_some() {
            self.ready_bytes = self.ready_bytes.saturating_sub(bytes);
        }
    }

    /// When it may send; `aged`: when its first record has waited long enough for others.
    pub fn readiness(&self, limits: &Limits, aged: MonoMs, now: MonoMs) -> Readiness {
        if self.in_flight {
            return Readiness::Never;
        }
        let full = self.ready.len() >= limits.batch_records || self.ready_bytes >= limits.batch_bytes;
        let aged = if full { now } else { aged };
        let records = u64::try_from(self.ready.len().min(limits.batch_records)).unwrap_or(u64::MAX);
        let paced = now.plus(self.pace.wait_ms(records, self.ready_bytes.min(limits.batch_bytes)));
        let then = aged.max(paced).max(self.not_before);
        if then <= now { Readiness::Now } else { Readiness::At(then) }
    }

    /// Nothing was stored: each pause is twice as long as the one before, and somewhere between half of that and all of it.
    pub fn pause(&mut self, limits: &Limits, now: MonoMs, random: &mut u64) {
        let doubled = limits.backoff_min_ms.saturating_mul(1 << self.failures.min(32));
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.plus(jittered(doubled.min(limits.backoff_max_ms), random));
    }

    /// Trying again mends nothing by itself: the longest pause at once.
    pub fn pause_longest(&mut self, limits: &Limits, now: MonoMs, random: &mut u64) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.plus(jittered(limits.backoff_max_ms, random));
    }
}

/// Half of `ms`, and up to as much again by chance (splitmix64).
fn jittered(ms: u64, random: &mut u64) -> u64 {
    *random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *random;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let half = ms / 2;
    half + (z ^ (z >> 31)) % (ms - half + 1)
}
