//! Reads and writes the fields of one message. What "absent" means is decided here and nowhere else: not there, JSON
//! null, an empty string, or `<null>`, which is how Kamailio prints a variable that has no value.

use serde_json::{Map, Value as Json};

use super::error::{EncodeError, MessageError};
use super::time::EpochMicros;
use crate::Masked;

/// The fields of one received object.
pub struct Fields<'a> {
    /// Name of the message, for errors.
    pub event: &'static str,
    /// The object.
    pub object: &'a Map<String, Json>,
}

/// What is wrong with a value that is there.
pub enum Fault {
    /// Not what it should be.
    Type(&'static str),
    /// A number out of range.
    Range,
}

/// One JSON value of a known type.
pub trait Value: Sized {
    /// Reads it; never called with an absent value.
    fn parse(value: &Json) -> Result<Self, Fault>;
    /// Writes it under this name.
    fn append(&self, field: &'static str, out: &mut FieldWriter);
}

/// What can stand in a message's row: a value, an optional value, or a group of fields.
pub trait Field: Sized {
    /// Reads it.
    fn read(fields: &Fields<'_>, field: &'static str) -> Result<Self, MessageError>;
    /// Writes it.
    fn write(&self, field: &'static str, out: &mut FieldWriter);
}

impl Fields<'_> {
    fn present(&self, field: &str) -> Option<&Json> {
        self.object.get(field).filter(|value| !matches!(value, Json::Null) && !value.as_str().is_some_and(is_blank))
    }

    /// A value that may be absent.
    pub fn optional<T: Value>(&self, field: &'static str) -> Result<Option<T>, MessageError> {
        let event = self.event;
        match self.present(field).map(T::parse) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(Fault::Type(expected))) => Err(MessageError::WrongType { event, field, expected }),
            Some(Err(Fault::Range)) => Err(MessageError::OutOfRange { event, field }),
        }
    }

    /// A value that must be there.
    pub fn required<T: Value>(&self, field: &'static str) -> Result<T, MessageError> {
        self.optional(field)?.ok_or(MessageError::MissingField { event: self.event, field })
    }
}

impl<T: Value> Field for T {
    fn read(fields: &Fields<'_>, field: &'static str) -> Result<Self, MessageError> {
        fields.required(field)
    }

    fn write(&self, field: &'static str, out: &mut FieldWriter) {
        self.append(field, out);
    }
}

impl<T: Value> Field for Option<T> {
    fn read(fields: &Fields<'_>, field: &'static str) -> Result<Self, MessageError> {
        fields.optional(field)
    }

    fn write(&self, field: &'static str, out: &mut FieldWriter) {
        if let Some(value) = self {
            value.append(field, out);
        }
    }
}

/// A mark: 1 = true; absent or 0 = false, written as absent.
impl Field for bool {
    fn read(fields: &Fields<'_>, field: &'static str) -> Result<Self, MessageError> {
        match fields.optional::<u32>(field)? {
            None | Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(_) => Err(MessageError::OutOfRange { event: fields.event, field }),
        }
    }

    fn write(&self, field: &'static str, out: &mut FieldWriter) {
        if *self {
            out.number(field, 1);
        }
    }
}

impl Value for String {
    fn parse(value: &Json) -> Result<Self, Fault> {
        value.as_str().map(Self::from).ok_or(Fault::Type("a string"))
    }

    fn append(&self, field: &'static str, out: &mut FieldWriter) {
        out.text(field, self);
    }
}

impl Value for Masked {
    fn parse(value: &Json) -> Result<Self, Fault> {
        value.as_str().map(Self::from).ok_or(Fault::Type("a string"))
    }

    fn append(&self, field: &'static str, out: &mut FieldWriter) {
        out.text(field, self.expose());
    }
}

impl Value for u32 {
    fn parse(value: &Json) -> Result<Self, Fault> {
        Self::try_from(unsigned(value)?).map_err(|_| Fault::Range)
    }

    fn append(&self, field: &'static str, out: &mut FieldWriter) {
        out.number(field, *self);
    }
}

impl Value for u16 {
    fn parse(value: &Json) -> Result<Self, Fault> {
        Self::try_from(unsigned(value)?).map_err(|_| Fault::Range)
    }

    fn append(&self, field: &'static str, out: &mut FieldWriter) {
        out.number(field, u32::from(*self));
    }
}

impl Value for EpochMicros {
    fn parse(value: &Json) -> Result<Self, Fault> {
        value.as_str().and_then(Self::parse).ok_or(Fault::Type("seconds.microseconds"))
    }

    fn append(&self, field: &'static str, out: &mut FieldWriter) {
        match self.to_wire() {
            Some(text) => out.text(field, &text),
            None => out.out_of_range(field),
        }
    }
}

/// A JSON integer, or its digits in a string: a dialog or shared variable of Kamailio that went through a string stays one.
fn unsigned(value: &Json) -> Result<u64, Fault> {
    match value {
        Json::Number(number) => match number.as_u64() {
            Some(unsigned) => Ok(unsigned),
            None if number.is_i64() => Err(Fault::Range),
            None => Err(Fault::Type("an integer")),
        },
        Json::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().map_err(|_| Fault::Range),
        _ => Err(Fault::Type("an integer")),
    }
}

fn is_blank(text: &str) -> bool {
    text.is_empty() || text == "<null>"
}

/// Writes one JSON object, field by field; remembers the first fault.
pub struct FieldWriter {
    event: &'static str,
    forbidden: fn(char) -> bool,
    json: String,
    fault: Option<EncodeError>,
}

impl FieldWriter {
    /// Begins a message. `forbidden` = characters that no text in it may have.
    pub fn new(event: &'static str, forbidden: fn(char) -> bool) -> Self {
        Self { event, forbidden, json: String::from("{"), fault: None }
    }

    /// Ends the message.
    pub fn finish(mut self) -> Result<String, EncodeError> {
        self.json.push('}');
        self.fault.map_or(Ok(self.json), Err)
    }

    /// A text; the other side must not take it as absent.
    pub fn text(&mut self, field: &'static str, text: &str) {
        let event = self.event;
        if is_blank(text) {
            self.fault.get_or_insert(EncodeError::Blank { event, field });
        }
        if text.contains(self.forbidden) {
            self.fault.get_or_insert(EncodeError::ControlCharacter { event, field });
        }
        // The quotes and escapes of JSON come from serde_json's text form of a string value.
        self.name(field);
        self.json.push_str(&Json::from(text).to_string());
    }

    /// A number.
    pub fn number(&mut self, field: &'static str, number: u32) {
        self.name(field);
        self.json.push_str(&number.to_string());
    }

    /// Marks the message as not sendable.
    pub fn out_of_range(&mut self, field: &'static str) {
        self.fault.get_or_insert(EncodeError::OutOfRange { event: self.event, field });
    }

    /// Names are ours and need no escapes.
    fn name(&mut self, field: &str) {
        if self.json.len() > 1 {
            self.json.push(',');
        }
        self.json.push('"');
        self.json.push_str(field);
        self.json.push_str("\":");
    }
}
