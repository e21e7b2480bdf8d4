//! A switch that plays calls: its event socket, one thread with a runtime of its own.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use benches::machine::thread_cpu_us;
use bytes::BytesMut;
use futures_util::StreamExt;
use protocol_codecs::esl::{SwitchCodec, SwitchFrame};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::codec::{Encoder, FramedRead};

use crate::script::{Call, Moment, Script};

/// What it plays.
#[derive(Debug, Clone)]
pub struct Plan {
    /// New calls a second.
    pub rate: u32,
    /// All calls.
    pub calls: u32,
    /// Calls go on by themselves, for somebody who only reads.
    pub by_itself: bool,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Played {
    /// From a park to the transfer that lets the call go on, in microseconds.
    pub delays_us: Vec<u64>,
    /// Calls that were answered, by channel: account and talk in milliseconds.
    pub talked: HashMap<String, (String, u64)>,
    /// Calls that were refused or ended by the agent; none should.
    pub refused: u32,
    /// Subscriptions; more than one: a connection broke.
    pub subscriptions: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Processor time of its thread in microseconds.
    pub cpu_us: u64,
}

/// A double that waits for the word to begin.
#[derive(Debug)]
pub struct Double {
    /// Where clients connect.
    pub address: SocketAddr,
    begin: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<Played>>,
}

impl Double {
    /// Listens on a free port.
    pub fn start(plan: Plan, script: Arc<Script>) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (begin, begun) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async move {
                let (said_by, said) = mpsc::unbounded_channel();
                tokio::spawn(accept(TcpListener::from_std(listener)?, said_by));
                Switch::new(plan, script).play(said, begun).await
            })
        });
        Ok(Self { address, begin, thread })
    }

    /// Plays all calls and returns when the last is over.
    pub fn play(self) -> anyhow::Result<Played> {
        self.begin.send(()).map_err(|()| anyhow::anyhow!("the double has ended"))?;
        self.thread.join().map_err(|_| anyhow::anyhow!("the double panicked"))?
    }
}

type Writer = mpsc::UnboundedSender<Vec<u8>>;

async fn accept(listener: TcpListener, said_by: mpsc::UnboundedSender<(Writer, String)>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, said_by.clone()));
    }
}

async fn serve(stream: TcpStream, said_by: mpsc::UnboundedSender<(Writer, String)>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (reading, mut writing) = stream.into_split();
    let (writer, mut to_write) = mpsc::unbounded_channel::<Vec<u8>>();
    let mut commands = FramedRead::new(reading, SwitchCodec);
    // A client that is gone reads nothing.
    writer.send(encoded(&SwitchFrame::AuthRequest)).unwrap_or_default();
    loop {
        tokio::select! {
            Some(bytes) = to_write.recv() => if writing.write_all(&bytes).await.is_err() { return },
            command = commands.next() => match command {
                Some(Ok(command)) => said_by.send((writer.clone(), command)).unwrap_or_default(),
                Some(Err(_)) | None => return,
            },
        }
    }
}

fn encoded(frame: &SwitchFrame) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    SwitchCodec.encode(frame, &mut bytes).map(|()| bytes.to_vec()).unwrap_or_default()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Park,
    Alert,
    Answer,
    End,
}

struct Switch {
    plan: Plan,
    script: Arc<Script>,
    events: Option<Writer>,
    due: BinaryHeap<Reverse<(Instant, u32, Step)>>,
    /// By number.
    calls: HashMap<u32, Call>,
    /// Number and time of the park, by channel, of calls that wait.
    parked: HashMap<String, (u32, Instant)>,
    live: HashMap<String, u32>,
    played: Played,
}

impl Switch {
    fn new(plan: Plan, script: Arc<Script>) -> Self {
        Self {
            plan,
            script,
            events: None,
            due: BinaryHeap::new(),
            calls: HashMap::new(),
            parked: HashMap::new(),
            live: HashMap::new(),
            played: Played::default(),
        }
    }

    async fn play(
        mut self,
        mut said: mpsc::UnboundedReceiver<(Writer, String)>,
        mut begin: oneshot::Receiver<()>,
    ) -> anyhow::Result<Played> {
        loop {
            tokio::select! {
                Some((writer, command)) = said.recv() => self.command(&writer, &command),
                begun = &mut begin => { begun.context("nobody wants it any more")?; break }
            }
        }
        let (started, cpu_us) = (Instant::now(), thread_cpu_us());
        for number in 0..self.plan.calls {
            let at = started + Duration::from_micros(u64::from(number) * 1_000_000 / u64::from(self.plan.rate.max(1)));
            self.due.push(Reverse((at, number, Step::Park)));
        }
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        while !(self.due.is_empty() && self.parked.is_empty()) {
            let due = self.due.peek().map_or_else(|| Instant::now() + HEARTBEAT, |Reverse((at, _, _))| *at);
            tokio::select! {
                Some((writer, command)) = said.recv() => self.command(&writer, &command),
                () = sleep_until(due) => self.carry_out(),
                _ = heartbeat.tick() => self.say(frame(&json!({"Event-Name": "HEARTBEAT", "Core-UUID": CORE, "Event-Date-Timestamp": now_us().to_string()}).to_string())),
            }
            anyhow::ensure!(started.elapsed() < LONGEST, "{} calls still wait for an answer", self.parked.len());
        }
        self.played.cpu_us = thread_cpu_us().saturating_sub(cpu_us);
        // The agent has its last answers to come; who only reads closes when all is read, however slow.
        let end = Instant::now() + if self.plan.by_itself { LONGEST } else { LINGER };
        loop {
            let read = self.plan.by_itself && self.events.as_ref().is_none_or(mpsc::UnboundedSender::is_closed);
            if read || Instant::now() >= end {
                return Ok(self.played);
            }
            tokio::select! {
                Some((writer, command)) = said.recv() => self.command(&writer, &command),
                () = tokio::time::sleep(GLANCE) => {}
            }
        }
    }

    fn carry_out(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, _, _))) = self.due.peek()
            && *at <= now
        {
            let Some(Reverse((at, number, step))) = self.due.pop() else { return };
            self.step(at, number, step);
        }
    }

    fn step(&mut self, at: Instant, number: u32, step: Step) {
        let talk_ms = talk_ms(number);
        match step {
            Step::Park => {
                let call = call(number);
                self.parked.insert(call.unique_id.clone(), (number, Instant::now()));
                self.live.insert(call.unique_id.clone(), number);
                self.calls.insert(number, call);
                self.tell(number, Moment::Park);
                if self.plan.by_itself {
                    self.goes_on(number);
                }
            }
            Step::Alert => {
                self.tell(number, Moment::Alert);
                self.due.push(Reverse((at + RINGING, number, Step::Answer)));
            }
            Step::Answer => {
                if let Some(call) = self.calls.get_mut(&number) {
                    call.answered_us = now_us();
                    call.hangup_us = call.answered_us + i64::from(talk_ms) * 1000;
                    self.played.talked.insert(call.unique_id.clone(), (call.account.clone(), u64::from(talk_ms)));
                }
                self.tell(number, Moment::Answer);
                self.due.push(Reverse((Instant::now() + Duration::from_millis(u64::from(talk_ms)), number, Step::End)));
            }
            Step::End => {
                self.tell(number, Moment::End);
                if let Some(call) = self.calls.remove(&number) {
                    self.live.remove(&call.unique_id);
                }
            }
        }
    }

    fn goes_on(&mut self, number: u32) {
        if let Some(call) = self.calls.get(&number) {
            self.parked.remove(&call.unique_id);
            self.due.push(Reverse((Instant::now(), number, Step::Alert)));
        }
    }

    fn tell(&mut self, number: u32, moment: Moment) {
        let Some(call) = self.calls.get(&number) else { return };
        let frames = self.script.frames(moment, call, now_us());
        if !frames.is_empty() {
            self.say(frames);
        }
    }

    fn say(&mut self, frames: Vec<u8>) {
        self.played.bytes += frames.len() as u64;
        if let Some(events) = &self.events {
            // Should the client be gone, a further subscription tells it.
            events.send(frames).unwrap_or_default();
        }
    }

    fn command(&mut self, writer: &Writer, command: &str) {
        let (word, rest) = command.split_once([' ', '\n']).unwrap_or((command, ""));
        let answer = match word {
            "event" => {
                self.events = Some(writer.clone());
                self.played.subscriptions += 1;
                encoded(&SwitchFrame::Reply("+OK event listener enabled json".into()))
            }
            "bgapi" => {
                let job = json!({"Event-Name": "BACKGROUND_JOB", "Core-UUID": CORE, "Event-Date-Timestamp": now_us().to_string(), "Job-UUID": "job"});
                let mut frames = encoded(&SwitchFrame::JobReply("job".into()));
                frames.extend(frame(&job.to_string()));
                frames
            }
            "api" => encoded(&SwitchFrame::Api(self.api(rest))),
            _ => encoded(&SwitchFrame::Reply("+OK".into())),
        };
        writer.send(answer).unwrap_or_default();
    }

    fn api(&mut self, call: &str) -> String {
        let words: Vec<&str> = call.split(' ').collect();
        match words.as_slice() {
            ["show", ..] => json!({"row_count": 0}).to_string(),
            ["version", ..] => "FreeSWITCH Version 1.11.2\n".into(),
            ["uuid_exists", channel, ..] => self.live.contains_key(*channel).to_string(),
            ["uuid_transfer", channel, _, _, context] => {
                self.transferred(channel, context);
                "+OK\n".into()
            }
            ["uuid_kill", channel, ..] => {
                self.played.refused += 1;
                self.parked.remove(*channel);
                "+OK\n".into()
            }
            _ => "+OK\n".into(),
        }
    }

    fn transferred(&mut self, channel: &str, context: &str) {
        let Some((number, parked)) = self.parked.remove(channel) else { return };
        self.played.delays_us.push(u64::try_from(parked.elapsed().as_micros()).unwrap_or(u64::MAX));
        if context == "tollkeeper_admitted" {
            self.due.push(Reverse((Instant::now(), number, Step::Alert)));
        } else {
            self.played.refused += 1;
        }
    }
}

/// 2.1 to 8 s, so that ends come among beginnings.
fn talk_ms(number: u32) -> u32 {
    2_100 + number.wrapping_mul(7_919) % 5_900
}

fn call(number: u32) -> Call {
    let created_us = now_us();
    Call {
        unique_id: format!("a0000000-0000-4000-8000-{number:012x}"),
        other_id: format!("b0000000-0000-4000-8000-{number:012x}"),
        account: account(number % ACCOUNTS),
        created_us,
        answered_us: 0,
        hangup_us: 0,
    }
}

/// Name of an account.
pub fn account(number: u32) -> String {
    format!("load{number:03}")
}

fn frame(body: &str) -> Vec<u8> {
    format!("Content-Length: {}\nContent-Type: text/event-json\n\n{body}", body.len()).into_bytes()
}

fn now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_micros()).ok())
        .unwrap_or(0)
}

/// Who calls, in turn.
pub const ACCOUNTS: u32 = 50;
const CORE: &str = "e6bd3949-49ae-4ab0-b2b1-0029a7a995ce";
const HEARTBEAT: Duration = Duration::from_secs(20);
const RINGING: Duration = Duration::from_millis(50);
const GLANCE: Duration = Duration::from_millis(50);
const LINGER: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(300);
