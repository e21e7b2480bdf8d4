//! Sinks for call records: Kinesis Data Streams (`kinesis`) and S3-compatible objects (`objects`). The only crate that sees the AWS SDK.

pub mod kinesis;
pub mod objects;
