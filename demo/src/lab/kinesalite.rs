//! A Kinesis-compatible server, kinesalite, on loopback, with its streams on disk: it can be killed and come back.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use super::aws_json::{LAB_CREDENTIALS, LAB_REGION, kinesis};
use super::{Process, eventually, repository};

/// A running kinesalite with one stream.
#[derive(Debug)]
pub struct Kinesalite {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub port: u16,
    /// The stream.
    pub stream: String,
    folder: PathBuf,
}

impl Kinesalite {
    /// Starts it in `folder` and makes the stream; waits until that can be written.
    pub fn start(folder: &Path, shards: u32, stream: &str) -> anyhow::Result<Self> {
        let (process, port) = serve(folder, 0)?;
        let server = Self { process, port, stream: stream.to_owned(), folder: folder.to_path_buf() };
        server.ask("CreateStream", &json!({"StreamName": stream, "ShardCount": shards}))?;
        server.wait_active()?;
        Ok(server)
    }

    /// The endpoint, for configuration files.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it again after it was killed, on the same port, with what it had.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        (self.process, self.port) = serve(&self.folder, self.port)?;
        self.wait_active()
    }

    /// Any operation of the Kinesis API.
    pub fn ask(&self, operation: &str, request: &Value) -> anyhow::Result<Value> {
        kinesis(self.port, operation, request)
    }

    /// Waits until the stream takes records: after it was made, split or merged.
    pub fn wait_active(&self) -> anyhow::Result<()> {
        eventually(&format!("stream {} being active", self.stream), Duration::from_secs(20), || {
            let answer = self.ask("DescribeStreamSummary", &json!({"StreamName": self.stream})).ok()?;
            (answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE").then_some(())
        })
    }

    /// The open shards, as ListShards has them.
    pub fn open_shards(&self) -> anyhow::Result<Vec<Value>> {
        let answer = self.ask("ListShards", &json!({"StreamName": self.stream}))?;
        let shards = answer["Shards"].as_array().context("Shards in the answer")?;
        let open = |shard: &&Value| shard["SequenceNumberRange"]["EndingSequenceNumber"].is_null();
        Ok(shards.iter().filter(open).cloned().collect())
    }

    /// Reads the whole stream with boto3 and writes the records as JSON lines to `output`; returns how many. `script` is
    /// `demo/read_stream.py` unless another takes the same words.
    pub fn read_back(&self, script: &Path, output: &Path) -> anyhow::Result<usize> {
        let said = read_stream(script, &[&self.url(), &self.stream, &output.display().to_string()])?;
        said.trim().parse().with_context(|| format!("{}: {said}", script.display()))
    }
}

/// The folder of `scripts/install-tools.sh`: TOLLKEEPER_TOOLS, or tollkeeper-tools in the user's cache.
pub fn tools() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("TOLLKEEPER_TOOLS") {
        return Ok(folder.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    Ok(cache.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?.join("tollkeeper-tools"))
}

/// Runs a Python script that uses boto3; what it printed.
pub fn read_stream(script: &Path, words: &[&str]) -> anyhow::Result<String> {
    let python = tools()?.join("python/bin/python");
    let mut command = Command::new(&python);
    command.arg(script).args(words).envs(LAB_CREDENTIALS).env("AWS_DEFAULT_REGION", LAB_REGION);
    let output = command.output().with_context(|| format!("{}: run scripts/install-tools.sh", python.display()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{}: {complaint}", script.display());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Starts it on `port` (0: a free one) and waits until it says where it listens.
fn serve(folder: &Path, port: u16) -> anyhow::Result<(Process, u16)> {
    let modules = tools()?.join("node_modules");
    anyhow::ensure!(modules.is_dir(), "{} is missing: run scripts/install-tools.sh", modules.display());
    let log = folder.join("kinesalite.log");
    if log.exists() {
        std::fs::remove_file(&log)?;
    }
    let mut command = Command::new("node");
    command.arg(repository().join("tests/tools/kinesalite.js")).arg(port.to_string());
    command.arg(folder.join("kinesalite")).env("NODE_PATH", modules);
    let mut process = Process::start("kinesalite", &mut command, &log)?;
    let port = eventually("kinesalite listening", Duration::from_secs(20), || {
        if process.ended().is_some() {
            return Some(None);
        }
        let output = process.output();
        let line = output.lines().find(|line| line.starts_with('{'))?;
        Some(serde_json::from_str::<Value>(line).ok()?["port"].as_u64())
    })?;
    let port = port.and_then(|port| u16::try_from(port).ok());
    Ok((process, port.with_context(|| format!("kinesalite does not start; log: {}", log.display()))?))
}
