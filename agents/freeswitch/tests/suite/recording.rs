//! Recorded connections of a real FreeSWITCH 1.11.2: its events, as bytes and as JSON.

use std::path::Path;

use serde_json::{Map, Value};

/// One event.
pub type Json = Map<String, Value>;

/// The events of one recording, in order.
pub struct Recording {
    /// The body of each event's frame, and what it says.
    pub events: Vec<(Vec<u8>, Json)>,
}

impl Recording {
    /// Loads the recording. What the laboratory dialled becomes a number, and its account ours.
    pub fn load(name: &str) -> Self {
        Self::from("../../protocol-codecs/tests/captures/freeswitch", name)
    }

    /// One of this crate's own: legs that come and go.
    pub fn of_legs(name: &str) -> Self {
        Self::from("tests/captures", name)
    }

    fn from(folder: &str, name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(format!("{name}.s2c.raw"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let events = bodies(&bytes).into_iter().filter_map(|body| {
            let number = crate::synthetic::GERMANY.as_bytes();
            let body = replaced(&replaced(&body, b"park1", number), b"br5091", number);
            let body = replaced(&body, b"acc1001", b"1001");
            let json: Json = serde_json::from_str(&String::from_utf8_lossy(&body)).ok()?;
            json.contains_key("Event-Name").then_some((body, json))
        });
        Self { events: events.collect() }
    }

    /// As if the dialplan had marked its calls as to be charged.
    pub fn marked(self) -> Self {
        let events = self.events.into_iter().map(|(body, _)| {
            let body = replaced(&body, b"variable_accountcode", b"variable_cgr_account");
            let json = serde_json::from_str(&String::from_utf8_lossy(&body)).expect("JSON");
            (body, json)
        });
        Self { events: events.collect() }
    }

    /// The inbound leg's first event of that name.
    pub fn template(&self, name: &str) -> Json {
        let of_leg = |event: &Json| event["Event-Name"] == name && event["Call-Direction"] == "inbound";
        self.events.iter().map(|(_, event)| event).find(|event| of_leg(event)).expect("recorded").clone()
    }

    /// The time of the first event, in milliseconds since the epoch.
    pub fn begin_ms(&self) -> i64 {
        event_ms(&self.events.first().expect("an event").1)
    }
}

/// When an event was made.
pub fn event_ms(event: &Json) -> i64 {
    let micros: i64 = event["Event-Date-Timestamp"].as_str().expect("text").parse().expect("a number");
    micros / 1000
}

/// An event as a frame.
pub fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("Content-Length: {}\nContent-Type: text/event-json\n\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn bodies(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") {
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
        let (from, to) = (end + 2, (end + 2 + length.unwrap_or(0)).min(rest.len()));
        bodies.push(rest[from..to].to_vec());
        rest = &rest[to..];
    }
    bodies
}

/// The bytes with every `from` as `to`.
pub fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut done, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        done.extend_from_slice(&rest[..at]);
        done.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    done.extend_from_slice(rest);
    done
}
