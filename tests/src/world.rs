//! One switch (played by the test), one driver, one core, in simulated time: tokio's clock stands still but for what
//! the test waits for, and the wall clock goes with it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_call::{Answer, CallEnd, CallOffer, CallSettings, Command, SwitchEvent};
use agent_runtime::{CallDriver, CallLog, Clock, DriverParts, Order};
use cdr_journal::{Journal, JournalOptions};
use cdr_model::{CallDirection, CallRecord, SipData};
use charging_client::{Client, ClientConfig};
use tempfile::TempDir;
use tokio::time::Instant;
use types::charging::{ChargingMode, Service, SubscriberId};
use types::{ClientId, EndedBy, SessionId, UtcMs};

use crate::core::{MemoryCore, TENANT, write_tariff};

/// When simulated time begins.
pub const BEGIN: UtcMs = UtcMs(1_795_300_000_000);

/// The tariff of MONEY.md: numbers by destination.
pub mod numbers {
    /// R1: 0.01 per second, 1 s increments, no connect fee.
    pub const R1: &str = "+4930123456";
    /// Example 3: 0.60 a minute in 60 s increments, connect fee 0.05.
    pub const COARSE: &str = "+442071234567";
    /// No rate.
    pub const UNRATED: &str = "+8812345678";
}

/// See the module's documentation.
pub struct World {
    /// The core.
    pub core: MemoryCore,
    /// The agent's part.
    pub driver: CallDriver,
    /// What the driver ordered and the test has not looked at.
    pub orders: Vec<(u64, Order)>,
    settings: CallSettings,
    clock: Clock,
    zero: Instant,
    journal: Arc<Journal>,
    lives: u32,
    folder: TempDir,
}

impl World {
    /// A world with the slices of MONEY.md: 30 s, margin 5 s, no INTERIM.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn with(change: impl FnOnce(&mut CallSettings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tariff = folder.path().join("tariff");
        write_tariff(&tariff);
        let clock = Clock::simulated(BEGIN);
        let core = MemoryCore::new(&tariff, &folder.path().join("kept"), clock);
        let mut settings = CallSettings::new(ClientId::from("agent/k1"));
        (settings.slice_ms, settings.margin_ms, settings.interim_ms) = (30_000, 5_000, 0);
        change(&mut settings);
        let (journal, _) = Journal::open(folder.path().join("journal"), JournalOptions::default()).expect("a journal");
        let journal = Arc::new(journal);
        let driver = driver(&settings, &core, clock, &journal, folder.path().join("calls"));
        let mut world =
            Self { core, driver, orders: vec![], settings, clock, zero: Instant::now(), journal, lives: 1, folder };
        world.driver.restore().await.expect("the core lists its sessions");
        world
    }

    /// kill -9 of the agent and a new start: memory is gone, core and journal are not.
    pub async fn agent_dies(&mut self) {
        self.settle_records().await;
        self.lives += 1;
        let calls = self.folder.path().join(format!("calls-{}", self.lives));
        self.driver = driver(&self.settings, &self.core, self.clock, &self.journal, calls);
        self.orders.clear();
    }

    /// The new agent asks the core for its sessions.
    pub async fn agent_restores(&mut self) -> usize {
        self.driver.restore().await.expect("the core lists its sessions")
    }

    /// The next call's moment zero is now: [`World::run_until`] counts from here.
    pub fn zero_is_now(&mut self) {
        self.zero = Instant::now();
    }

    /// Milliseconds since zero.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.zero.elapsed().as_millis()).expect("a test is short")
    }

    /// Lets everything happen that happens until `ms` after zero, and at that moment.
    pub async fn run_until(&mut self, ms: u64) {
        let deadline = self.zero + Duration::from_millis(ms);
        while tokio::time::timeout_at(deadline, self.driver.step()).await.is_ok() {
            self.collect();
        }
        self.settle().await;
    }

    /// Lets everything happen that needs no time.
    pub async fn settle(&mut self) {
        for _ in 0..SETTLING_TURNS {
            tokio::task::yield_now().await;
            // Not a timeout of zero: that would let simulated time go on by a tick.
            tokio::select! {
                biased;
                () = self.driver.step() => self.collect(),
                () = std::future::ready(()) => {}
            }
        }
        self.collect();
    }

    fn collect(&mut self) {
        let at = self.elapsed_ms();
        self.orders.extend(self.driver.orders().map(|order| (at, order)));
    }

    /// Offers a call of `account` to `called`.
    pub async fn offer(&mut self, call: &str, account: &str, called: &str) -> SessionId {
        let offer = offer(call, account, Some(called), self.clock.now().utc);
        self.offer_as(offer).await
    }

    /// Offers any call.
    pub async fn offer_as(&mut self, offer: CallOffer) -> SessionId {
        let session_id = offer.session_id.clone();
        self.driver.offer(offer);
        self.settle().await;
        session_id
    }

    /// The callee answers.
    pub async fn answer(&mut self, session: &SessionId) {
        let at = self.clock.now().utc;
        assert!(self.driver.event(session, SwitchEvent::Answered(Answer { at, elapsed_ms: 0 })));
        self.settle().await;
    }

    /// The switch confirms the call, answered so long ago.
    pub async fn alive(&mut self, session: &SessionId, elapsed_ms: u64) {
        let at = UtcMs(self.clock.now().utc.0 - i64::try_from(elapsed_ms).expect("short"));
        assert!(self.driver.event(session, SwitchEvent::Alive(Answer { at, elapsed_ms })));
        self.settle().await;
    }

    /// A party hangs up now.
    pub async fn hang_up(&mut self, session: &SessionId) {
        let end = CallEnd::normal(self.clock.now().utc, EndedBy::Caller);
        self.event(session, SwitchEvent::Ended(end)).await;
    }

    /// Any event.
    pub async fn event(&mut self, session: &SessionId, event: SwitchEvent) {
        assert!(self.driver.event(session, event));
        self.settle().await;
    }

    /// When the driver ordered a release of the call, in ms after zero.
    pub fn released_at(&self, session: &SessionId) -> Option<u64> {
        let released = |order: &Order| matches!(order, Order::Command(of, Command::Release { .. }) if of == session);
        self.orders.iter().find(|(_, order)| released(order)).map(|(at, _)| *at)
    }

    /// The commands for a call so far.
    pub fn commands(&self, session: &SessionId) -> Vec<Command> {
        let of = |order: &Order| match order {
            Order::Command(of, command) if of == session => Some(*command),
            _ => None,
        };
        self.orders.iter().filter_map(|(_, order)| of(order)).collect()
    }

    /// Asserts an account's balance and what of it is held.
    pub fn expect(&self, row: &str, account: &str, balance: &str, held: &str) {
        let view = self.core.view(account);
        assert_eq!((view.balance.to_string(), view.held.to_string()), (balance.into(), held.into()), "{row}");
    }

    /// All records in the journal, first of each id.
    pub async fn records(&mut self) -> Vec<CallRecord> {
        self.settle_records().await;
        let records = cdr_journal::tail(self.folder.path().join("journal"), false, usize::MAX).expect("readable");
        records.map(|record| record.expect("readable").record).collect()
    }

    /// The disk has its own time: wait for it without letting the simulated one go on.
    async fn settle_records(&mut self) {
        while self.driver.unsettled() > 0 {
            std::thread::yield_now();
            self.settle().await;
        }
        self.settle().await;
    }
}

fn driver(
    settings: &CallSettings,
    core: &MemoryCore,
    clock: Clock,
    journal: &Arc<Journal>,
    calls: PathBuf,
) -> CallDriver {
    let (call_log, proven_before) = CallLog::open(&calls).expect("a call log");
    CallDriver::new(DriverParts {
        switch: Arc::from("k1"),
        settings: settings.clone(),
        authorise_timeout: Duration::from_secs(4),
        maximum_calls: 1000,
        charging: Client::start(settings.client_id.clone(), Arc::new(core.clone()), &ClientConfig::default()),
        journal: Arc::clone(journal),
        call_log: Some(call_log),
        proven_before: proven_before.into_iter().collect::<HashMap<_, _>>(),
        clock,
    })
}

/// A call as a switch offers it.
pub fn offer(call: &str, account: &str, called: Option<&str>, offered: UtcMs) -> CallOffer {
    CallOffer {
        call_id: call.into(),
        session_id: format!("k1/run/{call}").into(),
        leg_id: "A".into(),
        parent_leg_id: None,
        tenant: TENANT.into(),
        payer: Some(SubscriberId::account(account)),
        charging_mode: ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: Some("+49301111".into()),
        called: called.map(Into::into),
        dialled: called.unwrap_or("alice").into(),
        offered,
        never_refuse: false,
        direction: CallDirection::MobileOriginated,
        sip: SipData::default(),
        node: "k1".into(),
        trunk: None,
    }
}

/// More turns than any chain of tasks needs between two moments.
const SETTLING_TURNS: u32 = 64;
