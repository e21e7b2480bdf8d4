//! Accounts and movements as they are shown; the JSON forms are stable.

use charging_proto::v1::{Account, Balance, BalanceAmount, HistoryEntry, HistoryKind, balance_amount};
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
    /// Beside its own money, heaviest first.
    balances: Vec<BalanceView>,
}

/// A balance beside the account's own money; amounts as decimal strings of money, or counts of units.
#[derive(Debug, Serialize)]
struct BalanceView {
    balance_id: String,
    kind: String,
    value: Option<String>,
    held: Option<String>,
    weight: i32,
    destinations: Vec<String>,
    categories: Vec<String>,
    valid_from: Option<String>,
    valid_until: Option<String>,
    blocker: bool,
}

impl From<Balance> for BalanceView {
    fn from(balance: Balance) -> Self {
        Self {
            kind: balance.kind().as_str_name().trim_start_matches("BALANCE_KIND_").to_lowercase(),
            balance_id: balance.balance_id,
            value: text(balance.value),
            held: text(balance.held),
            weight: balance.weight,
            destinations: balance.destinations,
            categories: balance.categories,
            valid_from: balance.valid_from_time.map(show::time),
            valid_until: balance.expiry_time.map(show::time),
            blocker: balance.blocker,
        }
    }
}

impl BalanceView {
    /// One line for people: `100m of voice, 20s held, weight 10, until ...`.
    fn line(&self) -> String {
        let amount = |text: &Option<String>| match (self.kind.as_str(), text.as_deref()) {
            ("voice", Some(ms)) => format!("{} s", ms.parse::<i64>().unwrap_or(0) / 1000),
            ("data", Some(octets)) => format!("{octets} octets"),
            (_, Some(other)) => other.to_owned(),
            (_, None) => "-".to_owned(),
        };
        let mut line =
            format!("{} {}, held {}, weight {}", amount(&self.value), self.kind, amount(&self.held), self.weight);
        for (name, texts) in [("for", &self.destinations), ("category", &self.categories)] {
            if !texts.is_empty() {
                line.push_str(&format!(", {name} {}", texts.join(" ")));
            }
        }
        for (name, time) in [("from", &self.valid_from), ("until", &self.valid_until)] {
            if let Some(time) = time {
                line.push_str(&format!(", {name} {time}"));
            }
        }
        if self.blocker {
            line.push_str(", blocker");
        }
        line
    }
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let (own, others): (Vec<Balance>, Vec<Balance>) =
            account.balances.into_iter().partition(|balance| balance.balance_id == "money");
        let own = own.into_iter().next();
        let (value, held) = own.map_or((None, None), |balance| (balance.value, balance.held));
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
            balances: others.into_iter().map(BalanceView::from).collect(),
        }
    }
}

impl AccountView {
    pub fn print(&self, format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return show::json(self);
        }
        let mut fields = vec![
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
        ];
        fields.extend(self.balances.iter().map(|balance| (balance.balance_id.as_str(), balance.line())));
        show::fields(&fields)
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
                show::or_dash(entry.balance_id.as_ref()),
                show::or_dash(entry.change.as_ref()),
                show::or_dash(entry.value_after.as_ref()),
                show::or_dash(entry.session_id.as_ref().or(entry.request_id.as_ref())),
            ]
        });
        show::rows(["TIME", "KIND", "OF", "CHANGE", "BALANCE", "SESSION OR REQUEST"], rows.collect(), "nothing yet")
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
