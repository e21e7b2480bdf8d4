//! Writes what the crate postcard reads, octet for octet: log entries, snapshots and stored answers. Every decision is written, and
//! nearly all its numbers are small and kept in wide types; here they take the short way, which is half of the whole cost.
//!
//! Format: <https://postcard.jamesmunns.com/wire-format>. Integers wider than an octet are varints, signed ones zigzag; texts,
//! lists and maps have their length in front, variants their number.

use serde::Serialize;
use serde::ser::{self, Serializer};

/// Writes `value` behind what `octets` has.
///
/// # Errors
/// A list or map that does not know its length, a floating-point number, and whatever the value itself refuses.
#[inline]
pub fn pack<T: Serialize + ?Sized>(value: &T, octets: &mut Vec<u8>) -> Result<(), PackError> {
    value.serialize(Packer { octets })
}

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// Its length must stand in front.
    #[error("a list or map does not know its length")]
    UnknownLength,
    /// Nothing that is kept is a fraction: money, times and counts are integers.
    #[error("a floating-point number")]
    Float,
    /// What the value said.
    #[error("{0}")]
    Value(String),
}

impl ser::Error for PackError {
    fn custom<T: std::fmt::Display>(said: T) -> Self {
        Self::Value(said.to_string())
    }
}

struct Packer<'o> {
    octets: &'o mut Vec<u8>,
}

impl Packer<'_> {
    #[inline]
    fn varint(&mut self, mut number: u64) {
        // Seven bits each, the lowest first; the highest bit says that more follow.
        while number >= 0x80 {
            self.octets.push((number & 0x7F) as u8 | 0x80);
            number >>= 7;
        }
        self.octets.push(number as u8);
    }

    #[inline]
    fn wide(&mut self, mut number: u128) {
        while number > u128::from(u64::MAX) {
            self.octets.push((number & 0x7F) as u8 | 0x80);
            number >>= 7;
        }
        self.varint(number as u64);
    }

    #[inline]
    fn length(&mut self, length: usize) {
        self.varint(length as u64);
    }

    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PackError> {
        value.serialize(Packer { octets: self.octets })
    }
}

#[inline]
const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// Numbers whose varint is that of a wider kind.
macro_rules! written_wider {
    ($($method:ident: $number:ty as $wider:ident;)+) => {$(
        #[inline]
        fn $method(self, value: $number) -> Result<(), PackError> {
            self.$wider(value.into())
        }
    )+};
}

impl<'o> Serializer for Packer<'o> {
    type Ok = ();
    type Error = PackError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), PackError> {
        self.serialize_u8(u8::from(value))
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<(), PackError> {
        self.serialize_u8(value.cast_unsigned())
    }

    written_wider! {
        serialize_i16: i16 as serialize_i64;
        serialize_i32: i32 as serialize_i64;
        serialize_u16: u16 as serialize_u64;
        serialize_u32: u32 as serialize_u64;
    }

    #[inline]
    fn serialize_i64(mut self, value: i64) -> Result<(), PackError> {
        self.varint(zigzag(value));
        Ok(())
    }

    #[inline]
    fn serialize_i128(mut self, value: i128) -> Result<(), PackError> {
        match i64::try_from(value) {
            Ok(value) => self.varint(zigzag(value)),
            Err(_) => self.wide(((value << 1) ^ (value >> 127)).cast_unsigned()),
        }
        Ok(())
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), PackError> {
        self.octets.push(value);
        Ok(())
    }

    #[inline]
    fn serialize_u64(mut self, value: u64) -> Result<(), PackError> {
        self.varint(value);
        Ok(())
    }

    #[inline]
    fn serialize_u128(mut self, value: u128) -> Result<(), PackError> {
        self.wide(value);
        Ok(())
    }

    fn serialize_f32(self, _: f32) -> Result<(), PackError> {
        Err(PackError::Float)
    }

    fn serialize_f64(self, _: f64) -> Result<(), PackError> {
        Err(PackError::Float)
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), PackError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), PackError> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(mut self, value: &[u8]) -> Result<(), PackError> {
        self.length(value.len());
        self.octets.extend_from_slice(value);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), PackError> {
        self.serialize_u8(0)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), PackError> {
        self.octets.push(1);
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), PackError> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), PackError> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, number: u32, _: &'static str) -> Result<(), PackError> {
        self.serialize_u32(number)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), PackError> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        number: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), PackError> {
        self.varint(u64::from(number));
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(mut self, length: Option<usize>) -> Result<Self, PackError> {
        self.length(length.ok_or(PackError::UnknownLength)?);
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self, PackError> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, PackError> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        number: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, PackError> {
        self.varint(u64::from(number));
        Ok(self)
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Self, PackError> {
        self.serialize_seq(length)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, PackError> {
        Ok(self)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        name: &'static str,
        number: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self, PackError> {
        self.serialize_tuple_variant(name, number, variant, length)
    }
}

/// What is written part by part, one behind the other; nothing stands in front of a part, and nothing at the end.
macro_rules! written_in_parts {
    ($($kind:ident: $($part:ident $(named $name:ty)?),+;)+) => {$(
        impl ser::$kind for Packer<'_> {
            type Ok = ();
            type Error = PackError;

            $(
                #[inline]
                fn $part<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Result<(), PackError> {
                    self.part(value)
                }
            )+

            #[inline]
            fn end(self) -> Result<(), PackError> {
                Ok(())
            }
        }
    )+};
}

written_in_parts! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
    SerializeMap: serialize_key, serialize_value;
    SerializeStruct: serialize_field named &'static str;
    SerializeStructVariant: serialize_field named &'static str;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    /// One of everything that a change or a snapshot may have.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum One {
        Unit,
        Newtype(Box<str>),
        Tuple(u8, i8, bool, char),
        Struct { small: u16, middle: i32, wide: Option<i64>, list: Vec<u8> },
        Numbers(u32, u64, u128, i16, i128),
        Map(BTreeMap<i64, (String, Option<()>)>),
        Nested(Vec<One>),
    }

    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    struct Wrapped(i128);

    fn is_as_postcard(value: &(impl Serialize + std::fmt::Debug)) {
        let mut octets = vec![7];
        pack(value, &mut octets).expect("packed");
        assert_eq!(octets, postcard::to_extend(value, vec![7]).expect("written"), "{value:?}");
    }

    #[test]
    fn every_number_is_as_postcard_writes_it() {
        let mut borders = vec![0_i128];
        for bits in 0..127 {
            let border = 1_i128 << bits;
            borders.extend([border - 1, border, border + 1, -border, -border - 1, 1 - border]);
        }
        borders.extend([i128::MAX, i128::MIN]);
        for number in borders {
            is_as_postcard(&Wrapped(number));
            is_as_postcard(&number.cast_unsigned());
            is_as_postcard(&(number as i64, number as u64, number as i32, number as u32));
            is_as_postcard(&(number as i16, number as u16, number as i8, number as u8));
        }
    }

    #[test]
    fn every_shape_is_as_postcard_writes_it() {
        let nested = One::Nested(vec![
            One::Unit,
            One::Newtype("ä".repeat(200).into()),
            One::Tuple(255, -1, true, '\u{1F600}'),
            One::Struct { small: 300, middle: -70_000, wide: Some(i64::MIN), list: vec![0, 128, 255] },
            One::Struct { small: 0, middle: 0, wide: None, list: Vec::new() },
            One::Numbers(u32::MAX, u64::MAX, u128::MAX, i16::MIN, i128::MIN),
            One::Map([(-1, ("a".to_owned(), Some(()))), (5, (String::new(), None))].into()),
        ]);
        is_as_postcard(&nested);
        let mut octets = Vec::new();
        pack(&nested, &mut octets).expect("packed");
        assert_eq!(postcard::from_bytes::<One>(&octets), Ok(nested));
    }

    /// Money and time are integers: a fraction in what is kept is a mistake of ours.
    #[test]
    fn floats_are_refused() {
        assert_eq!(pack(&(1, 1.5_f64), &mut Vec::new()), Err(PackError::Float));
        assert_eq!(pack(&Some(1.5_f32), &mut Vec::new()), Err(PackError::Float));
    }

    #[test]
    fn what_does_not_know_its_length_is_refused() {
        struct Endless;
        impl Serialize for Endless {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(std::iter::from_fn(|| Some(1)).take_while(|one| *one == 1))
            }
        }
        assert_eq!(pack(&Endless, &mut Vec::new()), Err(PackError::UnknownLength));
    }
}
