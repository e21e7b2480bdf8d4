//! The gRPC side: `tollkeeper.charging.v1` over [`crate::Core`].

mod account;
mod balance;
mod charging;
mod limits;
mod session;
mod status;
mod tariff;

use std::net::SocketAddr;
use std::time::Duration;

use charging_proto::v1::account_service_server::AccountServiceServer;
use charging_proto::v1::charging_service_server::ChargingServiceServer;
use charging_proto::v1::session_service_server::SessionServiceServer;
use charging_proto::v1::tariff_service_server::TariffServiceServer;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;

use crate::store::Core;

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

    /// One item, when it does.
    fn into_stream(mut self) -> impl Stream<Item = ()> + Send {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            tokio::select! {
                () = self.begun() => drop(sender.send(()).await),
                () = sender.closed() => {}
            }
        });
        ReceiverStream::new(receiver)
    }
}

/// Listens on `address` (port 0: any free one). Returns the address in use, and the server, to be awaited: it ends when
/// `shutdown` does, after the requests in flight; streams are ended.
pub async fn serve(
    core: Core,
    address: SocketAddr,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(SocketAddr, impl Future<Output = Result<(), ServeError>> + Send), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let (stop, stopping) = watch::channel(false);
    let shutdown = async move {
        shutdown.await;
        stop.send_replace(true);
    };
    let charging = charging::Charging { core: core.clone(), stopping: Stopping(stopping) };
    let sessions = session::Sessions { core: core.clone() };
    let accounts = account::Accounts { core: core.clone() };
    let server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .tcp_nodelay(true)
        .concurrency_limit_per_connection(CONCURRENT_CALLS)
        .add_service(ChargingServiceServer::new(charging).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(SessionServiceServer::new(sessions).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(AccountServiceServer::new(accounts).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(TariffServiceServer::new(tariff::TariffDesk::new(core)))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown);
    Ok((bound, async move { server.await.map_err(ServeError::from) }))
}

/// Calls and streams of one connection at once; more wait.
const CONCURRENT_CALLS: usize = 1024;
/// Far more than a request needs, and little enough that a stream full of them is bounded.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;
