//! Core and agent in a process each, over gRPC: the core dies in mid-call and comes back (DESIGN section 8).

mod e2e;

use std::time::{Duration, Instant};

use e2e::{GERMANY, Lab, PASSWORD, Plan, all_passed, duration_ms, end_of, of_type, talk, types_of};
use serde_json::Value;

#[test]
fn core_killed_in_mid_call() -> anyhow::Result<()> {
    let plan = Plan {
        accounts: vec![("anna", "10.00"), ("bert", "10.00"), ("carla", "0.16"), ("dora", "10.00"), ("emil", "10.00")],
        calls: "slice = \"14s\"\nmargin = \"8s\"\nproof_interval = \"1s\"\nauthorise_timeout = \"1500ms\"",
        split: true,
        ..Plan::default()
    };
    let mut lab = Lab::start("core-killed", &plan)?;
    // Credit until 14 s at first: its UPDATE at 6 s meets no core, and without it the call would not reach 18 s.
    let mut goes_on = lab.call("goes-on", "anna", 18_000)?;
    let mut ends_meanwhile = lab.call("ends-meanwhile", "bert", 5_000)?;
    let mut cut = lab.call_until_cut("cut", "carla")?;
    lab.wait_answered(&[&goes_on, &ends_meanwhile, &cut])?;
    talk(3_000);
    let killed = Instant::now();
    core(&mut lab).process.kill()?;

    // Without a core no chargeable call begins, and emergency calls do.
    let refused = lab.caller("refused", "no-core").dials("dora", PASSWORD, GERMANY).expects(503);
    let mut refused = lab.run("no-core", refused)?;
    let mut emergency =
        lab.run("emergency", lab.caller("emergency", "emergency").dials("dora", PASSWORD, "112").pauses(500))?;
    let begun = Instant::now();
    emergency.passed()?;
    assert!(begun.elapsed() < Duration::from_secs(2), "an emergency call waits for nobody: {:?}", begun.elapsed());
    refused.passed()?;
    ends_meanwhile.passed()?;
    // The agent too, once, with the end of a call on its hands.
    lab.tollkeeper.process.kill()?;
    lab.tollkeeper.restart()?;
    talk(1_000);
    core(&mut lab).restart()?;
    println!("the core was away for {:?}", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    lab.wait_connected()?;
    let mut again = lab.call("again", "emil", 1_000)?;
    all_passed([&mut again, &mut goes_on, &mut cut])?;

    let records = lab.settled()?;
    for (run, talk_ms) in [(&goes_on, 18_000), (&ends_meanwhile, 5_000), (&again, 1_000)] {
        let stop = of_type(&records, &run.id, "STOP");
        assert!((talk_ms..talk_ms + 400).contains(&duration_ms(stop)) && end_of(stop) == "NORMAL", "{stop}");
    }
    let stop = of_type(&records, &cut.id, "STOP");
    assert_eq!((end_of(stop), stop["cost"]["amount"].as_str()), ("CREDIT_EXHAUSTED", Some("0.16")), "{stop}");
    assert!(duration_ms(stop) >= 16_000, "{stop}");
    assert_eq!(types_of(&records, &emergency.id), ["START", "STOP"]);
    assert_eq!(end_of(of_type(&records, &refused.id, "EVENT")), "CHARGING_UNAVAILABLE");
    Ok(())
}

/// The core is killed again and again while calls begin and end: nothing is lost, nothing counted twice.
#[test]
fn core_killed_at_any_moment() -> anyhow::Result<()> {
    let plan = Plan {
        accounts: vec![("anna", "10.00"), ("bert", "10.00"), ("carla", "10.00")],
        calls: "slice = \"4s\"\nmargin = \"2s\"\nproof_interval = \"1s\"",
        split: true,
        ..Plan::default()
    };
    let mut lab = Lab::start("core-killed-often", &plan)?;
    let mut runs = Vec::new();
    for (round, kill_after_ms) in [60, 180, 350, 520].into_iter().enumerate() {
        for number in 0..5_usize {
            let account = ["anna", "bert", "carla"][(round + number) % 3];
            runs.push(lab.call(&format!("call-{round}-{number}"), account, 300 + 700 * number as u64)?);
        }
        talk(kill_after_ms);
        core(&mut lab).process.kill()?;
        talk(150);
        core(&mut lab).restart()?;
    }
    let mut passed = 0;
    for run in &mut runs {
        passed += u32::from(run.ended()?);
    }
    let mut records = lab.settled()?;
    // The books do not know of a refused call whose EVENT is still on its way.
    let absent = |records: &[Value]| {
        let absent = runs.iter().filter(|run| types_of(records, &run.id).is_empty());
        absent.map(|run| format!("{}: {}", run.id, run.process.output())).collect::<Vec<_>>()
    };
    for round in 0..40 {
        let absent = absent(&records);
        if absent.is_empty() {
            break;
        }
        println!("after {} ms without a record: {absent:?}", round * 250);
        talk(250);
        records = lab.settled()?;
    }
    println!("{passed} of {} calls were possible", runs.len());
    for run in &runs {
        let types = types_of(&records, &run.id);
        let right = types == ["START", "STOP"] || types == ["EVENT"];
        assert!(right, "{}: {types:?}; SIPp says: {}", run.id, run.process.output());
    }
    assert!(passed >= 15, "a core that is away for a moment must not cost calls: {passed}");
    Ok(())
}

fn core(lab: &mut Lab) -> &mut demo::lab::Tollkeeper {
    lab.core.as_mut().expect("the core has a process of its own")
}
