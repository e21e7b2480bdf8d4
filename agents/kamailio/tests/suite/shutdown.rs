//! SIGTERM with calls up.

use crate::stage::Stage;
use crate::synthetic::{Call, stage};

/// Calls stay up, their backstop in the switch holds; the successor takes them over.
#[tokio::test(start_paused = true)]
async fn calls_outlive_the_agent_and_their_end_is_not_acknowledged_by_it() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    stage.pass(3_000).await;
    stage.shutdown.cancel();
    stage.until("the agent's end", |stage| stage.agent.is_finished()).await;
    stage.until("the connection's end", |stage| !stage.kamailio.is_connected()).await;
    assert!(stage.disconnects().is_empty() && stage.kamailio.state().acks.is_empty());
    assert_eq!(stage.records(), ["START"]);
    let end = call.message(&stage, "CALL_END");
    stage.kamailio.say(&end);
    stage.agent_starts();
    stage.connected().await;
    stage.expect_settled("taken over", &["START", "STOP Normal 3.000s cost 0.03"], "9.97").await;
    stage.finish().await;
}

/// What is under way with core and journal is finished first; an end that cannot be settled is not acknowledged.
#[tokio::test(start_paused = true)]
async fn an_end_under_way_is_finished_before_the_agent_goes() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    stage.pass(1_000).await;
    stage.core.set_reachable(false);
    call.says(&mut stage, "CALL_END").await;
    stage.shutdown.cancel();
    stage.pass(2_000).await;
    assert!(!stage.agent.is_finished() && stage.kamailio.state().acks.is_empty(), "not charged, so not acknowledged");
    stage.core.set_reachable(true);
    stage.eventually("the agent's end", |stage: &Stage| stage.agent.is_finished()).await;
    stage.expect_settled("finished", &["START", "STOP Normal 1.000s cost 0.01"], "9.99").await;
}

#[tokio::test(start_paused = true)]
async fn no_new_call_is_taken_while_finishing() {
    let (mut stage, mut first) = (stage("10.00", |_| {}).await, Call::new(1));
    first.connects(&mut stage).await;
    stage.core.set_reachable(false);
    first.says(&mut stage, "CALL_END").await;
    stage.shutdown.cancel();
    stage.settle().await;
    let late = Call::new(2);
    late.says_with(&mut stage, "AUTH_REQUEST", &[("tr_index", 7.into())]).await;
    stage.until("the verdict", |stage| stage.verdicts().iter().any(|(index, _, _)| *index == 7)).await;
    let verdicts = stage.verdicts();
    let refused = verdicts.iter().find(|(index, _, _)| *index == 7).expect("there");
    assert!(matches!(refused.2, protocol_codecs::evapi::AuthVerdict::Deny { code: 503, .. }), "{refused:?}");
    stage.core.set_reachable(true);
    stage.eventually("the agent's end", |stage: &Stage| stage.agent.is_finished()).await;
    assert!(stage.records().contains(&"EVENT Failed 503 SHUTDOWN cost 0".to_owned()), "{:?}", stage.records());
}
