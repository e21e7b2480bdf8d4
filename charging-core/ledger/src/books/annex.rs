//! What only some accounts and sessions have: balances beside the main one, limits, counters. Kept beside the
//! accounts and sessions, so that the many without it cost nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use types::charging::{BalanceDraw, ChargingAnswer};
use types::{Money, ReleaseCause, SessionId, UtcMs};

use super::by_account::ByAccount;
use super::{ApplyError, Books};
use crate::account::{AccountKey, Movement, MovementKind};
use crate::balance::{
    self, BalanceMovement, BalanceOperation, BalanceReceipt, BalanceView, Portions, Pot, counted, shown,
};
use crate::change::{AnswerDetailed, BalanceChanged, Counted, Drawn};
use crate::policy::{AccountLimits, Activity};

/// The rest of the books.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Annex {
    /// By account number; a balance's place never changes.
    pub pots: BTreeMap<u32, Vec<Pot>>,
    pub pot_history: BTreeMap<u32, VecDeque<BalanceMovement>>,
    /// Remembered together with the operations on the main balance, and as long.
    pub pot_operations: BTreeMap<(u32, Box<str>), BalanceOperation>,
    /// Of sessions that more than the main balance pays for.
    pub portions: BTreeMap<SessionId, Vec<Portions>>,
    /// By session and request number.
    pub details: BTreeMap<(SessionId, u32), AnswerDetails>,
    /// By account number.
    pub limits: ByAccount<AccountLimits>,
    /// By account number.
    pub activity: ByAccount<Activity>,
    /// By account number.
    pub block_causes: BTreeMap<u32, ReleaseCause>,
}

/// The part of a stored answer that the first format does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AnswerDetails {
    pub release_cause: Option<ReleaseCause>,
    pub drawn: Vec<BalanceDraw>,
}

impl Annex {
    /// Forgets a session that ended long ago.
    pub fn forget(&mut self, session_id: &SessionId) {
        self.portions.remove(session_id);
        if self.details.is_empty() {
            return;
        }
        let from = (session_id.clone(), 0)..=(session_id.clone(), u32::MAX);
        let numbers: Vec<u32> = self.details.range(from).map(|((_, number), _)| *number).collect();
        for number in numbers {
            self.details.remove(&(session_id.clone(), number));
        }
    }
}

impl Books {
    /// The balances of an account beside the main one, in the order they were made; empty for an unknown account.
    pub fn balances(&self, key: &AccountKey) -> Vec<BalanceView> {
        let pots = self.account_at(key).map_or(&[][..], |account| self.pots_of(account.number));
        pots.iter().map(BalanceView::of).collect()
    }

    /// The newest movements of those balances, oldest first.
    pub fn balance_history(&self, key: &AccountKey) -> Vec<BalanceMovement> {
        let number = self.account_at(key).map(|account| account.number);
        let lines = number.and_then(|number| self.annex.pot_history.get(&number));
        lines.map(|lines| lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// What a session took from which balance so far; empty when the main balance alone pays.
    pub fn drawn(&self, session_id: &SessionId) -> Vec<BalanceDraw> {
        let payer = self.payer_of(session_id);
        let account = payer.and_then(|key| self.account_at(&key));
        let pots = account.map_or(&[][..], |account| self.pots_of(account.number));
        crate::decide::drawn(pots, self.portions_of(session_id).iter())
    }

    /// Why an account is blocked, where that is not for its own sake.
    pub fn block_cause(&self, key: &AccountKey) -> Option<ReleaseCause> {
        let account = self.account_at(key).filter(|account| account.blocked)?;
        self.annex.block_causes.get(&account.number).copied()
    }

    pub(crate) fn pots_of(&self, account: u32) -> &[Pot] {
        self.annex.pots.get(&account).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn portions_of(&self, session_id: &SessionId) -> &[Portions] {
        self.annex.portions.get(session_id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn pot_operation(&self, account: u32, operation_id: &str) -> Option<&BalanceOperation> {
        self.annex.pot_operations.get(&(account, Box::from(operation_id)))
    }

    pub(crate) fn own_limits(&self, account: u32) -> Option<&AccountLimits> {
        self.annex.limits.get(account)
    }

    pub(crate) fn activity(&self, account: u32) -> Option<&Activity> {
        self.annex.activity.get(account)
    }

    /// What the rest of a session's grant may still cost, where limits over time apply to its account.
    pub(crate) fn pledge_of(&self, account: u32, session_id: &SessionId) -> Money {
        self.open_by_account.pledged(account, session_id)
    }

    /// The same of all open sessions of an account, but for one.
    pub(crate) fn pledged_on(&self, account: u32, but: Option<&SessionId>) -> Money {
        let others = self.open_by_account.of(account).iter().filter(|open| Some(&open.session_id) != but);
        others.map(|open| open.pledged).sum()
    }

    /// The stored answer with what the first format does not have.
    pub(crate) fn detailed(&self, answer: ChargingAnswer) -> ChargingAnswer {
        let Some(details) = self.annex.details.get(&(answer.session_id.clone(), answer.request_number)) else {
            return answer;
        };
        ChargingAnswer { release_cause: details.release_cause, drawn: details.drawn.clone(), ..answer }
    }

    /// All the money of an account that may be spent at `now`: the main balance's, with the credit limit, and of valid
    /// others.
    pub(crate) fn spendable(&self, account: &crate::account::Account, now: UtcMs) -> Money {
        let money = |pot: &&Pot| pot.kind == types::charging::BalanceKind::Money && pot.is_valid_at(now);
        let further = self.pots_of(account.number).iter().filter(money);
        account.available() + Money::from_nanos(further.map(|pot| (pot.value - pot.held).max(0)).sum())
    }

    pub(super) fn change_balance(&mut self, changed: &BalanceChanged) -> Result<(), ApplyError> {
        let receipt = &changed.receipt;
        let account = self.account_at(&receipt.account).ok_or(ApplyError::UnknownAccount)?;
        let (number, currency) = (account.number, account.currency);
        let amount = counted(receipt.kind, receipt.amount).ok_or(ApplyError::UnknownBalance)?;
        let pots = self.annex.pots.entry(number).or_default();
        let at = pots.iter().position(|pot| pot.id == receipt.balance_id).unwrap_or(pots.len());
        if at == pots.len() {
            let (id, terms) = (receipt.balance_id.clone(), balance::BalanceTerms::default());
            pots.push(Pot { id, kind: receipt.kind, value: 0, held: 0, terms });
        }
        let Some(pot) = pots.get_mut(at).filter(|pot| pot.kind == receipt.kind) else {
            return Err(ApplyError::UnknownBalance);
        };
        pot.value += amount;
        if let Some(terms) = &changed.terms {
            pot.terms = terms.clone();
        }
        let value = shown(pot.kind, pot.value);
        if pot.kind == types::charging::BalanceKind::Money {
            self.totals.entry(currency).or_default().deposited += Money::from_nanos(amount);
        }
        self.remember_operation(changed.at, number, changed.fingerprint, receipt);
        if amount != 0 {
            let kind = if amount < 0 { MovementKind::Debit } else { MovementKind::TopUp };
            let (balance_id, reference) = (receipt.balance_id.clone(), receipt.operation_id.as_ref().into());
            let line = BalanceMovement { at: changed.at, kind, balance_id, amount: receipt.amount, reference, value };
            balance::remember(self.annex.pot_history.entry(number).or_default(), line);
        }
        Ok(())
    }

    fn remember_operation(
        &mut self,
        at: UtcMs,
        number: u32,
        fingerprint: crate::fingerprint::Fingerprint,
        receipt: &BalanceReceipt,
    ) {
        let id = receipt.operation_id.clone();
        self.operations_by_age.insert((at, number, id.clone()));
        self.annex.pot_operations.insert((number, id), BalanceOperation { fingerprint, receipt: receipt.clone() });
    }

    /// Moves what balances beside the main one pay and hold from it to them.
    pub(super) fn draw(&mut self, drawn: &Drawn) -> Result<(), ApplyError> {
        let unknown = || ApplyError::UnknownSession(drawn.session_id.clone());
        let session = self.sessions.get(&drawn.session_id).ok_or_else(unknown)?;
        let (at, reference) = (session.updated, session.id.shared_text());
        let number = self.payer(session).ok_or(ApplyError::UnknownAccount)?.number;
        let Self { annex, accounts, history, .. } = self;
        let account = usize::try_from(number).ok().and_then(|number| accounts.get_mut(number));
        let account = account.ok_or(ApplyError::UnknownAccount)?;
        let pots = annex.pots.get_mut(&number).ok_or(ApplyError::UnknownBalance)?;
        let kept = annex.portions.entry(drawn.session_id.clone()).or_default();
        let mut by_others = Money::ZERO;
        for (payer, pot) in (1..).zip(pots) {
            let (mut paid, mut held) = (0, 0);
            for group in &drawn.groups {
                let earlier = kept.iter().find(|kept| is_same_group(kept, group));
                paid += group.paid_by(payer) - earlier.map_or(0, |earlier| earlier.paid_by(payer));
                held += group.held_by(payer) - earlier.map_or(0, |earlier| earlier.held_by(payer));
            }
            pot.value -= paid;
            pot.held += held;
            if pot.kind == types::charging::BalanceKind::Money {
                account.hold(-Money::from_nanos(held));
                by_others += Money::from_nanos(paid);
            }
            if paid != 0 {
                let kind = if paid < 0 { MovementKind::Refund } else { MovementKind::Charge };
                let (balance_id, reference) = (pot.id.clone(), Arc::clone(&reference));
                let (amount, value) = (shown(pot.kind, -paid), shown(pot.kind, pot.value));
                let line = BalanceMovement { at, kind, balance_id, amount, reference, value };
                balance::remember(annex.pot_history.entry(number).or_default(), line);
            }
        }
        account.balance += by_others;
        if !by_others.is_zero() {
            let lines = history.or_insert_with(number, VecDeque::new);
            correct(lines, drawn.session_id.as_str(), at, by_others, account.balance);
        }
        for group in &drawn.groups {
            match kept.iter_mut().find(|kept| is_same_group(kept, group)) {
                Some(kept) => kept.clone_from(group),
                None => kept.push(group.clone()),
            }
        }
        Ok(())
    }

    pub(super) fn detail_answer(&mut self, detailed: &AnswerDetailed) {
        let AnswerDetailed { session_id, request_number, release_cause, drawn } = detailed;
        let details = AnswerDetails { release_cause: *release_cause, drawn: drawn.clone() };
        self.annex.details.entry((session_id.clone(), *request_number)).or_insert(details);
    }

    pub(super) fn count(&mut self, counted: &Counted) -> Result<(), ApplyError> {
        let unknown = || ApplyError::UnknownSession(counted.session_id.clone());
        let session = self.sessions.get(&counted.session_id).ok_or_else(unknown)?;
        let number = self.payer(session).ok_or(ApplyError::UnknownAccount)?.number;
        self.count_for(number, counted);
        Ok(())
    }

    /// Where it is known who pays for the session.
    pub(super) fn count_for(&mut self, number: u32, counted: &Counted) {
        let activity = self.annex.activity.or_insert_with(number, Activity::default);
        activity.count(counted.at, counted.day, counted.cost, counted.started);
        self.open_by_account.pledge(number, &counted.session_id, counted.pledged);
    }
}

/// The line of the main balance said that it paid all: what others paid is taken out of it.
fn correct(lines: &mut VecDeque<Movement>, reference: &str, at: UtcMs, by_others: Money, balance: Money) {
    let wanted = if by_others.is_negative() { MovementKind::Refund } else { MovementKind::Charge };
    let of_session = |line: &Movement| *line.reference == *reference && line.at == at;
    let place = lines.iter().rposition(|line| of_session(line) && line.kind == wanted);
    let place = place.or_else(|| lines.iter().rposition(of_session));
    if let Some(line) = place.and_then(|place| lines.get_mut(place)) {
        line.amount += by_others;
        line.balance = balance;
        if line.amount.is_zero() {
            lines.retain(|line| !(of_session(line) && line.amount.is_zero()));
        }
    }
}

fn is_same_group(one: &Portions, other: &Portions) -> bool {
    one.rating_group == other.rating_group && one.service_identifier == other.service_identifier
}
