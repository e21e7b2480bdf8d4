//! What the core answers.

use serde::{Deserialize, Serialize};

use super::request::Units;
use crate::{ClientId, Currency, DurationMs, Money, ReleaseCause, SessionId, UtcMs};

/// The outcome of a [`super::ChargingRequest`]; stored under its key and returned again for a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargingAnswer {
    /// Of the request.
    pub session_id: SessionId,
    /// Of the request.
    pub request_number: u32,
    /// The outcome for the whole request.
    pub result_code: ResultCode,
    /// The outcome for each rating group.
    pub units: Vec<UnitAnswer>,
    /// Charged for the session so far; absent when nothing can be said (denied, unknown).
    pub cost: Option<Cost>,
    /// What the account has left to spend: balance less everything held. Absent without an account.
    pub remaining_balance: Option<Money>,
    /// True when the remaining balance is below the account's warning limit, or the grant is the last.
    pub low_balance: bool,
    /// What the client does when it cannot reach the core.
    pub failure_handling: FailureHandling,
    /// True when another core address may take the session over.
    pub session_failover: bool,
    /// Notifications the client has not confirmed yet.
    pub notifications: Vec<Notification>,
    /// Why less was given than asked for, where `result_code` does not say it all: a policy or an operator's word.
    /// Not written by serde, so that stored answers of every release keep one layout; the ledger keeps it beside them.
    #[serde(skip)]
    pub release_cause: Option<ReleaseCause>,
    /// What the session took from which balance so far. Empty when the main money balance alone pays: `cost` says it.
    /// Not written by serde, as `release_cause`.
    #[serde(skip)]
    pub drawn: Vec<BalanceDraw>,
}

impl ChargingAnswer {
    /// An answer that says only `result_code`.
    pub fn refusal(session_id: SessionId, request_number: u32, result_code: ResultCode) -> Self {
        Self {
            session_id,
            request_number,
            result_code,
            units: Vec::new(),
            cost: None,
            remaining_balance: None,
            low_balance: false,
            failure_handling: FailureHandling::RetryAndTerminate,
            session_failover: false,
            notifications: Vec::new(),
            release_cause: None,
            drawn: Vec::new(),
        }
    }
}

/// What a balance counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BalanceKind {
    /// Money, in the account's currency.
    #[default]
    Money,
    /// Milliseconds of speech.
    Voice,
    /// Octets.
    Data,
    /// Messages.
    Sms,
    /// Multimedia messages and service-specific units.
    Generic,
}

/// An amount that a balance counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BalanceAmount {
    /// Of a balance of money.
    Money(Money),
    /// Milliseconds, octets, messages or units, as the balance's kind says.
    Units(i64),
}

/// What was taken from one balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceDraw {
    /// The balance's name within the account.
    pub balance_id: Box<str>,
    /// What it counts.
    pub kind: BalanceKind,
    /// How much.
    pub amount: BalanceAmount,
}

/// Outcome of a request or of one rating group in it; Diameter numbers (RFC 6733, RFC 8506), used on every interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResultCode(pub u32);

impl ResultCode {
    /// 2001.
    pub const SUCCESS: Self = Self(2001);
    /// 3004: overloaded, try again.
    pub const TOO_BUSY: Self = Self(3004);
    /// 4010: the account is blocked or policy said no.
    pub const END_USER_SERVICE_DENIED: Self = Self(4010);
    /// 4011: free, no more credit control for this rating group.
    pub const CREDIT_CONTROL_NOT_APPLICABLE: Self = Self(4011);
    /// 4012: not enough credit.
    pub const CREDIT_LIMIT_REACHED: Self = Self(4012);
    /// 5002: no such session.
    pub const UNKNOWN_SESSION: Self = Self(5002);
    /// 5003: this client may not.
    pub const AUTHORIZATION_REJECTED: Self = Self(5003);
    /// 5004: a field has no valid value; also: the same key came with other chargeable content.
    pub const INVALID_VALUE: Self = Self(5004);
    /// 5012: the core failed.
    pub const UNABLE_TO_COMPLY: Self = Self(5012);
    /// 5030: no such account.
    pub const USER_UNKNOWN: Self = Self(5030);
    /// 5031: no rate for the destination.
    pub const RATING_FAILED: Self = Self(5031);
    /// 5998, ours: the key is older than the idempotency window and was not applied.
    pub const EXPIRED: Self = Self(5998);

    /// True for 2xxx.
    pub const fn is_success(self) -> bool {
        self.0 / 1000 == 2
    }
}

/// One rating group's part of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitAnswer {
    /// Of the request.
    pub rating_group: u32,
    /// Of the request.
    pub service_identifier: Option<u32>,
    /// The outcome for this group.
    pub result_code: ResultCode,
    /// Units granted from the point of the report; replaces the earlier grant. Absent: no grant.
    pub granted: Option<Units>,
    /// How long the grant may be kept, in milliseconds; absent: without limit.
    pub validity_time_ms: Option<DurationMs>,
    /// Ask again when this little is left, in the unit of the grant; absent: the client's own margin.
    pub quota_threshold: Option<u64>,
    /// Give the grant back after so long without use, in milliseconds; absent: never.
    pub quota_holding_time_ms: Option<DurationMs>,
    /// When the tariff changes within the grant.
    pub tariff_time_change: Option<UtcMs>,
    /// Present when this is the last grant.
    pub final_unit: Option<FinalUnit>,
    /// All units charged so far, rounded up to whole increments: milliseconds for time, octets or units otherwise.
    pub billable: u64,
}

/// What happens at the end of the last grant, RFC 8506 section 8.34.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalUnit {
    /// The action.
    pub action: FinalUnitAction,
    /// Where to, for [`FinalUnitAction::Redirect`].
    pub redirect: Option<Box<str>>,
    /// What stays allowed, for [`FinalUnitAction::Restrict`].
    pub filters: Vec<Box<str>>,
}

/// RFC 8506 section 8.35.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FinalUnitAction {
    /// End the service.
    Terminate,
    /// Send the user somewhere.
    Redirect,
    /// Leave only some traffic.
    Restrict,
}

/// What a session has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// The account's currency.
    pub currency: Currency,
    /// Charged so far, connect fee included.
    pub amount: Money,
    /// The rate that applied last, for one minute; absent for other units than time.
    pub per_minute_rate: Option<Money>,
    /// Part of `amount` that was charged beyond the account's credit; zero in good order.
    pub overrun: Money,
}

/// RFC 8506 section 8.14.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureHandling {
    /// End what cannot be asked for.
    Terminate,
    /// Go on, report later.
    Continue,
    /// Try again, then end.
    #[default]
    RetryAndTerminate,
}

/// Something the client must hear of between its own requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Counts the core's notifications; confirming one confirms all before it for that client.
    pub sequence: u64,
    /// The session concerned.
    pub session_id: SessionId,
    /// What to do.
    pub kind: NotificationKind,
}

/// What a notification asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NotificationKind {
    /// Report now and ask again: credit or tariff changed.
    Reauthorize,
    /// End the call.
    Abort(ReleaseCause),
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SessionPhase {
    /// Holding a reservation.
    Open,
    /// Not heard of in time, settled provisionally on the assumption that the grant was used.
    Expired,
    /// Settled for good.
    Closed,
    /// INITIAL was denied.
    Denied,
}

/// A session as the core lists it: what a client that lost its memory needs to go on or to close.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// The session.
    pub session_id: SessionId,
    /// Its owner.
    pub client_id: ClientId,
    /// Where it stands.
    pub phase: SessionPhase,
    /// The highest request number seen.
    pub last_request_number: u32,
    /// Time reported as used so far, in milliseconds.
    pub used_time_ms: DurationMs,
    /// Used time plus the last grant: how far the credit reaches from the answer, in milliseconds.
    pub granted_time_ms: DurationMs,
    /// True when that grant was the last.
    pub final_grant: bool,
    /// All time charged so far, rounded up to whole increments.
    pub billable_ms: DurationMs,
    /// Charged so far.
    pub cost: Option<Cost>,
    /// When the charged clock started, as far as reported.
    pub answer_time: Option<UtcMs>,
    /// When the core was last asked about it.
    pub updated: UtcMs,
    /// The client's own opaque state, of its last request that carried one.
    pub client_state: Vec<u8>,
}
