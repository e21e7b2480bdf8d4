//! The examples of MONEY.md on a real FreeSWITCH, made shorter: slices of 6 s with a margin of 2 s at 0.01 a second. The figures
//! are exact; how long a call lasted to the millisecond is the switch's. Skipped unless `TOLLKEEPER_FREESWITCH` names an
//! installation.

mod e2e;

use e2e::{GERMANY, Lab, PASSWORD, Plan, Run, all_passed, duration_ms, end_of, of_type, talk, types_of};
use serde_json::Value;

/// 0.60 a minute in whole minutes, and 0.05 for the connection.
const BRITAIN: &str = "00442071234100";
const CALLS: &str = "slice = \"6s\"\nmargin = \"2s\"\nproof_interval = \"1s\"";

fn cost<'a>(records: &'a [Value], run: &Run) -> (&'a str, &'a str) {
    let stop = of_type(records, &run.id, "STOP");
    (end_of(stop), stop["cost"]["amount"].as_str().unwrap_or("?"))
}

fn balance(lab: &Lab, account: &str) -> anyhow::Result<String> {
    Ok(lab.balance(account)?.to_string())
}

#[test]
fn examples_1_to_6_and_16() -> anyhow::Result<()> {
    let plan = Plan {
        accounts: vec![
            ("ends", "1.00"),
            ("runs-out", "0.07"),
            ("coarse", "1.00"),
            ("silent", "1.00"),
            ("shared", "0.10"),
            ("crumb", "0.005"),
        ],
        strangers: vec!["topped"],
        calls: CALLS,
        ..Plan::default()
    };
    let Some(lab) = Lab::on_freeswitch("money", &plan)? else { return Ok(()) };
    lab.tollkeeper.cli(&["account", "create", "topped", "--balance", "0.05"])?;
    let mut ends = lab.call("1-ends", "ends", 8_500)?;
    let mut runs_out = lab.call_until_cut("2-runs-out", "runs-out")?;
    let caller = lab.caller("answered", "3-coarse").dials("coarse", PASSWORD, BRITAIN).pauses(2_000);
    let mut coarse = lab.run("3-coarse", caller)?;
    let caller = lab.caller("cancelled", "4-silent").dials("silent", PASSWORD, "00442071234000").pauses(1_000);
    let mut silent = lab.run("4-silent", caller)?;
    let mut first = lab.call("5-first", "shared", 2_500)?;
    talk(100);
    let mut second = lab.call_until_cut("5-second", "shared")?;
    let mut topped = lab.call("6-topped", "topped", 8_500)?;
    let caller = lab.caller("refused", "16-crumb").dials("crumb", PASSWORD, GERMANY).expects(402);
    let mut crumb = lab.run("16-crumb", caller)?;
    lab.wait_answered(&[&topped])?;
    talk(3_600);
    lab.tollkeeper.cli(&["account", "topup", "topped", "1.00"])?;
    all_passed([&mut ends, &mut runs_out, &mut coarse, &mut silent, &mut first, &mut second, &mut topped, &mut crumb])?;

    let records = lab.settled()?;
    assert_eq!((cost(&records, &ends), balance(&lab, "ends")?), (("NORMAL", "0.09"), "0.91".into()));
    assert_eq!((cost(&records, &runs_out), balance(&lab, "runs-out")?), (("CREDIT_EXHAUSTED", "0.07"), "0".into()));
    let stop = of_type(&records, &runs_out.id, "STOP");
    assert_eq!(stop["overrunMs"].as_u64(), Some(duration_ms(stop) - 7_000), "{stop}");
    assert_eq!((cost(&records, &coarse), balance(&lab, "coarse")?), (("NORMAL", "0.65"), "0.35".into()));
    assert_eq!((types_of(&records, &silent.id), balance(&lab, "silent")?), (vec!["EVENT"], "1".into()));
    // Both were up at once, on credit for 10 s: not a second more, whoever got it.
    let (paid_first, paid_second) = (cost(&records, &first), cost(&records, &second));
    assert_eq!((paid_first, paid_second), (("NORMAL", "0.03"), ("CREDIT_EXHAUSTED", "0.07")));
    assert_eq!(balance(&lab, "shared")?, "0");
    assert_eq!((cost(&records, &topped), balance(&lab, "topped")?), (("NORMAL", "0.09"), "0.96".into()));
    assert_eq!((types_of(&records, &crumb.id), balance(&lab, "crumb")?), (vec!["EVENT"], "0.005".into()));
    Ok(())
}

/// Agent killed and back in time (8), back late (9), switch killed (10).
#[test]
fn examples_8_to_10() -> anyhow::Result<()> {
    let accounts = vec![("in-time", "1.00"), ("late", "1.00"), ("dies", "1.00")];
    let plan = Plan { accounts, calls: CALLS, ..Plan::default() };
    let Some(mut lab) = Lab::on_freeswitch("money-crashes", &plan)? else { return Ok(()) };
    let mut in_time = lab.call("8-in-time", "in-time", 9_500)?;
    lab.wait_answered(&[&in_time])?;
    talk(2_600);
    lab.tollkeeper.process.kill()?;
    talk(300);
    lab.tollkeeper.restart()?;
    lab.wait_connected()?;
    in_time.passed()?;
    lab.wait_record(&in_time.id, "STOP")?;

    let mut late = lab.call_until_cut("9-late", "late")?;
    lab.wait_answered(&[&late])?;
    talk(2_600);
    lab.tollkeeper.process.kill()?;
    // The backstop: armed at the answer for 6 s + 1 s.
    late.passed()?;
    talk(1_500);
    lab.tollkeeper.restart()?;
    lab.wait_connected()?;
    lab.wait_record(&late.id, "STOP")?;

    let dies = lab.call_until_cut("10-dies", "dies")?;
    lab.wait_answered(&[&dies])?;
    talk(3_700);
    lab.switch().kill()?;
    lab.switch().start_again()?;
    lab.wait_connected()?;

    let records = lab.settled()?;
    assert_eq!(types_of(&records, &in_time.id), ["START", "STOP"]);
    assert_eq!((cost(&records, &in_time), balance(&lab, "in-time")?), (("NORMAL", "0.1"), "0.9".into()));
    // Closed at the last proof, at most an interval before the kill: 1.6 s to 2.7 s, or 2.7 s to 3.8 s.
    for (run, account, costs) in [(&late, "late", ["0.02", "0.03"]), (&dies, "dies", ["0.03", "0.04"])] {
        let stop = of_type(&records, &run.id, "STOP");
        let (_, amount) = cost(&records, run);
        assert_eq!(stop["reconstructed"], true, "{stop}");
        assert_eq!(amount, format!("0.0{}", duration_ms(stop).div_ceil(1_000)), "the price of what was proven: {stop}");
        assert!(costs.contains(&amount), "{stop}");
        let left: types::Money = "1.00".parse()?;
        let paid: types::Money = amount.parse()?;
        assert_eq!(lab.balance(account)?.nanos(), left.nanos() - paid.nanos(), "{stop}");
    }
    Ok(())
}
