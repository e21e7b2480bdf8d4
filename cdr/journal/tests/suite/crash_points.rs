//! The named crash points: nothing is missing in their table, and at none of them is anything lost.

use std::time::Duration;

use cdr_journal::{Archive, CRASH_POINTS, Journal, JournalOptions};
use cdr_model::CallRecord;
use segment_log::Storage;
use segment_log::fault::{Crash, FaultStorage};
use types::{ConfigDuration, UtcMs};

use crate::support::{LINES, append, append_all, lines, open, options, record, records, ship, ship_all, stored};

const RECORDS: u32 = 30;
const BEGIN: UtcMs = UtcMs(1_795_309_600_000);
const CRASHES: [Crash; 5] = [
    Crash::KeepUnsynced,
    Crash::DropUnsynced,
    Crash::Torn { bytes: 700 },
    Crash::Scattered { seed: 3, sector_bytes: 64 },
    Crash::Scattered { seed: 4, sector_bytes: 512 },
];

fn keeping() -> JournalOptions {
    JournalOptions {
        sinks: vec!["lines".to_owned()],
        keep_days: 30,
        archive: Archive::Gzip,
        segment_age: ConfigDuration::from_s(60),
        recent_ids: 2,
        ..options()
    }
}

/// What was acknowledged before the process died.
#[derive(Default)]
struct Told {
    acknowledged: Vec<u32>,
    /// Old archives may have been removed.
    expiring: bool,
}

/// Everything a journal does in its life. Failures are left alone: the process may be dead.
fn live(disk: &FaultStorage) -> Told {
    let mut told = Told::default();
    disk.set_time(Duration::from_millis(u64::try_from(BEGIN.0).unwrap()));
    let Ok((journal, _)) = open(disk, keeping()) else { return told };
    work(&journal, disk, &mut told, 0..12);
    // Too old: a segment ends; the rest is archived, but first the disk is full.
    drop(journal.keep_up(BEGIN));
    disk.set_capacity(Some(used(disk)));
    drop(journal.keep_up(BEGIN.plus(120_000)));
    // What is reserved is used up.
    let mut full = 12;
    while full < RECORDS - 3 && append(&journal, &record(full)).is_ok() {
        told.acknowledged.push(full);
        full += 1;
    }
    drop(append(&journal, &record(full)));
    // This segment has no room; then, the segment being ended by its age, another one has none.
    drop(journal.keep_up(BEGIN.plus(130_000)));
    drop(journal.keep_up(BEGIN.plus(200_000)));
    disk.set_capacity(Some(used(disk)));
    drop(append(&journal, &record(full)));
    drop(journal.measure_space());
    disk.set_capacity(None);
    drop(journal.measure_space());
    work(&journal, disk, &mut told, full..RECORDS);
    drop(journal.keep_up(BEGIN.plus(300_000)));
    told.expiring = true;
    drop(journal.keep_up(BEGIN.plus(31 * 24 * 3_600_000)));
    told
}

fn work(journal: &Journal, disk: &FaultStorage, told: &mut Told, numbers: std::ops::Range<u32>) {
    for n in numbers {
        if append(journal, &record(n)).is_ok() {
            told.acknowledged.push(n);
        }
    }
    if let Ok(mut shipping) = ship(journal, disk) {
        while let Ok(cdr_journal::Step::Shipped(_) | cdr_journal::Step::Pending) = shipping.step() {}
        drop(shipping.save());
    }
}

fn used(disk: &FaultStorage) -> usize {
    let names = disk.list().unwrap_or_default();
    names.iter().filter_map(|name| disk.content(name)).map(|content| content.len()).sum()
}

/// What the sink has, but for a line that the crash tore.
fn whole_lines(disk: &FaultStorage) -> Vec<CallRecord> {
    let content = disk.content(LINES).unwrap_or_default();
    content.split_inclusive(|byte| *byte == b'\n').filter_map(|line| CallRecord::from_json(line).ok()).collect()
}

/// The sink's own files, and locks, are not the journal's.
fn is_of_journal(file: &str) -> bool {
    !file.starts_with(LINES)
}

#[test]
fn the_table_of_crash_points_is_complete() {
    let disk = FaultStorage::new();
    let told = live(&disk);
    assert_eq!(told.acknowledged, (0..RECORDS).collect::<Vec<_>>());
    let trace = disk.trace();
    let unnamed: Vec<String> = trace
        .iter()
        .filter(|point| is_of_journal(&point.file))
        .filter(|point| CRASH_POINTS.iter().filter(|row| row.is(point.operation, &point.file)).count() != 1)
        .map(ToString::to_string)
        .collect();
    assert_eq!(unnamed, [""; 0], "points without exactly one row");
    for row in CRASH_POINTS {
        for after in [false, true] {
            let hit = trace.iter().any(|point| point.after == after && row.is(point.operation, &point.file));
            assert!(hit, "{} is never passed ({})", row.name, if after { "after" } else { "before" });
        }
    }
}

#[test]
fn at_no_crash_point_is_anything_lost() {
    let disk = FaultStorage::new();
    live(&disk);
    for (number, point) in disk.trace().iter().enumerate() {
        for crash in CRASHES {
            let disk = FaultStorage::new();
            disk.crash_at(number);
            let told = live(&disk);
            disk.crash(crash);
            disk.set_capacity(None);

            let (journal, _) = open(&disk, keeping()).unwrap();
            let kept: Vec<_> = stored(&disk).into_iter().map(|stored| stored.record).collect();
            let shipped = whole_lines(&disk);
            for n in &told.acknowledged {
                let here = kept.contains(&record(*n)) || (told.expiring && shipped.contains(&record(*n)));
                assert!(here, "record {n} is lost, {crash:?} {point}");
            }
            // The callers come again with what they were not told is taken.
            append_all(&journal, u32::try_from(told.acknowledged.len()).unwrap()..RECORDS);
            ship_all(&mut ship(&journal, &disk).unwrap());
            assert_eq!(lines(&disk), records(0..RECORDS), "{crash:?} {point}");
            journal.keep_up(BEGIN.plus(400_000)).unwrap();
            let whole = cdr_journal::verify_on(&(std::sync::Arc::new(disk.clone()) as _), &mut |_, _| {}).unwrap();
            assert!(whole.is_whole() && whole.duplicates == 0 && whole.leftovers == 0, "{crash:?} {point}: {whole:?}");
        }
    }
}
