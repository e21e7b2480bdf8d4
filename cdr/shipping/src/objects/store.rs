//! The client for the store, and putting one object in such a way that doing it twice is doing it once.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;

use object_store::aws::{AmazonS3Builder, AwsCredential, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, ClientOptions, Error as StoreError, GetResult, ObjectStore, ObjectStoreExt as _, PutMode,
    PutOptions, PutPayload, RetryConfig, StaticCredentialProvider,
};

use super::config::{MOST_OBJECT_BYTES, ObjectsConfig};
use super::error::ObjectsError;

/// How a put ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It is there now.
    New,
    /// It was there already, with the same octets: an earlier attempt arrived.
    Same,
    /// Something else has the name.
    Taken,
}

/// A bucket.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub name: String,
    pub store: Arc<dyn ObjectStore>,
    /// For one request.
    pub timeout: Duration,
}

impl Bucket {
    /// Needs no network: that begins with the first object.
    pub fn open(config: &ObjectsConfig) -> Result<Self, ObjectsError> {
        // One cryptography for all TLS of the process; where another part was first, it stays.
        drop(rustls::crypto::ring::default_provider().install_default());
        let timeout = config.request_timeout.std();
        let options = ClientOptions::new().with_timeout(timeout).with_connect_timeout(timeout.min(CONNECT));
        let profile = config.profile.as_deref().unwrap_or("default");
        let key = config.credentials_file.as_deref().map(|path| read_key(path, profile)).transpose()?;
        let mut builder = match key {
            // Nothing of the environment: half a key of one and half of the other opens nothing.
            Some(key) => AmazonS3Builder::new().with_credentials(Arc::new(StaticCredentialProvider::new(key))),
            None => AmazonS3Builder::from_env(),
        };
        builder = builder
            .with_bucket_name(&config.bucket)
            .with_virtual_hosted_style_request(!config.path_style)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_client_options(options.with_allow_http(config.speaks_http()))
            // The shipper repeats, and counts.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        let of_environment = || REGIONS.iter().find_map(|name| std::env::var(name).ok());
        if let Some(region) = config.region.clone().or_else(of_environment) {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &config.endpoint_url {
            builder = builder.with_endpoint(endpoint_of(config, endpoint));
        }
        let store = builder.build().map_err(|source| ObjectsError::Client { source: Box::new(source) })?;
        Ok(Self { name: config.bucket.clone(), store: Arc::new(store), timeout })
    }

    /// Puts `content` under `key` unless something is there.
    pub async fn put(&self, key: &str, content: &PutPayload) -> Result<Put, ObjectsError> {
        let path = Path::from(key);
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::ContentType, "application/gzip".into());
        let options = PutOptions { mode: PutMode::Create, attributes, ..PutOptions::default() };
        let put = self.store.put_opts(&path, content.clone(), options);
        match self.in_time(put).await? {
            Ok(_) => Ok(Put::New),
            Err(StoreError::AlreadyExists { .. }) => self.compare(&path, key, content).await,
            Err(source) => Err(ObjectsError::of_request(&self.name, key, source)),
        }
    }

    /// What has the name.
    async fn compare(&self, path: &Path, key: &str, content: &PutPayload) -> Result<Put, ObjectsError> {
        let failed = |source| match source {
            // Another put of this name was under way and has not come to an end.
            StoreError::NotFound { .. } => ObjectsError::Request { key: key.to_owned(), source: Box::new(source) },
            source => ObjectsError::of_request(&self.name, key, source),
        };
        let found: GetResult = self.in_time(self.store.get(path)).await?.map_err(failed)?;
        if found.meta.size > MOST_COMPARED {
            return Ok(Put::Taken);
        }
        let bytes = self.in_time(found.bytes()).await?.map_err(failed)?;
        let ours: Vec<u8> = content.iter().flatten().copied().collect();
        Ok(if *bytes == *ours || same_lines(&bytes, &ours) { Put::Same } else { Put::Taken })
    }

    async fn in_time<T>(&self, request: impl Future<Output = T>) -> Result<T, ObjectsError> {
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        tokio::time::timeout(self.timeout, request).await.map_err(|_| ObjectsError::Timeout { timeout_ms })
    }
}

/// Whether two objects hold the same lines: another release may compress them otherwise.
fn same_lines(theirs: &[u8], ours: &[u8]) -> bool {
    let mut readers = [theirs, ours].map(|packed| BufReader::new(GzDecoder::new(packed)));
    loop {
        let [Ok(theirs), Ok(ours)] = readers.each_mut().map(|reader| reader.fill_buf()) else { return false };
        let compared = theirs.len().min(ours.len());
        if theirs.get(..compared) != ours.get(..compared) || (compared == 0 && theirs.len() != ours.len()) {
            return false;
        }
        if compared == 0 {
            return true;
        }
        readers.iter_mut().for_each(|reader| reader.consume(compared));
    }
}

/// With the bucket in the host's name the client wants it in the endpoint, too.
fn endpoint_of(config: &ObjectsConfig, endpoint: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, rest)) if !config.path_style => format!("{scheme}://{}.{rest}", config.bucket),
        _ => endpoint.to_owned(),
    }
}

/// The key of a profile in a file of the form of `~/.aws/credentials`.
fn read_key(path: &std::path::Path, profile: &str) -> Result<AwsCredential, ObjectsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ObjectsError::CredentialsFile { path: path.to_path_buf(), source })?;
    let (mut within, mut found) = (false, BTreeMap::new());
    for line in text.lines().map(str::trim) {
        match (line.strip_prefix('[').and_then(|line| line.strip_suffix(']')), line.split_once('=')) {
            (Some(section), _) => within = section.trim() == profile,
            (None, Some((key, value))) if within => drop(found.insert(key.trim().to_owned(), value.trim().to_owned())),
            _ => {}
        }
    }
    let token = found.remove("aws_session_token");
    match (found.remove("aws_access_key_id"), found.remove("aws_secret_access_key")) {
        (Some(key_id), Some(secret_key)) => Ok(AwsCredential { key_id, secret_key, token }),
        _ => Err(ObjectsError::CredentialsForm { path: path.to_path_buf(), profile: profile.to_owned() }),
    }
}

const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
const CONNECT: Duration = Duration::from_secs(5);
/// No object of ours is larger: what does not compress grows by less than that.
const MOST_COMPARED: u64 = 2 * MOST_OBJECT_BYTES as u64;
