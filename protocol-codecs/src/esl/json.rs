//! The body of `text/event-json`: one flat object whose values are texts or arrays of texts. Read straight into
//! [`Fields`]; no map, no text of its own per field. [`flat`](super::flat) reads what FreeSWITCH writes; what it leaves is read
//! here, by any JSON's rules, and what is wrong with it is told.
//!
//! Bytes that are not UTF-8 (FreeSWITCH passes SIP headers through unchecked) are replaced before the parser sees them.
//! A whole number or a truth value is kept as its text; any other number, `null`, an empty array and an object are absent:
//! FreeSWITCH writes none of them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::MessageError;
use super::fields::{Fields, FieldsBuilder};

/// Reads one object. The flag says that bytes were not UTF-8 and became U+FFFD.
pub fn fields(json: &[u8]) -> Result<(Fields, bool), MessageError> {
    // The check alone reads words of bytes, the replacement each byte.
    let text = std::str::from_utf8(json).map_or_else(|_| String::from_utf8_lossy(json), Cow::Borrowed);
    let lossy_utf8 = matches!(text, Cow::Owned(_));
    match super::flat::fields(&text) {
        Some(fields) => Ok((fields, lossy_utf8)),
        None => Ok((any_json(&text)?, lossy_utf8)),
    }
}

fn any_json(text: &str) -> Result<Fields, MessageError> {
    let mut reading = Reading { builder: FieldsBuilder::for_body(text.len()), fault: None };
    let mut parser = serde_json::Deserializer::from_str(text);
    let parsed = parser.deserialize_map(Object(&mut reading)).and_then(|()| parser.end());
    match (reading.fault, parsed) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(not_json(&error)),
        (None, Ok(())) => Ok(reading.builder.finish()),
    }
}

/// What serde_json found wrong, without the text it quotes.
pub fn not_json(error: &serde_json::Error) -> MessageError {
    MessageError::BadJson { line: error.line(), column: error.column() }
}

struct Reading {
    builder: FieldsBuilder,
    /// Our own fault; serde_json's error is then only how the parser was stopped.
    fault: Option<MessageError>,
}

impl Reading {
    fn keep<E: serde::de::Error>(&mut self, outcome: Result<(), MessageError>) -> Result<(), E> {
        outcome.map_err(|fault| {
            self.fault = Some(fault);
            E::custom("")
        })
    }
}

struct Object<'r>(&'r mut Reading);

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(Name(self.0))?.is_some() {
            map.next_value_seed(Field(self.0))?;
        }
        Ok(())
    }
}

struct Name<'r>(&'r mut Reading);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<(), E> {
        let begun = self.0.builder.begin(name);
        self.0.keep(begun)
    }
}

struct Field<'r>(&'r mut Reading);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Field<'_> {
    fn text<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.0.builder.push(text);
        let ended = self.0.builder.end_text();
        self.0.keep(ended)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or an array of texts")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.text(text)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.text(if value { "true" } else { "false" })
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.text(&value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.text(&value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, _value: f64) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.0.builder.drop_last();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut empty = true;
        while elements.next_element_seed(Element(self.0))?.is_some() {
            empty = false;
        }
        if empty {
            self.0.builder.drop_last();
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.0.builder.drop_last();
        Ok(())
    }
}

struct Element<'r>(&'r mut Reading);

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let builder = &mut self.0.builder;
        let begun = builder.begin_element();
        builder.push(text);
        let ended = begun.and_then(|()| builder.end_text());
        self.0.keep(ended)
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
