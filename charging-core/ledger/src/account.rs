//! An account as it is kept, as it is shown, and its movements.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use types::charging::{SubscriberId, SubscriberIdKind};
use types::{AccountId, Currency, Money, Tenant, UtcMs};

use crate::balance::BalanceView;
use crate::names::Names;

/// Movements kept for one account; older ones are forgotten (the log and the records have them).
pub const HISTORY_LENGTH: usize = 16;

/// Names one account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountKey {
    /// Whose customer.
    pub tenant: Tenant,
    /// The account within the tenant.
    pub id: AccountId,
}

/// An account in memory; 64 octets and its names, because there are millions. What few accounts have, or not always,
/// is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub names: Names,
    /// Not yet charged, including what is held.
    pub balance: Money,
    pub extra: Option<Box<Extra>>,
    /// Its place in the books.
    pub number: u32,
    /// Index into the books' tenants.
    pub tenant: u32,
    pub currency: Currency,
    pub blocked: bool,
}

/// What an account has that has limits, or sessions that hold something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extra {
    pub low_balance: Option<Money>,
    pub credit: Money,
    pub held: Money,
}

impl Account {
    /// How far below zero the balance may be spent.
    pub fn credit(&self) -> Money {
        self.extra.as_ref().map_or(Money::ZERO, |extra| extra.credit)
    }

    /// Sum of the reservations of its sessions.
    pub fn held(&self) -> Money {
        self.extra.as_ref().map_or(Money::ZERO, |extra| extra.held)
    }

    /// Holds more, or less.
    pub fn hold(&mut self, change: Money) {
        if change.is_zero() {
            return;
        }
        let mut extra = self.extra.take().unwrap_or_default();
        extra.held += change;
        self.extra = (*extra != Extra::default()).then_some(extra);
    }

    pub fn low_balance_limit(&self) -> Option<Money> {
        self.extra.as_ref().and_then(|extra| extra.low_balance)
    }

    /// Something of what is beside it, read for the processor's cache.
    pub fn touched(&self) -> u64 {
        let extra = self.extra.as_ref().map_or(0, |extra| extra.held.nanos() as u64);
        extra ^ u64::from(self.names.first())
    }

    /// What may still be spent or reserved; negative when overdrawn.
    pub fn available(&self) -> Money {
        self.balance + self.credit() - self.held()
    }

    /// True for the account's own id as a private identity, and for every identity it was created with.
    pub fn answers_to(&self, kind: SubscriberIdKind, value: &str) -> bool {
        (kind == SubscriberIdKind::Private && self.names.has_id(value)) || self.names.has(kind, value)
    }
}

/// An account as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Which account.
    pub key: AccountKey,
    /// Its currency, fixed.
    pub currency: Currency,
    /// Not yet charged, including what is held.
    pub balance: Money,
    /// Reserved by open sessions.
    pub held: Money,
    /// What may still be spent: balance and credit limit less what is held; negative when overdrawn.
    pub available: Money,
    /// How far below zero the balance may be spent; zero for pure prepaid.
    pub credit_limit: Money,
    /// Below this remaining balance answers say `low_balance`; absent: only a last grant does.
    pub low_balance_limit: Option<Money>,
    /// True when every new grant is refused.
    pub blocked: bool,
    /// Its identities besides its own id.
    pub identities: Vec<SubscriberId>,
    /// Sessions that are open now.
    pub open_sessions: u32,
    /// Balances beside the main one, in the order they were made. `balance`, `held` and `available` are of the main one.
    pub balances: Vec<BalanceView>,
}

/// One line of an account's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// When it last changed.
    pub at: UtcMs,
    /// What it was.
    pub kind: MovementKind,
    /// What it did to the balance; a session has one line that grows.
    pub amount: Money,
    /// The operation id of a top-up or debit, the session id otherwise; of a session that is kept the same text as its own.
    #[serde(deserialize_with = "types::text::shared")]
    pub reference: Arc<str>,
    /// The balance right after `at`.
    pub balance: Money,
}

/// What moved money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MovementKind {
    /// Money came in.
    TopUp,
    /// An operator took money out.
    Debit,
    /// A session or event was charged.
    Charge,
    /// A session or event gave back: a refund, or a provisional settlement that was too high.
    Refund,
}

/// Adds a movement, or lets the line of the same session grow; keeps the newest [`HISTORY_LENGTH`].
pub(crate) fn remember(history: &mut VecDeque<Movement>, movement: Movement) {
    let grows = matches!(movement.kind, MovementKind::Charge | MovementKind::Refund);
    let earlier = history
        .iter_mut()
        .find(|line| line.kind == movement.kind && is_same_text(&line.reference, &movement.reference));
    if let (true, Some(line)) = (grows, earlier) {
        line.amount += movement.amount;
        line.at = movement.at;
        line.balance = movement.balance;
        return;
    }
    if history.len() >= HISTORY_LENGTH {
        history.pop_front();
    }
    // There are millions of these, and few grow: no room for more than is needed.
    history.reserve_exact(1);
    history.push_back(movement);
}

/// Mostly one is a copy of the other; lines that were read from a snapshot have a text of their own.
pub(crate) fn is_same_text(one: &Arc<str>, other: &Arc<str>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_session_grows_whether_they_share_the_text_or_not() {
        let movement = |reference: &Arc<str>, kind, amount| Movement {
            at: UtcMs(amount),
            kind,
            amount: Money::from_units(amount),
            reference: Arc::clone(reference),
            balance: Money::ZERO,
        };
        let (kept, equal, other): (Arc<str>, Arc<str>, Arc<str>) = ("s".into(), "s".into(), "t".into());
        let mut history = VecDeque::new();
        for (reference, amount) in [(&kept, 1), (&kept, 2), (&equal, 4), (&other, 8)] {
            remember(&mut history, movement(reference, MovementKind::Charge, amount));
        }
        remember(&mut history, movement(&kept, MovementKind::Refund, 16));
        // An operation is one line, however its id reads.
        remember(&mut history, movement(&kept, MovementKind::TopUp, 32));
        remember(&mut history, movement(&equal, MovementKind::TopUp, 64));
        let lines: Vec<(&str, Money)> = history.iter().map(|line| (&*line.reference, line.amount)).collect();
        let expected = [("s", 7), ("t", 8), ("s", 16), ("s", 32), ("s", 64)];
        assert_eq!(lines, expected.map(|(reference, amount)| (reference, Money::from_units(amount))));
    }
}
