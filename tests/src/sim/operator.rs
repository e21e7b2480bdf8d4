//! The operator's desk: opens the accounts, tops up, debits, blocks, sets limits. Each operation is asked again under its id until
//! somebody answers.

use std::collections::BTreeMap;

use ledger::{
    AccountKey, AccountLimits, BalanceTerms, ChangeBalance, Command, CreateAccount, Limit, OpenAccount, Transfer,
};
use types::charging::{BalanceAmount, BalanceKind};
use types::{Currency, Money};

use super::core::ANY_LIFE;
use super::event::{Body, Event, Packet, Reply};
use super::stage::Stage;
use super::tariff::TENANT;

/// See the module's documentation.
pub(crate) struct Operator {
    index: usize,
    next: u64,
    waiting: BTreeMap<u64, Command>,
}

impl Operator {
    pub fn new(index: usize) -> Self {
        Self { index, next: 1, waiting: BTreeMap::new() }
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All accounts. One in five has a bundle of minutes and a gift beside its money.
    pub fn open_accounts(&mut self, stage: &mut Stage) {
        let currency: Currency = "EUR".parse().expect("a currency");
        for number in 0..stage.plan.accounts {
            let cents = [0, 1, 45, 60, 100, 500, 5_000][usize::try_from(stage.roll(0, 6)).unwrap_or(0)];
            let credit = stage.dice.per_mille(150).then(|| of_cents(200));
            let create = CreateAccount {
                key: key(number),
                currency,
                identities: Vec::new(),
                low_balance_limit: None,
                credit_limit: credit,
            };
            let first_balance = of_cents(cents);
            self.ask(
                stage,
                Command::OpenAccount(Box::new(OpenAccount { create, operation_id: "opening".into(), first_balance })),
            );
        }
    }

    /// After the accounts are there, and before anybody calls.
    pub fn fill_bundles(&mut self, stage: &mut Stage) {
        for number in (0..stage.plan.accounts).filter(|number| number % 5 == 4) {
            let seconds = i64::try_from(stage.roll(1, 600)).unwrap_or(0);
            self.change(stage, number, "minutes", BalanceAmount::Units(seconds * 1_000), true, true);
            if stage.dice.per_mille(400) {
                self.change(stage, number, "gift", BalanceAmount::Money(of_cents(30)), true, true);
            }
        }
    }

    /// One thing or another.
    pub fn operate(&mut self, stage: &mut Stage) {
        let number = stage.dice.below(stage.plan.accounts);
        let cents = stage.roll(1, 150);
        let command = match stage.roll(0, 11) {
            0..=4 => Command::TopUp(self.transfer(number, cents)),
            5 | 6 => Command::Debit(self.transfer(number, cents)),
            7 => Command::Block(key(number)),
            8 | 9 => Command::Unblock(key(number)),
            10 if number % 5 == 4 => {
                let seconds = i64::try_from(stage.roll(1, 60)).unwrap_or(0);
                return self.change(stage, number, "minutes", BalanceAmount::Units(seconds * 1_000), true, false);
            }
            _ => {
                let most = if stage.dice.per_mille(500) { Limit::Is(2) } else { Limit::Default };
                let cost = if stage.dice.per_mille(300) { Limit::Is(of_cents(120)) } else { Limit::Default };
                let limits =
                    AccountLimits { maximum_sessions: most, maximum_cost_per_call: cost, ..AccountLimits::default() };
                Command::SetLimits { account: key(number), limits: Box::new(limits) }
            }
        };
        // Two about one account at once would leave open which came last.
        if !self.waiting.values().any(|other| same_account(other, &command)) {
            self.ask(stage, command);
        }
    }

    pub fn replied(&mut self, operation: u64, reply: &Reply) {
        if matches!(reply, Reply::Operated) {
            self.waiting.remove(&operation);
        }
    }

    /// Again, if nobody answered.
    pub fn chase(&mut self, stage: &mut Stage, operation: u64) {
        if let Some(command) = self.waiting.get(&operation) {
            let body = Body::Operate(Box::new(command.clone()));
            stage.send(Packet { client: self.index, life: ANY_LIFE, attempt: operation, body });
            stage.after(CHASE_MS, Event::Chase(operation));
        }
    }

    /// Asks again, whether or not somebody waits for it: an answer that is on its way may be one from before.
    pub fn unsure(&mut self, stage: &mut Stage, command: Command) {
        self.ask(stage, command);
    }

    fn ask(&mut self, stage: &mut Stage, command: Command) {
        let operation = self.next;
        self.next += 1;
        self.waiting.insert(operation, command);
        self.chase(stage, operation);
    }

    fn transfer(&self, number: u64, cents: u64) -> Transfer {
        let operation_id = format!("operation {}", self.next).into();
        Transfer { account: key(number), operation_id, amount: of_cents(cents), currency: None }
    }

    fn change(&mut self, stage: &mut Stage, number: u64, id: &str, amount: BalanceAmount, credit: bool, first: bool) {
        let kind = match amount {
            BalanceAmount::Money(_) => BalanceKind::Money,
            BalanceAmount::Units(_) => BalanceKind::Voice,
        };
        let weight = if kind == BalanceKind::Voice { 10 } else { 5 };
        let change = ChangeBalance {
            account: key(number),
            operation_id: format!("operation {}", self.next).into(),
            balance_id: id.into(),
            kind: Some(kind),
            credit,
            amount,
            currency: None,
            terms: first.then(|| BalanceTerms { weight, ..BalanceTerms::default() }),
            valid_until: None,
        };
        self.ask(stage, Command::ChangeBalance(Box::new(change)));
    }
}

fn key(number: u64) -> AccountKey {
    AccountKey { tenant: TENANT.into(), id: format!("a{number}").into() }
}

fn of_cents(cents: u64) -> Money {
    Money::from_nanos(i128::from(cents) * 10_000_000)
}

fn same_account(one: &Command, other: &Command) -> bool {
    let account = |command: &Command| match command {
        Command::TopUp(transfer) | Command::Debit(transfer) => Some(transfer.account.clone()),
        Command::Block(key) | Command::Unblock(key) => Some(key.clone()),
        Command::SetLimits { account, .. } => Some(account.clone()),
        Command::ChangeBalance(change) => Some(change.account.clone()),
        _ => None,
    };
    account(one) == account(other)
}

const CHASE_MS: u64 = 2_000;
