//! What every agent needs besides its wire: a clock, reconnecting, and the call driver that carries out what the call
//! machines ask for. Knows no switch.
//!
//! * plumbing: [`Clock`], [`Backoff`], [`watch_peer`]
//! * calls: [`CallDriver`] owns the machines of one switch instance, [`CallLog`] keeps proofs of life over a crash;
//!   [`ContinueLimits`] say which calls may go on without the charging core, [`Continuing`] knows whose

mod backoff;
mod call_log;
mod clock;
mod config;
mod continuing;
mod driver;
mod metric;
mod peer;

pub use backoff::Backoff;
pub use call_log::{CallLog, CallLogError, Proof};
pub use clock::Clock;
pub use config::{CallConfig, ContinueConfig, UnknownCalls};
pub use continuing::{Account, ContinueLimits, Continuing};
pub use driver::{CallDriver, DriverParts, Order, UnknownEnd};
pub use metric::{describe_metrics, names};
pub use peer::watch_peer;
