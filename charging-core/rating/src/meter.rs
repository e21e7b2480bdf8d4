//! Adds up the increments of a session's spans: the closed form of its price.

use types::Money;

use crate::rounding::{RoundingMethod, Step};
use crate::rows::MaxCostStrategy;
use crate::spans::Span;

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
        let step = Step { method: RoundingMethod::Up, decimals: 9 };
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
    pub(crate) fn affordable(&self, span: &Span<'_>, amount: Money, wanted: u64) -> u64 {
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

    /// The final price.
    pub(crate) fn rounded(&self) -> Money {
        self.step.round(self.ticks, self.per_nano)
    }

    /// The running price, but for the floor.
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
