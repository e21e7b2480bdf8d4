//! Books as the second format wrote them: with lists of sessions by account, client and time, and each answer of a session as a
//! structure of its own. Read only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use types::charging::{ChargingMode, Notification, Service, SessionPhase};
use types::{ClientId, Currency, Money, SessionId, Tenant, UtcMs};

use super::by_account::ByAccount;
use super::written::{Sessions, WholeAnnex};
use super::{Books, Operation, Totals};
use crate::account::{Account, AccountKey, Movement};
use crate::few::Few;
use crate::index::IdentityIndex;
use crate::session::{Group, Payer, Session};
use crate::stored_answer::ListedAnswers;

/// A snapshot of format 2; [`Books::from`] makes it the books of now.
#[derive(Debug, Clone)]
pub struct BooksOfFormat2(Books);

#[derive(Deserialize)]
struct Whole<'b> {
    tenants: Vec<Tenant>,
    accounts: Vec<Account>,
    identities: IdentityIndex,
    history: ByAccount<VecDeque<Movement>>,
    operations: BTreeMap<(u32, Box<str>), Operation>,
    operations_by_age: BTreeSet<(UtcMs, u32, Box<str>)>,
    #[serde(borrow)]
    sessions: SessionsById<'b>,
    // The sessions say themselves where they belong.
    #[serde(borrow)]
    _open_by_account: ReadOver<(u32, &'b str)>,
    #[serde(borrow)]
    _unsettled_by_client: ReadOver<(&'b str, &'b str)>,
    #[serde(borrow)]
    _by_deadline: ReadOver<(UtcMs, &'b str)>,
    #[serde(borrow)]
    _by_end: ReadOver<(UtcMs, &'b str)>,
    notifications: BTreeMap<ClientId, VecDeque<Notification>>,
    last_notification: u64,
    totals: BTreeMap<Currency, Totals>,
    annex: WholeAnnex,
}

/// A map in the file, which is a list of pairs.
type SessionsById<'b> = Vec<(&'b str, Box<SessionOfFormat2>)>;

/// As [`Session`], but for its answers.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct SessionOfFormat2 {
    id: SessionId,
    client_id: ClientId,
    account: Option<AccountKey>,
    currency: Option<Currency>,
    mode: ChargingMode,
    service: Service,
    phase: SessionPhase,
    updated: UtcMs,
    deadline: Option<UtcMs>,
    ended: Option<UtcMs>,
    answer_time: Option<UtcMs>,
    last_request_number: u32,
    terminated_by: Option<u32>,
    cut: bool,
    overrun: Money,
    groups: Few<Group>,
    answers: ListedAnswers,
    #[serde(with = "crate::octets")]
    client_state: Box<[u8]>,
}

impl From<SessionOfFormat2> for Session {
    fn from(session: SessionOfFormat2) -> Self {
        Self {
            id: session.id,
            client_id: session.client_id,
            account: session.account,
            currency: session.currency,
            mode: session.mode,
            service: session.service,
            phase: session.phase,
            updated: session.updated,
            deadline: session.deadline,
            ended: session.ended,
            answer_time: session.answer_time,
            last_request_number: session.last_request_number,
            terminated_by: session.terminated_by,
            cut: session.cut,
            overrun: session.overrun,
            groups: session.groups,
            answers: session.answers.0,
            client_state: session.client_state,
            payer: Payer::default(),
        }
    }
}

impl<'de> Deserialize<'de> for BooksOfFormat2 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = Whole::deserialize(deserializer)?;
        let mut sessions = Sessions::default();
        for (_, session) in whole.sessions {
            sessions.add(Box::new((*session).into()));
        }
        let books = sessions.beside(Books {
            tenants: whole.tenants,
            accounts: whole.accounts,
            identities: whole.identities,
            history: whole.history,
            operations: whole.operations,
            operations_by_age: whole.operations_by_age,
            notifications: whole.notifications,
            last_notification: whole.last_notification,
            totals: whole.totals,
            ..Books::default()
        });
        whole.annex.beside(books).map(Self).map_err(D::Error::custom)
    }
}

impl From<BooksOfFormat2> for Books {
    fn from(books: BooksOfFormat2) -> Self {
        books.0
    }
}

/// A list whose entries must fit and are not kept.
#[derive(Debug, Clone)]
pub(super) struct ReadOver<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ReadOver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ReadOver<T> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<T>()?.is_some() {}
        Ok(self)
    }
}
