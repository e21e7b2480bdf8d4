//! SIPp: callers with our scenarios, and the gateway behind the switch.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Process, free_media_port, free_udp_port, repository};

/// The gateway: what it does is in the last digits of the number, see `sipp-scenarios/README.md`.
#[derive(Debug)]
pub struct Gateway {
    /// The process.
    pub process: Process,
    /// Its SIP port (UDP).
    pub port: u16,
    messages: PathBuf,
}

impl Gateway {
    /// Starts it.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let port = free_udp_port()?;
        let messages = folder.join("gateway.messages");
        let mut command = sipp(folder, "gateway.xml");
        command.arg("-trace_msg").arg("-message_file").arg(&messages);
        command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-mp", &free_media_port()?.to_string()]);
        let process = Process::start("sipp gateway", &mut command, &folder.join("gateway.log"))?;
        Ok(Self { process, port, messages })
    }

    /// Every SIP message it received or sent so far, as SIPp writes them down.
    pub fn messages(&self) -> String {
        std::fs::read(&self.messages).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

/// One or more calls of one scenario.
#[derive(Debug, Clone)]
pub struct Caller {
    scenario: String,
    folder: PathBuf,
    switch_port: u16,
    lines: Vec<String>,
    call_id: String,
    options: Vec<String>,
}

/// How a SIPp run came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every call went as the scenario says.
    Passed,
    /// At least one did not.
    Failed(i32),
}

impl Caller {
    /// A call by `scenario` (without `.xml`) to the switch; its Call-ID begins with `call_id`.
    pub fn new(folder: &Path, scenario: &str, switch_port: u16, call_id: &str) -> Self {
        Self {
            scenario: scenario.to_owned(),
            folder: folder.to_path_buf(),
            switch_port,
            lines: vec![],
            call_id: call_id.to_owned(),
            options: vec![],
        }
    }

    /// The caller's credentials and the number dialled.
    pub fn dials(mut self, user: &str, secret: &str, number: &str) -> Self {
        self.lines.push(format!("{user};[authentication username={user} password={secret}];{number}"));
        self
    }

    /// Pause of the scenario: how long it talks, or waits.
    pub fn pauses(self, ms: u64) -> Self {
        self.option(&["-d", &ms.to_string()])
    }

    /// The final status that the scenario expects.
    pub fn expects(self, status: u16) -> Self {
        self.option(&["-set", "expect", &status.to_string()])
    }

    /// Any further option.
    pub fn option(mut self, words: &[&str]) -> Self {
        self.options.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Starts the calls; one after the other unless an option says otherwise.
    pub fn start(&self) -> anyhow::Result<Process> {
        std::fs::create_dir_all(&self.folder)?;
        let users = self.folder.join(format!("{}.csv", self.call_id));
        std::fs::write(&users, format!("SEQUENTIAL\n{}\n", self.lines.join("\n")))?;
        let mut command = sipp(&self.folder, &format!("{}.xml", self.scenario));
        command.arg(format!("127.0.0.1:{}", self.switch_port)).arg("-inf").arg(&users);
        let (port, media) = (free_udp_port()?.to_string(), free_media_port()?.to_string());
        if !self.options.iter().any(|option| option == "-i") {
            command.args(["-i", "127.0.0.1"]);
        }
        command.args(["-p", &port, "-mp", &media]);
        if !self.options.iter().any(|option| option == "-cid_str") {
            command.args(["-cid_str", &format!("{}-%u", self.call_id)]);
        }
        if !self.options.iter().any(|option| option == "-m") {
            command.args(["-m", &self.lines.len().max(1).to_string()]);
        }
        command.args(["-timeout", "150", "-timeout_error"]).args(&self.options);
        Process::start(
            &format!("sipp {}", self.scenario),
            &mut command,
            &self.folder.join(format!("{}.log", self.call_id)),
        )
    }

    /// Makes the calls and waits for their end.
    pub fn run(&self, limit: Duration) -> anyhow::Result<Outcome> {
        let status = self.start()?.wait(limit)?;
        Ok(if status.success() { Outcome::Passed } else { Outcome::Failed(status.code().unwrap_or(-1)) })
    }
}

fn sipp(folder: &Path, scenario: &str) -> Command {
    let mut command = Command::new("sipp");
    command.arg("-sf").arg(repository().join("sipp-scenarios").join(scenario)).arg("-nostdin");
    command.args(["-trace_err", "-error_file"]).arg(folder.join(format!("{scenario}.errors")));
    command.current_dir(folder);
    command
}
