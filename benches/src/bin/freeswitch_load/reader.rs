//! What reading the same events costs: our codec, and the crate freeswitch-esl-tokio. Each on one thread, which also looks
//! at the fields that an agent reads; nothing is charged.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use benches::machine::{load_average, thread_cpu_us};
use freeswitch_esl_tokio::connection::{EslConnectOptions, EventOverflow};
use freeswitch_esl_tokio::{EslClient, EventFormat};
use futures_util::{SinkExt, StreamExt};
use protocol_codecs::esl::{Command, EslCodec, EventName, Frame};
use serde::Serialize;
use tokio_util::codec::Framed;

use crate::double::{Double, Plan};
use crate::script::Script;

/// Whose code reads.
#[derive(Debug, Clone, Copy)]
pub enum Who {
    /// This project's codec.
    Ours,
    /// The crate freeswitch-esl-tokio.
    Theirs,
}

impl Who {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "our codec alone",
            Self::Theirs => "freeswitch-esl-tokio alone",
        }
    }
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Whose code.
    pub reader: &'static str,
    /// Events of a call.
    pub events_per_call: usize,
    /// Events read; all that were told.
    pub events: u64,
    /// CPU of the reading thread per call.
    pub cpu_us_per_call: u64,
    /// That at this rate, in tenths of a percent of one core.
    pub cpu_permille: u64,
    /// The kernel's three load averages right after the calls.
    pub load_average: String,
}

/// Measures.
pub fn run(who: Who, rate: u32, seconds: u32, script: &Arc<Script>) -> anyhow::Result<Outcome> {
    let calls = rate * seconds;
    let double = Double::start(Plan { rate, calls, by_itself: true }, Arc::clone(script))?;
    let (address, wanted) = (double.address, u64::from(calls) * script.events() as u64);
    let (subscribed_by, subscribed) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || -> anyhow::Result<u64> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            match who {
                Who::Ours => ours(address, wanted, subscribed_by).await,
                Who::Theirs => theirs(address, wanted, subscribed_by).await,
            }
        })
    });
    subscribed.recv_timeout(Duration::from_secs(10)).context("the reader subscribes")?;
    double.play()?;
    let load_average = load_average()?;
    let cpu_us = thread.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
    let cpu_us_per_call = cpu_us / u64::from(calls).max(1);
    Ok(Outcome {
        reader: who.name(),
        events_per_call: script.events(),
        events: wanted,
        cpu_us_per_call,
        cpu_permille: cpu_us_per_call * u64::from(rate) / 1000,
        load_average,
    })
}

/// Processor time in microseconds until all were read.
async fn ours(address: SocketAddr, wanted: u64, subscribed: std::sync::mpsc::Sender<()>) -> anyhow::Result<u64> {
    let socket = tokio::net::TcpStream::connect(address).await?;
    let mut framed = Framed::with_capacity(socket, EslCodec::new(), READ_BYTES);
    framed.send(Command::Auth { password: "any".into() }).await?;
    let names = vec![EventName::ChannelPark];
    framed.send(Command::Event { format: protocol_codecs::esl::EventFormat::Json, names, subclasses: vec![] }).await?;
    let (mut read, mut replies, mut cpu_us) = (0, 0, 0);
    while read < wanted {
        match framed.next().await.context("closed")??? {
            Frame::Event(event) if event.text("Unique-ID").is_some() => {
                read += 1;
                HEADERS.iter().for_each(|name| _ = black_box(event.text(name)));
                VARIABLES.iter().for_each(|name| _ = black_box(event.variable(name)));
            }
            Frame::CommandReply(_) => {
                replies += 1;
                if replies == 2 {
                    cpu_us = thread_cpu_us();
                    subscribed.send(())?;
                }
            }
            _ => {}
        }
    }
    Ok(thread_cpu_us().saturating_sub(cpu_us))
}

async fn theirs(address: SocketAddr, wanted: u64, subscribed: std::sync::mpsc::Sender<()>) -> anyhow::Result<u64> {
    // A full queue makes its reader wait instead of dropping events.
    let options = EslConnectOptions::new().with_event_overflow(EventOverflow::BlockFor(Duration::from_secs(60)));
    let host = address.ip().to_string();
    let (client, mut events) = EslClient::connect_with_options(&host, address.port(), "any", options).await?;
    client.subscribe_events_raw(EventFormat::Json, "CHANNEL_PARK").await?;
    let cpu_us = thread_cpu_us();
    subscribed.send(())?;
    let mut read = 0;
    while read < wanted {
        let event = events.recv().await.context("closed")??;
        if event.header_str("Unique-ID").is_some() {
            read += 1;
            HEADERS.iter().for_each(|name| _ = black_box(event.header_str(name)));
            VARIABLES.iter().for_each(|name| _ = black_box(event.variable_str(name)));
        }
    }
    Ok(thread_cpu_us().saturating_sub(cpu_us))
}

const READ_BYTES: usize = 65_536;
/// Headers and variables that an agent reads of an event.
const HEADERS: &[&str] = &[
    "Core-UUID",
    "Event-Date-Timestamp",
    "Call-Direction",
    "Channel-Name",
    "Caller-Caller-ID-Number",
    "Caller-Destination-Number",
    "Caller-Channel-Created-Time",
    "Caller-Channel-Answered-Time",
    "Caller-Channel-Hangup-Time",
    "Hangup-Cause",
];
const VARIABLES: &[&str] = &[
    "cgr_account",
    "sip_auth_username",
    "originating_leg_uuid",
    "sip_req_user",
    "sip_call_id",
    "sip_user_agent",
    "sip_from_uri",
    "rtp_use_codec_name",
];
