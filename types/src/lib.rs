//! The words that every part of tollkeeper shares: money, time, ids, causes, masked numbers, and the charging
//! request and answer. No I/O, no clock, no randomness; depends on serde, smol_str and thiserror only.

pub mod cause;
pub mod charging;
pub mod class;
pub mod duration;
pub mod ids;
pub mod masked;
pub mod money;
pub mod text;
pub mod time;

pub use cause::{Cause, EndedBy, ReleaseCause, SipStatus, TerminationReason};
pub use class::ErrorClass;
pub use duration::ConfigDuration;
pub use ids::{AccountId, CallId, ClientId, LegId, SessionId, Tenant};
pub use masked::Number;
pub use money::{Currency, Money};
pub use smol_str::SmolStr;
pub use time::{DurationMs, MonoMs, Now, UtcMs};
