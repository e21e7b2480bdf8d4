//! The server: sockets and peers at one end, the charging core and the journal at the other, one task (the desk) that owns the
//! sessions between them.

mod alone;
mod awaited;
mod away;
mod board;
mod charge;
mod connection;
mod desk;
mod inbox;
mod listen;
mod notices;
mod receive;
mod recording;
mod requests;
mod restarts;
mod session;
mod tls;

use std::sync::Arc;

use agent_runtime::Clock;
use cdr_journal::Journal;
use charging_client::Client;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::DiameterConfig;
pub use board::{ConnectedPeer, PeerBoard, PeersReport, RefusedPeer};
pub use tls::TlsError;

/// What the agent is made of.
pub struct AgentParts {
    /// Its configuration.
    pub config: Arc<DiameterConfig>,
    /// The way to the charging core.
    pub charging: Client,
    /// Where records go.
    pub journal: Arc<Journal>,
    /// The clock.
    pub clock: Clock,
    /// Our Origin-State-Id: greater with every start.
    pub origin_state_id: u32,
    /// Cancelled when no new sessions are wanted and the agent shall end.
    pub shutdown: CancellationToken,
}

/// The agent, its ports bound. Run it with [`Agent::run`].
pub struct Agent {
    parts: AgentParts,
    listeners: Vec<(TcpListener, Option<TlsAcceptor>)>,
    board: Arc<PeerBoard>,
}

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A port is taken, or not ours to take.
    #[error("cannot listen on {address}")]
    Listen {
        /// As configured.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Certificates or key.
    #[error("tls")]
    Tls(#[from] TlsError),
}

impl StartError {
    /// Always [`types::ErrorClass::Fatal`].
    pub const fn class(&self) -> types::ErrorClass {
        types::ErrorClass::Fatal
    }
}

impl Agent {
    /// Binds the ports.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn bind(parts: AgentParts) -> Result<Self, StartError> {
        let mut listeners = Vec::new();
        for address in &parts.config.listen {
            listeners.push((listen::bind(*address)?, None));
        }
        if let Some(tls) = &parts.config.tls {
            let acceptor = tls::acceptor(tls)?;
            for address in &tls.listen {
                listeners.push((listen::bind(*address)?, Some(acceptor.clone())));
            }
        }
        let config = &parts.config;
        let board = Arc::new(PeerBoard::new(&config.name, &config.origin_host, parts.clock));
        Ok(Self { parts, listeners, board })
    }

    /// Where peers connect: first the ports without TLS, then those with it.
    pub fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.listeners.iter().filter_map(|(listener, _)| listener.local_addr().ok()).collect()
    }

    /// Who is connected, and who was refused: to be looked at while the agent runs.
    pub fn board(&self) -> Arc<PeerBoard> {
        Arc::clone(&self.board)
    }

    /// Serves until shutdown: peers are told that we leave, what is in work is finished.
    pub async fn run(self) {
        let Self { parts, listeners, board } = self;
        let (name, shutdown) = (parts.config.name.clone(), parts.shutdown.clone());
        let (desk, inbox) = desk::Desk::new(&parts);
        let peers = Arc::new(listen::Peers::new(&parts, inbox, board));
        let serving = desk.run();
        let mut tasks = tokio::task::JoinSet::new();
        for (listener, tls) in listeners {
            tasks.spawn(listen::serve(listener, tls, Arc::clone(&peers)));
        }
        drop(peers);
        info!(agent = %name, "serving");
        serving.await;
        drop(shutdown);
        // The listeners end with the shutdown, and their connections with them.
        while tasks.join_next().await.is_some() {}
        info!(agent = %name, "finished");
    }
}
