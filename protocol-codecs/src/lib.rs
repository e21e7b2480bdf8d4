//! Bytes to frames and back for every wire; no sockets, no clocks, no randomness.
//!
//! One module a protocol, each with the same files: limits (every bound, with its reason), decode (bytes to frames),
//! message (frames to typed messages), names (wire words), encode (back to bytes). What all of them promise:
//! * input that a peer or a caller controls never panics and never makes memory grow beyond the stated limits;
//! * a fault in the framing ends the connection ([`Class::Fatal`]); a fault in one message skips that message
//!   ([`Class::Skip`]) and leaves the stream where it should be;
//! * errors carry offsets, limits and field names, never the bytes themselves: those hold subscriber numbers.
//!
//! Callers: the agents, and the doubles that play a switch in tests.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::as_conversions)
)]

pub mod diameter;
pub mod esl;
pub mod evapi;
pub mod sip;

mod class;
mod masked;

pub use class::Class;
pub use masked::Masked;
