//! Balances beside money and limits over loopback, over restarts, and in what a subscriber hears.

use charging_proto::v1::account_service_client::AccountServiceClient;
use charging_proto::v1::charging_service_client::ChargingServiceClient;
use charging_proto::v1::session_service_client::SessionServiceClient;
use charging_proto::v1::{
    Account, AccountLimits, Balance, BalanceAmount, BalanceKind, BlockRequest, ChargingDataRequest,
    CreateAccountRequest, DebitRequest, DestinationLimit, GetAccountRequest, GetLimitsRequest, GetSessionRequest,
    HistoryRequest, Limit, LimitSettings, NotificationKind, NotifyRequest, ReleaseCause, SetLimitsRequest,
    TopUpRequest, balance_amount, destination_limit, get_account_request, limit,
};
use ledger::{DestinationClass, DestinationRule, Policy};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;

use crate::rig::{CLIENT, PATIENCE, Place, Server, TENANT, account, charge, initial, is, money, termination};

fn units(amount: i64) -> Option<BalanceAmount> {
    Some(BalanceAmount { amount: Some(balance_amount::Amount::Units(amount)) })
}

fn cash(amount: &str) -> Option<BalanceAmount> {
    Some(BalanceAmount { amount: Some(balance_amount::Amount::Money(amount.into())) })
}

fn minutes(ms: i64) -> Balance {
    Balance {
        balance_id: "minutes".into(),
        kind: BalanceKind::Voice as i32,
        value: units(ms),
        weight: 10,
        destinations: vec!["+49".into()],
        ..Balance::default()
    }
}

fn open(request_id: &str) -> CreateAccountRequest {
    let own =
        Balance { balance_id: "money".into(), kind: BalanceKind::Money as i32, value: cash("1"), ..Balance::default() };
    let account = Account {
        tenant: TENANT.into(),
        account_id: "a".into(),
        currency: "EUR".into(),
        balances: vec![own, minutes(60_000)],
        maximum_sessions: Some(2),
        ..Account::default()
    };
    CreateAccountRequest { request_id: request_id.into(), account: Some(account) }
}

async fn show(accounts: &mut AccountServiceClient<Channel>) -> Account {
    let name = Some(get_account_request::Name::AccountId("a".into()));
    accounts.get(GetAccountRequest { tenant: TENANT.into(), name }).await.expect("there").into_inner()
}

fn top_up(request_id: &str, balance_id: &str, amount: Option<BalanceAmount>) -> TopUpRequest {
    TopUpRequest {
        request_id: request_id.into(),
        tenant: TENANT.into(),
        account_id: "a".into(),
        balance_id: Some(balance_id.into()),
        amount,
        ..TopUpRequest::default()
    }
}

#[tokio::test]
async fn a_bundle_from_its_purchase_to_its_use() {
    let place = Place::new();
    let core = place.start();
    let server = Server::start(&core).await;
    let mut accounts = AccountServiceClient::new(server.channel().await);
    let created = accounts.create(open("r1")).await.expect("made").into_inner();
    assert_eq!(created.balances.iter().map(|one| one.balance_id.as_str()).collect::<Vec<_>>(), ["minutes", "money"]);
    let change = accounts.top_up(top_up("t1", "minutes", units(10_000))).await.expect("added").into_inner();
    let first = change.account.as_ref().and_then(|account| account.balances.first()).cloned().expect("a balance");
    assert_eq!((first.value, first.destinations), (units(70_000), vec!["+49".to_owned()]));
    assert_eq!(accounts.create(open("r1")).await.expect("a copy").into_inner(), created, "as it was answered then");
    assert_eq!(accounts.top_up(top_up("t1", "minutes", units(10_000))).await.expect("a copy").into_inner(), change);
    let take = DebitRequest {
        request_id: "d1".into(),
        tenant: TENANT.into(),
        account_id: "a".into(),
        balance_id: Some("minutes".into()),
        amount: units(10_000),
        ..DebitRequest::default()
    };
    accounts.debit(take).await.expect("taken");
    let mut charging = ChargingServiceClient::new(server.channel().await);
    charge(&core, initial("a", "s", 70)).await;
    let end = ChargingDataRequest::from(termination("a", "s", 1, 70));
    let answer = charging.charge(end.clone()).await.expect("an answer").into_inner();
    let drawn: Vec<_> = answer.drawn.iter().map(|one| (one.balance_id.as_str(), one.amount.clone())).collect();
    assert_eq!(drawn, [("money", cash("0.1")), ("minutes", units(60_000))]);
    // Everything is on the disk: the copy of a request after a restart says the same.
    core.stop();
    server.shut_down().await;
    let core = place.start();
    let server = Server::start(&core).await;
    let mut charging = ChargingServiceClient::new(server.channel().await);
    assert_eq!(charging.charge(end).await.expect("an answer").into_inner(), answer);
    let mut accounts = AccountServiceClient::new(server.channel().await);
    assert_eq!(show(&mut accounts).await.available, "0.9");
    let history = HistoryRequest { tenant: TENANT.into(), account_id: "a".into(), ..HistoryRequest::default() };
    let lines: Vec<_> = accounts.history(history).await.expect("a stream").into_inner().collect().await;
    let lines: Vec<_> = lines.into_iter().map(|line| line.expect("a line")).collect();
    let charged: Vec<_> =
        lines.iter().filter(|line| line.session_id.is_some()).map(|line| line.change.clone()).collect();
    assert_eq!((lines.len(), charged), (6, vec![cash("-0.1"), units(-60_000)]));
    let mut sessions = SessionServiceClient::new(server.channel().await);
    let session = sessions.get(GetSessionRequest { session_id: "s".into() }).await.expect("there").into_inner();
    assert_eq!(session.drawn, answer.drawn);
}

#[tokio::test]
async fn what_balances_cannot_do_is_refused() {
    let place = Place::new();
    let core = place.start();
    let server = Server::start(&core).await;
    let mut accounts = AccountServiceClient::new(server.channel().await);
    accounts.create(open("r1")).await.expect("made");
    let timed = Balance { timing: Some("nights".into()), ..Balance::default() };
    for (request, expected) in [
        (top_up("x", "minutes", cash("1")), Code::InvalidArgument),
        (top_up("x", "minutes", units(0)), Code::InvalidArgument),
        (top_up("x", "money", units(1)), Code::InvalidArgument),
        (TopUpRequest { kind: Some(2), ..top_up("x", "money", cash("1")) }, Code::InvalidArgument),
        (TopUpRequest { expiry_time: Some(1), ..top_up("x", "money", cash("1")) }, Code::InvalidArgument),
        (TopUpRequest { terms: Some(timed), ..top_up("x", "minutes", units(1)) }, Code::Unimplemented),
        (TopUpRequest { kind: Some(9), ..top_up("x", "new", units(1)) }, Code::InvalidArgument),
        (TopUpRequest { kind: Some(3), ..top_up("x", "minutes", units(1)) }, Code::InvalidArgument),
        (TopUpRequest { amount: None, ..top_up("x", "minutes", None) }, Code::InvalidArgument),
    ] {
        let refused = accounts.top_up(request.clone()).await.expect_err("refused");
        assert_eq!(refused.code(), expected, "{request:?}: {refused:?}");
    }
    let only_expiry = TopUpRequest { expiry_time: Some(5), ..top_up("x", "minutes", units(0)) };
    accounts.top_up(only_expiry).await.expect("a new expiry");
    let shown = show(&mut accounts).await.balances.remove(0);
    assert_eq!((shown.expiry_time, shown.weight, shown.value), (Some(5), 10, units(60_000)));
}

fn is_count(count: u32) -> Option<Limit> {
    Some(Limit { limit: Some(limit::Limit::Count(count)) })
}

fn is_money(money: &str) -> Option<Limit> {
    Some(Limit { limit: Some(limit::Limit::Money(money.into())) })
}

async fn limits(accounts: &mut AccountServiceClient<Channel>, limits: LimitSettings) -> AccountLimits {
    let (tenant, account_id) = (TENANT.to_owned(), "a".to_owned());
    let request = SetLimitsRequest { tenant, account_id, limits: Some(limits) };
    accounts.set_limits(request).await.expect("set").into_inner()
}

#[tokio::test]
async fn limits_are_set_shown_and_kept() {
    let mut place = Place::new();
    place.config.policy = Policy {
        maximum_sessions: Some(1),
        destinations: vec![DestinationClass {
            class: "home".into(),
            prefixes: vec!["+4930".into()],
            rule: DestinationRule::Allowed,
        }],
        ..Policy::default()
    };
    let core = place.start();
    account(&core, "a", "10").await;
    let server = Server::start(&core).await;
    let mut accounts = AccountServiceClient::new(server.channel().await);
    charge(&core, initial("a", "s", 30)).await;
    let mut charging = ChargingServiceClient::new(server.channel().await);
    let denied =
        charging.charge(ChargingDataRequest::from(initial("a", "t", 30))).await.expect("an answer").into_inner();
    assert_eq!((denied.result_code, denied.release_cause), (4010, Some(ReleaseCause::Policy as i32)));
    let set = LimitSettings {
        maximum_sessions: is_count(3),
        maximum_cost_per_call: is_money("0.50"),
        ..LimitSettings::default()
    };
    let shown = limits(&mut accounts, set.clone()).await;
    assert_eq!(shown.effective.and_then(|limits| limits.maximum_sessions), is_count(3));
    assert_eq!(shown.open_sessions, 1);
    assert_eq!(
        charge(&core, initial("a", "u", 90)).await.release_cause,
        Some(types::ReleaseCause::Policy),
        "50 s only"
    );
    // One more, and the others stay.
    let hour = LimitSettings { maximum_cost_per_hour: is_money("5"), ..LimitSettings::default() };
    limits(&mut accounts, hour).await;
    core.stop();
    server.shut_down().await;
    let core = place.start();
    let server = Server::start(&core).await;
    let mut accounts = AccountServiceClient::new(server.channel().await);
    let get = GetLimitsRequest { tenant: TENANT.into(), account_id: "a".into() };
    let own = accounts.get_limits(get.clone()).await.expect("there").into_inner().own.expect("some");
    assert_eq!((own.maximum_sessions, own.maximum_cost_per_hour), (is_count(3), is_money("5")));
    let configured = Some(Limit { limit: Some(limit::Limit::AsConfigured(true)) });
    let shown = limits(&mut accounts, LimitSettings { maximum_sessions: configured, ..LimitSettings::default() }).await;
    assert_eq!(shown.effective.and_then(|limits| limits.maximum_sessions), is_count(1));
    let class = |class: &str| LimitSettings {
        destinations: vec![DestinationLimit { class: class.into(), rule: Some(destination_limit::Rule::Denied(true)) }],
        ..LimitSettings::default()
    };
    for (limits, expected) in [
        (class("unknown"), Code::InvalidArgument),
        (LimitSettings { maximum_sessions: is_money("1"), ..LimitSettings::default() }, Code::InvalidArgument),
        (LimitSettings { maximum_cost_per_day: is_money("-1"), ..LimitSettings::default() }, Code::InvalidArgument),
        (
            LimitSettings { maximum_cost_per_day: Some(Limit::default()), ..LimitSettings::default() },
            Code::InvalidArgument,
        ),
    ] {
        let request = SetLimitsRequest { tenant: TENANT.into(), account_id: "a".into(), limits: Some(limits) };
        assert_eq!(accounts.set_limits(request).await.expect_err("refused").code(), expected);
    }
    let nobody = GetLimitsRequest { account_id: "x".into(), ..get };
    assert_eq!(accounts.get_limits(nobody).await.expect_err("unknown").code(), Code::NotFound);
    limits(&mut accounts, class("home")).await;
    assert_eq!(charge(&core, initial("a", "v", 30)).await.result_code.0, 4010);
}

/// A subscriber hears of what ends its sessions as soon as it is decided: no timer, no poll is in the way.
#[tokio::test]
async fn running_sessions_hear_of_block_fraud_and_limits_at_once() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "10").await;
    let server = Server::start(&core).await;
    let mut charging = ChargingServiceClient::new(server.channel().await);
    let mut accounts = AccountServiceClient::new(server.channel().await);
    let told = charging.notify(NotifyRequest { client_id: CLIENT.into() }).await.expect("a stream");
    let mut told = told.into_inner();
    charge(&core, initial("a", "s", 30)).await;
    let day = LimitSettings { maximum_cost_per_call: is_money("0.10"), ..LimitSettings::default() };
    limits(&mut accounts, day).await;
    let block = |cause: Option<ReleaseCause>| BlockRequest {
        request_id: "b".into(),
        tenant: TENANT.into(),
        account_id: "a".into(),
        blocked: true,
        release_cause: cause.map(Into::into),
        ..BlockRequest::default()
    };
    accounts.block(block(None)).await.expect("blocked");
    accounts.block(block(Some(ReleaseCause::Fraud))).await.expect("blocked");
    for cause in [ReleaseCause::Policy, ReleaseCause::AccountBlocked, ReleaseCause::Fraud] {
        let next = tokio::time::timeout(PATIENCE, told.message()).await.expect("in time").expect("good").expect("told");
        assert_eq!((next.session_id.as_str(), next.kind()), ("s", NotificationKind::Abort));
        assert_eq!(next.release_cause, Some(cause as i32));
    }
    let denied = charge(&core, initial("a", "t", 30)).await;
    assert_eq!(denied.release_cause, Some(types::ReleaseCause::Fraud));
    assert_eq!(money(&core, "a").await, is("10", "0.3"));
}
