//! The record's fields.

use serde::{Deserialize, Serialize};
use types::charging::Service;
use types::time::iso8601;
use types::{CallId, Currency, LegId, Money, Number, ReleaseCause, SessionId, Tenant, TerminationReason, UtcMs};

use crate::{Decimal, Seconds};

/// One record. START and STOP frame an answered call, INTERIM stands between, EVENT is everything that was never a
/// conversation: refused and unanswered attempts, cost adjustments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// Deduplication key, see [`CallRecord::make_id`].
    pub record_id: Box<str>,
    /// The conversation.
    pub call_id: CallId,
    /// The charging session, also for a call that needed none.
    pub session_id: SessionId,
    /// The charged leg.
    pub leg_id: LegId,
    /// The leg this one came from: transfers, forks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_leg_id: Option<LegId>,
    /// START, INTERIM, STOP or EVENT.
    pub record_type: RecordType,
    /// Order within the session: 0, 1, 2 ...
    pub record_sequence: u32,
    /// For EVENT: which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_kind: Option<EventKind>,
    /// For a cost adjustment: the STOP it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjusts_record_id: Option<Box<str>>,
    /// Whose customer.
    pub tenant: Tenant,
    /// When the call was offered.
    #[serde(with = "iso8601")]
    pub start_time: UtcMs,
    /// When the charged clock started, by the switch.
    #[serde(default, with = "iso8601::option", skip_serializing_if = "Option::is_none")]
    pub answer_time: Option<UtcMs>,
    /// When the call ended, by the switch; on INTERIM when it was written.
    #[serde(default, with = "iso8601::option", skip_serializing_if = "Option::is_none")]
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
    pub service: Service,
    /// The kind of call.
    pub call_type: CallType,
    /// As seen from the charged subscriber.
    pub call_direction: CallDirection,
    /// How it came out; absent while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_reason: Option<TerminationReason>,
    /// Why tollkeeper refused or ended it; absent when a party or the network did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_cause: Option<ReleaseCause>,
    /// Q.850 cause of the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<u8>,
    /// Final SIP status of an unanswered attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_status: Option<u16>,
    /// From the signalling.
    pub sip_data: SipData,
    /// Media quality, when the switch reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<Qos>,
    /// Units since the previous record of the session: the sum over a session is its total.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<RecordUsage>,
    /// What it costs; absent when nothing is charged (emergency calls) or nothing is known yet.
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

/// The type of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RecordType {
    /// Answered.
    Start,
    /// Still talking.
    Interim,
    /// Over, after an answer.
    Stop,
    /// Not a conversation, see [`EventKind`].
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
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    /// A call that was refused or never answered.
    CallAttempt,
    /// The price of an earlier STOP that said PENDING.
    CostAdjustment,
    /// A one-time service: a message, a refund.
    Service,
}

/// The calling party.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallingParty {
    /// E.164, or as claimed when it could not be normalised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// What kind of number it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_type: Option<NumberType>,
    /// The paying account, as authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriber_id: Option<Number>,
}

/// The called party.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CalledParty {
    /// Normalised; absent when that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// As dialled.
    pub dialled_number: Number,
    /// What kind of number it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_type: Option<NumberType>,
    /// The tariff's destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Box<str>>,
}

/// Kind of a telephone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NumberType {
    /// Mobile.
    Mobile,
    /// Fixed line.
    Landline,
    /// VoIP or not geographic.
    Voip,
    /// Called party in another country than the caller.
    International,
}

/// Kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
#[serde(rename_all = "camelCase", default)]
pub struct SipData {
    /// From, as claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_uri: Option<Number>,
    /// To, or the request URI.
    #[serde(skip_serializing_if = "Option::is_none")]
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

/// Units of one rating group since the previous record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RecordUsage {
    /// The rating group; 0 for voice.
    pub rating_group: u32,
    /// From the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_octets: Option<u64>,
    /// To the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_octets: Option<u64>,
    /// Time in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// Messages or service-specific units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
}

/// What the session costs, from its start to this record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordCost {
    /// FINAL or PENDING.
    pub state: CostState,
    /// Absent while nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// Charged so far; absent while nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The rate that applied last, for one minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_minute_rate: Option<Money>,
    /// Tax within or on top of the amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_amount: Option<Money>,
    /// True when `amount` contains the tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_included: Option<bool>,
}

/// Is the price known?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CostState {
    /// Settled.
    Final,
    /// More may come: INTERIM, or a STOP before the core answered.
    Pending,
}

/// Where the record was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
