//! Time as integer milliseconds: wall time ([`UtcMs`]), a steady clock ([`MonoMs`]), and both as one argument
//! ([`Now`]). Nothing here reads a clock; whoever does I/O passes the time in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A length of time in milliseconds.
pub type DurationMs = u64;

/// Wall time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UtcMs(pub i64);

/// Steady time: milliseconds since some fixed moment of this process; never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MonoMs(pub u64);

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The steady clock: timers and measured durations.
    pub mono: MonoMs,
    /// The wall clock: stamps on records and requests.
    pub utc: UtcMs,
}

impl MonoMs {
    /// This moment plus `delta_ms`.
    pub const fn plus(self, delta_ms: DurationMs) -> Self {
        Self(self.0.saturating_add(delta_ms))
    }

    /// Milliseconds from `earlier` to this moment, 0 if `earlier` is later.
    pub const fn since(self, earlier: Self) -> DurationMs {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment moved by a signed distance, not below 0.
    pub const fn shifted(self, delta_ms: i64) -> Self {
        Self(self.0.saturating_add_signed(delta_ms))
    }
}

impl UtcMs {
    /// This moment plus `delta_ms`.
    pub const fn plus(self, delta_ms: DurationMs) -> Self {
        Self(self.0.saturating_add_unsigned(delta_ms))
    }

    /// Milliseconds from `earlier` to this moment, 0 if `earlier` is later.
    pub const fn since(self, earlier: Self) -> DurationMs {
        if self.0 > earlier.0 { self.0.abs_diff(earlier.0) } else { 0 }
    }
}

/// ISO 8601 with milliseconds, UTC: `2026-11-22T20:00:15.000Z`. A time outside of the years 0 to 9999, which only a
/// broken clock tells, is shown as the nearest one within: more digits could not be read again.
impl fmt::Display for UtcMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.iso_text()).unwrap_or_default())
    }
}

impl UtcMs {
    /// The text without a formatter: records have three of them, and are encoded often.
    fn iso_text(self) -> [u8; 24] {
        let ms = self.0.clamp(FIRST_SHOWN_MS, LAST_SHOWN_MS);
        let (day, ms_of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
        let (year, month, day_of_month) = civil_from_days(day);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let numbers = [
            (0..4, year),
            (5..7, month),
            (8..10, day_of_month),
            (11..13, ms_of_day / 3_600_000),
            (14..16, ms_of_day / 60_000 % 60),
            (17..19, ms_of_day / 1000 % 60),
            (20..23, ms_of_day % 1000),
        ];
        for (place, mut number) in numbers {
            for digit in text[place].iter_mut().rev() {
                *digit += u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        }
        text
    }
}

impl fmt::Debug for UtcMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not `YYYY-MM-DDTHH:MM:SS[.fff]Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written YYYY-MM-DDTHH:MM:SS[.mmm]Z, in UTC")]
pub struct TimeError;

/// Takes 0 to 9 decimals of the second; what is finer than a millisecond is cut off.
impl FromStr for UtcMs {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let body = text.strip_suffix('Z').ok_or(TimeError)?;
        let (date, clock) = body.split_once('T').ok_or(TimeError)?;
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let [year, month, day] = fields(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = fields(clock, ':', [2, 2, 2])?;
        if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TimeError);
        }
        let ms: i64 = format!("{fraction:0<3}").get(..3).and_then(|ms| ms.parse().ok()).ok_or(TimeError)?;
        let days = days_from_civil(year, month, day);
        if civil_from_days(days) != (year, month, day) || hour > 23 || minute > 59 || second > 59 {
            return Err(TimeError);
        }
        Ok(Self(days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + ms))
    }
}

fn fields(text: &str, separator: char, widths: [usize; 3]) -> Result<[i64; 3], TimeError> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().ok_or(TimeError)?;
        if part.len() != width || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TimeError);
        }
        *number = part.parse().map_err(|_| TimeError)?;
    }
    if parts.next().is_some() { Err(TimeError) } else { Ok(numbers) }
}

/// Serde for fields that are ISO 8601 text on the wire: `#[serde(with = "types::time::iso8601")]`.
pub mod iso8601 {
    use super::UtcMs;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the ISO 8601 text.
    pub fn serialize<S: Serializer>(time: &UtcMs, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&time.iso_text()).unwrap_or_default())
    }

    /// Reads the ISO 8601 text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UtcMs, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }

    /// The same for `Option<UtcMs>`; use with `default` and `skip_serializing_if`.
    pub mod option {
        use super::UtcMs;
        use serde::{Deserialize, Deserializer, Serializer};

        /// Writes the ISO 8601 text, or null.
        pub fn serialize<S: Serializer>(time: &Option<UtcMs>, serializer: S) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => super::serialize(time, serializer),
                None => serializer.serialize_none(),
            }
        }

        /// Reads the ISO 8601 text, or null.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UtcMs>, D::Error> {
            let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
        }
    }
}

const DAY_MS: i64 = 86_400_000;
/// 0000-01-01T00:00:00.000Z.
const FIRST_SHOWN_MS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z.
const LAST_SHOWN_MS: i64 = 253_402_300_799_999;

/// Days since 1970-01-01 to the proleptic Gregorian date. The year is counted from March, so that the leap day
/// is the last day of it and month lengths follow one formula.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day_of_year - (153 * march_month + 2) / 5 + 1)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_clock_tells_is_still_readable() {
        for (ms, text) in [
            (FIRST_SHOWN_MS, "0000-01-01T00:00:00.000Z"),
            (i64::MIN, "0000-01-01T00:00:00.000Z"),
            (LAST_SHOWN_MS, "9999-12-31T23:59:59.999Z"),
            (LAST_SHOWN_MS + 1, "9999-12-31T23:59:59.999Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(UtcMs(ms).to_string(), text);
            assert_eq!(text.parse(), Ok(UtcMs(ms.clamp(FIRST_SHOWN_MS, LAST_SHOWN_MS))));
        }
    }

    #[test]
    fn iso_8601_both_ways() {
        let rows = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_309_601_612, "2026-11-22T01:06:41.612Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        ];
        for (ms, text) in rows {
            assert_eq!(UtcMs(ms).to_string(), text);
            assert_eq!(text.parse(), Ok(UtcMs(ms)));
        }
        assert_eq!(
            "2026-11-22T20:00:15Z".parse::<UtcMs>().map(|t| t.to_string()),
            Ok("2026-11-22T20:00:15.000Z".into())
        );
    }

    #[test]
    fn every_day_of_four_centuries_round_trips() {
        for day in -146_097..146_097 {
            let (year, month, day_of_month) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, day_of_month), day);
        }
    }

    #[test]
    fn bad_times_are_refused() {
        for text in [
            "",
            "2026-11-22",
            "2026-02-29T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T00:00:00+01:00",
            "2026-1-22T00:00:00Z",
            "2026-11-22T00:00:00.Z",
        ] {
            assert_eq!(text.parse::<UtcMs>(), Err(TimeError), "{text}");
        }
    }
}
