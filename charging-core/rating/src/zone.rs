//! The clock on the wall of a tenant, as tariffs read it: UTC offsets of a named time zone, from a bundled copy of the
//! IANA database, so that a price never depends on the machine it was worked out on.
//!
//! Tariff hours follow a wall clock that never runs back. Where clocks go back, an hour is shown twice: its borders are
//! crossed when they are shown for the first time, and the whole repeat counts as the end of that hour. Where clocks go
//! forward, an hour is not shown: all its borders are crossed at the first instant after it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::UtcMs;

use crate::calendar::DAY_MS;

/// A time zone of the IANA database, such as `Europe/Berlin`; UTC unless told otherwise. Cheap to clone.
#[derive(Clone)]
pub struct TimeZone(Arc<Zone>);

#[derive(Debug)]
struct Zone {
    name: Box<str>,
    /// Offset from UTC before the first change.
    first_offset_ms: i64,
    /// In order of time, from [`FIRST_MS`] to [`LAST_MS`] and those that follow next.
    changes: Box<[Change]>,
}

/// From `at_ms` on the wall clock shows UTC plus `offset_ms`.
#[derive(Debug, Clone, Copy)]
struct Change {
    at_ms: i64,
    offset_ms: i64,
}

impl TimeZone {
    /// Its name in the IANA database.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What a wall clock shows, with its offset: `2026-03-29T03:00:00.000+02:00`.
    pub fn local(&self, at: UtcMs) -> String {
        let (offset_ms, _) = self.0.offset(at.0);
        let shown = UtcMs(at.0.saturating_add(offset_ms)).to_string();
        let minutes = offset_ms.abs() / 60_000;
        let sign = if offset_ms < 0 { '-' } else { '+' };
        format!("{}{sign}{:02}:{:02}", shown.trim_end_matches('Z'), minutes / 60, minutes % 60)
    }

    /// The latest time the wall clock has shown up to `at`, in milliseconds since 1970-01-01T00:00:00 local: behind the
    /// wall clock's own time only while an hour is shown again.
    pub(crate) fn latest_shown(&self, at: UtcMs) -> i64 {
        let (offset_ms, before) = self.0.offset(at.0);
        let shown = at.0.saturating_add(offset_ms);
        before.map_or(shown, |end_of_before| shown.max(end_of_before - 1))
    }

    /// The number of the calendar day of the latest time shown up to `at`; never falls with a growing `at`, and grows at
    /// the zone's midnight. Day 0 is 1970-01-01 local.
    pub fn day(&self, at: UtcMs) -> i64 {
        self.latest_shown(at).div_euclid(DAY_MS)
    }

    /// The first instant after `after` at which the wall clock has shown `local_ms` or later.
    pub(crate) fn first_shown(&self, after: UtcMs, local_ms: i64) -> UtcMs {
        let mut from = after;
        while self.latest_shown(from) < local_ms {
            let (offset_ms, _) = self.0.offset(from.0);
            let candidate = local_ms.saturating_sub(offset_ms);
            match self.0.next_change(from.0) {
                Some(change) if change <= candidate => from = UtcMs(change),
                _ => return UtcMs(candidate),
            }
        }
        from
    }
}

impl Zone {
    /// The offset at an instant; and the local time at which the offset before it ended.
    fn offset(&self, at_ms: i64) -> (i64, Option<i64>) {
        let Some(last) = self.changes.len().checked_sub(1) else { return (self.first_offset_ms, None) };
        let (at_ms, moved_ms) = within_table(at_ms);
        let next = self.changes.partition_point(|change| change.at_ms <= at_ms);
        let Some(current) = next.checked_sub(1).and_then(|at| self.changes.get(at.min(last))) else {
            return (self.first_offset_ms, None);
        };
        let before = next.checked_sub(2).and_then(|at| self.changes.get(at));
        let before = before.map_or(self.first_offset_ms, |change| change.offset_ms);
        (current.offset_ms, Some(current.at_ms + before + moved_ms))
    }

    fn next_change(&self, after_ms: i64) -> Option<i64> {
        let (within, moved_ms) = within_table(after_ms);
        let next = self.changes.partition_point(|change| change.at_ms <= within);
        self.changes.get(next).map(|change| change.at_ms.saturating_add(moved_ms))
    }
}

/// The calendar repeats every 400 years, weekdays included, so times behind the table are looked up within it: the
/// moved time, and by how much it was moved.
fn within_table(at_ms: i64) -> (i64, i64) {
    let Some(behind) = at_ms.checked_sub(LAST_MS).filter(|behind| *behind >= 0) else { return (at_ms, 0) };
    let moved_ms = (behind / CYCLE_MS + 1) * CYCLE_MS;
    (at_ms - moved_ms, moved_ms)
}

impl Default for TimeZone {
    fn default() -> Self {
        Self(Arc::new(Zone { name: "UTC".into(), first_offset_ms: 0, changes: [].into() }))
    }
}

impl PartialEq for TimeZone {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for TimeZone {}

impl fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that the database of time zones does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no time zone; expected a name of the IANA database such as Europe/Berlin or UTC")]
pub struct UnknownTimeZone {
    /// What was asked for.
    pub name: Box<str>,
}

/// Takes the names of the IANA database, whatever their case.
impl FromStr for TimeZone {
    type Err = UnknownTimeZone;

    fn from_str(text: &str) -> Result<Self, UnknownTimeZone> {
        let unknown = || UnknownTimeZone { name: text.into() };
        let found = TimeZoneDatabase::bundled().get(text).map_err(|_| unknown())?;
        let offset_ms = |offset: jiff::tz::Offset| i64::from(offset.seconds()) * 1000;
        let begin = Timestamp::from_millisecond(FIRST_MS).map_err(|_| unknown())?;
        let first_offset_ms = offset_ms(found.to_offset(begin));
        let mut changes: Vec<Change> = Vec::new();
        for transition in found.following(begin) {
            let at_ms = transition.timestamp().as_millisecond();
            if at_ms >= LAST_MS + TWO_YEARS_MS {
                break;
            }
            let (offset_ms, before) =
                (offset_ms(transition.offset()), changes.last().map_or(first_offset_ms, |change| change.offset_ms));
            if offset_ms != before {
                changes.push(Change { at_ms, offset_ms });
            }
        }
        let name = found.iana_name().unwrap_or(text).into();
        Ok(Self(Arc::new(Zone { name, first_offset_ms, changes: changes.into() })))
    }
}

impl Serialize for TimeZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// 1900-01-01T00:00:00Z: nobody is charged for a call before it.
const FIRST_MS: i64 = -2_208_988_800_000;
/// 2500-01-01T00:00:00Z: by then every zone follows its last rule, and the table holds a whole cycle of it.
const LAST_MS: i64 = 16_725_225_600_000;
/// So that every time before [`LAST_MS`] has a next change, in zones that change at all.
const TWO_YEARS_MS: i64 = 731 * 86_400_000;
/// 400 years.
const CYCLE_MS: i64 = 146_097 * 86_400_000;

#[cfg(test)]
#[path = "zone_tests.rs"]
mod tests;
