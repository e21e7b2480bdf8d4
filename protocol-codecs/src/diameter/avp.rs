//! One AVP as a view of the bytes it came in, and the walk along a row of them (RFC 6733 section 4).

use std::fmt;

use nom::IResult;
use nom::bytes::complete::take;

use super::dictionary::{self, Definition};

/// The flags of an AVP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AvpFlags(pub u8);

impl AvpFlags {
    /// V.
    pub const VENDOR: u8 = 0x80;
    /// M.
    pub const MANDATORY: u8 = 0x40;
    /// P, of RFC 3588.
    pub const PROTECTED: u8 = 0x20;

    /// V: a vendor id follows the length.
    pub fn has_vendor(self) -> bool {
        self.0 & Self::VENDOR != 0
    }

    /// M: who does not know it must refuse the message.
    pub fn is_mandatory(self) -> bool {
        self.0 & Self::MANDATORY != 0
    }
}

/// An AVP as a view. `Debug` tells its length, never its value: that may name a subscriber.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Avp<'a> {
    /// Code; together with the vendor it names the AVP.
    pub code: u32,
    /// IANA enterprise number; 0 = none.
    pub vendor: u32,
    /// V, M, P.
    pub flags: AvpFlags,
    /// The value, without padding.
    pub value: &'a [u8],
    /// Header and value, without padding.
    pub raw: &'a [u8],
    /// Vendor and code in one number: made where both are at hand, which spares every reader to wait for them.
    key: u64,
}

impl<'a> Avp<'a> {
    /// Vendor and code in one number.
    #[inline]
    pub(super) fn key(&self) -> u64 {
        self.key
    }

    /// The same AVP, were it of this vendor.
    pub(super) fn of_vendor(self, vendor: u32) -> Self {
        Self { vendor, key: dictionary::key(vendor, self.code), ..self }
    }

    /// Its row in the dictionary; `None` = unknown.
    pub fn definition(&self) -> Option<&'static Definition> {
        dictionary::find(self.vendor, self.code)
    }

    /// The AVPs in it, if it is a group.
    pub fn avps(&self) -> Avps<'a> {
        Avps::new(self.value)
    }
}

impl fmt::Debug for Avp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "avp {}/{} flags {:#04x}, {} bytes", self.code, self.vendor, self.flags.0, self.value.len())
    }
}

/// AVPs one after the other, each checked against what is left before it is touched.
#[derive(Debug, Clone, Copy)]
pub struct Avps<'a> {
    rest: &'a [u8],
}

/// The length of an AVP cannot be right: the row ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokenAvp<'a> {
    /// Everything from the broken AVP to the end of its message or group.
    pub rest: &'a [u8],
}

impl<'a> Avps<'a> {
    /// Over these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next one; `None` at the end. The padding of the last one may be missing (some peers leave it out at the end
    /// of a group), and what is in paddings is not looked at.
    ///
    /// # Errors
    /// Fewer bytes than a header, a length below that of its own header, or past the end. A repeated call gives the
    /// same error.
    #[inline]
    pub fn next_avp(&mut self) -> Result<Option<Avp<'a>>, BrokenAvp<'a>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let broken = BrokenAvp { rest: self.rest };
        let Ok((behind, (code, flags, length))) = head(self.rest) else { return Err(broken) };
        let (vendor, head_bytes) = if flags.has_vendor() {
            let Ok((_, vendor)) = vendor_id(behind) else { return Err(broken) };
            (vendor, 12)
        } else {
            (0, 8)
        };
        let Some(raw) = self.rest.get(..length) else { return Err(broken) };
        let Some(value) = raw.get(head_bytes..) else { return Err(broken) };
        // 24 bits: rounding up cannot overflow.
        let padded = length.wrapping_add(3) & !3;
        self.rest = self.rest.get(padded.min(self.rest.len())..).unwrap_or_default();
        Ok(Some(Avp { code, vendor, flags, value, raw, key: dictionary::key(vendor, code) }))
    }

    /// Bytes not yet walked.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// Code, flags and length: one word, which costs less than its fields one by one.
#[inline]
fn head(input: &[u8]) -> IResult<&[u8], (u32, AvpFlags, usize), ()> {
    let (rest, bytes) = take(8_usize)(input)?;
    let [c0, c1, c2, c3, flags, l0, l1, l2] = *bytes.first_chunk::<8>().ok_or(nom::Err::Error(()))?;
    let length = usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).map_err(|_| nom::Err::Error(()))?;
    Ok((rest, (u32::from_be_bytes([c0, c1, c2, c3]), AvpFlags(flags), length)))
}

/// The vendor behind the length.
#[inline]
fn vendor_id(input: &[u8]) -> IResult<&[u8], u32, ()> {
    let (rest, bytes) = take(4_usize)(input)?;
    let vendor = bytes.first_chunk::<4>().ok_or(nom::Err::Error(()))?;
    Ok((rest, u32::from_be_bytes(*vendor)))
}
