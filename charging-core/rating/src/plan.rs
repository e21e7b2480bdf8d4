//! A loaded plan, and the search for what applies to one session.

use std::collections::HashMap;
use std::fmt;

use types::charging::Service;
use types::{Currency, ErrorClass, UtcMs};

use crate::build;
use crate::calendar::Timing;
use crate::fault::{LoadErrors, LoadFault};
use crate::fields::ANY;
use crate::rated::Rated;
use crate::tables::{PlanVersion, Tables};
use crate::tariff::{Activation, Binding, DestinationRate, Profile, Profiles, Rate, RatingPlan, active};
use crate::trie::{Match, Trie};
use crate::window::Window;

/// A tariff plan, ready to price. Large; share it behind an `Arc`.
pub struct Plan {
    pub(crate) options: PlanOptions,
    pub(crate) version: PlanVersion,
    pub(crate) tables: Tables,
    pub(crate) warnings: Vec<LoadFault>,
    pub(crate) timings: Vec<Timing>,
    pub(crate) rates: Vec<Rate>,
    pub(crate) destination_rates: Vec<DestinationRate>,
    pub(crate) rating_plans: Vec<RatingPlan>,
    pub(crate) profiles: Profiles,
    pub(crate) trie: Trie,
    pub(crate) per_nano: i128,
}

/// The version only: the content would fill screens.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("version", &self.version).field("options", &self.options).finish_non_exhaustive()
    }
}

/// What a plan needs besides its tables. A currency alone will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// The currency of all amounts.
    pub currency: Currency,
    /// Rating profiles looked at for one number, the subject's own being the first; 3 unless told otherwise.
    pub fallback_depth: u8,
    /// True unless told otherwise: a number with `+` also matches prefixes without it, and the prefix with most digits
    /// wins. False: `+` is a character like any other, as the plan format itself has it.
    pub plus_is_optional: bool,
}

impl From<Currency> for PlanOptions {
    fn from(currency: Currency) -> Self {
        Self { currency, fallback_depth: 3, plus_is_optional: true }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'q> {
    /// What is sold. Voice usage is in milliseconds and follows the times of the tariff; any other usage is in units
    /// (octets, messages), all priced as at the start.
    pub service: Service,
    /// The operator's customer domain.
    pub tenant: &'q str,
    /// The kind of traffic, such as `call`.
    pub category: &'q str,
    /// Whose tariff.
    pub subject: &'q str,
    /// The normalised number, with or without `+` (see [`PlanOptions::plus_is_optional`]), or a name.
    pub destination: &'q str,
    /// When charging starts.
    pub start: UtcMs,
}

/// Why there is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The subject has no rating profile, or none yet at the start.
    #[error("no rating plan for the subject")]
    RatingPlanNotFound,
    /// The plans of the subject have no rate for the destination at the start.
    #[error("no rate for the destination")]
    UnauthorizedDestination,
    /// The rate has no price for the begin of a session; [`Plan::warnings`] names the line.
    #[error("the rate has no group that starts at 0")]
    IncompleteRate,
}

impl Refusal {
    /// Repeating is useless under this plan.
    pub const fn class(self) -> ErrorClass {
        ErrorClass::Refused
    }
}

impl Plan {
    /// Makes a plan of table texts; pure.
    ///
    /// # Errors
    /// All faults of all tables, if there is any.
    pub fn from_tables(tables: &Tables, options: impl Into<PlanOptions>) -> Result<Self, LoadErrors> {
        build::build(tables, options.into())
    }

    /// The canonical texts: comments, blank lines and the old Direction column dropped, rows in their order. Together with
    /// [`Plan::options`] they give an equal plan of the same version.
    pub const fn to_tables(&self) -> &Tables {
        &self.tables
    }

    /// What the plan was made with.
    pub const fn options(&self) -> PlanOptions {
        self.options
    }

    /// Names the plan's content and options.
    pub const fn version(&self) -> PlanVersion {
        self.version
    }

    /// The currency of all amounts.
    pub const fn currency(&self) -> Currency {
        self.options.currency
    }

    /// What prices nothing wrongly but was hardly meant: references to destinations or fallback subjects that do not
    /// exist, rates without a begin.
    pub fn warnings(&self) -> &[LoadFault] {
        &self.warnings
    }

    /// Finds the price of a session that starts at `query.start`.
    ///
    /// The subject's own profile, or that of `*any` if there is none; in its plan the longest prefix that has a rate, or
    /// else `*any`; if there is none (or none at that time of day), the fallback subjects in order, and theirs.
    ///
    /// # Errors
    /// [`Refusal`], if there is no price.
    pub fn resolve(&self, query: &Query<'_>) -> Result<Rated<'_>, Refusal> {
        let subjects = self.profiles.get(query.tenant).and_then(|tenant| tenant.get(query.category));
        let subjects = subjects.ok_or(Refusal::RatingPlanNotFound)?;
        let profile = subjects.get(query.subject).or_else(|| subjects.get(ANY)).ok_or(Refusal::RatingPlanNotFound)?;
        let number = Number::of(self, query.destination);
        let search = Search { plan: self, query, number, subjects };
        search.in_profile(profile, self.options.fallback_depth.max(1)).ok_or(Refusal::RatingPlanNotFound)?
    }

    /// Prices a session whose start is not known yet: whatever is asked of the window is answered for the dearest of the
    /// starts from `earliest` to `latest` (both included; `query.start` does not count).
    ///
    /// # Errors
    /// [`Refusal`], if there is no price at `earliest`.
    pub fn resolve_window<'p, 'q>(
        &'p self,
        query: &Query<'q>,
        earliest: UtcMs,
        latest: UtcMs,
    ) -> Result<Window<'p, 'q>, Refusal> {
        Window::new(self, query, earliest, latest)
    }

    pub(crate) fn bindings<'p>(&self, rating_plan: &'p RatingPlan, number: Number) -> Option<&'p [Binding]> {
        let longest_in_plan = |longest: Option<Match>| {
            std::iter::successors(longest, |found| self.trie.shorter(*found))
                .find_map(|found| rating_plan.zone(found.zone).map(|bindings| (found.length, bindings)))
        };
        let as_is = longest_in_plan(number.as_is);
        let bare = longest_in_plan(number.bare);
        let chosen = match (as_is, bare) {
            // Of `+49` and `49` the one that names the `+` wins; its `+` is no digit.
            (Some((with_plus, _)), Some((digits, bindings))) if digits >= with_plus => Some(bindings),
            (Some((_, bindings)), _) | (None, Some((_, bindings))) => Some(bindings),
            (None, None) => None,
        };
        chosen.or(Some(&*rating_plan.any)).filter(|bindings| !bindings.is_empty())
    }

    pub(crate) fn is_complete(&self, binding: &Binding) -> bool {
        let rate = self.destination_rates.get(binding.destination_rate).and_then(|found| self.rates.get(found.rate));
        rate.is_some_and(Rate::is_complete)
    }
}

/// The prefixes of a number, found once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    as_is: Option<Match>,
    /// Without its `+`.
    bare: Option<Match>,
}

impl Number {
    fn of(plan: &Plan, number: &str) -> Self {
        let digits = number.strip_prefix('+').filter(|_| plan.options.plus_is_optional);
        Self { as_is: plan.trie.longest(number), bare: digits.and_then(|digits| plan.trie.longest(digits)) }
    }
}

struct Search<'s, 'p, 'q> {
    plan: &'p Plan,
    query: &'s Query<'q>,
    number: Number,
    subjects: &'p HashMap<Box<str>, Profile>,
}

impl<'p> Search<'_, 'p, '_> {
    /// Nothing if the profile has no plan at the start; the refusal if its plans have no rate.
    fn in_profile(&self, profile: &'p Profile, depth: u8) -> Option<Result<Rated<'p>, Refusal>> {
        let at = profile.partition_point(|activation| activation.from <= self.query.start).checked_sub(1)?;
        let activation = profile.get(at)?;
        if let Some(found) = self.in_plan(profile, at, activation) {
            return Some(found);
        }
        let deeper = depth.checked_sub(1).filter(|left| *left > 0);
        let fallback = deeper.and_then(|left| {
            let profiles = activation.fallback.iter().filter_map(|subject| self.subjects.get(subject));
            profiles
                .filter_map(|profile| self.in_profile(profile, left))
                .find(|found| !matches!(found, Err(Refusal::UnauthorizedDestination)))
        });
        Some(fallback.unwrap_or(Err(Refusal::UnauthorizedDestination)))
    }

    fn in_plan(&self, profile: &'p Profile, at: usize, activation: &Activation) -> Option<Result<Rated<'p>, Refusal>> {
        let rating_plan = self.plan.rating_plans.get(activation.rating_plan)?;
        let bindings = self.plan.bindings(rating_plan, self.number)?;
        let binding = active(bindings, &self.plan.timings, self.query.start)?;
        if !self.plan.is_complete(binding) {
            return Some(Err(Refusal::IncompleteRate));
        }
        Some(Ok(Rated {
            plan: self.plan,
            voice: self.query.service == Service::Voice,
            start: self.query.start,
            profile,
            activation: at,
            number: self.number,
            bindings,
            binding,
        }))
    }
}
