//! Lost events, breaks and restarts of either side: no call is charged twice, none is lost.

use agent_runtime::UnknownCalls;

use crate::stage::{Stage, money};
use crate::synthetic::{Call, stage};

#[tokio::test(start_paused = true)]
async fn a_call_outlives_a_broken_connection() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    call.connects(&mut stage).await;
    stage.pass(3_000).await;
    stage.switch.hang_up();
    stage.connected(2).await;
    stage.until("the backstop moved", |stage| stage.said_of("sched_api").len() == 2).await;
    call.talks_until(&mut stage, 20_000).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("broken", &["START", "STOP Normal 20.000s cost 0.2"], "9.80").await;
    stage.finish().await;
}

/// What happened while nobody listened the switch does not tell again.
#[tokio::test(start_paused = true)]
async fn a_call_that_ended_unseen_is_closed_at_its_last_proof() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    call.parks(&mut stage).await;
    call.is_routed(&mut stage).await;
    let wait = 10_000 - stage.now().rem_euclid(10_000);
    stage.pass(u64::try_from(wait).expect("positive")).await;
    call.answers(&mut stage).await;
    stage.pass(14_000).await;
    stage.switch.state().reachable = false;
    stage.switch.hang_up();
    stage.switch.state().channels.clear();
    stage.pass(3_000).await;
    stage.switch.state().reachable = true;
    stage.connected(2).await;
    stage.eventually("STOP", |stage| stage.records().len() == 2).await;
    stage.expect_settled("unseen", &["START", "STOP Normal 10.000s cost 0.1 reconstructed"], "9.90").await;
    stage.finish().await;
}

/// The list lags and keeps ghosts; only what `uuid_exists` and `uuid_dump` say counts.
#[tokio::test(start_paused = true)]
async fn ghosts_of_the_list_are_not_calls() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    call.connects(&mut stage).await;
    stage.pass(1_000).await;
    stage.switch.state().ghosts = vec!["ghost".into(), "a".into()];
    stage.switch.hang_up();
    stage.connected(2).await;
    stage.pass(5_000).await;
    stage.until("START", |stage| !stage.records().is_empty()).await;
    assert_eq!((stage.core.requests().len(), stage.records()), (1, vec!["START".to_owned()]));
    stage.switch.state().channels.clear();
    stage.eventually("STOP", |stage| stage.records().len() == 2).await;
    assert!(stage.full_records()[1].reconstructed, "in the list, but gone");
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_former_run_are_closed_and_never_mixed_with_the_new_ones() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    call.connects(&mut stage).await;
    stage.pass(25_000).await;
    stage.switch.restarts("run-2");
    stage.connected(2).await;
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    let stop = &stage.full_records()[1];
    let talked_ms = stop.duration.expect("a duration").ms();
    assert!(stop.reconstructed && (10_000..=25_000).contains(&talked_ms), "{talked_ms}");
    let left = 1000 - talked_ms.div_ceil(1000);
    assert_eq!(stage.balance("1001"), money(&format!("{}.{:02}", left / 100, left % 100)));
    let mut second = Call::new("a");
    second.connects(&mut stage).await;
    stage.pass(1_000).await;
    second.hangs_up(&mut stage).await;
    stage.until("the second STOP", |stage| stage.records().len() == 4).await;
    let session = stage.full_records()[3].session_id.clone();
    assert_eq!(session.as_str(), second.session("run-2"));
    stage.finish().await;
}

/// A caller who chooses the channel's id (`inbound-use-callid-as-uuid`) and uses it again pays again, also while the core owes
/// the answer to the end of the former.
#[tokio::test(start_paused = true)]
async fn the_same_channel_id_later_is_another_call() {
    let mut stage = stage("10.00", |_| {}).await;
    for lost in [1, 0] {
        let mut call = Call::new("chosen");
        stage.pass(10).await;
        let before = stage.said_of("uuid_transfer").len();
        call.parks(&mut stage).await;
        stage.eventually("the transfer", |stage| stage.said_of("uuid_transfer").len() > before).await;
        call.answers(&mut stage).await;
        stage.pass(2_000).await;
        stage.core.lose_answers(lost);
        call.hangs_up(&mut stage).await;
    }
    let stop = "STOP Normal 2.000s cost 0.02";
    stage.eventually("the ends", |stage| stage.records().len() == 4).await;
    let mut records = stage.records();
    records.sort();
    assert_eq!(
        (records, stage.balance("1001")),
        (["START", "START", stop, stop].map(str::to_owned).to_vec(), money("9.96"))
    );
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_answered_call_is_adopted_or_released_as_configured() {
    for unknown_calls in [UnknownCalls::Adopt, UnknownCalls::Release] {
        let mut stage = match unknown_calls {
            UnknownCalls::Adopt => stage("10.00", |_| {}).await,
            UnknownCalls::Release => stage("10.00", |config| config.calls.unknown_calls = UnknownCalls::Release).await,
        };
        let mut call = Call::new("a");
        stage.switch.state().reachable = false;
        stage.switch.hang_up();
        call.created_ms = stage.now();
        call.answered_ms = Some(stage.now());
        let event = call.event(&stage, "CHANNEL_ANSWER");
        stage.switch.state().learn(&event);
        stage.pass(4_000).await;
        stage.switch.state().reachable = true;
        stage.connected(2).await;
        stage.until("the core asked", |stage| !stage.core.requests().is_empty()).await;
        if unknown_calls == UnknownCalls::Release {
            stage.eventually("STOP", |stage| stage.records().len() == 2).await;
            assert_eq!(stage.said_of("uuid_kill"), ["uuid_kill a MANAGER_REQUEST"]);
            assert!(stage.records()[1].contains("OPERATOR"), "{:?}", stage.records());
        } else {
            stage.until("a backstop", |stage| stage.said_of("sched_api").len() == 2).await;
            call.talks_until(&mut stage, 15_000).await;
            call.hangs_up(&mut stage).await;
            stage.expect_settled("adopted", &["START", "STOP Normal 15.000s cost 0.15"], "9.85").await;
        }
        stage.finish().await;
    }
}

/// Not marked by the dialplan: not ours, whatever the list says.
#[tokio::test(start_paused = true)]
async fn an_answered_call_that_nobody_marked_is_left_alone() {
    let (mut stage, mut call) =
        (stage("10.00", |config| config.calls.unknown_calls = UnknownCalls::Release).await, Call::new("a"));
    for field in ["variable_cgr_account", "variable_cgr_reqtype"] {
        call.further.insert(field.into(), serde_json::Value::Null);
    }
    (call.created_ms, call.answered_ms) = (stage.now(), Some(stage.now()));
    let event = call.event(&stage, "CHANNEL_ANSWER");
    stage.switch.state().learn(&event);
    stage.switch.hang_up();
    stage.connected(2).await;
    stage.pass(15_000).await;
    assert!(stage.said().is_empty() && stage.core.requests().is_empty(), "{:?}", stage.said());
    stage.finish().await;
}

/// The agent was away while a call parked: it still waits.
#[tokio::test(start_paused = true)]
async fn a_call_that_parked_unseen_is_authorised_after_the_connect() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    stage.switch.state().reachable = false;
    stage.switch.hang_up();
    call.created_ms = stage.now();
    let event = call.event(&stage, "CHANNEL_PARK");
    stage.switch.state().learn(&event);
    stage.pass(2_000).await;
    stage.switch.state().reachable = true;
    stage.connected(2).await;
    call.is_routed(&mut stage).await;
    call.answers(&mut stage).await;
    stage.pass(1_000).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("parked unseen", &["START", "STOP Normal 1.000s cost 0.01"], "9.99").await;
    stage.finish().await;
}

/// Admitted, but the order was lost with the connection, or with the agent: it is given again, once.
#[tokio::test(start_paused = true)]
async fn an_admission_that_was_lost_is_given_again() {
    for agent_dies in [false, true] {
        let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
        stage.switch.state().answers = false;
        call.parks(&mut stage).await;
        stage.until("the order", |stage| stage.said_of("uuid_setvar_multi").len() == 1).await;
        if agent_dies {
            stage.agent_dies().await;
        } else {
            stage.switch.hang_up();
        }
        stage.switch.state().answers = true;
        if agent_dies {
            stage.agent_starts();
        }
        stage.connected(2).await;
        call.is_routed(&mut stage).await;
        call.answers(&mut stage).await;
        stage.pass(12_000).await;
        assert_eq!(stage.said_of("uuid_transfer").len(), 1);
        let variables = stage.said_of("uuid_setvar_multi").pop().unwrap_or_default();
        assert!(variables.contains("force_transfer_context=public;"), "transfers are asked for as ever: {variables}");
        call.hangs_up(&mut stage).await;
        stage.expect_settled("given again", &["START", "STOP Normal 12.000s cost 0.12"], "9.88").await;
        stage.finish().await;
    }
}

/// Its answer was lost with the connection.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_by_the_dump() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    call.parks(&mut stage).await;
    call.is_routed(&mut stage).await;
    stage.switch.state().reachable = false;
    stage.switch.hang_up();
    call.answered_ms = Some(stage.now());
    let event = call.event(&stage, "CHANNEL_ANSWER");
    stage.switch.state().learn(&event);
    stage.pass(3_000).await;
    stage.switch.state().reachable = true;
    stage.connected(2).await;
    stage.until("START", |stage| stage.records() == ["START"]).await;
    call.talks_until(&mut stage, 9_000).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("lost answer", &["START", "STOP Normal 9.000s cost 0.09"], "9.91").await;
    stage.finish().await;
}

/// The end of a call that a former agent charged comes to its successor: charged once.
#[tokio::test(start_paused = true)]
async fn an_end_while_the_core_is_away_is_charged_when_it_is_back() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    call.connects(&mut stage).await;
    stage.pass(2_000).await;
    stage.core.set_reachable(false);
    call.hangs_up(&mut stage).await;
    stage.pass(15_000).await;
    stage.core.set_reachable(true);
    stage.eventually("settled", |stage: &Stage| stage.core.view("1001").held.is_zero()).await;
    assert_eq!(stage.balance("1001"), money("9.98"));
    stage.finish().await;
}

/// An unseen call's end: the switch tells it once, so the agent keeps it until the core can be asked.
#[tokio::test(start_paused = true)]
async fn an_unknown_end_waits_for_the_core() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    stage.core.set_reachable(false);
    (call.created_ms, call.answered_ms) = (stage.now(), Some(stage.now()));
    stage.pass(3_000).await;
    call.says(&mut stage, "CHANNEL_HANGUP_COMPLETE", &[]).await;
    stage.pass(25_000).await;
    assert_eq!(stage.records(), Vec::<String>::new());
    stage.core.set_reachable(true);
    stage.eventually("STOP", |stage| stage.records().len() == 2).await;
    stage.expect_settled("unknown end", &["START", "STOP Normal 3.000s cost 0.03"], "9.97").await;
    stage.finish().await;
}

/// On a switch under heavy load `uuid_exists` says no seconds before the event of the end comes: the end still counts.
#[tokio::test(start_paused = true)]
async fn a_call_whose_end_is_told_late_is_charged_by_its_end() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    call.connects(&mut stage).await;
    let wait = 9_000 - stage.now().rem_euclid(10_000);
    stage.pass(u64::try_from(wait.rem_euclid(10_000)).expect("positive") + 10_000).await;
    let talked_ms = stage.now() - call.answered_ms.expect("answered");
    stage.switch.state().events_stuck = true;
    call.hangs_up(&mut stage).await;
    stage.pass(9_000).await;
    assert_eq!(stage.records(), ["START"], "asked whether it exists, and waited for its end");
    stage.switch.state().gets_going();
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    let stop = &stage.full_records()[1];
    assert!(!stop.reconstructed && !stop.clock_anomaly);
    assert_eq!(stop.duration.map(|duration| duration.ms()), u64::try_from(talked_ms).ok());
    stage.finish().await;
}

/// The event of the end is lost for good, and others come.
#[tokio::test(start_paused = true)]
async fn a_call_whose_end_is_lost_is_closed_when_later_events_came() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    call.connects(&mut stage).await;
    stage.pass(5_000).await;
    stage.switch.state().channels.clear();
    stage.pass(10_000).await;
    stage.eventually("STOP", |stage| stage.records().len() == 2).await;
    assert!(stage.full_records()[1].reconstructed);
    assert!(stage.now() - call.answered_ms.expect("answered") < 45_000, "a heartbeat at the latest");
    stage.finish().await;
}
