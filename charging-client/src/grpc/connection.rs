//! The task that keeps a stream open: connects, reads answers, and when the stream ends goes on with the next address.
//! Certificates and token are read again before each connection, so that they can be replaced while it runs.

use std::sync::Arc;
use std::time::Duration;

use charging_proto::v1::charging_service_client::ChargingServiceClient;
use charging_proto::{Bearer, v1};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

use super::access::CoreAccess;
use super::config::GrpcConfig;
use super::link::Link;
use crate::backoff::{Backoff, Jitter};
use crate::failure::{ChargingFailure, FailureCause};
use crate::metrics::TransportMetrics;

/// Whether there is a way to the core.
pub(super) enum Way {
    /// None yet, or none any more.
    Down,
    /// The core of the address tried last refuses this client; it is tried again all the same.
    Refused(FailureCause),
    /// Here.
    Up(Arc<Link>),
}

pub(super) struct Connection {
    config: GrpcConfig,
    endpoints: Vec<Endpoint>,
    bearer: Bearer,
    window: usize,
    open_timeout: Duration,
    backoff: Backoff,
    jitter: Jitter,
    way: watch::Sender<Way>,
    metrics: Arc<TransportMetrics>,
}

type Answers = Streaming<v1::ChargingDataResponse>;

impl Connection {
    pub(super) fn new(
        endpoints: Vec<Endpoint>,
        bearer: Bearer,
        config: &GrpcConfig,
        way: watch::Sender<Way>,
        metrics: Arc<TransportMetrics>,
    ) -> Self {
        Self {
            config: config.clone(),
            endpoints,
            bearer,
            window: config.window,
            open_timeout: Duration::from_millis(config.connect_timeout_ms),
            backoff: Backoff { first_ms: config.reconnect_first_ms, max_ms: config.reconnect_max_ms },
            jitter: Jitter::seeded(),
            way,
            metrics,
        }
    }

    /// Runs until the transport is dropped.
    pub(super) async fn run(mut self) {
        let mut failures = 0_u32;
        let rounds = u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX).max(1);
        for at in (0..self.endpoints.len()).cycle() {
            self.read_again();
            let Some(endpoint) = self.endpoints.get(at).cloned() else { continue };
            let address = endpoint.uri();
            match self.open(&endpoint).await {
                Ok((link, answers)) => {
                    tracing::info!(%address, "connected to the charging core");
                    let (cause, proven) = self.serve(link, answers).await;
                    tracing::warn!(%address, %cause, "connection to the charging core lost");
                    if proven {
                        failures = 0;
                    }
                }
                Err(failure) => {
                    self.metrics.connection_failures.add_one();
                    tracing::warn!(%address, cause = %failure.cause(), "charging core not reached");
                    if let ChargingFailure::Refused { cause } = failure {
                        self.way.send_replace(Way::Refused(cause));
                    } else {
                        self.way.send_replace(Way::Down);
                    }
                }
            }
            // Pauses grow only once a whole round of addresses has failed.
            failures = failures.saturating_add(1);
            tokio::time::sleep(self.backoff.pause(failures.div_ceil(rounds), self.jitter.next())).await;
        }
    }

    fn read_again(&mut self) {
        if self.config.access == CoreAccess::default() {
            return;
        }
        let read = self.config.endpoints().and_then(|endpoints| Ok((endpoints, self.config.access.bearer()?)));
        match read {
            Ok(read) => (self.endpoints, self.bearer) = read,
            Err(fault) => {
                let fault = &fault as &dyn std::error::Error;
                tracing::error!(
                    error = fault,
                    "certificates and token cannot be read again: those from before are used"
                );
            }
        }
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<(Arc<Link>, Answers), ChargingFailure> {
        let disconnected = ChargingFailure::NotSent { cause: FailureCause::Disconnected };
        let opened = tokio::time::timeout(self.open_timeout, async {
            let channel = endpoint.connect().await.map_err(|error| {
                tracing::debug!(error = &error as &dyn std::error::Error, "connecting to the charging core");
                disconnected.clone()
            })?;
            let channel = self.bearer.clone().over(channel);
            let (outbound, requests) = mpsc::channel(self.window);
            let mut client = ChargingServiceClient::new(channel.clone());
            let answers = client.charge_stream(ReceiverStream::new(requests)).await;
            let answers = answers.map_err(|status| ChargingFailure::from_status(&status))?.into_inner();
            Ok((Arc::new(Link::new(channel, outbound, self.metrics.clone())), answers))
        });
        opened.await.unwrap_or(Err(disconnected.clone()))
    }

    /// Reads answers until the stream ends; tells why it did, and whether it was of use: answered something, or outlived
    /// the longest pause. (A core that takes streams and drops them must not be called in a tight loop.)
    async fn serve(&self, link: Arc<Link>, mut answers: Answers) -> (FailureCause, bool) {
        let opened = Instant::now();
        self.metrics.connections.add_one();
        self.metrics.connected.add_one();
        self.way.send_replace(Way::Up(link.clone()));
        let cause = loop {
            tokio::select! {
                message = answers.message() => match message {
                    Ok(Some(answer)) => link.answered(answer),
                    Ok(None) => break FailureCause::Disconnected,
                    Err(status) => break ChargingFailure::from_status(&status).cause().clone(),
                },
                () = link.suspected() => break FailureCause::Disconnected,
            }
        };
        self.way.send_replace(Way::Down);
        link.end(&cause);
        self.metrics.connected.subtract_one();
        self.metrics.connections_lost.add_one();
        (cause, link.proven() || opened.elapsed() >= Duration::from_millis(self.backoff.max_ms))
    }
}
