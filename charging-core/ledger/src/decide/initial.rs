//! INITIAL: opens a session and reserves for the first grant.

use std::borrow::Cow;

use types::charging::{ChargingRequest, Service, SessionPhase, UnitUsage};
use types::{Money, UtcMs};

use super::account::blocked;
use super::paper::{Line, Paper, deny};
use super::rules::Rules;
use super::share::grant_all;
use super::sheet::{Basis, Sheet};
use super::{Turn, charge};
use crate::account::Account;
use crate::outcome::{Decision, Denial, InvalidField};
use crate::pricing::{RateKey, RateQuery, Start};

pub(super) fn initial(turn: &Turn<'_>, request: &ChargingRequest) -> Decision {
    if request.units.iter().any(|unit| !unit.used.is_empty()) {
        return charge::refuse(turn, request, Denial::Invalid(InvalidField::Units));
    }
    let Some(account) = payer(turn, request) else {
        return deny(turn, request, None, Denial::UnknownAccount, &[]);
    };
    if account.blocked {
        return deny(turn, request, Some(account), blocked(turn, account), &[]);
    }
    let rules = Rules::of(turn, account);
    let called = request.called.as_ref().map(|number| number.expose());
    if let Err(rule) = rules.admit(called, true) {
        return deny(turn, request, Some(account), Denial::Policy(rule), &[]);
    }
    let mut sheet = Sheet::new(turn, account, request.charging_mode, request.service);
    let mut lines = rate_groups(turn, request, &mut sheet, request.answer_time);
    sheet.price(Basis::Running);
    sheet.cap(rules.cap(called, None, Money::ZERO));
    grant_all(turn, request, &mut sheet, &mut lines);
    if let Some(denial) = lines.iter().map(|line| line.denial).reduce(Option::and).flatten() {
        return deny(turn, request, Some(account), denial, &lines);
    }
    for (unit, line) in request.units.iter().zip(&mut lines) {
        // A group that got nothing beside others that did is denied, not granted nothing.
        if line.denial.is_some() && unit.requested.is_some() {
            line.grant = None;
        }
    }
    Paper {
        turn: *turn,
        request,
        session: None,
        sheet,
        lines,
        phase: SessionPhase::Open,
        answer_time: request.answer_time,
        cut: false,
        late: false,
    }
    .finish()
}

/// The account of the first subscriber that has one.
pub(super) fn payer<'a>(turn: &Turn<'a>, request: &ChargingRequest) -> Option<&'a Account> {
    let mut subscribers = request.subscribers.iter();
    subscribers.find_map(|one| turn.books.lookup(&request.tenant, one.kind, one.value.expose()))
}

/// Finds or adds the group of each unit entry.
pub(super) fn rate_groups<'a>(
    turn: &Turn<'a>,
    request: &ChargingRequest,
    sheet: &mut Sheet<'a>,
    answer_time: Option<UtcMs>,
) -> Vec<Line> {
    let mut lines = Vec::with_capacity(request.units.len());
    for unit in &request.units {
        let same = |draft: &super::sheet::Draft<'_>| {
            draft.rating_group == unit.rating_group && draft.service_identifier == unit.service_identifier
        };
        let line = match sheet.drafts.iter().position(same) {
            Some(at) => Line { draft: Some(at), ..Line::default() },
            None => match resolve(turn, request, sheet.account, unit, start_of(turn, sheet.service, unit, answer_time))
            {
                Ok(rate) => {
                    let at = sheet.add(unit.rating_group, unit.service_identifier, rate);
                    Line { draft: Some(at), ..Line::default() }
                }
                Err(denial) => Line { denial: Some(denial), ..Line::default() },
            },
        };
        if let (Some(draft), Some(at)) = (line.draft.and_then(|at| sheet.drafts.get_mut(at)), begun(unit, answer_time))
        {
            settle_start(turn, sheet.account, &mut draft.rate, at);
        }
        lines.push(line);
    }
    lines
}

/// A rate in the account's currency.
pub(super) fn resolve(
    turn: &Turn<'_>,
    request: &ChargingRequest,
    account: &Account,
    unit: &UnitUsage,
    start: Start,
) -> Result<RateKey, Denial> {
    let query = RateQuery {
        // The payer's tenant, whatever a later request says.
        tenant: turn.books.tenant_of(account).cloned().unwrap_or_else(|| request.tenant.clone()),
        service: request.service,
        category: unit.category.as_ref().unwrap_or(&request.category).clone(),
        subject: request.subject.clone().unwrap_or_else(|| account.names.id().into()),
        destination: unit.called.as_ref().or(request.called.as_ref()).cloned(),
        rating_group: unit.rating_group,
        start,
    };
    let rate = turn.pricing.resolve(&query).map_err(Denial::Unrated)?;
    let tariff = turn.pricing.currency(&rate);
    if tariff == account.currency {
        Ok(rate)
    } else {
        Err(Denial::CurrencyMismatch { account: account.currency, tariff })
    }
}

/// When usage of a new group begins: at the answer, or within the ring time from now.
fn start_of(turn: &Turn<'_>, service: Service, unit: &UnitUsage, answer_time: Option<UtcMs>) -> Start {
    match begun(unit, answer_time) {
        Some(at) => Start::At(at),
        None if service == Service::Voice => {
            Start::Within { earliest: turn.now, latest: turn.now.plus(turn.settings.maximum_ring_ms) }
        }
        None => Start::At(turn.now),
    }
}

/// When usage began, as far as the report says.
fn begun(unit: &UnitUsage, answer_time: Option<UtcMs>) -> Option<UtcMs> {
    answer_time.or_else(|| unit.used.iter().find_map(|container| container.start))
}

/// The first report that knows when usage began replaces the window by that moment. If there is no rate for it any
/// more, the dearest start of the window stays.
pub(super) fn settle_start(turn: &Turn<'_>, account: &Account, rate: &mut Cow<'_, RateKey>, begun: UtcMs) {
    if matches!(rate.query.start, Start::At(_)) {
        return;
    }
    if let Ok(settled) = turn.pricing.resolve_again(rate, Start::At(begun))
        && turn.pricing.currency(&settled) == account.currency
    {
        *rate = Cow::Owned(settled);
    }
}
