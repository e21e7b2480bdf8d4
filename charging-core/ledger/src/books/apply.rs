//! The only writer. Each change is checked whole before anything is touched, so that a change that does not fit
//! leaves the books as they were.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use types::charging::{Notification, NotificationKind, SessionPhase, SubscriberIdKind};
use types::{ClientId, ErrorClass, Money, SessionId, UtcMs};

use super::by_time::ByTime;
use super::{Books, Operation};
use crate::account::{Account, AccountKey, Extra, Movement, MovementKind, remember};
use crate::change::{AccountCreated, Answered, Change, SessionChanged, SessionOpened, Transferred};
use crate::few::Few;
use crate::index::identity_hash;
use crate::names::Names;
use crate::session::{Group, Payer, Session};
use crate::stored_answer::StoredAnswers;

/// A change that does not fit the books: the log is not the continuation of this state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// Names an account that is not there.
    #[error("change names an account that is not in the books")]
    UnknownAccount,
    /// Creates an account that is there.
    #[error("change creates an account that is in the books already")]
    AccountExists,
    /// More accounts than numbers for them.
    #[error("more than 2^32 accounts or tenants")]
    Full,
    /// Names a session that is not there.
    #[error("change names session {0}, which is not in the books")]
    UnknownSession(SessionId),
    /// Opens a session that is there.
    #[error("change opens session {0}, which is in the books already")]
    SessionExists(SessionId),
    /// Names a balance that is not there, or counts something else.
    #[error("change names a balance that is not in the books, or counts something else")]
    UnknownBalance,
    /// A new group came without its rate.
    #[error("change adds rating group {0} without a rate")]
    GroupWithoutRate(u32),
}

impl ApplyError {
    /// Always [`ErrorClass::Fatal`].
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Fatal
    }
}

impl Books {
    /// Applies one decided change.
    ///
    /// # Errors
    /// When the change does not fit; nothing is changed then.
    pub fn apply(&mut self, change: &Change) -> Result<(), ApplyError> {
        match change {
            Change::AccountCreated(created) => self.create_account(created),
            Change::Transferred(transferred) => self.transfer(transferred),
            Change::Blocked { account, blocked } => {
                let account = self.account_mut(account)?;
                account.blocked = *blocked;
                let number = account.number;
                self.annex.block_causes.remove(&number);
                Ok(())
            }
            Change::SessionOpened(opened) => self.open_session(opened),
            Change::SessionChanged(changed) => self.change_session(changed, None).map(drop),
            Change::Answered(answered) => self.store_answer(answered),
            Change::Notified { client_id, notification } => {
                self.notify(client_id, notification);
                Ok(())
            }
            Change::NotificationsConfirmed { client_id, through } => {
                self.forget_notifications(client_id, |notification| notification.sequence <= *through);
                Ok(())
            }
            Change::KeysDropped { sessions_before, operations_before } => {
                self.drop_sessions(*sessions_before);
                self.drop_operations(*operations_before);
                Ok(())
            }
            Change::BalanceChanged(changed) => self.change_balance(changed),
            Change::Drawn(drawn) => self.draw(drawn),
            Change::AnswerDetailed(detailed) => {
                self.detail_answer(detailed);
                Ok(())
            }
            Change::LimitsSet { account, limits } => {
                let number = self.account_mut(account)?.number;
                if **limits == crate::policy::AccountLimits::default() {
                    self.annex.limits.remove(number);
                } else {
                    self.annex.limits.insert(number, (**limits).clone());
                }
                Ok(())
            }
            Change::Counted(counted) => self.count(counted),
            Change::BlockedFor { account, cause } => {
                let number = self.account_mut(account)?.number;
                self.annex.block_causes.insert(number, *cause);
                Ok(())
            }
        }
    }

    /// Applies the changes of one decision, or of many, in their order. Nearly all are about a session that changed just before: it is
    /// looked for once and not for each of them, and its answer is stored when it changes.
    ///
    /// # Errors
    /// At the first change that does not fit; those before it are applied, and the books are of no use any more.
    pub fn apply_all(&mut self, changes: &[Change]) -> Result<(), ApplyError> {
        let mut rest = changes;
        while let Some((change, behind)) = rest.split_first() {
            rest = behind;
            let Change::SessionChanged(changed) = change else {
                self.apply(change)?;
                continue;
            };
            let others = behind.iter().take_while(|change| !moves_sessions(change)).count();
            let (beside, behind) = behind.split_at_checked(others).unwrap_or((behind, &[]));
            self.apply_with(changed, beside)?;
            rest = behind;
        }
        Ok(())
    }

    /// Applies a change of a session, and those that came with it.
    fn apply_with(&mut self, changed: &SessionChanged, beside: &[Change]) -> Result<(), ApplyError> {
        let answered = beside.iter().find_map(|change| match change {
            Change::Answered(answered) if answered.answer.session_id == changed.session_id => Some(answered),
            _ => None,
        });
        let payer = self.change_session(changed, answered)?;
        beside.iter().try_for_each(|change| match (change, payer) {
            (Change::Answered(stored), _) if answered.is_some_and(|answered| std::ptr::eq(answered, stored)) => Ok(()),
            (Change::Counted(counted), Some(number)) if counted.session_id == changed.session_id => {
                self.count_for(number, counted);
                Ok(())
            }
            (change, _) => self.apply(change),
        })
    }

    fn create_account(&mut self, created: &AccountCreated) -> Result<(), ApplyError> {
        if self.account_at(&created.key).is_some() {
            return Err(ApplyError::AccountExists);
        }
        let number = u32::try_from(self.accounts.len()).map_err(|_| ApplyError::Full)?;
        let known = self.tenants.iter().position(|tenant| *tenant == created.key.tenant);
        let tenant = u32::try_from(known.unwrap_or(self.tenants.len())).map_err(|_| ApplyError::Full)?;
        if known.is_none() {
            self.tenants.push(created.key.tenant.clone());
        }
        let tenant_name = created.key.tenant.as_str();
        let own = identity_hash(tenant_name, SubscriberIdKind::Private, created.key.id.as_str());
        self.identities.insert(own, number);
        for identity in &created.identities {
            let hash = identity_hash(tenant_name, identity.kind, identity.value.expose());
            self.identities.insert(hash, number);
        }
        let (low_balance, credit) = (created.low_balance_limit, created.credit_limit);
        let extra = Extra { low_balance, credit, ..Extra::default() };
        self.accounts.push(Account {
            names: Names::of(&created.key.id, &created.identities),
            balance: Money::ZERO,
            extra: (extra != Extra::default()).then(|| Box::new(extra)),
            number,
            tenant,
            currency: created.currency,
            blocked: false,
        });
        Ok(())
    }

    fn transfer(&mut self, transferred: &Transferred) -> Result<(), ApplyError> {
        let Transferred { at, fingerprint, receipt } = transferred;
        let account = self.account_mut(&receipt.account)?;
        account.balance += receipt.amount;
        let (number, currency, balance) = (account.number, account.currency, account.balance);
        self.totals.entry(currency).or_default().deposited += receipt.amount;
        let kind = if receipt.amount.is_negative() { MovementKind::Debit } else { MovementKind::TopUp };
        let reference = &receipt.operation_id;
        // An account opened without money leaves its key, and moved nothing.
        if !receipt.amount.is_zero() {
            let movement =
                Movement { at: *at, kind, amount: receipt.amount, reference: Arc::from(&**reference), balance };
            // Most accounts have one line: room for one.
            let lines = self.history.or_insert_with(number, || VecDeque::with_capacity(1));
            remember(lines, movement);
        }
        self.operations_by_age.insert((*at, number, reference.clone()));
        let operation = Operation { fingerprint: *fingerprint, receipt: receipt.clone() };
        self.operations.insert((number, reference.clone()), operation);
        Ok(())
    }

    fn open_session(&mut self, opened: &SessionOpened) -> Result<(), ApplyError> {
        let Entry::Vacant(place) = self.sessions.entry(opened.session_id.clone()) else {
            return Err(ApplyError::SessionExists(opened.session_id.clone()));
        };
        let session = Session {
            id: opened.session_id.clone(),
            client_id: opened.client_id.clone(),
            account: opened.account.clone(),
            payer: opened.payer,
            currency: opened.currency,
            mode: opened.mode,
            service: opened.service,
            phase: SessionPhase::Denied,
            updated: UtcMs::default(),
            deadline: None,
            ended: None,
            answer_time: None,
            last_request_number: 0,
            terminated_by: None,
            cut: false,
            overrun: Money::ZERO,
            groups: Few::default(),
            answers: StoredAnswers::default(),
            client_state: Box::default(),
        };
        place.insert(Box::new(session));
        Ok(())
    }

    /// Also stores an answer of that session, and says who pays.
    fn change_session(
        &mut self,
        changed: &SessionChanged,
        answered: Option<&Answered>,
    ) -> Result<Option<u32>, ApplyError> {
        let unknown = || ApplyError::UnknownSession(changed.session_id.clone());
        let mut session = self.sessions.get_mut(&changed.session_id).ok_or_else(unknown)?;
        for group in &changed.groups {
            let known = session.groups.iter().any(|kept| is_same_group(kept, group));
            if !known && group.rate.is_none() {
                return Err(ApplyError::GroupWithoutRate(group.rating_group));
            }
        }
        let number = match (&session.account, session.payer.0) {
            (Some(_), Some(number)) if usize::try_from(number).is_ok_and(|at| at < self.accounts.len()) => Some(number),
            (Some(_), Some(_)) => return Err(ApplyError::UnknownAccount),
            (Some(account), None) => {
                let account = account.clone();
                let number = self.account_at(&account).ok_or(ApplyError::UnknownAccount)?.number;
                session = self.sessions.get_mut(&changed.session_id).ok_or_else(unknown)?;
                Some(number)
            }
            (None, _) if changed.groups.is_empty() => None,
            (None, _) => return Err(ApplyError::UnknownAccount),
        };
        let before = (session.charged(), session.held());
        let keys_before = (session.deadline, session.ended);
        let phase_before = session.phase;
        session.payer = Payer(number);
        update_session(session, changed);
        if let Some(answered) = answered {
            session.answers.keep(answered.fingerprint, &answered.answer, &mut self.scratch);
        }
        let (charged, held) = (session.charged() - before.0, session.held() - before.1);
        // The text that is kept already, not that of the request.
        let (id, client_id) = (session.id.clone(), session.client_id.clone());
        replace(&mut self.by_deadline, keys_before.0, changed.deadline, &id);
        replace(&mut self.by_end, keys_before.1, changed.ended, &id);
        if phase_before != changed.phase {
            self.index_phase(changed.phase, &id, &client_id, number);
        }
        if let Some(number) = number {
            self.move_money(number, id.shared_text(), changed.updated, charged, held);
        }
        let closed = matches!(changed.phase, SessionPhase::Closed | SessionPhase::Denied);
        if closed || changed.reauthorized {
            self.forget_notifications(&client_id, |notification| {
                notification.session_id == changed.session_id && is_settled(notification.kind, closed)
            });
        }
        Ok(number)
    }

    fn index_phase(&mut self, phase: SessionPhase, id: &SessionId, client_id: &ClientId, account: Option<u32>) {
        let open = phase == SessionPhase::Open;
        let unsettled = open || phase == SessionPhase::Expired;
        if unsettled {
            self.unsettled_by_client.insert(client_id, id);
        } else {
            self.unsettled_by_client.remove(client_id, id);
        }
        match account {
            Some(number) if open => self.open_by_account.insert(number, id.clone()),
            Some(number) => self.open_by_account.remove(number, id),
            None => {}
        }
    }

    fn move_money(&mut self, number: u32, reference: Arc<str>, at: UtcMs, charged: Money, held: Money) {
        let Some(account) = usize::try_from(number).ok().and_then(|number| self.accounts.get_mut(number)) else {
            return;
        };
        account.balance -= charged;
        account.hold(held);
        if charged.is_zero() {
            return;
        }
        let (currency, balance) = (account.currency, account.balance);
        self.totals.entry(currency).or_default().charged += charged;
        let kind = if charged.is_negative() { MovementKind::Refund } else { MovementKind::Charge };
        let movement = Movement { at, kind, amount: -charged, reference, balance };
        remember(self.history.or_insert_with(number, || VecDeque::with_capacity(1)), movement);
    }

    fn store_answer(&mut self, answered: &Answered) -> Result<(), ApplyError> {
        let id = &answered.answer.session_id;
        let session = self.sessions.get_mut(id).ok_or_else(|| ApplyError::UnknownSession(id.clone()))?;
        session.answers.keep(answered.fingerprint, &answered.answer, &mut self.scratch);
        Ok(())
    }

    fn notify(&mut self, client_id: &ClientId, notification: &Notification) {
        let pending = self.notifications.entry(client_id.clone()).or_default();
        pending.retain(|earlier| !is_replaced(earlier, notification));
        pending.push_back(notification.clone());
        self.last_notification = self.last_notification.max(notification.sequence);
    }

    fn forget_notifications(&mut self, client_id: &ClientId, is_done: impl Fn(&Notification) -> bool) {
        if let Some(pending) = self.notifications.get_mut(client_id) {
            pending.retain(|notification| !is_done(notification));
            if pending.is_empty() {
                self.notifications.remove(client_id);
            }
        }
    }

    fn drop_sessions(&mut self, before: UtcMs) {
        while let Some(ended) = self.by_end.pop_before(before) {
            ended.iter().for_each(|id| self.drop_session(id));
        }
    }

    fn drop_session(&mut self, id: &SessionId) {
        if let Some(session) = self.sessions.remove(id) {
            if let Some(currency) = session.currency {
                self.totals.entry(currency).or_default().forgotten += session.charged();
            }
            // An expired session that nobody ever came back for is final now.
            self.forget_notifications(&session.client_id, |notification| notification.session_id == *id);
            self.annex.forget(id);
            self.unsettled_by_client.remove(&session.client_id, id);
        }
    }

    fn drop_operations(&mut self, before: UtcMs) {
        while let Some((made, number, id)) = self.operations_by_age.pop_first() {
            if made >= before {
                self.operations_by_age.insert((made, number, id));
                return;
            }
            let named = (number, id);
            self.operations.remove(&named);
            self.annex.pot_operations.remove(&named);
        }
    }

    fn account_mut(&mut self, key: &AccountKey) -> Result<&mut Account, ApplyError> {
        let number = self.account_at(key).ok_or(ApplyError::UnknownAccount)?.number;
        let at = usize::try_from(number).map_err(|_| ApplyError::Full)?;
        self.accounts.get_mut(at).ok_or(ApplyError::UnknownAccount)
    }
}

/// Whether a session that reported by itself, or ended, has no more need of a notification.
pub(crate) fn is_settled(kind: NotificationKind, closed: bool) -> bool {
    closed || kind == NotificationKind::Reauthorize
}

/// Whether `newer` says all that `earlier` did.
pub(crate) fn is_replaced(earlier: &Notification, newer: &Notification) -> bool {
    earlier.session_id == newer.session_id
        && (earlier.kind == NotificationKind::Reauthorize) == (newer.kind == NotificationKind::Reauthorize)
}

/// Whether what is known of a session before this need not be so after it.
const fn moves_sessions(change: &Change) -> bool {
    matches!(change, Change::SessionOpened(_) | Change::SessionChanged(_) | Change::KeysDropped { .. })
}

fn is_same_group(kept: &Group, change: &crate::change::GroupChange) -> bool {
    kept.rating_group == change.rating_group && kept.service_identifier == change.service_identifier
}

fn update_session(session: &mut Session, changed: &SessionChanged) {
    session.phase = changed.phase;
    session.updated = changed.updated;
    session.deadline = changed.deadline;
    session.ended = changed.ended;
    session.answer_time = changed.answer_time;
    session.last_request_number = changed.last_request_number;
    session.terminated_by = changed.terminated_by;
    session.cut = changed.cut;
    session.overrun = changed.overrun;
    if let Some(state) = &changed.client_state {
        session.client_state = state.clone().into();
    }
    for change in &changed.groups {
        let known = session.groups.as_mut_slice().iter_mut().find(|kept| is_same_group(kept, change));
        match (known, &change.rate) {
            (Some(group), rate) => {
                group.meter = change.meter;
                if let Some(rate) = rate {
                    group.rate = rate.clone();
                }
            }
            (None, Some(rate)) => {
                session.groups.push(Group {
                    rating_group: change.rating_group,
                    service_identifier: change.service_identifier,
                    rate: rate.clone(),
                    meter: change.meter,
                });
            }
            (None, None) => {}
        }
    }
}

fn replace(index: &mut ByTime, old: Option<UtcMs>, new: Option<UtcMs>, id: &SessionId) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        index.remove(old, id);
    }
    if let Some(new) = new {
        index.insert(new, id.clone());
    }
}
