//! Wire messages to domain words and back. To the wire is total; from the wire gives a [`ConvertError`] that names the
//! field. Nothing is guessed: an enum value that is 0 or unknown is an error, money must be an exact decimal.
//!
//! Refused here: a missing key or owner, a session id over [`types::ids::MAX_SESSION_ID_BYTES`]. Whether a request
//! makes sense is the ledger's matter. Used by `charging-client` and by the gRPC services of the core.

mod answer;
mod balance;
mod request;
mod session;
mod words;

pub use balance::balance_amount;
pub use words::{balance_kind, release_cause, service, session_phase};

#[cfg(test)]
mod tests;

use types::class::ErrorClass;
use types::money::{CurrencyError, MoneyError};
use types::{Currency, Money};

/// Why a wire message is not a domain value. `field` is the path within the message, in the words of the `.proto`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A required field is absent, empty, or an enum's 0.
    #[error("field {field} is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// An enum value that this version does not know.
    #[error("field {field} has the unknown value {value}")]
    UnknownValue {
        /// The field.
        field: &'static str,
        /// The number found.
        value: i32,
    },
    /// A number above its range.
    #[error("field {field} is {value}, at most {limit}")]
    TooLarge {
        /// The field.
        field: &'static str,
        /// The number found.
        value: u64,
        /// The largest allowed.
        limit: u64,
    },
    /// A text above its length.
    #[error("field {field} has {length_bytes} bytes, at most {limit_bytes}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// The length found.
        length_bytes: usize,
        /// The longest allowed.
        limit_bytes: usize,
    },
    /// A text that is not an exact amount of money.
    #[error("field {field} is no amount of money")]
    NotMoney {
        /// The field.
        field: &'static str,
        /// Why.
        #[source]
        source: MoneyError,
    },
    /// A text that is not a currency.
    #[error("field {field} is no currency")]
    NotCurrency {
        /// The field.
        field: &'static str,
        /// Why.
        #[source]
        source: CurrencyError,
    },
}

impl ConvertError {
    /// Only the message is lost; the connection can go on.
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Skip
    }

    /// The field at fault.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Missing { field }
            | Self::UnknownValue { field, .. }
            | Self::TooLarge { field, .. }
            | Self::TooLong { field, .. }
            | Self::NotMoney { field, .. }
            | Self::NotCurrency { field, .. } => field,
        }
    }
}

/// An amount from its decimal text; `field` is named in the error.
pub fn money(field: &'static str, text: &str) -> Result<Money, ConvertError> {
    text.parse().map_err(|source| ConvertError::NotMoney { field, source })
}

/// A currency from its three letters; `field` is named in the error.
pub fn currency(field: &'static str, text: &str) -> Result<Currency, ConvertError> {
    text.parse().map_err(|source| ConvertError::NotCurrency { field, source })
}

/// A text that must be there; `field` is named in the error.
pub fn required<T: From<String>>(field: &'static str, text: String) -> Result<T, ConvertError> {
    if text.is_empty() { Err(ConvertError::Missing { field }) } else { Ok(T::from(text)) }
}

/// A session id that must be there and within [`types::ids::MAX_SESSION_ID_BYTES`]; `field` is named in the error.
pub fn session_id(field: &'static str, text: String) -> Result<types::SessionId, ConvertError> {
    let limit_bytes = types::ids::MAX_SESSION_ID_BYTES;
    if text.len() > limit_bytes {
        return Err(ConvertError::TooLong { field, length_bytes: text.len(), limit_bytes });
    }
    required(field, text)
}
