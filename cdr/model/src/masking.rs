//! Masking: what a sink that must not see personal data gets instead of it.
//!
//! A profile gives every maskable [`Field`] an [`Action`]. Keyed hashes (HMAC-SHA-256, RFC 2104) are the same for the
//! same value in every field and record, so that joins and deduplication survive: the caller of one record is the called
//! party of another, an adjustment names its STOP. Without the key they cannot be computed, not even for the few values
//! that a telephone number can have. Sinks call [`Masking::mask`] on their own copy of a record.
//!
//! What no profile can name (times, types, cost, the country) is left as it is; `apply` takes a record apart field by
//! field, so that a new one does not compile before somebody decided.

mod apply;
mod config;
mod pseudonym;
#[cfg(test)]
mod tests;

use crate::CallRecord;
use crate::masking::pseudonym::Pseudonyms;
pub use config::{Action, Field, MaskingConfig, Profile};
pub use pseudonym::{MaskingKey, PSEUDONYM_PREFIX};

/// A profile with its key, ready to work. Cheap to keep, shareable between threads.
#[derive(Debug, Clone)]
pub struct Masking {
    actions: [Action; Field::ALL.len()],
    pseudonyms: Option<Pseudonyms>,
}

/// Why a configuration is no profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaskingError {
    /// Shorter than the hash is strong.
    #[error(
        "a masking key has {bytes} bytes, at least {} are needed: head -c 32 /dev/urandom | base64",
        MaskingKey::LEAST_BYTES
    )]
    KeyTooShort {
        /// Found.
        bytes: usize,
    },
    /// A field is hashed and there is no key.
    #[error("{} is masked by hmac and there is no masking key", field.name())]
    KeyMissing {
        /// The first such field.
        field: Field,
    },
    /// The action makes no sense for the field.
    #[error("{} cannot be masked by {action}; it takes {}", field.name(), field.takes())]
    ActionRefused {
        /// The field.
        field: Field,
        /// The action.
        action: Action,
    },
}

impl MaskingError {
    /// Always [`types::ErrorClass::Fatal`]: a sink must not start with a profile that does not mask what was meant.
    pub const fn class(&self) -> types::ErrorClass {
        types::ErrorClass::Fatal
    }
}

impl Masking {
    /// From a configuration; `key` may be absent when nothing is hashed.
    pub fn new(config: &MaskingConfig, key: Option<&MaskingKey>) -> Result<Self, MaskingError> {
        let mut actions = [Action::Keep; Field::ALL.len()];
        for (slot, field) in actions.iter_mut().zip(Field::ALL) {
            let action = config.action(field);
            if !field.accepts(action) {
                return Err(MaskingError::ActionRefused { field, action });
            }
            if action.needs_key() && key.is_none() {
                return Err(MaskingError::KeyMissing { field });
            }
            *slot = action;
        }
        Ok(Self { actions, pseudonyms: key.map(Pseudonyms::new) })
    }

    /// Masks the record in place. The same record is masked to the same bytes, now and after a restart.
    pub fn mask(&self, record: &mut CallRecord) {
        apply::mask(self, record);
    }

    fn action(&self, field: Field) -> Action {
        self.actions.get(field as usize).copied().unwrap_or(Action::Remove)
    }
}
