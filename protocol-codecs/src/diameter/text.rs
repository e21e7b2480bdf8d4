//! Texts and bytes of AVPs: borrowed from the message they came in, or owned.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// Makes a type of text: `From` borrowed and owned, `into_owned`, and reading as `str`.
macro_rules! texts {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name<'a>(pub(super) Cow<'a, str>);

        impl<'a> $name<'a> {
            /// The same, independent of the message it came in.
            pub fn into_owned(self) -> $name<'static> {
                $name(Cow::Owned(self.0.into_owned()))
            }

            /// The same, borrowed from this one.
            pub fn borrowed(&self) -> $name<'_> {
                $name(Cow::Borrowed(self.0.as_ref()))
            }
        }

        impl<'a> From<&'a str> for $name<'a> {
            fn from(text: &'a str) -> Self {
                Self(Cow::Borrowed(text))
            }
        }

        impl From<String> for $name<'_> {
            fn from(text: String) -> Self {
                Self(Cow::Owned(text))
            }
        }
    )+};
}

texts! {
    /// A UTF8String.
    Text;
    /// A UTF8String that may name a subscriber: it has no `Display`, and its `Debug` tells only the length.
    MaskedText;
    /// A DiameterIdentity: a host or realm, 1 to 255 visible ASCII characters. Compare with [`Identity::is`].
    Identity;
}

impl MaskedText<'_> {
    /// The raw text: for rating, matching and the record, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MaskedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "masked({} bytes)", self.0.len())
    }
}

macro_rules! open_texts {
    ($($name:ident),+) => {$(
        impl Deref for $name<'_> {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.0.as_ref(), f)
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl PartialEq<str> for $name<'_> {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name<'_> {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
    )+};
}
open_texts!(Text, Identity);

impl Identity<'_> {
    /// The same host or realm: names are compared without regard to case (RFC 6733 section 4.3.1).
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

/// An OctetString. `Debug` tells only the length: it may name a subscriber or his place.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Octets<'a>(pub(super) Cow<'a, [u8]>);

impl Octets<'_> {
    /// The same, independent of the message it came in.
    pub fn into_owned(self) -> Octets<'static> {
        Octets(Cow::Owned(self.0.into_owned()))
    }

    /// The same, borrowed from this one.
    pub fn borrowed(&self) -> Octets<'_> {
        Octets(Cow::Borrowed(self.0.as_ref()))
    }

    /// The bytes: never for a log.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as a big-endian number, as some peers send 3GPP-Charging-Id; `None` if they are not four.
    pub fn as_u32(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.0.as_ref().try_into().ok()?))
    }
}

impl<'a> From<&'a [u8]> for Octets<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Octets<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Octets<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Cow::Owned(bytes))
    }
}

impl fmt::Debug for Octets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "octets({} bytes)", self.0.len())
    }
}
