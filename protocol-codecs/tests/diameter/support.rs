//! Reads recordings, and writes any message again.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use protocol_codecs::diameter::{Answer, Avps, Command, EncodeError, Frame, Kind, Message, Mode, Request};

/// One recorded message.
pub struct Recorded {
    /// Recording, direction and name of the message, for assertions.
    pub title: String,
    pub from_client: bool,
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Recorded {
    pub fn frame(&self) -> Frame {
        frame(&self.bytes)
    }
}

pub fn frame(bytes: &[u8]) -> Frame {
    Frame::new(Bytes::copy_from_slice(bytes)).expect("the length in the header is right")
}

pub fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "whole bytes");
    (0..text.len() / 2).map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap()).collect()
}

/// Names of all recordings, sorted.
pub fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/diameter");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = files.filter_map(|file| Some(file.strip_suffix(".hex")?.to_owned())).collect();
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    names
}

/// The messages of a recording.
pub fn recording(name: &str) -> Vec<Recorded> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/captures/diameter/{name}.hex"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let message = |(number, line): (usize, &str)| {
        let [direction, message, bytes] = line.split(' ').collect::<Vec<_>>().try_into().expect("three words");
        Recorded {
            title: format!("{name}, line {}, {direction} {message}", number + 1),
            from_client: direction == "c2s",
            name: message.to_owned(),
            bytes: unhex(bytes),
        }
    };
    text.lines().enumerate().map(message).collect()
}

/// The messages of all recordings.
pub fn all() -> Vec<Recorded> {
    names().iter().flat_map(|name| recording(name)).collect()
}

/// The first message of this name in a recording.
pub fn recorded(recording_name: &str, message: &str) -> Recorded {
    recording(recording_name).into_iter().find(|recorded| recorded.name == message).expect(message)
}

pub fn message(frame: &Frame) -> Message<'_> {
    frame.message(Mode::Tolerant).unwrap_or_else(|error| panic!("{frame:?}: {error}")).message
}

/// Writes a message again, with the identifiers, P and T of the frame it came in.
pub fn again(message: &Message<'_>, frame: &Frame) -> Result<BytesMut, EncodeError> {
    let (mut out, mut exchange) = (BytesMut::new(), frame.header().exchange());
    exchange.retransmitted = frame.header().flags.is_retransmitted();
    match message {
        Message::Request(request) => match request {
            Request::CapabilitiesExchange(it) => it.encode(exchange, &mut out),
            Request::DeviceWatchdog(it) => it.encode(exchange, &mut out),
            Request::DisconnectPeer(it) => it.encode(exchange, &mut out),
            Request::CreditControl(it) => it.encode(exchange, &mut out),
            Request::ReAuth(it) => it.encode(exchange, &mut out),
            Request::AbortSession(it) => it.encode(exchange, &mut out),
        },
        Message::Answer(answer) => match answer {
            Answer::CapabilitiesExchange(it) => it.encode(exchange, &mut out),
            Answer::DeviceWatchdog(it) => it.encode(exchange, &mut out),
            Answer::DisconnectPeer(it) => it.encode(exchange, &mut out),
            Answer::CreditControl(it) => it.encode(exchange, &mut out),
            Answer::ReAuth(it) => it.encode(exchange, &mut out),
            Answer::AbortSession(it) => it.encode(exchange, &mut out),
            Answer::Error(it) => it.encode_for(frame.header(), &mut out),
        },
    }?;
    Ok(out)
}

/// Every AVP that is no group, as `873.874.30=hexadecimal`, sorted: what a message says, whatever the order and the
/// flags. Written apart from the codec's own walk, and recursive: recordings are not hostile.
pub fn leaves(avps: Avps<'_>) -> Vec<String> {
    fn gather(mut avps: Avps<'_>, path: &str, leaves: &mut Vec<String>) {
        while let Some(avp) = avps.next_avp().expect("recordings are sound") {
            let path = format!("{path}.{}", avp.code);
            if avp.definition().is_some_and(|definition| definition.kind == Kind::Grouped) && !avp.value.is_empty() {
                gather(avp.avps(), &path, leaves);
            } else {
                let hex: String = avp.value.iter().map(|byte| format!("{byte:02x}")).collect();
                leaves.push(format!("{}/{}={hex}", path.trim_start_matches('.'), avp.vendor));
            }
        }
    }
    let mut leaves = Vec::new();
    gather(avps, "", &mut leaves);
    leaves.sort();
    leaves
}

/// One AVP, padded: code, vendor (0 = none), flags without V, value.
pub fn avp(code: u32, vendor: u32, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = code.to_be_bytes().to_vec();
    let head = if vendor == 0 { 8 } else { 12 };
    let length = u32::try_from(head + value.len()).unwrap().to_be_bytes();
    bytes.push(if vendor == 0 { flags } else { flags | 0x80 });
    bytes.extend_from_slice(&length[1..]);
    if vendor != 0 {
        bytes.extend_from_slice(&vendor.to_be_bytes());
    }
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A message of these AVPs, the length put right.
pub fn built(flags: u8, command: u32, application: u32, avps: &[Vec<u8>]) -> Vec<u8> {
    let avps = avps.concat();
    let mut bytes = u32::try_from(20 + avps.len()).unwrap().to_be_bytes().to_vec();
    bytes[0] = 1;
    bytes.extend_from_slice(&((u32::from(flags) << 24) | command).to_be_bytes());
    for word in [application, 0x0102_0304, 0x0506_0708] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend_from_slice(&avps);
    bytes
}

/// The AVPs of the smallest CCR that is right, each by itself.
pub fn smallest_ccr() -> Vec<Vec<u8>> {
    vec![
        avp(263, 0, 0x40, b"pgw.test;1;2"),
        avp(264, 0, 0x40, b"pgw.test"),
        avp(296, 0, 0x40, b"test"),
        avp(283, 0, 0x40, b"test"),
        avp(258, 0, 0x40, &4_u32.to_be_bytes()),
        avp(461, 0, 0x40, b"32251@3gpp.org"),
        avp(416, 0, 0x40, &1_u32.to_be_bytes()),
        avp(415, 0, 0x40, &0_u32.to_be_bytes()),
    ]
}

/// A CCR of these AVPs.
pub fn ccr(avps: &[Vec<u8>]) -> Vec<u8> {
    built(0xC0, 272, 4, avps)
}

/// The smallest CCR and more.
pub fn ccr_with(more: &[Vec<u8>]) -> Vec<u8> {
    ccr(&[smallest_ccr(), more.to_vec()].concat())
}
