//! The gRPC side: `tollkeeper.charging.v1` over [`crate::Core`], behind TLS, tokens and limits.

mod account;
mod balance;
mod charging;
mod guard;
mod limits;
mod pipeline;
mod session;
mod status;
mod tariff;
mod tls;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use charging_proto::v1::account_service_server::AccountServiceServer;
use charging_proto::v1::charging_service_server::ChargingServiceServer;
use charging_proto::v1::session_service_server::SessionServiceServer;
use charging_proto::v1::tariff_service_server::TariffServiceServer;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{error, info, warn};

use crate::config::{CoreConfig, TokenError};
use crate::store::Core;
use guard::{Caller, Connections, Guard, GuardLayer};
use tls::Encryption;
pub use tls::TlsError;
use wire::Wires;

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; is another tollkeeper running?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The tokens.
    #[error("core.token")]
    Token(#[from] TokenError),
    /// The server failed.
    #[error("gRPC server")]
    Transport(#[from] tonic::transport::Error),
}

/// Becomes known to every stream when the server shuts down: streams have no end of their own.
#[derive(Clone)]
struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Waits until it does.
    async fn begun(&mut self) {
        // A server that is gone has shut down, too.
        drop(self.0.wait_for(|stopping| *stopping).await);
    }

    /// One item, when it does, or the caller's token is gone.
    fn or_turned_out(mut self, caller: Option<Caller>) -> impl Stream<Item = ()> + Send {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            tokio::select! {
                () = self.begun() => drop(sender.send(()).await),
                () = turned_out(caller) => drop(sender.send(()).await),
                () = sender.closed() => {}
            }
        });
        ReceiverStream::new(receiver)
    }
}

/// Waits until the caller's token is gone.
async fn turned_out(caller: Option<Caller>) {
    match caller {
        Some(mut caller) => caller.turned_out().await,
        None => std::future::pending().await,
    }
}

/// [`serve_reloading`] with files that are read once.
pub async fn serve<S: Future<Output = ()> + Send + 'static>(
    core: Core,
    config: &CoreConfig,
    shutdown: S,
) -> Result<(SocketAddr, impl Future<Output = Result<(), ServeError>> + Send + use<S>), ServeError> {
    serve_reloading(core, config, shutdown, tokio_stream::pending()).await
}

/// Listens on the configured address (port 0: any free one). Returns the address in use, and the server, to be awaited: it
/// ends when `shutdown` does, after the requests in flight, at most 5 s later; streams are ended. At each item of `reload` the
/// files of certificates and tokens are read again: all of them are taken, or, if one has a fault, none.
pub async fn serve_reloading<S, R>(
    core: Core,
    config: &CoreConfig,
    shutdown: S,
    reload: R,
) -> Result<(SocketAddr, impl Future<Output = Result<(), ServeError>> + Send + use<S, R>), ServeError>
where
    S: Future<Output = ()> + Send + 'static,
    R: Stream<Item = ()> + Send + 'static,
{
    let guard = Arc::new(Guard::new(&config.token, &config.limits)?);
    let encryption = config.tls.as_ref().map(Encryption::new).transpose()?.map(Arc::new);
    let address = config.listen;
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let connections = Wires::new(Connections::new(&config.limits).accept(listener), encryption.clone());
    let (stop, stopping) = watch::channel(false);
    let (health, routes) = routes(core, Stopping(stopping.clone())).await;
    let shutdown = async move {
        shutdown.await;
        // First, so that nobody new comes for what is about to end.
        say(&health, ServingStatus::NotServing).await;
        stop.send_replace(true);
    };
    let serving = builder(config)
        .layer(GuardLayer(Arc::clone(&guard)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(connections, shutdown);
    Ok((bound, async move {
        let mut stopping = Stopping(stopping);
        let reloading = async {
            let mut reload = std::pin::pin!(reload);
            while reload.next().await.is_some() {
                read_again(&guard, encryption.as_deref());
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = serving => ended.map_err(ServeError::from),
            () = reloading => Ok(()),
            () = async { stopping.begun().await; tokio::time::sleep(DRAIN).await } => {
                warn!(after_s = DRAIN.as_secs(), "clients that do not take their answers are left behind");
                Ok(())
            }
        }
    }))
}

/// All or nothing: half of a change would let nobody in.
fn read_again(guard: &Guard, encryption: Option<&Encryption>) {
    let tls = encryption.map(Encryption::read_again).transpose().map_err(ServeError::from);
    let read = tls.and_then(|tls| Ok((tls, guard.read_again()?)));
    match read {
        Ok((tls, tokens)) => {
            if let (Some(encryption), Some(tls)) = (encryption, tls) {
                encryption.replace(tls);
            }
            guard.replace(tokens);
            info!("certificates and tokens were read again");
        }
        Err(fault) => {
            let fault = &fault as &dyn std::error::Error;
            error!(error = fault, "certificates and tokens were not read again: those from before stay");
        }
    }
}

fn builder(config: &CoreConfig) -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_concurrent_streams(u32::try_from(config.limits.calls_per_client).ok())
        .http2_max_pending_accept_reset_streams(Some(MAX_RESETS))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
}

async fn routes(core: Core, stopping: Stopping) -> (HealthReporter, Routes) {
    let (health, health_service) = tonic_health::server::health_reporter();
    say(&health, ServingStatus::Serving).await;
    let charging = charging::Charging { core: core.clone(), stopping };
    let sessions = session::Sessions { core: core.clone() };
    let accounts = account::Accounts { core: core.clone() };
    let routes = Routes::new(health_service)
        .add_service(ChargingServiceServer::new(charging).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(SessionServiceServer::new(sessions).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(AccountServiceServer::new(accounts).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(TariffServiceServer::new(tariff::TariffDesk::new(core)));
    (health, routes)
}

/// Of the server and of each service.
async fn say(health: &HealthReporter, status: ServingStatus) {
    for service in ["", "ChargingService", "SessionService", "AccountService", "TariffService"] {
        let name = if service.is_empty() { String::new() } else { format!("tollkeeper.charging.v1.{service}") };
        health.set_service_status(name, status).await;
    }
}

/// Far more than a request needs, and little enough that a stream full of them is bounded.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// A token and what gRPC sends by itself take a few hundred octets.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// Streams that a client resets before they were looked at; a connection that does it more often is closed.
const MAX_RESETS: usize = 64;
/// How long answers are waited for that nobody takes.
const DRAIN: Duration = Duration::from_secs(5);
