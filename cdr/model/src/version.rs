//! The version of the record's schema. docs/reference/call-record.md has the rule: a minor version adds optional fields
//! and words of optional enumerations; everything else is a major version, which a reader of another one refuses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Version of the schema that a record was written by, `1.0` in JSON. Ordered by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaVersion {
    /// Readers of another major version cannot read the record.
    pub major: u16,
    /// Readers of a lower minor version miss fields that they do not know.
    pub minor: u16,
}

impl SchemaVersion {
    /// What this release writes.
    pub const CURRENT: Self = Self { major: 1, minor: 0 };
    /// What a record without a version was written by.
    const FIRST: Self = Self { major: 1, minor: 0 };

    pub(crate) const fn first() -> Self {
        Self::FIRST
    }
}

impl Default for SchemaVersion {
    fn default() -> Self {
        Self::CURRENT
    }
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Why a text is no version that this release reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaVersionError {
    /// Not `MAJOR.MINOR`.
    #[error("a schema version is written MAJOR.MINOR, such as 1.0")]
    NotAVersion,
    /// Written by a release that this one knows nothing of.
    #[error("schema version {found} is not readable by this release, which reads {}.x: upgrade the reader", SchemaVersion::CURRENT.major)]
    OtherMajor {
        /// What the record says.
        found: SchemaVersion,
    },
}

impl FromStr for SchemaVersion {
    type Err = SchemaVersionError;

    fn from_str(text: &str) -> Result<Self, SchemaVersionError> {
        let number = |part: &str| {
            let plain = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
            part.parse().ok().filter(|_| plain)
        };
        let (major, minor) = text.split_once('.').ok_or(SchemaVersionError::NotAVersion)?;
        let (Some(major), Some(minor)) = (number(major), number(minor)) else {
            return Err(SchemaVersionError::NotAVersion);
        };
        let found = Self { major, minor };
        if major == Self::CURRENT.major { Ok(found) } else { Err(SchemaVersionError::OtherMajor { found }) }
    }
}

impl Serialize for SchemaVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SchemaVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_this_major_are_read() {
        let version = |minor| Ok(SchemaVersion { major: 1, minor });
        let other = |major| Err(SchemaVersionError::OtherMajor { found: SchemaVersion { major, minor: 0 } });
        let none = Err(SchemaVersionError::NotAVersion);
        let rows = [
            ("1.0", version(0)),
            ("1.12", version(12)),
            ("0.0", other(0)),
            ("2.0", other(2)),
            ("1", none),
            ("1.", none),
            ("1.0.0", none),
            ("+1.0", none),
            ("01.0", none),
            ("1.65536", none),
            ("", none),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }
}
