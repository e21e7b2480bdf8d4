//! What operators configure: several switches, trunks, numbers, INTERIM records, the exact cut, an agent that hangs.

mod e2e;

use std::time::Duration;

use demo::lab::eventually;
use e2e::{GERMANY, Lab, PASSWORD, Plan, Run, all_passed, duration_ms, end_of, of_type, talk, types_of};

#[test]
fn two_switches_two_trunks_and_their_numbers() -> anyhow::Result<()> {
    let plan = Plan {
        accounts: vec![("anna", "5.00"), ("carrier-a", "5.00"), ("carrier-b", "5.00"), ("carrier-c", "5.00")],
        trunks: vec![
            ("127.0.0.2", "bare", "carrier-a"),
            ("127.0.0.3", "prefixed", "carrier-b"),
            ("127.0.0.4", "plain", "carrier-c"),
        ],
        calls: "slice = \"5s\"\nmargin = \"2s\"\nproof_interval = \"1s\"",
        tables: "[agent.trunks.bare]\nnumbers = { bare_is_international = true }\n\
                 [agent.trunks.prefixed]\nnumbers = { technical_prefixes = [\"9999\"], international_prefixes = [\"00\"], short_codes = [\"118\"] }",
        switches: 2,
        ..Plan::default()
    };
    let lab = Lab::start("switches-and-trunks", &plan)?;
    // (Call-ID, switch, address, number, what it must become)
    let rows = [
        ("bare", 0, "127.0.0.2", "49301234100", "+49301234100", "carrier-a"),
        ("bare-2", 1, "127.0.0.2", "+49301234100", "+49301234100", "carrier-a"),
        ("prefixed", 1, "127.0.0.3", "99990049301234100", "+49301234100", "carrier-b"),
        ("plain", 0, "127.0.0.4", "0301234100", "+49301234100", "carrier-c"),
        ("local", 1, "127.0.0.4", "1234100", "+49301234100", "carrier-c"),
    ];
    let mut runs: Vec<Run> = Vec::new();
    for (id, switch, address, number, ..) in rows {
        let caller =
            lab.caller_at(switch, "trunk", id).dials("someone", "", number).pauses(1_300).option(&["-i", address]);
        runs.push(lab.run(id, caller)?);
    }
    for switch in 0..2 {
        let id = format!("digest-{switch}");
        runs.push(lab.run(&id, lab.caller_at(switch, "answered", &id).dials("anna", PASSWORD, GERMANY).pauses(2_300))?);
    }
    // What is no number on one trunk is refused with 484, although the other would take it.
    let refused = [("no-bare", "127.0.0.3", "49301234100"), ("no-prefix", "127.0.0.2", "999900493012341009")];
    let mut refusals = Vec::new();
    for (id, address, number) in refused {
        let trunk = lab.caller("trunk", id).dials("someone", "", number).option(&["-i", address]);
        refusals.push(lab.run(id, trunk)?);
    }
    all_passed(&mut runs)?;
    for run in &mut refusals {
        anyhow::ensure!(!run.ended()?, "{} must be refused", run.id);
    }
    let records = lab.settled()?;
    for (id, switch, _, dialled, number, payer) in rows {
        let stop = of_type(&records, &format!("{id}-1"), "STOP");
        assert_eq!(
            (&stop["calledParty"]["number"], &stop["calledParty"]["dialledNumber"]),
            (&number.into(), &dialled.into()),
            "{stop}"
        );
        assert_eq!(
            (&stop["callingParty"]["subscriberId"], &stop["cost"]["amount"]),
            (&payer.into(), &"0.02".into()),
            "{stop}"
        );
        assert_eq!(stop["metadata"]["serverNode"], format!("kam{}", switch + 1));
    }
    for run in &refusals {
        let event = of_type(&records, &run.id, "EVENT");
        assert_eq!((end_of(event), event["sipStatus"].as_u64()), ("INVALID_NUMBER", Some(484)), "{event}");
    }
    assert_eq!(records.len(), 2 * runs.len() + refusals.len());
    Ok(())
}

/// Credits of different sizes, cut one after the other: never early, hardly late, by us and not by the backstop.
#[test]
fn cut_on_the_millisecond_with_interims_and_a_warning() -> anyhow::Result<()> {
    let accounts = vec![
        ("a1", "0.01"),
        ("a2", "0.02"),
        ("a3", "0.03"),
        ("a4", "0.04"),
        ("a5", "0.05"),
        ("a6", "0.06"),
        ("a7", "0.07"),
        ("a8", "0.08"),
        ("rich", "5.00"),
    ];
    let plan = Plan {
        accounts,
        calls: "slice = \"3s\"\nmargin = \"1s\"\nproof_interval = \"1s\"\ninterim = \"900ms\"",
        ..Plan::default()
    };
    let lab = Lab::start("cuts", &plan)?;
    let mut cuts: Vec<(Run, u64)> = Vec::new();
    for seconds in 1..=8_u64 {
        cuts.push((lab.call_until_cut(&format!("cut-{seconds}"), &format!("a{seconds}"))?, seconds * 1_000));
    }
    let mut long = lab.call("long", "rich", 5_000)?;
    all_passed(cuts.iter_mut().map(|(run, _)| run).chain([&mut long]))?;
    let records = lab.settled()?;
    let mut lateness = Vec::new();
    for (run, granted_ms) in &cuts {
        let stop = of_type(&records, &run.id, "STOP");
        let talked_ms = duration_ms(stop);
        assert_eq!(end_of(stop), "CREDIT_EXHAUSTED", "cut by us, not by MAX_DURATION: {stop}");
        assert!(talked_ms >= *granted_ms, "{} ms early: {stop}", granted_ms - talked_ms);
        lateness.push(talked_ms - granted_ms);
        assert_eq!(stop["overrunMs"].as_u64().unwrap_or(0), talked_ms - granted_ms, "{stop}");
    }
    println!("the cuts came {lateness:?} ms late");
    assert!(lateness.iter().all(|late_ms| *late_ms < 800), "{lateness:?}");
    for run in cuts.iter().map(|(run, _)| run).chain([&long]) {
        let of_call = records.iter().filter(|record| record["callId"] == run.id.as_str());
        let deltas: u64 = of_call.filter_map(|record| record["usage"][0]["delta"]["timeMs"].as_u64()).sum();
        assert_eq!(deltas, duration_ms(of_type(&records, &run.id, "STOP")), "the deltas make the total: {}", run.id);
    }
    let interims = types_of(&records, &long.id).iter().filter(|kind| **kind == "INTERIM").count();
    assert_eq!(interims, 5, "every 900 ms of 5 s");
    // Those that had an UPDATE were warned; the first grant of the shortest was already the last.
    let warnings = lab.metric("tollkeeper_low_balance_warnings_total").unwrap_or(0);
    assert!((4..=8).contains(&warnings), "{warnings} warnings of low balance");
    assert_eq!(lab.metric_with("tollkeeper_calls_released_total", "cause=\"CREDIT_EXHAUSTED\""), 8);
    Ok(())
}

/// The agent hangs while calls end, longer than Kamailio believes in it: every end is told again, and counts once.
#[test]
fn agent_frozen_while_calls_end() -> anyhow::Result<()> {
    let plan = Plan {
        accounts: vec![("anna", "5.00"), ("bert", "5.00")],
        calls: "slice = \"20s\"\nmargin = \"5s\"\nproof_interval = \"1s\"",
        ..Plan::default()
    };
    let lab = Lab::start("frozen", &plan)?;
    let mut ends: Vec<Run> = Vec::new();
    // Frozen from about 0.5 s to 3.9 s, so that Kamailio notices nothing, and from about 4.3 s to 12.3 s.
    let lengths = [900, 1_500, 4_800, 6_200, 9_900, 11_500, 14_000];
    for (number, talk_ms) in lengths.into_iter().enumerate() {
        ends.push(lab.call(&format!("ends-{number}"), ["anna", "bert"][number % 2], talk_ms)?);
    }
    lab.wait_answered(&ends.iter().collect::<Vec<_>>())?;
    lab.tollkeeper.process.freeze(true);
    talk(3_400);
    lab.tollkeeper.process.freeze(false);
    talk(400);
    lab.tollkeeper.process.freeze(true);
    talk(8_000);
    let kept = kept_ends(&lab)?;
    assert!((2..=5).contains(&kept), "what has ended meanwhile is kept: {kept}");
    lab.tollkeeper.process.freeze(false);
    all_passed(&mut ends)?;
    let records = lab.settled()?;
    for (run, talk_ms) in ends.iter().zip(lengths) {
        let stop = of_type(&records, &run.id, "STOP");
        assert!((talk_ms..talk_ms + 400).contains(&duration_ms(stop)), "{stop}");
        assert!(
            end_of(stop) == "NORMAL" && stop["reconstructed"].is_null() && stop["clockAnomaly"].is_null(),
            "{stop}"
        );
    }
    // New calls are possible at once.
    let mut next = lab.call("next", "anna", 400)?;
    next.passed()?;
    lab.settled()?;
    eventually("Kamailio forgetting what was acknowledged", Duration::from_secs(5), || {
        (kept_ends(&lab).ok()? == 0).then_some(())
    })?;
    Ok(())
}

/// How many ends Kamailio keeps because nobody has acknowledged them.
fn kept_ends(lab: &Lab) -> anyhow::Result<usize> {
    let socket = format!("unix:{}", lab.folder.join("switch1/kamailio/ctl").display());
    let output = std::process::Command::new("kamcmd").args(["-s", &socket, "htable.dump", "tk_unacked"]).output()?;
    anyhow::ensure!(output.status.success(), "kamcmd: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).matches("CALL_").count())
}
