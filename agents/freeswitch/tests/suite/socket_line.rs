//! FreeSWITCH's end of the `socket` application, and the dialplan behind it, as `docs/freeswitch-socket.md` has it.

use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use futures_util::StreamExt;
use protocol_codecs::esl::{SwitchCodec, SwitchFrame};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::codec::{Encoder, FramedRead};

use crate::double::FreeSwitch;
use crate::recording::Json;
use crate::stage::Stage;
use crate::synthetic::Call;

/// One connection to the agent.
pub struct Line {
    told: Arc<Mutex<Told>>,
}

/// What came of it.
#[derive(Default, Clone)]
struct Told {
    heard: Vec<String>,
    closed: bool,
    gate: Option<&'static str>,
}

impl Line {
    /// The dialplan of a call runs `socket`: the call waits there.
    pub async fn rings(stage: &mut Stage, call: &mut Call) -> Self {
        call.created_ms = stage.now();
        Self::rings_again(stage, call).await
    }

    /// The same, of a call that is there already.
    pub async fn rings_again(stage: &mut Stage, call: &mut Call) -> Self {
        call.further.insert("variable_current_application".into(), "socket".into());
        let event = call.event(stage, "CHANNEL_PARK");
        call.further.remove("variable_current_application");
        stage.switch.state().learn(&event);
        let line = Self::names(stage, &event, "async").await;
        // The application parks the channel as soon as we said `connect`.
        stage.switch.say(&event);
        stage.settle().await;
        line
    }

    /// A connection that names a channel by this event, and is not the switch's.
    pub async fn claims(stage: &mut Stage, event: &Json) -> Self {
        Self::answers(stage, answers_of(event, "async"), None).await
    }

    /// A connection of the channel of this event.
    pub async fn names(stage: &mut Stage, event: &Json, mode: &str) -> Self {
        let channel = event["Unique-ID"].as_str().expect("text").to_owned();
        Self::answers(stage, answers_of(event, mode), Some(channel)).await
    }

    /// A connection that answers what is said with these bytes, one after the other; behind the last it ends.
    pub async fn answers(stage: &mut Stage, answers: Vec<Vec<u8>>, channel: Option<String>) -> Self {
        let told = Arc::new(Mutex::new(Told::default()));
        let stream = TcpStream::connect(stage.socket_address()).await.expect("somebody listens");
        tokio::spawn(converse(stage.switch.clone(), stream, answers, channel, Arc::clone(&told)));
        stage.settle().await;
        Self { told }
    }

    /// What the agent said.
    pub fn heard(&self) -> Vec<String> {
        self.told().heard
    }

    /// Is the connection over?
    pub fn is_closed(&self) -> bool {
        self.told().closed
    }

    /// What the dialplan did when the application returned: `admitted` or `refused`; nothing when the channel had left.
    pub fn gate(&self) -> Option<&'static str> {
        self.told().gate
    }

    fn told(&self) -> Told {
        self.told.lock().expect("not poisoned").clone()
    }
}

async fn converse(
    switch: FreeSwitch,
    stream: TcpStream,
    answers: Vec<Vec<u8>>,
    channel: Option<String>,
    told: Arc<Mutex<Told>>,
) {
    let (reading, mut writing) = stream.into_split();
    let mut commands = FramedRead::new(reading, SwitchCodec);
    let (mut answers, mut last) = (answers.into_iter(), false);
    loop {
        let left = || channel.as_ref().is_some_and(|channel| !waits(&switch, channel));
        let command = tokio::select! {
            command = commands.next() => command,
            () = until(left) => None,
        };
        let Some(Ok(command)) = command else { break };
        told.lock().expect("not poisoned").heard.push(command);
        let Some(answer) = answers.next() else { continue };
        last |= answers.len() == 0;
        let piece = switch.state().write_bytes;
        for part in answer.chunks(piece) {
            if writing.write_all(part).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        if last {
            break;
        }
    }
    drop(writing);
    let gate = channel.filter(|channel| waits(&switch, channel)).map(|channel| goes_on(&switch, &channel));
    let mut told = told.lock().expect("not poisoned");
    (told.closed, told.gate) = (true, gate);
}

/// The answers to `connect`, `resume` and `exit`.
fn answers_of(event: &Json, mode: &str) -> Vec<Vec<u8>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fields =
        event.iter().filter(|(name, _)| *name != "Event-Name").map(|(name, value)| (name.clone(), text(value)));
    let named = [("Event-Name".to_owned(), "CHANNEL_DATA".to_owned())].into_iter().chain(fields).collect();
    let mut bytes = BytesMut::new();
    SwitchCodec.encode(SwitchFrame::ConnectReply(named), &mut bytes).expect("encodes");
    let bytes = String::from_utf8(bytes.to_vec()).expect("text");
    let bytes = bytes.replace("Socket-Mode: async", &format!("Socket-Mode: {mode}")).into_bytes();
    vec![bytes, reply("+OK"), reply("+OK bye")]
}

async fn until(met: impl Fn() -> bool) {
    while !met() {
        tokio::task::yield_now().await;
    }
}

fn waits(switch: &FreeSwitch, channel: &str) -> bool {
    let state = switch.state();
    let channel = state.channels.get(channel);
    channel.is_some_and(|fields| fields["variable_current_application"] == "socket")
}

/// The next action of the dialplan.
fn goes_on(switch: &FreeSwitch, channel: &str) -> &'static str {
    let mut state = switch.state();
    let fields = state.channels.get_mut(channel).expect("it waits");
    fields.insert("variable_current_application".into(), "bridge".into());
    if fields.get("variable_tollkeeper_admitted").is_some_and(|value| value == "true") {
        return "admitted";
    }
    state.end(channel, "NORMAL_TEMPORARY_FAILURE");
    "refused"
}

fn reply(text: &str) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    SwitchCodec.encode(SwitchFrame::Reply(text.to_owned()), &mut bytes).expect("encodes");
    bytes.to_vec()
}

/// Bytes from somebody who is no FreeSWITCH; true once the agent has closed the connection.
pub async fn stranger(stage: &Stage, bytes: &'static [u8]) -> Arc<Mutex<bool>> {
    let closed = Arc::new(Mutex::new(false));
    let (mut stream, done) =
        (TcpStream::connect(stage.socket_address()).await.expect("somebody listens"), Arc::clone(&closed));
    tokio::spawn(async move {
        // The agent may have closed it by then.
        let sent = stream.write_all(bytes).await;
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest).await;
        *done.lock().expect("not poisoned") = sent.is_err() || read.is_err() || read.is_ok();
    });
    closed
}
