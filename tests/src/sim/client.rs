//! The charging client as `charging_client::Client` is: in order per session, durable before sending, asked again under the same
//! key for ever; a TERMINATION stays until its records are durable. The entries on disk and the book about them are the product's
//! ([`OutboxBook`]); the task that runs attempts is played here, because the real one lives in threads and tokio's tasks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use charging_client::OutboxBook;
use segment_log::fault::FaultStorage;
use segment_log::{Log, Position};
use types::SessionId;
use types::charging::{ChargingAnswer, ChargingRequest, Operation, ResultCode};

use super::event::{AgentEvent, Body, Event, GatewayEvent, Lane, Packet, Reply};
use super::stage::Stage;

/// See the module's documentation.
pub(crate) struct SimClient {
    pub index: usize,
    pub life: u32,
    outbox: Option<Outbox>,
    next_number: u64,
    pending: BTreeMap<Lane, VecDeque<Queued>>,
    attempts: BTreeMap<u64, Lane>,
    /// Requests of the former life that are not answered.
    recovering: BTreeSet<u64>,
    unsettled: BTreeMap<SessionId, u64>,
}

struct Outbox {
    log: Log,
    book: OutboxBook,
    writing: Vec<(u64, Position, Lane)>,
    /// Whose TERMINATION is written with another state.
    amending: Vec<SessionId>,
    planned: bool,
}

struct Queued {
    request: ChargingRequest,
    number: u64,
    durable: bool,
    maybe_arrived: bool,
    failures: u32,
    from_before: bool,
}

/// An answer for whoever asked.
pub(crate) struct Delivered {
    pub request: ChargingRequest,
    pub answer: ChargingAnswer,
    pub from_before: bool,
}

/// The disk failed in the middle of something: the process is dead.
pub(crate) struct Dead;

impl SimClient {
    /// Without an outbox.
    pub fn new(index: usize, life: u32) -> Self {
        Self {
            index,
            life,
            outbox: None,
            next_number: 1,
            pending: BTreeMap::new(),
            attempts: BTreeMap::new(),
            recovering: BTreeSet::new(),
            unsettled: BTreeMap::new(),
        }
    }

    /// With one, and what it holds is asked again.
    pub fn durable(stage: &mut Stage, index: usize, life: u32, disk: &FaultStorage) -> Result<Self, Dead> {
        let (log, book, loaded) = OutboxBook::open(Arc::new(disk.clone())).map_err(|_| Dead)?;
        assert_eq!(loaded.unreadable, 0, "an outbox that was only torn has no damaged entries");
        let mut client = Self::new(index, life);
        client.outbox = Some(Outbox { log, book, writing: Vec::new(), amending: Vec::new(), planned: false });
        client.next_number = loaded.next_number;
        for kept in loaded.requests {
            client.recovering.insert(kept.number);
            let lane = (kept.request.session_id.clone(), 0);
            let queued = Queued {
                request: kept.request,
                number: kept.number,
                durable: true,
                maybe_arrived: true,
                failures: 0,
                from_before: true,
            };
            client.push(stage, lane, queued);
        }
        Ok(client)
    }

    /// Everything from before the start is answered.
    pub fn has_recovered(&self) -> bool {
        self.recovering.is_empty()
    }

    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes a request; `waits`: for those of its session before it.
    pub fn submit(&mut self, stage: &mut Stage, request: ChargingRequest, waits: bool) -> Result<(), Dead> {
        let lane = (request.session_id.clone(), if waits { 0 } else { request.request_number + 1 });
        let number = self.next_number;
        self.next_number += 1;
        let durable = self.outbox.is_none();
        self.write(stage, number, &request, &lane)?;
        let queued = Queued { request, number, durable, maybe_arrived: false, failures: 0, from_before: false };
        self.push(stage, lane, queued);
        Ok(())
    }

    fn write(&mut self, stage: &mut Stage, number: u64, request: &ChargingRequest, lane: &Lane) -> Result<(), Dead> {
        let Some(outbox) = &mut self.outbox else { return Ok(()) };
        let payload = outbox.book.taken(number, request, outbox.log.durable());
        let position = outbox.log.append(&payload).map_err(|_| Dead)?;
        outbox.writing.push((number, position, lane.clone()));
        if !std::mem::replace(&mut outbox.planned, true) {
            let delay_ms = stage.roll(0, 12);
            stage.after(delay_ms, self.event(AgentEvent::Outbox));
        }
        Ok(())
    }

    /// The TERMINATION that waits is kept with another state from now on. False: there is none.
    pub fn amend(&mut self, stage: &mut Stage, session: &SessionId, state: Vec<u8>) -> Result<bool, Dead> {
        let lane = (session.clone(), 0);
        let waiting = self.pending.get_mut(&lane).into_iter().flatten();
        let mut last = waiting.filter(|queued| queued.request.operation == Operation::Termination);
        let Some(queued) = last.next() else { return Ok(false) };
        queued.request.client_state = state;
        let (number, request) = (queued.number, queued.request.clone());
        self.write(stage, number, &request, &lane)?;
        if let Some(outbox) = &mut self.outbox {
            outbox.amending.push(session.clone());
        }
        Ok(true)
    }

    /// The outbox's batch is written and synced. Whose TERMINATION is kept with another state now.
    pub fn flush(&mut self, stage: &mut Stage) -> Result<Vec<SessionId>, Dead> {
        let Some(outbox) = &mut self.outbox else { return Ok(Vec::new()) };
        outbox.planned = false;
        let amended = std::mem::take(&mut outbox.amending);
        outbox.log.commit().map_err(|_| Dead)?;
        for (number, position, lane) in std::mem::take(&mut outbox.writing) {
            if let Some(outbox) = &mut self.outbox {
                outbox.book.stands(number, position);
            }
            let Some(queue) = self.pending.get_mut(&lane) else { continue };
            let first = queue.front().is_some_and(|first| first.number == number);
            if let Some(queued) = queue.iter_mut().find(|queued| queued.number == number) {
                queued.durable = true;
            }
            if first {
                self.attempt(stage, &lane);
            }
        }
        Ok(amended)
    }

    /// An attempt has had no answer in its time.
    pub fn unanswered(&mut self, stage: &mut Stage, attempt: u64) {
        let Some(lane) = self.attempts.remove(&attempt) else { return };
        self.again(stage, lane, true);
    }

    fn again(&mut self, stage: &mut Stage, lane: Lane, maybe_arrived: bool) {
        let Some(first) = self.pending.get_mut(&lane).and_then(VecDeque::front_mut) else { return };
        first.failures = first.failures.saturating_add(1);
        first.maybe_arrived |= maybe_arrived;
        let pause_ms = (50_u64 << first.failures.min(7)).min(5_000);
        let pause_ms = stage.roll(pause_ms / 2, pause_ms);
        let event = match self.outbox {
            Some(_) => self.event(AgentEvent::Again(lane)),
            None => Event::Gateway(GatewayEvent::Again(lane)),
        };
        stage.after(pause_ms, event);
    }

    /// Asks the core for the first request of a lane, if that is on disk and not asked for now.
    pub fn attempt(&mut self, stage: &mut Stage, lane: &Lane) {
        let Some(first) = self.pending.get_mut(lane).and_then(VecDeque::front_mut) else { return };
        if !first.durable || self.attempts.values().any(|running| running == lane) {
            return;
        }
        let mut request = first.request.clone();
        request.retransmission |= first.maybe_arrived;
        let attempt = stage.dice.throw();
        self.attempts.insert(attempt, lane.clone());
        let event = match self.outbox {
            Some(_) => self.event(AgentEvent::Unanswered(attempt)),
            None => Event::Gateway(GatewayEvent::Unanswered(attempt)),
        };
        stage.after(ATTEMPT_MS, event);
        let body = Body::Charge(Box::new(request));
        stage.send(Packet { client: self.index, life: self.life, attempt, body });
    }

    /// The core said something to an attempt.
    pub fn replied(&mut self, stage: &mut Stage, attempt: u64, reply: Reply) -> Result<Option<Delivered>, Dead> {
        let Reply::Charged(answer) = reply else { return Ok(None) };
        let Some(lane) = self.attempts.remove(&attempt) else { return Ok(None) };
        if answer.result_code == ResultCode::TOO_BUSY {
            self.again(stage, lane, false);
            return Ok(None);
        }
        let Some(queue) = self.pending.get_mut(&lane) else { return Ok(None) };
        let Some(queued) = queue.pop_front() else { return Ok(None) };
        if queue.is_empty() {
            self.pending.remove(&lane);
        } else {
            self.attempt(stage, &lane);
        }
        self.recovering.remove(&queued.number);
        let Queued { request, number, from_before, .. } = queued;
        if ends_here(&request, &answer) && self.outbox.is_some() {
            if let Some(before) = self.unsettled.insert(request.session_id.clone(), number) {
                self.done(before)?;
            }
        } else {
            self.done(number)?;
        }
        Ok(Some(Delivered { request, answer: *answer, from_before }))
    }

    /// All records of the session are durable.
    pub fn settled(&mut self, session: &SessionId) -> Result<(), Dead> {
        match self.unsettled.remove(session) {
            Some(number) => self.done(number),
            None => Ok(()),
        }
    }

    fn done(&mut self, number: u64) -> Result<(), Dead> {
        let Some(outbox) = &mut self.outbox else { return Ok(()) };
        let Some(mark) = outbox.book.done(number) else { return Ok(()) };
        // Durable with the next request; missed by nobody.
        outbox.log.append(&mark).map_err(|_| Dead)?;
        if let Some(front) = outbox.book.front(outbox.log.durable()) {
            outbox.log.truncate_front(front).map_err(|_| Dead)?;
        }
        Ok(())
    }

    fn push(&mut self, stage: &mut Stage, lane: Lane, queued: Queued) {
        let queue = self.pending.entry(lane.clone()).or_default();
        queue.push_back(queued);
        if queue.len() == 1 {
            self.attempt(stage, &lane);
        }
    }

    fn event(&self, event: AgentEvent) -> Event {
        Event::Agent { site: self.index, life: self.life, event }
    }
}

/// A TERMINATION, or an INITIAL that is denied: what is kept until its records are durable.
pub(crate) fn ends_here(request: &ChargingRequest, answer: &ChargingAnswer) -> bool {
    match request.operation {
        Operation::Termination => true,
        Operation::Initial => !answer.result_code.is_success(),
        Operation::Update | Operation::Event => false,
    }
}

/// How long a transport waits.
const ATTEMPT_MS: u64 = 3_000;
