//! The ledger's prices from the rating crate.

use std::sync::Arc;

use ledger::{Pricing, RateKey, RateQuery, RateRefusal, Rounding, Start};
use metrics::counter;
use rating::{Plan, Query, Rated, Refusal};
use types::{Currency, Money, Tenant, UtcMs};

use crate::metric::names;
use crate::tariffs::{Tariffs, utc_now};

/// Prices by the version in force when a session begins, and by the session's own version afterwards.
#[derive(Debug)]
pub struct TariffPricing {
    pub(crate) tariffs: Arc<Tariffs>,
}

impl Pricing for TariffPricing {
    fn resolve(&self, query: &RateQuery) -> Result<RateKey, RateRefusal> {
        // By its start: what an outbox sends late is rated as it would have been in time.
        let (Start::At(start) | Start::Within { earliest: start, .. }) = query.start;
        let Some(plan) = self.tariffs.in_force(start, utc_now()) else {
            counter!(names::UNRATED, "reason" => "no_tariff").increment(1);
            return Err(RateRefusal::NoPlan);
        };
        resolved(&plan, query.clone()).inspect_err(|refusal| {
            let reason = if *refusal == RateRefusal::NoRate { "no_rate" } else { "no_plan" };
            counter!(names::UNRATED, "reason" => reason).increment(1);
        })
    }

    fn resolve_again(&self, rate: &RateKey, start: Start) -> Result<RateKey, RateRefusal> {
        resolved(&self.plan(rate), RateQuery { start, ..rate.query.clone() })
    }

    fn price(&self, key: &RateKey, usage: u64, rounding: Rounding) -> Money {
        let rounding = match rounding {
            Rounding::Running => rating::Rounding::Running,
            Rounding::Final => rating::Rounding::Final,
        };
        let plan = self.plan(key);
        match key.query.start {
            Start::At(_) => rated(&plan, key).price(usage, rounding),
            Start::Within { earliest, latest } => {
                let window = plan.resolve_window(&question(&key.query), earliest, latest).expect(RESOLVED);
                window.price(usage, rounding)
            }
        }
    }

    fn max_usage(&self, key: &RateKey, already: u64, limit: u64, amount: Money) -> u64 {
        let plan = self.plan(key);
        match key.query.start {
            Start::At(_) => rated(&plan, key).max_usage(already, limit, amount),
            Start::Within { earliest, latest } => {
                let window = plan.resolve_window(&question(&key.query), earliest, latest).expect(RESOLVED);
                window.max_usage(limit, amount).max(already)
            }
        }
    }

    fn billable(&self, key: &RateKey, usage: u64) -> u64 {
        rated(&self.plan(key), key).billable(usage)
    }

    fn per_minute_rate(&self, key: &RateKey, usage: u64) -> Option<Money> {
        let voice = key.query.service == types::charging::Service::Voice;
        voice.then(|| rated(&self.plan(key), key).per_minute_rate(usage))
    }

    fn currency(&self, key: &RateKey) -> Currency {
        self.plan(key).currency()
    }

    fn day_of(&self, tenant: &Tenant, at: UtcMs) -> i64 {
        self.tariffs.time_zone(tenant).day(at)
    }
}

impl TariffPricing {
    /// Prices from these versions.
    pub fn new(tariffs: Arc<Tariffs>) -> Self {
        Self { tariffs }
    }

    fn plan(&self, key: &RateKey) -> Arc<Plan> {
        self.tariffs.version(key.plan_version).expect("invariant: a version that rated a session is kept")
    }
}

fn resolved(plan: &Plan, query: RateQuery) -> Result<RateKey, RateRefusal> {
    match plan.resolve(&question(&query)) {
        Ok(_) => Ok(RateKey { plan_version: plan.version().bits(), query }),
        Err(Refusal::UnauthorizedDestination) => Err(RateRefusal::NoRate),
        Err(_) => Err(RateRefusal::NoPlan),
    }
}

fn rated<'p>(plan: &'p Plan, key: &RateKey) -> Rated<'p> {
    plan.resolve(&question(&key.query)).expect(RESOLVED)
}

fn question(query: &RateQuery) -> Query<'_> {
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
