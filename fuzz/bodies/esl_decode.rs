//! Any bytes in any pieces: the same frames, the same fault, bounded memory; whatever was read can be looked at; and an
//! event written again as JSON reads as the same event. Called by the fuzz target and by plain tests.

use bytes::BytesMut;
use protocol_codecs::esl::{
    EslCodec, EslError, Event, Frame, FrameError, MessageError, SwitchCodec, SwitchFrame, Value, limits,
};
use tokio_util::codec::{Decoder, Encoder};

/// First byte: how many of the next bytes are lengths of pieces. Then the stream.
pub fn run(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    let (lengths, stream) = rest.split_at(usize::from(first).min(rest.len()));
    let whole = decode(&[stream]);
    let mut pieces = Vec::new();
    let mut left = stream;
    for length in lengths {
        let (piece, rest) = left.split_at(usize::from(*length).min(left.len()));
        pieces.push(piece);
        left = rest;
    }
    pieces.push(left);
    assert_eq!(decode(&pieces), whole);
    whole.0.iter().flatten().for_each(look_at);
}

type Decoded = (Vec<Result<Frame, MessageError>>, Option<FrameError>);

fn decode(pieces: &[&[u8]]) -> Decoded {
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
        assert!(buffer.len() <= limits::HEADER_BLOCK_BYTES_MAX + limits::BODY_BYTES_MAX);
    }
    match codec.decode_eof(&mut buffer) {
        Ok(item) => assert!(item.is_none(), "all frames were taken out"),
        Err(error) => return (items, fault(error)),
    }
    (items, None)
}

/// Every reading of a frame: none may panic.
fn look_at(frame: &Frame) {
    match frame {
        Frame::Event(event) => look_at_event(event),
        Frame::CommandReply(reply) => {
            let _seen = (reply.outcome(), reply.job_uuid());
            if let Some(channel) = reply.channel() {
                look_at_event(channel);
            }
        }
        Frame::ApiResponse(answer) => {
            let _seen = (answer.outcome(), answer.exists(), answer.variable(), answer.deleted(), answer.channels());
            if let Ok(channel) = answer.channel() {
                look_at_event(&channel);
            }
        }
        _ => {}
    }
    assert!(!format!("{frame:?}").is_empty());
}

fn look_at_event(event: &Event) {
    let _seen =
        (event.job_outcome(), event.call_direction(), event.hangup_cause(), event.elements("variable_DP_MATCH"));
    let _times = (event.date_timestamp_us(), event.created_us(), event.answered_us(), event.hangup_us());
    let _numbers = (event.count("variable_billusec"), event.thousandths("variable_rtp_audio_in_mos"));
    let mut fields = Vec::new();
    for (name, value) in event.fields().iter() {
        match value {
            Value::Text(text) => fields.push((name.to_owned(), text.to_owned())),
            Value::Array(elements) => assert_eq!(elements.iter().count(), elements.count()),
        }
    }
    if !fields.iter().any(|(name, _)| name == "Event-Name") {
        return;
    }
    let mut wire = BytesMut::new();
    SwitchCodec.encode(SwitchFrame::JsonEvent(fields.clone(), None), &mut wire).expect("a double writes anything");
    let Ok(Some(Ok(Frame::Event(again)))) = EslCodec::new().decode(&mut wire) else {
        panic!("what was read can be written and read again");
    };
    let texts = again.fields().iter().map(|(name, value)| match value {
        Value::Text(text) => (name.to_owned(), text.to_owned()),
        Value::Array(_) => panic!("only texts were written"),
    });
    assert!(texts.eq(fields));
}
