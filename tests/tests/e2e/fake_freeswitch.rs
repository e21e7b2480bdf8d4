//! A FreeSWITCH that is not there: its event socket, played with the events of a recorded call, its channels and its
//! scheduled hangups. For what needs tollkeeper's own process, and no switch.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use demo::lab::{eventually, repository};
use serde_json::{Map, Value, json};

type Event = Map<String, Value>;

/// Clones are the same.
#[derive(Clone)]
pub struct FakeFreeswitch {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    run: u32,
    channels: BTreeMap<String, Event>,
    said: Vec<String>,
    /// Channel, and when it is hung up, in ms since the epoch.
    scheduled: Vec<Task>,
    events: Option<TcpStream>,
    open: Vec<TcpStream>,
    /// Every connection made until now is a black hole.
    mute_below: usize,
}

impl FakeFreeswitch {
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let fake = Self { port: listener.local_addr()?.port(), state: Arc::default() };
        let (accepting, ticking) = (fake.clone(), fake.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = accepting.clone();
                std::thread::spawn(move || serving.serve(&stream).unwrap_or_default());
            }
        });
        std::thread::spawn(move || {
            for turn in 0_u64.. {
                ticking.state().tick(turn % 10 == 0);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Ok(fake)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// kill -9 and a new start: connections and channels are gone.
    pub fn restart(&self) {
        let mut state = self.state();
        (state.run, state.events) = (state.run + 1, None);
        state.channels.clear();
        state.scheduled.clear();
        for stream in &state.open {
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }

    /// The connections of now neither say nor hear anything more, and stay open.
    pub fn goes_mute(&self) {
        let mut state = self.state();
        (state.mute_below, state.events) = (state.open.len(), None);
    }

    /// Is there such a channel?
    pub fn is_up(&self, channel: &str) -> bool {
        self.state().channels.contains_key(channel)
    }

    /// What it was told about a channel.
    pub fn said_of(&self, channel: &str) -> Vec<String> {
        self.state().said.iter().filter(|call| call.contains(channel)).cloned().collect()
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let number = {
            let mut state = self.state();
            state.open.push(stream.try_clone()?);
            state.open.len()
        };
        let mut writing = stream.try_clone()?;
        writing.write_all(b"Content-Type: auth/request\n\n")?;
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        while let Some(line) = lines.next().transpose()? {
            let mut state = self.state();
            if line.is_empty() || number <= state.mute_below {
                continue;
            }
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            if word == "event" {
                state.events = Some(stream.try_clone()?);
            }
            let answer = match word {
                "api" => {
                    let body = state.api(rest);
                    format!("Content-Type: api/response\nContent-Length: {}\n\n{body}", body.len())
                }
                "bgapi" => "Content-Type: command/reply\nReply-Text: +OK Job-UUID: 1\nJob-UUID: 1\n\n".to_owned(),
                _ => "Content-Type: command/reply\nReply-Text: +OK accepted\n\n".to_owned(),
            };
            writing.write_all(answer.as_bytes())?;
            if word == "bgapi" {
                state.tell(&json!({"Event-Name": "BACKGROUND_JOB", "Job-UUID": "1"}));
            }
        }
        Ok(())
    }
}

/// A scheduled end of a channel, due at a time in milliseconds since the epoch.
struct Task {
    group: String,
    channel: String,
    due: i64,
}

impl State {
    fn tell(&mut self, event: &Value) {
        let mut event = event.clone();
        event["Core-UUID"] = format!("run-{}", self.run).into();
        event["Event-Date-Timestamp"] = (now_ms() * 1000).to_string().into();
        let body = event.to_string();
        let frame = format!("Content-Length: {}\nContent-Type: text/event-json\n\n{body}", body.len());
        if let Some(events) = &mut self.events
            && events.write_all(frame.as_bytes()).is_err()
        {
            self.events = None;
        }
    }

    fn tick(&mut self, heartbeat: bool) {
        if heartbeat {
            self.tell(&json!({"Event-Name": "HEARTBEAT"}));
        }
        let now = now_ms();
        while let Some(at) = self.scheduled.iter().position(|task| task.due <= now) {
            let Task { channel, .. } = self.scheduled.remove(at);
            self.end(&channel, "ALLOTTED_TIMEOUT");
        }
    }

    /// On the whole second of the clock, as FreeSWITCH does it.
    fn schedule(&mut self, call: &str) {
        let words: Vec<&str> = call.split(' ').collect();
        let ["sched_api", seconds, group, "uuid_kill", channel, _] = words[..] else { panic!("{call}") };
        let seconds: i64 = seconds.strip_prefix('+').and_then(|text| text.parse().ok()).expect("+SECONDS");
        let due = (now_ms() / 1000 + seconds) * 1000 + 100;
        self.scheduled.push(Task { group: group.to_owned(), channel: channel.to_owned(), due });
    }

    fn happens(&mut self, name: &str, event: Event) {
        let mut event = Value::Object(event);
        event["Event-Name"] = name.into();
        self.tell(&event);
    }

    fn end(&mut self, channel: &str, cause: &str) {
        let Some(mut event) = self.channels.remove(channel) else { return };
        self.scheduled.retain(|task| task.channel != channel);
        event.insert("Hangup-Cause".into(), cause.into());
        event.insert("variable_hangup_cause_q850".into(), "16".into());
        self.happens("CHANNEL_HANGUP", event.clone());
        event.insert("Caller-Channel-Hangup-Time".into(), (now_ms() * 1000).to_string().into());
        self.happens("CHANNEL_HANGUP_COMPLETE", event);
    }

    fn api(&mut self, call: &str) -> String {
        let words: Vec<&str> = call.split(' ').collect();
        let (name, channel) = (words[0], words.get(1).copied().unwrap_or_default());
        self.said.push(call.to_owned());
        let rows = self.channels.keys().map(|uuid| json!({"uuid": uuid, "direction": "inbound"}));
        let rows: Vec<Value> = rows.collect();
        match name {
            "version" => return "FreeSWITCH Version 1.11.2\n".to_owned(),
            "uuid_exists" => return self.channels.contains_key(channel).to_string(),
            "show" if rows.is_empty() => return json!({"row_count": 0}).to_string(),
            "show" => return json!({"row_count": rows.len(), "rows": rows}).to_string(),
            "sched_del" => self.scheduled.retain(|task| task.group != channel),
            "sched_api" => self.schedule(call),
            "uuid_kill" => self.end(channel, words[2]),
            "uuid_dump" => {
                let Some(event) = self.channels.get(channel) else { return NO_CHANNEL.to_owned() };
                let mut event = Value::Object(event.clone());
                event["Event-Name"] = "CHANNEL_DATA".into();
                event["Core-UUID"] = format!("run-{}", self.run).into();
                event["Event-Date-Timestamp"] = (now_ms() * 1000).to_string().into();
                return event.to_string();
            }
            "uuid_setvar_multi" => {
                let Some(event) = self.channels.get_mut(channel) else { return NO_CHANNEL.to_owned() };
                let pairs = call.splitn(3, ' ').nth(2).unwrap_or_default().split(';');
                for (name, value) in pairs.filter_map(|pair| pair.split_once('=')) {
                    event.insert(format!("variable_{name}"), value.into());
                }
            }
            _ => {}
        }
        "+OK\n".to_owned()
    }
}

/// A call at the double.
pub struct FakeCall {
    fake: FakeFreeswitch,
    pub unique_id: String,
}

impl FakeCall {
    /// Waits in the dialplan, is admitted and answered.
    pub fn answered(fake: &FakeFreeswitch, unique_id: &str, account: &str) -> anyhow::Result<Self> {
        let call = Self { fake: fake.clone(), unique_id: unique_id.to_owned() };
        {
            let mut state = fake.state();
            let event = recorded(unique_id, account)?;
            state.channels.insert(unique_id.to_owned(), event.clone());
            state.happens("CHANNEL_PARK", event);
        }
        let transfer = format!("uuid_transfer {unique_id} ");
        eventually("the call being admitted", Duration::from_secs(5), || fake.said_of(&transfer).first().map(|_| ()))?;
        let mut state = fake.state();
        let event = state.channels.get_mut(unique_id).expect("the channel");
        event.insert("Caller-Channel-Answered-Time".into(), (now_ms() * 1000).to_string().into());
        event.insert("variable_current_application".into(), "bridge".into());
        let event = event.clone();
        let on_answer = event.iter().filter(|(name, _)| name.starts_with("variable_api_on_answer"));
        for armed in on_answer.filter_map(|(_, value)| value.as_str()) {
            state.schedule(armed);
        }
        state.happens("CHANNEL_ANSWER", event);
        drop(state);
        Ok(call)
    }

    /// The caller hangs up.
    pub fn hangs_up(&self) {
        self.fake.state().end(&self.unique_id, "NORMAL_CLEARING");
    }

    /// Its `callId` in records.
    pub fn call_id(&self) -> String {
        format!("call-{}", self.unique_id)
    }
}

/// The park of a recorded call, as another call of now.
fn recorded(unique_id: &str, account: &str) -> anyhow::Result<Event> {
    let capture = repository().join("protocol-codecs/tests/captures/freeswitch/20_park_auth_ok.s2c.raw");
    let text = String::from_utf8_lossy(&std::fs::read(capture)?).into_owned();
    let parked = text.lines().filter_map(|line| line.find('{').map(|at| &line[at..]));
    // One event is one line, with the head of the next frame behind it.
    let mut events = parked
        .filter_map(|json| serde_json::Deserializer::from_str(json).into_iter::<Event>().next().and_then(Result::ok));
    let is_park = |event: &Event| event["Event-Name"] == "CHANNEL_PARK" && event["Call-Direction"] == "inbound";
    let mut event = events.find(is_park).ok_or_else(|| anyhow::anyhow!("no CHANNEL_PARK in the capture"))?;
    let fields = [
        ("Unique-ID", unique_id.to_owned()),
        ("Caller-Channel-Created-Time", (now_ms() * 1000).to_string()),
        ("Caller-Channel-Answered-Time", "0".to_owned()),
        ("Caller-Channel-Hangup-Time", "0".to_owned()),
        ("Caller-Destination-Number", super::GERMANY.to_owned()),
        ("variable_sip_req_user", super::GERMANY.to_owned()),
        ("variable_sip_call_id", format!("call-{unique_id}")),
        ("variable_sip_auth_username", account.to_owned()),
        ("variable_sip_authorized", "true".to_owned()),
        ("variable_current_application", "park".to_owned()),
    ];
    event.retain(|name, _| !name.starts_with("variable_cgr") && name != "variable_accountcode");
    event.extend(fields.map(|(name, value)| (name.to_owned(), value.into())));
    Ok(event)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

const NO_CHANNEL: &str = "-ERR No such channel!\n";
