//! Any bytes in any pieces: the same messages, the same fault; each message is read tolerantly and strictly without a
//! panic, in bounded memory; one that is read can be written and reads as the same again; one that is refused has an
//! answer that we can read. Called by the fuzz target and by a plain test with a fixed corpus.

use bytes::BytesMut;
use protocol_codecs::diameter::{
    Answer, Command, DiameterCodec, DiameterError, EncodeError, Envelope, ErrorAnswer, Fault, Frame, FrameError,
    Message, MessageError, Mode, Request, Walk, limits,
};
use tokio_util::codec::Decoder;

/// First byte: bit 0 = the capabilities are exchanged, the rest = how many of the next bytes are lengths of pieces. Then
/// the stream.
pub fn run(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    let (lengths, stream) = rest.split_at(usize::from(first >> 1).min(rest.len()));
    let whole = decode(first & 1 == 1, &[stream]);
    let mut pieces = Vec::new();
    let mut left = stream;
    for length in lengths {
        let (piece, rest) = left.split_at(usize::from(*length).min(left.len()));
        pieces.push(piece);
        left = rest;
    }
    pieces.push(left);
    assert_eq!(decode(first & 1 == 1, &pieces), whole);
    for frame in &whole.0 {
        look_at(frame);
    }
}

fn decode(exchanged: bool, pieces: &[&[u8]]) -> (Vec<Frame>, Option<FrameError>) {
    let (mut codec, mut buffer, mut frames) = (DiameterCodec::before_capabilities(), BytesMut::new(), Vec::new());
    if exchanged {
        codec.capabilities_exchanged();
    }
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
        assert!(buffer.len() <= limits::MESSAGE_BYTES_MAX);
    }
    match codec.decode_eof(&mut buffer) {
        Ok(frame) => assert!(frame.is_none(), "all messages were taken out"),
        Err(error) => return (frames, fault(error)),
    }
    (frames, None)
}

/// Every reading of a message: none may panic.
fn look_at(frame: &Frame) {
    let (mut walk, mut steps) = (Walk::new(frame.avps().rest()), 0);
    while let Ok(Some((depth, _))) = walk.next_avp() {
        assert!((1..=limits::GROUP_DEPTH_MAX).contains(&depth));
        steps += 1;
        assert!(steps <= frame.bytes().len() / 8, "each AVP has a header of its own");
    }
    assert!(!format!("{frame:?} {:?}", Envelope::of(frame)).is_empty());
    let tolerant = frame.message(Mode::Tolerant);
    match (frame.message(Mode::Strict), &tolerant) {
        // An AVP without its vendor counts when read tolerantly, and is unknown when read strictly.
        (Ok(strict), Ok(tolerant)) => {
            assert!(strict.message == tolerant.message || tolerant.notes.vendorless > 0);
        }
        (Ok(strict), Err(error)) => assert!(strict.notes.unknown > 0, "strict takes what tolerant refuses: {error}"),
        (Err(error), _) => refuse(frame, &error),
    }
    match tolerant {
        Ok(read) => {
            assert!(!format!("{read:?}").is_empty());
            again(&read.message, frame);
        }
        Err(error) => refuse(frame, &error),
    }
}

/// What was read can be written, unless it is what we do not send; and reads as the same again, borrowed or owned.
fn again(message: &Message<'_>, frame: &Frame) {
    let (mut out, exchange) = (BytesMut::new(), frame.header().exchange());
    let written = match message {
        Message::Request(request) => match request {
            Request::CapabilitiesExchange(it) => it.encode(exchange, &mut out),
            Request::DeviceWatchdog(it) => it.encode(exchange, &mut out),
            Request::DisconnectPeer(it) => it.encode(exchange, &mut out),
            Request::CreditControl(it) => {
                assert_eq!(it.clone().into_owned(), **it);
                it.encode(exchange, &mut out)
            }
            Request::ReAuth(it) => it.encode(exchange, &mut out),
            Request::AbortSession(it) => it.encode(exchange, &mut out),
        },
        Message::Answer(answer) => match answer {
            Answer::CapabilitiesExchange(it) => it.encode(exchange, &mut out),
            Answer::DeviceWatchdog(it) => it.encode(exchange, &mut out),
            Answer::DisconnectPeer(it) => it.encode(exchange, &mut out),
            Answer::CreditControl(it) => {
                assert_eq!(it.clone().into_owned(), **it);
                it.encode(exchange, &mut out)
            }
            Answer::ReAuth(it) => it.encode(exchange, &mut out),
            Answer::AbortSession(it) => it.encode(exchange, &mut out),
            Answer::Error(it) => it.encode_for(frame.header(), &mut out),
        },
    };
    match written {
        Ok(()) => {
            let sent = Frame::new(out.freeze()).expect("the length is right");
            let read = sent.message(Mode::Tolerant).expect("what we wrote can be read");
            // An error answer may now have everything its command demands, and then reads as that.
            if !matches!(message, Message::Answer(Answer::Error(_))) {
                assert_eq!(read.message, *message);
            }
        }
        Err(
            EncodeError::BadValue { .. }
            | EncodeError::Missing { .. }
            | EncodeError::NotAllowed { .. }
            | EncodeError::TooLong { .. },
        ) => assert!(out.is_empty()),
        Err(error) => panic!("{error}"),
    }
}

/// The refusal can be sent and be read.
fn refuse(frame: &Frame, error: &MessageError) {
    assert!(!format!("{error} {error:?}").is_empty());
    if !frame.header().flags.is_request() {
        return;
    }
    let mut out = BytesMut::new();
    match ErrorAnswer::about(frame, ("ocs.test".into(), "test".into()), error).encode_for(frame.header(), &mut out) {
        Ok(()) => {
            let sent = Frame::new(out.freeze()).expect("the length is right");
            assert_eq!(Envelope::of(&sent).session_id, Envelope::of(frame).session_id);
            let mut walk = Walk::new(sent.avps().rest());
            // Proxy-Info goes back as it came, whatever it is; all else is sound.
            if Envelope::of(frame).proxy_infos.is_empty() {
                loop {
                    match walk.next_avp() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        // Failed-AVP puts one more group around what was deep already.
                        Err(error) if matches!(error.fault(), Fault::TooDeep { .. }) => break,
                        Err(error) => panic!("our answers are sound: {error}"),
                    }
                }
            }
        }
        Err(EncodeError::TooLong { .. }) => assert!(out.is_empty()),
        Err(error) => panic!("{error}"),
    }
}
