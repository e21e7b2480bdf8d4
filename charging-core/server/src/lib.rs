//! The charging core: the ledger on an embedded store, and the gRPC services in front of it.
//!
//! [`Core`] is the store's handle: one ledger thread owns the books and the log, decides in order, and answers only
//! what is durable. [`serve`] makes the gRPC side. The in-process way for agents is wired in the binary.
//!
//! Store on disk, in the data directory: `ledger/` (segment log of decided changes, snapshots beside it) and
//! `tariffs/` (every tariff version that was loaded, and the history of loads and activations).

mod changes;
mod config;
mod metric;
mod pricing;
mod quotes;
mod service;
mod store;
mod tariffs;
pub mod upkeep;

pub use changes::{Changes, changes, settings};
pub use config::{
    CoreConfig, LimitsConfig, Role, TariffConfig, TaxConfig, TenantConfig, TlsConfig, TokenConfig, TokenError,
};
pub use metric::{describe_metrics, names};
pub use pricing::TariffPricing;
pub use quotes::{explained, quoted};
pub use service::{ServeError, TlsError, serve, serve_reloading};
pub use store::{CommandStream, Core, CoreError, DurableBooks, SEGMENT_BYTES, Subscription};
pub use tariffs::{
    Author, Counts, Entry, Kind, RowCounts, RowDifference, Summary, TableRow, TariffError, Tariffs, Wanted,
    row_differences, rows_of,
};
pub use upkeep::UpkeepError;
