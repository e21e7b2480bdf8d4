//! What the ledger can be told to do.

use types::charging::{ChargingRequest, SubscriberId};
use types::{ClientId, Currency, Money, ReleaseCause, SessionId};

use crate::account::AccountKey;

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
    /// Allows grants again.
    Unblock(AccountKey),
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
