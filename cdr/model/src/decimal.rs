//! Decimal numbers in records: JSON shows a number with exactly the places it has, memory holds a scaled integer.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A number with `PLACES` decimals, kept as an integer count of 10^-PLACES.
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

impl<const PLACES: u32> Serialize for Decimal<PLACES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let unit = 10_u64.pow(PLACES);
        let text = format!("{}.{:0width$}", self.scaled / unit, self.scaled % unit, width = PLACES as usize);
        RawValue::from_string(text).map_err(serde::ser::Error::custom)?.serialize(serializer)
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

fn parse(text: &str, places: usize) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.is_empty() || decimals.len() > places {
        return None;
    }
    format!("{whole}{decimals:0<places$}").parse().ok()
}
