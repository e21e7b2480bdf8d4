//! What breaks beside a call: switch, network, the other clients of the event socket. No charge is lost or doubled.

use serde_json::Value;

use crate::recording::frame;
use crate::stage::{Stage, money};
use crate::synthetic::{Call, stage};

/// Talk begins at a proof of life.
async fn answers_at_a_proof(stage: &mut Stage, call: &mut Call) {
    call.parks(stage).await;
    call.is_routed(stage).await;
    let wait = 10_000 - stage.now().rem_euclid(10_000);
    stage.pass(u64::try_from(wait).expect("positive")).await;
    call.answers(stage).await;
}

/// The switch learns it, and nobody is told.
fn unseen(stage: &Stage, call: &Call, name: &str) {
    let event = call.event(stage, name);
    stage.switch.state().learn(&event);
}

/// Nothing comes, nothing is answered, no new connection is greeted, for a minute: seen within two questions. Afterwards
/// who ended is closed at the last proof, who came is authorised, who talks on pays to the end.
#[tokio::test(start_paused = true)]
async fn another_client_that_is_stuck_costs_no_charge() {
    let mut stage = stage("10.00", |_| {}).await;
    let (mut ended, mut goes_on, mut waits) = (Call::new("a"), Call::new("b"), Call::new("c"));
    answers_at_a_proof(&mut stage, &mut ended).await;
    goes_on.connects(&mut stage).await;
    ended.talks_until(&mut stage, 24_000).await;
    stage.switch.state().stuck = true;
    stage.pass(15_100).await;
    assert!(stage.switch.is_connected(), "the switch has not noticed anything");
    unseen(&stage, &ended, "CHANNEL_HANGUP_COMPLETE");
    waits.created_ms = stage.now();
    unseen(&stage, &waits, "CHANNEL_PARK");
    stage.pass(45_000).await;
    assert_eq!(stage.records(), ["START", "START"], "nobody knows anything yet");
    stage.switch.state().stuck = false;
    stage.connected(2).await;
    waits.is_routed(&mut stage).await;
    waits.answers(&mut stage).await;
    stage.eventually("the lost end", |stage| stage.records().len() == 4).await;
    goes_on.talks_until(&mut stage, 100_000).await;
    goes_on.hangs_up(&mut stage).await;
    let wait_ms = waits.answered_ms.expect("answered") + 120_000 - stage.now();
    stage.pass(u64::try_from(wait_ms).expect("later")).await;
    waits.hangs_up(&mut stage).await;
    let expected = [
        "START",
        "START",
        "START",
        "STOP Normal 20.000s cost 0.2 reconstructed",
        "STOP Normal 100.000s cost 1",
        "STOP Normal 120.000s cost 1.2",
    ];
    stage.expect_settled("stuck", &expected, "7.60").await;
    stage.finish().await;
}

/// Silence costs the connection soon, not only after the missed heartbeats: each proof of life needs an answer.
#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_noticed_by_the_next_question() {
    let mut stage = stage("10.00", |_| {}).await;
    stage.switch.state().stuck = true;
    let begun = stage.now();
    stage.pass(16_000).await;
    // The former connection was closed by the agent; the switch sees it as soon as it moves.
    stage.switch.state().stuck = false;
    stage.connected(2).await;
    assert!(stage.now() - begun < 25_000, "{} ms", stage.now() - begun);
    stage.finish().await;
}

/// The network ends in the middle of an event, wherever that is. What it said is asked for, or proven by what is gone.
#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_inside_an_event_loses_no_charge() {
    for (name, stop, balance) in [
        ("CHANNEL_ANSWER", "STOP Normal 30.000s cost 0.3", "9.70"),
        ("CHANNEL_HANGUP_COMPLETE", "STOP Normal 10.000s cost 0.1 reconstructed", "9.90"),
    ] {
        for from_end in [usize::MAX, 12_000, 4_000, 1] {
            let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
            let answer_is_cut = name == "CHANNEL_ANSWER";
            if answer_is_cut {
                call.parks(&mut stage).await;
                call.is_routed(&mut stage).await;
                call.answered_ms = Some(stage.now());
            } else {
                answers_at_a_proof(&mut stage, &mut call).await;
                call.talks_until(&mut stage, 13_000).await;
            }
            let event = call.event(&stage, name);
            stage.switch.state().learn(&event);
            let bytes = frame(Value::Object(event).to_string().as_bytes());
            stage.switch.play(&bytes[..bytes.len().saturating_sub(from_end).max(20)]);
            stage.settle().await;
            stage.switch.hang_up();
            stage.connected(2).await;
            if answer_is_cut {
                stage.until("START", |stage| stage.records() == ["START"]).await;
                call.talks_until(&mut stage, 30_000).await;
                call.hangs_up(&mut stage).await;
            } else {
                stage.eventually("STOP", |stage| stage.records().len() == 2).await;
            }
            stage.expect_settled(&format!("{name} cut {from_end}"), &["START", stop], balance).await;
            stage.finish().await;
        }
    }
}

/// Production calls carry many headers: every event of this one has 200 kB.
#[tokio::test(start_paused = true)]
async fn events_of_200_kb_are_read_like_any_other() {
    for write_bytes in [usize::MAX, 4_096] {
        let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
        stage.switch.state().write_bytes = write_bytes;
        call.further.insert("variable_sip_h_X-Long".into(), "x".repeat(200_000).into());
        call.connects(&mut stage).await;
        stage.until("START", |stage| stage.records() == ["START"]).await;
        stage.pass(2_000).await;
        call.hangs_up(&mut stage).await;
        stage.expect_settled("200 kB", &["START", "STOP Normal 2.000s cost 0.02"], "9.98").await;
        assert_eq!(stage.switch.state().connections, 1);
        stage.finish().await;
    }
}

/// kill -9 of the switch and it stays away: the calls are closed when its next run is there, none before.
#[tokio::test(start_paused = true)]
async fn a_switch_that_stays_away_is_tried_for_ever() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    answers_at_a_proof(&mut stage, &mut call).await;
    call.talks_until(&mut stage, 42_000).await;
    stage.switch.state().reachable = false;
    stage.switch.restarts("run-2");
    stage.pass(300_000).await;
    assert!(!stage.agent.is_finished());
    stage.switch.state().reachable = true;
    stage.connected(2).await;
    stage.eventually("STOP", |stage| stage.records().len() == 2).await;
    stage.expect_settled("away", &["START", "STOP Normal 40.000s cost 0.4 reconstructed"], "9.60").await;
    let mut next = Call::new("a");
    next.connects(&mut stage).await;
    stage.pass(5_000).await;
    next.hangs_up(&mut stage).await;
    stage.until("the next STOP", |stage| stage.records().len() == 4).await;
    assert_eq!(stage.balance("1001"), money("9.55"));
    stage.finish().await;
}

/// The switch says good-bye before it stops, and every call's end before that.
#[tokio::test(start_paused = true)]
async fn a_switch_that_shuts_down_in_order_tells_every_end() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new("a"));
    call.connects(&mut stage).await;
    stage.pass(3_000).await;
    call.ends(&mut stage, &[("Hangup-Cause", "SYSTEM_SHUTDOWN"), ("variable_sip_hangup_disposition", "send_bye")])
        .await;
    let text = "Disconnected, goodbye.\nThe system is being shut down.\n";
    let notice = format!("Content-Type: text/disconnect-notice\nContent-Length: {}\n\n{text}", text.len());
    stage.switch.play(notice.as_bytes());
    stage.settle().await;
    stage.switch.restarts("run-2");
    stage.connected(2).await;
    stage.expect_settled("shutdown", &["START", "STOP Normal 3.000s cost 0.03"], "9.97").await;
    stage.finish().await;
}
