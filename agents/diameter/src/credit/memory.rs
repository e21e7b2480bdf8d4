//! What is remembered of a session: by us while it is open, and by the core, which gives it back after a restart.

use serde::{Deserialize, Serialize};
use types::charging::{ChargingMode, Service};
use types::{Tenant, UtcMs};

use super::ask::Ask;
use super::facts::Facts;
use super::numbering::Numbering;
use super::record::Recorded;

/// One session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Its client: requests of others are not for this session.
    pub origin_host: Box<str>,
    /// Where RAR and ASR go.
    pub origin_realm: Box<str>,
    /// The peer the client was last heard through: itself, or a relay.
    #[serde(default)]
    pub via: Box<str>,
    /// What its requests told.
    pub facts: Facts,
    /// Fixed by its first group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// When it began.
    pub started: UtcMs,
    /// When use of it began, and by which request we know (number with the core).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<(u32, UtcMs)>,
    /// The groups the core knows.
    #[serde(default)]
    pub keys: Vec<(u32, Option<u32>)>,
    /// Its request numbers.
    #[serde(default)]
    pub numbering: Numbering,
    /// Its records.
    #[serde(default)]
    pub recorded: Recorded,
    /// When its debit and its refund were first asked for (number with the core): a copy without Event-Timestamp is rated at that time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<(u32, UtcMs)>,
}

/// What is the same for all groups of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Whose customer.
    pub tenant: Tenant,
    /// What is sold.
    pub service: Service,
    /// The rating subject; absent: the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<str>>,
    /// How money is treated.
    pub mode: ChargingMode,
}

impl Memory {
    /// Of a session that begins with this request.
    pub fn begin(ask: &Ask, via: &str, now: UtcMs) -> Self {
        Self {
            origin_host: ask.origin_host.clone(),
            origin_realm: ask.origin_realm.clone(),
            via: via.into(),
            facts: ask.facts.clone(),
            terms: None,
            started: ask.event_time.unwrap_or(now),
            answered: None,
            keys: Vec::new(),
            numbering: Numbering::default(),
            recorded: Recorded::default(),
            events: Vec::new(),
        }
    }

    /// Who pays, for the limits of going on without the core; absent: nothing is known of it.
    pub fn account(&self) -> Option<agent_runtime::Account> {
        Some((self.terms.as_ref()?.tenant.clone(), self.facts.subscribers.first()?.clone()))
    }

    /// As the core kept it; absent if it is none of ours.
    pub fn read(state: &[u8]) -> Option<Self> {
        serde_json::from_slice(state).ok()
    }

    /// For the core to keep.
    pub fn write(&self) -> Vec<u8> {
        // Plain data; should it not encode, the core keeps the older one.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether the session is this client's.
    pub fn belongs_to(&self, origin_host: &str) -> bool {
        self.origin_host.eq_ignore_ascii_case(origin_host)
    }
}
