//! A data directory, a tariff and a core on them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use charging_server::{Core, CoreConfig, CoreError, TariffConfig};
use ledger::{AccountKey, AccountView, Books, Command, CreateAccount, Outcome, Transfer};
use segment_log::Storage;
use tempfile::TempDir;
use types::charging::{
    ChargingAnswer, ChargingMode, ChargingRequest, Operation, Service, SubscriberId, UnitUsage, Units, UsedUnits,
};
use types::{ClientId, ConfigDuration, SessionId, UtcMs};

/// Longer than anything here takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const TENANT: &str = "example";
pub const CLIENT: &str = "k1";
/// 0.01 per second.
pub const NUMBER: &str = "+4930123456";

pub struct Place {
    pub folder: TempDir,
    pub config: CoreConfig,
    /// Of the log of a core on a storage that is given.
    pub segment_bytes: u64,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tariff = folder.path().join("tariff");
        write_tariff(&tariff, "0.01");
        let tariff = TariffConfig { folder: Some(tariff), ..TariffConfig::default() };
        let segment_bytes = charging_server::SEGMENT_BYTES;
        Self { folder, config: CoreConfig { tariff, ..CoreConfig::default() }, segment_bytes }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn ledger(&self) -> PathBuf {
        self.data().join("ledger")
    }

    pub fn start(&self) -> Core {
        self.try_start().expect("a core")
    }

    pub fn try_start(&self) -> Result<Core, CoreError> {
        Core::start(&self.data(), &self.config)
    }

    /// [`Place::start`] with new segments of the log this large, in octets.
    pub fn start_in_segments(&self, segment_bytes: u64) -> Core {
        let storage = Arc::new(segment_log::DirStorage::create_dir(self.ledger()).expect("a folder"));
        Core::start_on(storage, segment_bytes, &self.data(), &self.config).expect("a core")
    }

    pub fn start_on(&self, storage: impl Storage + 'static) -> Result<Core, CoreError> {
        std::fs::create_dir_all(self.data()).expect("a folder");
        Core::start_on(Arc::new(storage), self.segment_bytes, &self.data(), &self.config)
    }

    /// The error of a start that must fail, with all its causes.
    pub fn refusal(&self) -> String {
        chain(&self.try_start().map(|_| ()).expect_err("must not start"))
    }
}

pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

pub fn write_tariff(folder: &Path, rate: &str) {
    std::fs::create_dir_all(folder).expect("a folder");
    let rates = format!("R1,0,{rate},1s,1s,0s\n");
    let files = [
        ("Destinations.csv", "DE,49\n"),
        ("Rates.csv", rates.as_str()),
        ("DestinationRates.csv", "DR,DE,R1,*up,4,0,\n"),
        ("RatingPlans.csv", "RP,DR,*any,10\n"),
        ("RatingProfiles.csv", "example,call,*any,,RP,\n"),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("a file");
    }
}

/// All files of a directory, as a crash at this moment would leave them.
pub fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("readable").map(|entry| entry.expect("readable")) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else if let Err(error) = std::fs::copy(entry.path(), target) {
            // Removed since it was listed: a crash may see that, too.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        }
    }
}

pub fn key(id: &str) -> AccountKey {
    AccountKey { tenant: TENANT.into(), id: id.into() }
}

pub fn create(id: &str) -> Command {
    let currency = "EUR".parse().expect("a currency");
    let (identities, low_balance_limit, credit_limit) = (vec![], None, None);
    Command::CreateAccount(Box::new(CreateAccount {
        key: key(id),
        currency,
        identities,
        low_balance_limit,
        credit_limit,
    }))
}

pub fn top_up(id: &str, operation: &str, amount: &str) -> Command {
    let amount = amount.parse().expect("an amount");
    Command::TopUp(Transfer { account: key(id), operation_id: operation.into(), amount, currency: None })
}

pub async fn account(core: &Core, id: &str, balance: &str) {
    assert!(matches!(core.decide(create(id)).await, Ok(Outcome::Account(_))));
    assert!(matches!(core.decide(top_up(id, "first", balance)).await, Ok(Outcome::Transferred(_))));
}

pub async fn view(core: &Core, id: &str) -> AccountView {
    let key = key(id);
    core.query(move |books| books.account(&key)).await.expect("a core").expect("an account")
}

/// (balance, held)
pub async fn money(core: &Core, id: &str) -> (String, String) {
    let view = view(core, id).await;
    (view.balance.to_string(), view.held.to_string())
}

pub fn is(balance: &str, held: &str) -> (String, String) {
    (balance.into(), held.into())
}

pub async fn books(core: &Core) -> Books {
    core.query(Clone::clone).await.expect("a core")
}

pub fn now() -> UtcMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    UtcMs(i64::try_from(since.as_millis()).expect("before the year 292 million"))
}

/// `used`: seconds since the last report; `asked`: seconds wanted.
pub fn request(
    account: &str,
    session: &str,
    number: u32,
    operation: Operation,
    used: Option<u64>,
    asked: Option<u64>,
) -> ChargingRequest {
    let used = used.map(|seconds| UsedUnits {
        sequence: number,
        units: Units::time(seconds * 1000),
        start: None,
        end: None,
        tariff_change: None,
        reason: None,
    });
    let requested = asked.map(|seconds| Units::time(seconds * 1000));
    let units = UnitUsage { requested, used: used.into_iter().collect(), ..UnitUsage::default() };
    ChargingRequest {
        client_id: ClientId::from(CLIENT),
        session_id: SessionId::from(session),
        request_number: number,
        operation,
        requested_action: None,
        tenant: TENANT.into(),
        subscribers: vec![SubscriberId::account(account)],
        charging_mode: ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: None,
        called: Some(NUMBER.into()),
        event_time: now(),
        answer_time: (operation != Operation::Initial).then(now),
        service_information: None,
        units: vec![units],
        release_cause: None,
        client_state: vec![1, 2, 3],
        retransmission: false,
    }
}

pub fn initial(account: &str, session: &str, asked: u64) -> ChargingRequest {
    request(account, session, 0, Operation::Initial, None, Some(asked))
}

pub fn termination(account: &str, session: &str, number: u32, used: u64) -> ChargingRequest {
    request(account, session, number, Operation::Termination, Some(used), None)
}

pub async fn charge(core: &Core, request: ChargingRequest) -> ChargingAnswer {
    match core.decide(Command::Charge(Box::new(request))).await.expect("decided") {
        Outcome::Charged(charged) => std::sync::Arc::unwrap_or_clone(charged.answer),
        other => panic!("{other:?}"),
    }
}

/// Granted, in whole seconds; 0 for none.
pub fn granted(answer: &ChargingAnswer) -> u64 {
    answer.units.first().and_then(|unit| unit.granted).and_then(|units| units.time_ms).unwrap_or(0) / 1000
}

pub const fn ms(ms: u64) -> ConfigDuration {
    ConfigDuration::from_ms(ms)
}

/// Waits for something that other threads bring about.
pub async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never happened: {what}");
}

/// The gRPC server of a core, on a free port of the loopback.
pub struct Server {
    pub address: String,
    stop: tokio::sync::oneshot::Sender<()>,
    reload: tokio::sync::mpsc::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), charging_server::ServeError>>,
}

impl Server {
    pub async fn start(core: &Core) -> Self {
        Self::start_at(core, std::net::SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub async fn start_at(core: &Core, address: std::net::SocketAddr) -> Self {
        Self::start_with(core, CoreConfig { listen: address, ..CoreConfig::default() }).await
    }

    /// With what `config` says about access.
    pub async fn start_with(core: &Core, config: CoreConfig) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let (reload, reloads) = tokio::sync::mpsc::channel(1);
        let reloads = tokio_stream::wrappers::ReceiverStream::new(reloads);
        let served = charging_server::serve_reloading(core.clone(), &config, shutdown, reloads).await;
        let (address, server) = served.expect("served");
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        Self { address: format!("{scheme}://{address}"), stop, reload, task: tokio::spawn(server) }
    }

    /// Has certificates and tokens read again, by the time of the second call at the latest.
    pub async fn reload(&self) {
        self.reload.send(()).await.expect("it runs");
    }

    pub async fn channel(&self) -> tonic::transport::Channel {
        let endpoint = tonic::transport::Endpoint::from_shared(self.address.clone()).expect("an address");
        endpoint.connect().await.expect("connected")
    }

    /// Shuts down in good order; it must end by itself, whatever streams are open.
    pub async fn shut_down(self) {
        self.stop.send(()).expect("it runs");
        let ended = tokio::time::timeout(PATIENCE, self.task).await.expect("ends by itself");
        ended.expect("no panic").expect("good order");
    }
}

/// Stops the ledger in the middle of a turn, until [`Held::let_go`].
pub struct Held {
    go: std::sync::mpsc::Sender<()>,
    question: tokio::task::JoinHandle<Result<(), CoreError>>,
}

impl Held {
    pub async fn hold(core: &Core) -> Self {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let core = core.clone();
        let question = tokio::spawn(async move {
            let question = core.query(move |_| {
                begun.send(()).expect("the test waits");
                // Ends when the other side is dropped.
                wait.recv().unwrap_or_default();
            });
            question.await
        });
        begins.await.expect("the ledger stands still");
        Self { go, question }
    }

    pub async fn let_go(self) {
        drop(self.go);
        self.question.await.expect("no panic").expect("a core");
    }
}
