//! A double of FreeSWITCH: its event socket, its channels as far as charging sees them, and its scheduled hangups.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use futures_util::StreamExt;
use protocol_codecs::esl::{SwitchCodec, SwitchFrame};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::codec::{Encoder, FramedRead};

use crate::recording::{Json, frame};

/// The double. Clones are the same.
#[derive(Clone)]
pub struct FreeSwitch {
    state: Arc<Mutex<State>>,
    /// Where the agent connects.
    pub address: String,
}

/// What it knows and how it behaves.
pub struct State {
    /// Every api call but questions and what only tidies up, as text without `api`.
    pub said: Vec<String>,
    /// Every other command, every question, and what only tidies up.
    pub asked: Vec<String>,
    /// Event connections so far.
    pub connections: u32,
    /// The run.
    pub core_uuid: String,
    /// The password it wants.
    pub password: String,
    /// Does it take connections?
    pub reachable: bool,
    /// Does it answer api calls?
    pub answers: bool,
    /// A client that does not read holds up everybody's events, answers and new connections (`mod_event_socket` waits
    /// for it with the lock of all of them in its hand); so does a network that forgot a connection.
    pub stuck: bool,
    /// Does it send heartbeats?
    pub heartbeats: bool,
    heartbeat: i64,
    /// Does it hang up when it is told to, now or later?
    pub obeys: bool,
    /// Answers by the beginning of the call, instead of the true ones.
    pub refusals: Vec<(&'static str, &'static str)>,
    /// Live channels: their last event.
    pub channels: BTreeMap<String, Json>,
    /// Channels that only the list has.
    pub ghosts: Vec<String>,
    /// How long a transferred channel's thread takes to leave what it does; without an end it never does.
    pub leaves_after_ms: Option<i64>,
    leaving: Vec<(String, i64)>,
    /// Are its events stuck?
    pub events_stuck: bool,
    held_back: Vec<Vec<u8>>,
    /// Scheduled hangups.
    pub scheduled: Vec<Scheduled>,
    /// How often a live channel lost its last task.
    pub unguarded: u32,
    /// Bytes of one write.
    pub write_bytes: usize,
    /// The wall clock.
    pub now: i64,
    events: Option<mpsc::UnboundedSender<Vec<u8>>>,
    /// Dropped to close all connections.
    open: Vec<mpsc::UnboundedSender<Vec<u8>>>,
}

/// A task that kills a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// Its group.
    pub group: String,
    /// The channel.
    pub channel: String,
    /// When, in milliseconds since the epoch.
    pub due: i64,
}

impl FreeSwitch {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = State {
            said: vec![],
            asked: vec![],
            connections: 0,
            core_uuid: "run-1".into(),
            password: "ClueCon".into(),
            reachable: true,
            answers: true,
            stuck: false,
            heartbeats: true,
            heartbeat: 0,
            obeys: true,
            refusals: vec![],
            channels: BTreeMap::new(),
            ghosts: vec![],
            leaves_after_ms: Some(20),
            leaving: vec![],
            events_stuck: false,
            held_back: vec![],
            scheduled: vec![],
            unguarded: 0,
            write_bytes: usize::MAX,
            now: 0,
            events: None,
            open: vec![],
        };
        let double = Self { state: Arc::new(Mutex::new(state)), address };
        tokio::spawn(double.clone().accept(listener));
        double
    }

    /// What it knows.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is an agent subscribed?
    pub fn is_connected(&self) -> bool {
        self.state().events.is_some()
    }

    /// Closes all connections.
    pub fn hang_up(&self) {
        let mut state = self.state();
        state.events = None;
        state.open.clear();
    }

    /// kill -9 and a new start: no channel is left.
    pub fn restarts(&self, core_uuid: &str) {
        self.hang_up();
        let mut state = self.state();
        state.core_uuid = core_uuid.to_owned();
        state.channels.clear();
        state.scheduled.clear();
    }

    /// An event happens.
    pub fn say(&self, event: &Json) {
        self.state().happened(event);
    }

    /// Bytes for whoever is subscribed.
    pub fn play(&self, bytes: &[u8]) {
        self.state().play(bytes);
    }

    /// Heartbeats and hangups that are due.
    pub fn tick(&self, now: i64) {
        let mut state = self.state();
        state.now = now;
        if state.heartbeats && now - state.heartbeat >= 20_000 {
            state.heartbeat = now;
            let heartbeat = json!({
                "Event-Name": "HEARTBEAT",
                "Core-UUID": state.core_uuid,
                "Event-Date-Timestamp": (now * 1000).to_string(),
            });
            state.play(&frame(heartbeat.to_string().as_bytes()));
        }
        while let Some(position) = state.leaving.iter().position(|(_, due)| *due <= now) {
            let (channel, _) = state.leaving.remove(position);
            if let Some(fields) = state.channels.get_mut(&channel) {
                fields.insert("Channel-State-Number".into(), "4".into());
            }
        }
        if !state.obeys {
            return;
        }
        while let Some(position) = state.scheduled.iter().position(|task| task.due <= now) {
            let task = state.scheduled.remove(position);
            state.end(&task.channel, "ALLOTTED_TIMEOUT");
        }
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let (sender, receiver) = mpsc::unbounded_channel();
            {
                let mut state = self.state();
                if !state.reachable {
                    continue;
                }
                state.open.push(sender.clone());
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
        let mut commands = FramedRead::new(reading, SwitchCodec);
        let mut answers = vec![encoded(&SwitchFrame::AuthRequest)];
        'connected: loop {
            while self.state().stuck {
                tokio::task::yield_now().await;
            }
            let piece = self.state().write_bytes;
            for bytes in answers.drain(..) {
                for part in bytes.chunks(piece) {
                    if writing.write_all(part).await.is_err() {
                        break 'connected;
                    }
                    tokio::task::yield_now().await;
                }
            }
            answers = tokio::select! {
                bytes = to_send.recv() => match bytes {
                    Some(bytes) => vec![bytes],
                    None => break,
                },
                command = commands.next() => match command {
                    Some(Ok(command)) => self.state().command(&command, weak.upgrade().as_ref()),
                    Some(Err(_)) | None => break,
                },
            };
        }
        let (mut state, own) = (self.state(), weak.upgrade());
        if let (Some(events), Some(own)) = (&state.events, &own)
            && events.same_channel(own)
        {
            state.events = None;
        }
    }
}

impl State {
    fn play(&mut self, bytes: &[u8]) {
        if self.events_stuck {
            return self.held_back.push(bytes.to_vec());
        }
        if let Some(events) = &self.events {
            // A connection that is just closing hears nothing more.
            drop(events.send(bytes.to_vec()));
        }
    }

    /// Its events come after all.
    pub fn gets_going(&mut self) {
        self.events_stuck = false;
        for bytes in std::mem::take(&mut self.held_back) {
            self.play(&bytes);
        }
    }

    /// Learns it and tells it.
    pub fn happened(&mut self, event: &Json) {
        self.learn(event);
        self.play(&frame(Value::Object(event.clone()).to_string().as_bytes()));
    }

    /// What it tells of channels.
    pub fn learn(&mut self, event: &Json) {
        let channel = event["Unique-ID"].as_str().expect("text").to_owned();
        match event["Event-Name"].as_str() {
            Some("CHANNEL_HANGUP_COMPLETE") => {
                self.channels.remove(&channel);
                // Tasks in the channel's own group go with it; others do not.
                self.scheduled.retain(|task| task.group != channel);
            }
            Some("CHANNEL_HANGUP") => {}
            _ => {
                let former = self.channels.insert(channel.clone(), event.clone());
                self.keep_variables(&channel, former);
                if event["Event-Name"] == "CHANNEL_ANSWER" {
                    self.run_on_answer(&channel, event.get("Other-Leg-Unique-ID").and_then(Value::as_str));
                }
            }
        }
    }

    /// Set by commands, they stay.
    fn keep_variables(&mut self, channel: &str, former: Option<Json>) {
        let kept = former.into_iter().flatten();
        let set = ["variable_tollkeeper", "variable_api_on", "variable_export_vars", "variable_force_transfer"];
        let kept = kept.filter(|(name, _)| set.iter().any(|begin| name.starts_with(begin)));
        if let Some(fields) = self.channels.get_mut(channel) {
            for (name, value) in kept {
                fields.entry(name).or_insert(value);
            }
        }
    }

    /// Runs what the channel has for its answer, and what the channel that called it has exported.
    fn run_on_answer(&mut self, channel: &str, calling: Option<&str>) {
        let of = |channel: &str, exported: bool| -> Vec<String> {
            let Some(fields) = self.channels.get(channel) else { return vec![] };
            let exports = fields.get("variable_export_vars").and_then(Value::as_str).unwrap_or_default();
            let is_exported =
                |name: &str| exports.split(',').any(|export| name.strip_prefix("variable_") == Some(export));
            let wanted = |name: &str| name.starts_with("variable_api_on_answer") && (!exported || is_exported(name));
            let values = fields.iter().filter(|(name, _)| wanted(name)).filter_map(|(_, value)| value.as_str());
            values.map(str::to_owned).collect()
        };
        let mut calls = of(channel, false);
        calls.extend(calling.into_iter().flat_map(|calling| of(calling, true)));
        for call in calls {
            let words: Vec<&str> = call.split(' ').collect();
            assert_eq!((words[0], words[3]), ("sched_api", "uuid_kill"), "{call}");
            self.schedule(words[2], words[4], words[1]);
        }
    }

    fn schedule(&mut self, group: &str, channel: &str, seconds: &str) {
        // On the whole second of the clock, as FreeSWITCH does it.
        let seconds: i64 = seconds.strip_prefix('+').expect("from now").parse().expect("seconds");
        let due = (self.now / 1000 + seconds) * 1000 + 100;
        self.scheduled.push(Scheduled { group: group.to_owned(), channel: channel.to_owned(), due });
    }

    /// It is over, by the switch.
    pub fn end(&mut self, channel: &str, cause: &str) {
        let Some(mut event) = self.channels.get(channel).cloned() else { return };
        let now_us = (self.now * 1000).to_string();
        for name in ["CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"] {
            event.insert("Event-Name".into(), name.into());
            event.insert("Event-Date-Timestamp".into(), now_us.as_str().into());
            event.insert("Hangup-Cause".into(), cause.into());
            if name == "CHANNEL_HANGUP_COMPLETE" {
                event.insert("Caller-Channel-Hangup-Time".into(), now_us.as_str().into());
                event.insert("variable_hangup_cause_q850".into(), "16".into());
            }
            self.happened(&event.clone());
        }
    }

    fn command(&mut self, command: &str, own: Option<&mpsc::UnboundedSender<Vec<u8>>>) -> Vec<Vec<u8>> {
        let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
        let reply = |text: &str| vec![encoded(&SwitchFrame::Reply(text.to_owned()))];
        if word != "api" {
            self.asked.push(command.to_owned());
        }
        match word {
            "auth" if rest == self.password => reply("+OK accepted"),
            "auth" => reply("-ERR invalid"),
            "event" => {
                self.connections += 1;
                self.events = own.cloned();
                reply("+OK event listener enabled json")
            }
            "nixevent" => reply("+OK event listener disabled"),
            "bgapi" => {
                let job = json!({
                    "Event-Name": "BACKGROUND_JOB",
                    "Core-UUID": self.core_uuid,
                    "Event-Date-Timestamp": (self.now * 1000).to_string(),
                    "Job-UUID": "job-1",
                });
                vec![encoded(&SwitchFrame::JobReply("job-1".into())), frame(job.to_string().as_bytes())]
            }
            "api" => self.api(rest),
            other => panic!("the agent said {other}"),
        }
    }

    fn api(&mut self, call: &str) -> Vec<Vec<u8>> {
        let mut words = call.split(' ');
        let (name, first) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
        if matches!(name, "uuid_exists" | "uuid_dump" | "show" | "version" | "sched_del" | "uuid_setvar") {
            self.asked.push(call.to_owned());
        } else {
            self.said.push(call.to_owned());
        }
        if !self.answers {
            return vec![];
        }
        if let Some((_, answer)) = self.refusals.iter().find(|(begin, _)| call.starts_with(begin)) {
            // Without a text it is lost.
            let lost = answer.is_empty();
            return if lost { vec![] } else { vec![encoded(&SwitchFrame::Api((*answer).to_owned()))] };
        }
        let known = self.channels.contains_key(&first);
        let answer = match name {
            "uuid_exists" => known.to_string(),
            "show" => self.list(),
            "version" => "FreeSWITCH Version 1.11.2\n".to_owned(),
            "sched_api" => {
                let words: Vec<&str> = words.collect();
                assert_eq!(words[1], "uuid_kill", "{call}");
                self.schedule(words[0], words[2], &first);
                "+OK Added: 1\n".to_owned()
            }
            "sched_del" => {
                let (gone, kept): (Vec<_>, Vec<_>) = self.scheduled.drain(..).partition(|task| task.group == first);
                self.scheduled = kept;
                let guarded = |channel: &str| self.scheduled.iter().any(|task| task.channel == channel);
                // Of the conversation that goes on; one before it may have been given up.
                let goes_on = |task: &Scheduled| {
                    let session =
                        self.channels.get(&task.channel).and_then(|fields| fields.get("variable_tollkeeper_session"));
                    session.and_then(Value::as_str).is_some_and(|session| task.group.ends_with(session))
                };
                let alone = |task: &&Scheduled| goes_on(task) && !guarded(&task.channel);
                self.unguarded += u32::try_from(gone.iter().filter(alone).count()).expect("few");
                format!("+OK Deleted: {}\n", gone.len())
            }
            _ if !known => "-ERR No such channel!\n".to_owned(),
            "uuid_dump" => {
                let mut event = self.channels[&first].clone();
                event.insert("Event-Name".into(), "CHANNEL_DATA".into());
                event.insert("Event-Date-Timestamp".into(), (self.now * 1000).to_string().into());
                Value::Object(event).to_string()
            }
            "uuid_setvar_multi" => {
                let fields = self.channels.get_mut(&first).expect("known");
                for pair in call.splitn(3, ' ').nth(2).expect("variables").split(';') {
                    let (name, value) = pair.split_once('=').expect("a value");
                    fields.insert(format!("variable_{name}"), value.into());
                }
                "+OK\n".to_owned()
            }
            "uuid_setvar" => {
                let name = format!("variable_{}", words.next().expect("a name"));
                let fields = self.channels.get_mut(&first).expect("known");
                match words.next() {
                    Some(value) => _ = fields.insert(name, value.into()),
                    None => _ = fields.remove(&name),
                }
                "+OK\n".to_owned()
            }
            "uuid_kill" => {
                if self.obeys {
                    self.end(&first, words.next().expect("a cause"));
                }
                "+OK\n".to_owned()
            }
            "uuid_transfer" => {
                // A new profile at once; the thread follows.
                let (now_us, leaves_at) = ((self.now * 1000).to_string(), self.leaves_after_ms.map(|ms| self.now + ms));
                let fields = self.channels.get_mut(&first).expect("known");
                fields.insert("Caller-Destination-Number".into(), words.next().expect("an extension").into());
                fields.insert("Caller-Dialplan".into(), words.next().expect("a dialplan").into());
                fields.insert("Caller-Context".into(), words.next().expect("a context").into());
                fields.insert("Caller-Profile-Created-Time".into(), now_us.into());
                fields.insert("Channel-State-Number".into(), "2".into());
                fields.insert("variable_current_application".into(), "bridge".into());
                self.leaving.extend(leaves_at.map(|at| (first, at)));
                "+OK\n".to_owned()
            }
            _ => "+OK\n".to_owned(),
        };
        vec![encoded(&SwitchFrame::Api(answer))]
    }

    fn list(&self) -> String {
        let channels =
            self.channels.values().map(|event| (event["Unique-ID"].clone(), event["Call-Direction"].clone()));
        let ghosts = self.ghosts.iter().map(|ghost| (Value::from(ghost.as_str()), Value::from("inbound")));
        let rows: Vec<Value> =
            channels.chain(ghosts).map(|(uuid, direction)| json!({"uuid": uuid, "direction": direction})).collect();
        match rows.len() {
            0 => json!({"row_count": 0}).to_string(),
            count => json!({"row_count": count, "rows": rows}).to_string(),
        }
    }
}

fn encoded(frame: &SwitchFrame) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    SwitchCodec.encode(frame, &mut bytes).expect("encodes");
    bytes.to_vec()
}
