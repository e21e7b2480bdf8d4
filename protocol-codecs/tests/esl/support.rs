//! Reads recordings and decodes them in pieces.

use std::path::{Path, PathBuf};

use bytes::BytesMut;
use protocol_codecs::esl::{ApiResponse, CommandReply, EslCodec, EslError, Event, Frame, FrameError, MessageError};
use tokio_util::codec::Decoder;

pub type Item = Result<Frame, MessageError>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/freeswitch")
}

/// What FreeSWITCH sent in this recording.
pub fn from_switch(name: &str) -> Vec<u8> {
    read(&format!("{name}.s2c.raw"))
}

/// What the client sent in this recording.
pub fn from_client(name: &str) -> Vec<u8> {
    read(&format!("{name}.c2s.raw"))
}

fn read(file: &str) -> Vec<u8> {
    let path = folder().join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names of all recordings, sorted.
pub fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = files.filter_map(|file| Some(file.strip_suffix(".s2c.raw")?.to_owned())).collect();
    names.sort();
    names
}

/// Decodes pieces as they come, the end of the connection included.
pub fn decode<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<Item>, Option<FrameError>) {
    let (mut codec, mut buffer, mut items) = (EslCodec::new(), BytesMut::new(), Vec::new());
    let fault = |error| match error {
        EslError::Frame(fault) => Some(fault),
        other => panic!("{other}"),
    };
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, fault(error)),
            }
        }
    }
    loop {
        match codec.decode_eof(&mut buffer) {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, None),
            Err(error) => return (items, fault(error)),
        }
    }
}

/// The frames of a recording, none of which may be faulty.
pub fn frames(name: &str) -> Vec<Frame> {
    let (items, fault) = decode([from_switch(name).as_slice()]);
    assert_eq!(fault, None, "{name}");
    items.into_iter().map(|item| item.unwrap_or_else(|error| panic!("{name}: {error}"))).collect()
}

/// The events of a recording.
pub fn events(name: &str) -> Vec<Event> {
    let event = |frame| if let Frame::Event(event) = frame { Some(event) } else { None };
    frames(name).into_iter().filter_map(event).collect()
}

/// The answers to `api` of a recording.
pub fn answers(name: &str) -> Vec<ApiResponse> {
    let answer = |frame| if let Frame::ApiResponse(answer) = frame { Some(answer) } else { None };
    frames(name).into_iter().filter_map(answer).collect()
}

/// The answers to other commands of a recording.
pub fn replies(name: &str) -> Vec<CommandReply> {
    let reply = |frame| if let Frame::CommandReply(reply) = frame { Some(reply) } else { None };
    frames(name).into_iter().filter_map(reply).collect()
}

/// The only event of these bytes.
pub fn only_event(bytes: &[u8]) -> Event {
    let (mut items, fault) = decode([bytes]);
    assert_eq!((items.len(), fault), (1, None));
    match items.remove(0) {
        Ok(Frame::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}

/// A `text/event-json` frame.
pub fn json_frame(json: &[u8]) -> Vec<u8> {
    [format!("Content-Length: {}\nContent-Type: text/event-json\n\n", json.len()).as_bytes(), json].concat()
}
