//! Who may connect: by name, realm and address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A peer, or several that are alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its Origin-Host; `*.example.net` for all hosts of a domain.
    pub host: Box<str>,
    /// Its Origin-Realm; absent: any.
    #[serde(default)]
    pub realm: Option<Box<str>>,
    /// Where it connects from; empty: anywhere.
    #[serde(default)]
    pub addresses: Vec<Network>,
    /// A relay: it brings requests of other hosts. Others may speak for themselves alone.
    #[serde(default)]
    pub relay: bool,
}

impl PeerConfig {
    /// Whether the peer that calls itself so is this one.
    pub fn admits(&self, host: &str, realm: &str, address: IpAddr) -> bool {
        self.is_named(host)
            && self.realm.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(realm))
            && (self.addresses.is_empty() || self.addresses.iter().any(|network| network.contains(address)))
    }

    /// Whether it has this name.
    pub fn is_named(&self, host: &str) -> bool {
        match self.host.strip_prefix('*') {
            Some(domain) => {
                let begin = host.len().checked_sub(domain.len());
                let tail = begin.and_then(|begin| host.get(begin..));
                tail.is_some_and(|tail| tail.eq_ignore_ascii_case(domain) && tail.len() < host.len())
            }
            None => self.host.eq_ignore_ascii_case(host),
        }
    }

    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let name = self.host.strip_prefix("*.").unwrap_or(&self.host);
        if super::is_identity(name) {
            return Vec::new();
        }
        vec![("host", "must be a host name, or *.domain for all hosts of a domain".to_owned())]
    }
}

/// An address, or all that begin like it: `10.1.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Box<str>", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether this address is one of them. An IPv4 address is the same when it is written as IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other) = (self.address.to_canonical(), address.to_canonical());
        let (own, other, width) = match (own, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (u128::from(own.to_bits()), u128::from(other.to_bits()), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        let shift = u32::saturating_sub(width, u32::from(self.bits));
        own.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
    }
}

/// It is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an address such as 10.1.2.3, or a network such as 10.1.0.0/16")]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let width: u8 = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), |bits| bits.parse().map_err(|_| NetworkError))?;
        if bits > width { Err(NetworkError) } else { Ok(Self { address, bits }) }
    }
}

impl TryFrom<Box<str>> for Network {
    type Error = NetworkError;

    fn try_from(text: Box<str>) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}
