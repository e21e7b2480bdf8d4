//! Connections recorded from Kamailio with the configuration we ship: every message of it is understood, and none of
//! its fields is lost.

mod support;

use std::collections::BTreeSet;

use protocol_codecs::evapi::{
    CallFields, EndCause, EndedBy, FailCause, FrameReader, Framing, FromKamailio, HelloStatus, Message, MessageError,
    PayerKind, ToKamailio,
};
use serde_json::Value;
use support::{direction, recordings};

const FOLDER: &str = "kamailio";

/// The recording in which the agent misbehaves on purpose.
const NONSENSE: &str = "protocol_errors.jsonl";

fn frames(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = FrameReader::new(Framing::Netstring);
    reader.push(stream).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        frames.push(frame.to_vec());
    }
    reader.finish().unwrap();
    frames
}

/// Everything Kamailio said in one recording.
fn said(name: &str) -> Vec<FromKamailio> {
    let path = recordings(FOLDER).into_iter().find(|path| path.ends_with(name)).unwrap();
    frames(&direction(&path, true).concat()).iter().map(|frame| FromKamailio::decode(frame).unwrap().message).collect()
}

fn call_of(message: &FromKamailio) -> Option<&CallFields> {
    match message {
        FromKamailio::AuthRequest { call, .. }
        | FromKamailio::CallRinging { call, .. }
        | FromKamailio::CallStart { call, .. }
        | FromKamailio::CallEnd { call, .. }
        | FromKamailio::CallFailed { call, .. }
        | FromKamailio::CallAlive { call, .. } => Some(call),
        _ => None,
    }
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

#[test]
fn every_recorded_message_is_understood_and_no_field_is_lost() {
    let mut events = BTreeSet::new();
    for path in recordings(FOLDER) {
        for frame in frames(&direction(&path, true).concat()) {
            let decoded = match FromKamailio::decode(&frame) {
                Ok(decoded) => decoded,
                Err(_) if path.ends_with(NONSENSE) => continue,
                Err(error) => panic!("{}: {error}", path.display()),
            };
            assert!(!decoded.lossy_utf8);
            let written = decoded.message.encode().unwrap();
            assert_eq!(json(written.as_bytes()), json(&frame), "{}", path.display());
            events.insert(decoded.message.event().to_owned());
        }
        if path.ends_with(NONSENSE) {
            continue;
        }
        for frame in frames(&direction(&path, false).concat()) {
            let message =
                ToKamailio::decode(&frame).unwrap_or_else(|error| panic!("{}: {error}", path.display())).message;
            assert_eq!(json(message.encode().unwrap().as_bytes()), json(&frame), "{}", path.display());
            events.insert(message.event().to_owned());
        }
    }
    // Every message of the contract was recorded, and no other.
    let contract = FromKamailio::EVENTS.iter().chain(ToKamailio::EVENTS).map(|event| (*event).to_owned());
    assert_eq!(events, contract.collect());
}

#[test]
fn answers_to_nonsense_are_typed_errors() {
    let path = recordings(FOLDER).into_iter().find(|path| path.ends_with(NONSENSE)).unwrap();
    let errors: Vec<MessageError> =
        frames(&direction(&path, true).concat()).iter().filter_map(|frame| FromKamailio::decode(frame).err()).collect();
    // An agent that leaves out a field gets it back as nothing or as -1; ours never does.
    let expected = [
        MessageError::MissingField { event: "PONG", field: "seq" },
        MessageError::MissingField { event: "PONG", field: "seq" },
        MessageError::OutOfRange { event: "DISCONNECT_REPLY", field: "h_entry" },
        MessageError::OutOfRange { event: "SET_TIMEOUT_REPLY", field: "h_entry" },
        MessageError::MissingField { event: "CALL_LIST_DONE", field: "list_id" },
    ];
    assert_eq!(errors, expected);
}

#[test]
fn an_answered_call_from_hello_to_end() {
    let said = said("answered.jsonl");
    let events: Vec<&str> = said.iter().map(Message::event).collect();
    assert_eq!(events, ["HELLO_REPLY", "PONG", "AUTH_REQUEST", "CALL_RINGING", "CALL_START", "CALL_END"]);
    let [FromKamailio::HelloReply { status: HelloStatus::Ok, run, protocol: 1, .. }, .., start, end] = said.as_slice()
    else {
        panic!("{said:?}");
    };
    let calls: Vec<&CallFields> = said.iter().filter_map(call_of).collect();
    assert_eq!(calls.len(), 4);
    for call in &calls {
        assert_eq!((&call.run, &call.callid, &call.from_tag), (run, &calls[0].callid, &calls[0].from_tag));
        assert_eq!((call.h_entry, call.h_id, call.setup_time), (calls[0].h_entry, calls[0].h_id, calls[0].setup_time));
        assert_eq!(call.payer.as_ref().map(|payer| payer.expose()), Some("1001"));
        assert_eq!((call.payer_kind.as_ref(), call.trunk.as_ref()), (Some(&PayerKind::Digest), None));
        assert!(!call.never_refuse && call.ruri.is_some() && call.from_uri.is_some() && call.src_ip.is_some());
    }
    let FromKamailio::CallStart { answer_time: started, to_tag: Some(callee), .. } = start else {
        panic!("{start:?}");
    };
    let FromKamailio::CallEnd { answer_time, end_time, to_tag, ended_by, cause, q850, call, .. } = end else {
        panic!("{end:?}");
    };
    assert_eq!((answer_time, to_tag.as_ref()), (started, Some(callee)));
    assert_eq!((ended_by, cause, *q850), (&EndedBy::Caller, &EndCause::Bye, Some(16)));
    // sipp talked for 1.5 s.
    let talked = end_time.as_micros() - answer_time.as_micros();
    assert!((1_450_000..1_700_000).contains(&talked), "{talked} us");
    assert!(call.setup_time < *answer_time && Some(*end_time) <= call.event_time);
}

#[test]
fn how_answered_calls_ended() {
    for (name, by, cause) in [
        ("answered.jsonl", EndedBy::Caller, EndCause::Bye),
        ("callee_hangs_up.jsonl", EndedBy::Callee, EndCause::Bye),
        ("max_duration_cut.jsonl", EndedBy::Proxy, EndCause::MaxDuration),
    ] {
        let ends: Vec<_> = said(name)
            .into_iter()
            .filter_map(|message| match message {
                FromKamailio::CallEnd { ended_by, cause, .. } => Some((ended_by, cause)),
                _ => None,
            })
            .collect();
        assert_eq!(ends, [(by, cause)], "{name}");
    }
}

#[test]
fn why_calls_were_never_answered() {
    for (name, status, expected) in [
        ("cancelled.jsonl", Some(487), FailCause::Cancelled),
        ("rejected.jsonl", Some(402), FailCause::Rejected),
        ("rejected_484.jsonl", Some(484), FailCause::Rejected),
        ("busy.jsonl", Some(486), FailCause::Failed),
    ] {
        let ends: Vec<_> = said(name)
            .into_iter()
            .filter_map(|message| match message {
                FromKamailio::CallFailed { sip_status, cause, .. } => Some((sip_status, cause)),
                _ => None,
            })
            .collect();
        assert_eq!(ends, [(status, expected)], "{name}");
    }
}

#[test]
fn a_trunk_pays_under_its_own_name() {
    let said = said("trunk.jsonl");
    let call = said.iter().find_map(call_of).unwrap();
    assert_eq!((call.payer_kind.as_ref(), call.trunk.as_deref()), (Some(&PayerKind::Trunk), Some("trunk-a")));
    assert_eq!(call.payer.as_ref().map(|payer| payer.expose()), Some("trunk-a"));
}

#[test]
fn an_end_that_was_kept_says_the_same_when_it_comes_again() {
    let ends: Vec<FromKamailio> = said("reconnect_call_ended_while_away.jsonl")
        .into_iter()
        .filter(|message| matches!(message, FromKamailio::CallEnd { .. }))
        .collect();
    // Sent for each of two RESENDs before the acknowledgement.
    assert_eq!(ends.len(), 2);
    assert_eq!(ends[0], ends[1]);
}
