//! AccountService: accounts with one money balance; what this version's books do not have is refused, never ignored.

use std::pin::Pin;

use charging_proto::convert;
use charging_proto::v1::account_service_server::AccountService;
use charging_proto::v1::{
    Account, AccountChange, Balance, BalanceAmount, BalanceKind, BlockRequest, CreateAccountRequest, DebitRequest,
    GetAccountRequest, HistoryEntry, HistoryKind, HistoryRequest, ListAccountsRequest, TopUpRequest, balance_amount,
    get_account_request,
};
use ledger::{
    AccountKey, AccountView, Books, Command, CreateAccount, Movement, MovementKind, OpenAccount, Outcome, Receipt,
    Transfer,
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use types::charging::{NotificationKind, SubscriberId};
use types::{AccountId, Currency, Money, Tenant};

use super::status;
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
        let first_balance = first_balance(&account)?;
        let create = read_account(account)?;
        let open = OpenAccount { create, operation_id: operation_id.into(), first_balance };
        match self.decide(Command::OpenAccount(Box::new(open))).await? {
            Outcome::Account(view) => Ok(Response::new(shown(*view))),
            other => Err(status::unexpected(&other)),
        }
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
        only_money(request.balance_id.as_deref(), request.kind, request.expiry_time)?;
        let key = account_key(request.tenant, request.account_id)?;
        let transfer = read_transfer(key, request.request_id, request.amount, request.currency)?;
        let receipt = self.transfer(Command::TopUp(transfer)).await?;
        self.changed(receipt, true).await
    }

    async fn debit(&self, request: Request<DebitRequest>) -> Result<Response<AccountChange>, Status> {
        let request = request.into_inner();
        only_money(request.balance_id.as_deref(), None, None)?;
        if request.allow_negative {
            return Err(status::unsupported("allow_negative"));
        }
        let key = account_key(request.tenant, request.account_id)?;
        let transfer = read_transfer(key, request.request_id, request.amount, request.currency)?;
        let receipt = self.transfer(Command::Debit(transfer)).await?;
        self.changed(receipt, false).await
    }

    async fn block(&self, request: Request<BlockRequest>) -> Result<Response<AccountChange>, Status> {
        let request = request.into_inner();
        if request.release_cause.is_some() {
            return Err(status::unsupported("release_cause"));
        }
        let key = account_key(request.tenant, request.account_id)?;
        let blocked = key.clone();
        let command = if request.blocked { Command::Block(key) } else { Command::Unblock(key) };
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
        let found = self.core.query(move |books| books.account(&key).map(|_| books.history(&key))).await;
        let found = found.map_err(|error| status::not_done(&error))?;
        let movements = found.ok_or_else(|| Status::not_found("no such account"))?;
        let mut entries: Vec<HistoryEntry> = (1_u64..)
            .zip(movements)
            .filter(|(_, movement)| (from..until).contains(&movement.at.0))
            .map(|(sequence, movement)| history_entry(sequence, movement))
            .collect();
        if let Some(limit) = request.limit.and_then(|limit| usize::try_from(limit).ok()) {
            entries = entries.split_off(entries.len().saturating_sub(limit));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(entries.into_iter().map(Ok)))))
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

    /// `notifies`: the change may have told sessions to ask again.
    async fn changed(&self, receipt: Receipt, notifies: bool) -> Result<Response<AccountChange>, Status> {
        let key = receipt.account.clone();
        let found = self.core.query(move |books| {
            let notified =
                if notifies { notified(books, &key, |kind| kind == NotificationKind::Reauthorize) } else { 0 };
            books.account(&key).map(|view| (view, notified))
        });
        let found = found.await.map_err(|error| status::not_done(&error))?;
        let (mut view, notified_sessions) = found.ok_or_else(|| Status::not_found("no such account"))?;
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
    if account.maximum_sessions.is_some() || account.subject.is_some() || account.blocked {
        return Err(status::unsupported("maximum_sessions, subject and blocked at creation"));
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

/// The money that a new account starts with.
fn first_balance(account: &Account) -> Result<Money, Status> {
    match account.balances.as_slice() {
        [] => Ok(Money::ZERO),
        [balance] if balance.kind == BalanceKind::Money as i32 => read_money(balance.value.clone()),
        _ => Err(status::unsupported("balances other than one of money")),
    }
}

fn only_money(balance_id: Option<&str>, kind: Option<i32>, expiry_time: Option<i64>) -> Result<(), Status> {
    let money = kind.is_none_or(|kind| kind == BalanceKind::Money as i32);
    if money && expiry_time.is_none() && balance_id.is_none_or(|id| id == MONEY) {
        Ok(())
    } else {
        Err(status::unsupported("balances other than one of money, without expiry"))
    }
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
        Some(balance_amount::Amount::Units(_)) => Err(status::unsupported("balances other than one of money")),
        None => Err(Status::invalid_argument("field amount is missing")),
    }
}

fn money(amount: Money) -> Option<BalanceAmount> {
    Some(BalanceAmount { amount: Some(balance_amount::Amount::Money(amount.to_string())) })
}

fn shown(view: AccountView) -> Account {
    let currency: Currency = view.currency;
    Account {
        tenant: view.key.tenant.to_string(),
        account_id: view.key.id.to_string(),
        currency: currency.to_string(),
        subscribers: view.identities.into_iter().map(Into::into).collect(),
        balances: vec![Balance {
            balance_id: MONEY.to_owned(),
            kind: BalanceKind::Money as i32,
            value: money(view.balance),
            held: money(view.held),
            ..Balance::default()
        }],
        blocked: view.blocked,
        credit_limit: (!view.credit_limit.is_zero()).then(|| view.credit_limit.to_string()),
        low_balance_limit: view.low_balance_limit.map(|limit| limit.to_string()),
        available: view.available.to_string(),
        open_sessions: view.open_sessions,
        ..Account::default()
    }
}

fn history_entry(sequence: u64, movement: Movement) -> HistoryEntry {
    let kind = match movement.kind {
        MovementKind::TopUp => HistoryKind::TopUp,
        MovementKind::Debit => HistoryKind::Debit,
        MovementKind::Charge => HistoryKind::Charge,
        MovementKind::Refund => HistoryKind::Refund,
    };
    let by_operator = matches!(movement.kind, MovementKind::TopUp | MovementKind::Debit);
    let reference = String::from(movement.reference);
    let (request_id, session_id) = if by_operator { (Some(reference), None) } else { (None, Some(reference)) };
    HistoryEntry {
        sequence,
        time: movement.at.0,
        kind: kind as i32,
        balance_id: Some(MONEY.to_owned()),
        change: money(movement.amount),
        value_after: money(movement.balance),
        session_id,
        request_id,
        ..HistoryEntry::default()
    }
}

/// The only balance's name.
const MONEY: &str = "money";
