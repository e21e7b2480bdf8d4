//! One open stream and what is in flight on it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use charging_proto::{TokenChannel, v1};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use types::SessionId;
use types::charging::{ChargingAnswer, ChargingRequest};

use crate::failure::{ChargingFailure, FailureCause};
use crate::metrics::TransportMetrics;

type Outcome = Result<ChargingAnswer, ChargingFailure>;
type Key = (SessionId, u32);

struct InFlight {
    /// Tells this attempt from a later one under the same key.
    ticket: u64,
    reply: oneshot::Sender<Outcome>,
}

/// One open stream.
pub(super) struct Link {
    channel: TokenChannel,
    outbound: mpsc::Sender<v1::ChargingDataRequest>,
    /// `None` once the stream has ended: nothing may be added any more.
    in_flight: Mutex<Option<HashMap<Key, InFlight>>>,
    tickets: AtomicU64,
    answers: AtomicU64,
    /// Signalled when the peer seems to have gone silent.
    suspect: Notify,
    metrics: Arc<TransportMetrics>,
}

impl Link {
    pub(super) fn new(
        channel: TokenChannel,
        outbound: mpsc::Sender<v1::ChargingDataRequest>,
        metrics: Arc<TransportMetrics>,
    ) -> Self {
        let in_flight = Mutex::new(Some(HashMap::new()));
        let (tickets, answers, suspect) = Default::default();
        Self { channel, outbound, in_flight, tickets, answers, suspect, metrics }
    }

    pub(super) fn channel(&self) -> TokenChannel {
        self.channel.clone()
    }

    /// One attempt. `timeout` is only told; `deadline` counts.
    pub(super) async fn charge(&self, request: &ChargingRequest, deadline: Instant, timeout: Duration) -> Outcome {
        let key = (request.session_id.clone(), request.request_number);
        let wire = v1::ChargingDataRequest::from(request);
        let (reply, answer) = oneshot::channel();
        let Some(mut attempt) = self.register(key, reply) else {
            return Err(ChargingFailure::NotSent { cause: FailureCause::Disconnected });
        };
        let answers_before = self.answers.load(Ordering::Acquire);
        // Full only when a stalled peer left requests of given-up attempts in the way.
        if self.outbound.try_send(wire).is_err() {
            self.suspect.notify_one();
            return Err(ChargingFailure::NotSent { cause: FailureCause::Disconnected });
        }
        self.metrics.requests_sent.add_one();
        match timeout_at(deadline, answer).await {
            Ok(Ok(outcome)) => {
                attempt.answered = true;
                outcome
            }
            Ok(Err(_)) => Err(ChargingFailure::UnknownFate { cause: FailureCause::Disconnected }),
            Err(_) => {
                self.metrics.timeouts.add_one();
                if self.answers.load(Ordering::Acquire) == answers_before {
                    self.suspect.notify_one();
                }
                let after_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                Err(ChargingFailure::UnknownFate { cause: FailureCause::Timeout { after_ms } })
            }
        }
    }

    /// Hands an answer to the attempt that waits for it.
    pub(super) fn answered(&self, wire: v1::ChargingDataResponse) {
        self.answers.fetch_add(1, Ordering::AcqRel);
        self.metrics.answers.add_one();
        let key = (SessionId::from(wire.session_id.as_str()), wire.request_number);
        let Some(attempt) = self.lock().as_mut().and_then(|in_flight| in_flight.remove(&key)) else {
            self.metrics.answers_unmatched.add_one();
            return;
        };
        let outcome = ChargingAnswer::try_from(wire).map_err(|error| {
            self.metrics.unreadable.add_one();
            ChargingFailure::UnknownFate { cause: FailureCause::UnreadableAnswer(error) }
        });
        // The attempt may have been given up in this very moment; its request is then repeated.
        drop(attempt.reply.send(outcome));
    }

    /// Ends everything in flight with an unknown fate, and takes nothing more.
    pub(super) fn end(&self, cause: &FailureCause) {
        let ended = self.lock().take();
        for attempt in ended.into_iter().flat_map(HashMap::into_values) {
            drop(attempt.reply.send(Err(ChargingFailure::UnknownFate { cause: cause.clone() })));
        }
    }

    /// True once anything has been answered.
    pub(super) fn proven(&self) -> bool {
        self.answers.load(Ordering::Acquire) > 0
    }

    /// Resolves when the peer seems to have gone silent.
    pub(super) async fn suspected(&self) {
        self.suspect.notified().await;
    }

    fn register(&self, key: Key, reply: oneshot::Sender<Outcome>) -> Option<Attempt<'_>> {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        self.lock().as_mut()?.insert(key.clone(), InFlight { ticket, reply });
        self.metrics.in_flight.add_one();
        Some(Attempt { link: self, key, ticket, answered: false })
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<Key, InFlight>>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes its attempt when it goes, however the attempt ended.
struct Attempt<'a> {
    link: &'a Link,
    key: Key,
    ticket: u64,
    /// Whoever answered it has removed it.
    answered: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.link.metrics.in_flight.subtract_one();
        if !self.answered
            && let Some(in_flight) = self.link.lock().as_mut()
            && in_flight.get(&self.key).is_some_and(|attempt| attempt.ticket == self.ticket)
        {
            in_flight.remove(&self.key);
        }
    }
}
