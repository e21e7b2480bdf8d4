//! What the demo runs: tollkeeper, the relay in front of it, accounts.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use demo::lab::{Freediameter, Process, Tollkeeper, eventually, free_tcp_port, repository};
use serde_json::Value;
use types::Money;

/// Everything that runs.
pub struct Stage<'a> {
    pub tollkeeper: Tollkeeper,
    pub relay: Freediameter,
    pub folder: PathBuf,
    /// What was put into the accounts.
    pub paid_in: Money,
    accounts: Vec<String>,
    interrupted: &'a AtomicBool,
    begun: Instant,
}

impl<'a> Stage<'a> {
    /// Starts all of it, and pays into the accounts.
    pub fn set(interrupted: &'a AtomicBool) -> anyhow::Result<Self> {
        let begun = Instant::now();
        say(begun, "tollkeeper (Diameter agent, core, journal) and a freeDiameterd relay in front of it");
        let folder = repository().join("target/demo-diameter");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(folder.join("tariff"))?;
        let shipped = repository().join("demo/diameter");
        for entry in std::fs::read_dir(shipped.join("tariff"))? {
            let entry = entry?;
            std::fs::copy(entry.path(), folder.join("tariff").join(entry.file_name()))?;
        }
        // The shipped configuration, on ports of its own.
        let mut config = std::fs::read_to_string(shipped.join("tollkeeper.toml"))?;
        let port = free_tcp_port()?;
        for (shipped, own) in [("3868", port), ("7440", free_tcp_port()?), ("9440", free_tcp_port()?)] {
            let (shipped, own) = (format!("127.0.0.1:{shipped}"), format!("127.0.0.1:{own}"));
            anyhow::ensure!(config.contains(&shipped), "{shipped} is not in demo/diameter/tollkeeper.toml");
            config = config.replace(&shipped, &own);
        }
        let tollkeeper = Tollkeeper::start(&folder, &config)?;
        let relay = Freediameter::start(&folder, port, &["pgw.example.net"])?;
        let mut stage =
            Self { tollkeeper, relay, folder, paid_in: Money::ZERO, accounts: Vec::new(), interrupted, begun };
        stage.step("21 accounts: 20 subscribers with 10.00 each, one with 0.25");
        for subscriber in 0..SUBSCRIBERS {
            stage.account(FIRST + subscriber, "10.00")?;
        }
        stage.account(POOR, "0.25")?;
        eventually("the relay connecting", Duration::from_secs(30), || {
            let metrics = stage.tollkeeper.get("/metrics").ok()?;
            metrics
                .lines()
                .any(|line| line.starts_with("tollkeeper_diameter_connections_open") && line.ends_with(" 1"))
                .then_some(())
        })?;
        Ok(stage)
    }

    fn account(&mut self, number: u64, balance: &str) -> anyhow::Result<()> {
        anyhow::ensure!(!self.interrupted.load(Ordering::Relaxed), "interrupted");
        let (id, identity) = (number.to_string(), format!("e164:+{number}"));
        self.tollkeeper.cli(&["account", "create", &id, "--balance", balance, "--identity", &identity])?;
        self.paid_in += balance.parse::<Money>()?;
        self.accounts.push(id);
        Ok(())
    }

    /// Tells what happens now.
    pub fn step(&self, what: &str) {
        say(self.begun, what);
    }

    /// Starts the load client in front of the relay.
    pub fn start_load(&self, name: &str, words: &[&str]) -> anyhow::Result<Load> {
        let binary = demo::lab::binary()?;
        let mut command = Command::new(binary);
        command
            .current_dir(&self.folder)
            .args(["diameter-load", "--json", "--target", &format!("127.0.0.1:{}", self.relay.port)])
            .args(["--destination-host", "ocs.example.net"])
            .args(words);
        let log = self.folder.join(format!("{name}.json"));
        Ok(Load { process: Process::start("tollkeeper diameter-load", &mut command, &log)? })
    }

    /// Its report.
    pub fn finish_load(&self, mut load: Load) -> anyhow::Result<Value> {
        let ended = eventually("the load client", Duration::from_secs(120), || {
            (load.process.ended().is_some() || self.interrupted.load(Ordering::Relaxed)).then_some(())
        });
        anyhow::ensure!(!self.interrupted.load(Ordering::Relaxed), "interrupted");
        ended?;
        let output = load.process.output();
        let report = output.lines().find(|line| line.starts_with('{')).with_context(|| output.clone())?;
        let mut report: Value = serde_json::from_str(report)?;
        let complaints: Vec<&str> = output.lines().filter(|line| !line.starts_with('{')).collect();
        report["complaints"] = complaints.join("; ").into();
        Ok(report)
    }

    /// Sums of all accounts: what is left, what is held.
    pub fn left(&self) -> anyhow::Result<(Money, Money)> {
        let (mut left, mut held) = (Money::ZERO, Money::ZERO);
        for account in &self.accounts {
            let shown = self.tollkeeper.json(&["account", "show", account])?;
            left += shown["balance"].as_str().context("balance")?.parse::<Money>()?;
            held += shown["held"].as_str().context("held")?.parse::<Money>()?;
        }
        Ok((left, held))
    }
}

/// A load client that runs.
pub struct Load {
    process: Process,
}

fn say(begun: Instant, what: &str) {
    println!("[{:>5.1} s] {what}", begun.elapsed().as_secs_f32());
}

/// E.164 number of the first of the subscribers, and of the one with little money.
pub const FIRST: u64 = 491_700_000_000;
pub const SUBSCRIBERS: u64 = 20;
pub const POOR: u64 = 491_790_000_000;
