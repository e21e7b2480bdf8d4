//! The desk: one task that owns all sessions. It takes CCRs from the connections, asks the core for one request of a session at a
//! time, and answers when the records of a request are on disk.
//!
//! Bounds: sessions by `limits.sessions` and requests of one session by [`QUEUED`], beyond that 3004; the requests of a connection by
//! its window. Sessions are a cache: what is idle is dropped, and read back from the core when it is asked for.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use agent_runtime::{Clock, Continuing};
use bytes::BytesMut;
use cdr_journal::Journal;
use cdr_model::CallRecord;
use charging_client::{Answered, Client};
use foldhash::{HashMap, HashMapExt};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use metrics::{Counter, Histogram, counter, gauge, histogram};
use protocol_codecs::diameter::{CcRequestType, ResultCode as WireCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{error, info, warn};
use types::SessionId;
use types::charging::{ChargingAnswer, Notification, ResultCode};
use types::{MonoMs, Now, UtcMs};

use crate::config::DiameterConfig;
use crate::credit::{Answering, Ask, Rendered, Reply, failed_avp};
use crate::metric;

use super::AgentParts;
use super::alone::Alone;
use super::awaited::Awaited;
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
    pub session_id: Arc<str>,
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
    pub sessions: HashMap<Arc<str>, Session>,
    /// Requests with the core, and where its answers come.
    pub awaited: Awaited,
    pub answered: (mpsc::UnboundedSender<Answered>, mpsc::UnboundedReceiver<Answered>),
    /// Everything else that is waited for.
    pub settling: FuturesUnordered<Settling>,
    pub written: (mpsc::UnboundedSender<Written>, mpsc::UnboundedReceiver<Written>),
    /// Ended sessions whose last records are not all on disk, by the turn that ended them: how many are not.
    pub unsettled: HashMap<u64, (SessionId, usize)>,
    /// Who goes on without the core, and who may.
    pub alone: Alone,
    pub continuing: Continuing,
    /// Records that the journal did not take: session, turn, record.
    pub unrecorded: VecDeque<(Arc<str>, u64, Arc<CallRecord>)>,
    /// When answers of a session may be forgotten: each session once.
    expiry: BinaryHeap<Reverse<(MonoMs, Arc<str>)>>,
    pub own: OwnRequests,
    pub restarts: Restarts,
    pub notices: Notices,
    notifications: mpsc::Receiver<Notification>,
    next_turn: u64,
    /// When this turn of the desk began: what it does in one turn happens at one time.
    now: Now,
    pub turn_began: Instant,
    /// Where answers are written before they are kept.
    scratch: RefCell<BytesMut>,
    counted: Counted,
}

/// Metrics of every answer: looked up once, not with each.
struct Counted {
    copies: Counter,
    seconds: Histogram,
    /// By result code: a handful.
    answers: Vec<(u32, Counter)>,
}

impl Counted {
    fn new(label: &str) -> Self {
        let copies = counter!(metric::COPIES, "switch" => label.to_owned());
        let seconds = histogram!(metric::SECONDS, "switch" => label.to_owned());
        Self { copies, seconds, answers: Vec::new() }
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
            awaited: Awaited::default(),
            answered: mpsc::unbounded_channel(),
            settling: FuturesUnordered::new(),
            written: mpsc::unbounded_channel(),
            unsettled: HashMap::new(),
            alone: Alone::default(),
            continuing: Continuing::new(parts.config.r#continue.limits()),
            unrecorded: VecDeque::new(),
            expiry: BinaryHeap::new(),
            own: OwnRequests::new(parts.origin_state_id),
            restarts: Restarts::default(),
            notices: Notices::default(),
            notifications: parts.charging.notifications(),
            next_turn: 0,
            now: parts.clock.now(),
            turn_began: Instant::now(),
            scratch: RefCell::default(),
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
            let due = self.awaited.due();
            tokio::select! {
                taken = self.inbox.recv_many(&mut batch, BATCH), if connected => {
                    self.begin_turn();
                    connected = taken > 0;
                    for message in batch.drain(..) {
                        self.told(message);
                    }
                }
                Some(answered) = self.answered.1.recv() => {
                    self.begin_turn();
                    self.outcome(answered);
                    // Others that are there by now: each turn of this loop has its price.
                    for _ in 0..BATCH {
                        let Ok(answered) = self.answered.1.try_recv() else { break };
                        self.outcome(answered);
                    }
                }
                () = until(due), if due.is_some() => {
                    self.begin_turn();
                    self.overdue();
                }
                Some(settled) = self.settling.next() => {
                    self.begin_turn();
                    self.settled(settled);
                }
                Some(written) = self.written.1.recv() => {
                    self.begin_turn();
                    self.record_written(written);
                    for _ in 0..BATCH {
                        let Ok(written) = self.written.1.try_recv() else { break };
                        self.record_written(written);
                    }
                }
                Some(notification) = self.notifications.recv(), if connected => {
                    self.begin_turn();
                    self.notified(&notification);
                }
                _ = tick.tick() => {
                    self.begin_turn();
                    self.look_after();
                }
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

    fn begin_turn(&mut self) {
        (self.now, self.turn_began) = (self.clock.now(), Instant::now());
    }

    /// When this turn of the desk began.
    pub fn now(&self) -> MonoMs {
        self.now.mono
    }

    /// The same as wall-clock time.
    pub fn utc(&self) -> UtcMs {
        self.now.utc
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
            return self.refuse(&ask, (id, reply), ResultCode::TOO_BUSY);
        }
        let session = self.sessions.entry(Arc::clone(&ask.session_id)).or_default();
        if !session.belongs_to(&ask.origin_host) {
            return self.refuse(&ask, (id, reply), ResultCode::UNKNOWN_SESSION);
        }
        session.connection = Some(id);
        if let Some(rendered) = session.kept_for(&ask) {
            let rendered = rendered.clone();
            self.counted.copies.increment(1);
            return self.send(id, ToPeer::Answer(rendered, reply));
        }
        // A copy's own answer goes out with that of the original.
        let Err(way) = session.joins(&ask, (id, reply)) else { return };
        if session.queue.len() >= QUEUED {
            return self.refuse(&ask, way, ResultCode::TOO_BUSY);
        }
        let session_id = Arc::clone(&ask.session_id);
        let job = Job { ask, ways: vec![way], came: self.turn_began };
        if session.current.is_none() && session.queue.is_empty() {
            return self.work_on(&session_id, job);
        }
        session.queue.push_back(job);
        self.next(&session_id);
    }

    /// Tells one from all others.
    pub fn new_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }

    fn work_on(&mut self, session_id: &str, job: Job) {
        let turn = self.new_turn();
        if let Some(session) = self.sessions.get_mut(session_id) {
            session.current = Some(Box::new(Current::new(turn, job)));
            self.begin(session_id);
        }
    }

    /// Begins the session's next request, if none is in work.
    pub fn next(&mut self, session_id: &str) {
        loop {
            let Some(session) = self.sessions.get_mut(session_id) else { return };
            if session.current.is_some() {
                return;
            }
            let Some(job) = session.queue.pop_front() else { return };
            let Some(rendered) = session.kept_for(&job.ask).cloned() else {
                self.work_on(session_id, job);
                continue;
            };
            // Its original was answered while it waited.
            for (id, reply) in job.ways {
                self.send(id, ToPeer::Answer(rendered.clone(), reply));
            }
        }
    }

    /// Answers a request that is not in work.
    fn refuse(&mut self, ask: &Ask, (id, reply): (ConnectionId, Reply), code: ResultCode) {
        let Some(rendered) = self.render_refusal(ask, code) else { return };
        self.count_answer(&rendered);
        self.send(id, ToPeer::Answer(rendered, reply));
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
        let failed = failed_avp(ask, WireCode(charged.result_code.0));
        let cca = answering.answer(charged, failed.as_deref());
        match Rendered::of(&cca, &mut self.scratch.borrow_mut()) {
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
        self.counted.seconds.record(self.turn_began.saturating_duration_since(current.job.came));
        let watched = (!session.is_watched).then(|| Arc::clone(&current.job.ask.session_id));
        session.is_watched = true;
        if keep {
            let ask = &current.job.ask;
            let (request_type, number, content) = (ask.request_type, ask.number, ask.content);
            session.keep(Kept { request_type, number, content, rendered: rendered.clone(), until });
        }
        if let Some(session_id) = watched {
            self.expiry.push(Reverse((until, session_id)));
        }
        for (id, reply) in ways {
            self.send(id, ToPeer::Answer(rendered.clone(), reply));
        }
    }

    fn count_answer(&mut self, rendered: &Rendered) {
        let code = rendered.result_code().0;
        if let Some((_, counter)) = self.counted.answers.iter().find(|(known, _)| *known == code) {
            return counter.increment(1);
        }
        let label = self.label();
        let counter = counter!(metric::ANSWERS, "switch" => label, "result_code" => code.to_string());
        counter.increment(1);
        self.counted.answers.push((code, counter));
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
        while self.expiry.peek().is_some_and(|Reverse((until, _))| *until <= now) {
            let Some(Reverse((_, session_id))) = self.expiry.pop() else { break };
            let Some(session) = self.sessions.get_mut(&session_id) else { continue };
            let next = session.forget(now);
            // What goes on without the core is known to us alone.
            let emergency = session.memory.as_ref().is_some_and(|memory| memory.facts.emergency);
            let alone = emergency || self.alone.since(&session_id).is_some();
            if session.is_idle() && (session.closed || !alone) {
                self.sessions.remove(&session_id);
            } else {
                let until = next.unwrap_or(now.plus(self.config.limits.copies.ms()));
                self.expiry.push(Reverse((until, session_id)));
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
            Settled::Found { session_id, turn, result } => self.found(&session_id, turn, result),
            Settled::Recovered(ended) => self.recovered(ended),
            Settled::TakenBack(session_id) => self.charging.settled(&session_id),
            Settled::Lost { host, listed } => self.lost(&host, listed),
            Settled::Noticed { sequence, session_id, result } => self.notice_found(sequence, &session_id, result),
            Settled::Confirmed { through, result } => self.notices.was_confirmed(through, result.is_ok()),
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
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
