//! Decimal numbers in records: JSON shows a number with exactly the places it has, memory holds a scaled integer.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A number with `PLACES` decimals (at most 18), kept as an integer count of 10^-PLACES.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Decimal<const PLACES: u32> {
    /// The value times 10^PLACES.
    pub scaled: u64,
}

/// A length of time that JSON shows in seconds: 45080 ms is `45.080`.
pub type Seconds = Decimal<3>;

impl Seconds {
    /// From milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self { scaled: ms }
    }

    /// In milliseconds.
    pub const fn ms(self) -> u64 {
        self.scaled
    }
}

/// An angle in millionths of a degree (11 cm on the ground); a JSON number such as `-52.520008`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Degrees {
    /// The angle times 10^6.
    pub micro: i32,
}

impl<const PLACES: u32> Serialize for Decimal<PLACES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(false, self.scaled, PLACES, serializer)
    }
}

impl<'de, const PLACES: u32> Deserialize<'de> for Decimal<PLACES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        parse(raw.get(), PLACES as usize)
            .map(|scaled| Self { scaled })
            .ok_or_else(|| serde::de::Error::custom(format_args!("a number with up to {PLACES} decimals expected")))
    }
}

impl Serialize for Degrees {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(self.micro < 0, u64::from(self.micro.unsigned_abs()), DEGREE_PLACES, serializer)
    }
}

impl<'de> Deserialize<'de> for Degrees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let (negative, magnitude) = match raw.get().strip_prefix('-') {
            Some(magnitude) => (true, magnitude),
            None => (false, raw.get()),
        };
        let scaled = parse(magnitude, DEGREE_PLACES as usize).and_then(|scaled| i32::try_from(scaled).ok());
        scaled
            .filter(|micro| *micro <= HALF_TURN)
            .map(|micro| Self { micro: if negative { -micro } else { micro } })
            .ok_or_else(|| serde::de::Error::custom("degrees from -180 to 180 with up to 6 decimals expected"))
    }
}

const DEGREE_PLACES: u32 = 6;
const HALF_TURN: i32 = 180_000_000;

/// Through a raw value, because a float could not keep the trailing zeros; from the stack, because every record has a
/// few of these.
fn serialize<S: Serializer>(negative: bool, scaled: u64, places: u32, serializer: S) -> Result<S::Ok, S::Error> {
    let mut buffer = [0; LONGEST];
    let text =
        write(negative, scaled, places, &mut buffer).ok_or_else(|| serde::ser::Error::custom("too many places"))?;
    serde_json::from_str::<&RawValue>(text).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// From the last digit to the first.
fn write(negative: bool, scaled: u64, places: u32, buffer: &mut [u8; LONGEST]) -> Option<&str> {
    let mut start = LONGEST;
    let mut put = |byte: u8| {
        start = start.checked_sub(1)?;
        *buffer.get_mut(start)? = byte;
        Some(())
    };
    let mut rest = scaled;
    let mut written = 0;
    while written <= places || rest > 0 {
        if written == places && places > 0 {
            put(b'.')?;
        }
        put(b'0' + (rest % 10).to_le_bytes()[0])?;
        rest /= 10;
        written += 1;
    }
    if negative {
        put(b'-')?;
    }
    std::str::from_utf8(buffer.get(start..)?).ok()
}

/// Sign, 20 digits, point, and a little more.
const LONGEST: usize = 24;

fn parse(text: &str, places: usize) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > places.max(1) {
        return None;
    }
    let mut scaled: u64 = whole.parse().ok()?;
    let mut decimals = decimals.bytes();
    for _ in 0..places {
        let digit = decimals.next().map_or(0, |byte| u64::from(byte - b'0'));
        scaled = scaled.checked_mul(10)?.checked_add(digit)?;
    }
    Some(scaled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_places() {
        for (ms, json) in [(0, "0.000"), (7, "0.007"), (45_080, "45.080"), (u64::MAX, "18446744073709551.615")] {
            assert_eq!(serde_json::to_string(&Seconds::from_ms(ms)).expect("encodes"), json);
            assert_eq!(serde_json::from_str::<Seconds>(json).expect("decodes").ms(), ms);
        }
        assert_eq!(serde_json::to_string(&Decimal::<2> { scaled: 441 }).expect("encodes"), "4.41");
        assert_eq!(serde_json::to_string(&Decimal::<0> { scaled: 441 }).expect("encodes"), "441");
    }

    #[test]
    fn other_writers_may_leave_zeros_out_but_not_add_places() {
        let rows = [
            ("45", Some(45_000)),
            ("45.5", Some(45_500)),
            ("45.0801", None),
            ("4e1", None),
            ("-1", None),
            ("\"45\"", None),
            ("18446744073709551.616", None),
        ];
        for (json, expected) in rows {
            assert_eq!(serde_json::from_str::<Seconds>(json).ok().map(Seconds::ms), expected, "{json}");
        }
    }

    #[test]
    fn degrees_have_a_sign_and_a_limit() {
        for (micro, json) in [(52_520_008, "52.520008"), (-1, "-0.000001"), (-180_000_000, "-180.000000")] {
            assert_eq!(serde_json::to_string(&Degrees { micro }).expect("encodes"), json);
            assert_eq!(serde_json::from_str::<Degrees>(json).expect("decodes").micro, micro);
        }
        for json in ["180.000001", "--1", "-", "2147.483648"] {
            assert!(serde_json::from_str::<Degrees>(json).is_err(), "{json}");
        }
    }
}
