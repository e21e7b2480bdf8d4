//! What the tests of shipping share: the pump in a process of its own, what it left behind when it was killed, and what
//! arrived in the stream, read with boto3.
#![allow(dead_code, reason = "each test program uses its own part of this")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use cdr_journal::Filters;
use demo::lab::{LAB_CREDENTIALS, LAB_REGION, Process, read_stream, repository};
use segment_log::DirStorage;
use serde_json::{Value, json};
use tests::kinesis::{FaultProxy, Stream};

pub const STREAM: &str = "records";

/// A folder of its own below `target/e2e`, and what the pump has to do.
pub struct Stage {
    pub folder: PathBuf,
    pub seed: u64,
    pub records: u64,
    /// The pump's plan; change it before `start`.
    pub plan: Value,
}

impl Stage {
    pub fn new(name: &str, seed: u64, records: u64, endpoint: &str) -> anyhow::Result<Self> {
        let folder = repository().join("target/e2e").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::create_dir_all(&folder)?;
        let plan = json!({
            "folder": folder, "seed": seed, "records": records, "record_bytes": 600, "calls": 256, "rate": 0,
            "grace_s": 120,
            // Whatever the disk of the machine has free: that is not what is tested here.
            "journal": {"sinks": ["kinesis"], "reserve_bytes": 0},
            "shipper": {},
            "kinesis": {"stream": STREAM, "region": LAB_REGION, "endpoint_url": endpoint},
        });
        Ok(Self { folder, seed, records, plan })
    }

    /// Starts the pump, for the first time or after a kill.
    pub fn start(&self) -> anyhow::Result<Process> {
        let path = self.folder.join("plan.json");
        std::fs::write(&path, self.plan.to_string())?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_record_pump"));
        command.arg(path).envs(LAB_CREDENTIALS);
        Process::start("record_pump", &mut command, &self.folder.join("pump.log"))
    }

    /// Waits until the pump has shipped everything; what it says about that.
    pub fn finish(&self, pump: &mut Process, limit: Duration) -> anyhow::Result<Value> {
        let status = pump.wait(limit)?;
        let output = pump.output();
        anyhow::ensure!(
            status.success(),
            "the pump failed ({status}); log: {}",
            self.folder.join("pump.log").display()
        );
        let summary = output.lines().rev().find(|line| line.starts_with("{\"appended\"")).context("a summary")?;
        Ok(serde_json::from_str(summary)?)
    }

    /// The checkpoint on disk: everything below has arrived, it says. 0 when there is none yet.
    pub fn checkpoint(&self) -> anyhow::Result<u64> {
        let journal = DirStorage::at(self.folder.join("journal"));
        let Some(content) = segment_log::read_snapshot(&journal, "kinesis.checkpoint")? else { return Ok(0) };
        let stored: Value = serde_json::from_slice(&content)?;
        stored["position"].as_u64().with_context(|| format!("a position in {stored}"))
    }

    /// The first record of the journal that the stream has not got, and how many records the journal has.
    pub fn lowest_gap(&self, arrived: &HashSet<String>) -> anyhow::Result<(u64, u64)> {
        let (mut gap, mut end) = (None, 0);
        for found in cdr_journal::search(self.folder.join("journal"), Filters::default())? {
            let found = found?;
            end = found.position.index() + 1;
            if gap.is_none() && !arrived.contains(&*found.record.record_id) {
                gap = Some(found.position.index());
            }
        }
        Ok((gap.unwrap_or(end), end))
    }

    /// Kills the pump with -9 while the stream stands still, and compares: its checkpoint must not be above a record that did
    /// not arrive. The pause between lets answers and checkpoints that are on their way be cut at any point.
    pub fn kill(&self, pump: &mut Process, proxy: &FaultProxy, pause: Duration) -> anyhow::Result<Value> {
        let frozen = proxy.freeze();
        std::thread::sleep(pause);
        pump.kill()?;
        let arrived = proxy.with_stream(|stream| record_ids(stream));
        let (checkpoint, (gap, journal)) = (self.checkpoint()?, self.lowest_gap(&arrived)?);
        drop(frozen);
        anyhow::ensure!(checkpoint <= gap, "the checkpoint {checkpoint} is above {gap}, which has not arrived");
        Ok(json!({"journal": journal, "arrived": arrived.len(), "first_not_arrived": gap, "checkpoint": checkpoint}))
    }

    /// Reads the stream with boto3 and holds it against what the pump had acknowledged.
    pub fn check(&self, endpoint: &str) -> anyhow::Result<Value> {
        let script = repository().join("tests/tools/check_stream.py");
        let acknowledged = self.folder.join("acknowledged").display().to_string();
        Ok(serde_json::from_str(&read_stream(&script, &[endpoint, STREAM, &acknowledged])?)?)
    }

    /// The same, and everything must have arrived, in order.
    pub fn check_all(&self, endpoint: &str) -> anyhow::Result<Value> {
        let lines = std::fs::read_to_string(self.folder.join("acknowledged"))?.lines().count();
        anyhow::ensure!(u64::try_from(lines)? == self.records, "{lines} of {} are acknowledged", self.records);
        let found = self.check(endpoint)?;
        let right = found["unique"] == self.records
            && ["missing", "disordered", "incomplete", "undecodable"].iter().all(|fault| found[*fault] == 0);
        anyhow::ensure!(right, "seed {}: {found:#}", self.seed);
        Ok(found)
    }
}

/// Every recordId that the stream has.
pub fn record_ids(stream: &Stream) -> HashSet<String> {
    stream.records().filter_map(|(_, record)| record.record_id()).collect()
}

/// Resident memory of a process, in KiB.
pub fn resident_kib(process: &Process) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// The octets of all files in a folder.
pub fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        // A segment may be archived and gone by now.
        bytes += entry?.metadata().map_or(0, |metadata| metadata.len());
    }
    Ok(bytes)
}

/// From the environment, or as given.
pub fn number_from(variable: &str, default: u64) -> anyhow::Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text} is no number")),
        Err(_) => Ok(default),
    }
}

/// From TOLLKEEPER_SEED or the clock; said, so that a failure can be run again.
pub fn seed() -> anyhow::Result<u64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let seed = number_from("TOLLKEEPER_SEED", u64::from(now.subsec_nanos()) ^ now.as_secs())?;
    println!("TOLLKEEPER_SEED={seed}");
    Ok(seed)
}
