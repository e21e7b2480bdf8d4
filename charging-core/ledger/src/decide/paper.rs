//! From a finished sheet to answer and changes.

use std::sync::Arc;

use types::charging::{
    ChargingAnswer, ChargingRequest, Cost, FinalUnit, FinalUnitAction, Notification, Operation, ResultCode, Service,
    SessionPhase, UnitAnswer,
};
use types::{Money, ReleaseCause, SessionId, UtcMs};

use super::Turn;
use super::rules::Rules;
use super::sheet::{Grant, Sheet};
use crate::account::{Account, AccountKey};
use crate::books::{is_replaced, is_settled};
use crate::change::{AnswerDetailed, Answered, Change, Drawn, SessionChanged, SessionOpened};
use crate::outcome::{Charged, Decision, Denial, Outcome};
use crate::session::{Payer, Session, express};

/// What became of one unit entry of a request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Line {
    /// Its group's place in the sheet; absent when it has no rate.
    pub draft: Option<usize>,
    pub denial: Option<Denial>,
    pub grant: Option<Grant>,
}

/// A decided request, ready to be written down.
pub(super) struct Paper<'a> {
    pub turn: Turn<'a>,
    pub request: &'a ChargingRequest,
    /// Absent when the request opens it.
    pub session: Option<&'a Session>,
    pub sheet: Sheet<'a>,
    pub lines: Vec<Line>,
    pub phase: SessionPhase,
    pub answer_time: Option<UtcMs>,
    pub cut: bool,
    /// True for a report that others have overtaken: it adds usage and nothing else.
    pub late: bool,
}

impl Paper<'_> {
    /// Writes answer and changes.
    pub fn finish(self) -> Decision {
        let request = self.request;
        let mut changes = Vec::with_capacity(4);
        if self.session.is_none() {
            let account = self.sheet.account;
            let key = self.turn.books.key_of(account);
            changes.push(opened(request, Some((account, key))));
        }
        let changed = self.session_changed();
        let closed = matches!(changed.phase, SessionPhase::Closed | SessionPhase::Denied);
        let settles = closed || changed.reauthorized;
        changes.push(Change::SessionChanged(Box::new(changed)));
        changes.extend(side_changes(&self.turn, &self.sheet, &request.session_id, self.session.is_none()));
        let mut told = if self.sheet.frees_credit() {
            let open = self.turn.books.open_on(self.sheet.account.number);
            self.turn.reauthorize(open.filter(|other| other.id != request.session_id))
        } else {
            Vec::new()
        };
        let counted = changes.iter().find_map(|change| match change {
            Change::Counted(counted) => Some(counted),
            _ => None,
        });
        if let Some(counted) = counted {
            told.extend(Rules::of(&self.turn, self.sheet.account).aborts_after(counted, told.len()));
        }
        let is_done = |pending: &Notification| {
            settles && pending.session_id == request.session_id && is_settled(pending.kind, closed)
        };
        let notifications = notifications(&self.turn, request, &told, is_done);
        changes.extend(told);
        let answer = self.answer(notifications);
        let denial = self.lines.iter().find_map(|line| line.denial);
        written(&self.turn, request, answer, denial, changes)
    }

    fn session_changed(&self) -> SessionChanged {
        let (request, now) = (self.request, self.turn.now);
        let open = self.phase == SessionPhase::Open;
        let earlier_deadline = self.session.and_then(|session| session.deadline);
        let closes = request.operation == Operation::Termination;
        SessionChanged {
            session_id: request.session_id.clone(),
            phase: self.phase,
            updated: now,
            deadline: if open { earlier_deadline.filter(|_| self.late).or(Some(self.deadline())) } else { None },
            ended: (!open).then_some(now),
            answer_time: self.answer_time,
            last_request_number: self
                .session
                .map_or(request.request_number, |session| session.last_request_number.max(request.request_number)),
            terminated_by: self
                .session
                .and_then(|session| session.terminated_by)
                .or(closes.then_some(request.request_number)),
            cut: self.cut,
            overrun: self.sheet.overrun(),
            reauthorized: open && !self.late,
            client_state: (!self.late && !request.client_state.is_empty()).then(|| request.client_state.clone()),
            groups: self.sheet.group_changes(),
        }
    }

    /// Later than the end of the grant wherever the switch is, and than every backstop there.
    fn deadline(&self) -> UtcMs {
        let settings = self.turn.settings;
        let Some(granted_ms) = self.sheet.longest_grant_ms() else {
            return self.turn.now.plus(settings.idle_expiry_ms);
        };
        let answered = self.answer_time.is_some() || self.sheet.drafts.iter().any(|draft| draft.meter.used > 0);
        let ring_ms = if answered { 0 } else { settings.maximum_ring_ms };
        self.turn.now.plus(ring_ms).plus(granted_ms).plus(settings.expiry_grace_ms)
    }

    fn answer(&self, notifications: Vec<Notification>) -> ChargingAnswer {
        let (request, sheet, account) = (self.request, &self.sheet, self.sheet.account);
        let mut answer = blank(&self.turn, request, ResultCode::SUCCESS, notifications);
        answer.units = self.lines.iter().enumerate().map(|(at, line)| self.unit_answer(at, line)).collect();
        answer.cost = Some(Cost {
            currency: account.currency,
            amount: sheet.cost(),
            per_minute_rate: sheet.drafts.first().and_then(|draft| draft.meter.per_minute_rate),
            overrun: sheet.overrun(),
        });
        answer.remaining_balance = Some(sheet.available());
        let last = self.lines.iter().any(|line| line.grant.is_some_and(|grant| grant.last));
        answer.low_balance = last || is_low(account, sheet.available());
        let by_rule = self.lines.iter().any(|line| line.grant.is_some_and(|grant| grant.by.is_some()));
        let denied = self.lines.iter().find_map(|line| line.denial.and_then(Denial::release_cause));
        answer.release_cause = denied.or(by_rule.then_some(ReleaseCause::Policy));
        answer.drawn = sheet.drawn();
        answer
    }

    fn unit_answer(&self, at: usize, line: &Line) -> UnitAnswer {
        let billable =
            line.draft.and_then(|draft| self.sheet.drafts.get(draft)).map_or(0, |draft| draft.meter.billable);
        let mut answer = unit_refusal(self.request, at, line.denial);
        answer.billable = billable;
        // A denied group has no grant: what was granted before stands and is the last.
        let granted = line.grant.filter(|_| line.denial.is_none());
        answer.granted = granted.map(|grant| express(self.sheet.service, grant.amount));
        // Time tells by itself when a grant is over.
        let settings = self.turn.settings;
        answer.validity_time_ms =
            answer.granted.and(settings.validity_ms).filter(|_| self.sheet.service != Service::Voice);
        answer.final_unit = line.grant.filter(|grant| grant.last).map(|_| FinalUnit {
            action: FinalUnitAction::Terminate,
            redirect: None,
            filters: Vec::new(),
        });
        answer
    }
}

/// What follows from a sheet beside the session's own change: who pays, and what is counted.
pub(super) fn side_changes(turn: &Turn<'_>, sheet: &Sheet<'_>, session_id: &SessionId, started: bool) -> Vec<Change> {
    let groups = sheet.portions_changed();
    let drawn = Change::Drawn(Box::new(Drawn { session_id: session_id.clone(), groups }));
    let drawn = Some(drawn).filter(|change| matches!(change, Change::Drawn(drawn) if !drawn.groups.is_empty()));
    let counted = Rules::of(turn, sheet.account).counted(sheet, session_id, started);
    drawn.into_iter().chain(counted.map(|counted| Change::Counted(Box::new(counted)))).collect()
}

/// Denies a new session, or an event: the denial is stored under its key.
pub(super) fn deny(
    turn: &Turn<'_>,
    request: &ChargingRequest,
    account: Option<&Account>,
    denial: Denial,
    lines: &[Line],
) -> Decision {
    let changed = SessionChanged {
        session_id: request.session_id.clone(),
        phase: SessionPhase::Denied,
        updated: turn.now,
        deadline: None,
        ended: Some(turn.now),
        answer_time: request.answer_time,
        last_request_number: request.request_number,
        terminated_by: None,
        cut: false,
        overrun: Money::ZERO,
        reauthorized: false,
        client_state: (!request.client_state.is_empty()).then(|| request.client_state.clone()),
        groups: Vec::new(),
    };
    let payer = account.map(|account| (account, turn.books.key_of(account)));
    let changes = vec![opened(request, payer), Change::SessionChanged(Box::new(changed))];
    let mut answer = blank(turn, request, denial.result_code(), notifications(turn, request, &[], |_| false));
    let unit = |at: usize| {
        let own = lines.get(at).and_then(|line| line.denial);
        unit_refusal(request, at, own.or(Some(denial)))
    };
    answer.units = (0..request.units.len()).map(unit).collect();
    let remaining = account.map(|account| turn.books.spendable(account, turn.now));
    answer.remaining_balance = remaining;
    answer.release_cause = denial.release_cause();
    answer.low_balance = denial == Denial::CreditLimitReached
        || account.zip(remaining).is_some_and(|(account, remaining)| is_low(account, remaining));
    written(turn, request, answer, Some(denial), changes)
}

/// An answer without units or money.
pub(super) fn blank(
    turn: &Turn<'_>,
    request: &ChargingRequest,
    result_code: ResultCode,
    notifications: Vec<Notification>,
) -> ChargingAnswer {
    let refusal = ChargingAnswer::refusal(request.session_id.clone(), request.request_number, result_code);
    ChargingAnswer {
        failure_handling: turn.settings.failure_handling,
        session_failover: turn.settings.session_failover,
        notifications,
        ..refusal
    }
}

/// One unit entry's answer without a grant.
pub(super) fn unit_refusal(request: &ChargingRequest, at: usize, denial: Option<Denial>) -> UnitAnswer {
    let unit = request.units.get(at);
    UnitAnswer {
        rating_group: unit.map_or(0, |unit| unit.rating_group),
        service_identifier: unit.and_then(|unit| unit.service_identifier),
        result_code: denial.map_or(ResultCode::SUCCESS, Denial::result_code),
        granted: None,
        validity_time_ms: None,
        quota_threshold: None,
        quota_holding_time_ms: None,
        tariff_time_change: None,
        final_unit: None,
        billable: 0,
    }
}

fn is_low(account: &Account, remaining: Money) -> bool {
    account.low_balance_limit().is_some_and(|limit| remaining < limit)
}

fn opened(request: &ChargingRequest, payer: Option<(&Account, AccountKey)>) -> Change {
    let (payer, account) = payer.unzip();
    Change::SessionOpened(Box::new(SessionOpened {
        session_id: request.session_id.clone(),
        client_id: request.client_id.clone(),
        account,
        currency: payer.map(|payer| payer.currency),
        mode: request.charging_mode,
        service: request.service,
        payer: Payer(payer.map(|payer| payer.number)),
    }))
}

/// The decision with its answer stored under the key.
fn written(
    turn: &Turn<'_>,
    request: &ChargingRequest,
    answer: ChargingAnswer,
    denial: Option<Denial>,
    mut changes: Vec<Change>,
) -> Decision {
    let fingerprint = turn.fingerprint_of(request);
    let (release_cause, drawn) = (answer.release_cause, answer.drawn.clone());
    let answer = Arc::new(answer);
    // The log has the answer as the first format knows it, and the rest after it.
    changes.push(Change::Answered(Answered { fingerprint, answer: Arc::clone(&answer) }));
    if release_cause.is_some() || !drawn.is_empty() {
        let (session_id, request_number) = (request.session_id.clone(), request.request_number);
        let detailed = AnswerDetailed { session_id, request_number, release_cause, drawn };
        changes.push(Change::AnswerDetailed(Box::new(detailed)));
    }
    Decision { outcome: Outcome::Charged(Charged { answer, denial, replayed: false }), changes }
}

/// What the client has to hear: all that is pending after these changes, oldest first, as much as fits.
fn notifications(
    turn: &Turn<'_>,
    request: &ChargingRequest,
    told: &[Change],
    is_done: impl Fn(&Notification) -> bool,
) -> Vec<Notification> {
    let new = told.iter().filter_map(|change| match change {
        Change::Notified { client_id, notification } if *client_id == request.client_id => Some(notification),
        _ => None,
    });
    let is_new_again = |pending: &Notification| new.clone().any(|newer| is_replaced(pending, newer));
    let pending = turn.books.pending(&request.client_id).filter(|pending| !is_done(pending) && !is_new_again(pending));
    pending.chain(new.clone()).take(turn.settings.notifications_per_answer).cloned().collect()
}
