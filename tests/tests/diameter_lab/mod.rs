//! What the tests with real Diameter programs share: tollkeeper as the charging server, python-diameter as a packet gateway,
//! freeDiameterd as a relay, and what went over the wire, for tshark.
#![allow(dead_code, reason = "each test program uses its own part of this")]

pub mod raw;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use demo::lab::{Tollkeeper, eventually, free_tcp_port, repository};
use serde_json::{Value, json};

pub const MB: u64 = 1_000_000;
pub const DATA: &str = "32251@3gpp.org";
pub const SMS: &str = "32274@3gpp.org";
const PATIENCE: Duration = Duration::from_secs(30);

/// How the charging server is set up.
pub struct Setup {
    /// Our Origin-Host; the realm is always example.net.
    pub origin_host: &'static str,
    /// Further keys of the agent.
    pub agent: String,
    /// The accounts: id, identity, balance.
    pub accounts: Vec<(&'static str, String, &'static str)>,
}

impl Default for Setup {
    fn default() -> Self {
        let peers = r#"peers = [{ host = "pgw.example.net", addresses = ["127.0.0.0/8"] }, { host = "dra.example.net", relay = true }]"#;
        Self { origin_host: "ocs.example.net", agent: peers.to_owned(), accounts: Vec::new() }
    }
}

/// The charging server, with the account 49170, data at 0.10 (group 10) and 0.01 (group 20) a megabyte, calls to Germany at 0.01 a
/// second.
pub struct Server {
    pub tollkeeper: Tollkeeper,
    pub port: u16,
    pub folder: PathBuf,
}

impl Server {
    pub fn start(name: &str, balance: &'static str) -> anyhow::Result<Self> {
        let accounts = vec![("alice", "e164:+49170".to_owned(), balance)];
        Self::with(name, &Setup { accounts, ..Setup::default() })
    }

    pub fn with(name: &str, setup: &Setup) -> anyhow::Result<Self> {
        let folder = empty_folder(name)?;
        write_tariff(&folder.join("tariff"))?;
        let port = free_tcp_port()?;
        let config = format!(
            r#"data_dir = "data"
[http]
listen = "127.0.0.1:0"
[core]
listen = "127.0.0.1:0"
tariff = {{ folder = "tariff", currency = "EUR" }}
[[journal.sink]]
kind = "json-lines"
path = "records.jsonl"
{}"#,
            agent(setup, port)
        );
        let tollkeeper = Tollkeeper::start(&folder, &config)?;
        for (id, identity, balance) in &setup.accounts {
            tollkeeper.cli(&["account", "create", id, "--balance", balance, "--identity", identity])?;
        }
        Ok(Self { tollkeeper, port, folder })
    }

    /// (balance, held) of an account.
    pub fn account(&self, id: &str) -> anyhow::Result<(String, String)> {
        let shown = self.tollkeeper.json(&["account", "show", id])?;
        let text = |key: &str| shown[key].as_str().unwrap_or_default().to_owned();
        Ok((text("balance"), text("held")))
    }

    pub fn balance(&self) -> anyhow::Result<(String, String)> {
        self.account("alice")
    }

    /// (type, sequence, cost) of a session's records.
    pub fn records(&self, session: &str) -> anyhow::Result<Vec<(String, u64, String)>> {
        let records = self.tollkeeper.records(&["--session-id", session])?;
        let row = |record: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let sequence = record["recordSequence"].as_u64().unwrap_or(u64::MAX);
            (text(&record["recordType"]), sequence, text(&record["cost"]["amount"]))
        };
        Ok(records.iter().map(row).collect())
    }

    /// Waits until so many peers are connected.
    pub fn wait_peers(&self, peers: u64) -> anyhow::Result<()> {
        let wanted = format!("tollkeeper_diameter_connections_open{{switch=\"gy\"}} {peers}");
        eventually("the peers connecting", PATIENCE, || {
            let metrics = self.tollkeeper.get("/metrics").ok()?;
            metrics.lines().any(|line| line == wanted).then_some(())
        })
    }
}

/// A folder for one test, without what an earlier run left.
pub fn empty_folder(name: &str) -> anyhow::Result<PathBuf> {
    let folder = repository().join("target/e2e").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Data, messages and calls.
pub fn write_tariff(folder: &Path) -> anyhow::Result<()> {
    let files = [
        ("Destinations.csv", "DE,49\n"),
        (
            "Rates.csv",
            "R1,0,0.01,1s,1s,0s\nMB10,0,0.10,1000000,1000000,0\nMB1,0,0.01,1000000,1000000,0\nSMS,0,0.08,1,1,0\n",
        ),
        (
            "DestinationRates.csv",
            "DRV,DE,R1,*up,4,0,\nDRD,*any,MB10,*up,4,0,\nDRC,*any,MB1,*up,4,0,\nDRS,*any,SMS,*up,4,0,\n",
        ),
        ("RatingPlans.csv", "RPV,DRV,*any,10\nRPD,DRD,*any,10\nRPC,DRC,*any,10\nRPS,DRS,*any,10\n"),
        (
            "RatingProfiles.csv",
            "default,call,*any,,RPV,\ndefault,data,*any,,RPD,\ndefault,data_cheap,*any,,RPC,\ndefault,sms,*any,,RPS,\n",
        ),
    ];
    std::fs::create_dir_all(folder)?;
    for (file, text) in files {
        std::fs::write(folder.join(file), text)?;
    }
    Ok(())
}

/// The agent's table.
pub fn agent(setup: &Setup, port: u16) -> String {
    format!(
        r#"[[agent]]
kind = "diameter"
name = "gy"
origin_host = "{}"
origin_realm = "example.net"
listen = ["127.0.0.1:{port}"]
interim = "1ms"
numbers = {{ bare_is_international = true }}
limits = {{ watchdog = "6s" }}
services = [
    {{ context = "32251", rating_group = 10, category = "data" }},
    {{ context = "32251", rating_group = 20, category = "data_cheap" }},
    {{ context = "32260" }}, {{ context = "32274" }},
]
{}
"#,
        setup.origin_host, setup.agent
    )
}

/// python-diameter as a packet gateway.
pub struct Gateway {
    child: Child,
    input: Option<ChildStdin>,
    said: Receiver<Value>,
    log: PathBuf,
}

impl Gateway {
    /// Connects to `peer` at `port`, and asks ocs.example.net.
    pub fn start(folder: &Path, peer: &str, port: u16) -> anyhow::Result<Self> {
        let log = folder.join("gateway.log");
        let errors = std::fs::File::options().create(true).append(true).open(&log)?;
        let mut child = Command::new(tools().join("python/bin/python"))
            .arg(repository().join("tests/tools/diameter_client.py"))
            .args(["127.0.0.1", &port.to_string(), peer, "ocs.example.net"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .context("python; scripts/install-tools.sh installs what it needs")?;
        let (sender, said) = channel();
        let output = BufReader::new(child.stdout.take().context("its output")?);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Ok(value) = serde_json::from_str(&line)
                    && sender.send(value).is_err()
                {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        let gateway = Self { child, input, said, log };
        let ready = gateway.next()?;
        anyhow::ensure!(ready["ready"] == true, "the gateway says {ready}");
        Ok(gateway)
    }

    /// What it says next.
    pub fn next(&self) -> anyhow::Result<Value> {
        let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
        self.said.recv_timeout(PATIENCE).with_context(|| format!("the gateway is silent; its log: {}", log()))
    }

    pub fn send(&mut self, request: &Value) -> anyhow::Result<()> {
        let input = self.input.as_mut().context("it still runs")?;
        writeln!(input, "{request}")?;
        Ok(input.flush()?)
    }

    /// Sends a request of a data session; result code, and (group, code, granted, last) of its groups.
    pub fn ask(&mut self, session: &str, kind: u32, number: u32, groups: &[Value]) -> anyhow::Result<(u64, Value)> {
        self.send(&json!({
            "session": session, "type": kind, "number": number, "context": DATA, "msisdn": "49170", "groups": groups,
            "after": 2 * number,
        }))?;
        self.answer()
    }

    pub fn answer(&self) -> anyhow::Result<(u64, Value)> {
        let answer = self.next()?;
        let code = answer["code"].as_u64().with_context(|| format!("no answer: {answer}"))?;
        Ok((code, answer["groups"].clone()))
    }

    /// Says DPR and ends.
    pub fn leave(mut self) -> anyhow::Result<()> {
        drop(self.input.take());
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "python: {}", std::fs::read_to_string(&self.log).unwrap_or_default());
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn group(group: u32, used: u64, asked: Option<u64>) -> Value {
    let mut words = json!({ "group": group, "used": used });
    if let Some(asked) = asked {
        words["asked"] = asked.into();
    }
    words
}

/// Runs openssl.
pub fn openssl(words: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("openssl").args(words).output()?;
    anyhow::ensure!(output.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// An authority, and a certificate of it for each of these hosts: NAME.pem and NAME.key in the folder, authority.pem.
pub fn certificates(folder: &Path, hosts: &[&str]) -> anyhow::Result<()> {
    let in_folder = |name: &str| folder.join(name).display().to_string();
    let (authority, key) = (in_folder("authority.pem"), in_folder("authority.key"));
    let new = ["req", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
    openssl(&[&new[..], &["-x509", "-subj", "/CN=Example CA", "-keyout", &key, "-out", &authority]].concat())?;
    for host in hosts {
        let [request, own, cert, names] = ["csr", "key", "pem", "ext"].map(|kind| in_folder(&format!("{host}.{kind}")));
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            &format!("/CN={host}"),
            "-keyout",
            &own,
            "-out",
            &request,
        ])?;
        std::fs::write(&names, format!("subjectAltName = DNS:{host}\n"))?;
        let signed = ["-CA", &authority, "-CAkey", &key, "-CAcreateserial", "-extfile", &names, "-days", "2"];
        openssl(&[&["x509", "-req", "-in", &request, "-out", &cert][..], &signed].concat())?;
    }
    Ok(())
}

/// Between a client and the server; keeps what both said.
pub struct Tee {
    pub port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<Vec<u8>>>,
}

impl Tee {
    pub fn start(server: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let (sent, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (kept, heard) = (Arc::clone(&sent), Arc::clone(&asked));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let (Ok(from), Ok(to)) = (client.try_clone(), upstream.try_clone()) else { continue };
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || copy(from, to, Some(heard)));
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || copy(upstream, client, Some(kept)));
            }
        });
        Ok(Self { port, sent, asked })
    }

    /// What the server sent, message by message.
    pub fn messages(&self) -> Vec<Vec<u8>> {
        messages(&self.sent)
    }

    /// The same of its clients.
    pub fn asked(&self) -> Vec<Vec<u8>> {
        messages(&self.asked)
    }
}

fn messages(bytes: &Mutex<Vec<u8>>) -> Vec<Vec<u8>> {
    let bytes = bytes.lock().map(|bytes| bytes.clone()).unwrap_or_default();
    let (mut rest, mut messages) = (bytes.as_slice(), Vec::new());
    while let [_, high, middle, low, ..] = rest {
        let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
        let (message, more) = rest.split_at(length.clamp(20, rest.len().max(20)).min(rest.len()));
        messages.push(message.to_vec());
        rest = more;
    }
    messages
}

fn copy(mut from: TcpStream, mut to: TcpStream, kept: Option<Arc<Mutex<Vec<u8>>>>) {
    let mut buffer = [0; 16_384];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if let Some(Ok(mut kept)) = kept.as_ref().map(|kept| kept.lock()) {
            kept.extend_from_slice(&buffer[..length]);
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
}

/// What tshark has to say of these messages beside what they are: nothing, in good order. One line a message: its command, remarks.
pub fn tshark(folder: &Path, messages: &[Vec<u8>]) -> anyhow::Result<Vec<(String, String)>> {
    let path = folder.join("sent.pcap");
    std::fs::write(&path, capture(messages)?)?;
    let output = Command::new("tshark")
        .arg("-r")
        .arg(&path)
        .args(["-n", "-d", "tcp.port==3868,diameter", "-o", "tcp.desegment_tcp_streams:FALSE"])
        .args(["-T", "fields", "-e", "diameter.cmd.code", "-e", "_ws.expert.message"])
        .output()?;
    anyhow::ensure!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let row = |line: &str| {
        let (command, remarks) = line.split_once('\t').unwrap_or((line, ""));
        // TCP has its own remarks on a stream that begins in the middle.
        let remarks = remarks.split(',').filter(|remark| !remark.contains("onnection"));
        (command.to_owned(), remarks.collect::<Vec<_>>().join(","))
    };
    Ok(text.lines().map(row).collect())
}

/// A capture file: raw IPv4, one TCP segment a message.
fn capture(messages: &[Vec<u8>]) -> anyhow::Result<Vec<u8>> {
    let mut file = Vec::new();
    for word in [0xA1B2_C3D4_u32, 0x0002_0004, 0, 0, 0x0004_0000, 228] {
        file.extend_from_slice(&word.to_be_bytes());
    }
    let mut sequence = 1_u32;
    for (number, message) in (0_u32..).zip(messages) {
        let length = u16::try_from(40 + message.len())?;
        for word in [number, 0, u32::from(length), u32::from(length)] {
            file.extend_from_slice(&word.to_be_bytes());
        }
        file.extend_from_slice(&[0x45, 0]);
        file.extend_from_slice(&length.to_be_bytes());
        file.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2, 0x0F, 0x1C, 0x0F, 0x1C]);
        file.extend_from_slice(&sequence.to_be_bytes());
        file.extend_from_slice(&[0, 0, 0, 1, 0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0]);
        file.extend_from_slice(message);
        sequence += u32::try_from(message.len())?;
    }
    Ok(file)
}

/// Where scripts/install-tools.sh puts Python's packages.
fn tools() -> PathBuf {
    let cache = || {
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
        cache.join("tollkeeper-tools")
    };
    std::env::var_os("TOLLKEEPER_TOOLS").map_or_else(cache, PathBuf::from)
}
