//! Why an object was not put.

use std::path::PathBuf;

use cdr_journal::SinkError;
use object_store::Error as StoreError;
use types::ErrorClass;

/// What stands between the records and the store; the remedy is in the text where we know one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectsError {
    /// The configuration does not make a client.
    #[error("client for the object store cannot be made")]
    Client {
        /// What the client says.
        source: Box<StoreError>,
    },
    /// The file with the access key cannot be read.
    #[error("{} cannot be read; make it readable for this process", path.display())]
    CredentialsFile {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file with the access key does not hold one.
    #[error("{} must have a section [{profile}] with aws_access_key_id and aws_secret_access_key", path.display())]
    CredentialsForm {
        /// The file.
        path: PathBuf,
        /// The section looked for.
        profile: String,
    },
    /// No thread for the client.
    #[error("runtime for the object store cannot be started")]
    Runtime {
        /// The system's answer.
        source: std::io::Error,
    },
    /// The store did not answer in time; whether the object is there shows the next attempt.
    #[error("object store did not answer within {timeout_ms} ms")]
    Timeout {
        /// The limit.
        timeout_ms: u64,
    },
    /// The store refuses us.
    #[error("object store refuses {key}; the credentials need s3:PutObject and s3:GetObject on it")]
    Denied {
        /// The object's name.
        key: String,
        /// What the store said.
        source: Box<StoreError>,
    },
    /// There is no such bucket.
    #[error("bucket {bucket} is not found; create it, or mend bucket, region or endpoint_url")]
    NoBucket {
        /// Its name.
        bucket: String,
        /// What the store said.
        source: Box<StoreError>,
    },
    /// The store cannot put an object only if there is none, and without that a retry would not be harmless.
    #[error("object store has no conditional put (If-None-Match)")]
    NoConditionalPut {
        /// What the client says.
        source: Box<StoreError>,
    },
    /// The request failed.
    #[error("object store failed on {key}")]
    Request {
        /// The object's name.
        key: String,
        /// What the client says.
        source: Box<StoreError>,
    },
    /// The lines cannot be compressed.
    #[error("records cannot be compressed")]
    Compress {
        /// What the encoder said.
        source: std::io::Error,
    },
}

impl ObjectsError {
    /// What the shipper does about it. Nearly everything may be mended at the other end while we wait: the journal keeps the records.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Client { .. } | Self::CredentialsForm { .. } | Self::NoConditionalPut { .. } => ErrorClass::Refused,
            Self::Runtime { .. } | Self::Compress { .. } => ErrorClass::Fatal,
            _ => ErrorClass::Retry,
        }
    }

    /// Of a failed request about `key`.
    pub(super) fn of_request(bucket: &str, key: &str, source: StoreError) -> Self {
        let key = key.to_owned();
        match source {
            StoreError::NotImplemented { .. } | StoreError::NotSupported { .. } => {
                Self::NoConditionalPut { source: Box::new(source) }
            }
            StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
                Self::Denied { key, source: Box::new(source) }
            }
            StoreError::NotFound { .. } => Self::NoBucket { bucket: bucket.to_owned(), source: Box::new(source) },
            _ => Self::Request { key, source: Box::new(source) },
        }
    }
}

impl From<ObjectsError> for SinkError {
    fn from(error: ObjectsError) -> Self {
        Self::Destination { class: error.class(), source: Box::new(error) }
    }
}
