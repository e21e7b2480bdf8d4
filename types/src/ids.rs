//! Identifiers: text that is compared, never parsed. Each kind has its own type, so that one cannot stand for another.
//!
//! Copies of the ids of calls, legs and sessions share the text: it goes with everything that is said of a call, and the ledger keeps
//! it in several places. Other ids are mostly so short that the text has its place in the id itself, see [`SmolStr`].

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// What all ids can do, around the kind of text.
macro_rules! text_id {
    ($name:ident, $text:ty) => {
        impl $name {
            /// Wraps the text as it is.
            pub fn new(text: impl Into<$text>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// An id whose copies share its text.
macro_rules! shared_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(deserialize_with = "crate::text::shared")] Arc<str>);

        text_id!($name, Arc<str>);

        impl $name {
            /// The text for whoever keeps it as text: shared, not copied.
            pub fn shared_text(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }

            /// True for copies of one another, which share their text. Others may be equal all the same.
            pub fn shares_text(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0)
            }
        }
    };
}

/// An id that mostly has its text in itself.
macro_rules! short_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(SmolStr);

        text_id!($name, SmolStr);
    };
}

shared_id! {
    /// One conversation, all legs; made by the agent from the switch's native ids and its run.
    CallId
}
shared_id! {
    /// One party's side of a call.
    LegId
}
shared_id! {
    /// One charging session with the core: made by the client, unique over switches, runs and time. At most
    /// [`MAX_SESSION_ID_BYTES`] bytes are taken by the core.
    SessionId
}
short_id! {
    /// One charging client (an agent instance's stable name), as configured; the owner of its sessions.
    ClientId
}
short_id! {
    /// The operator's customer domain that accounts and tariffs belong to.
    Tenant
}
short_id! {
    /// An account within a tenant.
    AccountId
}

/// Longest session id the core takes. Diameter Session-Ids and SIP Call-IDs stay below; longer ones are attacks.
pub const MAX_SESSION_ID_BYTES: usize = 512;
