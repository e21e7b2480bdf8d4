//! The price of one session, as a function of its total usage.

use std::fmt;

use types::{Money, UtcMs};

use crate::plan::{Number, Plan};
use crate::rounding::{Rounding, Step};
use crate::rows::MaxCostStrategy;
use crate::spans::{NANOS_PER_MS, Span, spans};
use crate::tariff::{Binding, Profile};

/// What applies to one session: found by [`Plan::resolve`], small and cheap to copy.
///
/// Usage is in milliseconds for voice and in units for anything else, and always the total since the start. Voice
/// usage beyond 584 years counts as 584 years. Nothing here allocates, except [`Rated::explain`].
#[derive(Clone, Copy)]
pub struct Rated<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) voice: bool,
    pub(crate) start: UtcMs,
    pub(crate) profile: &'p Profile,
    /// Index of the activation in force at the start.
    pub(crate) activation: usize,
    pub(crate) number: Number,
    /// All that may apply to the number under this activation.
    pub(crate) bindings: &'p [Binding],
    /// The one in force at the start.
    pub(crate) binding: &'p Binding,
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
    /// The price of `usage`. Nothing used costs nothing, not even the connect fee.
    ///
    /// [`Rounding::Running`] never falls as usage grows, and is never below [`Rounding::Final`]. The work depends on
    /// the number of rate changes in the session, not on its length.
    pub fn price(&self, usage: u64, rounding: Rounding) -> Money {
        let meter = self.run(self.base(usage));
        match rounding {
            _ if usage == 0 => Money::ZERO,
            Rounding::Running => meter.running().max(meter.floor),
            Rounding::Final => meter.step.round(meter.ticks, self.plan.per_nano),
        }
    }

    /// The largest usage from `already` to `billable(limit)` whose running price is at most `amount`; `already` if there
    /// is none. It ends where an increment ends, so that everything paid for can be used: an increment that is
    /// partly used at `already` is paid and counts whole.
    pub fn max_usage(&self, already: u64, limit: u64, amount: Money) -> u64 {
        let limit = self.base(limit.max(already));
        let mut meter = Meter::new(self.plan.per_nano);
        for span in spans(self) {
            if meter.position >= limit {
                break;
            }
            let wanted = meter.increments(&span, limit);
            if wanted == 0 {
                continue;
            }
            meter.enter(&span);
            let affordable = meter.affordable(&span, amount, wanted);
            meter.pay(&span, affordable);
            if affordable < wanted {
                break;
            }
        }
        self.outer(meter.position).max(already)
    }

    /// Usage rounded up to whole increments: what is paid for when `usage` is used.
    pub fn billable(&self, usage: u64) -> u64 {
        self.outer(self.run(self.base(usage)).position)
    }

    /// The rate in force at `usage`: per minute for voice (to the nearest nano unit), per rate unit as written for
    /// anything else. Zero usage asks for the first increment's.
    pub fn per_minute_rate(&self, usage: u64) -> Money {
        let mut meter = Meter::new(self.plan.per_nano);
        let limit = self.base(usage).max(1);
        let mut rate = Money::ZERO;
        for span in spans(self) {
            if meter.position >= limit {
                break;
            }
            let wanted = meter.increments(&span, limit);
            if wanted > 0 {
                meter.pay(&span, wanted);
                let unit = i128::from(span.group.unit);
                let per_minute =
                    span.group.rate.nanos().saturating_mul(NANOS_PER_MINUTE).saturating_add(unit / 2) / unit;
                rate = if self.voice { Money::from_nanos(per_minute) } else { span.group.rate };
            }
        }
        rate
    }

    /// The destination whose rate applies at the start, `*any` if the number matched none.
    pub fn destination_id(&self) -> &'p str {
        self.plan.destination_rates.get(self.binding.destination_rate).map_or("", |rate| &rate.destination)
    }

    /// The tag in Rates that applies at the start.
    pub fn rate_id(&self) -> &'p str {
        let rate = self.plan.destination_rates.get(self.binding.destination_rate);
        rate.and_then(|rate| self.plan.rates.get(rate.rate)).map_or("", |rate| &rate.id)
    }

    /// The rating plan in force at the start.
    pub fn rating_plan_id(&self) -> &'p str {
        let plan = self.profile.get(self.activation).map(|activation| activation.rating_plan);
        plan.and_then(|plan| self.plan.rating_plans.get(plan)).map_or("", |plan| &plan.id)
    }

    /// The start that was asked for.
    pub const fn start(&self) -> UtcMs {
        self.start
    }

    /// The plan that prices.
    pub const fn plan(&self) -> &'p Plan {
        self.plan
    }

    /// The meter after `limit` base units.
    fn run(&self, limit: u64) -> Meter {
        let mut meter = Meter::new(self.plan.per_nano);
        for span in spans(self) {
            if meter.position >= limit {
                break;
            }
            let wanted = meter.increments(&span, limit);
            if wanted > 0 {
                meter.enter(&span);
                meter.pay(&span, wanted);
            }
        }
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

/// Adds up increments, exactly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    /// Base units paid for so far.
    pub position: u64,
    /// Exact price so far.
    pub ticks: i128,
    /// The rounding with the most decimals among the spans so far.
    pub step: Step,
    /// The running price at the end of the last span that rounded otherwise; later ones must not fall below.
    pub floor: Money,
    per_nano: i128,
    entered: bool,
}

impl Meter {
    pub(crate) const fn new(per_nano: i128) -> Self {
        let step = Step { method: crate::rounding::RoundingMethod::Up, decimals: 9 };
        Self { position: 0, ticks: 0, step, floor: Money::ZERO, per_nano, entered: false }
    }

    /// Increments of `span` that usage up to `limit` pays for.
    pub(crate) fn increments(&self, span: &Span<'_>, limit: u64) -> u64 {
        span.to.min(limit).saturating_sub(self.position).div_ceil(span.group.increment)
    }

    /// Begins to pay at a span: the first one brings the connect fee, each one its rounding.
    pub(crate) fn enter(&mut self, span: &Span<'_>) {
        let step = span.destination_rate.step;
        if !self.entered {
            self.entered = true;
            self.step = step;
            let fee = self.ticks_of(span.rate.connect_fee);
            self.ticks = self.free_from(span).map_or(fee, |free_from| fee.min(free_from));
        } else if step.decimals > self.step.decimals {
            self.floor = self.floor.max(self.running());
            self.step = step;
        }
    }

    /// Pays `increments` of the span.
    pub(crate) fn pay(&mut self, span: &Span<'_>, increments: u64) {
        let cost = i128::from(increments).saturating_mul(span.group.ticks);
        let ticks = self.ticks.saturating_add(cost);
        self.ticks = self.free_from(span).map_or(ticks, |free_from| ticks.min(free_from.max(self.ticks)));
        let units = u128::from(increments) * u128::from(span.group.increment);
        self.position = u64::try_from(u128::from(self.position) + units).unwrap_or(u64::MAX);
    }

    /// How many of `wanted` increments leave the running price at or below `amount`, and the cost below a maximum that
    /// disconnects.
    fn affordable(&self, span: &Span<'_>, amount: Money, wanted: u64) -> u64 {
        let mut most = self.step.most_ticks(amount, self.per_nano);
        if let Some((max, MaxCostStrategy::Disconnect)) = span.destination_rate.max_cost {
            most = most.min(self.ticks_of(max));
        }
        let left = most.saturating_sub(self.ticks);
        if left < 0 {
            return 0;
        }
        let free = self.free_from(span).is_some_and(|free_from| free_from <= most);
        if free || span.group.ticks == 0 {
            return wanted;
        }
        u64::try_from(left / span.group.ticks).unwrap_or(u64::MAX).min(wanted)
    }

    pub(crate) fn running(&self) -> Money {
        self.step.running(self.ticks, self.per_nano)
    }

    fn free_from(&self, span: &Span<'_>) -> Option<i128> {
        match span.destination_rate.max_cost {
            Some((max, MaxCostStrategy::Free)) => Some(self.ticks_of(max)),
            _ => None,
        }
    }

    fn ticks_of(&self, amount: Money) -> i128 {
        amount.nanos().saturating_mul(self.per_nano)
    }
}

const NANOS_PER_MINUTE: i128 = 60_000_000_000;
