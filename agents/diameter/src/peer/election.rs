//! The election of RFC 6733 section 5.6.4: both sides connected at the same time, and one of the two connections has to go. Pure.
//!
//! | the peer's CER comes while we wait for its CEA | connection it made | connection we made |
//! |---|---|---|
//! | our name is greater: we win | stays: CEA | close |
//! | its name is greater: it wins | close | stays: wait for the CEA |
//!
//! The peer compares the same names and comes to the same end. Whoever owns the connections asks here when a CER comes from a peer that
//! is being connected to, and tells the machine of the connection that goes ([`super::Event::ElectionLost`]).

use std::cmp::Ordering;

/// Which of the two connections stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Elected {
    /// The one that the peer made.
    Accepted,
    /// The one that we made.
    Made,
}

/// Decides. `None`: the names are the same, so it is no peer but ourselves.
pub fn elect(own_host: &str, peer_host: &str) -> Option<Elected> {
    // Octet by octet; letters of both cases are alike, as in the DNS.
    let octets = |name: &str| name.bytes().map(|byte| byte.to_ascii_lowercase()).collect::<Vec<_>>();
    match octets(own_host).cmp(&octets(peer_host)) {
        Ordering::Greater => Some(Elected::Accepted),
        Ordering::Less => Some(Elected::Made),
        Ordering::Equal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greater_name_answers() {
        let rows = [
            ("ocs.example.net", "dra.example.net", Some(Elected::Accepted)),
            ("dra.example.net", "ocs.example.net", Some(Elected::Made)),
            ("OCS.example.net", "dra.example.net", Some(Elected::Accepted)),
            ("ocs.example.net", "OCS.EXAMPLE.NET", None),
            ("ocs.example.net", "ocs.example.netz", Some(Elected::Made)),
            ("ocs10.example.net", "ocs9.example.net", Some(Elected::Made)),
            ("ocs-1.example.net", "ocs.example.net", Some(Elected::Made)),
        ];
        for (own, peer, stays) in rows {
            assert_eq!(elect(own, peer), stays, "{own} and {peer}");
            // Both sides keep the same connection: what one made the other accepted.
            let other = elect(peer, own);
            assert_ne!((stays, other), (Some(Elected::Made), Some(Elected::Made)));
            assert_eq!(stays.is_some(), other.is_some());
            assert!(stays.is_none() || stays != other, "{own} and {peer}");
        }
    }
}
