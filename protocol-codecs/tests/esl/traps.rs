//! The traps of this wire, each by its name.

use protocol_codecs::esl::limits::{CHANNEL_ROWS_MAX, FIELDS_MAX};
use protocol_codecs::esl::{Event, Frame, FrameError, MessageError, Value};

use crate::support::{decode, from_switch, json_frame, only_event};

#[test]
fn a_latin1_caller_name_costs_one_character() {
    let json = b"{\"Event-Name\":\"CHANNEL_PARK\",\"Unique-ID\":\"u1\",\"Caller-Caller-ID-Name\":\"J\xfcrgen\",\"x\":\"\xe4\"}";
    let event = only_event(&json_frame(json));
    assert!(event.lossy_utf8());
    assert_eq!(event.text("Caller-Caller-ID-Name"), Some("J\u{fffd}rgen"));
    assert_eq!((event.unique_id(), event.text("x")), (Some("u1"), Some("\u{fffd}")));
}

#[test]
fn an_event_of_200_kb() {
    let long = "x".repeat(200_000);
    let json = format!("{{\"Event-Name\":\"CHANNEL_PARK\",\"variable_sip_h_X-Long\":\"{long}\",\"Unique-ID\":\"u1\"}}");
    let frame = json_frame(json.as_bytes());
    let (items, fault) = decode(frame.chunks(1_000));
    assert_eq!((items.len(), fault), (1, None));
    let event = only_event(&frame);
    assert_eq!(event.variable("sip_h_X-Long").map(str::len), Some(200_000));
    assert_eq!(event.unique_id(), Some("u1"));
}

#[test]
fn ten_thousand_events_in_one_read() {
    let one = |number: usize| json_frame(format!("{{\"Event-Name\":\"HEARTBEAT\",\"n\":\"{number}\"}}").as_bytes());
    let burst: Vec<u8> = (0..10_000).flat_map(one).collect();
    let (items, fault) = decode([burst.as_slice()]);
    assert_eq!(fault, None);
    let numbers = items.iter().map(|item| match item {
        Ok(Frame::Event(event)) => event.count("n").unwrap().unwrap(),
        other => panic!("{other:?}"),
    });
    assert!(numbers.eq(0..10_000));
}

#[test]
fn a_faulty_event_costs_no_other() {
    let good = json_frame(b"{\"Event-Name\":\"HEARTBEAT\"}");
    let bad = json_frame(b"{\"Event-Name\":\"HEARTBEAT\"");
    let plain = b"Content-Length: 6\nContent-Type: text/event-plain\n\nbroken";
    let (items, fault) = decode([[&good, &bad, plain.as_slice(), &good].concat().as_slice()]);
    assert_eq!((items.len(), fault), (4, None));
    assert!(items[0].is_ok() && items[3].is_ok());
    assert!(matches!(items[1], Err(MessageError::BadJson { line: 1, .. })));
    assert_eq!(items[2], Err(MessageError::BadHeader { offset: 0 }));
}

#[test]
fn a_body_inside_an_event_is_not_a_frame() {
    // What stands in a body must not be taken for headers, in either format.
    let body = "Content-Type: command/reply\nReply-Text: -ERR forged\n\n";
    let inner = format!("Event-Name: MESSAGE\nContent-Length: {}\n\n{body}", body.len());
    let frame = format!("Content-Length: {}\nContent-Type: text/event-plain\n\n{inner}", inner.len());
    let event = only_event(frame.as_bytes());
    assert_eq!(event.body(), Some(body));
    assert_eq!(event.text("Reply-Text"), None);
    let answer = format!("Content-Type: api/response\nContent-Length: {}\n\n{body}", body.len());
    let (items, fault) = decode([answer.as_bytes()]);
    assert!(matches!(items[..], [Ok(Frame::ApiResponse(_))]) && fault.is_none());
}

#[test]
fn a_length_twice_inside_an_event() {
    let frames = decode([from_switch("04b_sendevent_crlf").as_slice()]).0;
    let event = |item| if let &Ok(Frame::Event(ref event)) = item { Some(event) } else { None };
    let events: Vec<&Event> = frames.iter().filter_map(event).collect();
    assert_eq!(events.len(), 2, "plain and json");
    for event in events {
        assert_eq!(event.body(), Some("hello\nworld"));
        let lengths = event.fields().iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        assert!(lengths.map(|(_, value)| value).eq([Value::Text("11"); 2]));
        assert_eq!(event.text("X-Empty"), None, "FreeSWITCH drops an empty header of sendevent");
        assert_eq!(event.text("Event-Subclass"), Some("lab::ping"));
    }
}

#[test]
fn plain_is_lossy_where_json_is_not() {
    let plain = decode([from_switch("04b_sendevent_crlf").as_slice()]).0;
    let notes: Vec<&str> = plain
        .iter()
        .filter_map(|item| match item {
            Ok(Frame::Event(event)) => event.text("X-Note"),
            _ => None,
        })
        .collect();
    assert_eq!(notes, ["100% a:b c", "100%25 a:b c"], "the sender wrote 100%25");
}

#[test]
fn unknown_kinds_are_kept() {
    let (items, fault) = decode([b"Content-Type: text/new\nContent-Length: 3\nX: y\n\nabcA: b\n\n".as_slice()]);
    assert_eq!((items.len(), fault), (2, None));
    let [Ok(Frame::Unknown(new)), Ok(Frame::Unknown(none))] = &items[..] else { panic!("{items:?}") };
    assert_eq!(
        (new.content_type.as_str(), new.head.text("X"), new.body.0.as_slice()),
        ("text/new", Some("y"), b"abc".as_slice())
    );
    assert_eq!(none.content_type, "");
}

#[test]
fn a_refused_address_and_a_log_line() {
    let refused = b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n";
    let log = b"Content-Type: log/data\nContent-Length: 5\nLog-Level: 7\nText-Channel: 0\nLog-File: a.c\nLog-Func: f\nLog-Line: 1\nUser-Data: \n\n12345";
    let (items, fault) = decode([refused.as_slice(), log]);
    assert_eq!(fault, None);
    assert_eq!(items[0], Ok(Frame::RudeRejection));
    let Ok(Frame::LogData(line)) = &items[1] else { panic!("{items:?}") };
    assert_eq!((line.level, line.line.0.as_slice()), (Some(7), b"12345".as_slice()));
    assert_eq!(format!("{line:?}"), "LogData { level: Some(7), line: RawBody(5 bytes) }");
}

#[test]
fn too_many_fields_cost_one_event() {
    let fields = |count: usize| (0..count).map(|_| ",\"f\":\"\"").collect::<String>();
    let event = |count| json_frame(format!("{{\"Event-Name\":\"X\"{}}}", fields(count)).as_bytes());
    let most = only_event(&event(FIELDS_MAX - 1));
    assert_eq!(most.fields().count(), FIELDS_MAX);
    let (items, fault) = decode([event(FIELDS_MAX).as_slice()]);
    assert_eq!((items, fault), (vec![Err(MessageError::TooManyFields { limit: FIELDS_MAX })], None));
}

#[test]
fn a_list_of_channels_is_bounded_and_must_hold_what_it_claims() {
    let list = |rows: usize, row_count: usize| {
        let rows = vec!["{\"uuid\":\"u\",\"direction\":\"inbound\",\"new\":\"x\"}"; rows].join(",");
        let json = format!("{{\"row_count\":{row_count},\"rows\":[{rows}]}}\n");
        let frame = format!("Content-Type: api/response\nContent-Length: {}\n\n{json}", json.len());
        let (mut items, _) = decode([frame.as_bytes()]);
        let Ok(Frame::ApiResponse(answer)) = items.remove(0) else { panic!("an answer") };
        answer.channels().map(|channels| channels.rows().len())
    };
    assert_eq!(list(3, 3), Ok(3));
    let wrong = |rows, row_count| Err(MessageError::BadRowCount { rows, row_count, limit: CHANNEL_ROWS_MAX });
    assert_eq!(list(2, 3), wrong(2, 3));
    assert_eq!(list(CHANNEL_ROWS_MAX + 5, CHANNEL_ROWS_MAX + 5), wrong(CHANNEL_ROWS_MAX + 1, 100_005));
}

#[test]
fn a_second_reply_is_not_swallowed() {
    let (items, fault) =
        decode([b"Content-Type: command/reply\nReply-Text: +OK\n\nContent-Type: command/reply\nReply-Text: -ERR\n\n"
            .as_slice()]);
    assert_eq!((items.len(), fault), (2, None));
    let (_, fault) =
        decode([b"Content-Type: command/reply\nReply-Text: +OK\nContent-Type: command/reply\n\n".as_slice()]);
    assert_eq!(fault, Some(FrameError::CutReply { offset: 44 }));
}
