//! Rows to a plan: references resolved, prices made exact, contradictions found.

use std::collections::{BTreeMap, HashMap};

use crate::calendar::Timing;
use crate::fault::{LoadErrors, LoadFault, Problem};
use crate::fields::ANY;
use crate::plan::{Plan, PlanOptions};
use crate::rounding::Step;
use crate::rows::{self, DestinationRow, ProfileRow, RateRow, Rows};
use crate::tables::{PlanVersion, Table, Tables};
use crate::tariff::{Activation, Binding, DestinationRate, Group, Profiles, Rate, RatingPlan};
use crate::trie::Trie;
use types::Money;

/// Compiles the tables, or gives all their faults.
pub(crate) fn build(tables: &Tables, options: PlanOptions) -> Result<Plan, LoadErrors> {
    let mut faults = Vec::new();
    let (rows, canonical) = rows::read(tables, &mut faults);
    let mut notes = Notes { faults, warnings: Vec::new() };
    let (timings, timing_tags) = timings(&rows, &mut notes);
    let geography = Geography::new(&rows.destinations);
    let (rates, rate_ids, per_nano) = rates(&rows.rates, &mut notes);
    let (destination_rates, sets) = destination_rates(&rows, &geography, &rate_ids, &mut notes);
    let compiler = PlanCompiler { timings: &timings, timing_tags: &timing_tags, geography: &geography };
    let (rating_plans, plan_ids) = compiler.rating_plans(&rows, &destination_rates, &sets, &mut notes);
    let profiles = profiles(&rows.profiles, &plan_ids, &mut notes);
    if !notes.faults.is_empty() {
        notes.faults.sort_by_key(|fault| (fault.table, fault.line, fault.column));
        return Err(LoadErrors(notes.faults));
    }
    let currency = options.currency.to_string();
    let search = format!("{} {}", options.fallback_depth, options.plus_is_optional);
    let texts = Table::ALL.into_iter().map(|table| canonical.text(table));
    let version = PlanVersion::of([currency.as_str(), search.as_str()].into_iter().chain(texts));
    let trie = Trie::new(&geography.zone_of_prefix);
    let warnings = notes.warnings;
    Ok(Plan {
        options,
        version,
        tables: canonical,
        warnings,
        timings,
        rates,
        destination_rates,
        rating_plans,
        profiles,
        trie,
        per_nano,
    })
}

struct Notes {
    faults: Vec<LoadFault>,
    warnings: Vec<LoadFault>,
}

impl Notes {
    fn fault(&mut self, table: Table, line: u64, column: usize, found: &str, problem: Problem) {
        self.faults.push(LoadFault { table, line, column: Some(column), found: found.into(), problem });
    }

    fn warn(&mut self, table: Table, line: u64, column: usize, found: &str, problem: Problem) {
        self.warnings.push(LoadFault { table, line, column: Some(column), found: found.into(), problem });
    }
}

/// A tag's index among the timings, or the fault that using it is.
type TimingTags<'r> = HashMap<&'r str, Result<usize, &'r LoadFault>>;

fn timings<'r>(rows: &'r Rows, notes: &mut Notes) -> (Vec<Timing>, TimingTags<'r>) {
    let mut timings = vec![Timing::ALWAYS];
    let mut tags: TimingTags<'r> = HashMap::from([(ANY, Ok(0))]);
    let mut lines: HashMap<&str, u64> = HashMap::new();
    for row in &rows.timings {
        if &*row.tag == ANY {
            if row.timing.as_ref().is_ok_and(|timing| !timing.is_always()) {
                notes.fault(Table::Timings, row.line, 0, ANY, Problem::BuiltIn);
            }
            continue;
        }
        if let Some(line) = lines.insert(&row.tag, row.line) {
            notes.fault(Table::Timings, row.line, 0, &row.tag, Problem::Duplicate { line });
        }
        let timing = row.timing.as_ref().map(|timing| {
            timings.push(timing.clone());
            timings.len() - 1
        });
        tags.insert(&row.tag, timing);
    }
    (timings, tags)
}

/// Destinations and the zones they share. A zone is the set of destinations of one or more prefixes.
struct Geography<'r> {
    zone_of_prefix: BTreeMap<&'r str, u32>,
    zones_of_destination: HashMap<&'r str, Vec<u32>>,
}

impl<'r> Geography<'r> {
    fn new(rows: &'r [DestinationRow]) -> Self {
        let mut sets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for row in rows {
            let set = sets.entry(&row.prefix).or_default();
            if !set.contains(&&*row.id) {
                set.push(&row.id);
            }
        }
        let mut zones: HashMap<Vec<&str>, u32> = HashMap::new();
        let mut geography = Self { zone_of_prefix: BTreeMap::new(), zones_of_destination: HashMap::new() };
        for (prefix, set) in sets {
            let next = u32::try_from(zones.len()).expect("invariant: fewer than 2^32 prefixes fit the memory");
            let zone = *zones.entry(set.clone()).or_insert_with(|| {
                for destination in set {
                    geography.zones_of_destination.entry(destination).or_default().push(next);
                }
                next
            });
            geography.zone_of_prefix.insert(prefix, zone);
        }
        geography
    }
}

fn rates<'r>(rows: &'r [RateRow], notes: &mut Notes) -> (Vec<Rate>, HashMap<&'r str, usize>, i128) {
    let mut by_id: Vec<(&str, Vec<&RateRow>)> = Vec::new();
    let mut ids: HashMap<&str, usize> = HashMap::new();
    for row in rows {
        let at = *ids.entry(&row.id).or_insert(by_id.len());
        match by_id.get_mut(at) {
            Some((_, group)) => group.push(row),
            None => by_id.push((&row.id, vec![row])),
        }
    }
    let fractions: HashMap<u64, (i128, i128)> =
        rows.iter().filter_map(|row| Some((row.line, increment_price(row, notes)?))).collect();
    let mut per_nano = 1;
    for row in rows {
        let Some((_, denominator)) = fractions.get(&row.line) else { continue };
        let common = per_nano / gcd(per_nano, *denominator) * denominator;
        if common > MAX_PER_NANO {
            notes.fault(Table::Rates, row.line, 3, "", Problem::TooFine { limit: MAX_PER_NANO });
        } else {
            per_nano = common;
        }
    }
    let rates = by_id.into_iter().map(|(id, rows)| rate(id, rows, &fractions, per_nano, notes)).collect();
    (rates, ids, per_nano)
}

/// The exact price of one increment in nano units, as a reduced fraction.
fn increment_price(row: &RateRow, notes: &mut Notes) -> Option<(i128, i128)> {
    let (unit, increment) = (i128::from(row.unit), i128::from(row.increment));
    let shared = gcd(increment, unit);
    let (increment, unit) = (increment / shared, unit / shared);
    let shared = gcd(row.rate.nanos(), unit);
    let price = (row.rate.nanos() / shared).checked_mul(increment);
    let denominator = unit / shared;
    match price.filter(|price| price / denominator <= Money::LIMIT.nanos()) {
        Some(price) => Some((price, denominator)),
        None => {
            notes.fault(Table::Rates, row.line, 4, "", Problem::TooLarge);
            None
        }
    }
}

fn rate(
    id: &str,
    mut rows: Vec<&RateRow>,
    fractions: &HashMap<u64, (i128, i128)>,
    per_nano: i128,
    notes: &mut Notes,
) -> Rate {
    let connect_fee = rows.first().map_or(Money::ZERO, |row| row.connect_fee);
    rows.sort_by_key(|row| row.start);
    for pair in rows.windows(2) {
        if let [earlier, later] = pair
            && earlier.start == later.start
        {
            notes.fault(Table::Rates, later.line, 5, "", Problem::Duplicate { line: earlier.line });
        }
    }
    let ends = rows.iter().skip(1).map(|row| row.start).chain([u64::MAX]).collect::<Vec<_>>();
    let groups = rows.iter().zip(ends).map(|(row, end)| {
        let (price, denominator) = fractions.get(&row.line).copied().unwrap_or((0, 1));
        Group {
            start: row.start,
            end,
            increment: row.increment.max(1),
            ticks: price.saturating_mul(per_nano / denominator),
            rate: row.rate,
            unit: row.unit,
        }
    });
    let rate = Rate { id: id.into(), connect_fee, groups: groups.collect() };
    if let Some(row) = rows.first().filter(|_| !rate.is_complete()) {
        notes.warn(Table::Rates, row.line, 5, id, Problem::NoFirstGroup);
    }
    rate
}

/// Ids of DestinationRates to their rows: index and line.
type Sets<'r> = HashMap<&'r str, Vec<(usize, u64)>>;

fn destination_rates<'r>(
    rows: &'r Rows,
    geography: &Geography<'_>,
    rate_ids: &HashMap<&str, usize>,
    notes: &mut Notes,
) -> (Vec<DestinationRate>, Sets<'r>) {
    let mut compiled = Vec::new();
    let mut sets: Sets<'r> = HashMap::new();
    for row in &rows.destination_rates {
        if &*row.destination != ANY && !geography.zones_of_destination.contains_key(&*row.destination) {
            let problem = Problem::Unknown { table: Table::Destinations };
            notes.warn(Table::DestinationRates, row.line, 1, &row.destination, problem);
        }
        let set = sets.entry(&row.id).or_default();
        let Some(rate) = rate_ids.get(&*row.rate) else {
            let problem = Problem::Unknown { table: Table::Rates };
            notes.fault(Table::DestinationRates, row.line, 2, &row.rate, problem);
            continue;
        };
        set.push((compiled.len(), row.line));
        compiled.push(DestinationRate {
            destination: row.destination.clone(),
            rate: *rate,
            step: Step { method: row.method, decimals: row.decimals },
            max_cost: row.max_cost,
        });
    }
    (compiled, sets)
}

struct PlanCompiler<'r> {
    timings: &'r [Timing],
    timing_tags: &'r TimingTags<'r>,
    geography: &'r Geography<'r>,
}

/// A binding and the line of its row in DestinationRates.
type Candidate = (Binding, u64);

/// A plan's candidates by zone; no zone stands for `*any`.
type CandidatesOfZones = BTreeMap<Option<u32>, Vec<Candidate>>;

impl PlanCompiler<'_> {
    fn rating_plans<'r>(
        &self,
        rows: &'r Rows,
        destination_rates: &[DestinationRate],
        sets: &Sets<'_>,
        notes: &mut Notes,
    ) -> (Vec<RatingPlan>, HashMap<&'r str, usize>) {
        let mut by_id: Vec<(&str, CandidatesOfZones)> = Vec::new();
        let mut ids: HashMap<&str, usize> = HashMap::new();
        for row in &rows.rating_plans {
            let at = *ids.entry(&row.id).or_insert(by_id.len());
            if at == by_id.len() {
                by_id.push((&row.id, CandidatesOfZones::new()));
            }
            let timing = self.timing(row.line, &row.timing, notes);
            let set = sets.get(&*row.destination_rate);
            if set.is_none() {
                let problem = Problem::Unknown { table: Table::DestinationRates };
                notes.fault(Table::RatingPlans, row.line, 1, &row.destination_rate, problem);
            }
            let (Some(timing), Some(set), Some((_, zones))) = (timing, set, by_id.get_mut(at)) else { continue };
            for (destination_rate, line) in set {
                let binding =
                    Binding { weight: row.weight, timing, destination_rate: *destination_rate, line: row.line };
                let destination = destination_rates.get(*destination_rate).map_or(ANY, |rate| &rate.destination);
                for zone in self.zones(destination) {
                    zones.entry(zone).or_default().push((binding, *line));
                }
            }
        }
        let plans = by_id.into_iter().map(|(id, mut zones)| {
            let any = zones.remove(&None).unwrap_or_default();
            let mut ordered = |candidates| self.ordered(candidates, destination_rates, notes);
            let any = ordered(any);
            let zones = zones.into_iter().filter_map(|(zone, candidates)| Some((zone?, ordered(candidates))));
            RatingPlan { id: id.into(), zones: zones.collect(), any }
        });
        (plans.collect(), ids)
    }

    /// The zones of a destination; `None` stands for `*any`.
    fn zones(&self, destination: &str) -> Vec<Option<u32>> {
        if destination == ANY {
            return vec![None];
        }
        let zones = self.geography.zones_of_destination.get(destination);
        zones.into_iter().flatten().copied().map(Some).collect()
    }

    /// The index of a timing, `None` within for always; nothing if it cannot be used.
    fn timing(&self, line: u64, tag: &str, notes: &mut Notes) -> Option<Option<usize>> {
        match self.timing_tags.get(tag) {
            Some(Ok(at)) => {
                Some(Some(*at).filter(|at| self.timings.get(*at).is_some_and(|timing| !timing.is_always())))
            }
            Some(Err(fault)) => {
                if !notes.faults.contains(fault) {
                    notes.faults.push((*fault).clone());
                }
                None
            }
            None => {
                notes.fault(Table::RatingPlans, line, 2, tag, Problem::Unknown { table: Table::Timings });
                None
            }
        }
    }

    /// Winners first; what can never win is dropped; two that could both win are a fault.
    fn ordered(&self, mut all: Vec<Candidate>, rates: &[DestinationRate], notes: &mut Notes) -> Box<[Binding]> {
        let timing = |binding: &Binding| binding.timing.and_then(|at| self.timings.get(at)).unwrap_or(&Timing::ALWAYS);
        let rank = |binding: &Binding| std::cmp::Reverse((binding.weight, timing(binding).start_ms));
        all.sort_by_key(|(binding, _)| rank(binding));
        let mut kept: Vec<Candidate> = Vec::new();
        for (binding, line) in all {
            let last_rank = kept.last().map(|(last, _)| rank(last));
            let closed = kept.iter().any(|(earlier, _)| earlier.timing.is_none());
            if closed && last_rank != Some(rank(&binding)) {
                break;
            }
            let price = rates.get(binding.destination_rate);
            let rival = kept.iter().find(|(earlier, _)| {
                rank(earlier) == rank(&binding)
                    && timing(earlier).shares_days(timing(&binding))
                    && !rates.get(earlier.destination_rate).zip(price).is_some_and(|(a, b)| a.prices_like(b))
            });
            if let Some((rival, rival_line)) = rival {
                ambiguous((rival, *rival_line), (&binding, line), notes);
            }
            kept.push((binding, line));
        }
        let end = kept.iter().position(|(binding, _)| binding.timing.is_none()).map_or(kept.len(), |at| at + 1);
        kept.truncate(end);
        kept.into_iter().map(|(binding, _)| binding).collect()
    }
}

fn ambiguous(earlier: (&Binding, u64), later: (&Binding, u64), notes: &mut Notes) {
    let (table, column, line, rival) = if earlier.0.line == later.0.line {
        (Table::DestinationRates, 1, later.1, earlier.1)
    } else {
        (Table::RatingPlans, 3, later.0.line, earlier.0.line)
    };
    let fault =
        LoadFault { table, line, column: Some(column), found: "".into(), problem: Problem::Ambiguous { line: rival } };
    // One row has many prefixes, and each would find it again.
    if !notes.faults.contains(&fault) {
        notes.faults.push(fault);
    }
}

fn profiles(rows: &[ProfileRow], plan_ids: &HashMap<&str, usize>, notes: &mut Notes) -> Profiles {
    let mut profiles = Profiles::new();
    for row in rows {
        let Some(rating_plan) = plan_ids.get(&*row.rating_plan).copied() else {
            let problem = Problem::Unknown { table: Table::RatingPlans };
            notes.fault(Table::RatingProfiles, row.line, 4, &row.rating_plan, problem);
            continue;
        };
        let tenant = profiles.entry(row.tenant.clone()).or_default();
        let profile = tenant.entry(row.category.clone()).or_default().entry(row.subject.clone()).or_default();
        let activation =
            Activation { from: row.activation, rating_plan, fallback: row.fallback.clone(), line: row.line };
        match profile.binary_search_by_key(&activation.from, |earlier| earlier.from) {
            Err(at) => profile.insert(at, activation),
            Ok(at) => {
                let same = |other: &&Activation| other.rating_plan == rating_plan && other.fallback == row.fallback;
                let line = profile.get(at).filter(|other| !same(other)).map(|other| other.line);
                if let Some(line) = line {
                    notes.fault(Table::RatingProfiles, row.line, 3, "", Problem::Duplicate { line });
                }
            }
        }
    }
    for row in rows {
        let subjects = profiles.get(&row.tenant).and_then(|tenant| tenant.get(&row.category));
        for subject in row.fallback.iter().filter(|fallback| subjects.is_none_or(|s| !s.contains_key(*fallback))) {
            let problem = Problem::Unknown { table: Table::RatingProfiles };
            notes.warn(Table::RatingProfiles, row.line, 5, subject, problem);
        }
    }
    profiles
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// Prices are counted in at most 10^12 parts of a nano unit: units of 60, 3600, 1024 and their like stay far below,
/// and the largest amount of money still has a hundredfold room in 127 bits.
const MAX_PER_NANO: i128 = 1_000_000_000_000;
