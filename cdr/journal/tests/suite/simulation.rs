//! Seeded lives of a journal: appends, deliveries, upkeep, every kind of disk error, full disks, crashes, reopenings, in any order.
//! Callers behave as agents do: of each call one record after the other, and again whatever they were not told is taken.
//!
//! What must hold: nothing acknowledged is missing, nothing is stored twice, the records of a call keep their order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cdr_journal::{Archive, Journal, JournalOptions, Shipping};
use cdr_model::{CallRecord, RecordType};
use segment_log::fault::{Crash, Failure, FaultStorage};
use segment_log::{Operation, Storage};
use types::{ConfigDuration, ErrorClass, UtcMs};

use crate::support::{append, lines, open, options, record, ship, ship_all};

const CALLS: usize = 5;
const STEPS: usize = 200;
const BEGIN_MS: i64 = 1_795_309_600_000;

struct Random(u64);

impl Random {
    /// splitmix64, below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A journal's process and its disk.
struct Life {
    random: Random,
    disk: FaultStorage,
    journal: Option<Journal>,
    shipping: Option<Shipping>,
    /// The next record of each call, as its caller sees it.
    next: [u32; CALLS],
    /// Calls whose latest record was not acknowledged: they come again, and soon.
    unsettled: Vec<usize>,
    acknowledged: BTreeSet<(u32, u32)>,
    now: UtcMs,
}

fn of_call(call: u32, sequence: u32) -> CallRecord {
    let mut record = record(call);
    record.record_sequence = sequence;
    record.record_id = CallRecord::make_id(&record.session_id, RecordType::Interim, sequence);
    record.record_type = RecordType::Interim;
    record
}

fn keeping() -> JournalOptions {
    JournalOptions {
        sinks: vec!["lines".to_owned()],
        keep_days: 2,
        archive: Archive::Gzip,
        segment_age: ConfigDuration::from_s(3600),
        recent_ids: 24,
        ..options()
    }
}

impl Life {
    fn new(seed: u64) -> Self {
        let (disk, now) = (FaultStorage::new(), UtcMs(BEGIN_MS));
        let life = Self {
            random: Random(seed),
            disk,
            journal: None,
            shipping: None,
            next: [0; CALLS],
            unsettled: Vec::new(),
            acknowledged: BTreeSet::new(),
            now,
        };
        life.disk.set_time(Duration::from_millis(BEGIN_MS.unsigned_abs()));
        life
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..9 => self.append(),
            9..12 => self.deliver(),
            12 | 13 => self.pass_time(),
            14 => self.fail_once(),
            15 => self.fail_for_long(),
            16 => self.fill(),
            17 => self.heal(),
            18 => self.crash(),
            _ => self.restart(),
        }
        if let Some(journal) = &self.journal
            && journal.has_stopped()
        {
            // As the journal's own thread does; it works or is tried again.
            drop(journal.recover());
        }
    }

    fn append(&mut self) {
        let Some(journal) = &self.journal else { return self.restart() };
        let call = match self.unsettled.first() {
            Some(call) if self.random.below(4) > 0 => *call,
            _ => self.random.below(CALLS),
        };
        let (sequence, number) = (self.next[call], u32::try_from(call).unwrap());
        if append(journal, &of_call(number, sequence)).is_ok() {
            self.acknowledged.insert((number, sequence));
            self.next[call] += 1;
            self.unsettled.retain(|unsettled| *unsettled != call);
        } else if !self.unsettled.contains(&call) {
            self.unsettled.push(call);
        }
    }

    fn deliver(&mut self) {
        let (Some(journal), disk) = (&self.journal, &self.disk) else { return };
        let Some(mut shipping) = self.shipping.take().or_else(|| ship(journal, disk).ok()) else { return };
        let outcome = shipping.step();
        if !outcome.is_err_and(|error| error.class() != ErrorClass::Retry) {
            self.shipping = Some(shipping);
        }
    }

    fn pass_time(&mut self) {
        let hours = 1 + self.random.below(20);
        self.now = self.now.plus(u64::try_from(hours).unwrap() * 3_600_000);
        self.disk.set_time(Duration::from_millis(self.now.0.unsigned_abs()));
        if let Some(journal) = &self.journal {
            drop(journal.keep_up(self.now));
        }
    }

    fn fail_once(&mut self) {
        let all = [
            Operation::Write,
            Operation::Sync,
            Operation::SyncDir,
            Operation::Rename,
            Operation::Remove,
            Operation::Create,
            Operation::SetLen,
            Operation::Allocate,
        ];
        let (operation, nth) = (self.random.of(&all), 1 + self.random.below(4));
        let failure = self.random.of(&[Failure::Io, Failure::NoSpace]);
        self.disk.fail_nth(operation, nth, failure);
    }

    fn fail_for_long(&mut self) {
        match self.random.below(3) {
            0 => self.disk.set_read_only(),
            1 => self.disk.fail_all(Operation::Sync, Failure::Io),
            _ => self.disk.fail_all(Operation::Write, Failure::Io),
        }
    }

    fn fill(&mut self) {
        let names = self.disk.list().unwrap_or_default();
        let used: usize = names.iter().filter_map(|name| self.disk.content(name)).map(|content| content.len()).sum();
        self.disk.set_capacity(Some(used + self.random.below(3000)));
    }

    fn heal(&mut self) {
        self.disk.heal();
        self.disk.set_capacity(None);
    }

    fn crash(&mut self) {
        let random = &mut self.random;
        let crash = match random.below(4) {
            0 => Crash::KeepUnsynced,
            1 => Crash::DropUnsynced,
            2 => Crash::Torn { bytes: random.below(2000) },
            _ => Crash::Scattered { seed: random.0, sector_bytes: random.of(&[64, 512, 4096]) },
        };
        self.disk.crash(crash);
        self.restart();
    }

    fn restart(&mut self) {
        (self.shipping, self.journal) = (None, None);
        self.journal = open(&self.disk, keeping()).ok().map(|(journal, _)| journal);
    }

    /// The disk is good again, everybody finishes, and everything is there.
    fn check(mut self, seed: u64) -> usize {
        self.heal();
        self.restart();
        let journal = self.journal.take().expect("a healed disk");
        for call in 0..u32::try_from(CALLS).unwrap() {
            // Two of each, so that what was under way is settled.
            for sequence in self.next[usize::try_from(call).unwrap()]..self.next[usize::try_from(call).unwrap()] + 2 {
                append(&journal, &of_call(call, sequence)).unwrap();
                self.acknowledged.insert((call, sequence));
            }
        }
        ship_all(&mut ship(&journal, &self.disk).unwrap());
        let storage: Arc<dyn Storage> = Arc::new(self.disk.clone());
        let verified = cdr_journal::verify_on(&storage, &mut |_, _| {}).unwrap();
        assert!(verified.is_whole(), "seed {seed}: {verified:?}");
        assert_eq!(verified.duplicates, 0, "seed {seed}");
        let mut calls: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for line in lines(&self.disk) {
            let call = line.call_id.as_str().trim_start_matches("call-").parse().unwrap();
            calls.entry(call).or_default().push(line.record_sequence);
        }
        for (call, sequences) in &calls {
            assert!(
                sequences.iter().copied().eq(0..u32::try_from(sequences.len()).unwrap()),
                "seed {seed}: call {call}"
            );
        }
        let shipped: BTreeSet<_> =
            calls.into_iter().flat_map(|(call, all)| all.into_iter().map(move |sequence| (call, sequence))).collect();
        assert!(
            self.acknowledged.is_subset(&shipped),
            "seed {seed}: lost {:?}",
            self.acknowledged.difference(&shipped)
        );
        self.acknowledged.len()
    }
}

#[test]
fn whatever_happens_nothing_acknowledged_is_lost_or_stored_twice() {
    let seeds = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400).min(20_000);
    let mut acknowledged = 0;
    for seed in 0..seeds {
        let mut life = Life::new(seed);
        (0..STEPS).for_each(|_| life.step());
        acknowledged += life.check(seed);
    }
    // Most lives do get something done.
    assert!(acknowledged > usize::try_from(seeds).unwrap() * 20, "{acknowledged}");
}
