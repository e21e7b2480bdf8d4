//! What the tables are compiled to: every reference an index, every price an integer count of ticks.

use std::collections::HashMap;

use types::{Money, UtcMs};

use crate::calendar::{Instant, Timing};
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
    pub rate: usize,
    pub step: Step,
    pub max_cost: Option<(Money, MaxCostStrategy)>,
}

impl DestinationRate {
    pub(crate) fn prices_like(&self, other: &Self) -> bool {
        self.rate == other.rate && self.step == other.step && self.max_cost == other.max_cost
    }
}

/// A destination rate at its times, within one zone of one rating plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding {
    pub weight: Money,
    /// Index of the timing; absent means always.
    pub timing: Option<usize>,
    pub destination_rate: usize,
    /// Line in RatingPlans.
    pub line: u64,
}

/// A rating plan: for each zone its bindings, first the ones that win.
#[derive(Debug, Default)]
pub(crate) struct RatingPlan {
    pub id: Box<str>,
    /// Zone, and its bindings: highest weight first, then latest start. Sorted by zone.
    pub zones: Vec<(u32, Box<[Binding]>)>,
    /// Bindings of destination `*any`, for numbers that match no zone.
    pub any: Box<[Binding]>,
}

impl RatingPlan {
    pub(crate) fn zone(&self, zone: u32) -> Option<&[Binding]> {
        let at = self.zones.binary_search_by_key(&zone, |(zone, _)| *zone).ok()?;
        self.zones.get(at).map(|(_, bindings)| &**bindings)
    }
}

/// The binding in force at an instant.
pub(crate) fn active<'b>(bindings: &'b [Binding], timings: &[Timing], at: UtcMs) -> Option<&'b Binding> {
    let first = bindings.first()?;
    if first.timing.is_none() {
        return Some(first);
    }
    let instant = Instant::of(at);
    bindings.iter().find(|binding| match binding.timing {
        None => true,
        Some(timing) => timings.get(timing).is_some_and(|timing| timing.applies(&instant)),
    })
}

/// From `from` on, a subject has this plan.
#[derive(Debug)]
pub(crate) struct Activation {
    pub from: UtcMs,
    pub rating_plan: usize,
    pub fallback: Box<[Box<str>]>,
    /// Line in RatingProfiles.
    pub line: u64,
}

/// A subject's plans, in order of time.
pub(crate) type Profile = Vec<Activation>;

/// Tenant, category, subject: nested, so that a lookup borrows its keys.
pub(crate) type Profiles = HashMap<Box<str>, HashMap<Box<str>, HashMap<Box<str>, Profile>>>;
