//! Events a second of FreeSWITCH's event socket through our codec and through the crate freeswitch-esl-tokio, side by
//! side in one run: recorded json events over a loopback connection, and of each event the fields that an agent reads.
//!
//! Both read on one thread, whose processor time counts (the machine may be busy with other things); what the socket
//! alone costs is measured too. Both must have read the same values. Fails when a goal is missed.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::BytesMut;
use freeswitch_esl_tokio::connection::{EslConnectOptions, EventOverflow};
use freeswitch_esl_tokio::{EslClient, EslEvent};
use futures_util::{SinkExt, StreamExt};
use protocol_codecs::esl::{Command, ContentType, EslCodec, Event, Frame, FrameScanner};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;
use tokio_util::codec::{Decoder, Framed};

const EVENTS: usize = 30_000;
const ROUNDS: usize = 5;
const READ_BYTES: usize = 65_536;
const GOAL_TIMES_FASTER: u64 = 3;

/// Headers and variables that an agent reads of an event.
const HEADERS: &[&str] = &[
    "Unique-ID",
    "Core-UUID",
    "Event-Date-Timestamp",
    "Call-Direction",
    "Other-Leg-Unique-ID",
    "Channel-Name",
    "Caller-Username",
    "Caller-Caller-ID-Number",
    "Caller-Destination-Number",
    "Caller-Network-Addr",
    "Caller-Channel-Created-Time",
    "Caller-Channel-Answered-Time",
    "Caller-Channel-Hangup-Time",
    "Hangup-Cause",
];
const VARIABLES: &[&str] = &[
    "accountcode",
    "sip_auth_username",
    "cgr_account",
    "originating_leg_uuid",
    "sip_req_user",
    "sip_call_id",
    "sip_user_agent",
    "sip_from_uri",
    "rtp_use_codec_name",
    "billusec",
    "rtp_audio_in_mos",
    "rtp_audio_in_jitter_max_variance",
];

fn main() -> anyhow::Result<ExitCode> {
    let stream = recorded_events()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut best: [Option<Measured>; 3] = [None; 3];
    for _ in 0..ROUNDS {
        let round = [socket_only(&runtime, &stream)?, ours(&runtime, &stream)?, theirs(&runtime, &stream)?];
        ensure!(round[1].read == round[2].read, "not the same values: {:?} and {:?}", round[1].read, round[2].read);
        for (best, now) in best.iter_mut().zip(round) {
            *best = Some(best.filter(|best| best.cpu_ns <= now.cpu_ns).unwrap_or(now));
        }
    }
    let [Some(socket), Some(ours), Some(theirs)] = best else { bail!("no round was run") };
    println!("esl_decode: {EVENTS} json events, {} bytes, {} fields looked for in each", stream.len(), fields_read());
    ours.print("tollkeeper", &socket, stream.len());
    theirs.print("freeswitch-esl-tokio", &socket, stream.len());
    let rounds = (0..ROUNDS).map(|_| in_memory(&stream)).collect::<anyhow::Result<Vec<u64>>>()?;
    let in_memory = rounds.into_iter().max().unwrap_or(0);
    println!("esl_decode: tollkeeper in memory, without any socket: {in_memory} events/s");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let times = hundredths(theirs.cpu_ns, ours.cpu_ns);
    let decoding = hundredths(theirs.without(&socket), ours.without(&socket));
    println!("esl_decode: {times} times its events/s, {decoding} without the socket; load {}", load.trim());
    let fast = theirs.cpu_ns >= ours.cpu_ns.saturating_mul(GOAL_TIMES_FASTER);
    let lean = ours.allocations < theirs.allocations;
    Ok(if fast && lean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Processor time and allocations of the reading thread for all events.
#[derive(Debug, Clone, Copy)]
struct Measured {
    cpu_ns: u64,
    allocations: u64,
    read: Values,
}

/// What was read, so that both can be compared: fields found and their bytes, and the sum of all talk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Values {
    events: usize,
    fields: usize,
    bytes: usize,
    talk_us: u64,
}

impl Values {
    fn field(&mut self, text: Option<&str>) {
        if let Some(text) = black_box(text) {
            self.fields += 1;
            self.bytes += text.len();
        }
    }
}

impl Measured {
    fn print(&self, name: &str, socket: &Self, stream_bytes: usize) {
        let per_s = |amount: usize| u128::from(amount as u64) * 1_000_000_000 / u128::from(self.cpu_ns.max(1));
        println!(
            "esl_decode: {name}: {} events/s, {} MB/s, {} us an event ({} without the socket), {} allocations an event",
            per_s(EVENTS),
            per_s(stream_bytes) / 1_000_000,
            hundredths(self.cpu_ns, EVENTS as u64 * 1_000),
            hundredths(self.without(socket), EVENTS as u64 * 1_000),
            hundredths(self.allocations, EVENTS as u64),
        );
    }

    fn without(&self, socket: &Self) -> u64 {
        self.cpu_ns.saturating_sub(socket.cpu_ns)
    }
}

fn fields_read() -> usize {
    HEADERS.len() + VARIABLES.len()
}

fn hundredths(amount: u64, of: u64) -> String {
    let value = amount.saturating_mul(100) / of.max(1);
    format!("{}.{:02}", value / 100, value % 100)
}

/// Runs one reader while another thread feeds it; counts this thread's time and allocations.
fn measure<R>(runtime: &Runtime, stream: &[u8], read: R) -> anyhow::Result<Measured>
where
    R: AsyncFnOnce(u16) -> anyhow::Result<Values>,
{
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let feeder = feed(listener, stream.to_vec());
    let (mut outcome, started) = (None, thread_cpu_ns());
    let counted = allocation_counter::measure(|| outcome = Some(runtime.block_on(read(port))));
    let cpu_ns = thread_cpu_ns().saturating_sub(started);
    let read = outcome.context("the reader ran")??;
    feeder.join().map_err(|_| anyhow::anyhow!("the feeder panicked"))??;
    Ok(Measured { cpu_ns, allocations: counted.count_total, read })
}

/// A switch that asks for a password, accepts any, and sends the stream.
fn feed(listener: TcpListener, stream: Vec<u8>) -> JoinHandle<anyhow::Result<()>> {
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept()?;
        socket.write_all(b"Content-Type: auth/request\n\n")?;
        read_command(&mut socket)?;
        socket.write_all(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n")?;
        socket.write_all(&stream)?;
        socket.shutdown(std::net::Shutdown::Write)?;
        // Until the reader closes: what it may still say is of no interest.
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        while socket.read(&mut [0; 256]).is_ok_and(|bytes| bytes > 0) {}
        Ok(())
    })
}

fn read_command(socket: &mut TcpStream) -> anyhow::Result<()> {
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(b"\n\n") {
        socket.read_exact(&mut byte)?;
        said.extend_from_slice(&byte);
    }
    Ok(())
}

fn socket_only(runtime: &Runtime, stream: &[u8]) -> anyhow::Result<Measured> {
    measure(runtime, stream, async |port| {
        let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        tokio::io::AsyncWriteExt::write_all(&mut socket, b"auth x\n\n").await?;
        let mut buffer = vec![0; READ_BYTES];
        while socket.read(&mut buffer).await? > 0 {
            black_box(&buffer);
        }
        Ok(Values::default())
    })
}

fn ours(runtime: &Runtime, stream: &[u8]) -> anyhow::Result<Measured> {
    measure(runtime, stream, async |port| {
        let socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        let mut framed = Framed::with_capacity(socket, EslCodec::new(), READ_BYTES);
        framed.send(Command::Auth { password: "x".into() }).await?;
        let mut values = Values::default();
        while let Some(item) = framed.next().await {
            if let Frame::Event(event) = item?? {
                our_fields(&event, &mut values)?;
            }
        }
        Ok(values)
    })
}

fn our_fields(event: &Event, values: &mut Values) -> anyhow::Result<()> {
    values.events += 1;
    values.field(event.name().map(|name| name.as_str()));
    HEADERS.iter().for_each(|name| values.field(event.text(name)));
    VARIABLES.iter().for_each(|name| values.field(event.variable(name)));
    if let (Some(answered), Some(hangup)) = (event.answered_us()?, event.hangup_us()?) {
        values.talk_us += u64::try_from(hangup - answered)?;
    }
    Ok(())
}

fn theirs(runtime: &Runtime, stream: &[u8]) -> anyhow::Result<Measured> {
    // A full queue makes its reader wait instead of dropping events.
    let options = EslConnectOptions::new().with_event_overflow(EventOverflow::BlockFor(Duration::from_secs(60)));
    measure(runtime, stream, async move |port| {
        let (_client, mut events) = EslClient::connect_with_options("127.0.0.1", port, "x", options).await?;
        let mut values = Values::default();
        while let Some(event) = events.recv().await {
            their_fields(&event?, &mut values)?;
        }
        Ok(values)
    })
}

fn their_fields(event: &EslEvent, values: &mut Values) -> anyhow::Result<()> {
    values.events += 1;
    values.field(event.event_type().map(|name| name.as_str()));
    HEADERS.iter().for_each(|name| values.field(event.header_str(name)));
    VARIABLES.iter().for_each(|name| values.field(event.variable_str(name)));
    let micros = |name| -> anyhow::Result<u64> { Ok(event.header_str(name).unwrap_or("0").parse()?) };
    let (answered, hangup) = (micros("Caller-Channel-Answered-Time")?, micros("Caller-Channel-Hangup-Time")?);
    if answered != 0 && hangup != 0 {
        values.talk_us += hangup - answered;
    }
    Ok(())
}

/// Events a second without any socket, in pieces as a socket gives them.
fn in_memory(stream: &[u8]) -> anyhow::Result<u64> {
    let (mut codec, mut buffer) = (EslCodec::new(), BytesMut::with_capacity(2 * READ_BYTES));
    let mut values = Values::default();
    let started = thread_cpu_ns();
    for piece in stream.chunks(READ_BYTES) {
        buffer.extend_from_slice(piece);
        while let Some(item) = codec.decode(&mut buffer)? {
            if let Frame::Event(event) = item? {
                our_fields(&event, &mut values)?;
            }
        }
    }
    let cpu_ns = thread_cpu_ns().saturating_sub(started).max(1);
    Ok(black_box(values).events as u64 * 1_000_000_000 / cpu_ns)
}

/// Every json event of the recordings, in turn, as many as are wanted. Those with Latin-1 names are left out: both read
/// them, but mark the damage differently.
fn recorded_events() -> anyhow::Result<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol-codecs/tests/captures/freeswitch");
    let mut paths: Vec<_> =
        std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    paths.retain(|path| path.to_string_lossy().ends_with(".s2c.raw"));
    paths.sort();
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for path in paths {
        let bytes = std::fs::read(&path)?;
        let (mut scanner, mut rest) = (FrameScanner::default(), bytes.as_slice());
        while let Ok(Some(span)) = scanner.scan(rest) {
            let (frame, after) = rest.split_at(span.consumed);
            let is_channel = std::str::from_utf8(frame).is_ok_and(|text| text.contains("\"Unique-ID\""));
            if span.content_type == Some(ContentType::EventJson) && is_channel {
                frames.push(frame.to_vec());
            }
            rest = after;
        }
    }
    ensure!(frames.len() > 100, "only {} recorded events", frames.len());
    Ok(frames.iter().cycle().take(EVENTS).flatten().copied().collect())
}

fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0))
}
