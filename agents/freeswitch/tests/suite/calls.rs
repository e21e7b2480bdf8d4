//! Single calls: refusals, ends, legs, transfers, hold, warnings, numbers and payers.

use serde_json::Value;
use types::ConfigDuration;

use crate::recording::{frame, replaced};
use crate::stage::Stage;
use crate::synthetic::{Call, stage};

type Fields = &'static [(&'static str, &'static str)];
type Change = fn(&mut agent_freeswitch::FreeswitchConfig);

/// (fields of the parked call, balance, what is said, the record).
const REFUSALS: &[(Fields, &str, &str, &str)] = &[
    (&[], "0.00", "uuid_transfer a 402 XML tollkeeper_refused", "EVENT Failed 402 CREDIT_EXHAUSTED cost 0"),
    (
        &[("variable_cgr_account", "ghost")],
        "1.00",
        "uuid_kill a OUTGOING_CALL_BARRED",
        "EVENT Failed 403 UNKNOWN_ACCOUNT cost 0",
    ),
    (
        &[("variable_cgr_account", ""), ("variable_accountcode", "")],
        "1.00",
        "uuid_kill a OUTGOING_CALL_BARRED",
        "EVENT Failed 403 UNKNOWN_PAYER cost 0",
    ),
    (
        &[("Caller-Destination-Number", "alice")],
        "1.00",
        "uuid_kill a INVALID_NUMBER_FORMAT",
        "EVENT Failed 484 INVALID_NUMBER cost 0",
    ),
    (
        &[("Caller-Destination-Number", "8812345678")],
        "1.00",
        "uuid_kill a OUTGOING_CALL_BARRED",
        "EVENT Failed 403 UNRATED_DESTINATION cost 0",
    ),
];

#[tokio::test(start_paused = true)]
async fn a_refused_call_has_its_sip_status() {
    for (fields, balance, said, record) in REFUSALS {
        let (mut stage, mut call) = (stage(balance, |_| {}).await, Call::new("a"));
        call.created_ms = stage.now();
        call.says(&mut stage, "CHANNEL_PARK", fields).await;
        stage.until("the refusal", |stage| stage.said().contains(&(*said).to_owned())).await;
        if said.starts_with("uuid_transfer") {
            call.ends(&mut stage, &[("Hangup-Cause", "CALL_REJECTED")]).await;
        }
        stage.expect_settled(said, &[record], balance).await;
        assert_eq!(stage.said(), [*said]);
        stage.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_core_refuses_with_503() {
    let (mut stage, mut call) = (stage("1.00", |_| {}).await, Call::new("a"));
    stage.core.set_reachable(false);
    call.parks(&mut stage).await;
    stage.eventually("the refusal", |stage| stage.said() == ["uuid_kill a NORMAL_TEMPORARY_FAILURE"]).await;
    stage.core.set_reachable(true);
    stage.eventually("the EVENT", |stage| stage.records().len() == 1).await;
    stage.eventually("given back", |stage| stage.core.requests().len() == 2).await;
    stage.expect_settled("no core", &["EVENT Failed 503 CHARGING_UNAVAILABLE cost 0"], "1.00").await;
    stage.finish().await;
}

/// A refusal that the dialplan has no extension for still refuses.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_the_switch_does_not_take_is_made_by_a_kill() {
    let (mut stage, mut call) = (stage("0.00", |_| {}).await, Call::new("a"));
    stage.switch.state().refusals = vec![("uuid_transfer", "-ERR permission denied\n")];
    call.parks(&mut stage).await;
    stage.until("the kill", |stage| stage.said().len() == 2).await;
    assert_eq!(stage.said()[1], "uuid_kill a OUTGOING_CALL_BARRED");
    stage.finish().await;
}

/// Without its backstop a call is not routed.
#[tokio::test(start_paused = true)]
async fn a_call_whose_backstop_is_not_taken_is_not_routed() {
    let (mut stage, mut call) = (stage("1.00", |_| {}).await, Call::new("a"));
    stage.switch.state().refusals = vec![("uuid_setvar_multi", "-ERR permission denied\n")];
    call.parks(&mut stage).await;
    stage.until("the kill", |stage| !stage.said_of("uuid_kill").is_empty()).await;
    assert_eq!(stage.said_of("uuid_transfer"), Vec::<String>::new());
    stage.expect_settled("no backstop", &["EVENT Failed CHARGING_UNAVAILABLE cost 0"], "1.00").await;
    stage.finish().await;
}

/// Normalised it would be a number; as it was dialled no command can carry it.
#[tokio::test(start_paused = true)]
async fn a_number_that_no_command_can_carry_is_refused() {
    let (mut stage, mut call) = (stage("1.00", |_| {}).await, Call::new("a"));
    call.dialled = "49 170 1234567";
    call.parks(&mut stage).await;
    stage.until("the kill", |stage| stage.said_of("uuid_kill") == ["uuid_kill a INVALID_NUMBER_FORMAT"]).await;
    assert_eq!(stage.said_of("uuid_transfer"), Vec::<String>::new());
    stage.expect_settled("spaces", &["EVENT Failed cost 0"], "1.00").await;
    stage.finish().await;
}

/// (cause, disposition, SIP status of the B leg, the record).
const UNANSWERED: &[(&str, &str, Option<&str>, &str, &str)] = &[
    ("USER_BUSY", "send_refuse", Some("486"), "17", "EVENT Busy 486 cost 0"),
    ("NO_ANSWER", "send_refuse", None, "19", "EVENT NoAnswer cost 0"),
    ("ORIGINATOR_CANCEL", "recv_cancel", Some("487"), "16", "EVENT Cancelled 487 cost 0"),
    ("UNALLOCATED_NUMBER", "send_refuse", Some("404"), "1", "EVENT Failed 404 cost 0"),
    ("SOMETHING_NEW", "send_refuse", None, "31", "EVENT Failed cost 0"),
];

#[tokio::test(start_paused = true)]
async fn an_unanswered_call_costs_nothing_and_says_why() {
    for (cause, disposition, status, q850, record) in UNANSWERED {
        let (mut stage, mut call) = (stage("1.00", |_| {}).await, Call::new("a"));
        call.parks(&mut stage).await;
        call.is_routed(&mut stage).await;
        let mut fields = vec![
            ("Hangup-Cause", *cause),
            ("variable_sip_hangup_disposition", *disposition),
            ("variable_hangup_cause_q850", *q850),
        ];
        fields.extend(status.map(|status| ("variable_sip_invite_failure_status", status)));
        call.ends(&mut stage, &fields).await;
        stage.expect_settled(cause, &[record], "1.00").await;
        stage.finish().await;
    }
}

/// The caller gives up before the core has answered: nothing is said to a channel that is gone.
#[tokio::test(start_paused = true)]
async fn a_call_cancelled_while_authorising_gives_everything_back() {
    let (mut stage, mut call) = (stage("1.00", |_| {}).await, Call::new("a"));
    stage.core.set_reachable(false);
    call.parks(&mut stage).await;
    stage.pass(1_000).await;
    let cancel = [("Hangup-Cause", "ORIGINATOR_CANCEL"), ("variable_sip_hangup_disposition", "recv_cancel")];
    call.ends(&mut stage, &cancel).await;
    stage.core.set_reachable(true);
    stage.eventually("given back", |stage| stage.core.requests().len() == 2).await;
    stage.expect_settled("cancelled", &["EVENT Cancelled cost 0"], "1.00").await;
    assert_eq!(stage.said(), Vec::<String>::new());
    stage.finish().await;
}

/// The switch says "no such channel" to the transfer, and its end is told a moment later.
#[tokio::test(start_paused = true)]
async fn a_call_cancelled_while_it_is_admitted_is_no_fault() {
    let (mut stage, mut call) = (stage("1.00", |_| {}).await, Call::new("a"));
    stage.switch.state().refusals = vec![("uuid_setvar_multi", "-ERR No such channel!\n")];
    call.parks(&mut stage).await;
    stage.until("the question", |stage| stage.switch.state().asked.iter().any(|asked| asked == "uuid_exists a")).await;
    let cancel = [("Hangup-Cause", "ORIGINATOR_CANCEL"), ("variable_sip_hangup_disposition", "recv_cancel")];
    call.ends(&mut stage, &cancel).await;
    stage.expect_settled("cancelled", &["EVENT Cancelled cost 0"], "1.00").await;
    assert!(stage.said_of("uuid_kill").is_empty() && stage.said_of("uuid_transfer").is_empty());
    stage.finish().await;
}

/// Other legs, other channels, other contexts: not one of them is asked for or charged.
#[tokio::test(start_paused = true)]
async fn only_the_inbound_leg_that_waits_for_us_is_charged() {
    let mut stage = stage("1.00", |config| config.parked_contexts = vec!["public".into()]).await;
    let legs: &[Fields] = &[
        &[("Call-Direction", "outbound"), ("variable_cgr_account", "")],
        &[("variable_originating_leg_uuid", "a"), ("variable_cgr_account", "")],
        &[("Caller-Context", "conference")],
        &[("variable_cgr_reqtype", "*none")],
    ];
    for (number, fields) in legs.iter().enumerate() {
        let mut call = Call::new(&format!("leg-{number}"));
        call.created_ms = stage.now();
        call.says(&mut stage, "CHANNEL_PARK", fields).await;
    }
    // Neither parked nor marked.
    let mut internal = Call::new("internal");
    (internal.created_ms, internal.answered_ms) = (stage.now(), Some(stage.now()));
    for field in ["variable_cgr_account", "variable_cgr_reqtype"] {
        internal.further.insert(field.into(), Value::Null);
    }
    for name in ["CHANNEL_PROGRESS", "CHANNEL_ANSWER", "CHANNEL_HOLD", "CHANNEL_BRIDGE"] {
        // Recorded calls were not held; the fields are the same.
        let mut event = internal.event(&stage, if name == "CHANNEL_HOLD" { "CHANNEL_ANSWER" } else { name });
        event.insert("Event-Name".into(), name.into());
        stage.switch.say(&event);
    }
    internal.hangs_up(&mut stage).await;
    stage.pass(3_000).await;
    assert!(stage.core.requests().is_empty() && stage.said().is_empty(), "{:?}", stage.said());
    assert_eq!(stage.records(), Vec::<String>::new());
    stage.finish().await;
}

/// Both legs of a bridge tell everything; the second leg changes nothing.
#[tokio::test(start_paused = true)]
async fn the_other_leg_is_not_charged_twice() {
    let (mut stage, mut call) = (stage("1.00", |_| {}).await, Call::new("a"));
    let mut other = Call::new("b");
    for (field, value) in [("Call-Direction", "outbound"), ("variable_originating_leg_uuid", "a")] {
        other.further.insert(field.into(), value.into());
    }
    call.parks(&mut stage).await;
    call.is_routed(&mut stage).await;
    (other.created_ms, other.answered_ms) = (stage.now(), Some(stage.now()));
    other.says(&mut stage, "CHANNEL_ANSWER", &[]).await;
    stage.pass(20).await;
    call.answers(&mut stage).await;
    call.says(&mut stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", "b")]).await;
    stage.pass(2_000).await;
    other.hangs_up(&mut stage).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("two legs", &["START", "STOP Normal 2.000s cost 0.02"], "0.98").await;
    stage.finish().await;
}

/// A dialplan for emergencies never asks; should it park the call all the same, it goes on at once.
#[tokio::test(start_paused = true)]
async fn a_never_refused_call_is_recorded_and_not_touched() {
    for parked in [false, true] {
        let (mut stage, mut call) = (stage("0.00", |_| {}).await, Call::new("a"));
        stage.core.set_reachable(false);
        call.dialled = "112";
        call.further.insert("variable_tollkeeper_never_refuse".into(), "true".into());
        if parked {
            call.parks(&mut stage).await;
        } else {
            call.created_ms = stage.now();
            call.says(&mut stage, "CHANNEL_PROGRESS", &[]).await;
        }
        call.answers(&mut stage).await;
        stage.pass(20_000).await;
        call.hangs_up(&mut stage).await;
        stage.expect_settled("112", &["START", "STOP Normal 20.000s"], "0.00").await;
        let route = vec!["uuid_transfer a 112 XML tollkeeper_admitted".to_owned()];
        assert_eq!(stage.said(), if parked { route } else { vec![] });
        assert!(stage.core.requests().is_empty());
        stage.agent.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_warned_once_and_the_other_leg_ended_when_the_first_does_not_end() {
    let mut stage = stage("0.20", |config| {
        (config.calls.slice, config.calls.margin) = (ConfigDuration::from_s(30), ConfigDuration::from_s(5));
        config.low_balance_file = "/sounds/low_credit.wav".into();
    })
    .await;
    let mut call = Call::new("a");
    stage.switch.state().obeys = false;
    call.connects(&mut stage).await;
    call.says(&mut stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", "b")]).await;
    call.talks_until(&mut stage, 19_990).await;
    assert_eq!(stage.said_of("uuid_broadcast"), ["uuid_broadcast a /sounds/low_credit.wav aleg"]);
    call.talks_until(&mut stage, 20_000).await;
    stage.switch.state().scheduled.clear();
    assert_eq!(stage.said_of("uuid_kill"), ["uuid_kill a ALLOTTED_TIMEOUT"]);
    call.talks_until(&mut stage, 22_010).await;
    assert_eq!(stage.said_of("uuid_kill")[1..], ["uuid_kill a ALLOTTED_TIMEOUT", "uuid_kill b ALLOTTED_TIMEOUT"]);
    call.ends(&mut stage, &[("Hangup-Cause", "ALLOTTED_TIMEOUT")]).await;
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn hold_is_charged_unless_it_is_free() {
    let rows: [(Change, &str, &str); 2] = [
        (|_| {}, "STOP Normal 10.000s cost 0.1", "0.90"),
        (|config| config.calls.hold = agent_call::HoldCharging::Free, "STOP Normal 6.000s cost 0.06", "0.94"),
    ];
    for (change, stop, balance) in rows {
        let (mut stage, mut call) = (stage("1.00", change).await, Call::new("a"));
        call.connects(&mut stage).await;
        for (at_ms, name) in [(3_000, "CHANNEL_HOLD"), (7_000, "CHANNEL_UNHOLD")] {
            call.talks_until(&mut stage, at_ms).await;
            let mut event = call.event(&stage, "CHANNEL_ANSWER");
            event.insert("Event-Name".into(), name.into());
            stage.switch.say(&event);
            stage.settle().await;
        }
        call.talks_until(&mut stage, 10_000).await;
        call.hangs_up(&mut stage).await;
        stage.expect_settled(stop, &["START", stop], balance).await;
        stage.finish().await;
    }
}

/// A leg that talks to another one goes on in the same session.
#[tokio::test(start_paused = true)]
async fn another_partner_is_noted_in_the_record() {
    let (mut stage, mut call) = (stage("1.00", |_| {}).await, Call::new("a"));
    call.connects(&mut stage).await;
    for other in ["b", "b", "c"] {
        call.says(&mut stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", other)]).await;
    }
    stage.pass(2_000).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("transferred", &["START", "STOP Normal 2.000s cost 0.02"], "0.98").await;
    let tags = &stage.full_records()[1].metadata.tags;
    assert_eq!(tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["TRANSFERRED:c"]);
    stage.finish().await;
}

/// The final numbers never come, or long after: the hangup itself is enough.
#[tokio::test(start_paused = true)]
async fn a_call_without_its_final_event_is_closed_by_its_hangup() {
    let (mut stage, mut call) = (stage("1.00", |_| {}).await, Call::new("a"));
    call.connects(&mut stage).await;
    stage.pass(5_000).await;
    call.says(&mut stage, "CHANNEL_HANGUP", &[]).await;
    let last = call.event(&stage, "CHANNEL_HANGUP_COMPLETE");
    stage.pass(900).await;
    stage.until("START", |stage| stage.records() == ["START"]).await;
    stage.pass(200).await;
    stage.expect_settled("no final event", &["START", "STOP Normal 5.000s cost 0.05"], "0.95").await;
    stage.switch.say(&last);
    stage.pass(1_000).await;
    stage.expect_settled("late final event", &["START", "STOP Normal 5.000s cost 0.05"], "0.95").await;
    stage.finish().await;
}

/// Every byte of the caller's name may be anything.
#[tokio::test(start_paused = true)]
async fn a_latin_1_name_is_charged_like_any_other() {
    let (mut stage, mut call) = (stage("1.00", |_| {}).await, Call::new("a"));
    call.created_ms = stage.now();
    for name in ["CHANNEL_PARK", "CHANNEL_ANSWER", "CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"] {
        if name == "CHANNEL_ANSWER" {
            call.is_routed(&mut stage).await;
            call.answered_ms = Some(stage.now());
        }
        if name == "CHANNEL_HANGUP" {
            stage.pass(3_000).await;
        }
        let event = call.event(&stage, name);
        stage.switch.state().learn(&event);
        let body = Value::Object(event).to_string();
        stage.switch.play(&frame(&replaced(body.as_bytes(), b"Alice A", b"J\xfcrgen \xc3")));
        stage.settle().await;
    }
    stage.expect_settled("Latin-1", &["START", "STOP Normal 3.000s cost 0.03"], "0.97").await;
    stage.finish().await;
}

/// (fields, the account that the core is asked for; absent: nobody).
const PAYERS: &[(Fields, Option<&str>)] = &[
    (&[("variable_tollkeeper_account", "t"), ("variable_sip_auth_username", "u")], Some("t")),
    (&[("variable_sip_auth_username", "u")], Some("1001")),
    (
        &[("variable_cgr_account", ""), ("variable_sip_auth_username", "u"), ("variable_sip_authorized", "true")],
        Some("u"),
    ),
    (&[("variable_cgr_account", ""), ("variable_accountcode", ""), ("variable_sip_auth_username", "carrier")], None),
    (&[("variable_cgr_account", ""), ("variable_accountcode", "victim"), ("variable_sip_authorized", "true")], None),
    (&[("variable_cgr_account", ""), ("variable_accountcode", "code")], Some("code")),
    (&[("variable_cgr_account", "_undef_"), ("variable_accountcode", ""), ("variable_sip_from_user", "f")], None),
    (&[("variable_cgr_account", "J\u{FFFD}rgen")], None),
];

#[tokio::test(start_paused = true)]
async fn who_pays_is_never_the_from_header() {
    let mut stage: Stage = stage("1.00", |_| {}).await;
    for (number, (fields, expected)) in PAYERS.iter().enumerate() {
        let mut call = Call::new(&format!("p{number}"));
        call.created_ms = stage.now();
        let (before, said) = (stage.core.requests().len(), stage.said().len());
        call.says(&mut stage, "CHANNEL_PARK", fields).await;
        stage.until("the verdict", |stage| stage.said().len() > said).await;
        let asked = stage.core.requests().get(before).and_then(|request| request.subscribers.first().cloned());
        assert_eq!(asked.as_ref().map(|payer| payer.value.expose()), *expected, "{fields:?}");
    }
    stage.agent.abort();
}
