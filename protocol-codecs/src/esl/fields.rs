//! The name-value pairs of an event or of a header block, in three heap blocks: one text that holds every name and value
//! decoded, an index into it, and a number for each name. Lookups compare these numbers, sixteen at a time, and build nothing.
//!
//! Rules, the same for JSON and plain: names compare without regard to ASCII case and the first of several fields of
//! one name is meant, because FreeSWITCH itself looks its headers up so (`switch_event_get_header_ptr`).

use super::error::MessageError;
use super::limits::FIELDS_MAX;

/// Name-value pairs in the order of the wire. Equal are those with the same pairs.
#[derive(Clone, Default)]
pub struct Fields {
    /// Names and values; between them, what else the message was made of.
    text: String,
    /// Fingerprint of each entry's name, or [`ELEMENT`]. Apart from the entries, so that a lookup reads nothing else.
    prints: Vec<u32>,
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
#[derive(Clone, Copy)]
pub struct Elements<'a> {
    text: &'a str,
    entries: &'a [Entry],
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    name: Span,
    value: Span,
}

/// A part of the text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    from: u32,
    to: u32,
}

impl Span {
    /// `None`: further than a message is long.
    pub fn new(from: usize, to: usize) -> Option<Self> {
        Some(Self { from: u32::try_from(from).ok()?, to: u32::try_from(to).ok()? })
    }

    fn of(self, text: &str) -> Option<&str> {
        text.get(usize::try_from(self.from).ok()?..usize::try_from(self.to).ok()?)
    }
}

/// Marks an element of the array whose entry stands before it. No name has this fingerprint.
const ELEMENT: u32 = 0;
/// Fingerprints compared in one go.
const ROW: usize = 16;

impl Fields {
    /// Fields, arrays counted once.
    pub fn count(&self) -> usize {
        self.prints.iter().filter(|print| **print != ELEMENT).count()
    }

    /// The value of the first field called `prefix` + `name`.
    pub fn value(&self, prefix: &str, name: &str) -> Option<Value<'_>> {
        let print = fingerprint(prefix, name);
        let (rows, rest) = self.prints.as_chunks::<ROW>();
        let mut first = 0_usize;
        for row in rows {
            // Without a way out in the middle, which would make it one comparison after the other.
            if row.iter().fold(false, |found, other| found | (*other == print))
                && let Some(position) = self.called(first, row, print, prefix, name)
            {
                return self.value_at(position);
            }
            first = first.wrapping_add(ROW);
        }
        self.value_at(self.called(first, rest, print, prefix, name)?)
    }

    /// The position of the first of these entries that is called so.
    fn called(&self, first: usize, prints: &[u32], print: u32, prefix: &str, name: &str) -> Option<usize> {
        let candidates = prints.iter().enumerate().filter(|(_, other)| **other == print);
        let mut positions = candidates.map(|(offset, _)| first.wrapping_add(offset));
        positions.find(|position| self.is_called(*position, prefix, name))
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
        let named = self.prints.iter().zip(&self.entries).enumerate().filter(|(_, (print, _))| **print != ELEMENT);
        named.filter_map(|(position, (_, entry))| Some((entry.name.of(&self.text)?, self.value_at(position)?)))
    }

    fn value_at(&self, position: usize) -> Option<Value<'_>> {
        let next = position.saturating_add(1);
        let elements = self.prints.get(next..)?.iter().take_while(|print| **print == ELEMENT).count();
        if elements == 0 {
            return self.entries.get(position)?.value.of(&self.text).map(Value::Text);
        }
        let entries = self.entries.get(next..)?.get(..elements)?;
        Some(Value::Array(Elements { text: &self.text, entries }))
    }

    fn is_called(&self, position: usize, prefix: &str, name: &str) -> bool {
        let full = self.entries.get(position).and_then(|entry| entry.name.of(&self.text));
        let parts = full.and_then(|full| full.split_at_checked(prefix.len()));
        parts.is_some_and(|(head, tail)| head.eq_ignore_ascii_case(prefix) && tail.eq_ignore_ascii_case(name))
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

impl std::fmt::Debug for Fields {
    /// Counts only: names of variables and every value may be a subscriber's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fields({} fields)", self.count())
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
        self.entries.iter().filter_map(move |entry| entry.value.of(text))
    }
}

impl PartialEq for Elements<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Elements<'_> {}

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
        let fields = (body_bytes / 24).min(FIELDS_MAX);
        let (prints, entries) = (Vec::with_capacity(fields), Vec::with_capacity(fields));
        Self { fields: Fields { text: String::with_capacity(body_bytes), prints, entries } }
    }

    /// For fields that stand in this body as they are: see [`Self::name_at`].
    pub fn over(body: &str) -> Self {
        // What was escaped is written again behind it.
        let mut builder = Self::for_body(body.len().saturating_add(body.len() / 8));
        builder.fields.text.push_str(body);
        builder
    }

    /// Begins a field; its value is what is pushed until [`Self::end_text`].
    pub fn begin(&mut self, name: &str) -> Result<(), MessageError> {
        let start = self.written();
        self.fields.text.push_str(name);
        self.add(fingerprint("", name), start, self.written())
    }

    /// Begins an element of the array that the last [`Self::begin`] or [`Self::name_at`] named.
    pub fn begin_element(&mut self) -> Result<(), MessageError> {
        self.add(ELEMENT, self.written(), self.written())
    }

    /// Appends to the value that was begun last.
    pub fn push(&mut self, text: &str) {
        self.fields.text.push_str(text);
    }

    /// Ends the value that was begun last.
    pub fn end_text(&mut self) -> Result<(), MessageError> {
        let end = u32::try_from(self.written()).map_err(|_| TOO_MANY)?;
        if let Some(entry) = self.fields.entries.last_mut() {
            entry.value.to = end;
        }
        Ok(())
    }

    /// Begins a field whose name is there in the text; its value is told by [`Self::value_at`], or elements.
    pub fn name_at(&mut self, name: Span) -> Result<(), MessageError> {
        let print = fingerprint("", name.of(&self.fields.text).unwrap_or_default());
        self.push_entry(print, Entry { name, value: Span::default() })
    }

    /// The value of the field begun last.
    pub fn value_at(&mut self, value: Span) {
        if let Some(entry) = self.fields.entries.last_mut() {
            entry.value = value;
        }
    }

    /// An element of the array that was begun last.
    pub fn element_at(&mut self, value: Span) -> Result<(), MessageError> {
        self.push_entry(ELEMENT, Entry { name: Span::default(), value })
    }

    /// Where the next [`Self::push`] begins, in bytes.
    pub fn written(&self) -> usize {
        self.fields.text.len()
    }

    /// Takes the field begun last back: what it holds means "absent".
    pub fn drop_last(&mut self) {
        if let (Some(entry), Some(_)) = (self.fields.entries.pop(), self.fields.prints.pop()) {
            let start = usize::try_from(entry.name.from).unwrap_or(usize::MAX);
            self.fields.text.truncate(start);
        }
    }

    /// All of them.
    pub fn finish(self) -> Fields {
        self.fields
    }

    fn add(&mut self, print: u32, name: usize, value: usize) -> Result<(), MessageError> {
        let (name, value) = (Span::new(name, value).ok_or(TOO_MANY)?, Span::new(value, value).ok_or(TOO_MANY)?);
        self.push_entry(print, Entry { name, value })
    }

    fn push_entry(&mut self, print: u32, entry: Entry) -> Result<(), MessageError> {
        if self.fields.entries.len() >= FIELDS_MAX {
            return Err(TOO_MANY);
        }
        self.fields.prints.push(print);
        self.fields.entries.push(entry);
        Ok(())
    }
}

const TOO_MANY: MessageError = MessageError::TooManyFields { limit: FIELDS_MAX };

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
