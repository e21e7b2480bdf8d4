//! Sessions that nobody reports on.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use types::charging::{NotificationKind, Operation, ResultCode, SessionPhase};

use crate::rig::{PATIENCE, Place, account, charge, eventually, initial, is, money, ms, request, termination};

async fn phase(core: &charging_server::Core, session: &str) -> Option<SessionPhase> {
    let session = types::SessionId::from(session);
    core.query(move |books| books.session(&session).map(|session| session.phase)).await.expect("a core")
}

#[tokio::test]
async fn silence_is_settled_provisionally_and_corrected_later() {
    let mut place = Place::new();
    (place.config.maximum_ring, place.config.expiry_grace) = (ms(0), ms(100));
    let core = place.start();
    account(&core, "a", "1.00").await;
    charge(&core, initial("a", "s", 30)).await;
    // Answered 29 s ago: the grant ends in a second.
    let mut update = request("a", "s", 1, Operation::Update, Some(25), Some(1));
    update.answer_time = update.answer_time.map(|at| types::UtcMs(at.0 - 29_000));
    charge(&core, update).await;
    assert_eq!(money(&core, "a").await, is("0.75", "0.01"));
    eventually("expired", || async { phase(&core, "s").await == Some(SessionPhase::Expired) }).await;
    assert_eq!(money(&core, "a").await, is("0.74", "0"), "the grant counts as used");
    // Over a restart it is still provisional.
    core.stop();
    let core = place.start();
    assert_eq!(phase(&core, "s").await, Some(SessionPhase::Expired));
    let last = termination("a", "s", 2, 0);
    let answer = charge(&core, last.clone()).await;
    assert_eq!(answer.result_code, ResultCode::SUCCESS);
    assert_eq!(money(&core, "a").await, is("0.75", "0"), "the assumption is taken back");
    assert_eq!(charge(&core, last).await, answer);
    assert_eq!(money(&core, "a").await, is("0.75", "0"), "once");
    assert_eq!(phase(&core, "s").await, Some(SessionPhase::Closed));
}

#[tokio::test]
async fn a_session_that_was_never_answered_expires_for_nothing() {
    let mut place = Place::new();
    (place.config.maximum_ring, place.config.expiry_grace) = (ms(0), ms(0));
    let core = place.start();
    account(&core, "a", "0.01").await;
    charge(&core, initial("a", "s", 1)).await;
    assert_eq!(money(&core, "a").await, is("0.01", "0.01"));
    eventually("expired", || async { phase(&core, "s").await == Some(SessionPhase::Expired) }).await;
    assert_eq!(money(&core, "a").await, is("0.01", "0"));
}

#[tokio::test]
async fn expiry_tells_those_who_got_too_little() {
    let mut place = Place::new();
    (place.config.maximum_ring, place.config.expiry_grace) = (ms(0), ms(0));
    let core = place.start();
    account(&core, "a", "0.11").await;
    charge(&core, initial("a", "silent", 1)).await;
    // Gets 10 s, which end later.
    let mut short = initial("a", "short", 3600);
    short.client_id = "k2".into();
    charge(&core, short).await;
    let mut told = core.subscribe("k2".into()).await.expect("a core");
    let notification = tokio::time::timeout(PATIENCE, told.recv()).await.expect("in time").expect("a notification");
    assert_eq!((notification.session_id.as_str(), notification.kind), ("short", NotificationKind::Reauthorize));
}

/// Asks from the ledger's turn, and again from the turn that it gets: the queue is never empty while `goes_on`.
fn ask_without_end(core: charging_server::Core, goes_on: Arc<AtomicBool>) {
    let again = core.clone();
    let question = core.query(move |_| {
        if goes_on.load(Ordering::Relaxed) {
            ask_without_end(again, goes_on);
        }
    });
    // It is in the queue when it was looked at once; nobody waits for the answer, which may be there already.
    let looked_at = pin!(question).poll(&mut Context::from_waker(Waker::noop()));
    assert!(!matches!(looked_at, Poll::Ready(Err(_))), "taken");
}

#[tokio::test]
async fn silence_is_settled_while_others_never_stop_asking() {
    let mut place = Place::new();
    (place.config.maximum_ring, place.config.expiry_grace) = (ms(0), ms(0));
    let core = place.start();
    account(&core, "a", "0.01").await;
    let goes_on = Arc::new(AtomicBool::new(true));
    // One of them is always in the queue when the other is answered.
    (0..2).for_each(|_| ask_without_end(core.clone(), Arc::clone(&goes_on)));
    charge(&core, initial("a", "s", 1)).await;
    eventually("expired", || async { phase(&core, "s").await == Some(SessionPhase::Expired) }).await;
    goes_on.store(false, Ordering::Relaxed);
}
