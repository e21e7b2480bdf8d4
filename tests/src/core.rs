//! The real ledger and the real rating behind the real client, without disk and network, in simulated time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_runtime::Clock;
use charging_client::{ChargingFailure, ChargingTransport, FailureCause, NotificationStream, Ready, TransportFuture};
use charging_server::{TariffConfig, TariffPricing, Tariffs};
use ledger::{AccountKey, AccountView, Books, Change, Command, CreateAccount, Outcome, Settings, Transfer, decide};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use types::charging::{ChargingAnswer, ChargingRequest, Notification, ResultCode, SessionSummary};
use types::{ClientId, Currency, Money, SessionId};

/// A core in memory; clones share one.
#[derive(Clone)]
pub struct MemoryCore(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    pricing: TariffPricing,
    settings: Settings,
    clock: Clock,
    reachable: tokio::sync::watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    books: Books,
    changes: Vec<Change>,
    requests: Vec<ChargingRequest>,
    answers: Vec<ChargingAnswer>,
    subscribers: HashMap<ClientId, mpsc::UnboundedSender<Notification>>,
    lose_answers: u32,
    operations: u64,
}

/// The tenant of all accounts made here.
pub const TENANT: &str = "example";

impl MemoryCore {
    /// A core with the tariff in `folder`; `kept_in` takes its versions.
    pub fn new(folder: &Path, kept_in: &Path, clock: Clock) -> Self {
        let config = TariffConfig { folder: Some(folder.into()), ..TariffConfig::default() };
        let tariffs = Tariffs::open(kept_in, &config, 0).expect("the test's tariff loads");
        let pricing = TariffPricing::new(Arc::new(tariffs));
        let (reachable, _) = tokio::sync::watch::channel(true);
        Self(Arc::new(Shared { state: Mutex::default(), pricing, settings: Settings::default(), clock, reachable }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides and applies.
    pub fn command(&self, command: &Command) -> Outcome {
        let mut state = self.state();
        let decision = decide(&state.books, &self.0.pricing, &self.0.settings, command, self.0.clock.now().utc);
        state.books.apply_all(&decision.changes).expect("decided changes apply");
        for change in &decision.changes {
            if let Change::Notified { client_id, notification } = change
                && let Some(subscriber) = state.subscribers.get(client_id)
            {
                // A driver that died listens no more.
                drop(subscriber.send(notification.clone()));
            }
        }
        state.changes.extend(decision.changes);
        state.books.check().expect("the books agree with themselves");
        decision.outcome
    }

    /// Makes an account with a first balance.
    pub fn account(&self, id: &str, balance: &str) {
        let currency: Currency = "EUR".parse().expect("a currency");
        let create =
            CreateAccount { key: key(id), currency, identities: vec![], low_balance_limit: None, credit_limit: None };
        assert!(matches!(self.command(&Command::CreateAccount(Box::new(create))), Outcome::Account(_)));
        self.top_up(id, balance);
    }

    /// Adds money.
    pub fn top_up(&self, id: &str, amount: &str) {
        let amount: Money = amount.parse().expect("an amount");
        if amount.is_zero() {
            return;
        }
        self.state().operations += 1;
        let operation_id = format!("top-up {}", self.state().operations).into();
        let transfer = Transfer { account: key(id), operation_id, amount, currency: None };
        assert!(matches!(self.command(&Command::TopUp(transfer)), Outcome::Transferred(_)));
    }

    /// Nobody talks at its cost any more.
    pub fn block(&self, id: &str) {
        self.command(&Command::Block(key(id)));
    }

    /// An account as it stands.
    pub fn view(&self, id: &str) -> AccountView {
        self.state().books.account(&key(id)).expect("a known account")
    }

    /// The session's summary.
    pub fn session_summary(&self, session_id: &SessionId) -> Option<SessionSummary> {
        self.state().books.session(session_id)
    }

    /// What the client has not confirmed yet.
    pub fn notifications(&self, client_id: &str) -> Vec<Notification> {
        self.state().books.notifications(&ClientId::from(client_id))
    }

    /// Every request that was decided, copies included.
    pub fn requests(&self) -> Vec<ChargingRequest> {
        self.state().requests.clone()
    }

    /// Every answer that was given, copies included.
    pub fn answers(&self) -> Vec<ChargingAnswer> {
        self.state().answers.clone()
    }

    /// The next `count` requests are applied, and their answers lost.
    pub fn lose_answers(&self, count: u32) {
        self.state().lose_answers = count;
    }

    /// Nothing reaches the core (false), or it does again.
    pub fn set_reachable(&self, reachable: bool) {
        self.0.reachable.send_replace(reachable);
    }

    /// Replays all changes into fresh books: recovery must give the same.
    pub fn replayed_books_are_the_same(&self) -> bool {
        let state = self.state();
        let mut books = Books::new();
        books.apply_all(&state.changes).is_ok() && books == state.books
    }

    /// Decides a request as it comes from a client.
    pub fn charge_now(&self, request: ChargingRequest) -> ChargingAnswer {
        self.state().requests.push(request.clone());
        let refusal =
            ChargingAnswer::refusal(request.session_id.clone(), request.request_number, ResultCode::UNABLE_TO_COMPLY);
        let answer = match self.command(&Command::Charge(Box::new(request))) {
            Outcome::Charged(charged) => Arc::unwrap_or_clone(charged.answer),
            _ => refusal,
        };
        self.state().answers.push(answer.clone());
        answer
    }

    fn away(&self) -> bool {
        !*self.0.reachable.borrow()
    }
}

/// Writes the tariff of MONEY.md: Germany is R1, 0.01 per second in increments of 1 s; Great Britain is that of example 3,
/// 0.60 a minute in increments of 60 s and 0.05 for the connection. All else has no rate.
pub fn write_tariff(folder: &Path) {
    let files = [
        ("Destinations.csv", "DE,49\nGB,44\n"),
        ("Rates.csv", "R1,0,0.01,1s,1s,0s\nCOARSE,0.05,0.60,60s,60s,0s\n"),
        ("DestinationRates.csv", "DR,DE,R1,*up,4,0,\nDR,GB,COARSE,*up,4,0,\n"),
        ("RatingPlans.csv", "RP,DR,*any,10\n"),
        ("RatingProfiles.csv", "example,call,*any,,RP,\n"),
    ];
    std::fs::create_dir_all(folder).expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("a file");
    }
}

fn key(id: &str) -> AccountKey {
    AccountKey { tenant: TENANT.into(), id: id.into() }
}

fn lost() -> ChargingFailure {
    ChargingFailure::UnknownFate { cause: FailureCause::Disconnected }
}

impl ChargingTransport for MemoryCore {
    fn ready(&self) -> Ready<'_> {
        let mut reachable = self.0.reachable.subscribe();
        Box::pin(async move {
            // The sender lives as long as the core.
            drop(reachable.wait_for(|reachable| *reachable).await);
        })
    }

    fn charge(&self, request: Arc<ChargingRequest>) -> TransportFuture<'_, ChargingAnswer> {
        Box::pin(async move {
            if self.away() {
                return Err(ChargingFailure::NotSent { cause: FailureCause::Disconnected });
            }
            let answer = self.charge_now(Arc::unwrap_or_clone(request));
            let mut state = self.state();
            if state.lose_answers > 0 {
                state.lose_answers -= 1;
                return Err(lost());
            }
            Ok(answer)
        })
    }

    fn list_sessions<'a>(&'a self, client_id: &'a ClientId) -> TransportFuture<'a, Vec<SessionSummary>> {
        Box::pin(async move { if self.away() { Err(lost()) } else { Ok(self.state().books.sessions_of(client_id)) } })
    }

    fn session<'a>(&'a self, session_id: &'a SessionId) -> TransportFuture<'a, Option<SessionSummary>> {
        Box::pin(async move { if self.away() { Err(lost()) } else { Ok(self.session_summary(session_id)) } })
    }

    fn notifications<'a>(&'a self, client_id: &'a ClientId) -> TransportFuture<'a, NotificationStream> {
        Box::pin(async move {
            let (sender, receiver) = mpsc::unbounded_channel();
            let mut state = self.state();
            for notification in state.books.notifications(client_id) {
                drop(sender.send(notification));
            }
            state.subscribers.insert(client_id.clone(), sender);
            let stream: NotificationStream = Box::pin(UnboundedReceiverStream::new(receiver));
            Ok(stream)
        })
    }

    fn confirm<'a>(&'a self, client_id: &'a ClientId, sequence: u64) -> TransportFuture<'a, ()> {
        Box::pin(async move {
            self.command(&Command::ConfirmNotifications { client_id: client_id.clone(), through: sequence });
            Ok(())
        })
    }
}
