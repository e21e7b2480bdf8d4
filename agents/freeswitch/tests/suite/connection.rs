//! The connections themselves: silence, refusal, overload, floods, nonsense.

use crate::recording::frame;
use crate::stage::{Plan, Stage};
use crate::synthetic::{Call, stage};

/// Another client that does not read can stop all events of a switch; a router can forget the connection.
#[tokio::test(start_paused = true)]
async fn a_switch_without_heartbeats_is_left_and_found_again() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    call.connects(&mut stage).await;
    stage.pass(70_000).await;
    assert_eq!(stage.switch.state().connections, 1, "heartbeats come");
    stage.switch.state().heartbeats = false;
    stage.pass(39_000).await;
    assert_eq!(stage.switch.state().connections, 1, "two may be missed");
    stage.connected(2).await;
    let before = stage.now();
    call.hangs_up(&mut stage).await;
    let talked_ms = before - call.answered_ms.expect("answered");
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    let stop = &stage.full_records()[1];
    assert_eq!(stop.duration.map(|duration| duration.ms()), u64::try_from(talked_ms).ok());
    assert!(!stop.reconstructed && !stop.clock_anomaly);
    stage.finish().await;
}

/// Events come, but nothing obeys: half open in the other direction.
#[tokio::test(start_paused = true)]
async fn a_switch_that_does_not_answer_commands_is_left() {
    let mut stage = stage("10.00", |_| {}).await;
    stage.switch.state().answers = false;
    stage.eventually("a new connection", |stage| stage.switch.state().connections == 2).await;
    stage.switch.state().answers = true;
    let mut call = Call::new("a");
    stage.pass(12_000).await;
    call.connects(&mut stage).await;
    call.hangs_up(&mut stage).await;
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_again_for_ever_and_never_subscribes() {
    let plan = Plan { begin_ms: 1_795_300_000_000, balance: "1.00", change: |_| {} };
    let mut stage = Stage::unconnected(plan).await;
    stage.switch.state().password = "other".into();
    let tries = |stage: &Stage| stage.switch.state().asked.iter().filter(|asked| asked.starts_with("auth ")).count();
    stage.eventually("four tries", |stage| tries(stage) >= 4).await;
    assert_eq!(stage.switch.state().connections, 0);
    stage.switch.state().password = "ClueCon".into();
    stage.connected(1).await;
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_frames_end_the_connection_and_the_next_one_is_good() {
    for nonsense in ["Content-Length: x\n\n", ": no name\n\n", "Content-Length: 99999999\n\n"] {
        let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
        call.connects(&mut stage).await;
        stage.switch.play(nonsense.as_bytes());
        stage.connected(2).await;
        call.hangs_up(&mut stage).await;
        stage.until(nonsense, |stage| stage.records().len() == 2).await;
        stage.finish().await;
    }
}

/// Not an object, no name, no id, no time: that event is skipped, the next one is not.
#[tokio::test(start_paused = true)]
async fn an_event_with_a_fault_costs_only_itself() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    for body in [
        "null",
        "[]",
        "{}",
        "{",
        "{\"Event-Name\":\"CHANNEL_ANSWER\"}",
        "{\"Event-Name\":\"CHANNEL_PARK\",\"Call-Direction\":\"inbound\",\"Unique-ID\":\"x\"}",
        "{\"Event-Name\":\"SOMETHING_NEW\"}",
    ] {
        stage.switch.play(&frame(body.as_bytes()));
    }
    call.connects(&mut stage).await;
    stage.pass(1_000).await;
    stage.until("START", |stage| stage.records() == ["START"]).await;
    call.says(&mut stage, "CHANNEL_HANGUP_COMPLETE", &[("Caller-Channel-Hangup-Time", "yesterday")]).await;
    stage.settle().await;
    assert_eq!(stage.records(), ["START"], "an end without a time is no end");
    let event = call.event(&stage, "CHANNEL_ANSWER");
    stage.switch.state().learn(&event);
    call.hangs_up(&mut stage).await;
    stage.expect_settled("faults", &["START", "STOP Normal 1.000s cost 0.01"], "9.99").await;
    assert_eq!(stage.switch.state().connections, 1);
    stage.finish().await;
}

/// 10,000 events in one write, one of them of 200 kB, and the end of a call behind them: nothing is lost.
#[tokio::test(start_paused = true)]
async fn a_flood_of_events_loses_none_that_matters() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    call.connects(&mut stage).await;
    stage.pass(2_000).await;
    let mut bytes = Vec::new();
    for number in 0..10_000 {
        let name = if number == 5_000 { "x".repeat(200_000) } else { "x".to_owned() };
        let body = format!("{{\"Event-Name\":\"HEARTBEAT\",\"Core-UUID\":\"run-1\",\"Event-Info\":\"{name}\"}}");
        bytes.extend(frame(body.as_bytes()));
    }
    for name in ["CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"] {
        let event = call.event(&stage, name);
        stage.switch.state().learn(&event);
        bytes.extend(frame(serde_json::Value::Object(event).to_string().as_bytes()));
    }
    stage.switch.play(&bytes);
    stage.expect_settled("flood", &["START", "STOP Normal 2.000s cost 0.02"], "9.98").await;
    assert_eq!(stage.switch.state().connections, 1);
    stage.finish().await;
}

/// The switch was stuck for five seconds and then told everything at once: its own times count.
#[tokio::test(start_paused = true)]
async fn events_that_come_late_are_billed_by_their_own_time() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    call.parks(&mut stage).await;
    call.is_routed(&mut stage).await;
    call.answered_ms = Some(stage.now());
    let answer = call.event(&stage, "CHANNEL_ANSWER");
    stage.pass(5_000).await;
    stage.switch.say(&answer);
    stage.settle().await;
    call.talks_until(&mut stage, 8_000).await;
    let last = call.event(&stage, "CHANNEL_HANGUP_COMPLETE");
    stage.pass(6_000).await;
    stage.switch.say(&last);
    stage.expect_settled("late", &["START", "STOP Normal 8.000s cost 0.08"], "9.92").await;
    stage.finish().await;
}
