//! The one task that owns what is pending: starts an attempt for the first request of each session and decides by its
//! outcome.
//!
//! | outcome of an attempt | earlier attempt may have arrived | then |
//! |---|---|---|
//! | answer, not 3004 | any | caller gets it; next request of the session |
//! | answer 3004 | any | again after a pause, fate as before |
//! | NotSent | any | again after a pause, fate as before |
//! | UnknownFate, or the attempt panicked | any | again after a pause, as a retransmission |
//! | Refused, caller still there | no | caller gets it; next request of the session |
//! | Refused | yes, or the caller has gone | again after a pause: nobody else holds it |

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{Id, JoinError, JoinSet};
use types::SessionId;
use types::charging::{ChargingAnswer, ChargingRequest, ResultCode};

use super::Held;
use super::pending::Pending;
use crate::backoff::{Backoff, Jitter};
use crate::failure::{ChargingFailure, FailureCause};
use crate::metrics::ClientMetrics;
use crate::transport::ChargingTransport;

type Outcome = Result<ChargingAnswer, ChargingFailure>;

/// A request on its way from the caller to the driver.
pub(super) struct Submitted {
    pub(super) request: ChargingRequest,
    pub(super) reply: oneshot::Sender<Outcome>,
    /// Read by the caller when it stops waiting.
    pub(super) maybe_sent: Arc<AtomicBool>,
}

struct Queued {
    submitted: Submitted,
    /// True when an attempt that is over may have reached the core.
    maybe_arrived: bool,
    failures: u32,
}

pub(super) struct Driver {
    transport: Arc<dyn ChargingTransport>,
    backoff: Backoff,
    jitter: Arc<Jitter>,
    held: Arc<Held>,
    metrics: Arc<ClientMetrics>,
    pending: Pending<Queued>,
    attempts: JoinSet<Outcome>,
    /// Whose attempt each task is, so that a session goes on even after a panic in a transport.
    sessions: HashMap<Id, SessionId>,
}

impl Driver {
    pub(super) fn new(
        transport: Arc<dyn ChargingTransport>,
        backoff: Backoff,
        jitter: Arc<Jitter>,
        held: Arc<Held>,
        metrics: Arc<ClientMetrics>,
    ) -> Self {
        let (pending, attempts, sessions) = Default::default();
        Self { transport, backoff, jitter, held, metrics, pending, attempts, sessions }
    }

    /// Runs until stopped; gives back what is undelivered.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Submitted>,
        mut stop: watch::Receiver<bool>,
    ) -> Vec<ChargingRequest> {
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stopped| *stopped) => break,
                Some(ended) = self.attempts.join_next_with_id() => self.ended(ended),
                Some(submitted) = inbox.recv() => self.take(submitted),
                else => break,
            }
        }
        self.attempts.shutdown().await;
        inbox.close();
        while let Ok(submitted) = inbox.try_recv() {
            self.queue(submitted);
        }
        let undelivered = self.pending.into_entries().map(|queued| {
            self.held.give_back();
            self.metrics.requests_pending.subtract_one();
            let mut request = queued.submitted.request;
            request.retransmission |= queued.submitted.maybe_sent.load(Ordering::Acquire);
            request
        });
        undelivered.collect()
    }

    fn take(&mut self, submitted: Submitted) {
        if let Some(session_id) = self.queue(submitted) {
            self.attempt(&session_id);
        }
    }

    /// The session, if the request is its first one.
    fn queue(&mut self, submitted: Submitted) -> Option<SessionId> {
        let session_id = submitted.request.session_id.clone();
        let queued = Queued { submitted, maybe_arrived: false, failures: 0 };
        self.pending.push(session_id.clone(), queued).then_some(session_id)
    }

    /// Starts an attempt at the first request of a session.
    fn attempt(&mut self, session_id: &SessionId) {
        let Some(queued) = self.pending.first(session_id) else { return };
        let mut request = queued.submitted.request.clone();
        self.metrics.attempts.add_one();
        if queued.maybe_arrived && !request.retransmission {
            request.retransmission = true;
            self.metrics.retransmissions.add_one();
        }
        let pause = (queued.failures > 0).then(|| self.backoff.pause(queued.failures, self.jitter.next()));
        let (transport, maybe_sent) = (self.transport.clone(), queued.submitted.maybe_sent.clone());
        let task = self.attempts.spawn(async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            transport.ready().await;
            maybe_sent.store(true, Ordering::Release);
            transport.charge(request).await
        });
        self.sessions.insert(task.id(), session_id.clone());
    }

    fn ended(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(error = %error, "charging attempt ended abnormally");
                (error.id(), Err(ChargingFailure::UnknownFate { cause: FailureCause::Disconnected }))
            }
        };
        let Some(session_id) = self.sessions.remove(&id) else { return };
        let Some(queued) = self.pending.first(&session_id) else { return };
        let fate_known = match &outcome {
            Ok(answer) if answer.result_code == ResultCode::TOO_BUSY => {
                self.metrics.too_busy.add_one();
                true
            }
            Ok(_) => return self.deliver(&session_id, outcome),
            Err(ChargingFailure::Refused { .. }) => {
                if !queued.maybe_arrived && !queued.submitted.reply.is_closed() {
                    return self.deliver(&session_id, outcome);
                }
                tracing::warn!(session_id = %session_id, "charging core refuses a request that must be delivered");
                true
            }
            Err(ChargingFailure::NotSent { .. } | ChargingFailure::NotTaken { .. }) => true,
            Err(ChargingFailure::UnknownFate { .. }) => false,
        };
        queued.failures = queued.failures.saturating_add(1);
        queued.maybe_arrived |= !fate_known;
        queued.submitted.maybe_sent.store(queued.maybe_arrived, Ordering::Release);
        self.attempt(&session_id);
    }

    /// Lets the first request of a session go with its outcome, and attempts the next.
    fn deliver(&mut self, session_id: &SessionId, outcome: Outcome) {
        let Some((queued, more)) = self.pending.pop(session_id) else { return };
        match &outcome {
            Ok(_) => self.metrics.requests_answered.add_one(),
            Err(_) => self.metrics.requests_refused.add_one(),
        }
        self.metrics.requests_pending.subtract_one();
        if queued.submitted.reply.send(outcome).is_err() {
            self.metrics.answers_unclaimed.add_one();
        }
        self.held.give_back();
        if more {
            self.attempt(session_id);
        }
    }
}
