//! The dictionary: one row an AVP. Where an AVP may stand is told by the tables in `groups` and `message`, which name
//! these rows.
//!
//! Sources: RFC 6733 section 4.5, RFC 8506 section 8, 3GPP TS 32.299 section 7 and TS 29.061 section 16.4.7, checked
//! against the dictionaries of Wireshark and of the recorded peers.

mod base;
mod credit_control;
mod tgpp;
mod tgpp_ims;
mod tgpp_messaging;

pub use base::*;
pub use credit_control::*;
pub use tgpp::*;
pub use tgpp_ims::*;
pub use tgpp_messaging::*;

use super::avp::AvpFlags;

/// The data formats of RFC 6733 sections 4.2 to 4.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Any bytes.
    OctetString,
    /// Four bytes.
    Integer32,
    /// Eight bytes.
    Integer64,
    /// Four bytes.
    Unsigned32,
    /// Eight bytes.
    Unsigned64,
    /// AVPs.
    Grouped,
    /// Family and address.
    Address,
    /// NTP seconds.
    Time,
    /// Text.
    Utf8String,
    /// A host or realm.
    DiameterIdentity,
    /// `aaa://...`.
    DiameterUri,
    /// Four bytes, a number with a name.
    Enumerated,
    /// A packet filter as text.
    IpFilterRule,
}

impl Kind {
    /// Bytes of the shortest value.
    pub fn shortest_bytes(self) -> usize {
        match self {
            Self::Integer32 | Self::Unsigned32 | Self::Time | Self::Enumerated => 4,
            Self::Integer64 | Self::Unsigned64 => 8,
            Self::Address => 6,
            Self::OctetString
            | Self::Grouped
            | Self::Utf8String
            | Self::DiameterIdentity
            | Self::DiameterUri
            | Self::IpFilterRule => 0,
        }
    }

    /// Whether a value may have this many bytes.
    pub fn takes(self, bytes: usize) -> bool {
        match self {
            Self::Integer32 | Self::Unsigned32 | Self::Time | Self::Enumerated => bytes == 4,
            Self::Integer64 | Self::Unsigned64 => bytes == 8,
            _ => bytes >= self.shortest_bytes(),
        }
    }
}

/// The rule for the M bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mandatory {
    /// Always set.
    Must,
    /// Either; we set it.
    May,
    /// Either; we do not set it.
    ShouldNot,
    /// Never set.
    MustNot,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Definition {
    /// The specification's name.
    pub name: &'static str,
    /// AVP code.
    pub code: u32,
    /// IANA enterprise number; 0 = IETF.
    pub vendor: u32,
    /// Data format.
    pub kind: Kind,
    /// Rule for the M bit.
    pub mandatory: Mandatory,
}

impl Definition {
    /// The flags we send: V if it has a vendor, M by its rule.
    #[inline]
    pub const fn flags(&self) -> u8 {
        let vendor = if self.vendor == 0 { 0 } else { AvpFlags::VENDOR };
        match self.mandatory {
            Mandatory::Must | Mandatory::May => vendor | AvpFlags::MANDATORY,
            Mandatory::ShouldNot | Mandatory::MustNot => vendor,
        }
    }

    /// Whether its specification permits these flags.
    pub fn permits(&self, flags: AvpFlags) -> bool {
        let mandatory = match self.mandatory {
            Mandatory::Must => flags.is_mandatory(),
            Mandatory::MustNot => !flags.is_mandatory(),
            Mandatory::May | Mandatory::ShouldNot => true,
        };
        mandatory && flags.has_vendor() == (self.vendor != 0) && flags.0 & 0x3F == 0
    }
}

/// Vendor and code in one number.
pub(super) const fn key(vendor: u32, code: u32) -> u64 {
    #[allow(clippy::as_conversions, reason = "widening; `u64::from` is not const")]
    let (vendor, code) = (vendor as u64, code as u64);
    vendor << 32 | code
}

/// The row of an AVP; `None` = unknown.
pub fn find(vendor: u32, code: u32) -> Option<&'static Definition> {
    let wanted = key(vendor, code);
    TABLES.iter().find_map(|rows| {
        let index = rows.binary_search_by_key(&wanted, |row| key(row.vendor, row.code)).ok()?;
        rows.get(index).copied()
    })
}

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Definition> {
    TABLES.iter().flat_map(|rows| rows.iter().copied())
}

const TABLES: &[&[&Definition]] = &[base::ROWS, credit_control::ROWS, tgpp::ROWS, tgpp_ims::ROWS, tgpp_messaging::ROWS];

/// Numbers for `match`.
pub(super) mod keys {
    pub use super::base::keys::*;
    pub use super::credit_control::keys::*;
    pub use super::tgpp::keys::*;
    pub use super::tgpp_ims::keys::*;
    pub use super::tgpp_messaging::keys::*;
}

/// Makes the constants, the searchable table (rows must be in the order of vendor and code; a test checks it) and the
/// numbers for `match`.
macro_rules! definitions {
    ($($name:ident = $wire:literal, $vendor:literal / $code:literal, $kind:ident, $mandatory:ident;)+) => {
        use super::{Definition, Kind, Mandatory};

        $(
            #[doc = concat!($wire, ", code ", $code, ", vendor ", $vendor, ".")]
            pub const $name: Definition = Definition {
                name: $wire,
                code: $code,
                vendor: $vendor,
                kind: Kind::$kind,
                mandatory: Mandatory::$mandatory,
            };
        )+

        pub(super) const ROWS: &[&Definition] = &[$(&$name),+];

        #[allow(dead_code, reason = "rows that no message of ours names are known, and so ignored where they stand")]
        pub(in crate::diameter) mod keys {
            $(pub const $name: u64 = crate::diameter::dictionary::key($vendor, $code);)+
        }
    };
}
use definitions;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_each_is_found() {
        for rows in TABLES {
            assert!(rows.is_sorted_by(|a, b| key(a.vendor, a.code) < key(b.vendor, b.code)), "{}", rows[0].name);
        }
        for row in all() {
            assert_eq!(find(row.vendor, row.code), Some(row), "{} stands in two tables", row.name);
        }
        assert_eq!(find(0, 873), None, "vendors matter");
        assert!(all().count() > 200);
    }

    #[test]
    fn flags_follow_the_rules() {
        for row in all() {
            assert!(row.permits(AvpFlags(row.flags())), "{}", row.name);
        }
        let rows: &[(&Definition, u8)] = &[
            (&SESSION_ID, 0x40),
            (&PRODUCT_NAME, 0x00),
            (&ERROR_MESSAGE, 0x00),
            (&SERVICE_INFORMATION, 0xC0),
            (&QOS_FINAL_UNIT_INDICATION, 0x00),
        ];
        for (row, flags) in rows {
            assert_eq!(row.flags(), *flags, "{}", row.name);
        }
        assert!(!SESSION_ID.permits(AvpFlags(0x00)), "M is missing");
        assert!(!SESSION_ID.permits(AvpFlags(0x41)), "a reserved bit");
        assert!(!PRODUCT_NAME.permits(AvpFlags(0x40)), "M must not be");
    }
}
