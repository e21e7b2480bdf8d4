//! What the ledger can be told to do.

use types::charging::{BalanceAmount, BalanceKind, ChargingRequest, SubscriberId};
use types::{ClientId, Currency, Money, ReleaseCause, SessionId, UtcMs};

use crate::account::AccountKey;
use crate::balance::BalanceTerms;
use crate::policy::AccountLimits;

/// One command; decided in the account's turn, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A charging request of a client.
    Charge(Box<ChargingRequest>),
    /// Opens an account with balance zero.
    CreateAccount(Box<CreateAccount>),
    /// Opens an account with a first balance, in one decision; idempotent by its operation id.
    OpenAccount(Box<OpenAccount>),
    /// Puts money in; idempotent by its operation id.
    TopUp(Transfer),
    /// Takes money out, never more than is available; idempotent by its operation id.
    Debit(Transfer),
    /// Refuses every new grant and ends the open sessions.
    Block(AccountKey),
    /// As [`Command::Block`], for another reason than [`ReleaseCause::AccountBlocked`], such as fraud.
    BlockFor {
        /// Which account.
        account: AccountKey,
        /// Told to the clients of open and later sessions.
        cause: ReleaseCause,
    },
    /// Allows grants again.
    Unblock(AccountKey),
    /// Makes, tops up, debits or changes a balance beside the main one; idempotent by its operation id.
    ChangeBalance(Box<ChangeBalance>),
    /// Gives an account limits of its own, instead of those it had. Ends open sessions that they do not allow.
    SetLimits {
        /// Which account.
        account: AccountKey,
        /// All of them.
        limits: Box<AccountLimits>,
    },
    /// Tells the session's client to end it.
    Release {
        /// Which session.
        session_id: SessionId,
        /// Why, usually [`ReleaseCause::Operator`].
        cause: ReleaseCause,
    },
    /// Tells the clients of those of these sessions that are open to report now, because another tariff version came in
    /// force.
    Reauthorize(Vec<SessionId>),
    /// Settles one session whose expiry has passed, or drops keys that are old enough. Repeat while the outcome says
    /// that there is more.
    Expire,
    /// The client has seen its notifications up to and with this sequence.
    ConfirmNotifications {
        /// Which client.
        client_id: ClientId,
        /// The last sequence seen.
        through: u64,
    },
}

/// A new account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateAccount {
    /// Tenant and id; the id is also a private identity.
    pub key: AccountKey,
    /// Fixed for ever.
    pub currency: Currency,
    /// Further identities, each free within the tenant.
    pub identities: Vec<SubscriberId>,
    /// Warning limit; absent: none.
    pub low_balance_limit: Option<Money>,
    /// How far below zero the balance may be spent, zero or more; absent: not at all.
    pub credit_limit: Option<Money>,
}

/// A new account and the money it starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAccount {
    /// The account.
    pub create: CreateAccount,
    /// Names the operation within the account: again with the same content gives the stored outcome.
    pub operation_id: Box<str>,
    /// Zero or more.
    pub first_balance: Money,
}

/// Money put in or taken out by an operator or a payment system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Which account.
    pub account: AccountKey,
    /// Names the operation within the account: again with the same amount gives the stored outcome.
    pub operation_id: Box<str>,
    /// More than zero.
    pub amount: Money,
    /// Checked against the account's where present.
    pub currency: Option<Currency>,
}

/// An operation on a balance beside the main one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeBalance {
    /// Which account.
    pub account: AccountKey,
    /// Names the operation within the account: again with the same content gives the stored outcome.
    pub operation_id: Box<str>,
    /// The balance's name; never [`crate::MAIN_BALANCE`]. A top-up makes one that is not there.
    pub balance_id: Box<str>,
    /// What it counts; must fit a balance that is there. Absent: as it is; money for a new one.
    pub kind: Option<BalanceKind>,
    /// True puts in, false takes out.
    pub credit: bool,
    /// How much, in what the balance counts: more than zero, or zero with terms or an expiry.
    pub amount: BalanceAmount,
    /// Checked against the account's where present.
    pub currency: Option<Currency>,
    /// Instead of those it has. Absent: they stay; none for a new one.
    pub terms: Option<BalanceTerms>,
    /// A new expiry, whatever the terms say. Absent: theirs.
    pub valid_until: Option<UtcMs>,
}
