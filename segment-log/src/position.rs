//! The number of a record in its log.

use std::fmt;

/// The index of a record: the first record of a log is 0 (or [`crate::Options::start`]), the next one more, without gaps.
///
/// Also used as a bound: "durable up to `p`" means that every record below `p` is durable and `p` itself is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(u64);

impl Position {
    /// The first position of a new log.
    pub const ZERO: Self = Self(0);
    /// The largest position a log accepts; half the range, so that arithmetic on positions cannot overflow.
    pub const MAX: Self = Self(u64::MAX / 2);

    /// A position from its number.
    #[must_use]
    pub const fn new(index: u64) -> Self {
        Self(index)
    }

    /// The number of this position.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.0
    }

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for Position {
    fn from(index: u64) -> Self {
        Self(index)
    }
}
