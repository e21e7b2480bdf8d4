//! Reading ahead: what the prices of several sessions will read of a plan is touched for all of them together, step by step, before
//! the first is asked for. Of a plan of many prefixes next to nothing is in the processor's cache; asked for together, the misses
//! of many sessions overlap. Nothing depends on what is read here.

use crate::plan::{Plan, Query};
use crate::search::{Number, profile_of};
use crate::tariff::{Binding, DestinationRate, Rate, RatingPlan, row};
use crate::trie::Slot;

/// What is known of one session so far.
#[derive(Clone, Copy)]
struct Found<'p, 'q> {
    query: Query<'q>,
    /// Where the first digits lead: of the number as it is, and without its `+`.
    slots: [Option<Slot>; 2],
    rating_plan: Option<&'p RatingPlan>,
    number: Option<Number>,
    binding: Option<&'p Binding>,
    destination_rate: Option<&'p DestinationRate>,
    rate: Option<&'p Rate>,
}

impl Plan {
    /// Touches what resolving these queries and pricing them will read; more than 32 are left out, and so is what only
    /// fallback subjects lead to. The number says nothing: it only keeps the reads from being left out as useless.
    pub fn look_ahead<'q>(&self, queries: impl Iterator<Item = Query<'q>>) -> u64 {
        let mut all = [const { None }; AHEAD];
        self.find_ahead(&mut all, queries)
    }

    fn find_ahead<'p, 'q>(
        &'p self,
        all: &mut [Option<Found<'p, 'q>>; AHEAD],
        queries: impl Iterator<Item = Query<'q>>,
    ) -> u64 {
        for (place, query) in all.iter_mut().zip(queries) {
            let bare = query.destination.strip_prefix('+').filter(|_| self.options.plus_is_optional);
            let slots = [Some(self.trie.head(query.destination)), bare.map(|digits| self.trie.head(digits))];
            *place = Some(Found {
                query,
                slots,
                rating_plan: None,
                number: None,
                binding: None,
                destination_rate: None,
                rate: None,
            });
        }
        let mut seen = 0;
        for found in all.iter_mut().flatten() {
            seen ^= found.slots.into_iter().flatten().fold(0, |seen, slot| seen ^ self.trie.touched(slot));
            found.rating_plan = self.rating_plan_of(&found.query);
        }
        for found in all.iter_mut().flatten() {
            let number = Number::of(self, found.query.destination);
            seen ^= found.rating_plan.map_or(0, |plan| number.zones().fold(0, |seen, zone| seen ^ plan.touched(zone)));
            found.number = Some(number);
        }
        for found in all.iter_mut().flatten() {
            let bindings = found.rating_plan.zip(found.number).map(|(plan, number)| number.bindings(self, plan).0);
            found.binding = bindings.and_then(<[Binding]>::first);
            seen ^= found.binding.map_or(0, |binding| u64::from(binding.destination_rate));
        }
        for found in all.iter_mut().flatten() {
            found.destination_rate = found.binding.and_then(|one| row(&self.destination_rates, one.destination_rate));
            seen ^= found.destination_rate.map_or(0, |one| u64::from(one.rate));
        }
        for found in all.iter_mut().flatten() {
            found.rate = found.destination_rate.and_then(|one| row(&self.rates, one.rate));
            seen ^= found.rate.map_or(0, |rate| rate.groups.len() as u64);
        }
        for found in all.iter().flatten() {
            seen ^= found.rate.and_then(|rate| rate.groups.first()).map_or(0, |group| group.increment);
        }
        std::hint::black_box(seen)
    }

    /// Of the subject itself at the start.
    fn rating_plan_of(&self, query: &Query<'_>) -> Option<&RatingPlan> {
        let subjects = self.profiles.get(query.tenant)?.categories.get(query.category)?;
        let (_, profile) = profile_of(self, subjects, query.subject)?;
        let later = profile.partition_point(|activation| activation.from <= query.start);
        row(&self.rating_plans, profile.get(later.checked_sub(1)?)?.rating_plan)
    }
}

/// So many sessions together.
const AHEAD: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use types::charging::Service;
    use types::{Currency, UtcMs};

    use crate::tables::Tables;

    /// What is touched is what pricing reads, whatever is asked beside it.
    #[test]
    fn the_rates_that_sessions_have_are_found_ahead() {
        let tables = Tables {
            destinations: "DE,49\nMOBILE,4915\nPLUS,+1\n".into(),
            rates: "CENT,0,0.01,1s,1s,0s\nTWO,0,0.02,1s,1s,0s\nTEN,0,0.1,1s,1s,0s\n".into(),
            destination_rates: "A,DE,CENT,*up,4,0,\nA,MOBILE,TWO,*up,4,0,\nA,PLUS,TEN,*up,4,0,\nB,*any,TEN,*up,4,0,\n"
                .into(),
            rating_plans: "OWN,A,*any,10\nALL,B,*any,10\n".into(),
            rating_profiles: "t,call,anna,2026-01-01T00:00:00Z,OWN,\nt,call,*any,2026-01-01T00:00:00Z,ALL,\n".into(),
            ..Tables::default()
        };
        let currency: Currency = "EUR".parse().expect("a currency");
        let plan = Plan::from_tables(&tables, currency).expect("a plan");
        let query = |(tenant, subject, destination)| Query {
            service: Service::Voice,
            tenant,
            category: "call",
            subject,
            destination,
            start: UtcMs(1_795_300_000_000),
        };
        let asked = [
            ("t", "anna", "+49301"),
            ("t", "anna", "49151"),
            ("t", "anna", "+1201"),
            ("t", "anna", "33"),
            ("t", "berta", "+49301"),
            ("t", "berta", ""),
            ("u", "anna", "+49301"),
            ("t", "anna", "4"),
        ];
        let mut all = [const { None }; AHEAD];
        plan.find_ahead(&mut all, asked.into_iter().map(query));
        let mut rated = 0;
        for (asked, found) in asked.into_iter().zip(&all) {
            let found = found.as_ref().expect("looked at");
            let expected = plan.resolve(&query(asked)).ok().map(|rated| rated.found.binding);
            assert_eq!(found.binding, expected, "{asked:?}");
            let rate = expected.and_then(|binding| plan.rate_of(binding)).map(|(_, rate)| rate);
            assert_eq!(found.rate, rate, "{asked:?}");
            rated += u32::from(rate.is_some());
        }
        assert_eq!(rated, 5);
        // More than there is room for.
        let many = std::iter::repeat_n(asked, 9).flatten().map(query);
        plan.look_ahead(many);
    }
}
