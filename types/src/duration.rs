//! Lengths of time in configuration files: `500ms`, `30s`, `3m`, `4h`, `2d`, and sums such as `1m30s`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::DurationMs;

/// A configured length of time; at most 366 days.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConfigDuration(DurationMs);

impl ConfigDuration {
    /// From milliseconds.
    pub const fn from_ms(ms: DurationMs) -> Self {
        Self(ms)
    }

    /// From whole seconds.
    pub const fn from_s(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// In milliseconds.
    pub const fn ms(self) -> DurationMs {
        self.0
    }

    /// For timers.
    pub const fn std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

/// A text that is not a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a duration is a number with a unit, such as 500ms, 30s, 3m, 4h, 1m30s, at most 366d")]
pub struct DurationError;

impl FromStr for ConfigDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let mut total: u64 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|character: char| !character.is_ascii_digit()).ok_or(DurationError)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let unit_ms: u64 = match unit {
                "ms" => 1,
                "s" => 1000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(DurationError),
            };
            let number: u64 = number.parse().map_err(|_| DurationError)?;
            let part = number.checked_mul(unit_ms).ok_or(DurationError)?;
            total = total.checked_add(part).filter(|ms| *ms <= LONGEST_MS).ok_or(DurationError)?;
            rest = tail;
        }
        if text.is_empty() { Err(DurationError) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for ConfigDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
        match units.iter().find(|(unit_ms, _)| self.0 > 0 && self.0.is_multiple_of(*unit_ms)) {
            Some((unit_ms, unit)) => write!(f, "{}{unit}", self.0 / unit_ms),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Debug for ConfigDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ConfigDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConfigDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

const LONGEST_MS: u64 = 366 * 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_to_milliseconds() {
        let rows = [
            ("500ms", Ok(500)),
            ("30s", Ok(30_000)),
            ("1m30s", Ok(90_000)),
            ("4h", Ok(14_400_000)),
            ("0s", Ok(0)),
            ("", Err(DurationError)),
            ("30", Err(DurationError)),
            ("s", Err(DurationError)),
            ("-1s", Err(DurationError)),
            ("1.5s", Err(DurationError)),
            ("1y", Err(DurationError)),
            ("367d", Err(DurationError)),
            ("99999999999999999999s", Err(DurationError)),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse().map(ConfigDuration::ms), expected, "{text:?}");
        }
        assert_eq!(ConfigDuration::from_ms(90_000).to_string(), "90s");
        assert_eq!(ConfigDuration::from_ms(120_000).to_string(), "2m");
        assert_eq!(ConfigDuration::from_ms(0).to_string(), "0ms");
    }
}
