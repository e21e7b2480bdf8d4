//! Answers a second of server processor time: our server and the crate's, each in a process of its own, one after the other, asked by the
//! same replayer over one loopback connection with 64 requests on the way.
//!
//! Ours has everything but a charging core: peers, routing, duplicates, sessions, records in a journal; the charging backend grants what
//! is asked at once. Twice: updates of 64 sessions, and first requests, each of a new session with its START record. The crate's server
//! decodes and answers with three groups, and knows nothing of peers, sessions or copies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bench_diameter::{hundredths, recorded_ccr};

mod crates;
mod ours;

/// As the production binary has it; both servers get it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WINDOW: usize = 64;
const SECONDS: u64 = 4;
const ROUNDS: usize = 3;

fn main() -> anyhow::Result<ExitCode> {
    let recorded = recorded_ccr()?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, which] = &words[..]
        && serve == "serve"
    {
        self::serve(which, &recorded)?;
        return Ok(ExitCode::SUCCESS);
    }
    let met = compare(&recorded)?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    println!("diameter: load {}", load.trim());
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a child does: prints its port, and serves until it is ended.
fn serve(which: &str, recorded: &[u8]) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match which {
        "ours" => runtime.block_on(ours::serve()),
        _ => runtime.block_on(crates::serve(recorded)),
    }
}

/// Both in turn; tells the best of each, and whether ours is twice as fast.
fn compare(recorded: &[u8]) -> anyhow::Result<bool> {
    let rows = [("crate", false), ("ours", false), ("ours", true)];
    let mut best = [(0_u64, 0_u64); 3];
    for _ in 0..ROUNDS {
        for ((which, begins), best) in rows.iter().zip(&mut best) {
            let now = measure(which, recorded, *begins)?;
            *best = (*best).max(now);
        }
    }
    let [theirs, updates, begins] = best;
    let told = [
        ("crate diameter, no sessions", theirs),
        ("tollkeeper, updates", updates),
        ("tollkeeper, new sessions with records", begins),
    ];
    for (name, (by_cpu, by_time)) in told {
        println!("diameter: server: {name}: {by_cpu} answers a second of its processor time, {by_time}/s");
    }
    let times = hundredths(updates.0, theirs.0);
    println!("diameter: server: {}.{:02} times, goal 2.00", times / 100, times % 100);
    Ok(times >= 200)
}

/// Answers a second of processor time, and a second.
fn measure(which: &str, recorded: &[u8], begins: bool) -> anyhow::Result<(u64, u64)> {
    let mut server = Server::start(which)?;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port))?;
    stream.set_nodelay(true)?;
    let mut replay = Replay::new(recorded)?;
    if which == "ours" {
        replay.capabilities(&mut stream)?;
    }
    if !begins {
        replay.begin(&mut stream)?;
    }
    // Warm.
    replay.run(&mut stream, Duration::from_millis(500), begins)?;
    let (cpu, begun) = (server.cpu_ms()?, Instant::now());
    let answers = replay.run(&mut stream, Duration::from_secs(SECONDS), begins)?;
    let elapsed = u64::try_from(begun.elapsed().as_millis())?.max(1);
    let cpu = server.cpu_ms()?.saturating_sub(cpu).max(1);
    server.child.kill()?;
    server.child.wait()?;
    Ok((answers * 1_000 / cpu, answers * 1_000 / elapsed))
}

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(which: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?).args(["serve", which]).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        let port = line.trim().parse().with_context(|| format!("{which} says {line:?}"))?;
        Ok(Self { child, port })
    }

    /// User and system time, in steps of 10 ms.
    fn cpu_ms(&self) -> anyhow::Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let behind_name = stat.rsplit_once(')').context("stat")?.1;
        let fields: Vec<&str> = behind_name.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(ticks * 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The recorded message again and again, with identifiers, session, type and number of its own.
struct Replay {
    message: Vec<u8>,
    session: usize,
    request_type: usize,
    request_number: usize,
    sent: u32,
    out: Vec<u8>,
    read: Vec<u8>,
    held: usize,
}

impl Replay {
    fn new(recorded: &[u8]) -> anyhow::Result<Self> {
        let place = |head: [u8; 8]| {
            recorded
                .windows(8)
                .position(|bytes| bytes == head)
                .map(|at| at + 8)
                .context("an AVP of the recorded message")
        };
        Ok(Self {
            message: recorded.to_vec(),
            // The last eight digits of the Session-Id, which comes first.
            session: 20 + 49 - 8,
            request_type: place([0, 0, 1, 0xA0, 0x40, 0, 0, 12])?,
            request_number: place([0, 0, 1, 0x9F, 0x40, 0, 0, 12])?,
            sent: 0,
            out: Vec::new(),
            read: vec![0; 1 << 20],
            held: 0,
        })
    }

    fn capabilities(&mut self, stream: &mut TcpStream) -> anyhow::Result<()> {
        stream.write_all(&ours::cer()?)?;
        self.answers(stream, 1)
    }

    /// The sessions that are updated.
    fn begin(&mut self, stream: &mut TcpStream) -> anyhow::Result<()> {
        for session in 0..WINDOW {
            self.put(u32::try_from(session)?, 1, 0);
        }
        self.flush(stream)?;
        self.answers(stream, WINDOW)
    }

    fn run(&mut self, stream: &mut TcpStream, time: Duration, begins: bool) -> anyhow::Result<u64> {
        let (begun, mut answered) = (Instant::now(), 0_u64);
        for _ in 0..WINDOW {
            self.next(begins);
        }
        self.flush(stream)?;
        let mut on_the_way = WINDOW;
        while on_the_way > 0 {
            let answers = self.receive(stream)?;
            on_the_way -= answers;
            answered += u64::try_from(answers)?;
            if begun.elapsed() < time {
                for _ in 0..answers {
                    self.next(begins);
                }
                on_the_way += answers;
                self.flush(stream)?;
            }
        }
        Ok(answered)
    }

    fn next(&mut self, begins: bool) {
        let window = WINDOW as u32;
        if begins {
            self.put(0x1000_0000 + self.sent, 1, 0)
        } else {
            self.put(self.sent % window, 2, 1 + self.sent / window)
        }
    }

    fn put(&mut self, session: u32, request_type: u32, number: u32) {
        self.sent += 1;
        let message = &mut self.message;
        message[12..16].copy_from_slice(&self.sent.to_be_bytes());
        message[16..20].copy_from_slice(&self.sent.to_be_bytes());
        message[self.session..self.session + 8].copy_from_slice(format!("{session:08x}").as_bytes());
        message[self.request_type..self.request_type + 4].copy_from_slice(&request_type.to_be_bytes());
        message[self.request_number..self.request_number + 4].copy_from_slice(&number.to_be_bytes());
        self.out.extend_from_slice(message);
    }

    fn flush(&mut self, stream: &mut TcpStream) -> anyhow::Result<()> {
        stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    fn answers(&mut self, stream: &mut TcpStream, mut wanted: usize) -> anyhow::Result<()> {
        while wanted > 0 {
            wanted -= self.receive(stream)?;
        }
        Ok(())
    }

    /// Reads once; how many answers came, all of them with 2001.
    fn receive(&mut self, stream: &mut TcpStream) -> anyhow::Result<usize> {
        let read = stream.read(&mut self.read[self.held..])?;
        ensure!(read > 0, "the server hung up");
        self.held += read;
        let (mut at, mut answers) = (0, 0);
        while self.held - at >= 4 {
            let length = u32::from_be_bytes([0, self.read[at + 1], self.read[at + 2], self.read[at + 3]]) as usize;
            if self.held - at < length {
                break;
            }
            let message = &self.read[at..at + length];
            let succeeded = [0, 0, 1, 0x0C, 0x40, 0, 0, 12, 0, 0, 0x07, 0xD1];
            ensure!(message.windows(12).any(|bytes| bytes == succeeded), "an answer without 2001: {message:02x?}");
            at += length;
            answers += 1;
        }
        self.read.copy_within(at..self.held, 0);
        self.held -= at;
        Ok(answers)
    }
}
