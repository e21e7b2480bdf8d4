//! Tables for the rules, and random lives of a window before a stream that fails, loses answers, stores late, and is split and merged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn shards(bounds: &[u128]) -> Vec<KeyRange> {
    let lasts = bounds.iter().skip(1).map(|first| first - 1).chain([u128::MAX]);
    let range = |(first, last): (&u128, u128)| KeyRange {
        shard: Some(format!("{first:x}-{last:x}").into()),
        first: *first,
        last,
    };
    bounds.iter().zip(lasts).map(range).collect()
}

const HALF: u128 = 1 << 127;

fn quick() -> Limits {
    Limits { batch_age_ms: 0, ..Limits::default() }
}

fn offered(call: u64, hash_key: u128) -> Offered {
    Offered { call, hash_key, bytes: 1000 }
}

fn stored(request: &Request) -> Outcome {
    Outcome::Answered(vec![Entry::Stored; request.records.len()])
}

#[test]
fn one_record_of_a_call_and_one_request_of_a_lane_at_a_time() {
    let mut lanes = Lanes::new(quick(), shards(&[0, HALF]), 1, MonoMs(0));
    for (call, hash_key) in [(1, 5), (1, 5), (2, 6), (3, HALF), (1, 5), (3, HALF), (4, 7)] {
        lanes.offer(offered(call, hash_key), MonoMs(0));
    }
    let left = lanes.next_request(MonoMs(0)).unwrap();
    let right = lanes.next_request(MonoMs(0)).unwrap();
    assert_eq!((&left.records[..], &right.records[..]), (&[0, 2, 6][..], &[3][..]));
    assert_eq!((lanes.next_request(MonoMs(0)), lanes.wake(MonoMs(0))), (None, None));
    lanes.accept(left.id, Outcome::Answered(vec![Entry::Failed, Entry::Stored, Entry::Stored]), MonoMs(0));
    assert_eq!(lanes.take_stored(), 0, "the front is not stored, whatever else is");
    lanes.offer(offered(5, 8), MonoMs(0));
    let again = lanes.next_request(MonoMs(0)).unwrap();
    assert_eq!((&again.records[..], again.retried, again.possible_duplicates), (&[0, 7][..], 1, 0));
    lanes.accept(again.id, stored(&again), MonoMs(0));
    assert_eq!((lanes.take_stored(), lanes.first()), (1, 1));
    let next = lanes.next_request(MonoMs(0)).unwrap();
    assert_eq!(next.records, [1], "the second record of call 1, now that the first is stored");
    lanes.accept(next.id, stored(&next), MonoMs(0));
    assert_eq!(lanes.take_stored(), 2, "as far as the record that is on its way in the other lane");
}

#[test]
fn a_lost_answer_repeats_the_request_and_counts_what_may_be_there_twice() {
    let short = Outcome::Answered(vec![Entry::Stored]);
    for (what, outcome, duplicates) in [
        ("lost", Outcome::Lost, 2),
        ("answer of another length", short, 2),
        ("throttled", Outcome::Throttled, 0),
        ("rejected", Outcome::Rejected(ErrorClass::Retry), 0),
    ] {
        let mut lanes = Lanes::new(quick(), vec![KeyRange::all()], 1, MonoMs(0));
        lanes.offer(offered(1, 1), MonoMs(0));
        lanes.offer(offered(2, 2), MonoMs(0));
        let request = lanes.next_request(MonoMs(0)).unwrap();
        lanes.accept(request.id, outcome, MonoMs(0));
        lanes.accept(request.id, stored(&request), MonoMs(0));
        assert_eq!(lanes.take_stored(), 0, "{what}: an answer counts once");
        let wake = lanes.wake(MonoMs(0)).unwrap();
        assert!((50..=100).contains(&wake.0), "{what}: a jittered pause, {wake:?}");
        assert_eq!(lanes.next_request(MonoMs(wake.0 - 1)), None, "{what}");
        let again = lanes.next_request(wake).unwrap();
        assert_eq!((again.records, again.retried, again.possible_duplicates), (vec![0, 1], 2, duplicates), "{what}");
    }
}

#[test]
fn pauses_double_up_to_the_longest_and_refusals_wait_that_at_once() {
    let mut lanes = Lanes::new(quick(), vec![KeyRange::all()], 1, MonoMs(0));
    lanes.offer(offered(1, 1), MonoMs(0));
    let mut now = MonoMs(0);
    let (retry, refused) = (Outcome::Rejected(ErrorClass::Retry), Outcome::Rejected(ErrorClass::Refused));
    let rows = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000].map(|longest| (&retry, longest));
    for (outcome, longest) in rows.into_iter().chain([(&refused, 10_000)]) {
        let request = lanes.next_request(now).unwrap();
        lanes.accept(request.id, outcome.clone(), now);
        let wake = lanes.wake(now).unwrap();
        assert!((longest / 2..=longest).contains(&wake.since(now)), "{longest}: {}", wake.since(now));
        now = wake;
    }
    let request = lanes.next_request(now).unwrap();
    lanes.accept(request.id, stored(&request), now);
    lanes.offer(offered(1, 1), now);
    let request = lanes.next_request(now).unwrap();
    lanes.accept(request.id, refused, now);
    assert!(lanes.wake(now).unwrap().since(now) >= 5000, "somebody has to mend it");
}

#[test]
fn a_short_batch_waits_its_age_and_a_full_one_does_not() {
    let limits = Limits { batch_records: 3, batch_age_ms: 50, ..Limits::default() };
    let mut lanes = Lanes::new(limits, vec![KeyRange::all()], 1, MonoMs(0));
    lanes.offer(offered(1, 1), MonoMs(10));
    lanes.offer(offered(2, 1), MonoMs(30));
    assert_eq!((lanes.next_request(MonoMs(59)), lanes.wake(MonoMs(59))), (None, Some(MonoMs(60))));
    assert_eq!(lanes.next_request(MonoMs(60)).unwrap().records, [0, 1]);
    let mut full = Lanes::new(lanes.limits.clone(), vec![KeyRange::all()], 1, MonoMs(0));
    for call in 0..4 {
        full.offer(offered(call, 1), MonoMs(10));
    }
    let request = full.next_request(MonoMs(10)).unwrap();
    assert_eq!(request.records, [0, 1, 2]);
    full.accept(request.id, stored(&request), MonoMs(10));
    assert_eq!(full.next_request(MonoMs(11)), None);
    full.ending();
    assert_eq!(full.next_request(MonoMs(11)).unwrap().records, [3], "nothing else will come");
}

#[test]
fn requests_keep_the_limits_of_the_call_and_of_the_shard() {
    let limits = Limits { batch_bytes: 2500, ..quick() };
    let mut lanes = Lanes::new(limits, vec![KeyRange::all()], 1, MonoMs(0));
    for (call, bytes) in [(1, 1000), (2, 1000), (3, 1000), (4, 9000), (5, 10)] {
        lanes.offer(Offered { call, hash_key: 1, bytes }, MonoMs(0));
    }
    for records in [&[0, 1][..], &[2], &[3], &[4]] {
        let request = lanes.next_request(MonoMs(0)).unwrap();
        assert_eq!(request.records, records);
        lanes.accept(request.id, stored(&request), MonoMs(0));
    }
    // A shard's rate: the burst, and then what the limit brings; nine seconds of it.
    let mut lanes = Lanes::new(quick(), shards(&[0]), 1, MonoMs(0));
    for call in 0..20_000 {
        lanes.offer(offered(call, 1), MonoMs(0));
    }
    let mut sent = 0;
    for ms in 0..9000 {
        while let Some(request) = lanes.next_request(MonoMs(ms)) {
            assert!(request.records.len() <= 500);
            sent += request.records.len();
            lanes.accept(request.id, stored(&request), MonoMs(ms));
        }
        assert!(sent <= 900 + usize::try_from(ms).unwrap(), "{sent} at {ms}");
    }
    assert!(sent >= 900 + 8900, "{sent}: not a tenth of a second's worth is given away");
}

#[test]
fn throttled_entries_slow_the_lane_and_no_other() {
    let mut lanes = Lanes::new(quick(), shards(&[0, HALF]), 1, MonoMs(0));
    for call in 0..2000 {
        lanes.offer(offered(call, u128::from(call % 2) * HALF), MonoMs(0));
    }
    let left = lanes.next_request(MonoMs(0)).unwrap();
    let mut entries = vec![Entry::Stored; left.records.len()];
    entries[10] = Entry::Throttled;
    lanes.accept(left.id, Outcome::Answered(entries), MonoMs(0));
    let right = lanes.next_request(MonoMs(0)).unwrap();
    assert_eq!(right.range.first, HALF);
    assert_eq!(lanes.next_request(MonoMs(50)), None, "its bucket is empty, whatever we thought");
    let again = lanes.next_request(MonoMs(101)).unwrap();
    assert_eq!((again.range.first, again.records[0], again.retried), (0, 20, 1));
}

#[test]
fn new_ranges_wait_for_the_answers_and_records_move_with_their_order() {
    let mut lanes = Lanes::new(quick(), shards(&[0]), 1, MonoMs(0));
    for (call, hash_key) in [(1, 0), (1, 0), (2, HALF), (3, HALF + 1)] {
        lanes.offer(offered(call, hash_key), MonoMs(0));
    }
    let old = lanes.next_request(MonoMs(0)).unwrap();
    lanes.relane(shards(&[0, HALF]));
    lanes.offer(offered(4, HALF + 2), MonoMs(0));
    assert_eq!((lanes.next_request(MonoMs(0)), lanes.wake(MonoMs(0))), (None, None), "one is not answered");
    lanes.accept(old.id, Outcome::Answered(vec![Entry::Stored, Entry::Failed, Entry::Stored]), MonoMs(0));
    let left = lanes.next_request(MonoMs(0)).unwrap();
    let right = lanes.next_request(MonoMs(0)).unwrap();
    assert_eq!((&left.records[..], &right.records[..]), (&[1][..], &[2, 4][..]));
    assert_eq!(lanes.ranges().count(), 2);
}

/// One thing that happens. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Op {
    Offer {
        call: u64,
    },
    Park,
    Pass {
        ms: u64,
    },
    Send,
    Answer {
        which: usize,
        pattern: u64,
    },
    Fail {
        which: usize,
        kind: u8,
    },
    /// No answer, but it was stored, now or later.
    LoseStored {
        which: usize,
        late: bool,
    },
    StoreLate,
    Reshard {
        bounds: Vec<u8>,
    },
    Learn,
    Cut,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0_u64..7).prop_map(|call| Op::Offer { call }),
        1 => Just(Op::Park),
        4 => (0_u64..300).prop_map(|ms| Op::Pass { ms }),
        6 => Just(Op::Send),
        5 => (any::<usize>(), any::<u64>()).prop_map(|(which, pattern)| Op::Answer { which, pattern }),
        2 => (any::<usize>(), 0_u8..4).prop_map(|(which, kind)| Op::Fail { which, kind }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, late)| Op::LoseStored { which, late }),
        1 => Just(Op::StoreLate),
        1 => proptest::collection::vec(any::<u8>(), 0..4).prop_map(|bounds| Op::Reshard { bounds }),
        1 => Just(Op::Learn),
        3 => Just(Op::Cut),
    ]
}

/// The stream, the sink's view of it, and what must hold.
struct Life {
    lanes: Lanes,
    now: MonoMs,
    calls: BTreeMap<u64, u64>,
    parked: BTreeSet<u64>,
    flying: Vec<Request>,
    /// What arrived, in the order of arrival, with repetitions.
    stream: Vec<u64>,
    late: Vec<Vec<u64>>,
    acknowledged: BTreeSet<u64>,
    bounds: Vec<u128>,
    offered: u64,
    cut: u64,
    most: usize,
}

impl Life {
    fn new(limits: Limits) -> Self {
        let most = limits.batch_records;
        Self {
            lanes: Lanes::new(limits, shards(&[0, HALF]), 7, MonoMs(0)),
            now: MonoMs(0),
            calls: BTreeMap::new(),
            parked: BTreeSet::new(),
            flying: Vec::new(),
            stream: Vec::new(),
            late: Vec::new(),
            acknowledged: BTreeSet::new(),
            bounds: vec![0, HALF],
            offered: 0,
            cut: 0,
            most,
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Offer { call } => {
                // Calls of one hash key and of several, near and far.
                let hash_key = u128::from(call) << 125;
                self.lanes.offer(Offered { call, hash_key, bytes: 100 + call }, self.now);
                self.calls.insert(self.offered, call);
                self.offered += 1;
            }
            Op::Park => {
                self.lanes.pass_by(self.now);
                self.parked.insert(self.offered);
                self.offered += 1;
            }
            Op::Pass { ms } => self.now = self.now.plus(ms),
            Op::Send => {
                if let Some(request) = self.lanes.next_request(self.now) {
                    self.check(&request);
                    self.flying.push(request);
                }
            }
            Op::Answer { which, pattern } => {
                let Some(request) = self.land(which) else { return };
                let entry = |at: usize| match (pattern >> (2 * (at % 32))) & 3 {
                    0 => Entry::Throttled,
                    1 => Entry::Failed,
                    _ => Entry::Stored,
                };
                let entries: Vec<_> = (0..request.records.len()).map(entry).collect();
                for (record, entry) in request.records.iter().zip(&entries) {
                    if *entry == Entry::Stored {
                        self.stream.push(*record);
                        self.acknowledged.insert(*record);
                    }
                }
                self.lanes.accept(request.id, Outcome::Answered(entries), self.now);
            }
            Op::Fail { which, kind } => {
                let Some(request) = self.land(which) else { return };
                let outcome = match kind {
                    0 => Outcome::Lost,
                    1 => Outcome::Throttled,
                    2 => Outcome::Rejected(ErrorClass::Retry),
                    _ => Outcome::Rejected(ErrorClass::Refused),
                };
                self.lanes.accept(request.id, outcome, self.now);
            }
            Op::LoseStored { which, late } => {
                let Some(request) = self.land(which) else { return };
                if late {
                    self.late.push(request.records)
                } else {
                    self.stream.extend(request.records)
                }
                self.lanes.accept(request.id, Outcome::Lost, self.now);
            }
            Op::StoreLate => {
                if let Some(records) = self.late.pop() {
                    self.stream.extend(records);
                }
            }
            Op::Reshard { bounds } => {
                let mut firsts: Vec<u128> = bounds.into_iter().map(|bound| u128::from(bound) << 120).collect();
                firsts.push(0);
                firsts.sort_unstable();
                firsts.dedup();
                self.bounds = firsts;
            }
            Op::Learn => self.lanes.relane(shards(&self.bounds)),
            Op::Cut => self.cut(),
        }
    }

    fn land(&mut self, which: usize) -> Option<Request> {
        (!self.flying.is_empty()).then(|| self.flying.remove(which % self.flying.len()))
    }

    fn check(&self, request: &Request) {
        let overlaps =
            |other: &Request| other.range.first <= request.range.last && request.range.first <= other.range.last;
        assert!(!self.flying.iter().any(overlaps), "two requests for one range: {request:?} {:?}", self.flying);
        assert!((1..=self.most).contains(&request.records.len()));
        let mut calls = BTreeSet::new();
        for record in &request.records {
            let call = self.calls[record];
            assert!(calls.insert(call), "two records of one call in {request:?}");
            let mut before = self.calls.range(..record).filter(|(_, other)| **other == call);
            assert!(before.all(|(earlier, _)| self.acknowledged.contains(earlier)), "{record} overtakes");
            assert!(!self.acknowledged.contains(record), "{record} was acknowledged before");
        }
    }

    fn cut(&mut self) {
        let reported = u64::try_from(self.lanes.take_stored()).unwrap();
        for record in self.cut..self.cut + reported {
            assert!(
                self.acknowledged.contains(&record) || self.parked.contains(&record),
                "{record} was not acknowledged"
            );
        }
        self.cut += reported;
        let next = self.cut;
        let held = next == self.offered || !(self.acknowledged.contains(&next) || self.parked.contains(&next));
        assert!(held, "{next} is there and was not reported");
        assert_eq!((self.lanes.first(), self.lanes.len()), (next, usize::try_from(self.offered - next).unwrap()));
    }

    /// The stream is well again: everything arrives soon.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            while !self.flying.is_empty() {
                self.run(Op::Answer { which: 0, pattern: u64::MAX });
            }
            self.run(Op::Send);
            if self.flying.is_empty() {
                self.cut();
                match self.lanes.wake(self.now) {
                    Some(then) => self.now = then.max(self.now.plus(1)),
                    None => break,
                }
            }
        }
        assert_eq!((self.cut, self.lanes.all_stored(), self.lanes.is_empty()), (self.offered, true, true));
        self.stream.extend(std::mem::take(&mut self.late).into_iter().flatten());
    }

    /// What a consumer has after it dropped repetitions.
    fn check_stream(&self) {
        let mut seen = BTreeSet::new();
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        for record in self.stream.iter().filter(|record| seen.insert(**record)) {
            let call = self.calls[record];
            let before = last.insert(call, *record);
            assert!(before.is_none_or(|before| before < *record), "call {call}: {record} after {before:?}");
        }
        assert_eq!(seen.len(), self.calls.len(), "every record arrived");
    }
}

proptest! {
    #[test]
    fn every_record_arrives_in_the_order_of_its_call_and_the_front_never_passes_a_gap(
        ops in proptest::collection::vec(op(), 1..250),
        batch_records in 1_usize..6,
        requests in 1_usize..4,
    ) {
        let limits = Limits { batch_records, batch_age_ms: 20, requests, backoff_max_ms: 500, ..Limits::default() };
        let mut life = Life::new(limits);
        for op in ops {
            life.run(op);
        }
        life.finish();
        life.check_stream();
    }
}

#[test]
fn a_record_of_an_unknown_range_goes_to_the_nearest_lane() {
    let range = |first, last| KeyRange { shard: Some(Arc::from("s")), first, last };
    let mut lanes = Lanes::new(quick(), vec![range(10, 20), range(21, 30)], 1, MonoMs(0));
    for hash_key in [0, u128::MAX] {
        lanes.offer(offered(u64::try_from(hash_key >> 127).unwrap(), hash_key), MonoMs(0));
    }
    let sent: Vec<_> =
        std::iter::from_fn(|| lanes.next_request(MonoMs(0))).map(|request| request.range.first).collect();
    assert_eq!(sent, [10, 21]);
}
