//! A few bytes on the way to a prefix, kept where they are compared.

/// Bytes that all prefixes below have next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label<const N: usize> {
    pub length: u8,
    bytes: [u8; N],
}

impl<const N: usize> Label<N> {
    /// As much of `text` as there is room for.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut label = Self { length: 0, bytes: [0; N] };
        for (place, byte) in label.bytes.iter_mut().zip(text) {
            *place = *byte;
            label.length += 1;
        }
        label
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// True if `number` has it behind `depth` bytes.
    pub(super) fn is_at(&self, depth: u8, number: &[u8]) -> bool {
        self.length == 0 || number.get(usize::from(depth)..).is_some_and(|rest| rest.starts_with(self.bytes()))
    }
}
