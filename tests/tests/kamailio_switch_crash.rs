//! kill -9 of Kamailio while people talk: it forgets its calls, we do not (MONEY, example 10).

mod e2e;

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::{Lab, Plan, duration_ms, end_of, of_type, talk, types_of};
use serde_json::Value;

const PROOF_MS: i64 = 1_000;

fn plan() -> Plan {
    Plan {
        accounts: vec![("anna", "10.00"), ("bert", "10.00"), ("carla", "10.00")],
        calls: "slice = \"6s\"\nmargin = \"2s\"\nproof_interval = \"1s\"",
        ..Plan::default()
    }
}

fn utc_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
    i64::try_from(since.as_millis()).expect("this century")
}

/// What was talked from the answer to a moment of ours.
fn talked_until(record: &Value, moment_ms: i64) -> i64 {
    let answered: types::UtcMs =
        record["answerTime"].as_str().and_then(|text| text.parse().ok()).expect("an answer time");
    moment_ms - answered.0
}

/// At least what the last proof says, which is at most one interval (and a list) old; never more than was talked.
fn closed_at_last_proof(stop: &Value, killed_from: i64, killed_until: i64) {
    let duration = i64::try_from(duration_ms(stop)).expect("short");
    assert_eq!(stop["reconstructed"], true, "{stop}");
    assert!(duration <= talked_until(stop, killed_until), "more than was talked: {stop}");
    let least = talked_until(stop, killed_from) - PROOF_MS - 400;
    assert!(duration >= least, "less than was proven, {least} ms: {stop}");
}

#[test]
fn switch_killed_in_mid_call() -> anyhow::Result<()> {
    let mut lab = Lab::start("switch-killed", &plan())?;
    let ghosts = [lab.call_until_cut("ghost", "anna")?, lab.call_until_cut("other-ghost", "bert")?];
    lab.wait_answered(&[&ghosts[0], &ghosts[1]])?;
    talk(5_300);
    let from = utc_ms();
    lab.kamailios[0].kill()?;
    let until = utc_ms();
    talk(1_500);
    lab.kamailios[0].start_again()?;
    lab.wait_connected()?;
    let mut fresh = lab.call("fresh", "anna", 2_000)?;
    fresh.passed()?;
    let records = lab.settled()?;
    for ghost in &ghosts {
        closed_at_last_proof(of_type(&records, &ghost.id, "STOP"), from, until);
    }
    let old_run = run_of(of_type(&records, &ghosts[0].id, "STOP"));
    let fresh_stop = of_type(&records, &fresh.id, "STOP");
    assert!((2_000..2_400).contains(&duration_ms(fresh_stop)) && end_of(fresh_stop) == "NORMAL", "{fresh_stop}");
    assert_ne!(run_of(fresh_stop), old_run);
    Ok(())
}

/// The proofs survive the agent too.
#[test]
fn switch_and_agent_killed() -> anyhow::Result<()> {
    let mut lab = Lab::start("both-killed", &plan())?;
    let ghost = lab.call_until_cut("ghost", "anna")?;
    let ringing = lab.run("ringing", lab.caller("answered", "ringing").dials("bert", e2e::PASSWORD, e2e::SILENT))?;
    lab.wait_answered(&[&ghost])?;
    lab.wait_admitted(2)?;
    talk(3_600);
    let from = utc_ms();
    lab.tollkeeper.process.kill()?;
    lab.kamailios[0].kill()?;
    let until = utc_ms();
    lab.kamailios[0].start_again()?;
    lab.tollkeeper.restart()?;
    lab.wait_connected()?;
    let records = lab.settled()?;
    closed_at_last_proof(of_type(&records, &ghost.id, "STOP"), from, until);
    assert_eq!(types_of(&records, &ringing.id), ["EVENT"]);
    assert_eq!(of_type(&records, &ringing.id, "EVENT")["reconstructed"], true);
    Ok(())
}

fn run_of(record: &Value) -> String {
    let session = record["sessionId"].as_str().unwrap_or_default();
    session.split('/').nth(1).unwrap_or_default().to_owned()
}
