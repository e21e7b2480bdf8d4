//! Balances beside the main one: made, topped up, debited, changed.

use types::Money;
use types::charging::{BalanceAmount, BalanceKind};

use super::account::is_id;
use super::{Turn, refused};
use crate::balance::{BalanceReceipt, BalanceTerms, MAIN_BALANCE, MAX_BALANCE_UNITS, MAX_BALANCES, counted, shown};
use crate::change::{BalanceChanged, Change};
use crate::command::ChangeBalance;
use crate::fingerprint::Fingerprint;
use crate::outcome::{Decision, Outcome, Refusal};

pub(super) fn change(turn: &Turn<'_>, change: &ChangeBalance) -> Decision {
    let Some(account) = turn.books.account_at(&change.account) else {
        return refused(Refusal::UnknownAccount);
    };
    if !is_id(&change.operation_id) {
        return refused(Refusal::InvalidOperationId);
    }
    let fingerprint = Fingerprint::of_balance_change(change);
    if let Some(earlier) = turn.books.pot_operation(account.number, &change.operation_id) {
        if earlier.fingerprint != fingerprint {
            return refused(Refusal::OperationReused);
        }
        let outcome = Outcome::BalanceChanged(Box::new(earlier.receipt.clone()));
        return Decision { outcome, changes: Vec::new() };
    }
    if turn.books.operation(account.number, &change.operation_id).is_some() {
        return refused(Refusal::OperationReused);
    }
    if !is_id(&change.balance_id) || *change.balance_id == *MAIN_BALANCE {
        return refused(Refusal::InvalidBalanceId);
    }
    if change.currency.is_some_and(|currency| currency != account.currency) {
        return refused(Refusal::CurrencyMismatch { account: account.currency });
    }
    let receipt = match receipt(turn, account, change) {
        Ok(receipt) => receipt,
        Err(refusal) => return refused(refusal),
    };
    let pots = turn.books.pots_of(account.number);
    let kept = pots.iter().find(|pot| pot.id == change.balance_id).map(|pot| &pot.terms);
    let terms = change.terms.clone().or_else(|| change.valid_until.map(|_| kept.cloned().unwrap_or_default()));
    let valid_until =
        |terms: BalanceTerms| BalanceTerms { valid_until: change.valid_until.or(terms.valid_until), ..terms };
    let terms = terms.map(valid_until);
    let changed = BalanceChanged { at: turn.now, fingerprint, receipt: receipt.clone(), terms };
    let mut changes = vec![Change::BalanceChanged(Box::new(changed))];
    if change.credit {
        changes.extend(turn.reauthorize(turn.books.open_on(account.number)));
    }
    Decision { outcome: Outcome::BalanceChanged(Box::new(receipt)), changes }
}

fn receipt(
    turn: &Turn<'_>,
    account: &crate::account::Account,
    change: &ChangeBalance,
) -> Result<BalanceReceipt, Refusal> {
    let pots = turn.books.pots_of(account.number);
    let pot = pots.iter().find(|pot| pot.id == change.balance_id);
    let kind = match (pot, change.kind) {
        (Some(pot), Some(kind)) if kind != pot.kind => return Err(Refusal::BalanceKindMismatch),
        (Some(pot), _) => pot.kind,
        (None, _) if !change.credit => return Err(Refusal::UnknownBalance),
        (None, _) if pots.len() >= MAX_BALANCES => return Err(Refusal::TooManyBalances),
        (None, kind) => kind.unwrap_or_default(),
    };
    let amount = counted(kind, change.amount).ok_or(Refusal::BalanceKindMismatch)?;
    if amount < 0
        || (amount == 0 && change.terms.is_none() && change.valid_until.is_none())
        || change.terms.as_ref().is_some_and(|terms| !is_sane(terms))
    {
        return Err(Refusal::InvalidAmount);
    }
    let (value, held) = pot.map_or((0, 0), |pot| (pot.value, pot.held));
    if !change.credit && amount > value - held {
        let available = shown(kind, value - held);
        return Err(match available {
            BalanceAmount::Money(available) => Refusal::NotEnoughCredit { available },
            BalanceAmount::Units(available) => Refusal::NotEnoughUnits { available },
        });
    }
    let amount = if change.credit { amount } else { -amount };
    let most = if kind == BalanceKind::Money { Money::LIMIT.nanos() } else { i128::from(MAX_BALANCE_UNITS) };
    if value + amount > most {
        return Err(Refusal::InvalidAmount);
    }
    Ok(BalanceReceipt {
        account: change.account.clone(),
        operation_id: change.operation_id.clone(),
        balance_id: change.balance_id.clone(),
        kind,
        amount: shown(kind, amount),
        currency: account.currency,
        value: shown(kind, value + amount),
    })
}

/// Terms that fit into a log record many times over.
fn is_sane(terms: &BalanceTerms) -> bool {
    let all = terms.destinations.iter().chain(&terms.categories);
    terms.destinations.len() <= MOST_TERMS
        && terms.categories.len() <= MOST_TERMS
        && all.clone().all(|text| is_id(text))
}

/// Most destinations or categories of one balance.
const MOST_TERMS: usize = 1000;
