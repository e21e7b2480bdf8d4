//! Properties over generated input: round trips, no panics, agreement with a second parser.

#[path = "../../fuzz/bodies/evapi_decode.rs"]
mod evapi_decode;
#[path = "../../fuzz/bodies/sip_uri.rs"]
mod sip_uri;

use bytes::{BufMut, BytesMut};
use proptest::prelude::*;
use protocol_codecs::evapi::{
    AgentCodec, AuthVerdict, CallFields, EndCause, EndedBy, EpochMicros, EvapiError, Framing, FromKamailio, PayerKind,
    SwitchCodec, ToKamailio, limits,
};
use protocol_codecs::{Masked, sip};
use rsip::headers::UntypedHeader;
use tokio_util::codec::{Decoder, Encoder};

/// Text that means itself: not blank, no control characters.
fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[^\\p{Cc}]{1,20}").unwrap().prop_filter("blank", |text| text != "<null>")
}

fn masked() -> impl Strategy<Value = Option<Masked>> {
    proptest::option::of(text().prop_map(Masked::new))
}

fn micros() -> impl Strategy<Value = EpochMicros> {
    (0..=999_999_999_999_999_999_i64).prop_map(EpochMicros::from_micros)
}

prop_compose! {
    fn call()(
        (run, callid, from_tag) in (text(), text(), text()),
        (h_entry, h_id, never_refuse) in any::<(u32, u32, bool)>(),
        (payer, dest, ruri, caller) in (masked(), masked(), masked(), masked()),
        (from_uri, to_uri) in (masked(), masked()),
        kind in proptest::option::of(text()),
        (trunk, src_ip, user_agent) in (proptest::option::of(text()), proptest::option::of(text()), proptest::option::of(text())),
        (setup_time, event_time) in (micros(), proptest::option::of(micros())),
    ) -> CallFields {
        let payer_kind = kind.as_deref().map(PayerKind::parse);
        CallFields {
            run, callid, from_tag, h_entry, h_id, payer, payer_kind, trunk, dest, ruri, from_uri, to_uri, caller, src_ip,
            user_agent, setup_time, event_time, never_refuse,
        }
    }
}

fn from_kamailio() -> impl Strategy<Value = FromKamailio> {
    let end = (call(), text(), micros(), micros(), text(), text(), any::<Option<u16>>()).prop_map(
        |(call, end_id, answer_time, end_time, by, cause, q850)| FromKamailio::CallEnd {
            call,
            to_tag: Some(end_id.clone()),
            end_id,
            answer_time,
            end_time,
            ended_by: EndedBy::parse(&by),
            cause: EndCause::parse(&cause),
            reason_hdr: None,
            rtp_stat: None,
            q850,
        },
    );
    prop_oneof![
        end,
        (call(), any::<(u32, u32)>()).prop_map(|(call, (tr_index, tr_label))| FromKamailio::AuthRequest {
            tr_index,
            tr_label,
            call
        }),
        any::<u32>().prop_map(|seq| FromKamailio::Pong { seq }),
    ]
}

fn to_kamailio() -> impl Strategy<Value = ToKamailio> {
    let verdict = prop_oneof![
        any::<u32>().prop_map(|cap_s| AuthVerdict::Allow { cap_s }),
        (400..700_u16, text()).prop_map(|(code, reason)| AuthVerdict::Deny { code, reason }),
    ];
    prop_oneof![
        (any::<(u32, u32)>(), verdict).prop_map(|((tr_index, tr_label), verdict)| ToKamailio::AuthReply {
            tr_index,
            tr_label,
            verdict
        }),
        (any::<(u32, u32)>(), text(), proptest::option::of(text())).prop_map(|((h_entry, h_id), callid, to_tag)| {
            ToKamailio::Disconnect { h_entry, h_id, from_tag: callid.clone(), cause: callid.clone(), callid, to_tag }
        }),
        Just(ToKamailio::Resend {}),
    ]
}

/// Sends all, in reads of `chunk` bytes, and returns what arrives.
fn carry<M, S, R>(mut sender: S, mut receiver: R, messages: &[M], chunk: usize) -> Vec<M>
where
    M: Clone,
    S: Encoder<M, Error = EvapiError>,
    R: Decoder<
            Item = Result<protocol_codecs::evapi::Decoded<M>, protocol_codecs::evapi::MessageError>,
            Error = EvapiError,
        >,
{
    let mut wire = BytesMut::new();
    for message in messages {
        sender.encode(message.clone(), &mut wire).unwrap();
    }
    let mut buffer = BytesMut::new();
    let mut received = Vec::new();
    for read in wire.chunks(chunk) {
        buffer.put_slice(read);
        while let Some(item) = receiver.decode(&mut buffer).unwrap() {
            received.push(item.unwrap().message);
        }
    }
    assert!(receiver.decode_eof(&mut buffer).unwrap().is_none());
    received
}

proptest! {
    #[test]
    fn what_kamailio_sends_arrives(messages in prop::collection::vec(from_kamailio(), 1..5), chunk in 1..2000_usize, bare: bool) {
        let framing = if bare { Framing::BareJson } else { Framing::Netstring };
        prop_assert_eq!(carry(SwitchCodec::new(framing), AgentCodec::new(framing), &messages, chunk), messages);
    }

    #[test]
    fn what_the_agent_sends_arrives(messages in prop::collection::vec(to_kamailio(), 1..9), chunk in 1..500_usize, bare: bool) {
        let framing = if bare { Framing::BareJson } else { Framing::Netstring };
        prop_assert_eq!(carry(AgentCodec::new(framing), SwitchCodec::new(framing), &messages, chunk), messages);
    }

    #[test]
    fn any_bytes_never_panic(input in prop::collection::vec(any::<u8>(), 0..600)) {
        evapi_decode::run(&input);
        sip_uri::run(&input);
    }

    #[test]
    fn bytes_that_look_right_never_panic(input in "[\u{0}\u{1}\u{4}][0-9]{0,3}(:?[{}\\[\\]\",:0-9a-e\\\\ ]{0,40},?){0,8}") {
        evapi_decode::run(input.as_bytes());
    }

    #[test]
    fn text_that_looks_like_sip_never_panics(input in "(\"?[A-Za-z \\\\]{0,4}\"? ?<?(sip|tel|urn|sips):[+0-9a-z.%@;=:\\[\\]#?-]{0,30}>?(;[a-z]{1,3}(=\"?[a-z0-9\\\\\"]{0,5})?)?,?){1,3}") {
        sip_uri::run(input.as_bytes());
    }

    #[test]
    fn the_codec_lets_no_peer_fill_the_memory(lengths in prop::collection::vec(0..70_000_usize, 1..40)) {
        // `BytesMut` may double what it needs, and keep as much in front that was already taken.
        let bound_bytes = 4 * (limits::FRAME_WIRE_BYTES_MAX + 4096);
        let mut codec = AgentCodec::default();
        let mut buffer = BytesMut::new();
        'peer: for length in lengths {
            // A peer that claims a length and sends spaces for ever, read by read.
            buffer.put_slice(format!("{length}:").as_bytes());
            for read in vec![b' '; length].chunks(4096) {
                buffer.put_slice(read);
                match codec.decode(&mut buffer) {
                    Ok(None) => prop_assert!(buffer.capacity() <= bound_bytes),
                    Ok(Some(_)) => prop_assert!(false, "a frame without its comma"),
                    Err(_) => break 'peer,
                }
            }
            buffer.put_slice(b",");
            while let Ok(Some(item)) = codec.decode(&mut buffer) {
                prop_assert!(item.is_err());
            }
        }
        prop_assert!(buffer.capacity() <= bound_bytes);
    }

    /// `rsip` on what it can read: a plain user, a domain or IPv4 host, token parameters.
    #[test]
    fn rsip_agrees(
        user in "[a-z0-9+_-]{1,12}", host in "[a-z][a-z0-9]{0,5}\\.[a-z]{2,5}", port in proptest::option::of(1..u16::MAX),
        params in prop::collection::btree_map("[a-z]{3}x", "[a-zA-Z0-9.]{1,6}", 0..4), tag in "[a-z0-9]{1,8}",
    ) {
        let port_text = port.map(|port| format!(":{port}")).unwrap_or_default();
        let params_text: String = params.iter().map(|(name, value)| format!(";{name}={value}")).collect();
        let text = format!("sip:{user}@{host}{port_text}{params_text}");
        let theirs = rsip::Uri::try_from(text.as_str()).unwrap();
        let ours = sip::parse_uri(&text).unwrap();
        prop_assert_eq!(ours.user.as_ref().map(Masked::expose), theirs.user());
        prop_assert_eq!(ours.host.clone().unwrap(), theirs.host().to_string());
        prop_assert_eq!(ours.port, theirs.port().map(|port| *port.value()));
        let written: String = ours.params.iter()
            .map(|param| format!(";{}={}", param.name, param.value.as_ref().map_or("", Masked::expose))).collect();
        prop_assert_eq!(written, theirs.params.iter().map(ToString::to_string).collect::<String>());

        let header = format!("\"A B\" <{text}>;tag={tag}");
        let theirs = rsip::typed::From::try_from(rsip::headers::From::new(header.clone())).unwrap();
        let address = sip::parse_name_addr(&header).unwrap();
        prop_assert_eq!(address.tag(), theirs.tag().map(|tag| tag.value()));
        prop_assert_eq!(address.uri, ours);
    }
}
