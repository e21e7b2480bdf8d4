//! How old is what the switch tells? Neither its clock nor ours can be trusted to agree with the other, so the event that
//! took the shortest way lately is the measure for the others. A switch whose event queue is stuck, a process that stood
//! still and a network that stalls all show here, and what they delayed must not be timed by our clock.

use types::{DurationMs, MonoMs, UtcMs};

/// The shortest way lately, of one connection.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    /// Our steady clock minus the event's time: least of this turn, and of the one before.
    least_ms: [Option<i64>; 2],
    turned: MonoMs,
}

impl Lag {
    /// How much longer this event took than the fastest of the last minute or two; 0 for what is within the usual.
    pub(crate) fn of(&mut self, now: MonoMs, told: UtcMs) -> DurationMs {
        let offset_ms = i64::try_from(now.0).unwrap_or(i64::MAX).saturating_sub(told.0);
        if now.since(self.turned) >= TURN_MS {
            // A step of the switch's clock counts for two turns only.
            self.least_ms = [None, self.least_ms[0]];
            self.turned = now;
        }
        let [current, former] = self.least_ms;
        let current = current.map_or(offset_ms, |least| least.min(offset_ms));
        self.least_ms = [Some(current), former];
        let least = former.map_or(current, |former| former.min(current));
        let late_ms = u64::try_from(offset_ms.saturating_sub(least)).unwrap_or(0);
        if late_ms >= LATE_MS { late_ms } else { 0 }
    }

    /// What the switch's clock shows now, as far as its events tell; `None` before the first.
    pub(crate) fn switch_time(&self, now: MonoMs) -> Option<UtcMs> {
        let least = self.least_ms.iter().flatten().min()?;
        Some(UtcMs(i64::try_from(now.0).unwrap_or(i64::MAX).saturating_sub(*least)))
    }
}

const TURN_MS: DurationMs = 60_000;
/// The switch's clock ticks and its loops poll in tens of milliseconds, and a cut must never come early.
const LATE_MS: DurationMs = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_is_what_took_longer_than_the_fastest() {
        let mut lag = Lag::default();
        let rows = [
            // (our clock, the event's time, late)
            (1_000, 500_000, 0),
            (2_000, 501_010, 0),
            (3_000, 501_100, 0),
            (9_000, 502_000, 6_010),
            (10_000, 509_010, 0),
        ];
        for (now, told, late_ms) in rows {
            assert_eq!(lag.of(MonoMs(now), UtcMs(told)), late_ms, "{now}");
        }
    }

    #[test]
    fn the_switchs_clock_is_known_by_its_fastest_event() {
        let mut lag = Lag::default();
        assert_eq!(lag.switch_time(MonoMs(1_000)), None);
        lag.of(MonoMs(1_000), UtcMs(500_000));
        lag.of(MonoMs(9_000), UtcMs(502_000));
        assert_eq!(lag.switch_time(MonoMs(10_000)), Some(UtcMs(509_000)));
    }

    #[test]
    fn a_step_of_the_switchs_clock_is_forgotten() {
        let mut lag = Lag::default();
        assert_eq!(lag.of(MonoMs(60_000), UtcMs(1_060_000)), 0);
        assert_eq!(lag.of(MonoMs(70_000), UtcMs(1_065_000)), 5_000, "five seconds back");
        assert_eq!(lag.of(MonoMs(120_000), UtcMs(1_115_000)), 5_000);
        assert_eq!(lag.of(MonoMs(180_000), UtcMs(1_175_000)), 0);
        assert_eq!(lag.of(MonoMs(190_000), UtcMs(1_195_000)), 0, "ten seconds forward");
    }
}
