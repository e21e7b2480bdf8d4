//! Records to Kinesis Data Streams: durable there, in order per call, at least once (`recordId` drops repetitions).
//!
//! One record of the stream is one call record: its data is the record's JSON as one line, without the newline; its partition key is
//! the call's or the account's id ([`PartitionKey`]). Written against the API reference of Kinesis Data Streams (`PutRecords`,
//! `ListShards`), which keeps no order within a request and lets entries fail one by one; [`lanes`] makes the order. The
//! SDK's own retry is off: it would hide lost answers, and with them possible duplicates.
//!
//! | what happens | what the sink does |
//! |---|---|
//! | an entry fails | it alone is sent again, ahead of what came later; nothing of its call overtakes it |
//! | entries are throttled | the lane of that shard slows down and finds its rate again |
//! | no answer, a cut connection, a 5xx | the whole request again after a pause; counted as possible duplicates |
//! | stream missing, access denied, bad credentials | logged once with the remedy, asked again at long intervals, nothing is dropped |
//! | shards split or merged | seen by the shard ids in answers, or at the next listing; sending stops until every request is answered |
//! | shards may not be listed | one lane for all keys: slower, as safe |
//! | a record larger than the stream takes | kept in a file beside the checkpoint, counted, logged; holds nothing up |
//! | one shard is slow | the others go on until the window is full, then they wait: memory is bounded by the window |

mod bucket;
mod client;
mod config;
mod key;
pub mod lanes;
mod parked;
mod request;
mod shards;
mod sink;
mod trouble;

pub use config::{KinesisConfig, PartitionKey};
pub use shards::{KeyRange, hash_key};
pub use sink::KinesisSink;
