//! When requests are meant to be sent: one after the other at the same distance, dealt out to the connections in turn.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The moments of one connection. What is due and not sent yet waits here with the moment it was meant for.
#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    rate: u32,
    connections: u32,
    connection: u32,
    next: u64,
    due: VecDeque<Instant>,
}

impl Pace {
    pub fn new(start: Instant, rate: u32, (connection, connections): (u32, u32)) -> Self {
        Self { start, rate: rate.max(1), connections, connection, next: 0, due: VecDeque::new() }
    }

    /// The next moment that has not come yet.
    pub fn next(&self) -> Instant {
        self.moment(self.next)
    }

    /// Takes note of what is due by now; at most `wanted` moments wait.
    pub fn advance(&mut self, now: Instant, wanted: usize) {
        while self.next() <= now {
            if self.due.len() < wanted {
                let moment = self.next();
                self.due.push_back(moment);
            }
            self.next = self.next.saturating_add(1);
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.due.len()
    }

    /// The moment that waits longest.
    pub fn take(&mut self) -> Option<Instant> {
        self.due.pop_front()
    }

    /// Nothing waits any more; how many did.
    pub fn clear(&mut self) -> usize {
        let waited = self.due.len();
        self.due.clear();
        waited
    }

    fn moment(&self, index: u64) -> Instant {
        let turn = u128::from(index) * u128::from(self.connections) + u128::from(self.connection);
        let nanos = turn.saturating_mul(1_000_000_000) / u128::from(self.rate);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX >> 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Over all connections: every moment once, none drifts, whatever was taken when.
    #[test]
    fn moments_are_dealt_out_without_drift() {
        let start = Instant::now();
        let mut all = Vec::new();
        for connection in 0..3 {
            let mut pace = Pace::new(start, 7, (connection, 3));
            for step in 0..400_u64 {
                pace.advance(start + Duration::from_millis(step * 13), usize::MAX);
            }
            while let Some(moment) = pace.take() {
                all.push((moment - start).as_nanos());
            }
        }
        all.sort_unstable();
        let expected: Vec<u128> = (0..all.len() as u128).map(|index| index * 1_000_000_000 / 7).collect();
        assert_eq!(all, expected);
        assert_eq!(all.len(), 399 * 13 * 7 / 1_000 + 1);
    }

    #[test]
    fn what_was_not_sent_keeps_its_moment() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 10, (0, 1));
        pace.advance(start + Duration::from_secs(1), 4);
        assert_eq!((pace.waiting(), pace.next()), (4, start + Duration::from_millis(1_100)));
        assert_eq!(pace.take(), Some(start));
        assert_eq!(pace.take(), Some(start + Duration::from_millis(100)));
        assert_eq!((pace.clear(), pace.take()), (2, None));
    }
}
