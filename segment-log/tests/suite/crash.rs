//! Random work, stopped at every crash point or at random, with every kind of survival: after recovery there is exactly the
//! acknowledged prefix or more of what was submitted, never a gap, never anything else.

use proptest::prelude::*;
use segment_log::fault::{Crash, FaultStorage};
use segment_log::{Error, Log, Position};

use crate::support::{payload, payloads, reopen};

#[derive(Debug, Clone)]
enum Work {
    Append(usize),
    Commit,
    TruncateFront(u8),
}

/// What must hold, kept beside the log.
#[derive(Debug, Default)]
struct Model {
    /// Every payload submitted at its position; the part beyond `acknowledged` may or may not be there after a crash.
    submitted: Vec<Vec<u8>>,
    acknowledged: usize,
    /// Records below were asked to be removed.
    truncated: u64,
    numbers: usize,
}

impl Model {
    /// Does the work until it is done or the process "dies".
    fn run(&mut self, log: &mut Log, work: &[Work]) {
        for one in work {
            if self.step(log, one).is_err() {
                return;
            }
        }
    }

    fn step(&mut self, log: &mut Log, work: &Work) -> Result<(), Error> {
        match work {
            Work::Append(bytes) => {
                self.numbers += 1;
                let payload = payload(self.numbers, *bytes);
                let position = log.append(&payload)?;
                assert_eq!(position.index(), self.submitted.len() as u64);
                self.submitted.push(payload);
            }
            Work::Commit => {
                let durable = log.commit()?;
                self.acknowledged = usize::try_from(durable.index()).unwrap();
                assert_eq!(self.acknowledged, self.submitted.len());
            }
            Work::TruncateFront(share) => {
                let below = log.durable().index() * u64::from(*share) / 255;
                self.truncated = self.truncated.max(below);
                log.truncate_front(Position::new(below))?;
            }
        }
        Ok(())
    }

    /// After recovery; from here on what was found is what was acknowledged.
    fn check(&mut self, log: &Log, context: &dyn std::fmt::Debug) {
        let first = usize::try_from(log.first().index()).unwrap();
        let next = usize::try_from(log.durable().index()).unwrap();
        assert!(next >= self.acknowledged, "{context:?}: {next} recovered, {} acknowledged", self.acknowledged);
        assert!(next <= self.submitted.len(), "{context:?}");
        assert!(first as u64 <= self.truncated, "{context:?}: removed more than asked");
        assert_eq!(payloads(log), self.submitted[first..next], "{context:?}");
        self.submitted.truncate(next);
        self.acknowledged = next;
    }
}

fn work() -> impl Strategy<Value = Vec<Work>> {
    let one = prop_oneof![
        5 => (1usize..900).prop_map(Work::Append),
        1 => (1usize..40).prop_map(Work::Append),
        3 => Just(Work::Commit),
        1 => any::<u8>().prop_map(Work::TruncateFront),
    ];
    prop::collection::vec(one, 1..40)
}

fn crashes() -> impl Strategy<Value = Crash> {
    prop_oneof![
        Just(Crash::KeepUnsynced),
        Just(Crash::DropUnsynced),
        (0usize..6000).prop_map(|bytes| Crash::Torn { bytes }),
        (any::<u64>(), prop_oneof![Just(8usize), Just(64), Just(512), Just(4096)])
            .prop_map(|(seed, sector_bytes)| Crash::Scattered { seed, sector_bytes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_any_crashes_the_acknowledged_prefix_or_more(
        lives in prop::collection::vec((work(), crashes(), 0usize..120), 1..5)
    ) {
        let disk = FaultStorage::new();
        let mut model = Model::default();
        for (work, crash, point) in &lives {
            // Recovery itself may be what the crash hits.
            disk.crash_at(*point);
            if let Ok((mut log, _)) = crate::support::open(&disk, crate::support::small(segment_log::CorruptPolicy::Refuse)) {
                model.check(&log, &lives);
                model.run(&mut log, work);
            }
            disk.crash(*crash);
        }
        let (mut log, _) = reopen(&disk);
        model.check(&log, &lives);
        model.run(&mut log, &[Work::Append(100), Work::Commit]);
        drop(log);
        disk.crash(Crash::DropUnsynced);
        model.check(&reopen(&disk).0, &lives);
    }
}

/// Rotation, truncation and several batches, as short as they come.
fn eventful() -> Vec<Work> {
    let mut work = Vec::new();
    for round in 0..6 {
        work.extend([Work::Append(600 + round), Work::Append(20), Work::Append(700), Work::Commit]);
    }
    work.extend([Work::TruncateFront(200), Work::Append(30), Work::Commit]);
    work
}

#[test]
fn a_crash_at_every_point_with_every_kind_of_survival() {
    let disk = FaultStorage::new();
    disk.crash_at(usize::MAX);
    let (mut log, _) = reopen(&disk);
    Model::default().run(&mut log, &eventful());
    let trace = disk.trace();
    let names: Vec<String> = trace.iter().map(ToString::to_string).collect();
    for expected in
        ["before write 00000000000000000000.seg", "after fsync 00000000000000000000.seg", "before write MARK"]
    {
        assert!(names.iter().any(|name| name == expected), "{names:?}");
    }
    for (point, name) in names.iter().enumerate() {
        let scattered = (0..8).map(|seed| Crash::Scattered { seed, sector_bytes: 128 });
        for crash in [Crash::KeepUnsynced, Crash::DropUnsynced].into_iter().chain(scattered) {
            let disk = FaultStorage::new();
            disk.crash_at(point);
            let mut model = Model::default();
            if let Ok((mut log, _)) =
                crate::support::open(&disk, crate::support::small(segment_log::CorruptPolicy::Refuse))
            {
                model.run(&mut log, &eventful());
            }
            disk.crash(crash);
            model.check(&reopen(&disk).0, &(name, crash));
        }
    }
}

#[test]
fn a_write_torn_at_every_octet() {
    let work = [Work::Append(30), Work::Commit, Work::Append(20), Work::Append(25), Work::Append(7), Work::Commit];
    let lives = |crash| {
        let disk = FaultStorage::new();
        let (mut log, _) = reopen(&disk);
        let mut model = Model::default();
        model.run(&mut log, &work[..2]);
        // Dies in the last commit, after the write, before the sync.
        disk.crash_at(1);
        model.run(&mut log, &work[2..]);
        drop(log);
        disk.crash(crash);
        let (log, recovered) = reopen(&disk);
        model.check(&log, &crash);
        recovered.next.index()
    };
    let recovered: Vec<u64> = (0..200).map(|bytes| lives(Crash::Torn { bytes })).collect();
    assert!(recovered.is_sorted() && recovered.contains(&1) && recovered.contains(&4), "{recovered:?}");
}
