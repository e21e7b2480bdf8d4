//! EVENT: one-time charging. A direct debit is a session that is closed at once; its refund is a later request under
//! the same session id. Enquiries change nothing and have no key.

use types::charging::{ChargingMode, ChargingRequest, Cost, RequestedAction, ResultCode, SessionPhase};
use types::{Money, UtcMs};

use super::account::blocked;
use super::initial::{payer, resolve};
use super::paper::{Line, Paper, blank, deny, unit_refusal};
use super::rules::Rules;
use super::sheet::{Basis, Sheet};
use super::{Turn, charge};
use crate::account::Account;
use crate::outcome::{Charged, Decision, Denial, InvalidField, Outcome};
use crate::pricing::Start;
use crate::session::{MAX_USAGE, Session, measure};

/// DIRECT_DEBIT; a REFUND has nothing to refer to without its session.
pub(super) fn debit(turn: &Turn<'_>, request: &ChargingRequest) -> Decision {
    match request.requested_action {
        Some(RequestedAction::DirectDebit) => {}
        Some(RequestedAction::Refund) => return charge::refuse(turn, request, Denial::UnknownSession),
        _ => return charge::refuse(turn, request, Denial::Invalid(InvalidField::RequestedAction)),
    }
    let Some(account) = payer(turn, request) else {
        return deny(turn, request, None, Denial::UnknownAccount, &[]);
    };
    if account.blocked {
        return deny(turn, request, Some(account), blocked(turn, account), &[]);
    }
    let rules = Rules::of(turn, account);
    let called = request.called.as_ref().map(|number| number.expose());
    if let Err(rule) = rules.admit(called, false) {
        return deny(turn, request, Some(account), Denial::Policy(rule), &[]);
    }
    let (sheet, lines) = match priced(turn, request, account) {
        Ok(priced) => priced,
        Err(Denial::Invalid(field)) => return charge::refuse(turn, request, Denial::Invalid(field)),
        Err(denial) => return deny(turn, request, Some(account), denial, &[]),
    };
    if let Some(cap) = rules.cap(called, None, Money::ZERO)
        && sheet.cost() > cap.cost.or_zero()
    {
        return deny(turn, request, Some(account), Denial::Policy(cap.rule), &[]);
    }
    if checks_money(request) && !sheet.is_covered() {
        return deny(turn, request, Some(account), Denial::CreditLimitReached, &[]);
    }
    write(turn, request, None, sheet, lines)
}

/// REFUND of the direct debit that opened the session: all of it, once.
pub(super) fn in_session<'a>(turn: &Turn<'a>, request: &'a ChargingRequest, session: &'a Session) -> Decision {
    let was_event = session.phase == SessionPhase::Closed && session.terminated_by.is_none();
    if request.requested_action != Some(RequestedAction::Refund) || !was_event {
        return charge::refuse(turn, request, Denial::Invalid(InvalidField::Operation));
    }
    let Some(account) = turn.books.payer(session) else {
        return charge::refuse(turn, request, Denial::UnknownAccount);
    };
    let mut sheet = Sheet::of_session(turn, account, session);
    for draft in &mut sheet.drafts {
        draft.meter.used = 0;
    }
    sheet.price(Basis::Closing { cut: false });
    write(turn, request, Some(session), sheet, vec![Line::default(); request.units.len()])
}

/// PRICE_ENQUIRY and CHECK_BALANCE.
pub(super) fn enquire(turn: &Turn<'_>, request: &ChargingRequest, action: RequestedAction) -> Decision {
    let Some(account) = payer(turn, request) else {
        return charge::refuse(turn, request, Denial::UnknownAccount);
    };
    let remaining = turn.books.spendable(account, turn.now);
    let (price, covered, lines) = if request.units.is_empty() && action == RequestedAction::CheckBalance {
        // Without units the question is whether there is anything at all.
        (Money::ZERO, remaining > Money::ZERO, Vec::new())
    } else {
        match priced(turn, request, account) {
            Ok((sheet, lines)) => (sheet.cost(), sheet.is_covered(), lines),
            Err(denial) => return charge::refuse(turn, request, denial),
        }
    };
    let denial = match action {
        RequestedAction::CheckBalance if account.blocked => Some(blocked(turn, account)),
        RequestedAction::CheckBalance if checks_money(request) && !covered => Some(Denial::CreditLimitReached),
        _ => None,
    };
    let code = denial.map_or(ResultCode::SUCCESS, Denial::result_code);
    let mut answer = blank(turn, request, code, Vec::new());
    answer.units = (0..lines.len()).map(|at| unit_refusal(request, at, denial)).collect();
    answer.release_cause = denial.and_then(Denial::release_cause);
    answer.remaining_balance = Some(remaining);
    if action == RequestedAction::PriceEnquiry {
        let overrun = Money::ZERO;
        answer.cost = Some(Cost { currency: account.currency, amount: price, per_minute_rate: None, overrun });
    }
    let charged = Charged { answer: answer.into(), denial, replayed: false };
    Decision { outcome: Outcome::Charged(charged), changes: Vec::new() }
}

/// The sheet of an event as if charged: every requested unit used, at the time of the event.
fn priced<'a>(
    turn: &Turn<'a>,
    request: &ChargingRequest,
    account: &'a Account,
) -> Result<(Sheet<'a>, Vec<Line>), Denial> {
    let mode = match request.requested_action {
        Some(RequestedAction::DirectDebit) => request.charging_mode,
        _ => ChargingMode::Prepaid,
    };
    let mut sheet = Sheet::new(turn, account, mode, request.service);
    let mut lines = Vec::with_capacity(request.units.len());
    for unit in &request.units {
        let amount = unit.requested.as_ref().and_then(|units| measure(request.service, units));
        let amount = amount.filter(|amount| (1..=MAX_USAGE).contains(amount));
        let amount = amount.ok_or(Denial::Invalid(InvalidField::Units))?;
        let rate = resolve(turn, request, account, unit, Start::At(request.event_time))?;
        let at = sheet.add(unit.rating_group, unit.service_identifier, rate);
        if let Some(draft) = sheet.drafts.get_mut(at) {
            draft.meter.used = amount;
            draft.meter.reach = amount;
        }
        lines.push(Line { draft: Some(at), ..Line::default() });
    }
    if lines.is_empty() {
        return Err(Denial::Invalid(InvalidField::Units));
    }
    sheet.price(Basis::Closing { cut: false });
    Ok((sheet, lines))
}

fn checks_money(request: &ChargingRequest) -> bool {
    matches!(request.charging_mode, ChargingMode::Prepaid | ChargingMode::Pseudoprepaid)
}

fn write<'a>(
    turn: &Turn<'a>,
    request: &'a ChargingRequest,
    session: Option<&'a Session>,
    sheet: Sheet<'a>,
    lines: Vec<Line>,
) -> Decision {
    let (phase, answer_time) = (SessionPhase::Closed, None::<UtcMs>);
    Paper { turn: *turn, request, session, sheet, lines, phase, answer_time, cut: false, late: false }.finish()
}
