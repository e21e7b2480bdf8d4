//! Encryption of the gRPC API: TLS 1.2 and 1.3 with the server's certificate, and with clients' ones where they are asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::config::TlsConfig;

/// Why there is no encryption, so that nothing is served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file.
    #[error("core.tls.{key}: file {file}")]
    File {
        /// The key.
        key: &'static str,
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not what it should be.
    #[error("core.tls.{key}: file {file} has no {expected} in PEM form")]
    Content {
        /// The key.
        key: &'static str,
        /// Which.
        file: PathBuf,
        /// What should be in it.
        expected: &'static str,
    },
    /// They do not go together.
    #[error("core.tls: certificate {certificate} and its key or client_ca cannot be used")]
    Unfit {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        source: tonic::transport::Error,
    },
}

/// Reads the files.
pub(super) fn read(config: &TlsConfig) -> Result<ServerTlsConfig, TlsError> {
    let certificate = pem("certificate", &config.certificate, "CERTIFICATE")?;
    let key = pem("key", &config.key, "PRIVATE KEY")?;
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key)).timeout(HANDSHAKE);
    Ok(match &config.client_ca {
        // Not optional: without a certificate of this CA nobody gets as far as a request.
        Some(file) => tls.client_ca_root(Certificate::from_pem(pem("client_ca", file, "CERTIFICATE")?)),
        None => tls,
    })
}

fn pem(key: &'static str, file: &Path, expected: &'static str) -> Result<String, TlsError> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|source| TlsError::File { key, file: file.into(), source })?;
    let has_it = text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(expected));
    if has_it { Ok(text) } else { Err(TlsError::Content { key, file: file.into(), expected }) }
}

/// For a handshake: a client that says nothing must not keep a connection.
const HANDSHAKE: Duration = Duration::from_secs(10);
