//! What the auditor knows of an account: what was paid in, what sessions took and hold.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{AccountKey, AccountView, Command, Limit, Outcome, Transfer};
use types::SessionId;
use types::charging::{BalanceAmount, BalanceKind};

use super::super::tariff::TENANT;
use super::session::{Session, Stage};
use super::{Auditor, Checked};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Of the main balance, in 10^-9.
    pub balance: i128,
    pub credit: i128,
    /// Balances beside it: what they hold, and whether they count units.
    pots: BTreeMap<Box<str>, (i128, bool)>,
    /// What open sessions hold, where the main balance alone pays.
    pub held: i128,
    /// Absent: an operation about it has an unknown fate.
    pub blocked: Option<bool>,
    pub most_sessions: Option<usize>,
    /// Has or had limits of its own.
    pub limited: bool,
    pub open: BTreeSet<SessionId>,
    /// Requests and operations whose fate is not known.
    pub open_fates: u32,
    overrun: i128,
    /// Some session is charged without a look at the credit.
    trusting: bool,
    operations: BTreeSet<String>,
}

pub(super) fn key(id: &str) -> AccountKey {
    AccountKey { tenant: TENANT.into(), id: id.into() }
}

impl Account {
    pub fn available(&self) -> i128 {
        self.balance + self.credit - self.held
    }

    pub fn has_pots(&self) -> bool {
        !self.pots.is_empty()
    }

    pub fn counts_units(&self, balance: &str) -> bool {
        self.pots.get(balance).is_some_and(|(_, units)| *units)
    }

    /// A session went from one state to the next.
    pub fn moved(&mut self, before: &Session, after: &Session, id: &SessionId) {
        if after.stage == Stage::Open {
            self.open.insert(id.clone());
        } else {
            self.open.remove(id);
        }
        self.overrun += after.overrun - before.overrun;
        self.trusting |= !after.checks_money();
        if self.pots.is_empty() {
            self.balance -= after.charged() - before.charged();
            self.held += after.held() - before.held();
            return;
        }
        let names: BTreeSet<&Box<str>> = before.drawn.keys().chain(after.drawn.keys()).collect();
        for name in names {
            let taken = after.drawn.get(name).unwrap_or(&0) - before.drawn.get(name).unwrap_or(&0);
            match self.pots.get_mut(name) {
                Some((value, _)) => *value -= taken,
                None => self.balance -= taken,
            }
        }
    }

    pub fn finish(&self, id: &str) -> Checked {
        if !self.open.is_empty() || self.held != 0 || self.open_fates != 0 {
            return Err(format!("account {id} at the end: {self:?}"));
        }
        Ok(())
    }
}

impl Auditor {
    /// An operation of the desk and its outcome.
    pub fn operated(&mut self, command: &Command, outcome: &Outcome) -> Checked {
        let Some((id, operation)) = named(command) else { return Ok(()) };
        let was_unknown = self.unknown_operations.remove(&operation);
        if was_unknown && let Some(account) = self.accounts.get_mut(&id) {
            account.open_fates = account.open_fates.saturating_sub(1);
        }
        let fault = |text: &str| Err(format!("{operation} on {id}: {text}: {outcome:?}"));
        match (command, outcome) {
            (Command::OpenAccount(open), Outcome::Account(_)) => {
                let credit = open.create.credit_limit.unwrap_or_default().nanos();
                let balance = open.first_balance.nanos();
                let operations = BTreeSet::from([open.operation_id.to_string()]);
                let new = Account { balance, credit, blocked: Some(false), operations, ..Account::default() };
                self.accounts.entry(id.clone()).or_insert(new);
            }
            (Command::TopUp(transfer) | Command::Debit(transfer), Outcome::Transferred(receipt)) => {
                let sign = if matches!(command, Command::TopUp(_)) { 1 } else { -1 };
                if receipt.amount.nanos() != sign * transfer.amount.nanos() {
                    return fault("moved another amount");
                }
                // What was decided before a crash was true then.
                let available = (!was_unknown).then(|| receipt.available.nanos());
                return self.transferred(&id, transfer, receipt.amount.nanos(), available);
            }
            (Command::Debit(transfer), Outcome::Refused(_)) => {
                let account = self.accounts.get(&id);
                let there = account.filter(|account| account.open_fates == 0 && !account.has_pots());
                if there.is_some_and(|account| account.available() >= transfer.amount.nanos()) {
                    return fault("it was there");
                }
            }
            (Command::ChangeBalance(change), Outcome::BalanceChanged(receipt)) => {
                let Some(account) = self.accounts.get_mut(&id) else { return fault("unknown account") };
                if account.operations.insert(change.operation_id.to_string()) {
                    let units = receipt.kind != BalanceKind::Money;
                    let moved = match receipt.amount {
                        BalanceAmount::Money(money) => money.nanos(),
                        BalanceAmount::Units(units) => i128::from(units),
                    };
                    account.pots.entry(receipt.balance_id.clone()).or_insert((0, units)).0 += moved;
                }
            }
            (Command::Block(_) | Command::BlockFor { .. }, Outcome::Account(view)) => {
                if !view.blocked {
                    return fault("is not blocked");
                }
                self.of(&id, |account| account.blocked = Some(true));
            }
            (Command::Unblock(_), Outcome::Account(view)) => {
                if view.blocked {
                    return fault("is still blocked");
                }
                self.of(&id, |account| account.blocked = Some(false));
            }
            (Command::SetLimits { limits, .. }, Outcome::Limits(_)) => self.of(&id, |account| {
                account.limited = true;
                account.most_sessions = match limits.maximum_sessions {
                    Limit::Is(most) => usize::try_from(most).ok(),
                    _ => None,
                };
            }),
            (Command::Release { .. }, _) => {}
            _ => return fault("unexpected"),
        }
        self.touched.insert(id);
        Ok(())
    }

    fn of(&mut self, id: &str, change: impl FnOnce(&mut Account)) {
        if let Some(account) = self.accounts.get_mut(id) {
            change(account);
        }
    }

    fn transferred(&mut self, id: &str, transfer: &Transfer, amount: i128, available: Option<i128>) -> Checked {
        let Some(account) = self.accounts.get_mut(id) else { return Err(format!("{id} is unknown")) };
        if !account.operations.insert(transfer.operation_id.to_string()) {
            return Ok(());
        }
        account.balance += amount;
        let certain = account.open_fates == 0 && !account.has_pots();
        if let Some(available) = available.filter(|available| certain && *available != account.available()) {
            return Err(format!("{} on {id}: {available} said, {} there", transfer.operation_id, account.available()));
        }
        if certain && amount < 0 && account.available() < 0 {
            return Err(format!("{} on {id} takes what is not there", transfer.operation_id));
        }
        self.touched.insert(id.to_owned());
        Ok(())
    }

    pub(super) fn operation_unknown(&mut self, command: &Command) {
        let Some((id, operation)) = named(command) else { return };
        let Some(account) = self.accounts.get_mut(&id) else { return };
        match command {
            // A copy of an old one, perhaps, which nobody asks again: a query tells.
            Command::Block(_) | Command::BlockFor { .. } | Command::Unblock(_) => return account.blocked = None,
            Command::SetLimits { .. } => return (account.limited, account.most_sessions) = (true, None),
            _ => {}
        }
        if account.operations.contains(&operation) || !self.unknown_operations.insert(operation) {
            return;
        }
        account.open_fates += 1;
    }

    /// What a query of an account answers.
    pub fn account_says(&mut self, view: &AccountView) -> Checked {
        let id = view.key.id.as_str();
        let Some(account) = self.accounts.get_mut(id) else { return Err(format!("account {id} was never opened")) };
        account.blocked = account.blocked.or(Some(view.blocked));
        if account.open_fates > 0 {
            return Ok(());
        }
        let (balance, held) = (view.balance.nanos(), view.held.nanos());
        if balance != account.balance {
            return Err(format!("account {id} has {balance}, it must be {}", account.balance));
        }
        if !account.has_pots() && held != account.held {
            return Err(format!("account {id} holds {held}, it must be {}", account.held));
        }
        if held < 0 || account.open.len() != usize::try_from(view.open_sessions).unwrap_or(usize::MAX) {
            let open = account.open.len();
            return Err(format!("account {id} holds {held} in {} sessions, it must be {open}", view.open_sessions));
        }
        if account.open.is_empty() && held != 0 {
            return Err(format!("account {id} holds {held} without a session"));
        }
        for pot in &view.balances {
            let nanos = |amount| match amount {
                BalanceAmount::Money(money) => types::Money::nanos(money),
                BalanceAmount::Units(units) => i128::from(units),
            };
            let (value, held) = (nanos(pot.value), nanos(pot.held));
            let known = account.pots.get(&pot.id).map(|(value, _)| *value);
            if known != Some(value) || held < 0 || held > value || (account.open.is_empty() && held != 0) {
                return Err(format!("balance {} of {id} has {value} and holds {held}, it must be {known:?}", pot.id));
            }
        }
        let below = -(account.balance + account.credit);
        if below > 0 && !account.trusting && !account.has_pots() && account.overrun < below {
            return Err(format!("account {id} is {below} below its limit, with an overrun of {}", account.overrun));
        }
        Ok(())
    }
}

/// The account, and a name for the operation.
fn named(command: &Command) -> Option<(String, String)> {
    let of = |key: &AccountKey, operation: &str| Some((key.id.to_string(), operation.to_owned()));
    match command {
        Command::OpenAccount(open) => of(&open.create.key, &open.operation_id),
        Command::TopUp(transfer) | Command::Debit(transfer) => of(&transfer.account, &transfer.operation_id),
        Command::ChangeBalance(change) => of(&change.account, &change.operation_id),
        Command::Block(key) | Command::BlockFor { account: key, .. } => of(key, &format!("block {}", key.id)),
        Command::Unblock(key) => of(key, &format!("unblock {}", key.id)),
        Command::SetLimits { account, .. } => of(account, &format!("limits {}", account.id)),
        _ => None,
    }
}
