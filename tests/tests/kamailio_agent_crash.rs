//! kill -9 of tollkeeper, core and agent at once, while people talk, ring, hang up and give up (DESIGN section 8).

mod e2e;

use e2e::{
    GERMANY, Lab, PASSWORD, Plan, SILENT, SLOW, all_passed, duration_ms, end_of, millis_between, of_type, talk,
    types_of,
};

fn plan() -> Plan {
    Plan {
        accounts: vec![
            ("anna", "10.00"),
            ("bert", "10.00"),
            ("carla", "0.03"),
            ("dora", "10.00"),
            ("emil", "10.00"),
            ("gina", "10.00"),
        ],
        calls: "slice = \"8s\"\nmargin = \"3s\"\nproof_interval = \"1s\"",
        ..Plan::default()
    }
}

#[test]
fn killed_in_mid_call() -> anyhow::Result<()> {
    let mut lab = Lab::start("agent-killed", &plan())?;
    let mut goes_on = lab.call("goes-on", "anna", 12_000)?;
    let mut ends_meanwhile = lab.call("ends-meanwhile", "bert", 4_500)?;
    let mut backstop = lab.call_until_cut("backstop", "carla")?;
    lab.wait_answered(&[&goes_on, &ends_meanwhile, &backstop])?;
    let slow = |id: &str, user: &str, talk_ms: u64| {
        lab.run(id, lab.caller("answered", id).dials(user, PASSWORD, SLOW).pauses(talk_ms))
    };
    let mut answered_meanwhile = slow("answered-meanwhile", "dora", 6_000)?;
    let mut begun_and_ended = slow("begun-and-ended", "emil", 1_200)?;
    let mut cancelled =
        lab.run("cancelled", lab.caller("cancelled", "cancelled").dials("gina", PASSWORD, SILENT).pauses(1_500))?;
    lab.wait_admitted(6)?;
    talk(200);
    lab.tollkeeper.process.kill()?;
    all_passed([&mut ends_meanwhile, &mut backstop, &mut begun_and_ended, &mut cancelled])?;
    lab.tollkeeper.restart()?;
    all_passed([&mut goes_on, &mut answered_meanwhile])?;

    let records = lab.settled()?;
    for (run, talk_ms) in
        [(&goes_on, 12_000), (&ends_meanwhile, 4_500), (&answered_meanwhile, 6_000), (&begun_and_ended, 1_200)]
    {
        assert_eq!(types_of(&records, &run.id), ["START", "STOP"], "{}", run.id);
        let stop = of_type(&records, &run.id, "STOP");
        let (duration, between) = (duration_ms(stop), millis_between(&stop["answerTime"], &stop["endTime"]));
        assert!((talk_ms..talk_ms + 400).contains(&duration), "the switch's own times: {stop}");
        assert_eq!(i64::try_from(duration)?, between, "{stop}");
        assert!(
            stop["reconstructed"].is_null() && stop["clockAnomaly"].is_null() && end_of(stop) == "NORMAL",
            "{stop}"
        );
    }
    let stop = of_type(&records, &backstop.id, "STOP");
    assert_eq!(end_of(stop), "BACKSTOP", "{stop}");
    assert!((3_000..6_300).contains(&duration_ms(stop)), "never before the grant, never long after: {stop}");
    let event = of_type(&records, &cancelled.id, "EVENT");
    assert_eq!(event["terminationReason"], "CANCELLED", "{event}");
    Ok(())
}

/// Moments nobody has chosen: each call is charged and recorded exactly once, whatever the crash hit.
#[test]
fn killed_at_any_moment() -> anyhow::Result<()> {
    let mut lab = Lab::start("agent-killed-often", &plan())?;
    let payers = ["anna", "bert", "dora", "emil", "gina"];
    let mut runs = Vec::new();
    for (round, kill_after_ms) in [40, 230, 420, 770].into_iter().enumerate() {
        for number in 0..6_usize {
            let (id, talk_ms) = (format!("call-{round}-{number}"), 300 + 411 * number as u64);
            let target = if number == 5 { SLOW } else { GERMANY };
            let caller =
                lab.caller("answered", &id).dials(payers[(round + number) % 5], PASSWORD, target).pauses(talk_ms);
            runs.push(lab.run(&id, caller)?);
        }
        talk(kill_after_ms);
        lab.tollkeeper.process.kill()?;
        lab.tollkeeper.restart()?;
        lab.wait_connected()?;
    }
    let mut outcomes = Vec::new();
    for run in &mut runs {
        outcomes.push((run.id.clone(), run.ended()?));
    }
    let records = lab.settled()?;
    let (mut talked, mut refused) = (0, 0);
    for (id, passed) in outcomes {
        let types = types_of(&records, &id);
        if passed {
            talked += 1
        } else {
            refused += 1
        }
        assert_eq!(types, if passed { vec!["START", "STOP"] } else { vec!["EVENT"] }, "{id}");
    }
    println!("{talked} talked, {refused} refused while nobody was there");
    assert!(talked >= 6, "most calls should have been possible: {talked}");
    Ok(())
}
