//! `account limits`: what an account may do besides paying.

use std::str::FromStr;

use charging_proto::TokenChannel;
use charging_proto::v1::account_service_client::AccountServiceClient;
use charging_proto::v1::{
    AccountLimits, DestinationLimit, GetLimitsRequest, Limit, LimitSettings, SetLimitsRequest, destination_limit, limit,
};
use clap::Args;
use serde::Serialize;
use types::Money;

use crate::cli::connection::{CoreArgs, refused};
use crate::cli::{parse, show};

#[derive(Debug, Args)]
pub struct LimitsArgs {
    /// The account's id.
    id: String,
    /// Whose customer.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Most sessions at once.
    #[arg(long, value_parser = count, value_name = "NUMBER|none|default")]
    sessions: Option<Limit>,
    /// Most new sessions in any 60 seconds.
    #[arg(long, value_parser = count, value_name = "NUMBER|none|default")]
    new_per_minute: Option<Limit>,
    /// Most that one session may cost.
    #[arg(long, value_parser = cost, value_name = "AMOUNT|none|default")]
    cost_per_call: Option<Limit>,
    /// Most that the last 60 minutes may cost.
    #[arg(long, value_parser = cost, value_name = "AMOUNT|none|default")]
    cost_per_hour: Option<Limit>,
    /// Most that a calendar day of the tenant may cost.
    #[arg(long, value_parser = cost, value_name = "AMOUNT|none|default")]
    cost_per_day: Option<Limit>,
    /// A rule for a class of destinations of the configuration; may be repeated.
    #[arg(long, value_parser = destination, value_name = "CLASS=allowed|denied|AMOUNT|default")]
    destination: Vec<DestinationLimit>,
    #[command(flatten)]
    format: show::Format,
}

/// Sets what is named, and shows all.
pub async fn run(
    core: &CoreArgs,
    accounts: &mut AccountServiceClient<TokenChannel>,
    args: LimitsArgs,
) -> anyhow::Result<()> {
    let LimitsArgs { id: account_id, tenant, format, .. } = args;
    let limits = LimitSettings {
        maximum_sessions: args.sessions,
        maximum_new_sessions_per_minute: args.new_per_minute,
        maximum_cost_per_call: args.cost_per_call,
        maximum_cost_per_hour: args.cost_per_hour,
        maximum_cost_per_day: args.cost_per_day,
        destinations: args.destination,
    };
    let answer = if limits == LimitSettings::default() {
        accounts.get_limits(GetLimitsRequest { tenant, account_id: account_id.clone() }).await
    } else {
        let limits = Some(limits);
        accounts.set_limits(SetLimitsRequest { tenant, account_id: account_id.clone(), limits }).await
    };
    LimitsView::new(account_id, answer.map_err(|status| refused(core, &status))?.into_inner()).print(format)
}

fn count(text: &str) -> Result<Limit, String> {
    limit_of(text, |text| {
        let count = u32::from_str(text).map_err(|_| "is a number, none or default".to_owned())?;
        Ok(limit::Limit::Count(count))
    })
}

fn cost(text: &str) -> Result<Limit, String> {
    limit_of(text, |text| parse::not_negative(text).map(|amount: Money| limit::Limit::Money(amount.to_string())))
}

fn limit_of(text: &str, value: impl Fn(&str) -> Result<limit::Limit, String>) -> Result<Limit, String> {
    let limit = match text {
        "none" => limit::Limit::Unlimited(true),
        "default" => limit::Limit::AsConfigured(true),
        other => value(other)?,
    };
    Ok(Limit { limit: Some(limit) })
}

fn destination(text: &str) -> Result<DestinationLimit, String> {
    use destination_limit::Rule;
    let (class, rule) = text.split_once('=').filter(|(class, _)| !class.is_empty()).ok_or_else(|| {
        "is written CLASS=RULE, such as premium=denied, premium=allowed, premium=5.00 or premium=default".to_owned()
    })?;
    let rule = match rule {
        "allowed" => Rule::Allowed(true),
        "denied" => Rule::Denied(true),
        "default" => Rule::AsConfigured(true),
        amount => Rule::MaximumCostPerCall(parse::not_negative(amount)?.to_string()),
    };
    Ok(DestinationLimit { class: class.to_owned(), rule: Some(rule) })
}

/// What applies, each with whether it is the account's own.
#[derive(Debug, Serialize)]
struct LimitsView {
    account_id: String,
    currency: String,
    maximum_sessions: OneView,
    maximum_new_sessions_per_minute: OneView,
    maximum_cost_per_call: OneView,
    maximum_cost_per_hour: OneView,
    maximum_cost_per_day: OneView,
    destinations: Vec<ClassView>,
    open_sessions: u32,
    new_sessions_last_minute: u32,
    cost_last_hour: String,
    cost_today: String,
    pledged: String,
}

/// A limit; absent: none.
#[derive(Debug, Serialize)]
struct OneView {
    limit: Option<String>,
    own: bool,
}

#[derive(Debug, Serialize)]
struct ClassView {
    class: String,
    rule: String,
    own: bool,
}

impl LimitsView {
    fn new(account_id: String, limits: AccountLimits) -> Self {
        let (own, effective) = (limits.own.unwrap_or_default(), limits.effective.unwrap_or_default());
        let one = |own: Option<Limit>, effective: Option<Limit>| OneView {
            limit: effective.and_then(|limit| limit.limit).map(text),
            own: own.is_some(),
        };
        let is_own = |class: &str| own.destinations.iter().any(|own| own.class == class);
        let class = |class: DestinationLimit| ClassView {
            own: is_own(&class.class),
            rule: class.rule.map_or_else(|| "allowed".to_owned(), rule_text),
            class: class.class,
        };
        Self {
            account_id,
            currency: limits.currency,
            destinations: effective.destinations.into_iter().map(class).collect(),
            maximum_sessions: one(own.maximum_sessions, effective.maximum_sessions),
            maximum_new_sessions_per_minute: one(
                own.maximum_new_sessions_per_minute,
                effective.maximum_new_sessions_per_minute,
            ),
            maximum_cost_per_call: one(own.maximum_cost_per_call, effective.maximum_cost_per_call),
            maximum_cost_per_hour: one(own.maximum_cost_per_hour, effective.maximum_cost_per_hour),
            maximum_cost_per_day: one(own.maximum_cost_per_day, effective.maximum_cost_per_day),
            open_sessions: limits.open_sessions,
            new_sessions_last_minute: limits.new_sessions_last_minute,
            cost_last_hour: limits.cost_last_hour,
            cost_today: limits.cost_today,
            pledged: limits.pledged,
        }
    }

    fn print(&self, format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return show::json(self);
        }
        let row = |name: &str, one: &OneView, now: String| {
            let limit = one.limit.clone().unwrap_or_else(|| "none".to_owned());
            [name.to_owned(), limit, origin(one.own), now]
        };
        let dash = "-".to_owned();
        let mut rows = vec![
            row("sessions at once", &self.maximum_sessions, self.open_sessions.to_string()),
            row(
                "new sessions a minute",
                &self.maximum_new_sessions_per_minute,
                self.new_sessions_last_minute.to_string(),
            ),
            row("cost of a call", &self.maximum_cost_per_call, dash.clone()),
            row("cost of an hour", &self.maximum_cost_per_hour, self.cost_last_hour.clone()),
            row("cost of a day", &self.maximum_cost_per_day, self.cost_today.clone()),
            ["running calls may cost".to_owned(), dash.clone(), dash.clone(), self.pledged.clone()],
        ];
        rows.extend(self.destinations.iter().map(|class| {
            [format!("destinations {}", class.class), class.rule.clone(), origin(class.own), dash.clone()]
        }));
        show::rows(["LIMIT", &self.currency, "FROM", "NOW"], rows, "no limits")
    }
}

fn origin(own: bool) -> String {
    if own { "account".to_owned() } else { "configuration".to_owned() }
}

fn text(limit: limit::Limit) -> String {
    match limit {
        limit::Limit::Count(count) => count.to_string(),
        limit::Limit::Money(money) => money,
        limit::Limit::Unlimited(_) => "none".to_owned(),
        limit::Limit::AsConfigured(_) => "default".to_owned(),
    }
}

fn rule_text(rule: destination_limit::Rule) -> String {
    use destination_limit::Rule;
    match rule {
        Rule::Allowed(_) => "allowed".to_owned(),
        Rule::Denied(_) => "denied".to_owned(),
        Rule::AsConfigured(_) => "default".to_owned(),
        Rule::MaximumCostPerCall(amount) => format!("at most {amount} a call"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_words() {
        let is = |limit| Ok(Limit { limit: Some(limit) });
        assert_eq!(count("4"), is(limit::Limit::Count(4)));
        assert_eq!(count("none"), is(limit::Limit::Unlimited(true)));
        assert_eq!(cost("default"), is(limit::Limit::AsConfigured(true)));
        assert_eq!(cost("20.50"), is(limit::Limit::Money("20.5".to_owned())));
        for wrong in ["-1", "many", ""] {
            assert!(count(wrong).is_err() && cost(wrong).is_err(), "{wrong}");
        }
        let denied = destination("premium=denied").map(|limit| limit.rule);
        assert_eq!(denied, Ok(Some(destination_limit::Rule::Denied(true))));
        assert!(destination("premium").is_err() && destination("=denied").is_err() && destination("x=y").is_err());
    }
}
