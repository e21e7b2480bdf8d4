//! What the ledger needs to know about prices. The server implements [`Pricing`] over the rating crate; the ledger
//! never sees a tariff.

use serde::{Deserialize, Serialize};
use types::charging::Service;
use types::{Currency, ErrorClass, Money, Number, SmolStr, Tenant, UtcMs};

/// When the priced usage begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// At a known moment: the answer.
    At(UtcMs),
    /// Not yet known: the dearest start of the window counts, both ends included.
    Within {
        /// First possible moment.
        earliest: UtcMs,
        /// Last possible moment.
        latest: UtcMs,
    },
}

/// What is to be priced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateQuery {
    /// Whose tariffs.
    pub tenant: Tenant,
    /// What is sold; decides the unit of every usage: milliseconds, octets, or messages and events.
    pub service: Service,
    /// The rating category, such as `call`.
    pub category: SmolStr,
    /// The rating subject; the account's id unless the request named one.
    pub subject: SmolStr,
    /// The called party; absent for services that call nobody.
    pub destination: Option<Number>,
    /// The rating group; 0 for voice.
    pub rating_group: u32,
    /// When usage begins.
    pub start: Start,
}

/// A resolved rate: enough to price the same way again after a restart or a tariff change. Stored in the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateKey {
    /// The tariff plan version that was in force when it was resolved.
    pub plan_version: u128,
    /// What was asked.
    pub query: RateQuery,
}

/// Which rounding a price has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// While the session goes on: exact.
    Running,
    /// At the close, once: as the tariff says.
    Final,
}

/// Why there is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum RateRefusal {
    /// No rate covers the destination.
    #[error("no rate covers the destination")]
    NoRate,
    /// No tariff plan is in force for the subject at that time.
    #[error("no tariff plan is in force for the subject")]
    NoPlan,
}

impl RateRefusal {
    /// Always [`ErrorClass::Refused`].
    pub const fn class(self) -> ErrorClass {
        ErrorClass::Refused
    }
}

/// Prices. Pure: the same arguments give the same result for ever. `usage` is in the unit of the service, counted from
/// the start of the session, and never more than [`crate::MAX_USAGE`].
pub trait Pricing {
    /// Finds the rate.
    ///
    /// # Errors
    /// When no rate or plan covers the query.
    fn resolve(&self, query: &RateQuery) -> Result<RateKey, RateRefusal>;

    /// The same rate for another start of usage, from the plan version it was resolved with: a session keeps its
    /// tariff, whichever is in force when its answer is reported. The provided one is for prices with one version only.
    ///
    /// # Errors
    /// When that version has no rate for that start.
    fn resolve_again(&self, rate: &RateKey, start: Start) -> Result<RateKey, RateRefusal> {
        self.resolve(&RateQuery { start, ..rate.query.clone() })
    }

    /// What `usage` costs in all, connect fee included; for [`Start::Within`] the dearest start. Must not fall with
    /// growing usage, and must be the same for all usages within one increment. The ledger never asks for the price
    /// of 0: no usage costs nothing.
    fn price(&self, key: &RateKey, usage: u64, rounding: Rounding) -> Money;

    /// The most that `usage` may cost in the end: the dearer of both roundings. The provided one asks for both.
    fn ceiling(&self, key: &RateKey, usage: u64) -> Money {
        self.price(key, usage, Rounding::Running).max(self.price(key, usage, Rounding::Final))
    }

    /// The largest whole-increment usage from `already` (rounded up to increments) to `limit` (rounded up likewise)
    /// whose price, in either rounding, is at most `amount`; `already` as it is if there is none.
    fn max_usage(&self, key: &RateKey, already: u64, limit: u64, amount: Money) -> u64;

    /// `usage` rounded up to whole increments.
    fn billable(&self, key: &RateKey, usage: u64) -> u64;

    /// The rate that applies at `usage`, for one minute; absent for other units than time.
    fn per_minute_rate(&self, key: &RateKey, usage: u64) -> Option<Money>;

    /// The currency of the rate.
    fn currency(&self, key: &RateKey) -> Currency;

    /// The number of the calendar day that it is for a tenant at `at`; grows by one at the tenant's midnight. The
    /// provided one counts days of UTC.
    fn day_of(&self, _tenant: &Tenant, at: UtcMs) -> i64 {
        at.0.div_euclid(86_400_000)
    }
}
