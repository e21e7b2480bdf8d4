//! AccountService: accounts, their balances and limits; what this version's books do not have is refused, never ignored.

use std::pin::Pin;

use charging_proto::convert;
use charging_proto::v1::account_service_server::AccountService;
use charging_proto::v1::{
    Account, AccountChange, AccountLimits, Balance, BalanceAmount, BalanceKind, BlockRequest, CreateAccountRequest,
    DebitRequest, GetAccountRequest, GetLimitsRequest, HistoryEntry, HistoryRequest, ListAccountsRequest,
    SetLimitsRequest, TopUpRequest, balance_amount, get_account_request,
};
use ledger::{
    AccountKey, AccountView, BalanceReceipt, BalanceView, Books, ChangeBalance, Command, CreateAccount, Limit,
    MAIN_BALANCE, OpenAccount, Outcome, Receipt, Transfer,
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use types::charging::{NotificationKind, SubscriberId};
use types::{AccountId, Currency, Money, ReleaseCause, Tenant, UtcMs};

use super::balance::{self, money};
use super::{limits, status};
use crate::store::Core;

/// The service.
pub(super) struct Accounts {
    pub(super) core: Core,
}

type AccountStream = Pin<Box<dyn Stream<Item = Result<Account, Status>> + Send>>;
type HistoryStream = Pin<Box<dyn Stream<Item = Result<HistoryEntry, Status>> + Send>>;

#[tonic::async_trait]
impl AccountService for Accounts {
    async fn create(&self, request: Request<CreateAccountRequest>) -> Result<Response<Account>, Status> {
        let CreateAccountRequest { request_id, account } = request.into_inner();
        let account = account.ok_or_else(|| Status::invalid_argument("field account is missing"))?;
        let operation_id: String = convert::required("request_id", request_id).map_err(status::unreadable)?;
        let (first_balance, others) = first_balances(&account)?;
        let maximum_sessions = account.maximum_sessions;
        let create = read_account(account)?;
        let key = create.key.clone();
        let others: Vec<ChangeBalance> =
            others.iter().map(|other| balance::first(&key, other)).collect::<Result<_, _>>()?;
        let open = OpenAccount { create, operation_id: operation_id.into(), first_balance };
        let mut view = match self.decide(Command::OpenAccount(Box::new(open))).await? {
            Outcome::Account(view) => *view,
            other => return Err(status::unexpected(&other)),
        };
        // A crash in between leaves an account that lacks some: the copy of the request makes the rest.
        for other in others {
            let terms = other.terms.clone().unwrap_or_default();
            let BalanceReceipt { balance_id: id, kind, value, .. } = self.change_balance(other).await?;
            let held = match value {
                types::charging::BalanceAmount::Money(_) => types::charging::BalanceAmount::Money(Money::ZERO),
                types::charging::BalanceAmount::Units(_) => types::charging::BalanceAmount::Units(0),
            };
            view.balances.push(BalanceView { id, kind, value, held, terms });
        }
        if let Some(limit) = maximum_sessions {
            let own = ledger::AccountLimits { maximum_sessions: Limit::Is(limit), ..ledger::AccountLimits::default() };
            self.decide(Command::SetLimits { account: key, limits: Box::new(own) }).await?;
        }
        Ok(Response::new(shown(view)))
    }

    async fn get(&self, request: Request<GetAccountRequest>) -> Result<Response<Account>, Status> {
        let request = request.into_inner();
        let tenant: Tenant = convert::required("tenant", request.tenant).map_err(status::unreadable)?;
        let identity = match request.name.ok_or_else(|| Status::invalid_argument("field name is missing"))? {
            get_account_request::Name::AccountId(id) => SubscriberId::account(id),
            get_account_request::Name::Subscriber(subscriber) => {
                SubscriberId::try_from(subscriber).map_err(status::unreadable)?
            }
        };
        let found =
            self.core.query(move |books| books.find_account(&tenant, &identity).and_then(|key| books.account(&key)));
        let found = found.await.map_err(|error| status::not_done(&error))?;
        found.map(|view| Response::new(shown(view))).ok_or_else(|| Status::not_found("no such account"))
    }

    type ListStream = AccountStream;

    async fn list(&self, request: Request<ListAccountsRequest>) -> Result<Response<AccountStream>, Status> {
        let request = request.into_inner();
        let tenant: Tenant = convert::required("tenant", request.tenant).map_err(status::unreadable)?;
        let (after, blocked) = (request.after_account_id.map(AccountId::from), request.blocked);
        let limit = request.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let listed = self.core.query(move |books| {
            let mut accounts: Vec<AccountView> = books
                .accounts(Some(&tenant))
                .filter(|view| after.as_ref().is_none_or(|after| view.key.id > *after))
                .filter(|view| blocked.is_none_or(|blocked| view.blocked == blocked))
                .collect();
            accounts.sort_by(|one, other| one.key.id.cmp(&other.key.id));
            accounts.truncate(limit);
            accounts
        });
        let listed = listed.await.map_err(|error| status::not_done(&error))?;
        Ok(Response::new(Box::pin(tokio_stream::iter(listed.into_iter().map(|view| Ok(shown(view)))))))
    }

    async fn top_up(&self, request: Request<TopUpRequest>) -> Result<Response<AccountChange>, Status> {
        let request = request.into_inner();
        let key = account_key(request.tenant.clone(), request.account_id.clone())?;
        if request.balance_id.as_deref().is_some_and(|id| id != MAIN_BALANCE) {
            let receipt = self.change_balance(read_top_up(key, request)?).await?;
            return self.balance_changed(receipt, true).await;
        }
        if request.terms.is_some() || request.expiry_time.is_some() {
            return Err(Status::invalid_argument("the account's own money has no terms and never expires"));
        }
        only_money(request.kind)?;
        let transfer = read_transfer(key, request.request_id, request.amount, request.currency)?;
        let receipt = self.transfer(Command::TopUp(transfer)).await?;
        self.changed(receipt, true).await
    }

    async fn debit(&self, request: Request<DebitRequest>) -> Result<Response<AccountChange>, Status> {
        let request = request.into_inner();
        if request.allow_negative {
            return Err(status::unsupported("allow_negative"));
        }
        let key = account_key(request.tenant.clone(), request.account_id.clone())?;
        if request.balance_id.as_deref().is_some_and(|id| id != MAIN_BALANCE) {
            let receipt = self.change_balance(read_debit(key, request)?).await?;
            return self.balance_changed(receipt, false).await;
        }
        let transfer = read_transfer(key, request.request_id, request.amount, request.currency)?;
        let receipt = self.transfer(Command::Debit(transfer)).await?;
        self.changed(receipt, false).await
    }

    async fn block(&self, request: Request<BlockRequest>) -> Result<Response<AccountChange>, Status> {
        let request = request.into_inner();
        let cause = request.release_cause.map(|cause| convert::release_cause("release_cause", cause)).transpose();
        let cause = cause.map_err(status::unreadable)?.unwrap_or(ReleaseCause::AccountBlocked);
        let key = account_key(request.tenant, request.account_id)?;
        let blocked = key.clone();
        let command = match (request.blocked, cause) {
            (false, _) => Command::Unblock(key),
            (true, ReleaseCause::AccountBlocked) => Command::Block(key),
            (true, cause) => Command::BlockFor { account: key, cause },
        };
        match self.decide(command).await? {
            Outcome::Account(view) => {
                let is_abort = |kind| matches!(kind, NotificationKind::Abort(_));
                let told = self.core.query(move |books| notified(books, &blocked, is_abort)).await;
                let told = told.map_err(|error| status::not_done(&error))?;
                let notified_sessions = if request.blocked { told } else { 0 };
                let account = Some(shown(*view));
                Ok(Response::new(AccountChange { account, history_sequence: 0, notified_sessions }))
            }
            other => Err(status::unexpected(&other)),
        }
    }

    type HistoryStream = HistoryStream;

    async fn history(&self, request: Request<HistoryRequest>) -> Result<Response<HistoryStream>, Status> {
        let request = request.into_inner();
        let key = account_key(request.tenant, request.account_id)?;
        let (from, until) = (request.from_time.unwrap_or(i64::MIN), request.until_time.unwrap_or(i64::MAX));
        let found = self
            .core
            .query(move |books| books.account(&key).map(|_| (books.history(&key), books.balance_history(&key))));
        let found = found.await.map_err(|error| status::not_done(&error))?;
        let (own, others) = found.ok_or_else(|| Status::not_found("no such account"))?;
        let mut entries = balance::history(own, others);
        entries.retain(|entry| (from..until).contains(&entry.time));
        if let Some(limit) = request.limit.and_then(|limit| usize::try_from(limit).ok()) {
            entries = entries.split_off(entries.len().saturating_sub(limit));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(entries.into_iter().map(Ok)))))
    }

    async fn get_limits(&self, request: Request<GetLimitsRequest>) -> Result<Response<AccountLimits>, Status> {
        let request = request.into_inner();
        let view = self.limits(account_key(request.tenant, request.account_id)?).await?;
        Ok(Response::new(limits::shown(view)))
    }

    async fn set_limits(&self, request: Request<SetLimitsRequest>) -> Result<Response<AccountLimits>, Status> {
        let request = request.into_inner();
        let account = account_key(request.tenant, request.account_id)?;
        let own = self.limits(account.clone()).await?.own;
        let limits = Box::new(limits::changed(own, request.limits.unwrap_or_default())?);
        match self.decide(Command::SetLimits { account, limits }).await? {
            Outcome::Limits(view) => Ok(Response::new(limits::shown(*view))),
            other => Err(status::unexpected(&other)),
        }
    }
}

impl Accounts {
    async fn decide(&self, command: Command) -> Result<Outcome, Status> {
        self.core.decide(command).await.map_err(|error| status::not_done(&error))
    }

    async fn transfer(&self, command: Command) -> Result<Receipt, Status> {
        match self.decide(command).await? {
            Outcome::Transferred(receipt) => Ok(*receipt),
            other => Err(status::unexpected(&other)),
        }
    }

    async fn limits(&self, key: AccountKey) -> Result<ledger::LimitsView, Status> {
        let found = self.core.limits(key).await.map_err(|error| status::not_done(&error))?;
        found.ok_or_else(|| Status::not_found("no such account"))
    }

    async fn change_balance(&self, change: ChangeBalance) -> Result<BalanceReceipt, Status> {
        match self.decide(Command::ChangeBalance(Box::new(change))).await? {
            Outcome::BalanceChanged(receipt) => Ok(*receipt),
            other => Err(status::unexpected(&other)),
        }
    }

    async fn balance_changed(
        &self,
        receipt: BalanceReceipt,
        notifies: bool,
    ) -> Result<Response<AccountChange>, Status> {
        let (view, notified_sessions) = self.after(receipt.account.clone(), notifies).await?;
        let mut account = shown(view);
        balance::as_of(&mut account.balances, &receipt);
        Ok(Response::new(AccountChange { account: Some(account), history_sequence: 0, notified_sessions }))
    }

    /// The account after a change, and how many sessions were told to ask again, where the change may have told some.
    async fn after(&self, key: AccountKey, notifies: bool) -> Result<(AccountView, u32), Status> {
        let found = self.core.query(move |books| {
            let notified =
                if notifies { notified(books, &key, |kind| kind == NotificationKind::Reauthorize) } else { 0 };
            books.account(&key).map(|view| (view, notified))
        });
        let found = found.await.map_err(|error| status::not_done(&error))?;
        found.ok_or_else(|| Status::not_found("no such account"))
    }

    /// `notifies`: the change may have told sessions to ask again.
    async fn changed(&self, receipt: Receipt, notifies: bool) -> Result<Response<AccountChange>, Status> {
        let (mut view, notified_sessions) = self.after(receipt.account.clone(), notifies).await?;
        // As of the change itself, also for a copy that comes much later.
        (view.balance, view.available) = (receipt.balance, receipt.available);
        Ok(Response::new(AccountChange { account: Some(shown(view)), history_sequence: 0, notified_sessions }))
    }
}

/// The account's sessions that have been told, and have not reported since.
fn notified(books: &Books, key: &AccountKey, wanted: impl Fn(NotificationKind) -> bool) -> u32 {
    let told = books.sessions_on(key).into_iter().filter(|session| {
        let pending = books.notifications(&session.client_id);
        pending.iter().any(|one| one.session_id == session.session_id && wanted(one.kind))
    });
    u32::try_from(told.count()).unwrap_or(u32::MAX)
}

fn account_key(tenant: String, account_id: String) -> Result<AccountKey, Status> {
    Ok(AccountKey {
        tenant: convert::required("tenant", tenant).map_err(status::unreadable)?,
        id: convert::required("account_id", account_id).map_err(status::unreadable)?,
    })
}

fn read_account(account: Account) -> Result<CreateAccount, Status> {
    if account.subject.is_some() || account.blocked {
        return Err(status::unsupported("subject and blocked at creation"));
    }
    let identities: Result<Vec<SubscriberId>, _> =
        account.subscribers.into_iter().map(SubscriberId::try_from).collect();
    let amount = |field, text: Option<String>| text.map(|text| convert::money(field, &text)).transpose();
    Ok(CreateAccount {
        key: account_key(account.tenant, account.account_id)?,
        currency: convert::currency("currency", &account.currency).map_err(status::unreadable)?,
        identities: identities.map_err(status::unreadable)?,
        low_balance_limit: amount("low_balance_limit", account.low_balance_limit).map_err(status::unreadable)?,
        credit_limit: amount("credit_limit", account.credit_limit).map_err(status::unreadable)?,
    })
}

/// The money that a new account starts with, and its other balances.
fn first_balances(account: &Account) -> Result<(Money, Vec<Balance>), Status> {
    let (own, others): (Vec<Balance>, Vec<Balance>) =
        account.balances.iter().cloned().partition(|balance| balance.balance_id == MAIN_BALANCE);
    match own.as_slice() {
        [] => Ok((Money::ZERO, others)),
        [balance] if balance.kind == BalanceKind::Money as i32 => Ok((read_money(balance.value.clone())?, others)),
        _ => Err(Status::invalid_argument("the balance money is there once and counts money")),
    }
}

fn only_money(kind: Option<i32>) -> Result<(), Status> {
    if kind.is_none_or(|kind| kind == BalanceKind::Money as i32) {
        Ok(())
    } else {
        Err(Status::invalid_argument("the balance money counts money; name another balance_id"))
    }
}

fn read_top_up(account: AccountKey, request: TopUpRequest) -> Result<ChangeBalance, Status> {
    let kind = request.kind.map(|kind| convert::balance_kind("kind", kind)).transpose().map_err(status::unreadable)?;
    let terms = request.terms.as_ref().map(balance::read_terms).transpose()?;
    let (balance_id, valid_until) = (request.balance_id.unwrap_or_default(), request.expiry_time.map(UtcMs));
    let change = read_change(account, request.request_id, balance_id, request.amount, request.currency)?;
    Ok(ChangeBalance { kind, credit: true, terms, valid_until, ..change })
}

fn read_debit(account: AccountKey, request: DebitRequest) -> Result<ChangeBalance, Status> {
    let balance_id = request.balance_id.unwrap_or_default();
    read_change(account, request.request_id, balance_id, request.amount, request.currency)
}

fn read_change(
    account: AccountKey,
    request_id: String,
    balance_id: String,
    amount: Option<BalanceAmount>,
    currency: Option<String>,
) -> Result<ChangeBalance, Status> {
    let operation_id: String = convert::required("request_id", request_id).map_err(status::unreadable)?;
    let currency = currency.map(|currency| convert::currency("currency", &currency)).transpose();
    Ok(ChangeBalance {
        account,
        operation_id: operation_id.into(),
        balance_id: balance_id.into(),
        kind: None,
        credit: false,
        amount: convert::balance_amount("amount", amount).map_err(status::unreadable)?,
        currency: currency.map_err(status::unreadable)?,
        terms: None,
        valid_until: None,
    })
}

fn read_transfer(
    account: AccountKey,
    request_id: String,
    amount: Option<BalanceAmount>,
    currency: Option<String>,
) -> Result<Transfer, Status> {
    let currency = currency.map(|currency| convert::currency("currency", &currency)).transpose();
    let operation_id: String = convert::required("request_id", request_id).map_err(status::unreadable)?;
    Ok(Transfer {
        account,
        operation_id: operation_id.into(),
        amount: read_money(amount)?,
        currency: currency.map_err(status::unreadable)?,
    })
}

fn read_money(amount: Option<BalanceAmount>) -> Result<Money, Status> {
    match amount.and_then(|amount| amount.amount) {
        Some(balance_amount::Amount::Money(text)) => convert::money("amount", &text).map_err(status::unreadable),
        Some(balance_amount::Amount::Units(_)) => Err(Status::invalid_argument("the balance money counts money")),
        None => Err(Status::invalid_argument("field amount is missing")),
    }
}

fn shown(view: AccountView) -> Account {
    let currency: Currency = view.currency;
    let own = Balance {
        balance_id: MAIN_BALANCE.to_owned(),
        kind: BalanceKind::Money as i32,
        value: money(view.balance),
        held: money(view.held),
        ..Balance::default()
    };
    let further = view.balances.iter().filter_map(|balance| match (balance.value, balance.held) {
        (types::charging::BalanceAmount::Money(value), types::charging::BalanceAmount::Money(held)) => {
            Some(value - held)
        }
        _ => None,
    });
    let available = view.available + further.sum();
    let mut balances: Vec<Balance> =
        std::iter::once(own).chain(view.balances.into_iter().map(balance::shown)).collect();
    balances.sort_by_key(|balance| -i64::from(balance.weight));
    Account {
        tenant: view.key.tenant.to_string(),
        account_id: view.key.id.to_string(),
        currency: currency.to_string(),
        subscribers: view.identities.into_iter().map(Into::into).collect(),
        balances,
        blocked: view.blocked,
        credit_limit: (!view.credit_limit.is_zero()).then(|| view.credit_limit.to_string()),
        low_balance_limit: view.low_balance_limit.map(|limit| limit.to_string()),
        available: available.to_string(),
        open_sessions: view.open_sessions,
        ..Account::default()
    }
}
