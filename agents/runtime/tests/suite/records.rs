//! An end is acknowledged when its records are on disk, and not before.

use agent_call::{Answer, CallEnd, SwitchEvent};
use agent_runtime::UnknownEnd;
use cdr_model::{Location, NumberType, RecordType};
use types::charging::Operation;
use types::{EndedBy, UtcMs};

use crate::rig::{BEGIN, Rig, Setup, offer};

fn unknown_end(rig: &Rig, call: &str, answered: UtcMs, at: UtcMs) -> UnknownEnd {
    let end = CallEnd { answered: Some(answered), replayed: true, ..CallEnd::normal(at, EndedBy::Caller) };
    UnknownEnd { offer: offer(call, rig.clock.now().utc).into(), end }
}

#[tokio::test(start_paused = true)]
async fn finished_comes_after_the_disk() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "100");
    let call = rig.talking("c").await;
    rig.settle_records().await;
    // The journal's thread stands still at a record of somebody else's.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let mut other = rig.records().remove(0);
    other.record_id = "other".into();
    let stands_still = move |_| wait.recv().unwrap_or_default();
    rig.journal.append(&other, stands_still).expect("taken");
    rig.hang_up(&call).await;
    rig.settle().await;
    assert!(rig.driver.unsettled() > 0 && !rig.finished(&call), "charged, and not on disk yet");
    assert_eq!(rig.balance().1, "0");
    drop(go);
    rig.settle_records().await;
    assert!(rig.finished(&call));
    assert_eq!(rig.kinds(&call), [RecordType::Start, RecordType::Start, RecordType::Stop], "with the copied one");
}

#[tokio::test(start_paused = true)]
async fn what_the_journal_refuses_the_switch_keeps_and_nothing_is_charged_twice() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "100");
    rig.journal_disk.set_capacity(Some(0));
    let lost = rig.talking("lost").await;
    rig.settle_records().await;
    rig.pass(10_000).await;
    rig.hang_up(&lost).await;
    rig.settle_records().await;
    let answered = UtcMs(BEGIN.0);
    assert!(!rig.finished(&lost), "acknowledged without a record");
    assert!(rig.driver.take_ends_owed(), "the switch is to be asked again");
    assert!(!rig.driver.knows(&lost) && !rig.driver.finished_lately(&lost));
    let charged = rig.balance();
    // Told again while there is still no room, and when there is.
    let end = unknown_end(&rig, "lost", answered, UtcMs(answered.0 + 10_000));
    rig.driver.unknown_ended(end.clone());
    rig.settle_records().await;
    assert!(!rig.finished(&lost));
    rig.journal_disk.set_capacity(None);
    rig.journal.measure_space().expect("measured");
    rig.driver.unknown_ended(end);
    rig.settle_records().await;
    assert!(rig.finished(&lost));
    assert_eq!(rig.kinds(&lost), [RecordType::Start, RecordType::Stop], "the START was not lost either");
    assert_eq!(rig.balance(), charged, "charged once");
    assert_eq!(rig.asked(&lost), [(Operation::Initial, 0), (Operation::Termination, 10_000)]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_was_refused_is_written_before_the_stop() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "100");
    rig.journal_disk.set_capacity(Some(0));
    let call = rig.talking("c").await;
    rig.settle_records().await;
    assert_eq!(rig.records(), []);
    rig.journal_disk.set_capacity(None);
    rig.pass(5_000).await;
    rig.hang_up(&call).await;
    rig.settle_records().await;
    assert!(rig.finished(&call));
    assert_eq!(rig.kinds(&call), [RecordType::Start, RecordType::Stop]);
    assert!(!rig.driver.take_ends_owed());
}

#[tokio::test(start_paused = true)]
async fn ends_of_calls_we_forgot() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "100");
    // Never offered to us, answered, 10 s long: charged once, however often its end is told.
    let answered = rig.clock.now().utc;
    rig.pass(60_000).await;
    let end = unknown_end(&rig, "unseen", answered, UtcMs(answered.0 + 10_000));
    let unseen = end.offer.session_id.clone();
    rig.driver.unknown_ended(end.clone());
    rig.driver.unknown_ended(end.clone());
    rig.settle_records().await;
    assert!(rig.finished(&unseen));
    assert_eq!(rig.balance(), ("99.9".into(), "0".into()));
    assert_eq!(rig.kinds(&unseen), [RecordType::Start, RecordType::Stop]);
    assert!(rig.driver.finished_lately(&unseen));
    // A new agent that has forgotten it asks the core.
    rig.die().await;
    rig.driver.restore().await.expect("a list");
    rig.driver.unknown_ended(end);
    rig.settle_records().await;
    assert!(rig.finished(&unseen));
    assert_eq!(rig.balance(), ("99.9".into(), "0".into()), "charged already");
    assert_eq!(rig.kinds(&unseen).len(), 2, "records of the same id are one");
    // Never answered: nothing to ask.
    let never = CallEnd::unanswered(rig.clock.now().utc, 486);
    let never = UnknownEnd { offer: offer("busy", rig.clock.now().utc).into(), end: never };
    let busy = never.offer.session_id.clone();
    rig.driver.unknown_ended(never);
    rig.settle_records().await;
    assert!(rig.finished(&busy) && rig.asked(&busy).is_empty());
    assert_eq!(rig.kinds(&busy), [RecordType::Event]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_end_waits_for_a_core_that_is_away() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "100");
    let answered = rig.clock.now().utc;
    rig.pass(60_000).await;
    rig.core.set_reachable(false);
    let end = unknown_end(&rig, "unseen", answered, UtcMs(answered.0 + 10_000));
    let unseen = end.offer.session_id.clone();
    rig.driver.unknown_ended(end.clone());
    rig.settle().await;
    assert!(!rig.finished(&unseen) && !rig.driver.knows(&unseen), "not charged on suspicion");
    assert!(rig.driver.take_ends_owed());
    rig.core.set_reachable(true);
    rig.driver.unknown_ended(end);
    rig.settle_records().await;
    assert!(rig.finished(&unseen));
    assert_eq!(rig.balance(), ("99.9".into(), "0".into()));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_call_that_the_core_still_holds_open() {
    let mut rig = Rig::unrestored(Setup::default());
    rig.core.account("a", "100");
    rig.driver.restore().await.expect("a list");
    let call = rig.talking("c").await;
    rig.settle_records().await;
    let answered = BEGIN;
    rig.pass(27_000).await;
    // A new agent that could not restore yet hears of the end first.
    rig.die().await;
    let end = CallEnd { answered: Some(answered), ..CallEnd::normal(rig.clock.now().utc, EndedBy::Caller) };
    rig.driver.unknown_ended(UnknownEnd { offer: offer("c", answered).into(), end });
    rig.settle_records().await;
    assert!(rig.finished(&call));
    assert_eq!(rig.balance(), ("99.73".into(), "0".into()));
    assert_eq!(rig.driver.restore().await.expect("a list"), 0);
    assert!(!rig.driver.event(&call, SwitchEvent::Gone));
}

#[tokio::test(start_paused = true)]
async fn every_record_says_what_kind_of_numbers_they_are_and_whence() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "100");
    let mut foreign = offer("c", rig.clock.now().utc);
    (foreign.calling, foreign.called) = (Some("+4915123456789".into()), Some("+442071838750".into()));
    // Nobody needs to rate it.
    foreign.never_refuse = true;
    let session_id = foreign.session_id.clone();
    rig.driver.offer(foreign);
    rig.settle().await;
    let answer = Answer { at: rig.clock.now().utc, elapsed_ms: 0 };
    assert!(rig.driver.event(&session_id, SwitchEvent::Answered(answer)));
    rig.hang_up(&session_id).await;
    rig.settle_records().await;
    let records = rig.records();
    assert_eq!(rig.kinds(&session_id), [RecordType::Start, RecordType::Stop]);
    for record in records {
        let (calling, called) = (record.calling_party, record.called_party);
        let country = |location: Option<Location>| location.and_then(|location| location.country);
        assert_eq!((calling.number_type, called.number_type), (Some(NumberType::Mobile), Some(NumberType::Landline)));
        assert_eq!(called.international, Some(true));
        assert_eq!((country(calling.location), country(called.location)), (Some("DE".into()), Some("GB".into())));
    }
}
