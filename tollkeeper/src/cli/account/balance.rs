//! `account balance`: bundles of minutes, octets and messages, and further money.

use charging_proto::TokenChannel;
use charging_proto::v1::account_service_client::AccountServiceClient;
use charging_proto::v1::{
    AccountChange, Balance, BalanceAmount, BalanceKind, DebitRequest, GetAccountRequest, TopUpRequest, balance_amount,
    get_account_request,
};
use clap::{Args, Subcommand, ValueEnum};
use types::UtcMs;

use super::view::AccountView;
use crate::cli::connection::{CoreArgs, new_request_id, refused};
use crate::cli::{parse, show};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Put something into a balance; makes it when it is not there.
    #[command(after_help = "Examples:
  tollkeeper account balance put alice minutes 100m --kind voice --weight 10 --until 2026-12-31 --destination +49
  tollkeeper account balance put alice data 5GB --kind data --weight 10
  tollkeeper account balance put alice gift 2.50 --kind money --weight 5
  tollkeeper account balance put alice minutes 0 --until 2027-01-31      only a new expiry")]
    Put(PutArgs),
    /// Take something out, never more than is available.
    #[command(after_help = "Examples:
  tollkeeper account balance take alice minutes 10m")]
    Take(TakeArgs),
}

#[derive(Debug, Args)]
struct Which {
    /// The account's id.
    id: String,
    /// The balance's name.
    balance: String,
    /// How much: 2.50 of money, 90s or 100m of voice, 500MB or 5GB of data, a number otherwise.
    amount: String,
    /// Whose customer.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Makes it count once, however often it is repeated. Made up and printed when absent.
    #[arg(long)]
    request_id: Option<String>,
}

#[derive(Debug, Args)]
pub struct PutArgs {
    #[command(flatten)]
    which: Which,
    /// What a new balance counts.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Heavier balances are used first; the account's own money weighs 0.
    #[arg(long, allow_negative_numbers = true)]
    weight: Option<i32>,
    /// Only for called numbers that begin so; may be repeated.
    #[arg(long, value_name = "PREFIX")]
    destination: Vec<String>,
    /// Only for this rating category; may be repeated.
    #[arg(long)]
    category: Vec<String>,
    /// Not usable before.
    #[arg(long, value_parser = parse::time, value_name = "TIME")]
    from: Option<UtcMs>,
    /// Not usable from then on.
    #[arg(long, value_parser = parse::time, value_name = "TIME")]
    until: Option<UtcMs>,
    /// When it fits and is used up, nothing lighter pays: the call is refused.
    #[arg(long)]
    blocker: bool,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct TakeArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Money, in the account's currency.
    Money,
    /// Time of speech.
    Voice,
    /// Octets.
    Data,
    /// Messages.
    Sms,
    /// Multimedia messages and other units.
    Generic,
}

/// Does it.
pub async fn run(
    core: &CoreArgs,
    accounts: &mut AccountServiceClient<TokenChannel>,
    command: Command,
) -> anyhow::Result<()> {
    match command {
        Command::Put(args) => put(core, accounts, args).await,
        Command::Take(args) => take(core, accounts, args).await,
    }
}

async fn put(core: &CoreArgs, accounts: &mut AccountServiceClient<TokenChannel>, args: PutArgs) -> anyhow::Result<()> {
    let named = args.weight.is_some() || args.blocker || args.from.is_some();
    let named = named || !args.destination.is_empty() || !args.category.is_empty();
    let present = find(core, accounts, &args.which).await?;
    let kind = match (args.kind.map(BalanceKind::from), &present) {
        (Some(kind), _) => kind,
        (None, Some(balance)) => balance.kind(),
        (None, None) => anyhow::bail!(
            "account {} has no balance {}; to make it, say what it counts: --kind money, voice, data, sms or generic",
            args.which.id,
            args.which.balance
        ),
    };
    let terms = named.then(|| Balance {
        weight: args.weight.unwrap_or(0),
        destinations: args.destination,
        categories: args.category,
        valid_from_time: args.from.map(|time| time.0),
        expiry_time: args.until.map(|time| time.0),
        blocker: args.blocker,
        ..Balance::default()
    });
    let Which { id, balance, amount, tenant, request_id } = args.which;
    let request_id = request_id.unwrap_or_else(new_request_id);
    let request = TopUpRequest {
        request_id: request_id.clone(),
        tenant,
        account_id: id,
        balance_id: Some(balance),
        kind: Some(kind.into()),
        amount: Some(read_amount(kind, &amount).map_err(anyhow::Error::msg)?),
        expiry_time: args.until.map(|time| time.0),
        terms,
        ..TopUpRequest::default()
    };
    let done = accounts.top_up(request).await;
    show_change(done.map_err(|status| refused(core, &status).context(format!("request id {request_id}")))?, args.format)
}

async fn take(
    core: &CoreArgs,
    accounts: &mut AccountServiceClient<TokenChannel>,
    args: TakeArgs,
) -> anyhow::Result<()> {
    let present = find(core, accounts, &args.which).await?;
    let Which { id, balance, amount, tenant, request_id } = args.which;
    let Some(present) = present else { anyhow::bail!("account {id} has no balance {balance}") };
    let request_id = request_id.unwrap_or_else(new_request_id);
    let request = DebitRequest {
        request_id: request_id.clone(),
        tenant,
        account_id: id,
        balance_id: Some(balance),
        amount: Some(read_amount(present.kind(), &amount).map_err(anyhow::Error::msg)?),
        ..DebitRequest::default()
    };
    let done = accounts.debit(request).await;
    show_change(done.map_err(|status| refused(core, &status).context(format!("request id {request_id}")))?, args.format)
}

fn show_change(done: tonic::Response<AccountChange>, format: show::Format) -> anyhow::Result<()> {
    AccountView::from(done.into_inner().account.unwrap_or_default()).print(format)
}

async fn find(
    core: &CoreArgs,
    accounts: &mut AccountServiceClient<TokenChannel>,
    which: &Which,
) -> anyhow::Result<Option<Balance>> {
    let name = Some(get_account_request::Name::AccountId(which.id.clone()));
    let request = GetAccountRequest { tenant: which.tenant.clone(), name };
    let account = accounts.get(request).await.map_err(|status| refused(core, &status))?.into_inner();
    Ok(account.balances.into_iter().find(|balance| balance.balance_id == which.balance))
}

/// An amount of what the balance counts.
fn read_amount(kind: BalanceKind, text: &str) -> Result<BalanceAmount, String> {
    let units = match kind {
        BalanceKind::Money => {
            let money = parse::not_negative(text)?.to_string();
            return Ok(BalanceAmount { amount: Some(balance_amount::Amount::Money(money)) });
        }
        BalanceKind::Voice if text != "0" => {
            let duration: types::ConfigDuration =
                text.parse().map_err(|_| "voice is measured in time, such as 90s, 100m or 10h".to_owned())?;
            duration.ms()
        }
        BalanceKind::Data => octets(text)?,
        _ => text.parse().map_err(|_| "is a number".to_owned())?,
    };
    let units = i64::try_from(units).map_err(|_| "is too much".to_owned())?;
    Ok(BalanceAmount { amount: Some(balance_amount::Amount::Units(units)) })
}

/// Octets, with decimal multiples.
fn octets(text: &str) -> Result<u64, String> {
    let wrong = || "data is measured in octets, such as 500MB or 5GB".to_owned();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let multiple: u64 = match unit {
        "" | "B" => 1,
        "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(multiple)).ok_or_else(wrong)
}

impl From<Kind> for BalanceKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Money => Self::Money,
            Kind::Voice => Self::Voice,
            Kind::Data => Self::Data,
            Kind::Sms => Self::Sms,
            Kind::Generic => Self::Generic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_by_kind() {
        let units = |kind, text| match read_amount(kind, text).map(|amount| amount.amount) {
            Ok(Some(balance_amount::Amount::Units(units))) => Some(units),
            _ => None,
        };
        assert_eq!(units(BalanceKind::Voice, "100m"), Some(6_000_000));
        assert_eq!(units(BalanceKind::Voice, "0"), Some(0));
        assert_eq!(units(BalanceKind::Data, "5GB"), Some(5_000_000_000));
        assert_eq!(units(BalanceKind::Sms, "10"), Some(10));
        for (kind, text) in [
            (BalanceKind::Voice, "100"),
            (BalanceKind::Data, "5XB"),
            (BalanceKind::Data, "99999999999TB"),
            (BalanceKind::Sms, "-1"),
            (BalanceKind::Money, "-1"),
        ] {
            assert!(read_amount(kind, text).is_err(), "{text}");
        }
        assert!(read_amount(BalanceKind::Money, "2.50").is_ok());
    }
}
