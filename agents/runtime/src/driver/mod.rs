//! The call driver: owns the call machines of one switch instance and carries out their effects.
//!
//! It runs inside the agent's task: the agent feeds it what the switch says ([`CallDriver::offer`],
//! [`CallDriver::event`], ...), awaits [`CallDriver::step`] beside its connection, and after each of both sends what
//! [`CallDriver::orders`] holds. One task owns all of it, so there are no locks. A panic in one call's machine ends and
//! resyncs that call only.
//!
//! Bounds: calls by `maximum_calls` (more are refused with 503 and recorded); requests in flight and records queued are
//! bounded by the calls; the journal's queue is bounded by itself, and what it refuses is kept by the switch.

mod carry;
mod lookup;
mod notices;
mod slot;
mod timers;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use agent_call::{Answer, CallEnd, CallMachine, CallOffer, CallSettings, Command, Effect, Input, SwitchEvent};
use cdr_journal::Journal;
use charging_client::Client;
use metrics::{counter, gauge};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};
use types::charging::{Notification, NotificationKind, Operation};
use types::{ClientId, DurationMs, ReleaseCause, SessionId};

use crate::call_log::CallLog;
use crate::clock::Clock;
use crate::metric::names;
use carry::Charged;
pub use lookup::UnknownEnd;
use lookup::{Found, Recent};
use notices::Notices;
use slot::{CallKey, Slot};
use timers::Timers;

/// What the driver is made of.
pub struct DriverParts {
    /// The switch instance, as configured: metric label and log field.
    pub switch: Arc<str>,
    /// Settings of its calls; the client id belongs to this switch instance alone.
    pub settings: CallSettings,
    /// How long a new call waits for the core.
    pub authorise_timeout: std::time::Duration,
    /// Calls held at once at most.
    pub maximum_calls: usize,
    /// The way to the charging core.
    pub charging: Client,
    /// Where records go.
    pub journal: Arc<Journal>,
    /// Proofs of life; `None`: not kept over a restart.
    pub call_log: Option<CallLog>,
    /// What the call log knew from before, by session.
    pub proven_before: HashMap<SessionId, DurationMs>,
    /// The clock.
    pub clock: Clock,
}

/// What the agent has to carry out at its switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// A command for a call.
    Command(SessionId, Command),
    /// The call is charged and its records are durable: the switch may forget it.
    Finished(SessionId),
    /// A call was loaded again from the core: ask the switch what became of it.
    Resync,
}

/// See the module's documentation.
pub struct CallDriver {
    switch: Arc<str>,
    settings: Arc<CallSettings>,
    authorise_timeout: std::time::Duration,
    maximum_calls: usize,
    charging: Client,
    journal: Arc<Journal>,
    call_log: Option<CallLog>,
    proven_before: HashMap<SessionId, DurationMs>,
    clock: Clock,
    calls: HashMap<CallKey, Slot>,
    by_session: HashMap<SessionId, CallKey>,
    next_key: u64,
    timers: Timers,
    orders: VecDeque<Order>,
    effects: Vec<Effect>,
    charges: JoinSet<Charged>,
    lookups: JoinSet<Found>,
    recent: Recent,
    records_done: (mpsc::UnboundedSender<RecordDone>, mpsc::UnboundedReceiver<RecordDone>),
    notifications: Option<mpsc::Receiver<Notification>>,
    notices: Notices,
    confirmations: JoinSet<()>,
    draining: bool,
}

/// A record is durable, or failed.
#[derive(Debug)]
struct RecordDone {
    key: CallKey,
    failure: Option<String>,
}

impl CallDriver {
    /// A driver without calls; [`CallDriver::restore`] brings back the open ones.
    pub fn new(parts: DriverParts) -> Self {
        Self {
            switch: parts.switch,
            settings: Arc::new(parts.settings),
            authorise_timeout: parts.authorise_timeout,
            maximum_calls: parts.maximum_calls,
            charging: parts.charging,
            journal: parts.journal,
            call_log: parts.call_log,
            proven_before: parts.proven_before,
            clock: parts.clock,
            calls: HashMap::new(),
            by_session: HashMap::new(),
            next_key: 0,
            timers: Timers::default(),
            orders: VecDeque::new(),
            effects: Vec::new(),
            charges: JoinSet::new(),
            lookups: JoinSet::new(),
            recent: Recent::default(),
            records_done: mpsc::unbounded_channel(),
            notifications: None,
            notices: Notices::default(),
            confirmations: JoinSet::new(),
            draining: false,
        }
    }

    /// Our name with the core.
    pub fn client_id(&self) -> &ClientId {
        &self.settings.client_id
    }

    /// A new call that the switch holds back.
    pub fn offer(&mut self, offer: CallOffer) {
        counter!(names::CALLS_OFFERED, "switch" => self.label()).increment(1);
        if self.knows(&offer.session_id) {
            return;
        }
        let room = self.calls.len() < self.maximum_calls && !self.draining && self.journal.accepts_calls();
        let (settings, now) = (Arc::clone(&self.settings), self.clock.now());
        if room || offer.never_refuse {
            self.create(|effects| CallMachine::offer(settings, offer, now, effects));
        } else {
            warn!(switch = %self.switch, calls = self.calls.len(), draining = self.draining, "no room for a call: refused");
            self.create(|effects| CallMachine::refused(settings, offer, ReleaseCause::Shutdown, now, effects));
        }
    }

    /// An answered call that was never offered.
    pub fn adopt(&mut self, offer: CallOffer, answer: Answer) {
        if !self.knows(&offer.session_id) {
            info!(switch = %self.switch, session_id = %offer.session_id, "adopting a call that was answered unseen");
            let (settings, now) = (Arc::clone(&self.settings), self.clock.now());
            self.create(|effects| CallMachine::adopt(settings, offer, answer, now, effects));
        }
    }

    /// A call that was never offered and is over: EVENT if it was never answered, else charged after the fact.
    pub(crate) fn adopt_ended(&mut self, offer: CallOffer, end: CallEnd) {
        if !self.knows(&offer.session_id) {
            let (settings, now) = (Arc::clone(&self.settings), self.clock.now());
            self.create(|effects| CallMachine::adopt_ended(settings, offer, end, now, effects));
        }
    }

    /// Something happened to a call. False: we do not know it.
    pub fn event(&mut self, session_id: &SessionId, event: SwitchEvent) -> bool {
        let Some(key) = self.by_session.get(session_id).copied() else { return false };
        self.accept(key, Input::Switch(event));
        true
    }

    /// Ends a call.
    pub fn release(&mut self, session_id: &SessionId, cause: ReleaseCause) {
        if let Some(key) = self.by_session.get(session_id).copied() {
            self.accept(key, Input::Release(cause));
        }
    }

    /// Is this call ours, and not finished?
    pub fn knows(&self, session_id: &SessionId) -> bool {
        self.by_session.contains_key(session_id)
    }

    /// Was this call finished a short while ago? Its end may come again and needs only an acknowledgement.
    pub fn finished_lately(&self, session_id: &SessionId) -> bool {
        self.recent.contains(session_id)
    }

    /// The calls that are not finished.
    pub fn sessions(&self) -> impl Iterator<Item = (&SessionId, &CallMachine)> {
        self.calls.values().map(|slot| (slot.machine.session_id(), &slot.machine))
    }

    /// The connection to the switch is gone.
    pub fn switch_lost(&mut self) {
        for key in self.keys() {
            self.accept(key, Input::SwitchLost);
        }
    }

    /// No new calls from now on; running ones go on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Requests and records under way; 0 when a shutdown loses nothing.
    pub fn unsettled(&self) -> usize {
        self.charges.len() + self.calls.values().map(|slot| slot.records_under_way as usize).sum::<usize>()
    }

    /// What the switch must be told, oldest first.
    pub fn orders(&mut self) -> impl Iterator<Item = Order> + '_ {
        self.orders.drain(..)
    }

    /// Writes down what is proven now.
    pub fn log_proofs(&mut self) {
        let Some(call_log) = &self.call_log else { return };
        let proven = self.sessions().map(|(session, machine)| (session.clone(), machine.proven_ms())).collect();
        let switch = Arc::clone(&self.switch);
        let failed = move |reason| warn!(switch = %switch, reason, "proofs of life were not written");
        if let Err(error) = call_log.write(proven, failed) {
            warn!(switch = %self.switch, error = &error as &dyn std::error::Error, "proofs of life were not written");
        }
    }

    /// Waits for the next thing from inside (an answer, a timer, a durable record, a notification) and carries it out.
    /// Cancel-safe: dropped before it is ready it has done nothing.
    pub async fn step(&mut self) {
        let due = self.timers.first().map(|at| self.clock.instant(at));
        tokio::select! {
            biased;
            Some(done) = self.records_done.1.recv() => self.record_done(done),
            Some(charged) = self.charges.join_next() => self.charged(charged),
            Some(found) = self.lookups.join_next() => self.found(found),
            Some(notification) = receive(&mut self.notifications) => self.notified(&notification),
            Some(_) = self.confirmations.join_next() => {}
            () = sleep_until(due) => self.fire_timers(),
        }
        gauge!(names::CALLS_OPEN, "switch" => self.label()).set(u32::try_from(self.calls.len()).unwrap_or(u32::MAX));
    }

    fn fire_timers(&mut self) {
        let now = self.clock.now().mono;
        while let Some((key, timer)) = self.timers.pop_due(now) {
            self.accept(key, Input::Timer(timer));
        }
    }

    fn notified(&mut self, notification: &Notification) {
        if self.notices.is_copy(notification.sequence) {
            return;
        }
        let key = self.by_session.get(&notification.session_id).copied();
        let abort = matches!(notification.kind, NotificationKind::Abort(_)) && key.is_some();
        self.notices.seen(notification.sequence, abort.then(|| notification.session_id.clone()));
        if let Some(key) = key {
            let input = match notification.kind {
                NotificationKind::Reauthorize => Input::Reauthorize,
                NotificationKind::Abort(cause) => Input::Release(cause),
            };
            info!(switch = %self.switch, session_id = %notification.session_id, kind = ?notification.kind, "core notifies");
            self.accept(key, input);
        }
        self.confirm();
    }

    fn confirm(&mut self) {
        if let Some(sequence) = self.notices.to_confirm() {
            let charging = self.charging.clone();
            self.confirmations.spawn(async move {
                if let Err(failure) = charging.confirm(sequence).await {
                    // They come again, which is harmless.
                    debug!(sequence, error = &failure as &dyn std::error::Error, "notifications were not confirmed");
                }
            });
        }
    }

    fn keys(&self) -> Vec<CallKey> {
        self.calls.keys().copied().collect()
    }

    fn label(&self) -> Arc<str> {
        Arc::clone(&self.switch)
    }
}

async fn receive(notifications: &mut Option<mpsc::Receiver<Notification>>) -> Option<Notification> {
    match notifications {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
