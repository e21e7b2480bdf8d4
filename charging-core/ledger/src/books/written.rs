//! The books as snapshots of format 3 have them. In memory some things are kept elsewhere: what a session pledges stands beside
//! its place among the open ones of its account, and ids that are the same are kept once. Where sessions belong (by account, client
//! and time) each says itself.
//!
//! Each session is one piece of octets, so that those that are over can be copied from snapshot to snapshot as they are
//! ([`super::replica`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::de::Error as _;
use serde::ser::{SerializeSeq as _, SerializeStruct as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::charging::{Notification, SessionPhase};
use types::{ClientId, Currency, Money, ReleaseCause, SessionId, Tenant, UtcMs};

use super::annex::{Annex, AnswerDetails};
use super::by_account::ByAccount;
use super::{Books, Keyed, Operation, Totals};
use crate::account::{Account, Movement};
use crate::balance::{BalanceMovement, BalanceOperation, Portions, Pot};
use crate::index::IdentityIndex;
use crate::packed::pack;
use crate::policy::{AccountLimits, Activity};
use crate::session::{Payer, Session};

/// Read in this order.
#[derive(Deserialize)]
pub(super) struct WholeBooks<'b> {
    tenants: Vec<Tenant>,
    accounts: Vec<Account>,
    identities: IdentityIndex,
    history: ByAccount<VecDeque<Movement>>,
    operations: BTreeMap<(u32, Box<str>), Operation>,
    operations_by_age: BTreeSet<(UtcMs, u32, Box<str>)>,
    /// Each in postcard.
    #[serde(borrow)]
    pub sessions: Vec<&'b [u8]>,
    notifications: BTreeMap<ClientId, VecDeque<Notification>>,
    last_notification: u64,
    totals: BTreeMap<Currency, Totals>,
    annex: WholeAnnex,
}

#[derive(Deserialize)]
pub(super) struct WholeAnnex {
    pots: BTreeMap<u32, Vec<Pot>>,
    pot_history: BTreeMap<u32, VecDeque<BalanceMovement>>,
    pot_operations: BTreeMap<(u32, Box<str>), BalanceOperation>,
    portions: BTreeMap<SessionId, Vec<Portions>>,
    details: BTreeMap<(SessionId, u32), AnswerDetails>,
    limits: ByAccount<AccountLimits>,
    activity: ByAccount<Activity>,
    pledges: BTreeMap<SessionId, Money>,
    block_causes: BTreeMap<u32, ReleaseCause>,
}

impl WholeBooks<'_> {
    /// The books with these sessions.
    pub fn with(self, sessions: Sessions) -> Result<Books, &'static str> {
        let books = Books {
            tenants: self.tenants,
            accounts: self.accounts,
            identities: self.identities,
            history: self.history,
            operations: self.operations,
            operations_by_age: self.operations_by_age,
            notifications: self.notifications,
            last_notification: self.last_notification,
            totals: self.totals,
            ..Books::default()
        };
        self.annex.beside(sessions.beside(books))
    }
}

impl WholeAnnex {
    /// The books with what stands beside accounts and sessions.
    pub fn beside(self, mut books: Books) -> Result<Books, &'static str> {
        books.annex = Annex {
            pots: self.pots,
            pot_history: self.pot_history,
            pot_operations: self.pot_operations,
            portions: self.portions,
            details: self.details,
            limits: self.limits,
            activity: self.activity,
            block_causes: self.block_causes,
        };
        for (session_id, pledged) in self.pledges {
            let account = books.kept(&session_id).and_then(|session| books.payer(session));
            let account = account.ok_or("a pledge of a session without an account")?.number;
            books.open_by_account.pledge(account, &session_id, pledged);
        }
        Ok(books)
    }
}

impl<'de> Deserialize<'de> for Books {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut whole = WholeBooks::deserialize(deserializer)?;
        let mut sessions = Sessions::default();
        for octets in std::mem::take(&mut whole.sessions) {
            sessions.add(postcard::from_bytes(octets).map_err(D::Error::custom)?);
        }
        whole.with(sessions).map_err(D::Error::custom)
    }
}

/// Sessions that were read, by id.
#[derive(Default)]
pub(super) struct Sessions {
    all: Keyed<SessionId, Box<Session>>,
}

impl Sessions {
    pub fn add(&mut self, session: Box<Session>) {
        self.all.insert(session.id.clone(), session);
    }

    /// The books with these sessions, which are all there are, found by account, client and time.
    pub fn beside(mut self, mut books: Books) -> Books {
        for session in self.all.values_mut() {
            books.index_session(session);
        }
        books.sessions = self.all;
        books
    }
}

impl Books {
    /// A session that was read, by account, client and time, from what it says.
    pub(super) fn index_session(&mut self, session: &mut Session) {
        if session.phase == SessionPhase::Open {
            session.payer = Payer(self.payer(session).map(|account| account.number));
            if let Some(number) = session.payer.0 {
                self.open_by_account.insert(number, session.id.clone());
            }
        }
        if matches!(session.phase, SessionPhase::Open | SessionPhase::Expired) {
            self.unsettled_by_client.insert(&session.client_id, &session.id);
        }
        if let Some(deadline) = session.deadline {
            self.by_deadline.insert(deadline, session.id.clone());
        }
        if let Some(ended) = session.ended {
            self.by_end.insert(ended, session.id.clone());
        }
    }
}

impl Serialize for Books {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { books: self, over: None }.serialize(serializer)
    }
}

/// Books with further sessions, as they are written.
#[derive(Clone, Copy)]
pub(super) struct Written<'b> {
    pub books: &'b Books,
    pub over: Option<&'b Keyed<&'b str, Over<'b>>>,
}

/// A session that is over.
#[derive(Debug)]
pub(super) struct Over<'c> {
    pub ended: UtcMs,
    /// As the snapshot has it.
    pub octets: &'c [u8],
}

impl<'b> Written<'b> {
    /// What follows all parts before it; absent behind the last one.
    pub fn part(self, number: usize) -> Option<Part<'b>> {
        PARTS.get(number).map(|_| Part { whole: self, number })
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut whole = serializer.serialize_struct("Books", PARTS.len())?;
        for (number, name) in PARTS.into_iter().enumerate() {
            whole.serialize_field(name, &Part { whole: *self, number })?;
        }
        whole.end()
    }
}

/// In the order in which they are read.
const PARTS: [&str; 11] = [
    "tenants",
    "accounts",
    "identities",
    "history",
    "operations",
    "operations_by_age",
    "sessions",
    "notifications",
    "last_notification",
    "totals",
    "annex",
];

/// One part of the books.
pub(super) struct Part<'b> {
    whole: Written<'b>,
    number: usize,
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let books = self.whole.books;
        match self.number {
            0 => books.tenants.serialize(serializer),
            1 => books.accounts.serialize(serializer),
            2 => books.identities.serialize(serializer),
            3 => books.history.serialize(serializer),
            4 => books.operations.serialize(serializer),
            5 => books.operations_by_age.serialize(serializer),
            6 => self.whole.sessions(serializer),
            7 => books.notifications.serialize(serializer),
            8 => books.last_notification.serialize(serializer),
            9 => books.totals.serialize(serializer),
            _ => WrittenAnnex(books).serialize(serializer),
        }
    }
}

impl Written<'_> {
    fn sessions<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        let Written { books, over } = self;
        let over_count = over.map_or(0, |over| over.len());
        let mut all = serializer.serialize_seq(Some(books.sessions.len() + over_count))?;
        over.into_iter().flat_map(Keyed::values).try_for_each(|over| all.serialize_element(&Piece(over.octets)))?;
        let mut octets = Vec::new();
        for session in books.sessions.values() {
            octets.clear();
            pack(session, &mut octets).map_err(serde::ser::Error::custom)?;
            all.serialize_element(&Piece(&octets))?;
        }
        all.end()
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Piece<'o>(#[serde(serialize_with = "crate::octets::serialize")] &'o [u8]);

struct WrittenAnnex<'b>(&'b Books);

impl Serialize for WrittenAnnex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let annex = &self.0.annex;
        let pledges: BTreeMap<&SessionId, Money> = self.0.open_by_account.pledges().collect();
        let mut whole = serializer.serialize_struct("Annex", 9)?;
        whole.serialize_field("pots", &annex.pots)?;
        whole.serialize_field("pot_history", &annex.pot_history)?;
        whole.serialize_field("pot_operations", &annex.pot_operations)?;
        whole.serialize_field("portions", &annex.portions)?;
        whole.serialize_field("details", &annex.details)?;
        whole.serialize_field("limits", &annex.limits)?;
        whole.serialize_field("activity", &annex.activity)?;
        whole.serialize_field("pledges", &pledges)?;
        whole.serialize_field("block_causes", &annex.block_causes)?;
        whole.end()
    }
}
