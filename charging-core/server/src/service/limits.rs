//! Limits of accounts to and from the wire.

use charging_proto::convert;
use charging_proto::v1;
use charging_proto::v1::{destination_limit, limit};
use ledger::{AccountLimits, DestinationRule, Limit, LimitsView, Policy};
use tonic::Status;
use types::Money;

use super::status;

/// The account's own limits after a request that names some of them.
pub(super) fn changed(own: AccountLimits, wire: v1::LimitSettings) -> Result<AccountLimits, Status> {
    let mut limits = AccountLimits {
        maximum_sessions: or_kept(own.maximum_sessions, wire.maximum_sessions, read_count)?,
        maximum_new_sessions_per_minute: or_kept(
            own.maximum_new_sessions_per_minute,
            wire.maximum_new_sessions_per_minute,
            read_count,
        )?,
        maximum_cost_per_call: or_kept(own.maximum_cost_per_call, wire.maximum_cost_per_call, read_money)?,
        maximum_cost_per_hour: or_kept(own.maximum_cost_per_hour, wire.maximum_cost_per_hour, read_money)?,
        maximum_cost_per_day: or_kept(own.maximum_cost_per_day, wire.maximum_cost_per_day, read_money)?,
        destinations: own.destinations,
    };
    for destination in wire.destinations {
        let class: String = convert::required("destinations.class", destination.class).map_err(status::unreadable)?;
        limits.destinations.retain(|(known, _)| **known != *class);
        if let Some(rule) = read_rule(destination.rule)? {
            limits.destinations.push((class.into(), rule));
        }
    }
    Ok(limits)
}

fn or_kept<T>(
    own: Limit<T>,
    wire: Option<v1::Limit>,
    read: impl Fn(limit::Limit) -> Result<Limit<T>, Status>,
) -> Result<Limit<T>, Status> {
    let Some(wire) = wire else { return Ok(own) };
    match wire.limit.ok_or_else(|| Status::invalid_argument("a limit says nothing"))? {
        limit::Limit::AsConfigured(true) => Ok(Limit::Default),
        limit::Limit::Unlimited(true) => Ok(Limit::Unlimited),
        limit::Limit::AsConfigured(false) | limit::Limit::Unlimited(false) => {
            Err(Status::invalid_argument("as_configured and unlimited are true where they are there"))
        }
        value => read(value),
    }
}

fn read_count(value: limit::Limit) -> Result<Limit<u32>, Status> {
    match value {
        limit::Limit::Count(count) => Ok(Limit::Is(count)),
        _ => Err(Status::invalid_argument("a limit that counts is given as count")),
    }
}

fn read_money(value: limit::Limit) -> Result<Limit<Money>, Status> {
    match value {
        limit::Limit::Money(text) => convert::money("money", &text).map(Limit::Is).map_err(status::unreadable),
        _ => Err(Status::invalid_argument("a limit of cost is given as money")),
    }
}

/// The rule; absent: as configured.
fn read_rule(rule: Option<destination_limit::Rule>) -> Result<Option<DestinationRule>, Status> {
    use destination_limit::Rule;
    match rule {
        Some(Rule::AsConfigured(true)) => Ok(None),
        Some(Rule::Allowed(true)) => Ok(Some(DestinationRule::Allowed)),
        Some(Rule::Denied(true)) => Ok(Some(DestinationRule::Denied)),
        Some(Rule::MaximumCostPerCall(text)) => {
            let limit = convert::money("maximum_cost_per_call", &text).map_err(status::unreadable)?;
            Ok(Some(DestinationRule::MaximumCostPerCall(limit)))
        }
        _ => Err(Status::invalid_argument("a rule for a class of destinations says one thing, with true")),
    }
}

/// Limits as they are shown.
pub(super) fn shown(view: LimitsView) -> v1::AccountLimits {
    v1::AccountLimits {
        own: Some(own(view.own)),
        effective: Some(effective(view.effective)),
        currency: view.currency.to_string(),
        open_sessions: view.open_sessions,
        new_sessions_last_minute: view.new_sessions_last_minute,
        cost_last_hour: view.cost_last_hour.to_string(),
        cost_today: view.cost_today.to_string(),
        pledged: view.pledged.to_string(),
    }
}

fn own(limits: AccountLimits) -> v1::LimitSettings {
    let destination = |(class, rule): (Box<str>, DestinationRule)| wire_rule(class, rule);
    v1::LimitSettings {
        maximum_sessions: wire(limits.maximum_sessions, limit::Limit::Count),
        maximum_new_sessions_per_minute: wire(limits.maximum_new_sessions_per_minute, limit::Limit::Count),
        maximum_cost_per_call: wire(limits.maximum_cost_per_call, wire_money),
        maximum_cost_per_hour: wire(limits.maximum_cost_per_hour, wire_money),
        maximum_cost_per_day: wire(limits.maximum_cost_per_day, wire_money),
        destinations: limits.destinations.into_iter().map(destination).collect(),
    }
}

fn effective(policy: Policy) -> v1::LimitSettings {
    let count = |limit: Option<u32>| limit.map(|limit| v1::Limit { limit: Some(limit::Limit::Count(limit)) });
    let money = |limit: Option<Money>| limit.map(|limit| v1::Limit { limit: Some(wire_money(limit)) });
    v1::LimitSettings {
        maximum_sessions: count(policy.maximum_sessions),
        maximum_new_sessions_per_minute: count(policy.maximum_new_sessions_per_minute),
        maximum_cost_per_call: money(policy.maximum_cost_per_call),
        maximum_cost_per_hour: money(policy.maximum_cost_per_hour),
        maximum_cost_per_day: money(policy.maximum_cost_per_day),
        destinations: policy.destinations.into_iter().map(|class| wire_rule(class.class, class.rule)).collect(),
    }
}

fn wire<T>(limit: Limit<T>, value: impl Fn(T) -> limit::Limit) -> Option<v1::Limit> {
    let limit = match limit {
        Limit::Default => return None,
        Limit::Unlimited => limit::Limit::Unlimited(true),
        Limit::Is(limit) => value(limit),
    };
    Some(v1::Limit { limit: Some(limit) })
}

fn wire_money(limit: Money) -> limit::Limit {
    limit::Limit::Money(limit.to_string())
}

fn wire_rule(class: Box<str>, rule: DestinationRule) -> v1::DestinationLimit {
    use destination_limit::Rule;
    let rule = match rule {
        DestinationRule::Allowed => Rule::Allowed(true),
        DestinationRule::Denied => Rule::Denied(true),
        DestinationRule::MaximumCostPerCall(limit) => Rule::MaximumCostPerCall(limit.to_string()),
    };
    v1::DestinationLimit { class: class.into(), rule: Some(rule) }
}
