//! The transport of a connection that we make: TCP, or TLS 1.2 and 1.3 with certificates of both ends.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use agent_runtime::watch_peer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Files of a TLS client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who signs the peer's certificate, PEM.
    pub authority: PathBuf,
    /// Our certificates, PEM, ours first, and the key of the first one. Absent: none is shown.
    pub own: Option<(PathBuf, PathBuf)>,
    /// The name in the peer's certificate; absent: the host that is dialled.
    pub peer_name: Option<Box<str>>,
}

/// Why there is no transport.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The address does not answer.
    #[error("cannot connect to {target}")]
    Connect {
        /// As given.
        target: Box<str>,
        /// What the system says.
        source: io::Error,
    },
    /// The handshake failed: a certificate that does not fit, or no TLS at that port.
    #[error("no TLS with {target}")]
    Handshake {
        /// As given.
        target: Box<str>,
        /// What is wrong.
        source: io::Error,
    },
    /// It takes too long.
    #[error("{target} does not answer within {}", types::ConfigDuration::from_ms(*waited_ms))]
    Timeout {
        /// As given.
        target: Box<str>,
        /// How long was waited.
        waited_ms: u64,
    },
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
    #[error("{file} cannot be used for TLS")]
    Unusable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// No name that a certificate could have.
    #[error("{name} is no name of a host; name the one in the peer's certificate")]
    Name {
        /// As given.
        name: Box<str>,
    },
}

impl DialError {
    /// Whether later it may work.
    pub const fn class(&self) -> types::ErrorClass {
        match self {
            Self::Connect { .. } | Self::Handshake { .. } | Self::Timeout { .. } => types::ErrorClass::Retry,
            Self::File { .. } | Self::Unusable { .. } | Self::Name { .. } => types::ErrorClass::Fatal,
        }
    }
}

/// Where to connect to, and how. Files were read when it was made.
#[derive(Clone)]
pub struct Dial {
    target: Box<str>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
}

impl Dial {
    /// `target` is `host:port`; without `tls` it is plain TCP.
    ///
    /// # Errors
    /// Files that cannot be read or used.
    pub fn new(target: &str, tls: Option<&TlsFiles>, timeout: Duration) -> Result<Self, DialError> {
        let tls = tls.map(|files| secure(target, files)).transpose()?;
        Ok(Self { target: target.into(), tls, timeout })
    }

    /// As given.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Connects.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn connect(&self) -> Result<Transport, DialError> {
        let waited_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let in_time = tokio::time::timeout(self.timeout, self.transport()).await;
        in_time.unwrap_or_else(|_| Err(DialError::Timeout { target: self.target.clone(), waited_ms }))
    }

    async fn transport(&self) -> Result<Transport, DialError> {
        let failed = |source| DialError::Connect { target: self.target.clone(), source };
        let stream = TcpStream::connect(&*self.target).await.map_err(failed)?;
        watch_peer(&stream).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let local = stream.local_addr().map_err(failed)?.ip();
        let wire = match &self.tls {
            None => Wire::Plain(stream),
            Some((connector, name)) => {
                let connected = connector.connect(name.clone(), stream).await;
                let refused = |source| DialError::Handshake { target: self.target.clone(), source };
                Wire::Tls(Box::new(connected.map_err(refused)?))
            }
        };
        Ok(Transport { wire, local })
    }
}

fn secure(target: &str, files: &TlsFiles) -> Result<(TlsConnector, ServerName<'static>), DialError> {
    let host = target.rsplit_once(':').map_or(target, |(host, _)| host).trim_matches(['[', ']']);
    let name: Box<str> = files.peer_name.clone().unwrap_or_else(|| host.into());
    let server_name = ServerName::try_from(name.to_string()).map_err(|_| DialError::Name { name })?;
    let unusable = |file: &Path| {
        let file = file.to_owned();
        move |source| DialError::Unusable { file, source }
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates("authorities", &files.authority)? {
        roots.add(authority).map_err(unusable(&files.authority))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable(&files.authority))?
        .with_root_certificates(roots);
    let config = match &files.own {
        None => builder.with_no_client_auth(),
        Some((certificate_file, key_file)) => {
            let unread = |source| DialError::File { what: "a private key", file: key_file.clone(), source };
            let key = PrivateKeyDer::from_pem_file(key_file).map_err(unread)?;
            let own = certificates("certificates", certificate_file)?;
            builder.with_client_auth_cert(own, key).map_err(unusable(certificate_file))?
        }
    };
    Ok((TlsConnector::from(Arc::new(config)), server_name))
}

fn certificates(what: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, DialError> {
    let failed = |source| DialError::File { what, file: file.to_owned(), source };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(failed)?.collect();
    match found.map_err(failed)? {
        found if found.is_empty() => Err(failed(rustls::pki_types::pem::Error::NoItemsFound)),
        found => Ok(found),
    }
}

/// A transport that is there.
#[derive(Debug)]
pub struct Transport {
    wire: Wire,
    local: std::net::IpAddr,
}

#[derive(Debug)]
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// Our address on it.
    pub fn local(&self) -> std::net::IpAddr {
        self.local
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Wire::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
