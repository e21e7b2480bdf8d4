//! The end in order: no new calls; agents finish what is under way with core and journal; requests that are still held; journal
//! closed; sinks flushed; gRPC and core stopped. Running calls stay up: the switches have their backstops, and the next start
//! takes them over.
//!
//! Each step may use what is left of the deadline, but the last ones are always done: they are quick, and they are the ones that
//! keep what was charged.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use tracing::info;

use super::Process;

impl Process {
    /// Stops everything within about `deadline`. Returns what was left, empty in good order.
    pub(super) async fn drain(self, deadline: Duration) -> Vec<String> {
        let until = Instant::now() + deadline;
        let mut left = Vec::new();
        self.readiness.stopping();
        self.agents.shutdown.cancel();
        if timeout_at(until, self.agents.finished()).await.is_err() {
            left.push("agents that had not finished; their sessions are taken over at the next start".to_owned());
        }
        for client in self.agents.clients() {
            let drained = timeout_at(until, client.drained()).await.is_ok();
            let held = client.stop().await;
            if !drained || !held.is_empty() {
                left.push(format!(
                    "{} unanswered requests of {}; the next start asks again",
                    held.len(),
                    client.client_id()
                ));
            }
        }
        if let Some(records) = self.records.clone() {
            let grace = until.saturating_duration_since(Instant::now());
            let closing = tokio::task::spawn_blocking(move || records.close(grace));
            match timeout(grace + ALWAYS, closing).await {
                Ok(Ok(unshipped)) => left.extend(unshipped),
                _ => left.push("a sink that does not return; its records stay in the journal".to_owned()),
            }
            info!("journal closed");
        }
        self.stop_core(&mut left).await;
        self.http.shutdown.cancel();
        if timeout(ALWAYS, self.http.task).await.is_err() {
            left.push("HTTP requests in work".to_owned());
        }
        left
    }

    async fn stop_core(&self, left: &mut Vec<String>) {
        if let Some(api) = &self.api {
            api.shutdown.cancel();
            // Streams of clients elsewhere have no end of their own: what is in flight gets a moment, then they are cut and
            // come again with the same request numbers.
            let patience = Instant::now() + IN_FLIGHT;
            while !api.task.is_finished() && Instant::now() < patience {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        if let Some(core) = self.core.clone() {
            let stopping = tokio::task::spawn_blocking(move || core.stop());
            match timeout(ALWAYS, stopping).await {
                Ok(Ok(())) => info!("charging core stopped"),
                _ => left.push("the charging core, which did not stop; what it answered is on disk".to_owned()),
            }
        }
        if let Some(api) = &self.api {
            api.task.abort();
        }
    }
}

/// For the last steps, whatever the deadline says.
const ALWAYS: Duration = Duration::from_secs(5);
/// For requests in flight over gRPC.
const IN_FLIGHT: Duration = Duration::from_millis(500);
