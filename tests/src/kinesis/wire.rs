//! Requests and answers in AWS JSON 1.1, as far as they are used; names are those of the Kinesis API reference.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// PutRecords.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecords<'a> {
    #[serde(borrow, default)]
    pub stream_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub records: Vec<Entry<'a>>,
}

/// One record of PutRecords.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry<'a> {
    /// Base64.
    #[serde(borrow)]
    pub data: Cow<'a, str>,
    #[serde(borrow)]
    pub partition_key: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub explicit_hash_key: Option<Cow<'a, str>>,
}

impl Entry<'_> {
    /// What it counts against size and shard limits: data and partition key, in octets.
    pub fn bytes(&self) -> u64 {
        let padding = self.data.bytes().rev().take_while(|byte| *byte == b'=').count();
        let data = (self.data.len() / 4 * 3).saturating_sub(padding);
        u64::try_from(data + self.partition_key.len()).unwrap_or(u64::MAX)
    }
}

/// The answer to PutRecords.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecordsAnswer {
    pub failed_record_count: usize,
    pub records: Vec<EntryAnswer>,
}

/// What became of one record.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EntryAnswer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// PutRecords' way to another server.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecordsForward<'a> {
    pub stream_name: &'a str,
    pub records: Vec<&'a Entry<'a>>,
}

/// The answer to ListShards.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListShardsAnswer {
    pub shards: Vec<ListedShard>,
}

/// One shard in it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListedShard {
    pub shard_id: String,
    #[serde(default)]
    pub parent_shard_id: Option<String>,
    #[serde(default)]
    pub adjacent_parent_shard_id: Option<String>,
    pub hash_key_range: HashKeyRange,
    pub sequence_number_range: SequenceNumberRange,
}

/// Decimal numbers of 128 bits, both ends within.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HashKeyRange {
    pub starting_hash_key: String,
    pub ending_hash_key: String,
}

/// An open shard has no end.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SequenceNumberRange {
    pub starting_sequence_number: String,
    #[serde(default)]
    pub ending_sequence_number: Option<String>,
}

/// An answer: the status, and a body of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, body }
    }

    /// An error as the service words it: `{"__type": kind, "message": message}`.
    pub fn error(status: u16, kind: &str, message: &str) -> Self {
        let body = serde_json::json!({"__type": kind, "message": message});
        Self { status, body: body.to_string().into_bytes() }
    }
}
