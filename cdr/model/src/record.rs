//! The record's fields.

use serde::{Deserialize, Serialize};
use types::charging::Service;
use types::time::iso8601;
use types::{CallId, LegId, Number, ReleaseCause, SessionId, Tenant, TerminationReason, UtcMs};

#[cfg(test)]
use crate::schema;
use crate::{CalledParty, CallingParty, Decimal, RecordCost, RecordUsage, SchemaVersion, Seconds, lenient};

/// One record. START and STOP frame an answered call, INTERIM stands between, EVENT is everything that was never a
/// conversation: refused and unanswered attempts, cost adjustments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// Version of the schema it was written by; absent means 1.0.
    #[serde(default = "SchemaVersion::first")]
    pub schema_version: SchemaVersion,
    /// Deduplication key: session id, type, and count of that type in the session. Of two records with the same id the
    /// first one wins.
    pub record_id: Box<str>,
    /// The conversation.
    #[cfg_attr(test, schemars(with = "schema::Text"))]
    pub call_id: CallId,
    /// The charging session, also for a call that needed none.
    #[cfg_attr(test, schemars(with = "schema::Text"))]
    pub session_id: SessionId,
    /// The charged leg.
    #[cfg_attr(test, schemars(with = "schema::Text"))]
    pub leg_id: LegId,
    /// The leg this one came from: transfers, forks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Text>"))]
    pub parent_leg_id: Option<LegId>,
    /// START, INTERIM, STOP or EVENT.
    pub record_type: RecordType,
    /// Order within the session: 0, 1, 2 ...
    pub record_sequence: u32,
    /// For EVENT: what it tells.
    #[serde(default, deserialize_with = "lenient::word", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::NewerWord<EventKind>>"))]
    pub event_kind: Option<EventKind>,
    /// For a cost adjustment: the STOP it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjusts_record_id: Option<Box<str>>,
    /// Whose customer.
    #[cfg_attr(test, schemars(with = "schema::Text"))]
    pub tenant: Tenant,
    /// When the call was offered.
    #[serde(with = "iso8601")]
    #[cfg_attr(test, schemars(with = "schema::Time"))]
    pub start_time: UtcMs,
    /// When the charged clock started, by the switch.
    #[serde(default, with = "iso8601::option", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Time>"))]
    pub answer_time: Option<UtcMs>,
    /// When the call ended, by the switch; on INTERIM when it was written.
    #[serde(default, with = "iso8601::option", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Time>"))]
    pub end_time: Option<UtcMs>,
    /// Talked from the answer until now (INTERIM) or the end (STOP), in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
    /// Charged, rounded up to whole increments, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billable_seconds: Option<Seconds>,
    /// Talked beyond the last grant, in milliseconds; absent when none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrun_ms: Option<u64>,
    /// Who called.
    pub calling_party: CallingParty,
    /// Who was called.
    pub called_party: CalledParty,
    /// What was sold.
    #[cfg_attr(test, schemars(with = "schema::Word<Service>"))]
    pub service: Service,
    /// The kind of call; absent for what is no call, such as a message or packet data.
    #[serde(default, deserialize_with = "lenient::word", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::NewerWord<CallType>>"))]
    pub call_type: Option<CallType>,
    /// As seen from the charged subscriber.
    pub call_direction: CallDirection,
    /// How it came out; absent while it lasts.
    #[serde(default, deserialize_with = "lenient::word", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::NewerWord<TerminationReason>>"))]
    pub termination_reason: Option<TerminationReason>,
    /// Why tollkeeper refused or ended it; absent when a party or the network did.
    #[serde(default, deserialize_with = "lenient::word", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::NewerWord<ReleaseCause>>"))]
    pub release_cause: Option<ReleaseCause>,
    /// Q.850 cause of the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<u8>,
    /// Final SIP status of an unanswered attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_status: Option<u16>,
    /// From the signalling; absent when there was none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sip_data: SipData,
    /// Media quality, when the switch reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<Qos>,
    /// What was used, by rating group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<RecordUsage>,
    /// What the session costs; absent when nothing is charged (emergency calls) or nothing is known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<RecordCost>,
    /// Where it was made.
    pub metadata: RecordMetadata,
    /// True when the end was not seen and the last proven usage stands for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub reconstructed: bool,
    /// True when the switch's clock and ours disagreed by over two seconds and ours was billed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub clock_anomaly: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_default<T: Default + PartialEq>(part: &T) -> bool {
    *part == T::default()
}

/// The type of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RecordType {
    /// Answered.
    Start,
    /// Still talking.
    Interim,
    /// Over, after an answer.
    Stop,
    /// Not a conversation: `eventKind` says what.
    Event,
}

impl RecordType {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::Interim => "INTERIM",
            Self::Stop => "STOP",
            Self::Event => "EVENT",
        }
    }
}

/// What an EVENT tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    /// A call that was refused or never answered.
    CallAttempt,
    /// The price of an earlier STOP that said PENDING.
    CostAdjustment,
    /// A one-time service: a message, a refund.
    Service,
}

/// Kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CallType {
    /// Speech.
    #[default]
    Voice,
    /// With video.
    Video,
    /// Several parties.
    Conference,
}

/// Direction as seen from the charged subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CallDirection {
    /// The subscriber called.
    #[default]
    MobileOriginated,
    /// The subscriber was called.
    MobileTerminated,
}

/// From the signalling.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct SipData {
    /// From, as claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Text>"))]
    pub from_uri: Option<Number>,
    /// To, or the request URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Text>"))]
    pub to_uri: Option<Number>,
    /// SIP Call-ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id_header: Option<Box<str>>,
    /// The caller's user agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Box<str>>,
    /// The agreed codec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<Box<str>>,
    /// The caller's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<Box<str>>,
}

/// Media quality of the charged leg, as the switch measured it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Qos {
    /// Jitter in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Decimal<3>>,
    /// Lost packets in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_loss: Option<Decimal<2>>,
    /// One-way delay in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Decimal<3>>,
    /// Mean opinion score, 1.00 to 5.00.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mos: Option<Decimal<2>>,
}

/// Where the record was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct RecordMetadata {
    /// The switch.
    pub server_node: Box<str>,
    /// Its recording of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_id: Option<Box<str>>,
    /// Words about the call: `EMERGENCY`, `TRANSFERRED`, `ADOPTED`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Box<str>>,
}
