//! Recorded connections of a real Kamailio 5.6.3 with our configuration: what it said, when, and in which reads.

use std::path::Path;

use protocol_codecs::evapi::{EpochMicros, FrameReader, Framing};
use serde_json::{Map, Value};
use types::UtcMs;

/// One message as JSON.
pub type Json = Map<String, Value>;

/// One line of a recording.
#[derive(Debug, Clone)]
pub enum Step {
    /// A connection was made.
    Connected,
    /// It was closed.
    Closed,
    /// The agent of the recording said something.
    Agent(Json),
    /// Kamailio's bytes of one read, and what they say.
    Kamailio(Vec<u8>, Vec<Json>),
}

/// A recording.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Milliseconds since its begin, and what happened.
    pub steps: Vec<(u64, Step)>,
}

impl Recording {
    /// `name` of a file in `protocol-codecs/tests/captures/kamailio`.
    pub fn load(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol-codecs/tests/captures/kamailio");
        let text = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).expect("a recording");
        let lines = text.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON"));
        Self { steps: lines.filter(|line| line.contains_key("dir")).flat_map(|line| steps(&line)).collect() }
    }

    /// The moment of its begin, by Kamailio's clock.
    pub fn begin(&self) -> UtcMs {
        let times = self.steps.iter().filter_map(|(at, step)| match step {
            Step::Kamailio(_, messages) => messages.first()?.get("event_time")?.as_str().map(|time| (*at, time)),
            _ => None,
        });
        let (at, time) = times.clone().next().unwrap_or((0, "1795315186.000000"));
        UtcMs(EpochMicros::parse(time).expect("a time").as_millis() - i64::try_from(at).expect("short"))
    }

    /// The first message of this name that Kamailio sent.
    pub fn message(&self, event: &str) -> Json {
        let all = self.steps.iter().filter_map(|(_, step)| match step {
            Step::Kamailio(_, messages) => Some(messages),
            _ => None,
        });
        all.flatten().find(|message| message["event"] == event).expect("in the recording").clone()
    }
}

fn steps(line: &Json) -> Vec<(u64, Step)> {
    let raw = line["raw"].as_str().expect("text");
    let seconds = line["t"].to_string();
    let at = u64::try_from(EpochMicros::parse(&seconds).expect("seconds").as_millis()).expect("positive");
    match line["dir"].as_str() {
        Some("rx") => vec![(at, Step::Kamailio(raw.into(), messages(raw.as_bytes())))],
        // The recording also tried broken frames and broken JSON; an agent's own codec makes neither.
        Some("tx") => messages(raw.as_bytes()).into_iter().map(|message| (at, Step::Agent(message))).collect(),
        _ if raw == "connected" => vec![(at, Step::Connected)],
        _ => vec![(at, Step::Closed)],
    }
}

/// The messages in some bytes, as far as they are whole.
pub fn messages(bytes: &[u8]) -> Vec<Json> {
    let mut reader = FrameReader::new(Framing::Netstring);
    let mut messages = Vec::new();
    if reader.push(bytes).is_ok() {
        while let Ok(Some(frame)) = reader.next_frame() {
            messages.extend(serde_json::from_slice(frame).ok());
        }
    }
    messages
}

/// One message as Kamailio frames it.
pub fn frame(message: &Json) -> Vec<u8> {
    frame_text(&Value::Object(message.clone()).to_string())
}

/// Any text as Kamailio frames it.
pub fn frame_text(text: &str) -> Vec<u8> {
    format!("{}:{text},", text.len()).into_bytes()
}
