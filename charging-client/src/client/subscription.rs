//! Notifications that go on for ever over subscriptions that do not.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use types::ClientId;
use types::charging::Notification;

use crate::backoff::{Backoff, Jitter};
use crate::metrics::ClientMetrics;
use crate::transport::{ChargingTransport, NotificationStream};

/// Notifications that wait for the agent; beyond that the core's own store keeps them.
pub(super) const BUFFERED: usize = 64;

pub(super) struct Subscription {
    pub(super) client_id: ClientId,
    pub(super) transport: Arc<dyn ChargingTransport>,
    pub(super) backoff: Backoff,
    pub(super) jitter: Arc<Jitter>,
    pub(super) metrics: Arc<ClientMetrics>,
}

impl Subscription {
    /// Runs until nobody receives any more.
    pub(super) async fn run(self, sender: mpsc::Sender<Notification>) {
        let mut failures = 0_u32;
        loop {
            let subscribed = async {
                self.transport.ready().await;
                self.transport.notifications(&self.client_id).await
            };
            let subscribed = tokio::select! {
                subscribed = subscribed => subscribed,
                () = sender.closed() => return,
            };
            match subscribed {
                Ok(stream) => {
                    self.metrics.subscriptions.add_one();
                    if self.forward(stream, &sender).await {
                        failures = 0;
                    }
                }
                Err(error) => tracing::warn!(error = %error, cause = %error.cause(), "not subscribed to notifications"),
            }
            failures = failures.saturating_add(1);
            tokio::select! {
                () = tokio::time::sleep(self.backoff.pause(failures, self.jitter.next())) => {}
                () = sender.closed() => return,
            }
        }
    }

    /// Hands on what comes until the stream ends; true if anything came.
    async fn forward(&self, mut stream: NotificationStream, sender: &mpsc::Sender<Notification>) -> bool {
        let mut any = false;
        loop {
            let notification = tokio::select! {
                next = stream.next() => next,
                () = sender.closed() => None,
            };
            let Some(notification) = notification else { return any };
            any = true;
            self.metrics.notifications.add_one();
            if sender.send(notification).await.is_err() {
                return any;
            }
        }
    }
}
