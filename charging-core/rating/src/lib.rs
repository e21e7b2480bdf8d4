//! Tariffs to prices; exact, and pure below the loader.
//!
//! A tariff plan is six CSV tables (Destinations, Rates, DestinationRates, RatingPlans, RatingProfiles, Timings) in the
//! layout that operators of rating engines know. [`Plan::load`] reads a folder, [`Plan::from_tables`] takes the texts;
//! both report every fault with file, line and column, and load nothing if there is one. [`Plan::resolve`] finds what
//! applies to one session, and the [`Rated`] it gives answers every question about money: [`Rated::price`],
//! [`Rated::max_usage`], [`Rated::billable`], [`Rated::quote`], [`Rated::explain`].
//!
//! Exactness: at load one common denominator is found for the prices of all increments, and from then on a price is an
//! integer count of that fraction of a nano unit. Nothing is rounded before the end. A price is a function of the
//! session's total usage alone, so it cannot depend on how the usage was sliced.
//!
//! Times of day are those of the tenant's time zone ([`PlanOptions::tenants`]), UTC unless told otherwise; instants are
//! UTC everywhere. [`diff()`] compares two plans on sample numbers. The ledger's server adapter calls this crate.

mod ahead;
mod bindings;
mod build;
mod calendar;
mod diff;
mod explain;
mod fault;
mod fields;
mod geography;
mod load;
mod meter;
mod options;
mod plan;
mod quote;
mod rated;
mod rates;
mod rounding;
mod rows;
mod search;
mod spans;
mod tables;
mod tariff;
mod trie;
mod window;
mod zone;

pub use diff::{NoPrice, Outcome, PriceChange, Sample, SampleUsage, diff, samples};
pub use explain::{Exact, Line};
pub use fault::{LoadErrors, LoadFault, Problem};
pub use load::LoadProgress;
pub use options::{PlanOptions, Tax, TenantOptions};
pub use plan::{Plan, Query, Refusal};
pub use quote::{PriceError, Quote, parse_service, parse_usage};
pub use rated::Rated;
pub use rounding::{Rounding, RoundingMethod};
pub use tables::{PlanVersion, Table, Tables};
pub use window::Window;
pub use zone::{TimeZone, UnknownTimeZone};
