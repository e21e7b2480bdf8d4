//! Legs that come and go on a real FreeSWITCH, also while no agent listens: each is charged once, to the right account.
//! Skipped unless `TOLLKEEPER_FREESWITCH` names an installation.

mod e2e;

use std::time::Duration;

use demo::lab::eventually;
use e2e::{GERMANY, Lab, PASSWORD, Plan, duration_ms, talk};
use serde_json::Value;

/// The gateway answers it, too, and waits for the end.
const BESIDE: &str = "0049301234200";
/// The gateway hangs up after 2 s.
const BESIDE_SHORT: &str = "0049301234702";

fn plan() -> Plan {
    Plan {
        accounts: vec![("anna", "5.00"), ("bert", "5.00")],
        calls: "slice = \"8s\"\nmargin = \"3s\"\nproof_interval = \"1s\"",
        ..Plan::default()
    }
}

fn at_gateway(number: &str) -> String {
    format!("sofia/gateway/carrier/{number}")
}

/// The STOP of the session whose leg this is.
fn stop_of<'a>(records: &'a [Value], leg: &str) -> &'a Value {
    let stop = records.iter().find(|record| record["legId"] == leg && record["recordType"] == "STOP");
    stop.unwrap_or_else(|| panic!("{leg} has no STOP: {records:#?}"))
}

/// A caller consults another by `att_xfer` over a gateway: a charged call of its own, whose end is not the end of the first.
#[test]
fn whom_a_caller_consults_is_charged() -> anyhow::Result<()> {
    let Some(lab) = Lab::on_freeswitch("legs-consult", &plan())? else { return Ok(()) };
    let mut run = lab.call("consults", "anna", 7_000)?;
    lab.wait_answered(&[&run])?;
    let a = lab.channel("inbound", "anna")?;
    talk(1_000);
    lab.api(&format!("uuid_broadcast {a} att_xfer::{} aleg", at_gateway(BESIDE_SHORT)))?;
    let beside = lab.channel("outbound", BESIDE_SHORT)?;
    run.passed()?;
    let records = lab.settled()?;
    let (first, second) = (stop_of(&records, &a), stop_of(&records, &beside));
    assert!((7_000..7_500).contains(&duration_ms(first)), "{first}");
    assert!((1_800..2_600).contains(&duration_ms(second)), "{second}");
    assert_eq!(second["callId"], first["callId"]);
    assert_eq!((&second["parentLegId"], &second["callingParty"]["subscriberId"]), (&a.into(), &"anna".into()));
    assert_eq!(second["calledParty"]["number"], "+49301234702");
    Ok(())
}

/// He leaves the two together: both go on at his expense, until the one he consulted is ended.
#[test]
fn who_leaves_two_together_pays_for_both() -> anyhow::Result<()> {
    let Some(lab) = Lab::on_freeswitch("legs-handed-over", &plan())? else { return Ok(()) };
    let mut run = lab.call("leaves", "anna", 3_000)?;
    lab.wait_answered(&[&run])?;
    let (a, b) = (lab.channel("inbound", "anna")?, lab.channel("outbound", GERMANY)?);
    lab.api(&format!("uuid_broadcast {a} att_xfer::{} aleg", at_gateway(BESIDE)))?;
    let beside = lab.channel("outbound", BESIDE)?;
    run.passed()?;
    talk(3_000);
    assert_eq!(lab.open_sessions()?.len(), 2, "both talk on");
    lab.api(&format!("uuid_kill {beside}"))?;
    let records = lab.settled()?;
    let (first, second) = (stop_of(&records, &a), stop_of(&records, &beside));
    assert!((5_800..8_500).contains(&duration_ms(first)), "{first}");
    assert!((5_000..8_000).contains(&duration_ms(second)), "{second}");
    assert_eq!(second["callingParty"]["subscriberId"], "anna");
    assert_eq!(lab.channels_up()?, 0, "{b}");
    Ok(())
}

/// The agent dies, and is away while a leg is called beside a call and answered: found and charged from its answer.
#[test]
fn a_leg_called_while_the_agent_is_away_is_found() -> anyhow::Result<()> {
    let Some(mut lab) = Lab::on_freeswitch("legs-found", &plan())? else { return Ok(()) };
    let mut run = lab.call("found", "anna", 14_000)?;
    lab.wait_answered(&[&run])?;
    let a = lab.channel("inbound", "anna")?;
    lab.tollkeeper.process.kill()?;
    lab.api(&format!("uuid_broadcast {a} att_xfer::{} aleg", at_gateway(BESIDE)))?;
    let beside = lab.channel("outbound", BESIDE)?;
    talk(1_500);
    lab.tollkeeper.restart()?;
    lab.wait_connected()?;
    eventually("the leg being charged", Duration::from_secs(10), || {
        (lab.open_sessions().ok()?.len() == 2).then_some(())
    })?;
    lab.api(&format!("uuid_kill {beside}"))?;
    run.passed()?;
    let records = lab.settled()?;
    let (first, second) = (stop_of(&records, &a), stop_of(&records, &beside));
    assert!((14_000..14_500).contains(&duration_ms(first)), "{first}");
    assert!(duration_ms(second) >= 4_000, "from its own answer: {second}");
    assert_eq!((&second["parentLegId"], &second["callingParty"]["subscriberId"]), (&a.into(), &"anna".into()));
    Ok(())
}

/// The agent is away while two callers are taken out of their calls and their partners talk on: nobody talks for free.
#[test]
fn calls_that_move_while_the_agent_is_away_go_on() -> anyhow::Result<()> {
    let Some(mut lab) = Lab::on_freeswitch("legs-moved", &plan())? else { return Ok(()) };
    let mut first = lab.call_until_cut("first", "anna")?;
    let other = lab.caller("answered-until-cut", "second").dials("bert", PASSWORD, BESIDE);
    let mut second = lab.run("second", other)?;
    lab.wait_answered(&[&first, &second])?;
    let callers = [lab.channel("inbound", "anna")?, lab.channel("inbound", "bert")?];
    let callees = [lab.channel("outbound", GERMANY)?, lab.channel("outbound", BESIDE)?];
    talk(1_200);
    lab.tollkeeper.process.kill()?;
    lab.api(&format!("uuid_bridge {} {}", callees[0], callees[1]))?;
    first.passed()?;
    second.passed()?;
    talk(1_000);
    lab.tollkeeper.restart()?;
    lab.wait_connected()?;
    // Longer than the first grant: both go on, renewed, and with a backstop on the legs that talk.
    talk(9_000);
    assert_eq!((lab.open_sessions()?.len(), lab.channels_up()?), (2, 2));
    let tasks = lab.api("show tasks")?;
    assert!(callees.iter().all(|leg| tasks.contains(leg.as_str()) || tasks.contains("tollkeeper")), "{tasks}");
    lab.api(&format!("uuid_kill {}", callees[0]))?;
    let records = lab.settled()?;
    for leg in &callers {
        let stop = stop_of(&records, leg);
        assert!(duration_ms(stop) >= 11_000 && stop["reconstructed"].is_null(), "{stop}");
    }
    Ok(())
}
