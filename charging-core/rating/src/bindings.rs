//! Rating plans: which destination rates may apply in which zone, the winners first.

use std::collections::{BTreeMap, HashMap, HashSet};

use types::Money;

use crate::build::{Notes, Sets, Timings};
use crate::calendar::Timing;
use crate::fault::Problem;
use crate::fields::ANY;
use crate::geography::Geography;
use crate::rows::Rows;
use crate::tables::Table;
use crate::tariff::{Binding, DestinationRate, RatingPlan, index, row};

/// Compiles the rows of RatingPlans.
pub(crate) struct PlanCompiler<'r> {
    pub timings: &'r Timings<'r>,
    pub geography: &'r Geography,
    pub destination_rates: &'r [DestinationRate],
}

/// What may apply, and where that is written.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    binding: Binding,
    weight: Money,
    /// Line in RatingPlans.
    plan_line: u64,
    /// Line in DestinationRates.
    rate_line: u64,
}

/// A plan's candidates by zone; no zone stands for `*any`.
type CandidatesOfZones = BTreeMap<Option<u32>, Vec<Candidate>>;

/// Contradictions that were reported: a row with many prefixes would be found again with each.
type Reported = HashSet<(Table, u64, u64)>;

impl PlanCompiler<'_> {
    /// All rating plans, and their indices by id.
    pub(crate) fn rating_plans<'r>(
        &self,
        rows: &'r Rows,
        sets: &Sets<'_>,
        notes: &mut Notes,
    ) -> (Vec<RatingPlan>, HashMap<&'r str, u32>) {
        let mut by_id: Vec<(&str, CandidatesOfZones)> = Vec::new();
        let mut ids: HashMap<&str, u32> = HashMap::new();
        for row in &rows.rating_plans {
            let next = by_id.len();
            let at = usize::try_from(*ids.entry(&row.id).or_insert(index(next))).unwrap_or(next);
            if at == next {
                by_id.push((&row.id, CandidatesOfZones::new()));
            }
            let timing = self.timing(row.line, &row.timing, notes);
            let set = sets.get(&*row.destination_rate);
            if set.is_none() {
                let problem = Problem::Unknown { table: Table::DestinationRates };
                notes.fault(Table::RatingPlans, row.line, 1, &row.destination_rate, problem);
            }
            let (Some(timing), Some(set), Some((_, zones))) = (timing, set, by_id.get_mut(at)) else { continue };
            for (destination_rate, rate_line) in set {
                let binding = Binding { timing, destination_rate: *destination_rate };
                let candidate = Candidate { binding, weight: row.weight, plan_line: row.line, rate_line: *rate_line };
                for zone in self.zones(*destination_rate) {
                    zones.entry(zone).or_default().push(candidate);
                }
            }
        }
        let mut reported = Reported::new();
        let plans = by_id.into_iter().map(|(id, mut zones)| {
            let any = zones.remove(&None).unwrap_or_default();
            let mut ordered = |candidates| self.ordered(candidates, &mut reported, notes);
            let any = ordered(any);
            let zones = zones.into_iter().filter_map(|(zone, candidates)| Some((zone?, ordered(candidates))));
            RatingPlan::new(id, zones, any)
        });
        (plans.collect(), ids)
    }

    /// The zones of a destination rate; `None` stands for `*any`.
    fn zones(&self, destination_rate: u32) -> Vec<Option<u32>> {
        let Some(destination) = row(self.destination_rates, destination_rate).map(|rate| &*rate.destination) else {
            return Vec::new();
        };
        if destination == ANY {
            return vec![None];
        }
        self.geography.zones_of(destination).into_iter().flatten().copied().map(Some).collect()
    }

    /// The index of a timing, `None` within for always; nothing if it cannot be used.
    fn timing(&self, line: u64, tag: &str, notes: &mut Notes) -> Option<Option<u32>> {
        match self.timings.by_tag.get(tag) {
            Some(Ok(at)) => {
                Some(Some(*at).filter(|at| row(&self.timings.compiled, *at).is_some_and(|timing| !timing.is_always())))
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

    fn timing_of(&self, binding: Binding) -> &Timing {
        binding.timing.and_then(|at| row(&self.timings.compiled, at)).unwrap_or(&Timing::ALWAYS)
    }

    fn price_alike(&self, one: Binding, other: Binding) -> bool {
        let rate = |binding: Binding| row(self.destination_rates, binding.destination_rate);
        rate(one).zip(rate(other)).is_some_and(|(one, other)| one.prices_like(other))
    }

    /// Winners first; what can never win is dropped; two that could both win are a fault.
    fn ordered(&self, mut all: Vec<Candidate>, reported: &mut Reported, notes: &mut Notes) -> Box<[Binding]> {
        let rank = |one: &Candidate| std::cmp::Reverse((one.weight, self.timing_of(one.binding).start_ms));
        all.sort_by_key(rank);
        let mut kept: Vec<Candidate> = Vec::new();
        let mut closed = false;
        for candidate in all {
            if closed && kept.last().map(rank) != Some(rank(&candidate)) {
                break;
            }
            let timing = self.timing_of(candidate.binding);
            let same_rank = kept.iter().rev().take_while(|earlier| rank(earlier) == rank(&candidate));
            let rival = same_rank.filter(|earlier| {
                self.timing_of(earlier.binding).shares_days(timing)
                    && !self.price_alike(earlier.binding, candidate.binding)
            });
            if let Some(rival) = rival.last() {
                ambiguous(rival, &candidate, reported, notes);
            }
            closed |= candidate.binding.timing.is_none();
            kept.push(candidate);
        }
        let always = kept.iter().position(|candidate| candidate.binding.timing.is_none());
        kept.truncate(always.map_or(kept.len(), |at| at + 1));
        kept.into_iter().map(|candidate| candidate.binding).collect()
    }
}

fn ambiguous(earlier: &Candidate, later: &Candidate, reported: &mut Reported, notes: &mut Notes) {
    let (table, column, line, rival) = if earlier.plan_line == later.plan_line {
        (Table::DestinationRates, 1, later.rate_line, earlier.rate_line)
    } else {
        (Table::RatingPlans, 3, later.plan_line, earlier.plan_line)
    };
    if reported.insert((table, line, rival)) {
        notes.fault(table, line, column, "", Problem::Ambiguous { line: rival });
    }
}
