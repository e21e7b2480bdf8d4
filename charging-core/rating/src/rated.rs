//! The price of one session, as a function of its total usage.

use std::fmt;
use std::ops::ControlFlow;

use types::charging::Service;
use types::{Money, UtcMs};

use crate::meter::Meter;
use crate::options::Tax;
use crate::plan::{Plan, Query, Refusal};
use crate::rounding::Rounding;
use crate::search::{Found, Search};
use crate::spans::{NANOS_PER_MS, for_each_span};
use crate::tariff::Group;
use crate::window::Window;

/// What applies to one session: found by [`Plan::resolve`], small and cheap to copy.
///
/// Usage is in milliseconds for voice and in units for anything else, and always the total since the start. Voice
/// usage beyond 584 years counts as 584 years. Nothing here allocates, except [`Rated::explain`].
#[derive(Clone, Copy)]
pub struct Rated<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) voice: bool,
    pub(crate) start: UtcMs,
    pub(crate) search: Search<'p>,
    /// What applies at the start.
    pub(crate) found: Found<'p>,
    /// When another plan may apply.
    pub(crate) plan_changes: Option<UtcMs>,
}

impl fmt::Debug for Rated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rated")
            .field("plan", &self.plan.version)
            .field("rating_plan", &self.rating_plan_id())
            .field("destination", &self.destination_id())
            .field("rate", &self.rate_id())
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

impl<'p> Rated<'p> {
    pub(crate) fn new(plan: &'p Plan, query: &Query<'_>) -> Result<Self, Refusal> {
        let search = Search::new(plan, query)?;
        let (found, plan_changes) = search.at(query.start);
        Ok(Self {
            plan,
            voice: query.service == Service::Voice,
            start: query.start,
            search,
            found: found?,
            plan_changes,
        })
    }

    /// The same as [`Plan::resolve_window`] from this start to `latest`, without another search; `query` must be the one
    /// that this was found with.
    pub fn until<'q>(&self, query: &Query<'q>, latest: UtcMs) -> Window<'p, 'q> {
        Window::from(*self, query, latest)
    }

    /// What is charged for `usage`, tax included. Nothing used costs nothing, not even the connect fee.
    ///
    /// [`Rounding::Running`] never falls as usage grows, and is never below [`Rounding::Final`]. The work depends on
    /// the number of rate changes in the session, not on its length. A price beyond [`Money::LIMIT`] is given as that
    /// limit; [`Rated::quote`] refuses it.
    pub fn price(&self, usage: u64, rounding: Rounding) -> Money {
        let meter = self.run(self.base(usage));
        let tax = self.tax();
        let charged = match rounding {
            _ if usage == 0 => Money::ZERO,
            Rounding::Running => {
                let net = meter.running().max(meter.floor);
                tax.map_or(net, |tax| tax.added_up_to(net))
            }
            Rounding::Final => {
                let net = meter.rounded();
                tax.map_or(net, |tax| tax.added_to(net))
            }
        };
        charged.min(Money::LIMIT)
    }

    /// The largest usage from `already` to `billable(limit)` whose running price is at most `amount`; `already` if there
    /// is none. It ends where an increment ends, so that everything paid for can be used: an increment that is
    /// partly used at `already` is paid and counts whole.
    pub fn max_usage(&self, already: u64, limit: u64, amount: Money) -> u64 {
        let limit = self.base(limit.max(already));
        let amount = self.tax().map_or(amount, |tax| tax.most_net(amount));
        let mut meter = Meter::new(self.plan.per_nano);
        for_each_span(self, limit, |span| {
            if meter.position >= limit {
                return ControlFlow::Break(());
            }
            let wanted = meter.increments(span, limit);
            if wanted == 0 {
                return ControlFlow::Continue(());
            }
            meter.enter(span);
            let affordable = meter.affordable(span, amount, wanted);
            meter.pay(span, affordable);
            if affordable < wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.outer(meter.position).max(already)
    }

    /// Usage rounded up to whole increments: what is paid for when `usage` is used.
    pub fn billable(&self, usage: u64) -> u64 {
        self.outer(self.run(self.base(usage)).position)
    }

    /// The rate in force at `usage` as the plan has it, so before a tax that is added: per minute for voice (to the
    /// nearest nano unit), per rate unit as written for anything else. Zero usage asks for the first increment's.
    pub fn per_minute_rate(&self, usage: u64) -> Money {
        let mut meter = Meter::new(self.plan.per_nano);
        let limit = self.base(usage).max(1);
        let mut last = None;
        for_each_span(self, limit, |span| {
            if meter.position >= limit {
                return ControlFlow::Break(());
            }
            let wanted = meter.increments(span, limit);
            if wanted > 0 {
                meter.pay(span, wanted);
                last = Some(span.group);
            }
            ControlFlow::Continue(())
        });
        last.map_or(Money::ZERO, |group| if self.voice { per_minute(group) } else { group.rate })
    }

    /// The destination whose rate applies at the start, `*any` if the number matched none.
    pub fn destination_id(&self) -> &'p str {
        self.plan.rate_of(self.found.binding).map_or("", |(destination_rate, _)| &destination_rate.destination)
    }

    /// The tag in Rates that applies at the start.
    pub fn rate_id(&self) -> &'p str {
        self.plan.rate_of(self.found.binding).map_or("", |(_, rate)| &rate.id)
    }

    /// The rating plan in force at the start.
    pub fn rating_plan_id(&self) -> &'p str {
        &self.found.rating_plan.id
    }

    /// The subject whose profile has the rate: the one that was asked for, a prefix of it, `*any`, or a fallback subject.
    pub fn subject(&self) -> &'p str {
        self.found.subject
    }

    /// The part of `number`, which is the one that was asked for, that a rate was found for; empty for `*any`.
    pub fn matched_prefix<'n>(&self, number: &'n str) -> &'n str {
        let matched = self.found.matched;
        let number = if matched.behind_plus { number.strip_prefix('+').unwrap_or(number) } else { number };
        number.get(..usize::from(matched.length)).unwrap_or_default()
    }

    /// The tax on this session's price.
    pub fn tax(&self) -> Option<Tax> {
        self.search.tenant().options.tax
    }

    /// The start that was asked for.
    pub const fn start(&self) -> UtcMs {
        self.start
    }

    /// The plan that prices.
    pub const fn plan(&self) -> &'p Plan {
        self.plan
    }

    /// True when another rate may apply at another time of day.
    pub(crate) fn follows_clock(&self) -> bool {
        self.found.bindings.first().is_some_and(|winner| winner.timing.is_some())
    }

    /// The meter after `limit` base units.
    pub(crate) fn run(&self, limit: u64) -> Meter {
        let mut meter = Meter::new(self.plan.per_nano);
        for_each_span(self, limit, |span| {
            if meter.position >= limit {
                return ControlFlow::Break(());
            }
            let wanted = meter.increments(span, limit);
            if wanted > 0 {
                meter.enter(span);
                meter.pay(span, wanted);
            }
            ControlFlow::Continue(())
        });
        meter
    }

    pub(crate) const fn base(&self, usage: u64) -> u64 {
        if self.voice { usage.saturating_mul(NANOS_PER_MS) } else { usage }
    }

    /// Whole milliseconds within the base units.
    pub(crate) const fn outer(&self, position: u64) -> u64 {
        if self.voice { position / NANOS_PER_MS } else { position }
    }
}

/// A voice group's rate for a minute, to the nearest nano unit.
fn per_minute(group: &Group) -> Money {
    let unit = i128::from(group.unit);
    if unit == NANOS_PER_MINUTE {
        return group.rate;
    }
    Money::from_nanos(group.rate.nanos().saturating_mul(NANOS_PER_MINUTE).saturating_add(unit / 2) / unit)
}

const NANOS_PER_MINUTE: i128 = 60_000_000_000;
