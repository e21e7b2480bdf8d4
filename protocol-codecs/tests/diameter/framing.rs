//! A stream into messages: where reads end does not matter, and what cannot be right ends it.

use bytes::BytesMut;
use protocol_codecs::Class;
use protocol_codecs::diameter::{DiameterCodec, DiameterError, Frame, FrameError, limits};
use tokio_util::codec::Decoder;

use crate::support::{names, recording, smallest_ccr};

/// Messages, and the fault that ended the stream.
fn decode<'p>(
    mut codec: DiameterCodec,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Vec<Frame>, Option<FrameError>) {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    let fault = |error| match error {
        DiameterError::Frame(fault) => Some(fault),
        other => panic!("{other}"),
    };
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, fault(error)),
            }
        }
    }
    match codec.decode_eof(&mut buffer) {
        Ok(frame) => assert!(frame.is_none(), "all messages were taken out"),
        Err(error) => return (frames, fault(error)),
    }
    (frames, None)
}

fn open() -> DiameterCodec {
    let mut codec = DiameterCodec::before_capabilities();
    codec.capabilities_exchanged();
    codec
}

#[test]
fn messages_do_not_depend_on_where_reads_end() {
    for name in names() {
        for from_client in [true, false] {
            let messages: Vec<Vec<u8>> = recording(&name)
                .into_iter()
                .filter(|message| message.from_client == from_client)
                .map(|message| message.bytes)
                .collect();
            let whole = messages.concat();
            let same = |pieces: Vec<&[u8]>, how: &str| {
                let (frames, fault) = decode(open(), pieces);
                assert_eq!(fault, None, "{name} {how}");
                let bytes: Vec<&[u8]> = frames.iter().map(|frame| frame.bytes().as_ref()).collect();
                assert_eq!(bytes, messages, "{name} {how}");
            };
            same(vec![&whole], "at once");
            same(whole.chunks(1).collect(), "byte by byte");
            for split in 0..=whole.len() {
                let (left, right) = whole.split_at(split);
                same(vec![left, right], "in two");
            }
        }
    }
}

/// A header that claims this length, and more bytes behind it.
fn claiming(length: [u8; 3], more: usize) -> Vec<u8> {
    let mut bytes = vec![1, length[0], length[1], length[2], 0xC0, 0, 1, 0x10, 0, 0, 0, 4];
    bytes.resize(20 + more, 0);
    bytes
}

#[test]
fn lengths_that_cannot_be_right_end_the_connection() {
    let at = |message_bytes| Some(FrameError::BadLength { offset: 0, message_bytes });
    let long =
        |message_bytes| Some(FrameError::TooLong { offset: 0, message_bytes, limit_bytes: limits::MESSAGE_BYTES_MAX });
    let rows: &[([u8; 3], Option<FrameError>)] = &[
        ([0, 0, 0], at(0)),
        ([0, 0, 1], at(1)),
        ([0, 0, 3], at(3)),
        ([0, 0, 4], at(4)),
        ([0, 0, 8], at(8)),
        ([0, 0, 16], at(16)),
        ([0, 0, 19], at(19)),
        ([0, 0, 21], at(21)),
        ([0, 0, 22], at(22)),
        ([0xFF, 0xFF, 0xFF], at(0xFF_FFFF)),
        ([0xFF, 0xFF, 0xFC], long(0xFF_FFFC)),
        ([0x10, 0x00, 0x00], long(0x10_0000)),
        ([0x04, 0x00, 0x04], long(limits::MESSAGE_BYTES_MAX + 4)),
    ];
    for (length, expected) in rows {
        for more in [0, 100, 4096] {
            let bytes = claiming(*length, more);
            let (frames, fault) = decode(open(), [bytes.as_slice()]);
            assert_eq!((frames.len(), fault), (0, *expected), "{length:?}");
            let (frames, fault) = decode(open(), bytes.chunks(1));
            assert_eq!((frames.len(), fault), (0, *expected), "{length:?} byte by byte");
        }
        // Four bytes of ours are enough to say no.
        assert_eq!(decode(open(), [&claiming(*length, 0)[..4]]).1, *expected, "{length:?} cut");
        assert_eq!(expected.unwrap().class(), Class::Fatal);
    }
}

#[test]
fn strangers_may_send_less() {
    let length = u32::try_from(limits::CAPABILITIES_BYTES_MAX).unwrap() + 4;
    let [_, high, middle, low] = length.to_be_bytes();
    let bytes = claiming([high, middle, low], 0);
    let (limit_bytes, message_bytes) = (limits::CAPABILITIES_BYTES_MAX, limits::CAPABILITIES_BYTES_MAX + 4);
    let fault = decode(DiameterCodec::before_capabilities(), [bytes.as_slice()]).1;
    assert_eq!(fault, Some(FrameError::TooLong { offset: 0, message_bytes, limit_bytes }));
    let fault = decode(open(), [bytes.as_slice()]).1;
    assert_eq!(fault, Some(FrameError::EndInMessage { offset: 0, held_bytes: 20 }), "permitted later");
}

#[test]
fn other_protocols_are_told_apart() {
    let rows: &[(&str, &[u8])] = &[
        ("http", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("tls client hello", &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03, 1, 2, 3]),
        ("ssh", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
        ("sip", b"OPTIONS sip:a@b SIP/2.0\r\n"),
        ("zeros", &[0; 64]),
        ("version 2, unknown command", &[2, 0, 0, 20, 0xC0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for (name, bytes) in rows {
        let expected = Some(FrameError::NotDiameter { offset: 0, first: bytes[0] });
        assert_eq!(decode(open(), [*bytes]).1, expected, "{name}");
        assert_eq!(decode(open(), bytes.chunks(1)).1, expected, "{name} byte by byte");
    }
}

#[test]
fn another_version_of_diameter_is_a_message() {
    let mut bytes = crate::support::ccr(&smallest_ccr());
    bytes[0] = 2;
    let (frames, fault) = decode(open(), bytes.chunks(1));
    assert_eq!((frames.len(), fault), (1, None), "so that it can be answered with 5011");
}

#[test]
fn an_end_in_mid_message_is_told() {
    let bytes = crate::support::ccr(&smallest_ccr());
    for cut in 1..bytes.len() {
        let stream = [&bytes, &bytes[..cut]].concat();
        let (frames, fault) = decode(open(), [stream.as_slice()]);
        let offset = u64::try_from(bytes.len()).unwrap();
        assert_eq!((frames.len(), fault), (1, Some(FrameError::EndInMessage { offset, held_bytes: cut })));
    }
}

/// Nothing is reserved for a length that was only claimed, and a fault stays.
#[test]
fn a_claim_costs_no_memory() {
    let (mut codec, mut buffer) = (open(), BytesMut::with_capacity(64));
    buffer.extend_from_slice(&claiming([0x04, 0x00, 0x00], 0));
    for _ in 0..3 {
        assert!(codec.decode(&mut buffer).unwrap().is_none());
        assert_eq!(buffer.capacity(), 64);
    }
    let (mut codec, mut buffer) = (open(), BytesMut::from(&claiming([0, 0, 4], 0)[..]));
    assert!(codec.decode(&mut buffer).is_err());
    let mut sound = BytesMut::from(&crate::support::ccr(&smallest_ccr())[..]);
    assert!(codec.decode(&mut sound).is_err(), "after a fault there is no way back");
}
