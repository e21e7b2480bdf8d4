//! What the end-to-end tests share: a laboratory of real programs, one for each test, in a folder of its own below
//! `target/e2e`, and the bookkeeping that must be right after any accident.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test program uses its own part of this")]

mod books;
pub mod fake_freeswitch;
pub mod fake_kamailio;
mod on_freeswitch;
pub mod raw_sip;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use demo::lab::{Caller, Freeswitch, Gateway, Kamailio, KamailioPlan, Process, Tollkeeper, eventually, repository};
use serde_json::Value;

pub use books::{duration_ms, end_of, millis_between, money, of_type, settled, types_of};
pub use on_freeswitch::Cable;

/// What a test wants.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// SIP users with an account: name and credit.
    pub accounts: Vec<(&'static str, &'static str)>,
    /// SIP users without one.
    pub strangers: Vec<&'static str>,
    /// Lines of `[agent.calls]`.
    pub calls: &'static str,
    /// Lines of `[[agent]]`, after those that are always there.
    pub agent: &'static str,
    /// Lines after `[agent.calls]`: further tables.
    pub tables: &'static str,
    /// Trunks: address, name, paying account.
    pub trunks: Vec<(&'static str, &'static str, &'static str)>,
    /// Defines for Kamailio.
    pub defines: Vec<&'static str>,
    /// Settings of FreeSWITCH's example.
    pub environment: Vec<(&'static str, &'static str)>,
    /// How many Kamailios; 0 means one.
    pub switches: usize,
    /// Core and agent in a process each.
    pub split: bool,
    /// Addresses that the agent tries before the core's; with `split`.
    pub cores_before: Vec<String>,
    /// Addresses that it tries after that.
    pub cores_after: Vec<String>,
}

/// Everything that runs. Ended in this order.
pub struct Lab {
    pub tollkeeper: Tollkeeper,
    /// The core's process, when it has one of its own.
    pub core: Option<Tollkeeper>,
    pub kamailios: Vec<Kamailio>,
    /// Instead of them.
    pub freeswitch: Option<Freeswitch>,
    pub gateway: Gateway,
    pub folder: PathBuf,
    accounts: Vec<(&'static str, &'static str)>,
}

pub const PASSWORD: &str = "e2e-password";
/// 0.01 a second, in whole seconds. The gateway answers after 50 ms.
pub const GERMANY: &str = "0049301234100";
/// Rings 2 s, then answers.
pub const SLOW: &str = "0049301234302";
/// Rings for ever.
pub const SILENT: &str = "0049301234000";

impl Lab {
    /// Starts it all and waits until every switch is connected.
    pub fn start(name: &str, plan: &Plan) -> anyhow::Result<Self> {
        let lab = Self::start_unconnected(name, plan)?;
        lab.wait_connected()?;
        Ok(lab)
    }

    fn start_unconnected(name: &str, plan: &Plan) -> anyhow::Result<Self> {
        let folder = fresh_folder(name)?;
        let gateway = Gateway::start(&folder)?;
        let users = plan.accounts.iter().map(|(name, _)| name).chain(&plan.strangers);
        let text = str::to_owned;
        let kamailio_plan = KamailioPlan {
            users: users.map(|name| (text(name), text(PASSWORD))).collect(),
            trunks: plan
                .trunks
                .iter()
                .map(|(address, name, account)| (text(address), text(name), text(account)))
                .collect(),
            defines: plan.defines.iter().map(|define| text(define)).collect(),
        };
        let mut kamailios = Vec::new();
        for number in 1..=plan.switches.max(1) {
            let place = folder.join(format!("switch{number}"));
            std::fs::create_dir_all(&place)?;
            kamailios.push(Kamailio::start(&place, gateway.port, &kamailio_plan)?);
        }
        let ports: Vec<u16> = kamailios.iter().map(|kamailio| kamailio.evapi_port).collect();
        let (tollkeeper, core) = start_tollkeeper(&folder, &agent_config(&ports, plan), plan)?;
        Self { tollkeeper, core, kamailios, freeswitch: None, gateway, folder, accounts: plan.accounts.clone() }
            .with_accounts()
    }

    fn with_accounts(self) -> anyhow::Result<Self> {
        for (account, balance) in &self.accounts {
            self.tollkeeper.cli(&["account", "create", account, "--balance", balance, "--low-balance", "0.05"])?;
        }
        Ok(self)
    }

    pub fn wait_connected(&self) -> anyhow::Result<()> {
        let wanted = self.kamailios.len() + usize::from(self.freeswitch.is_some());
        eventually("every switch being connected", Duration::from_secs(20), || {
            (self.metric("tollkeeper_switch_connected")? >= wanted as u64).then_some(())
        })
    }

    /// A SIPp caller at the first switch; its Call-ID will be `id` and `-1`.
    pub fn caller(&self, scenario: &str, id: &str) -> Caller {
        self.caller_at(0, scenario, id)
    }

    pub fn caller_at(&self, switch: usize, scenario: &str, id: &str) -> Caller {
        Caller::new(&self.folder.join("sipp"), scenario, self.sip_port(switch), id)
    }

    pub fn sip_port(&self, switch: usize) -> u16 {
        self.freeswitch.as_ref().map_or_else(|| self.kamailios[switch].sip_port, |freeswitch| freeswitch.sip_port)
    }

    /// An answered call to Germany that its caller ends after `talk_ms`.
    pub fn call(&self, id: &str, account: &str, talk_ms: u64) -> anyhow::Result<Run> {
        self.run(id, self.caller("answered", id).dials(account, PASSWORD, GERMANY).pauses(talk_ms))
    }

    /// A call that lasts until somebody else ends it.
    pub fn call_until_cut(&self, id: &str, account: &str) -> anyhow::Result<Run> {
        self.run(id, self.caller("answered-until-cut", id).dials(account, PASSWORD, GERMANY))
    }

    pub fn run(&self, id: &str, caller: Caller) -> anyhow::Result<Run> {
        Ok(Run { id: format!("{id}-1"), process: caller.start()? })
    }

    /// Sum over all labels, for whole numbers; `None`: no such metric yet, or nobody answers.
    pub fn metric(&self, name: &str) -> Option<u64> {
        sum_of(&self.tollkeeper.get("/metrics").ok()?, name, "")
    }

    /// The same for the lines that contain `label`; 0 when there are none.
    pub fn metric_with(&self, name: &str, label: &str) -> u64 {
        self.tollkeeper.get("/metrics").ok().and_then(|text| sum_of(&text, name, label)).unwrap_or(0)
    }

    /// Records of a call as they were shipped so far: for waiting, not for judging.
    pub fn shipped(&self, call_id: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.join("agent/records.jsonl")).unwrap_or_default();
        let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records.filter(|record| record["callId"] == call_id).collect()
    }

    pub fn wait_record(&self, call_id: &str, record_type: &str) -> anyhow::Result<Value> {
        eventually(&format!("the {record_type} of {call_id}"), Duration::from_secs(30), || {
            self.shipped(call_id).into_iter().find(|record| record["recordType"] == record_type)
        })
    }

    pub fn wait_answered(&self, runs: &[&Run]) -> anyhow::Result<()> {
        for run in runs {
            self.wait_record(&run.id, "START").with_context(|| format!("SIPp says: {}", run.process.output()))?;
        }
        Ok(())
    }

    /// Waits until so many calls were admitted by this run of the agent.
    pub fn wait_admitted(&self, calls: u64) -> anyhow::Result<()> {
        eventually("calls being admitted", Duration::from_secs(10), || {
            (self.metric("tollkeeper_calls_admitted_total")? >= calls).then_some(())
        })
    }

    pub fn balance(&self, account: &str) -> anyhow::Result<types::Money> {
        let shown = self.tollkeeper.json(&["account", "show", account])?;
        Ok(money(&shown["balance"]))
    }

    pub fn open_sessions(&self) -> anyhow::Result<Vec<Value>> {
        self.tollkeeper.json_lines(&["session", "list"])
    }

    /// The journal's records of one call.
    pub fn records(&self, run: &str) -> anyhow::Result<Vec<Value>> {
        self.tollkeeper.records(&["--call-id", run])
    }

    /// Numbers that an INVITE asked the gateway for.
    pub fn numbers_at_gateway(&self) -> Vec<String> {
        let messages = self.gateway.messages();
        let invites = messages.lines().filter_map(|line| line.strip_prefix("INVITE sip:"));
        invites.filter_map(|rest| rest.split('@').next().map(str::to_owned)).collect()
    }
}

/// One SIPp run of one call.
pub struct Run {
    pub id: String,
    pub process: Process,
}

impl Run {
    /// Waits for its end; did it go as the scenario says?
    pub fn ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.process.wait(Duration::from_secs(60))?.success())
    }

    pub fn passed(&mut self) -> anyhow::Result<()> {
        let passed = self.ended()?;
        let output = self.process.output();
        anyhow::ensure!(passed, "SIPp says that {} did not go as its scenario says:\n{output}", self.id);
        Ok(())
    }
}

pub fn all_passed<'a>(runs: impl IntoIterator<Item = &'a mut Run>) -> anyhow::Result<()> {
    runs.into_iter().try_for_each(Run::passed)
}

/// Talking, or being away: time that a test means to pass.
pub fn talk(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// An empty folder for a test's programs.
pub fn fresh_folder(name: &str) -> anyhow::Result<PathBuf> {
    let folder = repository().join("target/e2e").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn start_tollkeeper(
    folder: &std::path::Path,
    agent: &str,
    plan: &Plan,
) -> anyhow::Result<(Tollkeeper, Option<Tollkeeper>)> {
    let place = folder.join("agent");
    std::fs::create_dir_all(&place)?;
    if !plan.split {
        let config = [&core_config(0), agent].concat();
        return Ok((Tollkeeper::start(&place, &with_http(&config))?, None));
    }
    let core_place = folder.join("core");
    std::fs::create_dir_all(&core_place)?;
    let port = demo::lab::free_tcp_port()?;
    let core = Tollkeeper::start(&core_place, &with_http(&core_config(port)))?;
    let cores = plan.cores_before.iter().chain([&core.core]).chain(&plan.cores_after);
    let addresses: Vec<String> = cores.map(|address| format!("\"http://{address}\"")).collect();
    let charging = format!("[charging]\naddresses = [{}]\n", addresses.join(", "));
    let config = with_http(&[&charging, agent].concat());
    Ok((Tollkeeper::start_agent(&place, &config, &core.core)?, Some(core)))
}

pub fn with_http(tables: &str) -> String {
    format!("data_dir = \"data\"\n[http]\nlisten = \"127.0.0.1:0\"\n{tables}")
}

pub fn core_config(port: u16) -> String {
    let tariff = repository().join("demo/tariff");
    let tariff = tariff.display();
    format!("[core]\nlisten = \"127.0.0.1:{port}\"\ntariff = {{ folder = \"{tariff}\", currency = \"EUR\" }}\n")
}

fn agent_config(evapi_ports: &[u16], plan: &Plan) -> String {
    let switch =
        |(index, port): (usize, &u16)| format!("{{ name = \"kam{}\", address = \"127.0.0.1:{port}\" }}", index + 1);
    let switches: Vec<String> = evapi_ports.iter().enumerate().map(switch).collect();
    agent_table("kamailio", &switches.join(", "), plan)
}

pub fn agent_table(kind: &str, switches: &str, plan: &Plan) -> String {
    format!(
        r#"
[[journal.sink]]
kind = "json-lines"
path = "records.jsonl"

[[agent]]
kind = "{kind}"
name = "e2e"
switches = [{switches}]
{agent}

[agent.calls]
numbers = {{ country_code = "49", area_code = "30" }}
{calls}

{tables}
"#,
        agent = plan.agent,
        calls = plan.calls,
        tables = plan.tables,
    )
}

fn sum_of(text: &str, name: &str, label: &str) -> Option<u64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(name));
    let values = lines
        .filter(|line| line.starts_with(['{', ' ']) && line.contains(label))
        .filter_map(|line| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<u64>().ok()));
    values.reduce(|sum, value| sum + value)
}
