//! Sinks, checkpoints, the thread, and what may be removed.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdr_journal::{
    Delivered, JournalEntry, JournalOptions, JournalSource, JsonLinesSink, Position, ShipError, Shipper,
    ShipperOptions, Shipping, Sink, SinkError, Step,
};
use cdr_model::CallRecord;
use segment_log::DirStorage;
use segment_log::fault::FaultStorage;
use types::{ConfigDuration, ErrorClass};

use crate::support::{LINES, append_all, at_once, lines, open, options, record, records, reopen, ship, ship_all};

const LONG: Duration = Duration::from_secs(60);

/// Does as it is told, one answer a batch, then takes everything.
struct Script {
    answers: Vec<Result<usize, ErrorClass>>,
    got: Arc<Mutex<Vec<u64>>>,
}

impl Sink for Script {
    fn name(&self) -> &str {
        "script"
    }

    fn resume(&mut self, state: Option<&str>) -> Result<String, SinkError> {
        Ok(state.unwrap_or("begun").to_owned())
    }

    fn deliver(&mut self, batch: &[JournalEntry]) -> Result<Delivered, SinkError> {
        let answer = if self.answers.is_empty() { Ok(batch.len()) } else { self.answers.remove(0) };
        let entries = answer.map_err(|class| SinkError::Destination { class, source: "no".into() })?;
        self.got.lock().unwrap().extend(batch.iter().take(entries).map(|entry| entry.position.index()));
        Ok(Delivered { entries, state: "going".to_owned() })
    }
}

fn script(answers: Vec<Result<usize, ErrorClass>>) -> (Box<dyn Sink>, Arc<Mutex<Vec<u64>>>) {
    let got = Arc::new(Mutex::new(Vec::new()));
    (Box::new(Script { answers, got: Arc::clone(&got) }), got)
}

#[test]
fn a_commit_wakes_the_shipper_and_closing_ships_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("out/records.jsonl");
    let checkpoints = Arc::new(DirStorage::create_dir(directory.path().join("spool")).unwrap());
    let read = || -> Vec<CallRecord> {
        let content = std::fs::read_to_string(&file).unwrap();
        content.lines().map(|line| CallRecord::from_json(line.as_bytes()).unwrap()).collect()
    };
    for end in [30, 50] {
        let (journal, _) = cdr_journal::Journal::open(directory.path().join("spool"), options()).unwrap();
        let sink = Box::new(JsonLinesSink::open("lines", &file).unwrap());
        // It would not look by itself before the test is long over.
        let options = ShipperOptions { poll: ConfigDuration::from_s(3600), ..ShipperOptions::default() };
        let shipper = Shipper::start(JournalSource::of(&journal), checkpoints.clone(), sink, options).unwrap();
        append_all(&journal, 0..end);
        journal.close().unwrap();
        let shipped = shipper.close(LONG).unwrap();
        assert_eq!((shipped.checkpoint.index(), shipped.backlog), (u64::from(end), 0));
        assert!(!shipper.is_running());
        assert_eq!(read(), records(0..end));
    }
}

#[test]
fn the_shipper_ships_without_being_told_to_end() {
    let (sink, arrived) = {
        struct Passing(std::sync::mpsc::Sender<usize>);
        impl Sink for Passing {
            fn name(&self) -> &str {
                "passing"
            }
            fn resume(&mut self, _: Option<&str>) -> Result<String, SinkError> {
                Ok(String::new())
            }
            fn deliver(&mut self, batch: &[JournalEntry]) -> Result<Delivered, SinkError> {
                self.0.send(batch.len()).unwrap();
                Ok(Delivered { entries: batch.len(), state: String::new() })
            }
        }
        let (sent, arrived) = std::sync::mpsc::channel();
        (Box::new(Passing(sent)), arrived)
    };
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    let options = ShipperOptions { poll: ConfigDuration::from_s(3600), ..ShipperOptions::default() };
    let _shipper = Shipper::start(JournalSource::of(&journal), Arc::new(disk), sink, options).unwrap();
    for n in 0..5 {
        append_all(&journal, n..n + 1);
        assert_eq!(arrived.recv_timeout(LONG), Ok(1), "only a commit can have woken it");
    }
}

#[test]
fn partial_deliveries_and_failures_keep_the_order_and_the_low_water_mark() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..10);
    let (sink, got) = script(vec![Ok(4), Err(ErrorClass::Retry), Ok(0), Ok(1)]);
    let mut shipping = Shipping::start(JournalSource::of(&journal), Arc::new(disk.clone()), sink, at_once()).unwrap();
    assert_eq!(shipping.step().unwrap(), Step::Shipped(4));
    assert_eq!(shipping.checkpoint().index(), 4);
    assert_eq!(shipping.step().unwrap_err().class(), ErrorClass::Retry);
    assert_eq!(shipping.step().unwrap(), Step::Pending, "it took none and says so");
    assert_eq!(shipping.checkpoint().index(), 4);
    assert_eq!(shipping.step().unwrap(), Step::Shipped(1));
    drop(shipping);
    let (sink, rest) = script(Vec::new());
    let options = ShipperOptions { window_records: 2, ..at_once() };
    let mut shipping = Shipping::start(JournalSource::of(&journal), Arc::new(disk.clone()), sink, options).unwrap();
    assert_eq!(shipping.step().unwrap(), Step::Shipped(2), "no more than a window may hold");
    assert_eq!(ship_all(&mut shipping), 3);
    got.lock().unwrap().extend(rest.lock().unwrap().iter());
    assert_eq!(*got.lock().unwrap(), (0..10).collect::<Vec<_>>());
    assert_eq!((shipping.counters().records.load(Relaxed), shipping.counters().backlog.load(Relaxed)), (5, 0));
}

#[test]
fn the_thread_tries_again_until_it_arrives_and_ends_on_a_refusal() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..4);
    let (sink, got) = script(vec![Err(ErrorClass::Retry), Err(ErrorClass::Retry), Ok(1), Err(ErrorClass::Retry)]);
    let shipper = Shipper::start(JournalSource::of(&journal), Arc::new(disk.clone()), sink, at_once()).unwrap();
    assert_eq!(shipper.close(LONG).unwrap().checkpoint.index(), 4);
    assert_eq!(*got.lock().unwrap(), [0, 1, 2, 3]);
    assert_eq!(shipper.counters().failures.load(Relaxed), 3);

    append_all(&journal, 4..5);
    let (sink, _) = script(vec![Err(ErrorClass::Refused)]);
    let shipper = Shipper::start(JournalSource::of(&journal), Arc::new(disk.clone()), sink, at_once()).unwrap();
    let error = shipper.close(LONG).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Refused);
    let (sink, got) = script(Vec::new());
    let shipper = Shipper::start(JournalSource::of(&journal), Arc::new(disk), sink, at_once()).unwrap();
    shipper.close(LONG).unwrap();
    assert_eq!(*got.lock().unwrap(), [4], "the journal kept it");
}

#[test]
fn a_sink_that_fails_for_ever_does_not_hold_up_the_end() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..1);
    let (sink, _) = script(vec![Err(ErrorClass::Retry); 1000]);
    let pause = ConfigDuration::from_s(60);
    let options = ShipperOptions { backoff_min: pause, backoff_max: pause, ..ShipperOptions::default() };
    let shipper = Shipper::start(JournalSource::of(&journal), Arc::new(disk), sink, options).unwrap();
    // It failed once and pauses for a minute.
    while shipper.counters().failures.load(Relaxed) == 0 {
        std::thread::yield_now();
    }
    std::thread::yield_now();
    let told = std::time::Instant::now();
    assert_eq!(shipper.close(Duration::ZERO).unwrap_err().class(), ErrorClass::Retry);
    assert!(told.elapsed() < pause.std() / 2, "the pause was not waited for");
}

#[test]
fn a_checkpoint_that_could_not_be_written_is_written_without_waiting_for_records() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..3);
    let mut shipping = ship(&journal, &disk).unwrap();
    disk.fail_nth(segment_log::Operation::Rename, 1, segment_log::fault::Failure::Io);
    assert!(matches!(shipping.step(), Err(ShipError::Checkpoint { .. })));
    assert_eq!((shipping.checkpoint().index(), shipping.counters().records.load(Relaxed)), (0, 0));
    assert_eq!(shipping.step().unwrap(), Step::Idle);
    assert_eq!((shipping.checkpoint().index(), shipping.counters().records.load(Relaxed)), (3, 3));
    assert_eq!(lines(&disk), records(0..3));
}

#[test]
fn files_that_are_not_as_they_were_left() {
    let disk = FaultStorage::new();
    disk.put(LINES, b"somebody's\n");
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..3);
    let foreign = ship(&journal, &disk).err().unwrap();
    assert!(matches!(foreign, ShipError::Sink { source: SinkError::Foreign { bytes: 11, .. } }), "{foreign}");
    assert_eq!(foreign.class(), ErrorClass::Refused);
    disk.put(LINES, b"");
    ship_all(&mut ship(&journal, &disk).unwrap());
    assert_eq!(lines(&disk), records(0..3));
    // Emptied, or moved away and made anew.
    disk.put(LINES, b"");
    append_all(&journal, 3..5);
    let mut shipping = ship(&journal, &disk).unwrap();
    ship_all(&mut shipping);
    assert_eq!(lines(&disk), records(3..5));
    drop(shipping);
    // Lines that were synced are gone: nobody can tell which.
    disk.put(LINES, b"{}\n");
    let shorter = ship(&journal, &disk).err().unwrap();
    assert!(matches!(shorter, ShipError::Sink { source: SinkError::Shorter { bytes: 3, .. } }), "{shorter}");
}

#[test]
fn checkpoints_that_do_not_fit_are_refused() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..5);
    let mut shipping = ship(&journal, &disk).unwrap();
    ship_all(&mut shipping);
    assert!(matches!(ship(&journal, &disk), Err(ShipError::InUse { .. })));
    drop(shipping);
    // The journal was replaced, the checkpoint was not.
    let other = FaultStorage::new();
    other.put("lines.checkpoint", &disk.content("lines.checkpoint").unwrap());
    let (replaced, _) = reopen(&other);
    append_all(&replaced, 0..4);
    let ahead = ship(&replaced, &other).err().unwrap();
    let (checkpoint, durable) = (Position::new(5), Position::new(4));
    assert!(
        matches!(ahead, ShipError::CheckpointAhead { checkpoint: c, durable: d, .. } if (c, d) == (checkpoint, durable))
    );
    segment_log::write_snapshot(&other, "lines.checkpoint", br#"{"version":2,"position":0,"state":""}"#).unwrap();
    assert!(matches!(ship(&replaced, &other), Err(ShipError::CheckpointForm { .. })));
    let bad = JsonLinesSink::on("../x", Arc::new(other.clone()), LINES);
    let named =
        Shipping::start(JournalSource::of(&replaced), Arc::new(other), Box::new(bad), ShipperOptions::default());
    assert!(matches!(named, Err(ShipError::Name { .. })));
}

#[test]
fn damage_in_the_journal_is_passed_by_and_counted() {
    let disk = FaultStorage::new();
    let (journal, _) = reopen(&disk);
    append_all(&journal, 0..40);
    drop(journal);
    assert!(disk.flip("00000000000000000000.seg", 200, 1), "in the first record");
    let (journal, recovered) = reopen(&disk);
    assert_eq!(recovered.log.next.index(), 40);
    let mut shipping = ship(&journal, &disk).unwrap();
    assert_eq!(ship_all(&mut shipping), 39);
    assert_eq!(shipping.counters().damaged.load(Relaxed), 1);
    assert_eq!(lines(&disk), records(1..40));
}

const NOW: types::UtcMs = types::UtcMs(1_795_309_600_000);

#[test]
fn segments_go_when_every_sink_has_shipped_them() {
    let disk = FaultStorage::new();
    let sinks = vec!["lines".to_owned(), "script".to_owned()];
    let removing = JournalOptions { sinks, keep_days: 0, recent_ids: 100, ..options() };
    let (journal, _) = open(&disk, removing.clone()).unwrap();
    append_all(&journal, 0..600);
    ship_all(&mut ship(&journal, &disk).unwrap());
    journal.keep_up(NOW).unwrap();
    assert_eq!(journal.close().unwrap().index(), 600);
    let (journal, recovered) = open(&disk, removing.clone()).unwrap();
    assert_eq!(recovered.log.first.index(), 0, "the other sink has nothing yet");
    let (sink, got) = script(Vec::new());
    let mut script = Shipping::start(JournalSource::of(&journal), Arc::new(disk.clone()), sink, at_once()).unwrap();
    append_all(&journal, 600..601);
    ship_all(&mut ship(&journal, &disk).unwrap());
    ship_all(&mut script);
    assert_eq!(got.lock().unwrap().len(), 601);
    drop(script);
    journal.keep_up(NOW).unwrap();
    journal.close().unwrap();
    let (journal, recovered) = open(&disk, removing).unwrap();
    let first = recovered.log.first.index();
    // The newest 100 stay for the filter, segments go whole.
    assert!((480..=501).contains(&first), "{first}");
    assert_eq!(recovered.recent_ids, 100);
    assert_eq!(lines(&disk), records(0..601));
    // A new sink begins with what is there, and that is no loss; a sink that is behind has lost something.
    let (storage, source): (Arc<dyn segment_log::Storage>, _) =
        (Arc::new(FaultStorage::new()), JournalSource::of(&journal));
    let (sink, got) = self::script(Vec::new());
    let mut late = Shipping::start(source, Arc::clone(&storage), sink, at_once()).unwrap();
    ship_all(&mut late);
    assert_eq!((got.lock().unwrap().first().copied(), late.counters().removed.load(Relaxed)), (Some(first), 0));
    drop(late);
    let behind = br#"{"version":1,"position":7,"state":""}"#;
    segment_log::write_snapshot(storage.as_ref(), "script.checkpoint", behind).unwrap();
    let (sink, _) = self::script(Vec::new());
    let mut behind = Shipping::start(JournalSource::of(&journal), storage, sink, at_once()).unwrap();
    assert_eq!(u64::try_from(ship_all(&mut behind)).unwrap(), 601 - first);
    assert_eq!(behind.counters().removed.load(Relaxed), first - 7);
    assert_eq!(record(0), lines(&disk)[0]);
}
