//! The ports: takes connections as long as there is room.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_runtime::{Clock, watch_peer};
use metrics::{Counter, counter};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::config::DiameterConfig;
use crate::metric;
use crate::node::Node;

use super::board::{Caller, PeerBoard};
use super::connection::Connection;
use super::inbox::{ConnectionId, ToDesk};
use super::{AgentParts, StartError};

/// What all connections share.
pub(super) struct Peers {
    pub config: Arc<DiameterConfig>,
    pub clock: Clock,
    /// Who we are.
    pub node: Node,
    pub shutdown: CancellationToken,
    pub desk: mpsc::Sender<ToDesk>,
    pub label: Arc<str>,
    /// Who is connected, who was refused.
    pub board: Arc<PeerBoard>,
    /// CCRs received: looked up once, not with each.
    pub ccrs: Counter,
    /// Room for those that have not said who they are.
    pub strangers: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    next_id: AtomicU64,
    /// Peers that were lost for silence.
    down: Mutex<HashMap<Box<str>, ()>>,
    complaints: Mutex<(u64, u32)>,
}

impl Peers {
    pub fn new(parts: &AgentParts, desk: mpsc::Sender<ToDesk>, board: Arc<PeerBoard>) -> Self {
        let limit = |count: u32| Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(usize::MAX)));
        Self {
            config: Arc::clone(&parts.config),
            clock: parts.clock,
            node: Node {
                origin_host: parts.config.origin_host.clone(),
                origin_realm: parts.config.realm().into(),
                product_name: "tollkeeper".into(),
                origin_state_id: parts.origin_state_id,
            },
            shutdown: parts.shutdown.clone(),
            desk,
            label: Arc::from(&*parts.config.name),
            board,
            ccrs: counter!(metric::REQUESTS, "switch" => parts.config.name.to_string(), "command" => "CCR"),
            strangers: limit(parts.config.limits.strangers),
            connections: limit(parts.config.limits.connections),
            next_id: AtomicU64::new(1),
            down: Mutex::default(),
            complaints: Mutex::default(),
        }
    }

    pub fn next_id(&self) -> ConnectionId {
        ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether the peer was lost for silence; asked once a connection.
    pub fn was_down(&self, host: &str) -> bool {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).remove(&*host.to_ascii_lowercase()).is_some()
    }

    pub fn is_down(&self, host: &str) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if down.len() < DOWN_MAX {
            down.insert(host.to_ascii_lowercase().into(), ());
        }
    }

    /// Whether strangers may be complained of in the log once more: they must not fill it.
    pub fn may_complain(&self) -> bool {
        let window = self.clock.now().mono.0 / COMPLAINTS_WINDOW_MS;
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.0 != window {
            *complaints = (window, 0);
        }
        complaints.1 = complaints.1.saturating_add(1);
        complaints.1 <= COMPLAINTS
    }
}

/// Binds one port.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|source| StartError::Listen { address, source })
}

/// Serves one port until shutdown, and its connections to their end.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, peers: Arc<Peers>) {
    let mut connections = JoinSet::new();
    let address = listener.local_addr().ok();
    info!(agent = %peers.label, address = address.map(tracing::field::display), tls = tls.is_some(), "listening for peers");
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = peers.shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, remote)) => {
                connections.spawn(take(stream, remote, tls.clone(), Arc::clone(&peers)));
            }
            Err(error) => {
                warn!(agent = %peers.label, %error, "cannot take a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn take(stream: TcpStream, remote: SocketAddr, tls: Option<TlsAcceptor>, peers: Arc<Peers>) {
    let turned_away = |reason: &'static str| {
        counter!(metric::CLOSED, "switch" => peers.label.to_string(), "reason" => reason).increment(1);
        if peers.may_complain() {
            warn!(agent = %peers.label, peer = %remote, reason, "connection closed before its capabilities");
        }
    };
    let Ok(_place) = Arc::clone(&peers.connections).try_acquire_owned() else {
        return turned_away("too_many_connections");
    };
    let Ok(stranger) = Arc::clone(&peers.strangers).try_acquire_owned() else {
        return turned_away("too_many_strangers");
    };
    if let Err(error) = watch_peer(&stream) {
        debug!(agent = %peers.label, %error, "socket options");
    }
    let Ok(local) = stream.local_addr() else { return };
    let deadline = peers.config.limits.capabilities_timeout.std();
    let ends = (local.ip(), remote);
    match tls {
        None => Connection::new(peers, stream, ends, false, stranger).run().await,
        Some(acceptor) => match tokio::time::timeout(deadline, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let checked = peers.config.tls.as_ref().is_some_and(|tls| tls.check_names);
                let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned();
                let connection = Connection::new(peers, stream, ends, true, stranger);
                connection.showing(shown.filter(|_| checked)).run().await;
            }
            Ok(Err(error)) => {
                debug!(agent = %peers.label, peer = %remote, %error, "tls");
                let caller = Caller { host: "", realm: "", address: remote, relay: false, tls: true };
                peers.board.refused(&caller, "tls", None);
                turned_away("tls");
            }
            Err(_) => turned_away("tls_timeout"),
        },
    }
}

const BACKLOG: i32 = 1_024;
const PAUSE: Duration = Duration::from_millis(100);
/// More peers than that are not configured.
const DOWN_MAX: usize = 10_000;
const COMPLAINTS: u32 = 20;
const COMPLAINTS_WINDOW_MS: u64 = 10_000;
