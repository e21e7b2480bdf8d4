//! Times as Kamailio prints them with `$TV(Sn)`: `seconds.microseconds` since the epoch, UTC.

use super::limits::TIME_SECONDS_DIGITS_MAX;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochMicros(i64);

impl EpochMicros {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch; the rest is dropped (towards the past).
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Reads `seconds` or `seconds.fraction`: at most [`TIME_SECONDS_DIGITS_MAX`] digits in front of the point, any
    /// number behind it. Digits beyond the sixth are dropped. `None` for anything else, signs and spaces included.
    pub fn parse(text: &str) -> Option<Self> {
        let (seconds, fraction) = match text.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (text, "0"),
        };
        if seconds.is_empty() || seconds.len() > TIME_SECONDS_DIGITS_MAX {
            return None;
        }
        let seconds = digits(seconds)?;
        // All of the fraction must be digits, though only six of them count.
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let micros = digits(fraction.get(..6).unwrap_or(fraction))?;
        let missing = 6_usize.saturating_sub(fraction.len());
        let micros = (0..missing).try_fold(micros, |value, _| value.checked_mul(10))?;
        seconds.checked_mul(1_000_000)?.checked_add(micros).map(Self)
    }

    /// `seconds.microseconds` with six digits behind the point; `None` before the epoch.
    pub fn to_wire(self) -> Option<String> {
        (self.0 >= 0).then(|| format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000))
    }
}

fn digits(text: &str) -> Option<i64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::EpochMicros;

    #[test]
    fn times_are_exact() {
        for (text, micros) in [
            ("1795309601.612559", Some(1_795_309_601_612_559)),
            ("1795309601.000001", Some(1_795_309_601_000_001)),
            ("1795309601.5", Some(1_795_309_601_500_000)),
            ("1795309601.000000999", Some(1_795_309_601_000_000)),
            ("1795309602", Some(1_795_309_602_000_000)),
            ("0.000001", Some(1)),
            ("999999999999.999999", Some(999_999_999_999_999_999)),
            ("9999999999999", None),
            ("1795309601.", None),
            (".5", None),
            ("", None),
            ("-1.5", None),
            ("+1.5", None),
            (" 1.5", None),
            ("1.5 ", None),
            ("1.-5", None),
            ("1.0000000x", None),
            ("1.5.5", None),
            ("1e9", None),
            ("1.é", None),
            ("1.00000é", None),
        ] {
            assert_eq!(EpochMicros::parse(text).map(EpochMicros::as_micros), micros, "{text:?}");
        }
        assert_eq!(EpochMicros::from_micros(-1).to_wire(), None);
        assert_eq!(EpochMicros::from_micros(1_000_049).to_wire().as_deref(), Some("1.000049"));
        assert_eq!(EpochMicros::from_micros(-1).as_millis(), -1);
    }
}
