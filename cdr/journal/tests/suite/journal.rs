//! The write side: durable, bounded, each record once.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;

use cdr_journal::{Journal, JournalError, JournalOptions};
use segment_log::fault::FaultStorage;
use segment_log::{Log, Operation};
use types::ErrorClass;

use crate::support::{append, append_all, open, options, record, records, reopen, stored};

#[tokio::test]
async fn records_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, recovered) = Journal::open(directory.path().join("spool"), JournalOptions::default()).unwrap();
    assert_eq!((recovered.log.next.index(), recovered.recent_ids), (0, 0));
    assert!(journal.measure_space().unwrap() > 0);
    for n in 0..20 {
        assert_eq!(journal.append_durable(&record(n)).await.unwrap().index(), u64::from(n));
    }
    let bytes: usize = records(0..20).iter().map(|record| record.to_json().unwrap().len()).sum();
    let counters = journal.counters();
    assert_eq!((counters.records.load(Relaxed), counters.bytes.load(Relaxed)), (20, u64::try_from(bytes).unwrap()));
    let locked = Journal::open(directory.path().join("spool"), JournalOptions::default()).unwrap_err();
    assert_eq!(locked.class(), ErrorClass::Refused, "{locked}");
    assert_eq!(journal.close().unwrap().index(), 20);
    assert!(!journal.accepts_calls());
    assert!(matches!(journal.append_durable(&record(20)).await, Err(JournalError::Closed)));
    drop(journal);
    let (journal, recovered) = Journal::open(directory.path().join("spool"), JournalOptions::default()).unwrap();
    assert_eq!((recovered.log.next.index(), recovered.recent_ids), (20, 20));
    let held: Vec<_> =
        cdr_journal::tail(directory.path().join("spool"), false, 100).unwrap().map(Result::unwrap).collect();
    assert!(held.into_iter().map(|held| held.record).eq(records(0..20)));
    assert!(journal.accepts_calls());
}

#[test]
fn a_journal_in_use_is_left_as_it_is() {
    let disk = FaultStorage::new();
    let (_journal, _) = reopen(&disk);
    let names = ["00000000000000000000.jsonl.gz.tmp", "space.probe"];
    names.iter().for_each(|name| disk.put(name, b"under way"));
    assert_eq!(open(&disk, options()).unwrap_err().class(), ErrorClass::Refused);
    assert!(names.iter().all(|name| disk.content(name).is_some()));
}

#[test]
fn a_record_written_again_is_answered_with_the_first_and_not_stored() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..3);
    let mut other = record(1);
    other.reconstructed = true;
    assert_eq!(append(&journal, &other).unwrap().index(), 1);
    drop(journal);
    let (journal, recovered) = reopen(&disk);
    assert_eq!((recovered.recent_ids, recovered.undecodable), (3, 0));
    assert_eq!(append(&journal, &other).unwrap().index(), 1);
    assert_eq!(append(&journal, &record(3)).unwrap().index(), 3);
    assert_eq!((journal.counters().duplicates.load(Relaxed), journal.counters().records.load(Relaxed)), (1, 1));
    assert!(stored(&disk).into_iter().map(|stored| stored.record).eq(records(0..4)), "the first one wins");
}

#[test]
fn the_filter_is_bounded_and_rebuilt_from_the_tail() {
    let disk = FaultStorage::new();
    let few = JournalOptions { recent_ids: 2, ..options() };
    let (journal, _) = open(&disk, few.clone()).unwrap();
    append_all(&journal, 0..3);
    assert_eq!(append(&journal, &record(1)).unwrap().index(), 1, "known");
    assert_eq!(append(&journal, &record(0)).unwrap().index(), 3, "forgotten, so stored again");
    drop(journal);
    let (journal, recovered) = open(&disk, few).unwrap();
    assert_eq!(recovered.recent_ids, 2);
    assert_eq!(append(&journal, &record(2)).unwrap().index(), 2);
    assert_eq!(append(&journal, &record(0)).unwrap().index(), 3);
    assert_eq!(append(&journal, &record(1)).unwrap().index(), 4);
}

#[test]
fn a_full_queue_takes_nothing_and_copies_wait_for_the_one_being_written() {
    let (journal, _) = open(&FaultStorage::new(), JournalOptions { queue_records: 1, ..options() }).unwrap();
    let (begun, has_begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    journal
        .append(&record(0), move |_| {
            begun.send(()).unwrap();
            released.recv().unwrap();
        })
        .unwrap();
    has_begun.recv().unwrap();
    // The journal's thread stands still in the answer to record 0.
    let (answer, answers) = mpsc::channel();
    let done = |name| {
        let answer = answer.clone();
        move |outcome: Result<cdr_journal::Position, JournalError>| {
            answer.send((name, outcome.unwrap().index())).unwrap()
        }
    };
    journal.append(&record(1), done("first")).unwrap();
    assert_eq!(journal.queue_depth(), 1);
    let full = journal.append(&record(2), done("refused")).unwrap_err();
    assert!(matches!(full, JournalError::QueueFull { records: 1, .. }) && full.class() == ErrorClass::Retry, "{full}");
    journal.append(&record(1), done("copy")).unwrap();
    let full = journal.append(&record(1), done("refused")).unwrap_err();
    assert!(matches!(full, JournalError::QueueFull { records: 1, bytes: 0 }));
    assert!(answers.try_recv().is_err(), "nobody is told before it is durable");
    assert!(journal.accepts_calls(), "a full queue passes");
    release.send(()).unwrap();
    let mut answered = [answers.recv().unwrap(), answers.recv().unwrap()];
    answered.sort_unstable();
    assert_eq!(answered, [("copy", 1), ("first", 1)]);
    assert_eq!(append(&journal, &record(2)).unwrap().index(), 2, "the caller kept it");
    let counters = journal.counters();
    let counts =
        [&counters.records, &counters.duplicates, &counters.failures, &counters.refused].map(|n| n.load(Relaxed));
    assert_eq!(counts, [3, 1, 0, 2]);
    journal.close().unwrap();
    assert!(answers.try_recv().is_err(), "the refused ones were never answered");
}

#[test]
fn closing_writes_and_answers_what_is_queued() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    let (answer, answers) = mpsc::channel();
    for n in 0..50 {
        let answer = answer.clone();
        journal.append(&record(n), move |outcome| answer.send(outcome.unwrap().index()).unwrap()).unwrap();
    }
    assert_eq!(journal.close().unwrap().index(), 50);
    assert!(answers.try_iter().eq(0..50));
    assert_eq!(stored(&disk).len(), 50);
}

#[test]
fn a_record_that_is_too_long_is_refused_alone() {
    let (journal, _) = reopen(&FaultStorage::new());
    let mut long = record(0);
    long.metadata.tags = vec!["x".repeat(cdr_model::MAX_RECORD_BYTES).into()];
    let error = append(&journal, &long).unwrap_err();
    assert!(matches!(error, JournalError::RecordTooLong { .. }) && error.class() == ErrorClass::Skip);
    assert_eq!(append(&journal, &record(0)).unwrap().index(), 0);
    assert!(journal.accepts_calls());
}

#[test]
fn a_failed_fsync_stops_the_journal_until_it_is_opened_again() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..2);
    disk.fail_nth(Operation::Sync, 1, segment_log::fault::Failure::Io);
    let error = append(&journal, &record(2)).unwrap_err();
    assert!(matches!(error, JournalError::Stopped { .. }) && error.class() == ErrorClass::Retry);
    assert!(!journal.accepts_calls());
    assert!(matches!(append(&journal, &record(3)), Err(JournalError::Stopped { .. })));
    assert_eq!(append(&journal, &record(1)).unwrap().index(), 1, "what is durable is durable");
    assert!(matches!(journal.close(), Err(JournalError::Stopped { .. })));
    disk.crash(segment_log::fault::Crash::DropUnsynced);
    drop(journal);
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..4);
    assert!(journal.accepts_calls());
    assert!(stored(&disk).into_iter().map(|stored| stored.record).eq(records(0..4)));
}

#[test]
fn a_tail_that_cannot_be_decoded_is_counted_and_kept() {
    let disk = FaultStorage::new();
    let (mut log, _) = Log::open(std::sync::Arc::new(disk.clone()), segment_log::Options::default()).unwrap();
    for payload in [&b"not json"[..], br#"{"recordId":"of a later release","somethingNew":1}"#] {
        log.append(payload).unwrap();
    }
    log.commit().unwrap();
    drop(log);
    let (journal, recovered) = reopen(&disk);
    assert_eq!((recovered.recent_ids, recovered.undecodable, recovered.log.next.index()), (1, 1, 2));
    assert_eq!(append(&journal, &record(0)).unwrap().index(), 2);
}
