//! Subscriber numbers and other personal text. Shown masked in every log and error, always; the raw value comes
//! only from [`Number::expose`], whose callers can be listed by searching for that word.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A telephone number, SIP user or other subscriber identity. `Debug` and `Display` keep the first characters (the
/// country) and the last two, at most half of the text: `+49301234567` is shown as `+493******67`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Number(SmolStr);

impl Number {
    /// Wraps the text as it is.
    pub fn new(text: impl Into<SmolStr>) -> Self {
        Self(text.into())
    }

    /// The raw value: for the wire, the rating and the record, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Number {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.0.chars().count();
        let (head, tail) = match length {
            0..=3 => (0, 0),
            4..=7 => (1, 1),
            _ => (4, 2),
        };
        for (index, character) in self.0.chars().enumerate() {
            let shown = index < head || index >= length - tail;
            fmt::Write::write_char(f, if shown && !character.is_control() { character } else { '*' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_masked_whatever_formats_them() {
        for (raw, shown) in [
            ("", ""),
            ("112", "***"),
            ("1001", "1**1"),
            ("+49301234567", "+493******67"),
            ("a\nb\rcdefgh", "a*b*****gh"),
        ] {
            let number = Number::from(raw);
            assert_eq!((number.to_string().as_str(), format!("{number:?}").as_str()), (shown, shown));
            assert_eq!(number.expose(), raw);
        }
    }
}
