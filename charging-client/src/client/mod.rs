//! What agents use: every request is kept until it is answered, in order per session.
//!
//! * A session's next request goes out only after the one before it was answered. A call asks once a slice, so nothing
//!   is lost by it, and after any failure there is exactly one request whose fate is open: no order to restore, no
//!   request that overtakes one the core was too busy for. Sessions do not wait for each other.
//! * An attempt that fails, or is answered 3004 (too busy), is repeated with the same key after a jittered pause, for
//!   ever; `retransmission` is set as soon as an earlier attempt may have arrived.
//! * A deadline ends the caller's waiting, not the request. The caller may go on waiting on the same
//!   [`AwaitedAnswer`], or drop it: the request is delivered all the same.
//! * With an outbox ([`Client::durable`]) a request is on disk before it is sent, and is asked again after a crash; a
//!   TERMINATION stays there until [`Client::settled`]. Without one it is held in memory only.
//! * [`Client::stop`] gives back what is undelivered.

mod driver;
mod pending;
mod recovery;
mod reply;
mod shelf;
mod subscription;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use serde::Deserialize;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use types::charging::{ChargingAnswer, ChargingRequest, Notification, Operation, SessionSummary};
use types::{ClientId, SessionId};

use crate::backoff::{Backoff, Jitter};
use crate::failure::{ChargingFailure, FailureCause};
use crate::metrics::ClientMetrics;
use crate::outbox::OutboxError;
use crate::transport::ChargingTransport;
use driver::{Driver, Submitted, Word};
use pending::Pending;
pub use recovery::Recovered;
use recovery::Recovery;
pub use reply::{Answered, Fate};
use reply::{QueueEnd, Reply};
use shelf::Shelf;

/// Limits and pauses of a [`Client`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// Most requests held before INITIAL and EVENT are no longer taken; at least 1. UPDATE and TERMINATION carry usage
    /// of sessions already begun and are taken up to twice as many. 10000 unless configured: at some hundred bytes
    /// each, and far more than the calls a core that is away can leave behind.
    pub max_pending: usize,
    /// The pause before the first repetition, in milliseconds; 50 unless configured.
    pub retry_first_ms: u64,
    /// The longest pause between repetitions, in milliseconds; 5000 unless configured.
    pub retry_max_ms: u64,
    /// The outbox makes the disk keep its requests at most this often, in milliseconds; one that comes alone is written at once,
    /// and none is sent sooner. 10 unless configured: more spares a busy client syncs, and its requests are sent together.
    pub outbox_interval_ms: u64,
    /// An INITIAL that the core denies stays in the outbox until [`Client::settled`], as a TERMINATION does; false unless the
    /// agent says so. For agents whose records, of a session that the core never had, are made of what the INITIAL is kept with.
    #[serde(skip)]
    pub keep_denied: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            max_pending: 10_000,
            retry_first_ms: 50,
            retry_max_ms: 5_000,
            outbox_interval_ms: 10,
            keep_denied: false,
        }
    }
}

/// A charging client; clones share one. When the last clone goes, what is still held goes with it: call
/// [`Client::drained`] and [`Client::stop`] before.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    client_id: ClientId,
    transport: Arc<dyn ChargingTransport>,
    max_pending: usize,
    backoff: Backoff,
    jitter: Arc<Jitter>,
    inbox: mpsc::Sender<Submitted>,
    held: Arc<Held>,
    metrics: Arc<ClientMetrics>,
    words: mpsc::UnboundedSender<Word>,
    recovery: Recovery,
    stop: watch::Sender<bool>,
    driver: Mutex<Option<JoinHandle<Vec<ChargingRequest>>>>,
    subscriptions: Mutex<JoinSet<()>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take() {
            driver.abort();
        }
    }
}

/// How many requests are held.
#[derive(Default)]
struct Held {
    count: AtomicUsize,
    none: Notify,
}

impl Held {
    fn take_place(&self, limit: usize) -> bool {
        let next = |count| (count < limit).then_some(count + 1);
        self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
    }

    /// For what was taken before the start.
    fn take_anyway(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    fn give_back(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.none.notify_waiters();
        }
    }
}

impl Client {
    /// Starts a client; needs a tokio runtime. `client_id` owns the sessions and must be the one in every request.
    pub fn start(client_id: ClientId, transport: Arc<dyn ChargingTransport>, config: &ClientConfig) -> Self {
        Self::with(client_id, transport, config, Shelf::default())
    }

    /// The same with an outbox in `directory`, which belongs to this client alone. What was asked before and is not done is
    /// asked again; [`Client::recovered`] waits for it.
    ///
    /// # Errors
    /// When the outbox cannot be opened; the error says why and what to do.
    pub fn durable(
        client_id: ClientId,
        transport: Arc<dyn ChargingTransport>,
        config: &ClientConfig,
        directory: &Path,
    ) -> Result<Self, OutboxError> {
        Ok(Self::with(client_id, transport, config, Shelf::open(directory, config)?))
    }

    /// The same on any storage, for tests with disks that fail.
    ///
    /// # Errors
    /// As [`Client::durable`].
    pub fn durable_on(
        client_id: ClientId,
        transport: Arc<dyn ChargingTransport>,
        config: &ClientConfig,
        storage: Arc<dyn segment_log::Storage>,
    ) -> Result<Self, OutboxError> {
        Ok(Self::with(client_id, transport, config, Shelf::on(storage, config)?))
    }

    fn with(client_id: ClientId, transport: Arc<dyn ChargingTransport>, config: &ClientConfig, shelf: Shelf) -> Self {
        let max_pending = config.max_pending.max(1);
        let (inbox, submitted) = mpsc::channel(max_pending.saturating_mul(2));
        let (stop, stopped) = watch::channel(false);
        let backoff = Backoff { first_ms: config.retry_first_ms, max_ms: config.retry_max_ms };
        let jitter = Arc::new(Jitter::seeded());
        let metrics = Arc::new(ClientMetrics { outbox_syncs: shelf.syncs.clone(), ..ClientMetrics::default() });
        let held = Arc::new(Held::default());
        let recovery = Recovery::default();
        let (words, words_said) = mpsc::unbounded_channel();
        let driver = Driver {
            transport: transport.clone(),
            backoff,
            jitter: jitter.clone(),
            held: held.clone(),
            metrics: metrics.clone(),
            shelf,
            recovery: recovery.clone(),
            answers: 0,
            pending: Pending::default(),
            attempts: FuturesUnordered::new(),
        };
        let driver = Mutex::new(Some(tokio::spawn(driver.run(submitted, words_said, stopped))));
        let subscriptions = Mutex::default();
        Self(Arc::new(Shared {
            client_id,
            transport,
            max_pending,
            backoff,
            jitter,
            inbox,
            held,
            metrics,
            words,
            recovery,
            stop,
            driver,
            subscriptions,
        }))
    }

    /// Takes a request. The order of calls is the order within the session. Fails with `NotTaken` only.
    pub fn submit(&self, request: impl Into<Arc<ChargingRequest>>) -> Result<AwaitedAnswer, ChargingFailure> {
        let (reply, answer) = oneshot::channel();
        let fate = self.hold(request.into(), Reply::One(reply)).map_err(|(failure, _)| failure)?;
        Ok(AwaitedAnswer { answer: Some(answer), fate })
    }

    /// The same for a caller that waits for many answers at once: the outcome comes to the queue of `answers` with this ticket,
    /// once and at any time. The queue holds no more than the client may hold. Fails with `NotTaken` only, and then nothing comes.
    pub fn submit_to(
        &self,
        answers: &mpsc::UnboundedSender<Answered>,
        ticket: u64,
        request: impl Into<Arc<ChargingRequest>>,
    ) -> Result<Fate, ChargingFailure> {
        let reply = Reply::Queue(QueueEnd::new(answers.clone(), ticket));
        self.hold(request.into(), reply).map_err(|(failure, reply)| {
            if let Some(Reply::Queue(end)) = reply {
                end.release();
            }
            failure
        })
    }

    fn hold(&self, request: Arc<ChargingRequest>, reply: Reply) -> Result<Fate, (ChargingFailure, Option<Reply>)> {
        let shared = &self.0;
        let limit = match request.operation {
            Operation::Initial | Operation::Event => shared.max_pending,
            Operation::Update | Operation::Termination => shared.max_pending.saturating_mul(2),
        };
        if !shared.held.take_place(limit) {
            shared.metrics.requests_not_taken.add_one();
            return Err((ChargingFailure::NotTaken { cause: FailureCause::QueueFull { limit } }, Some(reply)));
        }
        let maybe_sent = Arc::new(AtomicBool::new(false));
        let submitted = Submitted { request, reply: Some(reply), maybe_sent: maybe_sent.clone() };
        // The inbox holds as many as there are places, so it is never full: only a stopped driver refuses.
        if let Err(refused) = shared.inbox.try_send(submitted) {
            shared.held.give_back();
            shared.metrics.requests_not_taken.add_one();
            return Err((ChargingFailure::NotTaken { cause: FailureCause::Stopped }, refused.into_inner().reply));
        }
        shared.metrics.requests_taken.add_one();
        shared.metrics.requests_pending.add_one();
        Ok(Fate::new(maybe_sent, shared.metrics.clone()))
    }

    /// [`Self::submit`] and [`AwaitedAnswer::within`] in one; an answer after `wait` is counted and dropped.
    pub async fn charge(&self, request: ChargingRequest, wait: Duration) -> Result<ChargingAnswer, ChargingFailure> {
        self.submit(request)?.within(wait).await
    }

    /// The sessions of this client that are not settled for good; one attempt.
    pub async fn list_sessions(&self) -> Result<Vec<SessionSummary>, ChargingFailure> {
        self.0.transport.list_sessions(&self.0.client_id).await
    }

    /// One session, whoever owns it; one attempt.
    pub async fn session(&self, session_id: &SessionId) -> Result<Option<SessionSummary>, ChargingFailure> {
        self.0.transport.session(session_id).await
    }

    /// Notifications for this client, resubscribed for ever, until the receiver is dropped or the client stopped. What
    /// was not confirmed comes again after every lost connection: acting twice must be harmless, and it is.
    pub fn notifications(&self) -> mpsc::Receiver<Notification> {
        let (sender, receiver) = mpsc::channel(subscription::BUFFERED);
        let shared = &self.0;
        let subscription = subscription::Subscription {
            client_id: shared.client_id.clone(),
            transport: shared.transport.clone(),
            backoff: shared.backoff,
            jitter: shared.jitter.clone(),
            metrics: shared.metrics.clone(),
        };
        let mut subscriptions = shared.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        while subscriptions.try_join_next().is_some() {}
        if !*shared.stop.borrow() {
            subscriptions.spawn(subscription.run(sender));
        }
        receiver
    }

    /// Waits until all requests of the outbox from before the start are answered, as long as that takes. The TERMINATIONs and
    /// the denied INITIALs among them, once: whoever asked them is gone, and their last records may be missing. Only after that
    /// does the core's list of sessions tell where each of the others stands. Cancel-safe.
    pub async fn recovered(&self) -> Vec<Recovered> {
        self.0.recovery.complete().await
    }

    /// Everything that follows from the session's TERMINATION is durable: the outbox may forget it.
    pub fn settled(&self, session_id: &SessionId) {
        // A driver that has stopped leaves it to the next start.
        drop(self.0.words.send(Word::Settled(session_id.clone())));
    }

    /// From now on the session's TERMINATION is kept, and sent, with this `client_state`. `kept` is called, from any thread, when
    /// that is on disk; or when it will not be: without an outbox, with a disk that fails, or without a TERMINATION that is not
    /// settled. Not called when the client was stopped.
    pub fn amend(&self, session_id: &SessionId, client_state: Vec<u8>, kept: impl FnOnce() + Send + 'static) {
        let word = Word::Amended { session_id: session_id.clone(), client_state, kept: Box::new(kept) };
        // A driver that has stopped leaves it as it was.
        drop(self.0.words.send(word));
    }

    /// Confirms all notifications up to and including `sequence`; one attempt. A lost one does no harm: they come again.
    pub async fn confirm(&self, sequence: u64) -> Result<(), ChargingFailure> {
        self.0.transport.confirm(&self.0.client_id, sequence).await
    }

    /// Waits until no request is held. Without new ones and with a core that answers, that is soon.
    pub async fn drained(&self) {
        loop {
            let none = self.0.held.none.notified();
            tokio::pin!(none);
            none.as_mut().enable();
            if self.0.held.count.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }

    /// Stops at once and gives back what was not answered, in order within each session, `retransmission` set where an
    /// attempt may have arrived. The second call gives nothing.
    pub async fn stop(&self) -> Vec<ChargingRequest> {
        self.0.stop.send_replace(true);
        self.0.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        let driver = self.0.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        match driver {
            Some(driver) => driver.await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// The owner of the sessions.
    pub fn client_id(&self) -> &ClientId {
        &self.0.client_id
    }

    /// What has been counted so far.
    pub fn metrics(&self) -> &ClientMetrics {
        &self.0.metrics
    }
}

/// An answer that is on its way. Dropping it does not take the request back.
#[derive(Debug)]
pub struct AwaitedAnswer {
    answer: Option<oneshot::Receiver<Result<ChargingAnswer, ChargingFailure>>>,
    fate: Fate,
}

impl AwaitedAnswer {
    /// Waits for the answer, at most `wait`; may be called again after `NotSent` or `UnknownFate` with the cause
    /// `Deadline`. `Refused` when the core refuses this client and nothing was ever sent; the cause `Stopped` after
    /// the client was stopped, and when an outcome has been given already.
    pub async fn within(&mut self, wait: Duration) -> Result<ChargingAnswer, ChargingFailure> {
        let Some(answer) = &mut self.answer else {
            return Err(self.fate.without_answer(FailureCause::Stopped));
        };
        match tokio::time::timeout(wait, answer).await {
            Ok(outcome) => {
                self.answer = None;
                outcome.unwrap_or_else(|_| Err(self.fate.without_answer(FailureCause::Stopped)))
            }
            Err(_) => Err(self.fate.deadline_passed(wait)),
        }
    }
}
