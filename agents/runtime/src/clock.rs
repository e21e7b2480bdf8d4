//! The only place where agents read a clock.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use types::{MonoMs, Now, UtcMs};

/// A steady clock that begins near zero, and the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    /// For tests with tokio's paused time: the wall clock moves with the steady one from here.
    simulated_utc: Option<UtcMs>,
}

impl Clock {
    /// The system's clocks.
    pub fn system() -> Self {
        Self { start: Instant::now(), simulated_utc: None }
    }

    /// Both clocks follow tokio's time; the wall clock begins at `utc`.
    pub fn simulated(utc: UtcMs) -> Self {
        Self { start: Instant::now(), simulated_utc: Some(utc) }
    }

    /// This moment on both clocks.
    pub fn now(&self) -> Now {
        let mono = MonoMs(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX));
        let utc = match self.simulated_utc {
            Some(start) => start.plus(mono.0),
            None => system_utc(),
        };
        Now { mono, utc }
    }

    /// The instant of a steady time, for timers. Rounded up to the millisecond, so that a timer is never early.
    pub fn instant(&self, mono: MonoMs) -> Instant {
        self.start + std::time::Duration::from_millis(mono.0)
    }
}

fn system_utc() -> UtcMs {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        Err(before) => UtcMs(i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms)),
    }
}
