//! What is confirmed to the core, and when.

use agent_call::Command;
use types::ReleaseCause;

use crate::rig::Rig;

#[tokio::test(start_paused = true)]
async fn credit_is_confirmed_at_once_and_an_abort_with_the_end_of_its_call() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "0.35");
    rig.core.account("probe", "1");
    let full = rig.talking("full").await;
    let short = rig.talking("short").await;
    rig.core.command(&ledger::Command::Release { session_id: full.clone(), cause: ReleaseCause::Operator });
    rig.settle().await;
    assert!(rig.commands(&full).iter().any(|command| matches!(command, Command::Release { .. })));
    let abort = rig.unconfirmed();
    assert_eq!(abort.len(), 1);
    rig.core.top_up("a", "1");
    rig.settle().await;
    let requests = rig.asked(&short).len();
    assert!(requests >= 2, "it asks again at once");
    assert_eq!(rig.unconfirmed(), abort, "what comes later waits for the abort, unless it is settled by itself");
    rig.hang_up(&full).await;
    rig.settle_records().await;
    assert!(rig.unconfirmed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_notification_for_nobody_is_confirmed() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "1");
    rig.core.account("probe", "1");
    // A session of ours that this agent does not know, as after a state that could not be read.
    let mut foreign = rig.core.requests();
    assert!(foreign.is_empty());
    let call = rig.talking("c").await;
    foreign = rig.core.requests();
    let mut request = foreign.remove(0);
    request.session_id = "k1/run/nobody's".into();
    rig.core.charge_now(request);
    rig.core.command(&ledger::Command::Release { session_id: "k1/run/nobody's".into(), cause: ReleaseCause::Operator });
    rig.settle().await;
    assert!(rig.unconfirmed().is_empty());
    assert!(rig.driver.knows(&call));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_over_needs_no_confirmation() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "1");
    rig.core.account("probe", "1");
    let call = rig.talking("c").await;
    rig.core.command(&ledger::Command::Release { session_id: call.clone(), cause: ReleaseCause::Operator });
    rig.settle().await;
    rig.hang_up(&call).await;
    rig.settle_records().await;
    assert!(rig.unconfirmed().is_empty());
}
