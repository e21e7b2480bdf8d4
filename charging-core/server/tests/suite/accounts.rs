//! AccountService, SessionService and TariffService over loopback.

use charging_proto::v1::account_service_client::AccountServiceClient;
use charging_proto::v1::session_service_client::SessionServiceClient;
use charging_proto::v1::tariff_service_client::TariffServiceClient;
use charging_proto::v1::{
    Account, Balance, BalanceAmount, BalanceKind, BlockRequest, CreateAccountRequest, DebitRequest, GetAccountRequest,
    GetSessionRequest, HistoryKind, HistoryRequest, ListAccountsRequest, ListSessionsRequest, QuoteRequest,
    ReleaseSessionRequest, Service, SessionPhase, SubscriberId, SubscriberIdKind, TopUpRequest, Units, balance_amount,
    get_account_request,
};
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::rig::{NUMBER, Place, Server, TENANT, charge, initial, termination};

fn amount(text: &str) -> Option<BalanceAmount> {
    Some(BalanceAmount { amount: Some(balance_amount::Amount::Money(text.into())) })
}

fn shown(amount: Option<&BalanceAmount>) -> &str {
    match amount.and_then(|amount| amount.amount.as_ref()) {
        Some(balance_amount::Amount::Money(text)) => text,
        other => panic!("no money: {other:?}"),
    }
}

fn open(request_id: &str, account_id: &str, first: Option<&str>) -> CreateAccountRequest {
    let balance = |first: &str| Balance {
        balance_id: "money".into(),
        kind: BalanceKind::Money as i32,
        value: amount(first),
        ..Balance::default()
    };
    let account = Account {
        tenant: TENANT.into(),
        account_id: account_id.into(),
        currency: "EUR".into(),
        balances: first.map(balance).into_iter().collect(),
        ..Account::default()
    };
    CreateAccountRequest { request_id: request_id.into(), account: Some(account) }
}

fn top_up(request_id: &str, account_id: &str, text: &str) -> TopUpRequest {
    let (tenant, account_id) = (TENANT.into(), account_id.into());
    TopUpRequest { request_id: request_id.into(), tenant, account_id, amount: amount(text), ..TopUpRequest::default() }
}

fn debit(request_id: &str, account_id: &str, text: &str) -> DebitRequest {
    let (tenant, account_id) = (TENANT.into(), account_id.into());
    DebitRequest { request_id: request_id.into(), tenant, account_id, amount: amount(text), ..DebitRequest::default() }
}

fn block(account_id: &str, blocked: bool) -> BlockRequest {
    let (tenant, account_id) = (TENANT.into(), account_id.into());
    BlockRequest { request_id: "b".into(), tenant, account_id, blocked, ..BlockRequest::default() }
}

async fn all<T>(stream: Result<tonic::Response<Streaming<T>>, Status>) -> Vec<T> {
    let items: Vec<_> = stream.expect("a stream").into_inner().collect().await;
    items.into_iter().map(|item| item.expect("an item")).collect()
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Code {
    outcome.expect_err("refused").code()
}

async fn begin() -> (Place, charging_server::Core, Server, AccountServiceClient<Channel>) {
    let place = Place::new();
    let core = place.start();
    let server = Server::start(&core).await;
    let client = AccountServiceClient::new(server.channel().await);
    (place, core, server, client)
}

#[tokio::test]
async fn creating_is_one_step_and_safe_to_repeat() {
    let (place, core, server, mut accounts) = begin().await;
    let long = "r".repeat(128);
    let created = accounts.create(open(&long, "a", Some("5.50"))).await.expect("created").into_inner();
    assert_eq!((created.available.as_str(), shown(created.balances[0].value.as_ref())), ("5.5", "5.5"));
    charge(&core, initial("a", "s", 100)).await;
    accounts.top_up(top_up("t", "a", "1")).await.expect("added");
    let copy = accounts.create(open(&long, "a", Some("5.50"))).await.expect("the copy of a request").into_inner();
    assert_eq!(copy, created, "the stored answer, although the account has moved on");
    // Also over a restart.
    core.stop();
    server.shut_down().await;
    let core = place.start();
    let server = Server::start(&core).await;
    let mut accounts = AccountServiceClient::new(server.channel().await);
    assert_eq!(accounts.create(open(&long, "a", Some("5.50"))).await.expect("a copy").into_inner(), created);
    for (request, expected) in [
        (open(&long, "a", Some("6")), Code::AlreadyExists),
        (open("other", "a", Some("5.50")), Code::AlreadyExists),
        (open("other", "a", None), Code::AlreadyExists),
        (open("", "b", None), Code::InvalidArgument),
        (open(&"r".repeat(129), "b", None), Code::InvalidArgument),
        (open("r", "", None), Code::InvalidArgument),
        (open("r", "b", Some("-1")), Code::InvalidArgument),
        (open("r", "b", Some("1e3")), Code::InvalidArgument),
        (CreateAccountRequest { request_id: "r".into(), account: None }, Code::InvalidArgument),
    ] {
        assert_eq!(code(accounts.create(request.clone()).await), expected, "{request:?}");
    }
    let listed = ListAccountsRequest { tenant: TENANT.into(), ..ListAccountsRequest::default() };
    let listed = all(accounts.list(listed).await).await;
    assert_eq!(listed.len(), 1, "what was refused left nothing behind");
    assert_eq!(shown(listed[0].balances[0].value.as_ref()), "6.5");
}

#[tokio::test]
async fn accounts_are_found_listed_and_changed() {
    let (_place, core, _server, mut accounts) = begin().await;
    for (number, id) in ["c", "a", "b"].into_iter().enumerate() {
        let mut request = open("r", id, Some("1"));
        let kind = SubscriberIdKind::E164 as i32;
        let value = format!("+49{number}");
        request.account.as_mut().expect("there").subscribers = vec![SubscriberId { kind, value }];
        accounts.create(request).await.expect("created");
    }
    let named = |name| GetAccountRequest { tenant: TENANT.into(), name: Some(name) };
    let by_number = SubscriberId { kind: SubscriberIdKind::E164 as i32, value: "+491".into() };
    let found = accounts.get(named(get_account_request::Name::Subscriber(by_number))).await.expect("found");
    assert_eq!(found.into_inner().account_id, "a");
    let unknown = named(get_account_request::Name::AccountId("x".into()));
    assert_eq!(code(accounts.get(unknown).await), Code::NotFound);
    let nameless = GetAccountRequest { tenant: TENANT.into(), name: None };
    assert_eq!(code(accounts.get(nameless).await), Code::InvalidArgument);

    let change = accounts.top_up(top_up("t1", "a", "2")).await.expect("added").into_inner();
    assert_eq!(
        (shown(change.account.as_ref().expect("it").balances[0].value.as_ref()), change.notified_sessions),
        ("3", 0)
    );
    accounts.debit(debit("d1", "a", "0.5")).await.expect("taken");
    let copy = accounts.top_up(top_up("t1", "a", "2")).await.expect("a copy").into_inner();
    assert_eq!(copy, change);
    let mut dollars = top_up("t2", "a", "1");
    dollars.currency = Some("USD".into());
    let mut expiring = top_up("t2", "a", "1");
    expiring.expiry_time = Some(1);
    for (request, expected) in [
        (top_up("t1", "a", "3"), Code::AlreadyExists),
        (top_up("t2", "x", "3"), Code::NotFound),
        (top_up("t2", "a", "0"), Code::InvalidArgument),
        (top_up("t2", "a", "-1"), Code::InvalidArgument),
        (top_up("t2", "a", "much"), Code::InvalidArgument),
        (top_up("", "a", "1"), Code::InvalidArgument),
        (TopUpRequest { amount: None, ..top_up("t2", "a", "1") }, Code::InvalidArgument),
        (dollars, Code::FailedPrecondition),
        (expiring, Code::InvalidArgument),
    ] {
        assert_eq!(code(accounts.top_up(request.clone()).await), expected, "{request:?}");
    }
    assert_eq!(code(accounts.debit(debit("d2", "a", "100")).await), Code::FailedPrecondition);

    let list = |after: Option<&str>, limit| ListAccountsRequest {
        tenant: TENANT.into(),
        after_account_id: after.map(Into::into),
        limit,
        blocked: None,
    };
    let ids = async |accounts: &mut AccountServiceClient<Channel>, request| -> Vec<String> {
        all(accounts.list(request).await).await.into_iter().map(|account| account.account_id).collect()
    };
    assert_eq!(ids(&mut accounts, list(None, None)).await, ["a", "b", "c"]);
    assert_eq!(ids(&mut accounts, list(Some("a"), Some(1))).await, ["b"]);
    let change = accounts.block(block("b", true)).await.expect("blocked").into_inner();
    assert!(change.account.is_some_and(|account| account.blocked));
    let blocked = ListAccountsRequest { blocked: Some(true), ..list(None, None) };
    assert_eq!(ids(&mut accounts, blocked).await, ["b"]);
    assert_eq!(code(accounts.block(block("x", true)).await), Code::NotFound);

    charge(&core, initial("a", "s", 10)).await;
    charge(&core, termination("a", "s", 1, 10)).await;
    let history = HistoryRequest { tenant: TENANT.into(), account_id: "a".into(), ..HistoryRequest::default() };
    let lines = all(accounts.history(history.clone()).await).await;
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (line.kind(), shown(line.change.as_ref()), shown(line.value_after.as_ref()), line.request_id.as_deref())
        })
        .collect();
    let expected = [
        (HistoryKind::TopUp, "1", "1", Some("r")),
        (HistoryKind::TopUp, "2", "3", Some("t1")),
        (HistoryKind::Debit, "-0.5", "2.5", Some("d1")),
        (HistoryKind::Charge, "-0.1", "2.4", None),
    ];
    assert_eq!(told, expected);
    let newest = all(accounts.history(HistoryRequest { limit: Some(1), ..history.clone() }).await).await;
    assert_eq!(newest, lines[3..]);
    assert_eq!(code(accounts.history(HistoryRequest { account_id: "x".into(), ..history }).await), Code::NotFound);
}

#[tokio::test]
async fn changes_say_whom_they_told() {
    let (_place, core, _server, mut accounts) = begin().await;
    accounts.create(open("r", "a", Some("0.05"))).await.expect("created");
    charge(&core, initial("a", "content", 1)).await;
    charge(&core, initial("a", "short", 30)).await;
    let change = accounts.debit(debit("d", "a", "0.01")).await;
    assert_eq!(code(change), Code::FailedPrecondition, "what sessions hold is not taken from them");
    let change = accounts.top_up(top_up("t", "a", "1")).await.expect("added").into_inner();
    assert_eq!(change.notified_sessions, 1, "the one that got too little");
    let change = accounts.debit(debit("d", "a", "0.01")).await.expect("taken").into_inner();
    assert_eq!(change.notified_sessions, 0);
    let change = accounts.block(block("a", true)).await.expect("blocked").into_inner();
    assert_eq!(change.notified_sessions, 2);
}

#[tokio::test]
async fn sessions_are_listed_and_released() {
    let (_place, core, server, mut accounts) = begin().await;
    accounts.create(open("r", "a", Some("5"))).await.expect("created");
    accounts.create(open("r", "b", Some("5"))).await.expect("created");
    charge(&core, initial("a", "one", 10)).await;
    charge(&core, initial("b", "two", 10)).await;
    charge(&core, initial("b", "over", 10)).await;
    charge(&core, termination("b", "over", 1, 10)).await;
    let mut sessions = SessionServiceClient::new(server.channel().await);
    let list = ListSessionsRequest { client_id: Some("k1".into()), ..ListSessionsRequest::default() };
    let ids = async |sessions: &mut SessionServiceClient<Channel>, request| {
        let mut ids: Vec<_> = all(sessions.list(request).await).await.into_iter().map(|one| one.session_id).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&mut sessions, list.clone()).await, ["one", "two"]);
    assert_eq!(ids(&mut sessions, ListSessionsRequest { client_id: Some("k2".into()), ..list }).await, [""; 0]);
    let of_b = ListSessionsRequest {
        tenant: Some(TENANT.into()),
        account_id: Some("b".into()),
        ..ListSessionsRequest::default()
    };
    assert_eq!(ids(&mut sessions, of_b.clone()).await, ["two"]);
    let closed = ListSessionsRequest { phases: vec![SessionPhase::Closed as i32], ..of_b.clone() };
    assert_eq!(ids(&mut sessions, closed).await, ["over"]);
    let tenantless = ListSessionsRequest { tenant: None, ..of_b };
    assert_eq!(code(sessions.list(tenantless).await), Code::InvalidArgument);

    let get = async |sessions: &mut SessionServiceClient<Channel>, id: &str| {
        sessions.get(GetSessionRequest { session_id: id.into() }).await.map(|found| found.into_inner().session)
    };
    assert_eq!(get(&mut sessions, "x").await.expect("answered"), None);
    assert!(get(&mut sessions, "one").await.expect("answered").is_some_and(|one| one.client_state == [1, 2, 3]));
    assert_eq!(code(get(&mut sessions, "").await), Code::InvalidArgument);

    let release = |id: &str| ReleaseSessionRequest { session_id: id.into(), ..ReleaseSessionRequest::default() };
    let mut told = core.subscribe("k1".into()).await.expect("a core");
    let released = sessions.release(release("one")).await.expect("told").into_inner();
    let notification = told.recv().await.expect("a notification");
    assert_eq!((notification.sequence, notification.session_id.as_str()), (released.notification_sequence, "one"));
    assert_eq!(code(sessions.release(release("x")).await), Code::NotFound);
    assert_eq!(code(sessions.release(release("over")).await), Code::FailedPrecondition);
}

#[tokio::test]
async fn quotes_are_exact_and_hostile_ones_harmless() {
    let (_place, core, server, _accounts) = begin().await;
    let mut tariffs = TariffServiceClient::new(server.channel().await);
    let quote = |called: &str, time_ms: u64, start_time: Option<i64>| QuoteRequest {
        tenant: TENANT.into(),
        service: Service::Voice as i32,
        called: Some(called.into()),
        units: Some(Units { time_ms: Some(time_ms), ..Units::default() }),
        start_time,
        ..QuoteRequest::default()
    };
    let good = tariffs.quote(quote(NUMBER, 61_001, None)).await.expect("a quote").into_inner();
    assert_eq!(
        (good.result_code, good.billable, good.cost.map(|cost| cost.amount)),
        (2001, 62_000, Some("0.62".into()))
    );
    let unrated = tariffs.quote(quote("+88123", 1, None)).await.expect("a quote").into_inner();
    assert_eq!((unrated.result_code, unrated.cost), (5031, None));
    let unitless = QuoteRequest { units: None, ..quote(NUMBER, 1, None) };
    assert_eq!(code(tariffs.quote(unitless).await), Code::InvalidArgument);
    assert_eq!(code(tariffs.quote(QuoteRequest { service: 0, ..quote(NUMBER, 1, None) }).await), Code::InvalidArgument);
    for time_ms in [0, 1, u64::MAX / 2, u64::MAX] {
        for start_time in [None, Some(i64::MIN), Some(-1), Some(0), Some(i64::MAX)] {
            let outcome = tariffs.quote(quote(NUMBER, time_ms, start_time)).await.map(|_| ());
            let lives = matches!(outcome.as_ref().map_err(Status::code), Ok(()) | Err(Code::InvalidArgument));
            assert!(lives, "{time_ms} {start_time:?}: {outcome:?}");
        }
    }
    drop(core);
}
