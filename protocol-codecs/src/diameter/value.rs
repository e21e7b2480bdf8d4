//! One value of each data format: bytes to value and back.

use std::borrow::Cow;

use super::address::{Address, BadAddress};
use super::avp::Avp;
use super::dictionary::{Definition, Kind};
use super::error::{EncodeError, Fault, MessageError};
use super::limits::IDENTITY_BYTES_MAX;
use super::reading::Reading;
use super::result_code::ResultCode;
use super::text::{Identity, MaskedText, Octets, Text};
use super::time::Time;
use super::writer::Writer;

/// What an AVP can hold.
pub(super) trait Value<'a>: Sized {
    /// Data formats it stands for; a test compares them with the dictionary.
    #[cfg_attr(not(test), allow(dead_code, reason = "read by the test of the tables"))]
    const KINDS: &'static [Kind];
    /// The same, independent of the message it came in.
    type Owned: 'static;

    fn decode(avp: &Avp<'a>, reading: &mut Reading) -> Result<Self, MessageError>;

    /// Into an empty place. Large groups are filled where they stay instead of being carried there.
    #[inline]
    fn decode_into(place: &mut Option<Self>, avp: &Avp<'a>, reading: &mut Reading) -> Result<(), MessageError> {
        *place = Some(Self::decode(avp, reading)?);
        Ok(())
    }

    /// Behind others of its kind.
    #[inline]
    fn decode_behind(places: &mut Vec<Self>, avp: &Avp<'a>, reading: &mut Reading) -> Result<(), MessageError> {
        let value = Self::decode(avp, reading)?;
        if places.capacity() == 0 {
            // Two are usual, and room taken at once is cheaper than room that grows.
            *places = Vec::with_capacity(2);
        }
        places.push(value);
        Ok(())
    }

    /// On the heap.
    #[inline]
    fn decode_boxed(avp: &Avp<'a>, reading: &mut Reading) -> Result<Box<Self>, MessageError> {
        Self::decode(avp, reading).map(Box::new)
    }

    fn encode(&self, definition: &'static Definition, out: &mut Writer<'_>);

    fn into_owned(self) -> Self::Owned;
}

/// The value as a number of exactly this many bytes.
#[inline]
fn fixed<const N: usize>(avp: &Avp<'_>) -> Result<[u8; N], MessageError> {
    avp.value.try_into().map_err(|_| MessageError::length(avp))
}

macro_rules! numbers {
    ($($type:ty, $kinds:expr, $bytes:literal;)+) => {$(
        impl<'a> Value<'a> for $type {
            const KINDS: &'static [Kind] = $kinds;
            type Owned = Self;

            #[inline]
            fn decode(avp: &Avp<'a>, _: &mut Reading) -> Result<Self, MessageError> {
                Ok(Self::from_be_bytes(fixed::<$bytes>(avp)?))
            }

            #[inline]
            fn encode(&self, definition: &'static Definition, out: &mut Writer<'_>) {
                out.bytes(definition, &self.to_be_bytes());
            }

            fn into_owned(self) -> Self {
                self
            }
        }
    )+};
}

numbers! {
    u64, &[Kind::Unsigned64], 8;
    i64, &[Kind::Integer64], 8;
}

/// Types of four bytes: how they come out of a number and go into it.
macro_rules! words {
    ($($type:ty, $kinds:expr, $from:expr, $into:expr;)+) => {$(
        impl<'a> Value<'a> for $type {
            const KINDS: &'static [Kind] = $kinds;
            type Owned = Self;

            #[inline]
            fn decode(avp: &Avp<'a>, _: &mut Reading) -> Result<Self, MessageError> {
                let from: fn([u8; 4]) -> Self = $from;
                Ok(from(fixed(avp)?))
            }

            #[inline]
            fn encode(&self, definition: &'static Definition, out: &mut Writer<'_>) {
                let into: fn(&Self) -> [u8; 4] = $into;
                out.four(definition, into(self));
            }

            fn into_owned(self) -> Self {
                self
            }
        }
    )+};
}

words! {
    u32, &[Kind::Unsigned32], u32::from_be_bytes, |number| number.to_be_bytes();
    i32, &[Kind::Integer32], i32::from_be_bytes, |number| number.to_be_bytes();
    Time, &[Kind::Time], |bytes| Time(u32::from_be_bytes(bytes)), |time| time.0.to_be_bytes();
    ResultCode, &[Kind::Unsigned32], |bytes| ResultCode(u32::from_be_bytes(bytes)), |code| code.0.to_be_bytes();
}

const TEXT_KINDS: &[Kind] = &[Kind::Utf8String, Kind::DiameterUri, Kind::IpFilterRule];

#[inline]
fn text<'a>(avp: &Avp<'a>) -> Result<Cow<'a, str>, MessageError> {
    match std::str::from_utf8(avp.value) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => Err(MessageError::about(Fault::AvpValue, avp)),
    }
}

macro_rules! text_values {
    ($($name:ident),+) => {$(
        impl<'a> Value<'a> for $name<'a> {
            const KINDS: &'static [Kind] = TEXT_KINDS;
            type Owned = $name<'static>;

            #[inline]
            fn decode(avp: &Avp<'a>, _: &mut Reading) -> Result<Self, MessageError> {
                text(avp).map(Self)
            }

            #[inline]
            fn encode(&self, definition: &'static Definition, out: &mut Writer<'_>) {
                out.bytes(definition, self.0.as_bytes());
            }

            fn into_owned(self) -> Self::Owned {
                $name::into_owned(self)
            }
        }
    )+};
}
text_values!(Text, MaskedText);

/// Whether a host or realm may be called so.
#[inline(never)]
fn is_identity(text: &str) -> bool {
    (1..=IDENTITY_BYTES_MAX).contains(&text.len()) && is_graphic(text.as_bytes())
}

/// Whether every byte is visible ASCII: eight at a time, the last eight of a name perhaps for a second time.
fn is_graphic(bytes: &[u8]) -> bool {
    let (words, _) = bytes.as_chunks::<8>();
    match bytes.last_chunk::<8>() {
        Some(last) => words.iter().chain([last]).fold(0, |faults, word| faults | not_graphic(*word)) == 0,
        None => bytes.iter().all(u8::is_ascii_graphic),
    }
}

/// Not 0 if one of the bytes is not visible ASCII.
#[inline]
fn not_graphic(bytes: [u8; 8]) -> u64 {
    let (word, ones) = (u64::from_ne_bytes(bytes), u64::from_ne_bytes([1; 8]));
    // Sums carry into the next byte only from bytes of 0x80 and above, and those are found by themselves.
    let below = !word.wrapping_add(ones.wrapping_mul(0x80 - 0x21));
    let delete = word.wrapping_add(ones);
    (word | below | delete) & ones.wrapping_mul(0x80)
}

impl<'a> Value<'a> for Identity<'a> {
    const KINDS: &'static [Kind] = &[Kind::DiameterIdentity];
    type Owned = Identity<'static>;

    #[inline]
    fn decode(avp: &Avp<'a>, _: &mut Reading) -> Result<Self, MessageError> {
        let text = text(avp)?;
        if is_identity(&text) { Ok(Self(text)) } else { Err(MessageError::about(Fault::AvpValue, avp)) }
    }

    #[inline]
    fn encode(&self, definition: &'static Definition, out: &mut Writer<'_>) {
        if !is_identity(&self.0) {
            return out.fail(EncodeError::BadValue { avp: definition.name });
        }
        out.bytes(definition, self.0.as_bytes());
    }

    fn into_owned(self) -> Self::Owned {
        Identity::into_owned(self)
    }
}

impl<'a> Value<'a> for Octets<'a> {
    const KINDS: &'static [Kind] = &[Kind::OctetString];
    type Owned = Octets<'static>;

    #[inline]
    fn decode(avp: &Avp<'a>, _: &mut Reading) -> Result<Self, MessageError> {
        Ok(avp.value.into())
    }

    #[inline]
    fn encode(&self, definition: &'static Definition, out: &mut Writer<'_>) {
        out.bytes(definition, &self.0);
    }

    fn into_owned(self) -> Self::Owned {
        Octets::into_owned(self)
    }
}

impl<'a> Value<'a> for Address<'a> {
    const KINDS: &'static [Kind] = &[Kind::Address];
    type Owned = Address<'static>;

    #[inline]
    fn decode(avp: &Avp<'a>, _: &mut Reading) -> Result<Self, MessageError> {
        Address::parse(avp.value).map_err(|bad| match bad {
            BadAddress::Length => MessageError::length(avp),
            BadAddress::Value => MessageError::about(Fault::AvpValue, avp),
        })
    }

    fn encode(&self, definition: &'static Definition, out: &mut Writer<'_>) {
        if !self.is_sound() {
            return out.fail(EncodeError::BadValue { avp: definition.name });
        }
        self.write(|bytes| out.bytes(definition, bytes));
    }

    fn into_owned(self) -> Self::Owned {
        Address::into_owned(self)
    }
}

impl<'a, T: Value<'a>> Value<'a> for Box<T> {
    const KINDS: &'static [Kind] = T::KINDS;
    type Owned = Box<T::Owned>;

    #[inline]
    fn decode(avp: &Avp<'a>, reading: &mut Reading) -> Result<Self, MessageError> {
        T::decode_boxed(avp, reading)
    }

    #[inline]
    fn encode(&self, definition: &'static Definition, out: &mut Writer<'_>) {
        self.as_ref().encode(definition, out);
    }

    fn into_owned(self) -> Self::Owned {
        Box::new((*self).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_visible_ascii_wherever_the_other_byte_stands() {
        for length in 1..=20 {
            for (at, byte) in (0..length).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))) {
                let mut name = vec![b'a'; length];
                name[at] = byte;
                assert_eq!(is_graphic(&name), byte.is_ascii_graphic(), "{byte:#04x} at {at} of {length}");
            }
        }
        assert!(!is_identity("") && is_identity(&"a".repeat(255)) && !is_identity(&"a".repeat(256)));
    }
}
