//! Many at once on one account.

use ledger::{Command, Outcome};
use tokio::task::JoinSet;
use types::charging::{NotificationKind, ResultCode};
use types::{Money, ReleaseCause};

use crate::rig::{Held, Place, account, charge, granted, initial, is, key, money, termination, top_up, view};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_sessions_on_credit_for_ten_get_exactly_ten() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "1.00").await;
    let mut asking = JoinSet::new();
    for number in 0..64 {
        let core = core.clone();
        asking.spawn(async move { charge(&core, initial("a", &format!("s {number}"), 10)).await });
    }
    let answers = asking.join_all().await;
    let given: Vec<_> = answers.iter().filter(|answer| granted(answer) == 10).collect();
    assert_eq!(given.len(), 10);
    let refused = answers.iter().filter(|answer| answer.result_code == ResultCode::CREDIT_LIMIT_REACHED);
    assert_eq!(refused.count(), 54);
    assert_eq!(money(&core, "a").await, is("1", "1"));
    for answer in given {
        charge(&core, termination("a", answer.session_id.as_str(), 1, 10)).await;
    }
    assert_eq!(money(&core, "a").await, is("0", "0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn top_ups_at_once_count_once_by_their_id() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "1").await;
    let mut adding = JoinSet::new();
    for number in 0..400 {
        let core = core.clone();
        adding.spawn(async move {
            let operation = number % 40;
            match core.decide(top_up("a", &format!("op {operation}"), "2")).await {
                Ok(Outcome::Transferred(receipt)) => (operation, receipt.balance),
                other => panic!("{other:?}"),
            }
        });
    }
    let mut answers = adding.join_all().await;
    assert_eq!(view(&core, "a").await.balance, Money::from_units(81));
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), 40, "every copy got the answer of the first");
    let other = core.decide(top_up("a", "op 1", "3")).await;
    assert!(matches!(other, Ok(Outcome::Refused(ledger::Refusal::OperationReused))), "{other:?}");
}

#[tokio::test]
async fn a_full_queue_turns_commands_away() {
    let mut place = Place::new();
    place.config.queue = 3;
    let core = place.start();
    account(&core, "a", "1").await;
    let held = Held::hold(&core).await;
    let mut waiting = JoinSet::new();
    for number in 0..20 {
        let core = core.clone();
        waiting.spawn(async move { core.decide(top_up("a", &format!("op {number}"), "1")).await });
    }
    let mut turned_away = 0;
    while turned_away < 17 {
        let outcome = waiting.join_next().await.expect("more").expect("no panic");
        assert!(matches!(outcome, Err(charging_server::CoreError::TooBusy { limit: 3 })), "{outcome:?}");
        turned_away += 1;
    }
    held.let_go().await;
    while let Some(outcome) = waiting.join_next().await {
        assert!(matches!(outcome, Ok(Ok(Outcome::Transferred(_)))), "{outcome:?}");
    }
    assert_eq!((view(&core, "a").await.balance, core.waiting()), (Money::from_units(4), 0));
}

#[tokio::test]
async fn subscribers_get_what_is_pending_then_what_is_new_and_the_slow_are_cut_off() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "1").await;
    charge(&core, initial("a", "s", 10)).await;
    let release = || Command::Release { session_id: "s".into(), cause: ReleaseCause::Operator };
    core.decide(release()).await.expect("decided");
    let mut quick = core.subscribe("k1".into()).await.expect("a core");
    let mut slow = core.subscribe("k1".into()).await.expect("a core");
    let first = quick.recv().await.expect("pending");
    assert_eq!(first.kind, NotificationKind::Abort(ReleaseCause::Operator));
    for _ in 0..1100 {
        core.decide(release()).await.expect("decided");
        assert!(quick.recv().await.is_some());
    }
    let mut got = 0;
    while slow.recv().await.is_some() {
        got += 1;
    }
    assert_eq!(got, 1024, "its buffer, and then the end");
    // It comes again: only the newest of one session is pending.
    let mut slow = core.subscribe("k1".into()).await.expect("a core");
    let newest = slow.recv().await.expect("pending");
    assert_eq!(newest.sequence, first.sequence + 1100);
    core.decide(Command::ConfirmNotifications { client_id: "k1".into(), through: newest.sequence })
        .await
        .expect("done");
    let mut later = core.subscribe("k1".into()).await.expect("a core");
    core.stop();
    assert!(later.recv().await.is_none(), "confirmed, and the end of the core is the end of the subscription");
    assert!(core.decide(Command::Block(key("a"))).await.is_err());
}
