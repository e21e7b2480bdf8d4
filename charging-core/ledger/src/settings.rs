//! What an operator can set about decisions. Decided changes are logged, so a new setting never alters the past.

use serde::{Deserialize, Serialize};
use types::DurationMs;
use types::charging::FailureHandling;

use crate::policy::Policy;

/// Settings of [`crate::decide`]; all times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Talk beyond the last grant, after our own cut for lack of credit, that is not charged. Default 1000.
    pub cut_tolerance_ms: DurationMs,
    /// Longest time from INITIAL to the answer: the dearest start within it is reserved for. Default 180 000.
    pub maximum_ring_ms: DurationMs,
    /// How long after the end of a grant an unheard-of session expires; later than every backstop. Default 60 000.
    pub expiry_grace_ms: DurationMs,
    /// How long a session that is not charged by time may be silent. Default one hour.
    pub idle_expiry_ms: DurationMs,
    /// How long answers are kept after the end of their session. Default 48 hours.
    pub idempotency_window_ms: DurationMs,
    /// How long top-ups and debits are remembered by their operation id. Default 30 days.
    pub operation_window_ms: DurationMs,
    /// Granted when the client leaves the amount to us: time. Default 120 000.
    pub default_slice_ms: DurationMs,
    /// The same for octets. Default 5 000 000.
    pub default_slice_octets: u64,
    /// The same for messages and events. Default 1.
    pub default_slice_units: u64,
    /// Most pending notifications repeated in one answer, oldest first. Default 32.
    pub notifications_per_answer: usize,
    /// What clients do when they cannot reach the core.
    pub failure_handling: FailureHandling,
    /// True when clients may go on at another core address.
    pub session_failover: bool,
    /// How long a grant of something else than time may be kept. Absent: without limit. Default half an hour.
    pub validity_ms: Option<DurationMs>,
    /// Limits of accounts that have none of their own, and classes of destinations. Default: no limits.
    pub policy: Policy,
}

impl Default for Settings {
    fn default() -> Self {
        const HOUR_MS: DurationMs = 3_600_000;
        Self {
            cut_tolerance_ms: 1000,
            maximum_ring_ms: 180_000,
            expiry_grace_ms: 60_000,
            idle_expiry_ms: HOUR_MS,
            idempotency_window_ms: 48 * HOUR_MS,
            operation_window_ms: 30 * 24 * HOUR_MS,
            default_slice_ms: 120_000,
            default_slice_octets: 5_000_000,
            default_slice_units: 1,
            notifications_per_answer: 32,
            failure_handling: FailureHandling::RetryAndTerminate,
            session_failover: false,
            validity_ms: Some(HOUR_MS / 2),
            policy: Policy::default(),
        }
    }
}
