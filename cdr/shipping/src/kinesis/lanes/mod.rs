//! Which record goes when: lanes by hash key range, order by call, and the contiguous front of what has arrived. No I/O, no clock.
//!
//! PutRecords keeps no order and fails entry by entry, so order is made here:
//!
//! * A record is *ready* once every earlier record of its call is stored; so no request holds two records of one call, and none overtakes
//!   another, also not across lanes when shards are split or merged.
//! * Each lane (the hash key range of a shard) has at most one request that is not answered. Lanes go side by side.
//! * Entries that failed are ready again at once, ahead of all that came later. After an answer that was lost the whole request is.
//! * New ranges wait until every request is answered.
//!
//! | a record is | until | then |
//! |---|---|---|
//! | blocked | the one before it in its call is stored | ready |
//! | ready | its lane sends it | sent |
//! | sent | answered: stored | stored |
//! | sent | answered: failed or throttled; or the answer is lost | ready |
//! | stored | all before it are stored, or can never be | reported, forgotten |

mod lane;
mod pace;

use std::collections::{HashMap, VecDeque};

use types::{ErrorClass, MonoMs};

use self::lane::{Lane, Readiness};
use super::shards::KeyRange;

/// Bounds of requests and shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Records in one request; at least 1.
    pub batch_records: usize,
    /// Octets of records and partition keys in one request; a larger record goes alone.
    pub batch_bytes: u64,
    /// A record waits so long for others that go with it.
    pub batch_age_ms: u64,
    /// Records a second that a shard takes.
    pub shard_records_per_s: u64,
    /// Octets a second that a shard takes.
    pub shard_bytes_per_s: u64,
    /// Requests not answered, at most; at least 1.
    pub requests: usize,
    /// The first pause of a lane after a request that stored nothing; each further one is twice as long.
    pub backoff_min_ms: u64,
    /// The longest pause.
    pub backoff_max_ms: u64,
}

impl Default for Limits {
    /// The API's 500 records; 4.5 MiB, which every release of the API takes; 1000 records and 1 MiB a second for a shard.
    fn default() -> Self {
        Self {
            batch_records: 500,
            batch_bytes: 4_718_592,
            batch_age_ms: 100,
            shard_records_per_s: 1000,
            shard_bytes_per_s: 1024 * 1024,
            requests: 64,
            backoff_min_ms: 100,
            backoff_max_ms: 10_000,
        }
    }
}

/// A record that joins the window behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    /// Stands for its call: records of one call have the same. Two calls that share one are merely slower.
    pub call: u64,
    /// Of its partition key.
    pub hash_key: u128,
    /// Octets of record and partition key.
    pub bytes: u64,
}

/// A request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names it in [`Lanes::accept`].
    pub id: u64,
    /// The hash key range it is for.
    pub range: KeyRange,
    /// Which records, as numbers since the first [`Lanes::offer`]; ascending. [`Lanes::first`] is the number of the window's front.
    pub records: Vec<u64>,
    /// So many of them were sent before.
    pub retried: u64,
    /// So many of those may have arrived: their answer was lost.
    pub possible_duplicates: u64,
}

/// What became of one record of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It is in the stream.
    Stored,
    /// It came too fast.
    Throttled,
    /// Not stored for another reason.
    Failed,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Each of its records, in its order.
    Answered(Vec<Entry>),
    /// The stream refused all of it because it came too fast.
    Throttled,
    /// Nothing was stored. `Retry`: it may be mended by itself. Otherwise somebody has to do something, so the lane asks rarely.
    Rejected(ErrorClass),
    /// Nobody knows: no answer came.
    Lost,
}

/// The window's records on their way.
#[derive(Debug)]
pub struct Lanes {
    limits: Limits,
    lanes: Vec<Lane>,
    /// From the front on.
    slots: VecDeque<Slot>,
    /// The number of the front.
    first: u64,
    /// The last record of each call that is not stored.
    calls: HashMap<u64, u64>,
    requests: HashMap<u64, Sent>,
    sent: u64,
    /// Ranges that wait for every request to be answered.
    relaning: Option<Vec<KeyRange>>,
    ending: bool,
    random: u64,
}

#[derive(Debug)]
struct Slot {
    call: u64,
    hash_key: u128,
    bytes: u64,
    offered: MonoMs,
    state: State,
    /// The next record of the call.
    next: Option<u64>,
    sent_before: bool,
    answer_lost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Blocked,
    Ready,
    Sent,
    Stored,
}

#[derive(Debug)]
struct Sent {
    lane: usize,
    records: Vec<u64>,
}

impl Lanes {
    /// Lanes for `ranges`, which cover all hash keys in ascending order (see [`KeyRange::all`]). `seed` jitters the pauses.
    #[must_use]
    pub fn new(limits: Limits, ranges: Vec<KeyRange>, seed: u64, now: MonoMs) -> Self {
        let lanes = ranges.into_iter().map(|range| Lane::new(range, &limits, now)).collect();
        Self {
            limits,
            lanes,
            slots: VecDeque::new(),
            first: 0,
            calls: HashMap::new(),
            requests: HashMap::new(),
            sent: 0,
            relaning: None,
            ending: false,
            random: seed,
        }
    }

    /// The number of the window's first record.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Records in the window.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the window is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Requests that are not answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.requests.len()
    }

    /// The ranges of the lanes.
    pub fn ranges(&self) -> impl Iterator<Item = &KeyRange> {
        self.lanes.iter().map(|lane| &lane.range)
    }

    /// No more records may come: what is ready goes without waiting for more.
    pub fn ending(&mut self) {
        self.ending = true;
    }

    /// A record joins the window behind.
    pub fn offer(&mut self, offered: Offered, now: MonoMs) {
        let Offered { call, hash_key, bytes } = offered;
        let record = self.push(Slot::new(offered, State::Blocked, now));
        let before = self.calls.insert(call, record).and_then(|before| self.slot(before));
        match before {
            Some(before) => before.next = Some(record),
            None => {
                if let Some(slot) = self.slot(record) {
                    slot.state = State::Ready;
                }
                if let Some(lane) = self.lane_of(hash_key) {
                    lane.push(record, bytes);
                }
            }
        }
    }

    /// A record that the stream can never take joins the window; it is not sent, and holds nothing up.
    pub fn pass_by(&mut self, now: MonoMs) {
        let nothing = Offered { call: 0, hash_key: 0, bytes: 0 };
        self.push(Slot::new(nothing, State::Stored, now));
    }

    /// The next request that may be sent now; it counts as sent. Call again until there is none.
    pub fn next_request(&mut self, now: MonoMs) -> Option<Request> {
        self.change_lanes(now);
        if self.relaning.is_some() || self.requests.len() >= self.limits.requests.max(1) {
            return None;
        }
        for lane in &mut self.lanes {
            lane.pace.advance(now);
        }
        let may_send = (0..self.lanes.len()).filter(|index| self.readiness(*index, now) == Readiness::Now);
        // The lane that holds up the front the most goes first.
        let index = may_send.min_by_key(|index| self.lanes.get(*index).and_then(Lane::front))?;
        let records = self.take(index)?;
        let mut request =
            Request { id: self.sent, range: KeyRange::all(), records, retried: 0, possible_duplicates: 0 };
        self.sent += 1;
        for record in &request.records {
            let Some(slot) = self.slot(*record) else { continue };
            slot.state = State::Sent;
            request.retried += u64::from(slot.sent_before);
            request.possible_duplicates += u64::from(slot.answer_lost);
            slot.sent_before = true;
        }
        let lane = self.lanes.get_mut(index)?;
        lane.in_flight = true;
        request.range.clone_from(&lane.range);
        self.requests.insert(request.id, Sent { lane: index, records: request.records.clone() });
        Some(request)
    }

    /// What became of a request; ignored when it is not one that waits for an answer. An answer with another number of entries than the
    /// request tells nothing: it counts as lost.
    pub fn accept(&mut self, id: u64, outcome: Outcome, now: MonoMs) {
        let Some(Sent { lane: index, records }) = self.requests.remove(&id) else { return };
        let (mut stored, mut throttled) = (0_u64, 0_u64);
        let entries = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let lost = match &outcome {
            Outcome::Lost => true,
            Outcome::Answered(answers) => answers.len() != records.len(),
            Outcome::Throttled | Outcome::Rejected(_) => false,
        };
        for (at, record) in records.into_iter().enumerate() {
            let entry = match &outcome {
                Outcome::Answered(answers) if !lost => answers.get(at).copied().unwrap_or(Entry::Failed),
                Outcome::Throttled => Entry::Throttled,
                _ => Entry::Failed,
            };
            match entry {
                Entry::Stored => {
                    stored += 1;
                    self.store(record);
                    continue;
                }
                Entry::Throttled => throttled += 1,
                Entry::Failed => {}
            }
            self.again(record, lost);
        }
        let Some(lane) = self.lanes.get_mut(index) else { return };
        lane.in_flight = false;
        if throttled > 0 {
            lane.pace.throttled(throttled, entries);
        }
        match outcome {
            _ if stored > 0 => lane.failures = 0,
            Outcome::Rejected(class) if class != ErrorClass::Retry => {
                lane.pause_longest(&self.limits, now, &mut self.random)
            }
            _ => lane.pause(&self.limits, now, &mut self.random),
        }
    }

    /// Cuts off what is stored at the front, without a gap; returns how many records that are.
    pub fn take_stored(&mut self) -> usize {
        let mut stored = 0;
        while self.slots.front().is_some_and(|slot| slot.state == State::Stored) {
            self.slots.pop_front();
            self.first += 1;
            stored += 1;
        }
        stored
    }

    /// Whether everything in the window is stored.
    #[must_use]
    pub fn all_stored(&self) -> bool {
        // A call is forgotten when its last record is stored.
        self.calls.is_empty()
    }

    /// When there may be something to send, if nothing is accepted or offered before; `None`: not at all.
    #[must_use]
    pub fn wake(&self, now: MonoMs) -> Option<MonoMs> {
        if self.relaning.is_some() || self.requests.len() >= self.limits.requests.max(1) {
            return None;
        }
        let wake = |index| match self.readiness(index, now) {
            Readiness::Now => Some(now),
            Readiness::At(then) => Some(then),
            Readiness::Never => None,
        };
        (0..self.lanes.len()).filter_map(wake).min()
    }

    /// The stream has other ranges now. They apply once every request is answered; until then none is sent.
    pub fn relane(&mut self, ranges: Vec<KeyRange>) {
        let same = ranges.len() == self.lanes.len() && ranges.iter().eq(self.ranges());
        self.relaning = (!same && !ranges.is_empty()).then_some(ranges);
    }

    fn change_lanes(&mut self, now: MonoMs) {
        if !self.requests.is_empty() {
            return;
        }
        let Some(ranges) = self.relaning.take() else { return };
        let mut old = std::mem::take(&mut self.lanes);
        self.lanes = ranges
            .into_iter()
            .map(|range| match old.iter().position(|lane| lane.range == range) {
                // A shard that stays keeps its pace.
                Some(index) => old.swap_remove(index).emptied(),
                None => Lane::new(range, &self.limits, now),
            })
            .collect();
        let ready =
            |(record, slot): (u64, &Slot)| (slot.state == State::Ready).then_some((record, slot.hash_key, slot.bytes));
        let ready: Vec<_> = (self.first..).zip(&self.slots).filter_map(ready).collect();
        for (record, hash_key, bytes) in ready {
            if let Some(lane) = self.lane_of(hash_key) {
                lane.push(record, bytes);
            }
        }
    }

    fn readiness(&self, index: usize, now: MonoMs) -> Readiness {
        let Some(lane) = self.lanes.get(index) else { return Readiness::Never };
        let Some(front) = lane.front().and_then(|record| self.slot_at(record)) else { return Readiness::Never };
        let age_ms = if front.sent_before || self.ending { 0 } else { self.limits.batch_age_ms };
        lane.readiness(&self.limits, front.offered.plus(age_ms), now)
    }

    /// The records of the lane's next request.
    fn take(&mut self, index: usize) -> Option<Vec<u64>> {
        let lane = self.lanes.get_mut(index)?;
        let (most_records, most_bytes) = lane.pace.available();
        let most_records = usize::try_from(most_records).unwrap_or(usize::MAX).min(self.limits.batch_records.max(1));
        let most_bytes = most_bytes.min(self.limits.batch_bytes);
        let (mut records, mut bytes) = (Vec::new(), 0_u64);
        while let Some(record) = lane.front().filter(|_| records.len() < most_records) {
            let offset = record.checked_sub(self.first).and_then(|offset| usize::try_from(offset).ok())?;
            let size = self.slots.get(offset)?.bytes;
            if !records.is_empty() && bytes + size > most_bytes {
                break;
            }
            lane.pop(size);
            bytes += size;
            records.push(record);
        }
        lane.pace.take(u64::try_from(records.len()).unwrap_or(u64::MAX), bytes);
        (!records.is_empty()).then_some(records)
    }

    /// A record is stored: the next one of its call is ready.
    fn store(&mut self, record: u64) {
        let Some(slot) = self.slot(record) else { return };
        slot.state = State::Stored;
        let (call, next) = (slot.call, slot.next);
        let Some(next) = next else {
            self.calls.remove(&call);
            return;
        };
        self.ready(next);
    }

    /// A record has to be sent again.
    fn again(&mut self, record: u64, lost: bool) {
        if let Some(slot) = self.slot(record) {
            slot.answer_lost |= lost;
        }
        self.ready(record);
    }

    fn ready(&mut self, record: u64) {
        let Some(slot) = self.slot(record) else { return };
        slot.state = State::Ready;
        let (hash_key, bytes) = (slot.hash_key, slot.bytes);
        if let Some(lane) = self.lane_of(hash_key) {
            lane.push(record, bytes);
        }
    }

    fn push(&mut self, slot: Slot) -> u64 {
        let record = self.first.saturating_add(u64::try_from(self.slots.len()).unwrap_or(u64::MAX));
        self.slots.push_back(slot);
        record
    }

    fn slot_at(&self, record: u64) -> Option<&Slot> {
        record.checked_sub(self.first).and_then(|at| usize::try_from(at).ok()).and_then(|at| self.slots.get(at))
    }

    fn slot(&mut self, record: u64) -> Option<&mut Slot> {
        let at = record.checked_sub(self.first).and_then(|at| usize::try_from(at).ok())?;
        self.slots.get_mut(at)
    }

    fn lane_of(&mut self, hash_key: u128) -> Option<&mut Lane> {
        let behind = self.lanes.partition_point(|lane| lane.range.first <= hash_key);
        self.lanes.get_mut(behind.saturating_sub(1))
    }
}

impl Slot {
    fn new(offered: Offered, state: State, now: MonoMs) -> Self {
        let Offered { call, hash_key, bytes } = offered;
        Self { call, hash_key, bytes, offered: now, state, next: None, sent_before: false, answer_lost: false }
    }
}

#[cfg(test)]
mod tests;
