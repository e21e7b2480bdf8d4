//! Files of lines that are closed by size and age: each record in one of them, whatever happens at whatever moment.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cdr_journal::{
    Journal, JournalSource, JsonLinesSink, Rotation, ShipError, ShipperOptions, Shipping, SinkError, Step, places_on,
};
use cdr_model::CallRecord;
use segment_log::fault::{Crash, Failure, FaultStorage};
use segment_log::{Operation, Storage};
use types::{ConfigDuration, ErrorClass, UtcMs};

use crate::support::{LINES, append, append_all, open, options, record, records, reopen, ship, ship_all};

const CRASHES: [Crash; 4] = [
    Crash::KeepUnsynced,
    Crash::DropUnsynced,
    Crash::Torn { bytes: 300 },
    Crash::Scattered { seed: 3, sector_bytes: 64 },
];

/// Three records a file.
fn by_size() -> Rotation {
    let lines: usize = records(0..3).iter().map(|record| record.to_json().unwrap().len() + 1).sum();
    Rotation { max_bytes: Some(lines as u64), gzip: true, ..Rotation::default() }
}

fn sink(disk: &FaultStorage, rotation: Rotation, clock: &Arc<AtomicI64>) -> JsonLinesSink {
    let clock = Arc::clone(clock);
    let now = Arc::new(move || UtcMs(clock.load(Ordering::Relaxed)));
    JsonLinesSink::on("lines", Arc::new(disk.clone()), LINES).rotating(rotation).with_clock(now)
}

fn start(journal: &Journal, disk: &FaultStorage, sink: JsonLinesSink) -> Result<Shipping, ShipError> {
    Shipping::start(JournalSource::of(journal), Arc::new(disk.clone()), Box::new(sink), ShipperOptions::default())
}

/// The closed files, oldest first, with what is in them.
fn closed(disk: &FaultStorage) -> Vec<(String, Vec<CallRecord>)> {
    let mut names = disk.list().unwrap();
    names.retain(|name| name.starts_with("records-") && !name.ends_with(".unfinished"));
    let first = |name: &str| name.split(['-', '.']).nth(2).unwrap().parse::<u64>().unwrap();
    names.sort_by_key(|name| (first(name), name.ends_with(".gz")));
    names.into_iter().map(|name| (name.trim_end_matches(".gz").to_owned(), unpacked(disk, &name))).collect()
}

fn unpacked(disk: &FaultStorage, name: &str) -> Vec<CallRecord> {
    let mut content = disk.content(name).unwrap();
    if name.ends_with(".gz") {
        let packed = std::mem::take(&mut content);
        flate2::read::GzDecoder::new(&*packed).read_to_end(&mut content).unwrap();
    }
    assert!(content.is_empty() || content.ends_with(b"\n"), "{name}: the last line is whole");
    let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| CallRecord::from_json(line).unwrap()).collect()
}

/// Everything, in order; a file and its compressed copy count once.
fn all(disk: &FaultStorage) -> Vec<CallRecord> {
    let mut files = closed(disk);
    files.dedup_by(|a, b| a.0 == b.0);
    let mut found: Vec<_> = files.into_iter().flat_map(|(_, records)| records).collect();
    found.extend(unpacked(disk, LINES));
    found
}

#[test]
fn files_are_closed_by_size_and_age_compressed_and_counted_off() {
    let (disk, clock) = (FaultStorage::new(), Arc::new(AtomicI64::new(1_795_305_600_000)));
    let (journal, _) = reopen(&disk);
    let rotation = Rotation { max_age: Some(ConfigDuration::from_s(60)), keep_files: Some(2), ..by_size() };
    let mut shipping = start(&journal, &disk, sink(&disk, rotation, &clock)).unwrap();
    // By age: one record, and a minute later another.
    append_all(&journal, 0..1);
    ship_all(&mut shipping);
    clock.fetch_add(59_999, Ordering::Relaxed);
    append_all(&journal, 1..2);
    ship_all(&mut shipping);
    assert_eq!(closed(&disk).len(), 0, "a millisecond too early");
    clock.fetch_add(1, Ordering::Relaxed);
    append_all(&journal, 2..3);
    ship_all(&mut shipping);
    assert_eq!(closed(&disk), [("records-20261122T000000Z-0.jsonl".to_owned(), records(0..2))]);
    // By size: three records a file, and two closed files stay.
    append_all(&journal, 3..12);
    ship_all(&mut shipping);
    let names: Vec<String> = disk.list().unwrap().into_iter().filter(|name| name.starts_with("records")).collect();
    assert_eq!(
        names,
        ["records-20261122T000100Z-5.jsonl.gz", "records-20261122T000100Z-8.jsonl.gz", LINES],
        "the oldest went"
    );
    assert_eq!(all(&disk), records(5..12));
}

/// Records come and are shipped, one or four at a time; returns what was acknowledged as shipped.
fn work(disk: &FaultStorage) -> u64 {
    let clock = Arc::new(AtomicI64::new(1_000_000));
    let Ok((journal, _)) = open(disk, options()) else { return 0 };
    let Ok(mut shipping) = start(&journal, disk, sink(disk, by_size(), &clock)) else { return 0 };
    for n in 0..10 {
        clock.fetch_add(1000, Ordering::Relaxed);
        if append(&journal, &record(n)).is_err() {
            break;
        }
        // Some come alone, some with one that waited.
        if n % 4 == 2 {
            continue;
        }
        loop {
            match shipping.step() {
                Ok(Step::Shipped(_)) => {}
                Ok(_) => break,
                Err(_) => return shipping.checkpoint().index(),
            }
        }
    }
    shipping.checkpoint().index()
}

#[test]
fn a_crash_anywhere_in_a_rotation_keeps_each_record_once_and_closed_files_as_they_are() {
    let disk = FaultStorage::new();
    assert_eq!(work(&disk), 10);
    let trace = disk.trace();
    let rotations = trace.iter().filter(|point| point.file.starts_with("records-")).count();
    assert!(rotations > 30, "{rotations} crash points around rotated files");
    for (number, point) in trace.iter().enumerate() {
        for crash in CRASHES {
            let disk = FaultStorage::new();
            disk.crash_at(number);
            let shipped = work(&disk);
            disk.crash(crash);
            let before = closed(&disk);
            let (journal, _) = reopen(&disk);
            append_all(&journal, 0..10);
            let clock = Arc::new(AtomicI64::new(2_000_000));
            let mut shipping = start(&journal, &disk, sink(&disk, by_size(), &clock))
                .unwrap_or_else(|error| panic!("{crash:?} {point}: {error:?}"));
            assert!(shipping.checkpoint().index() >= shipped, "{crash:?} {point}");
            ship_all(&mut shipping);
            assert_eq!(all(&disk), records(0..10), "{crash:?} {point}");
            let after = closed(&disk);
            for file in before {
                assert!(after.contains(&file), "{} changed after it was closed, {crash:?} {point}", file.0);
            }
        }
    }
}

#[test]
fn a_closed_file_may_be_collected_before_the_next_checkpoint() {
    let (disk, clock) = (FaultStorage::new(), Arc::new(AtomicI64::new(1_000_000)));
    let (journal, _) = reopen(&disk);
    let plain = Rotation { gzip: false, ..by_size() };
    append_all(&journal, 0..3);
    let mut shipping = start(&journal, &disk, sink(&disk, plain.clone(), &clock)).unwrap();
    ship_all(&mut shipping);
    append_all(&journal, 3..5);
    // The file is closed, the new one has lines, and the checkpoint fails.
    disk.fail_nth(Operation::Rename, 2, Failure::Io);
    assert!(matches!(shipping.step(), Err(ShipError::Checkpoint { .. })));
    drop((shipping, journal));
    let collected = closed(&disk).remove(0);
    assert_eq!(collected.1, records(0..3));
    disk.remove(&collected.0).unwrap();
    disk.sync_dir().unwrap();
    disk.crash(Crash::KeepUnsynced);
    let (journal, _) = reopen(&disk);
    ship_all(&mut start(&journal, &disk, sink(&disk, plain.clone(), &clock)).unwrap());
    assert_eq!(all(&disk), records(3..5), "the rest once, nothing refused");
}

#[test]
fn a_file_moved_away_while_it_is_written_leaves_each_line_in_one_place() {
    let (disk, clock) = (FaultStorage::new(), Arc::new(AtomicI64::new(1_000_000)));
    let (journal, _) = reopen(&disk);
    let mut shipping = start(&journal, &disk, sink(&disk, Rotation::default(), &clock)).unwrap();
    append_all(&journal, 0..2);
    ship_all(&mut shipping);
    disk.rename(LINES, "records.1").unwrap();
    append_all(&journal, 2..5);
    ship_all(&mut shipping);
    assert_eq!((unpacked(&disk, "records.1"), unpacked(&disk, LINES)), (records(0..2), records(2..5)));
    // Moved, and an empty one put in its place.
    disk.rename(LINES, "records.2").unwrap();
    disk.put(LINES, b"");
    append_all(&journal, 5..6);
    ship_all(&mut shipping);
    assert_eq!((unpacked(&disk, "records.2"), unpacked(&disk, LINES)), (records(2..5), records(5..6)));
}

#[test]
fn a_failure_anywhere_in_a_rotation_is_mended_by_the_next_attempts() {
    let operations = [
        Operation::Create,
        Operation::Write,
        Operation::Sync,
        Operation::Rename,
        Operation::Remove,
        Operation::SyncDir,
    ];
    let (mut failed, mut tidied_later) = (0, 0);
    for (operation, nth) in operations.into_iter().flat_map(|operation| (1..=4).map(move |nth| (operation, nth))) {
        let (disk, clock) = (FaultStorage::new(), Arc::new(AtomicI64::new(1_000_000)));
        let (journal, _) = reopen(&disk);
        append_all(&journal, 0..14);
        // The checkpoints are kept elsewhere, so that every failure hits the sink.
        let source = JournalSource::of(&journal);
        let sink = Box::new(sink(&disk, by_size(), &clock));
        let mut shipping =
            Shipping::start(source, Arc::new(FaultStorage::new()), sink, ShipperOptions::default()).unwrap();
        assert_eq!(shipping.step().unwrap(), Step::Shipped(3));
        disk.fail_nth(operation, nth, Failure::Io);
        loop {
            match shipping.step() {
                Ok(Step::Idle) => break,
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.class(), ErrorClass::Retry, "{operation} {nth}: {error:?}");
                    failed += 1;
                }
            }
            tidied_later += u32::from(disk.list().unwrap().iter().any(|name| name.ends_with(".unfinished")));
        }
        assert_eq!(all(&disk), records(0..14), "{operation} {nth}");
        let left =
            disk.list().unwrap().into_iter().filter(|name| name.starts_with("records-") && !name.ends_with(".gz"));
        assert_eq!(
            left.collect::<Vec<_>>(),
            Vec::<String>::new(),
            "{operation} {nth}: everything is compressed in the end"
        );
    }
    assert!(failed > 5 && tidied_later > 2, "{failed} {tidied_later}");
}

#[test]
fn a_checkpoint_of_the_first_release_is_understood() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..3);
    ship_all(&mut ship(&journal, &disk).unwrap());
    let length = disk.content(LINES).unwrap().len();
    let first_release = |position: u64, length: usize| {
        let content = format!(r#"{{"version":1,"position":{position},"state":"{length}"}}"#);
        segment_log::write_snapshot(&disk, "lines.checkpoint", content.as_bytes()).unwrap();
    };
    first_release(3, length);
    append_all(&journal, 3..4);
    ship_all(&mut ship(&journal, &disk).unwrap());
    assert_eq!(unpacked(&disk, LINES), records(0..4));
    // Its file has lost lines, which no later release may take for a new file.
    disk.put(LINES, &disk.content(LINES).unwrap()[..length / 3]);
    first_release(3, length);
    let refused = ship(&journal, &disk).err().unwrap();
    assert!(matches!(refused, ShipError::Sink { source: SinkError::Shorter { .. } }), "{refused}");
    segment_log::write_snapshot(&disk, "lines.checkpoint", br#"{"version":1,"position":3,"state":"what?"}"#).unwrap();
    let unknown = ship(&journal, &disk).err().unwrap();
    assert!(matches!(unknown, ShipError::Sink { source: SinkError::State { bytes: 5 } }), "{unknown}");
}

#[test]
fn the_place_of_a_sink_is_told_by_the_directory_alone() {
    let disk = FaultStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..7);
    assert_eq!(places_on(&storage).unwrap(), []);
    let mut shipping = ship(&journal, &disk).unwrap();
    ship_all(&mut shipping);
    append_all(&journal, 7..9);
    let place = places_on(&storage).unwrap().remove(0);
    assert_eq!((&*place.sink, place.checkpoint.index(), place.backlog()), ("lines", 7, 2));
    assert_eq!(place.oldest_unshipped, Some(UtcMs(7000)), "beside the running shipper");
    ship_all(&mut shipping);
    let place = places_on(&storage).unwrap().remove(0);
    assert_eq!((place.backlog(), place.oldest_unshipped), (0, None));
}
