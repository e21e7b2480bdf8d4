//! Properties over generated input: what a switch writes is what we read; any bytes in any pieces.

#[path = "../../../fuzz/bodies/esl_decode.rs"]
mod esl_decode;

use bytes::BytesMut;
use proptest::prelude::*;
use protocol_codecs::Masked;
use protocol_codecs::esl::{ApiCall, Command, Event, Frame, HangupCause, SwitchCodec, SwitchFrame, Value};
use tokio_util::codec::{Decoder, Encoder};

use crate::support::{decode, from_switch, names};

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = proptest::string::string_regex("[A-Za-z][A-Za-z0-9_-]{0,30}").unwrap();
    let name = name.prop_filter("frames", |name| !name.to_ascii_lowercase().starts_with("content-"));
    // Any characters but NUL, which no C string holds; and no `%XX`, which plain does not keep.
    let value = proptest::string::string_regex("[^\\x00%]{0,40}|100%|%|a%2").unwrap();
    let value = value.prop_filter("a word of plain's own", |value| value != "_undef_" && !value.starts_with("ARRAY::"));
    proptest::collection::vec((name, value), 0..40).prop_map(|mut fields| {
        fields.insert(0, ("Event-Name".into(), "CHANNEL_PARK".into()));
        fields.retain(|(name, _)| name != "_body");
        fields
    })
}

fn encoded(frames: &[SwitchFrame]) -> BytesMut {
    let mut out = BytesMut::new();
    frames.iter().for_each(|frame| SwitchCodec.encode(frame, &mut out).unwrap());
    out
}

/// The event's fields as they were given, without what the format itself adds.
fn given(event: &Event) -> Vec<(String, String)> {
    let own = |name: &str| {
        matches!(name, "Content-Length" | "_body" | "Content-Type" | "Reply-Text" | "Socket-Mode" | "Control")
    };
    let pairs = event.fields().iter().filter(|(name, _)| !own(name));
    pairs
        .map(|(name, value)| match value {
            Value::Text(text) => (name.to_owned(), text.to_owned()),
            Value::Array(_) => panic!("no arrays were given"),
        })
        .collect()
}

proptest! {
    #[test]
    fn what_a_switch_writes_is_read(fields in fields(), body in proptest::option::of("[^\\x00]{1,60}"), piece in 1..200_usize) {
        let json = SwitchFrame::JsonEvent(fields.clone(), body.clone());
        let plain = SwitchFrame::PlainEvent(fields.clone(), body.clone());
        let connect = SwitchFrame::ConnectReply(fields.clone());
        let wire = encoded(&[json, plain, connect]);
        let (items, fault) = decode(wire.chunks(piece));
        prop_assert_eq!(fault, None);
        let [Ok(Frame::Event(json)), Ok(Frame::Event(plain)), Ok(Frame::CommandReply(reply))] = &items[..] else {
            panic!("{items:?}");
        };
        let channel = reply.channel().unwrap();
        prop_assert_eq!(given(json), fields.clone());
        let filled: Vec<_> = fields.iter().filter(|(_, value)| !value.is_empty()).cloned().collect();
        prop_assert_eq!(given(plain), filled.clone(), "an empty value is not in plain");
        prop_assert_eq!(given(channel), filled);
        prop_assert_eq!(json.body(), body.as_deref());
        prop_assert_eq!(plain.body(), body.as_deref());
        for (name, _) in &fields {
            let first = fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
            prop_assert_eq!(json.text(name), first);
        }
    }

    #[test]
    fn what_we_say_is_what_a_switch_hears(value in "[ -~é]{0,40}", id in "[!-~]{1,40}", piece in 1..50_usize) {
        let variables = vec![("a".into(), Masked::new(value.clone())), ("b".into(), "2".into())];
        let command = Command::Api(ApiCall::UuidSetvarMulti { unique_id: id.clone(), variables });
        let kill = Command::Api(ApiCall::UuidKill { unique_id: id.clone(), cause: HangupCause::AllottedTimeout });
        let mut wire = BytesMut::new();
        let (set, killed) = (command.encode(&mut wire), kill.encode(&mut wire));
        let mut expected = Vec::new();
        if set.is_ok() {
            let said = format!("api uuid_setvar_multi {id} a={value};b=2");
            // FreeSWITCH cuts the list at `;`: into as many pieces as we gave.
            prop_assert_eq!(said.trim_start_matches(&format!("api uuid_setvar_multi {id}")).split(';').count(), 2);
            expected.push(said);
        }
        if killed.is_ok() {
            expected.push(format!("api uuid_kill {id} ALLOTTED_TIMEOUT"));
        }
        let (mut buffer, mut heard) = (BytesMut::new(), Vec::new());
        for piece in wire.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(command) = SwitchCodec.decode(&mut buffer).unwrap() {
                heard.push(command);
            }
        }
        prop_assert_eq!(heard, expected);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn any_bytes(input in proptest::collection::vec(any::<u8>(), 0..400)) {
        esl_decode::run(&input);
    }

    #[test]
    fn broken_recordings(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), lengths in proptest::collection::vec(1..255_u8, 0..20)) {
        let names = names();
        let mut stream = from_switch(which.get::<String>(&names));
        stream.truncate(20_000);
        if !stream.is_empty() {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let count = u8::try_from(lengths.len()).unwrap();
        esl_decode::run(&[&[count][..], &lengths, &stream].concat());
    }
}

#[test]
fn the_fuzz_target_over_recordings() {
    for name in names() {
        let stream = from_switch(&name);
        for lengths in [&[][..], &[1, 2, 3, 255, 100], &[7; 100]] {
            let count = u8::try_from(lengths.len()).unwrap();
            esl_decode::run(&[&[count][..], lengths, &stream].concat());
        }
    }
}
