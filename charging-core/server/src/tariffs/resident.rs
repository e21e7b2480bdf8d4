//! The plans held in memory, and which of them is in force when. No I/O, no clock.

use std::collections::HashMap;
use std::sync::Arc;

use rating::{Plan, PlanVersion};
use types::UtcMs;

/// Plans by version, and the schedule of those that may rate something new.
#[derive(Debug, Default)]
pub(crate) struct Resident {
    plans: HashMap<PlanVersion, Arc<Plan>>,
    /// From when, in order of time.
    schedule: Vec<(UtcMs, Arc<Plan>)>,
    /// The one that was loaded last: it is activated in a moment, as a rule.
    fresh: Option<Arc<Plan>>,
}

impl Resident {
    pub(crate) fn plan(&self, version: PlanVersion) -> Option<&Arc<Plan>> {
        // Nearly always the one in force.
        let newest = self.schedule.last().map(|(_, plan)| plan).filter(|plan| plan.version() == version);
        let fresh = || self.fresh.as_ref().filter(|plan| plan.version() == version);
        newest.or_else(|| self.plans.get(&version)).or_else(fresh)
    }

    pub(super) fn refresh(&mut self, plan: Arc<Plan>) {
        self.fresh = Some(plan);
    }

    pub(super) fn hold(&mut self, plan: Arc<Plan>) {
        self.plans.insert(plan.version(), plan);
    }

    pub(super) fn schedule(&mut self, schedule: Vec<(UtcMs, Arc<Plan>)>) {
        self.plans.extend(schedule.iter().map(|(_, plan)| (plan.version(), Arc::clone(plan))));
        self.schedule = schedule;
    }

    /// See [`super::Tariffs::in_force`].
    pub(crate) fn in_force(&self, start: UtcMs, now: UtcMs) -> Option<&Arc<Plan>> {
        let at = self.schedule.partition_point(|(from, _)| *from <= start.min(now)).saturating_sub(1);
        self.schedule.get(at).filter(|(from, _)| *from <= now).map(|(_, plan)| plan)
    }

    /// The version in force at `now`, and since when.
    pub(super) fn since(&self, now: UtcMs) -> Option<(PlanVersion, UtcMs)> {
        let at = self.schedule.partition_point(|(from, _)| *from <= now).checked_sub(1)?;
        self.schedule.get(at).map(|(from, plan)| (plan.version(), *from))
    }

    /// How many versions are held.
    pub(super) fn held(&self) -> usize {
        self.plans.len()
            + self.fresh.as_ref().map_or(0, |fresh| usize::from(!self.plans.contains_key(&fresh.version())))
    }

    /// Drops what was replaced before `first` from the schedule.
    pub(super) fn narrow(&mut self, first: UtcMs) {
        let in_force = self.schedule.partition_point(|(from, _)| *from <= first);
        self.schedule.drain(..in_force.saturating_sub(1));
    }

    /// Lets go of plans that are neither scheduled nor used; says how many.
    pub(super) fn forget_unused(&mut self, used: &[u128]) -> usize {
        self.fresh = None;
        let before = self.plans.len();
        let schedule = &self.schedule;
        self.plans.retain(|version, _| {
            used.contains(&version.bits()) || schedule.iter().any(|(_, plan)| plan.version() == *version)
        });
        before - self.plans.len()
    }
}

#[cfg(test)]
mod tests {
    use rating::Tables;
    use types::Currency;

    use super::*;

    fn plan(rate: &str) -> Arc<Plan> {
        let currency: Currency = "EUR".parse().expect("a currency");
        let tables = Tables { rates: format!("R,0,{rate},1s,1s,0s\n"), ..Tables::default() };
        Arc::new(Plan::from_tables(&tables, currency).expect("a plan"))
    }

    #[test]
    fn what_is_in_force_depends_on_the_start() {
        let [a, b, c] = ["1", "2", "3"].map(plan);
        let mut resident = Resident::default();
        assert!(resident.in_force(UtcMs(5), UtcMs(5)).is_none());
        let schedule = [(10, &a), (20, &b), (30, &c)].map(|(from, plan)| (UtcMs(from), Arc::clone(plan)));
        resident.schedule(schedule.to_vec());
        let rows = [
            // start, now, version
            (5, 25, Some(&a)),
            (10, 25, Some(&a)),
            (19, 25, Some(&a)),
            (20, 25, Some(&b)),
            // a client's clock that is ahead brings nothing forward
            (40, 25, Some(&b)),
            (30, 30, Some(&c)),
            // nothing is in force yet
            (5, 9, None),
        ];
        for (start, now, expected) in rows {
            let found = resident.in_force(UtcMs(start), UtcMs(now)).map(|plan| plan.version());
            assert_eq!(found, expected.map(|plan| plan.version()), "{start} at {now}");
        }
        for (now, expected) in [(9, None), (10, Some((&a, 10))), (25, Some((&b, 20))), (30, Some((&c, 30)))] {
            let expected = expected.map(|(plan, from)| (plan.version(), UtcMs(from)));
            assert_eq!(resident.since(UtcMs(now)), expected, "{now}");
        }
        resident.narrow(UtcMs(25));
        assert_eq!(resident.in_force(UtcMs(5), UtcMs(29)).map(|plan| plan.version()), Some(b.version()));
        assert_eq!(resident.forget_unused(&[a.version().bits()]), 0, "a session was rated with it");
        assert_eq!(resident.forget_unused(&[]), 1);
        assert!(resident.plan(a.version()).is_none() && resident.plan(c.version()).is_some());
    }
}
