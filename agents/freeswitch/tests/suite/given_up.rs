//! Calls that were given up before anybody answered, and legs that wait for a verdict and give up.

use types::ConfigDuration;

use crate::synthetic::{BRITAIN, Call, stage};
use crate::transfers::{called_by, talking};

/// What an emergency call has called is never ended, also not after a break in which it was found ringing.
#[tokio::test(start_paused = true)]
async fn a_leg_of_an_emergency_call_that_was_given_up_is_left_alone() {
    let (mut stage, mut a) = (stage("10.00", |_| {}).await, Call::new("a"));
    a.dialled = "112";
    a.further.insert("variable_tollkeeper_never_refuse".into(), "true".into());
    a.further.insert("variable_current_application".into(), "bridge".into());
    a.created_ms = stage.now();
    let mut ringing = a.event(&stage, "CHANNEL_ANSWER");
    ringing.insert("Event-Name".into(), "CHANNEL_PROGRESS".into());
    stage.switch.say(&ringing);
    stage.pass(1_000).await;
    stage.switch.hang_up();
    stage.connected(2).await;
    stage.pass(1_000).await;
    a.ends(&mut stage, &[("Hangup-Cause", "ORIGINATOR_CANCEL")]).await;
    let b = called_by("a", "b", &stage);
    b.says(&mut stage, "CHANNEL_ANSWER", &[("Other-Leg-Unique-ID", "stranger")]).await;
    stage.pass(1_000).await;
    assert!(stage.said_of("uuid_kill").is_empty(), "{:?}", stage.said());
    stage.finish().await;
}

/// No leg rings for twice the longest time of ringing: a channel of that name is another by then.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_given_up_is_forgotten() {
    let ten: fn(&mut agent_freeswitch::FreeswitchConfig) =
        |config| config.calls.maximum_ring = ConfigDuration::from_s(10);
    for (change, later_ms, ended) in [
        (ten, 15_000, true),
        (ten, 45_000, false),
        (|config| config.calls.maximum_ring = ConfigDuration::from_s(60), 45_000, true),
    ] {
        let (mut stage, mut a) = (stage("10.00", change).await, Call::new("a"));
        a.parks(&mut stage).await;
        a.is_routed(&mut stage).await;
        a.ends(&mut stage, &[("Hangup-Cause", "ATTENDED_TRANSFER")]).await;
        stage.pass(later_ms).await;
        let b = called_by("a", "b", &stage);
        b.says(&mut stage, "CHANNEL_ANSWER", &[("Other-Leg-Unique-ID", "stranger")]).await;
        assert_eq!(stage.said_of("uuid_kill").len(), usize::from(ended), "{later_ms}");
        stage.agent.abort();
    }
}

/// A leg that waits before it is known why, and hangs up meanwhile: nobody is asked for it.
#[tokio::test(start_paused = true)]
async fn a_leg_that_waits_and_hangs_up_costs_nobody_anything() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, mut b) = talking(&mut stage).await;
    stage.pass(2_000).await;
    b.dialled = BRITAIN;
    b.says(&mut stage, "CHANNEL_PARK", &[]).await;
    stage.pass(100).await;
    b.ends(&mut stage, &[]).await;
    stage.pass(2_000).await;
    assert_eq!(stage.core.requests().len(), 1, "{:?}", stage.said());
    a.hangs_up(&mut stage).await;
    stage.finish().await;
}

/// A call that was never admitted has called nobody: what names it as its caller is not ours to end.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_admitted_leaves_no_leg_behind() {
    let (mut stage, mut a) = (stage("0.00", |_| {}).await, Call::new("a"));
    a.parks(&mut stage).await;
    a.is_routed(&mut stage).await;
    a.ends(&mut stage, &[]).await;
    let b = called_by("a", "b", &stage);
    b.says(&mut stage, "CHANNEL_ANSWER", &[("Other-Leg-Unique-ID", "stranger")]).await;
    stage.pass(500).await;
    assert!(stage.said_of("uuid_kill").is_empty(), "{:?}", stage.said());
    stage.agent.abort();
}
