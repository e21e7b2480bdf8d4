//! TLS 1.2 and 1.3; peers show a certificate that one of ours has signed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsConfig;

/// What is wrong with certificates or key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file that is not there or not PEM.
    #[error("{what} in {file} cannot be read; it must be PEM")]
    File {
        /// What was looked for.
        what: &'static str,
        /// Where.
        file: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key, or an authority, that cannot be used.
    #[error("certificate {file} cannot be used with its key")]
    Unusable {
        /// The certificate.
        file: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// No authority that can verify anybody.
    #[error("authority {file} cannot verify anybody")]
    Authority {
        /// The file.
        file: PathBuf,
        /// Why.
        source: rustls::server::VerifierBuilderError,
    },
}

pub(super) fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let certificates = certificates("certificates", &config.certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(&config.key_file).map_err(|source| TlsError::File {
        what: "a private key",
        file: config.key_file.clone(),
        source,
    })?;
    let unusable = |file: &Path| {
        let file = file.to_owned();
        move |source| TlsError::Unusable { file, source }
    };
    let mut roots = RootCertStore::empty();
    for authority in self::certificates("authorities", &config.authority_file)? {
        roots.add(authority).map_err(unusable(&config.authority_file))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|source| TlsError::Authority { file: config.authority_file.clone(), source })?;
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_client_cert_verifier(verifier).with_single_cert(certificates, key))
        .map_err(unusable(&config.certificate_file))?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// Whether a node with this name may show the certificate.
pub(super) fn is_of(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let name = ServerName::try_from(host);
    let parsed = ParsedCertificate::try_from(certificate);
    matches!((parsed, name), (Ok(parsed), Ok(name)) if verify_server_name(&parsed, &name).is_ok())
}

fn certificates(what: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { what, file: file.to_owned(), source };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(failed)?.collect();
    match found.map_err(failed)? {
        found if found.is_empty() => Err(failed(rustls::pki_types::pem::Error::NoItemsFound)),
        found => Ok(found),
    }
}
