//! What a record says about where it belongs: its call, for the order; its partition key, for the shard.

use std::borrow::Cow;

use serde::Deserialize;

use super::config::PartitionKey;
use super::shards::hash_key;

/// The API takes 1 to 256 characters (`PutRecordsRequestEntry`).
const LONGEST_KEY: usize = 256;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// The call, or what stands for it.
    pub call: Box<str>,
    pub partition: Box<str>,
}

/// As much of a record as is needed; records of later releases have it too.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(borrow)]
    call_id: Cow<'a, str>,
    #[serde(borrow, default)]
    calling_party: Party<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Party<'a> {
    #[serde(borrow)]
    subscriber_id: Option<Cow<'a, str>>,
}

impl Keys {
    /// A record without a `callId`, or that is none of ours, is a call of its own.
    pub fn of(json: &[u8], by: PartitionKey) -> Self {
        let identity = serde_json::from_slice::<Identity<'_>>(json).ok();
        let Some(Identity { call_id, calling_party }) = identity.filter(|identity| !identity.call_id.is_empty()) else {
            let own: Box<str> = format!("{:032x}", hash_key(&String::from_utf8_lossy(json))).into();
            return Self { call: own.clone(), partition: own };
        };
        let account = calling_party.subscriber_id.filter(|account| !account.is_empty());
        let partition = match (by, &account) {
            (PartitionKey::Account, Some(account)) => account,
            _ => &call_id,
        };
        Self { partition: short(partition), call: call_id.into() }
    }
}

/// What is too long for a key goes by its hash: the same for all of it.
fn short(key: &str) -> Box<str> {
    if key.chars().nth(LONGEST_KEY).is_none() { key.into() } else { format!("{:032x}", hash_key(key)).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_and_partition_key() {
        let long = "ü".repeat(257);
        let of_long = format!(r#"{{"callId":"{long}"}}"#);
        let hash_of_long = format!("{:032x}", hash_key(&long));
        let exactly = format!(r#"{{"callId":"{}"}}"#, "ü".repeat(256));
        let with_account = r#"{"recordId":"r","callId":"c\"1","callingParty":{"number":"+49","subscriberId":"1001"}}"#;
        let rows = [
            (with_account, PartitionKey::Call, "c\"1", "c\"1"),
            (with_account, PartitionKey::Account, "c\"1", "1001"),
            (r#"{"callId":"c","callingParty":{}}"#, PartitionKey::Account, "c", "c"),
            (r#"{"callId":"c","callingParty":{"subscriberId":""}}"#, PartitionKey::Account, "c", "c"),
            (r#"{"callId":"c"}"#, PartitionKey::Account, "c", "c"),
            (&*of_long, PartitionKey::Call, &*long, &*hash_of_long),
            (&*exactly, PartitionKey::Call, &*"ü".repeat(256), &*"ü".repeat(256)),
        ];
        for (json, by, call, partition) in rows {
            let keys = Keys::of(json.as_bytes(), by);
            assert_eq!((&*keys.call, &*keys.partition), (call, partition), "{json}");
        }
        for json in [&b"{}"[..], b"\xff", b"", br#"{"callId":""}"#, br#"{"callId":7}"#] {
            let keys = Keys::of(json, PartitionKey::Call);
            assert_eq!((keys.partition.len(), &keys.call), (32, &keys.partition));
            assert_eq!(Keys::of(json, PartitionKey::Account), keys, "the same again");
        }
    }
}
