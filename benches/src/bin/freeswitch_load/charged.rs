//! Was every call charged, once and right?

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use demo::lab::{Tollkeeper, eventually};
use serde::Serialize;
use serde_json::Value;
use types::Money;

use crate::double::{ACCOUNTS, Played, account};
use crate::phase::BALANCE;

/// What is wrong; all zero when nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Charged {
    /// Answered calls without exactly one START and one STOP.
    pub without_records: u64,
    /// STOPs with another price than the talk costs.
    pub wrong_price: u64,
    /// Accounts whose balance is not what their talk leaves, or of which something is still held.
    pub wrong_balance: u64,
}

/// Compares records and balances with what was played.
pub fn charged(agent: &Tollkeeper, played: &Played) -> anyhow::Result<Charged> {
    let wanted = played.talked.len();
    let of = |kind: &str| agent.records(&["--type", kind]);
    eventually("all STOP records", Duration::from_secs(30), || of("STOP").ok().filter(|stops| stops.len() >= wanted))
        .map(drop)
        // What is missing is counted below.
        .unwrap_or_default();
    let (starts, stops) = (by_leg(of("START")?), by_leg(of("STOP")?));
    let mut charged = Charged::default();
    let mut left: HashMap<&str, Money> = HashMap::new();
    let begin: Money = BALANCE.parse().context("a balance")?;
    for (leg, (account, talk_ms)) in &played.talked {
        let price = Money::from_nanos(i128::from(talk_ms.div_ceil(1000)) * NANOS_PER_SECOND);
        let balance = left.entry(account).or_insert(begin);
        *balance = Money::from_nanos(balance.nanos() - price.nanos());
        let stop = stops.get(leg).map(Vec::as_slice).unwrap_or_default();
        if stop.len() != 1 || starts.get(leg).is_none_or(|starts| starts.len() != 1) {
            charged.without_records += 1;
        } else if amount(stop.first().map(|stop| &stop["cost"]["amount"])) != Some(price) {
            charged.wrong_price += 1;
        }
    }
    for number in 0..ACCOUNTS {
        let name = account(number);
        let shown = agent.json(&["account", "show", &name])?;
        let expected = left.get(name.as_str()).copied().unwrap_or(begin);
        let right =
            amount(Some(&shown["balance"])) == Some(expected) && amount(Some(&shown["held"])) == Some(Money::ZERO);
        charged.wrong_balance += u64::from(!right);
    }
    Ok(charged)
}

fn by_leg(records: Vec<Value>) -> HashMap<String, Vec<Value>> {
    let mut by_leg: HashMap<String, Vec<Value>> = HashMap::new();
    for record in records {
        let leg = record["legId"].as_str().unwrap_or_default().to_owned();
        by_leg.entry(leg).or_default().push(record);
    }
    by_leg
}

fn amount(value: Option<&Value>) -> Option<Money> {
    value?.as_str()?.parse().ok()
}

/// 0.01 for each second begun.
const NANOS_PER_SECOND: i128 = 10_000_000;
