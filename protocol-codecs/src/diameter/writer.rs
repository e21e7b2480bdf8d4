//! AVPs into bytes: exact flags and padding, every length checked.

use bytes::{BufMut, BytesMut};

use super::dictionary::Definition;
use super::error::EncodeError;
use super::limits::LENGTH_FIELD_MAX;

/// Appends AVPs to a buffer. A group is opened, filled and closed; its length is written when it closes.
#[derive(Debug)]
pub(super) struct Writer<'o> {
    out: &'o mut BytesMut,
}

/// Where an open group begins.
#[derive(Debug)]
#[must_use = "an open group has no length yet"]
pub(super) struct OpenGroup {
    begin: usize,
    name: &'static str,
}

impl<'o> Writer<'o> {
    pub fn new(out: &'o mut BytesMut) -> Self {
        Self { out }
    }

    /// An AVP of four bytes.
    #[inline]
    pub fn four(&mut self, definition: &'static Definition, value: [u8; 4]) {
        let [c0, c1, c2, c3] = definition.code.to_be_bytes();
        let [v0, v1, v2, v3] = value;
        let flags = definition.flags();
        if definition.vendor == 0 {
            self.out.extend_from_slice(&[c0, c1, c2, c3, flags, 0, 0, 12, v0, v1, v2, v3]);
        } else {
            let [n0, n1, n2, n3] = definition.vendor.to_be_bytes();
            self.out.extend_from_slice(&[c0, c1, c2, c3, flags, 0, 0, 16, n0, n1, n2, n3, v0, v1, v2, v3]);
        }
    }

    /// An AVP of any bytes, padded.
    #[inline]
    pub fn bytes(&mut self, definition: &'static Definition, parts: &[&[u8]]) -> Result<(), EncodeError> {
        let value_bytes = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
        let length = self.head(definition, value_bytes)?;
        for part in parts {
            self.out.extend_from_slice(part);
        }
        self.pad(length);
        Ok(())
    }

    /// Opens a group.
    #[inline]
    pub fn open(&mut self, definition: &'static Definition) -> Result<OpenGroup, EncodeError> {
        let begin = self.out.len();
        self.head(definition, 0)?;
        Ok(OpenGroup { begin, name: definition.name })
    }

    /// Closes a group.
    #[inline]
    pub fn close(&mut self, group: OpenGroup) -> Result<(), EncodeError> {
        let length = checked_length(group.name, self.out.len().saturating_sub(group.begin))?;
        let [_, high, middle, low] = length.to_be_bytes();
        if let Some(field) = self.out.get_mut(group.begin.saturating_add(5)..group.begin.saturating_add(8)) {
            field.copy_from_slice(&[high, middle, low]);
        }
        Ok(())
    }

    #[inline]
    fn head(&mut self, definition: &'static Definition, value_bytes: usize) -> Result<usize, EncodeError> {
        let [c0, c1, c2, c3] = definition.code.to_be_bytes();
        let flags = definition.flags();
        let head_bytes = if definition.vendor == 0 { 8 } else { 12 };
        let actual = value_bytes.saturating_add(head_bytes);
        let [_, high, middle, low] = checked_length(definition.name, actual)?.to_be_bytes();
        if definition.vendor == 0 {
            self.out.extend_from_slice(&[c0, c1, c2, c3, flags, high, middle, low]);
        } else {
            let [n0, n1, n2, n3] = definition.vendor.to_be_bytes();
            self.out.extend_from_slice(&[c0, c1, c2, c3, flags, high, middle, low, n0, n1, n2, n3]);
        }
        Ok(actual)
    }

    #[inline]
    fn pad(&mut self, length: usize) {
        let padding = length.next_multiple_of(4) - length;
        if padding > 0 {
            self.out.put_bytes(0, padding);
        }
    }
}

/// A length as its 24 bits can tell it.
pub(super) fn checked_length(what: &'static str, actual_bytes: usize) -> Result<u32, EncodeError> {
    u32::try_from(actual_bytes).ok().filter(|_| actual_bytes <= LENGTH_FIELD_MAX).ok_or(EncodeError::TooLong {
        what,
        actual_bytes,
        limit_bytes: LENGTH_FIELD_MAX,
    })
}
