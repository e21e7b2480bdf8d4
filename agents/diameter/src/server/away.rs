//! Without the core, and against it: what clients are told meanwhile, what is taken back afterwards, and emergency calls.

use charging_client::{AwaitedAnswer, ChargingFailure, FailureCause};
use metrics::counter;
use protocol_codecs::diameter::CcRequestType;
use tracing::{error, warn};
use types::charging::{
    ChargingAnswer, ChargingRequest, FailureHandling, Operation, RequestedAction, ResultCode, UnitAnswer,
};
use types::{ClientId, SessionId};

use crate::credit::{Answering, Ask, Memory, OURS, Outcome, Plan, Verdict, amount, express, records};
use crate::metric;

use super::charge::{Charged, FOR_EVER, event_number, wait};
use super::desk::Desk;
use super::session::{Current, Late};

impl Desk {
    /// The client is told what it is told without a core; `is_held`: the request itself waits on.
    pub(super) fn unreachable(&mut self, session_id: &str, failure: &ChargingFailure, is_held: bool) {
        counter!(metric::LATE, "switch" => self.label()).increment(1);
        warn!(agent = %self.config.name, session_id, error = failure as &dyn std::error::Error, "the charging core was not reached in time");
        let (now, longest) = (self.now(), self.config.continue_longest.ms());
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let Some(current) = session.current.as_mut() else { return };
        let since = *session.alone_since.get_or_insert(now);
        let is_report = matches!(current.job.ask.request_type, CcRequestType::Update | CcRequestType::Termination);
        let goes_on = self.config.on_core_failure == FailureHandling::Continue
            && is_report
            && is_held
            && now.since(since) <= longest;
        let (ask, made) = (current.job.ask.clone(), current.plan.clone());
        let rendered = match (goes_on, &made) {
            (true, Some(made)) => self.render(&ask, made, &generous(&ask, made)),
            _ => self.render_refusal(&ask, self.without_core()),
        };
        if let Some(rendered) = rendered {
            // A refused beginning stays refused; a refused report may be made again: the core knows it by its number.
            self.answer(session_id, &rendered, goes_on || !is_report);
        }
        if is_held {
            self.set_aside(session_id);
        }
        self.over(session_id);
    }

    /// The request in work was answered; it goes on beside those that follow.
    pub(super) fn set_aside(&mut self, session_id: &str) {
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let Some(Current { turn, job, plan: Some(plan), .. }) = session.current.take() else { return };
        let draft = session.memory.as_mut().and_then(|memory| memory.recorded.draft.take());
        let begins = matches!(job.ask.request_type, CcRequestType::Initial | CcRequestType::Event);
        let refused = if begins { session.memory.take() } else { None };
        session.closed |= begins || job.ask.request_type == CcRequestType::Termination;
        session.late.push(Late { turn, ask: job.ask, plan, draft, refused });
    }

    /// The core decided a request whose client was told something else.
    pub(super) fn late_charged(
        &mut self,
        session_id: &str,
        turn: u64,
        awaited: Option<AwaitedAnswer>,
        result: Charged,
    ) {
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let Some(at) = session.late.iter().position(|late| late.turn == turn) else { return };
        let answer = match (result, awaited) {
            (Ok(answer), _) => answer,
            (Err(failure), Some(awaited)) if matches!(failure.cause(), FailureCause::Deadline { .. }) => {
                return self.settling.push(wait(session_id.into(), turn, awaited, FOR_EVER));
            }
            (Err(failure), _) => {
                warn!(agent = %self.config.name, session_id, error = &failure as &dyn std::error::Error, "a request was given back");
                return;
            }
        };
        let mut late = session.late.swap_remove(at);
        session.alone_since = session.alone_since.filter(|_| !session.late.is_empty());
        let (abandoned, node) = (late.refused.is_some(), self.config.origin_host.clone());
        let code = if abandoned { self.without_core() } else { answer.result_code };
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        let drafted = match late.refused.as_mut().or(session.memory.as_mut()) {
            Some(memory) => {
                let newer = std::mem::replace(&mut memory.recorded.draft, late.draft.take());
                let drafted = records(session_id, memory, Outcome::of(&answer, code), &node);
                memory.recorded.draft = newer;
                drafted
            }
            None => Vec::new(),
        };
        for record in drafted {
            self.append(session_id, 0, record);
        }
        if let Some(memory) = &late.refused {
            self.undo_if_unwanted(&late.ask, &late.plan, &answer, (memory, true));
        }
        for notification in &answer.notifications {
            self.notified(notification);
        }
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

    /// A session that began and may not, or a debit that nobody knows of, is taken back.
    pub(super) fn undo_if_unwanted(
        &self,
        ask: &Ask,
        made: &Plan,
        answer: &ChargingAnswer,
        (memory, abandoned): (&Memory, bool),
    ) {
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
            let amount = amount(made.service, &units).filter(|amount| *amount > 0);
            let amount = amount.unwrap_or(grants.amount.slice).clamp(grants.amount.least, grants.amount.most);
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
