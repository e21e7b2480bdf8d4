//! `kind = "kinesis"`: a stream of Amazon Kinesis Data Streams, or of a server that speaks its protocol.

use std::sync::Arc;

use cdr_journal::{Sink, SinkError};
use cdr_shipping::kinesis::{KinesisConfig, KinesisSink};

use super::{SinkConfig, SinkKind, named, to_named_table};
use crate::config::{Comment, Faults, Section};

/// The kind.
pub static KIND: SinkKind = SinkKind { name: NAME, read, comments: COMMENTS, example: EXAMPLE };

const NAME: &str = "kinesis";

#[derive(Debug)]
struct Configured {
    name: Box<str>,
    kinesis: KinesisConfig,
}

fn read(section: &mut Section<'_>, faults: &mut Faults) -> Option<Arc<dyn SinkConfig>> {
    let (name, kinesis): (_, KinesisConfig) = named(section, NAME, faults)?;
    section.report(kinesis.faults(), faults);
    Some(Arc::new(Configured { name, kinesis }))
}

impl SinkConfig for Configured {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn destination(&self) -> String {
        self.kinesis.stream.clone()
    }

    fn to_table(&self) -> Result<toml::Table, toml::ser::Error> {
        to_named_table(&self.name, &self.kinesis)
    }

    fn open(&self) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(KinesisSink::open(&*self.name, &self.kinesis)?))
    }
}

const EXAMPLE: &str = r#"[[journal.sink]]
kind = "kinesis"
stream = "call-records"
region = "eu-central-1"
"#;

const COMMENTS: &[Comment] = &[
    Comment::new("kind", "The kind of sink."),
    Comment::new("name", "Names its checkpoint; a to z, 0 to 9, - and _."),
    Comment::new(
        "stream",
        "Name or ARN of the stream; it must exist. Needs kinesis:PutRecords and kinesis:ListShards.",
    ),
    Comment::optional(
        "region",
        "AWS region. Absent: from the environment, the profile, or the instance.",
        "\"eu-central-1\"",
    ),
    Comment::optional("endpoint_url", "Another address than the region's. Absent: AWS.", "\"http://127.0.0.1:4567\""),
    Comment::optional(
        "profile",
        "Profile in the files of AWS programs. Absent: AWS_PROFILE, or default.",
        "\"records\"",
    ),
    Comment::optional(
        "credentials_file",
        "A file in the form of ~/.aws/credentials, used instead of all other places. Absent: the environment, profile files, container, instance.",
        "\"/etc/tollkeeper/aws-credentials\"",
    ),
    Comment::new("partition_key", "What keeps together in one shard: call, or account."),
    Comment::new("batch_records", "Records in one request, 1 to 500."),
    Comment::new("batch_bytes", "Octets of records and partition keys in one request."),
    Comment::new("batch_age", "A record waits so long for others to go with it."),
    Comment::new("request_timeout", "A request that is not answered by then is repeated."),
    Comment::new("backoff_min", "The first pause of a shard after a request that stored nothing."),
    Comment::new("backoff_max", "The longest pause."),
    Comment::new("shard_records_per_s", "Records a second that one shard takes; the service's limit is 1000."),
    Comment::new("shard_bytes_per_s", "Octets a second that one shard takes; the service's limit is 1 MiB."),
    Comment::new("requests", "Requests under way at the same time, at most; each shard has one at most."),
    Comment::new(
        "max_record_bytes",
        "Largest record with its partition key, in octets; a larger one is kept in NAME.parked.jsonl beside the checkpoint.",
    ),
    Comment::new("shards_interval", "How often the stream's shards are listed, besides when an answer shows a change."),
];
