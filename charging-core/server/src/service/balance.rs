//! Balances beside the account's own money, and their histories, to and from the wire.

use std::sync::Arc;

use charging_proto::convert;
use charging_proto::v1;
use charging_proto::v1::{BalanceAmount, BalanceKind, HistoryEntry, HistoryKind};
use ledger::{
    AccountKey, BalanceMovement, BalanceReceipt, BalanceTerms, BalanceView, ChangeBalance, MAIN_BALANCE, Movement,
    MovementKind,
};
use tonic::Status;
use types::{Money, UtcMs};

use super::status;

/// The terms in a wire balance; what else it says does not count.
pub(super) fn read_terms(balance: &v1::Balance) -> Result<BalanceTerms, Status> {
    if balance.timing.is_some() {
        return Err(status::unsupported("timing of a balance"));
    }
    let texts = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    Ok(BalanceTerms {
        weight: balance.weight,
        destinations: texts(&balance.destinations),
        categories: texts(&balance.categories),
        valid_from: balance.valid_from_time.map(UtcMs),
        valid_until: balance.expiry_time.map(UtcMs),
        blocker: balance.blocker,
    })
}

/// A balance of a new account: its name names the operation, so that a copy of the request makes it once.
pub(super) fn first(account: &AccountKey, balance: &v1::Balance) -> Result<ChangeBalance, Status> {
    let kind = convert::balance_kind("balances.kind", balance.kind).map_err(status::unreadable)?;
    let amount = convert::balance_amount("balances.value", balance.value.clone()).map_err(status::unreadable)?;
    Ok(ChangeBalance {
        account: account.clone(),
        operation_id: format!("create {}", balance.balance_id).into(),
        balance_id: balance.balance_id.as_str().into(),
        kind: Some(kind),
        credit: true,
        amount,
        currency: None,
        terms: Some(read_terms(balance)?),
        valid_until: None,
    })
}

/// A balance beside the main one, as it is shown.
pub(super) fn shown(view: BalanceView) -> v1::Balance {
    let texts = |texts: Vec<Box<str>>| texts.into_iter().map(String::from).collect();
    v1::Balance {
        balance_id: view.id.into(),
        kind: BalanceKind::from(view.kind) as i32,
        value: Some(view.value.into()),
        held: Some(view.held.into()),
        weight: view.terms.weight,
        destinations: texts(view.terms.destinations),
        categories: texts(view.terms.categories),
        timing: None,
        expiry_time: view.terms.valid_until.map(|time| time.0),
        blocker: view.terms.blocker,
        valid_from_time: view.terms.valid_from.map(|time| time.0),
    }
}

/// The balance as right after the operation, among what the account shows now.
pub(super) fn as_of(balances: &mut [v1::Balance], receipt: &BalanceReceipt) {
    if let Some(balance) = balances.iter_mut().find(|balance| *balance.balance_id == *receipt.balance_id) {
        balance.value = Some(receipt.value.into());
    }
}

/// All movements of an account in the order they happened.
pub(super) fn history(own: Vec<Movement>, others: Vec<BalanceMovement>) -> Vec<HistoryEntry> {
    let own = own.into_iter().map(|line| {
        let (change, after) = (money(line.amount), money(line.balance));
        entry(line.at, line.kind, MAIN_BALANCE.into(), (change, after), line.reference)
    });
    let others = others.into_iter().map(|line| {
        let amounts = (Some(line.amount.into()), Some(line.value.into()));
        entry(line.at, line.kind, line.balance_id, amounts, line.reference)
    });
    let mut entries: Vec<HistoryEntry> = own.chain(others).collect();
    entries.sort_by_key(|entry| entry.time);
    for (sequence, entry) in (1..).zip(&mut entries) {
        entry.sequence = sequence;
    }
    entries
}

/// Money as a wire amount.
pub(super) fn money(amount: Money) -> Option<BalanceAmount> {
    Some(types::charging::BalanceAmount::Money(amount).into())
}

fn entry(
    at: UtcMs,
    kind: MovementKind,
    balance_id: Box<str>,
    (change, value_after): (Option<BalanceAmount>, Option<BalanceAmount>),
    reference: Arc<str>,
) -> HistoryEntry {
    let by_operator = matches!(kind, MovementKind::TopUp | MovementKind::Debit);
    let kind = match kind {
        MovementKind::TopUp => HistoryKind::TopUp,
        MovementKind::Debit => HistoryKind::Debit,
        MovementKind::Charge => HistoryKind::Charge,
        MovementKind::Refund => HistoryKind::Refund,
    };
    let reference = reference.to_string();
    let (request_id, session_id) = if by_operator { (Some(reference), None) } else { (None, Some(reference)) };
    HistoryEntry {
        time: at.0,
        kind: kind as i32,
        balance_id: Some(balance_id.into()),
        change,
        value_after,
        session_id,
        request_id,
        ..HistoryEntry::default()
    }
}
