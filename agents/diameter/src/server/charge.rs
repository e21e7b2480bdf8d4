//! A request's way through the core and the journal.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use charging_client::{Answered, ChargingFailure, FailureCause, Recovered};
use protocol_codecs::diameter::CcRequestType;
use types::charging::{ChargingAnswer, ChargingRequest, RequestedAction, ResultCode, Service, SessionSummary};
use types::{SessionId, UtcMs};

use crate::credit::{Ask, Memory, OURS, Outcome, Plan, RecordFacts, imsi, plan, records};

use super::desk::Desk;

/// What the desk waits for.
pub(super) type Settling = Pin<Box<dyn Future<Output = Settled> + Send>>;

pub(super) type Charged = Result<ChargingAnswer, ChargingFailure>;
type Found = Result<Option<SessionSummary>, ChargingFailure>;

/// What came of it.
pub(super) enum Settled {
    /// A session that the core was asked for, to go on with a request.
    Found { session_id: Arc<str>, turn: u64, result: Found },
    /// The same, for a notification.
    Noticed { sequence: u64, session_id: SessionId, result: Found },
    /// Sessions that had ended before the start, and what the core says to it.
    Recovered(Vec<Recovered>),
    /// A session that was refused is ended with the core, too.
    TakenBack(SessionId),
    /// The core's sessions, for a client that lost its own.
    Lost { host: Box<str>, listed: Result<Vec<SessionSummary>, ChargingFailure> },
    /// Notifications were confirmed.
    Confirmed { through: u64, result: Result<(), ChargingFailure> },
}

impl Desk {
    /// Begins the request that is now in work.
    pub(super) fn begin(&mut self, session_id: &str) {
        let Some(session) = self.sessions.get(session_id) else { return };
        let Some(current) = session.current.as_ref() else { return };
        let ask = &current.job.ask;
        let continues = matches!(ask.request_type, CcRequestType::Update | CcRequestType::Termination);
        let knows = session.memory.is_some();
        if continues && !ask.facts.emergency && !knows && (session.closed || current.looked_up) {
            // It was refused, or never was: what its client reports all the same is of no session.
            return self.settle_locally(session_id, ResultCode::UNKNOWN_SESSION);
        }
        if current.must_look_up(knows) {
            let (charging, id, turn) = (self.charging.clone(), SessionId::from(session_id), current.turn);
            let (session_id, time): (Arc<str>, _) = (session_id.into(), self.config.answer_timeout);
            self.settling.push(Box::pin(async move {
                let found = tokio::time::timeout(time.std(), charging.session(&id)).await;
                let late = || ChargingFailure::NotSent { cause: FailureCause::Deadline { after_ms: time.ms() } };
                Settled::Found { session_id, turn, result: found.unwrap_or_else(|_| Err(late())) }
            }));
            return;
        }
        self.plan(session_id);
    }

    /// Decides what of the request the core is asked, and asks.
    fn plan(&mut self, session_id: &str) {
        let now = self.utc();
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let Some(current) = session.current.as_mut() else { return };
        let ask = &current.job.ask;
        let is_event = ask.request_type == CcRequestType::Event;
        let via = session.connection.and_then(|id| self.lines.get(&id)).map_or("", |line| &line.peer);
        let mut events_own = is_event.then(|| Box::new(Memory::begin(ask, via, now)));
        let memory = match &mut events_own {
            Some(memory) => memory,
            None => session.memory.get_or_insert_with(|| Box::new(Memory::begin(ask, via, now))),
        };
        if *memory.via != *via {
            memory.changing().via = via.into();
        }
        let is_copy = !is_event && memory.numbering.is_seen(ask.request_type, ask.number);
        let Some(number) = number_of(ask, memory) else {
            // Over, with the highest number there is; else beyond the range that the core takes, or out of all order.
            let code = if session.closed { ResultCode::UNKNOWN_SESSION } else { ResultCode::INVALID_VALUE };
            return self.settle_locally(session_id, code);
        };
        let first = current.events.iter().find(|(known, _)| *known == number).map_or(now, |(_, at)| *at);
        if is_event && ask.event_time.is_none() {
            memory.changing().events = current.events.iter().copied().filter(|(known, _)| *known != number).collect();
            memory.changing().events.push((number, first));
        }
        let mut made = plan(ask, memory, number, &self.config, first);
        if !is_copy {
            draft(memory, ask, made.service, (number, ask.event_time.unwrap_or(first)), self.config.interim.ms());
        }
        let request = made.request.take().map(|mut request| {
            // An event's state is needed for the times of its copies alone.
            if !is_event || !memory.events.is_empty() {
                // Nobody else has it yet: nothing is copied.
                Arc::make_mut(&mut request).client_state = memory.write();
            }
            request
        });
        let emergency = memory.facts.emergency;
        if is_event {
            session.memory = events_own;
        }
        current.plan = Some(made);
        current.is_copy = is_copy;
        match request {
            _ if emergency => self.settle_emergency(session_id),
            None => self.settle_locally(session_id, ResultCode::RATING_FAILED),
            Some(request) => self.submit(session_id, request),
        }
    }

    pub(super) fn submit(&mut self, session_id: &str, request: Arc<ChargingRequest>) {
        let Some(turn) = self.turn_of(session_id) else { return };
        let id = request.session_id.clone();
        match self.charging.submit_to(&self.answered.0, self.awaited.next_ticket(), request) {
            Ok(fate) => self.awaited.push(id, turn, self.turn_began + self.config.answer_timeout.std(), fate),
            Err(failure) => self.charged(session_id, turn, Err(failure)),
        }
    }

    pub(super) fn turn_of(&self, session_id: &str) -> Option<u64> {
        self.sessions.get(session_id)?.current.as_ref().map(|current| current.turn)
    }

    /// The core said what it knows of a session.
    pub(super) fn found(&mut self, session_id: &str, turn: u64, result: Found) {
        if self.turn_of(session_id) != Some(turn) {
            return;
        }
        let own = |summary: &SessionSummary| summary.client_id == *self.charging.client_id();
        let summary = match result {
            Ok(summary) => summary.filter(own),
            Err(failure) => return self.unreachable(session_id, &failure, false),
        };
        let restored = summary.and_then(|summary| Some((Memory::read(&summary.client_state)?, summary)));
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let Some(current) = session.current.as_mut() else { return };
        current.looked_up = true;
        if let Some((mut memory, summary)) = restored {
            if !memory.belongs_to(&current.job.ask.origin_host) {
                return self.settle_locally(session_id, ResultCode::UNKNOWN_SESSION);
            }
            if current.job.ask.request_type == CcRequestType::Event {
                current.events = memory.events;
            } else {
                self.write_draft(session_id, turn, &mut memory, &summary);
                if let Some(session) = self.sessions.get_mut(session_id) {
                    session.memory = Some(Box::new(memory));
                }
            }
        }
        self.begin(session_id);
    }

    /// The core answered, or never will.
    pub(super) fn outcome(&mut self, answered: Answered) {
        if let Some((session_id, turn)) = self.awaited.answered(answered.ticket) {
            self.charged(session_id.as_str(), turn, answered.outcome);
        }
    }

    /// Clients cannot wait any longer; the core's answers come later.
    pub(super) fn overdue(&mut self) {
        while let Some((session_id, turn, fate)) = self.awaited.next_overdue(self.turn_began) {
            if self.turn_of(session_id.as_str()) == Some(turn) {
                let failure = fate.deadline_passed(self.config.answer_timeout.std());
                self.unreachable(session_id.as_str(), &failure, true);
            }
        }
    }

    fn charged(&mut self, session_id: &str, turn: u64, result: Charged) {
        if self.turn_of(session_id) != Some(turn) {
            return self.late_charged(session_id, turn, result);
        }
        match result {
            Ok(answer) => {
                self.alone.end(session_id);
                self.told_of_account(session_id, &answer);
                for notification in &answer.notifications {
                    self.notified(notification);
                }
                self.decided(session_id, &answer);
            }
            Err(failure) => self.unreachable(session_id, &failure, false),
        }
    }

    pub(super) fn settle_locally(&mut self, session_id: &str, code: ResultCode) {
        let Some(current) = self.sessions.get_mut(session_id).and_then(|session| session.current.as_mut()) else {
            return;
        };
        let number = current.job.ask.number;
        current.plan.get_or_insert_with(|| Plan {
            request: None,
            // Without a word about its groups: it is about the whole request.
            verdicts: Vec::new(),
            service: current.job.ask.facts.service(),
        });
        let answer = ChargingAnswer::refusal(SessionId::from(session_id), number, code);
        self.decided(session_id, &answer);
    }

    /// It is known how the request comes out: records, then the answer.
    pub(super) fn decided(&mut self, session_id: &str, answer: &ChargingAnswer) {
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        // Lent for a moment instead of copied.
        let Some(mut current) = session.current.take() else { return };
        let mut memory = session.memory.take();
        let (turn, is_copy, ask) = (current.turn, current.is_copy, &current.job.ask);
        let rendered = current.plan.as_ref().map(|made| {
            let rendered =
                self.render(ask, made, answer).or_else(|| self.render_refusal(ask, ResultCode::UNABLE_TO_COMPLY));
            if let Some(memory) = &memory
                && self.is_unwanted(ask, made, answer)
            {
                self.take_back(ask, memory);
            }
            rendered
        });
        let was_planned = rendered.is_some();
        let (mut code, mut drafted) = (answer.result_code, Vec::new());
        if let Some(rendered) = rendered {
            code = rendered.as_ref().map_or(code, |rendered| ResultCode(rendered.result_code().0));
            if let Some(memory) = memory.as_deref_mut().filter(|_| !is_copy) {
                drafted = records(session_id, memory, Outcome::of(answer, code), &self.config.origin_host);
            }
            current.unwritten += drafted.len();
            current.decided = true;
            current.answer = rendered.map(|rendered| (rendered, answer.result_code != ResultCode::TOO_BUSY));
        }
        if let Some(session) = self.sessions.get_mut(session_id) {
            (session.current, session.memory) = (Some(current), memory);
            if was_planned {
                session.after_decision(code);
            }
        }
        for record in drafted {
            self.append(session_id, turn, record);
        }
        if was_planned {
            self.answer_if_written(session_id);
        }
    }

    /// The request in work is done with.
    pub(super) fn over(&mut self, session_id: &str) {
        if let Some(session) = self.sessions.get_mut(session_id) {
            session.current = None;
        }
        self.next(session_id);
    }
}

/// Drafts the records of a request that is not a copy.
fn draft(memory: &mut Memory, ask: &Ask, service: Service, (number, at): (u32, UtcMs), interim_ms: u64) {
    let Memory { facts, recorded, .. } = memory;
    let (plmn, apn) = (facts.information.plmn.as_deref(), facts.information.apn.as_deref());
    let facts = RecordFacts { service, plmn, apn, imsi: imsi(facts) };
    recorded.take(ask, &facts, number, at, interim_ms);
}

/// The number under which the core knows a request.
fn number_of(ask: &Ask, memory: &mut Memory) -> Option<u32> {
    match ask.request_type {
        CcRequestType::Event => event_number(ask.number, ask.action),
        kind => memory.numbering.number(kind, ask.number),
    }
}

/// A debit and its refund are two requests, also where clients give both the same number.
pub(super) fn event_number(own: u32, action: RequestedAction) -> Option<u32> {
    let refund = u32::from(action == RequestedAction::Refund);
    own.checked_mul(2)?.checked_add(refund).filter(|number| *number < OURS)
}

/// Longer than any session.
pub(super) const FOR_EVER: Duration = Duration::from_secs(7 * 86_400);
