//! Books as the first format wrote them: without balances beside the main one and without limits. Read only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Deserialize;
use types::charging::{Notification, SubscriberId, SubscriberIdKind};
use types::{AccountId, ClientId, Currency, Money, SessionId, Tenant, UtcMs};

use super::by_account::ByAccount;
use super::format_2::{ReadOver, SessionOfFormat2};
use super::written::Sessions;
use super::{Books, Keyed, Operation, Totals};
use crate::account::{Account, Extra, Movement};
use crate::index::{IdentityIndex, identity_hash};
use crate::names::Names;

/// A snapshot of format 1; [`Books::from`] makes it the books of now.
#[derive(Debug, Clone, Deserialize)]
pub struct BooksOfFormat1 {
    tenants: Vec<Tenant>,
    accounts: Vec<AccountOfFormat1>,
    /// Made again from the accounts.
    #[serde(rename = "identities")]
    _identities: (Keyed<u64, u32>, BTreeMap<u64, Vec<u32>>),
    history: ByAccount<VecDeque<Movement>>,
    operations: BTreeMap<(u32, Box<str>), Operation>,
    operations_by_age: BTreeSet<(UtcMs, u32, Box<str>)>,
    sessions: Keyed<SessionId, Box<SessionOfFormat2>>,
    // The sessions say themselves where they belong.
    _open_by_account: ReadOver<(u32, SessionId)>,
    _unsettled_by_client: ReadOver<(ClientId, SessionId)>,
    _by_deadline: ReadOver<(UtcMs, SessionId)>,
    _by_end: ReadOver<(UtcMs, SessionId)>,
    notifications: BTreeMap<ClientId, VecDeque<Notification>>,
    last_notification: u64,
    totals: BTreeMap<Currency, Totals>,
}

#[derive(Debug, Clone, Deserialize)]
struct AccountOfFormat1 {
    id: AccountId,
    identities: Vec<SubscriberId>,
    balance: Money,
    held: Money,
    limits: Option<(Option<Money>, Money)>,
    number: u32,
    tenant: u32,
    currency: Currency,
    blocked: bool,
}

impl From<AccountOfFormat1> for Account {
    fn from(account: AccountOfFormat1) -> Self {
        let (low_balance, credit) = account.limits.unwrap_or_default();
        let extra = Extra { low_balance, credit, held: account.held };
        Self {
            names: Names::of(&account.id, &account.identities),
            balance: account.balance,
            extra: (extra != Extra::default()).then(|| Box::new(extra)),
            number: account.number,
            tenant: account.tenant,
            currency: account.currency,
            blocked: account.blocked,
        }
    }
}

fn index(tenants: &[Tenant], accounts: &[Account]) -> IdentityIndex {
    let mut index = IdentityIndex::default();
    for account in accounts {
        let tenant = usize::try_from(account.tenant).ok().and_then(|tenant| tenants.get(tenant));
        let tenant = tenant.map_or("", Tenant::as_str);
        let own = (SubscriberIdKind::Private, account.names.id());
        for (kind, value) in std::iter::once(own).chain(account.names.identities()) {
            index.insert(identity_hash(tenant, kind, value), account.number);
        }
    }
    index
}

impl From<BooksOfFormat1> for Books {
    fn from(books: BooksOfFormat1) -> Self {
        let accounts: Vec<Account> = books.accounts.into_iter().map(Account::from).collect();
        let identities = index(&books.tenants, &accounts);
        let mut sessions = Sessions::default();
        books.sessions.into_values().for_each(|session| sessions.add(Box::new((*session).into())));
        sessions.beside(Self {
            tenants: books.tenants,
            accounts,
            identities,
            history: books.history,
            operations: books.operations,
            operations_by_age: books.operations_by_age,
            notifications: books.notifications,
            last_notification: books.last_notification,
            totals: books.totals,
            ..Self::default()
        })
    }
}
