//! Books as the first format wrote them: without balances beside the main one and without limits. Read only.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::Deserialize;
use types::charging::Notification;
use types::{ClientId, Currency, SessionId, Tenant, UtcMs};

use super::annex::Annex;
use super::{Books, Operation, Totals};
use crate::account::{Account, Movement};
use crate::index::IdentityIndex;
use crate::session::Session;

/// A snapshot of format 1; [`Books::from`] makes it the books of now.
#[derive(Debug, Clone, Deserialize)]
pub struct BooksOfFormat1 {
    tenants: Vec<Tenant>,
    accounts: Vec<Account>,
    identities: IdentityIndex,
    history: BTreeMap<u32, VecDeque<Movement>>,
    operations: BTreeMap<(u32, Box<str>), Operation>,
    operations_by_age: BTreeSet<(UtcMs, u32, Box<str>)>,
    sessions: HashMap<SessionId, Session>,
    open_by_account: BTreeSet<(u32, SessionId)>,
    unsettled_by_client: BTreeSet<(ClientId, SessionId)>,
    by_deadline: BTreeSet<(UtcMs, SessionId)>,
    by_end: BTreeSet<(UtcMs, SessionId)>,
    notifications: BTreeMap<ClientId, VecDeque<Notification>>,
    last_notification: u64,
    totals: BTreeMap<Currency, Totals>,
}

impl From<BooksOfFormat1> for Books {
    fn from(books: BooksOfFormat1) -> Self {
        Self {
            tenants: books.tenants,
            accounts: books.accounts,
            identities: books.identities,
            history: books.history,
            operations: books.operations,
            operations_by_age: books.operations_by_age,
            sessions: books.sessions,
            open_by_account: books.open_by_account,
            unsettled_by_client: books.unsettled_by_client,
            by_deadline: books.by_deadline,
            by_end: books.by_end,
            notifications: books.notifications,
            last_notification: books.last_notification,
            totals: books.totals,
            annex: Annex::default(),
        }
    }
}
