//! The process, or the machine, stops before and after every write, fsync and rename of journal, sink and checkpoint.

use cdr_journal::{Position, ShipError};
use segment_log::Operation;
use segment_log::fault::{Crash, Failure, FaultStorage};
use types::ErrorClass;

use crate::support::{append, append_all, lines, open, options, record, records, reopen, ship, ship_all, stored};

const RECORDS: u32 = 12;
const CRASHES: [Crash; 6] = [
    Crash::KeepUnsynced,
    Crash::DropUnsynced,
    Crash::Torn { bytes: 100 },
    Crash::Torn { bytes: 500 },
    Crash::Scattered { seed: 1, sector_bytes: 64 },
    Crash::Scattered { seed: 2, sector_bytes: 512 },
];

/// Writes records and ships them as they come, in batches of three; returns what was acknowledged.
fn work(disk: &FaultStorage) -> Vec<(u32, Position)> {
    let mut acknowledged = Vec::new();
    let Ok((journal, _)) = open(disk, options()) else { return acknowledged };
    let mut shipping = ship(&journal, disk).ok();
    for n in 0..RECORDS {
        if let Ok(position) = append(&journal, &record(n)) {
            acknowledged.push((n, position));
        }
        if n % 3 == 2 {
            // After a failure it is left alone, as by a process that is dead.
            shipping = shipping.take().and_then(|mut shipping| shipping.step().is_ok().then_some(shipping));
        }
    }
    acknowledged
}

#[test]
fn a_crash_anywhere_loses_nothing_acknowledged_and_ships_each_record_once() {
    let disk = FaultStorage::new();
    assert_eq!(work(&disk).len(), 12);
    let trace = disk.trace();
    assert!(trace.len() > 150 && trace.iter().any(|point| point.file == "lines.checkpoint"), "{}", trace.len());
    for (number, point) in trace.iter().enumerate() {
        for crash in CRASHES {
            let disk = FaultStorage::new();
            disk.crash_at(number);
            let acknowledged = work(&disk);
            disk.crash(crash);

            let (journal, _) = reopen(&disk);
            let after_crash = stored(&disk);
            for (n, position) in &acknowledged {
                let kept = after_crash.iter().any(|kept| kept.position == *position && kept.record == record(*n));
                assert!(kept, "record {n} is lost, {crash:?} {point}");
            }
            // The callers come again with everything, also with what they were told is taken.
            append_all(&journal, 0..RECORDS);
            let held: Vec<_> = stored(&disk).into_iter().map(|stored| stored.record).collect();
            assert_eq!(held, records(0..RECORDS), "{crash:?} {point}");
            ship_all(&mut ship(&journal, &disk).unwrap());
            assert_eq!(lines(&disk), held, "{crash:?} {point}");
        }
    }
}

#[test]
fn a_crash_between_lines_and_checkpoint_repeats_and_loses_no_line() {
    // Of the second batch the lines are on disk and the checkpoint is not.
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..3);
    let mut shipping = ship(&journal, &disk).unwrap();
    assert_eq!(ship_all(&mut shipping), 3);
    append_all(&journal, 3..6);
    disk.fail_nth(Operation::Rename, 1, Failure::Io);
    let error = shipping.step().unwrap_err();
    assert!(matches!(error, ShipError::Checkpoint { .. }) && error.class() == ErrorClass::Retry);
    assert_eq!(lines(&disk), records(0..6), "the lines are there");
    assert_eq!(shipping.checkpoint().index(), 3);
    drop((shipping, journal));
    disk.crash(Crash::DropUnsynced);

    let (journal, _) = reopen(&disk);
    let mut shipping = ship(&journal, &disk).unwrap();
    assert_eq!(lines(&disk), records(0..3), "cut to the checkpoint");
    assert_eq!(ship_all(&mut shipping), 3);
    assert_eq!(lines(&disk), records(0..6));
}

#[test]
fn a_step_that_fails_is_taken_up_again_and_power_loss_finds_every_line() {
    for (operation, nth, failure) in [
        (Operation::Write, 1, Failure::NoSpace),
        (Operation::Write, 1, Failure::Io),
        (Operation::Sync, 1, Failure::Io),
        (Operation::Create, 1, Failure::NoSpace),
        (Operation::Write, 2, Failure::NoSpace),
        (Operation::Rename, 1, Failure::Io),
    ] {
        let disk = FaultStorage::new();
        let (journal, _) = reopen(&disk);
        let mut shipping = ship(&journal, &disk).unwrap();
        append_all(&journal, 0..4);
        disk.fail_nth(operation, nth, failure);
        let error = shipping.step().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Retry, "{operation} {nth}: {error:?}");
        append_all(&journal, 4..6);
        ship_all(&mut shipping);
        drop((shipping, journal));
        disk.crash(Crash::DropUnsynced);
        assert_eq!(lines(&disk), records(0..6), "{operation} {nth}");
        let (journal, _) = reopen(&disk);
        assert_eq!(ship_all(&mut ship(&journal, &disk).unwrap()), 0, "{operation} {nth}: the checkpoint is at the end");
    }
}
