//! Encryption of the gRPC API: TLS 1.2 and 1.3 with the server's certificate, and with clients' ones where they are asked for.
//! The files can be read again while it is served; connections that are open keep what they began with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

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
    #[error("core.tls: certificate {certificate} and its key cannot be used")]
    Unfit {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// An authority that can verify nobody.
    #[error("core.tls.client_ca: file {file} cannot verify anybody")]
    Authority {
        /// Which.
        file: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
}

/// What connections are encrypted with from now on.
#[derive(Debug)]
pub(super) struct Encryption {
    config: TlsConfig,
    current: RwLock<Arc<ServerConfig>>,
}

impl Encryption {
    /// Reads the files.
    pub(super) fn new(config: &TlsConfig) -> Result<Self, TlsError> {
        Ok(Self { config: config.clone(), current: RwLock::new(read(config)?) })
    }

    /// Reads the files again, and changes nothing yet.
    pub(super) fn read_again(&self) -> Result<Arc<ServerConfig>, TlsError> {
        read(&self.config)
    }

    /// From now on new connections get this.
    pub(super) fn replace(&self, fresh: Arc<ServerConfig>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(config: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = certificates("certificate", &config.certificate)?;
    let key = pem("key", &config.key)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| TlsError::Content {
        key: "key",
        file: config.key.clone(),
        expected: "PRIVATE KEY",
    })?;
    let unfit = |source| TlsError::Unfit { certificate: config.certificate.clone(), source };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(unfit)?;
    let builder = match &config.client_ca {
        // Not optional: without a certificate of this CA nobody gets as far as a request.
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for authority in self::certificates("client_ca", file)? {
                roots.add(authority).map_err(unfit)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let nobody = |source| TlsError::Authority { file: file.clone(), source };
            builder.with_client_cert_verifier(verifier.map_err(nobody)?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut tls = builder.with_single_cert(certificates, key).map_err(unfit)?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(tls))
}

fn certificates(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem(key, file)?).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| TlsError::Content { key, file: file.into(), expected: "CERTIFICATE" })
}

fn pem(key: &'static str, file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::File { key, file: file.into(), source })
}
