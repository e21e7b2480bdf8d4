//! kill -9 of the core under load. The judge is the clients' notebook: every answer is written down, durably, before anything is
//! done with it; at the end the core has to say the same about every request, session and account. `KILLS=20` for more of them
//! (`make soak-core`), `TOLLKEEPER_SEED` for another run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use charging_proto::v1::account_service_client::AccountServiceClient;
use charging_proto::v1::charging_service_client::ChargingServiceClient;
use charging_proto::v1::session_service_client::SessionServiceClient;
use charging_proto::v1::{
    Account, ChargingDataRequest, ChargingDataResponse, GetAccountRequest, HistoryRequest, ListSessionsRequest,
    SessionPhase, SessionSummary, get_account_request,
};
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};
use types::Money;
use types::charging::{Operation, SubscriberId};

use crate::in_process::request;
use crate::support::{PATIENCE, Tollkeeper};

const ACCOUNTS: u64 = 40;
const WORKERS: u64 = 48;
const BALANCE: &str = "1000000";

/// Numbers that look random and come again with the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn number_of(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// What the clients were told.
struct Notebook {
    file: Mutex<std::fs::File>,
    told: Mutex<Vec<(ChargingDataRequest, ChargingDataResponse)>>,
    lines: AtomicUsize,
}

impl Notebook {
    fn new(folder: &Path) -> Self {
        let file = std::fs::File::create(folder.join("notebook")).expect("a notebook");
        Self { file: Mutex::new(file), told: Mutex::default(), lines: AtomicUsize::new(0) }
    }

    /// Before the answer is used.
    fn write(&self, request: &ChargingDataRequest, answer: &ChargingDataResponse) {
        let mut file = self.file.lock().expect("whole");
        writeln!(file, "{} {} {answer:?}", request.session_id, request.request_number).expect("written");
        file.sync_data().expect("durable");
        drop(file);
        self.told.lock().expect("whole").push((request.clone(), answer.clone()));
        self.lines.fetch_add(1, Ordering::Release);
    }
}

/// A client: its way to wherever the core is now.
#[derive(Clone)]
struct Way {
    core: watch::Receiver<String>,
    channel: Option<Channel>,
}

impl Way {
    /// Asks until there is an answer: the same key again after every loss.
    async fn ask(&mut self, mut request: ChargingDataRequest) -> ChargingDataResponse {
        loop {
            if self.channel.is_none() {
                let address = self.core.borrow_and_update().clone();
                self.channel = Endpoint::from_shared(address).expect("an address").connect().await.ok();
            }
            if let Some(channel) = &self.channel {
                match ChargingServiceClient::new(channel.clone()).charge(request.clone()).await {
                    Ok(answer) => return answer.into_inner(),
                    Err(_) => self.channel = None,
                }
            }
            request.retransmission = true;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn wire(account: &str, session: &str, number: u32, operation: Operation, used_ms: u64) -> ChargingDataRequest {
    let mut request = request(session, number, operation, used_ms);
    request.subscribers = vec![SubscriberId::account(account)];
    request.into()
}

/// Sessions one after the other, until it is enough.
async fn work(mut way: Way, notebook: Arc<Notebook>, worker: u64, mut dice: Dice, enough: Arc<AtomicBool>) {
    let mut session = 0_u64;
    while !enough.load(Ordering::Acquire) {
        let (account, id) = (format!("a{}", dice.below(ACCOUNTS)), format!("w{worker}/s{session}"));
        let updates = u32::try_from(dice.below(4)).expect("few");
        for number in 0..=updates + 1 {
            let used = 1 + dice.below(30_000);
            let request = match number {
                0 => wire(&account, &id, 0, Operation::Initial, 0),
                _ if number <= updates => wire(&account, &id, number, Operation::Update, used),
                _ => wire(&account, &id, number, Operation::Termination, used),
            };
            let answer = way.ask(request.clone()).await;
            notebook.write(&request, &answer);
            assert_eq!(answer.result_code, 2001, "{request:?} {answer:?}");
        }
        session += 1;
    }
}

fn money(text: &str) -> Money {
    text.parse().expect("an amount")
}

async fn account(channel: &Channel, id: &str) -> Account {
    let name = Some(get_account_request::Name::AccountId(id.to_owned()));
    let request = GetAccountRequest { tenant: "default".into(), name };
    AccountServiceClient::new(channel.clone()).get(request).await.expect("an account").into_inner()
}

async fn sessions(channel: &Channel) -> BTreeMap<String, SessionSummary> {
    let phases = [SessionPhase::Open, SessionPhase::Expired, SessionPhase::Closed, SessionPhase::Denied];
    let request = ListSessionsRequest { phases: phases.map(Into::into).to_vec(), ..ListSessionsRequest::default() };
    let mut listed = SessionServiceClient::new(channel.clone()).list(request).await.expect("listed").into_inner();
    let mut found = BTreeMap::new();
    while let Some(session) = listed.message().await.expect("a whole list") {
        found.insert(session.session_id.clone(), session);
    }
    found
}

/// The core has to say what the notebook says.
async fn judge(address: String, told: &[(ChargingDataRequest, ChargingDataResponse)]) {
    let (_keep, core) = watch::channel(address.clone());
    let mut way = Way { core, channel: None };
    let channel = Endpoint::from_shared(address).expect("an address").connect().await.expect("connected");
    let before = sessions(&channel).await;
    let mut spent: BTreeMap<String, Money> = BTreeMap::new();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for (request, answer) in told {
        assert_eq!(
            way.ask(request.clone()).await,
            *answer,
            "a copy of {}/{}",
            request.session_id,
            request.request_number
        );
        known.insert(&request.session_id);
        let cost = answer.cost.as_ref().expect("a cost");
        let session = before.get(&request.session_id).expect("the core knows it");
        if session.last_request_number == request.request_number {
            assert_eq!(session.phase, i32::from(SessionPhase::Closed), "{session:?}");
            assert_eq!(session.cost.as_ref().map(|cost| &cost.amount), Some(&cost.amount), "{session:?}");
            let payer = request.subscribers[0].value.clone();
            *spent.entry(payer).or_default() += money(&cost.amount);
        }
    }
    assert_eq!(before.keys().map(String::as_str).collect::<BTreeSet<_>>(), known, "no session that nobody asked for");
    assert_eq!(sessions(&channel).await, before, "copies change nothing");
    for number in 0..ACCOUNTS {
        let id = format!("a{number}");
        let account = account(&channel, &id).await;
        let left = money(BALANCE) - spent.get(&id).copied().unwrap_or_default();
        assert_eq!((money(&account.available), account.open_sessions), (left, 0), "{id}: money in = money out");
        let history = HistoryRequest { tenant: "default".into(), account_id: id.clone(), ..HistoryRequest::default() };
        let mut lines = AccountServiceClient::new(channel.clone()).history(history).await.expect("a list").into_inner();
        let mut by_session: BTreeMap<String, Money> = BTreeMap::new();
        while let Some(line) = lines.message().await.expect("a whole list") {
            let Some(session_id) = line.session_id else { continue };
            let Some(charging_proto::v1::BalanceAmount {
                amount: Some(charging_proto::v1::balance_amount::Amount::Money(change)),
            }) = line.change
            else {
                panic!("an account with one balance: {:?}", line.change)
            };
            *by_session.entry(session_id).or_default() -= money(&change);
        }
        // Only the newest lines are kept, so the oldest sessions may have lost some.
        for (session_id, charged) in by_session {
            let cost = before.get(&session_id).and_then(|session| session.cost.as_ref()).expect("a cost");
            assert!(charged <= money(&cost.amount), "{session_id} was charged {charged} for {}", cost.amount);
        }
    }
}

fn start(folder: &Path) -> Tollkeeper {
    let tariff = folder.join("tests/tariff");
    // Snapshots are made all the time, so that kills meet them, too.
    Tollkeeper::start_with(
        &format!("[core.tariff]\nfolder = \"{}\"\n", tariff.display()),
        "snapshot_records = 300\nsnapshot_log_percent = 0\n",
    )
}

fn create(tollkeeper: &Tollkeeper, account: &str, balance: &str) {
    tollkeeper.cli(&["account", "create", account, "--currency", "EUR", "--balance", balance]).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_is_lost_or_applied_twice() {
    let (kills, seed) = (number_of("KILLS", 2), number_of("TOLLKEEPER_SEED", 1));
    println!("TOLLKEEPER_SEED={seed} KILLS={kills}");
    let mut tollkeeper = start(Path::new(env!("CARGO_MANIFEST_DIR")));
    for number in 0..ACCOUNTS {
        create(&tollkeeper, &format!("a{number}"), BALANCE);
    }
    let mut dice = Dice(seed);
    let notebook = Arc::new(Notebook::new(tollkeeper.directory.path()));
    let enough = Arc::new(AtomicBool::new(false));
    let (moved, core) = watch::channel(tollkeeper.core());
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let (way, dice) = (Way { core: core.clone(), channel: None }, Dice(dice.below(u64::MAX)));
        workers.spawn(work(way, Arc::clone(&notebook), worker, dice, Arc::clone(&enough)));
    }
    for kill in 0..kills {
        let more = usize::try_from(50 + dice.below(1500)).expect("few");
        let until = notebook.lines.load(Ordering::Acquire) + more;
        reached(&notebook, until).await;
        tollkeeper.kill();
        println!("kill {} after {} answers", kill + 1, notebook.lines.load(Ordering::Acquire));
        tollkeeper.restart();
        moved.send_replace(tollkeeper.core());
    }
    let until = notebook.lines.load(Ordering::Acquire) + 300;
    reached(&notebook, until).await;
    enough.store(true, Ordering::Release);
    while let Some(worker) = workers.join_next().await {
        worker.expect("no panic");
    }
    let told = std::mem::take(&mut *notebook.told.lock().expect("whole"));
    judge(tollkeeper.core(), &told).await;
    // And once more from what the disk has.
    tollkeeper.kill();
    tollkeeper.restart();
    judge(tollkeeper.core(), &told).await;
    println!("{} answers, all as they were given", told.len());
}

async fn reached(notebook: &Notebook, lines: usize) {
    let waiting = async {
        while notebook.lines.load(Ordering::Acquire) < lines {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{lines} answers never came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_sessions_share_credit_for_ten_through_a_kill() {
    let mut tollkeeper = start(Path::new(env!("CARGO_MANIFEST_DIR")));
    create(&tollkeeper, "scarce", "3.00");
    let (moved, core) = watch::channel(tollkeeper.core());
    let answered = Arc::new(AtomicUsize::new(0));
    let mut waiting = tokio::task::JoinSet::new();
    for session in 0..64_u64 {
        let (mut way, answered) = (Way { core: core.clone(), channel: None }, Arc::clone(&answered));
        waiting.spawn(async move {
            // 30 s at 0.01: credit for ten.
            let answer = way.ask(wire("scarce", &format!("s{session}"), 0, Operation::Initial, 0)).await;
            answered.fetch_add(1, Ordering::Release);
            answer
        });
    }
    while answered.load(Ordering::Acquire) < 7 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tollkeeper.kill();
    tollkeeper.restart();
    moved.send_replace(tollkeeper.core());
    let mut granted = 0;
    while let Some(answer) = waiting.join_next().await {
        let answer = answer.expect("no panic");
        let units = answer.multiple_unit_information.iter().filter_map(|unit| unit.granted_unit.as_ref());
        granted += units.filter_map(|unit| unit.time_ms).sum::<u64>();
    }
    assert_eq!(granted, 300_000, "exactly the credit");
    let channel = Endpoint::from_shared(tollkeeper.core()).expect("an address").connect().await.expect("connected");
    let account = account(&channel, "scarce").await;
    assert_eq!((money(&account.available), account.open_sessions), (Money::ZERO, 10));
}
