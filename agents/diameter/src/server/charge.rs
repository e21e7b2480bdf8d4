//! A request's way through the core and the journal.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cdr_model::{CallRecord, Parties};
use charging_client::{AwaitedAnswer, ChargingFailure, FailureCause};
use metrics::counter;
use protocol_codecs::diameter::CcRequestType;
use tracing::{error, warn};
use types::charging::{
    ChargingAnswer, ChargingRequest, FailureHandling, Operation, RequestedAction, ResultCode, SessionPhase,
    SessionSummary, UnitAnswer,
};
use types::{ClientId, SessionId};

use crate::credit::{Answering, Ask, Memory, OURS, Outcome, Plan, RecordFacts, Rendered, Verdict, imsi, plan, records};
use crate::metric;

use super::desk::{Desk, Written};

/// What the desk waits for.
pub(super) type Settling = Pin<Box<dyn Future<Output = Settled> + Send>>;

type Charged = Result<ChargingAnswer, ChargingFailure>;
type Found = Result<Option<SessionSummary>, ChargingFailure>;

/// What came of it.
pub(super) enum Settled {
    /// A request with the core.
    Charged { session_id: Box<str>, turn: u64, awaited: Option<AwaitedAnswer>, result: Charged },
    /// A session that the core was asked for, to go on with a request.
    Found { session_id: Box<str>, turn: u64, result: Found },
    /// The same, for a notification.
    Noticed { sequence: u64, session_id: SessionId, result: Found },
    /// Notifications were confirmed.
    Confirmed { through: u64, result: Result<(), ChargingFailure> },
}

fn wait(session_id: Box<str>, turn: u64, mut awaited: AwaitedAnswer, time: Duration) -> Settling {
    Box::pin(async move {
        let result = awaited.within(time).await;
        Settled::Charged { session_id, turn, awaited: Some(awaited), result }
    })
}

impl Desk {
    /// Begins the request that is now in work.
    pub(super) fn begin(&mut self, session_id: &str) {
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let Some(current) = session.current.as_mut() else { return };
        let ask = &current.job.ask;
        let is_event = ask.request_type == CcRequestType::Event;
        let begins = is_event || ask.request_type == CcRequestType::Initial || ask.facts.emergency;
        if session.memory.is_none() && !begins {
            // After a restart, or a long silence: the core knows.
            let (charging, id, turn) = (self.charging.clone(), SessionId::from(session_id), current.turn);
            let session_id: Box<str> = session_id.into();
            self.settling.push(Box::pin(async move {
                let result = charging.session(&id).await;
                Settled::Found { session_id, turn, result }
            }));
            return;
        }
        let now = self.clock.now().utc;
        let via = session.connection.and_then(|id| self.lines.get(&id)).map_or("", |line| &line.peer);
        let mut events_own = is_event.then(|| Memory::begin(ask, via, now));
        let memory = match &mut events_own {
            Some(memory) => memory,
            None => session.memory.get_or_insert_with(|| Memory::begin(ask, via, now)),
        };
        memory.via = via.into();
        let is_copy = !is_event && memory.numbering.is_seen(ask.request_type, ask.number);
        let Some(number) = number_of(ask, memory) else {
            return self.settle_locally(session_id, ResultCode::UNABLE_TO_COMPLY);
        };
        let mut made = plan(ask, memory, number, &self.config, now);
        if !is_copy {
            let at = ask.event_time.unwrap_or(now);
            let information = memory.facts.information.clone();
            let imsi = imsi(memory).cloned();
            let facts = RecordFacts {
                service: made.service,
                plmn: information.plmn.as_deref(),
                apn: information.apn.as_deref(),
                imsi: imsi.as_ref(),
            };
            memory.recorded.take(ask, &facts, number, at, self.config.interim.ms());
        }
        let request = made.request.take().map(|mut request| {
            if request.operation != Operation::Event {
                request.client_state = memory.write();
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

    fn submit(&mut self, session_id: &str, request: ChargingRequest) {
        let Some(turn) = self.turn_of(session_id) else { return };
        match self.charging.submit(request) {
            Ok(awaited) => {
                let time = self.config.answer_timeout.std();
                self.settling.push(wait(session_id.into(), turn, awaited, time));
            }
            Err(failure) => self.charged(session_id, turn, None, Err(failure)),
        }
    }

    fn turn_of(&self, session_id: &str) -> Option<u64> {
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
            Err(failure) => return self.unreachable(session_id, &failure),
        };
        let restored = summary.and_then(|summary| Some((Memory::read(&summary.client_state)?, summary)));
        let Some((mut memory, summary)) = restored else {
            return self.settle_locally(session_id, ResultCode::UNKNOWN_SESSION);
        };
        let asked_by = self.sessions.get(session_id).and_then(|session| session.current.as_ref());
        let is_owner = asked_by.is_some_and(|current| memory.belongs_to(&current.job.ask.origin_host));
        if !is_owner {
            return self.settle_locally(session_id, ResultCode::UNKNOWN_SESSION);
        }
        self.write_draft(session_id, &mut memory, &summary);
        if let Some(session) = self.sessions.get_mut(session_id) {
            session.memory = Some(memory);
        }
        self.begin(session_id);
    }

    /// The records of the last request that the core decided may be missing; those that are not are not written twice.
    fn write_draft(&mut self, session_id: &str, memory: &mut Memory, summary: &SessionSummary) {
        let code = match summary.phase {
            SessionPhase::Denied => ResultCode::UNABLE_TO_COMPLY,
            SessionPhase::Open | SessionPhase::Expired | SessionPhase::Closed => ResultCode::SUCCESS,
        };
        let outcome = Outcome { code, cost: summary.cost, release: None };
        for record in records(session_id, memory, outcome, &self.config.origin_host) {
            self.append(session_id, 0, record);
        }
    }

    /// The core answered, or did not.
    pub(super) fn charged(&mut self, session_id: &str, turn: u64, awaited: Option<AwaitedAnswer>, result: Charged) {
        if self.turn_of(session_id) != Some(turn) {
            return;
        }
        match (result, awaited) {
            (Ok(answer), _) => {
                if let Some(session) = self.sessions.get_mut(session_id) {
                    session.alone_since = None;
                }
                for notification in &answer.notifications {
                    self.notified(notification);
                }
                self.decided(session_id, &answer);
            }
            (Err(failure), Some(awaited)) if matches!(failure.cause(), FailureCause::Deadline { .. }) => {
                self.settling.push(wait(session_id.into(), turn, awaited, FOR_EVER));
                self.unreachable(session_id, &failure);
            }
            (Err(failure), _) => {
                self.unreachable(session_id, &failure);
                self.over(session_id);
            }
        }
    }

    /// The client is told what it is told without a core; the request itself waits on.
    fn unreachable(&mut self, session_id: &str, failure: &ChargingFailure) {
        counter!(metric::LATE, "switch" => self.label()).increment(1);
        warn!(agent = %self.config.name, session_id, error = failure as &dyn std::error::Error, "the charging core was not reached in time");
        let (now, longest) = (self.now(), self.config.continue_longest.ms());
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let Some(current) = session.current.as_mut() else { return };
        if current.told {
            return;
        }
        current.told = true;
        let since = *session.alone_since.get_or_insert(now);
        let is_report = matches!(current.job.ask.request_type, CcRequestType::Update | CcRequestType::Termination);
        let goes_on = self.config.on_core_failure == FailureHandling::Continue
            && is_report
            && current.plan.is_some()
            && now.since(since) <= longest;
        let (ask, made) = (current.job.ask.clone(), current.plan.clone());
        let rendered = match (goes_on, &made) {
            (true, Some(made)) => self.render(&ask, made, &generous(&ask, made)),
            _ => self.render_refusal(&ask, self.without_core()),
        };
        if let Some(rendered) = rendered {
            // A refused beginning stays refused; a refused report may be asked again, and waits for its original then.
            let keep = goes_on || matches!(ask.request_type, CcRequestType::Initial | CcRequestType::Event);
            self.answer(session_id, &rendered, keep);
        }
        if made.is_none() {
            self.over(session_id);
        }
    }

    fn without_core(&self) -> ResultCode {
        match self.config.on_core_failure {
            FailureHandling::Terminate => ResultCode::UNABLE_TO_COMPLY,
            FailureHandling::Continue | FailureHandling::RetryAndTerminate => ResultCode::TOO_BUSY,
        }
    }

    fn settle_locally(&mut self, session_id: &str, code: ResultCode) {
        let Some(current) = self.sessions.get_mut(session_id).and_then(|session| session.current.as_mut()) else {
            return;
        };
        let number = current.job.ask.number;
        current.plan.get_or_insert_with(|| Plan {
            request: None,
            verdicts: vec![Verdict::Unmapped; current.job.ask.groups.len()],
            service: current.job.ask.facts.service(),
        });
        let answer = ChargingAnswer::refusal(SessionId::from(session_id), number, code);
        self.decided(session_id, &answer);
    }

    /// Emergency calls are never refused, and cost nothing.
    fn settle_emergency(&mut self, session_id: &str) {
        let Some(current) = self.sessions.get(session_id).and_then(|session| session.current.as_ref()) else { return };
        let Some(made) = &current.plan else { return };
        let mut answer = generous(&current.job.ask, made);
        for unit in &mut answer.units {
            unit.granted = unit.granted.map(|mut units| {
                units.time_ms = units.time_ms.map(|time_ms| time_ms.max(EMERGENCY_MS));
                units
            });
        }
        self.decided(session_id, &answer);
    }

    /// It is known how the request comes out: records, then the answer.
    fn decided(&mut self, session_id: &str, answer: &ChargingAnswer) {
        let Some(current) = self.sessions.get(session_id).and_then(|session| session.current.as_ref()) else { return };
        let Some(made) = current.plan.clone() else { return };
        let (ask, turn, told, is_copy) = (current.job.ask.clone(), current.turn, current.told, current.is_copy);
        let rendered =
            self.render(&ask, &made, answer).or_else(|| self.render_refusal(&ask, ResultCode::UNABLE_TO_COMPLY));
        let code =
            rendered.as_ref().and_then(Rendered::result_code).map_or(answer.result_code, |code| ResultCode(code.0));
        let abandoned = told && matches!(ask.operation(), Operation::Initial | Operation::Event);
        self.undo_if_unwanted(&ask, &made, answer, abandoned);
        let outcome = Outcome::of(answer, if abandoned { self.without_core() } else { code });
        let drafted = if is_copy { Vec::new() } else { self.drafted(session_id, outcome) };
        let keep = answer.result_code != ResultCode::TOO_BUSY && !abandoned;
        let Some(current) = self.sessions.get_mut(session_id).and_then(|session| session.current.as_mut()) else {
            return;
        };
        current.unwritten = drafted.len();
        current.answer = rendered.map(|rendered| (rendered, keep));
        for record in drafted {
            self.append(session_id, turn, record);
        }
        self.after_decision(session_id, code, abandoned);
        self.answer_if_written(session_id);
    }

    fn drafted(&mut self, session_id: &str, outcome: Outcome) -> Vec<CallRecord> {
        let node = self.config.origin_host.clone();
        let memory = self.sessions.get_mut(session_id).and_then(|session| session.memory.as_mut());
        memory.map(|memory| records(session_id, memory, outcome, &node)).unwrap_or_default()
    }

    /// A session that began and may not, or a debit that nobody knows of, is taken back.
    fn undo_if_unwanted(&mut self, ask: &Ask, made: &Plan, answer: &ChargingAnswer, abandoned: bool) {
        let answering = Answering { ask, plan: made, config: &self.config, origin_state_id: self.origin_state_id };
        let began = ask.operation() == Operation::Initial && answer.result_code.is_success();
        let debited = ask.operation() == Operation::Event
            && ask.action == RequestedAction::DirectDebit
            && answer.result_code.is_success();
        let ends = began && (abandoned || answering.nothing_is_granted(answer));
        let refunds = debited && abandoned;
        if !ends && !refunds {
            return;
        }
        let memory = self.sessions.get(&ask.session_id).and_then(|session| session.memory.as_ref());
        let Some(memory) = memory else { return };
        let Some(terms) = memory.terms.clone() else { return };
        let request = ChargingRequest {
            client_id: ClientId::from(&*self.config.name),
            session_id: SessionId::from(&*ask.session_id),
            request_number: if ends { OURS } else { event_number(ask.number, RequestedAction::Refund).unwrap_or(OURS) },
            operation: if ends { Operation::Termination } else { Operation::Event },
            requested_action: refunds.then_some(RequestedAction::Refund),
            tenant: terms.tenant,
            subscribers: memory.facts.subscribers.clone(),
            charging_mode: terms.mode,
            service: terms.service,
            category: "".into(),
            subject: None,
            calling: None,
            called: None,
            event_time: ask.event_time.unwrap_or_else(|| self.clock.now().utc),
            answer_time: None,
            service_information: None,
            units: Vec::new(),
            release_cause: None,
            client_state: Vec::new(),
            retransmission: false,
        };
        if let Err(failure) = self.charging.submit(request) {
            error!(agent = %self.config.name, session_id = %ask.session_id, error = &failure as &dyn std::error::Error, "a refused session could not be taken back from the core; it expires there");
        }
    }

    fn after_decision(&mut self, session_id: &str, code: ResultCode, abandoned: bool) {
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let Some(current) = &session.current else { return };
        match current.job.ask.operation() {
            Operation::Event => session.memory = None,
            Operation::Initial if !code.is_success() || abandoned => {
                session.memory = None;
                session.closed = true;
            }
            Operation::Termination => session.closed = true,
            Operation::Update if code == ResultCode::UNKNOWN_SESSION => session.closed = true,
            Operation::Initial | Operation::Update => session.closed = false,
        }
    }

    fn append(&mut self, session_id: &str, turn: u64, mut record: CallRecord) {
        Parties::of(&record).describe(&mut record);
        self.append_again(session_id.into(), turn, Arc::new(record));
    }

    fn append_again(&mut self, session_id: Box<str>, turn: u64, record: Arc<CallRecord>) {
        let (sender, id, kept) = (self.written.0.clone(), session_id.clone(), Arc::clone(&record));
        let taken = self.journal.append(&record, move |result| {
            let failure = result.err().map(|error| (error.to_string(), kept));
            // The desk is gone only when the process ends.
            drop(sender.send(Written { session_id: id, turn, failure }));
        });
        if let Err(error) = taken {
            self.record_written(Written { session_id, turn, failure: Some((error.to_string(), record)) });
        }
    }

    /// A record that the journal does not take is kept, and its request is not answered: nothing is given whose record is lost.
    pub(super) fn record_written(&mut self, written: Written) {
        if let Some((reason, record)) = written.failure {
            counter!(metric::UNRECORDED, "switch" => self.label()).increment(1);
            error!(agent = %self.config.name, session_id = %written.session_id, reason, "the journal did not take a record; it is tried again");
            self.unrecorded.push_back((written.session_id, written.turn, record));
            return;
        }
        let session = self.sessions.get_mut(&written.session_id);
        let Some(current) = session.and_then(|session| session.current.as_mut()) else { return };
        if current.turn == written.turn {
            current.unwritten = current.unwritten.saturating_sub(1);
            self.answer_if_written(&written.session_id);
        }
    }

    /// Records that the journal did not take, once more.
    pub(super) fn append_unrecorded(&mut self) {
        for (session_id, turn, record) in std::mem::take(&mut self.unrecorded) {
            self.append_again(session_id, turn, record);
        }
    }

    fn answer_if_written(&mut self, session_id: &str) {
        let Some(current) = self.sessions.get_mut(session_id).and_then(|session| session.current.as_mut()) else {
            return;
        };
        if current.unwritten > 0 {
            return;
        }
        if let Some((rendered, keep)) = current.answer.take() {
            self.answer(session_id, &rendered, keep);
        }
        self.over(session_id);
    }

    /// The request in work is done with.
    fn over(&mut self, session_id: &str) {
        if let Some(session) = self.sessions.get_mut(session_id) {
            session.current = None;
        }
        self.next(session_id);
    }
}

/// The number under which the core knows a request.
fn number_of(ask: &Ask, memory: &mut Memory) -> Option<u32> {
    match ask.request_type {
        CcRequestType::Event => event_number(ask.number, ask.action),
        kind => memory.numbering.number(kind, ask.number),
    }
}

/// A debit and its refund are two requests, also where clients give both the same number.
fn event_number(own: u32, action: RequestedAction) -> Option<u32> {
    let refund = u32::from(action == RequestedAction::Refund);
    own.checked_mul(2)?.checked_add(refund).filter(|number| *number < OURS)
}

/// What is granted without the core: all that was asked for.
fn generous(ask: &Ask, made: &Plan) -> ChargingAnswer {
    let mut answer = ChargingAnswer::refusal(SessionId::from(&*ask.session_id), ask.number, ResultCode::SUCCESS);
    for (asked, verdict) in ask.groups.iter().zip(&made.verdicts) {
        let Verdict::Charged { unit, grants, .. } = verdict else { continue };
        if *unit < answer.units.len() {
            continue;
        }
        let wanted = asked.requested.map(|units| {
            let amount = crate::credit::amount(made.service, &units).filter(|amount| *amount > 0);
            let amount = amount.unwrap_or(grants.amount.slice).clamp(grants.amount.least, grants.amount.most);
            crate::credit::express(made.service, amount)
        });
        answer.units.push(UnitAnswer {
            rating_group: asked.rating_group.unwrap_or(0),
            service_identifier: asked.service_identifiers.first().copied(),
            result_code: ResultCode::SUCCESS,
            granted: wanted,
            validity_time_ms: None,
            quota_threshold: None,
            quota_holding_time_ms: None,
            tariff_time_change: None,
            final_unit: None,
            billable: 0,
        });
    }
    answer
}

/// Longer than any session.
const FOR_EVER: Duration = Duration::from_secs(7 * 86_400);
/// Granted at once to an emergency call.
const EMERGENCY_MS: u64 = 3_600_000;
