//! What can happen to the books. Changes are logged in a format that numbers variants and fields by place: new
//! variants go to the end, fields of a released variant never change.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use types::charging::{BalanceDraw, ChargingAnswer, ChargingMode, Notification, Service, SessionPhase, SubscriberId};
use types::{ClientId, Currency, Money, ReleaseCause, SessionId, UtcMs};

use crate::account::AccountKey;
use crate::balance::{BalanceReceipt, BalanceTerms, Portions};
use crate::fingerprint::Fingerprint;
use crate::outcome::Receipt;
use crate::policy::AccountLimits;
use crate::pricing::RateKey;
use crate::session::{Meter, Payer};

/// One decided change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// An account was opened.
    AccountCreated(Box<AccountCreated>),
    /// Money was put in or taken out.
    Transferred(Box<Transferred>),
    /// An account was blocked or unblocked.
    Blocked {
        /// Which account.
        account: AccountKey,
        /// Whether it is blocked now.
        blocked: bool,
    },
    /// A session began, without groups; its [`Change::SessionChanged`] follows.
    SessionOpened(Box<SessionOpened>),
    /// A session moved on; its account's balance and holds move with its meters.
    SessionChanged(Box<SessionChanged>),
    /// An answer was given under a key.
    Answered(Answered),
    /// A client must be told something. Replaces a pending one of the same kind for the same session.
    Notified {
        /// Which client.
        client_id: ClientId,
        /// What to tell.
        notification: Notification,
    },
    /// A client confirmed its notifications.
    NotificationsConfirmed {
        /// Which client.
        client_id: ClientId,
        /// Up to and with this sequence.
        through: u64,
    },
    /// Old keys were dropped.
    KeysDropped {
        /// Sessions that ended before this are forgotten with their answers.
        sessions_before: UtcMs,
        /// Top-ups and debits made before this are forgotten.
        operations_before: UtcMs,
    },
    /// A balance beside the main one was made, topped up, debited, or got other terms.
    BalanceChanged(Box<BalanceChanged>),
    /// Who pays for a session changed. Follows the [`Change::SessionChanged`] that moved the money as if the main
    /// balance paid all.
    Drawn(Box<Drawn>),
    /// What an answer says beside the first format's fields. Follows its [`Change::Answered`].
    AnswerDetailed(Box<AnswerDetailed>),
    /// An account got limits of its own.
    LimitsSet {
        /// Which account.
        account: AccountKey,
        /// Instead of those it had.
        limits: Box<AccountLimits>,
    },
    /// A session was counted for limits over time.
    Counted(Box<Counted>),
    /// Why an account is blocked; follows its [`Change::Blocked`]. Absent before: for its own sake.
    BlockedFor {
        /// Which account.
        account: AccountKey,
        /// Told to clients.
        cause: ReleaseCause,
    },
}

/// A new account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountCreated {
    /// Tenant and id.
    pub key: AccountKey,
    /// Fixed.
    pub currency: Currency,
    /// Besides the id.
    pub identities: Vec<SubscriberId>,
    /// Warning limit.
    pub low_balance_limit: Option<Money>,
    /// How far below zero.
    pub credit_limit: Money,
}

/// A top-up or debit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transferred {
    /// When.
    pub at: UtcMs,
    /// Of its content.
    pub fingerprint: Fingerprint,
    /// Account, amount and the outcome for copies.
    pub receipt: Receipt,
}

/// What never changes about a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// The session.
    pub session_id: SessionId,
    /// Its owner.
    pub client_id: ClientId,
    /// Who pays; absent when nobody known did.
    pub account: Option<AccountKey>,
    /// The account's.
    pub currency: Option<Currency>,
    /// How money is treated.
    pub mode: ChargingMode,
    /// What is sold.
    pub service: Service,
    /// Where the account is, so that applying does not look for it again. Not in the log: a replay looks.
    #[serde(skip)]
    pub payer: Payer,
}

/// The new state of a session; absolute values, so that only the difference to the old ones moves money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionChanged {
    /// The session.
    pub session_id: SessionId,
    /// Where it stands now.
    pub phase: SessionPhase,
    /// When this was decided.
    pub updated: UtcMs,
    /// When it expires; only while open.
    pub deadline: Option<UtcMs>,
    /// When its keys begin to age; absent while open.
    pub ended: Option<UtcMs>,
    /// Start of the charged clock, as far as reported.
    pub answer_time: Option<UtcMs>,
    /// The highest request number seen.
    pub last_request_number: u32,
    /// The request that closed it.
    pub terminated_by: Option<u32>,
    /// Closed by our own cut for lack of credit.
    pub cut: bool,
    /// Charged beyond the account's credit so far.
    pub overrun: Money,
    /// True when this settles a pending REAUTHORIZE: the session asked again by itself.
    pub reauthorized: bool,
    /// Replaces the client's state; absent: stays.
    #[serde(with = "crate::octets::optional")]
    pub client_state: Option<Vec<u8>>,
    /// Groups that are new or changed.
    pub groups: Vec<GroupChange>,
}

/// The new state of one rating group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupChange {
    /// The rating group.
    pub rating_group: u32,
    /// Part of the key where present.
    pub service_identifier: Option<u32>,
    /// Its rate, when new or resolved again; absent: stays.
    pub rate: Option<RateKey>,
    /// Where it stands now.
    pub meter: Meter,
}

/// An answer under its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Of the request's chargeable content.
    pub fingerprint: Fingerprint,
    /// Names session and request number.
    pub answer: Arc<ChargingAnswer>,
}

/// An operation on a balance beside the main one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceChanged {
    /// When.
    pub at: UtcMs,
    /// Of its content.
    pub fingerprint: Fingerprint,
    /// Account, balance, amount and the outcome for copies. A balance that is not there is made.
    pub receipt: BalanceReceipt,
    /// Instead of those it had; absent: they stay.
    pub terms: Option<BalanceTerms>,
}

/// The balances that pay and hold for a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// The session.
    pub session_id: SessionId,
    /// Groups that are new or changed; others stay.
    pub groups: Vec<Portions>,
}

/// The rest of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerDetailed {
    /// Of the answer.
    pub session_id: SessionId,
    /// Of the answer.
    pub request_number: u32,
    /// Why less was given than asked for.
    pub release_cause: Option<ReleaseCause>,
    /// What the session took from which balance.
    pub drawn: Vec<BalanceDraw>,
}

/// What counts for an account's limits over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The session.
    pub session_id: SessionId,
    /// When.
    pub at: UtcMs,
    /// The tenant's day of it.
    pub day: i64,
    /// What it cost more than before; negative when it turned out cheaper.
    pub cost: Money,
    /// What the rest of its grant may still cost, in all.
    pub pledged: Money,
    /// True when it began now.
    pub started: bool,
}
