//! The process, or the machine, stops before and after every write, fsync and rename of journal and checkpoint, and before and after
//! every send. The lanes are the sink's own; only the wire is replaced, by a stream in memory that outlives the crash.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};

use cdr_journal::{
    Delivered, Journal, JournalEntry, JournalSource, Operation, Shipping, Sink, SinkError, Step, Storage,
};
use cdr_model::CallRecord;
use cdr_shipping::kinesis::KeyRange;
use cdr_shipping::kinesis::lanes::{Entry, Lanes, Limits, Offered, Outcome};
use segment_log::fault::{Crash, FaultStorage};
use types::MonoMs;

use crate::double::Stored;
use crate::journal::{append, at_once, check, open};

const RECORDS: u32 = 18;
const CALLS: u32 = 4;
const HALF: u128 = 1 << 127;

type Stream = Arc<Mutex<Vec<Vec<u8>>>>;

struct LanesOnly {
    disk: FaultStorage,
    stream: Stream,
    lanes: Lanes,
    taken_in: usize,
    now: MonoMs,
    sent: usize,
}

impl LanesOnly {
    fn new(disk: &FaultStorage, stream: &Stream) -> Self {
        let half = |name: &str, first, last| KeyRange { shard: Some(name.into()), first, last };
        let ranges = vec![half("a", 0, HALF - 1), half("b", HALF, u128::MAX)];
        let limits = Limits { batch_records: 3, batch_age_ms: 0, backoff_max_ms: 100, ..Limits::default() };
        let lanes = Lanes::new(limits, ranges, 1, MonoMs(0));
        let (disk, stream) = (disk.clone(), Arc::clone(stream));
        Self { disk, stream, lanes, taken_in: 0, now: MonoMs(0), sent: 0 }
    }

    /// Names a point at which the process may stop.
    fn point(&self, name: &str) -> Result<(), SinkError> {
        let file = self.disk.path(name);
        let created = self.disk.create(name).map(drop);
        created.map_err(|source| SinkError::Io { operation: Operation::Create, file, source })
    }
}

impl Sink for LanesOnly {
    fn name(&self) -> &str {
        "lanes"
    }

    fn resume(&mut self, _: Option<&str>) -> Result<String, SinkError> {
        Ok(String::new())
    }

    fn deliver(&mut self, window: &[JournalEntry]) -> Result<Delivered, SinkError> {
        self.now = self.now.plus(200);
        for entry in &window[self.taken_in..] {
            let record = CallRecord::from_json(&entry.json).unwrap();
            let mut call = DefaultHasher::new();
            record.call_id.hash(&mut call);
            let hash_key = cdr_shipping::kinesis::hash_key(record.call_id.as_str());
            self.lanes.offer(Offered { call: call.finish(), hash_key, bytes: 100 }, self.now);
            self.taken_in += 1;
        }
        while let Some(request) = self.lanes.next_request(self.now) {
            self.sent += 1;
            self.point("sending")?;
            // Each third request fails in part, each fifth is stored and its answer lost.
            let stored = |at: usize| !self.sent.is_multiple_of(3) || at.is_multiple_of(2);
            let mut entries = Vec::new();
            for (at, record) in request.records.iter().enumerate() {
                if stored(at) {
                    let index = usize::try_from(record - self.lanes.first()).unwrap();
                    self.stream.lock().unwrap().push(window[index].json.clone());
                }
                entries.push(if stored(at) { Entry::Stored } else { Entry::Failed });
            }
            let outcome = if self.sent.is_multiple_of(5) { Outcome::Lost } else { Outcome::Answered(entries) };
            self.point("sent")?;
            self.lanes.accept(request.id, outcome, self.now);
        }
        let entries = self.lanes.take_stored();
        self.taken_in -= entries;
        Ok(Delivered { entries, state: String::new() })
    }
}

fn ship(journal: &Journal, disk: &FaultStorage, stream: &Stream) -> Option<Shipping> {
    let sink = Box::new(LanesOnly::new(disk, stream));
    Shipping::start(JournalSource::of(journal), Arc::new(disk.clone()), sink, at_once()).ok()
}

/// Writes records and ships them as they come. After a failure nothing is touched any more, as by a process that is dead.
fn work(disk: &FaultStorage, stream: &Stream) {
    let options = cdr_journal::JournalOptions {
        segment_bytes: 4096,
        reserve_bytes: 0,
        space_interval: types::ConfigDuration::from_ms(0),
        ..cdr_journal::JournalOptions::default()
    };
    let opened = Journal::open_on(Arc::new(disk.clone()), Arc::new(|| Ok(u64::MAX)), options);
    let Ok((journal, _)) = opened else { return };
    let Some(mut shipping) = ship(&journal, disk, stream) else { return };
    for n in 0..RECORDS {
        let (answer, answered) = std::sync::mpsc::channel();
        let queued = journal.append(&crate::journal::record(n, CALLS), move |outcome| drop(answer.send(outcome)));
        if queued.is_err() || !matches!(answered.recv(), Ok(Ok(_))) {
            return;
        }
        if n % 3 == 2 && shipping.step().is_err() {
            return;
        }
    }
    while let Ok(step) = shipping.step() {
        if step == Step::Idle {
            return;
        }
    }
}

fn lines(stream: &Stream) -> Vec<Stored> {
    let stored = |data: &Vec<u8>| Stored { shard: String::new(), key: String::new(), data: data.clone() };
    stream.lock().unwrap().iter().map(stored).collect()
}

#[test]
fn a_crash_anywhere_loses_nothing_keeps_the_order_and_the_checkpoint_passes_no_gap() {
    let (disk, stream) = (FaultStorage::new(), Stream::default());
    work(&disk, &stream);
    check(&lines(&stream), RECORDS, CALLS);
    let trace = disk.trace();
    for name in ["sending", "sent", "lanes.checkpoint"] {
        for after in [false, true] {
            assert!(trace.iter().any(|point| point.file == name && point.after == after), "{name} {after}");
        }
    }
    for (number, point) in trace.iter().enumerate() {
        for crash in [Crash::KeepUnsynced, Crash::DropUnsynced, Crash::Scattered { seed: 1, sector_bytes: 512 }] {
            let (disk, stream) = (FaultStorage::new(), Stream::default());
            disk.crash_at(number);
            work(&disk, &stream);
            disk.crash(crash);

            let journal = open(&disk);
            let arrived: BTreeSet<_> = stream.lock().unwrap().iter().cloned().collect();
            let mut shipping = ship(&journal, &disk, &stream).unwrap();
            for n in 0..u32::try_from(shipping.checkpoint().index()).unwrap() {
                let json = crate::journal::record(n, CALLS).to_json().unwrap();
                assert!(arrived.contains(&json), "the checkpoint passed record {n}, {crash:?} {point}");
            }
            // The callers come again with what they were not told is taken.
            append(&journal, 0..RECORDS, CALLS);
            loop {
                if shipping.step().unwrap() == Step::Idle {
                    break;
                }
            }
            check(&lines(&stream), RECORDS, CALLS);
            assert_eq!(shipping.checkpoint().index(), u64::from(RECORDS), "{crash:?} {point}");
        }
    }
}
