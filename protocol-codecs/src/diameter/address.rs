//! The Address format: a family and an address (RFC 6733 section 4.3.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::text::{MaskedText, Octets};

/// IANA address families.
const IPV4: u16 = 1;
const IPV6: u16 = 2;
const E164: u16 = 8;

/// The value of an Address AVP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address<'a> {
    /// IPv4 or IPv6.
    Ip(IpAddr),
    /// A telephone number (SMSC, SCCP).
    E164(MaskedText<'a>),
    /// Any other family; never 1, 2 or 8.
    Other {
        /// Its IANA number.
        family: u16,
        /// As they came.
        bytes: Octets<'a>,
    },
}

/// An address that is none, by what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadAddress {
    /// Not as long as its family demands.
    Length,
    /// A number that is no text.
    Value,
}

impl<'a> Address<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Result<Self, BadAddress> {
        let (family, rest) = value.split_first_chunk::<2>().ok_or(BadAddress::Length)?;
        match u16::from_be_bytes(*family) {
            IPV4 => {
                let octets: [u8; 4] = rest.try_into().map_err(|_| BadAddress::Length)?;
                Ok(Self::Ip(Ipv4Addr::from(octets).into()))
            }
            IPV6 => {
                let octets: [u8; 16] = rest.try_into().map_err(|_| BadAddress::Length)?;
                Ok(Self::Ip(Ipv6Addr::from(octets).into()))
            }
            E164 => Ok(Self::E164(std::str::from_utf8(rest).map_err(|_| BadAddress::Value)?.into())),
            family => Ok(Self::Other { family, bytes: rest.into() }),
        }
    }

    /// Family and address.
    pub(super) fn write(&self, put: impl FnOnce(&[u8])) {
        let joined = |family: u16, address: &[u8]| [&family.to_be_bytes(), address].concat();
        match self {
            Self::Ip(IpAddr::V4(address)) => {
                let ([f0, f1], [a0, a1, a2, a3]) = (IPV4.to_be_bytes(), address.octets());
                put(&[f0, f1, a0, a1, a2, a3]);
            }
            Self::Ip(IpAddr::V6(address)) => put(&joined(IPV6, &address.octets())),
            Self::E164(number) => put(&joined(E164, number.expose().as_bytes())),
            Self::Other { family, bytes } => put(&joined(*family, bytes.expose())),
        }
    }

    /// Whether it would be read as what it is.
    pub(super) fn is_sound(&self) -> bool {
        !matches!(self, Self::Other { family: IPV4 | IPV6 | E164, .. })
    }

    /// The IP address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        if let Self::Ip(address) = self { Some(*address) } else { None }
    }

    /// The same, independent of the message it came in.
    pub fn into_owned(self) -> Address<'static> {
        match self {
            Self::Ip(address) => Address::Ip(address),
            Self::E164(number) => Address::E164(number.into_owned()),
            Self::Other { family, bytes } => Address::Other { family, bytes: bytes.into_owned() },
        }
    }
}

impl From<IpAddr> for Address<'_> {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}
