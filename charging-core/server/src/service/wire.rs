//! What a client sends its requests over: a connection, encrypted where that is configured, that begins with HTTP/2's preface
//! before long. One that says nothing does not keep its place.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tonic::transport::server::Connected;
use tracing::debug;

use super::guard::{Connection, Peer};
use super::tls::Encryption;

/// See the module.
pub(super) struct Wire {
    stream: Transport,
    peer: Peer,
    /// Until the preface is there: octets that are missing, and how long they are waited for.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
}

enum Transport {
    Plain(Connection),
    Tls(Box<TlsStream<Connection>>),
}

impl Wire {
    fn new(stream: Transport, peer: Peer) -> Self {
        Self { stream, peer, preface: Some((PREFACE_OCTETS, Box::pin(sleep(SILENCE)))) }
    }
}

/// Connections that can be served, in the order in which they are ready.
pub(super) struct Wires<C> {
    connections: C,
    encryption: Option<Arc<Encryption>>,
    /// As many as there may be connections.
    handshakes: JoinSet<Option<Wire>>,
}

impl<C> Wires<C> {
    pub(super) fn new(connections: C, encryption: Option<Arc<Encryption>>) -> Self {
        Self { connections, encryption, handshakes: JoinSet::new() }
    }
}

impl<C: Stream<Item = io::Result<Connection>> + Unpin> Stream for Wires<C> {
    type Item = io::Result<Wire>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while let Poll::Ready(accepted) = Pin::new(&mut this.connections).poll_next(context) {
            match (accepted, &this.encryption) {
                (None, _) => return Poll::Ready(None),
                (Some(Err(error)), _) => return Poll::Ready(Some(Err(error))),
                (Some(Ok(plain)), None) => {
                    let peer = plain.connect_info();
                    return Poll::Ready(Some(Ok(Wire::new(Transport::Plain(plain), peer))));
                }
                (Some(Ok(plain)), Some(encryption)) => {
                    let acceptor = encryption.acceptor();
                    this.handshakes.spawn(async move {
                        let peer = plain.connect_info();
                        match timeout(SILENCE, acceptor.accept(plain)).await {
                            Ok(Ok(stream)) => Some(Wire::new(Transport::Tls(Box::new(stream)), peer)),
                            Ok(Err(error)) => {
                                debug!(%error, "no TLS handshake");
                                None
                            }
                            Err(_) => None,
                        }
                    });
                }
            }
        }
        while let Poll::Ready(Some(ended)) = this.handshakes.poll_join_next(context) {
            if let Ok(Some(wire)) = ended {
                return Poll::Ready(Some(Ok(wire)));
            }
        }
        Poll::Pending
    }
}

impl Connected for Wire {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let octets = buffer.filled().len().saturating_sub(before);
        if let Some((missing, silence)) = &mut self.preface {
            *missing = missing.saturating_sub(octets);
            if *missing == 0 {
                self.preface = None;
            } else if silence.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no HTTP/2 preface in time")));
            }
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

/// `PRI * HTTP/2.0`, two empty lines, `SM`, two more: RFC 9113, 3.4.
const PREFACE_OCTETS: usize = 24;
/// For a TLS handshake, and for the preface after it.
const SILENCE: Duration = Duration::from_secs(10);
