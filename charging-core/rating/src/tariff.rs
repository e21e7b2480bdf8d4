//! What the tables are compiled to: every reference an index, every price an integer count of ticks.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use types::{Money, UtcMs};

use crate::calendar::{Instant, Timing};
use crate::options::TenantOptions;
use crate::rounding::Step;
use crate::rows::MaxCostStrategy;

/// One rate group: from `start` to `end` of the session's usage.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub start: u64,
    /// Start of the next group, `u64::MAX` for the last.
    pub end: u64,
    pub increment: u64,
    /// Exact price of one increment.
    pub ticks: i128,
    /// As written, for explanations.
    pub rate: Money,
    /// As written, for explanations.
    pub unit: u64,
}

/// A rate: connect fee and groups in order of their start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub id: Box<str>,
    pub connect_fee: Money,
    pub groups: Box<[Group]>,
}

impl Rate {
    /// False if the begin of a session has no price.
    pub(crate) fn is_complete(&self) -> bool {
        self.groups.first().is_some_and(|group| group.start == 0)
    }
}

/// A row of DestinationRates.
#[derive(Debug)]
pub(crate) struct DestinationRate {
    pub destination: Box<str>,
    /// Index of the rate.
    pub rate: u32,
    pub step: Step,
    pub max_cost: Option<(Money, MaxCostStrategy)>,
}

impl DestinationRate {
    pub(crate) fn prices_like(&self, other: &Self) -> bool {
        self.rate == other.rate && self.step == other.step && self.max_cost == other.max_cost
    }
}

/// A destination rate at its times, within one zone of one rating plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding {
    /// Index of the timing; absent means always.
    pub timing: Option<u32>,
    /// Index of the destination rate.
    pub destination_rate: u32,
}

/// A rating plan: for each zone its bindings, first the ones that win.
#[derive(Debug, Default)]
pub(crate) struct RatingPlan {
    pub id: Box<str>,
    /// Sorted.
    zones: Vec<u32>,
    /// Where the bindings of each zone begin, and where those of the last end. By the place among `zones`, or, where `is_dense`, by
    /// how far behind the first zone: one look instead of a search.
    starts: Vec<u32>,
    /// Few zones between the first and the last are missing; one that is has no bindings.
    is_dense: bool,
    bindings: Vec<Binding>,
    /// Bindings of destination `*any`, for numbers that match no zone.
    pub any: Box<[Binding]>,
}

impl RatingPlan {
    /// From the bindings of each zone (highest weight first, then latest start), in order of the zones.
    pub(crate) fn new(id: &str, zones: impl IntoIterator<Item = (u32, Box<[Binding]>)>, any: Box<[Binding]>) -> Self {
        let mut plan = Self { id: id.into(), any, starts: vec![0], ..Self::default() };
        for (zone, bindings) in zones {
            plan.zones.push(zone);
            plan.bindings.extend(bindings);
            plan.starts.push(index(plan.bindings.len()));
        }
        let (first, last) = (plan.zones.first().copied().unwrap_or(0), plan.zones.last().copied().unwrap_or(0));
        if usize::try_from(last - first).is_ok_and(|width| width / 8 < plan.zones.len()) {
            plan.is_dense = true;
            // A zone that is missing begins and ends where the next one begins.
            let place = |zone| plan.zones.partition_point(|known| *known < zone);
            let starts = (first..=last).map(place).chain([plan.zones.len()]);
            plan.starts = starts.filter_map(|place| plan.starts.get(place).copied()).collect();
        }
        plan
    }

    fn place(&self, zone: u32) -> Option<usize> {
        if !self.is_dense {
            return self.zones.binary_search(&zone).ok();
        }
        usize::try_from(zone.checked_sub(*self.zones.first()?)?).ok()
    }

    /// Something of what leads to the bindings of a zone, read for the processor's cache.
    pub(crate) fn touched(&self, zone: u32) -> u64 {
        self.place(zone).and_then(|at| self.starts.get(at)).copied().map_or(0, u64::from)
    }

    pub(crate) fn zone(&self, zone: u32) -> Option<&[Binding]> {
        let at = self.place(zone)?;
        let (from, to) = (self.starts.get(at)?, self.starts.get(at + 1)?);
        let bindings = self.bindings.get(usize::try_from(*from).ok()?..usize::try_from(*to).ok()?);
        bindings.filter(|bindings| !bindings.is_empty())
    }

    /// The zones it has rates for.
    pub(crate) fn zones(&self) -> &[u32] {
        &self.zones
    }
}

/// An index into a table of the plan.
pub(crate) fn index(at: usize) -> u32 {
    u32::try_from(at).expect("invariant: fewer than 2^32 rows fit the memory")
}

/// What an index points at.
pub(crate) fn row<T>(table: &[T], at: u32) -> Option<&T> {
    table.get(usize::try_from(at).ok()?)
}

/// The binding in force at an instant of the wall clock.
pub(crate) fn active<'b>(
    bindings: &'b [Binding],
    timings: &[Timing],
    at: impl FnOnce() -> Instant,
) -> Option<&'b Binding> {
    let first = bindings.first()?;
    if first.timing.is_none() {
        return Some(first);
    }
    let instant = at();
    bindings.iter().find(|binding| match binding.timing {
        None => true,
        Some(timing) => row(timings, timing).is_some_and(|timing| timing.applies(&instant)),
    })
}

/// From `from` on, a subject has this plan.
#[derive(Debug)]
pub(crate) struct Activation {
    pub from: UtcMs,
    /// Index of the rating plan.
    pub rating_plan: u32,
    pub fallback: Box<[Box<str>]>,
    /// Line in RatingProfiles.
    pub line: u64,
}

/// A subject's plans, in order of time.
pub(crate) type Profile = Vec<Activation>;

/// A map by name that is quick for short names. What is in it comes from the operator, so nobody can fill it with names
/// that collide.
pub(crate) type Names<T> = HashMap<Box<str>, T, BuildHasherDefault<NameHasher>>;

/// FNV-1a, 64 bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NameHasher(u64);

impl Default for NameHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Profiles by subject.
pub(crate) type Subjects = Names<Profile>;

/// All profiles of a tenant, by category.
#[derive(Debug, Default)]
pub(crate) struct TenantProfiles {
    pub options: TenantOptions,
    pub categories: Names<Subjects>,
}

/// Tenant, category, subject: nested, so that a lookup borrows its keys.
pub(crate) type Profiles = Names<TenantProfiles>;
