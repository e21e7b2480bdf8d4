//! A loaded plan, and the search for what applies to one session.

use std::fmt;

use types::charging::Service;
use types::{Currency, ErrorClass, UtcMs};

use crate::calendar::Timing;
use crate::fault::LoadFault;
use crate::geography::Geography;
use crate::options::PlanOptions;
use crate::rated::Rated;
use crate::tables::{PlanVersion, Tables};
use crate::tariff::{Binding, DestinationRate, Profiles, Rate, RatingPlan, row};
use crate::trie::Trie;
use crate::window::Window;

/// A tariff plan, ready to price. Large; share it behind an `Arc`.
pub struct Plan {
    pub(crate) options: PlanOptions,
    pub(crate) version: PlanVersion,
    pub(crate) tables: Tables,
    pub(crate) warnings: Vec<LoadFault>,
    pub(crate) timings: Vec<Timing>,
    /// Tags of the timings, by the same index.
    pub(crate) timing_tags: Vec<Box<str>>,
    pub(crate) rates: Vec<Rate>,
    pub(crate) destination_rates: Vec<DestinationRate>,
    pub(crate) rating_plans: Vec<RatingPlan>,
    pub(crate) profiles: Profiles,
    pub(crate) geography: Geography,
    pub(crate) trie: Trie,
    pub(crate) per_nano: i128,
}

/// The version only: the content would fill screens.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("version", &self.version).field("options", &self.options).finish_non_exhaustive()
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
    /// The name under which it is known to users of such plans.
    pub const fn code(self) -> &'static str {
        match self {
            Self::RatingPlanNotFound => "RATING_PLAN_NOT_FOUND",
            Self::UnauthorizedDestination => "UNAUTHORIZED_DESTINATION",
            Self::IncompleteRate => "INCOMPLETE_RATE",
        }
    }

    /// Repeating is useless under this plan.
    pub const fn class(self) -> ErrorClass {
        ErrorClass::Refused
    }
}

impl Plan {
    /// The canonical texts: comments, blank lines and the old Direction column dropped, rows in their order. Together with
    /// [`Plan::options`] they give an equal plan of the same version.
    pub const fn to_tables(&self) -> &Tables {
        &self.tables
    }

    /// What the plan was made with.
    pub const fn options(&self) -> &PlanOptions {
        &self.options
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
    /// else `*any`; if there is none (or none at that time of day), the fallback subjects in order, and theirs, up to
    /// [`PlanOptions::fallback_depth`] profiles deep. Times of day are those of the tenant's time zone.
    ///
    /// # Errors
    /// [`Refusal`], if there is no price.
    pub fn resolve(&self, query: &Query<'_>) -> Result<Rated<'_>, Refusal> {
        Rated::new(self, query)
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

    pub(crate) fn is_complete(&self, binding: &Binding) -> bool {
        self.rate_of(binding).is_some_and(|(_, rate)| rate.is_complete())
    }

    pub(crate) fn rate_of(&self, binding: &Binding) -> Option<(&DestinationRate, &Rate)> {
        let destination_rate = row(&self.destination_rates, binding.destination_rate)?;
        Some((destination_rate, row(&self.rates, destination_rate.rate)?))
    }
}
