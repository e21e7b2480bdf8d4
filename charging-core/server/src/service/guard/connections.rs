//! Connections, counted: in all and from one address. One more is closed at once.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::codegen::http::Extensions;
use tonic::transport::server::Connected;
use tracing::warn;

use super::turned_away;
use crate::config::LimitsConfig;

/// The other end's address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(IpAddr);

/// Where a request came from; absent for what is no TCP connection.
pub(super) fn address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Peer>().map(|peer| peer.0)
}

/// Who is connected.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    most_of_one: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(crate) fn new(limits: &LimitsConfig) -> Arc<Self> {
        let (most, most_of_one) = (limits.connections, limits.connections_per_address);
        Arc::new(Self { most, most_of_one, open: Mutex::default() })
    }

    /// The connections that may stay.
    pub(crate) fn accept(
        self: Arc<Self>,
        listener: TcpListener,
    ) -> impl Stream<Item = io::Result<Connection>> + Send + Unpin + 'static {
        TcpListenerStream::new(listener).filter_map(move |accepted| match accepted {
            Ok(stream) => self.admit(stream).map(Ok),
            Err(error) => Some(Err(error)),
        })
    }

    fn admit(self: &Arc<Self>, stream: TcpStream) -> Option<Connection> {
        // One that is gone already.
        let address = stream.peer_addr().ok()?.ip();
        // Answers are small, and somebody waits for each.
        stream.set_nodelay(true).ok()?;
        let mut open = self.lock();
        let of_one = open.by_address.get(&address).copied().unwrap_or(0);
        if open.all >= self.most || of_one >= self.most_of_one {
            let all = open.all;
            drop(open);
            turned_away("connections");
            warn!(%address, of_this_address = of_one, all, "a connection too many was closed (core.limits)");
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, of_one + 1);
        drop(open);
        Some(Connection { stream, place: Place { connections: Arc::clone(self), address } })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among them, until it is dropped.
#[derive(Debug)]
struct Place {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.all = open.all.saturating_sub(1);
        if let Some(of_one) = open.by_address.get_mut(&self.address) {
            *of_one -= 1;
            if *of_one == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    place: Place,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer(self.place.address)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
