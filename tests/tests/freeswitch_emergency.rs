//! Emergency calls through a real FreeSWITCH: connected at once, without a digest, whatever is down, blocked or empty; never
//! charged, capped or released. Skipped unless `TOLLKEEPER_FREESWITCH` names an installation.

mod e2e;

use std::time::{Duration, Instant};

use demo::lab::eventually;
use e2e::{GERMANY, Lab, PASSWORD, Plan, Run, end_of, millis_between, of_type, talk, types_of};
use serde_json::Value;

const CALLS: &str = "slice = \"4s\"\nmargin = \"2s\"\nproof_interval = \"1s\"";

fn plan() -> Plan {
    Plan {
        accounts: vec![("anna", "5.00"), ("empty", "0.00")],
        calls: CALLS,
        environment: vec![("TK_PARK_TIMEOUT", "1")],
        ..Plan::default()
    }
}

fn emergency(lab: &Lab, id: &str, talk_ms: u64) -> anyhow::Result<Run> {
    lab.run(id, lab.caller("emergency", id).dials("anna", "not his password", "112").pauses(talk_ms))
}

/// From INVITE to 200 as FreeSWITCH saw it, of which the gateway's ringing is 50 ms.
fn connected_at_once(records: &[Value], run: &Run) {
    assert_eq!(types_of(records, &run.id), ["START", "STOP"], "{}", run.id);
    let stop = of_type(records, &run.id, "STOP");
    let waited = millis_between(&stop["startTime"], &stop["answerTime"]);
    println!("{}: connected after {waited} ms", run.id);
    assert!(waited < 1_000, "{stop}");
    assert!(stop["cost"].is_null() && end_of(stop) == "NORMAL", "{stop}");
    assert!(stop["metadata"]["tags"].to_string().contains("NEVER_REFUSED"), "{stop}");
}

#[test]
fn agent_frozen_or_dead() -> anyhow::Result<()> {
    let Some(mut lab) = Lab::on_freeswitch("emergency-dead", &plan())? else { return Ok(()) };
    lab.tollkeeper.process.freeze(true);
    let mut frozen = emergency(&lab, "frozen", 300)?;
    frozen.passed()?;
    let caller = lab.caller("refused", "refused").dials("anna", PASSWORD, GERMANY).expects(503);
    lab.run("refused", caller)?.passed()?;
    lab.tollkeeper.process.freeze(false);
    lab.wait_record(&frozen.id, "STOP")?;
    // Killed in the middle of one, and gone during another.
    let mut outlives = emergency(&lab, "outlives", 4_000)?;
    lab.wait_answered(&[&outlives])?;
    lab.tollkeeper.process.kill()?;
    let begun = Instant::now();
    emergency(&lab, "alone", 300)?.passed()?;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let caller = lab.caller("refused", "nobody-there").dials("anna", PASSWORD, GERMANY).expects(503);
    lab.run("nobody-there", caller)?.passed()?;
    lab.tollkeeper.restart()?;
    outlives.passed()?;
    let records = lab.settled()?;
    for run in [&frozen, &outlives] {
        connected_at_once(&records, run);
    }
    Ok(())
}

/// Blocked, empty, no core; outlives the longest call and the largest grant.
#[test]
fn blocked_empty_and_no_core() -> anyhow::Result<()> {
    let plan = Plan {
        calls: "slice = \"4s\"\nmargin = \"2s\"\nproof_interval = \"1s\"\nmaximum_call = \"2s\"\nmaximum_ring = \"2s\"\nauthorise_timeout = \"1s\"",
        split: true,
        environment: vec![("TK_PARK_TIMEOUT", "3")],
        ..plan()
    };
    let Some(mut lab) = Lab::on_freeswitch("emergency-no-core", &plan)? else { return Ok(()) };
    let mut charged = lab.call_until_cut("charged", "anna")?;
    let mut capped = emergency(&lab, "not-capped", 4_500)?;
    lab.wait_answered(&[&charged, &capped])?;
    let start = lab.wait_record(&capped.id, "START")?;
    let session = start["sessionId"].as_str().expect("a session id");
    assert!(lab.tollkeeper.cli(&["session", "release", session]).is_err(), "an emergency call has no session");
    charged.passed()?;
    lab.tollkeeper.cli(&["account", "block", "anna"])?;
    let mut blocked = emergency(&lab, "blocked", 300)?;
    blocked.passed()?;
    lab.core.as_mut().expect("a core").process.kill()?;
    let mut no_core = emergency(&lab, "no-core", 300)?;
    no_core.passed()?;
    let caller = lab.caller("refused", "refused").dials("anna", PASSWORD, GERMANY).expects(503);
    lab.run("refused", caller)?.passed()?;
    capped.passed()?;
    lab.core.as_mut().expect("a core").restart()?;
    eventually("the core answering", Duration::from_secs(10), || lab.open_sessions().ok())?;
    let records = lab.settled()?;
    for run in [&capped, &blocked, &no_core] {
        connected_at_once(&records, run);
    }
    assert_eq!(end_of(of_type(&records, &charged.id, "STOP")), "MAXIMUM_DURATION");
    talk(10);
    Ok(())
}
