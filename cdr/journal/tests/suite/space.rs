//! Disk full, and the reserve.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cdr_journal::{Journal, JournalError, JournalOptions};
use segment_log::fault::FaultStorage;
use types::ErrorClass;

use crate::support::{append, append_all, options, record, records, reopen, stored};

fn used(disk: &FaultStorage) -> usize {
    use segment_log::Storage;
    disk.list().unwrap().iter().filter_map(|name| disk.content(name)).map(|content| content.len()).sum()
}

/// A journal of a few records on a disk that then is full to the last octet.
fn full() -> (FaultStorage, Journal, u32) {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..3);
    disk.set_capacity(Some(used(&disk)));
    for n in 3.. {
        match append(&journal, &record(n)) {
            Ok(_) => assert!(journal.accepts_calls()),
            Err(error) => {
                assert!(matches!(error, JournalError::NoSpace { .. }) && error.class() == ErrorClass::Retry, "{error}");
                return (disk, journal, n);
            }
        }
    }
    unreachable!()
}

#[test]
fn a_full_disk_refuses_new_calls_and_recovers_with_the_next_record() {
    let (disk, journal, n) = full();
    assert!(n > 3, "the reserved segment is used up first");
    assert!(!journal.accepts_calls());
    assert!(append(&journal, &record(n + 1)).is_err(), "running calls still try");
    disk.set_capacity(None);
    assert!(!journal.accepts_calls(), "not before it is proven");
    // The callers kept what was not taken.
    assert_eq!(append(&journal, &record(n)).unwrap().index(), u64::from(n));
    assert!(journal.accepts_calls());
    append_all(&journal, n + 1..n + 5);
    assert_eq!(journal.counters().failures.load(Ordering::Relaxed), 2);
    drop(journal);
    reopen(&disk);
    assert!(stored(&disk).into_iter().map(|stored| stored.record).eq(records(0..n + 5)));
}

#[test]
fn a_full_disk_is_found_to_have_space_again_without_any_record() {
    let (disk, journal, _) = full();
    journal.measure_space().unwrap();
    assert!(!journal.accepts_calls(), "free space says plenty, as under a quota; the probe knows better");
    assert_eq!(disk.content("space.probe"), None);
    disk.set_capacity(None);
    journal.measure_space().unwrap();
    assert!(journal.accepts_calls());
    assert_eq!(disk.content("space.probe"), None);
}

#[test]
fn copies_of_a_record_that_found_no_space_fail_and_can_come_again() {
    let (disk, journal, n) = full();
    assert!(append(&journal, &record(n)).is_err(), "its id is not taken for known");
    disk.set_capacity(None);
    assert!(append(&journal, &record(n)).is_ok());
    assert_eq!(journal.counters().duplicates.load(Ordering::Relaxed), 0);
}

#[test]
fn below_the_reserve_records_are_taken_and_new_calls_are_not() {
    let free = Arc::new(AtomicU64::new(1_000_000));
    let measured = Arc::clone(&free);
    let (journal, _) = Journal::open_on(
        Arc::new(FaultStorage::new()),
        Arc::new(move || match measured.load(Ordering::Relaxed) {
            0 => Err(std::io::ErrorKind::Other.into()),
            free => Ok(free),
        }),
        JournalOptions { reserve_bytes: 100_000, ..options() },
    )
    .unwrap();
    // At 0 the system does not say, and the verdict stays.
    let rows = [
        (100_000, true),
        (99_999, false),
        (100_000, false),
        (0, false),
        (104_095, false),
        (104_096, true),
        (0, true),
        (1, false),
    ];
    for (n, (octets, accepts)) in (0..).zip(rows) {
        free.store(octets, Ordering::Relaxed);
        assert_eq!(journal.measure_space().ok(), (octets > 0).then_some(octets));
        assert_eq!(journal.accepts_calls(), accepts, "{octets}");
        append(&journal, &record(n)).unwrap();
        assert_eq!(journal.accepts_calls(), accepts, "{octets}: a record changes nothing");
    }
}

#[test]
fn a_journal_opened_below_the_reserve_begins_without_new_calls_and_measures_by_itself() {
    let (asked, asks) = std::sync::mpsc::channel();
    let free = Arc::new(AtomicU64::new(5));
    let measured = Arc::clone(&free);
    let (journal, _) = Journal::open_on(
        Arc::new(FaultStorage::new()),
        Arc::new(move || {
            // Nobody listens at the end.
            asked.send(()).ok();
            Ok(measured.load(Ordering::Relaxed))
        }),
        JournalOptions { reserve_bytes: 10, space_interval: types::ConfigDuration::from_ms(1), ..options() },
    )
    .unwrap();
    assert!(!journal.accepts_calls());
    free.store(10_000, Ordering::Relaxed);
    asks.try_iter().for_each(drop);
    // The second look from now has begun after the first one, with the new figure, was over.
    let begun = std::iter::from_fn(|| asks.recv().ok()).take(3).count();
    assert_eq!(begun, 3);
    assert!(journal.accepts_calls());
}
