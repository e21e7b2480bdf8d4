//! The loads of the demo, one after the other.

use std::time::Duration;

use anyhow::Context;
use demo::lab::eventually;
use serde_json::Value;
use types::Money;

use crate::stage::{FIRST, POOR, SUBSCRIBERS, Stage};

/// A load and what came of it.
pub struct Act {
    pub name: &'static str,
    /// The report of the load client.
    pub report: Value,
    /// What it must have cost: units times the price list.
    pub cost: Money,
    /// Result codes of messages that are right beside 2001.
    pub refusals: &'static [&'static str],
    /// Sessions that have START and STOP; the others are events and refusals with one EVENT.
    pub is_event: bool,
}

pub fn all(stage: &Stage<'_>) -> anyhow::Result<Vec<Act>> {
    let (first, subscribers) = (FIRST.to_string(), SUBSCRIBERS.to_string());
    let many = ["--first-subscriber", &first, "--subscribers", &subscribers, "--copies", "5"];
    let mut acts = Vec::new();

    stage.step("packet gateway: 100 data sessions with three rating groups, every fifth request sent twice");
    let words = ["--profile", "gy-data", "--total", "100", "--sessions", "40", "--rate", "200", "--updates", "3"];
    acts.push(played(stage, "data", &[&words[..], &many].concat())?);

    stage.step("call server: 60 calls of three minutes");
    let words = ["--profile", "ro-voice", "--total", "60", "--sessions", "20", "--rate", "200", "--updates", "2"];
    acts.push(played(stage, "calls", &[&words[..], &many].concat())?);

    stage.step("message centre: 200 messages");
    let words = ["--profile", "sms-event", "--total", "200", "--sessions", "20", "--rate", "200"];
    let messages = played(stage, "messages", &[&words[..], &many].concat())?;
    acts.push(Act { is_event: true, ..messages });

    stage
        .step("credit for 2.5 megabytes: 2 are granted, the session ends with its final unit, the next one is refused");
    let poor = POOR.to_string();
    let words =
        ["--total", "2", "--sessions", "1", "--rate", "20", "--rating-groups", "100", "--first-subscriber", &poor];
    let out = played(stage, "credit ends", &words)?;
    acts.push(Act { refusals: &["4012"], ..out });

    stage.step("the operator releases a session: ASR through the relay, and the gateway ends it");
    acts.push(released(stage, &first)?);
    Ok(acts)
}

fn played(stage: &Stage<'_>, name: &'static str, words: &[&str]) -> anyhow::Result<Act> {
    let load = stage.start_load(&name.replace(' ', "-"), words)?;
    told(name, stage.finish_load(load)?)
}

fn released(stage: &Stage<'_>, subscriber: &str) -> anyhow::Result<Act> {
    let words = [
        "--total",
        "1",
        "--sessions",
        "1",
        "--rate",
        "10",
        "--updates",
        "1000",
        "--units",
        "1000",
        "--duration",
        "60s",
    ];
    let load = stage.start_load("released", &[&words[..], &["--first-subscriber", subscriber]].concat())?;
    let session = eventually("the session", Duration::from_secs(10), || {
        let open = stage.tollkeeper.json_lines(&["session", "list"]).ok()?;
        open.first()?["session_id"].as_str().map(str::to_owned)
    })?;
    stage.tollkeeper.cli(&["session", "release", &session])?;
    told("released", stage.finish_load(load)?)
}

fn told(name: &'static str, report: Value) -> anyhow::Result<Act> {
    let cost = cost(&report)?;
    Ok(Act { name, report, cost, refusals: &[], is_event: false })
}

/// By the price list of demo/diameter/tariff: 0.10 and 0.01 a begun megabyte, 0.01 a second, 0.08 a message. Group 300 is free.
fn cost(report: &Value) -> anyhow::Result<Money> {
    let mut sum = Money::ZERO;
    for used in report["used"].as_array().context("used")? {
        let charged = i128::from(used["charged"].as_u64().context("charged")?);
        let (group, unit) = (used["rating_group"].as_u64(), used["unit"].as_str());
        let nanos = match (group, unit) {
            (Some(100), Some("octets")) => 100_000_000 * (charged + 999_999).div_euclid(1_000_000),
            (Some(200), Some("octets")) => 10_000_000 * (charged + 999_999).div_euclid(1_000_000),
            (Some(300), Some("octets")) => 0,
            (_, Some("seconds")) => 10_000_000 * charged,
            (_, Some("messages")) => 80_000_000 * charged,
            other => anyhow::bail!("no price for {other:?}"),
        };
        sum += Money::from_nanos(nanos);
    }
    Ok(sum)
}
