//! A double of Kamailio: a TCP server that plays recorded bytes and keeps the contract's promises in between.
//!
//! It knows of the calls what its own bytes say: answered dialogs are listed, ends are kept until acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use protocol_codecs::evapi::{EpochMicros, SwitchCodec, ToKamailio};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::codec::FramedRead;

use crate::recording::{Json, frame, frame_text, messages};

/// Where its writes end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// As recorded.
    Recorded,
    /// Every so many bytes.
    Every(usize),
}

/// How it answers HELLO.
#[derive(Debug, Clone)]
pub enum Greeting {
    /// The test plays the answer.
    Played,
    /// Accepted; this is its run.
    Run(String),
}

/// Is this end charged and recorded? Asked at the moment when the agent acknowledges it.
pub type Settled = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The double. Clones are the same.
#[derive(Clone)]
pub struct Kamailio {
    state: Arc<Mutex<State>>,
    /// Where the agent connects.
    pub address: String,
}

/// What it knows and how it behaves.
pub struct State {
    /// Everything the agent said but PING.
    pub said: Vec<ToKamailio>,
    /// PINGs so far.
    pub pings: u32,
    /// Connections so far.
    pub connections: u32,
    /// `client_id` and `instance` of each HELLO.
    pub hellos: Vec<(String, String)>,
    /// Acknowledged ends, and whether they were settled by then.
    pub acks: Vec<(String, bool)>,
    /// Answered dialogs.
    pub alive: BTreeMap<(u64, u64), Json>,
    /// Ends that nobody has acknowledged, as text.
    pub kept: BTreeMap<String, String>,
    /// How HELLO is answered.
    pub greeting: Greeting,
    /// Does it answer PING?
    pub pongs: bool,
    /// Does it answer CALL_LIST?
    pub lists: bool,
    /// Does it take connections?
    pub reachable: bool,
    /// Where its writes end.
    pub split: Split,
    /// The time it tells in lists.
    pub now: i64,
    settled: Settled,
    connection: Option<mpsc::UnboundedSender<Vec<u8>>>,
}

impl Kamailio {
    /// Listens on a free port.
    pub async fn start(settled: Settled) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = State {
            said: vec![],
            pings: 0,
            connections: 0,
            hellos: vec![],
            acks: vec![],
            alive: BTreeMap::new(),
            kept: BTreeMap::new(),
            greeting: Greeting::Run("run-1".into()),
            pongs: true,
            lists: true,
            reachable: true,
            split: Split::Recorded,
            now: 0,
            settled,
            connection: None,
        };
        let double = Self { state: Arc::new(Mutex::new(state)), address };
        tokio::spawn(double.clone().accept(listener));
        double
    }

    /// What it knows.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is an agent connected?
    pub fn is_connected(&self) -> bool {
        self.state().connection.is_some()
    }

    /// Closes the connection.
    pub fn hang_up(&self) {
        self.state().connection = None;
    }

    /// Sends bytes, and remembers what they say.
    pub fn play(&self, bytes: &[u8]) {
        let mut state = self.state();
        for message in messages(bytes) {
            state.learn(message);
        }
        if let Some(connection) = &state.connection {
            connection.send(bytes.to_vec()).expect("the connection stands");
        }
    }

    /// Sends one message.
    pub fn say(&self, message: &Json) {
        self.play(&frame(message));
    }

    /// The messages that fit, of all that the agent said.
    pub fn heard<T>(&self, wanted: impl Fn(&ToKamailio) -> Option<T>) -> Vec<T> {
        self.state().said.iter().filter_map(wanted).collect()
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let (sender, receiver) = mpsc::unbounded_channel();
            {
                let mut state = self.state();
                if !state.reachable {
                    continue;
                }
                state.connections += 1;
                state.connection = Some(sender.clone());
            }
            tokio::spawn(self.clone().serve(stream, sender, receiver));
        }
    }

    async fn serve(
        self,
        stream: TcpStream,
        own: mpsc::UnboundedSender<Vec<u8>>,
        mut to_send: mpsc::UnboundedReceiver<Vec<u8>>,
    ) {
        stream.set_nodelay(true).expect("a socket");
        let weak = own.downgrade();
        drop(own);
        let (reading, mut writing) = stream.into_split();
        let mut frames = FramedRead::new(reading, SwitchCodec::default());
        loop {
            let answers = tokio::select! {
                bytes = to_send.recv() => match bytes {
                    Some(bytes) => vec![bytes],
                    None => break,
                },
                received = frames.next() => match received {
                    Some(Ok(Ok(decoded))) => self.state().answer(decoded.message),
                    Some(Ok(Err(error))) => panic!("the agent sent {error}"),
                    Some(Err(_)) | None => break,
                },
            };
            let split = self.state().split;
            for bytes in answers {
                if write(&mut writing, &bytes, split).await.is_err() {
                    break;
                }
            }
        }
        let mut state = self.state();
        // A newer connection stays.
        if let (Some(current), Some(own)) = (&state.connection, weak.upgrade())
            && current.same_channel(&own)
        {
            state.connection = None;
        }
    }
}

async fn write(writing: &mut OwnedWriteHalf, bytes: &[u8], split: Split) -> std::io::Result<()> {
    let length = match split {
        Split::Recorded => bytes.len(),
        Split::Every(length) => length,
    };
    for piece in bytes.chunks(length) {
        writing.write_all(piece).await?;
        // The reader comes in between.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

impl State {
    fn learn(&mut self, message: Json) {
        let dialog = (message.get("h_entry").and_then(Value::as_u64), message.get("h_id").and_then(Value::as_u64));
        let (Some(entry), Some(id), Some(event)) = (dialog.0, dialog.1, message.get("event").and_then(Value::as_str))
        else {
            return;
        };
        match event {
            "CALL_START" => _ = self.alive.insert((entry, id), message),
            "CALL_END" | "CALL_FAILED" => {
                self.alive.remove(&(entry, id));
                let end_id = message["end_id"].as_str().expect("an id").to_owned();
                self.kept.insert(end_id, Value::Object(message).to_string());
            }
            _ => {}
        }
    }

    fn answer(&mut self, message: ToKamailio) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        match &message {
            ToKamailio::Ping { seq } => {
                self.pings += 1;
                if self.pongs {
                    answers.push(json!({"event": "PONG", "seq": seq}));
                }
            }
            ToKamailio::Hello { client_id, instance, .. } => {
                self.hellos.push((client_id.clone(), instance.clone()));
                if let Greeting::Run(run) = &self.greeting {
                    answers.push(json!({"event": "HELLO_REPLY", "status": "OK", "run": run, "protocol": 1}));
                }
            }
            ToKamailio::CallEndAck { end_id } => {
                let settled = (self.settled)(end_id);
                self.acks.push((end_id.clone(), settled));
                self.kept.remove(end_id);
            }
            ToKamailio::CallList { list_id } if self.lists => {
                answers.extend(self.alive.values().map(|call| self.alive_message(call, list_id)));
                answers.push(json!({"event": "CALL_LIST_DONE", "list_id": list_id, "count": self.alive.len()}));
            }
            ToKamailio::SetTimeout { h_entry, h_id, .. } => {
                let known = self.alive.contains_key(&(u64::from(*h_entry), u64::from(*h_id)));
                let status = if known { "OK" } else { "NOT_FOUND" };
                answers.push(json!({"event": "SET_TIMEOUT_REPLY", "status": status, "h_entry": h_entry, "h_id": h_id}));
            }
            _ => {}
        }
        let mut bytes: Vec<Vec<u8>> = Vec::new();
        if matches!(message, ToKamailio::Resend {}) {
            bytes.extend(self.kept.values().map(|kept| frame_text(kept)));
            answers.push(json!({"event": "RESEND_DONE", "count": self.kept.len()}));
        }
        if !matches!(message, ToKamailio::Ping { .. }) {
            self.said.push(message);
        }
        bytes.extend(answers.iter().map(|answer| frame_text(&answer.to_string())));
        bytes
    }

    fn alive_message(&self, call: &Json, list_id: &str) -> Value {
        let mut alive = call.clone();
        alive.insert("event".into(), "CALL_ALIVE".into());
        alive.insert("list_id".into(), list_id.into());
        alive.insert("event_time".into(), seconds(self.now).into());
        Value::Object(alive)
    }
}

/// A time as Kamailio prints it.
pub fn seconds(ms: i64) -> String {
    let text = format!("{}.{:03}000", ms.div_euclid(1000), ms.rem_euclid(1000));
    assert!(EpochMicros::parse(&text).is_some());
    text
}
