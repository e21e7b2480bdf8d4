//! Balances beside the main one: bundles of minutes, octets and messages, and further money.
//!
//! The account's own money, called [`MAIN_BALANCE`], has no terms and lives in the account. Every other balance has a
//! name, counts one kind of thing, and may be used as its [`BalanceTerms`] say. Most accounts have none: they are kept
//! beside the accounts.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use types::charging::{BalanceAmount, BalanceKind, Service};
use types::{Currency, Money, UtcMs};

use crate::account::{AccountKey, HISTORY_LENGTH, MovementKind, is_same_text};
use crate::fingerprint::Fingerprint;

/// The name of the money that every account has.
pub const MAIN_BALANCE: &str = "money";

/// Most balances of one account beside the main one.
pub const MAX_BALANCES: usize = 64;

/// Most units that one balance takes: 2^50, as [`crate::MAX_USAGE`].
pub const MAX_BALANCE_UNITS: i64 = 1 << 50;

/// When and for what a balance may be used, and before which others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceTerms {
    /// Heavier balances are used first; the main balance weighs 0. At equal weights units come before money, and what
    /// expires sooner before what lasts longer.
    pub weight: i32,
    /// Only for called numbers with one of these prefixes, with or without `+`. Empty: all, and services that call
    /// nobody.
    pub destinations: Vec<Box<str>>,
    /// Only for these rating categories. Empty: all.
    pub categories: Vec<Box<str>>,
    /// Not usable before. Absent: at once.
    pub valid_from: Option<UtcMs>,
    /// Not usable from then on, but for what a session holds already. Absent: never expires.
    pub valid_until: Option<UtcMs>,
    /// True: when this balance fits and is used up, lighter ones are not used; the service is refused.
    pub blocker: bool,
}

/// A balance as it is kept. Amounts are 10^-9 of the currency, or units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pot {
    pub id: Box<str>,
    pub kind: BalanceKind,
    /// Not yet charged, including what is held.
    pub value: i128,
    pub held: i128,
    pub terms: BalanceTerms,
}

impl Pot {
    pub fn is_valid_at(&self, now: UtcMs) -> bool {
        self.terms.valid_from.is_none_or(|from| from <= now) && self.terms.valid_until.is_none_or(|until| now < until)
    }

    /// Whether it may pay for this at all.
    pub fn fits(&self, service: Service, category: &str, called: Option<&str>) -> bool {
        let of_kind = match self.kind {
            BalanceKind::Money => true,
            BalanceKind::Voice => service == Service::Voice,
            BalanceKind::Data => service == Service::Data,
            BalanceKind::Sms => service == Service::Sms,
            BalanceKind::Generic => matches!(service, Service::Mms | Service::Generic),
        };
        let categories = &self.terms.categories;
        let destinations = &self.terms.destinations;
        of_kind
            && (categories.is_empty() || categories.iter().any(|allowed| **allowed == *category))
            && (destinations.is_empty() || called.is_some_and(|called| has_prefix(called, destinations)))
    }
}

/// True when the number begins with one of the prefixes; a leading `+` does not count on either side.
pub(crate) fn has_prefix<'p>(number: &str, prefixes: impl IntoIterator<Item = &'p Box<str>>) -> bool {
    let number = without_plus(number);
    prefixes.into_iter().any(|prefix| number.starts_with(without_plus(prefix)))
}

/// The octets of a number behind its leading `+`.
pub(crate) fn without_plus(number: &str) -> &[u8] {
    let mut rest = number.as_bytes();
    while let [b'+', behind @ ..] = rest {
        rest = behind;
    }
    rest
}

/// An amount as the balance's kind says it.
pub(crate) fn shown(kind: BalanceKind, amount: i128) -> BalanceAmount {
    match kind {
        BalanceKind::Money => BalanceAmount::Money(Money::from_nanos(amount)),
        _ => BalanceAmount::Units(i64::try_from(amount).unwrap_or(i64::MAX)),
    }
}

/// The amount, if it is one of that kind.
pub(crate) fn counted(kind: BalanceKind, amount: BalanceAmount) -> Option<i128> {
    match (kind, amount) {
        (BalanceKind::Money, BalanceAmount::Money(money)) => Some(money.nanos()),
        (BalanceKind::Money, BalanceAmount::Units(_)) | (_, BalanceAmount::Money(_)) => None,
        (_, BalanceAmount::Units(units)) => Some(i128::from(units)),
    }
}

/// A balance as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceView {
    /// Its name within the account.
    pub id: Box<str>,
    /// What it counts.
    pub kind: BalanceKind,
    /// Not yet charged, including what is held.
    pub value: BalanceAmount,
    /// Reserved by open sessions.
    pub held: BalanceAmount,
    /// When and for what it may be used.
    pub terms: BalanceTerms,
}

impl BalanceView {
    pub(crate) fn of(pot: &Pot) -> Self {
        Self {
            id: pot.id.clone(),
            kind: pot.kind,
            value: shown(pot.kind, pot.value),
            held: shown(pot.kind, pot.held),
            terms: pot.terms.clone(),
        }
    }
}

/// What an operation on a balance did; the same again for a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceReceipt {
    /// Which account.
    pub account: AccountKey,
    /// Of the command.
    pub operation_id: Box<str>,
    /// Which balance.
    pub balance_id: Box<str>,
    /// What it counts.
    pub kind: BalanceKind,
    /// What it did to the balance; negative for a debit.
    pub amount: BalanceAmount,
    /// Of the account.
    pub currency: Currency,
    /// Of the balance, right after it.
    pub value: BalanceAmount,
}

/// A top-up or debit of a balance that is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BalanceOperation {
    pub fingerprint: Fingerprint,
    pub receipt: BalanceReceipt,
}

/// One line of the history of an account's balances beside the main one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceMovement {
    /// When it last changed.
    pub at: UtcMs,
    /// What it was.
    pub kind: MovementKind,
    /// Which balance.
    pub balance_id: Box<str>,
    /// What it did to the balance; a session has one line for each that grows.
    pub amount: BalanceAmount,
    /// The operation id of a top-up or debit, the session id otherwise.
    #[serde(deserialize_with = "types::text::shared")]
    pub reference: Arc<str>,
    /// The balance right after `at`.
    pub value: BalanceAmount,
}

/// Adds a movement, or lets the line of the same session grow; keeps the newest [`HISTORY_LENGTH`].
pub(crate) fn remember(history: &mut VecDeque<BalanceMovement>, movement: BalanceMovement) {
    let grows = matches!(movement.kind, MovementKind::Charge | MovementKind::Refund);
    let earlier = history.iter_mut().find(|line| {
        line.kind == movement.kind
            && is_same_text(&line.reference, &movement.reference)
            && line.balance_id == movement.balance_id
    });
    if let (true, Some(line)) = (grows, earlier) {
        line.amount = sum(line.amount, movement.amount);
        line.at = movement.at;
        line.value = movement.value;
        return;
    }
    if history.len() >= HISTORY_LENGTH {
        history.pop_front();
    }
    history.push_back(movement);
}

/// Amounts of one balance added; they are of one kind.
fn sum(one: BalanceAmount, other: BalanceAmount) -> BalanceAmount {
    match (one, other) {
        (BalanceAmount::Money(one), BalanceAmount::Money(other)) => BalanceAmount::Money(one + other),
        (BalanceAmount::Units(one), BalanceAmount::Units(other)) => BalanceAmount::Units(one.saturating_add(other)),
        (one, _) => one,
    }
}

/// One piece of a group's usage, in order from the start: who paid for it, up to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// 0 for the main balance, otherwise the balance's place in the account plus 1.
    pub payer: u32,
    /// The usage at which the piece ends, in whole increments. Several balances of money may end together.
    pub to: u64,
    /// What it costs; absent for a balance of units, which gives one unit for each unit of usage.
    pub money: Option<Money>,
}

/// Who paid, and who holds, for one rating group of a session. Absent for a group: the main balance alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portions {
    /// The rating group.
    pub rating_group: u32,
    /// Part of the key where present.
    pub service_identifier: Option<u32>,
    /// Charged.
    pub paid: Vec<Stretch>,
    /// Reserved, from the end of what is paid.
    pub held: Vec<Stretch>,
}

impl Portions {
    /// The usage that is paid for.
    pub(crate) fn paid_to(&self) -> u64 {
        self.paid.last().map_or(0, |stretch| stretch.to)
    }

    pub(crate) fn paid_by(&self, payer: u32) -> i128 {
        taken_by(&self.paid, 0, payer)
    }

    pub(crate) fn held_by(&self, payer: u32) -> i128 {
        taken_by(&self.held, self.paid_to(), payer)
    }
}

/// What stretches that begin at `from` take from one payer.
fn taken_by(stretches: &[Stretch], mut from: u64, payer: u32) -> i128 {
    let mut taken = 0;
    for stretch in stretches {
        if stretch.payer == payer {
            taken += match stretch.money {
                Some(money) => money.nanos(),
                None => i128::from(stretch.to.saturating_sub(from)),
            };
        }
        from = from.max(stretch.to);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_do_not_care_about_plus_signs() {
        let prefixes: [Box<str>; 2] = ["+49".into(), "33".into()];
        for (number, found) in [("+4930", true), ("4930", true), ("+33", true), ("+3", false), ("+1", false)] {
            assert_eq!(has_prefix(number, &prefixes), found, "{number}");
        }
    }

    #[test]
    fn pieces_add_up_by_payer() {
        let money = |nanos| Some(Money::from_nanos(nanos));
        let portions = Portions {
            paid: vec![
                Stretch { payer: 2, to: 60, money: None },
                Stretch { payer: 1, to: 70, money: money(3) },
                Stretch { payer: 0, to: 70, money: money(4) },
            ],
            held: vec![Stretch { payer: 0, to: 80, money: money(5) }, Stretch { payer: 2, to: 95, money: None }],
            ..Portions::default()
        };
        assert_eq!([0, 1, 2].map(|payer| portions.paid_by(payer)), [4, 3, 60]);
        assert_eq!([0, 1, 2].map(|payer| portions.held_by(payer)), [5, 0, 15]);
    }
}
