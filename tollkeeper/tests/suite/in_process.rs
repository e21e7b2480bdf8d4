//! The way to a core in the same process keeps what the trait promises, under the client that agents use.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use charging_client::{ChargingFailure, ChargingTransport, Client, ClientConfig, FailureCause};
use charging_server::{Core, CoreConfig, TariffConfig};
use ledger::{AccountKey, Command, CreateAccount, Outcome, Transfer};
use tempfile::TempDir;
use tollkeeper::in_process::InProcessTransport;
use types::charging::{
    ChargingMode, ChargingRequest, NotificationKind, Operation, ResultCode, Service, SessionPhase, SubscriberId,
    UnitUsage, Units, UsedUnits,
};
use types::{ClientId, Money, SessionId, Tenant, UtcMs};

use crate::support::PATIENCE;

struct Place {
    _data: TempDir,
    core: Core,
    transport: Arc<InProcessTransport>,
    client: Client,
}

fn key() -> AccountKey {
    AccountKey { tenant: Tenant::from("default"), id: "alice".into() }
}

fn cents(cents: i64) -> Money {
    Money::from_nanos(i128::from(cents) * 10_000_000)
}

async fn top_up(core: &Core, operation_id: &str, amount: Money) {
    let transfer = Transfer { account: key(), operation_id: operation_id.into(), amount, currency: None };
    let outcome = core.decide(Command::TopUp(transfer)).await.expect("decided");
    assert!(matches!(outcome, Outcome::Transferred(_)), "{outcome:?}");
}

/// 0.01 a second to +49, an account with so much.
async fn begin(amount: Money) -> Place {
    let data = TempDir::new().expect("a directory");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tariff");
    let tariff = TariffConfig { folder: Some(folder), ..TariffConfig::default() };
    let core = Core::start(data.path(), &CoreConfig { tariff, ..CoreConfig::default() }).expect("a core");
    let account = CreateAccount {
        key: key(),
        currency: "EUR".parse().expect("a currency"),
        identities: Vec::new(),
        low_balance_limit: None,
        credit_limit: None,
    };
    core.decide(Command::CreateAccount(Box::new(account))).await.expect("decided");
    top_up(&core, "first", amount).await;
    let transport = Arc::new(InProcessTransport::new(core.clone()));
    let config = ClientConfig { retry_first_ms: 1, retry_max_ms: 10, ..ClientConfig::default() };
    let client = Client::start(ClientId::from("agent/1"), transport.clone(), &config);
    Place { _data: data, core, transport, client }
}

pub fn request(session_id: &str, request_number: u32, operation: Operation, used_ms: u64) -> ChargingRequest {
    let used = UsedUnits {
        sequence: 0,
        units: Units::time(used_ms),
        start: None,
        end: None,
        tariff_change: None,
        reason: None,
    };
    let asks = operation != Operation::Termination;
    ChargingRequest {
        client_id: ClientId::from("agent/1"),
        session_id: SessionId::from(session_id),
        request_number,
        operation,
        requested_action: None,
        tenant: Tenant::from("default"),
        subscribers: vec![SubscriberId::account("alice")],
        charging_mode: ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: None,
        called: Some("+49301234567".into()),
        event_time: now(),
        answer_time: (operation != Operation::Initial).then(now),
        service_information: None,
        units: vec![UnitUsage {
            requested: asks.then(|| Units::time(30_000)),
            used: if used_ms > 0 { vec![used] } else { Vec::new() },
            ..UnitUsage::default()
        }],
        release_cause: None,
        client_state: vec![1, 2, 3],
        retransmission: false,
    }
}

fn now() -> UtcMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    UtcMs(i64::try_from(since.as_millis()).expect("a time"))
}

async fn balance(core: &Core) -> Money {
    core.query(|books| books.account(&key()).map(|account| account.balance))
        .await
        .expect("answered")
        .expect("an account")
}

#[tokio::test]
async fn a_call_is_charged() {
    let place = begin(cents(100)).await;
    let granted = place.client.charge(request("a", 0, Operation::Initial, 0), PATIENCE).await.expect("an answer");
    assert_eq!(granted.result_code, ResultCode::SUCCESS);
    assert_eq!(granted.units.first().and_then(|unit| unit.granted), Some(Units::time(30_000)));
    let ended =
        place.client.charge(request("a", 1, Operation::Termination, 25_000), PATIENCE).await.expect("an answer");
    assert_eq!(ended.cost.map(|cost| cost.amount), Some(cents(25)));
    assert_eq!(balance(&place.core).await, cents(75));
    place.client.drained().await;
    assert!(place.client.stop().await.is_empty());
}

#[tokio::test]
async fn a_copy_gets_the_stored_answer() {
    let place = begin(cents(100)).await;
    let first = place.transport.charge(request("a", 0, Operation::Initial, 0).into()).await.expect("an answer");
    let copy = ChargingRequest { retransmission: true, ..request("a", 0, Operation::Initial, 0) };
    assert_eq!(place.transport.charge(copy.into()).await.as_ref(), Ok(&first));
    let held = place.core.query(|books| books.account(&key()).map(|account| account.held)).await.expect("answered");
    assert_eq!(held, Some(cents(30)));
}

#[tokio::test]
async fn a_denial_is_an_answer() {
    let place = begin(cents(100)).await;
    let stranger = ChargingRequest {
        subscribers: vec![SubscriberId::account("mallory")],
        ..request("a", 0, Operation::Initial, 0)
    };
    let answer = place.client.charge(stranger, PATIENCE).await.expect("an answer");
    assert_eq!(answer.result_code, ResultCode::USER_UNKNOWN);
}

#[tokio::test]
async fn sessions_are_listed_with_their_state() {
    let place = begin(cents(100)).await;
    for name in ["a", "b"] {
        place.client.charge(request(name, 0, Operation::Initial, 0), PATIENCE).await.expect("an answer");
    }
    place.client.charge(request("b", 1, Operation::Termination, 0), PATIENCE).await.expect("an answer");
    let listed = place.client.list_sessions().await.expect("a list");
    let names: Vec<&str> = listed.iter().map(|session| session.session_id.as_str()).collect();
    assert_eq!(names, ["a"]);
    assert_eq!(listed.first().map(|session| session.client_state.as_slice()), Some([1, 2, 3].as_slice()));
    let closed = place.client.session(&SessionId::from("b")).await.expect("an outcome");
    assert_eq!(closed.map(|session| session.phase), Some(SessionPhase::Closed));
    assert_eq!(place.client.session(&SessionId::from("c")).await, Ok(None));
    let other = ClientId::from("agent/2");
    assert_eq!(place.transport.list_sessions(&other).await, Ok(Vec::new()));
}

#[tokio::test]
async fn notifications_come_until_they_are_confirmed() {
    use tokio_stream::StreamExt as _;
    let place = begin(cents(10)).await;
    place.client.charge(request("a", 0, Operation::Initial, 0), PATIENCE).await.expect("an answer");
    let client_id = ClientId::from("agent/1");
    let next = async |stream: &mut charging_client::NotificationStream| {
        tokio::time::timeout(PATIENCE, stream.next()).await.expect("in time").expect("a notification")
    };
    let mut stream = place.transport.notifications(&client_id).await.expect("subscribed");
    top_up(&place.core, "second", cents(100)).await;
    let told = next(&mut stream).await;
    assert_eq!((told.session_id.as_str(), told.kind), ("a", NotificationKind::Reauthorize));
    drop(stream);
    // Not confirmed: it comes again.
    let mut stream = place.transport.notifications(&client_id).await.expect("subscribed");
    assert_eq!(next(&mut stream).await, told);
    place.transport.confirm(&client_id, told.sequence).await.expect("confirmed");
    drop(stream);
    let mut stream = place.transport.notifications(&client_id).await.expect("subscribed");
    let block = Command::Block(key());
    place.core.decide(block).await.expect("decided");
    let later = next(&mut stream).await;
    assert!(matches!(later.kind, NotificationKind::Abort(_)) && later.sequence > told.sequence, "{later:?}");
    // A subscription ends with its core.
    place.core.stop();
    let end = tokio::time::timeout(PATIENCE, async { while stream.next().await.is_some() {} }).await;
    assert!(end.is_ok());
}

#[tokio::test]
async fn a_core_that_has_stopped_gives_no_answer_and_loses_no_request() {
    let place = begin(cents(100)).await;
    place.client.charge(request("a", 0, Operation::Initial, 0), PATIENCE).await.expect("an answer");
    place.core.stop();
    let gone = ChargingFailure::UnknownFate { cause: FailureCause::Disconnected };
    assert_eq!(place.transport.charge(request("a", 1, Operation::Update, 5_000).into()).await, Err(gone.clone()));
    assert_eq!(place.transport.session(&SessionId::from("a")).await, Err(gone.clone()));
    assert_eq!(place.transport.notifications(&ClientId::from("agent/1")).await.map(|_| ()), Err(gone));
    let mut awaited = place.client.submit(request("a", 1, Operation::Update, 5_000)).expect("room");
    let failure = awaited.within(Duration::from_millis(20)).await.expect_err("no core");
    assert!(matches!(failure.cause(), FailureCause::Deadline { .. }), "{failure:?}");
    let left = place.client.stop().await;
    assert_eq!(
        left.iter().map(|request| (request.request_number, request.retransmission)).collect::<Vec<_>>(),
        [(1, true)]
    );
}

#[tokio::test]
async fn a_full_core_says_too_busy() {
    let place = begin(cents(100)).await;
    let data = TempDir::new().expect("a directory");
    let core = Core::start(data.path(), &CoreConfig { queue: 1, ..CoreConfig::default() }).expect("a core");
    let transport = InProcessTransport::new(core.clone());
    // The ledger waits in a question until the queue behind it is full.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let asking = core.clone();
    let (begun, started) = tokio::sync::oneshot::channel();
    let question = tokio::spawn(async move {
        asking
            .query(move |_| {
                begun.send(()).expect("awaited");
                wait.recv().unwrap_or_default();
            })
            .await
    });
    started.await.expect("begun");
    let filling = core.clone();
    let queued = tokio::spawn(async move { filling.query(|_| ()).await });
    tokio::time::timeout(PATIENCE, async {
        while core.waiting() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("queued");
    let answer = transport.charge(request("a", 0, Operation::Initial, 0).into()).await.expect("an answer");
    assert_eq!(answer.result_code, ResultCode::TOO_BUSY);
    drop(go);
    question.await.expect("joined").expect("answered");
    queued.await.expect("joined").expect("answered");
    drop(place);
}
