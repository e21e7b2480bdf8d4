//! What was decided: the answer for whoever asked, and the changes that must be stored before it is given.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use types::charging::{ChargingAnswer, ResultCode, SubscriberIdKind};
use types::{Currency, ErrorClass, Money, ReleaseCause, SessionId};

use crate::account::{AccountKey, AccountView};
use crate::balance::{BalanceReceipt, MAX_BALANCES};
use crate::change::Change;
use crate::policy::{LimitsView, PolicyDenial};
use crate::pricing::RateRefusal;

/// The result of [`crate::decide`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// For whoever asked.
    pub outcome: Outcome,
    /// To be stored and applied, all or none; empty when nothing changes.
    pub changes: Vec<Change>,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// To a charging request.
    Charged(Charged),
    /// The account after the change: created, blocked, unblocked.
    Account(Box<AccountView>),
    /// To a top-up or debit.
    Transferred(Box<Receipt>),
    /// To [`crate::Command::Expire`].
    Swept {
        /// The session that was settled provisionally, if one was due.
        expired: Option<SessionId>,
        /// True when the command should be repeated at once.
        more: bool,
    },
    /// Done; there is nothing to say about it.
    Done,
    /// Not done, nothing changed.
    Refused(Refusal),
    /// To an operation on a balance beside the main one.
    BalanceChanged(Box<BalanceReceipt>),
    /// The limits after [`crate::Command::SetLimits`].
    Limits(Box<LimitsView>),
}

/// The outcome of a charging request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charged {
    /// For the client; the change that stores it has the same.
    pub answer: Arc<ChargingAnswer>,
    /// Why it was denied in whole or in part, for logs and metrics; absent in good order and for a stored answer.
    pub denial: Option<Denial>,
    /// True when this is the stored answer of an earlier request with the same key.
    pub replayed: bool,
}

/// Why a charging request got less than it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// No subscriber of the request has an account.
    #[error("no account for any of the subscribers")]
    UnknownAccount,
    /// The account is blocked.
    #[error("account is blocked")]
    AccountBlocked,
    /// No rate.
    #[error("rating failed")]
    Unrated(#[source] RateRefusal),
    /// The rate is in another currency than the account.
    #[error("tariff is in {tariff}, account in {account}")]
    CurrencyMismatch {
        /// Of the account.
        account: Currency,
        /// Of the rate.
        tariff: Currency,
    },
    /// Not enough credit for one increment.
    #[error("credit does not pay for one increment")]
    CreditLimitReached,
    /// No such session, or it is closed.
    #[error("session is unknown or closed")]
    UnknownSession,
    /// The session belongs to another client.
    #[error("session belongs to another client")]
    WrongClient,
    /// The key was used with other chargeable content.
    #[error("key was used before with other content")]
    KeyReused,
    /// A field has no usable value.
    #[error("{0} has no usable value")]
    Invalid(InvalidField),
    /// The session is not known and the request is older than the idempotency window.
    #[error("request is older than the idempotency window")]
    Expired,
    /// The account is blocked for a reason of its own.
    #[error("account is blocked: {}", .0.as_str())]
    BlockedFor(ReleaseCause),
    /// A rule about what the account may do.
    #[error("policy")]
    Policy(#[source] PolicyDenial),
}

/// A field of a charging request that has no usable value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidField {
    /// Empty or longer than [`types::ids::MAX_SESSION_ID_BYTES`].
    #[error("session_id")]
    SessionId,
    /// A second INITIAL, or an EVENT within a session.
    #[error("operation")]
    Operation,
    /// EVENT without an action.
    #[error("requested_action")]
    RequestedAction,
    /// Usage in an INITIAL, beyond [`crate::MAX_USAGE`], the same group twice, or an EVENT without units.
    #[error("multiple_unit_usage")]
    Units,
    /// More than an hour ahead of the ledger's clock: the key would be forgotten before its copies are too old.
    #[error("event_time")]
    EventTime,
}

impl Denial {
    /// The code on every interface.
    pub const fn result_code(self) -> ResultCode {
        match self {
            Self::UnknownAccount => ResultCode::USER_UNKNOWN,
            Self::AccountBlocked | Self::BlockedFor(_) | Self::Policy(_) => ResultCode::END_USER_SERVICE_DENIED,
            Self::Unrated(_) | Self::CurrencyMismatch { .. } => ResultCode::RATING_FAILED,
            Self::CreditLimitReached => ResultCode::CREDIT_LIMIT_REACHED,
            Self::UnknownSession => ResultCode::UNKNOWN_SESSION,
            Self::WrongClient => ResultCode::AUTHORIZATION_REJECTED,
            Self::KeyReused | Self::Invalid(_) => ResultCode::INVALID_VALUE,
            Self::Expired => ResultCode::EXPIRED,
        }
    }

    /// What the code alone does not tell the client; absent where it does.
    pub const fn release_cause(self) -> Option<ReleaseCause> {
        match self {
            Self::BlockedFor(cause) => Some(cause),
            Self::Policy(_) => Some(ReleaseCause::Policy),
            _ => None,
        }
    }

    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownAccount => "unknown_account",
            Self::AccountBlocked | Self::BlockedFor(_) => "account_blocked",
            Self::Policy(rule) => rule.as_str(),
            Self::Unrated(_) => "unrated",
            Self::CurrencyMismatch { .. } => "currency_mismatch",
            Self::CreditLimitReached => "credit_limit_reached",
            Self::UnknownSession => "unknown_session",
            Self::WrongClient => "wrong_client",
            Self::KeyReused => "key_reused",
            Self::Invalid(_) => "invalid",
            Self::Expired => "expired",
        }
    }

    /// Always [`ErrorClass::Refused`].
    pub const fn class(self) -> ErrorClass {
        ErrorClass::Refused
    }
}

/// What a top-up or debit did; the same again for a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which account.
    pub account: AccountKey,
    /// Of the command.
    pub operation_id: Box<str>,
    /// What it did to the balance; negative for a debit.
    pub amount: Money,
    /// Of the account.
    pub currency: Currency,
    /// Right after it.
    pub balance: Money,
    /// Right after it: what may still be spent.
    pub available: Money,
}

/// Why an account or session command was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No such account.
    #[error("no such account")]
    UnknownAccount,
    /// The id is taken.
    #[error("account exists already")]
    AccountExists,
    /// The id is empty or longer than 128 bytes.
    #[error("account id is empty or longer than 128 bytes")]
    InvalidAccountId,
    /// An identity is empty, too long, or belongs to another account.
    #[error("identity of kind {0:?} is empty, too long or taken")]
    IdentityTaken(SubscriberIdKind),
    /// Not above zero, or beyond [`Money::LIMIT`].
    #[error("amount is not above zero or too large")]
    InvalidAmount,
    /// The operation id is empty or longer than 128 bytes.
    #[error("operation id is empty or longer than 128 bytes")]
    InvalidOperationId,
    /// The account has another currency.
    #[error("account is in {account}")]
    CurrencyMismatch {
        /// Of the account.
        account: Currency,
    },
    /// A debit of more than is available.
    #[error("only {available} is available")]
    NotEnoughCredit {
        /// What may be spent.
        available: Money,
    },
    /// A debit of more units than are available.
    #[error("only {available} units are available")]
    NotEnoughUnits {
        /// What may be taken.
        available: i64,
    },
    /// The operation id was used with another amount or direction.
    #[error("operation id was used before for something else")]
    OperationReused,
    /// No such open session.
    #[error("no such open session")]
    UnknownSession,
    /// No such balance.
    #[error("no such balance")]
    UnknownBalance,
    /// The name is empty, too long, or the main balance's, which has no terms.
    #[error("balance id is empty, longer than 128 bytes, or names the main balance, which has no terms")]
    InvalidBalanceId,
    /// The balance counts something else.
    #[error("balance counts something else")]
    BalanceKindMismatch,
    /// No room for another one.
    #[error("account has {MAX_BALANCES} balances already")]
    TooManyBalances,
    /// A limit below zero or too large, or a rule for a class that the settings do not have.
    #[error("a limit is negative or too large, or names a destination class that is not configured")]
    InvalidLimits,
}

impl Refusal {
    /// Always [`ErrorClass::Refused`].
    pub const fn class(self) -> ErrorClass {
        ErrorClass::Refused
    }
}
