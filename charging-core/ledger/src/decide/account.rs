//! Accounts: creation, money in and out, blocking, limits.

use types::charging::SubscriberIdKind;
use types::{Money, ReleaseCause};

use super::rules::Rules;
use super::{Turn, refused};
use crate::account::{AccountKey, AccountView};
use crate::change::{AccountCreated, Change, Transferred};
use crate::command::{CreateAccount, OpenAccount, Transfer};
use crate::fingerprint::Fingerprint;
use crate::outcome::{Decision, Denial, Outcome, Receipt, Refusal};
use crate::policy::{AccountLimits, DestinationRule, Limit};

/// Longest account id, identity or operation id, in bytes.
const MAX_ID_BYTES: usize = 128;

pub(super) fn create(turn: &Turn<'_>, create: &CreateAccount) -> Decision {
    let CreateAccount { key, currency, identities, low_balance_limit, credit_limit } = create;
    if !is_id(key.id.as_str()) {
        return refused(Refusal::InvalidAccountId);
    }
    if turn.books.account_at(key).is_some() {
        return refused(Refusal::AccountExists);
    }
    // The id is an identity, too: it must not be another account's alias.
    if turn.books.lookup(&key.tenant, SubscriberIdKind::Private, key.id.as_str()).is_some() {
        return refused(Refusal::IdentityTaken(SubscriberIdKind::Private));
    }
    for identity in identities {
        let value = identity.value.expose();
        if !is_id(value) || turn.books.lookup(&key.tenant, identity.kind, value).is_some() {
            return refused(Refusal::IdentityTaken(identity.kind));
        }
    }
    let credit_limit = credit_limit.unwrap_or_default();
    let warning = low_balance_limit.unwrap_or_default();
    if credit_limit.is_negative() || credit_limit > Money::LIMIT || warning > Money::LIMIT || warning < -Money::LIMIT {
        return refused(Refusal::InvalidAmount);
    }
    let created = AccountCreated {
        key: key.clone(),
        currency: *currency,
        identities: identities.clone(),
        low_balance_limit: *low_balance_limit,
        credit_limit,
    };
    let outcome = Outcome::Account(Box::new(new_account(create, Money::ZERO)));
    Decision { outcome, changes: vec![Change::AccountCreated(Box::new(created))] }
}

/// A new account as it is shown.
fn new_account(create: &CreateAccount, balance: Money) -> AccountView {
    let credit_limit = create.credit_limit.unwrap_or_default();
    AccountView {
        key: create.key.clone(),
        currency: create.currency,
        balance,
        held: Money::ZERO,
        available: balance + credit_limit,
        credit_limit,
        low_balance_limit: create.low_balance_limit,
        blocked: false,
        identities: create.identities.clone(),
        open_sessions: 0,
        balances: Vec::new(),
    }
}

/// Account and first balance together: a crash cannot come between them, and a copy never adds the money again.
pub(super) fn open(turn: &Turn<'_>, open: &OpenAccount) -> Decision {
    let OpenAccount { create: wanted, operation_id, first_balance } = open;
    if !is_id(operation_id) {
        return refused(Refusal::InvalidOperationId);
    }
    if first_balance.is_negative() || *first_balance > Money::LIMIT {
        return refused(Refusal::InvalidAmount);
    }
    let fingerprint = Fingerprint::of_opening(wanted, *first_balance);
    let view = new_account(wanted, *first_balance);
    if let Some(account) = turn.books.account_at(&wanted.key) {
        return match turn.books.operation(account.number, operation_id) {
            Some(earlier) if earlier.fingerprint == fingerprint => {
                Decision { outcome: Outcome::Account(Box::new(view)), changes: Vec::new() }
            }
            Some(_) => refused(Refusal::OperationReused),
            None => refused(Refusal::AccountExists),
        };
    }
    let mut decision = create(turn, wanted);
    if decision.changes.is_empty() {
        return decision;
    }
    let receipt = Receipt {
        account: wanted.key.clone(),
        operation_id: operation_id.clone(),
        amount: *first_balance,
        currency: wanted.currency,
        balance: view.balance,
        available: view.available,
    };
    decision.changes.push(Change::Transferred(Box::new(Transferred { at: turn.now, fingerprint, receipt })));
    decision.outcome = Outcome::Account(Box::new(view));
    decision
}

/// A top-up (`credit`) or a debit.
pub(super) fn transfer(turn: &Turn<'_>, transfer: &Transfer, credit: bool) -> Decision {
    let Some(account) = turn.books.account_at(&transfer.account) else {
        return refused(Refusal::UnknownAccount);
    };
    if !is_id(&transfer.operation_id) {
        return refused(Refusal::InvalidOperationId);
    }
    let fingerprint = Fingerprint::of_transfer(credit, transfer.amount);
    if let Some(earlier) = turn.books.operation(account.number, &transfer.operation_id) {
        return if earlier.fingerprint == fingerprint {
            let outcome = Outcome::Transferred(Box::new(earlier.receipt.clone()));
            Decision { outcome, changes: Vec::new() }
        } else {
            refused(Refusal::OperationReused)
        };
    }
    if turn.books.pot_operation(account.number, &transfer.operation_id).is_some() {
        return refused(Refusal::OperationReused);
    }
    if transfer.currency.is_some_and(|currency| currency != account.currency) {
        return refused(Refusal::CurrencyMismatch { account: account.currency });
    }
    if transfer.amount <= Money::ZERO || transfer.amount > Money::LIMIT {
        return refused(Refusal::InvalidAmount);
    }
    let available = account.available();
    if !credit && transfer.amount > available {
        return refused(Refusal::NotEnoughCredit { available });
    }
    let amount = if credit { transfer.amount } else { -transfer.amount };
    if account.balance + amount > Money::LIMIT {
        return refused(Refusal::InvalidAmount);
    }
    let receipt = Receipt {
        account: transfer.account.clone(),
        operation_id: transfer.operation_id.clone(),
        amount,
        currency: account.currency,
        balance: account.balance + amount,
        available: available + amount,
    };
    let transferred = Transferred { at: turn.now, fingerprint, receipt: receipt.clone() };
    let mut changes = vec![Change::Transferred(Box::new(transferred))];
    if credit && receipt.available > Money::ZERO {
        changes.extend(turn.reauthorize(turn.books.open_on(account.number)));
    }
    Decision { outcome: Outcome::Transferred(Box::new(receipt)), changes }
}

/// Blocks, which ends the open sessions. Again with another cause: the cause changes.
pub(super) fn block(turn: &Turn<'_>, key: &AccountKey, cause: ReleaseCause) -> Decision {
    let Some(account) = turn.books.account_at(key) else {
        return refused(Refusal::UnknownAccount);
    };
    let of_its_own = cause != ReleaseCause::AccountBlocked;
    let now = if of_its_own { Some(cause) } else { None };
    let mut changes = Vec::new();
    if !account.blocked || turn.books.block_cause(key) != now {
        changes.push(Change::Blocked { account: key.clone(), blocked: true });
        if of_its_own {
            changes.push(Change::BlockedFor { account: key.clone(), cause });
        }
        changes.extend(turn.abort(turn.books.open_on(account.number), cause));
    }
    let view = AccountView { blocked: true, ..turn.books.view(account) };
    Decision { outcome: Outcome::Account(Box::new(view)), changes }
}

pub(super) fn unblock(turn: &Turn<'_>, key: &AccountKey) -> Decision {
    let Some(account) = turn.books.account_at(key) else {
        return refused(Refusal::UnknownAccount);
    };
    let view = AccountView { blocked: false, ..turn.books.view(account) };
    let unblocked = Change::Blocked { account: key.clone(), blocked: false };
    let changes = if account.blocked { vec![unblocked] } else { Vec::new() };
    Decision { outcome: Outcome::Account(Box::new(view)), changes }
}

/// Why a blocked account's requests are denied.
pub(super) fn blocked(turn: &Turn<'_>, account: &crate::account::Account) -> Denial {
    let cause = turn.books.block_cause(&turn.books.key_of(account));
    cause.map_or(Denial::AccountBlocked, Denial::BlockedFor)
}

pub(super) fn set_limits(turn: &Turn<'_>, key: &AccountKey, limits: &AccountLimits) -> Decision {
    let Some(account) = turn.books.account_at(key) else {
        return refused(Refusal::UnknownAccount);
    };
    let amount = |limit: Limit<Money>| match limit {
        Limit::Is(amount) => Some(amount),
        Limit::Default | Limit::Unlimited => None,
    };
    let of_rules = limits.destinations.iter().filter_map(|(_, rule)| match rule {
        DestinationRule::MaximumCostPerCall(amount) => Some(*amount),
        DestinationRule::Allowed | DestinationRule::Denied => None,
    });
    let costs = [limits.maximum_cost_per_call, limits.maximum_cost_per_hour, limits.maximum_cost_per_day];
    let mut amounts = costs.into_iter().filter_map(amount).chain(of_rules);
    let classes = &turn.settings.policy.destinations;
    let is_known = |class: &str| classes.iter().any(|known| *known.class == *class);
    if amounts.any(|amount| amount.is_negative() || amount > Money::LIMIT)
        || !limits.destinations.iter().all(|(class, _)| is_known(class))
    {
        return refused(Refusal::InvalidLimits);
    }
    let set = Change::LimitsSet { account: key.clone(), limits: Box::new(limits.clone()) };
    let rules = Rules::with(turn, account, limits);
    let outcome = Outcome::Limits(Box::new(rules.view(limits)));
    let unchanged =
        turn.books.own_limits(account.number).map_or(*limits == AccountLimits::default(), |own| own == limits);
    let changes = if unchanged { Vec::new() } else { std::iter::once(set).chain(rules.aborts()).collect() };
    Decision { outcome, changes }
}

pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID_BYTES
}
