//! What is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use protocol_codecs::diameter::CcRequestType;
use types::Money;

use super::session::{Ended, Step};
use super::told::Told;

/// Counts of one connection, or of all.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Requests, repetitions and copies apart.
    pub sent: u64,
    pub answered: u64,
    /// Sent again because no answer came, or over another connection.
    pub retransmitted: u64,
    /// Sent twice on purpose.
    pub copied: u64,
    pub lost: u64,
    /// More than one answer to a request that was sent more than once; and of them, those that say something else than the first.
    pub duplicates: u64,
    pub differing: u64,
    pub unmatched: u64,
    /// Meant to be sent, but all sessions waited until the end.
    pub unsent: u64,
    pub reconnects: u64,
    pub re_auth_requests: u64,
    pub abort_requests: u64,
    pub other_requests: u64,
    pub codes: BTreeMap<u32, u64>,
    pub group_codes: BTreeMap<u32, u64>,
    pub begun: u64,
    pub refused: u64,
    pub closed: u64,
    pub failed: u64,
    pub lost_sessions: u64,
    /// Left standing: we were told to leave at once.
    pub left_open: u64,
    /// By group: reported and taken, never reported, of unknown fate, granted.
    pub used: BTreeMap<u32, [u64; 4]>,
    /// By currency: what the server says that sessions and events cost.
    pub costs: BTreeMap<u32, Money>,
    latencies: BTreeMap<Kind, Histogram<u64>>,
}

/// Kinds of requests, for their latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Initial,
    Update,
    Termination,
    Event,
}

impl Kind {
    fn of(request_type: CcRequestType) -> Self {
        match request_type {
            CcRequestType::Initial => Self::Initial,
            CcRequestType::Update => Self::Update,
            CcRequestType::Termination => Self::Termination,
            CcRequestType::Event => Self::Event,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Update => "update",
            Self::Termination => "termination",
            Self::Event => "event",
        }
    }
}

impl Tally {
    /// An answer to a request, so long after the moment it was meant for.
    pub fn answer(&mut self, step: &Step, told: &Told, latency: Duration) {
        self.answered += 1;
        *self.codes.entry(told.code).or_default() += 1;
        for group in &told.groups {
            *self.group_codes.entry(group.code).or_default() += 1;
        }
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let histogram = self.latencies.entry(Kind::of(step.kind)).or_insert_with(histogram);
        histogram.saturating_record(micros);
        if told.is_success() {
            self.use_of(step, TAKEN);
            for group in &told.groups {
                self.add_use(group.rating_group.unwrap_or(0), GRANTED, group.granted.unwrap_or(0));
            }
            let is_end = matches!(step.kind, CcRequestType::Termination | CcRequestType::Event);
            if let (true, Some((currency, amount))) = (is_end, told.cost) {
                *self.costs.entry(currency).or_insert(Money::ZERO) += amount;
            }
        }
    }

    /// A request that nobody answered: what it told is of unknown fate.
    pub fn lost(&mut self, step: &Step) {
        self.lost += 1;
        self.use_of(step, UNKNOWN);
    }

    /// A session is over, and this of its use was never reported.
    pub fn ended(&mut self, ended: Ended, unreported: impl Iterator<Item = (u32, u64)>) {
        match ended {
            Ended::Refused => self.refused += 1,
            Ended::Closed => self.closed += 1,
            Ended::Failed => self.failed += 1,
            Ended::Lost => self.lost_sessions += 1,
        }
        for (rating_group, used) in unreported {
            self.add_use(rating_group, UNREPORTED, used);
        }
    }

    /// All latencies of these kinds; `None`: of all.
    pub fn latencies(&self, kind: Option<Kind>) -> Histogram<u64> {
        let mut sum = histogram();
        for (_, latencies) in self.latencies.iter().filter(|(of, _)| kind.is_none_or(|kind| kind == **of)) {
            // The same bounds: it fits.
            sum.add(latencies).unwrap_or_default();
        }
        sum
    }

    /// Kinds that were seen.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.latencies.keys().copied()
    }

    /// With those of another connection.
    pub fn add(&mut self, other: &Self) {
        let counts = [
            (&mut self.sent, other.sent),
            (&mut self.answered, other.answered),
            (&mut self.retransmitted, other.retransmitted),
            (&mut self.copied, other.copied),
            (&mut self.lost, other.lost),
            (&mut self.duplicates, other.duplicates),
            (&mut self.differing, other.differing),
            (&mut self.unmatched, other.unmatched),
            (&mut self.unsent, other.unsent),
            (&mut self.reconnects, other.reconnects),
            (&mut self.re_auth_requests, other.re_auth_requests),
            (&mut self.abort_requests, other.abort_requests),
            (&mut self.other_requests, other.other_requests),
            (&mut self.begun, other.begun),
            (&mut self.refused, other.refused),
            (&mut self.closed, other.closed),
            (&mut self.failed, other.failed),
            (&mut self.lost_sessions, other.lost_sessions),
            (&mut self.left_open, other.left_open),
        ];
        for (sum, count) in counts {
            *sum += count;
        }
        for (sums, counts) in [(&mut self.codes, &other.codes), (&mut self.group_codes, &other.group_codes)] {
            for (code, count) in counts {
                *sums.entry(*code).or_default() += count;
            }
        }
        for (rating_group, used) in &other.used {
            for (fate, amount) in used.iter().enumerate() {
                self.add_use(*rating_group, fate, *amount);
            }
        }
        for (currency, amount) in &other.costs {
            *self.costs.entry(*currency).or_insert(Money::ZERO) += *amount;
        }
        for (kind, latencies) in &other.latencies {
            self.latencies.entry(*kind).or_insert_with(histogram).add(latencies).unwrap_or_default();
        }
    }

    fn use_of(&mut self, step: &Step, fate: usize) {
        for group in &step.groups {
            let used = if step.kind == CcRequestType::Event { group.wanted.unwrap_or(0) } else { group.used };
            self.add_use(group.rating_group, fate, used);
        }
    }

    fn add_use(&mut self, rating_group: u32, fate: usize, used: u64) {
        if used == 0 {
            return;
        }
        if let Some(sum) = self.used.entry(rating_group).or_default().get_mut(fate) {
            *sum = sum.saturating_add(used);
        }
    }
}

/// A microsecond to an hour, three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("invariant: the bounds are sound")
}

/// Places in the sums of use.
pub(super) const TAKEN: usize = 0;
pub(super) const UNREPORTED: usize = 1;
pub(super) const UNKNOWN: usize = 2;
pub(super) const GRANTED: usize = 3;
