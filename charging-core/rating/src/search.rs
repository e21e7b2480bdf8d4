//! The search for what applies to a number: the subject's profile, its plan at an instant, the longest prefix that the
//! plan has a rate for, or else `*any`, or else the fallback subjects.
//!
//! Fallbacks may form cycles. A profile is looked at again only with more depth left than before, so the work is at most
//! profiles times depth, whatever refers to whom.

use std::collections::BTreeMap;

use types::UtcMs;

use crate::calendar::Instant;
use crate::fields::ANY;
use crate::plan::{Plan, Query, Refusal};
use crate::tariff::{Activation, Binding, Profile, RatingPlan, Subjects, TenantProfiles, active, row};
use crate::trie::Match;

/// The prefixes of a number, found once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    as_is: Option<Match>,
    /// Without its `+`.
    bare: Option<Match>,
}

/// The part of a number that a rate was found for, in bytes: some of it as it is, or some of it behind its `+`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Matched {
    pub length: u16,
    pub behind_plus: bool,
}

impl Number {
    pub(crate) fn of(plan: &Plan, number: &str) -> Self {
        let digits = number.strip_prefix('+').filter(|_| plan.options.plus_is_optional);
        Self { as_is: plan.trie.longest(number), bare: digits.and_then(|digits| plan.trie.longest(digits)) }
    }

    /// The zones of its longest prefixes.
    pub(crate) fn zones(&self) -> impl Iterator<Item = u32> {
        [self.as_is, self.bare].into_iter().flatten().map(|found| found.zone)
    }

    /// The bindings of the longest prefix that a rating plan has a rate for.
    pub(crate) fn bindings<'p>(&self, plan: &Plan, rating_plan: &'p RatingPlan) -> (&'p [Binding], Matched) {
        let longest_in_plan = |longest: Option<Match>, behind_plus| {
            std::iter::successors(longest, |found| plan.trie.shorter(*found)).find_map(|found| {
                let matched = Matched { length: found.length, behind_plus };
                rating_plan.zone(found.zone).map(|bindings| (bindings, matched))
            })
        };
        let chosen = match (longest_in_plan(self.as_is, false), longest_in_plan(self.bare, true)) {
            // Of `+49` and `49` the one that names the `+` wins; its `+` is no digit.
            (Some(with_plus), Some(digits)) if digits.1.length >= with_plus.1.length => Some(digits),
            (Some(found), _) | (None, Some(found)) => Some(found),
            (None, None) => None,
        };
        chosen.unwrap_or((&rating_plan.any, Matched { length: 0, behind_plus: false }))
    }
}

/// Where to search; the same for a whole session.
#[derive(Clone, Copy)]
pub(crate) struct Search<'p> {
    plan: &'p Plan,
    tenant: &'p TenantProfiles,
    subjects: &'p Subjects,
    /// The subject's own profile, or that of `*any`.
    first: (&'p str, &'p Profile),
    number: Number,
}

/// What applies from an instant on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'p> {
    /// The subject whose profile has the rate.
    pub subject: &'p str,
    pub rating_plan: &'p RatingPlan,
    pub matched: Matched,
    /// All that may apply to the number under this plan.
    pub bindings: &'p [Binding],
    /// The one in force.
    pub binding: &'p Binding,
}

impl Found<'_> {
    /// True if the same applies, for the same reason.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.binding == other.binding
            && std::ptr::eq(self.rating_plan, other.rating_plan)
            && std::ptr::eq(self.subject, other.subject)
    }
}

impl<'p> Search<'p> {
    pub(crate) fn new(plan: &'p Plan, query: &Query<'_>) -> Result<Self, Refusal> {
        // First, because it waits for the memory: the rest is done meanwhile.
        let number = Number::of(plan, query.destination);
        let tenant = plan.profiles.get(query.tenant).ok_or(Refusal::RatingPlanNotFound)?;
        let subjects = tenant.categories.get(query.category).ok_or(Refusal::RatingPlanNotFound)?;
        let first = profile_of(plan, subjects, query.subject).ok_or(Refusal::RatingPlanNotFound)?;
        Ok(Self { plan, tenant, subjects, first, number })
    }

    pub(crate) const fn tenant(&self) -> &'p TenantProfiles {
        self.tenant
    }

    pub(crate) fn instant(&self, at: UtcMs) -> Instant {
        Instant::of(self.tenant.options.time_zone.latest_shown(at))
    }

    /// What applies at `at`; and when a profile that was looked at changes next.
    pub(crate) fn at(&self, at: UtcMs) -> (Result<Found<'p>, Refusal>, Option<UtcMs>) {
        let mut walk = Walk { search: self, at, change: None, seen: BTreeMap::new() };
        let found = walk.in_profile(self.first, self.plan.options.fallback_depth.clamp(1, MAX_DEPTH));
        (found.unwrap_or(Err(Refusal::RatingPlanNotFound)), walk.change)
    }

    /// The binding in force at `at` among `bindings`, if its rate can price.
    pub(crate) fn in_force(&self, bindings: &'p [Binding], at: UtcMs) -> Option<&'p Binding> {
        let binding = active(bindings, &self.plan.timings, || self.instant(at))?;
        Some(binding).filter(|binding| self.plan.is_complete(binding))
    }
}

/// The subject's own profile, or else that of a part of its name where the plan says so, or else that of `*any`.
pub(crate) fn profile_of<'p>(plan: &Plan, subjects: &'p Subjects, subject: &str) -> Option<(&'p str, &'p Profile)> {
    let exactly = |subject: &str| subjects.get_key_value(subject).map(|(name, profile)| (&**name, profile));
    if let Some(found) = exactly(subject) {
        return Some(found);
    }
    let shorter =
        || subject.char_indices().rev().take_while(|(at, _)| *at > 0).find_map(|(at, _)| exactly(subject.get(..at)?));
    let prefix = if plan.options.subject_prefix_matching { shorter() } else { None };
    prefix.or_else(|| exactly(ANY))
}

struct Walk<'w, 'p> {
    search: &'w Search<'p>,
    at: UtcMs,
    change: Option<UtcMs>,
    /// Profiles whose fallbacks were looked at, and with how much depth left; by address.
    seen: BTreeMap<*const Profile, u8>,
}

impl<'p> Walk<'_, 'p> {
    /// Nothing if the profile has no plan yet; the refusal if its plans have no rate.
    fn in_profile(
        &mut self,
        (subject, profile): (&'p str, &'p Profile),
        depth: u8,
    ) -> Option<Result<Found<'p>, Refusal>> {
        let later = profile.partition_point(|activation| activation.from <= self.at);
        if let Some(change) = profile.get(later).map(|activation| activation.from) {
            self.change = Some(self.change.map_or(change, |earlier| earlier.min(change)));
        }
        let activation = profile.get(later.checked_sub(1)?)?;
        if let Some(found) = self.in_plan(subject, activation) {
            return Some(found);
        }
        let left = depth - 1;
        if left > 0 && !activation.fallback.is_empty() {
            self.seen.insert(profile, depth);
            for name in &activation.fallback {
                let Some((subject, profile)) = self.search.subjects.get_key_value(name) else { continue };
                if self.seen.get(&std::ptr::from_ref(profile)).is_some_and(|with| *with >= left) {
                    continue;
                }
                let found = self.in_profile((subject, profile), left);
                if let Some(found) = found.filter(|found| !matches!(found, Err(Refusal::UnauthorizedDestination))) {
                    return Some(found);
                }
                self.seen.insert(profile, left);
            }
        }
        Some(Err(Refusal::UnauthorizedDestination))
    }

    fn in_plan(&self, subject: &'p str, activation: &Activation) -> Option<Result<Found<'p>, Refusal>> {
        let search = self.search;
        let rating_plan = row(&search.plan.rating_plans, activation.rating_plan)?;
        let (bindings, matched) = search.number.bindings(search.plan, rating_plan);
        let binding = active(bindings, &search.plan.timings, || search.instant(self.at))?;
        if !search.plan.is_complete(binding) {
            return Some(Err(Refusal::IncompleteRate));
        }
        Some(Ok(Found { subject, rating_plan, matched, bindings, binding }))
    }
}

/// Nobody means more; and with it the work stays small even where everybody falls back to everybody.
const MAX_DEPTH: u8 = 32;
