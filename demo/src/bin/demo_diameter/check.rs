//! What must hold after the loads, to the last unit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context;
use comfy_table::{Table, presets};
use demo::lab::eventually;
use serde_json::Value;
use types::Money;

use crate::act::Act;
use crate::stage::Stage;

/// One of them.
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    pub detail: String,
}

fn check(name: &'static str, ok: bool, detail: impl Into<String>) -> Check {
    Check { name, ok, detail: detail.into() }
}

pub fn all(stage: &Stage<'_>, acts: &[Act]) -> anyhow::Result<Vec<Check>> {
    let mut checks = vec![answers(acts), copies(stage, acts)?, endings(acts)];
    let cost: Money = acts.iter().map(|act| act.cost).sum();
    let told =
        acts.iter().map(|act| told_cost(&act.report)).collect::<anyhow::Result<Vec<_>>>()?.into_iter().sum::<Money>();
    checks.push(check(
        "the server's Cost-Information is units times prices",
        told == cost,
        format!("{told} and {cost}"),
    ));
    let (left, held) = stage.left()?;
    let debited = stage.paid_in - left;
    checks.push(check(
        "accounts paid units times prices, to the last unit",
        debited == cost,
        format!("{} paid in, {left} left, {debited} debited, {cost} expected", stage.paid_in),
    ));
    checks.push(check("nothing is held any more", held.is_zero(), format!("{held} held")));
    let open = stage.tollkeeper.json_lines(&["session", "list"])?.len();
    checks.push(check("no session is left open", open == 0, format!("{open} open")));
    checks.extend(records(stage, acts, cost)?);
    let complaints = stage.relay.complaints();
    checks.push(check(
        "freeDiameterd has no complaint of any message",
        complaints.is_empty(),
        format!("{} lines in relay.log: {}", complaints.len(), complaints.join("; ")),
    ));
    Ok(checks)
}

fn answers(acts: &[Act]) -> Check {
    let mut faults = Vec::new();
    let (mut sent, mut answered) = (0, 0);
    for act in acts {
        sent += count(&act.report, "sent");
        answered += count(&act.report, "answered");
        let complaints = act.report["complaints"].as_str().unwrap_or_default();
        if !complaints.is_empty() {
            faults.push(format!("{}: {complaints}", act.name));
        }
        let codes = act.report["result_codes"].as_object().into_iter().flatten();
        for (code, times) in codes.filter(|(code, _)| *code != "2001" && !act.refusals.contains(&code.as_str())) {
            faults.push(format!("{}: {code} {times} times", act.name));
        }
    }
    let detail = format!("{sent} sent, {answered} answered {}", faults.join("; "));
    check("every request was answered, as it must be", faults.is_empty() && sent == answered, detail.trim())
}

fn copies(stage: &Stage<'_>, acts: &[Act]) -> anyhow::Result<Check> {
    let sum = |key: &str| acts.iter().map(|act| count(&act.report, key)).sum::<u64>();
    let (copied, answered, differing) = (sum("copied"), sum("duplicates"), sum("differing"));
    let metrics = stage.tollkeeper.get("/metrics")?;
    let served = metrics.lines().filter(|line| line.starts_with("tollkeeper_diameter_answers_total"));
    let served: u64 = served.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
    // Copies are answered from memory, or wait with their original: they are decided once.
    let ok = differing == 0 && answered == copied && served == sum("sent");
    let detail =
        format!("{copied} copies, {answered} answered, {differing} unlike the original; {served} requests decided");
    Ok(check("a copy gets the answer of its original, and is charged once", ok, detail))
}

fn endings(acts: &[Act]) -> Check {
    let mut faults = Vec::new();
    for act in acts {
        let told = |key: &str| count(&act.report["sessions"], key);
        let wanted = match act.name {
            "credit ends" => (2, 1, 1),
            _ => (told("begun"), told("begun"), 0),
        };
        let seen = (told("begun"), told("closed"), told("refused"));
        if seen != wanted {
            faults.push(format!("{}: (begun, ended, refused) {seen:?} instead of {wanted:?}", act.name));
        }
        if act.name == "released" && count(&act.report, "abort_requests") != 1 {
            faults.push("no ASR came".to_owned());
        }
    }
    let detail = if faults.is_empty() { "in order".to_owned() } else { faults.join("; ") };
    check("every session ended as it must", faults.is_empty(), detail)
}

/// One START and one STOP a session, one EVENT a message or refusal; their costs are what was debited.
fn records(stage: &Stage<'_>, acts: &[Act], cost: Money) -> anyhow::Result<Vec<Check>> {
    let told = |act: &Act, key: &str| count(&act.report["sessions"], key);
    let sessions: u64 = acts.iter().filter(|act| !act.is_event).map(|act| told(act, "closed")).sum();
    let events: u64 = acts.iter().map(|act| if act.is_event { told(act, "begun") } else { told(act, "refused") }).sum();
    let mut kinds = BTreeMap::new();
    let records = eventually("the records", Duration::from_secs(10), || {
        let records = stage.tollkeeper.records(&[]).ok()?;
        kinds = BTreeMap::new();
        for record in &records {
            *kinds.entry(record["recordType"].as_str()?.to_owned()).or_insert(0_u64) += 1;
        }
        (kinds.get("STOP") >= Some(&sessions)).then_some(records)
    })?;
    let of = |kind: &str| kinds.get(kind).copied().unwrap_or(0);
    let ids: BTreeSet<&str> = records.iter().filter_map(|record| record["recordId"].as_str()).collect();
    let ok = (of("START"), of("STOP"), of("EVENT")) == (sessions, sessions, events) && ids.len() == records.len();
    let detail = format!("{kinds:?} of {sessions} sessions and {events} events, {} ids", ids.len());
    let mut sum = Money::ZERO;
    for record in records.iter().filter(|record| record["recordType"] == "STOP" || record["recordType"] == "EVENT") {
        if let Some(amount) = record["cost"]["amount"].as_str() {
            sum += amount.parse::<Money>().with_context(|| record.to_string())?;
        }
    }
    Ok(vec![
        check("one START and STOP a session, one EVENT a message or refusal", ok, detail),
        check("the records' costs are what was debited", sum == cost, format!("{sum} and {cost}")),
    ])
}

pub fn table(acts: &[Act]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["what", "sessions", "requests", "copies", "granted", "used", "p99", "cost by the price list"]);
    for act in acts {
        let sums = |key: &str| {
            let rows = act.report["used"].as_array().into_iter().flatten();
            let row = |used: &Value| format!("{} {}", used[key], used["unit"].as_str().unwrap_or_default());
            rows.map(row).collect::<Vec<_>>().join("\n")
        };
        let p99 = act.report["latencies"]["all"]["p99_us"].as_u64().unwrap_or(0);
        table.add_row([
            act.name.to_owned(),
            count(&act.report["sessions"], "begun").to_string(),
            count(&act.report, "sent").to_string(),
            count(&act.report, "copied").to_string(),
            sums("granted"),
            sums("charged"),
            format!("{}.{:01} ms", p99 / 1_000, p99 % 1_000 / 100),
            format!("{} EUR", act.cost),
        ]);
    }
    println!("\n{table}");
}

fn told_cost(report: &Value) -> anyhow::Result<Money> {
    let mut sum = Money::ZERO;
    for cost in report["costs"].as_array().context("costs")? {
        sum += cost["amount"].as_str().context("amount")?.parse::<Money>()?;
    }
    Ok(sum)
}

fn count(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or(0)
}
