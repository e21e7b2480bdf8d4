//! Two plans side by side: which prices change, and by how much, on sample numbers.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use types::charging::Service;
use types::{Money, UtcMs};

use crate::plan::{Plan, Query, Refusal};
use crate::quote::{PriceError, Quote};
use crate::tariff::row;

/// Something to ask the price of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// What is sold.
    pub service: Service,
    /// The operator's customer domain.
    pub tenant: Box<str>,
    /// The kind of traffic.
    pub category: Box<str>,
    /// Whose tariff.
    pub subject: Box<str>,
    /// The number.
    pub destination: Box<str>,
    /// When charging starts.
    pub start: UtcMs,
    /// Milliseconds of voice, or units.
    pub usage: u64,
}

impl Sample {
    /// The question that [`Plan::resolve`] takes.
    pub fn query(&self) -> Query<'_> {
        Query {
            service: self.service,
            tenant: &self.tenant,
            category: &self.category,
            subject: &self.subject,
            destination: &self.destination,
            start: self.start,
        }
    }
}

/// Why a sample has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NoPrice {
    /// Nothing applies.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What applies cannot be told.
    #[error(transparent)]
    Price(#[from] PriceError),
}

impl NoPrice {
    /// The name under which it is told to programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Price(error) => error.code(),
        }
    }
}

/// What a plan says of a sample.
pub type Outcome = Result<Quote, NoPrice>;

/// A sample that two plans price differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceChange {
    /// What was asked.
    pub sample: Sample,
    /// Under the old plan.
    pub old: Outcome,
    /// Under the new one.
    pub new: Outcome,
}

impl PriceChange {
    /// How much more is charged under the new plan, below zero for less. Absent if either has no price, or another
    /// currency.
    pub fn difference(&self) -> Option<Money> {
        let (old, new) = (self.old.ok()?, self.new.ok()?);
        if old.currency == new.currency { Some(new.price - old.price) } else { None }
    }
}

/// The samples that are priced differently, in their order: another amount, tax or currency, or a price where there was
/// none, or none where there was one.
pub fn diff(old: &Plan, new: &Plan, samples: &[Sample]) -> Vec<PriceChange> {
    let outcome = |plan: &Plan, sample: &Sample| -> Outcome { Ok(plan.resolve(&sample.query())?.quote(sample.usage)?) };
    let priced = samples.iter().map(|sample| (sample, outcome(old, sample), outcome(new, sample)));
    let changed = priced.filter(|(_, old, new)| match (old, new) {
        (Ok(old), Ok(new)) => (old.price, old.tax, old.currency) != (new.price, new.tax, new.currency),
        (old, new) => old != new,
    });
    changed.map(|(sample, old, new)| PriceChange { sample: sample.clone(), old, new }).collect()
}

/// What samples are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleUsage {
    /// What is sold.
    pub service: Service,
    /// When charging starts.
    pub start: UtcMs,
    /// Milliseconds of voice, or units.
    pub usage: u64,
    /// At most so many samples.
    pub limit: usize,
}

/// Samples that show where two plans differ: for each subject of either plan, one number of each zone that the rating
/// plans of its profile have rates for, and the numbers whose prefixes changed their destinations; for destination
/// `*any` a sample that is called so. In order of tenant, category, subject and number.
pub fn samples(old: &Plan, new: &Plan, asked: &SampleUsage) -> Vec<Sample> {
    let moved = moved_prefixes(old, new, asked.limit);
    let mut samples = BTreeSet::new();
    for plan in [old, new] {
        let numbers = plan.shortest_prefixes();
        for (tenant, profiles) in &plan.profiles {
            for (category, subjects) in &profiles.categories {
                for (subject, profile) in subjects {
                    let plans = profile.iter().filter_map(|activation| row(&plan.rating_plans, activation.rating_plan));
                    let zones: BTreeSet<u32> = plans.flat_map(|plan| plan.zones().iter().copied()).collect();
                    let of_zones = zones.iter().filter_map(|zone| numbers.get(zone)).chain(&moved);
                    let any = Box::from(ANY_NUMBER);
                    for number in of_zones.chain([&any]) {
                        samples.insert((tenant.clone(), category.clone(), subject.clone(), number.clone()));
                        // The last ones fall out, so that the same are kept whatever the order of the maps.
                        if samples.len() > asked.limit {
                            samples.pop_last();
                        }
                    }
                }
            }
        }
    }
    let sample = |(tenant, category, subject, destination)| Sample {
        service: asked.service,
        tenant,
        category,
        subject,
        destination,
        start: asked.start,
        usage: asked.usage,
    };
    samples.into_iter().map(sample).collect()
}

/// Prefixes that have other destinations in the new plan, at most `limit`.
fn moved_prefixes(old: &Plan, new: &Plan, limit: usize) -> Vec<Box<str>> {
    let (before, after) = (old.prefixes(), new.prefixes());
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    // Zones are compared by the names of their destinations, each pair once.
    let mut alike: HashMap<(u32, u32), bool> = HashMap::new();
    let mut moved = Vec::new();
    while moved.len() < limit {
        let order = match (before.peek(), after.peek()) {
            (Some((before, _)), Some((after, _))) => before.cmp(after),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let was = if order.is_le() { before.next() } else { None };
        let is = if order.is_ge() { after.next() } else { None };
        match (was, is) {
            (Some((prefix, was)), Some((_, is))) => {
                let same = || old.geography.names_of(was) == new.geography.names_of(is);
                if !*alike.entry((was, is)).or_insert_with(same) {
                    moved.push(prefix);
                }
            }
            (one, other) => moved.extend(one.or(other).map(|(prefix, _)| prefix)),
        }
    }
    moved
}

impl Plan {
    /// All prefixes in their order, with their zones.
    fn prefixes(&self) -> Vec<(Box<str>, u32)> {
        let mut prefixes = Vec::new();
        self.trie.for_each(|prefix, zone| prefixes.push((prefix.into(), zone)));
        prefixes
    }

    /// The shortest prefix of each zone, the first of several.
    fn shortest_prefixes(&self) -> BTreeMap<u32, Box<str>> {
        let mut numbers: BTreeMap<u32, Box<str>> = BTreeMap::new();
        self.trie.for_each(|prefix, zone| {
            let known = numbers.entry(zone).or_insert_with(|| prefix.into());
            if prefix.len() < known.len() {
                *known = prefix.into();
            }
        });
        numbers
    }
}

/// A destination that no plan has a prefix for, unless somebody means just that.
const ANY_NUMBER: &str = "*any";
