//! A running tollkeeper of a test's own: its directory, free ports, and its end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a loaded machine; what waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again until there is an answer.
pub fn eventually<T>(what: &str, mut question: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The binary, without what the environment could tell it.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper"));
    command.env_remove("RUST_LOG").env_remove("TOLLKEEPER_CORE");
    command
}

/// Runs it to its end.
pub fn run(args: &[&str]) -> Finished {
    Finished::of(binary().args(args).output().expect("the binary starts"))
}

/// What a command printed, and its code.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Finished {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What it printed, if it went well.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// Its output as JSON, one value a line.
    pub fn json(self) -> Vec<Value> {
        self.ok().lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
    }
}

/// A running process; killed when dropped.
pub struct Tollkeeper {
    pub directory: TempDir,
    config: PathBuf,
    child: Child,
    endpoints: Value,
}

impl Tollkeeper {
    /// A core on free ports, and what `more` configures.
    pub fn start(more: &str) -> Self {
        Self::start_with(more, "")
    }

    /// The same, with more in `[core]`.
    pub fn start_with(more: &str, core: &str) -> Self {
        let directory = TempDir::new().expect("a directory");
        let config = directory.path().join("tollkeeper.toml");
        let text = format!(
            "data_dir = \"{}\"\n{more}\n[core]\nlisten = \"127.0.0.1:0\"\n{core}[http]\nlisten = \"127.0.0.1:0\"\n",
            directory.path().join("data").display()
        );
        std::fs::write(&config, text).expect("written");
        let (child, endpoints) = launch(&config, &directory.path().join("data"));
        Self { directory, config, child, endpoints }
    }

    /// Again with the same data.
    pub fn restart(&mut self) {
        let data = self.directory.path().join("data");
        (self.child, self.endpoints) = launch(&self.config, &data);
    }

    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data_dir().with_extension("log")).expect("a log")
    }

    fn address(&self, name: &str) -> &str {
        self.endpoints.get(name).and_then(Value::as_str).expect("an address")
    }

    /// Where its gRPC API is.
    pub fn core(&self) -> String {
        format!("http://{}", self.address("grpc"))
    }

    /// A command against it.
    pub fn cli(&self, args: &[&str]) -> Finished {
        Finished::of(binary().args(args).env("TOLLKEEPER_CORE", self.core()).output().expect("the binary starts"))
    }

    /// Status and body of an HTTP GET.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address("http")).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    /// SIGTERM, and its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.code()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("signalled");
    }

    pub fn code(&mut self) -> Option<i32> {
        eventually("its end", || self.child.try_wait().expect("a child")).code()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }
}

impl Drop for Tollkeeper {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts it and waits until it says where it listens.
fn launch(config: &Path, data: &Path) -> (Child, Value) {
    let log = std::fs::File::options().create(true).append(true).open(data.with_extension("log")).expect("a log");
    let mut command = binary();
    command.arg("run").arg("-c").arg(config).stdout(Stdio::null()).stderr(log);
    let mut child = command.spawn().expect("the binary starts");
    let pid = child.id();
    let endpoints = eventually("its start", || {
        let ended = child.try_wait().expect("a child");
        assert_eq!(ended, None, "{}", std::fs::read_to_string(data.with_extension("log")).unwrap_or_default());
        let text = std::fs::read_to_string(data.join("endpoints.json")).ok()?;
        let endpoints: Value = serde_json::from_str(&text).expect("a whole file");
        (endpoints.get("pid").and_then(Value::as_u64) == Some(u64::from(pid))).then_some(endpoints)
    });
    (child, endpoints)
}
