//! Legs that the switch calls beside a call, by `att_xfer` or `bridge` of a leg that talks: charged from their answer.

use agent_freeswitch::TransferPayer;
use agent_runtime::UnknownCalls;
use serde_json::Value;

use crate::stage::{Stage, money};
use crate::synthetic::{BRITAIN, Call, GERMANY, stage};
use crate::transfers::{BLIND, called_by, is_admitted, says_as, sends, talking};

/// A leg to Britain that `caller` calls while it talks.
pub async fn consults(caller: &str, stage: &mut Stage, fields: &[(&str, &str)]) -> Call {
    let mut leg = called_by(caller, "l", stage);
    leg.dialled = BRITAIN;
    for (name, value) in fields {
        leg.further.insert((*name).to_owned(), (*value).into());
    }
    leg.says(stage, "CHANNEL_ANSWER", &[]).await;
    leg
}

fn payers(stage: &Stage) -> Vec<String> {
    let requests = stage.core.requests();
    let initial = requests.iter().filter(|request| request.request_number == 0);
    initial.map(|request| request.subscribers[0].value.expose().to_owned()).collect()
}

/// a talks to b, calls another beside, and leaves the two together: both go on and he pays for both.
#[tokio::test(start_paused = true)]
async fn the_payer_pays_for_whom_he_calls_beside() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, b) = talking(&mut stage).await;
    stage.pass(5_000).await;
    let leg = consults("a", &mut stage, &[]).await;
    stage.until("a backstop of its own", |stage| stage.said().iter().any(|said| said.contains("uuid_kill l "))).await;
    let consulting = [
        ("Other-Leg-Unique-ID", "l"),
        ("variable_current_application", "att_xfer"),
        ("variable_soft_holding_uuid", "b"),
    ];
    a.says(&mut stage, "CHANNEL_BRIDGE", &consulting).await;
    stage.pass(3_000).await;
    a.ends(&mut stage, &consulting).await;
    leg.says(&mut stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", "b")]).await;
    stage.pass(4_000).await;
    leg.ends(&mut stage, &[]).await;
    b.ends(&mut stage, &[]).await;
    stage.eventually("both STOPs", |stage| stage.records().len() == 4).await;
    let records = stage.full_records();
    assert!(records.iter().all(|record| record.call_id.as_str() == "call-a"), "one conversation");
    let beside = records.iter().find(|record| record.leg_id.as_str() == "l").expect("its record");
    assert_eq!(beside.parent_leg_id.as_ref().map(types::LegId::as_str), Some("a"));
    assert_eq!(beside.called_party.number.as_ref().map(|number| number.expose()), Some("+442071234567"));
    let mut lines = stage.records();
    lines.sort_unstable();
    assert_eq!(lines, ["START", "START", "STOP Normal 12.000s cost 0.12", "STOP Normal 7.000s cost 0.65"]);
    assert_eq!((payers(&stage), stage.balance("1001")), (vec!["1001".to_owned(); 2], money("9.23")));
    stage.finish().await;
}

/// A callee pays by its own account, which only its own channel tells; without one the leg is ended, or charged to the
/// caller, as configured. Whoever has an account on the new leg pays in any case.
#[tokio::test(start_paused = true)]
async fn a_callee_pays_for_whom_it_calls_beside() {
    let account = "variable_tollkeeper_account";
    for (of_callee, on_leg, by_caller, payer) in [
        (Some("1002"), None, false, Some("1002")),
        (None, None, false, None),
        // Handed down by the caller's leg.
        (Some("1001"), None, false, None),
        (None, Some("1001"), false, None),
        (None, None, true, Some("1001")),
        (Some("1002"), None, true, Some("1001")),
        (None, Some("1002"), false, Some("1002")),
    ] {
        let case = format!("{of_callee:?} {on_leg:?} {by_caller}");
        let mut stage = match by_caller {
            false => stage("10.00", |_| {}).await,
            true => stage("10.00", |config| config.transfers_paid_by = TransferPayer::Caller).await,
        };
        stage.core.account("1002", "10.00");
        let (_, mut b) = talking(&mut stage).await;
        if let Some(of_callee) = of_callee {
            b.further.insert(account.into(), of_callee.into());
            b.says(&mut stage, "CHANNEL_ANSWER", &[]).await;
        }
        stage.pass(2_000).await;
        let fields: Vec<_> = on_leg.map(|value| (account, value)).into_iter().collect();
        consults("b", &mut stage, &fields).await;
        match payer {
            Some(payer) => {
                stage.until(&case, |stage| payers(stage).len() == 2).await;
                assert_eq!(payers(&stage)[1], payer, "{case}");
                assert!(stage.said_of("uuid_kill").is_empty(), "{case}");
            }
            None => {
                stage.until(&case, |stage| stage.said_of("uuid_kill") == ["uuid_kill l OUTGOING_CALL_BARRED"]).await;
            }
        }
        stage.agent.abort();
    }
}

/// As any call that was answered without a question.
#[tokio::test(start_paused = true)]
async fn a_leg_beside_a_call_is_released_where_that_is_configured() {
    let mut stage = stage("10.00", |config| config.calls.unknown_calls = UnknownCalls::Release).await;
    let (a, _) = talking(&mut stage).await;
    stage.pass(2_000).await;
    consults("a", &mut stage, &[]).await;
    stage.until("the release", |stage| stage.said_of("uuid_kill") == ["uuid_kill l MANAGER_REQUEST"]).await;
    stage.pass(1_000).await;
    a.hangs_up(&mut stage).await;
    stage.eventually("both STOPs", |stage| stage.records().len() == 4).await;
    stage.finish().await;
}

/// Internal users, legs that the dialplan calls free, the legs of the call itself, a loopback leg (which waits for us), and
/// whatever is called by nobody of ours.
#[tokio::test(start_paused = true)]
async fn other_legs_are_not_charged() {
    type Row = (&'static str, &'static [(&'static str, &'static str)], bool);
    let rows: [Row; 6] = [
        ("a", &[], true),
        ("a", &[("variable_tollkeeper_mode", "none")], false),
        ("a", &[("variable_dialed_user", "1003")], false),
        ("a", &[("Channel-Name", "loopback/442071234567-a")], false),
        ("stranger", &[], false),
        // Called before the call was answered: another was faster.
        ("a", &[("Caller-Channel-Created-Time", "1795299999000000")], false),
    ];
    for (caller, fields, charged) in rows {
        let mut stage = stage("10.00", |_| {}).await;
        talking(&mut stage).await;
        stage.pass(2_000).await;
        consults(caller, &mut stage, fields).await;
        stage.pass(500).await;
        assert_eq!(stage.core.requests().len(), 1 + usize::from(charged), "{caller} {fields:?}");
        assert!(stage.said_of("uuid_kill").is_empty(), "{caller} {fields:?}");
        stage.agent.abort();
    }
}

/// A dialplan that answers first, and one that bridges again when the first callee has left: the call goes on, as it does
/// for every dialplan that asks once.
#[tokio::test(start_paused = true)]
async fn whom_a_leg_calls_that_talks_to_nobody_is_its_own_callee() {
    for first in [false, true] {
        let mut stage = stage("10.00", |_| {}).await;
        let mut a = Call::new("a");
        a.connects(&mut stage).await;
        if first {
            let b = called_by("a", "b", &stage);
            a.says(&mut stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", "b")]).await;
            stage.pass(1_000).await;
            b.ends(&mut stage, &[]).await;
        }
        stage.pass(1_000).await;
        let leg = consults("a", &mut stage, &[]).await;
        a.says(&mut stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", "l")]).await;
        // Nor is it another one when its answer is told again.
        leg.says(&mut stage, "CHANNEL_ANSWER", &[]).await;
        stage.pass(500).await;
        assert_eq!(stage.core.requests().len(), 1, "{first}");
        stage.agent.abort();
    }
}

/// The operator's own context for transfers bridges without a question: charged, unless it leads to one of his users.
#[tokio::test(start_paused = true)]
async fn a_transfer_that_does_not_wait_is_charged_from_its_answer() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, mut b) = talking(&mut stage).await;
    stage.pass(5_000).await;
    a.ends(&mut stage, &[(BLIND, "BLIND_TRANSFER"), ("variable_transfer_to", "blind:b")]).await;
    b.dialled = BRITAIN;
    stage.pass(1_000).await;
    let leg = consults("b", &mut stage, &[]).await;
    stage.until("the question", |stage| stage.core.requests().len() == 2).await;
    assert_eq!(payers(&stage), ["1001", "1001"], "he sent it there");
    leg.ends(&mut stage, &[]).await;
    stage.agent.abort();
}

/// The same by a callee who sends the caller there: he pays only where that is configured.
#[tokio::test(start_paused = true)]
async fn a_transfer_by_a_stranger_that_does_not_wait_is_ended_or_paid_by_the_caller() {
    for by_caller in [false, true] {
        let mut stage = match by_caller {
            false => stage("10.00", |_| {}).await,
            true => stage("10.00", |config| config.transfers_paid_by = TransferPayer::Caller).await,
        };
        let (mut a, b) = talking(&mut stage).await;
        // An account of the caller besides the one that pays: nothing to do with the callee.
        a.further.insert("variable_accountcode".into(), "1002".into());
        a.says(&mut stage, "CHANNEL_ANSWER", &[]).await;
        stage.pass(2_000).await;
        b.ends(&mut stage, &[(BLIND, "BLIND_TRANSFER"), ("variable_transfer_to", "blind:a")]).await;
        stage.pass(1_000).await;
        consults("a", &mut stage, &[]).await;
        if by_caller {
            stage.until("paid", |stage| payers(stage) == ["1001", "1001"]).await;
        } else {
            stage.until("ended", |stage| stage.said_of("uuid_kill") == ["uuid_kill l OUTGOING_CALL_BARRED"]).await;
            assert_eq!(payers(&stage), ["1001"]);
        }
        stage.agent.abort();
    }
}

/// a has sent b to c, and pays for that; b, whom nobody knows, sends c on: not at a's expense.
#[tokio::test(start_paused = true)]
async fn a_leg_that_was_sent_cannot_spend_the_payers_money() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, mut b) = talking(&mut stage).await;
    stage.pass(2_000).await;
    sends(&a, &mut b, BRITAIN, &mut stage).await;
    is_admitted("b", BRITAIN, &mut stage).await;
    let mut c = called_by("b", "c", &stage);
    c.says(&mut stage, "CHANNEL_ANSWER", &[]).await;
    b.says(&mut stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", "c")]).await;
    stage.pass(2_000).await;
    sends(&b, &mut c, GERMANY, &mut stage).await;
    stage.until("the refusal", |stage| stage.said_of("uuid_kill c") == ["uuid_kill c OUTGOING_CALL_BARRED"]).await;
    assert!(stage.said_of("uuid_transfer c").is_empty());
    stage.agent.abort();
}

/// The channel that had it called is gone before it can be asked.
#[tokio::test(start_paused = true)]
async fn a_leg_whose_caller_is_gone_is_ended() {
    let mut stage = stage("10.00", |_| {}).await;
    talking(&mut stage).await;
    stage.pass(1_000).await;
    stage.switch.state().channels.remove("b");
    consults("b", &mut stage, &[]).await;
    stage.until("the end", |stage| stage.said_of("uuid_kill") == ["uuid_kill l OUTGOING_CALL_BARRED"]).await;
    stage.agent.abort();
}

/// a has joined b and d, and left. b, whom nobody knows, sends d to a dear number: not at a's expense.
#[tokio::test(start_paused = true)]
async fn a_callee_to_whom_a_call_has_moved_cannot_spend_the_payers_money() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, b) = talking(&mut stage).await;
    stage.pass(2_000).await;
    a.ends(&mut stage, &[(BLIND, "ATTENDED_TRANSFER")]).await;
    let mut d = called_by("z", "d", &stage);
    says_as(&d, &mut stage, "CHANNEL_ANSWER").await;
    b.says(&mut stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", "d")]).await;
    stage.pass(2_000).await;
    sends(&b, &mut d, BRITAIN, &mut stage).await;
    stage.until("the refusal", |stage| stage.said_of("uuid_kill d") == ["uuid_kill d OUTGOING_CALL_BARRED"]).await;
    assert!(stage.said_of("uuid_transfer d").is_empty());
    stage.agent.abort();
}

/// FreeSWITCH may tell an answer twice (a re-INVITE in the wrong moment, an application that answers again): one call.
#[tokio::test(start_paused = true)]
async fn a_second_answer_of_an_answered_channel_changes_nothing() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, b) = talking(&mut stage).await;
    stage.pass(4_000).await;
    let tasks = stage.switch.state().scheduled.clone();
    for call in [&a, &b] {
        // Nor does one that names another time.
        for (name, value) in [("x", "y"), ("Caller-Channel-Answered-Time", "1795300003000000")] {
            let mut event = call.event(&stage, "CHANNEL_ANSWER");
            event.insert(name.into(), Value::from(value));
            let told = serde_json::to_vec(&event).expect("JSON");
            stage.switch.play(&crate::recording::frame(&told));
            stage.settle().await;
        }
    }
    stage.pass(3_000).await;
    assert_eq!((stage.core.requests().len(), stage.switch.state().scheduled.clone()), (1, tasks));
    a.hangs_up(&mut stage).await;
    stage.expect_settled("once", &["START", "STOP Normal 7.000s cost 0.07"], "9.93").await;
    stage.finish().await;
}

/// The same while a leg that was answered before waits for its far end.
#[tokio::test(start_paused = true)]
async fn a_second_answer_of_a_leg_does_not_begin_its_further_conversation() {
    let mut stage = stage("10.00", |_| {}).await;
    let (mut a, b) = talking(&mut stage).await;
    stage.pass(2_000).await;
    b.ends(&mut stage, &[]).await;
    a.dialled = BRITAIN;
    a.says(&mut stage, "CHANNEL_PARK", &[]).await;
    is_admitted("a", BRITAIN, &mut stage).await;
    a.says(&mut stage, "CHANNEL_ANSWER", &[]).await;
    stage.pass(5_000).await;
    stage.until("the end of the first", |stage| stage.records().len() == 2).await;
    let records = stage.records();
    assert!(records[0] == "START" && records[1].starts_with("STOP"), "nobody has answered: {records:?}");
    stage.agent.abort();
}
