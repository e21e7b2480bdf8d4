//! GetMaxUsage: how far an account's balances reach, tried without debiting them.
//!
//! Unit balances first (free in steps, or priced by a subject of their own), then money, each by precision of its
//! destination and weight; a balance that blocks ends the search. Whole increments come from one balance.

use rating::{Plan, Query, Rated, Rounding, Tables};
use serde_json::Value;
use types::charging::Service;
use types::{Money, UtcMs};

use super::Verdict;
use super::accounts::{Account, Accounts, Balance};
use super::figures::{base_units, time, usage};
use super::price::{query, service, text};

pub fn judge(
    case: &Value,
    step: &Value,
    plan: &Plan,
    accounts: &Accounts,
    max_usages: &mut Vec<Option<i128>>,
) -> Verdict {
    let expected = &step["expected"];
    let ours = max_usage(case, &step["request"], plan, accounts);
    max_usages.push(ours.as_ref().ok().copied());
    let theirs = expected.as_object().into_iter().flatten();
    for (key, theirs) in theirs {
        let right = match (key.as_str(), &ours) {
            ("error", Err(code)) => theirs == code,
            ("error", Ok(_)) | ("max_usage" | "max_usage_gt" | "max_usage_lt", Err(_)) => false,
            ("max_usage", Ok(ours)) => base_units(theirs) == Some(*ours),
            ("max_usage_gt", Ok(ours)) => base_units(theirs).is_some_and(|theirs| *ours > theirs),
            ("max_usage_lt", Ok(ours)) => base_units(theirs).is_some_and(|theirs| *ours < theirs),
            _ => return Verdict::Skipped(format!("GetMaxUsage with {key} expected")),
        };
        if !right {
            return Verdict::Failed(format!("ours {ours:?} base units, theirs {key} {theirs}"));
        }
    }
    Verdict::Passed
}

/// In nanoseconds of voice or in units; -1 for no limit.
fn max_usage(case: &Value, request: &Value, plan: &Plan, accounts: &Accounts) -> Result<i128, String> {
    let service = service(request)?;
    let at = time(if request["setup_time"].is_null() { &request["answer_time"] } else { &request["setup_time"] })?;
    let configured = &case["config"]["default_usage"];
    let configured = configured.get(text(request, "tor")).unwrap_or(configured);
    let three_hours = Value::from("3h");
    let asked = [&request["usage"], configured, &three_hours].into_iter().find(|asked| !asked.is_null());
    let limit = usage(asked.unwrap_or(&three_hours), service)?;
    // How a call is paid for is asked by the engine; the library beneath it, which the other cases are about, is not told.
    let engine = case["config"]["rounding_decimals"] == 5;
    if engine && ["*postpaid", "*rated", "*none"].contains(&text(request, "request_type")) {
        return Ok(-1);
    }
    let (tenant, name) = (text(request, "tenant"), text(request, "account"));
    let account: &Account = accounts.account(tenant, name).ok_or("ACCOUNT_NOT_FOUND")?;
    if account.disabled {
        return Err("ACCOUNT_DISABLED".to_owned());
    }
    if account.allow_negative {
        return Ok(-1);
    }
    let mut useful: Vec<(usize, Balance)> = Vec::new();
    for balance in accounts.balances_for(tenant, name) {
        if let Some(precision) = precision(&balance, request, at, accounts) {
            useful.push((precision, balance));
        }
    }
    useful.sort_by_key(|(precision, balance)| std::cmp::Reverse((*precision, balance.weight)));
    let (money, units): (Vec<Balance>, Vec<Balance>) =
        useful.into_iter().map(|(_, balance)| balance).partition(|balance| balance.kind == "*monetary");
    let of_service = format!("*{service:?}").to_lowercase();
    let units = units.into_iter().filter(|balance| balance.kind == of_service || balance.kind == "*generic");
    let trial = Trial { plan, asked: query(request, service, at), limit, used: 0, fee_paid: false };
    let reached = trial.with(units.collect(), money)?;
    let base = if service == Service::Voice { 1_000_000 } else { 1 };
    Ok(i128::from(reached.min(limit)) * base)
}

/// How many characters of the number a balance names; nothing if it is not for this call.
fn precision(balance: &Balance, request: &Value, at: UtcMs, accounts: &Accounts) -> Option<usize> {
    let expired = balance.expires.is_some_and(|expires| expires <= at);
    let categories = &balance.categories;
    let other_category =
        !categories.is_empty() && !categories.iter().any(|one| one == "*any" || one == text(request, "category"));
    if balance.disabled || expired || other_category || !is_timed(&balance.timings, at, accounts) {
        return None;
    }
    let number = text(request, "destination");
    let longest = |destination: &str| {
        let rows = accounts.table("Destinations").iter().filter(|row| row.first().is_some_and(|id| id == destination));
        rows.filter_map(|row| row.get(1)).filter(|prefix| number.starts_with(*prefix)).map(String::len).max()
    };
    let (excluded, named): (Vec<&String>, Vec<&String>) =
        balance.destinations.iter().partition(|destination| destination.starts_with('!'));
    let best_excluded = excluded.iter().filter_map(|destination| longest(destination.trim_start_matches('!'))).max();
    let best_named = named.iter().filter_map(|one| if *one == "*any" { Some(0) } else { longest(one) }).max();
    match (best_named, best_excluded) {
        _ if balance.destinations.is_empty() => Some(0),
        (None, None) if named.is_empty() => Some(0),
        (Some(named), Some(excluded)) if excluded >= named => None,
        (named, _) => named,
    }
}

/// True if a listed timing is in force; of timings that are only ruled out (`!ID`), none must be.
fn is_timed(timings: &[String], at: UtcMs, accounts: &Accounts) -> bool {
    let in_force = |tag: &str| tag == "*any" || tag == "*asap" || applies(tag, at, accounts);
    let (ruled_out, listed): (Vec<&String>, Vec<&String>) = timings.iter().partition(|tag| tag.starts_with('!'));
    let none_ruled_out = !ruled_out.iter().any(|tag| in_force(tag.trim_start_matches('!')));
    none_ruled_out && (listed.is_empty() || listed.iter().any(|tag| in_force(tag)))
}

/// Asks a plan that has a price at that timing only.
fn applies(tag: &str, at: UtcMs, accounts: &Accounts) -> bool {
    let Some(row) = accounts.table("Timings").iter().find(|row| row.first().is_some_and(|id| id == tag)) else {
        return false;
    };
    let tables = Tables {
        timings: format!("{}\n", row.join(",")),
        rates: "R,0,0,1,1,0\n".to_owned(),
        destination_rates: "D,*any,R,*up,4,,\n".to_owned(),
        rating_plans: format!("P,D,{tag},10\n"),
        rating_profiles: "t,c,*any,,P,\n".to_owned(),
        ..Tables::default()
    };
    let plan = Plan::from_tables(&tables, rating::PlanOptions::default());
    let asked = Query { service: Service::Voice, tenant: "t", category: "c", subject: "s", destination: "", start: at };
    plan.is_ok_and(|plan| plan.resolve(&asked).is_ok())
}

/// A call that is paid for as far as the balances reach.
struct Trial<'t> {
    plan: &'t Plan,
    asked: Query<'t>,
    limit: u64,
    used: u64,
    fee_paid: bool,
}

impl<'t> Trial<'t> {
    /// Milliseconds of voice, or units; increments may reach beyond the limit.
    fn with(mut self, units: Vec<Balance>, mut money: Vec<Balance>) -> Result<u64, String> {
        for balance in units {
            match step_of(&balance, self.asked.service) {
                Some(step) => self.pay_free(&balance, step),
                None => self.pay_units_and_money(&balance, &mut money),
            }
            if balance.blocker && self.used < self.limit {
                return Ok(self.used);
            }
        }
        if self.used >= self.limit {
            return Ok(self.used);
        }
        let own = self.plan.resolve(&self.asked).map_err(|refusal| refusal.code());
        for balance in &money {
            let subject = Some(&*balance.rating_subject).filter(|subject| !subject.is_empty());
            // A subject that has no rate for the number leaves the call's own.
            let of_subject = subject.and_then(|subject| self.rated(subject));
            if let Some(rated) = of_subject.or(own.ok()) {
                self.pay_money(&rated, Money::from_nanos(balance.value));
            }
            if self.used >= self.limit || balance.blocker {
                return Ok(self.used);
            }
        }
        // What costs nothing needs no balance.
        match own {
            Ok(rated) => self.pay_money(&rated, Money::ZERO),
            Err(code) if self.used == 0 => return Err(code.to_owned()),
            Err(_) => {}
        }
        Ok(self.used)
    }

    fn rated(&self, subject: &str) -> Option<Rated<'t>> {
        self.plan.resolve(&Query { subject, ..self.asked }).ok()
    }

    /// Whole steps, as many as the balance has.
    fn pay_free(&mut self, balance: &Balance, step: u64) {
        let base = if self.asked.service == Service::Voice { 1_000_000 } else { 1 };
        let step = i128::from(step.max(1));
        let paid = balance.value.max(0) / step * step / base;
        self.used = self.used.saturating_add(u64::try_from(paid).unwrap_or(u64::MAX)).min(self.limit);
    }

    /// Increments at the price of the balance's subject: units of this balance, and money.
    fn pay_units_and_money(&mut self, balance: &Balance, money: &mut [Balance]) {
        let Some(rated) = self.rated(&balance.rating_subject) else { return };
        let base = if self.asked.service == Service::Voice { 1_000_000 } else { 1 };
        let units = u64::try_from(balance.value.max(0) / base).unwrap_or(u64::MAX);
        let reach = self.used.saturating_add(units);
        // The most usage whose whole increments the units pay for.
        let (mut fits, mut beyond) = (self.used, self.limit.min(reach).saturating_add(1));
        while beyond - fits > 1 {
            let middle = fits + (beyond - fits) / 2;
            if rated.billable(middle) <= reach { fits = middle } else { beyond = middle }
        }
        let mut end = rated.billable(fits);
        for balance in money.iter_mut().filter(|balance| balance.value > 0) {
            let from = self.used;
            let before = self.charged(&rated, from);
            self.used = rated.max_usage(from, end, Money::from_nanos(balance.value) + before).min(end);
            if self.used > from {
                balance.value -= (rated.price(self.used, Rounding::Running) - before).nanos();
                self.fee_paid = true;
            }
            if self.used >= end {
                break;
            }
        }
        // Free increments need no money.
        end = end.max(self.used);
        let before = self.charged(&rated, self.used);
        self.used = rated.max_usage(self.used, end, before).min(end);
    }

    fn pay_money(&mut self, rated: &Rated<'_>, amount: Money) {
        let reached = rated.max_usage(self.used, self.limit, self.charged(rated, self.used) + amount);
        self.fee_paid |= reached > self.used;
        self.used = reached;
    }

    /// The price of what was used so far, but for a connect fee that nobody has paid yet.
    fn charged(&self, rated: &Rated<'_>, used: u64) -> Money {
        let fee = rated.explain(1).into_iter().find_map(|line| match line {
            rating::Line::ConnectFee { fee, .. } => Some(fee),
            _ => None,
        });
        let unpaid = fee.filter(|_| used > 0 && !self.fee_paid).unwrap_or(Money::ZERO);
        rated.price(used, Rounding::Running) - unpaid
    }
}

/// The step in which a balance of units is free, in base units; nothing if it has a price of its own.
fn step_of(balance: &Balance, service: Service) -> Option<u64> {
    let default = if service == Service::Voice { 1_000_000_000 } else { 1 };
    match balance.rating_subject.strip_prefix("*zero") {
        Some("") => Some(default),
        Some(step) => base_units(&Value::from(step)).and_then(|step| u64::try_from(step).ok()).or(Some(default)),
        None if balance.rating_subject.is_empty() => Some(default),
        None => None,
    }
}
