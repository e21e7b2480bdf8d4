//! A small exact pricing: increments, a connect fee, price borders in time, groups with their own rates.

use ledger::{Pricing, RateKey, RateQuery, RateRefusal, Rounding, Start};
use types::charging::Service;
use types::{Currency, Money, Tenant, UtcMs};

/// One rate: `price` per `increment` units from the start on, plus `connect`.
#[derive(Clone)]
pub struct Rate {
    pub increment: u64,
    pub connect: Money,
    pub price: Money,
    /// From this moment on another price per increment.
    pub border: Option<(UtcMs, Money)>,
    /// Final prices are rounded up to a multiple of this.
    pub round_up_to: Option<Money>,
    pub currency: &'static str,
}

/// Of all rates.
pub const PLAN_VERSION: u128 = 7;

pub fn money(text: &str) -> Money {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub fn currency(text: &str) -> Currency {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// 0.01 per second, the rate R1 of the examples.
pub fn r1() -> Rate {
    Rate {
        increment: 1000,
        connect: Money::ZERO,
        price: money("0.01"),
        border: None,
        round_up_to: None,
        currency: "EUR",
    }
}

/// 0.60 a minute in whole minutes, connect fee 0.05: the rate of example 3.
pub fn r3() -> Rate {
    Rate { increment: 60_000, connect: money("0.05"), price: money("0.60"), ..r1() }
}

/// Rates by rating group; the first destination that starts with one of `unrated` has none.
pub struct Tariff {
    pub rates: Vec<(u32, Rate)>,
    pub unrated: &'static str,
    /// The tenant's wall clock is so much ahead of UTC.
    pub east_ms: i64,
}

impl Tariff {
    pub fn of(rate: Rate) -> Self {
        Self { rates: vec![(0, rate)], unrated: "+888", east_ms: 0 }
    }

    fn rate(&self, key: &RateKey) -> &Rate {
        let found = self.rates.iter().find(|(group, _)| *group == key.query.rating_group);
        &found.unwrap_or_else(|| panic!("no rate for {:?}", key.query)).1
    }
}

impl Rate {
    /// The price of usage that begins at `start`.
    pub fn from(&self, start: UtcMs, usage: u64, rounding: Rounding) -> Money {
        let increments = usage.div_ceil(self.increment);
        let sum = match self.border {
            None => self.connect + Money::from_nanos(self.price.nanos() * i128::from(increments)),
            Some((border, later)) => {
                let begins = (0..increments).map(|at| start.plus(at * self.increment));
                self.connect + begins.map(|at| if at >= border { later } else { self.price }).sum::<Money>()
            }
        };
        match (rounding, self.round_up_to) {
            (Rounding::Final, Some(step)) => {
                let steps = (sum.nanos() + step.nanos() - 1).div_euclid(step.nanos());
                Money::from_nanos(steps * step.nanos())
            }
            _ => sum,
        }
    }
}

impl Pricing for Tariff {
    fn resolve(&self, query: &RateQuery) -> Result<RateKey, RateRefusal> {
        let unrated = query.destination.as_ref().is_some_and(|number| number.expose().starts_with(self.unrated));
        if unrated || !self.rates.iter().any(|(group, _)| *group == query.rating_group) {
            return Err(RateRefusal::NoRate);
        }
        Ok(RateKey { plan_version: PLAN_VERSION, query: query.clone() })
    }

    fn price(&self, key: &RateKey, usage: u64, rounding: Rounding) -> Money {
        assert!(usage > 0, "no usage is never priced");
        let rate = self.rate(key);
        match (key.query.start, rate.border) {
            (Start::At(start), _) => rate.from(start, usage, rounding),
            (Start::Within { earliest, .. }, None) => rate.from(earliest, usage, rounding),
            (Start::Within { earliest, latest }, Some(_)) => {
                let starts = (earliest.0..=latest.0).step_by(1000).map(UtcMs);
                starts.map(|start| rate.from(start, usage, rounding)).max().unwrap_or_default()
            }
        }
    }

    fn max_usage(&self, key: &RateKey, already: u64, limit: u64, amount: Money) -> u64 {
        let increment = self.rate(key).increment;
        let pays = |increments: u64| {
            let usage = increments * increment;
            usage == 0
                || (self.price(key, usage, Rounding::Running) <= amount
                    && self.price(key, usage, Rounding::Final) <= amount)
        };
        let mut best = None;
        for increments in already.div_ceil(increment)..=limit.div_ceil(increment) {
            if !pays(increments) {
                break;
            }
            best = Some(increments * increment);
        }
        best.unwrap_or(already)
    }

    fn billable(&self, key: &RateKey, usage: u64) -> u64 {
        let increment = self.rate(key).increment;
        usage.div_ceil(increment) * increment
    }

    fn per_minute_rate(&self, key: &RateKey, _usage: u64) -> Option<Money> {
        let rate = self.rate(key);
        let nanos = rate.price.nanos() * 60_000 / i128::from(rate.increment);
        (key.query.service == Service::Voice).then_some(Money::from_nanos(nanos))
    }

    fn currency(&self, key: &RateKey) -> Currency {
        currency(self.rate(key).currency)
    }

    fn day_of(&self, _tenant: &Tenant, at: UtcMs) -> i64 {
        (at.0 + self.east_ms).div_euclid(86_400_000)
    }
}
