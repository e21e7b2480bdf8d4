//! `kind = "s3"`: objects of gzip-compressed lines in a bucket.

use std::sync::Arc;

use cdr_journal::{Sink, SinkError};
use cdr_shipping::objects::{ObjectsConfig, ObjectsSink};

use super::{SinkConfig, SinkKind, named, to_named_table};
use crate::config::{Comment, Faults, Section};

/// The kind.
pub static KIND: SinkKind = SinkKind { name: NAME, read, comments: COMMENTS, example: EXAMPLE };

const NAME: &str = "s3";

#[derive(Debug)]
struct S3Config {
    name: Box<str>,
    objects: ObjectsConfig,
}

fn read(section: &mut Section<'_>, faults: &mut Faults) -> Option<Arc<dyn SinkConfig>> {
    let (name, objects): (_, ObjectsConfig) = named(section, NAME, faults)?;
    section.report(objects.faults(), faults);
    Some(Arc::new(S3Config { name, objects }))
}

impl SinkConfig for S3Config {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn destination(&self) -> String {
        let ObjectsConfig { bucket, prefix, .. } = &self.objects;
        format!("s3://{bucket}/{prefix}")
    }

    fn to_table(&self) -> Result<toml::Table, toml::ser::Error> {
        to_named_table(&self.name, &self.objects)
    }

    fn open(&self) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(ObjectsSink::open(&*self.name, &self.objects)?))
    }
}

const EXAMPLE: &str = r#"[[journal.sink]]
kind = "s3"
bucket = "example-records"
prefix = "cdr"
region = "eu-central-1"
"#;

const COMMENTS: &[Comment] = &[
    Comment::new("kind", "The kind of sink."),
    Comment::new("name", "Names its checkpoint; a to z, 0 to 9, - and _."),
    Comment::new("bucket", "The bucket; it must exist. Needs s3:PutObject and s3:GetObject."),
    Comment::new("prefix", "Put before year=.../month=.../day=.../hour=...; empty: nothing."),
    Comment::optional("region", "Region of the bucket. Absent: AWS_REGION of the environment.", "\"eu-central-1\""),
    Comment::optional(
        "endpoint_url",
        "Address of another store that speaks S3. Absent: Amazon's.",
        "\"https://minio.example.net:9000\"",
    ),
    Comment::new("path_style", "true: the bucket's name is in the path; false: in the host's name."),
    Comment::new("allow_http", "true: the endpoint may be plain http although it is not on this machine."),
    Comment::optional(
        "credentials_file",
        "A file in the form of ~/.aws/credentials, used instead of all other places. Absent: the environment, else the role of container or machine.",
        "\"/etc/tollkeeper/aws-credentials\"",
    ),
    Comment::optional("profile", "The section of credentials_file. Absent: default.", "\"records\""),
    Comment::optional("node", "Begins the names of the objects. Absent: the sink's name.", "\"edge1\""),
    Comment::new("object_records", "Records in one object at most."),
    Comment::new("object_bytes", "Octets in one object at most, before they are compressed; 1 KiB to 16 MiB."),
    Comment::new("object_age", "How long a record waits for others at most before it is put."),
    Comment::new("request_timeout", "How long one request may take."),
];
