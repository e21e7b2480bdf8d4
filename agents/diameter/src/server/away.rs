//! Without the core, and against it: what clients are told meanwhile, what is taken back afterwards, and emergency calls.

use charging_client::ChargingFailure;
use metrics::counter;
use protocol_codecs::diameter::CcRequestType;
use tracing::{error, warn};
use types::charging::{
    ChargingAnswer, ChargingRequest, FailureHandling, NotificationKind, Operation, RequestedAction, ResultCode,
    UnitAnswer,
};
use types::{ClientId, ReleaseCause, SessionId};

use crate::credit::{Answering, Ask, Memory, OURS, Outcome, Plan, Verdict, amount, express, records};
use crate::metric;

use super::charge::{Charged, FOR_EVER, Settled, event_number};
use super::desk::Desk;
use super::session::{Current, Late};

impl Desk {
    /// The client is told what it is told without a core; `is_held`: the request itself waits on.
    pub(super) fn unreachable(&mut self, session_id: &str, failure: &ChargingFailure, is_held: bool) {
        counter!(metric::LATE, "switch" => self.label()).increment(1);
        warn!(agent = %self.config.name, session_id, error = failure as &dyn std::error::Error, "the charging core was not reached in time");
        let Some(current) = self.sessions.get(session_id).and_then(|session| session.current.as_ref()) else { return };
        let (ask, made) = (current.job.ask.clone(), current.plan.clone());
        let goes_on = is_held && self.goes_on(session_id, &ask);
        let is_report = matches!(ask.request_type, CcRequestType::Update | CcRequestType::Termination);
        let rendered = match (goes_on, &made) {
            (true, Some(made)) => self.render(&ask, made, &generous(&ask, made)),
            _ => self.render_refusal(&ask, self.without_core()),
        };
        if let Some(rendered) = rendered {
            // A refused beginning stays refused; a refused report may be made again: the core knows it by its number.
            self.answer(session_id, &rendered, goes_on || !is_report);
        }
        if is_held {
            self.set_aside(session_id, goes_on);
        }
        self.over(session_id);
    }

    /// Whether the session goes on without the core: `on_core_failure = "continue"` and its limits. The end of a session is always
    /// taken: nothing is granted for it.
    fn goes_on(&mut self, session_id: &str, ask: &Ask) -> bool {
        if self.config.on_core_failure != FailureHandling::Continue || ask.request_type == CcRequestType::Event {
            return false;
        }
        let now = self.now();
        let Some(session) = self.sessions.get_mut(session_id) else { return false };
        let Some(memory) = session.memory.as_mut() else { return false };
        if ask.request_type == CcRequestType::Termination {
            memory.recorded.continued |= self.alone.since(session_id).is_some();
            return true;
        }
        let Some(account) = memory.account() else { return false };
        let since = self.alone.since(session_id);
        let running = self.alone.running(&account).saturating_sub(usize::from(since.is_some()));
        let called = memory.facts.called.as_ref().map(|number| number.expose());
        let longest_ms = self.continuing.longest_ms(&account, called, running, now);
        if longest_ms == 0 || since.is_some_and(|since| now.since(since) > longest_ms) {
            return false;
        }
        memory.recorded.continued = true;
        self.alone.begin(session_id, account, now);
        true
    }

    /// The core's word for the account of a session.
    pub(super) fn told_of_account(&mut self, session_id: &str, answer: &ChargingAnswer) {
        if self.config.on_core_failure != FailureHandling::Continue {
            return;
        }
        let memory = self.sessions.get(session_id).and_then(|session| session.memory.as_ref());
        if let Some(account) = memory.and_then(|memory| memory.account()) {
            let now = self.now();
            self.continuing.answered(account, answer, now);
        }
    }

    /// The request in work was answered; it goes on beside those that follow.
    fn set_aside(&mut self, session_id: &str, goes_on: bool) {
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let Some(Current { turn, job, .. }) = session.current.take().map(|current| *current) else { return };
        let mut draft = session.memory.as_mut().and_then(|memory| memory.recorded.draft.take());
        let begins = matches!(job.ask.request_type, CcRequestType::Initial | CcRequestType::Event);
        let let_begin = begins && goes_on;
        let refused = if begins && !goes_on { session.memory.take() } else { None };
        session.closed |= (begins && !goes_on) || job.ask.request_type == CcRequestType::Termination;
        if let (true, Some(memory)) = (let_begin, session.memory.as_mut()) {
            // It has begun, whatever the core will say.
            memory.recorded.draft = draft.take();
            let outcome = Outcome { code: ResultCode::SUCCESS, cost: None, release: None };
            let begun = records(session_id, memory, outcome, &self.config.origin_host);
            begun.into_iter().for_each(|record| self.append(session_id, 0, record));
        }
        if let Some(memory) = &refused {
            // At once, behind it in the outbox: also should we die now it is not left with the core.
            self.take_back(&job.ask, memory);
        }
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        session.late.push(Late { turn, ask: job.ask, draft, refused, let_begin });
    }

    /// The core decided a request whose client was told something else.
    pub(super) fn late_charged(&mut self, session_id: &str, turn: u64, result: Charged) {
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let Some(at) = session.late.iter().position(|late| late.turn == turn) else { return };
        let answer = match result {
            Ok(answer) => answer,
            Err(failure) => {
                warn!(agent = %self.config.name, session_id, error = &failure as &dyn std::error::Error, "a request was given back");
                return;
            }
        };
        let mut late = session.late.swap_remove(at);
        if session.late.is_empty() {
            self.alone.end(session_id);
        }
        self.told_of_account(session_id, &answer);
        let (abandoned, node) = (late.refused.is_some(), self.config.origin_host.clone());
        let code = if abandoned { self.without_core() } else { answer.result_code };
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let drafted = match late.refused.as_deref_mut().or(session.memory.as_deref_mut()) {
            Some(memory) => {
                let newer = std::mem::replace(&mut memory.recorded.draft, late.draft.take());
                let drafted = records(session_id, memory, Outcome::of(&answer, code), &node);
                memory.recorded.draft = newer;
                drafted
            }
            None => Vec::new(),
        };
        let ends = late.ask.operation() == Operation::Termination;
        self.append_all(session_id, turn, drafted, ends);
        if late.let_begin && !answer.result_code.is_success() {
            self.end_what_may_not(session_id);
        }
        for notification in &answer.notifications {
            self.notified(notification);
        }
    }

    /// The core denies a session that was let begin without it.
    fn end_what_may_not(&mut self, session_id: &str) {
        let session = self.sessions.get(session_id).filter(|session| !session.closed);
        let Some(memory) = session.and_then(|session| session.memory.clone()) else { return };
        warn!(agent = %self.config.name, session_id, "the core denies a session that was let begin without it: it is aborted");
        self.request(session_id, &memory, NotificationKind::Abort(ReleaseCause::CreditExhausted), OF_NOBODY);
    }

    pub(super) fn without_core(&self) -> ResultCode {
        match self.config.on_core_failure {
            FailureHandling::Terminate => ResultCode::UNABLE_TO_COMPLY,
            FailureHandling::Continue | FailureHandling::RetryAndTerminate => ResultCode::TOO_BUSY,
        }
    }

    /// Emergency calls are never refused, and cost nothing.
    pub(super) fn settle_emergency(&mut self, session_id: &str) {
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

    /// A session that began with the core and of which the client gets nothing.
    pub(super) fn is_unwanted(&self, ask: &Ask, made: &Plan, answer: &ChargingAnswer) -> bool {
        let answering = Answering { ask, plan: made, config: &self.config, origin_state_id: self.origin_state_id };
        ask.operation() == Operation::Initial && answer.result_code.is_success() && answering.nothing_is_granted(answer)
    }

    /// A session that may not be, or a debit that nobody knows of, is taken back.
    pub(super) fn take_back(&mut self, ask: &Ask, memory: &Memory) {
        let ends = ask.operation() == Operation::Initial;
        let refunds = ask.request_type == CcRequestType::Event && ask.action == RequestedAction::DirectDebit;
        if !ends && !refunds {
            return;
        }
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
            event_time: ask.event_time.unwrap_or_else(|| self.utc()),
            answer_time: None,
            service_information: None,
            units: Vec::new(),
            release_cause: None,
            client_state: Vec::new(),
            retransmission: false,
        };
        match self.charging.submit(request) {
            Ok(mut awaited) => {
                let session_id = SessionId::from(&*ask.session_id);
                self.settling.push(Box::pin(async move {
                    // An answer, or the end of the process.
                    drop(awaited.within(FOR_EVER).await);
                    Settled::TakenBack(session_id)
                }));
            }
            Err(failure) => {
                error!(agent = %self.config.name, session_id = %ask.session_id, error = &failure as &dyn std::error::Error, "a refused session could not be taken back from the core; it expires there");
            }
        }
    }
}

/// A sequence that no notification has: the request is our own.
const OF_NOBODY: u64 = 0;

/// What is granted without the core: what was asked for, but not more than a slice.
fn generous(ask: &Ask, made: &Plan) -> ChargingAnswer {
    let mut answer = ChargingAnswer::refusal(SessionId::from(&*ask.session_id), ask.number, ResultCode::SUCCESS);
    for (asked, verdict) in ask.groups.iter().zip(&made.verdicts) {
        let Verdict::Charged { unit, grants, .. } = verdict else { continue };
        if *unit < answer.units.len() {
            continue;
        }
        let wanted = asked.requested.map(|units| {
            let amount = amount(made.service, &units).filter(|amount| *amount > 0);
            let amount =
                amount.map_or(grants.amount.slice, |amount| amount.clamp(grants.amount.least, grants.amount.slice));
            express(made.service, amount)
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

/// Granted at once to an emergency call.
const EMERGENCY_MS: u64 = 3_600_000;
