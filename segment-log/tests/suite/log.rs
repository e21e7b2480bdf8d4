//! Appending, rotating, dropping the front, limits, poison, full disk.

use segment_log::fault::{Crash, Failure, FaultStorage};
use segment_log::{CorruptPolicy, Error, ErrorClass, MAX_RECORD_BYTES, Operation, Options, Position};

use crate::support::{FIRST, append_all, open, payload, payloads, read_from, reopen, segments, small};

#[test]
fn what_was_committed_is_read_back() {
    let disk = FaultStorage::new();
    let (mut log, recovered) = reopen(&disk);
    assert_eq!((recovered.first, recovered.next, recovered.segments), (Position::ZERO, Position::ZERO, 0));
    assert_eq!(log.append(b"a").unwrap().index(), 0);
    assert_eq!(log.append(b"bb").unwrap().index(), 1);
    assert_eq!(log.durable(), Position::ZERO);
    assert_eq!(payloads(&log), Vec::<Vec<u8>>::new(), "not readable before commit");
    assert_eq!(log.commit().unwrap().index(), 2);
    log.append(b"ccc").unwrap();
    log.discard();
    assert_eq!(log.append(b"dddd").unwrap().index(), 2);
    log.commit().unwrap();
    log.append(b"never committed").unwrap();
    drop(log);
    let (log, recovered) = reopen(&disk);
    assert_eq!((recovered.next.index(), recovered.segments, recovered.torn_tail), (3, 1, None));
    assert_eq!(payloads(&log), [b"a".to_vec(), b"bb".to_vec(), b"dddd".to_vec()]);
    assert_eq!(read_from(&log, Position::new(2)).unwrap().0, [(2, b"dddd".to_vec())]);
    assert_eq!(read_from(&log, Position::new(3)).unwrap().0, []);
}

#[test]
fn a_commit_is_one_write_and_one_sync_of_the_segment() {
    let disk = FaultStorage::new();
    let (mut log, _) = reopen(&disk);
    append_all(&mut log, &[payload(0, 10)]);
    let (writes, syncs) = (disk.count(Operation::Write), disk.count(Operation::Sync));
    append_all(&mut log, &(0..50).map(|n| payload(n, 20)).collect::<Vec<_>>());
    // The second write is the mark, which is not synced.
    assert_eq!((disk.count(Operation::Write) - writes, disk.count(Operation::Sync) - syncs), (2, 1));
    log.commit().unwrap();
    assert_eq!(disk.count(Operation::Sync) - syncs, 1, "nothing to commit, nothing synced");
}

#[test]
fn an_empty_log_begins_where_it_is_told() {
    let disk = FaultStorage::new();
    let start = Position::new(1000);
    let (mut log, _) = open(&disk, Options { start, ..Options::default() }).unwrap();
    assert_eq!(log.append(b"x").unwrap(), start);
    log.commit().unwrap();
    drop(log);
    let (log, recovered) = reopen(&disk);
    assert_eq!((recovered.first.index(), recovered.next.index()), (1000, 1001));
    assert!(matches!(read_from(&log, Position::new(999)), Err(Error::Truncated { first, .. }) if first == start));
}

#[test]
fn segments_rotate_and_the_front_is_dropped_whole() {
    let disk = FaultStorage::new();
    let (mut log, _) = reopen(&disk);
    let all: Vec<Vec<u8>> = (0..40).map(|n| payload(n, 500)).collect();
    for one in &all {
        append_all(&mut log, std::slice::from_ref(one));
    }
    let names = segments(&disk);
    assert!(names.len() >= 5, "{names:?}");
    assert!(names.iter().all(|name| disk.content(name).unwrap().len() <= 4096));
    assert_eq!(payloads(&log), all);
    // 7 records of 516 octets fit behind the header.
    for (below, first) in [(0, 0), (6, 0), (7, 7), (20, 14), (21, 21), (1000, 35)] {
        assert_eq!(log.truncate_front(Position::new(below)).unwrap().index(), first, "below {below}");
        assert_eq!(payloads(&log), all[usize::try_from(first).unwrap()..]);
    }
    assert!(matches!(read_from(&log, Position::new(34)), Err(Error::Truncated { first, .. }) if first.index() == 35));
    disk.crash(Crash::DropUnsynced);
    drop(log);
    let (mut log, recovered) = reopen(&disk);
    assert_eq!((recovered.first.index(), recovered.next.index()), (35, 40));
    assert_eq!(log.append(b"next").unwrap().index(), 40);
}

#[test]
fn a_batch_larger_than_a_segment_stays_in_one() {
    let disk = FaultStorage::new();
    let (mut log, _) = reopen(&disk);
    append_all(&mut log, &[payload(0, 100)]);
    let large: Vec<Vec<u8>> = (1..30).map(|n| payload(n, 1000)).collect();
    append_all(&mut log, &large);
    append_all(&mut log, &[payload(30, 100)]);
    assert_eq!(segments(&disk), [FIRST, "00000000000000000001.seg", "00000000000000000030.seg"]);
    drop(log);
    assert_eq!(payloads(&reopen(&disk).0).len(), 31);
}

#[test]
fn limits_are_errors_of_the_one_record() {
    let disk = FaultStorage::new();
    let max_batch_bytes = MAX_RECORD_BYTES + 16;
    let (mut log, _) = open(&disk, Options { max_batch_bytes, ..Options::default() }).unwrap();
    let error = log.append(&[]).unwrap_err();
    assert!(matches!(error, Error::RecordEmpty) && error.class() == ErrorClass::Skip);
    let error = log.append(&vec![1; MAX_RECORD_BYTES + 1]).unwrap_err();
    assert!(matches!(error, Error::RecordTooLong { .. }) && error.class() == ErrorClass::Skip);
    let longest = vec![7; MAX_RECORD_BYTES];
    log.append(&longest).unwrap();
    let error = log.append(b"x").unwrap_err();
    assert!(matches!(error, Error::BatchFull { .. }) && error.class() == ErrorClass::Retry);
    log.commit().unwrap();
    log.append(b"x").unwrap();
    log.commit().unwrap();
    assert!(payloads(&log) == [longest, b"x".to_vec()]);
}

#[test]
fn options_out_of_range_are_refused() {
    for options in [
        Options { segment_bytes: 4095, ..Options::default() },
        Options { segment_bytes: (1 << 30) + 1, ..Options::default() },
        Options { max_batch_bytes: MAX_RECORD_BYTES, ..Options::default() },
        Options { start: Position::new(u64::MAX), ..Options::default() },
    ] {
        let error = open(&FaultStorage::new(), options.clone()).unwrap_err();
        assert!(matches!(error, Error::OptionOutOfRange { .. }), "{options:?}: {error}");
    }
}

#[test]
fn positions_end_before_they_overflow() {
    let disk = FaultStorage::new();
    let start = Position::new(Position::MAX.index() - 1);
    let (mut log, _) = open(&disk, Options { start, ..Options::default() }).unwrap();
    log.append(b"last").unwrap();
    assert!(matches!(log.append(b"none"), Err(Error::Exhausted { .. })));
    log.commit().unwrap();
    assert_eq!(payloads(&log), [b"last".to_vec()]);
}

#[test]
fn the_lock_is_held_until_the_log_is_dropped() {
    let disk = FaultStorage::new();
    let (log, _) = reopen(&disk);
    let error = open(&disk, Options::default()).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }) && error.class() == ErrorClass::Refused);
    assert_eq!(error.to_string(), "log in fault-disk is open elsewhere");
    drop(log);
    reopen(&disk);
}

#[test]
fn a_failed_fsync_poisons_the_log_and_is_never_retried() {
    // Which sync of a commit fails: the segment's header, the directory, the batch; then the batch in a later commit.
    for (operation, nth, commits_before) in
        [(Operation::Sync, 1, 0), (Operation::SyncDir, 1, 0), (Operation::Sync, 2, 0), (Operation::Sync, 1, 1)]
    {
        let disk = FaultStorage::new();
        let (mut log, _) = reopen(&disk);
        (0..commits_before).for_each(|n| append_all(&mut log, &[payload(n, 30)]));
        disk.fail_nth(operation, nth, Failure::Io);
        log.append(b"lost").unwrap();
        let error = log.commit().unwrap_err();
        assert!(matches!(error, Error::Poisoned { .. }) && error.class() == ErrorClass::Fatal, "{error}");
        let syncs = disk.count(Operation::Sync);
        for again in [log.commit(), log.append(b"x"), log.truncate_front(Position::ZERO)] {
            assert_eq!(again.unwrap_err().to_string(), error.to_string());
        }
        assert_eq!(disk.count(Operation::Sync), syncs, "no second fsync");
        drop(log);
        disk.crash(Crash::DropUnsynced);
        assert_eq!(payloads(&reopen(&disk).0).len(), commits_before);
    }
}

#[test]
fn records_seen_after_a_failed_fsync_and_a_restart_are_written_again() {
    let disk = FaultStorage::new();
    let (mut log, _) = reopen(&disk);
    append_all(&mut log, &[payload(0, 30)]);
    disk.fail_nth(Operation::Sync, 1, Failure::Io);
    log.append(b"of unknown fate").unwrap();
    log.append(b"this too").unwrap();
    log.commit().unwrap_err();
    drop(log);
    // Only the process restarts: the page cache still shows the records, but the disk does not have them.
    disk.crash(Crash::KeepUnsynced);
    let (log, recovered) = reopen(&disk);
    let seen = payloads(&log);
    assert_eq!((recovered.next.index(), seen.len()), (3, 3));
    drop(log);
    disk.crash(Crash::DropUnsynced);
    assert_eq!(payloads(&reopen(&disk).0), seen, "what recovery reported must be durable");
}

#[test]
fn a_failed_write_poisons_the_log() {
    let disk = FaultStorage::new();
    let (mut log, _) = reopen(&disk);
    append_all(&mut log, &[payload(0, 30)]);
    disk.fail_nth(Operation::Write, 1, Failure::Io);
    log.append(b"lost").unwrap();
    assert!(matches!(log.commit(), Err(Error::Poisoned { operation: Operation::Write, .. })));
    assert!(matches!(log.commit(), Err(Error::Poisoned { .. })));
}

#[test]
fn a_full_disk_takes_the_batch_back_and_the_log_goes_on() {
    for record_bytes in [50, 700, 3000] {
        let disk = FaultStorage::new();
        let (mut log, _) = reopen(&disk);
        disk.set_capacity(Some(9000));
        let mut kept = Vec::new();
        let mut refused = 0;
        for number in 0..1000 {
            let one = payload(number, record_bytes);
            assert_eq!(log.append(&one).unwrap().index(), kept.len() as u64, "a position is used again");
            match log.commit() {
                Ok(_) => kept.push(one),
                Err(error @ Error::NoSpace { .. }) => {
                    assert_eq!(error.class(), ErrorClass::Retry);
                    refused += 1;
                }
                Err(error) => panic!("{error}"),
            }
            if refused == 5 {
                disk.set_capacity(Some(30_000));
            }
        }
        assert!(refused > 5 && kept.len() > 5, "{refused} refused, {} kept", kept.len());
        assert_eq!(payloads(&log), kept);
        drop(log);
        disk.crash(Crash::DropUnsynced);
        let (log, recovered) = reopen(&disk);
        assert_eq!(recovered.torn_tail, None);
        assert_eq!(payloads(&log), kept);
    }
}

#[test]
fn a_batch_refused_for_space_never_comes_back() {
    // The write itself fails half way, as on file systems that reserve nothing.
    // Of a batch that was cut off and not synced, the octets may come back and the cut not.
    let scattered = (0..16).map(|seed| Crash::Scattered { seed, sector_bytes: 512 });
    for crash in [Crash::KeepUnsynced, Crash::DropUnsynced].into_iter().chain(scattered) {
        let disk = FaultStorage::new();
        let (mut log, _) = reopen(&disk);
        append_all(&mut log, &[payload(0, 30)]);
        disk.fail_nth(Operation::Write, 1, Failure::NoSpace);
        for number in 1..4 {
            log.append(&payload(number, 30)).unwrap();
        }
        assert!(matches!(log.commit(), Err(Error::NoSpace { .. })));
        drop(log);
        disk.crash(crash);
        assert_eq!(payloads(&reopen(&disk).0), [payload(0, 30)], "{crash:?}");
    }
}

#[test]
fn a_missing_log_of_which_the_mark_knows_is_not_a_new_log() {
    let disk = FaultStorage::new();
    let (mut log, _) = reopen(&disk);
    append_all(&mut log, &[payload(0, 30), payload(1, 30)]);
    drop(log);
    segment_log::Storage::remove(&disk, FIRST).unwrap();
    assert!(matches!(open(&disk, small(CorruptPolicy::Refuse)), Err(Error::Corrupt { .. })));
    let (log, recovered) = open(&disk, small(CorruptPolicy::Skip)).unwrap();
    assert_eq!((recovered.skipped.records, log.next().index()), (2, 2), "no position is used twice");
}
