//! A disk that fails and comes back: nothing acknowledged is lost, nothing is stored twice, and nobody has to do anything.

use std::sync::atomic::{AtomicU64, Ordering};

use cdr_journal::{Journal, JournalError, JournalOptions, OnDiskError, Position};
use segment_log::fault::{Crash, Failure, FaultStorage};
use segment_log::{Operation, Storage};
use types::ErrorClass;

use crate::support::{append, append_all, open, options, record, records, reopen, ship, ship_all, stored};

fn recoveries(journal: &Journal) -> u64 {
    journal.counters().recoveries.load(Ordering::Relaxed)
}

fn all(disk: &FaultStorage) -> Vec<cdr_model::CallRecord> {
    stored(disk).into_iter().map(|stored| stored.record).collect()
}

#[test]
fn after_a_disk_error_the_journal_goes_on_in_the_same_process() {
    for (operation, failure) in
        [(Operation::Sync, Failure::Io), (Operation::Write, Failure::Io), (Operation::Sync, Failure::NoSpace)]
    {
        let disk = FaultStorage::new();
        let (journal, _) = reopen(&disk);
        append_all(&journal, 0..3);
        assert!(!journal.recover().unwrap(), "nothing is wrong");
        disk.fail_nth(operation, 1, failure);
        let error = append(&journal, &record(3)).unwrap_err();
        assert!(matches!(error, JournalError::Stopped { .. }) && error.class() == ErrorClass::Retry, "{error:?}");
        assert!(!journal.accepts_calls() && journal.has_stopped() && !journal.has_stopped_for_good());
        assert!(matches!(append(&journal, &record(4)), Err(JournalError::Stopped { .. })));
        assert_eq!(append(&journal, &record(1)).unwrap().index(), 1, "what is durable is durable");

        assert!(journal.recover().unwrap());
        assert!(journal.accepts_calls() && !journal.has_stopped());
        // The callers come again with what they were not told is taken; it may be there already.
        append_all(&journal, 3..6);
        append_all(&journal, 0..6);
        assert_eq!((recoveries(&journal), all(&disk)), (1, records(0..6)), "{operation}");
        assert_eq!(ship_all(&mut ship(&journal, &disk).unwrap()), 6);
        drop(journal);
        disk.crash(Crash::DropUnsynced);
        reopen(&disk);
        assert_eq!(all(&disk), records(0..6), "{operation}: what a failed fsync left in memory is on disk now");
    }
}

#[test]
fn while_the_disk_stays_broken_recovery_is_tried_again_and_again() {
    type Break = fn(&FaultStorage);
    let broken: [(&str, Break); 4] = [
        ("read-only", |disk| disk.set_read_only()),
        ("fsync", |disk| disk.fail_all(Operation::Sync, Failure::Io)),
        ("write", |disk| disk.fail_all(Operation::Write, Failure::Io)),
        ("read and write", |disk| {
            disk.fail_all(Operation::Write, Failure::Io);
            disk.fail_all(Operation::Read, Failure::Io);
        }),
    ];
    for (name, destroy) in broken {
        let disk = FaultStorage::new();
        let (journal, _) = reopen(&disk);
        append_all(&journal, 0..3);
        destroy(&disk);
        for n in 3..6 {
            assert!(append(&journal, &record(n)).is_err(), "{name}");
            assert!(journal.recover().is_err(), "{name}");
            assert!(!journal.accepts_calls(), "{name}");
        }
        disk.heal();
        assert!(journal.recover().unwrap(), "{name}");
        append_all(&journal, 0..6);
        assert_eq!(all(&disk), records(0..6), "{name}");
        assert_eq!(journal.close().unwrap().index(), 6);
    }
}

#[test]
fn a_directory_without_what_was_acknowledged_is_left_alone_until_all_is_back() {
    // The disk was unmounted for repair, or another one is in its place.
    let other = FaultStorage::new();
    append_all(&reopen(&other).0, 100..102);
    for in_its_place in [FaultStorage::new(), other] {
        let disk = FaultStorage::new();
        let (journal, _) = reopen(&disk);
        append_all(&journal, 0..3);
        disk.fail_nth(Operation::Sync, 1, Failure::Io);
        append(&journal, &record(3)).unwrap_err();
        let swap = |to: &FaultStorage| {
            let names = disk.list().unwrap();
            let kept: Vec<_> = names.iter().map(|name| (name.clone(), disk.content(name).unwrap())).collect();
            names.iter().for_each(|name| disk.remove(name).unwrap());
            to.list().unwrap().iter().for_each(|name| disk.put(name, &to.content(name).unwrap()));
            kept
        };
        let own = swap(&in_its_place);
        let found = stored(&in_its_place).len();
        for _ in 0..2 {
            let missing = journal.recover().unwrap_err();
            assert_eq!(missing.class(), ErrorClass::Retry);
            let (found, durable) = (found.try_into().unwrap(), 3.into());
            assert!(
                matches!(missing, JournalError::Missing { found: f, durable: d, .. } if (f, d) == (Position::new(found), durable)),
                "{missing}"
            );
            assert!(append(&journal, &record(3)).is_err() && !journal.accepts_calls());
        }
        assert_eq!(disk.list().unwrap().len(), in_its_place.list().unwrap().len(), "no file was made there");
        swap(&FaultStorage::new());
        own.iter().for_each(|(name, content)| disk.put(name, content));
        assert!(journal.recover().unwrap());
        append_all(&journal, 3..5);
        assert_eq!(all(&disk), records(0..5));
    }
}

#[test]
fn what_the_failed_batch_wrote_is_recognised_when_its_caller_comes_again() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..2);
    disk.fail_nth(Operation::Sync, 1, Failure::Io);
    append(&journal, &record(2)).unwrap_err();
    assert!(journal.recover().unwrap());
    // The record had been written and not synced: recovery found it and made it durable.
    assert_eq!(append(&journal, &record(2)).unwrap().index(), 2);
    assert_eq!(journal.counters().duplicates.load(Ordering::Relaxed), 1);
    let segments: Vec<_> = disk.list().unwrap().into_iter().filter(|name| name.ends_with(".seg")).collect();
    append_all(&journal, 3..4);
    assert_eq!((segments.len(), all(&disk)), (1, records(0..4)));
    let after: Vec<_> = disk.list().unwrap().into_iter().filter(|name| name.ends_with(".seg")).collect();
    assert_eq!(after.len(), 2, "new records go to a new segment");
}

#[test]
fn a_journal_told_to_stop_stays_stopped() {
    let disk = FaultStorage::new();
    let (journal, _) = open(&disk, JournalOptions { on_disk_error: OnDiskError::Stop, ..options() }).unwrap();
    append_all(&journal, 0..2);
    disk.fail_nth(Operation::Sync, 1, Failure::Io);
    append(&journal, &record(2)).unwrap_err();
    assert!(!journal.recover().unwrap());
    assert!(journal.has_stopped_for_good() && !journal.accepts_calls());
    assert!(matches!(journal.close(), Err(JournalError::Stopped { .. })));
    drop(journal);
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..3);
    assert_eq!(all(&disk), records(0..3));
}

#[test]
fn a_journal_recovers_by_itself() {
    let disk = FaultStorage::new();
    let interval = types::ConfigDuration::from_ms(1);
    let (journal, _) = open(&disk, JournalOptions { space_interval: interval, ..options() }).unwrap();
    append_all(&journal, 0..2);
    disk.fail_nth(Operation::Sync, 1, Failure::Io);
    append(&journal, &record(2)).unwrap_err();
    // The caller tries for as long as it takes.
    while append(&journal, &record(2)).is_err() {
        std::thread::yield_now();
    }
    assert_eq!((recoveries(&journal), all(&disk)), (1, records(0..3)));
}

#[test]
fn a_writer_that_works_is_never_ended_by_what_the_one_before_it_met() {
    let disk = FaultStorage::new();
    let (interval, segment_age) = (types::ConfigDuration::from_ms(1), types::ConfigDuration::from_s(1));
    let (journal, _) = open(&disk, JournalOptions { space_interval: interval, segment_age, ..options() }).unwrap();
    let appending = AtomicU64::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (journal, disk, appending) = (&journal, &disk, &appending);
            scope.spawn(move || {
                let mut numbers = thread * 200..(thread + 1) * 200;
                let wrong = numbers.find_map(|n| {
                    if n % 8 == 0 {
                        disk.fail_nth(Operation::Sync, 1, Failure::Io);
                    }
                    let mut errors = std::iter::from_fn(|| append(journal, &record(n)).err());
                    errors.find(|error| !matches!(error, JournalError::Stopped { .. }))
                });
                appending.fetch_sub(1, Ordering::Relaxed);
                assert!(wrong.is_none(), "{wrong:?}");
            });
        }
        let mut now = types::UtcMs(0);
        while appending.load(Ordering::Relaxed) > 0 {
            now = now.plus(700);
            drop(journal.keep_up(now));
        }
    });
    assert!(recoveries(&journal) > 5);
    assert_eq!(all(&disk).len(), 800);
}

#[test]
fn a_closed_journal_is_not_recovered() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    disk.fail_nth(Operation::Sync, 1, Failure::Io);
    append(&journal, &record(0)).unwrap_err();
    assert!(journal.close().is_err());
    assert!(!journal.recover().unwrap());
    reopen(&disk);
}

#[test]
fn a_disk_that_fails_during_upkeep_stops_and_recovers_the_same_way() {
    let disk = FaultStorage::new();
    let age = types::ConfigDuration::from_s(1);
    let (journal, _) = open(&disk, JournalOptions { segment_age: age, ..options() }).unwrap();
    append_all(&journal, 0..2);
    journal.keep_up(types::UtcMs(0)).unwrap();
    disk.fail_nth(Operation::SetLen, 1, Failure::Io);
    assert!(matches!(journal.keep_up(types::UtcMs(5000)), Err(JournalError::Stopped { .. })));
    assert!(!journal.accepts_calls());
    assert!(journal.recover().unwrap());
    append_all(&journal, 0..4);
    assert_eq!(all(&disk), records(0..4));
}
