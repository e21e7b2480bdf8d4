//! The charged clock of one call: talk since the answer, less free hold, by our steady clock.

use types::{DurationMs, MonoMs, UtcMs};

use crate::event::Answer;

/// Runs from the answer. Set from a fresh event it starts at the event's arrival, never earlier than the switch's own
/// answer, so that what it measures is at most what was talked, and a cut by it is never early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meter {
    /// The switch's answer time.
    pub(crate) answered: UtcMs,
    /// Our clock at the answer, in ms; negative when this process is younger than the call.
    started_mono: Option<i64>,
    /// Free hold that is over.
    pub(crate) held_ms: DurationMs,
    /// Free hold that goes on.
    held_since: Option<MonoMs>,
    /// Talk at the last moment the switch proved the call alive.
    pub(crate) proven_ms: DurationMs,
}

impl Meter {
    /// Starts the clock.
    pub(crate) fn start(answer: Answer, now: MonoMs) -> Self {
        let mut meter = Self::stopped(answer.at, 0, 0);
        meter.prove(answer, now);
        meter
    }

    /// A clock of which only the past is known, until [`Self::prove`] sets it going.
    pub(crate) fn stopped(answered: UtcMs, held_ms: DurationMs, proven_ms: DurationMs) -> Self {
        Self { answered, started_mono: None, held_ms, held_since: None, proven_ms }
    }

    /// The switch says the call lives. Sets a stopped clock going.
    pub(crate) fn prove(&mut self, answer: Answer, now: MonoMs) {
        if self.started_mono.is_none() {
            let now_ms = i64::try_from(now.0).unwrap_or(i64::MAX);
            self.started_mono = Some(now_ms.saturating_sub_unsigned(answer.elapsed_ms.min(MAX_ELAPSED_MS)));
        }
        self.proven_ms = self.proven_ms.max(self.talked(now).unwrap_or(0));
    }

    /// Chargeable talk until `now`; `None` while the clock does not run.
    pub(crate) fn talked(&self, now: MonoMs) -> Option<DurationMs> {
        let end = self.held_since.unwrap_or(now);
        let since_answer = i64::try_from(end.0).unwrap_or(i64::MAX).saturating_sub(self.started_mono?);
        Some(u64::try_from(since_answer).unwrap_or(0).saturating_sub(self.held_ms))
    }

    /// When the clock will show `talk_ms`; `None` while it does not run or stands still.
    pub(crate) fn when(&self, talk_ms: DurationMs) -> Option<MonoMs> {
        if self.held_since.is_some() {
            return None;
        }
        let due = self.started_mono?.saturating_add_unsigned(talk_ms.saturating_add(self.held_ms));
        Some(MonoMs(u64::try_from(due).unwrap_or(0)))
    }

    /// The clock pauses.
    pub(crate) fn hold(&mut self, now: MonoMs) {
        self.held_since.get_or_insert(now);
    }

    /// The clock goes on.
    pub(crate) fn resume(&mut self, now: MonoMs) {
        if let Some(since) = self.held_since.take() {
            self.held_ms += now.since(since);
        }
    }

    /// True while the clock pauses.
    pub(crate) fn on_hold(&self) -> bool {
        self.held_since.is_some()
    }
}

/// No call is older than this (34 years). A switch that says otherwise must not bring the clock to its limits, where it
/// would stand still and a timer set by it fire for ever.
const MAX_ELAPSED_MS: DurationMs = 1 << 40;
