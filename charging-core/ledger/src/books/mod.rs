//! The state of the ledger in memory, and what can be read from it. Only [`Books::apply`] writes.

mod ahead;
mod annex;
mod apply;
mod audit;
mod by_account;
mod by_time;
mod format_1;
mod format_2;
mod open;
mod replica;
mod written;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use types::charging::{Notification, SessionSummary, SubscriberId, SubscriberIdKind};
use types::{AccountId, ClientId, Currency, Money, SessionId, Tenant, UtcMs};

use crate::account::{Account, AccountKey, AccountView, Movement};
use crate::balance::BalanceView;
use crate::fingerprint::Fingerprint;
use crate::index::{IdentityIndex, identity_hash};
use crate::outcome::Receipt;
use crate::session::Session;
use crate::stored_answer::Scratch;

// Maps by ids: hashed with a seed of the process, as ids may come from callers, and quickly, as every request asks several times.
pub(crate) use foldhash::{HashMap as Keyed, HashSet as Keys};

use by_account::ByAccount;
use by_time::ByTime;
use open::{OpenByAccount, UnsettledByClient};

pub use ahead::{AHEAD, About};
pub use apply::ApplyError;
pub(crate) use apply::{is_replaced, is_settled};
pub use audit::Imbalance;
pub use format_1::BooksOfFormat1;
pub use format_2::BooksOfFormat2;
pub use replica::Replica;

/// All accounts, sessions, stored answers and pending notifications. Serialises whole, for snapshots, in format 3;
/// [`BooksOfFormat1`] and [`BooksOfFormat2`] read the earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    tenants: Vec<Tenant>,
    /// By account number.
    accounts: Vec<Account>,
    identities: IdentityIndex,
    history: ByAccount<VecDeque<Movement>>,
    operations: BTreeMap<(u32, Box<str>), Operation>,
    operations_by_age: BTreeSet<(UtcMs, u32, Box<str>)>,
    /// Each in a place of its own, so that the map stays small where it grows.
    sessions: Keyed<SessionId, Box<Session>>,
    open_by_account: OpenByAccount,
    /// Open and expired ones: what a client still has to close.
    unsettled_by_client: UnsettledByClient,
    by_deadline: ByTime,
    by_end: ByTime,
    notifications: BTreeMap<ClientId, VecDeque<Notification>>,
    last_notification: u64,
    totals: BTreeMap<Currency, Totals>,
    /// Last, because the first format does not have it.
    annex: annex::Annex,
    scratch: Scratch,
}

/// A top-up or debit that is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub fingerprint: Fingerprint,
    pub receipt: Receipt,
}

/// Sums that must agree with the accounts and sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Totals {
    /// Top-ups less debits.
    deposited: Money,
    /// Charged by sessions and events.
    charged: Money,
    /// The part of it whose sessions are forgotten.
    forgotten: Money,
}

impl Books {
    /// Empty books.
    pub fn new() -> Self {
        Self::default()
    }

    /// The account of an identity; a private identity may be the account's id.
    pub fn find_account(&self, tenant: &Tenant, identity: &SubscriberId) -> Option<AccountKey> {
        let account = self.lookup(tenant, identity.kind, identity.value.expose())?;
        Some(AccountKey { tenant: tenant.clone(), id: account.names.id().into() })
    }

    /// An account as it stands.
    pub fn account(&self, key: &AccountKey) -> Option<AccountView> {
        self.account_at(key).map(|account| self.view(account))
    }

    /// All accounts of a tenant, or all there are, in the order of their creation.
    pub fn accounts(&self, tenant: Option<&Tenant>) -> impl Iterator<Item = AccountView> {
        let wanted = move |account: &&Account| tenant.is_none_or(|tenant| self.tenant_of(account) == Some(tenant));
        self.accounts.iter().filter(wanted).map(|account| self.view(account))
    }

    /// How many accounts there are.
    pub fn account_count(&self) -> usize {
        self.accounts.len()
    }

    /// The newest movements of an account, oldest first; empty for an unknown account.
    pub fn history(&self, key: &AccountKey) -> Vec<Movement> {
        let number = self.account_at(key).map(|account| account.number);
        number
            .and_then(|number| self.history.get(number))
            .map(|lines| lines.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// A session, in whatever phase, as long as its keys are kept.
    pub fn session(&self, session_id: &SessionId) -> Option<SessionSummary> {
        self.kept(session_id).map(Session::summary)
    }

    /// What a session was rated with and where it stands, by rating group; empty for an unknown session.
    pub fn groups_of(&self, session_id: &SessionId) -> Vec<crate::session::Group> {
        self.sessions.get(session_id).map(|session| session.groups.as_slice().to_vec()).unwrap_or_default()
    }

    /// The payer of a session.
    pub fn payer_of(&self, session_id: &SessionId) -> Option<AccountKey> {
        self.sessions.get(session_id).and_then(|session| session.account.clone())
    }

    /// The sessions that a client still has to close: open, or expired and settled provisionally only.
    pub fn sessions_of(&self, client_id: &ClientId) -> Vec<SessionSummary> {
        self.unsettled_by_client.of(client_id).into_iter().filter_map(|session_id| self.session(session_id)).collect()
    }

    /// The open sessions of an account.
    pub fn sessions_on(&self, key: &AccountKey) -> Vec<SessionSummary> {
        let number = self.account_at(key).map(|account| account.number);
        let open = number.into_iter().flat_map(|number| self.open_on(number));
        open.map(Session::summary).collect()
    }

    /// All open or expired sessions, by client.
    pub fn unsettled_sessions(&self) -> impl Iterator<Item = SessionSummary> {
        self.unsettled_by_client.all().into_iter().filter_map(|(_, session_id)| self.session(session_id))
    }

    /// All sessions whose keys are kept, in no order.
    pub fn kept_sessions(&self) -> impl Iterator<Item = SessionSummary> {
        self.sessions.values().map(|session| session.summary())
    }

    /// How many sessions hold a reservation or could.
    pub fn open_session_count(&self) -> usize {
        self.by_deadline.len()
    }

    /// How many sessions are kept, the ended ones with their keys included.
    pub fn kept_session_count(&self) -> usize {
        self.sessions.len()
    }

    /// What a client has not confirmed yet, oldest first.
    pub fn notifications(&self, client_id: &ClientId) -> Vec<Notification> {
        self.pending(client_id).cloned().collect()
    }

    /// When the next open session expires; before that [`crate::Command::Expire`] only drops old keys.
    pub fn next_deadline(&self) -> Option<UtcMs> {
        self.by_deadline.first()
    }

    /// The tariff plan versions that kept sessions were rated with, each once: they must stay available.
    pub fn plan_versions(&self) -> impl Iterator<Item = u128> {
        let rated = self.sessions.values().flat_map(|session| session.groups.iter());
        rated.map(|group| group.rate.plan_version).collect::<BTreeSet<u128>>().into_iter()
    }

    /// Open sessions that another tariff version rates, and that nothing was decided about since a time (the one at which
    /// this version came in force).
    pub fn open_with_other_tariff(&self, plan_version: u128, since: UtcMs) -> impl Iterator<Item = &SessionId> {
        let open = self.by_deadline.iter().filter_map(|session_id| self.kept(session_id));
        let other =
            move |session: &&Session| session.groups.iter().any(|group| group.rate.plan_version != plan_version);
        open.filter(move |session| session.updated <= since).filter(other).map(|session| &session.id)
    }

    pub(crate) fn account_at(&self, key: &AccountKey) -> Option<&Account> {
        let accepts =
            |account: &Account| account.names.has_id(key.id.as_str()) && self.tenant_of(account) == Some(&key.tenant);
        self.candidate(&key.tenant, SubscriberIdKind::Private, key.id.as_str(), accepts)
    }

    pub(crate) fn lookup(&self, tenant: &Tenant, kind: SubscriberIdKind, value: &str) -> Option<&Account> {
        let accepts = |account: &Account| account.answers_to(kind, value) && self.tenant_of(account) == Some(tenant);
        self.candidate(tenant, kind, value, accepts)
    }

    fn candidate(
        &self,
        tenant: &Tenant,
        kind: SubscriberIdKind,
        value: &str,
        accepts: impl Fn(&Account) -> bool,
    ) -> Option<&Account> {
        let hash = identity_hash(tenant.as_str(), kind, value);
        let number = self.identities.find(hash, |number| self.numbered(number).is_some_and(&accepts))?;
        self.numbered(number)
    }

    pub(crate) fn numbered(&self, number: u32) -> Option<&Account> {
        self.accounts.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn tenant_of(&self, account: &Account) -> Option<&Tenant> {
        self.tenants.get(usize::try_from(account.tenant).ok()?)
    }

    pub(crate) fn key_of(&self, account: &Account) -> AccountKey {
        let tenant = self.tenant_of(account).cloned().unwrap_or_else(|| Tenant::from(""));
        AccountKey { tenant, id: AccountId::from(account.names.id()) }
    }

    pub(crate) fn view(&self, account: &Account) -> AccountView {
        AccountView {
            key: self.key_of(account),
            currency: account.currency,
            balance: account.balance,
            held: account.held(),
            available: account.available(),
            credit_limit: account.credit(),
            low_balance_limit: account.low_balance_limit(),
            blocked: account.blocked,
            identities: account.names.subscribers(),
            open_sessions: u32::try_from(self.open_count(account.number)).unwrap_or(u32::MAX),
            balances: self.pots_of(account.number).iter().map(BalanceView::of).collect(),
        }
    }

    /// The open sessions of an account, by session id.
    pub(crate) fn open_on(&self, number: u32) -> impl Iterator<Item = &Session> {
        self.open_by_account.of(number).iter().filter_map(|open| self.kept(&open.session_id))
    }

    /// How many open sessions an account has.
    pub(crate) fn open_count(&self, number: u32) -> usize {
        self.open_by_account.of(number).len()
    }

    /// The account that pays for a session; absent when nobody known did.
    pub(crate) fn payer(&self, session: &Session) -> Option<&Account> {
        match session.payer.0 {
            Some(number) => self.numbered(number),
            None => session.account.as_ref().and_then(|key| self.account_at(key)),
        }
    }

    pub(crate) fn kept(&self, session_id: &SessionId) -> Option<&Session> {
        self.sessions.get(session_id).map(|session| &**session)
    }

    pub(crate) fn pending(&self, client_id: &ClientId) -> impl Iterator<Item = &Notification> {
        self.notifications.get(client_id).into_iter().flatten()
    }

    pub(crate) fn last_notification(&self) -> u64 {
        self.last_notification
    }

    pub(crate) fn operation(&self, account: u32, operation_id: &str) -> Option<&Operation> {
        self.operations.get(&(account, Box::from(operation_id)))
    }

    /// The open sessions whose expiry has passed, longest due first.
    pub(crate) fn due(&self, now: UtcMs) -> impl Iterator<Item = &Session> {
        self.by_deadline.through(now).filter_map(|session_id| self.kept(session_id))
    }

    /// When the oldest ended session ended, and when the oldest remembered operation was made.
    pub(crate) fn oldest_keys(&self) -> (Option<UtcMs>, Option<UtcMs>) {
        (self.by_end.first(), self.operations_by_age.first().map(|(made, ..)| *made))
    }
}
