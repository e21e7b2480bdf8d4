//! `on_core_failure = "continue"`: whose calls go on while the core is silent, and whose do not.

use agent_call::Command;
use agent_runtime::ContinueLimits;
use types::{ReleaseCause, SessionId};

use crate::rig::{Rig, Setup};

/// An account that the core let talk a moment ago; the core is away now.
async fn away(limits: ContinueLimits, balance: &str) -> Rig {
    let mut rig = Rig::with(Setup { continuing: Some(limits), ..Setup::default() }).await;
    rig.core.account("a", balance);
    let known = rig.talking("known").await;
    rig.pass(1_000).await;
    rig.hang_up(&known).await;
    rig.settle_records().await;
    rig.core.set_reachable(false);
    rig
}

/// Offered, and given more than the time that the core has for an answer.
async fn asked(rig: &mut Rig, call: &str) -> SessionId {
    let session_id = rig.offer(call).await;
    rig.pass(4_100).await;
    session_id
}

const ADMITTED: [Command; 1] = [Command::Admit { granted_ms: 600_000 }];
const REFUSED: [Command; 1] = [Command::Refuse(ReleaseCause::ChargingUnavailable)];

/// Example 11 of the worked money, for a call that begins without the core.
#[tokio::test(start_paused = true)]
async fn a_new_call_of_a_known_account_goes_on_and_is_debited_later() {
    let mut rig = away(ContinueLimits::default(), "100").await;
    let call = asked(&mut rig, "c").await;
    assert_eq!(rig.commands(&call), ADMITTED);
    rig.answer(&call).await;
    rig.pass(100_000).await;
    rig.hang_up(&call).await;
    assert_eq!(rig.balance(), ("99.99".into(), "0".into()), "the call before");
    rig.core.set_reachable(true);
    rig.pass(10_000).await;
    rig.settle_records().await;
    assert!(rig.finished(&call));
    assert_eq!(rig.balance(), ("98.99".into(), "0".into()));
}

/// The core answers while the call goes on: the slices are as always from then on.
#[tokio::test(start_paused = true)]
async fn a_core_that_is_back_takes_the_call_over() {
    let mut rig = away(ContinueLimits::default(), "100").await;
    let call = asked(&mut rig, "c").await;
    rig.answer(&call).await;
    rig.pass(50_000).await;
    rig.core.set_reachable(true);
    rig.pass(10_000).await;
    assert_ne!(rig.balance().1, "0", "something is held for it");
    rig.pass(20_000).await;
    rig.hang_up(&call).await;
    rig.settle_records().await;
    assert_eq!(rig.balance(), ("99.19".into(), "0".into()), "80 s");
}

#[tokio::test(start_paused = true)]
async fn who_is_not_known_is_refused() {
    let mut rig = Rig::with(Setup { continuing: Some(ContinueLimits::default()), ..Setup::default() }).await;
    rig.core.account("a", "100");
    rig.core.set_reachable(false);
    let stranger = asked(&mut rig, "c").await;
    assert_eq!(rig.commands(&stranger), REFUSED);
}

#[tokio::test(start_paused = true)]
async fn whose_credit_was_at_its_end_is_refused() {
    let mut rig = away(ContinueLimits::default(), "0.20").await;
    let call = asked(&mut rig, "c").await;
    assert_eq!(rig.commands(&call), REFUSED);
}

#[tokio::test(start_paused = true)]
async fn who_was_known_too_long_ago_is_refused() {
    let mut rig = away(ContinueLimits { recent_ms: 60_000, ..ContinueLimits::default() }, "100").await;
    rig.pass(61_000).await;
    let call = asked(&mut rig, "c").await;
    assert_eq!(rig.commands(&call), REFUSED);
}

#[tokio::test(start_paused = true)]
async fn destinations_of_fraud_are_refused() {
    let mut rig = away(ContinueLimits { never: vec!["+4930".into()], ..ContinueLimits::default() }, "100").await;
    let call = asked(&mut rig, "c").await;
    assert_eq!(rig.commands(&call), REFUSED);
}

#[tokio::test(start_paused = true)]
async fn an_account_has_so_many_such_calls_at_once() {
    let mut rig = away(ContinueLimits::default(), "100").await;
    let (first, second) = (asked(&mut rig, "1").await, asked(&mut rig, "2").await);
    let third = asked(&mut rig, "3").await;
    assert_eq!([rig.commands(&first), rig.commands(&second)], [ADMITTED, ADMITTED]);
    assert_eq!(rig.commands(&third), REFUSED);
    rig.answer(&first).await;
    rig.pass(1_000).await;
    rig.hang_up(&first).await;
    let fourth = asked(&mut rig, "4").await;
    assert_eq!(rig.commands(&fourth), ADMITTED, "one of the two is over");
}

/// A call that talks when the core falls silent.
#[tokio::test(start_paused = true)]
async fn a_running_call_goes_on_for_so_long_and_no_longer() {
    let limits = ContinueLimits { longest_ms: 60_000, ..ContinueLimits::default() };
    let mut rig = Rig::with(Setup { continuing: Some(limits), ..Setup::default() }).await;
    rig.core.account("a", "100");
    let call = rig.talking("c").await;
    rig.pass(20_000).await;
    rig.core.set_reachable(false);
    rig.pass(69_000).await;
    assert!(!rig.commands(&call).iter().any(is_release), "the grant of 30 s and 60 s more");
    rig.pass(2_000).await;
    let released = Command::Release { cause: ReleaseCause::ChargingUnavailable, attempt: 1 };
    assert_eq!(rig.commands(&call).iter().find(|command| is_release(command)), Some(&released));
}

fn is_release(command: &Command) -> bool {
    matches!(command, Command::Release { .. })
}
