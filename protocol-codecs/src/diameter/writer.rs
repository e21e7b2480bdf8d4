//! AVPs into bytes: exact flags and padding, every length checked.
//!
//! The room is zeroed before, so padding costs nothing. Faults and missing room are kept and told at the end: no step
//! has to look back at the one before. What writes an AVP is called, not repeated in every table: tables that read and
//! write one message must find room in the processor's cache of instructions together.

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
    /// The last [`SLACK_BYTES`] of the room are not for AVPs.
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
    #[inline(never)]
    pub fn four(&mut self, definition: &'static Definition, value: [u8; 4]) {
        self.head(definition, 4);
        self.put(value);
    }

    /// An AVP of any bytes, padded.
    #[inline(never)]
    pub fn bytes(&mut self, definition: &'static Definition, value: &[u8]) {
        self.head(definition, value.len());
        // Most values are short: two overlapping words instead of a call.
        let end = self.at.saturating_add(value.len());
        let place = self.room.get_mut(self.at..end).unwrap_or_default();
        match value.len() {
            8..=16 => overlapping::<8>(place, value),
            4..8 => overlapping::<4>(place, value),
            _ => copy(place, value),
        }
        self.at = end.next_multiple_of(4);
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
    #[inline(always)]
    pub fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some(place) = self.room.get_mut(self.at..self.at.saturating_add(N)) {
            place.copy_from_slice(&bytes);
        }
        self.at = self.at.saturating_add(N);
    }

    /// The header. The vendor is written in any case: without one the value goes over it. So there is nothing to guess for the processor.
    #[inline(always)]
    fn head(&mut self, definition: &'static Definition, value_bytes: usize) {
        let head_bytes = if definition.vendor == 0 { 8 } else { 12 };
        let length = self.checked(definition.name, value_bytes.saturating_add(head_bytes));
        let [c0, c1, c2, c3] = definition.code.to_be_bytes();
        let [_, high, middle, low] = length.to_be_bytes();
        let [n0, n1, n2, n3] = definition.vendor.to_be_bytes();
        if let Some(place) = self.room.get_mut(self.at..self.at.saturating_add(12)) {
            place.copy_from_slice(&[c0, c1, c2, c3, definition.flags(), high, middle, low, n0, n1, n2, n3]);
        }
        self.at = self.at.saturating_add(head_bytes);
    }

    /// A length as its 24 bits can tell it; 0 and a fault if they cannot.
    #[inline(always)]
    fn checked(&mut self, what: &'static str, actual_bytes: usize) -> u32 {
        match u32::try_from(actual_bytes) {
            Ok(length) if actual_bytes <= LENGTH_FIELD_MAX => length,
            _ => self.too_long(what, actual_bytes),
        }
    }

    #[cold]
    fn too_long(&mut self, what: &'static str, actual_bytes: usize) -> u32 {
        self.fail(EncodeError::TooLong { what, actual_bytes, limit_bytes: LENGTH_FIELD_MAX });
        0
    }
}

/// A value of `N` to twice `N` bytes.
#[inline(always)]
fn overlapping<const N: usize>(place: &mut [u8], value: &[u8]) {
    if let (Some(place), Some(first)) = (place.first_chunk_mut::<N>(), value.first_chunk::<N>()) {
        *place = *first;
    }
    if let (Some(place), Some(last)) = (place.last_chunk_mut::<N>(), value.last_chunk::<N>()) {
        *place = *last;
    }
}

/// Long values, and very short ones.
#[inline(never)]
fn copy(place: &mut [u8], value: &[u8]) {
    if place.len() == value.len() {
        place.copy_from_slice(value);
    }
}

/// Room behind the last AVP that a header without a vendor may write to.
pub(super) const SLACK_BYTES: usize = 4;
