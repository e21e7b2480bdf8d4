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
mod figures;
mod lookup;
mod notices;
mod slot;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use agent_call::{Answer, CallEnd, CallMachine, CallOffer, CallSettings, Command, Effect, Input, Phase, SwitchEvent};
use cdr_journal::Journal;
use cdr_model::{CallRecord, KnownNumbers};
use charging_client::{Client, Recovered};
use metrics::counter;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};
use types::charging::{Notification, NotificationKind, Operation};
use types::{ClientId, DurationMs, ReleaseCause, SessionId};

use crate::call_log::{CallLog, Proof};
use crate::clock::Clock;
use crate::continuing::{ContinueLimits, Continuing};
use crate::metric::names;
use carry::Charged;
use figures::Figures;
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
    pub proven_before: HashMap<SessionId, Proof>,
    /// The clock.
    pub clock: Clock,
    /// How far calls may go on while the core does not answer; counts only with `on_core_failure = "continue"`.
    pub continuing: ContinueLimits,
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
    proven_before: HashMap<SessionId, Proof>,
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
    /// A confirmation that the core did not hear comes back.
    confirmations: JoinSet<Option<u64>>,
    /// The open sessions of the core are loaded.
    restored: bool,
    /// Things from inside carried out since the timers were looked at.
    untimed: u32,
    /// Records of calls that ended unacknowledged; written when their end comes again.
    owed: HashMap<SessionId, Vec<Arc<CallRecord>>>,
    draining: bool,
    ends_owed: bool,
    /// Answers to TERMINATIONs from before the start, until the core has listed its sessions.
    recovered: Vec<Recovered>,
    continuing: Continuing,
    figures: Figures,
    known_numbers: KnownNumbers,
    #[cfg(test)]
    next_panics: bool,
}

/// A record is durable, or failed; or what records wait for is done.
#[derive(Debug)]
struct RecordDone {
    key: CallKey,
    /// The outbox has what the call's records wait for, or will not have it.
    kept: bool,
    /// Why it is not durable, and the record.
    failure: Option<(String, Arc<CallRecord>)>,
}

impl CallDriver {
    /// A driver without calls; [`CallDriver::restore`] brings back the open ones.
    pub fn new(parts: DriverParts) -> Self {
        cdr_model::numbering::load();
        Self {
            figures: Figures::of(&parts.switch),
            known_numbers: KnownNumbers::default(),
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
            restored: false,
            untimed: 0,
            owed: HashMap::new(),
            draining: false,
            ends_owed: false,
            recovered: Vec::new(),
            continuing: Continuing::new(parts.continuing),
            #[cfg(test)]
            next_panics: false,
        }
    }

    /// Our name with the core.
    pub fn client_id(&self) -> &ClientId {
        &self.settings.client_id
    }

    /// A new call that the switch holds back.
    pub fn offer(&mut self, offer: impl Into<Arc<CallOffer>>) {
        let offer = offer.into();
        self.figures.calls_offered.increment(1);
        if self.knows(&offer.session_id) {
            return;
        }
        let room = self.calls.len() < self.maximum_calls && !self.draining && self.journal.accepts_calls();
        let (settings, now) = (Arc::clone(&self.settings), self.clock.now());
        let (session_id, never_refuse) = (offer.session_id.clone(), offer.never_refuse);
        let created = if room || offer.never_refuse {
            self.create(session_id.clone(), |effects| CallMachine::offer(settings, offer, now, effects))
        } else {
            warn!(switch = %self.switch, calls = self.calls.len(), draining = self.draining, "no room for a call: refused");
            let refused = ReleaseCause::Shutdown;
            self.create(session_id.clone(), |effects| CallMachine::refused(settings, offer, refused, now, effects))
        };
        if !created && !never_refuse {
            // Nobody would ever let it go or end it.
            self.orders.push_back(Order::Command(session_id, Command::Refuse(ReleaseCause::ChargingUnavailable)));
        }
    }

    /// An answered call that was never offered.
    pub fn adopt(&mut self, offer: impl Into<Arc<CallOffer>>, answer: Answer) {
        let offer = offer.into();
        if !self.knows(&offer.session_id) {
            info!(switch = %self.switch, session_id = %offer.session_id, "adopting a call that was answered unseen");
            let (settings, now) = (Arc::clone(&self.settings), self.clock.now());
            self.create(offer.session_id.clone(), |effects| CallMachine::adopt(settings, offer, answer, now, effects));
        }
    }

    /// A call that was never offered and is over: EVENT if it was never answered, else charged after the fact.
    pub(crate) fn adopt_ended(&mut self, offer: Arc<CallOffer>, end: CallEnd) {
        if !self.knows(&offer.session_id) {
            let (settings, now) = (Arc::clone(&self.settings), self.clock.now());
            self.create(offer.session_id.clone(), |effects| {
                CallMachine::adopt_ended(settings, offer, end, now, effects)
            });
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

    /// True once after an end could not be settled: the switch keeps it, and has to be asked for it again, in a while.
    pub fn take_ends_owed(&mut self) -> bool {
        std::mem::take(&mut self.ends_owed)
    }

    /// Unanswered calls that are older than any ringing: their end was missed.
    pub fn ringing_too_long(&self) -> Vec<SessionId> {
        let limit_ms = self.settings.maximum_ring_ms.saturating_add(RINGING_GRACE_MS);
        let now = self.clock.now().utc;
        let unanswered = |machine: &CallMachine| matches!(machine.phase(), Phase::Ringing | Phase::Refused);
        let late = self
            .sessions()
            .filter(|(_, machine)| unanswered(machine) && now.since(machine.call_offer().offered) > limit_ms);
        late.map(|(session, _)| session.clone()).collect()
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
        let proven = self.sessions().filter_map(|(session, machine)| {
            let answered = machine.answered_at()?;
            Some((session.clone(), Proof { answered, proven_ms: machine.proven_ms() }))
        });
        let mut proven: HashMap<SessionId, Proof> = proven.collect();
        if !self.restored {
            // Their calls are not loaded yet; should we die before they are, this is all that is left of them.
            for (session_id, proof) in &self.proven_before {
                proven.entry(session_id.clone()).or_insert(*proof);
            }
        }
        let switch = Arc::clone(&self.switch);
        let failed = move |reason| warn!(switch = %switch, reason, "proofs of life were not written");
        if let Err(error) = call_log.write(proven, failed) {
            warn!(switch = %self.switch, error = &error as &dyn std::error::Error, "proofs of life were not written");
        }
    }

    /// Waits for the next thing from inside (an answer, a timer, a durable record, a notification) and carries it out, and what is
    /// there besides.
    /// Cancel-safe: dropped before it is ready it has done nothing.
    pub async fn step(&mut self) {
        let due = self.timers.first().map(|at| self.clock.instant(at));
        if self.untimed >= UNTIMED && due.is_some_and(|due| due <= tokio::time::Instant::now()) {
            self.fire_timers();
            return;
        }
        self.untimed = self.untimed.saturating_add(1);
        // Answers before timers: a call is not cut in the moment in which its next grant is there. But not for ever.
        tokio::select! {
            biased;
            Some(done) = self.records_done.1.recv() => self.record_done(done),
            Some(charged) = self.charges.join_next() => self.charged(charged),
            Some(found) = self.lookups.join_next() => self.found(found),
            Some(notification) = receive(&mut self.notifications) => self.notified(&notification),
            Some(confirmed) = self.confirmations.join_next() => {
                if let Ok(Some(sequence)) = confirmed {
                    self.notices.not_confirmed(sequence);
                }
            }
            () = sleep_until(due) => self.fire_timers(),
        }
        self.carry_on();
        self.figures.calls_open.set(u32::try_from(self.calls.len()).unwrap_or(u32::MAX));
    }

    /// What is ready besides costs no further turn: answers and records come in batches.
    fn carry_on(&mut self) {
        for _ in 0..UNTIMED {
            if let Ok(done) = self.records_done.1.try_recv() {
                self.record_done(done);
            } else if let Some(charged) = self.charges.try_join_next() {
                self.charged(charged);
            } else {
                return;
            }
            self.untimed = self.untimed.saturating_add(1);
        }
    }

    fn fire_timers(&mut self) {
        self.untimed = 0;
        let now = self.clock.now().mono;
        while let Some((key, timer)) = self.timers.pop_due(now) {
            self.accept(key, Input::Timer(timer));
        }
    }

    fn notified(&mut self, notification: &Notification) {
        if !self.restored {
            // It may be for a call that is not loaded yet. Unconfirmed, it comes again.
            return;
        }
        if self.notices.is_copy(notification.sequence) {
            self.confirm();
            return;
        }
        let key = self.by_session.get(&notification.session_id).copied();
        let abort = match notification.kind {
            NotificationKind::Abort(cause) if key.is_some() || self.recent.is_looked_up(&notification.session_id) => {
                Some((notification.session_id.clone(), cause))
            }
            _ => None,
        };
        self.notices.seen(notification.sequence, abort);
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
        if let Some(sequence) = self.notices.next_confirmation() {
            let charging = self.charging.clone();
            self.confirmations.spawn(async move {
                let failure = charging.confirm(sequence).await.err()?;
                // They come again, which is harmless.
                debug!(sequence, error = &failure as &dyn std::error::Error, "notifications were not confirmed");
                Some(sequence)
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

/// Answers and records carried out in a row before timers that are due.
const UNTIMED: u32 = 64;
/// What a switch may take beyond the longest ringing to say that it is over.
const RINGING_GRACE_MS: DurationMs = 60_000;

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
