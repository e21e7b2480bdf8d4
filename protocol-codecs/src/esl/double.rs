//! FreeSWITCH's end of the connection, for doubles that play a switch in tests: writes frames as `mod_event_socket`
//! does (order of headers, encoding, what is left out), and cuts what the client says into commands.

use bytes::{Buf, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::error::EslError;
use super::limits::COMMAND_BYTES_MAX;

/// What a double sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwitchFrame {
    /// First frame of an inbound connection.
    AuthRequest,
    /// `command/reply` with this `Reply-Text`.
    Reply(String),
    /// `command/reply` to a `bgapi`.
    JobReply(String),
    /// `command/reply` to `connect`: the channel's fields.
    ConnectReply(Vec<(String, String)>),
    /// `api/response` with this body.
    Api(String),
    /// `text/event-json`: fields, and a body of its own.
    JsonEvent(Vec<(String, String)>, Option<String>),
    /// `text/event-plain`: fields, and a body of its own.
    PlainEvent(Vec<(String, String)>, Option<String>),
    /// `text/disconnect-notice`.
    Notice(String),
}

/// Receives commands as text, header lines included, without the blank line; sends [`SwitchFrame`].
#[derive(Debug, Default)]
pub struct SwitchCodec;

impl Decoder for SwitchCodec {
    type Item = String;
    type Error = EslError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<String>, EslError> {
        // Blank lines between commands are skipped, as by FreeSWITCH.
        let blank = src.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        src.advance(blank);
        let Some(end) = src.windows(2).position(|pair| pair == b"\n\n") else {
            return match src.len() {
                0..=COMMAND_BYTES_MAX => Ok(None),
                _ => Err(std::io::Error::from(std::io::ErrorKind::InvalidData).into()),
            };
        };
        let command = String::from_utf8_lossy(src.get(..end).unwrap_or_default()).into_owned();
        src.advance(end.saturating_add(2));
        Ok(Some(command))
    }
}

impl Encoder<&SwitchFrame> for SwitchCodec {
    type Error = EslError;

    fn encode(&mut self, frame: &SwitchFrame, dst: &mut BytesMut) -> Result<(), EslError> {
        let text = match frame {
            SwitchFrame::AuthRequest => "Content-Type: auth/request\n\n".to_owned(),
            SwitchFrame::Reply(text) => format!("Content-Type: command/reply\nReply-Text: {text}\n\n"),
            SwitchFrame::JobReply(job) => {
                format!("Content-Type: command/reply\nReply-Text: +OK Job-UUID: {job}\nJob-UUID: {job}\n\n")
            }
            SwitchFrame::ConnectReply(fields) => {
                let tail = "Content-Type: command/reply\nReply-Text: %2BOK%0A\nSocket-Mode: async\nControl: full\n\n";
                header_lines(fields) + tail
            }
            SwitchFrame::Api(body) => with_length("Content-Type: api/response\nContent-Length: ", body, "\n\n"),
            SwitchFrame::JsonEvent(fields, body) => {
                let json = json(fields, body.as_deref());
                with_length("Content-Length: ", &json, "\nContent-Type: text/event-json\n\n")
            }
            SwitchFrame::PlainEvent(fields, body) => {
                let body = body.as_deref().filter(|body| !body.is_empty());
                let body = body.map_or_else(|| "\n".to_owned(), |body| with_length("Content-Length: ", body, "\n\n"));
                let event = header_lines(fields) + &body;
                with_length("Content-Length: ", &event, "\nContent-Type: text/event-plain\n\n")
            }
            SwitchFrame::Notice(text) => {
                with_length("Content-Type: text/disconnect-notice\nContent-Length: ", text, "\n\n")
            }
        };
        dst.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Encoder<SwitchFrame> for SwitchCodec {
    type Error = EslError;

    fn encode(&mut self, frame: SwitchFrame, dst: &mut BytesMut) -> Result<(), EslError> {
        self.encode(&frame, dst)
    }
}

fn with_length(before: &str, body: &str, after: &str) -> String {
    format!("{before}{}{after}{body}", body.len())
}

fn header_lines(fields: &[(String, String)]) -> String {
    let line = |(name, value): &(String, String)| {
        let value = if value.is_empty() { "_undef_".to_owned() } else { encoded(value) };
        format!("{name}: {value}\n")
    };
    fields.iter().map(line).collect()
}

/// As `switch_url_encode`: what is unsafe in a URL, control characters and bytes above `~`; a percent sign that two
/// upper-case hex digits follow stays.
fn encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    let mut rest = value.as_bytes();
    let hex = |digit: &u8| matches!(digit, b'0'..=b'9' | b'A'..=b'F');
    while let Some((byte, after)) = rest.split_first() {
        let escape = after.get(..2).is_some_and(|digits| digits.iter().all(hex));
        let unsafe_byte = !(b'!'..=b'~').contains(byte) || b"\"#%&+:;<=>?@[\\]^`{|}".contains(byte);
        if unsafe_byte && !(*byte == b'%' && escape) {
            encoded.push_str(&format!("%{byte:02X}"));
        } else {
            encoded.push(char::from(*byte));
        }
        rest = after;
    }
    encoded
}

/// One flat object; doubles of a name stay doubles.
fn json(fields: &[(String, String)], body: Option<&str>) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let mut pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{}:{}", text(name), text(value))).collect();
    if let Some(body) = body {
        pairs.push(format!("\"Content-Length\":\"{}\",\"_body\":{}", body.len(), text(body)));
    }
    format!("{{{}}}", pairs.join(","))
}
