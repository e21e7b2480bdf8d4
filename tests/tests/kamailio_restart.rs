//! SIGTERM with calls up: a restart, planned, drops no call and loses nothing.

mod e2e;

use std::time::Duration;

use e2e::{GERMANY, Lab, PASSWORD, Plan, all_passed, duration_ms, end_of, of_type, talk};

#[test]
fn restarted_three_times_under_calls() -> anyhow::Result<()> {
    let plan = Plan {
        accounts: vec![("anna", "10.00"), ("bert", "10.00"), ("carla", "0.12"), ("dora", "10.00")],
        calls: "slice = \"6s\"\nmargin = \"3s\"\nproof_interval = \"1s\"",
        ..Plan::default()
    };
    let mut lab = Lab::start("restarts", &plan)?;
    let mut long: Vec<_> = (0..8)
        .map(|number| lab.call(&format!("long-{number}"), ["anna", "bert"][number % 2], 11_000 + 250 * number as u64))
        .collect::<Result<_, _>>()?;
    let mut cut = lab.call_until_cut("cut", "carla")?;
    lab.wait_answered(&long.iter().chain([&cut]).collect::<Vec<_>>())?;
    for round in 0..3 {
        let id = format!("short-{round}");
        let mut short = lab.call(&id, "dora", 1_500)?;
        lab.wait_answered(&[&short])?;
        talk(700);
        let status = lab.tollkeeper.process.terminate(Duration::from_secs(5))?;
        anyhow::ensure!(status.success(), "tollkeeper ended with {status}");
        let id = format!("nobody-there-{round}");
        let caller = lab.caller("refused", &id).dials("dora", PASSWORD, GERMANY).expects(503);
        let mut refused = lab.run(&id, caller)?;
        refused.passed()?;
        short.passed()?;
        lab.tollkeeper.restart()?;
        lab.wait_connected()?;
    }
    all_passed(long.iter_mut().chain([&mut cut]))?;
    let records = lab.settled()?;
    for (number, run) in long.iter().enumerate() {
        let stop = of_type(&records, &run.id, "STOP");
        let talk_ms = 11_000 + 250 * number as u64;
        assert!((talk_ms..talk_ms + 400).contains(&duration_ms(stop)) && end_of(stop) == "NORMAL", "{stop}");
        assert!(stop["reconstructed"].is_null() && stop["clockAnomaly"].is_null(), "{stop}");
    }
    for round in 0..3 {
        let stop = of_type(&records, &format!("short-{round}-1"), "STOP");
        assert!((1_500..1_900).contains(&duration_ms(stop)), "ended while nobody was there: {stop}");
        let event = of_type(&records, &format!("nobody-there-{round}-1"), "EVENT");
        assert_eq!((end_of(event), event["sipStatus"].as_u64()), ("CHARGING_UNAVAILABLE", Some(503)), "{event}");
    }
    let stop = of_type(&records, &cut.id, "STOP");
    assert_eq!((end_of(stop), stop["cost"]["amount"].as_str()), ("CREDIT_EXHAUSTED", Some("0.12")), "{stop}");
    assert!(duration_ms(stop) >= 12_000, "never before the granted time is over: {stop}");
    Ok(())
}
