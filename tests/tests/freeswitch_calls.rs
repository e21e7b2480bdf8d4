//! Calls of every kind through a real FreeSWITCH with the configuration we ship: each answered one has one START and one STOP,
//! each other one EVENT, every record is as the schema says, and the money is right. Skipped unless `TOLLKEEPER_FREESWITCH`
//! names an installation.

mod e2e;

use std::time::Duration;

use demo::lab::eventually;
use e2e::{GERMANY, Lab, PASSWORD, Plan, Run, all_passed, duration_ms, end_of, of_type, talk, types_of};

const UNPLACED: &str = "unplaced";

#[test]
fn every_call_has_its_records() -> anyhow::Result<()> {
    let plan = Plan {
        accounts: vec![
            ("anna", "50.00"),
            ("bert", "50.00"),
            ("carla", "0.00"),
            ("dora", "0.04"),
            ("emil", "50.00"),
            ("gina", "50.00"),
            ("trunk-a", "5.00"),
        ],
        strangers: vec!["nobody"],
        // No call ends in the moment in which the next slice is asked for: how much is used then, two clocks tell.
        calls: "slice = \"6s\"\nmargin = \"1500ms\"\nproof_interval = \"1s\"",
        trunks: vec![("127.0.0.2", "trunk-a", "trunk-a")],
        environment: vec![("TK_RING_TIMEOUT", "3")],
        ..Plan::default()
    };
    let Some(lab) = Lab::on_freeswitch("records", &plan)? else { return Ok(()) };
    lab.tollkeeper.cli(&["account", "block", "gina"])?;
    let mut answered: Vec<(Run, &str)> = Vec::new();
    let mut unanswered: Vec<(Run, &str, u64)> = Vec::new();
    for number in 0..6 {
        let (id, account) = (format!("caller-hangs-up-{number}"), ["anna", "bert"][number % 2]);
        answered.push((lab.call(&id, account, 400 + 333 * number as u64)?, "NORMAL"));
    }
    for (number, tail) in ["701", "702", "703"].into_iter().enumerate() {
        let (id, target) = (format!("callee-hangs-up-{number}"), format!("0049301234{tail}"));
        answered
            .push((lab.run(&id, lab.caller("answered-until-cut", &id).dials("anna", PASSWORD, &target))?, "NORMAL"));
    }
    answered.push((lab.call_until_cut("no-more-credit", "dora")?, "CREDIT_EXHAUSTED"));
    let released = lab.call_until_cut("operator", "emil")?;
    let trunk = lab.caller("trunk", "trunk").dials("someone", "", GERMANY).pauses(1_500).option(&["-i", "127.0.0.2"]);
    answered.push((lab.run("trunk", trunk)?, "NORMAL"));
    for (number, target) in ["112", "911", "08001234567"].into_iter().enumerate() {
        let id = format!("never-refused-{number}");
        let caller = lab.caller("emergency", &id).dials("carla", PASSWORD, target).pauses(700);
        answered.push((lab.run(&id, caller)?, "NORMAL"));
    }
    let urn = lab.caller("emergency-urn", "urn").dials("carla", PASSWORD, "112").pauses(300);
    answered.push((lab.run("urn", urn)?, "NORMAL"));

    let refusals = [
        ("no-credit", "carla", GERMANY, 402, "CREDIT_EXHAUSTED"),
        ("no-account", "nobody", GERMANY, 403, "UNKNOWN_ACCOUNT"),
        ("blocked", "gina", GERMANY, 403, "ACCOUNT_BLOCKED"),
        ("no-number", "anna", "0", 484, "INVALID_NUMBER"),
        ("letters", "anna", "hello", 484, "INVALID_NUMBER"),
        ("no-rate", "anna", "0087712345678", 403, "UNRATED_DESTINATION"),
        ("busy", "anna", "0049301234486", 486, "BUSY"),
        ("not-found", "anna", "0049301234404", 404, UNPLACED),
        ("unavailable", "bert", "0049301234480", 480, UNPLACED),
        ("decline", "bert", "0049301234603", 603, UNPLACED),
        ("gateway-down", "bert", "0049301234503", 503, UNPLACED),
        ("rings-too-long", "bert", e2e::SILENT, 480, "NO_ANSWER"),
    ];
    for (id, user, target, status, end) in refusals {
        let caller = lab.caller("refused", id).dials(user, PASSWORD, target).expects(status);
        unanswered.push((lab.run(id, caller)?, end, status.into()));
    }
    let gives_up = lab.caller("cancelled", "gives-up").dials("bert", PASSWORD, e2e::SILENT).pauses(800);
    unanswered.push((lab.run("gives-up", gives_up)?, "CANCELLED", 487));

    lab.wait_answered(&[&released])?;
    let session = eventually("the operator's session", Duration::from_secs(5), || {
        let open = lab.tollkeeper.json_lines(&["session", "list", "--tenant", "default", "--account", "emil"]).ok()?;
        open.first()?["session_id"].as_str().map(str::to_owned)
    })?;
    lab.tollkeeper.cli(&["session", "release", &session])?;
    answered.push((released, "OPERATOR"));

    all_passed(answered.iter_mut().map(|(run, _)| run))?;
    all_passed(unanswered.iter_mut().map(|(run, ..)| run))?;
    let records = lab.settled()?;
    for (run, end) in &answered {
        assert_eq!(types_of(&records, &run.id), ["START", "STOP"], "{}", run.id);
        assert_eq!(end_of(of_type(&records, &run.id, "STOP")), *end, "{}", run.id);
    }
    for (run, end, status) in &unanswered {
        assert_eq!(types_of(&records, &run.id), ["EVENT"], "{}", run.id);
        let event = of_type(&records, &run.id, "EVENT");
        assert!(*end == UNPLACED || end_of(event) == *end, "{event}");
        // What the switch decides by itself has a cause, and no status that anybody has sent it.
        let decided_here = run.id == "rings-too-long-1";
        assert_eq!(event["sipStatus"].as_u64(), (!decided_here).then_some(*status), "{event}");
    }
    assert_eq!(records.len(), 2 * answered.len() + unanswered.len(), "and nothing else");
    assert_eq!(of_type(&records, "trunk-1", "STOP")["callingParty"]["subscriberId"], "trunk-a");
    let urn = of_type(&records, "urn-1", "STOP");
    assert_eq!(urn["calledParty"]["dialledNumber"], "urn:service:sos.police", "{urn}");
    Ok(())
}

/// Credits of different sizes, cut one after the other: never early, hardly late, by us and not by the backstop.
#[test]
fn cut_on_the_millisecond_with_interims_and_a_warning() -> anyhow::Result<()> {
    let plan = Plan {
        accounts: vec![
            ("a1", "0.01"),
            ("a2", "0.02"),
            ("a3", "0.03"),
            ("a4", "0.04"),
            ("a5", "0.05"),
            ("a6", "0.06"),
            ("rich", "5.00"),
        ],
        calls: "slice = \"3s\"\nmargin = \"1s\"\nproof_interval = \"1s\"\ninterim = \"900ms\"",
        ..Plan::default()
    };
    let Some(lab) = Lab::on_freeswitch("cuts", &plan)? else { return Ok(()) };
    let mut cuts: Vec<(Run, u64)> = Vec::new();
    for seconds in 1..=6_u64 {
        cuts.push((lab.call_until_cut(&format!("cut-{seconds}"), &format!("a{seconds}"))?, seconds * 1_000));
    }
    let mut long = lab.call("long", "rich", 5_000)?;
    all_passed(cuts.iter_mut().map(|(run, _)| run).chain([&mut long]))?;
    let records = lab.settled()?;
    let mut lateness = Vec::new();
    for (run, granted_ms) in &cuts {
        let stop = of_type(&records, &run.id, "STOP");
        let talked_ms = duration_ms(stop);
        assert_eq!(end_of(stop), "CREDIT_EXHAUSTED", "cut by us, not by the backstop: {stop}");
        assert!(talked_ms >= *granted_ms, "{} ms early: {stop}", granted_ms - talked_ms);
        lateness.push(talked_ms - granted_ms);
        assert_eq!(stop["overrunMs"].as_u64().unwrap_or(0), talked_ms - granted_ms, "{stop}");
    }
    println!("the cuts came {lateness:?} ms late");
    assert!(lateness.iter().all(|late_ms| *late_ms < 800), "{lateness:?}");
    let interims = types_of(&records, &long.id).iter().filter(|kind| **kind == "INTERIM").count();
    assert_eq!(interims, 5, "every 900 ms of 5 s");
    assert_eq!(lab.metric_with("tollkeeper_calls_released_total", "cause=\"CREDIT_EXHAUSTED\""), 6);
    Ok(())
}

/// The caller is gone without a BYE: the switch finds out by the media that no longer comes.
#[test]
fn a_lost_bye_ends_the_call() -> anyhow::Result<()> {
    let plan = Plan {
        accounts: vec![("anna", "5.00")],
        calls: "slice = \"20s\"\nmargin = \"2s\"\nproof_interval = \"1s\"",
        environment: vec![("TK_MEDIA_TIMEOUT", "3000")],
        ..Plan::default()
    };
    let Some(lab) = Lab::on_freeswitch("lost-bye", &plan)? else { return Ok(()) };
    let caller = lab.caller("lost-bye", "vanishes").dials("anna", PASSWORD, GERMANY);
    let mut vanishes = lab.run("vanishes", caller)?;
    vanishes.passed()?;
    let stop = lab.wait_record(&vanishes.id, "STOP")?;
    assert!((2_500..9_000).contains(&duration_ms(&stop)), "{stop}");
    lab.settled()?;
    talk(100);
    assert_eq!(lab.channels_up()?, 0);
    Ok(())
}
