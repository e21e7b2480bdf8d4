//! What recordings cannot show: the end of the credit after a transfer, transfers past us, restarts, hostile callees.

use serde_json::Value;
use types::ConfigDuration;

use crate::stage::{Stage, summary};
use crate::synthetic::{BRITAIN, Call, GERMANY, stage};

/// A leg that the switch called for `caller`.
pub fn called_by(caller: &str, name: &str, stage: &Stage) -> Call {
    let mut leg = Call::new(name);
    (leg.created_ms, leg.answered_ms) = (stage.now(), Some(stage.now()));
    for (field, value) in [
        ("Call-Direction", Value::from("outbound")),
        ("variable_originating_leg_uuid", caller.into()),
        ("Other-Leg-Unique-ID", caller.into()),
        ("variable_cgr_account", Value::Null),
        ("variable_accountcode", Value::Null),
        ("variable_cgr_reqtype", Value::Null),
    ] {
        leg.further.insert(field.into(), value);
    }
    leg
}

/// Recorded calls have no such event; its fields are those of the answer.
pub async fn says_as(call: &Call, stage: &mut Stage, name: &str) {
    let mut event = call.event(stage, "CHANNEL_ANSWER");
    event.insert("Event-Name".into(), name.into());
    stage.switch.say(&event);
    stage.settle().await;
}

/// a talks to b.
pub async fn talking(stage: &mut Stage) -> (Call, Call) {
    let mut a = Call::new("a");
    a.connects(stage).await;
    let b = called_by("a", "b", stage);
    b.says(stage, "CHANNEL_ANSWER", &[]).await;
    a.says(stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", "b")]).await;
    (a, b)
}

pub const BLIND: &str = "variable_endpoint_disposition";

/// a sends b on, to where calls wait.
pub async fn sends(from: &Call, to: &mut Call, number: &'static str, stage: &mut Stage) {
    let target = format!("blind:{}", to.unique_id);
    let fields = [(BLIND, "BLIND_TRANSFER"), ("variable_transfer_to", target.as_str())];
    from.ends(stage, &fields).await;
    to.dialled = number;
    to.says(stage, "CHANNEL_PARK", &[]).await;
}

pub async fn is_admitted(leg: &str, number: &str, stage: &mut Stage) {
    let transfer = format!("uuid_transfer {leg} {number} XML tollkeeper_admitted");
    stage.until("the admission", |stage| stage.said().contains(&transfer)).await;
    for _ in 0..4 {
        stage.settle().await;
    }
}

/// The caller has left, and pays on: the switch's own hangup, ours, and the end are those of the leg that talks.
#[tokio::test(start_paused = true)]
async fn backstop_and_cut_follow_the_leg_that_talks() {
    let mut stage = stage("1.00", |config| {
        (config.calls.slice, config.calls.margin) = (ConfigDuration::from_s(30), ConfigDuration::from_s(5));
    })
    .await;
    let (a, mut b) = talking(&mut stage).await;
    stage.switch.state().obeys = false;
    stage.pass(10_000).await;
    sends(&a, &mut b, GERMANY, &mut stage).await;
    is_admitted("b", GERMANY, &mut stage).await;
    let tasks = stage.switch.state().scheduled.clone();
    assert!(!tasks.is_empty() && tasks.iter().all(|task| task.channel == "b"), "{tasks:?}");
    stage.pass(2_000).await;
    let c = called_by("b", "c", &stage);
    c.says(&mut stage, "CHANNEL_ANSWER", &[]).await;
    stage.eventually("our cut", |stage| stage.said_of("uuid_kill") == ["uuid_kill b ALLOTTED_TIMEOUT"]).await;
    // 1.00 would pay for 12 s of b alone and 44 s of both; the two hold some of it from each other in the end.
    let talked_ms = stage.now() - a.answered_ms.expect("answered");
    assert!((54_000..=56_000).contains(&talked_ms), "{talked_ms}");
    b.ends(&mut stage, &[("Hangup-Cause", "ALLOTTED_TIMEOUT")]).await;
    stage.eventually("both STOPs", |stage| stage.records().len() == 4).await;
    let records = stage.full_records();
    assert!(records.iter().all(|record| record.call_id.as_str() == "call-a"));
    let costs: i128 = records.iter().filter_map(|record| record.cost.as_ref()?.delta).map(|delta| delta.nanos()).sum();
    assert!((960_000_000..=1_000_000_000).contains(&costs), "{costs} {:?}", stage.records());
    stage.finish().await;
}

/// A callee that we do not know cannot spend the caller's money, unless the operator wants it so.
#[tokio::test(start_paused = true)]
async fn a_transfer_by_a_stranger_is_refused_or_paid_by_the_caller_as_configured() {
    for by_caller in [false, true] {
        let mut stage = match by_caller {
            false => stage("10.00", |_| {}).await,
            true => stage("10.00", |config| config.transfers_paid_by = agent_freeswitch::TransferPayer::Caller).await,
        };
        let (mut a, b) = talking(&mut stage).await;
        stage.pass(5_000).await;
        sends(&b, &mut a, BRITAIN, &mut stage).await;
        if by_caller {
            is_admitted("a", BRITAIN, &mut stage).await;
            let c = called_by("a", "c", &stage);
            c.says(&mut stage, "CHANNEL_ANSWER", &[]).await;
            stage.pass(7_000).await;
            a.hangs_up(&mut stage).await;
            let records = ["START", "STOP Normal 5.000s cost 0.05", "START", "STOP Normal 7.000s cost 0.65"];
            stage.expect_settled("by the caller", &records, "9.30").await;
        } else {
            stage
                .until("the refusal", |stage| stage.said_of("uuid_kill") == ["uuid_kill a OUTGOING_CALL_BARRED"])
                .await;
            stage.until("the end", |stage| stage.records().len() == 3).await;
            let mut records = stage.records();
            records.sort_unstable();
            let refused = "EVENT Failed 403 UNKNOWN_PAYER cost 0";
            assert_eq!(records, [refused, "START", "STOP Normal 5.000s cost 0.05"]);
        }
        stage.finish().await;
    }
}

/// What the leg was handed down by the caller's does not make the callee the caller.
#[tokio::test(start_paused = true)]
async fn a_callee_with_the_callers_account_on_its_leg_is_still_a_stranger() {
    for (field, value, payer) in [
        ("variable_tollkeeper_account", "1001", None),
        ("variable_accountcode", "1001", None),
        ("variable_tollkeeper_account", "1002", Some("1002")),
        ("variable_dialed_user", "1002", Some("1002")),
    ] {
        let mut stage = stage("10.00", |_| {}).await;
        stage.core.account("1002", "10.00");
        let (mut a, mut b) = talking(&mut stage).await;
        b.further.insert(field.into(), value.into());
        stage.pass(1_000).await;
        sends(&b, &mut a, BRITAIN, &mut stage).await;
        stage
            .until("the verdict", |stage| {
                !stage.said_of("uuid_kill").is_empty() || stage.said_of("uuid_transfer a 44").len() == 1
            })
            .await;
        let asked = stage.core.requests();
        let further = asked.iter().find(|request| request.session_id != asked[0].session_id);
        let found = further.and_then(|request| request.subscribers.first()).map(|payer| payer.value.expose());
        assert_eq!(found, payer, "{field} {value}");
        stage.agent.abort();
    }
}

/// The dialplan sends the leg straight to where admitted calls are routed: nobody was asked.
#[tokio::test(start_paused = true)]
async fn a_transfer_past_us_is_ended() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, b) = talking(&mut stage).await;
    let fields = [(BLIND, "BLIND_TRANSFER"), ("variable_transfer_to", "blind:a")];
    b.ends(&mut stage, &fields).await;
    let fields = [("Other-Leg-Unique-ID", "c"), ("Caller-Context", "tollkeeper_admitted")];
    a.says(&mut stage, "CHANNEL_BRIDGE", &fields).await;
    stage.until("the release", |stage| stage.said_of("uuid_kill") == ["uuid_kill a OUTGOING_CALL_BARRED"]).await;
    stage.eventually("STOP", |stage| stage.records().len() == 2).await;
    assert!(stage.records()[1].starts_with("STOP Normal POLICY"), "{:?}", stage.records());
    stage.finish().await;
}

/// `confirm_blind_transfer`: the switch parks the one who transfers until it has come about.
#[tokio::test(start_paused = true)]
async fn a_transferor_that_the_switch_keeps_waiting_is_left_alone() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, _) = talking(&mut stage).await;
    a.says(&mut stage, "CHANNEL_PARK", &[(BLIND, "BLIND_TRANSFER")]).await;
    a.says(&mut stage, "CHANNEL_PARK", &[("Caller-Dialplan", "inline")]).await;
    stage.pass(3_000).await;
    assert_eq!((stage.said_of("uuid_kill").len(), stage.core.requests().len()), (0, 1));
    a.hangs_up(&mut stage).await;
    stage.expect_settled("goes on", &["START", "STOP Normal 3.000s cost 0.03"], "9.97").await;
    stage.finish().await;
}

/// Redirected by the callee (302) behind our back, to another number or, by a route server, to the same.
#[tokio::test(start_paused = true)]
async fn a_redirection_past_us_is_ended() {
    for (contact, ended) in [("<sip:442071234567@198.51.100.7>", true), ("<sip:77#491701234567@198.51.100.7>", false)] {
        let (mut stage, mut a) = (stage("10.00", |_| {}).await, Call::new("a"));
        a.parks(&mut stage).await;
        a.is_routed(&mut stage).await;
        let b = called_by("a", "b", &stage);
        b.says(&mut stage, "CHANNEL_ANSWER", &[("variable_sip_redirected_to", contact)]).await;
        assert_eq!(stage.said_of("uuid_kill").len(), usize::from(ended), "{contact}");
        stage.agent.abort();
    }
}

/// The switch may tell that the leg waits again before it tells that its callee has redirected it (302): the caller does
/// not pay for where that leads.
#[tokio::test(start_paused = true)]
async fn a_redirection_that_comes_before_the_end_of_the_callee_is_not_paid_by_the_caller() {
    let (mut stage, mut a) = (stage("10.00", |_| {}).await, Call::new("a"));
    a.parks(&mut stage).await;
    a.is_routed(&mut stage).await;
    stage.pass(1_000).await;
    a.dialled = BRITAIN;
    a.says(&mut stage, "CHANNEL_PARK", &[("variable_sip_redirected_to", "<sip:442071234567@127.0.0.1>")]).await;
    stage.until("the refusal", |stage| stage.said_of("uuid_kill") == ["uuid_kill a OUTGOING_CALL_BARRED"]).await;
    assert!(stage.said_of("uuid_transfer a 44").is_empty(), "{:?}", stage.said());
    a.hangs_up(&mut stage).await;
    stage.eventually("all records", |stage| stage.records().len() == 2).await;
    let mut records = stage.records();
    records.sort_unstable();
    assert_eq!(records, ["EVENT Failed 403 UNKNOWN_PAYER cost 0", "EVENT Failed cost 0"]);
    assert_eq!(stage.balance("1001"), crate::stage::money("10.00"));
    stage.finish().await;
}

/// a has joined b and d; b sends d away: the call to b is over with b, and a does not pay for d twice.
#[tokio::test(start_paused = true)]
async fn a_session_follows_the_payer_once() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, b) = talking(&mut stage).await;
    stage.pass(5_000).await;
    a.ends(&mut stage, &[(BLIND, "ATTENDED_TRANSFER")]).await;
    let d = called_by("z", "d", &stage);
    says_as(&d, &mut stage, "CHANNEL_ANSWER").await;
    b.says(&mut stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", "d")]).await;
    stage.pass(4_000).await;
    b.ends(&mut stage, &[(BLIND, "BLIND_TRANSFER"), ("variable_transfer_to", "blind:d")]).await;
    stage.expect_settled("ends with b", &["START", "STOP Normal 9.000s cost 0.09"], "9.91").await;
    stage.finish().await;
}

/// The leg that is left may have ended in the same moment, and its end be lost: it is asked for at once.
#[tokio::test(start_paused = true)]
async fn a_leg_that_is_followed_is_asked_whether_it_is_there() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, _) = talking(&mut stage).await;
    a.talks_until(&mut stage, 12_000).await;
    stage.switch.state().channels.remove("b");
    a.ends(&mut stage, &[(BLIND, "ATTENDED_TRANSFER")]).await;
    // Well before the next proof of life.
    stage.pass(3_000).await;
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    assert!(stage.records()[1].ends_with("reconstructed"), "{:?}", stage.records());
    stage.finish().await;
}

/// The callee sends the caller away, and the switch tells that the caller waits before it tells that the callee has left:
/// it is the callee who pays. An operator who moves him is answered in half a second at the latest.
#[tokio::test(start_paused = true)]
async fn who_has_sent_a_leg_is_known_when_its_partner_has_ended() {
    for sent in [true, false] {
        let mut stage = stage("10.00", |_| {}).await;
        stage.core.account("1002", "10.00");
        let (mut a, mut b) = talking(&mut stage).await;
        b.further.insert("variable_tollkeeper_account".into(), "1002".into());
        stage.pass(5_000).await;
        a.dialled = BRITAIN;
        a.says(&mut stage, "CHANNEL_PARK", &[]).await;
        stage.pass(20).await;
        assert_eq!(stage.core.requests().len(), 1, "nobody was asked yet");
        if sent {
            b.ends(&mut stage, &[(BLIND, "BLIND_TRANSFER"), ("variable_transfer_to", "blind:a")]).await;
        } else {
            stage.pass(500).await;
        }
        is_admitted("a", BRITAIN, &mut stage).await;
        let payer = stage.core.requests().last().and_then(|request| request.subscribers.first().cloned());
        let payer = payer.map(|payer| payer.value.expose().to_owned());
        assert_eq!(payer.as_deref(), Some(if sent { "1002" } else { "1001" }));
        stage.agent.abort();
    }
}

/// Two callers were brought together: the one who sends the other on pays as he does for his own call.
#[tokio::test(start_paused = true)]
async fn a_partner_who_called_in_himself_pays_as_for_his_own_call() {
    let mut stage = stage("10.00", |_| {}).await;
    stage.core.account("1002", "10.00");
    let (mut a, mut b) = (Call::new("a"), Call::new("b"));
    a.connects(&mut stage).await;
    b.further.insert("variable_cgr_account".into(), "1002".into());
    b.connects(&mut stage).await;
    a.says(&mut stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", "b")]).await;
    stage.pass(1_000).await;
    // The account is not on the leg any more.
    b.further.insert("variable_cgr_account".into(), Value::Null);
    sends(&b, &mut a, BRITAIN, &mut stage).await;
    is_admitted("a", BRITAIN, &mut stage).await;
    let asked = stage.core.requests();
    let further = asked.iter().find(|request| request.called.as_ref().is_some_and(|to| to.expose() == "+442071234567"));
    let payer = further.and_then(|request| request.subscribers.first()).map(|payer| payer.value.expose());
    assert_eq!(payer, Some("1002"));
    stage.agent.abort();
}

/// Nor does a call pay that was refused.
#[tokio::test(start_paused = true)]
async fn a_loopback_leg_of_a_refused_call_is_refused() {
    let (mut stage, mut a) = (stage("0.00", |_| {}).await, Call::new("a"));
    a.parks(&mut stage).await;
    a.is_routed(&mut stage).await;
    far_end("l", "a").parks(&mut stage).await;
    stage.until("the refusal", |stage| stage.said_of("uuid_kill") == ["uuid_kill l OUTGOING_CALL_BARRED"]).await;
    assert!(stage.said_of("uuid_transfer l").is_empty());
    stage.agent.abort();
}

/// Nor one that we have ended, should its channel not be gone yet.
#[tokio::test(start_paused = true)]
async fn a_loopback_leg_of_a_released_call_is_refused() {
    let change: fn(&mut agent_freeswitch::FreeswitchConfig) =
        |config| config.calls.maximum_ring = ConfigDuration::from_s(10);
    let (mut stage, mut a) = (stage("10.00", change).await, Call::new("a"));
    stage.switch.state().obeys = false;
    a.parks(&mut stage).await;
    a.is_routed(&mut stage).await;
    stage.eventually("the end of the ringing", |stage| !stage.said_of("uuid_kill a").is_empty()).await;
    far_end("l", "a").parks(&mut stage).await;
    stage.until("the refusal", |stage| stage.said_of("uuid_kill l") == ["uuid_kill l OUTGOING_CALL_BARRED"]).await;
    assert!(stage.said_of("uuid_transfer l").is_empty());
    stage.agent.abort();
}

/// A call that is calling on: the same number over a loopback channel is no second conversation. Once it talks, it is.
#[tokio::test(start_paused = true)]
async fn a_consultation_of_the_same_number_is_not_free() {
    let mut stage = stage("10.00", |_| {}).await;
    let (_, _) = talking(&mut stage).await;
    let mut far = far_end("far", "a");
    far.created_ms = stage.now();
    far.says(&mut stage, "CHANNEL_PARK", &[]).await;
    stage.until("the refusal", |stage| stage.said_of("uuid_kill") == ["uuid_kill far OUTGOING_CALL_BARRED"]).await;
    assert!(stage.said_of("uuid_transfer far").is_empty());
    stage.agent.abort();
}

/// The one who called is gone, and the switch lets the leg ring on: when it answers it is ended, unless somebody pays.
#[tokio::test(start_paused = true)]
async fn a_leg_that_answers_after_its_call_is_over_is_ended() {
    for (other, ended) in [("stranger", true), ("c", false)] {
        let (mut stage, mut a) = (stage("10.00", |_| {}).await, Call::new("a"));
        a.parks(&mut stage).await;
        a.is_routed(&mut stage).await;
        let mut c = Call::new("c");
        c.connects(&mut stage).await;
        a.ends(&mut stage, &[("Hangup-Cause", "ATTENDED_TRANSFER")]).await;
        stage.until("the attempt", |stage| stage.records().len() == 2).await;
        stage.pass(12_000).await;
        let b = called_by("a", "b", &stage);
        b.says(&mut stage, "CHANNEL_ANSWER", &[("Other-Leg-Unique-ID", other)]).await;
        let kills: &[&str] = if ended { &["uuid_kill b ORIGINATOR_CANCEL"] } else { &[] };
        assert_eq!(stage.said_of("uuid_kill"), kills, "{other}");
        // Of an uncharged call nobody knows anything.
        called_by("unknown", "z", &stage).says(&mut stage, "CHANNEL_ANSWER", &[]).await;
        assert_eq!(stage.said_of("uuid_kill"), kills, "{other}");
        stage.agent.abort();
    }
}

/// Card and IVR: the leg comes back, and each conversation is one of its own, to the millisecond.
#[tokio::test(start_paused = true)]
async fn further_conversations_of_a_leg_are_sessions_of_their_own() {
    let mut stage = stage("10.00", |_| {}).await;
    let (mut a, b) = talking(&mut stage).await;
    stage.pass(5_000).await;
    b.ends(&mut stage, &[]).await;
    // Two seconds of menu.
    stage.pass(2_000).await;
    a.dialled = BRITAIN;
    a.says(&mut stage, "CHANNEL_PARK", &[]).await;
    is_admitted("a", BRITAIN, &mut stage).await;
    stage.pass(4_000).await;
    let mut c = called_by("a", "c", &stage);
    c.says(&mut stage, "CHANNEL_ANSWER", &[]).await;
    // By the switch itself; that of the former conversation goes when the core has settled it.
    let tasks_of_a = |stage: &Stage| stage.switch.state().scheduled.iter().filter(|task| task.channel == "a").count();
    stage.until("one task", |stage| tasks_of_a(stage) == 1 && stage.switch.state().scheduled.len() == 1).await;
    stage.pass(61_000).await;
    c.further.insert("Other-Leg-Unique-ID".into(), "a".into());
    c.ends(&mut stage, &[]).await;
    a.hangs_up(&mut stage).await;
    let records = ["START", "STOP Normal 5.000s cost 0.05", "START", "STOP Normal 61.000s cost 1.25"];
    stage.expect_settled("two conversations", &records, "8.70").await;
    let records = stage.full_records();
    assert_eq!(
        Some(records[2].start_time),
        records[0].answer_time.map(|at| at.plus(7_000)),
        "it began when the leg waited"
    );
    let unset = stage.switch.state().asked.iter().filter(|asked| asked.starts_with("uuid_setvar a api_on")).count();
    assert_eq!(unset, 1, "a further leg would arm it again");
    stage.until("no task stays behind", |stage| stage.switch.state().scheduled.is_empty()).await;
    stage.finish().await;
}

/// A leg that was answered before anybody asked for it: charged if the dialplan says so, or its context is ours.
#[tokio::test(start_paused = true)]
async fn an_answered_leg_is_charged_when_it_is_meant_for_us() {
    for (marked, listed, charged) in [(false, false, false), (true, false, true), (false, true, true)] {
        let mut stage = match listed {
            false => stage("10.00", |_| {}).await,
            true => stage("10.00", |config| config.parked_contexts = vec!["public".into()]).await,
        };
        let mut a = Call::new("a");
        (a.created_ms, a.answered_ms) = (stage.now() - 5_000, Some(stage.now() - 4_000));
        if !marked {
            a.further.insert("variable_cgr_account".into(), Value::Null);
            a.further.insert("variable_cgr_reqtype".into(), Value::Null);
            a.further.insert("variable_accountcode".into(), "1001".into());
        }
        a.says(&mut stage, "CHANNEL_PARK", &[]).await;
        stage.pass(1_000).await;
        assert_eq!(stage.core.requests().len(), usize::from(charged), "{marked} {listed}");
        stage.agent.abort();
    }
}

/// Nobody answers the leg of an IVR's second conversation: nothing is charged for it.
#[tokio::test(start_paused = true)]
async fn a_further_conversation_that_nobody_answers_costs_nothing() {
    let mut stage = stage("10.00", |_| {}).await;
    let (mut a, b) = talking(&mut stage).await;
    stage.pass(5_000).await;
    b.ends(&mut stage, &[]).await;
    for number in [BRITAIN, GERMANY] {
        a.dialled = number;
        a.says(&mut stage, "CHANNEL_PARK", &[]).await;
        is_admitted("a", number, &mut stage).await;
        stage.pass(10).await;
    }
    a.hangs_up(&mut stage).await;
    stage.eventually("all records", |stage| stage.records().len() == 4).await;
    let mut records = stage.records();
    records.sort_unstable();
    assert_eq!(records, ["EVENT Failed cost 0", "EVENT NoAnswer cost 0", "START", "STOP Normal 5.000s cost 0.05"]);
    assert_eq!(stage.balance("1001"), crate::stage::money("9.95"));
    stage.finish().await;
}

/// Either side may hold, and both: free hold ends when the last one has let go, or when the call is handed on.
#[tokio::test(start_paused = true)]
async fn both_legs_may_hold() {
    let mut stage = stage("1.00", |config| config.calls.hold = agent_call::HoldCharging::Free).await;
    let (a, b) = talking(&mut stage).await;
    for (at_ms, leg, name) in [
        (1_000, &a, "CHANNEL_HOLD"),
        (2_000, &b, "CHANNEL_HOLD"),
        (4_000, &a, "CHANNEL_UNHOLD"),
        (5_000, &b, "CHANNEL_UNHOLD"),
    ] {
        a.talks_until(&mut stage, at_ms).await;
        says_as(leg, &mut stage, name).await;
    }
    a.talks_until(&mut stage, 7_000).await;
    says_as(&a, &mut stage, "CHANNEL_HOLD").await;
    stage.pass(1_000).await;
    let fields = [("variable_endpoint_disposition", "ATTENDED_TRANSFER")];
    a.ends(&mut stage, &fields).await;
    stage.pass(2_000).await;
    b.ends(&mut stage, &[]).await;
    // 1 s, 2 s, and 2 s of b with whom it was joined to.
    stage.expect_settled("hold", &["START", "STOP Normal 5.000s cost 0.05"], "0.95").await;
    stage.finish().await;
}

/// A new agent finds the talk on the leg that it had moved to.
#[tokio::test(start_paused = true)]
async fn an_agent_that_comes_back_finds_the_talk_on_the_other_leg() {
    let mut stage = stage("10.00", |config| {
        (config.calls.slice, config.calls.margin) = (ConfigDuration::from_s(30), ConfigDuration::from_s(5));
    })
    .await;
    let (a, b) = talking(&mut stage).await;
    stage.pass(10_000).await;
    a.ends(&mut stage, &[("variable_endpoint_disposition", "ATTENDED_TRANSFER")]).await;
    // The next report tells the core where the talk is.
    a.talks_until(&mut stage, 26_000).await;
    stage.agent_dies().await;
    stage.agent_starts();
    stage.connected(2).await;
    stage
        .until("a backstop on b", |stage| {
            stage.said().iter().rev().any(|said| said.starts_with("sched_api") && said.contains(" b "))
        })
        .await;
    a.talks_until(&mut stage, 40_000).await;
    b.ends(&mut stage, &[]).await;
    stage.expect_settled("found", &["START", "STOP Normal 40.000s cost 0.4"], "9.60").await;
    stage.finish().await;
}

fn far_end(name: &str, source: &str) -> Call {
    let mut leg = Call::new(name);
    leg.further.insert("Channel-Name".into(), "loopback/491701234567-b".into());
    leg.further.insert("variable_other_loopback_from_uuid".into(), source.into());
    leg.further.insert("variable_cgr_account".into(), Value::Null);
    leg.further.insert("variable_cgr_reqtype".into(), Value::Null);
    leg
}

/// The far end of a loopback channel: let through where its number is paid for, charged where the dialplan names an
/// account, else refused at once; there is no way around us.
#[tokio::test(start_paused = true)]
async fn a_loopback_leg_is_charged_once_or_refused() {
    for (source, number, account, expected, sessions) in [
        ("a", GERMANY, None, "uuid_transfer l 491701234567 XML tollkeeper_admitted", 1),
        ("a", GERMANY, Some("1002"), "uuid_transfer l 491701234567 XML tollkeeper_admitted", 1),
        ("a", BRITAIN, None, "uuid_kill l OUTGOING_CALL_BARRED", 1),
        ("a", BRITAIN, Some("1002"), "uuid_transfer l 442071234567 XML tollkeeper_admitted", 2),
        ("unknown", GERMANY, None, "uuid_kill l OUTGOING_CALL_BARRED", 1),
    ] {
        let (mut stage, mut a, mut far) = (stage("10.00", |_| {}).await, Call::new("a"), far_end("l", source));
        stage.core.account("1002", "10.00");
        a.parks(&mut stage).await;
        a.is_routed(&mut stage).await;
        far.dialled = number;
        if let Some(account) = account {
            far.further.insert("variable_tollkeeper_account".into(), account.into());
        }
        far.parks(&mut stage).await;
        stage.until("the verdict", |stage| stage.said().iter().any(|said| said == expected)).await;
        assert_eq!(stage.core.requests().len(), sessions, "{source} {number} {account:?}");
        stage.agent.abort();
    }
}

/// The dialplan forwards a call before anybody has answered.
#[tokio::test(start_paused = true)]
async fn forwarding_is_paid_by_the_diverter() {
    for (account, records, balance, other) in [
        // Nobody is named: another destination for the same caller, and the first attempt is over.
        ("1001", vec!["EVENT NoAnswer cost 0", "START", "STOP Normal 10.000s cost 0.65"], "9.35", "10.00"),
        (
            "1002",
            vec!["START", "START", "STOP Normal 10.000s cost 0.1", "STOP Normal 10.000s cost 0.65"],
            "9.90",
            "9.35",
        ),
    ] {
        let (mut stage, mut a) = (stage("10.00", |_| {}).await, Call::new("a"));
        stage.core.account("1002", "10.00");
        a.parks(&mut stage).await;
        a.is_routed(&mut stage).await;
        stage.pass(1_000).await;
        a.dialled = BRITAIN;
        a.further.insert("variable_tollkeeper_account".into(), account.into());
        a.says(&mut stage, "CHANNEL_PARK", &[]).await;
        is_admitted("a", BRITAIN, &mut stage).await;
        a.answers(&mut stage).await;
        stage.pass(10_000).await;
        a.hangs_up(&mut stage).await;
        stage.eventually("all records", |stage| stage.records().len() == records.len()).await;
        stage.pass(1_000).await;
        let mut found: Vec<String> = stage.full_records().iter().map(summary).collect();
        found.sort_unstable();
        assert_eq!(found, records, "{account}");
        assert_eq!(
            (stage.balance("1001"), stage.balance("1002")),
            (crate::stage::money(balance), crate::stage::money(other))
        );
        stage.until("no task stays behind", |stage| stage.switch.state().scheduled.is_empty()).await;
        stage.finish().await;
    }
}
