//! What a call must not forget when the agent dies. The core keeps it as `client_state` and gives it back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use types::charging::Cost;
use types::{DurationMs, Money, ReleaseCause, UtcMs};

use crate::event::{CallEnd, CallOffer};

/// The durable part of a call. New fields get `#[serde(default)]`, so that a newer agent takes an older state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The call as it was offered.
    pub offer: Arc<CallOffer>,
    /// When it was answered; absent: not as far as the core was told.
    #[serde(default)]
    pub answered: Option<UtcMs>,
    /// The next record's place in the session.
    #[serde(default)]
    pub next_record: u32,
    /// INTERIM records written.
    #[serde(default)]
    pub interims: u32,
    /// Talk already told in records.
    #[serde(default)]
    pub recorded_ms: DurationMs,
    /// Cost already told in records.
    #[serde(default)]
    pub recorded_cost: Money,
    /// Time on free hold so far.
    #[serde(default)]
    pub held_ms: DurationMs,
    /// The caller was warned.
    #[serde(default)]
    pub warned: bool,
    /// We are ending it.
    #[serde(default)]
    pub release: Option<ReleaseCause>,
    /// Words for the record.
    #[serde(default)]
    pub tags: Vec<Box<str>>,
    /// How it ended; absent while it goes on.
    #[serde(default)]
    pub ending: Option<Ending>,
    /// How far the credit reached, in milliseconds from the answer; told again by the core while the call goes on.
    #[serde(default)]
    pub granted_ms: DurationMs,
    /// The cost so far, as the core last said; absent: it has not.
    #[serde(default)]
    pub cost: Option<Cost>,
    /// The STOP is written without its price, which follows.
    #[serde(default)]
    pub pending_stop: bool,
}

/// How a call ended, as it is charged and recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// What the switch said, or what is concluded.
    pub end: CallEnd,
    /// Chargeable talk, in milliseconds.
    pub talked_ms: DurationMs,
    /// Concluded from the last proof of life.
    pub reconstructed: bool,
    /// The switch's clock and ours disagreed.
    pub clock_anomaly: bool,
}
