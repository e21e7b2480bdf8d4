//! Why a SIP value was not understood. Offsets count bytes from the start of the text given; the text itself is never
//! repeated.

use thiserror::Error;

use crate::Class;

/// A fault in one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SipError {
    /// Nothing there.
    #[error("empty value at byte {at}")]
    Empty {
        /// Where it should be.
        at: usize,
    },
    /// Longer than permitted.
    #[error("value of {bytes} bytes, limit {limit}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// Bytes permitted.
        limit: usize,
    },
    /// A character that may not stand there.
    #[error("character not allowed at byte {at}")]
    BadCharacter {
        /// Where it stands.
        at: usize,
    },
    /// A `%` without two hexadecimal digits, or escapes that are not UTF-8.
    #[error("bad escape at byte {at}")]
    BadEscape {
        /// The `%`, or the start of the part with the escapes.
        at: usize,
    },
    /// A control character behind an escape.
    #[error("escaped control character at byte {at}")]
    ControlCharacter {
        /// Start of the part that has it.
        at: usize,
    },
    /// No scheme.
    #[error("URI without a scheme at byte {at}")]
    NoScheme {
        /// Where the URI begins.
        at: usize,
    },
    /// Neither `sip`, `sips`, `tel` nor `urn`.
    #[error("unknown URI scheme at byte {at}")]
    UnknownScheme {
        /// Where the URI begins.
        at: usize,
    },
    /// A second `@`: it is not clear who the user is.
    #[error("second @ at byte {at}")]
    SecondAt {
        /// Where it stands.
        at: usize,
    },
    /// Not a host name or address.
    #[error("bad host at byte {at}")]
    BadHost {
        /// Where it begins.
        at: usize,
    },
    /// Not 1 to 65535.
    #[error("bad port at byte {at}")]
    BadPort {
        /// Where it begins.
        at: usize,
    },
    /// Not a telephone number (`tel:`).
    #[error("bad telephone number at byte {at}")]
    BadNumber {
        /// Where it begins.
        at: usize,
    },
    /// A parameter given twice.
    #[error("parameter given twice at byte {at}")]
    ParamTwice {
        /// The second one.
        at: usize,
    },
    /// More parameters than permitted.
    #[error("more than {limit} parameters")]
    TooManyParams {
        /// How many are permitted.
        limit: usize,
    },
    /// A quote or angle bracket that is not closed.
    #[error("not closed: what opens at byte {at}")]
    NotClosed {
        /// Where it opens.
        at: usize,
    },
    /// `*`, which only Contact of a REGISTER may be.
    #[error("wildcard instead of an address")]
    Wildcard,
    /// More addresses than permitted.
    #[error("more than {limit} addresses")]
    TooManyAddresses {
        /// How many are permitted.
        limit: usize,
    },
}

impl SipError {
    /// Always [`Class::Skip`].
    pub fn class(&self) -> Class {
        Class::Skip
    }
}
