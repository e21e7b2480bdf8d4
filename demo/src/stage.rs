//! What the demo plays on: accounts, gateway, Kamailio, a Kinesis-compatible server, tollkeeper.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use demo::lab::{
    Caller, Gateway, Kamailio, KamailioPlan, Kinesalite, LAB_REGION, Process, Tollkeeper, eventually, repository,
};

use crate::report::Call;

/// (account, credit at the start). `ghost` is a SIP user without an account.
pub const ACCOUNTS: [(&str, &str); 11] = [
    ("anna", "10.00"),
    ("bert", "5.00"),
    ("carla", "20.00"),
    ("dora", "3.00"),
    ("emil", "0.06"),
    ("frida", "0.00"),
    ("gustav", "5.00"),
    ("heinz", "0.12"),
    ("1001", "5.00"),
    ("1002", "5.00"),
    ("ida", "5.00"),
];
pub const GHOST: &str = "ghost";
pub const PASSWORD: &str = "demo-password";
const STREAM: &str = "call-records";
const SHARDS: u32 = 2;

/// The running demo.
pub struct Stage<'a> {
    /// `target/demo`.
    pub folder: PathBuf,
    pub tollkeeper: Tollkeeper,
    pub kamailio: Kamailio,
    pub kinesalite: Kinesalite,
    gateway: Gateway,
    interrupted: &'a AtomicBool,
    begun: Instant,
}

impl<'a> Stage<'a> {
    pub fn set(interrupted: &'a AtomicBool) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let folder = repository().join("target/demo");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::create_dir_all(&folder)?;
        say(begun, "starting the SIP gateway (SIPp) and Kamailio with the shipped configuration");
        let gateway = Gateway::start(&folder)?;
        let names = ACCOUNTS.iter().map(|(name, _)| *name).chain([GHOST]);
        let users = names.map(|name| (name.to_owned(), PASSWORD.to_owned())).collect();
        let kamailio = Kamailio::start(&folder, gateway.port, &KamailioPlan { users, ..KamailioPlan::default() })?;
        say(begun, "starting kinesalite, a Kinesis-compatible server, and making the stream call-records");
        let kinesalite = Kinesalite::start(&folder, SHARDS, STREAM)?;
        say(begun, "starting tollkeeper: charging core and Kamailio agent in one process");
        let tollkeeper = Tollkeeper::start(&folder, &config(kamailio.evapi_port, &kinesalite))?;
        say(begun, "creating accounts with the command line");
        for (account, balance) in ACCOUNTS {
            tollkeeper.cli(&["account", "create", account, "--currency", "EUR", "--balance", balance])?;
        }
        tollkeeper.wait_connected()?;
        Ok(Self { folder, tollkeeper, kamailio, kinesalite, gateway, interrupted, begun })
    }

    /// Says what comes next.
    pub fn step(&self, what: &str) {
        say(self.begun, what);
    }

    /// A SIPp caller in this demo.
    pub fn caller(&self, scenario: &str, call_id: &str) -> Caller {
        Caller::new(&self.folder.join("sipp"), scenario, self.kamailio.sip_port, call_id)
    }

    /// Waits for SIPp runs; the exit code of each.
    pub fn wait_all(&self, mut runs: Vec<Process>) -> anyhow::Result<Vec<bool>> {
        let mut passed = Vec::new();
        for run in &mut runs {
            let status = eventually("a SIPp call ending", Duration::from_secs(60), || {
                let interrupted = self.interrupted.load(Ordering::Relaxed);
                if interrupted { Some(None) } else { run.ended().map(Some) }
            })?;
            passed.push(status.context("interrupted")?.success());
        }
        Ok(passed)
    }

    pub fn pause(&self, limit: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            anyhow::ensure!(!self.interrupted.load(Ordering::Relaxed), "interrupted");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Stops tollkeeper, as an operator would.
    pub fn stop_tollkeeper(&mut self) -> anyhow::Result<()> {
        let status = self.tollkeeper.process.terminate(Duration::from_secs(20))?;
        anyhow::ensure!(status.success(), "tollkeeper ended with {status}");
        Ok(())
    }

    pub fn start_tollkeeper(&mut self) -> anyhow::Result<()> {
        self.tollkeeper = Tollkeeper::start_again(&self.folder)?;
        self.tollkeeper.wait_connected()
    }

    /// Until the last record of every call is on disk.
    pub fn wait_for_records(&self, calls: &[Call]) -> anyhow::Result<()> {
        for call in calls {
            eventually(&format!("the last record of {}", call.id), Duration::from_secs(30), || {
                let records = self.tollkeeper.records(&["--call-id", &call.id]).ok()?;
                records
                    .iter()
                    .any(|record| record["recordType"] == "STOP" || record["recordType"] == "EVENT")
                    .then_some(())
            })?;
        }
        Ok(())
    }

    /// Stops everything in order, and insists on a clean end.
    pub fn strike(&mut self) -> anyhow::Result<()> {
        self.stop_tollkeeper()?;
        self.kamailio.process.terminate(Duration::from_secs(20))?;
        self.kinesalite.process.terminate(Duration::from_secs(20))?;
        self.gateway.process.kill()
    }
}

fn say(begun: Instant, what: &str) {
    println!("[{:>5.1} s] {what}", begun.elapsed().as_secs_f32());
}

fn config(evapi_port: u16, kinesalite: &Kinesalite) -> String {
    let tariff = repository().join("demo/tariff");
    format!(
        r#"# Written by the demo. Short slices, so that a call of a few seconds shows everything.
data_dir = "data"

[core]
listen = "127.0.0.1:0"
tariff = {{ folder = "{tariff}", currency = "EUR" }}

[http]
listen = "127.0.0.1:0"

[[journal.sink]]
kind = "json-lines"
path = "records.jsonl"

[[journal.sink]]
kind = "kinesis"
stream = "{stream}"
region = "{LAB_REGION}"
endpoint_url = "{endpoint}"

[[agent]]
kind = "kamailio"
name = "demo"
switches = [{{ name = "kamailio", address = "127.0.0.1:{evapi_port}" }}]

[agent.calls]
slice = "5s"
margin = "2s"
proof_interval = "2s"
numbers = {{ country_code = "49", area_code = "30" }}
"#,
        tariff = tariff.display(),
        stream = kinesalite.stream,
        endpoint = kinesalite.url(),
    )
}
