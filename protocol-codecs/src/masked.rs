//! Text that may identify a subscriber, as it came off a wire. It has no `Display`, and its `Debug` tells only the
//! length; the text itself comes from [`Masked::expose`], whose callers can be listed.

use std::fmt;

/// A telephone number, SIP user, URI or display name that no log may show.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Masked(String);

impl Masked {
    /// Wraps the text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The raw text: for rating, matching and the record, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Masked {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "masked({} bytes)", self.0.len())
    }
}
