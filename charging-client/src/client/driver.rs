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
//!
//! With an outbox the first attempt waits until the request is on disk. One that the disk does not take is refused when it is
//! an INITIAL or EVENT; usage is sent all the same.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use types::SessionId;
use types::charging::{ChargingAnswer, ChargingRequest, Operation, ResultCode};

use super::Held;
use super::pending::Pending;
use super::recovery::Recovery;
use super::reply::Reply;
use super::shelf::{Shelf, Written};
use crate::backoff::{Backoff, Jitter};
use crate::failure::{ChargingFailure, FailureCause};
use crate::metrics::ClientMetrics;
use crate::transport::ChargingTransport;

pub(super) type Outcome = Result<ChargingAnswer, ChargingFailure>;

/// A request on its way from the caller to the driver.
pub(super) struct Submitted {
    pub(super) request: Arc<ChargingRequest>,
    /// `None`: from before the start; its answer goes to [`Recovery`].
    pub(super) reply: Option<Reply>,
    /// Read by the caller when it stops waiting.
    pub(super) maybe_sent: Arc<AtomicBool>,
}

/// What the caller says of a request that it made.
pub(super) enum Word {
    Settled(SessionId),
    Amended { session_id: SessionId, client_state: Vec<u8>, kept: Kept },
}

/// Called when something is on disk, or will not be.
pub(super) type Kept = Box<dyn FnOnce() + Send>;

impl Submitted {
    /// Nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_none_or(Reply::is_closed)
    }
}

pub(super) struct Queued {
    pub(super) submitted: Submitted,
    /// Its number in the outbox; 0 without one.
    pub(super) number: u64,
    pub(super) disk: Disk,
    /// True when an attempt that is over may have reached the core.
    maybe_arrived: bool,
    failures: u32,
}

/// Is it on disk?
#[derive(Debug, PartialEq)]
pub(super) enum Disk {
    Writing,
    /// Or need not be.
    Done,
    Failed(Box<str>),
}

pub(super) struct Driver {
    pub(super) transport: Arc<dyn ChargingTransport>,
    pub(super) backoff: Backoff,
    pub(super) jitter: Arc<Jitter>,
    pub(super) held: Arc<Held>,
    pub(super) metrics: Arc<ClientMetrics>,
    pub(super) shelf: Shelf,
    pub(super) recovery: Recovery,
    pub(super) answers: u32,
    pub(super) pending: Pending<Queued>,
    pub(super) attempts: FuturesUnordered<Attempt>,
}

/// An attempt on its way, and whose it is. All of them run in the driver's own task: what a transport does for one request is short.
pub(super) type Attempt = Pin<Box<dyn Future<Output = (SessionId, Outcome)> + Send>>;

impl Driver {
    /// Runs until stopped; gives back what is undelivered.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Submitted>,
        mut words: mpsc::UnboundedReceiver<Word>,
        mut stop: watch::Receiver<bool>,
    ) -> Vec<ChargingRequest> {
        self.ask_again();
        loop {
            let (mending, mut mend) = (self.shelf.mending(), false);
            tokio::select! {
                biased;
                _ = stop.wait_for(|stopped| *stopped) => break,
                Some((session_id, outcome)) = self.attempts.next() => {
                    self.ended(&session_id, outcome);
                    // Others that have ended by now: each turn of this loop has its price.
                    for _ in 0..AT_ONCE {
                        let Some(Some((session_id, outcome))) = self.attempts.next().now_or_never() else { break };
                        self.ended(&session_id, outcome);
                    }
                }
                Some(written) = self.shelf.written() => self.written(written),
                () = sleep_until(mending) => mend = true,
                Some(word) = words.recv() => self.said(word),
                Some(submitted) = inbox.recv() => {
                    self.take(submitted);
                    for _ in 0..AT_ONCE {
                        let Ok(submitted) = inbox.try_recv() else { break };
                        self.take(submitted);
                    }
                }
                else => break,
            }
            if mend {
                self.mended().await;
            }
        }
        self.attempts.clear();
        inbox.close();
        while let Ok(submitted) = inbox.try_recv() {
            self.take(submitted);
        }
        while let Ok(word) = words.try_recv() {
            self.said(word);
        }
        self.shelf.close().await;
        let undelivered = self.pending.into_entries().map(|queued| {
            self.held.give_back();
            self.metrics.requests_pending.subtract_one();
            let mut request = Arc::unwrap_or_clone(queued.submitted.request);
            request.retransmission |= queued.submitted.maybe_sent.load(Ordering::Acquire);
            request
        });
        undelivered.collect()
    }

    /// What was asked before the last start and is not done.
    fn ask_again(&mut self) {
        for kept in self.shelf.take_loaded() {
            self.metrics.requests_recovered.add_one();
            self.metrics.requests_pending.add_one();
            self.held.take_anyway();
            self.recovery.expect(kept.number);
            let session_id = kept.request.session_id.clone();
            let submitted =
                Submitted { request: Arc::new(kept.request), reply: None, maybe_sent: Arc::new(AtomicBool::new(true)) };
            let queued = Queued { submitted, number: kept.number, disk: Disk::Done, maybe_arrived: true, failures: 0 };
            if self.pending.push(session_id.clone(), queued) {
                self.attempt(&session_id);
            }
        }
        self.recovery.look();
    }

    fn take(&mut self, submitted: Submitted) {
        let session_id = submitted.request.session_id.clone();
        let (number, disk) = self.shelf.put(&submitted.request);
        let ready = disk != Disk::Writing;
        let queued = Queued { submitted, number, disk, maybe_arrived: false, failures: 0 };
        if self.pending.push(session_id.clone(), queued) && ready {
            self.attempt(&session_id);
        }
    }

    fn said(&mut self, word: Word) {
        match word {
            Word::Settled(session_id) => self.shelf.settled(&session_id),
            Word::Amended { session_id, client_state, kept } => {
                let is_last = |queued: &&mut Queued| queued.submitted.request.operation == Operation::Termination;
                match self.pending.of(&session_id).find(is_last) {
                    Some(queued) => {
                        Arc::make_mut(&mut queued.submitted.request).client_state = client_state;
                        self.shelf.write_and_tell(queued.number, &queued.submitted.request, kept);
                    }
                    None => self.shelf.amend(&session_id, client_state, kept),
                }
            }
        }
    }

    fn written(&mut self, written: Written) {
        let Some((session_id, result)) = self.shelf.place(written) else { return };
        let first = self.pending.first(&session_id).is_some_and(|first| first.number == result.number);
        let of_session = self.pending.of(&session_id).find(|queued| queued.number == result.number);
        let Some(queued) = of_session.filter(|queued| queued.disk == Disk::Writing) else { return };
        queued.disk = match result.reason {
            None => Disk::Done,
            Some(reason) => {
                self.metrics.outbox_failures.add_one();
                Disk::Failed(reason)
            }
        };
        if first {
            self.attempt(&session_id);
        }
    }

    /// The disk is tried again; all that is pending is written once more.
    async fn mended(&mut self) {
        if self.shelf.reopen().await {
            for queued in self.pending.iter() {
                self.shelf.write(queued.number, &queued.submitted.request);
            }
        }
    }

    /// Old requests that nobody answers must not keep everything since on disk.
    fn shorten(&mut self) {
        self.answers = self.answers.wrapping_add(1);
        if !self.answers.is_multiple_of(ANSWERS_A_LOOK) {
            return;
        }
        for (session_id, number) in self.shelf.holding_back() {
            if let Some(queued) = self.pending.of(&session_id).find(|queued| queued.number == number) {
                self.shelf.write(number, &queued.submitted.request);
            }
        }
    }

    /// Starts an attempt at the first request of a session, once it is on disk.
    fn attempt(&mut self, session_id: &SessionId) {
        let Some(queued) = self.pending.first(session_id) else { return };
        let begins = matches!(queued.submitted.request.operation, Operation::Initial | Operation::Event);
        match &queued.disk {
            Disk::Writing => return,
            Disk::Failed(reason) if begins => {
                let cause = FailureCause::Outbox { reason: reason.clone() };
                return self.deliver(session_id, Err(ChargingFailure::NotTaken { cause }));
            }
            Disk::Failed(_) | Disk::Done => {}
        }
        self.metrics.attempts.add_one();
        if queued.maybe_arrived && !queued.submitted.request.retransmission {
            Arc::make_mut(&mut queued.submitted.request).retransmission = true;
            self.metrics.retransmissions.add_one();
        }
        let request = Arc::clone(&queued.submitted.request);
        let pause = (queued.failures > 0).then(|| self.backoff.pause(queued.failures, self.jitter.next()));
        let (transport, maybe_sent) = (self.transport.clone(), queued.submitted.maybe_sent.clone());
        let attempt = async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            transport.ready().await;
            maybe_sent.store(true, Ordering::Release);
            transport.charge(request).await
        };
        let session_id = session_id.clone();
        self.attempts.push(Box::pin(async move {
            // A session goes on even after a panic in a transport; nothing of the attempt is looked at after one.
            let outcome = AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(%session_id, "charging attempt ended abnormally");
                Err(ChargingFailure::UnknownFate { cause: FailureCause::Disconnected })
            });
            (session_id, outcome)
        }));
    }

    fn ended(&mut self, session_id: &SessionId, outcome: Outcome) {
        let Some(queued) = self.pending.first(session_id) else { return };
        let fate_known = match &outcome {
            Ok(answer) if answer.result_code == ResultCode::TOO_BUSY => {
                self.metrics.too_busy.add_one();
                true
            }
            Ok(_) => return self.deliver(session_id, outcome),
            Err(ChargingFailure::Refused { .. }) => {
                if !queued.maybe_arrived && !queued.submitted.is_abandoned() {
                    return self.deliver(session_id, outcome);
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
        self.attempt(session_id);
    }

    /// Lets the first request of a session go with its outcome, and attempts the next.
    fn deliver(&mut self, session_id: &SessionId, outcome: Outcome) {
        let Some((queued, more)) = self.pending.pop(session_id) else { return };
        match &outcome {
            Ok(_) => self.metrics.requests_answered.add_one(),
            Err(_) => self.metrics.requests_refused.add_one(),
        }
        self.metrics.requests_pending.subtract_one();
        let Queued { submitted: Submitted { request, reply, .. }, number, .. } = queued;
        let answer = outcome.as_ref().ok();
        let follows = answer.is_some_and(|answer| self.shelf.waits_for_settlement(&request, answer));
        match (reply, outcome) {
            (Some(reply), outcome) => {
                if !reply.send(outcome) {
                    self.metrics.answers_unclaimed.add_one();
                }
            }
            (None, Ok(answer)) => self.recovery.answered(number, ChargingRequest::clone(&request), answer),
            (None, Err(_)) => self.recovery.gone(number),
        }
        self.shelf.answered(number, request, follows);
        self.held.give_back();
        self.shorten();
        if more {
            self.attempt(session_id);
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Attempts that end, and requests that come, in one turn of the loop.
const AT_ONCE: usize = 64;
const ANSWERS_A_LOOK: u32 = if cfg!(test) { 16 } else { 4_096 };
