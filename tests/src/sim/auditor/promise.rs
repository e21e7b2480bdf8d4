//! What an answer says, against what the auditor's books say: cost, what remains, what is granted.

use types::charging::{
    ChargingAnswer, ChargingMode, ChargingRequest, Operation, RequestedAction, ResultCode, SubscriberIdKind,
};
use types::{ReleaseCause, SessionId, UtcMs};

use super::price::Rate;
use super::session::{Meter, Stage, amount};
use super::{Auditor, Checked, Key};

impl Auditor {
    /// A fate of the account has only just become known: a session of it may have expired before that, in the core's former life,
    /// which a look at the session tells ([`Auditor::session_says`]).
    fn may_have_expired(&self, account: &str) -> bool {
        self.resolved.iter().any(|id| self.sessions.get(id).is_some_and(|session| session.account == account))
    }

    /// Takes a successful answer into the books and checks every number in it.
    pub(super) fn promise(
        &mut self,
        key: &Key,
        request: &ChargingRequest,
        answer: &ChargingAnswer,
        now: UtcMs,
    ) -> Checked {
        let (id, terms) = (&key.0, self.terms);
        let before = self.sessions.get(id).map_or(Stage::Denied, |session| session.stage);
        // One of unknown fate may have been decided before those that were heard of first.
        let is_late = self.sessions.get(id).is_some_and(|session| session.open_fates == 0 && session.is_late(request));
        if is_late && answer.units.iter().any(|unit| unit.granted.is_some()) {
            return Err("a report that others have overtaken is granted more".to_owned());
        }
        self.change(id, |session| session.take(request, answer, now, terms));
        let told = answer.cost.ok_or("no cost in a successful answer")?;
        self.agrees(id, told.amount.nanos())?;
        if !told.overrun.is_zero() {
            self.overruns += 1;
        }
        let Some(session) = self.sessions.get(id) else { return Ok(()) };
        let Some(account) = self.accounts.get(&session.account) else { return Ok(()) };
        let certain = account.open_fates == 0 && !account.has_pots() && !self.may_have_expired(&session.account);
        let remaining = answer.remaining_balance.ok_or("no remaining balance")?.nanos();
        if certain && remaining != account.available() {
            return Err(format!("{remaining} are said to remain, there are {}", account.available()));
        }
        if request.requested_action == Some(RequestedAction::DirectDebit) && certain && session.checks_money() {
            let available_before = account.available() + session.charged();
            if session.charged() > available_before.max(0) {
                return Err(format!("an event of {} with {available_before} available", session.charged()));
            }
        }
        if request.operation == Operation::Event {
            return Ok(());
        }
        let blocked = account.blocked == Some(true) && account.open_fates == 0;
        // A copy may be answered after a later request, and have been decided before it: from less usage than is known now.
        let later = (id.clone(), key.1.saturating_add(1))..=(id.clone(), u32::MAX);
        let overtaken = self.answered.range(later).next().is_some();
        for (unit, told) in request.units.iter().zip(&answer.units) {
            let Some(meter) = session.groups.get(&unit.rating_group) else { continue };
            let granted = told.granted.as_ref().map(|units| amount(request.service, units)).unwrap_or(0);
            if granted > 0 && blocked && before != Stage::Denied {
                return Err("a blocked account is granted more".to_owned());
            }
            if granted > 0 && told.granted.is_some() {
                let asked = unit.requested.as_ref().map_or(0, |units| amount(request.service, units));
                let known = !overtaken && session.open_fates == 0;
                if known && meter.rate.billable(meter.used + asked).max(meter.used) < meter.used + granted {
                    return Err(format!("{granted} are granted, {asked} were asked for"));
                }
                let overdrawn = certain && session.checks_money() && account.available() < 0;
                if overdrawn && meter.held > 0 {
                    return Err(format!("{granted} are granted with {} available", account.available()));
                }
            }
            let told_all = session.open_fates == 0;
            if told_all && told.billable != meter.billed && told.result_code.is_success() {
                return Err(format!("{} is said to be billed, it is {}", told.billable, meter.billed));
            }
            if told.final_unit.is_some() {
                self.last_grants += 1;
                let policy = answer.release_cause.is_some() || blocked || account.blocked.is_none();
                let checked = session.checks_money() && certain && !policy;
                let one_more = next_step(meter) - meter.rate.cost(meter.reach).max(meter.charged);
                let waits = request.units.len() > 1;
                if checked && !waits && one_more <= account.available() {
                    let available = account.available();
                    return Err(format!(
                        "said to be the last grant, and {available} are available for {one_more} more"
                    ));
                }
                if session.mode == ChargingMode::Postpaid && !policy && account.open_fates == 0 && !account.limited {
                    return Err("postpaid has a last grant".to_owned());
                }
            }
        }
        Ok(())
    }

    /// The session's cost is the price of its usage.
    pub(super) fn agrees(&mut self, id: &SessionId, told: i128) -> Checked {
        let Some(session) = self.sessions.get(id) else { return Ok(()) };
        let several = self.accounts.get(&session.account).is_some_and(|account| account.has_pots());
        if several {
            return self.agrees_with_pots(id, told);
        }
        let cost = session.cost();
        if cost == told || session.open_fates > 0 {
            return Ok(());
        }
        Err(format!("{id} is said to cost {told}, it costs {cost}: {:?}", session.groups))
    }

    /// Where several balances pay: what they gave is the cost, and units and money together are what is billed.
    fn agrees_with_pots(&mut self, id: &SessionId, told: i128) -> Checked {
        let Some(session) = self.sessions.get(id) else { return Ok(()) };
        let account = self.accounts.get(&session.account);
        let is_units = |balance: &str| account.is_some_and(|account| account.counts_units(balance));
        let money: i128 = session.drawn.iter().filter(|(balance, _)| !is_units(balance)).map(|(_, paid)| *paid).sum();
        let units: i128 = session.drawn.iter().filter(|(balance, _)| is_units(balance)).map(|(_, paid)| *paid).sum();
        if money != told {
            return Err(format!("{id} is said to cost {told}, its balances gave {money}"));
        }
        let full = session.cost();
        let Some(meter) = session.groups.values().next() else { return Ok(()) };
        let paid_by_units = units * meter.rate.price / i128::from(meter.rate.step);
        if full != paid_by_units + told && session.open_fates == 0 {
            return Err(format!("{id} would cost {full}; bundles paid for {paid_by_units}, money {told}"));
        }
        Ok(())
    }

    pub(super) fn payer(&self, request: &ChargingRequest) -> Option<String> {
        let of = |subscriber: &types::charging::SubscriberId| {
            let id = subscriber.value.expose();
            (subscriber.kind == SubscriberIdKind::Private && self.accounts.contains_key(id)).then(|| id.to_owned())
        };
        request.subscribers.iter().find_map(of)
    }

    /// Nothing new begins on a blocked account, or beyond the sessions it may have.
    pub(super) fn may_begin(&self, request: &ChargingRequest, account: &str) -> Checked {
        let Some(account) = self.accounts.get(account).filter(|account| account.open_fates == 0) else { return Ok(()) };
        if account.blocked == Some(true) {
            return Err("something begins on a blocked account".to_owned());
        }
        let full = account.most_sessions.is_some_and(|most| account.open.len() >= most);
        if full && request.operation == Operation::Initial {
            return Err(format!("one session more than {:?} begins", account.most_sessions));
        }
        Ok(())
    }

    /// A denial has its reason.
    pub(super) fn is_just(&self, request: &ChargingRequest, answer: &ChargingAnswer, account: Option<&str>) -> Checked {
        let code = answer.result_code;
        let Some(account) = account.and_then(|id| self.accounts.get(id)) else {
            let unknown = code == ResultCode::USER_UNKNOWN;
            return if unknown { Ok(()) } else { Err(format!("{} for an unknown account", code.0)) };
        };
        let certain = account.open_fates == 0;
        match code {
            ResultCode::CREDIT_LIMIT_REACHED if certain && !account.has_pots() => {
                let asked = |unit: &types::charging::UnitUsage| {
                    unit.requested.as_ref().map_or(0, |units| amount(request.service, units))
                };
                let called = request.called.as_ref().map(|called| called.expose());
                let whole = request.operation == Operation::Event;
                let least = request.units.iter().filter_map(|unit| {
                    let rate = Rate::of(request.service, unit.rating_group, called)?;
                    Some(rate.cost(if whole { asked(unit) } else { 1 }))
                });
                let least = least.min().unwrap_or(0);
                if least <= account.available() {
                    return Err(format!(
                        "denied for want of credit; {} are available for {least}",
                        account.available()
                    ));
                }
                Ok(())
            }
            ResultCode::CREDIT_LIMIT_REACHED => Ok(()),
            ResultCode::END_USER_SERVICE_DENIED => {
                let by_rule = answer.release_cause == Some(ReleaseCause::Policy) && account.limited;
                if certain && account.blocked == Some(false) && !by_rule {
                    return Err("denied without a block or a rule".to_owned());
                }
                Ok(())
            }
            ResultCode::RATING_FAILED => {
                let called = request.called.as_ref().map(|called| called.expose());
                let group = request.units.first().map_or(0, |unit| unit.rating_group);
                match Rate::of(request.service, group, called) {
                    Some(_) => Err("there is a rate".to_owned()),
                    None => Ok(()),
                }
            }
            other => Err(format!("refused with {}", other.0)),
        }
    }

    /// An enquiry changes nothing and tells the truth.
    pub(super) fn enquired(&self, request: &ChargingRequest, answer: &ChargingAnswer) -> Checked {
        let Some(account) = self.payer(request).and_then(|id| self.accounts.get(&id)) else { return Ok(()) };
        if account.open_fates > 0 || account.has_pots() {
            return Ok(());
        }
        let remaining = answer.remaining_balance.map(types::Money::nanos);
        if remaining != Some(account.available()) {
            return Err(format!("an enquiry says {remaining:?}, there are {}", account.available()));
        }
        Ok(())
    }
}

/// What the next step beyond the grant costs in all.
fn next_step(meter: &Meter) -> i128 {
    meter.rate.cost(meter.rate.billable(meter.reach.max(meter.used)) + 1)
}
