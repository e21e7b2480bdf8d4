//! The bookkeeping after the calls: money in = money out + money left, and the right records, each once.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use demo::lab::{Tollkeeper, eventually};
use serde_json::Value;
use types::Money;

use super::Lab;

impl Lab {
    /// Waits until nothing is open any more, then insists; see [`settled`]. Returns all records.
    pub fn settled(&self) -> anyhow::Result<Vec<Value>> {
        settled(&self.tollkeeper, &self.accounts)
    }
}

/// Waits until nothing is open any more, then insists: every session has exactly one START and one STOP, or exactly
/// one EVENT; nothing is held; what each account lost is what its STOPs say; every STOP's price is right.
/// Returns all records. `accounts`: names, and what they began with.
pub fn settled(tollkeeper: &Tollkeeper, accounts: &[(&str, &str)]) -> anyhow::Result<Vec<Value>> {
    let mut complaint = String::from("nothing was asked");
    let settled = eventually("the books being right", Duration::from_secs(25), || match audit(tollkeeper, accounts) {
        Ok(records) => Some(records),
        Err(error) => {
            complaint = format!("{error:#}");
            std::thread::sleep(Duration::from_millis(150));
            None
        }
    });
    settled.map_err(|_| anyhow::anyhow!("the books are not right: {complaint}"))
}

fn audit(tollkeeper: &Tollkeeper, accounts: &[(&str, &str)]) -> anyhow::Result<Vec<Value>> {
    let open = tollkeeper.json_lines(&["session", "list"])?;
    anyhow::ensure!(open.is_empty(), "{} sessions are open: {}", open.len(), open[0]);
    let records = tollkeeper.records(&[])?;
    let schema: Value = serde_json::from_str(cdr_model::CALL_RECORD_SCHEMA)?;
    let schema = jsonschema::validator_for(&schema)?;
    for record in &records {
        schema.validate(record).map_err(|fault| anyhow::anyhow!("against the schema: {fault}: {record}"))?;
    }
    let mut ids = HashSet::new();
    for record in &records {
        anyhow::ensure!(ids.insert(record["recordId"].to_string()), "twice: {record}");
    }
    let mut sessions: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for record in &records {
        sessions.entry(record["sessionId"].as_str().unwrap_or_default()).or_default().push(record);
    }
    for (session, of_session) in &sessions {
        let types = of_session.iter().filter_map(|record| record["recordType"].as_str());
        let types: Vec<&str> = types.filter(|record_type| *record_type != "INTERIM").collect();
        let late_price = of_session.iter().any(|record| record["eventKind"] == "COST_ADJUSTMENT");
        let right = match types[..] {
            ["START", "STOP"] => !late_price,
            ["START", "STOP", "EVENT"] => late_price,
            ["EVENT"] => !late_price,
            _ => false,
        };
        anyhow::ensure!(right, "{session} has {types:?}");
        let stops = of_session.iter().filter(|record| record["recordType"] == "STOP");
        stops.into_iter().try_for_each(|stop| right_price(stop, late_price))?;
    }
    for (account, start) in accounts {
        let shown = tollkeeper.json(&["account", "show", account])?;
        let paid = records.iter().filter(|record| record["callingParty"]["subscriberId"] == *account);
        let paid = paid.filter(|record| record["cost"]["state"] == "FINAL");
        let paid: i128 = paid.filter_map(|record| record["cost"]["amount"].as_str()).map(nanos).sum();
        let (balance, held) = (money(&shown["balance"]), money(&shown["held"]));
        anyhow::ensure!(held == Money::ZERO, "{held} of {account} is held, and nobody talks");
        anyhow::ensure!(
            nanos(start) == balance.nanos() + paid,
            "{account}: began with {start}, has {balance}, paid {}",
            Money::from_nanos(paid)
        );
    }
    Ok(records)
}

/// Germany: 0.01 for each second begun. What was talked beyond the last grant may be free, nothing else.
fn right_price(stop: &Value, late: bool) -> anyhow::Result<()> {
    let called = stop["calledParty"]["number"].as_str().unwrap_or_default();
    if !called.starts_with("+4930") || stop["cost"].is_null() || (late && stop["cost"]["state"] == "PENDING") {
        return Ok(());
    }
    let talked_ms = duration_ms(stop);
    let overrun_ms = stop["overrunMs"].as_u64().unwrap_or(0);
    let amount = money(&stop["cost"]["amount"]).nanos();
    let price = |ms: u64| i128::from(ms.div_ceil(1000)) * 10_000_000;
    let right = if overrun_ms == 0 {
        amount == price(talked_ms)
    } else {
        (price(talked_ms - overrun_ms)..=price(talked_ms)).contains(&amount)
    };
    anyhow::ensure!(right && stop["cost"]["state"] == "FINAL", "the price is wrong: {stop}");
    Ok(())
}

fn nanos(text: &str) -> i128 {
    text.parse::<Money>().map(Money::nanos).unwrap_or(i128::MIN / 1_000_000)
}

/// An amount as it stands in JSON.
pub fn money(value: &Value) -> Money {
    let text = value.as_str().unwrap_or_default();
    text.parse().unwrap_or_else(|_| panic!("{value} is no amount"))
}

/// `duration` of a STOP, in ms; its JSON number has at most three decimals.
pub fn duration_ms(stop: &Value) -> u64 {
    let text = stop["duration"].to_string();
    let seconds: Money = text.parse().unwrap_or_else(|_| panic!("{text} is no duration: {stop}"));
    u64::try_from(seconds.nanos() / 1_000_000).unwrap_or(0)
}

/// How a call ended: the release cause, else the reason.
pub fn end_of(record: &Value) -> &str {
    record["releaseCause"].as_str().or(record["terminationReason"].as_str()).unwrap_or("?")
}

pub fn of_type<'a>(records: &'a [Value], call_id: &str, record_type: &str) -> &'a Value {
    let found = records.iter().find(|record| record["callId"] == call_id && record["recordType"] == record_type);
    found.unwrap_or_else(|| panic!("{call_id} has no {record_type}: {records:#?}"))
}

/// The types of a call's records, in their order.
pub fn types_of<'a>(records: &'a [Value], call_id: &str) -> Vec<&'a str> {
    let records = records.iter().filter(|record| record["callId"] == call_id);
    records.filter_map(|record| record["recordType"].as_str()).collect()
}

/// Between two times of the same day as records have them.
pub fn millis_between(from: &Value, to: &Value) -> i64 {
    let millis = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        let time: types::UtcMs = text.parse().unwrap_or_else(|_| panic!("{value} is no time"));
        time.0
    };
    millis(to) - millis(from)
}
