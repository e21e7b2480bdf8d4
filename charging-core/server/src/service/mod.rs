//! The gRPC side: `tollkeeper.charging.v1` over [`crate::Core`].

mod account;
mod charging;
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
use tokio_stream::wrappers::TcpListenerStream;
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

/// Listens on `address` (port 0: any free one). Returns the address in use, and the server, to be awaited: it ends when
/// `shutdown` does, after the requests in flight.
pub async fn serve(
    core: Core,
    address: SocketAddr,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(SocketAddr, impl Future<Output = Result<(), ServeError>> + Send), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .tcp_nodelay(true)
        .concurrency_limit_per_connection(CONCURRENT_CALLS)
        .add_service(ChargingServiceServer::new(charging::Charging { core: core.clone() }))
        .add_service(SessionServiceServer::new(session::Sessions { core: core.clone() }))
        .add_service(AccountServiceServer::new(account::Accounts { core: core.clone() }))
        .add_service(TariffServiceServer::new(tariff::TariffQueries { core }))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown);
    Ok((bound, async move { server.await.map_err(ServeError::from) }))
}

/// Calls and streams of one connection at once; more wait.
const CONCURRENT_CALLS: usize = 1024;
