//! The books as snapshots of format 2 have them. In memory some things are kept elsewhere: what a session pledges stands beside
//! its place among the open ones of its account, and ids that are the same are kept once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::charging::{Notification, SessionPhase};
use types::{ClientId, Currency, Money, ReleaseCause, SessionId, Tenant, UtcMs};

use super::annex::{Annex, AnswerDetails};
use super::by_account::ByAccount;
use super::{Books, Keyed, Operation, Totals};
use crate::account::{Account, Movement};
use crate::balance::{BalanceMovement, BalanceOperation, Portions, Pot};
use crate::index::IdentityIndex;
use crate::policy::{AccountLimits, Activity};
use crate::session::{Payer, Session};

/// Read in this order.
#[derive(Deserialize)]
struct WholeBooks<'b> {
    tenants: Vec<Tenant>,
    accounts: Vec<Account>,
    identities: IdentityIndex,
    history: ByAccount<VecDeque<Movement>>,
    operations: BTreeMap<(u32, Box<str>), Operation>,
    operations_by_age: BTreeSet<(UtcMs, u32, Box<str>)>,
    sessions: Sessions,
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

#[derive(Deserialize)]
struct WholeAnnex {
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

impl<'de> Deserialize<'de> for Books {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = WholeBooks::deserialize(deserializer)?;
        let annex = whole.annex;
        let mut books = Self {
            tenants: whole.tenants,
            accounts: whole.accounts,
            identities: whole.identities,
            history: whole.history,
            operations: whole.operations,
            operations_by_age: whole.operations_by_age,
            sessions: whole.sessions.0,
            notifications: whole.notifications,
            last_notification: whole.last_notification,
            totals: whole.totals,
            annex: Annex {
                pots: annex.pots,
                pot_history: annex.pot_history,
                pot_operations: annex.pot_operations,
                portions: annex.portions,
                details: annex.details,
                limits: annex.limits,
                activity: annex.activity,
                block_causes: annex.block_causes,
            },
            ..Self::default()
        };
        books.index_sessions();
        for (session_id, pledged) in annex.pledges {
            let account =
                books.kept(&session_id).and_then(|session| books.payer(session)).map(|account| account.number);
            let account =
                account.ok_or_else(|| serde::de::Error::custom("a pledge of a session without an account"))?;
            books.open_by_account.pledge(account, &session_id, pledged);
        }
        Ok(books)
    }
}

impl Books {
    /// Sessions by account, client and time, from what each says.
    pub(super) fn index_sessions(&mut self) {
        let mut sessions = std::mem::take(&mut self.sessions);
        for session in sessions.values_mut() {
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
        self.sessions = sessions;
    }
}

/// A list whose entries must fit and are not kept.
struct ReadOver<T>(PhantomData<T>);

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

/// By id; what is the same text is one.
struct Sessions(Keyed<SessionId, Box<Session>>);

impl<'de> Deserialize<'de> for Sessions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(Keyed::default()))
    }
}

impl<'de> Visitor<'de> for Sessions {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sessions by id")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        self.0.reserve(map.size_hint().unwrap_or(0).min(MOST_AT_ONCE));
        let mut last: Option<(ClientId, Tenant, Arc<str>)> = None;
        while let Some((_, mut session)) = map.next_entry::<&'de str, Box<Session>>()? {
            share_texts(&mut session, &mut last);
            self.0.insert(session.id.clone(), session);
        }
        Ok(self)
    }
}

/// Texts that nearly all sessions have, and those that one has twice, become one.
fn share_texts(session: &mut Session, last: &mut Option<(ClientId, Tenant, Arc<str>)>) {
    let Session { client_id, account: Some(account), groups, .. } = session else { return };
    let id = account.id.shared_text();
    for query in groups.as_mut_slice().iter_mut().map(|group| &mut group.rate.query) {
        if query.subject == id {
            query.subject = Arc::clone(&id);
        }
        let (client, tenant, category) =
            last.get_or_insert_with(|| (client_id.clone(), account.tenant.clone(), Arc::clone(&query.category)));
        for (mine, kept) in [(&mut account.tenant, &*tenant), (&mut query.tenant, &*tenant)] {
            if mine == kept {
                mine.clone_from(kept);
            }
        }
        if query.category == *category {
            query.category = Arc::clone(category);
        }
        if client_id == client {
            client_id.clone_from(client);
        }
    }
}

/// A file that says that it has more has to show them first.
const MOST_AT_ONCE: usize = 1 << 20;

impl Serialize for Books {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut whole = serializer.serialize_struct("Books", 15)?;
        whole.serialize_field("tenants", &self.tenants)?;
        whole.serialize_field("accounts", &self.accounts)?;
        whole.serialize_field("identities", &self.identities)?;
        whole.serialize_field("history", &self.history)?;
        whole.serialize_field("operations", &self.operations)?;
        whole.serialize_field("operations_by_age", &self.operations_by_age)?;
        whole.serialize_field("sessions", &self.sessions)?;
        whole.serialize_field("open_by_account", &self.open_by_account)?;
        whole.serialize_field("unsettled_by_client", &self.unsettled_by_client)?;
        whole.serialize_field("by_deadline", &self.by_deadline)?;
        whole.serialize_field("by_end", &self.by_end)?;
        whole.serialize_field("notifications", &self.notifications)?;
        whole.serialize_field("last_notification", &self.last_notification)?;
        whole.serialize_field("totals", &self.totals)?;
        whole.serialize_field("annex", &WrittenAnnex(self))?;
        whole.end()
    }
}

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
