//! The real binary: the server, and its command line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use super::{LAB_CREDENTIALS, Process, eventually, repository};

/// A running `tollkeeper run`.
#[derive(Debug)]
pub struct Tollkeeper {
    /// The process.
    pub process: Process,
    /// Address of the gRPC API.
    pub core: String,
    /// Address of metrics and health.
    pub http: String,
    folder: PathBuf,
}

impl Tollkeeper {
    /// Writes `config` to `tollkeeper.toml` in `folder`, starts it there, and waits until it is ready to be asked.
    pub fn start(folder: &Path, config: &str) -> anyhow::Result<Self> {
        std::fs::write(folder.join("tollkeeper.toml"), config)?;
        Self::start_again(folder)
    }

    /// The same for a process without a core: the command line talks to the one at `core`.
    pub fn start_agent(folder: &Path, config: &str, core: &str) -> anyhow::Result<Self> {
        std::fs::write(folder.join("tollkeeper.toml"), config)?;
        Self::start_in(folder, Some(core))
    }

    /// Starts it with the configuration that is in `folder`.
    pub fn start_again(folder: &Path) -> anyhow::Result<Self> {
        Self::start_in(folder, None)
    }

    /// Starts it again after its end, as it was.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        let core = self.core.clone();
        *self = Self::start_in(&self.folder, Some(&core))?;
        Ok(())
    }

    /// `core`: for the command line, when the process has none itself.
    fn start_in(folder: &Path, core: Option<&str>) -> anyhow::Result<Self> {
        let endpoints = folder.join("data/endpoints.json");
        if endpoints.exists() {
            std::fs::remove_file(&endpoints)?;
        }
        let mut command = Command::new(binary()?);
        // For sinks that ship to servers of the lab.
        command.current_dir(folder).args(["run", "-c", "tollkeeper.toml"]).envs(LAB_CREDENTIALS);
        let mut process = Process::start("tollkeeper", &mut command, &folder.join("tollkeeper.log"))?;
        let started = eventually("tollkeeper starting", Duration::from_secs(20), || {
            if process.ended().is_some() {
                return Some(None);
            }
            let text = std::fs::read_to_string(&endpoints).ok()?;
            serde_json::from_str::<Value>(&text).ok().map(Some)
        })?;
        let log = folder.join("tollkeeper.log");
        let started = started.with_context(|| format!("tollkeeper does not start; log: {}", log.display()))?;
        let text =
            |key: &str| started[key].as_str().map(str::to_owned).with_context(|| format!("{key} in endpoints.json"));
        let core = text("grpc").or_else(|missing| core.map(str::to_owned).ok_or(missing))?;
        Ok(Self { core, http: text("http")?, process, folder: folder.to_path_buf() })
    }

    /// Runs a command of the command line against it; fails with what it says.
    pub fn cli(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(binary()?);
        command.current_dir(&self.folder).env("TOLLKEEPER_CORE", format!("http://{}", self.core)).args(words);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "tollkeeper {}: {complaint}", words.join(" "));
        Ok(said)
    }

    /// The same with `--json`: one value a line.
    pub fn json_lines(&self, words: &[&str]) -> anyhow::Result<Vec<Value>> {
        let mut words = words.to_vec();
        words.push("--json");
        let said = self.cli(&words)?;
        let parsed = said.lines().map(|line| Ok(serde_json::from_str(line)?)).collect::<anyhow::Result<_>>();
        parsed.with_context(|| format!("tollkeeper {}: {said}", words.join(" ")))
    }

    /// The same for commands that show one thing.
    pub fn json(&self, words: &[&str]) -> anyhow::Result<Value> {
        self.json_lines(words)?.into_iter().next().with_context(|| format!("tollkeeper {}: nothing", words.join(" ")))
    }

    /// Records as the journal has them: `words` are conditions of `cdr search`.
    pub fn records(&self, words: &[&str]) -> anyhow::Result<Vec<Value>> {
        self.json_lines(&[&["cdr", "search", "-c", "tollkeeper.toml"], words].concat())
    }

    /// GET from metrics and health; the body.
    pub fn get(&self, path: &str) -> anyhow::Result<String> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&self.http)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    /// Waits until every switch is connected.
    pub fn wait_connected(&self) -> anyhow::Result<()> {
        eventually("the agent connecting", Duration::from_secs(20), || {
            let metrics = self.get("/metrics").ok()?;
            let mut switches =
                metrics.lines().filter(|line| line.starts_with("tollkeeper_switch_connected{")).peekable();
            switches.peek()?;
            switches.all(|line| line.ends_with(" 1")).then_some(())
        })
    }
}

/// The binary: from `TOLLKEEPER_BIN`, or where cargo puts it beside the running program.
pub fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("TOLLKEEPER_BIN") {
        return Ok(repository().join(path));
    }
    let here = std::env::current_exe()?;
    let beside = here.ancestors().skip(1).map(|folder| folder.join("tollkeeper")).find(|path| path.is_file());
    beside.context("no tollkeeper binary: set TOLLKEEPER_BIN, or build it with cargo build -p tollkeeper")
}
