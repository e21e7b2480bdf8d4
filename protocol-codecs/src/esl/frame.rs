//! Frames to messages: what each `Content-Type` carries.

use std::fmt;

use super::decode::FrameSpan;
use super::error::MessageError;
use super::event::Event;
use super::fields::Fields;
use super::names::ContentType;
use super::plain::{self, Values};
use super::reply::{ApiResponse, CommandReply, Head};

/// One frame from FreeSWITCH.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// Say `auth` now. First frame of an inbound connection.
    AuthRequest,
    /// Answers the oldest command that has no answer yet and is no `api`.
    CommandReply(CommandReply),
    /// Answers the oldest `api` that has no answer yet.
    ApiResponse(ApiResponse),
    /// An event, json or plain.
    Event(Event),
    /// An event as XML, kept raw: an agent never asks for it.
    XmlEvent(RawBody),
    /// The connection will end, or lingers on after the channel's end.
    DisconnectNotice(DisconnectNotice),
    /// The address is not in the switch's list; the connection ends and `auth/request` never comes.
    RudeRejection,
    /// A log line; an agent never asks for it.
    LogData(LogData),
    /// A `Content-Type` that this version does not know, or none: to be counted and ignored.
    Unknown(UnknownFrame),
}

/// Why FreeSWITCH says good-bye.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisconnectNotice {
    /// The channel has ended, but the connection stays for its last events (`linger`). Otherwise the connection ends.
    pub lingers: bool,
    /// How long it stays, in seconds; -1 = until the client says `exit`.
    pub linger_s: Option<i64>,
    /// The channel of an outbound connection.
    pub controlled_session_uuid: Option<String>,
    /// What is said, without the line end: "Disconnected, goodbye...", "The system is being shut down.",
    /// "killed listener because of lost events".
    pub text: String,
}

/// A log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogData {
    /// `Log-Level`: 0 console to 7 debug.
    pub level: Option<u8>,
    /// The line, which may hold subscriber numbers.
    pub line: RawBody,
}

/// A frame of another kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFrame {
    /// Its `Content-Type`; empty when there was none.
    pub content_type: String,
    /// Its headers.
    pub head: Fields,
    /// Its body.
    pub body: RawBody,
}

/// Bytes kept as they came. `Debug` shows the length only.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RawBody(pub Vec<u8>);

impl fmt::Debug for RawBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawBody({} bytes)", self.0.len())
    }
}

impl Frame {
    /// Reads one frame that [`FrameScanner::scan`](super::FrameScanner::scan) found in `input`.
    ///
    /// # Errors
    /// Every [`MessageError`] is about this frame only.
    pub fn decode(input: &[u8], span: &FrameSpan) -> Result<Self, MessageError> {
        let head = input.get(span.head.clone()).unwrap_or_default();
        let body = input.get(span.body.clone()).unwrap_or_default();
        Ok(match span.content_type {
            Some(ContentType::AuthRequest) => Self::AuthRequest,
            Some(ContentType::CommandReply) => Self::CommandReply(command_reply(head)?),
            Some(ContentType::ApiResponse) => {
                Self::ApiResponse(ApiResponse { body: String::from_utf8_lossy(body).into_owned() })
            }
            Some(ContentType::EventJson) => Self::Event(Event::from_json(body)?),
            Some(ContentType::EventPlain) => Self::Event(Event::from_plain(body)?),
            Some(ContentType::EventXml) => Self::XmlEvent(RawBody(body.to_vec())),
            Some(ContentType::DisconnectNotice) => Self::DisconnectNotice(disconnect_notice(head, body)?),
            Some(ContentType::RudeRejection) => Self::RudeRejection,
            Some(ContentType::LogData) => {
                let (fields, _) = plain::header_lines(head, Values::Raw)?;
                let level = fields.text("Log-Level").and_then(|text| text.parse().ok());
                Self::LogData(LogData { level, line: RawBody(body.to_vec()) })
            }
            None => {
                let (head, _) = plain::header_lines(head, Values::Raw)?;
                let content_type = head.text("Content-Type").unwrap_or_default().to_owned();
                Self::Unknown(UnknownFrame { content_type, head, body: RawBody(body.to_vec()) })
            }
        })
    }
}

/// The answer to `connect` is a whole event, and only there are the values encoded (`Reply-Text` too).
fn command_reply(head: &[u8]) -> Result<CommandReply, MessageError> {
    let is_channel = head.get(..11).is_some_and(|name| name.eq_ignore_ascii_case(b"Event-Name:"));
    let head = if is_channel {
        Head::Channel(Box::new(Event::from_fields(plain::header_lines(head, Values::Encoded)?)?))
    } else {
        Head::Plain(plain::header_lines(head, Values::Raw)?.0)
    };
    Ok(CommandReply { head })
}

fn disconnect_notice(head: &[u8], body: &[u8]) -> Result<DisconnectNotice, MessageError> {
    let (head, _) = plain::header_lines(head, Values::Raw)?;
    Ok(DisconnectNotice {
        lingers: head.text("Content-Disposition").is_some_and(|text| text.eq_ignore_ascii_case("linger")),
        linger_s: head.text("Linger-Time").and_then(|text| text.trim().parse().ok()),
        controlled_session_uuid: head.text("Controlled-Session-UUID").map(str::to_owned),
        text: String::from_utf8_lossy(body).trim_end().to_owned(),
    })
}
