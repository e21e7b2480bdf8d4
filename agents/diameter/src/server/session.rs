//! One session as the desk holds it: what is known, what is in work, what was answered.

use std::collections::VecDeque;

use protocol_codecs::diameter::CcRequestType;
use tokio::time::Instant;
use types::charging::{Operation, ResultCode};
use types::{MonoMs, UtcMs};

use crate::credit::{Ask, Draft, Memory, Plan, Rendered, Reply};

use super::inbox::ConnectionId;

/// A request and everybody who waits for its answer: its copies wait with it.
#[derive(Debug)]
pub(super) struct Job {
    pub ask: Box<Ask>,
    pub ways: Vec<(ConnectionId, Reply)>,
    pub came: Instant,
}

impl Job {
    pub fn is_copy(&self, ask: &Ask) -> bool {
        (self.ask.request_type, self.ask.number, self.ask.content) == (ask.request_type, ask.number, ask.content)
            && self.ask.origin_host.eq_ignore_ascii_case(&ask.origin_host)
    }
}

/// The request that is in work.
#[derive(Debug)]
pub(super) struct Current {
    /// Tells it from all others.
    pub turn: u64,
    pub job: Job,
    /// `None` while the core is asked whether it knows the session.
    pub plan: Option<Plan>,
    /// A copy of what the core knows already: its usage counts once.
    pub is_copy: bool,
    /// The core was asked whether it knows the session.
    pub looked_up: bool,
    /// When its event was first asked for, as far as the core kept it (number with the core).
    pub events: Vec<(u32, UtcMs)>,
    /// The answer, while its records are written; and how many are not.
    pub answer: Option<(Rendered, bool)>,
    pub unwritten: usize,
    /// It is known how it comes out.
    pub decided: bool,
}

impl Current {
    /// A request whose turn it is.
    pub fn new(turn: u64, job: Job) -> Self {
        let (is_copy, looked_up, events) = (false, false, Vec::new());
        Self { turn, job, plan: None, is_copy, looked_up, events, answer: None, unwritten: 0, decided: false }
    }

    /// Whether the core must say what it knows of the session before the request can begin.
    pub fn must_look_up(&self, knows_session: bool) -> bool {
        let ask = &self.job.ask;
        let unknown = !knows_session && !self.looked_up && !ask.facts.emergency;
        unknown
            && match ask.request_type {
                // After a restart, or a long silence.
                CcRequestType::Update | CcRequestType::Termination => true,
                // Perhaps of a session that went on since.
                CcRequestType::Initial => ask.retransmitted,
                // Perhaps a copy: it is rated at the time when the first one came.
                CcRequestType::Event => ask.event_time.is_none() && ask.moves_money(),
            }
    }
}

/// A request whose client was answered without the core, which still has it. Others go on behind it: the core gets them in order.
#[derive(Debug)]
pub(super) struct Late {
    pub turn: u64,
    pub ask: Box<Ask>,
    pub draft: Option<Draft>,
    /// Of a session or event that was refused meanwhile, and is taken back.
    pub refused: Option<Box<Memory>>,
    /// The session was let begin without the core.
    pub let_begin: bool,
}

/// An answer that was given.
#[derive(Debug)]
pub(super) struct Kept {
    pub request_type: CcRequestType,
    pub number: u32,
    pub content: u64,
    pub rendered: Rendered,
    pub until: MonoMs,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Of a session that stands; `None`: an event, or not yet known.
    pub memory: Option<Box<Memory>>,
    kept: VecDeque<Kept>,
    /// No kept answer is to a higher number.
    kept_up_to: u32,
    /// The desk looks at it again when its oldest answer may be forgotten.
    pub is_watched: bool,
    pub queue: VecDeque<Job>,
    pub current: Option<Box<Current>>,
    pub late: Vec<Late>,
    /// Where its client was heard last.
    pub connection: Option<ConnectionId>,
    pub closed: bool,
}

impl Session {
    /// Whether the session may be this client's.
    pub fn belongs_to(&self, origin_host: &str) -> bool {
        match (&self.memory, &self.current) {
            (Some(memory), _) => memory.belongs_to(origin_host),
            (None, Some(current)) => current.job.ask.origin_host.eq_ignore_ascii_case(origin_host),
            (None, None) => true,
        }
    }

    /// Keeps an answer for copies of its request.
    pub fn keep(&mut self, kept: Kept) {
        self.kept_up_to = self.kept_up_to.max(kept.number);
        self.kept.push_back(kept);
        while self.kept.len() > KEPT_MAX {
            self.kept.pop_front();
        }
    }

    /// Forgets answers whose time is over; when the next one's is, if any is left.
    pub fn forget(&mut self, now: MonoMs) -> Option<MonoMs> {
        while self.kept.front().is_some_and(|kept| kept.until <= now) {
            self.kept.pop_front();
        }
        self.kept.front().map(|kept| kept.until)
    }

    /// The answer that this request was given before.
    pub fn kept_for(&self, ask: &Ask) -> Option<&Rendered> {
        if ask.number > self.kept_up_to {
            return None;
        }
        let same = |kept: &&Kept| {
            (kept.request_type, kept.number, kept.content) == (ask.request_type, ask.number, ask.content)
        };
        self.kept.iter().find(same).map(|kept| &kept.rendered)
    }

    /// Waits with the original, if that is in work or waits itself, and if not too many do; else gives the way back.
    pub fn joins(&mut self, ask: &Ask, way: (ConnectionId, Reply)) -> Result<(), (ConnectionId, Reply)> {
        let current = self.current.as_mut().map(|current| &mut current.job);
        let original = current.into_iter().chain(&mut self.queue).find(|job| job.is_copy(ask));
        match original {
            Some(job) if job.ways.len() < WAYS_MAX => {
                job.ways.push(way);
                Ok(())
            }
            Some(_) | None => Err(way),
        }
    }

    /// It is known how the request in work comes out.
    pub fn after_decision(&mut self, code: ResultCode) {
        let Some(current) = &self.current else { return };
        match current.job.ask.operation() {
            Operation::Event => self.memory = None,
            Operation::Initial if !code.is_success() => (self.memory, self.closed) = (None, true),
            Operation::Termination => self.closed = true,
            Operation::Update if code == ResultCode::UNKNOWN_SESSION => self.closed = true,
            Operation::Initial | Operation::Update => self.closed = false,
        }
    }

    /// Nothing is in work and nothing is to be remembered.
    pub fn is_idle(&self) -> bool {
        self.current.is_none() && self.queue.is_empty() && self.kept.is_empty() && self.late.is_empty()
    }
}

/// Answers of one session that are kept.
const KEPT_MAX: usize = 64;
/// Copies of one request that wait at once; further ones are copies of a client that does not wait.
const WAYS_MAX: usize = 8;
