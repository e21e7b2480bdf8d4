//! Texts of the command line to values; what is refused is refused before anything is sent.

use charging_proto::v1::{SubscriberId, SubscriberIdKind};
use types::{Money, UtcMs};

/// An amount above zero.
pub fn amount(text: &str) -> Result<Money, String> {
    let amount: Money = text.parse().map_err(|error: types::money::MoneyError| error.to_string())?;
    if amount > Money::ZERO { Ok(amount) } else { Err("must be above zero".to_owned()) }
}

/// An amount of zero or more.
pub fn not_negative(text: &str) -> Result<Money, String> {
    let amount: Money = text.parse().map_err(|error: types::money::MoneyError| error.to_string())?;
    if amount.is_negative() { Err("must not be below zero".to_owned()) } else { Ok(amount) }
}

/// `YYYY-MM-DDTHH:MM:SS[.mmm]Z`, or a date for its midnight in UTC.
pub fn time(text: &str) -> Result<UtcMs, String> {
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    whole.parse().map_err(|_| "a time is written 2026-11-22T20:00:00Z or 2026-11-22, in UTC".to_owned())
}

/// The wall clock.
pub fn now() -> UtcMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `kind:value`, such as `e164:+49301234567`.
pub fn identity(text: &str) -> Result<SubscriberId, String> {
    let wrong = || "an identity is written kind:value with the kind e164, imsi, sip_uri, nai or private".to_owned();
    let (kind, value) = text.split_once(':').ok_or_else(wrong)?;
    let kind = KINDS.iter().find(|(name, _)| *name == kind).ok_or_else(wrong)?.1;
    if value.is_empty() { Err(wrong()) } else { Ok(SubscriberId { kind: kind.into(), value: value.to_owned() }) }
}

/// `kind:value` of an identity.
pub fn identity_text(identity: &SubscriberId) -> String {
    let name = KINDS.iter().find(|(_, kind)| *kind == identity.kind()).map_or("unknown", |(name, _)| name);
    format!("{name}:{}", identity.value)
}

const KINDS: [(&str, SubscriberIdKind); 5] = [
    ("e164", SubscriberIdKind::E164),
    ("imsi", SubscriberIdKind::Imsi),
    ("sip_uri", SubscriberIdKind::SipUri),
    ("nai", SubscriberIdKind::Nai),
    ("private", SubscriberIdKind::Private),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_both_ways() {
        for text in ["e164:+49301234567", "sip_uri:sip:alice@example.com", "private:alice"] {
            assert_eq!(identity(text).map(|identity| identity_text(&identity)), Ok(text.to_owned()));
        }
        for text in ["+49301234567", "e164:", "phone:1"] {
            assert!(identity(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_and_amounts() {
        assert_eq!(time("2026-11-22").map(|time| time.to_string()), Ok("2026-11-22T00:00:00.000Z".to_owned()));
        assert!(time("yesterday").is_err());
        assert!(amount("0").is_err() && amount("-1").is_err() && amount("0.01").is_ok());
        assert!(not_negative("0").is_ok() && not_negative("-1").is_err());
    }
}
