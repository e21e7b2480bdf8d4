//! Emergency calls: connected at once whatever is down, blocked or empty; recorded; never charged, never released.

mod e2e;

use std::time::Duration;

use demo::lab::eventually;
use e2e::{GERMANY, Lab, PASSWORD, Plan, Run, end_of, millis_between, of_type, talk, types_of};
use serde_json::Value;

fn plan() -> Plan {
    Plan {
        accounts: vec![("anna", "5.00"), ("empty", "0.00")],
        calls: "slice = \"4s\"\nmargin = \"2s\"\nproof_interval = \"1s\"",
        ..Plan::default()
    }
}

fn emergency(lab: &Lab, id: &str, user: &str, talk_ms: u64) -> anyhow::Result<Run> {
    lab.run(id, lab.caller("emergency", id).dials(user, PASSWORD, "112").pauses(talk_ms))
}

/// From INVITE to 200 as Kamailio saw it, of which the gateway's ringing is 50 ms.
fn connected_at_once(records: &[Value], run: &Run) {
    assert_eq!(types_of(records, &run.id), ["START", "STOP"], "{}", run.id);
    let stop = of_type(records, &run.id, "STOP");
    let waited = millis_between(&stop["startTime"], &stop["answerTime"]);
    println!("{}: connected after {waited} ms", run.id);
    assert!(waited < 1_000, "{stop}");
    assert!(stop["cost"].is_null() && end_of(stop) == "NORMAL", "{stop}");
    let tags = stop["metadata"]["tags"].to_string();
    assert!(tags.contains("NEVER_REFUSED"), "{stop}");
}

#[test]
fn agent_dead_or_frozen() -> anyhow::Result<()> {
    let mut lab = Lab::start("emergency-dead", &plan())?;
    // Frozen: Kamailio does not know it yet, and sends it what happens.
    lab.tollkeeper.process.freeze(true);
    let mut frozen = emergency(&lab, "frozen", "anna", 300)?;
    frozen.passed()?;
    // For longer than Kamailio believes in a silent agent.
    talk(6_500);
    let mut silent = emergency(&lab, "silent", "empty", 300)?;
    silent.passed()?;
    let mut refused =
        lab.run("refused", lab.caller("refused", "refused").dials("anna", PASSWORD, GERMANY).expects(503))?;
    refused.passed()?;
    lab.tollkeeper.process.freeze(false);
    lab.wait_record(&silent.id, "STOP")?;
    // Killed in the middle of one, and gone during another.
    let mut outlives = emergency(&lab, "outlives", "empty", 3_000)?;
    lab.wait_answered(&[&outlives])?;
    lab.tollkeeper.process.kill()?;
    let mut alone = emergency(&lab, "alone", "anna", 300)?;
    alone.passed()?;
    lab.tollkeeper.restart()?;
    outlives.passed()?;
    let records = lab.settled()?;
    for run in [&frozen, &silent, &outlives, &alone] {
        connected_at_once(&records, run);
    }
    assert_eq!(types_of(&records, &refused.id), ["EVENT"]);
    Ok(())
}

#[test]
fn account_blocked_or_empty_and_nobody_can_end_it() -> anyhow::Result<()> {
    let lab = Lab::start("emergency-blocked", &plan())?;
    let mut victim = lab.call_until_cut("victim", "anna")?;
    let mut emergency_call = emergency(&lab, "blocked-in-mid-call", "anna", 3_500)?;
    lab.wait_answered(&[&emergency_call, &victim])?;
    lab.tollkeeper.cli(&["account", "block", "anna"])?;
    // The block works: the chargeable call of the account is ended.
    victim.passed()?;
    let mut blocked = emergency(&lab, "blocked", "anna", 300)?;
    let mut empty = emergency(&lab, "empty", "empty", 300)?;
    // No session, so nothing to release.
    let start = lab.wait_record(&emergency_call.id, "START")?;
    let session = start["sessionId"].as_str().expect("a session id");
    assert!(lab.tollkeeper.json(&["session", "show", session]).is_err(), "an emergency call has no session");
    assert!(lab.tollkeeper.cli(&["session", "release", session]).is_err());
    // Not even when the agent itself is told by hand to end everything: Kamailio refuses.
    blocked.passed()?;
    empty.passed()?;
    emergency_call.passed()?;
    let records = lab.settled()?;
    for run in [&emergency_call, &blocked, &empty] {
        connected_at_once(&records, run);
    }
    assert_eq!(end_of(of_type(&records, &victim.id, "STOP")), "ACCOUNT_BLOCKED");
    Ok(())
}

/// Emergency calls that outlive the longest call and the largest grant.
#[test]
fn no_cap_and_no_core() -> anyhow::Result<()> {
    let plan = Plan {
        calls: "slice = \"4s\"\nmargin = \"2s\"\nproof_interval = \"1s\"\nmaximum_call = \"2s\"\nmaximum_ring = \"2s\"\nauthorise_timeout = \"1s\"",
        split: true,
        ..plan()
    };
    let mut lab = Lab::start("emergency-no-core", &plan)?;
    let mut charged = lab.call_until_cut("charged", "anna")?;
    let mut capped = emergency(&lab, "not-capped", "anna", 4_500)?;
    lab.wait_answered(&[&charged, &capped])?;
    charged.passed()?;
    lab.core.as_mut().expect("a core").process.kill()?;
    let mut no_core = emergency(&lab, "no-core", "empty", 300)?;
    no_core.passed()?;
    capped.passed()?;
    // Recorded while the core is away: there is nothing to ask it.
    lab.wait_record(&capped.id, "STOP")?;
    lab.core.as_mut().expect("a core").restart()?;
    eventually("the core answering", Duration::from_secs(10), || lab.open_sessions().ok())?;
    let records = lab.settled()?;
    connected_at_once(&records, &capped);
    connected_at_once(&records, &no_core);
    assert_eq!(end_of(of_type(&records, &charged.id, "STOP")), "MAXIMUM_DURATION");
    Ok(())
}
