//! Our end of the dialplan's `socket` application: FreeSWITCH connects to us, once per call, and the call waits until we
//! let it go on or the connection ends.
//!
//! The connection only announces. It names a channel; what that channel is and what becomes of it is asked and
//! commanded over the agent's own connections, which know a password. So whoever reaches this port can make us look at
//! a channel, and no more. All that is said back is `resume`, and only when the switch has taken the backstop.
//!
//! The application is fail-open: when the connection ends without us, the dialplan goes on. What comes behind it must
//! refuse unless we said otherwise (`docs/freeswitch-socket.md`).
//!
//! Bounded: connections at once, the time to name the call, the time until the verdict, octets of a connection. Each is
//! a task of its own, so one that says nothing holds up nobody. What is not permitted is closed, counted, and refused by
//! the dialplan.

mod conversation;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use agent_runtime::Backoff;
use metrics::{counter, gauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use types::SessionId;

use crate::config::{FreeswitchConfig, SwitchConfig};

/// A call that waits for our verdict.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Its session, by what the connection said.
    pub(crate) session: SessionId,
    /// Sent: it may go on. Dropped: the connection is closed, and the dialplan does what it does without us.
    pub(crate) go_on: oneshot::Sender<()>,
}

/// Where to listen, and for whom.
#[derive(Debug, Clone)]
pub(crate) struct SocketSettings {
    pub(crate) switch: Arc<str>,
    pub(crate) listen: Box<str>,
    pub(crate) allow: Vec<IpAddr>,
    pub(crate) maximum_connections: usize,
    pub(crate) handshake_timeout: Duration,
    /// How long a verdict may take; longer than everything it is made of.
    pub(crate) verdict_timeout: Duration,
    pub(crate) reconnect_longest: Duration,
}

impl SocketSettings {
    /// `None`: nothing listens for this switch.
    pub(crate) fn of(config: &FreeswitchConfig, switch: &SwitchConfig) -> Option<Self> {
        let socket = switch.socket.as_ref()?;
        let replies = config.reply_timeout.std().saturating_mul(REPLIES);
        Some(Self {
            switch: Arc::from(&*switch.name),
            listen: socket.listen.clone(),
            allow: socket.allow.clone(),
            maximum_connections: usize::try_from(socket.maximum_connections).unwrap_or(usize::MAX),
            handshake_timeout: socket.handshake_timeout.std(),
            verdict_timeout: config.calls.authorise_timeout.std().saturating_add(replies),
            reconnect_longest: config.reconnect_longest.std(),
        })
    }
}

/// The agent's end of the listening task.
#[derive(Debug, Default)]
pub(crate) struct SocketServer {
    calls: Option<mpsc::Receiver<Waiting>>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl SocketServer {
    /// Starts listening; without settings it is a server that nobody reaches. It ends when `shutdown` is cancelled.
    pub(crate) fn start(settings: Option<SocketSettings>, shutdown: CancellationToken) -> Self {
        let Some(settings) = settings else { return Self::default() };
        let (sender, calls) = mpsc::channel(settings.maximum_connections);
        let task = tokio::spawn(listen(Arc::new(settings), sender, shutdown));
        Self { calls: Some(calls), task: Some(task) }
    }

    /// The next call that waits.
    pub(crate) async fn next(&mut self) -> Waiting {
        if let Some(calls) = &mut self.calls
            && let Some(waiting) = calls.recv().await
        {
            return waiting;
        }
        std::future::pending().await
    }

    /// Waits for the end of the task and of its connections; calls that still wait are left to the dialplan.
    pub(crate) async fn finish(mut self, switch: &str) {
        self.calls = None;
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            warn!(%switch, %error, "the task that listens for calls died");
        }
    }
}

/// Listens for ever; a port that is taken is tried again.
async fn listen(settings: Arc<SocketSettings>, calls: mpsc::Sender<Waiting>, shutdown: CancellationToken) {
    let mut backoff = Backoff::new(FIRST_WAIT, settings.reconnect_longest);
    let listener = loop {
        match TcpListener::bind(&*settings.listen).await {
            Ok(listener) => break listener,
            Err(error) => {
                let wait = backoff.next_wait();
                error!(switch = %settings.switch, listen = %settings.listen, %error, ?wait, "no calls of the dialplan's socket application: the address cannot be listened on");
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = shutdown.cancelled() => return,
                    () = calls.closed() => return,
                }
            }
        }
    };
    info!(switch = %settings.switch, listen = %settings.listen, "listening for the dialplan's socket application");
    let room = Arc::new(Semaphore::new(settings.maximum_connections));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Some(conversation) = admitted(&settings, &room, stream, peer.ip(), &calls, &shutdown) {
                        connections.spawn(conversation);
                    }
                }
                Err(error) => {
                    // No file descriptors, as a rule: those in use must come back first.
                    error!(switch = %settings.switch, %error, "a connection of the socket application was not accepted");
                    tokio::time::sleep(FIRST_WAIT).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = shutdown.cancelled() => break,
            // An agent that died answers nobody.
            () = calls.closed() => break,
        }
        let open = settings.maximum_connections.saturating_sub(room.available_permits());
        gauge!(CONNECTIONS, "switch" => Arc::clone(&settings.switch)).set(u32::try_from(open).unwrap_or(u32::MAX));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The connection's task, if there is to be one.
fn admitted(
    settings: &Arc<SocketSettings>,
    room: &Arc<Semaphore>,
    stream: TcpStream,
    peer: IpAddr,
    calls: &mpsc::Sender<Waiting>,
    shutdown: &CancellationToken,
) -> Option<impl Future<Output = ()> + Send + 'static> {
    if !settings.allow.contains(&peer.to_canonical()) && !settings.allow.contains(&peer) {
        warn!(switch = %settings.switch, %peer, "a connection from an address that is not permitted; put it into socket.allow if it is the switch's");
        count(settings, "not_permitted");
        return None;
    }
    let Ok(permit) = Arc::clone(room).try_acquire_owned() else {
        error!(switch = %settings.switch, limit = settings.maximum_connections, "too many calls wait for a verdict: the dialplan refuses this one");
        count(settings, "too_many");
        return None;
    };
    let (settings, calls, shutdown) = (Arc::clone(settings), calls.clone(), shutdown.clone());
    Some(async move {
        let outcome = tokio::select! {
            outcome = conversation::hold(&settings, stream, &calls) => outcome,
            () = shutdown.cancelled() => Err(conversation::Fault::Shutdown),
        };
        let word = match &outcome {
            Ok(ending) => ending.as_str(),
            Err(fault) => fault.as_str(),
        };
        count(&settings, word);
        if let Err(fault) = outcome {
            warn!(switch = %settings.switch, %peer, error = &fault as &dyn std::error::Error, "a call that waited was left to the dialplan");
        }
        drop(permit);
    })
}

fn count(settings: &SocketSettings, outcome: &'static str) {
    counter!(OUTCOMES, "switch" => Arc::clone(&settings.switch), "outcome" => outcome).increment(1);
}

/// Connections of the dialplan's socket application that are over. Labels `switch`, `outcome`.
const OUTCOMES: &str = "tollkeeper_freeswitch_socket_connections_total";
/// Those that are open. Label `switch`.
const CONNECTIONS: &str = "tollkeeper_freeswitch_socket_connections_open";
/// After a port that is taken, or a connection that could not be accepted.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Answers of the switch that a verdict waits for: what the channel is, and that its variables are set; and a reconnect.
const REPLIES: u32 = 3;
