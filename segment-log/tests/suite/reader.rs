//! Following a log that is being written.

use std::sync::Arc;

use segment_log::fault::{Failure, FaultStorage};
use segment_log::{CorruptPolicy, Error, Log, Operation, Options, Position, Reader};

use crate::support::{append_all, payload, reopen};

fn reader(disk: &FaultStorage, from: u64) -> Reader {
    Reader::on(Arc::new(disk.clone()), Position::new(from), CorruptPolicy::Refuse)
}

fn drain(reader: &mut Reader) -> Vec<u64> {
    let mut positions = Vec::new();
    while let Some(record) = reader.read_next().unwrap() {
        let number = usize::try_from(record.position.index()).unwrap();
        assert_eq!(record.payload, payload(number, record.payload.len()));
        positions.push(record.position.index());
    }
    positions
}

#[test]
fn a_reader_polls_while_the_log_grows_and_rotates() {
    let disk = FaultStorage::new();
    let mut reader = reader(&disk, 0);
    assert_eq!(drain(&mut reader), Vec::<u64>::new(), "no log yet");
    let (mut log, _) = reopen(&disk);
    assert_eq!(drain(&mut reader), Vec::<u64>::new());
    let mut number = 0;
    for batch in 1..30 {
        for _ in 0..batch {
            log.append(&payload(number, 60 + batch)).unwrap();
            number += 1;
        }
        assert_eq!(drain(&mut reader), Vec::<u64>::new(), "nothing before the commit");
        log.commit().unwrap();
        let expected: Vec<u64> = (number - batch..number).map(|n| n as u64).collect();
        assert_eq!(drain(&mut reader), expected);
        assert_eq!(reader.position(), log.durable());
    }
}

#[test]
fn a_reader_begins_anywhere_and_waits_beyond_the_end() {
    let disk = FaultStorage::new();
    let (mut log, _) = reopen(&disk);
    (0..50).for_each(|n| append_all(&mut log, &[payload(n, 300)]));
    for from in 0..55 {
        assert_eq!(drain(&mut reader(&disk, from)), (from..50).collect::<Vec<_>>());
    }
    let mut ahead = reader(&disk, 51);
    assert_eq!(drain(&mut ahead), Vec::<u64>::new());
    (50..53).for_each(|n| append_all(&mut log, &[payload(n, 300)]));
    assert_eq!(drain(&mut ahead), [51, 52]);
}

#[test]
fn a_reader_never_sees_what_may_yet_be_lost() {
    let disk = FaultStorage::new();
    let (mut log, _) = reopen(&disk);
    append_all(&mut log, &[payload(0, 60)]);
    disk.fail_nth(Operation::Sync, 1, Failure::Io);
    log.append(&payload(1, 60)).unwrap();
    log.commit().unwrap_err();
    // The octets are in the file, visible, but never became durable.
    assert_eq!(drain(&mut reader(&disk, 0)), [0]);
}

#[test]
fn a_reader_overtaken_by_truncation_says_where_to_go_on() {
    let disk = FaultStorage::new();
    let (mut log, _) = reopen(&disk);
    (0..50).for_each(|n| append_all(&mut log, &[payload(n, 500)]));
    let mut early = reader(&disk, 0);
    assert_eq!(early.read_next().unwrap().unwrap().position, Position::ZERO);
    log.truncate_front(Position::new(30)).unwrap();
    // The segment it has open is finished, then the gap shows.
    let error = loop {
        match early.read_next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the end was not reachable"),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, Error::Truncated { wanted, first } if wanted.index() == 7 && first.index() == 28),
        "{error}"
    );
    assert_eq!(drain(&mut reader(&disk, 28)), (28..50).collect::<Vec<_>>());
}

#[test]
fn a_mark_that_cannot_be_written_delays_readers_but_not_the_log() {
    let disk = FaultStorage::new();
    let (mut log, _) = reopen(&disk);
    append_all(&mut log, &[payload(0, 60)]);
    let mut reader = reader(&disk, 0);
    assert_eq!(drain(&mut reader), [0]);
    disk.fail_nth(Operation::Write, 2, Failure::Io);
    append_all(&mut log, &[payload(1, 60)]);
    assert_eq!(drain(&mut reader), Vec::<u64>::new());
    append_all(&mut log, &[payload(2, 60)]);
    assert_eq!(drain(&mut reader), [1, 2]);
}

#[test]
fn a_reader_in_another_thread_sees_every_record_once_in_order() {
    const RECORDS: usize = 20_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_path_buf();
    let following = std::thread::spawn(move || {
        let mut reader = Reader::open(path, Position::ZERO);
        let mut seen = 0;
        while seen < RECORDS {
            match reader.read_next().unwrap() {
                Some(record) => {
                    assert_eq!(record.position.index(), seen as u64);
                    assert_eq!(record.payload, payload(seen, 40 + seen % 50));
                    seen += 1;
                }
                None => std::thread::yield_now(),
            }
        }
    });
    let (mut log, _) =
        Log::open_dir(directory.path(), Options { segment_bytes: 100_000, ..Options::default() }).unwrap();
    for number in 0..RECORDS {
        log.append(&payload(number, 40 + number % 50)).unwrap();
        if number % 37 == 0 {
            log.commit().unwrap();
        }
    }
    log.commit().unwrap();
    following.join().unwrap();
}
