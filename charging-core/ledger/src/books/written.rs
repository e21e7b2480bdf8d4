//! The books as snapshots of format 2 have them. In memory some things are kept elsewhere: what a session pledges stands beside
//! its place among the open ones of its account, and ids that are the same are kept once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::charging::Notification;
use types::{ClientId, Currency, Money, ReleaseCause, SessionId, Tenant, UtcMs};

use super::annex::{Annex, AnswerDetails};
use super::by_account::ByAccount;
use super::by_time::ByTime;
use super::open::{OpenByAccount, UnsettledByClient};
use super::{Books, Keyed, Operation, Totals};
use crate::account::{Account, Movement};
use crate::balance::{BalanceMovement, BalanceOperation, Portions, Pot};
use crate::index::IdentityIndex;
use crate::policy::{AccountLimits, Activity};
use crate::session::Session;

/// Read in this order.
#[derive(Deserialize)]
struct WholeBooks {
    tenants: Vec<Tenant>,
    accounts: Vec<Account>,
    identities: IdentityIndex,
    history: ByAccount<VecDeque<Movement>>,
    operations: BTreeMap<(u32, Box<str>), Operation>,
    operations_by_age: BTreeSet<(UtcMs, u32, Box<str>)>,
    sessions: Keyed<SessionId, Box<Session>>,
    open_by_account: OpenByAccount,
    unsettled_by_client: UnsettledByClient,
    by_deadline: ByTime,
    by_end: ByTime,
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
            sessions: whole.sessions,
            open_by_account: whole.open_by_account,
            unsettled_by_client: whole.unsettled_by_client,
            by_deadline: whole.by_deadline,
            by_end: whole.by_end,
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
        };
        for (session_id, pledged) in annex.pledges {
            let account =
                books.kept(&session_id).and_then(|session| books.payer(session)).map(|account| account.number);
            let account =
                account.ok_or_else(|| serde::de::Error::custom("a pledge of a session without an account"))?;
            books.open_by_account.pledge(account, &session_id, pledged);
        }
        books.share_ids();
        Ok(books)
    }
}

impl Books {
    /// Copies of an id become one.
    pub(super) fn share_ids(&mut self) {
        for (session_id, session) in &mut self.sessions {
            session.id = session_id.clone();
        }
        let sessions = &self.sessions;
        let kept = |session_id: &SessionId| sessions.get_key_value(session_id).map(|(kept, _)| kept.clone());
        self.by_deadline.share(kept);
        self.by_end.share(kept);
    }
}

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
