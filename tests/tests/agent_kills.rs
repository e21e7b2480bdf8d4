//! kill -9 of the agent under load. The judge is the switch: a double of Kamailio that outlives its agents and remembers what became
//! of each call. At the end journal and core have to say the same: each answered call has one START, one STOP and exactly its
//! price; each other one EVENT; nothing is open or held. `KILLS=20` for more of them (`make soak-agent`), `TOLLKEEPER_SEED` for
//! another run. Every third kill takes the core along.

mod busy_kamailio;
mod e2e;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use busy_kamailio::{BusyKamailio, Fate, Kind, Load, below};
use demo::lab::{Tollkeeper, eventually, free_tcp_port};
use e2e::{
    Plan, agent_table, core_config, duration_ms, end_of, fresh_folder, money, of_type, settled, talk, types_of,
    with_http,
};
use serde_json::Value;
use types::Money;

const RICH: [&str; 7] = ["anna", "bert", "carla", "dora", "emil", "gina", "hans"];
/// Whose calls are cut, and refused after that.
const POOR: &str = "paul";
const CREDIT: &str = "1000.00";

fn number_of(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[test]
fn each_call_is_charged_and_recorded_once_whatever_the_kills_hit() -> anyhow::Result<()> {
    let (kills, seed) = (number_of("KILLS", 2), number_of("TOLLKEEPER_SEED", 1));
    println!("TOLLKEEPER_SEED={seed} KILLS={kills}");
    let payers = RICH.into_iter().chain([POOR]).collect();
    let kamailio = BusyKamailio::start(Load { calls_a_second: 100, payers, seed })?;
    let (mut agent, mut core) = start(&kamailio)?;
    let credit = |name: &'static str| (name, if name == POOR { "2.00" } else { CREDIT });
    let accounts: Vec<(&str, &str)> = RICH.into_iter().chain([POOR]).map(credit).collect();
    for (account, balance) in &accounts {
        core.cli(&["account", "create", account, "--balance", balance])?;
    }
    welcomed(&kamailio, 1)?;
    kamailio.offer_calls(true);
    let mut dice = seed;
    for kill in 1..=kills {
        heard(&kamailio, 100 + below(&mut dice, 900))?;
        talk(below(&mut dice, 200));
        let (agents, with_core) = (kamailio.welcomed(), kill % 3 == 0);
        agent.process.kill()?;
        if with_core {
            core.process.kill()?;
        }
        let (talking, unsettled) = kamailio.unsettled();
        let whom = if with_core { "agent and core" } else { "agent" };
        println!("kill {kill} ({whom}): {talking} calls up, {unsettled} ends not acknowledged");
        talk(below(&mut dice, 500));
        if with_core {
            core.restart()?;
        }
        agent.restart()?;
        welcomed(&kamailio, agents + 1)?;
    }
    heard(&kamailio, 300)?;
    kamailio.offer_calls(false);
    eventually("every call being over and every end acknowledged", Duration::from_secs(40), || {
        (kamailio.unsettled() == (0, 0)).then_some(())
    })
    .map_err(|error| anyhow::anyhow!("{error}: {:?} (calls, ends) are left", kamailio.unsettled()))?;

    let records = settled(&agent, &accounts)?;
    judge(&kamailio.fates(), &records, &core)
}

/// What the switch saw, what was recorded and what the core charged are the same.
fn judge(fates: &[Fate], records: &[Value], core: &Tollkeeper) -> anyhow::Result<()> {
    let sessions = core.json_lines(&[
        "session", "list", "--phase", "open", "--phase", "expired", "--phase", "closed", "--phase", "denied",
    ])?;
    let mut charged: BTreeMap<&str, Money> = BTreeMap::new();
    for session in &sessions {
        anyhow::ensure!(session["phase"] == "closed" || session["phase"] == "denied", "{session}");
        let id = session["session_id"].as_str().and_then(|id| id.rsplit_once('-')).map_or("", |(_, number)| number);
        let cost = if session["cost"].is_null() { Money::ZERO } else { money(&session["cost"]) };
        anyhow::ensure!(charged.insert(id, cost).is_none(), "a second session of one call: {session}");
    }
    let (mut talked, mut others) = (0, 0);
    for fate in fates {
        let number = fate.call_id.rsplit_once('-').map_or("", |(_, number)| number);
        let charged = charged.remove(number).unwrap_or_default();
        let types = types_of(records, &fate.call_id);
        let Some((answered, ended)) = fate.talk_ms else {
            anyhow::ensure!(types == ["EVENT"] && charged == Money::ZERO, "{fate:?}: {types:?}, charged {charged}");
            others += 1;
            continue;
        };
        talked += 1;
        anyhow::ensure!(types == ["START", "STOP"], "{fate:?}: {types:?}");
        let stop = of_type(records, &fate.call_id, "STOP");
        let talk_ms = u64::try_from(ended - answered)?;
        anyhow::ensure!(duration_ms(stop) == talk_ms, "{talk_ms} ms by the switch: {stop}");
        anyhow::ensure!(stop["reconstructed"].is_null() && stop["clockAnomaly"].is_null(), "{stop}");
        let ends = [("BYE", "NORMAL"), ("CREDIT_EXHAUSTED", "CREDIT_EXHAUSTED"), ("MAX_DURATION", "BACKSTOP")];
        anyhow::ensure!(ends.contains(&(fate.cause, end_of(stop))), "{}: {stop}", fate.cause);
        if fate.kind == Kind::Emergency {
            anyhow::ensure!(charged == Money::ZERO && stop["cost"].is_null(), "charged {charged}: {stop}");
            continue;
        }
        anyhow::ensure!(money(&stop["cost"]["amount"]) == charged, "the core charged {charged}: {stop}");
        let price = Money::from_nanos(i128::from(talk_ms.div_ceil(1_000)) * 10_000_000);
        // Who is cut may have talked a moment beyond the grant.
        let exact = fate.payer != POOR;
        anyhow::ensure!(if exact { charged == price } else { charged <= price }, "{price} is the price: {stop}");
    }
    anyhow::ensure!(charged.is_empty(), "sessions that no call has: {charged:?}");
    anyhow::ensure!(talked > others, "most calls should have been possible: {talked} of {}", talked + others);
    println!("{talked} calls talked, {others} did not: all charged and recorded as the switch saw them");
    Ok(())
}

fn start(kamailio: &BusyKamailio) -> anyhow::Result<(Tollkeeper, Tollkeeper)> {
    let folder = fresh_folder("agent-kills")?;
    let (place, core_place) = (folder.join("agent"), folder.join("core"));
    std::fs::create_dir_all(&place)?;
    std::fs::create_dir_all(&core_place)?;
    let core = Tollkeeper::start(&core_place, &with_http(&core_config(free_tcp_port()?)))?;
    let plan = Plan {
        // Many small steps: an UPDATE each second.
        calls: "slice = \"8s\"\nmargin = \"7s\"\nproof_interval = \"1s\"",
        ..Plan::default()
    };
    let table = agent_table("kamailio", &format!("{{ name = \"busy\", address = \"{}\" }}", kamailio.address), &plan);
    let config = with_http(&format!("[charging]\naddresses = [\"http://{}\"]\n{table}", core.core));
    Ok((Tollkeeper::start_agent(&place, &config, &core.core)?, core))
}

fn welcomed(kamailio: &BusyKamailio, agents: u32) -> anyhow::Result<()> {
    eventually("the agent connecting", Duration::from_secs(20), || (kamailio.welcomed() >= agents).then_some(()))
}

/// Waits until agents have said so much more.
fn heard(kamailio: &BusyKamailio, more: u64) -> anyhow::Result<()> {
    let (begun, until) = (Instant::now(), kamailio.heard() + more);
    while kamailio.heard() < until {
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(40), "the agent has gone silent");
        talk(1);
    }
    Ok(())
}
