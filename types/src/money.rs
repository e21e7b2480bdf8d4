//! Exact money: a whole number of 10^-9 of a currency unit in an `i128`, and the currency itself.
//!
//! Outside interfaces carry decimal strings (`"0.45"`), inside there is only the integer. Text with more than nine
//! decimals is refused, never rounded: rounding belongs to the tariff. Amounts that come from outside are limited to
//! [`Money::LIMIT`], so that sums of any realistic number of them stay far inside `i128`.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of money in 10^-9 of the currency unit; may be negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Decimal places kept.
    pub const DECIMALS: u32 = 9;
    /// Nano units in one currency unit.
    pub const NANOS_PER_UNIT: i128 = 1_000_000_000;
    /// Largest magnitude accepted from text: 10^15 currency units.
    pub const LIMIT: Self = Self(1_000_000_000_000_000 * Self::NANOS_PER_UNIT);

    /// From a count of 10^-9 units.
    pub const fn from_nanos(nanos: i128) -> Self {
        Self(nanos)
    }

    /// From whole currency units.
    pub const fn from_units(units: i64) -> Self {
        Self(units as i128 * Self::NANOS_PER_UNIT)
    }

    /// The count of 10^-9 units.
    pub const fn nanos(self) -> i128 {
        self.0
    }

    /// True below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// True for exactly nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The larger of this and zero.
    pub fn or_zero(self) -> Self {
        Self(self.0.max(0))
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Shortest exact decimal text: `0.45`, `-0.03`, `12`. A formatter precision pads: `{:.2}` of 0.4 is `0.40`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let unit = Self::NANOS_PER_UNIT.unsigned_abs();
        let mut decimals = format!("{:09}", magnitude % unit);
        let wanted = f.precision().unwrap_or(0);
        while decimals.len() > wanted && decimals.ends_with('0') {
            decimals.pop();
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        let dot = if decimals.is_empty() { "" } else { "." };
        write!(f, "{sign}{}{dot}{decimals}", magnitude / unit)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// Not `[-]digits[.digits]`.
    #[error("not a decimal amount such as 12.50")]
    NotDecimal,
    /// Finer than 10^-9.
    #[error("{decimals} decimals, at most 9 are kept exactly")]
    TooFine {
        /// Decimals found.
        decimals: usize,
    },
    /// Larger than [`Money::LIMIT`].
    #[error("amount is larger than 10^15 currency units")]
    TooLarge,
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (negative, magnitude) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = magnitude.split_once('.').unwrap_or((magnitude, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(decimals) {
            return Err(MoneyError::NotDecimal);
        }
        let decimals = if decimals.len() > 9 { decimals.trim_end_matches('0') } else { decimals };
        if decimals.len() > 9 {
            return Err(MoneyError::TooFine { decimals: decimals.len() });
        }
        let whole = whole.trim_start_matches('0');
        if whole.len() > 16 {
            return Err(MoneyError::TooLarge);
        }
        let digits = format!("{whole}{decimals:0<9}");
        let nanos: i128 = digits.parse().map_err(|_| MoneyError::TooLarge)?;
        if nanos > Self::LIMIT.0 {
            return Err(MoneyError::TooLarge);
        }
        Ok(Self(if negative { -nanos } else { nanos }))
    }
}

/// Decimal string in text formats, the integer in binary ones.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i128(self.0) }
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            i128::deserialize(deserializer).map(Self)
        }
    }
}

/// An ISO 4217 alphabetic code, such as `EUR`; three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is not three capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters of ISO 4217, such as EUR")]
pub struct CurrencyError;

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(CurrencyError),
        }
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Code)
    }
}

/// Reads a code where it stands: the ledger reads millions.
struct Code;

impl serde::de::Visitor<'_> for Code {
    type Value = Currency;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("three capital letters")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Currency, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_to_nanos_and_back() {
        let rows = [
            ("0", 0, "0"),
            ("1", 1_000_000_000, "1"),
            ("0.01", 10_000_000, "0.01"),
            ("-0.03", -30_000_000, "-0.03"),
            ("12.500", 12_500_000_000, "12.5"),
            ("0.000000001", 1, "0.000000001"),
            ("0.00000000100", 1, "0.000000001"),
            ("007", 7_000_000_000, "7"),
            ("1000000000000000", Money::LIMIT.nanos(), "1000000000000000"),
        ];
        for (text, nanos, shown) in rows {
            let money: Money = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((money.nanos(), money.to_string().as_str()), (nanos, shown), "{text}");
        }
        assert_eq!(format!("{:.2}", Money::from_units(3)), "3.00");
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", "-", ".5", "5.", "1,5", "1e3", "+1", " 1", "1 ", "0x1", "--1", "١"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::NotDecimal), "{text:?}");
        }
        assert_eq!("0.0000000001".parse::<Money>(), Err(MoneyError::TooFine { decimals: 10 }));
        for text in ["1000000000000000.1", "99999999999999999999999999999999999999999999"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::TooLarge), "{text}");
        }
    }

    #[test]
    fn currency_is_three_capitals() {
        assert_eq!("EUR".parse::<Currency>().map(|currency| currency.to_string()), Ok("EUR".to_owned()));
        for text in ["", "EU", "EURO", "eur", "E1R", "€"] {
            assert_eq!(text.parse::<Currency>(), Err(CurrencyError), "{text:?}");
        }
    }
}
