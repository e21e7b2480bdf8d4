//! DESIGN section 8 on a real FreeSWITCH: agent, core or switch killed in mid-call, the event socket cut or half open. Skipped
//! unless `TOLLKEEPER_FREESWITCH` names an installation.

mod e2e;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::{
    Cable, GERMANY, Lab, PASSWORD, Plan, SILENT, SLOW, all_passed, duration_ms, end_of, millis_between, of_type, talk,
    types_of,
};
use serde_json::Value;

const PROOF_MS: i64 = 1_000;

fn plan() -> Plan {
    Plan {
        accounts: vec![("anna", "10.00"), ("bert", "10.00"), ("carla", "0.03"), ("dora", "10.00"), ("gina", "10.00")],
        calls: "slice = \"8s\"\nmargin = \"3s\"\nproof_interval = \"1s\"",
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

fn ended_normally(records: &[Value], run: &e2e::Run, talk_ms: u64) {
    assert_eq!(types_of(records, &run.id), ["START", "STOP"], "{}", run.id);
    let stop = of_type(records, &run.id, "STOP");
    let (duration, between) = (duration_ms(stop), millis_between(&stop["answerTime"], &stop["endTime"]));
    assert!((talk_ms..talk_ms + 400).contains(&duration), "the switch's own times: {stop}");
    assert_eq!(i64::try_from(duration).expect("short"), between, "{stop}");
    assert!(stop["reconstructed"].is_null() && stop["clockAnomaly"].is_null() && end_of(stop) == "NORMAL", "{stop}");
}

#[test]
fn agent_killed_in_mid_call() -> anyhow::Result<()> {
    let Some(mut lab) = Lab::on_freeswitch("agent-killed", &plan())? else { return Ok(()) };
    let mut goes_on = lab.call("goes-on", "anna", 12_000)?;
    let mut ends_meanwhile = lab.call("ends-meanwhile", "bert", 4_500)?;
    let mut backstop = lab.call_until_cut("backstop", "carla")?;
    lab.wait_answered(&[&goes_on, &ends_meanwhile, &backstop])?;
    let slow = lab.caller("answered", "answered-meanwhile").dials("dora", PASSWORD, SLOW).pauses(6_000);
    let mut answered_meanwhile = lab.run("answered-meanwhile", slow)?;
    let caller = lab.caller("cancelled", "cancelled").dials("gina", PASSWORD, SILENT).pauses(1_500);
    let mut cancelled = lab.run("cancelled", caller)?;
    lab.wait_admitted(5)?;
    talk(200);
    let from = utc_ms();
    lab.tollkeeper.process.kill()?;
    let until = utc_ms();
    all_passed([&mut ends_meanwhile, &mut backstop, &mut cancelled])?;
    lab.tollkeeper.restart()?;
    all_passed([&mut goes_on, &mut answered_meanwhile])?;

    let records = lab.settled()?;
    ended_normally(&records, &goes_on, 12_000);
    ended_normally(&records, &answered_meanwhile, 6_000);
    // FreeSWITCH tells an end once, and nobody listened: the last proof of life counts.
    for run in [&ends_meanwhile, &backstop] {
        closed_at_last_proof(of_type(&records, &run.id, "STOP"), from, until);
    }
    assert_eq!(types_of(&records, &cancelled.id), ["EVENT"]);
    Ok(())
}

/// Moments nobody has chosen: each call is charged and recorded exactly once, whatever the crash hit.
#[test]
fn agent_killed_at_any_moment() -> anyhow::Result<()> {
    let Some(mut lab) = Lab::on_freeswitch("agent-killed-often", &plan())? else { return Ok(()) };
    let payers = ["anna", "bert", "dora", "gina"];
    let mut runs = Vec::new();
    for (round, kill_after_ms) in [40, 230, 420, 770].into_iter().enumerate() {
        for number in 0..5_usize {
            let (id, talk_ms) = (format!("call-{round}-{number}"), 300 + 411 * number as u64);
            let target = if number == 4 { SLOW } else { GERMANY };
            let caller =
                lab.caller("answered", &id).dials(payers[(round + number) % 4], PASSWORD, target).pauses(talk_ms);
            runs.push(lab.run(&id, caller)?);
        }
        talk(kill_after_ms);
        lab.tollkeeper.process.kill()?;
        lab.tollkeeper.restart()?;
        lab.wait_connected()?;
    }
    for run in &mut runs {
        run.ended()?;
    }
    let records = lab.settled()?;
    for run in &runs {
        let types = types_of(&records, &run.id);
        // A call that nobody was told of has no record; it was never admitted.
        assert!(types == ["START", "STOP"] || types == ["EVENT"] || types.is_empty(), "{}: {types:?}", run.id);
    }
    let talked = runs.iter().filter(|run| types_of(&records, &run.id).len() == 2).count();
    assert!(talked >= 5, "most calls should have been possible: {talked}");
    Ok(())
}

#[test]
fn switch_killed_in_mid_call() -> anyhow::Result<()> {
    let Some(mut lab) = Lab::on_freeswitch("switch-killed", &plan())? else { return Ok(()) };
    let ghosts = [lab.call_until_cut("ghost", "anna")?, lab.call_until_cut("other-ghost", "bert")?];
    lab.wait_answered(&[&ghosts[0], &ghosts[1]])?;
    talk(3_300);
    let from = utc_ms();
    lab.switch().kill()?;
    let until = utc_ms();
    talk(500);
    lab.switch().start_again()?;
    lab.wait_connected()?;
    let mut fresh = lab.call("fresh", "anna", 2_000)?;
    fresh.passed()?;
    // And once more, with the agent.
    let last = lab.call_until_cut("last", "dora")?;
    lab.wait_answered(&[&last])?;
    talk(2_200);
    let both_from = utc_ms();
    lab.tollkeeper.process.kill()?;
    lab.switch().kill()?;
    let both_until = utc_ms();
    lab.switch().start_again()?;
    lab.tollkeeper.restart()?;
    lab.wait_connected()?;

    let records = lab.settled()?;
    for ghost in &ghosts {
        closed_at_last_proof(of_type(&records, &ghost.id, "STOP"), from, until);
    }
    closed_at_last_proof(of_type(&records, &last.id, "STOP"), both_from, both_until);
    ended_normally(&records, &fresh, 2_000);
    let run_of = |id: &str| {
        of_type(&records, id, "STOP")["sessionId"].as_str().and_then(|id| id.split('/').nth(1).map(str::to_owned))
    };
    assert_ne!(run_of(&fresh.id), run_of(&ghosts[0].id));
    Ok(())
}

/// The connection is cut, and later half open: calls go on, and what happened meanwhile is found out.
#[test]
fn event_socket_cut_and_half_open() -> anyhow::Result<()> {
    let plan = Plan {
        environment: vec![("TK_HEARTBEAT", "1")],
        agent: "heartbeat_timeout = \"3s\"\nreply_timeout = \"2s\"",
        ..plan()
    };
    let mut cable = None;
    let lab = Lab::on_freeswitch_behind("cable", &plan, |port| {
        let made = Cable::to(port)?;
        Ok(cable.insert(made).port)
    })?;
    let (Some(lab), Some(cable)) = (lab, cable) else { return Ok(()) };
    let mut goes_on = lab.call("goes-on", "anna", 14_000)?;
    let mut ends_meanwhile = lab.call("ends-meanwhile", "bert", 2_500)?;
    lab.wait_answered(&[&goes_on, &ends_meanwhile])?;
    talk(1_200);
    cable.cut(true);
    let cut = utc_ms();
    ends_meanwhile.passed()?;
    talk(500);
    cable.cut(false);
    lab.wait_connected()?;
    let mut between = lab.call("between", "dora", 500)?;
    between.passed()?;
    lab.wait_record(&between.id, "STOP")?;
    cable.half_open();
    talk(4_500);
    let mut after = lab.call("after", "gina", 500)?;
    all_passed([&mut after, &mut goes_on])?;
    let records = lab.settled()?;
    ended_normally(&records, &goes_on, 14_000);
    ended_normally(&records, &between, 500);
    ended_normally(&records, &after, 500);
    closed_at_last_proof(of_type(&records, &ends_meanwhile.id, "STOP"), cut, cut + 1_500);
    Ok(())
}

#[test]
fn core_killed_in_mid_call() -> anyhow::Result<()> {
    let plan = Plan {
        accounts: vec![("anna", "10.00"), ("bert", "10.00"), ("carla", "0.12"), ("dora", "10.00")],
        calls: "slice = \"9s\"\nmargin = \"4s\"\nproof_interval = \"1s\"\nauthorise_timeout = \"1500ms\"",
        split: true,
        ..Plan::default()
    };
    let Some(mut lab) = Lab::on_freeswitch("core-killed", &plan)? else { return Ok(()) };
    let mut goes_on = lab.call("goes-on", "anna", 11_000)?;
    let mut ends_meanwhile = lab.call("ends-meanwhile", "bert", 4_000)?;
    let mut cut = lab.call_until_cut("cut", "carla")?;
    lab.wait_answered(&[&goes_on, &ends_meanwhile, &cut])?;
    talk(2_000);
    lab.core.as_mut().expect("a core").process.kill()?;
    let caller = lab.caller("refused", "no-core").dials("dora", PASSWORD, GERMANY).expects(503);
    let mut refused = lab.run("no-core", caller)?;
    all_passed([&mut refused, &mut ends_meanwhile])?;
    lab.core.as_mut().expect("a core").restart()?;
    all_passed([&mut goes_on, &mut cut])?;
    let records = lab.settled()?;
    ended_normally(&records, &goes_on, 11_000);
    ended_normally(&records, &ends_meanwhile, 4_000);
    let stop = of_type(&records, &cut.id, "STOP");
    assert_eq!((end_of(stop), stop["cost"]["amount"].as_str()), ("CREDIT_EXHAUSTED", Some("0.12")), "{stop}");
    assert!(duration_ms(stop) >= 12_000, "{stop}");
    assert_eq!(end_of(of_type(&records, &refused.id, "EVENT")), "CHARGING_UNAVAILABLE");
    Ok(())
}

/// A planned restart: SIGTERM with calls up drops no call and loses nothing.
#[test]
fn restarted_under_calls() -> anyhow::Result<()> {
    let Some(mut lab) = Lab::on_freeswitch("restart", &plan())? else { return Ok(()) };
    let mut long = [lab.call("long-0", "anna", 6_000)?, lab.call("long-1", "bert", 6_500)?];
    lab.wait_answered(&[&long[0], &long[1]])?;
    talk(700);
    let status = lab.tollkeeper.process.terminate(Duration::from_secs(5))?;
    anyhow::ensure!(status.success(), "tollkeeper ended with {status}");
    talk(500);
    lab.tollkeeper.restart()?;
    lab.wait_connected()?;
    all_passed(&mut long)?;
    let records = lab.settled()?;
    ended_normally(&records, &long[0], 6_000);
    ended_normally(&records, &long[1], 6_500);
    Ok(())
}
