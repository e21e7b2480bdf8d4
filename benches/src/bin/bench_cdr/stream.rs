//! A Kinesis with exact limits, in a process of its own, so that its CPU time is not the shipper's.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use demo::lab::{Process, eventually};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tests::kinesis::{Backend, FaultPlan, FaultProxy, ShardLimits, Statistics, Stream};

/// The name of the stream.
pub const STREAM: &str = "records";

/// What it is.
#[derive(Debug, Args)]
pub struct Options {
    /// Shards, of 1000 records and 1 MiB a second each.
    #[arg(long)]
    shards: u32,
}

/// Says its port, and then each 100 ms what it has done; until it is ended.
pub fn run(options: &Options) -> anyhow::Result<std::process::ExitCode> {
    let plan = FaultPlan { limits: Some(ShardLimits::PROVISIONED), ..FaultPlan::quiet() };
    let proxy = FaultProxy::start(plan, Backend::Own(Stream::new(STREAM, options.shards, None, false)))?;
    let begun = std::time::Instant::now();
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", json!({"url": proxy.url()}))?;
    loop {
        let line = Line { at_ms: u64::try_from(begun.elapsed().as_millis())?, did: Did::from(&proxy.statistics()) };
        writeln!(output, "{}", serde_json::to_string(&line)?)?;
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What it had done at a moment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Line {
    /// Since it began.
    pub at_ms: u64,
    /// What it had done.
    #[serde(flatten)]
    pub did: Did,
}

/// Counts since it began.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Did {
    /// Records accepted.
    pub records: u64,
    /// Their octets, partition keys included.
    pub bytes: u64,
    /// Entries refused for the limits.
    pub throttled: u64,
    /// PutRecords.
    pub requests: u64,
}

impl From<&Statistics> for Did {
    fn from(statistics: &Statistics) -> Self {
        Self {
            records: statistics.accepted,
            bytes: statistics.accepted_bytes,
            throttled: statistics.throttled_entries,
            requests: statistics.put_requests,
        }
    }
}

impl Did {
    /// What was done since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            records: self.records - earlier.records,
            bytes: self.bytes - earlier.bytes,
            throttled: self.throttled - earlier.throttled,
            requests: self.requests - earlier.requests,
        }
    }
}

/// The process, seen from outside.
pub struct Running {
    process: Process,
    /// Where it listens.
    pub url: String,
}

impl Running {
    /// Starts it with its output in `folder`.
    pub fn start(folder: &Path, shards: u32) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["stream", "--shards", &shards.to_string()]);
        let log = folder.join("stream.log");
        if log.exists() {
            // Of the run before: its first line names a port where nobody listens any more.
            std::fs::remove_file(&log)?;
        }
        let process = Process::start("stream", &mut command, &log)?;
        let url = eventually("the stream listening", Duration::from_secs(10), || {
            let first: serde_json::Value = serde_json::from_str(process.output().lines().next()?).ok()?;
            first["url"].as_str().map(str::to_owned)
        })?;
        Ok(Self { process, url })
    }

    /// The latest it said.
    pub fn latest(&self) -> anyhow::Result<Line> {
        let output = self.process.output();
        let line = output.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        line.with_context(|| format!("no line of the stream: {output}"))
    }
}
