//! How a journal and a shipper are opened; as tables of the configuration file, where unknown keys are refused.

use serde::Deserialize;
use types::ConfigDuration;

/// How a [`crate::Journal`] is opened.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalOptions {
    /// Size at which a new segment is begun, in octets; 4 KiB to 1 GiB. This much is reserved on the disk at once.
    pub segment_bytes: u64,
    /// Records that may wait for the disk, at least 1; also how many copies of records being written may wait for those.
    pub queue_records: usize,
    /// Octets that may wait for the disk; at least 1.
    pub queue_bytes: usize,
    /// How many of the latest `recordId`s are known, so that a record written again is not stored again.
    pub recent_ids: usize,
    /// Free space on the disk, in octets, below which no new chargeable calls are accepted; the rest is for the records of
    /// running calls and of emergency calls. 0: until the disk is full. New calls come back at one segment above it.
    pub reserve_bytes: u64,
    /// How often free space is measured; 0: only when [`crate::Journal::measure_space`] is called.
    pub space_interval: ConfigDuration,
    /// The names of all sinks that must have shipped a record before it may be removed. Empty: nothing is ever removed.
    pub sinks: Vec<String>,
    /// How many shipped records stay at least (never fewer than `recent_ids`); whole segments below are removed. Absent: all stay.
    pub keep_shipped: Option<u64>,
}

impl Default for JournalOptions {
    /// 16 MiB segments, 8192 records and 32 MiB of queue, 100,000 ids, 256 MiB reserve measured each second, all records kept.
    fn default() -> Self {
        Self {
            segment_bytes: 16 * 1024 * 1024,
            queue_records: 8192,
            queue_bytes: 32 * 1024 * 1024,
            recent_ids: 100_000,
            reserve_bytes: 256 * 1024 * 1024,
            space_interval: ConfigDuration::from_s(1),
            sinks: Vec::new(),
            keep_shipped: None,
        }
    }
}

/// How a [`crate::Shipper`] works.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShipperOptions {
    /// Records in one batch at most; at least 1 is offered.
    pub batch_records: usize,
    /// Octets of JSON in one batch at most; a larger record goes alone.
    pub batch_bytes: usize,
    /// How often the journal is looked at when nobody wakes the shipper: with the writer in another process.
    pub poll: ConfigDuration,
    /// The first pause after a failure; each further one is twice as long.
    pub backoff_min: ConfigDuration,
    /// The longest pause.
    pub backoff_max: ConfigDuration,
}

impl Default for ShipperOptions {
    /// 500 records and 1 MiB, a look each second, pauses from 100 ms to 30 s.
    fn default() -> Self {
        Self {
            batch_records: 500,
            batch_bytes: 1024 * 1024,
            poll: ConfigDuration::from_s(1),
            backoff_min: ConfigDuration::from_ms(100),
            backoff_max: ConfigDuration::from_s(30),
        }
    }
}
