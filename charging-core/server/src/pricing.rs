//! The ledger's prices from the rating crate.

use std::cell::RefCell;
use std::sync::{Arc, RwLockReadGuard};

use ledger::{Pricing, RateKey, RateQuery, RateRefusal, Rounding, Start};
use metrics::counter;
use rating::{Plan, Query, Rated, Refusal};
use types::{Currency, Money, Tenant, UtcMs};

use crate::metric::names;
use crate::tariffs::{Resident, Tariffs, utc_now};

/// Prices by the version in force when a session begins, and by the session's own version afterwards.
#[derive(Debug)]
pub struct TariffPricing {
    pub(crate) tariffs: Arc<Tariffs>,
}

impl TariffPricing {
    /// Prices from these versions.
    pub fn new(tariffs: Arc<Tariffs>) -> Self {
        Self { tariffs }
    }

    /// The versions as they are; they stay so until this is dropped, so that must be soon.
    pub(crate) fn hold(&self) -> HeldTariffs<'_> {
        HeldTariffs { tariffs: &self.tariffs, resident: self.tariffs.resident() }
    }

    fn of_now<T>(&self, ask: impl FnOnce(&TurnPricing<'_>) -> T) -> T {
        ask(&self.hold().pricing())
    }
}

impl Pricing for TariffPricing {
    fn resolve(&self, query: &RateQuery) -> Result<RateKey, RateRefusal> {
        self.of_now(|now| now.resolve(query))
    }

    fn resolve_again(&self, rate: &RateKey, start: Start) -> Result<RateKey, RateRefusal> {
        self.of_now(|now| now.resolve_again(rate, start))
    }

    fn price(&self, key: &RateKey, usage: u64, rounding: Rounding) -> Money {
        self.of_now(|now| now.price(key, usage, rounding))
    }

    fn ceiling(&self, key: &RateKey, usage: u64) -> Money {
        self.of_now(|now| now.ceiling(key, usage))
    }

    fn max_usage(&self, key: &RateKey, already: u64, limit: u64, amount: Money) -> u64 {
        self.of_now(|now| now.max_usage(key, already, limit, amount))
    }

    fn billable(&self, key: &RateKey, usage: u64) -> u64 {
        self.of_now(|now| now.billable(key, usage))
    }

    fn per_minute_rate(&self, key: &RateKey, usage: u64) -> Option<Money> {
        self.of_now(|now| now.per_minute_rate(key, usage))
    }

    fn currency(&self, key: &RateKey) -> Currency {
        self.of_now(|now| now.currency(key))
    }

    fn day_of(&self, tenant: &Tenant, at: UtcMs) -> i64 {
        self.of_now(|now| now.day_of(tenant, at))
    }
}

/// The versions, held for a moment.
#[derive(Debug)]
pub(crate) struct HeldTariffs<'t> {
    tariffs: &'t Tariffs,
    resident: RwLockReadGuard<'t, Resident>,
}

impl HeldTariffs<'_> {
    /// Prices of one decision.
    pub(crate) fn pricing(&self) -> TurnPricing<'_> {
        TurnPricing {
            tariffs: self.tariffs,
            resident: &self.resident,
            found: RefCell::default(),
            day: RefCell::default(),
        }
    }
}

/// Prices of one decision, which asks the same rates again and again: each is searched for once.
#[derive(Debug)]
pub(crate) struct TurnPricing<'h> {
    tariffs: &'h Tariffs,
    resident: &'h Resident,
    found: RefCell<Found<'h>>,
    /// The last answer of [`Pricing::day_of`].
    day: RefCell<Option<(Tenant, UtcMs, i64)>>,
}

impl Pricing for TurnPricing<'_> {
    fn resolve(&self, query: &RateQuery) -> Result<RateKey, RateRefusal> {
        // By its start: what an outbox sends late is rated as it would have been in time.
        let (Start::At(start) | Start::Within { earliest: start, .. }) = query.start;
        let Some(plan) = self.resident.in_force(start, utc_now()) else {
            counter!(names::UNRATED, "reason" => "no_tariff").increment(1);
            return Err(RateRefusal::NoPlan);
        };
        self.resolved(plan, query.clone()).inspect_err(|refusal| {
            let reason = if *refusal == RateRefusal::NoRate { "no_rate" } else { "no_plan" };
            counter!(names::UNRATED, "reason" => reason).increment(1);
        })
    }

    fn resolve_again(&self, rate: &RateKey, start: Start) -> Result<RateKey, RateRefusal> {
        self.resolved(self.plan(rate), RateQuery { start, ..rate.query.clone() })
    }

    fn price(&self, key: &RateKey, usage: u64, rounding: Rounding) -> Money {
        let rounding = match rounding {
            Rounding::Running => rating::Rounding::Running,
            Rounding::Final => rating::Rounding::Final,
        };
        let rated = self.rated(key);
        match key.query.start {
            Start::At(_) => rated.price(usage, rounding),
            Start::Within { latest, .. } => rated.until(&question(&key.query), latest).price(usage, rounding),
        }
    }

    /// The running price is never below the final one of the same usage.
    fn ceiling(&self, key: &RateKey, usage: u64) -> Money {
        self.price(key, usage, Rounding::Running)
    }

    fn max_usage(&self, key: &RateKey, already: u64, limit: u64, amount: Money) -> u64 {
        let rated = self.rated(key);
        match key.query.start {
            Start::At(_) => rated.max_usage(already, limit, amount),
            Start::Within { latest, .. } => {
                rated.until(&question(&key.query), latest).max_usage(limit, amount).max(already)
            }
        }
    }

    fn billable(&self, key: &RateKey, usage: u64) -> u64 {
        self.rated(key).billable(usage)
    }

    fn per_minute_rate(&self, key: &RateKey, usage: u64) -> Option<Money> {
        let voice = key.query.service == types::charging::Service::Voice;
        voice.then(|| self.rated(key).per_minute_rate(usage))
    }

    fn currency(&self, key: &RateKey) -> Currency {
        self.plan(key).currency()
    }

    fn day_of(&self, tenant: &Tenant, at: UtcMs) -> i64 {
        let mut known = self.day.borrow_mut();
        if let Some((_, _, day)) = known.as_ref().filter(|(of, when, _)| of == tenant && *when == at) {
            return *day;
        }
        let day = self.tariffs.time_zone(tenant).day(at);
        *known = Some((tenant.clone(), at, day));
        day
    }
}

impl<'h> TurnPricing<'h> {
    fn plan(&self, key: &RateKey) -> &'h Plan {
        let plan = self.resident.plan(rating::PlanVersion::from_bits(key.plan_version));
        plan.expect("invariant: a version that rated a session is kept")
    }

    fn resolved(&self, plan: &'h Plan, query: RateQuery) -> Result<RateKey, RateRefusal> {
        match plan.resolve(&question(&query)) {
            Ok(rated) => {
                let key = RateKey { plan_version: plan.version().bits(), query };
                self.remember(&key, rated);
                Ok(key)
            }
            Err(Refusal::UnauthorizedDestination) => Err(RateRefusal::NoRate),
            Err(_) => Err(RateRefusal::NoPlan),
        }
    }

    fn rated(&self, key: &RateKey) -> Rated<'h> {
        let known = self.found.borrow().find(key);
        known.unwrap_or_else(|| {
            let rated = self.plan(key).resolve(&question(&key.query)).expect(RESOLVED);
            self.remember(key, rated);
            rated
        })
    }

    fn remember(&self, key: &RateKey, rated: Rated<'h>) {
        self.found.borrow_mut().keep((key.clone(), rated));
    }
}

/// Rates that were found. Nearly every decision is about one group, whose rate and the one it had before its start was settled have
/// their places here.
#[derive(Debug, Default)]
struct Found<'h> {
    first: [Option<(RateKey, Rated<'h>)>; 2],
    more: Vec<(RateKey, Rated<'h>)>,
}

impl<'h> Found<'h> {
    fn find(&self, key: &RateKey) -> Option<Rated<'h>> {
        let mut all = self.first.iter().flatten().chain(&self.more);
        all.find(|(known, _)| is_same(known, key)).map(|(_, rated)| *rated)
    }

    fn keep(&mut self, found: (RateKey, Rated<'h>)) {
        if let Some(free) = self.first.iter_mut().find(|place| place.is_none()) {
            *free = Some(found);
            return;
        }
        if self.more.len() >= REMEMBERED {
            self.more.remove(0);
        }
        self.more.push(found);
    }
}

/// What mostly differs first.
fn is_same(one: &RateKey, other: &RateKey) -> bool {
    one.query.start == other.query.start && one == other
}

/// What a rate was asked for, in the words of the tariff.
pub(crate) fn question(query: &RateQuery) -> Query<'_> {
    Query {
        service: query.service,
        tenant: query.tenant.as_str(),
        category: &query.category,
        subject: &query.subject,
        destination: query.destination.as_ref().map_or("", |number| number.expose()),
        start: match query.start {
            Start::At(start) | Start::Within { earliest: start, .. } => start,
        },
    }
}

const RESOLVED: &str = "invariant: a plan resolves again what it has resolved";
/// A session has a few rating groups; each has two rates while its start is settled.
const REMEMBERED: usize = 16;
