//! What becomes of shipped segments: rotated by age, compressed, read from the archives, removed when old.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cdr_journal::{
    Archive, Filters, Journal, JournalOptions, JournalReader, Position, ReplayFrom, replay_on, search_on, tail_on,
};
use cdr_model::CallRecord;
use segment_log::fault::{Failure, FaultStorage};
use segment_log::{Operation, Storage};
use types::{ConfigDuration, UtcMs};

use crate::support::{append, append_all, open, options, record, records, ship, ship_all, stored};

const DAY_MS: u64 = 24 * 3600 * 1000;
/// When the tests begin.
const BEGIN: UtcMs = UtcMs(1_795_309_600_000);

fn after_days(days: u64) -> UtcMs {
    BEGIN.plus(days * DAY_MS)
}

fn set_time(disk: &FaultStorage, now: UtcMs) {
    disk.set_time(Duration::from_millis(u64::try_from(now.0).unwrap()));
}

fn keeping(keep_days: u32, archive: Archive) -> JournalOptions {
    JournalOptions { sinks: vec!["lines".to_owned()], keep_days, archive, recent_ids: 4, ..options() }
}

fn files(disk: &FaultStorage, suffix: &str) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.ends_with(suffix)).collect()
}

/// A journal with 40 shipped records in some segments.
fn shipped(options: JournalOptions) -> (FaultStorage, Journal) {
    let disk = FaultStorage::new();
    set_time(&disk, BEGIN);
    let (journal, _) = open(&disk, options).unwrap();
    append_all(&journal, 0..40);
    ship_all(&mut ship(&journal, &disk).unwrap());
    (disk, journal)
}

#[test]
fn shipped_segments_become_archives_that_any_tool_reads() {
    let (disk, journal) = shipped(keeping(30, Archive::Gzip));
    let before = files(&disk, ".seg");
    let done = journal.keep_up(BEGIN).unwrap();
    let after = files(&disk, ".seg");
    assert!(done.archived >= 2 && done.archived == done.segments_removed, "{done:?}");
    assert_eq!(u64::try_from(before.len() - after.len()).unwrap(), done.archived);
    let mut lines = String::new();
    for name in files(&disk, ".jsonl.gz") {
        // As zcat: all members, one after the other.
        flate2::read::MultiGzDecoder::new(&disk.content(&name).unwrap()[..]).read_to_string(&mut lines).unwrap();
    }
    let archived: Vec<_> = lines.lines().map(|line| CallRecord::from_json(line.as_bytes()).unwrap()).collect();
    assert_eq!(archived, records(0..u32::try_from(archived.len()).unwrap()));
    assert!(archived.len() >= 16);
    assert_eq!(journal.keep_up(BEGIN).unwrap(), Default::default(), "once");
    // Whoever reads the journal sees no difference.
    assert!(stored(&disk).into_iter().map(|stored| stored.record).eq(records(0..40)));
    let positions: Vec<u64> = stored(&disk).iter().map(|stored| stored.position.index()).collect();
    assert!(positions.into_iter().eq(0..40));
    for from in 0..40 {
        let mut reader = JournalReader::on(Arc::new(disk.clone()), Position::new(from));
        let first = reader.read_next().unwrap().map(|record| record.position.index());
        assert_eq!((first, reader.skipped().records), (Some(from), 0));
    }
    let last: Vec<_> = tail_on(Arc::new(disk.clone()), false, 38).unwrap().map(|found| found.unwrap().record).collect();
    assert_eq!(last, records(2..40));
}

#[test]
fn searches_over_old_days_find_archived_records_and_pass_by_archives_before_them() {
    let (disk, journal) = shipped(keeping(30, Archive::Gzip));
    journal.keep_up(BEGIN).unwrap();
    let found = |filters: Filters| {
        let records = search_on(Arc::new(disk.clone()), filters).unwrap();
        records.map(|found| found.unwrap().record).collect::<Vec<_>>()
    };
    let filters = Filters { since: Some(UtcMs(3000)), until: Some(UtcMs(6000)), ..Filters::default() };
    assert_eq!(found(filters), records(3..6));
    assert_eq!(found(Filters { call_id: Some("call-1".into()), ..Filters::default() }), records(1..2));
    // The archives were written at BEGIN, so they hold no call offered more than a day later; those that hold none are not read.
    let names = files(&disk, ".jsonl.gz");
    assert!(disk.flip(&names[0], 60, 1));
    let mut late =
        search_on(Arc::new(disk.clone()), Filters { since: Some(after_days(2)), ..Filters::default() }).unwrap();
    assert_eq!((late.by_ref().count(), late.damaged()), (0, 0));
    let mut soon = search_on(Arc::new(disk.clone()), Filters { since: Some(BEGIN), ..Filters::default() }).unwrap();
    assert_eq!(soon.by_ref().count(), 0);
    assert!(soon.damaged() > 0, "a day of slack for the clocks of switches");
}

#[test]
fn records_stay_as_long_as_configured_and_without_sinks_for_ever() {
    for (options, day, archives, segments_left) in [
        (keeping(30, Archive::Gzip), 0, true, false),
        (keeping(30, Archive::Gzip), 29, true, false),
        (keeping(30, Archive::Gzip), 30, false, false),
        (keeping(30, Archive::Off), 29, false, true),
        (keeping(30, Archive::Off), 30, false, false),
        (keeping(0, Archive::Gzip), 0, false, false),
        (JournalOptions { sinks: Vec::new(), ..keeping(0, Archive::Gzip) }, 4000, false, true),
        (JournalOptions { sinks: vec!["lines".into(), "other".into()], ..keeping(0, Archive::Off) }, 4000, false, true),
        (JournalOptions { recent_ids: 40, ..keeping(0, Archive::Off) }, 4000, false, true),
    ] {
        let (disk, journal) = shipped(options.clone());
        let before = files(&disk, ".seg").len();
        journal.keep_up(after_days(day)).unwrap();
        let context = format!("{options:?} after {day} days");
        assert_eq!(!files(&disk, ".jsonl.gz").is_empty(), archives, "{context}");
        assert_eq!(files(&disk, ".seg").len() == before, segments_left, "{context}");
    }
}

#[test]
fn archives_go_when_they_are_old_and_the_rest_is_found() {
    let (disk, journal) = shipped(keeping(30, Archive::Gzip));
    let archived = journal.keep_up(BEGIN).unwrap().archived;
    set_time(&disk, after_days(10));
    append_all(&journal, 40..80);
    ship_all(&mut ship(&journal, &disk).unwrap());
    let later = journal.keep_up(after_days(10)).unwrap();
    assert!(later.archived > 0 && later.archives_removed == 0, "{later:?}");
    let done = journal.keep_up(after_days(30)).unwrap();
    assert_eq!(done.archives_removed, archived, "the first ones were written on day 0");
    let mut found = search_on(Arc::new(disk.clone()), Filters::default()).unwrap();
    let rest: Vec<_> = found.by_ref().map(|found| found.unwrap().record).collect();
    assert_eq!(rest, records(80 - u32::try_from(rest.len()).unwrap()..80));
    assert_eq!((found.damaged(), rest.len() > 40), (0, true));
    assert!(journal.keep_up(after_days(60)).unwrap().archives_removed > 0);
    assert_eq!(files(&disk, ".jsonl.gz"), [""; 0]);
}

#[test]
fn a_segment_ends_by_age_also_without_a_new_record() {
    let disk = FaultStorage::new();
    let options = JournalOptions { segment_age: ConfigDuration::from_s(60), ..keeping(30, Archive::Gzip) };
    let (journal, _) = open(&disk, options).unwrap();
    assert!(!journal.keep_up(BEGIN).unwrap().rotated, "there is nothing");
    append_all(&journal, 0..1);
    for (seconds, rotated) in [(10, false), (69, false), (70, true), (71, false), (500, false)] {
        assert_eq!(journal.keep_up(BEGIN.plus(seconds * 1000)).unwrap().rotated, rotated, "{seconds}");
    }
    assert_eq!(
        disk.content("00000000000000000000.seg").unwrap().len() % 4096,
        40 + 16 + record(0).to_json().unwrap().len()
    );
    append_all(&journal, 1..2);
    assert_eq!(files(&disk, ".seg").len(), 2);
    assert!(!journal.keep_up(BEGIN.plus(501_000)).unwrap().rotated, "the new one is young");
    assert!(journal.keep_up(BEGIN.plus(561_000)).unwrap().rotated);
    assert_eq!(stored(&disk).len(), 2);
}

#[test]
fn damage_in_an_archive_costs_one_member_and_is_counted() {
    let (disk, journal) = shipped(keeping(30, Archive::Gzip));
    journal.keep_up(BEGIN).unwrap();
    drop(journal);
    let names = files(&disk, ".jsonl.gz");
    let content = disk.content(&names[1]).unwrap();
    // Octets of each member are checked alone; small archives have one.
    let all = records(0..40);
    let mut harmless = 0;
    for offset in 0..content.len() {
        disk.put(&names[1], &content);
        assert!(disk.flip(&names[1], offset, 0x10));
        let mut found = search_on(Arc::new(disk.clone()), Filters::default()).unwrap();
        let read: Vec<_> = found.by_ref().map(|found| found.unwrap().record).collect();
        assert!(read.iter().all(|record| all.contains(record)), "at {offset}");
        assert_eq!(u64::try_from(read.len()).unwrap() + found.damaged(), 40, "at {offset}");
        harmless += u32::from(found.damaged() == 0);
    }
    // The time and the system in gzip's header, and a bit of padding behind the compressed data.
    assert!((6..=7).contains(&harmless), "{harmless}");
}

#[test]
fn an_archive_that_cannot_be_written_leaves_the_segment() {
    for (operation, nth, failure) in [
        (Operation::Create, 1, Failure::NoSpace),
        (Operation::Write, 1, Failure::NoSpace),
        (Operation::Write, 1, Failure::Io),
        (Operation::Sync, 1, Failure::Io),
        (Operation::Rename, 1, Failure::Io),
        (Operation::SyncDir, 1, Failure::Io),
        (Operation::Remove, 1, Failure::Io),
    ] {
        let (disk, journal) = shipped(keeping(30, Archive::Gzip));
        disk.fail_nth(operation, nth, failure);
        journal.keep_up(BEGIN).unwrap_err();
        assert_eq!(stored(&disk).len(), 40, "{operation}");
        append(&journal, &record(40)).unwrap();
        assert!(journal.keep_up(BEGIN).unwrap().archived >= 1, "{operation}: tried again");
        assert_eq!(files(&disk, ".tmp"), [""; 0], "{operation}");
        assert!(stored(&disk).into_iter().map(|stored| stored.record).eq(records(0..41)), "{operation}");
    }
}

#[test]
fn an_archive_that_does_not_read_back_leaves_the_segment() {
    let (disk, journal) = shipped(keeping(30, Archive::Gzip));
    let segments = files(&disk, ".seg");
    disk.spoil_nth_write(1);
    journal.keep_up(BEGIN).unwrap_err();
    assert_eq!((files(&disk, ".seg"), files(&disk, ".gz")), (segments, Vec::new()));
    assert!(journal.keep_up(BEGIN).unwrap().archived >= 1, "written again");
    assert!(stored(&disk).into_iter().map(|stored| stored.record).eq(records(0..40)));
}

#[test]
fn an_archive_is_durable_under_its_name_before_its_segment_goes() {
    let (disk, journal) = shipped(keeping(30, Archive::Gzip));
    let before = disk.trace().len();
    let archived = journal.keep_up(BEGIN).unwrap().archived;
    let trace = disk.trace();
    let done: Vec<_> = trace[before..]
        .iter()
        .filter(|point| point.after)
        .map(|point| (point.operation, point.file.split_once('.').map_or("", |(_, ending)| ending)))
        .collect();
    let each = [
        (Operation::Create, "jsonl.gz.tmp"),
        (Operation::Write, "jsonl.gz.tmp"),
        (Operation::Sync, "jsonl.gz.tmp"),
        (Operation::Rename, "jsonl.gz"),
        (Operation::SyncDir, ""),
        (Operation::Remove, "seg"),
        (Operation::SyncDir, ""),
    ];
    assert_eq!(done, each.repeat(usize::try_from(archived).unwrap()));
}

#[test]
fn an_archive_stays_until_every_sink_has_its_last_record() {
    let (disk, journal) = shipped(keeping(30, Archive::Gzip));
    journal.keep_up(BEGIN).unwrap();
    drop(journal);
    let last = files(&disk, ".jsonl.gz").pop().unwrap();
    let first: u64 = last[..20].parse().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    replay_on(&storage, "lines", ReplayFrom::Position(Position::new(first + 1)), true).unwrap();
    let (journal, _) = open(&disk, keeping(30, Archive::Gzip)).unwrap();
    let mut shipping = ship(&journal, &disk).unwrap();
    journal.keep_up(after_days(60)).unwrap();
    assert_eq!(files(&disk, ".jsonl.gz"), [last], "the sink stands in its middle");
    assert_eq!(ship_all(&mut shipping), usize::try_from(40 - (first + 1)).unwrap());
    assert_eq!(shipping.counters().removed.load(Ordering::Relaxed), 0);
    assert_eq!(journal.keep_up(after_days(60)).unwrap().archives_removed, 1);
}

#[test]
fn lost_records_leave_a_hole_in_the_archive_and_positions_stay() {
    let (disk, journal) = shipped(keeping(30, Archive::Gzip));
    assert!(disk.flip("00000000000000000000.seg", 700, 1), "in the second record");
    journal.keep_up(BEGIN).unwrap();
    let mut found = search_on(Arc::new(disk), Filters::default()).unwrap();
    let positions: Vec<_> = found.by_ref().map(|found| found.unwrap().position.index()).collect();
    assert!(positions.into_iter().eq((0..40).filter(|position| *position != 1)));
    assert_eq!(found.damaged(), 1);
}
