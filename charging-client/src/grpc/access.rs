//! How a client is let in by a core that asks for it: TLS, a certificate of its own, a token.

use std::path::{Path, PathBuf};

use charging_proto::Bearer;
use serde::Deserialize;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use types::class::ErrorClass;

/// The files that let a client in. For `https` addresses `ca` is needed; all of them are read when the transport
/// starts and again before each connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoreAccess {
    /// Whose certificate the core must show, PEM. Absent: addresses begin with `http`.
    pub ca: Option<PathBuf>,
    /// This client's certificate, PEM; with `key`. Absent: none is shown.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// A file with a token of the core's `core.token`. Absent: none is shown.
    pub token_file: Option<PathBuf>,
}

/// Why a client cannot be let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A file.
    #[error("{key}: file {file}")]
    File {
        /// The key.
        key: &'static str,
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No token in the file.
    #[error("token_file: file {file} has no token, which is printable characters without spaces")]
    NoToken {
        /// Which.
        file: PathBuf,
    },
    /// One without the other.
    #[error("certificate and key go together")]
    Half,
    /// Encryption without knowing the other side.
    #[error("{address} begins with https: ca is needed, the file with the certificate of the core's authority")]
    NoCa {
        /// The address.
        address: String,
    },
    /// An authority for a connection that is not encrypted.
    #[error("{address} begins with http, so ca, certificate and key are of no use; write https")]
    NotEncrypted {
        /// The address.
        address: String,
    },
    /// The certificates cannot be used.
    #[error("ca, certificate or key cannot be used")]
    Unfit(#[source] tonic::transport::Error),
}

impl AccessError {
    /// The process cannot start with it.
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Fatal
    }
}

impl CoreAccess {
    /// Adds TLS to an endpoint whose address asks for it.
    ///
    /// # Errors
    /// When files and address do not go together, or a file is not what it should be.
    pub fn secure(&self, endpoint: Endpoint) -> Result<Endpoint, AccessError> {
        let address = || endpoint.uri().to_string();
        let encrypted = endpoint.uri().scheme_str() == Some("https");
        if self.certificate.is_some() != self.key.is_some() {
            return Err(AccessError::Half);
        }
        let Some(ca) = &self.ca else {
            return if encrypted { Err(AccessError::NoCa { address: address() }) } else { Ok(endpoint) };
        };
        if !encrypted {
            return Err(AccessError::NotEncrypted { address: address() });
        }
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("ca", ca)?));
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            tls = tls.identity(Identity::from_pem(read("certificate", certificate)?, read("key", key)?));
        }
        endpoint.tls_config(tls).map_err(AccessError::Unfit)
    }

    /// What requests show.
    ///
    /// # Errors
    /// When the file cannot be read or has no token in it.
    pub fn bearer(&self) -> Result<Bearer, AccessError> {
        let Some(file) = &self.token_file else { return Ok(Bearer::default()) };
        Bearer::new(&read("token_file", file)?).ok_or_else(|| AccessError::NoToken { file: file.clone() })
    }
}

fn read(key: &'static str, file: &Path) -> Result<String, AccessError> {
    std::fs::read_to_string(file).map_err(|source| AccessError::File { key, file: file.into(), source })
}
