//! A new agent takes over the core's open sessions.

use std::time::Duration;

use agent_call::{Command, SwitchEvent};
use tokio_util::sync::CancellationToken;
use types::ReleaseCause;
use types::charging::{ChargingRequest, Operation};

use crate::rig::Rig;

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_costs_its_own_call_only() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "100");
    let good = rig.talking("good").await;
    let bad = rig.talking("bad").await;
    let mut spoiled: ChargingRequest =
        rig.core.requests().into_iter().find(|one| one.session_id == bad).expect("asked");
    (spoiled.request_number, spoiled.operation) = (1, Operation::Update);
    spoiled.client_state = b"{\"offer\":".to_vec();
    assert!(rig.core.charge_now(spoiled).result_code.is_success());
    rig.die().await;
    assert_eq!(rig.driver.restore().await.expect("a list"), 2);
    assert!(rig.driver.knows(&good) && !rig.driver.knows(&bad));
    rig.alive(&good, 1_000).await;
    rig.hang_up(&good).await;
    rig.settle_records().await;
    assert!(rig.finished(&good));
}

/// The core is away at the start: asked until it answers, or until nobody wants it any more.
#[tokio::test(start_paused = true)]
async fn a_start_waits_for_the_core_and_ends_at_once_when_told_to() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "100");
    let call = rig.talking("c").await;
    rig.die().await;
    rig.core.set_reachable(false);
    let (longest, shutdown) = (Duration::from_secs(5), CancellationToken::new());
    let stopper = shutdown.clone();
    let stopped_after = async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        stopper.cancel();
    };
    let begun = tokio::time::Instant::now();
    let (restored, ()) = tokio::join!(rig.driver.restored(longest, &shutdown), stopped_after);
    assert!(!restored && begun.elapsed() < Duration::from_secs(61) && !rig.driver.knows(&call));
    let (core, shutdown) = (rig.core.clone(), CancellationToken::new());
    let back_after = async move {
        tokio::time::sleep(Duration::from_secs(30)).await;
        core.set_reachable(true);
    };
    let begun = tokio::time::Instant::now();
    let (restored, ()) = tokio::join!(rig.driver.restored(longest, &shutdown), back_after);
    assert!(restored && begun.elapsed() <= Duration::from_secs(35) && rig.driver.knows(&call));
}

#[tokio::test(start_paused = true)]
async fn an_abort_while_the_agent_was_away_is_carried_out() {
    for core_away_at_first in [false, true] {
        let mut rig = Rig::new().await;
        rig.core.account("a", "100");
        let call = rig.talking("c").await;
        rig.settle_records().await;
        rig.die().await;
        rig.core.command(&ledger::Command::Release { session_id: call.clone(), cause: ReleaseCause::Fraud });
        if core_away_at_first {
            rig.core.set_reachable(false);
            assert!(rig.driver.restore().await.is_err());
            rig.core.set_reachable(true);
            rig.pass(2_000).await;
            // The answer to another call brings it, too, before the sessions are loaded.
            let other = rig.offer("other").await;
            assert!(matches!(rig.commands(&other)[..], [Command::Admit { .. }]));
        }
        rig.pass(1_000).await;
        rig.driver.restore().await.expect("a list");
        rig.settle().await;
        rig.pass(10).await;
        rig.alive(&call, 3_000).await;
        let released = |command: &Command| matches!(command, Command::Release { cause: ReleaseCause::Fraud, .. });
        assert!(rig.commands(&call).iter().any(released), "{core_away_at_first}: {:?}", rig.orders);
        rig.core.account("probe", "1");
        assert_eq!(rig.unconfirmed().len(), 1, "until the call is over the core tells it again");
        rig.hang_up(&call).await;
        rig.settle_records().await;
        assert!(rig.unconfirmed().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_repeated_to_the_agent_after_next() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "100");
    rig.core.account("probe", "1");
    let call = rig.talking("c").await;
    rig.core.command(&ledger::Command::Release { session_id: call.clone(), cause: ReleaseCause::Fraud });
    rig.settle().await;
    assert!(matches!(rig.commands(&call).last(), Some(Command::Release { .. })));
    // It dies before the switch has obeyed.
    rig.die().await;
    rig.driver.restore().await.expect("a list");
    rig.pass(10).await;
    rig.alive(&call, 1_000).await;
    assert!(matches!(rig.commands(&call).last(), Some(Command::Release { .. })), "{:?}", rig.orders);
    rig.driver.event(&call, SwitchEvent::Gone);
    rig.settle_records().await;
    assert!(rig.unconfirmed().is_empty());
}
