//! Lost messages, copies, breaks and restarts of either side: no call is charged twice, none is lost.

use agent_runtime::UnknownCalls;
use protocol_codecs::evapi::ToKamailio;

use crate::double::{Greeting, seconds};
use crate::recording::Recording;
use crate::stage::{Stage, money};
use crate::synthetic::{Call, H_ENTRY, stage};

#[tokio::test(start_paused = true)]
async fn an_end_told_twice_is_acknowledged_twice_and_charged_once() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    stage.pass(2_500).await;
    // A copy that crosses: both are there before the first is charged.
    let end = call.message(&stage, "CALL_END");
    stage.kamailio.say(&end);
    stage.kamailio.say(&end);
    stage.until("CALL_END_ACK", |stage| stage.kamailio.state().kept.is_empty()).await;
    // And one long after: Kamailio lost the acknowledgement.
    stage.pass(30_000).await;
    let acks = stage.kamailio.state().acks.len();
    stage.kamailio.say(&end);
    stage.until("CALL_END_ACK again", |stage| stage.kamailio.state().acks.len() > acks).await;
    stage.expect_settled("copies", &["START", "STOP Normal 2.500s cost 0.03"], "9.97").await;
    stage.finish().await;
}

/// Charged and recorded, acknowledged into a broken connection, and the agent that knew of it is dead.
#[tokio::test(start_paused = true)]
async fn an_end_that_a_former_agent_settled_is_acknowledged_without_a_second_charge() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    stage.pass(2_500).await;
    let end = call.message(&stage, "CALL_END");
    call.hangs_up(&mut stage).await;
    let first = stage.full_records();
    stage.agent_dies().await;
    stage.pass(5_000).await;
    stage.kamailio.play(&crate::recording::frame(&end));
    stage.agent_starts();
    stage.connected().await;
    stage.until("CALL_END_ACK", |stage| stage.kamailio.state().kept.is_empty()).await;
    assert_eq!(stage.balance("1001"), money("9.97"));
    assert!(stage.core.view("1001").held.is_zero());
    // A copy of a record has the first one's id and says the same: consumers drop it.
    for record in stage.full_records().iter().skip(first.len()) {
        assert!(first.iter().any(|known| known == record), "a record differs from the first of its id: {record:?}");
    }
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn ringing_after_the_answer_changes_nothing() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    call.says(&mut stage, "CALL_RINGING").await;
    stage.pass(1_000).await;
    call.says(&mut stage, "CALL_RINGING").await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("ringing late", &["START", "STOP Normal 1.000s cost 0.01"], "9.99").await;
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn ringing_of_a_call_that_nobody_offered_is_ignored() {
    let (mut stage, call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.says(&mut stage, "CALL_RINGING").await;
    stage.pass(1_000).await;
    assert!(stage.core.requests().is_empty());
    stage.expect_settled("unknown ringing", &[], "10.00").await;
    stage.finish().await;
}

/// The list shows what CALL_START did not tell: charged from the switch's own answer time.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_in_the_list() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.says(&mut stage, "AUTH_REQUEST").await;
    stage.until("the verdict", |stage| stage.verdicts().len() == 1).await;
    call.answered = stage.now();
    let start = call.message(&stage, "CALL_START");
    stage.kamailio.state().alive.insert((u64::from(H_ENTRY), 1), start);
    stage.eventually("START", |stage| stage.records() == ["START"]).await;
    stage.pass(7_000).await;
    call.hangs_up(&mut stage).await;
    let stop = &stage.full_records()[1];
    assert_eq!(stop.answer_time.map(|at| at.0), Some(call.answered));
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_former_run_are_closed_at_their_last_proof() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    // Proofs every 10 s: the last one stands at 20 s of simulated time.
    stage.pass(25_000).await;
    let answered_at = u64::try_from(call.answered - (stage.now() - 25_000)).expect("positive");
    stage.kamailio.state().alive.clear();
    stage.kamailio.state().greeting = Greeting::Run("run-2".into());
    // The run alone tells: no list is needed.
    stage.kamailio.state().lists = false;
    stage.kamailio.hang_up();
    stage.connected().await;
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    let stop = &stage.full_records()[1];
    assert!(stop.reconstructed);
    let talked_ms = stop.duration.expect("a duration").scaled;
    assert!((15_000..=25_000).contains(&(talked_ms + answered_at)), "{talked_ms} ms: not the last proof");
    let left = 1000 - talked_ms.div_ceil(1000);
    assert_eq!(stage.balance("1001"), money(&format!("{}.{:02}", left / 100, left % 100)));
    assert!(stage.disconnects().is_empty() && stage.kamailio.state().acks.is_empty());
    // The same dialog ids in the new run are another call.
    let mut second = Call::new(1);
    second.run = "run-2".into();
    second.connects(&mut stage).await;
    stage.pass(1_000).await;
    second.hangs_up(&mut stage).await;
    assert_eq!(stage.records().len(), 4);
    stage.finish().await;
}

/// Kamailio had not heard the agent for 6 s, refused the call without it, and told nobody; the connection stands.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_refused_call_that_was_not_told_is_found_all_the_same() {
    let (mut stage, call) = (stage("10.00", |_| {}).await, Call::new(1));
    let mut failed = Recording::load("rejected").message("CALL_FAILED");
    let now = seconds(stage.now());
    for (name, value) in [
        ("run", "run-1"),
        ("callid", "call-1"),
        ("end_id", &call.end_id()),
        ("cause", "NO_AGENT"),
        ("setup_time", &now),
        ("end_time", &now),
    ] {
        failed.insert(name.into(), value.into());
    }
    (_, _) = (failed.insert("h_id".into(), 1.into()), failed.insert("sip_status".into(), 503.into()));
    stage.kamailio.state().kept.insert(call.end_id(), serde_json::Value::Object(failed).to_string());
    // Nothing else is known of it, and nothing else happens.
    stage.pass(70_000).await;
    stage.until("CALL_END_ACK", |stage| stage.kamailio.state().kept.is_empty()).await;
    assert_eq!(stage.kamailio.state().connections, 1);
    let [event] = &stage.full_records()[..] else { panic!("{:?}", stage.records()) };
    assert_eq!(event.release_cause, Some(types::ReleaseCause::ChargingUnavailable));
    assert!(stage.core.requests().is_empty());
    stage.finish().await;
}

/// Its end was lost and Kamailio does not know it any more.
#[tokio::test(start_paused = true)]
async fn a_call_missing_in_two_lists_is_closed_and_in_one_is_not() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    stage.pass(11_000).await;
    let key = (u64::from(H_ENTRY), 1);
    // Missing from one list only: the double answers the next ones with it.
    let dialog = stage.kamailio.state().alive.remove(&key).expect("alive");
    stage.kamailio.state().lists = false;
    let lists = |stage: &Stage| {
        stage.kamailio.heard(|said| match said {
            ToKamailio::CallList { list_id } => Some(list_id.clone()),
            _ => None,
        })
    };
    let ends_wanted =
        |stage: &Stage| stage.kamailio.heard(|said| matches!(said, ToKamailio::Resend {}).then_some(())).len();
    let (before, asked) = (lists(&stage).len(), ends_wanted(&stage));
    stage.eventually("a list wanted", |stage| lists(stage).len() > before).await;
    done(&stage, lists(&stage).last().expect("a list"));
    stage.until("ends wanted at once", |stage| ends_wanted(stage) > asked).await;
    stage.settle().await;
    assert_eq!(lists(&stage).len(), before + 1, "the next list is the next interval's");
    stage.eventually("a list wanted", |stage| lists(stage).len() > before + 1).await;
    let second = lists(&stage).last().expect("a list").clone();
    let mut alive = dialog.clone();
    alive.insert("event".into(), "CALL_ALIVE".into());
    alive.insert("list_id".into(), second.as_str().into());
    alive.insert("event_time".into(), seconds(stage.now()).into());
    stage.kamailio.say(&alive);
    done(&stage, &second);
    stage.settle().await;
    assert_eq!(stage.records(), ["START"], "missing once");
    // Missing once more, and again: gone.
    let before = lists(&stage).len();
    stage.eventually("a list wanted", |stage| lists(stage).len() > before).await;
    done(&stage, lists(&stage).last().expect("a list"));
    stage.eventually("a list wanted", |stage| lists(stage).len() > before + 1).await;
    assert_eq!(stage.records(), ["START"], "missing once again");
    done(&stage, lists(&stage).last().expect("a list"));
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    assert!(stage.full_records()[1].reconstructed);
    assert!(stage.full_records()[1].duration.is_some_and(|duration| duration.scaled >= 11_000));
    stage.finish().await;
}

/// After a connect the second look comes at once: what ended meanwhile is settled in a round trip, not in an interval.
#[tokio::test(start_paused = true)]
async fn a_call_missing_after_a_connect_is_closed_at_once() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    stage.pass(11_000).await;
    stage.kamailio.state().alive.clear();
    stage.kamailio.hang_up();
    stage.connected().await;
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    assert!(stage.full_records()[1].reconstructed);
    stage.finish().await;
}

/// Its own list's answer may have been made before a call was answered.
#[tokio::test(start_paused = true)]
async fn a_call_answered_while_a_list_was_under_way_is_not_missing_from_it() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    stage.kamailio.state().lists = false;
    let lists = |stage: &Stage| {
        stage.kamailio.heard(|said| match said {
            ToKamailio::CallList { list_id } => Some(list_id.clone()),
            _ => None,
        })
    };
    let before = lists(&stage).len();
    stage.eventually("a list wanted", |stage| lists(stage).len() > before).await;
    call.connects(&mut stage).await;
    done(&stage, lists(&stage).last().expect("a list"));
    stage.settle().await;
    assert_eq!(lists(&stage).len(), before + 1, "nothing is missing, so nothing is asked again");
    stage.kamailio.state().lists = true;
    stage.pass(1_000).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("answered in a list", &["START", "STOP Normal 1.000s cost 0.01"], "9.99").await;
    stage.finish().await;
}

fn done(stage: &Stage, list_id: &str) {
    let done = serde_json::json!({"event": "CALL_LIST_DONE", "list_id": list_id, "count": 0});
    stage.kamailio.play(&crate::recording::frame_text(&done.to_string()));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_answered_call_is_adopted_or_released_as_configured() {
    for unknown_calls in [UnknownCalls::Adopt, UnknownCalls::Release] {
        let mut stage = match unknown_calls {
            UnknownCalls::Adopt => stage("10.00", |_| {}).await,
            UnknownCalls::Release => stage("10.00", |config| config.calls.unknown_calls = UnknownCalls::Release).await,
        };
        let mut call = Call::new(1);
        call.answered = stage.now() - 4_000;
        call.says(&mut stage, "CALL_START").await;
        stage.until("the core asked", |stage| stage.core.requests().len() == 1).await;
        stage.settle().await;
        let released = unknown_calls == UnknownCalls::Release;
        assert_eq!(stage.disconnects(), if released { vec!["OPERATOR"] } else { vec![] }, "{unknown_calls:?}");
        stage.pass(1_000).await;
        if released {
            let fields =
                [("ended_by", "proxy".into()), ("cause", "OPERATOR".into()), ("q850", serde_json::Value::Null)];
            call.says_with(&mut stage, "CALL_END", &fields).await;
        } else {
            call.says(&mut stage, "CALL_END").await;
        }
        let stop = if released { "STOP Normal OPERATOR 5.000s cost 0.05" } else { "STOP Normal 5.000s cost 0.05" };
        stage.expect_settled(&format!("{unknown_calls:?}"), &["START", stop], "9.95").await;
        stage.finish().await;
    }
}

/// The agent was away for the whole call.
#[tokio::test(start_paused = true)]
async fn a_call_that_came_and_went_unseen_is_charged_after_the_fact() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    stage.kamailio.state().reachable = false;
    stage.kamailio.hang_up();
    call.answered = stage.now();
    stage.pass(3_000).await;
    let end = call.message(&stage, "CALL_END");
    stage.kamailio.say(&end);
    stage.kamailio.state().reachable = true;
    stage.connected().await;
    stage.expect_settled("unseen", &["START", "STOP Normal 3.000s cost 0.03"], "9.97").await;
    stage.finish().await;
}

/// Our own clock knows only when we were told.
#[tokio::test(start_paused = true)]
async fn an_end_told_late_is_billed_by_its_own_time() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    stage.pass(3_000).await;
    stage.kamailio.state().reachable = false;
    stage.kamailio.hang_up();
    stage.settle().await;
    let mut end = call.message(&stage, "CALL_END");
    end.remove("event_time");
    stage.kamailio.say(&end);
    stage.pass(20_000).await;
    stage.kamailio.state().reachable = true;
    stage.connected().await;
    stage.expect_settled("told late", &["START", "STOP Normal 3.000s cost 0.03"], "9.97").await;
    stage.finish().await;
}

/// MONEY.md example 8 over the wire: the successor takes the call over and goes on.
#[tokio::test(start_paused = true)]
async fn a_killed_agent_takes_its_calls_over_again() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    stage.pass(20_000).await;
    stage.agent_dies().await;
    stage.pass(10_000).await;
    stage.agent_starts();
    stage.connected().await;
    stage.until("the backstop moved", |stage| !stage.timeouts().is_empty()).await;
    stage.pass(1_000).await;
    call.hangs_up(&mut stage).await;
    let talked_ms = u64::try_from(stage.now() - call.answered).expect("positive");
    let stop = stage.full_records().pop().expect("a record");
    assert_eq!((stop.duration.map(|duration| duration.scaled), stop.reconstructed), (Some(talked_ms), false));
    assert_eq!(stage.records().len(), 2, "{:?}", stage.records());
    let left = 1000 - talked_ms.div_ceil(1000);
    assert_eq!(stage.balance("1001"), money(&format!("{}.{:02}", left / 100, left % 100)));
    stage.finish().await;
}
