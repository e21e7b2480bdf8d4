//! A recorded call as a script: its events in order, with ids, times and account to be filled in.

use std::path::Path;

use anyhow::{Context, ensure};
use protocol_codecs::esl::{ContentType, FrameScanner};
use serde_json::Value;

/// How much of a call is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Park, answer and final numbers of the charged leg: about 25 kB.
    Three,
    /// All that the agent subscribes to, of both legs: 10 events, about 83 kB.
    All,
}

/// When an event happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The call comes.
    Park,
    /// The other side rings.
    Alert,
    /// It answers.
    Answer,
    /// Somebody hangs up.
    End,
}

/// The values of one call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its inbound channel.
    pub unique_id: String,
    /// The outbound one.
    pub other_id: String,
    /// Who pays; any text.
    pub account: String,
    /// When it came, in microseconds since the epoch.
    pub created_us: i64,
    /// When it was answered.
    pub answered_us: i64,
    /// When it ends.
    pub hangup_us: i64,
}

/// The events of a call.
#[derive(Debug)]
pub struct Script {
    events: Vec<(Moment, Vec<Piece>)>,
}

#[derive(Debug)]
enum Piece {
    Text(Vec<u8>),
    UniqueId,
    OtherId,
    Account,
    CallId,
    Now,
    Created,
    Answered,
    Hangup,
}

impl Script {
    /// From the recording of a parked, admitted and answered call.
    pub fn recorded(detail: Detail) -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol-codecs/tests/captures/freeswitch");
        let path = folder.join("20_park_auth_ok.s2c.raw");
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let (mut scanner, mut rest, mut events) = (FrameScanner::default(), bytes.as_slice(), Vec::new());
        let mut legs = None;
        while let Ok(Some(span)) = scanner.scan(rest) {
            let (frame, after) = rest.split_at(span.consumed);
            rest = after;
            if span.content_type != Some(ContentType::EventJson) {
                continue;
            }
            let at = frame.windows(2).position(|pair| pair == b"\n\n").context("a head")? + 2;
            let body = frame[at..].to_vec();
            let event: Value = serde_json::from_slice(&body)?;
            let Some(moment) = moment(&event, detail) else { continue };
            if legs.is_none() {
                legs = Some(Recorded::of(&event)?);
            }
            events.push((moment, body));
        }
        let mut recorded = legs.context("the recording has no call")?;
        let bridge = events.iter().find_map(|(_, body)| other_leg(body));
        // Without the bridge's event the other leg is in no event at all.
        recorded.other_id = bridge.unwrap_or_else(|| "no such leg in this script".to_owned());
        let wanted = if detail == Detail::Three { 3 } else { 10 };
        ensure!(events.len() == wanted, "{} events in the recording instead of {wanted}", events.len());
        Ok(Self { events: events.into_iter().map(|(moment, body)| (moment, recorded.pieces(&body))).collect() })
    }

    /// Events a call.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// The frames of a moment.
    pub fn frames(&self, moment: Moment, call: &Call, now_us: i64) -> Vec<u8> {
        let mut frames = Vec::new();
        for (_, pieces) in self.events.iter().filter(|(at, _)| *at == moment) {
            let body = body(pieces, call, now_us);
            frames.extend(format!("Content-Length: {}\nContent-Type: text/event-json\n\n", body.len()).into_bytes());
            frames.extend(body);
        }
        frames
    }
}

fn body(pieces: &[Piece], call: &Call, now_us: i64) -> Vec<u8> {
    let mut body = Vec::with_capacity(16_384);
    for piece in pieces {
        match piece {
            Piece::Text(text) => body.extend_from_slice(text),
            Piece::UniqueId => body.extend_from_slice(call.unique_id.as_bytes()),
            Piece::OtherId => body.extend_from_slice(call.other_id.as_bytes()),
            Piece::Account => body.extend_from_slice(call.account.as_bytes()),
            Piece::CallId => body.extend_from_slice(format!("call-{}", call.unique_id).as_bytes()),
            Piece::Now => body.extend_from_slice(now_us.to_string().as_bytes()),
            Piece::Created => body.extend_from_slice(call.created_us.to_string().as_bytes()),
            Piece::Answered => body.extend_from_slice(call.answered_us.to_string().as_bytes()),
            Piece::Hangup => body.extend_from_slice(call.hangup_us.to_string().as_bytes()),
        }
    }
    body
}

/// When it happens, if it is to be told.
fn moment(event: &Value, detail: Detail) -> Option<Moment> {
    let (name, inbound) = (event["Event-Name"].as_str()?, event["Call-Direction"] == "inbound");
    match (name, detail) {
        ("CHANNEL_PARK", _) => Some(Moment::Park),
        ("CHANNEL_ANSWER", Detail::Three) if inbound => Some(Moment::Answer),
        ("CHANNEL_HANGUP_COMPLETE", Detail::Three) if inbound => Some(Moment::End),
        ("CHANNEL_PROGRESS", Detail::All) => Some(Moment::Alert),
        ("CHANNEL_ANSWER" | "CHANNEL_BRIDGE", Detail::All) => Some(Moment::Answer),
        ("CHANNEL_HANGUP" | "CHANNEL_HANGUP_COMPLETE", Detail::All) => Some(Moment::End),
        _ => None,
    }
}

fn other_leg(body: &[u8]) -> Option<String> {
    let event: Value = serde_json::from_slice(body).ok()?;
    let is_bridge = event["Event-Name"] == "CHANNEL_BRIDGE";
    event["Other-Leg-Unique-ID"].as_str().filter(|_| is_bridge).map(str::to_owned)
}

/// What stands in the recording where a call's own values belong.
struct Recorded {
    unique_id: String,
    other_id: String,
    call_id: String,
}

impl Recorded {
    fn of(event: &Value) -> anyhow::Result<Self> {
        let text = |name: &str| event[name].as_str().map(str::to_owned).with_context(|| name.to_owned());
        Ok(Self { unique_id: text("Unique-ID")?, other_id: String::new(), call_id: text("variable_sip_call_id")? })
    }

    fn pieces(&self, body: &[u8]) -> Vec<Piece> {
        let (mut pieces, mut text, mut rest) = (Vec::new(), Vec::new(), body);
        while let Some(first) = rest.first() {
            match self.piece(rest) {
                Some((consumed, mut found)) => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.append(&mut found);
                    rest = &rest[consumed..];
                }
                None => {
                    text.push(*first);
                    rest = &rest[1..];
                }
            }
        }
        pieces.push(Piece::Text(text));
        pieces
    }

    /// What begins here, and how many bytes of the recording it stands for.
    fn piece(&self, rest: &[u8]) -> Option<(usize, Vec<Piece>)> {
        let values = [
            (self.unique_id.as_str(), Piece::UniqueId),
            (&self.other_id, Piece::OtherId),
            (&self.call_id, Piece::CallId),
            (RECORDED_ACCOUNT, Piece::Account),
            ("park1", Piece::Text(NUMBER.into())),
            ("br5091", Piece::Text(NUMBER.into())),
        ];
        for (value, piece) in values {
            if rest.starts_with(value.as_bytes()) {
                return Some((value.len(), vec![piece]));
            }
        }
        let times = [
            ("\"Event-Date-Timestamp\":\"", Piece::Now),
            ("\"Caller-Channel-Created-Time\":\"", Piece::Created),
            ("\"Caller-Channel-Answered-Time\":\"", Piece::Answered),
            ("\"Caller-Channel-Hangup-Time\":\"", Piece::Hangup),
        ];
        for (name, piece) in times {
            let Some(value) = rest.strip_prefix(name.as_bytes()) else { continue };
            let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
            // "0": not yet.
            return (digits > 1).then(|| (name.len() + digits, vec![Piece::Text(name.into()), piece]));
        }
        None
    }
}

/// What is dialled: Germany in the tariff of the demo, 0.01 a second.
pub const NUMBER: &str = "4930123456";
const RECORDED_ACCOUNT: &str = "acc1001";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_call_gets_its_own_values() {
        let call = Call {
            unique_id: "0123".into(),
            other_id: "4567".into(),
            account: "load01".into(),
            created_us: 1_000_001,
            answered_us: 2_000_002,
            hangup_us: 3_000_003,
        };
        for (detail, moments) in [(Detail::Three, [1, 0, 1, 1]), (Detail::All, [1, 2, 3, 4])] {
            let script = Script::recorded(detail).expect("a script");
            let mut told = Vec::new();
            for moment in [Moment::Park, Moment::Alert, Moment::Answer, Moment::End] {
                let text = String::from_utf8(script.frames(moment, &call, 4_000_004)).expect("UTF-8");
                told.push(text.matches("Content-Type: text/event-json").count());
                for left_over in ["acc1001", "park1", "br5091", "d4ad5ece", "17207@"] {
                    assert!(!text.contains(left_over), "{left_over} in {moment:?}");
                }
                assert_eq!(
                    text.contains("\"Caller-Channel-Answered-Time\":\"2000002\""),
                    moment == Moment::Answer || moment == Moment::End
                );
            }
            assert_eq!(told, moments);
        }
    }
}
