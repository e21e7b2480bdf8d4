//! UPDATE and TERMINATION: charge what was used, then grant more or give back the rest.
//!
//! | phase | UPDATE | TERMINATION |
//! |---|---|---|
//! | Open | charge, grant | charge, close |
//! | Open, nothing affordable, blocked, or not allowed any more | charge; what was granted before runs out | |
//! | Open, overtaken by a later report | charge, the later grant stays | charge, close |
//! | Expired | the assumed usage is replaced; open again | the assumed usage is replaced; close |
//! | Expired, overtaken | charge; the later grant stays assumed | as above |
//! | Closed, overtaken by the TERMINATION | charge | charge |
//! | Closed | 5002 | 5002 |
//! | Denied, usage after all | charge, nothing granted | charge, close |
//! | Denied, no usage | 5002 | close |

use types::ReleaseCause;
use types::charging::{ChargingRequest, Operation, SessionPhase};

use super::account::blocked;
use super::initial::{rate_groups, settle_start};
use super::paper::{Line, Paper};
use super::rules::Rules;
use super::share::grant_all;
use super::sheet::{Basis, Grant, Sheet};
use super::{Turn, charge};
use crate::outcome::{Decision, Denial, InvalidField};
use crate::policy::PolicyDenial;
use crate::session::{MAX_USAGE, Session};

pub(super) fn report<'a>(turn: &Turn<'a>, request: &'a ChargingRequest, session: &'a Session) -> Decision {
    let Some(phase) = phase_after(request, session) else {
        return charge::refuse(turn, request, Denial::UnknownSession);
    };
    let Some(account) = turn.books.payer(session) else {
        return charge::refuse(turn, request, Denial::UnknownAccount);
    };
    if request.service != session.service {
        return charge::refuse(turn, request, Denial::Invalid(InvalidField::Units));
    }
    let closing = request.operation == Operation::Termination;
    let late = is_late(request, session);
    let answer_time = session.answer_time.or(request.answer_time);
    let mut sheet = Sheet::of_session(turn, account, session);
    if let (None, Some(answered)) = (session.answer_time, request.answer_time) {
        for draft in &mut sheet.drafts {
            settle_start(turn, account, &mut draft.rate, answered);
        }
    }
    let mut lines = rate_groups(turn, request, &mut sheet, answer_time);
    if !take_usage(request, &mut sheet, &lines) {
        return charge::refuse(turn, request, Denial::Invalid(InvalidField::Units));
    }
    let ours = matches!(request.release_cause, Some(ReleaseCause::CreditExhausted | ReleaseCause::Policy));
    let cut = session.cut || (closing && ours);
    let rules = Rules::of(turn, account);
    let answered = answer_time.is_some() || sheet.drafts.iter().any(|draft| draft.meter.used > 0);
    sheet.price(match phase {
        SessionPhase::Closed => Basis::Closing { cut },
        SessionPhase::Expired => Basis::Assumed { answered },
        SessionPhase::Open | SessionPhase::Denied => Basis::Running,
    });
    match phase {
        SessionPhase::Open if late => (0..sheet.drafts.len()).for_each(|at| sheet.hold_again(at)),
        SessionPhase::Open if account.blocked => {
            (0..sheet.drafts.len()).for_each(|at| sheet.let_run_out(at));
            refuse_all(request, &mut lines, blocked(turn, account));
        }
        SessionPhase::Open if !rules.allows(sheet.called()) => {
            (0..sheet.drafts.len()).for_each(|at| sheet.let_run_out(at));
            refuse_all(request, &mut lines, Denial::Policy(PolicyDenial::Destination));
        }
        SessionPhase::Open => {
            sheet.cap(rules.cap(sheet.called(), Some(session), sheet.cost_before()));
            grant_all(turn, request, &mut sheet, &mut lines);
        }
        SessionPhase::Denied => refuse_all(request, &mut lines, Denial::CreditLimitReached),
        SessionPhase::Closed | SessionPhase::Expired => sheet.release_all(),
    }
    Paper { turn: *turn, request, session: Some(session), sheet, lines, phase, answer_time, cut, late }.finish()
}

/// Where the session stands after the request; absent when there is nothing to report to.
fn phase_after(request: &ChargingRequest, session: &Session) -> Option<SessionPhase> {
    let closing = request.operation == Operation::Termination;
    let overtaken = session.terminated_by.is_some_and(|last| request.request_number < last);
    let has_usage = request.units.iter().any(|unit| !unit.used.is_empty());
    match session.phase {
        SessionPhase::Closed => overtaken.then_some(SessionPhase::Closed),
        _ if closing => Some(SessionPhase::Closed),
        SessionPhase::Denied => has_usage.then_some(SessionPhase::Denied),
        SessionPhase::Expired if is_late(request, session) => Some(SessionPhase::Expired),
        SessionPhase::Open | SessionPhase::Expired => Some(SessionPhase::Open),
    }
}

/// A report that arrives after one with a higher number was decided.
fn is_late(request: &ChargingRequest, session: &Session) -> bool {
    request.request_number < session.last_request_number
        && (request.operation == Operation::Update || session.phase == SessionPhase::Closed)
}

/// Adds the reported usage to the meters; false when it exceeds [`MAX_USAGE`]. A grant counts from the report that
/// asked for it, so usage that such a report had behind it but that arrives later moves the end of the grant.
fn take_usage(request: &ChargingRequest, sheet: &mut Sheet<'_>, lines: &[Line]) -> bool {
    for (at, line) in lines.iter().enumerate() {
        let Some(used) = charge::used_in(request, at) else { return false };
        let Some(draft) = line.draft.and_then(|draft| sheet.drafts.get_mut(draft)) else { continue };
        let meter = &mut draft.meter;
        meter.used = meter.used.saturating_add(used);
        if request.request_number < meter.granted_by {
            meter.reach = meter.reach.saturating_add(used).min(MAX_USAGE);
        }
        if meter.used > MAX_USAGE {
            return false;
        }
    }
    true
}

/// Nothing more for whoever asks.
fn refuse_all(request: &ChargingRequest, lines: &mut [Line], denial: Denial) {
    for (unit, line) in request.units.iter().zip(lines) {
        if unit.requested.is_some() {
            line.grant = Some(Grant { amount: 0, last: true, by: None });
            line.denial = line.denial.or(Some(denial));
        }
    }
}
