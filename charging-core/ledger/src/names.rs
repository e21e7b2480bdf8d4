//! An account's id and identities in one allocation: there are millions of accounts, and each allocation of a short text
//! costs as much again.

use serde::{Deserialize, Serialize};
use types::charging::{SubscriberId, SubscriberIdKind};
use types::{AccountId, Number};

/// The id, then the identities: of each the kind, but for the id, then the length in two octets, then the text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Names(#[serde(with = "crate::octets")] Box<[u8]>);

impl Names {
    pub fn of(id: &AccountId, identities: &[SubscriberId]) -> Self {
        let all: usize = identities.iter().map(|identity| identity.value.expose().len() + 3).sum();
        let mut bytes = Vec::with_capacity(id.as_str().len() + 2 + all);
        write(&mut bytes, id.as_str());
        for identity in identities {
            bytes.push(code(identity.kind));
            write(&mut bytes, identity.value.expose());
        }
        Self(bytes.into())
    }

    /// The first octet; 0 when there is none.
    pub fn first(&self) -> u8 {
        self.0.first().copied().unwrap_or(0)
    }

    pub fn id(&self) -> &str {
        read(&self.0).map_or("", |(id, _)| id)
    }

    /// Whether that is the id; compared as octets, because every request asks.
    pub fn has_id(&self, id: &str) -> bool {
        octets(&self.0).is_some_and(|(own, _)| own == id.as_bytes())
    }

    /// Whether that is one of the identities.
    pub fn has(&self, kind: SubscriberIdKind, value: &str) -> bool {
        let mut rest = octets(&self.0).map_or(&[][..], |(_, rest)| rest);
        while let Some((own_kind, behind)) = rest.split_first() {
            let Some((own, behind)) = octets(behind) else { return false };
            if *own_kind == code(kind) && own == value.as_bytes() {
                return true;
            }
            rest = behind;
        }
        false
    }

    pub fn identities(&self) -> impl Iterator<Item = (SubscriberIdKind, &str)> {
        let mut rest = read(&self.0).map_or(&[][..], |(_, rest)| rest);
        std::iter::from_fn(move || {
            let (code, after) = rest.split_first()?;
            let (value, after) = read(after)?;
            rest = after;
            Some((kind(*code), value))
        })
    }

    pub fn subscribers(&self) -> Vec<SubscriberId> {
        let subscriber = |(kind, value): (SubscriberIdKind, &str)| SubscriberId { kind, value: Number::from(value) };
        self.identities().map(subscriber).collect()
    }
}

/// Masked: identities are subscriber numbers.
impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("id", &self.id()).field("identities", &self.subscribers()).finish()
    }
}

/// Ids and identities have at most 128 bytes; a text that is longer all the same is cut.
fn write(bytes: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.bytes().take(usize::from(length)));
}

fn read(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (text, rest) = octets(bytes)?;
    Some((std::str::from_utf8(text).unwrap_or_default(), rest))
}

/// A text as octets, and what is behind it.
fn octets(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

// Written out, because snapshots contain them.

const fn code(kind: SubscriberIdKind) -> u8 {
    match kind {
        SubscriberIdKind::E164 => 0,
        SubscriberIdKind::Imsi => 1,
        SubscriberIdKind::SipUri => 2,
        SubscriberIdKind::Nai => 3,
        SubscriberIdKind::Private => 4,
    }
}

const fn kind(code: u8) -> SubscriberIdKind {
    match code {
        0 => SubscriberIdKind::E164,
        1 => SubscriberIdKind::Imsi,
        2 => SubscriberIdKind::SipUri,
        3 => SubscriberIdKind::Nai,
        _ => SubscriberIdKind::Private,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_went() {
        let kinds = [
            SubscriberIdKind::E164,
            SubscriberIdKind::Imsi,
            SubscriberIdKind::SipUri,
            SubscriberIdKind::Nai,
            SubscriberIdKind::Private,
        ];
        let identity = |(at, kind): (usize, SubscriberIdKind)| SubscriberId {
            kind,
            value: Number::from("ä".repeat(at).as_str()),
        };
        for count in 0..=kinds.len() {
            let identities: Vec<SubscriberId> = kinds.into_iter().take(count).enumerate().map(identity).collect();
            let names = Names::of(&"anna".into(), &identities);
            for (at, identity) in identities.iter().enumerate() {
                assert!(names.has(identity.kind, identity.value.expose()));
                // Each is as long as no other is.
                assert!(!names.has(kinds[(at + 1) % kinds.len()], identity.value.expose()), "{at}");
            }
            assert!(names.has_id("anna") && !names.has_id("ann") && !names.has_id("annas"));
            assert_eq!((names.id(), names.subscribers()), ("anna", identities));
        }
        assert!(!format!("{:?}", Names::of(&"a".into(), &[identity((40, kinds[0]))])).contains(&"ä".repeat(20)));
    }
}
