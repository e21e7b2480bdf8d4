//! `account ...`: everything over gRPC.

use charging_proto::TokenChannel;
use charging_proto::v1::account_service_client::AccountServiceClient;
use charging_proto::v1::{
    Account, AccountChange, Balance, BalanceAmount, BalanceKind, BlockRequest, CreateAccountRequest, DebitRequest,
    GetAccountRequest, HistoryRequest, ListAccountsRequest, ReleaseCause, SubscriberId, TopUpRequest, balance_amount,
    get_account_request,
};
use clap::{Args, Subcommand, ValueEnum};
use types::{Currency, Money, UtcMs};

use super::connection::{CoreArgs, connect, new_request_id, refused, talk};
use super::{parse, show};

mod balance;
mod limits;
mod view;

use view::{AccountView, HistoryView, TransferView};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an account, with its first balance.
    #[command(after_help = "Examples:
  tollkeeper account create alice --balance 10.00
  tollkeeper account create alice --tenant acme --currency EUR --balance 10.00 --identity e164:+49301234567 --low-balance 1.00")]
    Create(CreateArgs),
    /// Add money. Running calls of the account hear of it.
    #[command(after_help = "Examples:
  tollkeeper account topup alice 5.00
  tollkeeper account topup alice 5.00 --request-id voucher-4711    repeat it as often as you like: it counts once")]
    #[command(alias = "top-up")]
    Topup(TransferArgs),
    /// Take money, never more than is available.
    #[command(after_help = "Examples:
  tollkeeper account debit alice 2.50 --request-id fee-2026-11")]
    Debit(TransferArgs),
    /// Show one account.
    #[command(after_help = "Examples:
  tollkeeper account show alice
  tollkeeper account show --identity e164:+49301234567 --json")]
    Show(ShowArgs),
    /// List the accounts of a tenant.
    #[command(after_help = "Examples:
  tollkeeper account list
  tollkeeper account list --tenant acme --blocked true --json")]
    List(ListArgs),
    /// Refuse every new call of an account, and end the running ones.
    #[command(after_help = "Examples:
  tollkeeper account block alice
  tollkeeper account block alice --cause fraud     the records of its calls say so")]
    Block(BlockArgs),
    /// Allow calls again.
    #[command(after_help = "Examples:
  tollkeeper account unblock alice")]
    Unblock(OneArgs),
    /// The latest movements of an account, oldest first.
    #[command(after_help = "Examples:
  tollkeeper account history alice --since 2026-11-01
  tollkeeper account history alice --limit 5 --json")]
    History(HistoryArgs),
    /// Bundles of minutes, octets and messages, and further money.
    #[command(after_help = "Examples:
  tollkeeper account balance put alice minutes 100m --kind voice --weight 10
  tollkeeper account balance take alice minutes 10m")]
    #[command(subcommand)]
    Balance(balance::Command),
    /// Show what an account may do besides paying, or set limits of its own.
    #[command(after_help = "Examples:
  tollkeeper account limits alice
  tollkeeper account limits alice --sessions 4 --cost-per-day 20.00 --destination premium=denied
  tollkeeper account limits alice --cost-per-hour none     no limit, whatever is configured
  tollkeeper account limits alice --sessions default       as configured in [core.policy]")]
    Limits(limits::LimitsArgs),
}

#[derive(Debug, Args)]
struct TenantArg {
    /// Whose customer.
    #[arg(long, default_value = "default")]
    tenant: String,
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The account's id.
    id: String,
    #[command(flatten)]
    of: TenantArg,
    /// Currency, three capital letters; fixed for ever.
    #[arg(long, default_value = "EUR")]
    currency: Currency,
    /// What it starts with.
    #[arg(long, value_parser = parse::not_negative, value_name = "AMOUNT")]
    balance: Option<Money>,
    /// Another identity that leads to it, such as e164:+49301234567; may be repeated.
    #[arg(long, value_parser = parse::identity, value_name = "KIND:VALUE")]
    identity: Vec<SubscriberId>,
    /// Answers warn of a low balance when less than this is left.
    #[arg(long, value_parser = parse::not_negative, value_name = "AMOUNT")]
    low_balance: Option<Money>,
    /// How far below zero it may be spent.
    #[arg(long, value_parser = parse::not_negative, value_name = "AMOUNT")]
    credit_limit: Option<Money>,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct TransferArgs {
    /// The account's id.
    id: String,
    /// How much, such as 5.00.
    #[arg(value_parser = parse::amount)]
    amount: Money,
    #[command(flatten)]
    of: TenantArg,
    /// Makes it count once, however often it is repeated. Made up and printed when absent.
    #[arg(long)]
    request_id: Option<String>,
    /// Checked against the account's.
    #[arg(long)]
    currency: Option<Currency>,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The account's id.
    #[arg(required_unless_present = "identity", conflicts_with = "identity")]
    id: Option<String>,
    /// Another identity that leads to it.
    #[arg(long, value_parser = parse::identity, value_name = "KIND:VALUE")]
    identity: Option<SubscriberId>,
    #[command(flatten)]
    of: TenantArg,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Only blocked (true) or not blocked (false) ones.
    #[arg(long)]
    blocked: Option<bool>,
    /// Only ids after this one.
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// At most so many.
    #[arg(long)]
    limit: Option<u32>,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct OneArgs {
    /// The account's id.
    id: String,
    #[command(flatten)]
    of: TenantArg,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct BlockArgs {
    #[command(flatten)]
    of: OneArgs,
    /// Why; written to the records of the calls that it ends. Absent: the block itself.
    #[arg(long, value_enum)]
    cause: Option<BlockCause>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BlockCause {
    /// Fraud was seen.
    Fraud,
    /// A policy says no.
    Policy,
    /// An operator says no.
    Operator,
}

impl From<BlockCause> for ReleaseCause {
    fn from(cause: BlockCause) -> Self {
        match cause {
            BlockCause::Fraud => Self::Fraud,
            BlockCause::Policy => Self::Policy,
            BlockCause::Operator => Self::Operator,
        }
    }
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The account's id.
    id: String,
    #[command(flatten)]
    of: TenantArg,
    /// Not before this time.
    #[arg(long, value_parser = parse::time, value_name = "TIME")]
    since: Option<UtcMs>,
    /// Before this time.
    #[arg(long, value_parser = parse::time, value_name = "TIME")]
    until: Option<UtcMs>,
    /// The newest so many.
    #[arg(long)]
    limit: Option<u32>,
    #[command(flatten)]
    format: show::Format,
}

/// Does it.
pub fn run(core: &CoreArgs, command: Command) -> anyhow::Result<()> {
    talk(async {
        let mut desk = Desk { core, accounts: AccountServiceClient::new(connect(core).await?) };
        match command {
            Command::Create(args) => desk.create(args).await,
            Command::Topup(args) => desk.transfer(args, true).await,
            Command::Debit(args) => desk.transfer(args, false).await,
            Command::Show(args) => desk.show(args).await,
            Command::List(args) => desk.list(args).await,
            Command::Block(args) => desk.block(args.of, args.cause.map(Into::into), true).await,
            Command::Unblock(args) => desk.block(args, None, false).await,
            Command::History(args) => desk.history(args).await,
            Command::Balance(command) => balance::run(core, &mut desk.accounts, command).await,
            Command::Limits(args) => limits::run(core, &mut desk.accounts, args).await,
        }
    })
}

struct Desk<'a> {
    core: &'a CoreArgs,
    accounts: AccountServiceClient<TokenChannel>,
}

impl Desk<'_> {
    async fn create(mut self, args: CreateArgs) -> anyhow::Result<()> {
        let balances = args.balance.map(|balance| Balance {
            balance_id: "money".to_owned(),
            kind: BalanceKind::Money.into(),
            value: Some(money(balance)),
            ..Balance::default()
        });
        let account = Account {
            tenant: args.of.tenant,
            account_id: args.id,
            currency: args.currency.to_string(),
            subscribers: args.identity,
            balances: balances.into_iter().collect(),
            credit_limit: args.credit_limit.map(|limit| limit.to_string()),
            low_balance_limit: args.low_balance.map(|limit| limit.to_string()),
            ..Account::default()
        };
        let request = CreateAccountRequest { request_id: new_request_id(), account: Some(account) };
        let created = self.accounts.create(request).await.map_err(|status| refused(self.core, &status))?;
        AccountView::from(created.into_inner()).print(args.format)
    }

    async fn transfer(mut self, args: TransferArgs, in_: bool) -> anyhow::Result<()> {
        let request_id = args.request_id.unwrap_or_else(new_request_id);
        let currency = args.currency.map(|currency| currency.to_string());
        let amount = Some(money(args.amount));
        let (tenant, account_id) = (args.of.tenant, args.id);
        let done = if in_ {
            let request_id = request_id.clone();
            let request = TopUpRequest { request_id, tenant, account_id, amount, currency, ..TopUpRequest::default() };
            self.accounts.top_up(request).await
        } else {
            let request_id = request_id.clone();
            let request = DebitRequest { request_id, tenant, account_id, amount, currency, ..DebitRequest::default() };
            self.accounts.debit(request).await
        };
        let AccountChange { account, notified_sessions, .. } = done
            .map_err(|status| refused(self.core, &status).context(format!("request id {request_id}")))?
            .into_inner();
        let account = AccountView::from(account.unwrap_or_default());
        TransferView { request_id, amount: args.amount, notified_sessions, account }.print(args.format)
    }

    async fn show(mut self, args: ShowArgs) -> anyhow::Result<()> {
        let name = match (args.id, args.identity) {
            (Some(id), _) => Some(get_account_request::Name::AccountId(id)),
            (None, identity) => identity.map(get_account_request::Name::Subscriber),
        };
        let request = GetAccountRequest { tenant: args.of.tenant, name };
        let found = self.accounts.get(request).await.map_err(|status| refused(self.core, &status))?;
        AccountView::from(found.into_inner()).print(args.format)
    }

    async fn list(mut self, args: ListArgs) -> anyhow::Result<()> {
        let request = ListAccountsRequest {
            tenant: args.of.tenant,
            after_account_id: args.after,
            limit: args.limit,
            blocked: args.blocked,
        };
        let mut listed = self.accounts.list(request).await.map_err(|status| refused(self.core, &status))?.into_inner();
        let mut accounts = Vec::new();
        while let Some(account) = listed.message().await.map_err(|status| refused(self.core, &status))? {
            accounts.push(AccountView::from(account));
        }
        AccountView::print_all(&accounts, args.format)
    }

    async fn block(mut self, args: OneArgs, cause: Option<ReleaseCause>, blocked: bool) -> anyhow::Result<()> {
        let request = BlockRequest {
            request_id: new_request_id(),
            tenant: args.of.tenant,
            account_id: args.id,
            blocked,
            release_cause: cause.map(Into::into),
            ..BlockRequest::default()
        };
        let done = self.accounts.block(request).await.map_err(|status| refused(self.core, &status))?;
        AccountView::from(done.into_inner().account.unwrap_or_default()).print(args.format)
    }

    async fn history(mut self, args: HistoryArgs) -> anyhow::Result<()> {
        let request = HistoryRequest {
            tenant: args.of.tenant,
            account_id: args.id,
            from_time: args.since.map(|time| time.0),
            until_time: args.until.map(|time| time.0),
            limit: args.limit,
        };
        let mut listed =
            self.accounts.history(request).await.map_err(|status| refused(self.core, &status))?.into_inner();
        let mut entries = Vec::new();
        while let Some(entry) = listed.message().await.map_err(|status| refused(self.core, &status))? {
            entries.push(HistoryView::from(entry));
        }
        HistoryView::print_all(&entries, args.format)
    }
}

fn money(amount: Money) -> BalanceAmount {
    BalanceAmount { amount: Some(balance_amount::Amount::Money(amount.to_string())) }
}
