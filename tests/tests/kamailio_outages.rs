//! A core that goes away in mid-call and comes back, at another address too; and what `on_core_failure = "continue"` allows
//! meanwhile (MONEY, example 11; docs/core-outages.md).

mod e2e;

use std::net::TcpListener;

use demo::lab::{Tollkeeper, free_tcp_port};
use e2e::{
    GERMANY, Lab, PASSWORD, Plan, Run, SLOW, all_passed, core_config, duration_ms, end_of, money, of_type, talk,
    types_of, with_http,
};
use serde_json::Value;

fn core(lab: &mut Lab) -> &mut Tollkeeper {
    lab.core.as_mut().expect("the core has a process of its own")
}

fn emergency(lab: &Lab, id: &str) -> anyhow::Result<Run> {
    lab.run(id, lab.caller("emergency", id).dials("emil", PASSWORD, "112").pauses(300))
}

fn refused(lab: &Lab, id: &str, user: &str, number: &str) -> anyhow::Result<Run> {
    lab.run(id, lab.caller("refused", id).dials(user, PASSWORD, number).expects(503))
}

fn tags(record: &Value) -> String {
    record["metadata"]["tags"].to_string()
}

/// Each second begun, by the switch's own times: the core was away, and nothing is lost or lent.
fn exact(records: &[Value], run: &Run, talk_ms: u64) -> i128 {
    assert_eq!(types_of(records, &run.id), ["START", "STOP"], "{}", run.id);
    let stop = of_type(records, &run.id, "STOP");
    assert!((talk_ms..talk_ms + 400).contains(&duration_ms(stop)) && end_of(stop) == "NORMAL", "{stop}");
    let cost = money(&stop["cost"]["amount"]).nanos();
    assert_eq!(cost, i128::from(duration_ms(stop).div_ceil(1_000)) * 10_000_000, "{stop}");
    cost
}

#[test]
fn calls_go_on_without_the_core_and_are_debited_exactly() -> anyhow::Result<()> {
    let plan = Plan {
        accounts: vec![("anna", "10.00"), ("bert", "0.10"), ("carla", "0.03"), ("dora", "10.00"), ("emil", "10.00")],
        calls: "slice = \"4s\"\nmargin = \"2s\"\nproof_interval = \"1s\"\nauthorise_timeout = \"1s\"\nfinal_record_wait = \"30s\"\n\
                on_core_failure = \"continue\"\n\
                continue = { max_call = \"30s\", calls_per_account = 1, never = [\"+493012343\"] }",
        split: true,
        ..Plan::default()
    };
    let mut lab = Lab::start("continue", &plan)?;
    // Known from now on: dora, who has more, and carla, whose first grant is her last.
    all_passed([&mut lab.call("dora-before", "dora", 500)?, &mut lab.call("carla-before", "carla", 500)?])?;
    let mut spans = lab.call("spans", "anna", 14_000)?;
    let mut overdraws = lab.call("overdraws", "bert", 11_000)?;
    lab.wait_answered(&[&spans, &overdraws])?;
    talk(3_000);
    core(&mut lab).process.kill()?;

    let mut begins = lab.call("begins", "dora", 2_000)?;
    talk(100);
    let mut one_too_many = refused(&lab, "one-too-many", "dora", GERMANY)?;
    let mut unknown = refused(&lab, "unknown", "emil", GERMANY)?;
    let mut at_the_end = refused(&lab, "at-the-end", "carla", GERMANY)?;
    let mut free = emergency(&lab, "core-dead")?;
    all_passed([&mut one_too_many, &mut unknown, &mut at_the_end, &mut free, &mut begins])?;
    let mut never = refused(&lab, "never", "dora", SLOW)?;
    never.passed()?;
    overdraws.passed()?;
    core(&mut lab).restart()?;
    spans.passed()?;
    // Now both.
    core(&mut lab).process.kill()?;
    lab.tollkeeper.process.kill()?;
    let mut alone = emergency(&lab, "both-dead")?;
    let mut nobody = refused(&lab, "nobody", "dora", GERMANY)?;
    all_passed([&mut alone, &mut nobody])?;
    core(&mut lab).restart()?;
    lab.tollkeeper.restart()?;
    lab.wait_connected()?;
    // The books know nothing of these: the switch tells of them when it is asked, and their records are durable a while later.
    lab.wait_record(&alone.id, "STOP")?;
    lab.wait_record(&nobody.id, "EVENT")?;

    let records = lab.settled()?;
    exact(&records, &spans, 14_000);
    exact(&records, &begins, 2_000);
    let cost = exact(&records, &overdraws, 11_000);
    assert!(cost > 100_000_000 && lab.balance("bert")?.nanos() == 100_000_000 - cost, "debited, whatever is there");
    let stop = of_type(&records, &begins.id, "STOP");
    assert!(tags(stop).contains("CONTINUED"), "{stop}");
    for run in [&one_too_many, &unknown, &at_the_end, &never, &nobody] {
        assert_eq!(end_of(of_type(&records, &run.id, "EVENT")), "CHARGING_UNAVAILABLE", "{}", run.id);
    }
    for run in [&free, &alone] {
        assert_eq!(types_of(&records, &run.id), ["START", "STOP"]);
        assert!(of_type(&records, &run.id, "STOP")["cost"].is_null());
    }
    Ok(())
}

#[test]
fn a_call_without_the_core_ends_at_its_limit() -> anyhow::Result<()> {
    let plan = Plan {
        accounts: vec![("anna", "10.00"), ("bert", "10.00")],
        calls: "slice = \"4s\"\nmargin = \"2s\"\nproof_interval = \"1s\"\nauthorise_timeout = \"1s\"\nfinal_record_wait = \"30s\"\n\
                on_core_failure = \"continue\"\ncontinue = { max_call = \"4s\" }",
        split: true,
        ..Plan::default()
    };
    let mut lab = Lab::start("continue-limit", &plan)?;
    let mut cut = lab.call_until_cut("cut", "anna")?;
    lab.wait_answered(&[&cut])?;
    // Its grant reaches 6 s; four more are lent.
    talk(3_000);
    core(&mut lab).process.kill()?;
    cut.passed()?;
    core(&mut lab).restart()?;
    lab.settled()?;
    // The same, and the agent dies while the call goes on: the backstop.
    let mut backstop = lab.call_until_cut("backstop", "bert")?;
    lab.wait_answered(&[&backstop])?;
    talk(3_000);
    core(&mut lab).process.kill()?;
    talk(3_500);
    lab.tollkeeper.process.kill()?;
    backstop.passed()?;
    core(&mut lab).restart()?;
    lab.tollkeeper.restart()?;
    let records = lab.settled()?;
    for (run, end, longest_ms) in [(&cut, "CHARGING_UNAVAILABLE", 10_500), (&backstop, "BACKSTOP", 13_500)] {
        assert_eq!(types_of(&records, &run.id), ["START", "STOP"], "{}", run.id);
        let stop = of_type(&records, &run.id, "STOP");
        assert!((10_000..longest_ms).contains(&duration_ms(stop)), "{stop}");
        assert_eq!(end_of(stop), end, "{stop}");
    }
    Ok(())
}

/// The first address is of a machine that takes connections and never speaks, the second of one that is not there.
#[test]
fn the_next_address_is_tried_in_mid_call() -> anyhow::Result<()> {
    let half_open = TcpListener::bind(("127.0.0.1", 0))?;
    let (dead, elsewhere) = (free_tcp_port()?, free_tcp_port()?);
    let plan = Plan {
        accounts: vec![("anna", "10.00"), ("bert", "10.00"), ("carla", "10.00")],
        calls: "slice = \"20s\"\nmargin = \"16s\"\nproof_interval = \"1s\"\nfinal_record_wait = \"30s\"",
        split: true,
        cores_before: vec![half_open.local_addr()?.to_string(), format!("127.0.0.1:{dead}")],
        cores_after: vec![format!("127.0.0.1:{elsewhere}")],
        ..Plan::default()
    };
    let mut lab = Lab::start("addresses", &plan)?;
    let mut spans = lab.call("spans", "anna", 26_000)?;
    let mut ends_meanwhile = lab.call("ends-meanwhile", "bert", 6_000)?;
    lab.wait_answered(&[&spans, &ends_meanwhile])?;
    // SIGHUP: a core reads its certificates and tokens again; nobody ends of it.
    for id in [lab.tollkeeper.process.id(), core(&mut lab).process.id()] {
        let status = std::process::Command::new("kill").args(["-HUP", &id.to_string()]).status()?;
        anyhow::ensure!(status.success(), "kill -HUP {id}: {status}");
    }
    talk(5_000);
    let log = std::fs::read_to_string(lab.folder.join("core/tollkeeper.log"))?;
    anyhow::ensure!(log.contains("certificates and tokens were read again"), "{log}");
    anyhow::ensure!(lab.tollkeeper.process.ended().is_none(), "the agent ended of a SIGHUP");
    // Restarted where it was: all addresses are tried in turn until it is there again.
    core(&mut lab).process.kill()?;
    talk(1_500);
    core(&mut lab).restart()?;
    ends_meanwhile.passed()?;
    lab.wait_record(&ends_meanwhile.id, "STOP")?;
    // The standby: another process at another address, on the data of the one that is gone.
    core(&mut lab).process.kill()?;
    let config = with_http(&core_config(elsewhere));
    let standby = Tollkeeper::start(&lab.folder.join("core"), &config)?;
    lab.tollkeeper.core.clone_from(&standby.core);
    lab.core = Some(standby);
    let mut begins = lab.call("begins", "carla", 1_000)?;
    begins.passed()?;
    spans.passed()?;
    let records = lab.settled()?;
    for (run, talk_ms) in [(&spans, 26_000), (&ends_meanwhile, 6_000), (&begins, 1_000)] {
        exact(&records, run, talk_ms);
    }
    let log = std::fs::read_to_string(lab.folder.join("agent/tollkeeper.log"))?;
    anyhow::ensure!(log.contains(&elsewhere.to_string()), "the agent's log names the core it found");
    drop(half_open);
    Ok(())
}
