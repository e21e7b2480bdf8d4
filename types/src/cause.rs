//! Why a call ended or was refused, in the field's own terms: Q.850 cause, SIP status, and our reasons.

use serde::{Deserialize, Serialize};

use crate::charging::ResultCode;

/// A Q.850 cause value, 1 to 127; 0 when the switch knew none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cause(pub u8);

impl Cause {
    /// 16, normal call clearing.
    pub const NORMAL_CLEARING: Self = Self(16);
    /// 17, user busy.
    pub const USER_BUSY: Self = Self(17);
    /// 18, no user responding.
    pub const NO_USER_RESPONDING: Self = Self(18);
    /// 19, no answer from user.
    pub const NO_ANSWER: Self = Self(19);
    /// 21, call rejected.
    pub const CALL_REJECTED: Self = Self(21);
    /// 28, invalid number format.
    pub const INVALID_NUMBER_FORMAT: Self = Self(28);
    /// 31, normal, unspecified.
    pub const NORMAL_UNSPECIFIED: Self = Self(31);
    /// 41, temporary failure.
    pub const TEMPORARY_FAILURE: Self = Self(41);
    /// 50, requested facility not subscribed: our refusals for lack of credit.
    pub const FACILITY_NOT_SUBSCRIBED: Self = Self(50);
    /// 127, interworking, unspecified.
    pub const INTERWORKING: Self = Self(127);

    /// The cause that a SIP final response stands for, after RFC 3398 section 8.2.6.1; 31 where it names none.
    pub const fn from_sip_status(status: u16) -> Self {
        Self(match status {
            200..=299 | 487 => 16,
            400 | 481 | 485 | 500..=503 => 41,
            401 | 402 | 403 | 407 | 603 => 21,
            404 | 604 => 1,
            405 => 63,
            406 | 415 | 416 | 420 | 421 | 488 | 606 => 79,
            408 | 504 => 102,
            410 => 22,
            480 => 18,
            482 | 483 => 25,
            484 => 28,
            486 | 600 => 17,
            505 | 513 => 127,
            _ => 31,
        })
    }
}

/// A SIP response status, 100 to 699.
pub type SipStatus = u16;

/// Which side ended the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The calling party.
    Caller,
    /// The called party.
    Callee,
    /// The switch by itself: a backstop, a session timer, an administrator.
    Switch,
    /// tollkeeper asked for it.
    Tollkeeper,
    /// The switch did not say.
    Unknown,
}

/// How the attempt came out, in the record's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TerminationReason {
    /// Answered, and ended in any way.
    Normal,
    /// The called party was busy.
    Busy,
    /// It rang, or did not even do that, until somebody's patience ended.
    NoAnswer,
    /// Refused by us or failed in the network.
    Failed,
    /// The caller gave up before the answer.
    Cancelled,
}

impl TerminationReason {
    /// What an unanswered call's final SIP status means.
    pub const fn from_sip_status(status: SipStatus) -> Self {
        match status {
            486 | 600 => Self::Busy,
            408 | 480 => Self::NoAnswer,
            487 => Self::Cancelled,
            _ => Self::Failed,
        }
    }

    /// What an unanswered call's Q.850 cause means.
    pub const fn from_cause(cause: Cause) -> Self {
        match cause.0 {
            17 => Self::Busy,
            18 | 19 | 102 => Self::NoAnswer,
            _ => Self::Failed,
        }
    }
}

/// Why tollkeeper itself refused or ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReleaseCause {
    /// No credit for one increment, or the granted time is over.
    CreditExhausted,
    /// The payer is not known to the core.
    UnknownAccount,
    /// The account is blocked.
    AccountBlocked,
    /// No rate covers the destination.
    UnratedDestination,
    /// The dialled number fits no rule and no E.164 number.
    InvalidNumber,
    /// Nobody authenticated is there to pay.
    UnknownPayer,
    /// A policy, such as concurrency or velocity, said no.
    Policy,
    /// Fraud was seen.
    Fraud,
    /// An operator ended the call.
    Operator,
    /// The charging core could not be asked and the configuration says so.
    ChargingUnavailable,
    /// The longest call that the configuration allows.
    MaximumDuration,
    /// The switch's own backstop ended it: the agent did not.
    Backstop,
    /// The agent is shutting down or found no room for the call.
    Shutdown,
}

impl ReleaseCause {
    /// The word on every interface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreditExhausted => "CREDIT_EXHAUSTED",
            Self::UnknownAccount => "UNKNOWN_ACCOUNT",
            Self::AccountBlocked => "ACCOUNT_BLOCKED",
            Self::UnratedDestination => "UNRATED_DESTINATION",
            Self::InvalidNumber => "INVALID_NUMBER",
            Self::UnknownPayer => "UNKNOWN_PAYER",
            Self::Policy => "POLICY",
            Self::Fraud => "FRAUD",
            Self::Operator => "OPERATOR",
            Self::ChargingUnavailable => "CHARGING_UNAVAILABLE",
            Self::MaximumDuration => "MAXIMUM_DURATION",
            Self::Backstop => "BACKSTOP",
            Self::Shutdown => "SHUTDOWN",
        }
    }

    /// What a denial of the core means for the call.
    pub const fn from_result_code(code: ResultCode) -> Self {
        match code {
            ResultCode::CREDIT_LIMIT_REACHED => Self::CreditExhausted,
            ResultCode::USER_UNKNOWN => Self::UnknownAccount,
            ResultCode::END_USER_SERVICE_DENIED => Self::AccountBlocked,
            ResultCode::RATING_FAILED => Self::UnratedDestination,
            _ => Self::ChargingUnavailable,
        }
    }

    /// The SIP status of a refusal for this reason.
    pub const fn sip_status(self) -> SipStatus {
        match self {
            Self::CreditExhausted => 402,
            Self::InvalidNumber => 484,
            Self::ChargingUnavailable | Self::Shutdown => 503,
            Self::MaximumDuration | Self::Backstop => 480,
            _ => 403,
        }
    }

    /// The Q.850 cause of a refusal or release for this reason.
    pub const fn cause(self) -> Cause {
        match self {
            Self::CreditExhausted => Cause::FACILITY_NOT_SUBSCRIBED,
            Self::InvalidNumber => Cause::INVALID_NUMBER_FORMAT,
            Self::ChargingUnavailable | Self::Shutdown => Cause::TEMPORARY_FAILURE,
            Self::MaximumDuration | Self::Backstop | Self::Operator => Cause::NORMAL_UNSPECIFIED,
            _ => Cause::CALL_REJECTED,
        }
    }

    /// The reason phrase that goes with [`Self::sip_status`].
    pub const fn sip_reason(self) -> &'static str {
        match self.sip_status() {
            402 => "Payment Required",
            484 => "Address Incomplete",
            503 => "Charging Unavailable",
            480 => "Temporarily Unavailable",
            _ => "Forbidden",
        }
    }
}
