//! tollkeeper's own process beside a FreeSWITCH that is played from a recording: what kill -9, a switch that vanishes and a
//! connection that is only half there do to calls and money. Needs no FreeSWITCH; `freeswitch_calls.rs` and its neighbours
//! do.

mod e2e;

use std::time::{Duration, Instant};

use demo::lab::{Tollkeeper, eventually};
use e2e::fake_freeswitch::{FakeCall, FakeFreeswitch};
use e2e::{
    Plan, agent_table, core_config, duration_ms, end_of, fresh_folder, of_type, settled, talk, types_of, with_http,
};

const ACCOUNTS: [(&str, &str); 3] = [("anna", "5.00"), ("bert", "5.00"), ("carla", "0.03")];
const PROOF_MS: u64 = 1_000;

struct Stage {
    switch: FakeFreeswitch,
    tollkeeper: Tollkeeper,
}

/// Slices of 5 s, of which the next is asked for 2 s before the end.
fn stage(name: &str) -> anyhow::Result<Stage> {
    let switch = FakeFreeswitch::start()?;
    let folder = fresh_folder(&format!("freeswitch-{name}"))?;
    std::fs::write(folder.join("esl.password"), "recorded\n")?;
    let plan = Plan {
        calls: "slice = \"5s\"\nmargin = \"2s\"\nproof_interval = \"1s\"",
        agent: "heartbeat_timeout = \"3s\"\nreply_timeout = \"2s\"",
        ..Plan::default()
    };
    let switches =
        format!("{{ name = \"fs1\", address = \"127.0.0.1:{}\", password_file = \"esl.password\" }}", switch.port);
    let config = with_http(&[core_config(0), agent_table("freeswitch", &switches, &plan)].concat());
    let tollkeeper = Tollkeeper::start(&folder, &config)?;
    for (account, balance) in ACCOUNTS {
        tollkeeper.cli(&["account", "create", account, "--balance", balance])?;
    }
    tollkeeper.wait_connected()?;
    Ok(Stage { switch, tollkeeper })
}

/// DESIGN section 8, first row: the call goes on, ends unseen, or is ended by the backstop; each is one STOP and the exact debit.
#[test]
fn agent_killed_in_a_call() -> anyhow::Result<()> {
    let mut stage = stage("agent-killed")?;
    let goes_on = FakeCall::answered(&stage.switch, "goes-on", "anna")?;
    let answered = Instant::now();
    let ends_unseen = FakeCall::answered(&stage.switch, "ends-unseen", "bert")?;
    let backstop = FakeCall::answered(&stage.switch, "backstop", "carla")?;
    talk(1_600);
    stage.tollkeeper.process.kill()?;
    talk(500);
    ends_unseen.hangs_up();
    // No free call: armed at the answer for the 3 s that the credit is good for, and a second more.
    eventually("the backstop", Duration::from_secs(4), || (!stage.switch.is_up("backstop")).then_some(()))?;
    assert!(stage.switch.is_up("goes-on"), "paid for until 5 s");
    stage.tollkeeper.restart()?;
    stage.tollkeeper.wait_connected()?;
    talk(2_500);
    let talked = u64::try_from(answered.elapsed().as_millis())?;
    goes_on.hangs_up();

    let records = settled(&stage.tollkeeper, &ACCOUNTS)?;
    for call in [&goes_on, &ends_unseen, &backstop] {
        assert_eq!(types_of(&records, &call.call_id()), ["START", "STOP"], "{}", call.unique_id);
    }
    let stop = of_type(&records, &goes_on.call_id(), "STOP");
    assert!((talked - 50..talked + 150).contains(&duration_ms(stop)), "{talked} ms: {stop}");
    assert!(stop["reconstructed"].is_null() && end_of(stop) == "NORMAL", "{stop}");
    let stop = of_type(&records, &ends_unseen.call_id(), "STOP");
    assert_eq!(stop["reconstructed"], true, "nobody saw it end: {stop}");
    assert!((1_600 - PROOF_MS..2_200).contains(&duration_ms(stop)), "closed with its last proof of life: {stop}");
    Ok(())
}

/// The switch dies and comes back as another run, with a call of the same name in it: two calls.
#[test]
fn switch_vanishes() -> anyhow::Result<()> {
    let stage = stage("switch-vanishes")?;
    let lost = FakeCall::answered(&stage.switch, "one", "anna")?;
    talk(2_700);
    stage.switch.restart();
    eventually("the lost call being closed", Duration::from_secs(10), || {
        stage.tollkeeper.json_lines(&["session", "list"]).ok()?.is_empty().then_some(())
    })?;
    stage.tollkeeper.wait_connected()?;
    let next = FakeCall::answered(&stage.switch, "two", "bert")?;
    talk(1_300);
    next.hangs_up();
    let records = settled(&stage.tollkeeper, &ACCOUNTS)?;
    let stop = of_type(&records, &lost.call_id(), "STOP");
    assert_eq!(stop["reconstructed"], true, "{stop}");
    assert!((2_700 - PROOF_MS - 300..3_100).contains(&duration_ms(stop)), "{stop}");
    let stop = of_type(&records, &next.call_id(), "STOP");
    assert!((1_300..1_800).contains(&duration_ms(stop)) && stop["cost"]["amount"] == "0.02", "{stop}");
    assert_eq!(records.len(), 4, "{records:#?}");
    Ok(())
}

/// Silence on connections that nobody closes: found by the missing heartbeat; the call and its backstop go on.
#[test]
fn half_open_connection() -> anyhow::Result<()> {
    let stage = stage("half-open")?;
    let call = FakeCall::answered(&stage.switch, "one", "anna")?;
    talk(1_200);
    stage.switch.goes_mute();
    // Longer than the first slice; the backstop of 5 s must have been moved by then.
    talk(5_500);
    call.hangs_up();
    let records = settled(&stage.tollkeeper, &ACCOUNTS)?;
    let stop = of_type(&records, &call.call_id(), "STOP");
    assert!((6_700..7_300).contains(&duration_ms(stop)) && end_of(stop) == "NORMAL", "{stop}");
    assert!(stop["reconstructed"].is_null() && stop["cost"]["amount"] == "0.07", "{stop}");
    let moved = stage.switch.said_of("one").iter().filter(|call| call.starts_with("sched_api")).count();
    assert!(moved >= 1, "the backstop was moved over the new connection");
    Ok(())
}
