//! What a sink may see, and how the window moves under a sink that takes its time.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use cdr_journal::{
    Delivered, Filters, JournalEntry, JournalSource, ShipperOptions, Shipping, Sink, SinkCounters, SinkError, Step,
    View,
};
use cdr_model::{CallRecord, RecordType};
use segment_log::fault::{CrashPoint, FaultStorage};
use segment_log::{Operation, Storage};
use types::{ConfigDuration, Number};

use crate::support::{append, append_all, at_once, record, reopen, ship_all};

/// Takes as many as it may at each call, and keeps all windows it was offered.
struct Slow {
    taking: Vec<usize>,
    windows: Arc<Mutex<Vec<Vec<JournalEntry>>>>,
    counters: Arc<SinkCounters>,
}

impl Sink for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn keep_beside(&mut self, checkpoints: Arc<dyn Storage>) {
        checkpoints.create("slow.kept").unwrap();
    }

    fn resume(&mut self, _: Option<&str>) -> Result<String, SinkError> {
        Ok(String::new())
    }

    fn deliver(&mut self, window: &[JournalEntry]) -> Result<Delivered, SinkError> {
        self.windows.lock().unwrap().push(window.to_vec());
        self.counters.requests.fetch_add(1, Relaxed);
        let entries = if self.taking.is_empty() { window.len() } else { self.taking.remove(0) };
        Ok(Delivered { entries, state: String::new() })
    }

    fn counters(&self) -> Arc<SinkCounters> {
        Arc::clone(&self.counters)
    }
}

type Windows = Arc<Mutex<Vec<Vec<JournalEntry>>>>;

fn slow(taking: Vec<usize>) -> (Box<dyn Sink>, Windows) {
    let windows = Windows::default();
    (Box::new(Slow { taking, windows: Arc::clone(&windows), counters: Arc::default() }), windows)
}

fn positions(window: &[JournalEntry]) -> Vec<u64> {
    window.iter().map(|entry| entry.position.index()).collect()
}

#[test]
fn what_is_not_taken_is_offered_again_in_front_of_what_is_new() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    let (sink, windows) = slow(vec![0, 2, 0, 1]);
    let options = ShipperOptions { window_records: 4, ..at_once() };
    let mut shipping = Shipping::start(JournalSource::of(&journal), Arc::new(disk.clone()), sink, options).unwrap();
    assert!(disk.content("slow.kept").is_some(), "it knows where its checkpoint is");
    append_all(&journal, 0..3);
    assert_eq!(shipping.step().unwrap(), Step::Pending);
    assert_eq!(shipping.counters().oldest_unshipped_ms.load(Relaxed), 0, "record 0 was offered at second 0");
    append_all(&journal, 3..7);
    assert_eq!(shipping.step().unwrap(), Step::Shipped(2));
    assert_eq!(shipping.checkpoint().index(), 2);
    append_all(&journal, 7..8);
    assert_eq!(shipping.step().unwrap(), Step::Pending);
    let counters = Arc::clone(shipping.counters());
    assert_eq!((counters.oldest_unshipped_ms.load(Relaxed), counters.backlog.load(Relaxed)), (2000, 6));
    assert_eq!(shipping.step().unwrap(), Step::Shipped(1));
    assert_eq!(ship_all(&mut shipping), 5);
    let windows: Vec<_> = windows.lock().unwrap().iter().map(|window| positions(window)).collect();
    let offered: [&[u64]; 6] = [&[0, 1, 2], &[0, 1, 2, 3], &[2, 3, 4, 5], &[2, 3, 4, 5], &[3, 4, 5, 6], &[7]];
    assert_eq!(windows, offered, "never more than four");
    assert_eq!((counters.oldest_unshipped_ms.load(Relaxed), counters.backlog.load(Relaxed)), (0, 0));
    assert_eq!(shipping.sink_counters().requests.load(Relaxed), 6);
}

#[test]
fn octets_bound_the_window_too_and_a_large_record_goes_alone() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..5);
    let json_bytes = record(0).to_json().unwrap().len();
    for (window_bytes, offered) in [(1, 1), (json_bytes, 1), (json_bytes + 1, 2), (4 * json_bytes + 1, 5)] {
        let (sink, windows) = slow(Vec::new());
        let options = ShipperOptions { window_bytes, ..at_once() };
        let storage = Arc::new(FaultStorage::new());
        let mut shipping = Shipping::start(JournalSource::of(&journal), storage, sink, options).unwrap();
        assert_eq!(shipping.step().unwrap(), Step::Shipped(offered), "{window_bytes}");
        assert_eq!(windows.lock().unwrap().len(), 1);
    }
}

fn of_type(n: u32, record_type: RecordType) -> CallRecord {
    let record = record(n);
    CallRecord { record_id: CallRecord::make_id(&record.session_id, record_type, 0), record_type, ..record }
}

#[test]
fn a_view_withholds_and_masks_once_and_what_it_withholds_passes_the_checkpoint() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    for n in 0..9 {
        let record_type = if n % 3 == 0 { RecordType::Stop } else { RecordType::Interim };
        append(&journal, &of_type(n, record_type)).unwrap();
    }
    let masked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&masked);
    let mask = move |record: &mut CallRecord| {
        *count.lock().unwrap() += 1;
        record.calling_party.number = Some(Number::from("masked"));
    };
    let view = View::of(Filters { record_types: vec![RecordType::Stop], ..Filters::default() }).masked(mask);
    let (sink, windows) = slow(vec![0, 1, 0, 1]);
    let source = JournalSource::of(&journal).seen_through(view);
    let mut shipping = Shipping::start(source, Arc::new(disk.clone()), sink, at_once()).unwrap();
    assert_eq!(shipping.step().unwrap(), Step::Pending);
    assert_eq!(shipping.checkpoint().index(), 0, "the STOP in front has not arrived");
    assert_eq!(shipping.step().unwrap(), Step::Shipped(1));
    assert_eq!(shipping.checkpoint().index(), 3, "the two INTERIM behind it are not for this sink");
    assert_eq!(ship_all(&mut shipping), 2);
    assert_eq!(shipping.checkpoint().index(), 9);
    assert_eq!(*masked.lock().unwrap(), 3, "each record once, however often it is offered");
    for window in windows.lock().unwrap().iter() {
        for entry in window {
            let n = u32::try_from(entry.position.index()).unwrap();
            let mut expected = of_type(n, RecordType::Stop);
            expected.calling_party.number = Some(Number::from("masked"));
            assert_eq!(CallRecord::from_json(&entry.json).unwrap(), expected);
        }
    }
    // Only records that are not for it: nothing is offered, and yet nothing is read again after a restart.
    append(&journal, &of_type(9, RecordType::Start)).unwrap();
    assert_eq!(shipping.step().unwrap(), Step::Pending);
    assert_eq!(shipping.step().unwrap(), Step::Idle);
    let counters = shipping.counters();
    assert_eq!((shipping.checkpoint().index(), counters.withheld.load(Relaxed)), (10, 7));
    assert_eq!((counters.records.load(Relaxed), counters.backlog.load(Relaxed)), (3, 0));
}

#[test]
fn what_is_no_call_record_reaches_only_a_sink_that_sees_everything() {
    let disk = FaultStorage::new();
    {
        let (mut log, _) = segment_log::Log::open(Arc::new(disk.clone()), segment_log::Options::default()).unwrap();
        log.append(br#"{"recordId":"of a later release","callId":7}"#).unwrap();
        log.append(&record(1).to_json().unwrap()).unwrap();
        log.commit().unwrap();
    }
    let everything = View::default();
    let filtered = View::of(Filters { tenant: Some("example.org".into()), ..Filters::default() });
    let masking = View::default().masked(|_| {});
    for (view, seen, undecodable) in [(everything, vec![0, 1], 0), (filtered, vec![1], 1), (masking, vec![1], 1)] {
        let (sink, windows) = slow(Vec::new());
        let what = format!("{view:?}");
        let (journal, _) = reopen(&disk);
        let source = JournalSource::of(&journal).seen_through(view);
        let mut shipping = Shipping::start(source, Arc::new(FaultStorage::new()), sink, at_once()).unwrap();
        assert_eq!(ship_all(&mut shipping), seen.len(), "{what}");
        assert_eq!(positions(&windows.lock().unwrap()[0]), seen, "{what}");
        assert_eq!(shipping.counters().undecodable.load(Relaxed), undecodable, "{what}");
        assert_eq!(shipping.checkpoint().index(), 2, "{what}");
    }
    let other = View::of(Filters { tenant: Some("example.com".into()), ..Filters::default() });
    let (sink, windows) = slow(Vec::new());
    let (journal, _) = reopen(&disk);
    let source = JournalSource::of(&journal).seen_through(other);
    let mut shipping = Shipping::start(source, Arc::new(FaultStorage::new()), sink, at_once()).unwrap();
    assert_eq!((ship_all(&mut shipping), windows.lock().unwrap().len()), (0, 0));
    assert_eq!(shipping.checkpoint().index(), 2, "damage and strangers do not hold the checkpoint up");
}

#[test]
fn the_checkpoint_is_not_written_for_every_record() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    let (sink, _) = slow(Vec::new());
    let options = ShipperOptions { checkpoint_interval: ConfigDuration::from_s(3600), ..at_once() };
    let mut shipping = Shipping::start(JournalSource::of(&journal), Arc::new(disk.clone()), sink, options).unwrap();
    let written = || {
        let trace = disk.trace();
        let renamed = |point: &&CrashPoint| point.after && point.operation == Operation::Rename;
        trace.iter().filter(renamed).filter(|point| point.file == "slow.checkpoint").count()
    };
    let before = written();
    for n in 0..20 {
        append_all(&journal, n..n + 1);
        assert_eq!(shipping.step().unwrap(), Step::Shipped(1));
    }
    assert_eq!((written(), shipping.checkpoint().index()), (before, 0));
    shipping.save().unwrap();
    shipping.save().unwrap();
    assert_eq!((written(), shipping.checkpoint().index()), (before + 1, 20));
    assert_eq!(shipping.counters().records.load(Relaxed), 20);
}
