//! Trunks and their numbers, forged and broken identifiers, cuts.

use serde_json::json;

use crate::recording::frame;
use crate::stage::{Stage, money};
use crate::synthetic::{Call, H_ENTRY, stage};

/// (trunk, dialled, E.164 in the core's request; absent: refused with 484).
const NUMBERS: &[(Option<&str>, &str, Option<&str>)] = &[
    (None, "491701234567", Some("+491701234567")),
    (None, "+491701234567", Some("+491701234567")),
    (None, "00491701234567", Some("+491701234567")),
    (None, "01701234567", None),
    (None, "99491701234567", Some("+99491701234567")),
    (Some("trunk-a"), "99491701234567", Some("+491701234567")),
    (Some("trunk-a"), "9900491701234567", Some("+491701234567")),
    (Some("no such trunk"), "491701234567", Some("+491701234567")),
    (None, "alice", None),
    (None, "4917x", None),
    (None, "", None),
];

#[tokio::test(start_paused = true)]
async fn numbers_are_read_by_the_rules_of_their_trunk() {
    let mut stage = stage("10.00", |_| {}).await;
    for (index, (trunk, dialled, expected)) in NUMBERS.iter().enumerate() {
        let call = Call::new(u32::try_from(index).expect("few") + 1);
        let before = (stage.core.requests().len(), stage.verdicts().len());
        let fields = [("trunk", json!(trunk)), ("dest", json!(dialled)), ("ruri", json!("sip:127.0.0.1"))];
        call.says_with(&mut stage, "AUTH_REQUEST", &fields).await;
        stage.until("the verdict", |stage| stage.verdicts().len() > before.1).await;
        let asked = stage.core.requests().get(before.0).and_then(|request| request.called.clone());
        assert_eq!(asked.as_ref().map(|number| number.expose()), *expected, "{trunk:?} {dialled:?}");
        let refused = matches!(
            stage.verdicts().pop().expect("there").2,
            protocol_codecs::evapi::AuthVerdict::Deny { code: 484, .. }
        );
        // +99… is a number without a rate.
        assert_eq!(refused, expected.is_none(), "{trunk:?} {dialled:?}");
    }
    stage.agent.abort();
}

/// (cause, who, release cause in the record).
const ENDS: &[(&str, &str, Option<&str>)] = &[
    ("BYE", "caller", None),
    ("BYE", "callee", None),
    ("MAX_DURATION", "proxy", Some("BACKSTOP")),
    ("PEER_LOST", "proxy", None),
    ("OPERATOR", "proxy", Some("OPERATOR")),
];

#[tokio::test(start_paused = true)]
async fn every_cause_of_an_end_has_its_word_in_the_record() {
    let mut stage = stage("10.00", |_| {}).await;
    for (index, (cause, by, expected)) in ENDS.iter().enumerate() {
        let mut call = Call::new(u32::try_from(index).expect("few") + 1);
        call.connects(&mut stage).await;
        stage.pass(100).await;
        let fields = [("cause", json!(cause)), ("ended_by", json!(by)), ("q850", json!(null))];
        call.says_with(&mut stage, "CALL_END", &fields).await;
        stage.until("CALL_END_ACK", |stage| stage.kamailio.state().acks.len() > index).await;
        let stop = stage.full_records().pop().expect("there");
        assert_eq!(stop.release_cause.map(|cause| cause.as_str()), *expected, "{cause}");
    }
    stage.finish().await;
}

/// A Call-ID of bytes that are no UTF-8 and a broken tag: the dialog's own numbers still name the call.
#[tokio::test(start_paused = true)]
async fn a_call_id_that_is_no_text_is_charged_and_cut_like_any_other() {
    let (mut stage, mut call) = (stage("0.02", |_| {}).await, Call::new(1));
    call.further.insert("callid".into(), "BROKEN".into());
    for event in ["AUTH_REQUEST", "CALL_START"] {
        call.answered = stage.now();
        stage.kamailio.play(&broken(&frame(&call.message(&stage, event))));
        stage.until("the core asked", |stage| stage.verdicts().len() == 1).await;
    }
    stage.kamailio.state().alive.insert((u64::from(H_ENTRY), 1), call.message(&stage, "CALL_START"));
    stage.settle().await;
    let caps = stage.timeouts().len();
    stage.pass(2_100).await;
    // Its Call-ID cannot be sent back; the dialog's own timer ends it.
    assert_eq!(stage.timeouts().get(caps..), Some([(H_ENTRY, 1, 1)].as_slice()), "{:?}", stage.disconnects());
    let mut end = call.message(&stage, "CALL_END");
    end.extend([("ended_by".to_owned(), json!("proxy")), ("cause".to_owned(), json!("MAX_DURATION"))]);
    stage.kamailio.play(&broken(&frame(&end)));
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    assert!(stage.records()[1].starts_with("STOP Normal CREDIT_EXHAUSTED 2.1"), "{:?}", stage.records());
    assert!(stage.core.view("1001").held.is_zero());
    stage.until("CALL_END_ACK", |stage| stage.kamailio.state().acks.len() == 1).await;
    stage.finish().await;
}

fn broken(bytes: &[u8]) -> Vec<u8> {
    let at = bytes.windows(6).position(|window| window == b"BROKEN").expect("there");
    let mut bytes = bytes.to_vec();
    bytes[at..at + 6].copy_from_slice(&[b'a', 0xFF, 0xC0, b'b', 0x80, b'c']);
    bytes
}

/// Kamailio does not confirm the first DISCONNECT: it is said again, and metering goes on until the proven end.
#[tokio::test(start_paused = true)]
async fn a_cut_is_repeated_until_the_end_is_told() {
    let (mut stage, mut call) = (stage("0.05", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    stage.pass(4_990).await;
    assert!(stage.disconnects().is_empty(), "never before the grant is over");
    stage.pass(20).await;
    assert_eq!(stage.disconnects(), ["CREDIT_EXHAUSTED"]);
    stage.pass(2_000).await;
    assert_eq!(stage.disconnects().len(), 2);
    call.says(&mut stage, "CALL_END").await;
    let records = ["START", "STOP Normal CREDIT_EXHAUSTED 7.010s overrun 2010ms cost 0.08"];
    stage.expect_settled("overrun", &records, "-0.03").await;
    stage.finish().await;
}

/// Kamailio says that there is nothing to end: its CALL_END is lost, and asked for.
#[tokio::test(start_paused = true)]
async fn a_disconnect_that_finds_nothing_asks_for_the_end() {
    let (mut stage, mut call) = (stage("0.01", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    stage.pass(900).await;
    let end = call.message(&stage, "CALL_END");
    let (end_id, text) = (call.end_id(), serde_json::Value::Object(end).to_string());
    stage.kamailio.state().kept.insert(end_id, text);
    stage.kamailio.state().alive.clear();
    stage.eventually("DISCONNECT", |stage| !stage.disconnects().is_empty()).await;
    let reply = json!({"event": "DISCONNECT_REPLY", "status": "NOT_FOUND", "h_entry": H_ENTRY, "h_id": 1});
    stage.kamailio.play(&crate::recording::frame_text(&reply.to_string()));
    stage.expect_settled("not found", &["START", "STOP Normal CREDIT_EXHAUSTED 0.900s cost 0.01"], "0.00").await;
    stage.finish().await;
}

/// Not a number, not a time, not an object: that message is skipped, the next one is not.
#[tokio::test(start_paused = true)]
async fn a_message_with_a_fault_costs_only_itself() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    for text in
        ["null", "[]", "{}", "{\"event\":\"CALL_END\"}", "{\"event\":7}", "{\"event\":\"SOMETHING_NEW\",\"x\":1}", "{"]
    {
        stage.kamailio.play(&crate::recording::frame_text(text));
    }
    call.connects(&mut stage).await;
    stage.until("START", |stage| stage.records() == ["START"]).await;
    call.says_with(&mut stage, "CALL_END", &[("end_time", json!("yesterday"))]).await;
    stage.settle().await;
    assert_eq!(stage.records(), ["START"], "an end without a time is no end");
    call.hangs_up(&mut stage).await;
    assert_eq!((stage.kamailio.state().connections, stage.records().len()), (1, 2));
    stage.finish().await;
}

/// A hundred calls at once, of which some ring, some talk, some fail.
#[tokio::test(start_paused = true)]
async fn many_calls_at_once_come_out_even() {
    let mut stage: Stage = stage("100.00", |config| config.calls.slice = types::ConfigDuration::from_s(40)).await;
    let mut calls: Vec<Call> = (1..=100).map(Call::new).collect();
    for call in &calls {
        call.says_with(&mut stage, "AUTH_REQUEST", &[("tr_index", call.h_id.into())]).await;
    }
    stage.until("all verdicts", |stage| stage.verdicts().len() == 100).await;
    for call in &mut calls {
        call.answers(&mut stage).await;
    }
    stage.pass(5_000).await;
    for call in &calls {
        call.says(&mut stage, "CALL_END").await;
    }
    stage.until("all acknowledged", |stage| stage.kamailio.state().acks.len() == 100).await;
    stage.until("all records", |stage| stage.records().len() == 200).await;
    assert_eq!(stage.balance("1001"), money("95.00"));
    assert!(stage.core.view("1001").held.is_zero());
    stage.finish().await;
}

/// While nobody was there to ask, Kamailio refused by itself: recorded, never charged.
#[tokio::test(start_paused = true)]
async fn attempts_that_failed_unseen_are_recorded() {
    let rows = [
        (json!("NO_AGENT"), json!(503), "EVENT Failed 503 CHARGING_UNAVAILABLE cost 0"),
        (json!("AUTH_TIMEOUT"), json!(null), "EVENT Failed 503 CHARGING_UNAVAILABLE cost 0"),
        (json!("CANCELLED"), json!(null), "EVENT Cancelled cost 0"),
        (json!("FAILED"), json!(486), "EVENT Busy 486 cost 0"),
        (json!("SOMETHING_NEW"), json!(404), "EVENT Failed 404 cost 0"),
    ];
    let mut stage = stage("10.00", |_| {}).await;
    let mut expected = Vec::new();
    for (h_id, (cause, status, record)) in (1..).zip(rows) {
        let call = Call::new(h_id);
        let mut failed = call.message(&stage, "CALL_END");
        let fields = [("event", json!("CALL_FAILED")), ("cause", cause), ("sip_status", status)];
        failed.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        stage.kamailio.say(&failed);
        stage.until("CALL_END_ACK", |stage| stage.kamailio.state().kept.is_empty()).await;
        expected.push(record);
    }
    assert!(stage.core.requests().is_empty());
    stage.expect_settled("unseen attempts", &expected, "10.00").await;
    stage.finish().await;
}
