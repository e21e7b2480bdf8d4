//! What an agent that died had asked is asked again, and what follows from the answer is not lost.

use agent_call::{CallEnd, Command, SwitchEvent};
use agent_runtime::{Clock, ContinueLimits};
use cdr_model::{CostState, EventKind, RecordType};
use segment_log::Operation as DiskOperation;
use segment_log::fault::{Failure, FaultStorage};
use types::charging::Operation;
use types::{ReleaseCause, SessionId, UtcMs};

use crate::rig::{Rig, Setup};

async fn durable() -> Rig {
    let rig = Rig::with(Setup { outbox: Some(FaultStorage::new()), ..Setup::default() }).await;
    rig.core.account("a", "100");
    rig
}

/// Ten seconds of talk.
async fn talked(rig: &mut Rig) -> SessionId {
    let call = rig.offer("c").await;
    rig.settle_records().await;
    rig.answer(&call).await;
    rig.settle_records().await;
    rig.pass(10_000).await;
    call
}

/// START, a STOP with its price, and the money of ten seconds.
fn expect_charged(rig: &Rig, call: &SessionId) {
    assert!(rig.finished(call));
    assert_eq!(rig.kinds(call), [RecordType::Start, RecordType::Stop]);
    let cost = rig.records().pop().and_then(|stop| stop.cost).and_then(|cost| cost.amount);
    assert_eq!(cost.map(|cost| cost.to_string()), Some("0.1".to_owned()));
    assert_eq!(rig.balance(), ("99.9".into(), "0".into()));
}

/// Over, and the core has not heard of it: the next agent tells it, and writes the record that the former could not.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_over_before_the_crash_gets_its_stop() {
    let mut rig = durable().await;
    let call = talked(&mut rig).await;
    rig.core.set_reachable(false);
    rig.hang_up(&call).await;
    rig.attempts(2).await;
    assert_eq!((rig.kinds(&call), rig.balance().1), (vec![RecordType::Start], "0.3".into()));
    rig.die().await;
    rig.core.set_reachable(true);
    assert_eq!(rig.driver.restore().await.expect("a list"), 0, "closed before the open ones were listed");
    rig.settle_records().await;
    expect_charged(&rig, &call);
    assert_eq!(rig.asked(&call), [(Operation::Initial, 0), (Operation::Termination, 10_000)]);
}

/// Charged, and the disk did not take the STOP: the answer is not forgotten before the record is durable.
#[tokio::test(start_paused = true)]
async fn a_charged_call_whose_stop_was_not_written_gets_it() {
    let mut rig = durable().await;
    let call = talked(&mut rig).await;
    rig.journal_disk.fail_all(DiskOperation::Write, Failure::Io);
    rig.hang_up(&call).await;
    rig.settle_records().await;
    assert!(!rig.finished(&call));
    assert_eq!((rig.kinds(&call), rig.balance().0), (vec![RecordType::Start], "99.9".into()));
    rig.die().await;
    rig.journal_disk.heal();
    assert!(rig.journal.recover().expect("recovered"));
    rig.driver.restore().await.expect("a list");
    rig.settle_records().await;
    expect_charged(&rig, &call);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_over_before_the_crash_gets_its_event() {
    let mut rig = durable().await;
    let call = rig.offer("c").await;
    rig.settle_records().await;
    rig.core.set_reachable(false);
    let busy = CallEnd::unanswered(rig.clock.now().utc, 486);
    assert!(rig.driver.event(&call, SwitchEvent::Ended(busy)));
    rig.attempts(2).await;
    rig.die().await;
    rig.core.set_reachable(true);
    rig.driver.restore().await.expect("a list");
    rig.settle_records().await;
    let records = rig.records();
    let kinds: Vec<Option<EventKind>> = records.iter().map(|record| record.event_kind).collect();
    assert_eq!(kinds, [Some(EventKind::CallAttempt)]);
    assert_eq!(records[0].sip_status.map(|status| status.to_string()), Some("486".to_owned()));
    assert_eq!(rig.balance(), ("100".into(), "0".into()));
}

/// A call that is charged and recorded is nothing to the next agent.
#[tokio::test(start_paused = true)]
async fn what_is_settled_is_not_asked_again() {
    let mut rig = durable().await;
    let call = talked(&mut rig).await;
    rig.hang_up(&call).await;
    rig.settle_records().await;
    expect_charged(&rig, &call);
    // Another request, so that the mark before it is on disk.
    rig.offer("later").await;
    rig.settle_records().await;
    let asked = rig.asked(&call);
    rig.die().await;
    assert_eq!(rig.driver.restore().await.expect("a list"), 1, "the later one");
    rig.settle_records().await;
    assert_eq!((rig.asked(&call), rig.driver.knows(&call)), (asked, false));
}

/// Admitted by an answer that the former agent never had: the session is loaded, and the switch says what became of it.
#[tokio::test(start_paused = true)]
async fn an_initial_without_an_answer_is_asked_again_and_its_session_is_known() {
    let mut rig = durable().await;
    rig.core.lose_answers(1_000);
    let call = rig.offer("c").await;
    rig.attempts(1).await;
    while rig.core.requests().is_empty() {
        rig.settle().await;
    }
    rig.die().await;
    rig.core.lose_answers(0);
    assert_eq!(rig.driver.restore().await.expect("a list"), 1);
    assert!(rig.driver.knows(&call));
    assert!(rig.core.requests().iter().skip(1).all(|request| request.retransmission));
    rig.driver.event(&call, SwitchEvent::Gone);
    rig.settle_records().await;
    assert_eq!(rig.balance(), ("100".into(), "0".into()));
}

/// The STOP is written, its price is owed, and the agent dies: the next one pays the debt, whatever its clock says.
#[tokio::test(start_paused = true)]
async fn the_price_of_a_pending_stop_follows_although_the_clock_was_set_back() {
    for set_back_ms in [0, 3_600_000] {
        let mut rig = durable().await;
        let call = talked(&mut rig).await;
        rig.core.set_reachable(false);
        rig.hang_up(&call).await;
        rig.attempts(2).await;
        rig.pass(11_000).await;
        rig.written(&call, &[RecordType::Start, RecordType::Stop]).await;
        rig.clock = Clock::simulated(UtcMs(rig.clock.now().utc.0 - set_back_ms));
        rig.die().await;
        rig.core.set_reachable(true);
        rig.driver.restore().await.expect("a list");
        rig.settle_records().await;
        assert_eq!(rig.kinds(&call), [RecordType::Start, RecordType::Stop, RecordType::Event], "{set_back_ms}");
        let records = rig.records();
        let cost =
            |at: usize| records[at].cost.as_ref().map(|cost| (cost.state, cost.amount.map(|sum| sum.to_string())));
        assert_eq!(cost(2), Some((CostState::Final, Some("0.1".to_owned()))));
        assert_eq!(records[2].adjusts_record_id.as_ref(), Some(&records[1].record_id));
    }
}

/// While the outbox cannot keep that a price is owed, the STOP waits; a disk that fails does not hold it up for ever.
#[tokio::test(start_paused = true)]
async fn a_stop_without_its_price_is_written_although_the_outbox_fails() {
    let mut rig = durable().await;
    let call = talked(&mut rig).await;
    rig.core.set_reachable(false);
    rig.hang_up(&call).await;
    rig.attempts(2).await;
    let outbox = rig.outbox_disk();
    outbox.fail_all(DiskOperation::Write, Failure::Io);
    rig.pass(11_000).await;
    rig.written(&call, &[RecordType::Start, RecordType::Stop]).await;
    rig.core.set_reachable(true);
    rig.pass(10_000).await;
    rig.settle_records().await;
    assert_eq!(rig.kinds(&call), [RecordType::Start, RecordType::Stop, RecordType::Event]);
    assert!(rig.finished(&call));
}

/// Denied, and killed before the EVENT is durable: the INITIAL is still there, and the next agent writes it.
#[tokio::test(start_paused = true)]
async fn a_denied_call_has_its_event_although_the_agent_dies_at_once() {
    for back in [false, true] {
        let mut rig = Rig::with(Setup { outbox: Some(FaultStorage::new()), ..Setup::default() }).await;
        rig.core.account("a", "0");
        rig.journal_disk.fail_all(DiskOperation::Write, Failure::Io);
        let call = rig.offer("c").await;
        rig.attempts(1).await;
        rig.settle_records().await;
        assert_eq!(rig.commands(&call), [Command::Refuse(ReleaseCause::CreditExhausted)]);
        rig.die().await;
        rig.journal_disk.heal();
        assert!(rig.journal.recover().expect("recovered"));
        assert_eq!((rig.driver.restore().await.expect("a list"), rig.records().len()), (0, 0));
        assert!(rig.driver.knows(&call));
        if back {
            // The switch had not heard of the refusal.
            assert!(rig.driver.event(&call, SwitchEvent::Ringing));
            rig.settle().await;
            assert_eq!(rig.commands(&call), [Command::Refuse(ReleaseCause::CreditExhausted)]);
            let refused = CallEnd::unanswered(rig.clock.now().utc, 402);
            assert!(rig.driver.event(&call, SwitchEvent::Ended(refused)));
        } else {
            assert!(rig.driver.event(&call, SwitchEvent::Gone));
        }
        rig.settle_records().await;
        let records = rig.records();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].event_kind, Some(EventKind::CallAttempt));
        assert_eq!(records[0].release_cause, Some(ReleaseCause::CreditExhausted));
        assert!(rig.finished(&call));
        // Now it is settled, and nobody asks again.
        rig.offer("later").await;
        rig.settle_records().await;
        let asked = rig.asked(&call);
        rig.die().await;
        rig.driver.restore().await.expect("a list");
        rig.settle_records().await;
        assert_eq!((rig.asked(&call), rig.driver.knows(&call)), (asked, false));
    }
}

/// Let through without the core, answered, and the agent died: the core denies it when all are back, and the call has its STOP.
#[tokio::test(start_paused = true)]
async fn a_call_that_went_on_and_is_denied_after_the_crash_has_its_stop() {
    let setup =
        Setup { outbox: Some(FaultStorage::new()), continuing: Some(ContinueLimits::default()), ..Setup::default() };
    let mut rig = Rig::with(setup).await;
    rig.core.account("a", "100");
    let known = talked(&mut rig).await;
    rig.hang_up(&known).await;
    rig.settle_records().await;
    rig.core.set_reachable(false);
    let tried = rig.client.metrics().attempts.value();
    let call = rig.offer("went on").await;
    rig.attempts(tried + 1).await;
    rig.pass(4_100).await;
    assert_eq!(rig.commands(&call), [Command::Admit { granted_ms: 600_000 }]);
    rig.answer(&call).await;
    rig.written(&call, &[RecordType::Start]).await;
    rig.driver.log_proofs();
    rig.pass(5_000).await;
    rig.core.block("a");
    rig.die().await;
    rig.core.set_reachable(true);
    rig.driver.restore().await.expect("a list");
    assert!(rig.driver.event(&call, SwitchEvent::Gone));
    rig.settle_records().await;
    let kinds = rig.kinds(&call);
    assert_eq!(kinds.iter().filter(|kind| **kind == RecordType::Stop).count(), 1, "{kinds:?}");
    assert!(rig.finished(&call));
}
