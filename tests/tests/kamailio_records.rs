//! Thirty calls at once, of every kind: each answered one has one START and one STOP, each other one EVENT.

mod e2e;

use std::time::Duration;

use demo::lab::eventually;
use e2e::{GERMANY, Lab, PASSWORD, Plan, Run, all_passed, end_of, of_type, types_of};

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
        calls: "slice = \"5s\"\nmargin = \"2s\"\nproof_interval = \"1s\"",
        trunks: vec![("127.0.0.2", "trunk-a", "trunk-a")],
        defines: vec!["TK_MAX_RING_MS=3000"],
        ..Plan::default()
    };
    let lab = Lab::start("records", &plan)?;
    lab.tollkeeper.cli(&["account", "block", "gina"])?;
    let mut answered: Vec<(Run, &str)> = Vec::new();
    let mut unanswered: Vec<(Run, &str, u64)> = Vec::new();
    for number in 0..8 {
        answered.push((
            lab.call(&format!("caller-hangs-up-{number}"), ["anna", "bert"][number % 2], 400 + 333 * number as u64)?,
            "NORMAL",
        ));
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
        answered
            .push((lab.run(&id, lab.caller("emergency", &id).dials("carla", PASSWORD, target).pauses(700))?, "NORMAL"));
    }
    answered.push((
        lab.run("urn", lab.caller("emergency-urn", "urn").dials("carla", PASSWORD, "112").pauses(300))?,
        "NORMAL",
    ));

    let refusals = [
        ("no-credit", "carla", GERMANY, 402, 402, "CREDIT_EXHAUSTED"),
        ("no-account", "nobody", GERMANY, 403, 403, "UNKNOWN_ACCOUNT"),
        ("blocked", "gina", GERMANY, 403, 403, "ACCOUNT_BLOCKED"),
        ("no-number", "anna", "0", 484, 484, "INVALID_NUMBER"),
        ("letters", "anna", "hello", 484, 484, "INVALID_NUMBER"),
        ("no-rate", "anna", "0087712345678", 403, 403, "UNRATED_DESTINATION"),
        ("busy", "anna", "0049301234486", 486, 486, "BUSY"),
        ("not-found", "anna", "0049301234404", 404, 404, UNPLACED),
        ("unavailable", "bert", "0049301234480", 480, 480, UNPLACED),
        ("decline", "bert", "0049301234603", 603, 603, UNPLACED),
        ("gateway-down", "bert", "0049301234503", 500, 503, "FAILED"),
        ("rings-too-long", "bert", e2e::SILENT, 408, 408, "NO_ANSWER"),
    ];
    for (id, user, target, seen, recorded, end) in refusals {
        let caller = lab.caller("refused", id).dials(user, PASSWORD, target).expects(seen);
        unanswered.push((lab.run(id, caller)?, end, recorded));
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
        assert_eq!(event["sipStatus"], *status, "{event}");
    }
    assert_eq!(records.len(), 2 * answered.len() + unanswered.len(), "and nothing else");
    assert_eq!(of_type(&records, "trunk-1", "STOP")["callingParty"]["subscriberId"], "trunk-a");
    Ok(())
}
