//! The bytes that go into a Failed-AVP: the AVP at fault, or what stands for it (RFC 6733 sections 7.1.5 and 7.5).

use super::avp::AvpFlags;
use super::dictionary::Kind;

/// What can be told of an AVP whose length is wrong; missing bytes of its header count as zero.
pub(super) struct Head {
    pub code: u32,
    pub vendor: u32,
    pub flags: AvpFlags,
    pub length_bytes: usize,
}

impl Head {
    /// `None` if not even the code is there.
    pub fn read(rest: &[u8]) -> Option<Self> {
        let (code, behind) = rest.split_first_chunk::<4>()?;
        let byte = |index: usize| behind.get(index).copied().unwrap_or_default();
        let flags = AvpFlags(byte(0));
        let vendor = if flags.has_vendor() { [byte(4), byte(5), byte(6), byte(7)] } else { [0; 4] };
        let length = u32::from_be_bytes([0, byte(1), byte(2), byte(3)]);
        Some(Self {
            code: u32::from_be_bytes(*code),
            vendor: u32::from_be_bytes(vendor),
            flags,
            length_bytes: usize::try_from(length).unwrap_or(usize::MAX),
        })
    }
}

/// An AVP with a zero value of the shortest length its type permits. A text has one zero byte: other decoders remark on
/// an empty one, and no DiameterIdentity is empty.
pub(super) fn zero(code: u32, vendor: u32, flags: AvpFlags, kind: Kind) -> Vec<u8> {
    const ZEROS: [u8; 8] = [0; 8];
    let bytes = if kind == Kind::Grouped { 0 } else { kind.shortest_bytes().max(1) };
    avp(code, vendor, flags, ZEROS.get(..bytes).unwrap_or_default())
}

/// An AVP with this value, padded. The V bit follows the vendor.
pub(super) fn avp(code: u32, vendor: u32, flags: AvpFlags, value: &[u8]) -> Vec<u8> {
    let has_vendor = vendor != 0 || flags.has_vendor();
    let flags = if has_vendor { flags.0 | AvpFlags::VENDOR } else { flags.0 };
    let length = value.len().saturating_add(if has_vendor { 12 } else { 8 });
    let [.., high, middle, low] = length.to_be_bytes();
    let mut bytes = Vec::with_capacity(length.saturating_add(4));
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend_from_slice(&[flags, high, middle, low]);
    if has_vendor {
        bytes.extend_from_slice(&vendor.to_be_bytes());
    }
    bytes.extend_from_slice(value);
    padded(bytes)
}

/// Zeros up to the next multiple of 4.
pub(super) fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
