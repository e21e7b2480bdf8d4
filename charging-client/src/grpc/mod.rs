//! The core over gRPC: one bidirectional `ChargeStream`, requests pipelined, answers matched by
//! (`session_id`, `request_number`).
//!
//! * **Window**: at most `window` requests in flight. When it is full, further ones wait for a place, and give up as
//!   `NotSent` when the attempt's time is over: backpressure, nothing is dropped.
//! * **Loss**: when the stream ends, everything in flight ends as `UnknownFate` at once, and the next address is tried,
//!   round and round, with jittered pauses, for ever. HTTP/2 pings find a silent peer; so does an attempt without an
//!   answer in time if nothing else was answered since: the connection is then given up.
//! * Reads and notifications use the same connection.

mod access;
mod config;
mod connection;
mod link;

use std::sync::Arc;
use std::time::Duration;

use charging_proto::v1::charging_service_client::ChargingServiceClient;
use charging_proto::v1::session_service_client::SessionServiceClient;
use charging_proto::{TokenChannel, v1};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tokio_stream::StreamExt;
use types::charging::{ChargingAnswer, ChargingRequest, Notification, SessionSummary};
use types::{ClientId, SessionId};

pub use access::{AccessError, CoreAccess};
pub use config::{GrpcConfig, GrpcConfigError};
use connection::{Connection, Way};

use crate::failure::{ChargingFailure, FailureCause};
use crate::metrics::TransportMetrics;
use crate::transport::{ChargingTransport, NotificationStream, Ready, TransportFuture};

/// A [`ChargingTransport`] over gRPC.
pub struct GrpcTransport {
    way: watch::Receiver<Way>,
    window: Arc<Semaphore>,
    window_size: usize,
    attempt_timeout: Duration,
    metrics: Arc<TransportMetrics>,
    connection: AbortHandle,
}

impl Drop for GrpcTransport {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl GrpcTransport {
    /// Starts connecting, and stays at it; needs a tokio runtime. Fails only for a configuration that cannot work.
    pub fn start(config: &GrpcConfig) -> Result<Self, GrpcConfigError> {
        let endpoints = config.endpoints()?;
        let (publish, way) = watch::channel(Way::Down);
        let metrics = Arc::new(TransportMetrics::default());
        let connection = Connection::new(endpoints, config.access.bearer()?, config, publish, metrics.clone());
        Ok(Self {
            way,
            window: Arc::new(Semaphore::new(config.window)),
            window_size: config.window,
            attempt_timeout: Duration::from_millis(config.attempt_timeout_ms),
            metrics,
            connection: tokio::spawn(connection.run()).abort_handle(),
        })
    }

    /// What has been counted so far.
    pub fn metrics(&self) -> &TransportMetrics {
        &self.metrics
    }

    async fn send(&self, request: Arc<ChargingRequest>) -> Result<ChargingAnswer, ChargingFailure> {
        let deadline = Instant::now() + self.attempt_timeout;
        let _place = match self.window.try_acquire() {
            Ok(place) => place,
            Err(_) => {
                self.metrics.window_waits.add_one();
                let cause = FailureCause::WindowFull { window: self.window_size };
                let place = timeout_at(deadline, self.window.acquire()).await;
                place.ok().and_then(Result::ok).ok_or(ChargingFailure::NotSent { cause })?
            }
        };
        let link = match &*self.way.borrow() {
            Way::Up(link) => link.clone(),
            Way::Down => return Err(ChargingFailure::NotSent { cause: FailureCause::Disconnected }),
            Way::Refused(cause) => return Err(ChargingFailure::Refused { cause: cause.clone() }),
        };
        link.charge(&request, deadline, self.attempt_timeout).await
    }

    /// The channel of the connection, waiting for one no longer than an attempt may take.
    async fn channel(&self) -> Result<TokenChannel, ChargingFailure> {
        let mut way = self.way.clone();
        let settled = timeout_at(Instant::now() + self.attempt_timeout, way.wait_for(|way| !matches!(way, Way::Down)));
        match settled.await.ok().and_then(Result::ok).as_deref() {
            Some(Way::Up(link)) => Ok(link.channel()),
            Some(Way::Refused(cause)) => Err(ChargingFailure::Refused { cause: cause.clone() }),
            Some(Way::Down) | None => Err(ChargingFailure::NotSent { cause: FailureCause::Disconnected }),
        }
    }

    /// Waits for a step of a call no longer than an attempt may take.
    async fn timely<T>(&self, step: impl Future<Output = Result<T, tonic::Status>>) -> Result<T, ChargingFailure> {
        match tokio::time::timeout(self.attempt_timeout, step).await {
            Ok(outcome) => outcome.map_err(|status| ChargingFailure::from_status(&status)),
            Err(_) => {
                let after_ms = u64::try_from(self.attempt_timeout.as_millis()).unwrap_or(u64::MAX);
                Err(ChargingFailure::UnknownFate { cause: FailureCause::Timeout { after_ms } })
            }
        }
    }

    async fn read_sessions(&self, client_id: &ClientId) -> Result<Vec<SessionSummary>, ChargingFailure> {
        let request = v1::ListSessionsRequest { client_id: Some(client_id.as_str().to_owned()), ..Default::default() };
        let mut client = SessionServiceClient::new(self.channel().await?);
        let mut stream = self.timely(client.list(request)).await?.into_inner();
        let mut sessions = Vec::new();
        while let Some(session) = self.timely(stream.message()).await? {
            sessions.push(readable(session.try_into())?);
        }
        Ok(sessions)
    }

    async fn read_session(&self, session_id: &SessionId) -> Result<Option<SessionSummary>, ChargingFailure> {
        let request = v1::GetSessionRequest { session_id: session_id.as_str().to_owned() };
        let mut client = SessionServiceClient::new(self.channel().await?);
        let response = self.timely(client.get(request)).await?.into_inner();
        response.session.map(|session| readable(session.try_into())).transpose()
    }

    async fn subscribe(&self, client_id: &ClientId) -> Result<NotificationStream, ChargingFailure> {
        let request = v1::NotifyRequest { client_id: client_id.as_str().to_owned() };
        let mut client = ChargingServiceClient::new(self.channel().await?);
        let stream = self.timely(client.notify(request)).await?.into_inner();
        let metrics = self.metrics.clone();
        let received = stream.map_while(Result::ok);
        // One that cannot be read must not hide the others; it stays unconfirmed unless a later one is confirmed.
        Ok(Box::pin(received.filter_map(move |wire| match Notification::try_from(wire) {
            Ok(notification) => Some(notification),
            Err(error) => {
                metrics.unreadable.add_one();
                tracing::warn!(error = %error, "unreadable notification");
                None
            }
        })))
    }

    async fn send_confirmation(&self, client_id: &ClientId, sequence: u64) -> Result<(), ChargingFailure> {
        let request = v1::ConfirmNotificationsRequest { client_id: client_id.as_str().to_owned(), sequence };
        let mut client = ChargingServiceClient::new(self.channel().await?);
        self.timely(client.confirm_notifications(request)).await.map(|_| ())
    }
}

fn readable<T>(converted: Result<T, charging_proto::ConvertError>) -> Result<T, ChargingFailure> {
    converted.map_err(|error| ChargingFailure::UnknownFate { cause: FailureCause::UnreadableAnswer(error) })
}

impl ChargingTransport for GrpcTransport {
    fn ready(&self) -> Ready<'_> {
        let mut way = self.way.clone();
        Box::pin(async move {
            // An error means that the connection's task is gone; the attempt then fails, and that is the message.
            if way.wait_for(|way| !matches!(way, Way::Down)).await.is_err() {
                tracing::error!("charging connection has been stopped");
            }
        })
    }

    fn charge(&self, request: Arc<ChargingRequest>) -> TransportFuture<'_, ChargingAnswer> {
        Box::pin(self.send(request))
    }

    fn list_sessions<'a>(&'a self, client_id: &'a ClientId) -> TransportFuture<'a, Vec<SessionSummary>> {
        Box::pin(self.read_sessions(client_id))
    }

    fn session<'a>(&'a self, session_id: &'a SessionId) -> TransportFuture<'a, Option<SessionSummary>> {
        Box::pin(self.read_session(session_id))
    }

    fn notifications<'a>(&'a self, client_id: &'a ClientId) -> TransportFuture<'a, NotificationStream> {
        Box::pin(self.subscribe(client_id))
    }

    fn confirm<'a>(&'a self, client_id: &'a ClientId, sequence: u64) -> TransportFuture<'a, ()> {
        Box::pin(self.send_confirmation(client_id, sequence))
    }
}
