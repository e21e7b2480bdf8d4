//! One call's story, read back from tollkeeper, and how it is shown.

use std::path::Path;

use anyhow::Context;
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;
use types::Money;

use crate::stage::Stage;

/// What must become of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Answered { at_least_ms: u64 },
    Unanswered { sip_status: u16 },
    CreditExhausted,
    Released,
    Free,
}

/// One call.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    pub id: String,
    pub scenario: String,
    pub account: String,
    pub destination: String,
    pub authorised_ms: u64,
    pub talked_ms: u64,
    pub overrun_ms: u64,
    pub end: String,
    pub sip_status: u16,
    pub cost: String,
    pub currency: String,
    pub balance_after_units: Option<i64>,
    pub records: Vec<String>,
    #[serde(skip)]
    pub expected: Expected,
    #[serde(skip)]
    pub sipp_passed: bool,
    #[serde(skip)]
    pub payer: Option<String>,
}

/// One thing that had to hold.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    #[serde(skip)]
    pub detail: String,
}

impl Call {
    pub fn new(scenario: &str, id: &str, account: &str, destination: &str, expected: Expected) -> Self {
        Self {
            id: format!("{id}-1"),
            scenario: scenario.to_owned(),
            account: account.to_owned(),
            destination: destination.to_owned(),
            authorised_ms: 0,
            talked_ms: 0,
            overrun_ms: 0,
            end: String::new(),
            sip_status: 0,
            cost: "0".to_owned(),
            currency: "EUR".to_owned(),
            balance_after_units: None,
            records: Vec::new(),
            expected,
            sipp_passed: false,
            payer: None,
        }
    }

    /// Fills in what tollkeeper's command line says about it.
    pub fn read(&mut self, stage: &Stage<'_>) -> anyhow::Result<()> {
        let records = stage.tollkeeper.records(&["--call-id", &self.id])?;
        self.records = records.iter().filter_map(|record| record["recordType"].as_str().map(str::to_owned)).collect();
        let last = records.last().context("it has no record")?;
        let word = |key: &str| last[key].as_str();
        self.end = word("releaseCause").or_else(|| word("terminationReason")).unwrap_or("?").to_owned();
        self.talked_ms = if last["recordType"] == "STOP" { seconds_to_ms(&last["duration"])? } else { 0 };
        self.overrun_ms = last["overrunMs"].as_u64().unwrap_or(0);
        let answered = self.records.iter().any(|record| record == "START");
        let status = last["sipStatus"].as_u64().and_then(|status| u16::try_from(status).ok());
        self.sip_status = if answered { 200 } else { status.unwrap_or(0) };
        self.payer = last["callingParty"]["subscriberId"].as_str().map(str::to_owned);
        if let Some(amount) = last["cost"]["amount"].as_str() {
            self.cost = amount.to_owned();
        }
        let session = last["sessionId"].as_str().context("a record without session")?;
        if let Ok(session) = stage.tollkeeper.json(&["session", "show", session]) {
            self.authorised_ms = session["granted_time_ms"].as_u64().unwrap_or(0);
        }
        self.balance_after_units = self.balance_after(stage, session)?;
        Ok(())
    }

    /// From the account's history, or its balance now when the call moved nothing; none for an unknown account.
    fn balance_after(&self, stage: &Stage<'_>, session: &str) -> anyhow::Result<Option<i64>> {
        let Ok(history) = stage.tollkeeper.json_lines(&["account", "history", &self.account]) else { return Ok(None) };
        let of_session = history.iter().rev().find(|line| line["session_id"] == session);
        let text = match of_session.and_then(|line| line["value_after"].as_str()) {
            Some(balance) => balance.to_owned(),
            None => balance_now(stage, &self.account)?,
        };
        let nanos = text.parse::<Money>()?.nanos();
        Ok(i64::try_from(nanos).ok())
    }
}

pub fn balance_now(stage: &Stage<'_>, account: &str) -> anyhow::Result<String> {
    let shown = stage.tollkeeper.json(&["account", "show", account])?;
    Ok(shown["balance"].as_str().context("balance")?.to_owned())
}

/// `45.080` as it stands in the JSON; serde_json's own number would be a float.
fn seconds_to_ms(value: &Value) -> anyhow::Result<u64> {
    let money: Money = value.to_string().parse()?;
    Ok(u64::try_from(money.nanos() / 1_000_000)?)
}

pub fn table(calls: &[Call]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "call",
        "account",
        "dialled",
        "authorised",
        "talked",
        "end",
        "SIP",
        "cost",
        "balance after",
        "records",
    ]);
    for call in calls {
        let balance =
            call.balance_after_units.map_or("-".to_owned(), |nanos| Money::from_nanos(nanos.into()).to_string());
        let overrun = if call.overrun_ms > 0 { format!(" (+{} ms)", call.overrun_ms) } else { String::new() };
        table.add_row([
            call.id.clone(),
            call.account.clone(),
            call.destination.clone(),
            seconds(call.authorised_ms),
            format!("{}{overrun}", seconds(call.talked_ms)),
            call.end.clone(),
            call.sip_status.to_string(),
            format!("{} {}", call.cost, call.currency),
            balance,
            call.records.join(" "),
        ]);
    }
    println!("{table}");
}

fn seconds(ms: u64) -> String {
    if ms == 0 { "-".to_owned() } else { format!("{}.{:03} s", ms / 1000, ms % 1000) }
}

pub fn checks(checks: &[Check]) {
    println!("\nChecks:");
    for check in checks {
        let mark = if check.ok { "ok   " } else { "WRONG" };
        println!("  {mark} {}{}", check.name, if check.ok { String::new() } else { format!(": {}", check.detail) });
    }
}

pub fn write_summary(path: &Path, calls: &[Call], checks: &[Check]) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Summary<'a> {
        calls: &'a [Call],
        checks: &'a [Check],
    }
    std::fs::write(path, serde_json::to_vec_pretty(&Summary { calls, checks })?)?;
    Ok(())
}
