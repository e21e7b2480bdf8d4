//! The calls of the demo, act by act.

use std::time::Duration;

use anyhow::Context;
use demo::lab::eventually;

use crate::report::{Call, Expected};
use crate::stage::{ACCOUNTS, GHOST, PASSWORD, Stage};

/// Dialled as people dial: with the international prefix. The last digits tell the gateway what to do.
const GERMANY: &str = "0049301234100";
const GERMANY_MOBILE: &str = "00491511234100";
const BRITAIN: &str = "00442071234100";
const USA: &str = "0012125551100";

pub fn everyday_calls(stage: &mut Stage<'_>, calls: &mut Vec<Call>) -> anyhow::Result<()> {
    stage.step("20 answered calls: four accounts, each one call after the other, to five kinds of destination");
    let destinations = [GERMANY, GERMANY_MOBILE, BRITAIN, USA, GERMANY];
    for (round, destination) in destinations.into_iter().enumerate() {
        let mut runs = Vec::new();
        for (place, (account, _)) in ACCOUNTS.into_iter().take(4).enumerate() {
            let id = format!("answered-{:02}", round * 4 + place + 1);
            let talk_ms = 1_300 + 430 * u64::try_from(round * 4 + place)? % 5_000;
            let run = stage.caller("answered", &id).dials(account, PASSWORD, destination).pauses(talk_ms).start()?;
            runs.push(run);
            let expected = Expected::Answered { at_least_ms: talk_ms - 100 };
            calls.push(Call::new("answered", &id, account, destination, expected));
        }
        passed(&stage.wait_all(runs)?, calls)?;
    }
    Ok(())
}

pub fn refused_and_unanswered(stage: &mut Stage<'_>, calls: &mut Vec<Call>) -> anyhow::Result<()> {
    stage.step("refused and unanswered: no credit, unknown account, busy, cancelled, no answer");
    let rows = [
        ("no_credit", "refused", "frida", "0049301234100", 402),
        ("unknown_account", "refused", GHOST, "0049301234100", 403),
        ("busy", "refused", "gustav", "0049301234486", 486),
        ("no_answer", "refused", "gustav", "0049301234480", 480),
        ("cancelled", "cancelled", "gustav", "0049301234000", 487),
    ];
    let mut runs = Vec::new();
    for (scenario, file, account, number, status) in rows {
        let caller = stage.caller(file, scenario).dials(account, PASSWORD, number).pauses(1_500);
        let caller = if file == "refused" { caller.expects(status) } else { caller };
        runs.push(caller.start()?);
        calls.push(Call::new(scenario, scenario, account, number, Expected::Unanswered { sip_status: status }));
    }
    passed(&stage.wait_all(runs)?, calls)
}

pub fn credit_and_operators(stage: &mut Stage<'_>, calls: &mut Vec<Call>) -> anyhow::Result<()> {
    stage.step("cut in mid-call when the credit ends; two calls on one account; released by the operator");
    let until_cut =
        |id: &str, account: &str| stage.caller("answered-until-cut", id).dials(account, PASSWORD, GERMANY).start();
    let mut runs = vec![until_cut("credit_exhausted", "emil")?, until_cut("operator_release", "ida")?];
    calls.push(Call::new("credit_exhausted", "credit_exhausted", "emil", GERMANY, Expected::CreditExhausted));
    calls.push(Call::new("operator_release", "operator_release", "ida", GERMANY, Expected::Released));
    // Credit for 12 s: one call ends by itself after 4 s, the other gets the rest.
    runs.push(
        stage.caller("answered", "two_on_one_account-a").dials("heinz", PASSWORD, GERMANY).pauses(3_600).start()?,
    );
    stage.pause(Duration::from_millis(300))?;
    runs.push(until_cut("two_on_one_account-b", "heinz")?);
    let first = Expected::Answered { at_least_ms: 3_500 };
    calls.push(Call::new("two_on_one_account", "two_on_one_account-a", "heinz", GERMANY, first));
    calls.push(Call::new("two_on_one_account", "two_on_one_account-b", "heinz", GERMANY, Expected::CreditExhausted));
    stage.pause(Duration::from_millis(2_500))?;
    let session = eventually("the session of operator_release", Duration::from_secs(10), || {
        let open = stage.tollkeeper.json_lines(&["session", "list", "--tenant", "default", "--account", "ida"]).ok()?;
        open.first()?["session_id"].as_str().map(str::to_owned)
    })?;
    stage.tollkeeper.cli(&["session", "release", &session])?;
    passed(&stage.wait_all(runs)?, calls)
}

pub fn forged_payer(stage: &mut Stage<'_>, calls: &mut Vec<Call>) -> anyhow::Result<()> {
    stage.step("forged payer: digest of 1001, while From, X-Account and others name 1002");
    let caller = stage.caller("forged-payer", "forged_payer").dials("1001", PASSWORD, GERMANY).pauses(2_000);
    calls.push(Call::new("forged_payer", "forged_payer", "1001", GERMANY, Expected::Answered { at_least_ms: 0 }));
    passed(&stage.wait_all(vec![caller.start()?])?, calls)
}

pub fn emergency_without_agent(stage: &mut Stage<'_>, calls: &mut Vec<Call>) -> anyhow::Result<()> {
    stage.step("emergency: tollkeeper is stopped, 112 from the account without credit is connected");
    stage.stop_tollkeeper()?;
    let caller = stage.caller("emergency", "emergency").dials("frida", PASSWORD, "112").pauses(1_500);
    calls.push(Call::new("emergency", "emergency", "frida", "112", Expected::Free));
    let run = stage.wait_all(vec![caller.start()?])?;
    stage.step("starting tollkeeper again: it fetches what it missed");
    stage.start_tollkeeper()?;
    passed(&run, calls)
}

/// Notes how SIPp saw the last calls.
fn passed(passed: &[bool], calls: &mut [Call]) -> anyhow::Result<()> {
    let first = calls.len().checked_sub(passed.len()).context("more runs than calls")?;
    for (call, passed) in calls[first..].iter_mut().zip(passed) {
        call.sipp_passed = *passed;
    }
    Ok(())
}
