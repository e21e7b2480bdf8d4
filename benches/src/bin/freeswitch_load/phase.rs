//! One measurement of the agent: everything started fresh, calls for some seconds, everything compared and stopped.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use benches::machine::{Spread, cpu_ms, load_average};
use demo::lab::{Tollkeeper, repository};
use serde::Serialize;

use crate::charged::{Charged, charged};
use crate::double::{ACCOUNTS, Double, Plan as Playing, account};
use crate::script::Script;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// New calls a second.
    pub rate: u32,
    /// For so long.
    pub seconds: u32,
    /// The agent has a process of its own; else core and agent share one.
    pub apart: bool,
}

impl Plan {
    /// For people.
    pub fn name(&self) -> &'static str {
        if self.apart { "agent alone" } else { "agent and core" }
    }
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// What is in the measured process.
    pub process: &'static str,
    /// Events of a call.
    pub events_per_call: usize,
    /// Their bytes, frames included.
    pub bytes_per_call: u64,
    /// Calls made.
    pub calls: u32,
    /// Calls that the agent refused or ended; goal 0.
    pub refused: u32,
    /// Times that the agent had to connect again; goal 0.
    pub reconnects: u32,
    /// What is wrong with charges and records; goal 0 in each.
    pub charged: Charged,
    /// From a park to the transfer that lets the call go on.
    pub delay: Spread,
    /// CPU of the measured process per call, all of a call's life counted.
    pub cpu_us_per_call: u64,
    /// That at this rate, in tenths of a percent of one core.
    pub cpu_permille: u64,
    /// CPU of the double's thread per call, for comparison.
    pub double_cpu_us_per_call: u64,
    /// The kernel's three load averages right after the calls.
    pub load_average: String,
}

/// Measures in `folder`, which must be new.
pub fn run(folder: &Path, plan: &Plan, script: &Arc<Script>) -> anyhow::Result<Outcome> {
    let calls = plan.rate * plan.seconds;
    let double = Double::start(Playing { rate: plan.rate, calls, by_itself: false }, Arc::clone(script))?;
    let (agent, core) = started(folder, plan, double.address)?;
    for number in 0..ACCOUNTS {
        agent.cli(&["account", "create", &account(number), "--currency", "EUR", "--balance", BALANCE])?;
    }
    agent.wait_connected()?;
    let before_ms = cpu_ms(agent.process.id())?;
    let played = double.play()?;
    let load_average = load_average()?;
    let cpu_us = cpu_ms(agent.process.id())?.saturating_sub(before_ms) * 1000;
    let charged = charged(&agent, &played)?;
    for mut tollkeeper in std::iter::once(agent).chain(core) {
        tollkeeper.process.terminate(Duration::from_secs(30))?;
    }
    let per_call = |us: u64| us / u64::from(calls).max(1);
    Ok(Outcome {
        process: plan.name(),
        events_per_call: script.events(),
        bytes_per_call: per_call(played.bytes),
        calls,
        refused: played.refused,
        reconnects: played.subscriptions.saturating_sub(1),
        charged,
        delay: Spread::of(played.delays_us),
        cpu_us_per_call: per_call(cpu_us),
        cpu_permille: per_call(cpu_us) * u64::from(plan.rate) / 1000,
        double_cpu_us_per_call: per_call(played.cpu_us),
        load_average,
    })
}

/// The process with the agent, and that of the core if it has one of its own.
fn started(folder: &Path, plan: &Plan, switch: SocketAddr) -> anyhow::Result<(Tollkeeper, Option<Tollkeeper>)> {
    std::fs::write(folder.join("esl.password"), "any\n")?;
    let core = format!(
        "[core]\nlisten = \"127.0.0.1:0\"\ntariff = {{ folder = \"{}\", currency = \"EUR\" }}\n",
        repository().join("demo/tariff").display()
    );
    let agent = format!(
        "[[agent]]\nkind = \"freeswitch\"\nname = \"load\"\n\
         switches = [{{ name = \"fs1\", address = \"{switch}\", password_file = \"{}\" }}]\n\
         [agent.calls]\nnumbers = {{ bare_is_international = true }}\n",
        folder.join("esl.password").display()
    );
    let whole = |tables: &str| format!("data_dir = \"data\"\n[http]\nlisten = \"127.0.0.1:0\"\n{tables}");
    if !plan.apart {
        return Ok((Tollkeeper::start(folder, &whole(&[core, agent].concat()))?, None));
    }
    let place = folder.join("core");
    std::fs::create_dir_all(&place)?;
    let core = Tollkeeper::start(&place, &whole(&core))?;
    let charging = format!("[charging]\naddresses = [\"http://{}\"]\n", core.core);
    let agent = Tollkeeper::start_agent(folder, &whole(&[charging, agent].concat()), &core.core)?;
    Ok((agent, Some(core)))
}

/// Far more than is talked.
pub const BALANCE: &str = "100000";
