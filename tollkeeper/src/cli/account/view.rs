//! Accounts and movements as they are shown; the JSON forms are stable.

use charging_proto::v1::{Account, BalanceAmount, BalanceKind, HistoryEntry, HistoryKind, balance_amount};
use serde::Serialize;
use types::Money;

use crate::cli::{parse, show};

#[derive(Debug, Serialize)]
pub struct AccountView {
    tenant: String,
    account_id: String,
    currency: String,
    identities: Vec<String>,
    balance: Option<String>,
    held: Option<String>,
    available: String,
    credit_limit: Option<String>,
    low_balance_limit: Option<String>,
    blocked: bool,
    open_sessions: u32,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let money = account.balances.into_iter().find(|balance| balance.kind() == BalanceKind::Money);
        let (value, held) = money.map_or((None, None), |balance| (balance.value, balance.held));
        Self {
            tenant: account.tenant,
            account_id: account.account_id,
            currency: account.currency,
            identities: account.subscribers.iter().map(parse::identity_text).collect(),
            balance: text(value),
            held: text(held),
            available: account.available,
            credit_limit: account.credit_limit,
            low_balance_limit: account.low_balance_limit,
            blocked: account.blocked,
            open_sessions: account.open_sessions,
        }
    }
}

impl AccountView {
    pub fn print(&self, format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return show::json(self);
        }
        show::fields(&[
            ("account", self.account_id.clone()),
            ("tenant", self.tenant.clone()),
            ("currency", self.currency.clone()),
            ("identities", if self.identities.is_empty() { "-".to_owned() } else { self.identities.join(", ") }),
            ("balance", show::or_dash(self.balance.as_ref())),
            ("held", show::or_dash(self.held.as_ref())),
            ("available", self.available.clone()),
            ("credit limit", show::or_dash(self.credit_limit.as_ref())),
            ("low balance at", show::or_dash(self.low_balance_limit.as_ref())),
            ("blocked", yes_or_no(self.blocked)),
            ("open sessions", self.open_sessions.to_string()),
        ])
    }

    pub fn print_all(accounts: &[Self], format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return accounts.iter().try_for_each(show::json);
        }
        let rows = accounts.iter().map(|account| {
            [
                account.account_id.clone(),
                account.currency.clone(),
                show::or_dash(account.balance.as_ref()),
                show::or_dash(account.held.as_ref()),
                account.available.clone(),
                yes_or_no(account.blocked),
                account.open_sessions.to_string(),
                account.identities.join(", "),
            ]
        });
        let header = ["ACCOUNT", "CURRENCY", "BALANCE", "HELD", "AVAILABLE", "BLOCKED", "OPEN SESSIONS", "IDENTITIES"];
        show::rows(header, rows.collect(), "no accounts")
    }
}

/// What a top-up or debit did.
#[derive(Debug, Serialize)]
pub struct TransferView {
    pub request_id: String,
    pub amount: Money,
    pub notified_sessions: u32,
    pub account: AccountView,
}

impl TransferView {
    pub fn print(&self, format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return show::json(self);
        }
        let account = &self.account;
        show::fields(&[
            ("account", account.account_id.clone()),
            ("amount", format!("{} {}", self.amount, account.currency)),
            ("balance", show::or_dash(account.balance.as_ref())),
            ("available", account.available.clone()),
            ("request id", self.request_id.clone()),
        ])
    }
}

#[derive(Debug, Serialize)]
pub struct HistoryView {
    sequence: u64,
    time: String,
    kind: String,
    balance_id: Option<String>,
    change: Option<String>,
    value_after: Option<String>,
    session_id: Option<String>,
    request_number: Option<u32>,
    request_id: Option<String>,
    reason: Option<String>,
}

impl From<HistoryEntry> for HistoryView {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            sequence: entry.sequence,
            time: show::time(entry.time),
            kind: kind(entry.kind()),
            balance_id: entry.balance_id,
            change: text(entry.change),
            value_after: text(entry.value_after),
            session_id: entry.session_id,
            request_number: entry.request_number,
            request_id: entry.request_id,
            reason: entry.reason,
        }
    }
}

impl HistoryView {
    pub fn print_all(entries: &[Self], format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return entries.iter().try_for_each(show::json);
        }
        let rows = entries.iter().map(|entry| {
            [
                entry.time.clone(),
                entry.kind.clone(),
                show::or_dash(entry.change.as_ref()),
                show::or_dash(entry.value_after.as_ref()),
                show::or_dash(entry.session_id.as_ref().or(entry.request_id.as_ref())),
            ]
        });
        show::rows(["TIME", "KIND", "CHANGE", "BALANCE", "SESSION OR REQUEST"], rows.collect(), "nothing yet")
    }
}

fn kind(kind: HistoryKind) -> String {
    kind.as_str_name().trim_start_matches("HISTORY_KIND_").to_lowercase()
}

/// Money as the core wrote it, or units.
fn text(amount: Option<BalanceAmount>) -> Option<String> {
    amount.and_then(|amount| amount.amount).map(|amount| match amount {
        balance_amount::Amount::Money(money) => money,
        balance_amount::Amount::Units(units) => units.to_string(),
    })
}

fn yes_or_no(flag: bool) -> String {
    if flag { "yes".to_owned() } else { "no".to_owned() }
}
