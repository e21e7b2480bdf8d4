//! Typed messages of the contract: what each says, what is refused, and that nothing personal reaches a log.

use bytes::BytesMut;
use protocol_codecs::evapi::{
    AgentCodec, AuthVerdict, EncodeError, EndCause, EndedBy, EpochMicros, EvapiError, FailCause, FrameError,
    FrameReader, Framing, FromKamailio, Message, MessageError, PayerKind, ReplyStatus, ToKamailio, encode_frame,
    limits,
};
use protocol_codecs::{Class, Masked};
use tokio_util::codec::Decoder;

const CALL: &str = r#""run":"r1","callid":"c@h","from_tag":"f","h_entry":1,"h_id":2,"payer":"1001","payer_kind":"digest",
    "dest":"2002","ruri":"sip:2002@h","from_uri":"sip:1001@h","to_uri":"sip:2002@h","caller":"1001","src_ip":"192.0.2.1",
    "user_agent":"ua","setup_time":"1795309601.612559","event_time":"1795309602.620113""#;

fn from_kamailio(json: &str) -> Result<FromKamailio, MessageError> {
    FromKamailio::decode(json.as_bytes()).map(|decoded| decoded.message)
}

fn with_call(event: &str, rest: &str) -> String {
    format!("{{\"event\":\"{event}\",{CALL}{rest}}}")
}

#[test]
fn the_end_of_a_call_is_read_in_full() {
    let rest = r#","end_id":"e","to_tag":"t","answer_time":"1795309602.000049","end_time":"1795309605.5","ended_by":"callee",
        "cause":"CREDIT_EXHAUSTED","reason_hdr":"Q.850;cause=16","q850":"16","later":{"a":[1]}"#;
    let Ok(FromKamailio::CallEnd {
        call, end_id, to_tag, answer_time, end_time, ended_by, cause, q850, rtp_stat, ..
    }) = from_kamailio(&with_call("CALL_END", rest))
    else {
        panic!("not a CALL_END");
    };
    assert_eq!((call.h_entry, call.h_id, call.callid.as_str(), call.run.as_str()), (1, 2, "c@h", "r1"));
    assert_eq!((call.payer.as_ref().map(Masked::expose), call.payer_kind), (Some("1001"), Some(PayerKind::Digest)));
    assert_eq!(call.setup_time, EpochMicros::from_micros(1_795_309_601_612_559));
    assert_eq!((answer_time.as_micros(), end_time.as_millis()), (1_795_309_602_000_049, 1_795_309_605_500));
    assert_eq!((end_id.as_str(), to_tag.as_deref(), ended_by), ("e", Some("t"), EndedBy::Callee));
    assert_eq!((cause, q850, rtp_stat), (EndCause::Other("CREDIT_EXHAUSTED".into()), Some(16), None));
    assert!(!call.never_refuse && call.trunk.is_none());
}

#[test]
fn absent_has_four_forms() {
    for absent in ["", r#","sip_status":null"#, r#","sip_status":"""#, r#","sip_status":"<null>""#] {
        let rest = format!(r#","end_id":"e","end_time":"1.5","cause":"CANCELLED"{absent}"#);
        match from_kamailio(&with_call("CALL_FAILED", &rest)) {
            Ok(FromKamailio::CallFailed { sip_status: None, cause: FailCause::Cancelled, .. }) => {}
            other => panic!("{absent}: {other:?}"),
        }
        let required = absent.replace("sip_status", "end_id");
        let fault = MessageError::MissingField { event: "CALL_FAILED", field: "end_id" };
        let rest = format!(r#","end_time":"1.5","cause":"CANCELLED"{required}"#);
        assert_eq!(from_kamailio(&with_call("CALL_FAILED", &rest)), Err(fault), "{absent}");
    }
}

#[test]
fn what_only_describes_the_call_may_be_missing_and_what_identifies_it_may_not() {
    let bare = r#""run":"r","callid":"c","from_tag":"f","h_entry":"1","h_id":"2","setup_time":"1","event_time":"2","never_refuse":1"#;
    let json = format!(r#"{{"event":"AUTH_REQUEST","tr_index":3,"tr_label":4294967295,{bare}}}"#);
    let Ok(FromKamailio::AuthRequest { tr_index: 3, tr_label: u32::MAX, call }) = from_kamailio(&json) else {
        panic!("not an AUTH_REQUEST");
    };
    assert!(call.never_refuse && call.payer.is_none() && call.dest.is_none());
    for field in ["run", "callid", "from_tag", "h_entry", "h_id", "setup_time", "tr_index", "tr_label"] {
        let without = json.replace(&format!("\"{field}\""), "\"x\"");
        let fault = MessageError::MissingField { event: "AUTH_REQUEST", field };
        assert_eq!(from_kamailio(&without), Err(fault));
    }
}

#[test]
fn bad_messages_are_typed_errors() {
    let event = "SET_TIMEOUT_REPLY";
    let wrong = |field, expected| MessageError::WrongType { event, field, expected };
    let deep = format!("{{\"event\":\"PONG\",\"seq\":{}1{}}}", "[".repeat(8), "]".repeat(8));
    for (json, expected) in [
        ("", MessageError::BadJson { line: 1, column: 0 }),
        ("{\"event\":\"PONG\"", MessageError::BadJson { line: 1, column: 15 }),
        ("{}x", MessageError::BadJson { line: 1, column: 3 }),
        ("[]", MessageError::NotAnObject),
        ("{}", MessageError::NoEvent),
        (r#"{"event":1}"#, MessageError::NoEvent),
        (r#"{"event":""}"#, MessageError::NoEvent),
        (&deep, MessageError::TooDeep { offset: 29, limit: 8 }),
        (r#"{"event":"SET_TIMEOUT_REPLY","status":1,"h_entry":1,"h_id":2}"#, wrong("status", "a string")),
        (r#"{"event":"SET_TIMEOUT_REPLY","status":"OK","h_entry":1.0,"h_id":2}"#, wrong("h_entry", "an integer")),
        (r#"{"event":"SET_TIMEOUT_REPLY","status":"OK","h_entry":"1x","h_id":2}"#, wrong("h_entry", "an integer")),
        (r#"{"event":"SET_TIMEOUT_REPLY","status":"OK","h_entry":"+1","h_id":2}"#, wrong("h_entry", "an integer")),
        (r#"{"event":"SET_TIMEOUT_REPLY","status":"OK","h_entry":true,"h_id":2}"#, wrong("h_entry", "an integer")),
    ] {
        assert_eq!(from_kamailio(json), Err(expected), "{json}");
        assert_eq!(expected.class(), Class::Skip);
    }
    for h_id in ["-1", "4294967296", "\"4294967296\"", "\"99999999999999999999999\""] {
        let json = format!(r#"{{"event":"SET_TIMEOUT_REPLY","status":"OK","h_entry":1,"h_id":{h_id}}}"#);
        assert_eq!(from_kamailio(&json), Err(MessageError::OutOfRange { event, field: "h_id" }), "{h_id}");
    }
    let json = with_call("CALL_ALIVE", r#","list_id":"1","answer_time":1795309602"#);
    let fault = MessageError::WrongType { event: "CALL_ALIVE", field: "answer_time", expected: "seconds.microseconds" };
    assert_eq!(from_kamailio(&json), Err(fault));
}

#[test]
fn what_is_new_is_kept() {
    assert_eq!(from_kamailio(r#"{"event":"NEWS"}"#), Ok(FromKamailio::Other { event: "NEWS".into() }));
    let json = r#"{"event":"DISCONNECT_REPLY","status":"LATER","h_entry":1,"h_id":2}"#;
    let status = ReplyStatus::Other("LATER".into());
    assert_eq!(from_kamailio(json), Ok(FromKamailio::DisconnectReply { status, h_entry: 1, h_id: 2 }));
}

#[test]
fn broken_utf8_is_read_and_marked() {
    let decoded = FromKamailio::decode(b"{\"event\":\"ERROR\",\"reason\":\"a\xffb\"}").unwrap();
    let reason = "a\u{fffd}b".to_owned();
    assert_eq!(decoded.message, FromKamailio::Error { reason, tr_index: None, tr_label: None });
    assert!(decoded.lossy_utf8);
    assert!(!FromKamailio::decode("{\"event\":\"ERROR\",\"reason\":\"ä\"}".as_bytes()).unwrap().lossy_utf8);
}

#[test]
fn messages_to_kamailio_have_the_bytes_of_the_contract() {
    let deny = AuthVerdict::Deny { code: 402, reason: "Payment Required".into() };
    let disconnect = |to_tag: Option<&str>| ToKamailio::Disconnect {
        h_entry: 1,
        h_id: 2,
        callid: "c@h".into(),
        from_tag: "f".into(),
        to_tag: to_tag.map(str::to_owned),
        cause: "CREDIT_EXHAUSTED".into(),
    };
    let hello =
        ToKamailio::Hello { protocol: 1, tag: "t".into(), instance: "i".into(), client_id: "\"quoted\"\\".into() };
    for (message, wire) in [
        (hello, r#"83:{"event":"HELLO","protocol":1,"tag":"t","instance":"i","client_id":"\"quoted\"\\"},"#),
        (ToKamailio::Ping { seq: 7 }, r#"24:{"event":"PING","seq":7},"#),
        (
            ToKamailio::AuthReply { tr_index: 3, tr_label: 4, verdict: AuthVerdict::Allow { cap_s: 62 } },
            r#"66:{"event":"AUTH_REPLY","tr_index":3,"tr_label":4,"allow":1,"cap_s":62},"#,
        ),
        (
            ToKamailio::AuthReply { tr_index: 3, tr_label: 4, verdict: deny },
            r#"94:{"event":"AUTH_REPLY","tr_index":3,"tr_label":4,"allow":0,"code":402,"reason":"Payment Required"},"#,
        ),
        (ToKamailio::CallEndAck { end_id: "e".into() }, r#"37:{"event":"CALL_END_ACK","end_id":"e"},"#),
        (ToKamailio::Resend {}, r#"18:{"event":"RESEND"},"#),
        (ToKamailio::CallList { list_id: "9".into() }, r#"35:{"event":"CALL_LIST","list_id":"9"},"#),
        (
            ToKamailio::SetTimeout { h_entry: 1, h_id: 2, cap_s: 32 },
            r#"54:{"event":"SET_TIMEOUT","h_entry":1,"h_id":2,"cap_s":32},"#,
        ),
        (
            disconnect(Some("t")),
            r#"109:{"event":"DISCONNECT","h_entry":1,"h_id":2,"callid":"c@h","from_tag":"f","to_tag":"t","cause":"CREDIT_EXHAUSTED"},"#,
        ),
        (
            disconnect(None),
            r#"96:{"event":"DISCONNECT","h_entry":1,"h_id":2,"callid":"c@h","from_tag":"f","cause":"CREDIT_EXHAUSTED"},"#,
        ),
    ] {
        let mut bytes = Vec::new();
        encode_frame(&message, Framing::Netstring, &mut bytes).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        // The length in the table is counted by the codec under test: count it here, too.
        let (length, rest) = text.split_once(':').unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), rest.len() - 1);
        assert_eq!(rest, wire.split_once(':').unwrap().1);
        let mut reader = FrameReader::new(Framing::Netstring);
        reader.push(&bytes).unwrap();
        let decoded = ToKamailio::decode(reader.next_frame().unwrap().unwrap()).unwrap();
        assert_eq!(decoded.message, message);
    }
}

#[test]
fn what_must_not_be_sent_is_refused_and_nothing_is_written() {
    let deny = |code, reason: &str| ToKamailio::AuthReply {
        tr_index: 1,
        tr_label: 2,
        verdict: AuthVerdict::Deny { code, reason: reason.into() },
    };
    let control = EncodeError::ControlCharacter { event: "AUTH_REPLY", field: "reason" };
    let code = EncodeError::OutOfRange { event: "AUTH_REPLY", field: "code" };
    let ack = |end_id: &str| ToKamailio::CallEndAck { end_id: end_id.into() };
    let blank = EncodeError::Blank { event: "CALL_END_ACK", field: "end_id" };
    let frame_bytes = limits::SENT_FRAME_BYTES_MAX + 1;
    let too_long = EncodeError::FrameTooLong { frame_bytes, limit_bytes: limits::SENT_FRAME_BYTES_MAX };
    for (message, fault) in [
        (deny(402, "No\r\nContact: <sip:x@y>"), control),
        (deny(402, "No\0"), control),
        (deny(402, "No\u{7f}"), control),
        (deny(200, "OK"), code),
        (deny(302, "Moved"), code),
        (deny(700, "No"), code),
        (ack(""), blank),
        (ack("<null>"), blank),
        (ack(&"x".repeat(frame_bytes - r#"{"event":"CALL_END_ACK","end_id":""}"#.len())), too_long),
    ] {
        let mut bytes = Vec::new();
        assert_eq!(encode_frame(&message, Framing::Netstring, &mut bytes), Err(fault));
        assert!(bytes.is_empty());
        assert_eq!(fault.class(), Class::Refused);
    }
    let nul = FromKamailio::Error { reason: "a\0".into(), tr_index: None, tr_label: None };
    assert_eq!(nul.encode(), Err(EncodeError::ControlCharacter { event: "ERROR", field: "reason" }));
}

#[test]
fn no_log_shows_the_subscriber() {
    let json =
        with_call("CALL_RINGING", r#","status":180"#).replace("1001", "49301234567").replace("2002", "49305555555");
    let message = from_kamailio(&json).unwrap();
    let shown = format!("{message:?}");
    assert!(!shown.contains("4930"), "{shown}");
    for broken in [json.replace("180", "\"49301234567x\""), json.replace("\"event\"", "49301234567"), json + "4930"] {
        let error = from_kamailio(&broken).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("4930"));
    }
}

#[test]
fn the_codec_goes_on_after_a_bad_message_and_ends_after_a_bad_frame() {
    let mut codec = AgentCodec::default();
    let mut buffer = BytesMut::from("24:{\"event\":\"PONG\",\"seq\":1},3:{x},24:{\"event\":\"PONG\",\"seq\":2},9:{");
    let mut next = || codec.decode(&mut buffer).unwrap().map(|item| item.map(|decoded| decoded.message));
    assert_eq!(next(), Some(Ok(FromKamailio::Pong { seq: 1 })));
    assert!(matches!(next(), Some(Err(error)) if error.class() == Class::Skip));
    assert_eq!(next(), Some(Ok(FromKamailio::Pong { seq: 2 })));
    assert_eq!(next(), None);
    let error = codec.decode_eof(&mut buffer).unwrap_err();
    assert!(matches!(error, EvapiError::Frame(FrameError::EndInFrame { held_bytes: 3, .. })), "{error:?}");
    assert_eq!(error.class(), Class::Fatal);

    let mut codec = AgentCodec::default();
    let error = codec.decode(&mut BytesMut::from("1073741824:")).unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
}
