//! What is remembered of a session: by us while it is open, and by the core, which gives it back after a restart.
//!
//! The core gets it with each request, as JSON in two parts: what most requests leave as it was, whose text is made again only after
//! a change, and behind it the numbers and records, which every request moves.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use types::charging::{ChargingMode, Service};
use types::{SmolStr, Tenant, UtcMs};

use super::ask::Ask;
use super::facts::Facts;
use super::numbering::Numbering;
use super::record::Recorded;

/// One session.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    #[serde(default)]
    pub terms: Option<Terms>,
    /// When it began.
    pub started: UtcMs,
    /// When use of it began, and by which request we know (number with the core).
    #[serde(default)]
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
    #[serde(default)]
    pub events: Vec<(u32, UtcMs)>,
    #[serde(skip)]
    standing: Standing,
}

/// The text of what stands; empty after a change.
#[derive(Debug, Clone, Default)]
struct Standing(OnceLock<Vec<u8>>);

impl PartialEq for Standing {
    fn eq(&self, _: &Self) -> bool {
        // It says what the other fields say.
        true
    }
}

impl Eq for Standing {}

/// The fields that most requests leave as they were.
#[derive(Serialize)]
struct StandingFields<'a> {
    origin_host: &'a str,
    origin_realm: &'a str,
    via: &'a str,
    facts: &'a Facts,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<&'a Terms>,
    started: UtcMs,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<(u32, UtcMs)>,
    keys: &'a [(u32, Option<u32>)],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    events: &'a [(u32, UtcMs)],
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
    pub subject: Option<SmolStr>,
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
            standing: Standing::default(),
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
        let standing = self.standing.0.get_or_init(|| self.standing_text().unwrap_or_default());
        let mut state = Vec::with_capacity(standing.len().saturating_add(MOVING_BYTES));
        state.extend_from_slice(standing);
        // Plain data; should it not encode, the core keeps the older one.
        if standing.is_empty() || self.write_moving(&mut state).is_err() {
            return Vec::new();
        }
        debug_assert_eq!(Self::read(&state).as_ref(), Some(self), "a change of what stands was not told");
        state
    }

    /// Tells that anything but numbers and records is about to change.
    pub fn changing(&mut self) -> &mut Self {
        self.standing.0.take();
        self
    }

    /// Takes over what a later request tells.
    pub fn learn(&mut self, facts: &Facts) {
        if self.facts.learn(facts) {
            self.changing();
        }
    }

    /// An object that is still open.
    fn standing_text(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = serde_json::to_vec(&StandingFields {
            origin_host: &self.origin_host,
            origin_realm: &self.origin_realm,
            via: &self.via,
            facts: &self.facts,
            terms: self.terms.as_ref(),
            started: self.started,
            answered: self.answered,
            keys: &self.keys,
            events: &self.events,
        })?;
        text.pop();
        Ok(text)
    }

    /// The rest of the object.
    fn write_moving(&self, state: &mut Vec<u8>) -> serde_json::Result<()> {
        state.extend_from_slice(b",\"numbering\":");
        serde_json::to_writer(&mut *state, &self.numbering)?;
        state.extend_from_slice(b",\"recorded\":");
        serde_json::to_writer(&mut *state, &self.recorded)?;
        state.push(b'}');
        Ok(())
    }

    /// Whether the session is this client's.
    pub fn belongs_to(&self, origin_host: &str) -> bool {
        self.origin_host.eq_ignore_ascii_case(origin_host)
    }
}

/// Numbers and records of most sessions.
const MOVING_BYTES: usize = 256;
