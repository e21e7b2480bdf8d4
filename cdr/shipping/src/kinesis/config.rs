//! The sink's table in the configuration file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use types::ConfigDuration;

use super::lanes::Limits;

/// How records get into a stream. Keys of access are never written here: they come from `credentials_file`, or from where AWS programs
/// look for them: the environment (`AWS_ACCESS_KEY_ID` ...), the profile files, a web identity, the container, the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KinesisConfig {
    /// Name or ARN of the stream.
    pub stream: String,
    /// AWS region, such as `eu-central-1`. Absent: from the environment, the profile, or the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Another address than the region's, such as `http://127.0.0.1:4567` of a Kinesis-compatible server. Absent: AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// Profile in the files of AWS programs. Absent: `AWS_PROFILE`, or `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// A file in the form of `~/.aws/credentials`, used instead of all other places. Absent: the usual places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// What keeps together in one shard.
    #[serde(default)]
    pub partition_key: PartitionKey,
    /// Records in one request, 1 to 500 (the API's limit).
    #[serde(default = "defaults::batch_records")]
    pub batch_records: usize,
    /// Octets of records and partition keys in one request. The API's limit is 10 MiB, older releases and compatible servers
    /// have 5 MiB; at most 9 MiB here.
    #[serde(default = "defaults::batch_bytes")]
    pub batch_bytes: u64,
    /// A record waits so long for others to go with it; at most 10 s.
    #[serde(default = "defaults::batch_age")]
    pub batch_age: ConfigDuration,
    /// A request that is not answered by then is repeated; 100 ms to 2 min.
    #[serde(default = "defaults::request_timeout")]
    pub request_timeout: ConfigDuration,
    /// The first pause of a shard's lane after a request that stored nothing; each further one is twice as long, all are jittered.
    #[serde(default = "defaults::backoff_min")]
    pub backoff_min: ConfigDuration,
    /// The longest pause.
    #[serde(default = "defaults::backoff_max")]
    pub backoff_max: ConfigDuration,
    /// Records a second that one shard takes (the service's limit is 1000).
    #[serde(default = "defaults::shard_records_per_s")]
    pub shard_records_per_s: u64,
    /// Octets a second that one shard takes (the service's limit is 1 MiB).
    #[serde(default = "defaults::shard_bytes_per_s")]
    pub shard_bytes_per_s: u64,
    /// Requests under way at the same time, at most; each shard has one at most. 1 to 1000.
    #[serde(default = "defaults::requests")]
    pub requests: usize,
    /// Largest record with its partition key, in octets: 1 MiB unless the stream was set to more, at most 9 MiB. A larger one is kept
    /// in the file `NAME.parked.jsonl` beside the checkpoint.
    #[serde(default = "defaults::max_record_bytes")]
    pub max_record_bytes: u64,
    /// How often the stream's shards are listed, besides whenever an answer shows that they have changed; at least 1 s.
    #[serde(default = "defaults::shards_interval")]
    pub shards_interval: ConfigDuration,
}

/// What keeps together in one shard, and so comes to one consumer. The order of records is per call in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartitionKey {
    /// All records of a call: `callId`. Spreads best.
    #[default]
    Call,
    /// All records of a paying account: `callingParty.subscriberId`, or `callId` where there is none.
    Account,
}

mod defaults {
    use types::ConfigDuration;

    pub const fn batch_records() -> usize {
        500
    }
    pub const fn batch_bytes() -> u64 {
        // 5 MiB less a tenth, for servers that count more than records and keys.
        4_718_592
    }
    pub const fn batch_age() -> ConfigDuration {
        ConfigDuration::from_ms(100)
    }
    pub const fn request_timeout() -> ConfigDuration {
        ConfigDuration::from_s(10)
    }
    pub const fn backoff_min() -> ConfigDuration {
        ConfigDuration::from_ms(100)
    }
    pub const fn backoff_max() -> ConfigDuration {
        ConfigDuration::from_s(10)
    }
    pub const fn shard_records_per_s() -> u64 {
        1000
    }
    pub const fn shard_bytes_per_s() -> u64 {
        1024 * 1024
    }
    pub const fn requests() -> usize {
        64
    }
    pub const fn max_record_bytes() -> u64 {
        1024 * 1024
    }
    pub const fn shards_interval() -> ConfigDuration {
        ConfigDuration::from_s(300)
    }
}

const MIB: u64 = 1024 * 1024;

impl KinesisConfig {
    /// Everything at its default for a stream.
    #[must_use]
    pub fn of_stream(stream: impl Into<String>) -> Self {
        Self {
            stream: stream.into(),
            region: None,
            endpoint_url: None,
            profile: None,
            credentials_file: None,
            partition_key: PartitionKey::default(),
            batch_records: defaults::batch_records(),
            batch_bytes: defaults::batch_bytes(),
            batch_age: defaults::batch_age(),
            request_timeout: defaults::request_timeout(),
            backoff_min: defaults::backoff_min(),
            backoff_max: defaults::backoff_max(),
            shard_records_per_s: defaults::shard_records_per_s(),
            shard_bytes_per_s: defaults::shard_bytes_per_s(),
            requests: defaults::requests(),
            max_record_bytes: defaults::max_record_bytes(),
            shards_interval: defaults::shards_interval(),
        }
    }

    /// What is wrong with it: key, and what it must be. Empty: nothing.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let url = self.endpoint_url.as_deref();
        let ms = |duration: ConfigDuration| duration.ms();
        let rows = [
            ("stream", !self.stream.is_empty(), "must name a stream"),
            ("region", self.region.as_deref() != Some(""), "must name a region, such as \"eu-central-1\""),
            ("endpoint_url", url.is_none_or(has_scheme), "must begin with http:// or https://"),
            ("batch_records", (1..=500).contains(&self.batch_records), "must be 1 to 500"),
            ("batch_bytes", (1024..=9 * MIB).contains(&self.batch_bytes), "must be 1024 to 9437184"),
            ("batch_age", ms(self.batch_age) <= 10_000, "must be at most 10s"),
            ("request_timeout", (100..=120_000).contains(&ms(self.request_timeout)), "must be 100ms to 2m"),
            ("backoff_min", (1..=60_000).contains(&ms(self.backoff_min)), "must be 1ms to 1m"),
            ("backoff_max", ms(self.backoff_max) >= ms(self.backoff_min), "must not be less than backoff_min"),
            ("shard_records_per_s", (1..=1_000_000).contains(&self.shard_records_per_s), "must be 1 to 1000000"),
            ("shard_bytes_per_s", (1024..=1024 * MIB).contains(&self.shard_bytes_per_s), "must be 1024 to 1073741824"),
            ("requests", (1..=1000).contains(&self.requests), "must be 1 to 1000"),
            ("max_record_bytes", (1024..=9 * MIB).contains(&self.max_record_bytes), "must be 1024 to 9437184"),
            ("shards_interval", ms(self.shards_interval) >= 1000, "must be at least 1s"),
        ];
        rows.into_iter().filter(|(_, good, _)| !good).map(|(key, _, must)| (key, must.to_owned())).collect()
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            batch_records: self.batch_records,
            batch_bytes: self.batch_bytes,
            batch_age_ms: self.batch_age.ms(),
            shard_records_per_s: self.shard_records_per_s,
            shard_bytes_per_s: self.shard_bytes_per_s,
            requests: self.requests,
            backoff_min_ms: self.backoff_min.ms(),
            backoff_max_ms: self.backoff_max.ms(),
        }
    }
}

fn has_scheme(url: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_all_it_needs_and_unknown_keys_are_refused() {
        let config: KinesisConfig = serde_json::from_str(r#"{"stream":"calls"}"#).unwrap();
        assert_eq!((&config, config.faults()), (&KinesisConfig::of_stream("calls"), vec![]));
        assert_eq!(config.limits(), Limits::default());
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<KinesisConfig>(&written).unwrap(), config);
        for unknown in [r#"{"stream":"calls","streem":"x"}"#, r#"{"stream":"calls","partition_key":"number"}"#, "{}"] {
            assert!(serde_json::from_str::<KinesisConfig>(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let text = r#"{"stream":"","region":"","endpoint_url":"127.0.0.1:4567","batch_records":501,"batch_bytes":1,
            "batch_age":"11s","request_timeout":"1ms","backoff_min":"0s","shard_records_per_s":0,"shard_bytes_per_s":0,
            "requests":0,"max_record_bytes":99999999,"shards_interval":"10ms"}"#;
        let config: KinesisConfig = serde_json::from_str(text).unwrap();
        let keys: Vec<_> = config.faults().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), 13, "{keys:?}");
        let pauses = r#"{"stream":"calls","backoff_min":"2s","backoff_max":"1s"}"#;
        let pauses: KinesisConfig = serde_json::from_str(pauses).unwrap();
        assert_eq!(pauses.faults()[0].0, "backoff_max");
    }
}
