//! What can be wrong with a plan: each fault names file, line, column, what stands there and what was expected.

use std::fmt;

use types::{ErrorClass, money::MoneyError};

use crate::tables::Table;

/// All faults of a plan. Never empty; nothing of the plan was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadErrors(pub(crate) Vec<LoadFault>);

impl LoadErrors {
    /// The faults, by file and line.
    pub fn faults(&self) -> &[LoadFault] {
        &self.0
    }

    /// A plan that is refused stays refused until somebody edits it.
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Refused
    }
}

/// One fault a line.
impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tariff plan not loaded, faults: {}", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl std::error::Error for LoadErrors {}

/// One fault, or one warning of [`crate::Plan::warnings`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFault {
    /// The table.
    pub table: Table,
    /// Line in the file, from 1; 0 means the file as a whole.
    pub line: u64,
    /// Position of the column, from 0 (the old Direction column is not counted); absent means the whole row.
    pub column: Option<usize>,
    /// What stands there.
    pub found: Box<str>,
    /// What is wrong, and what was expected.
    pub problem: Problem,
}

impl LoadFault {
    /// The column's name.
    pub fn column_name(&self) -> Option<&'static str> {
        self.column.and_then(|column| self.table.columns().get(column)).copied()
    }
}

impl fmt::Display for LoadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table.file_name())?;
        if self.line > 0 {
            write!(f, " line {}", self.line)?;
        }
        if let Some(name) = self.column_name() {
            write!(f, ", column {name}")?;
        }
        if !self.found.is_empty() {
            write!(f, ", `{}`", self.found)?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// What is wrong, and the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file or folder cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// Not UTF-8.
    #[error("not UTF-8 from byte {byte} of the file on; save the file as UTF-8")]
    NotUtf8 {
        /// Offset of the first bad byte.
        byte: usize,
    },
    /// Not CSV.
    #[error("not comma separated values after RFC 4180; check the quotes")]
    Malformed,
    /// Wrong number of cells.
    #[error("{found} cells, expected {expected}; empty cells at the end must be present")]
    Cells {
        /// Cells found.
        found: usize,
        /// Cells expected.
        expected: usize,
    },
    /// Must not be empty.
    #[error("empty, expected a value")]
    Empty,
    /// Not an amount.
    #[error("expected a decimal number: {0}")]
    Amount(MoneyError),
    /// Below zero.
    #[error("negative, expected 0 or more; a price that falls with usage cannot be reserved")]
    Negative,
    /// Not a duration.
    #[error("expected a duration such as 60s, 1m30s or a whole number of units, at most 292 years")]
    Duration,
    /// Zero where it cannot be.
    #[error("zero, expected more; the rate is per this many units, paid in steps")]
    Zero,
    /// Not a whole number in range.
    #[error("expected a whole number from {from} to {to}")]
    Whole {
        /// Smallest.
        from: i64,
        /// Largest.
        to: i64,
    },
    /// Not a rounding method.
    #[error("expected *up, *down or *middle")]
    Method,
    /// Not a strategy.
    #[error("expected *free or *disconnect beside a maximum cost")]
    Strategy,
    /// Not a time.
    #[error("expected a time such as 2026-01-31T00:00:00Z (UTC), or nothing for always")]
    Time,
    /// Not a time of day.
    #[error("expected a time of day such as 08:00:00, or 08:00:00;11:59:59")]
    TimeOfDay,
    /// A schedule word or a day counted from the month's end.
    #[error("a schedule for actions cannot time a price; give the rating plan a timing with a time of day")]
    Schedule,
    /// `start;end` with the end before the start.
    #[error("ends before it starts; give two timings, one until 24:00:00 and one from 00:00:00 on")]
    TimeRange,
    /// The old Direction column with something else than `*out`.
    #[error("only direction *out is priced; remove the row")]
    Direction,
    /// The built-in timing with other content.
    #[error("*any is built in and means always; give this timing another tag")]
    BuiltIn,
    /// Refers to nothing.
    #[error("not found in {}", .table.file_name())]
    Unknown {
        /// Where it was looked for.
        table: Table,
    },
    /// Stands twice.
    #[error("contradicts line {line}, which has the same key; keep one of them")]
    Duplicate {
        /// The earlier line.
        line: u64,
    },
    /// Two rows may apply at one instant, and nothing says which.
    #[error("applies at the same time and with the same weight as line {line}, at another price; change one weight")]
    Ambiguous {
        /// The earlier line.
        line: u64,
    },
    /// The rate starts later than the session.
    #[error("no group starts at 0, so the begin of a session has no price and destinations at this rate are refused")]
    NoFirstGroup,
    /// A group begins within a step of the one before.
    #[error(
        "begins within a step of line {line}, which then reaches into this group; begin at a multiple of its increment"
    )]
    Uneven {
        /// The line of the group before.
        line: u64,
    },
    /// Prices have no common small fraction.
    #[error("price of an increment needs fractions of a nano unit beyond 1/{limit}; use a rounder rate unit")]
    TooFine {
        /// Largest common denominator.
        limit: i128,
    },
    /// Price beyond all bounds.
    #[error("an increment costs more than 10^15; lower the rate or the increment")]
    TooLarge,
    /// More than a plan can hold.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
}
