//! What was used and what it costs, each told twice: what came since the previous record of the session (`delta`), and
//! the whole session so far (`total`, `amount`). Add up the one or take the last of the other, never both.

#[cfg(test)]
use crate::schema;
use serde::{Deserialize, Serialize};
use types::{Currency, Money, Number};

/// Usage of one rating group, and of one serving network where that changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct RecordUsage {
    /// The rating group; 0 for voice.
    pub rating_group: u32,
    /// Since the previous record of the session: add these up over its records.
    pub delta: RecordUnits,
    /// From the start of the session to this record: never add these up.
    pub total: RecordUnits,
    /// Serving network, MCC and MNC digits; for data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plmn: Option<Box<str>>,
    /// Access point name; for data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apn: Option<Box<str>>,
    /// The subscriber's IMSI; for data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Text>"))]
    pub imsi: Option<Number>,
}

/// Counted units; absent: not counted for this service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct RecordUnits {
    /// From the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_octets: Option<u64>,
    /// To the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_octets: Option<u64>,
    /// Time in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// Octets whose direction was not told; beside those of both directions, never among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_octets: Option<u64>,
    /// Messages or service-specific units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
}

impl RecordUnits {
    /// Time only.
    pub const fn time(time_ms: u64) -> Self {
        Self { time_ms: Some(time_ms), input_octets: None, output_octets: None, total_octets: None, units: None }
    }
}

/// What the session costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecordCost {
    /// FINAL or PENDING.
    pub state: CostState,
    /// Absent while nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::CurrencyCode>"))]
    pub currency: Option<Currency>,
    /// The whole session from its start to this record: never add these up. Absent while nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Amount>"))]
    pub amount: Option<Money>,
    /// `amount` less that of the previous record of the session: add these up over its records. Negative when a
    /// settlement gave something back. Absent with `amount`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Amount>"))]
    pub delta: Option<Money>,
    /// The rate that applied last, for one minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Amount>"))]
    pub per_minute_rate: Option<Money>,
    /// Tax within or on top of the amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Amount>"))]
    pub tax_amount: Option<Money>,
    /// True when `amount` contains the tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_included: Option<bool>,
}

/// Is the price known?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CostState {
    /// Settled.
    Final,
    /// More may come: INTERIM, or a STOP before the core answered.
    Pending,
}
