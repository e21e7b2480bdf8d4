//! What must hold after the calls.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use demo::lab::{eventually, repository};
use serde_json::{Value, json};

use crate::report::{Call, Check, Expected, balance_now};
use crate::stage::{ACCOUNTS, Stage};

pub fn all(stage: &mut Stage<'_>, calls: &[Call]) -> anyhow::Result<Vec<Check>> {
    let mut checks: Vec<Check> = vec![
        collected("SIPp saw every call go as planned", calls, |call| {
            (!call.sipp_passed).then(|| "SIPp says no".to_owned())
        }),
        collected("every call ended as it must", calls, ended_wrongly),
        collected("answered: one START and one STOP; otherwise one EVENT", calls, wrong_records),
        collected("nobody talked less than granted before a cut", calls, |call| {
            let cut = call.expected == Expected::CreditExhausted;
            (cut && call.talked_ms < call.authorised_ms)
                .then(|| format!("{} of {} ms", call.talked_ms, call.authorised_ms))
        }),
        collected("the payer is whom Kamailio authenticated", calls, |call| {
            let wrong = call.payer.as_ref().is_some_and(|payer| *payer != call.account);
            wrong.then(|| format!("{:?} paid", call.payer))
        }),
    ];
    let victim = balance_now(stage, "1002")?;
    checks.push(Check {
        name: "the account named in forged headers paid nothing".into(),
        ok: victim == "5",
        detail: victim,
    });
    checks.push(nothing_held(stage)?);
    let (arrived, from_kinesis) = read_back(stage)?;
    checks.push(arrived);
    checks.push(recomputed(stage, &from_kinesis)?);
    Ok(checks)
}

fn collected(name: &str, calls: &[Call], fault: impl Fn(&Call) -> Option<String>) -> Check {
    let faults: Vec<String> =
        calls.iter().filter_map(|call| fault(call).map(|fault| format!("{}: {fault}", call.id))).collect();
    Check { name: name.to_owned(), ok: faults.is_empty(), detail: faults.join("; ") }
}

fn ended_wrongly(call: &Call) -> Option<String> {
    let right = match call.expected {
        Expected::Answered { at_least_ms } => call.end == "NORMAL" && call.talked_ms >= at_least_ms,
        Expected::Unanswered { sip_status } => call.sip_status == sip_status && call.cost == "0",
        Expected::CreditExhausted => call.end == "CREDIT_EXHAUSTED",
        Expected::Released => call.end == "OPERATOR" && call.talked_ms > 0,
        Expected::Free => call.end == "NORMAL" && call.talked_ms > 0 && call.cost == "0",
    };
    (!right).then(|| format!("{} {} after {} ms, cost {}", call.end, call.sip_status, call.talked_ms, call.cost))
}

fn wrong_records(call: &Call) -> Option<String> {
    let expected: &[&str] =
        if matches!(call.expected, Expected::Unanswered { .. }) { &["EVENT"] } else { &["START", "STOP"] };
    (call.records != expected).then(|| call.records.join(" "))
}

fn nothing_held(stage: &Stage<'_>) -> anyhow::Result<Check> {
    let open = stage.tollkeeper.json_lines(&["session", "list"])?;
    Ok(Check { name: "no session is left open".into(), ok: open.is_empty(), detail: format!("{} open", open.len()) })
}

/// What reached Kinesis, read with boto3: the journal's records and no others, each call's in order.
fn read_back(stage: &Stage<'_>) -> anyhow::Result<(Check, PathBuf)> {
    stage.step("reading the records back from Kinesis with boto3");
    let journalled: BTreeSet<String> = stage.tollkeeper.records(&[])?.iter().map(record_id).collect();
    let (script, file) = (repository().join("demo/read_stream.py"), stage.folder.join("from_kinesis.jsonl"));
    let mut read = 0;
    eventually("the records being in Kinesis", Duration::from_secs(20), || {
        read = stage.kinesalite.read_back(&script, &file).ok()?;
        (read >= journalled.len()).then_some(())
    })?;
    let text = std::fs::read_to_string(&file)?;
    let records: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let arrived: BTreeSet<String> = records.iter().map(record_id).collect();
    let mut faults: Vec<String> = journalled.difference(&arrived).map(|id| format!("{id} is missing")).collect();
    faults.extend(arrived.difference(&journalled).map(|id| format!("{id} is nobody's")));
    let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::new());
    for record in records.iter().filter(|record| seen.insert(record_id(record))) {
        let sequence = record["recordSequence"].as_u64();
        let before = last.insert(record["sessionId"].as_str(), sequence);
        if before.is_some_and(|before| before >= sequence) {
            faults.push(format!("{} came out of order", record_id(record)));
        }
    }
    println!("\n{} records in the journal; {read} read from Kinesis with boto3.", journalled.len());
    let name = "every record is in Kinesis, each call's in order".to_owned();
    Ok((Check { name, ok: faults.is_empty(), detail: faults.join("; ") }, file))
}

fn record_id(record: &Value) -> String {
    record["recordId"].as_str().unwrap_or_default().to_owned()
}

/// The independent check: another language, the records as Kinesis has them, the price list.
fn recomputed(stage: &mut Stage<'_>, records: &Path) -> anyhow::Result<Check> {
    let mut balances = BTreeMap::new();
    for (account, start) in ACCOUNTS {
        balances.insert(account, json!({ "start": start, "end": balance_now(stage, account)? }));
    }
    let accounts = stage.folder.join("accounts.json");
    std::fs::write(&accounts, serde_json::to_vec(&balances)?)?;
    let output = Command::new("python3")
        .arg(repository().join("demo/check_balances.py"))
        .args([repository().join("demo/tariff"), records.to_path_buf(), accounts])
        .output()
        .context("python3")?;
    println!("\nRecomputed from the records in Kinesis and the price list by demo/check_balances.py:");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    Ok(Check {
        name: "an independent script finds the same balances".into(),
        ok: output.status.success(),
        detail: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
