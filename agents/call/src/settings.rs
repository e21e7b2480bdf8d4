//! What an operator configures about calls.

use serde::{Deserialize, Serialize};
use types::charging::FailureHandling;
use types::{ClientId, DurationMs};

/// Settings shared by every call of one agent. All lengths in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSettings {
    /// Our name with the charging core.
    pub client_id: ClientId,
    /// Time asked for at once; longer than `margin_ms`.
    pub slice_ms: DurationMs,
    /// More is asked for when this much is left.
    pub margin_ms: DurationMs,
    /// Ringing longer than this is taken as lost, not as patience: the switch's own limit is shorter.
    pub maximum_ring_ms: DurationMs,
    /// Longest conversation.
    pub maximum_call_ms: DurationMs,
    /// Distance of INTERIM records; 0: none.
    pub interim_ms: DurationMs,
    /// How long a STOP waits for its price.
    pub final_record_wait_ms: DurationMs,
    /// A release that is not confirmed is repeated after this time.
    pub release_repeat_ms: DurationMs,
    /// Disagreement of the switch's clock and ours that is an anomaly.
    pub clock_tolerance_ms: DurationMs,
    /// Is a held call charged?
    pub hold: HoldCharging,
    /// What happens to a new call when the core cannot be asked. A running call always lives to the end of its grant.
    pub on_core_failure: FailureHandling,
}

impl CallSettings {
    /// The defaults of DESIGN section 3 for a client.
    pub fn new(client_id: ClientId) -> Self {
        Self {
            client_id,
            slice_ms: 120_000,
            margin_ms: 30_000,
            maximum_ring_ms: 180_000,
            maximum_call_ms: 4 * 3_600_000,
            interim_ms: 300_000,
            final_record_wait_ms: 10_000,
            release_repeat_ms: 2_000,
            clock_tolerance_ms: 2_000,
            hold: HoldCharging::Charged,
            on_core_failure: FailureHandling::RetryAndTerminate,
        }
    }
}

/// Is time on hold sold?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldCharging {
    /// Like talking.
    #[default]
    Charged,
    /// The charged clock stands still.
    Free,
}
