//! One driver, played by the test as its switch; the core of the package `tests`; a journal on a disk that can fail.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agent_call::{Answer, CallEnd, CallOffer, CallSettings, Command, SwitchEvent};
use agent_runtime::{CallDriver, CallLog, Clock, ContinueLimits, DriverParts, Order, Proof};
use cdr_journal::{Journal, JournalOptions};
use cdr_model::{CallRecord, RecordType};
use charging_client::{Client, ClientConfig};
use segment_log::fault::{Crash, FaultStorage};
use tempfile::TempDir;
use tests::core::{MemoryCore, write_tariff};
use tests::world::numbers;
use types::charging::{ChargingRequest, FailureHandling, Operation, SubscriberId};
use types::{ClientId, ConfigDuration, EndedBy, SessionId, UtcMs};

pub const BEGIN: UtcMs = UtcMs(1_795_300_000_000);
pub const CLIENT: &str = "k1";

pub struct Rig {
    pub core: MemoryCore,
    pub driver: CallDriver,
    pub orders: Vec<Order>,
    pub journal: Arc<Journal>,
    pub journal_disk: FaultStorage,
    /// Octets free on the journal's disk, as measured.
    pub journal_room: Arc<AtomicU64>,
    pub clock: Clock,
    /// The driver's.
    pub client: Client,
    setup: Setup,
    folder: TempDir,
}

/// What tests choose.
#[derive(Clone)]
pub struct Setup {
    pub maximum_calls: usize,
    /// Requests are kept here until they are done.
    pub outbox: Option<FaultStorage>,
    /// `on_core_failure = "continue"`, with these limits.
    pub continuing: Option<ContinueLimits>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { maximum_calls: 1000, outbox: None, continuing: None }
    }
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let mut rig = Self::unrestored(setup);
        rig.driver.restore().await.expect("the core lists its sessions");
        rig
    }

    pub fn unrestored(setup: Setup) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write_tariff(&folder.path().join("tariff"));
        let clock = Clock::simulated(BEGIN);
        let core = MemoryCore::new(&folder.path().join("tariff"), &folder.path().join("kept"), clock);
        let (journal_disk, journal_room) = (FaultStorage::new(), Arc::new(AtomicU64::new(u64::MAX / 2)));
        let room = Arc::clone(&journal_room);
        let options = JournalOptions {
            segment_bytes: 64 * 1024,
            space_interval: ConfigDuration::from_ms(0),
            ..JournalOptions::default()
        };
        let free = Arc::new(move || Ok(room.load(Ordering::Acquire)));
        let (journal, _) = Journal::open_on(Arc::new(journal_disk.clone()), free, options).expect("a journal");
        let journal = Arc::new(journal);
        let client = client(&core, &setup);
        let driver = driver(client.clone(), clock, &journal, &setup, folder.path().join("calls"));
        Self { core, driver, orders: vec![], journal, journal_disk, journal_room, clock, client, setup, folder }
    }

    pub fn calls_folder(&self) -> PathBuf {
        self.folder.path().join("calls")
    }

    /// kill -9 of the agent and a new one; core, journal and call log stay. Not restored yet.
    pub async fn die(&mut self) {
        self.settle().await;
        let nowhere = self.folder.path().join("nowhere");
        let of_nobody = Setup { outbox: None, ..self.setup.clone() };
        // The old driver first: it holds the call log, and its client the outbox.
        self.client = client(&self.core, &of_nobody);
        self.driver = driver(self.client.clone(), self.clock, &self.journal, &of_nobody, nowhere);
        std::fs::remove_dir_all(self.folder.path().join("nowhere")).unwrap_or_default();
        if let Some(outbox) = &self.setup.outbox {
            outbox.crash(Crash::DropUnsynced);
        }
        self.client = client(&self.core, &self.setup);
        self.driver = driver(self.client.clone(), self.clock, &self.journal, &self.setup, self.calls_folder());
        self.orders.clear();
    }

    /// Of the driver's client.
    pub fn outbox_disk(&self) -> FaultStorage {
        self.setup.outbox.clone().expect("a client with an outbox")
    }

    /// Until the client has made so many attempts at the core: what is tried is in the outbox.
    pub async fn attempts(&mut self, count: u64) {
        while self.client.metrics().attempts.value() < count {
            std::thread::yield_now();
            self.settle().await;
        }
    }

    pub async fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 64 {
            tokio::task::yield_now().await;
            let stepped = tokio::select! {
                biased;
                () = self.driver.step() => true,
                () = std::future::ready(()) => false,
            };
            self.orders.extend(self.driver.orders());
            quiet = if stepped { 0 } else { quiet + 1 };
        }
    }

    /// Waits for the journal's disk, which has its own time.
    pub async fn settle_records(&mut self) {
        self.settle().await;
        while self.driver.unsettled() > 0 {
            std::thread::yield_now();
            self.settle().await;
        }
    }

    /// Waits until the journal has these records of a call, while its requests wait for the core.
    pub async fn written(&mut self, session_id: &SessionId, kinds: &[RecordType]) {
        while self.kinds(session_id).len() < kinds.len() {
            std::thread::yield_now();
            self.settle().await;
        }
        assert_eq!(self.kinds(session_id), kinds);
    }

    /// Lets so much simulated time pass.
    pub async fn pass(&mut self, ms: u64) {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(ms);
        while tokio::time::timeout_at(deadline, self.driver.step()).await.is_ok() {
            self.orders.extend(self.driver.orders());
        }
        self.settle().await;
    }

    pub async fn offer(&mut self, call: &str) -> SessionId {
        let offer = offer(call, self.clock.now().utc);
        let session_id = offer.session_id.clone();
        self.driver.offer(offer);
        self.settle().await;
        session_id
    }

    pub async fn talking(&mut self, call: &str) -> SessionId {
        let session_id = self.offer(call).await;
        self.answer(&session_id).await;
        session_id
    }

    pub async fn answer(&mut self, session_id: &SessionId) {
        let answer = Answer { at: self.clock.now().utc, elapsed_ms: 0 };
        assert!(self.driver.event(session_id, SwitchEvent::Answered(answer)));
        self.settle().await;
    }

    pub async fn hang_up(&mut self, session_id: &SessionId) {
        let end = CallEnd::normal(self.clock.now().utc, EndedBy::Caller);
        assert!(self.driver.event(session_id, SwitchEvent::Ended(end)));
        self.settle().await;
    }

    pub async fn alive(&mut self, session_id: &SessionId, elapsed_ms: u64) {
        let at = UtcMs(self.clock.now().utc.0 - i64::try_from(elapsed_ms).expect("short"));
        assert!(self.driver.event(session_id, SwitchEvent::Alive(Answer { at, elapsed_ms })));
        self.settle().await;
    }

    pub fn commands(&self, session_id: &SessionId) -> Vec<Command> {
        let of = |order: &Order| match order {
            Order::Command(of, command) if of == session_id => Some(*command),
            _ => None,
        };
        self.orders.iter().filter_map(of).collect()
    }

    pub fn finished(&self, session_id: &SessionId) -> bool {
        self.orders.contains(&Order::Finished(session_id.clone()))
    }

    pub fn records(&self) -> Vec<CallRecord> {
        let storage = Arc::new(self.journal_disk.clone());
        let records = cdr_journal::tail_on(storage, false, usize::MAX).expect("readable");
        records.map(|record| record.expect("readable").record).collect()
    }

    pub fn kinds(&self, session_id: &SessionId) -> Vec<RecordType> {
        let of = self.records().into_iter().filter(|record| record.session_id == *session_id);
        of.map(|record| record.record_type).collect()
    }

    /// (operation, used in ms) as the core was asked.
    pub fn asked(&self, session_id: &SessionId) -> Vec<(Operation, u64)> {
        let used = |request: &ChargingRequest| {
            request.units.iter().flat_map(|unit| &unit.used).filter_map(|used| used.units.time_ms).sum()
        };
        let of = self.core.requests().into_iter().filter(|request| request.session_id == *session_id);
        of.map(|request| (request.operation, used(&request))).collect()
    }

    pub fn balance(&self) -> (String, String) {
        let view = self.core.view("a");
        (view.balance.to_string(), view.held.to_string())
    }

    /// The sequences that the core still has to tell.
    pub fn unconfirmed(&self) -> Vec<u64> {
        let taken = self.core.requests().len();
        let probe = offer(&format!("probe {taken}"), self.clock.now().utc);
        let request = ChargingRequest {
            client_id: CLIENT.into(),
            session_id: probe.session_id,
            request_number: 0,
            operation: Operation::Initial,
            requested_action: None,
            tenant: probe.tenant,
            subscribers: vec![SubscriberId::account("probe")],
            charging_mode: probe.charging_mode,
            service: probe.service,
            category: probe.category,
            subject: None,
            calling: None,
            called: probe.called,
            event_time: probe.offered,
            answer_time: None,
            service_information: None,
            units: vec![types::charging::UnitUsage {
                requested: Some(types::charging::Units::time(1000)),
                ..types::charging::UnitUsage::default()
            }],
            release_cause: None,
            client_state: vec![],
            retransmission: false,
        };
        self.core.charge_now(request).notifications.iter().map(|notification| notification.sequence).collect()
    }
}

fn client(core: &MemoryCore, setup: &Setup) -> Client {
    let (core, config) = (Arc::new(core.clone()), ClientConfig { keep_denied: true, ..ClientConfig::default() });
    match &setup.outbox {
        Some(outbox) => {
            Client::durable_on(ClientId::from(CLIENT), core, &config, Arc::new(outbox.clone())).expect("an outbox")
        }
        None => Client::start(ClientId::from(CLIENT), core, &config),
    }
}

fn driver(charging: Client, clock: Clock, journal: &Arc<Journal>, setup: &Setup, calls: PathBuf) -> CallDriver {
    let (call_log, proven_before): (CallLog, HashMap<SessionId, Proof>) = CallLog::open(&calls).expect("a call log");
    let mut settings = CallSettings::new(ClientId::from(CLIENT));
    (settings.slice_ms, settings.margin_ms, settings.interim_ms) = (30_000, 5_000, 0);
    if setup.continuing.is_some() {
        settings.on_core_failure = FailureHandling::Continue;
    }
    CallDriver::new(DriverParts {
        switch: Arc::from(CLIENT),
        charging,
        settings,
        authorise_timeout: Duration::from_secs(4),
        maximum_calls: setup.maximum_calls,
        journal: Arc::clone(journal),
        call_log: Some(call_log),
        proven_before,
        clock,
        continuing: setup.continuing.clone().unwrap_or_default(),
    })
}

pub fn offer(call: &str, at: UtcMs) -> CallOffer {
    tests::world::offer(call, "a", Some(numbers::R1), at)
}
