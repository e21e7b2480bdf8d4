//! How a journal and a shipper are opened; as tables of the configuration file, where unknown keys are refused.

use serde::{Deserialize, Serialize};
use types::ConfigDuration;

/// What becomes of segments that every sink has shipped, until they are old enough to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Archive {
    /// Compressed: JSON lines in a gzip file that any tool reads.
    #[default]
    Gzip,
    /// Left as they are.
    Off,
}

/// What happens after a write or fsync failed, and nobody can know what the disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDiskError {
    /// Nothing is taken and no new calls are accepted until the journal could be recovered from the disk, which is tried each
    /// [`JournalOptions::space_interval`]; then it goes on in a new segment.
    #[default]
    RefuseCalls,
    /// Nothing is taken any more; whoever runs the process ends it ([`crate::Journal::has_stopped_for_good`]).
    Stop,
}

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
    /// The disk is made to keep what was written at most this often, so that records of a busy switch share its work; one that comes
    /// alone is written at once. None counts as taken any sooner, and the process killed in this time loses those that were not.
    /// [`crate::Journal::append_awaited`] does not wait for it. 0: as often as the disk can.
    pub sync_interval: ConfigDuration,
    /// How many of the latest `recordId`s are known, so that a record written again is not stored again.
    pub recent_ids: usize,
    /// Free space on the disk, in octets, below which no new chargeable calls are accepted; the rest is for the records of
    /// running calls and of emergency calls. 0: until the disk is full. New calls come back at one segment above it.
    pub reserve_bytes: u64,
    /// How often free space is measured and, after a disk error, recovery tried. 0: the journal does neither by itself, nor does it
    /// archive or remove anything: whoever opened it calls [`crate::Journal::measure_space`], [`crate::Journal::recover`] and
    /// [`crate::Journal::keep_up`].
    pub space_interval: ConfigDuration,
    /// The names of all sinks that must have shipped a record before it may be removed. Empty: nothing is ever removed.
    pub sinks: Vec<String>,
    /// How old a segment may become before a new one is begun, so that it can be shipped, archived and removed; from 1 s. 0: by size
    /// only.
    pub segment_age: ConfigDuration,
    /// How many days records stay after they were written and shipped; whole segments go. The records of the latest `recent_ids`
    /// stay in any case. 0: they go as soon as every sink has them.
    pub keep_days: u32,
    /// What becomes of shipped segments in that time.
    pub archive: Archive,
    /// What happens after a failed write or fsync.
    pub on_disk_error: OnDiskError,
}

impl Default for JournalOptions {
    /// 16 MiB segments of at most an hour, 8192 records and 32 MiB of queue, 100,000 ids, 256 MiB reserve measured each second;
    /// shipped records are kept compressed for 30 days; a disk error refuses calls until it is over.
    fn default() -> Self {
        Self {
            segment_bytes: 16 * 1024 * 1024,
            queue_records: 8192,
            queue_bytes: 32 * 1024 * 1024,
            sync_interval: ConfigDuration::from_ms(0),
            recent_ids: 100_000,
            reserve_bytes: 256 * 1024 * 1024,
            space_interval: ConfigDuration::from_s(1),
            sinks: Vec::new(),
            segment_age: ConfigDuration::from_s(3600),
            keep_days: 30,
            archive: Archive::Gzip,
            on_disk_error: OnDiskError::RefuseCalls,
        }
    }
}

/// How a [`crate::Shipper`] works.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShipperOptions {
    /// Records read and not yet delivered, at most; at least 1 is offered. With [`ShipperOptions::window_bytes`] this bounds the memory.
    pub window_records: usize,
    /// Octets of JSON read and not yet delivered, at most; a larger record goes alone.
    pub window_bytes: usize,
    /// The checkpoint is written this often while records arrive; 0: after each delivery. After a crash, what arrived since is offered
    /// to the sink again.
    pub checkpoint_interval: ConfigDuration,
    /// How often the journal is looked at when nobody wakes the shipper: with the writer in another process.
    pub poll: ConfigDuration,
    /// The first pause after a failure; each further one is twice as long.
    pub backoff_min: ConfigDuration,
    /// The longest pause.
    pub backoff_max: ConfigDuration,
}

impl Default for ShipperOptions {
    /// 20,000 records and 32 MiB, a checkpoint each 200 ms, a look each second, pauses from 100 ms to 30 s.
    fn default() -> Self {
        Self {
            window_records: 20_000,
            window_bytes: 32 * 1024 * 1024,
            checkpoint_interval: ConfigDuration::from_ms(200),
            poll: ConfigDuration::from_s(1),
            backoff_min: ConfigDuration::from_ms(100),
            backoff_max: ConfigDuration::from_s(30),
        }
    }
}
