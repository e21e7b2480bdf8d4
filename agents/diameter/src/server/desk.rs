//! The desk: one task that owns all sessions. It takes CCRs from the connections, asks the core for one request of a session at a
//! time, and answers when the records of a request are on disk.
//!
//! Bounds: sessions by `limits.sessions` and requests of one session by [`QUEUED`], beyond that 3004; the requests of a connection by
//! its window. Sessions are a cache: what is idle is dropped, and read back from the core when it is asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use agent_runtime::{Clock, Continuing};
use cdr_journal::Journal;
use cdr_model::CallRecord;
use charging_client::Client;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use metrics::{Counter, Histogram, counter, gauge, histogram};
use protocol_codecs::diameter::{CcRequestType, ResultCode as WireCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{error, info, warn};
use types::MonoMs;
use types::SessionId;
use types::charging::{ChargingAnswer, Notification, ResultCode};

use crate::config::DiameterConfig;
use crate::credit::{Answering, Ask, Rendered, Reply, failed_avp, skeleton};
use crate::metric;

use super::AgentParts;
use super::alone::Alone;
use super::charge::{Settled, Settling};
use super::inbox::{ConnectionId, ToDesk, ToPeer};
use super::notices::Notices;
use super::requests::OwnRequests;
use super::restarts::Restarts;
use super::session::{Current, Job, Kept, Session};

/// A connection as the desk knows it.
#[derive(Debug)]
pub(super) struct Line {
    pub peer: Arc<str>,
    pub outbox: mpsc::Sender<ToPeer>,
    /// Whether requests of ours go this way.
    pub usable: bool,
}

/// A record is on disk, or is not.
#[derive(Debug)]
pub(super) struct Written {
    pub session_id: Box<str>,
    pub turn: u64,
    /// Why it is not, and the record.
    pub failure: Option<(String, Arc<CallRecord>)>,
}

pub(super) struct Desk {
    pub config: Arc<DiameterConfig>,
    pub charging: Client,
    pub journal: Arc<Journal>,
    pub clock: Clock,
    pub origin_state_id: u32,
    inbox: mpsc::Receiver<ToDesk>,
    pub lines: HashMap<ConnectionId, Line>,
    pub by_name: HashMap<Box<str>, ConnectionId>,
    pub sessions: HashMap<Box<str>, Session>,
    pub settling: FuturesUnordered<Settling>,
    pub written: (mpsc::UnboundedSender<Written>, mpsc::UnboundedReceiver<Written>),
    /// Ended sessions whose last records are not all on disk, by the turn that ended them: how many are not.
    pub unsettled: HashMap<u64, (SessionId, usize)>,
    /// Who goes on without the core, and who may.
    pub alone: Alone,
    pub continuing: Continuing,
    /// Records that the journal did not take: session, turn, record.
    pub unrecorded: VecDeque<(Box<str>, u64, Arc<CallRecord>)>,
    /// When answers may be forgotten, rising.
    expiry: VecDeque<(MonoMs, Box<str>)>,
    pub own: OwnRequests,
    pub restarts: Restarts,
    pub notices: Notices,
    notifications: mpsc::Receiver<Notification>,
    next_turn: u64,
    counted: Counted,
}

/// Metrics of every answer: looked up once, not with each.
struct Counted {
    copies: Counter,
    seconds: Histogram,
    answers: HashMap<u32, Counter>,
}

impl Counted {
    fn new(label: &str) -> Self {
        let copies = counter!(metric::COPIES, "switch" => label.to_owned());
        let seconds = histogram!(metric::SECONDS, "switch" => label.to_owned());
        Self { copies, seconds, answers: HashMap::new() }
    }
}

impl Desk {
    pub fn new(parts: &AgentParts) -> (Self, mpsc::Sender<ToDesk>) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let desk = Self {
            config: Arc::clone(&parts.config),
            charging: parts.charging.clone(),
            journal: Arc::clone(&parts.journal),
            clock: parts.clock,
            origin_state_id: parts.origin_state_id,
            inbox,
            lines: HashMap::new(),
            by_name: HashMap::new(),
            sessions: HashMap::new(),
            settling: FuturesUnordered::new(),
            written: mpsc::unbounded_channel(),
            unsettled: HashMap::new(),
            alone: Alone::default(),
            continuing: Continuing::new(parts.config.r#continue.limits()),
            unrecorded: VecDeque::new(),
            expiry: VecDeque::new(),
            own: OwnRequests::new(parts.origin_state_id),
            restarts: Restarts::default(),
            notices: Notices::default(),
            notifications: parts.charging.notifications(),
            next_turn: 0,
            counted: Counted::new(&parts.config.name),
        };
        (desk, sender)
    }

    /// Until all connections are gone and everything in work is done.
    pub async fn run(mut self) {
        cdr_model::numbering::load();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.recover();
        let (mut batch, mut connected) = (Vec::with_capacity(BATCH), true);
        while connected || self.in_work() > 0 {
            tokio::select! {
                taken = self.inbox.recv_many(&mut batch, BATCH), if connected => {
                    connected = taken > 0;
                    for message in batch.drain(..) {
                        self.told(message);
                    }
                }
                Some(settled) = self.settling.next() => {
                    self.settled(settled);
                    // Others that are ready by now: each turn of this loop has its price.
                    for _ in 0..BATCH {
                        let Some(Some(settled)) = self.settling.next().now_or_never() else { break };
                        self.settled(settled);
                    }
                }
                Some(written) = self.written.1.recv() => {
                    self.record_written(written);
                    for _ in 0..BATCH {
                        let Ok(written) = self.written.1.try_recv() else { break };
                        self.record_written(written);
                    }
                }
                Some(notification) = self.notifications.recv(), if connected => self.notified(&notification),
                _ = tick.tick() => self.look_after(),
            }
        }
        info!(agent = %self.config.name, sessions_left_open = self.sessions.len(), "desk closed");
    }

    fn in_work(&self) -> usize {
        self.sessions.values().filter(|session| session.current.is_some()).count()
    }

    pub fn label(&self) -> String {
        self.config.name.to_string()
    }

    pub fn now(&self) -> MonoMs {
        self.clock.now().mono
    }

    fn told(&mut self, message: ToDesk) {
        match message {
            ToDesk::Opened { id, peer, origin_state_id, outbox } => {
                if let Some(state_id) = origin_state_id {
                    self.client_state(&peer, state_id);
                }
                let name: Box<str> = peer.to_ascii_lowercase().into();
                if let Some(old) = self.by_name.insert(name, id).and_then(|old| self.lines.get(&old)) {
                    // It has come again: the old connection is dead, and we did not hear of it.
                    drop(old.outbox.try_send(ToPeer::Replaced));
                }
                self.lines.insert(id, Line { peer, outbox, usable: true });
                self.tell_connected();
            }
            ToDesk::Asked { id, ask, reply } => self.asked(id, ask, reply),
            ToDesk::Answered { hop_by_hop_id, code } => self.own_answered(hop_by_hop_id, code),
            ToDesk::Withdrawn { id } => {
                if let Some(line) = self.lines.get_mut(&id) {
                    line.usable = false;
                }
            }
            ToDesk::Closed { id } => {
                if let Some(line) = self.lines.remove(&id) {
                    let name: Box<str> = line.peer.to_ascii_lowercase().into();
                    if self.by_name.get(&name) == Some(&id) {
                        self.by_name.remove(&name);
                    }
                    self.tell_connected();
                }
            }
        }
    }

    /// For readiness: whether anybody is there to be served.
    fn tell_connected(&self) {
        let connected = if self.lines.is_empty() { 0.0 } else { 1.0 };
        gauge!(agent_runtime::names::SWITCH_CONNECTED, "switch" => self.label()).set(connected);
    }

    fn asked(&mut self, id: ConnectionId, ask: Box<Ask>, reply: Reply) {
        if let Some(state_id) = ask.origin_state_id {
            self.client_state(&ask.origin_host, state_id);
        }
        let known = self.sessions.contains_key(&ask.session_id);
        let limit = usize::try_from(self.config.limits.sessions).unwrap_or(usize::MAX);
        let begins = matches!(ask.request_type, CcRequestType::Initial | CcRequestType::Event);
        let emergency = ask.facts.emergency;
        let no_room = self.sessions.len() >= limit || (begins && !self.journal.accepts_calls());
        if !known && !emergency && no_room {
            return self.refuse(&ask, &[(id, reply)], ResultCode::TOO_BUSY);
        }
        let session = self.sessions.entry(ask.session_id.clone()).or_default();
        if !session.belongs_to(&ask.origin_host) {
            return self.refuse(&ask, &[(id, reply)], ResultCode::UNKNOWN_SESSION);
        }
        session.connection = Some(id);
        if let Some(rendered) = session.kept_for(&ask) {
            let bytes = rendered.for_request(&reply);
            self.counted.copies.increment(1);
            return self.send(id, ToPeer::Answer(bytes));
        }
        // A copy's own answer goes out with that of the original.
        let Err(way) = session.joins(&ask, (id, reply)) else { return };
        if session.queue.len() >= QUEUED {
            return self.refuse(&ask, &[way], ResultCode::TOO_BUSY);
        }
        let session_id = ask.session_id.clone();
        session.queue.push_back(Job { ask, ways: vec![way], came: Instant::now() });
        self.next(&session_id);
    }

    /// Tells one from all others.
    pub fn new_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }

    /// Begins the session's next request, if none is in work.
    pub fn next(&mut self, session_id: &str) {
        loop {
            let turn = self.new_turn();
            let Some(session) = self.sessions.get_mut(session_id) else { return };
            if session.current.is_some() {
                return;
            }
            let Some(job) = session.queue.pop_front() else { return };
            if let Some(rendered) = session.kept_for(&job.ask).cloned() {
                // Its original was answered while it waited.
                for (id, reply) in &job.ways {
                    self.send(*id, ToPeer::Answer(rendered.for_request(reply)));
                }
                continue;
            }
            session.current = Some(Current::new(turn, job));
            self.begin(session_id);
        }
    }

    /// Answers a request that is not in work.
    fn refuse(&mut self, ask: &Ask, ways: &[(ConnectionId, Reply)], code: ResultCode) {
        let Some(rendered) = self.render_refusal(ask, code) else { return };
        self.count_answer(&rendered);
        for (id, reply) in ways {
            self.send(*id, ToPeer::Answer(rendered.for_request(reply)));
        }
    }

    /// An answer that says only this code.
    pub fn render_refusal(&self, ask: &Ask, code: ResultCode) -> Option<Rendered> {
        let plan = crate::credit::Plan { request: None, verdicts: Vec::new(), service: ask.facts.service() };
        let charged = ChargingAnswer::refusal(SessionId::from(&*ask.session_id), ask.number, code);
        let bare = Ask { groups: Vec::new(), ..ask.clone() };
        self.render(&bare, &plan, &charged)
    }

    /// The CCA; `None`: it cannot be sent, which is a fault of ours.
    pub fn render(&self, ask: &Ask, plan: &crate::credit::Plan, charged: &ChargingAnswer) -> Option<Rendered> {
        let answering = Answering { ask, plan, config: &self.config, origin_state_id: self.origin_state_id };
        let request = skeleton(ask);
        let failed = failed_avp(ask, WireCode(charged.result_code.0));
        let cca = answering.answer(&request, charged, failed.as_deref());
        match Rendered::of(&cca) {
            Ok(rendered) => Some(rendered),
            Err(error) => {
                error!(agent = %self.config.name, error = &error as &dyn std::error::Error, "an answer cannot be sent");
                None
            }
        }
    }

    /// Gives the answer to everybody who waits for it, and keeps it for copies. The next request may begin.
    pub fn answer(&mut self, session_id: &str, rendered: &Rendered, keep: bool) {
        self.count_answer(rendered);
        let until = self.now().plus(self.config.limits.copies.ms());
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let Some(current) = session.current.as_mut() else { return };
        let ways = std::mem::take(&mut current.job.ways);
        self.counted.seconds.record(current.job.came.elapsed());
        if keep {
            let ask = &current.job.ask;
            session.kept.push_back(Kept {
                request_type: ask.request_type,
                number: ask.number,
                content: ask.content,
                rendered: rendered.clone(),
                until,
            });
            while session.kept.len() > KEPT {
                session.kept.pop_front();
            }
        }
        self.expiry.push_back((until, session_id.into()));
        for (id, reply) in ways {
            self.send(id, ToPeer::Answer(rendered.for_request(&reply)));
        }
    }

    fn count_answer(&mut self, rendered: &Rendered) {
        // Ours always has one.
        let code = rendered.result_code().map_or(0, |code| code.0);
        let label = &self.config.name;
        let counter = self.counted.answers.entry(code).or_insert_with(
            || counter!(metric::ANSWERS, "switch" => label.to_string(), "result_code" => code.to_string()),
        );
        counter.increment(1);
    }

    pub fn send(&self, id: ConnectionId, message: ToPeer) {
        let Some(line) = self.lines.get(&id) else { return };
        if line.outbox.try_send(message).is_err() {
            // Closed, or a peer that does not read: its connection ends by itself, and the client asks again.
            warn!(agent = %self.config.name, peer = %line.peer, "an answer found no way");
        }
    }

    fn look_after(&mut self) {
        let now = self.now();
        while self.expiry.front().is_some_and(|(until, _)| *until <= now) {
            let Some((_, session_id)) = self.expiry.pop_front() else { break };
            let Some(session) = self.sessions.get_mut(&session_id) else { continue };
            while session.kept.front().is_some_and(|kept| kept.until <= now) {
                session.kept.pop_front();
            }
            // What goes on without the core is known to us alone.
            let emergency = session.memory.as_ref().is_some_and(|memory| memory.facts.emergency);
            let alone = emergency || self.alone.since(&session_id).is_some();
            if session.is_idle() && (session.closed || !alone) {
                self.sessions.remove(&session_id);
            }
        }
        gauge!(metric::SESSIONS, "switch" => self.label()).set(count(self.sessions.len()));
        self.append_unrecorded();
        self.repeat_own_requests(now);
        self.confirm_notices();
    }

    /// What became of a request with the core.
    fn settled(&mut self, settled: Settled) {
        match settled {
            Settled::Charged { session_id, turn, awaited, result } => self.charged(&session_id, turn, awaited, result),
            Settled::Found { session_id, turn, result } => self.found(&session_id, turn, result),
            Settled::Recovered(ended) => self.recovered(ended),
            Settled::TakenBack(session_id) => self.charging.settled(&session_id),
            Settled::Lost { host, listed } => self.lost(&host, listed),
            Settled::Noticed { sequence, session_id, result } => self.notice_found(sequence, &session_id, result),
            Settled::Confirmed { through, result } => self.notices.was_confirmed(through, result.is_ok()),
        }
    }
}

/// For a gauge: exact up to 2^32.
fn count(length: usize) -> f64 {
    f64::from(u32::try_from(length).unwrap_or(u32::MAX))
}

const TICK: std::time::Duration = std::time::Duration::from_millis(250);
/// Messages from the connections; beyond that they answer 3004 themselves.
const INBOX: usize = 65_536;
const BATCH: usize = 256;
/// Requests of one session that wait.
const QUEUED: usize = 64;
/// Answers of one session that are kept.
const KEPT: usize = 64;
