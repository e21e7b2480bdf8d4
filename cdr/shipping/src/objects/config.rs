//! What an operator says about the objects.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use types::ConfigDuration;

/// Where objects go and how large they become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsConfig {
    /// The bucket; it must exist.
    pub bucket: String,
    /// Put before all names, without a slash at its ends; empty: nothing.
    #[serde(default)]
    pub prefix: String,
    /// Region of the bucket. Absent: AWS_REGION or AWS_DEFAULT_REGION of the environment, else us-east-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Address of another store that speaks S3, such as `https://minio.example.net:9000`. Absent: Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// True: the bucket's name is in the path; false: in the host's name.
    #[serde(default = "yes")]
    pub path_style: bool,
    /// True: the endpoint may be plain `http` although it is not on this machine. Records then travel readable.
    #[serde(default)]
    pub allow_http: bool,
    /// A file in the form of `~/.aws/credentials`, used instead of all other places. Absent: AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of the environment, a web identity, else the role of the container or machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// The section of that file. Absent: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Begins the names of the objects of this process: letters, digits, `-`, `_` and `.`. Absent: the sink's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Records in one object at most, 1 to 20,000.
    #[serde(default = "object_records")]
    pub object_records: usize,
    /// Octets in one object at most before they are compressed, 1 KiB to 16 MiB; a longer single record goes alone.
    #[serde(default = "object_bytes")]
    pub object_bytes: usize,
    /// How long a record waits for others at most before it is put.
    #[serde(default = "object_age")]
    pub object_age: ConfigDuration,
    /// How long one request may take, 1 s to 10 min.
    #[serde(default = "request_timeout")]
    pub request_timeout: ConfigDuration,
}

/// The bound of [`ObjectsConfig::object_bytes`]: two objects of this size are in memory at once, one as lines and one compressed.
pub const MOST_OBJECT_BYTES: usize = 16 * 1024 * 1024;

impl ObjectsConfig {
    /// The defaults for a bucket: 10,000 records, 8 MiB, 5 minutes, requests of 30 seconds.
    #[must_use]
    pub fn of(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            region: None,
            endpoint_url: None,
            path_style: true,
            allow_http: false,
            credentials_file: None,
            profile: None,
            node: None,
            object_records: object_records(),
            object_bytes: object_bytes(),
            object_age: object_age(),
            request_timeout: request_timeout(),
        }
    }

    /// What is wrong with the values: key and remedy.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if !(3..=63).contains(&self.bucket.len()) || !self.bucket.bytes().all(is_bucket) {
            faults.push(("bucket", "must be 3 to 63 of a-z, 0-9, . and -".to_owned()));
        }
        if !self.prefix.is_empty() && !self.prefix.split('/').all(is_plain) {
            faults.push((
                "prefix",
                "must be words of letters, digits, - _ . = with single slashes between them".to_owned(),
            ));
        }
        if self.node.as_deref().is_some_and(|node| !is_plain(node) || node.len() > 64) {
            faults.push(("node", "must be 1 to 64 letters, digits, - _ .".to_owned()));
        }
        if let Some(endpoint) = &self.endpoint_url {
            faults.extend(self.endpoint_fault(endpoint).map(|text| ("endpoint_url", text)));
        }
        if !(1..=20_000).contains(&self.object_records) {
            faults.push(("object_records", "must be between 1 and 20000".to_owned()));
        }
        if !(1024..=MOST_OBJECT_BYTES).contains(&self.object_bytes) {
            faults.push(("object_bytes", format!("must be between 1024 (1 KiB) and {MOST_OBJECT_BYTES} (16 MiB)")));
        }
        if !(1000..=600_000).contains(&self.request_timeout.ms()) {
            let text = format!("is {}, must be between 1s and 10m", self.request_timeout);
            faults.push(("request_timeout", text));
        }
        faults
    }

    fn endpoint_fault(&self, endpoint: &str) -> Option<String> {
        let Some((scheme, rest)) = endpoint.split_once("://") else {
            return Some("must begin with https://, such as \"https://minio.example.net:9000\"".to_owned());
        };
        let host = host_of(rest);
        match scheme {
            _ if host.is_empty() => Some("names no host".to_owned()),
            "https" => None,
            "http" if self.allow_http || is_loopback(host) => None,
            "http" => {
                Some("is plain http: records would travel readable; use https, or set allow_http = true".to_owned())
            }
            other => Some(format!("is {other}, must be https")),
        }
    }

    /// Whether plain `http` is to be spoken: to this machine, or because it was allowed.
    pub(crate) fn speaks_http(&self) -> bool {
        self.endpoint_url.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }
}

/// Without port, path and brackets.
fn host_of(rest: &str) -> &str {
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_bucket(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')
}

fn is_plain(word: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=');
    !word.is_empty() && word != "." && word != ".." && word.bytes().all(good)
}

const fn yes() -> bool {
    true
}

const fn object_records() -> usize {
    10_000
}

const fn object_bytes() -> usize {
    8 * 1024 * 1024
}

const fn object_age() -> ConfigDuration {
    ConfigDuration::from_s(300)
}

const fn request_timeout() -> ConfigDuration {
    ConfigDuration::from_s(30)
}
