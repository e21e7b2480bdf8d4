//! Tariffs to prices; exact, and pure below the loader.
//!
//! A tariff plan is six CSV tables (Destinations, Rates, DestinationRates, RatingPlans, RatingProfiles, Timings) in the
//! layout that operators of rating engines know. [`Plan::load`] reads a folder, [`Plan::from_tables`] takes the texts;
//! both report every fault with file, line and column, and load nothing if there is one. [`Plan::resolve`] finds what
//! applies to one session, and the [`Rated`] it gives answers every question about money: [`Rated::price`],
//! [`Rated::max_usage`], [`Rated::billable`], [`Rated::explain`].
//!
//! Exactness: at load one common denominator is found for the prices of all increments, and from then on a price is an
//! integer count of that fraction of a nano unit. Nothing is rounded before the end. A price is a function of the
//! session's total usage alone, so it cannot depend on how the usage was sliced.
//!
//! Times are UTC: a tariff hour of `08:00:00` is 08:00 UTC. The ledger's server adapter calls this crate.

mod build;
mod calendar;
mod explain;
mod fault;
mod fields;
mod load;
mod plan;
mod rated;
mod rounding;
mod rows;
mod spans;
mod tables;
mod tariff;
mod trie;
mod window;

pub use explain::{Exact, Line};
pub use fault::{LoadErrors, LoadFault, Problem};
pub use plan::{Plan, PlanOptions, Query, Refusal};
pub use rated::Rated;
pub use rounding::{Rounding, RoundingMethod};
pub use tables::{PlanVersion, Table, Tables};
pub use window::Window;
