//! The name-value pairs of an event or of a header block, in two heap blocks: one text that holds every name and value
//! decoded, back to back, and one index into it. Lookups compare a number per field and build nothing.
//!
//! Rules, the same for JSON and plain: names compare without regard to ASCII case and the first of several fields of
//! one name is meant, because FreeSWITCH itself looks its headers up so (`switch_event_get_header_ptr`).

use super::error::MessageError;
use super::limits::FIELDS_MAX;

/// Name-value pairs in the order of the wire.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Fields {
    text: String,
    entries: Vec<Entry>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// One text, possibly empty.
    Text(&'a str),
    /// An array: a variable that was pushed to, or a dialplan match (`variable_DP_MATCH`).
    Array(Elements<'a>),
}

/// The elements of an array, in order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Elements<'a> {
    text: &'a str,
    entries: &'a [Entry],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Fingerprint of the name, or [`ELEMENT`].
    print: u32,
    /// Where the name begins; the value follows it.
    name: u32,
    value: u32,
    end: u32,
}

/// Marks an element of the array whose entry stands before it. No name has this fingerprint.
const ELEMENT: u32 = 0;

impl Fields {
    /// Fields, arrays counted once.
    pub fn count(&self) -> usize {
        self.entries.iter().filter(|entry| entry.print != ELEMENT).count()
    }

    /// The value of the first field called `prefix` + `name`.
    pub fn value(&self, prefix: &str, name: &str) -> Option<Value<'_>> {
        let print = fingerprint(prefix, name);
        let candidates = self.entries.iter().enumerate().filter(|(_, entry)| entry.print == print);
        let mut named = candidates.filter(|(_, entry)| self.is_called(entry, prefix, name));
        named.next().and_then(|(position, entry)| self.value_at(position, entry))
    }

    /// The text of the first field of that name; absent for an array.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value("", name)? {
            Value::Text(text) => Some(text),
            Value::Array(_) => None,
        }
    }

    /// Every field in the order of the wire.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let named = self.entries.iter().enumerate().filter(|(_, entry)| entry.print != ELEMENT);
        named.filter_map(|(position, entry)| {
            Some((self.slice(entry.name, entry.value)?, self.value_at(position, entry)?))
        })
    }

    /// Bytes of names and values.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    fn value_at(&self, position: usize, entry: &Entry) -> Option<Value<'_>> {
        let after = self.entries.get(position.saturating_add(1)..)?;
        let elements = after.iter().take_while(|entry| entry.print == ELEMENT).count();
        if elements == 0 {
            return self.slice(entry.value, entry.end).map(Value::Text);
        }
        Some(Value::Array(Elements { text: &self.text, entries: after.get(..elements)? }))
    }

    fn is_called(&self, entry: &Entry, prefix: &str, name: &str) -> bool {
        let parts = self.slice(entry.name, entry.value).and_then(|full| full.split_at_checked(prefix.len()));
        parts.is_some_and(|(head, tail)| head.eq_ignore_ascii_case(prefix) && tail.eq_ignore_ascii_case(name))
    }

    fn slice(&self, from: u32, to: u32) -> Option<&str> {
        slice(&self.text, from, to)
    }
}

impl std::fmt::Debug for Fields {
    /// Counts only: names of variables and every value may be a subscriber's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fields({} fields, {} bytes)", self.count(), self.text.len())
    }
}

impl<'a> Elements<'a> {
    /// Number of elements, at least 1.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// The elements.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let text = self.text;
        self.entries.iter().filter_map(move |entry| slice(text, entry.value, entry.end))
    }
}

impl std::fmt::Debug for Elements<'_> {
    /// The number only: an element may be a subscriber's number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Elements({})", self.entries.len())
    }
}

/// Collects fields while a decoder finds them.
#[derive(Debug, Default)]
pub struct FieldsBuilder {
    fields: Fields,
}

impl FieldsBuilder {
    /// Room for a body of that many bytes: recorded events have 24 to 40 a field.
    pub fn for_body(body_bytes: usize) -> Self {
        let entries = Vec::with_capacity((body_bytes / 24).min(FIELDS_MAX));
        Self { fields: Fields { text: String::with_capacity(body_bytes), entries } }
    }

    /// Begins a field; its value is what is pushed until [`Self::end_text`].
    pub fn begin(&mut self, name: &str) -> Result<(), MessageError> {
        let start = self.position()?;
        self.fields.text.push_str(name);
        let value = self.position()?;
        self.add(Entry { print: fingerprint("", name), name: start, value, end: value })
    }

    /// Begins an element of the array that the last [`Self::begin`] named.
    pub fn begin_element(&mut self) -> Result<(), MessageError> {
        let start = self.position()?;
        self.add(Entry { print: ELEMENT, name: start, value: start, end: start })
    }

    /// Appends to the value that was begun last.
    pub fn push(&mut self, text: &str) {
        self.fields.text.push_str(text);
    }

    /// Ends the value that was begun last.
    pub fn end_text(&mut self) -> Result<(), MessageError> {
        let end = self.position()?;
        if let Some(entry) = self.fields.entries.last_mut() {
            entry.end = end;
        }
        Ok(())
    }

    /// Takes the field begun last back: what it holds means "absent".
    pub fn drop_last(&mut self) {
        if let Some(entry) = self.fields.entries.pop() {
            let start = usize::try_from(entry.name).unwrap_or(usize::MAX);
            self.fields.text.truncate(start);
        }
    }

    /// All of them.
    pub fn finish(self) -> Fields {
        self.fields
    }

    fn add(&mut self, entry: Entry) -> Result<(), MessageError> {
        if self.fields.entries.len() >= FIELDS_MAX {
            return Err(MessageError::TooManyFields { limit: FIELDS_MAX });
        }
        self.fields.entries.push(entry);
        Ok(())
    }

    fn position(&self) -> Result<u32, MessageError> {
        u32::try_from(self.fields.text.len()).map_err(|_| MessageError::TooManyFields { limit: FIELDS_MAX })
    }
}

fn slice(text: &str, from: u32, to: u32) -> Option<&str> {
    text.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
}

/// A number of the name's length and last eight bytes, the same for upper and lower case and never [`ELEMENT`]. The
/// names of one event differ mostly at the end (`Caller-Channel-...-Time`, `variable_...`).
fn fingerprint(prefix: &str, name: &str) -> u32 {
    let mut tail = [0_u8; 8];
    match name.as_bytes().last_chunk::<8>() {
        Some(last) => tail = *last,
        None => {
            let bytes = prefix.bytes().chain(name.bytes()).rev();
            tail.iter_mut().rev().zip(bytes).for_each(|(slot, byte)| *slot = byte);
        }
    }
    // Bit 5 tells the case of a letter; other bytes may collide, and are compared in full afterwards.
    let folded = u64::from_le_bytes(tail) | 0x2020_2020_2020_2020;
    let length = u64::try_from(prefix.len().wrapping_add(name.len())).unwrap_or(u64::MAX);
    let mixed = folded.wrapping_add(length).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    u32::try_from(mixed >> 32).unwrap_or(u32::MAX) | 1
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
