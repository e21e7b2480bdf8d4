//! Rows to a plan: references resolved, prices made exact, contradictions found.

use std::collections::HashMap;

use crate::bindings::PlanCompiler;
use crate::calendar::Timing;
use crate::fault::{LoadErrors, LoadFault, Problem};
use crate::fields::ANY;
use crate::geography::Geography;
use crate::options::PlanOptions;
use crate::plan::Plan;
use crate::rates::rates;
use crate::rounding::Step;
use crate::rows::{ProfileRow, Rows, TableTexts};
use crate::tables::{PlanVersion, Table};
use crate::tariff::{Activation, DestinationRate, Profiles, TenantProfiles, index};

/// Compiles what was read, or gives all its faults.
pub(crate) fn build(read: TableTexts, options: PlanOptions) -> Result<Plan, LoadErrors> {
    let TableTexts { mut rows, canonical, faults } = read;
    let mut notes = Notes { faults, warnings: Vec::new() };
    let (geography, trie) = std::mem::take(&mut rows.destinations).finish();
    let timings = Timings::new(&rows, &mut notes);
    let (rates, rate_ids, per_nano) = rates(&rows.rates, &mut notes);
    let (destination_rates, sets) = destination_rates(&rows, &geography, &rate_ids, &mut notes);
    let compiler = PlanCompiler { timings: &timings, geography: &geography, destination_rates: &destination_rates };
    let (rating_plans, plan_ids) = compiler.rating_plans(&rows, &sets, &mut notes);
    let profiles = profiles(&rows.profiles, &plan_ids, &options, &mut notes);
    if !notes.faults.is_empty() {
        notes.faults.sort_by_key(|fault| (fault.table, fault.line, fault.column));
        return Err(LoadErrors(notes.faults));
    }
    let (timing_tags, timings) = (timings.tags, timings.compiled);
    let version = version(&options, &canonical);
    let (tables, warnings) = (canonical, notes.warnings);
    Ok(Plan {
        options,
        version,
        tables,
        warnings,
        timings,
        timing_tags,
        rates,
        destination_rates,
        rating_plans,
        profiles,
        geography,
        trie,
        per_nano,
    })
}

fn version(options: &PlanOptions, canonical: &crate::tables::Tables) -> PlanVersion {
    let currency = options.currency.to_string();
    let [search, rest] = options.fingerprint();
    let texts = Table::ALL.into_iter().map(|table| canonical.text(table));
    let settings = [currency.as_str(), search.as_str()].into_iter();
    PlanVersion::of(settings.chain(texts).chain(Some(rest.as_str()).filter(|rest| !rest.is_empty())))
}

/// What was noticed while a plan was read.
pub(crate) struct Notes {
    pub faults: Vec<LoadFault>,
    pub warnings: Vec<LoadFault>,
}

impl Notes {
    pub(crate) fn fault(&mut self, table: Table, line: u64, column: usize, found: &str, problem: Problem) {
        self.faults.push(LoadFault { table, line, column: Some(column), found: found.into(), problem });
    }

    pub(crate) fn warn(&mut self, table: Table, line: u64, column: usize, found: &str, problem: Problem) {
        self.warnings.push(LoadFault { table, line, column: Some(column), found: found.into(), problem });
    }
}

/// The rows of Timings that a price can use.
pub(crate) struct Timings<'r> {
    pub compiled: Vec<Timing>,
    /// By the same index.
    pub tags: Vec<Box<str>>,
    /// A tag's index, or the fault that using it is.
    pub by_tag: HashMap<&'r str, Result<u32, &'r LoadFault>>,
}

impl<'r> Timings<'r> {
    fn new(rows: &'r Rows, notes: &mut Notes) -> Self {
        let by_tag = HashMap::from([(ANY, Ok(0))]);
        let mut timings = Self { compiled: vec![Timing::ALWAYS], tags: vec![ANY.into()], by_tag };
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
                timings.compiled.push(timing.clone());
                timings.tags.push(row.tag.clone());
                index(timings.compiled.len() - 1)
            });
            timings.by_tag.insert(&row.tag, timing);
        }
        timings
    }
}

/// Ids of DestinationRates to their rows: index and line.
pub(crate) type Sets<'r> = HashMap<&'r str, Vec<(u32, u64)>>;

fn destination_rates<'r>(
    rows: &'r Rows,
    geography: &Geography,
    rate_ids: &HashMap<&str, u32>,
    notes: &mut Notes,
) -> (Vec<DestinationRate>, Sets<'r>) {
    let mut compiled = Vec::new();
    let mut sets: Sets<'r> = HashMap::new();
    for row in &rows.destination_rates {
        if &*row.destination != ANY && geography.zones_of(&row.destination).is_none() {
            let problem = Problem::Unknown { table: Table::Destinations };
            notes.warn(Table::DestinationRates, row.line, 1, &row.destination, problem);
        }
        let set = sets.entry(&row.id).or_default();
        let Some(rate) = rate_ids.get(&*row.rate) else {
            let problem = Problem::Unknown { table: Table::Rates };
            notes.fault(Table::DestinationRates, row.line, 2, &row.rate, problem);
            continue;
        };
        set.push((index(compiled.len()), row.line));
        compiled.push(DestinationRate {
            destination: row.destination.clone(),
            rate: *rate,
            step: Step { method: row.method, decimals: row.decimals },
            max_cost: row.max_cost,
        });
    }
    (compiled, sets)
}

fn profiles(rows: &[ProfileRow], plan_ids: &HashMap<&str, u32>, options: &PlanOptions, notes: &mut Notes) -> Profiles {
    let mut profiles = Profiles::default();
    for row in rows {
        let Some(rating_plan) = plan_ids.get(&*row.rating_plan).copied() else {
            let problem = Problem::Unknown { table: Table::RatingPlans };
            notes.fault(Table::RatingProfiles, row.line, 4, &row.rating_plan, problem);
            continue;
        };
        let tenant = profiles.entry(row.tenant.clone()).or_insert_with(|| {
            let options = options.tenant(&row.tenant).clone();
            TenantProfiles { options, ..TenantProfiles::default() }
        });
        let profile =
            tenant.categories.entry(row.category.clone()).or_default().entry(row.subject.clone()).or_default();
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
        let subjects = profiles.get(&row.tenant).and_then(|tenant| tenant.categories.get(&row.category));
        for subject in row.fallback.iter().filter(|fallback| subjects.is_none_or(|s| !s.contains_key(*fallback))) {
            let problem = Problem::Unknown { table: Table::RatingProfiles };
            notes.warn(Table::RatingProfiles, row.line, 5, subject, problem);
        }
    }
    profiles
}
