//! AVPs into bytes: exact flags and padding, every length checked.
//!
//! The room is zeroed before, so padding costs nothing. Faults and missing room are kept and told at the end: no step
//! has to look back at the one before.

use super::dictionary::Definition;
use super::error::EncodeError;
use super::limits::LENGTH_FIELD_MAX;

/// Writes AVPs into zeroed room. A group is opened, filled and closed; its length is written when it closes.
#[derive(Debug)]
pub(super) struct Writer<'o> {
    room: &'o mut [u8],
    at: usize,
    fault: Option<EncodeError>,
}

/// Where an open group begins.
#[derive(Debug)]
#[must_use = "an open group has no length yet"]
pub(super) struct OpenGroup {
    begin: usize,
    name: &'static str,
}

impl<'o> Writer<'o> {
    pub fn new(room: &'o mut [u8]) -> Self {
        Self { room, at: 0, fault: None }
    }

    /// Bytes written, or that would have been with more room.
    ///
    /// # Errors
    /// The first fault.
    pub fn finish(self) -> Result<usize, EncodeError> {
        self.fault.map_or(Ok(self.at), Err)
    }

    /// Remembers the first fault.
    #[cold]
    pub fn fail(&mut self, fault: EncodeError) {
        self.fault.get_or_insert(fault);
    }

    /// An AVP of four bytes.
    #[inline]
    pub fn four(&mut self, definition: &'static Definition, value: [u8; 4]) {
        let [c0, c1, c2, c3] = definition.code.to_be_bytes();
        let [v0, v1, v2, v3] = value;
        let flags = definition.flags();
        if definition.vendor == 0 {
            self.put([c0, c1, c2, c3, flags, 0, 0, 12, v0, v1, v2, v3]);
        } else {
            let [n0, n1, n2, n3] = definition.vendor.to_be_bytes();
            self.put([c0, c1, c2, c3, flags, 0, 0, 16, n0, n1, n2, n3, v0, v1, v2, v3]);
        }
    }

    /// An AVP of any bytes, padded.
    #[inline]
    pub fn bytes(&mut self, definition: &'static Definition, value: &[u8]) {
        self.head(definition, value.len());
        if let Some(place) = self.room.get_mut(self.at..self.at.saturating_add(value.len())) {
            place.copy_from_slice(value);
        }
        self.at = self.at.saturating_add(value.len()).next_multiple_of(4);
    }

    /// Opens a group.
    #[inline]
    pub fn open(&mut self, definition: &'static Definition) -> OpenGroup {
        let begin = self.at;
        self.head(definition, 0);
        OpenGroup { begin, name: definition.name }
    }

    /// Closes a group.
    #[inline]
    pub fn close(&mut self, group: OpenGroup) {
        let [_, high, middle, low] = self.checked(group.name, self.at.saturating_sub(group.begin)).to_be_bytes();
        if let Some(field) = self.room.get_mut(group.begin.saturating_add(5)..group.begin.saturating_add(8)) {
            field.copy_from_slice(&[high, middle, low]);
        }
    }

    /// These bytes as they are; a multiple of 4.
    #[inline]
    pub fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some(place) = self.room.get_mut(self.at..self.at.saturating_add(N)) {
            place.copy_from_slice(&bytes);
        }
        self.at = self.at.saturating_add(N);
    }

    #[inline]
    fn head(&mut self, definition: &'static Definition, value_bytes: usize) {
        let [c0, c1, c2, c3] = definition.code.to_be_bytes();
        let flags = definition.flags();
        let head_bytes = if definition.vendor == 0 { 8 } else { 12 };
        let length = self.checked(definition.name, value_bytes.saturating_add(head_bytes));
        let [_, high, middle, low] = length.to_be_bytes();
        if definition.vendor == 0 {
            self.put([c0, c1, c2, c3, flags, high, middle, low]);
        } else {
            let [n0, n1, n2, n3] = definition.vendor.to_be_bytes();
            self.put([c0, c1, c2, c3, flags, high, middle, low, n0, n1, n2, n3]);
        }
    }

    /// A length as its 24 bits can tell it; 0 and a fault if they cannot.
    #[inline]
    fn checked(&mut self, what: &'static str, actual_bytes: usize) -> u32 {
        match u32::try_from(actual_bytes) {
            Ok(length) if actual_bytes <= LENGTH_FIELD_MAX => length,
            _ => {
                self.fail(EncodeError::TooLong { what, actual_bytes, limit_bytes: LENGTH_FIELD_MAX });
                0
            }
        }
    }
}
