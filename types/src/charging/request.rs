//! What a client asks of the core.

use serde::{Deserialize, Serialize};

use super::service::{Service, ServiceInformation};
use crate::{ClientId, DurationMs, Money, Number, ReleaseCause, SessionId, SmolStr, Tenant, UtcMs};

/// One charging request. (`session_id`, `request_number`) is its idempotency key: the same key with the same
/// chargeable content gets the stored answer; `retransmission` and `client_state` are not chargeable content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargingRequest {
    /// The client that owns the session.
    pub client_id: ClientId,
    /// The charging session, made by the client before it sends anything.
    pub session_id: SessionId,
    /// Counts the requests of a session; gaps are tolerated.
    pub request_number: u32,
    /// What is asked.
    pub operation: Operation,
    /// For [`Operation::Event`] only; absent otherwise.
    pub requested_action: Option<RequestedAction>,
    /// Whose customer.
    pub tenant: Tenant,
    /// Who pays, as the switch authenticated; the first one the core knows counts.
    pub subscribers: Vec<SubscriberId>,
    /// How money is treated.
    pub charging_mode: ChargingMode,
    /// What is sold.
    pub service: Service,
    /// The rating category, `call` unless configured.
    pub category: SmolStr,
    /// The rating subject; absent: the account's id.
    pub subject: Option<SmolStr>,
    /// The calling party, E.164 with `+`; absent when unknown. Not used for rating.
    pub calling: Option<Number>,
    /// The called party, normalised: E.164 with `+`, or a listed short code.
    pub called: Option<Number>,
    /// When this request's event happened at the client.
    pub event_time: UtcMs,
    /// When the charged clock started; absent before the answer.
    pub answer_time: Option<UtcMs>,
    /// Details for the record and for rating.
    pub service_information: Option<Box<ServiceInformation>>,
    /// Requested and used units, one entry a rating group; voice uses one entry, rating group 0.
    pub units: Vec<UnitUsage>,
    /// On TERMINATION, the reason if tollkeeper ended the call; absent when a party did.
    pub release_cause: Option<ReleaseCause>,
    /// Opaque, kept by the core and returned when sessions are listed; empty: keep what was stored before.
    pub client_state: Vec<u8>,
    /// True when the client may have sent this key before.
    pub retransmission: bool,
}

/// The kind of request, RFC 8506 section 8.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Operation {
    /// Opens a session and asks for the first quota.
    Initial,
    /// Reports usage, asks for more.
    Update,
    /// Reports the last usage and closes; what is left returns to the account.
    Termination,
    /// One-time, without a session.
    Event,
}

/// What an EVENT asks for, RFC 8506 section 8.41.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RequestedAction {
    /// Charge now.
    DirectDebit,
    /// Give back an earlier direct debit.
    Refund,
    /// Is there enough?
    CheckBalance,
    /// What would it cost?
    PriceEnquiry,
}

/// How the money of a session is treated, DESIGN section 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChargingMode {
    /// Reserve, debit as units are used, refuse without credit.
    #[default]
    Prepaid,
    /// Authorise at the start, debit at the end.
    Pseudoprepaid,
    /// No money check, debit at the end.
    Postpaid,
    /// Cost only.
    Rated,
}

/// The kind of a subscriber identity, RFC 8506 section 8.47.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriberIdKind {
    /// Telephone number.
    E164,
    /// International mobile subscriber identity.
    Imsi,
    /// SIP URI.
    SipUri,
    /// Network access identifier.
    Nai,
    /// Anything else; our own account id.
    Private,
}

/// One identity of the payer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubscriberId {
    /// What kind of text it is.
    pub kind: SubscriberIdKind,
    /// The identity itself.
    pub value: Number,
}

impl SubscriberId {
    /// An identity that is our own account id.
    pub fn account(id: impl Into<SmolStr>) -> Self {
        Self { kind: SubscriberIdKind::Private, value: Number::new(id) }
    }
}

/// One rating group's part of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitUsage {
    /// The rating group; 0 for voice.
    pub rating_group: u32,
    /// The service identifier, part of the key where present.
    pub service_identifier: Option<u32>,
    /// The rating category of this group; absent: that of the request. Counts when the group is first used.
    #[serde(default)]
    pub category: Option<SmolStr>,
    /// The destination this group is rated by; absent: the called party of the request. Counts when the group is first
    /// used.
    #[serde(default)]
    pub called: Option<Number>,
    /// Wanted next. `Some(Units::default())` (empty): the core decides how much; `None`: report only, no new grant.
    pub requested: Option<Units>,
    /// Used since the last report, in containers.
    pub used: Vec<UsedUnits>,
}

/// An amount of service. Every unit is optional, several may stand together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    /// Time, in milliseconds.
    pub time_ms: Option<DurationMs>,
    /// Both directions together, in octets.
    pub total_octets: Option<u64>,
    /// From the user, in octets.
    pub input_octets: Option<u64>,
    /// To the user, in octets.
    pub output_octets: Option<u64>,
    /// Service-specific units: messages, events.
    pub specific_units: Option<u64>,
    /// Money.
    pub money: Option<Money>,
}

impl Units {
    /// Only time.
    pub const fn time(time_ms: DurationMs) -> Self {
        Self {
            time_ms: Some(time_ms),
            total_octets: None,
            input_octets: None,
            output_octets: None,
            specific_units: None,
            money: None,
        }
    }
}

/// One report of used units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedUnits {
    /// Local sequence number of the container within the session.
    pub sequence: u32,
    /// Used since the last report, not since the start.
    pub units: Units,
    /// When use began; absent when not measured.
    pub start: Option<UtcMs>,
    /// When use ended; absent when not measured.
    pub end: Option<UtcMs>,
    /// On which side of a tariff change it was used; absent when there was none.
    pub tariff_change: Option<TariffChange>,
    /// Why it is reported now.
    pub reason: Option<ReportingReason>,
}

/// Side of a tariff change, RFC 8506 section 8.27.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TariffChange {
    /// Used before it.
    Before,
    /// Used after it.
    After,
    /// Used somewhere around it.
    Indeterminate,
}

/// Why units are reported, 3GPP TS 32.299 section 7.2.175.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReportingReason {
    /// The threshold (our margin) was reached.
    Threshold,
    /// No use for the holding time.
    QuotaHoldingTime,
    /// The session ended.
    Final,
    /// The quota is used up.
    QuotaExhausted,
    /// The validity time is over.
    ValidityTime,
    /// Something else about the quota.
    OtherQuotaType,
    /// What is rated changed.
    RatingConditionChange,
    /// The core asked for it.
    ForcedReauthorisation,
    /// A pool ran empty.
    PoolExhausted,
}
