//! tail and search.

use std::sync::Arc;

use cdr_journal::{Filters, Journal, JournalOptions, search, search_on, tail, tail_on};
use cdr_model::{CallRecord, RecordType};
use segment_log::fault::FaultStorage;
use types::{Number, UtcMs};

use crate::support::{append, append_all, open, options, record, records, reopen};

fn calls(
    found: impl Iterator<Item = Result<cdr_journal::JournalRecord, cdr_journal::JournalError>>,
) -> Vec<CallRecord> {
    found.map(|found| found.unwrap().record).collect()
}

#[test]
fn a_tail_follows_the_writer_without_its_lock() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(directory.path(), options()).unwrap();
    append_all(&journal, 0..10);
    assert_eq!(calls(tail(directory.path(), false, 3).unwrap()), records(7..10));
    assert_eq!(calls(tail(directory.path(), false, 0).unwrap()), []);
    assert_eq!(calls(tail(directory.path(), false, 99).unwrap()), records(0..10));
    let follower = tail(directory.path(), true, 2).unwrap();
    let fixed = tail(directory.path(), false, 2).unwrap();
    std::thread::scope(|scope| {
        let followed = scope.spawn(move || calls(follower.take(102)));
        append_all(&journal, 10..110);
        assert_eq!(followed.join().unwrap(), records(8..110));
    });
    assert_eq!(calls(fixed), records(8..10), "as of when it was asked for");
}

#[test]
fn a_journal_that_does_not_exist_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(calls(tail(directory.path().join("none"), false, 3).unwrap()), []);
    assert_eq!(calls(search(directory.path().join("none"), Filters::default()).unwrap()), []);
}

#[test]
fn every_filter_filters() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    let mut all = records(0..6);
    all[1].record_type = RecordType::Event;
    all[2].calling_party.subscriber_id = Some("1001".into());
    all[3].calling_party.number = Some("+33155".into());
    all[4].called_party.number = Some("+33155".into());
    all[5].called_party.dialled_number = "33155".into();
    all[5].record_type = RecordType::Event;
    for record in &all {
        append(&journal, record).unwrap();
    }
    let none = Filters::default;
    let number = |text: &str| Some(Number::from(text));
    let rows: [(Filters, &[usize]); 13] = [
        (none(), &[0, 1, 2, 3, 4, 5]),
        (Filters { call_id: Some("call-3".into()), ..none() }, &[3]),
        (Filters { call_id: Some("call-".into()), ..none() }, &[]),
        (Filters { session_id: Some("k1/7/4".into()), ..none() }, &[4]),
        (Filters { account: number("1001"), ..none() }, &[2]),
        (Filters { account: number("+4930123456"), ..none() }, &[]),
        (Filters { record_types: vec![RecordType::Event], ..none() }, &[1, 5]),
        (Filters { number: number("+33155"), ..none() }, &[3, 4, 5]),
        (Filters { number: number("4930123456"), ..none() }, &[0, 1, 2, 4, 5]),
        (Filters { since: Some(UtcMs(4000)), ..none() }, &[4, 5]),
        (Filters { until: Some(UtcMs(4000)), ..none() }, &[0, 1, 2, 3]),
        (Filters { since: Some(UtcMs(1001)), until: Some(UtcMs(3001)), ..none() }, &[2, 3]),
        (Filters { number: number("33155"), record_types: vec![RecordType::Event], ..none() }, &[5]),
    ];
    for (filters, expected) in rows {
        let found = calls(search_on(Arc::new(disk.clone()), filters.clone()).unwrap());
        let expected: Vec<_> = expected.iter().map(|index| all[*index].clone()).collect();
        assert_eq!(found, expected, "{filters:?}");
    }
}

#[test]
fn of_two_records_with_one_id_the_first_is_shown() {
    let disk = FaultStorage::new();
    let (journal, _) = open(&disk, JournalOptions { recent_ids: 0, ..options() }).unwrap();
    append_all(&journal, 0..2);
    let mut again = record(0);
    again.reconstructed = true;
    again.call_id = "other".into();
    assert_eq!(append(&journal, &again).unwrap().index(), 2, "stored twice, without the filter");
    let mut found = tail_on(Arc::new(disk.clone()), false, 10).unwrap();
    assert_eq!(calls(found.by_ref()), records(0..2));
    assert_eq!(found.duplicates(), 1);
    let by_other = Filters { call_id: Some("other".into()), ..Filters::default() };
    assert_eq!(calls(search_on(Arc::new(disk), by_other).unwrap()), [], "also when only the second one matches");
}

#[test]
fn damage_and_strangers_are_passed_by_and_counted() {
    let disk = FaultStorage::new();
    let (mut log, _) = segment_log::Log::open(Arc::new(disk.clone()), segment_log::Options::default()).unwrap();
    for payload in
        [&record(0).to_json().unwrap()[..], b"{}", &record(1).to_json().unwrap()[..], &record(2).to_json().unwrap()[..]]
    {
        log.append(payload).unwrap();
    }
    log.commit().unwrap();
    drop(log);
    assert!(disk.flip("00000000000000000000.seg", 100, 1), "in the first record");
    let mut found = search_on(Arc::new(disk), Filters::default()).unwrap();
    assert_eq!(calls(found.by_ref()), records(1..3));
    assert_eq!((found.damaged(), found.undecodable(), found.duplicates()), (1, 1, 0));
}
