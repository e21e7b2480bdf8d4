//! What every test plays on: the real agent with driver and journal, the real ledger, the double of FreeSWITCH.
//!
//! Simulated time over real sockets: the test never lets the runtime go idle, so tokio's clock moves only where a test
//! says so, and socket and disk have all the time they need.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_freeswitch::{Agent, AgentParts, FreeswitchConfig, SwitchConfig};
use agent_runtime::{CallConfig, CallDriver, CallLog, Clock, DriverParts};
use cdr_journal::{Journal, JournalOptions};
use cdr_model::CallRecord;
use charging_client::{Client, ClientConfig};
use protocol_codecs::Masked;
use tempfile::TempDir;
use tests::core::{MemoryCore, TENANT, write_tariff};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use types::{ClientId, ConfigDuration, Money, UtcMs};

use crate::double::FreeSwitch;

/// See the module's documentation.
pub struct Stage {
    /// The core.
    pub core: MemoryCore,
    /// The switch.
    pub switch: FreeSwitch,
    /// Cancelled by SIGTERM.
    pub shutdown: CancellationToken,
    /// The agent.
    pub agent: JoinHandle<()>,
    clock: Clock,
    journal: Arc<Journal>,
    config: Arc<FreeswitchConfig>,
    folder: TempDir,
}

/// Settings of a test.
pub struct Plan {
    /// The wall clock's begin.
    pub begin_ms: i64,
    /// Balance of account 1001.
    pub balance: &'static str,
    /// Changes to the defaults.
    pub change: fn(&mut FreeswitchConfig),
}

impl Stage {
    /// Everything up, the agent started and connected.
    pub async fn set(plan: Plan) -> Self {
        let mut stage = Self::unconnected(plan).await;
        stage.connected(1).await;
        stage
    }

    /// Everything up, the agent started.
    pub async fn unconnected(plan: Plan) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tariff = folder.path().join("tariff");
        write_tariff(&tariff);
        let clock = Clock::simulated(UtcMs(plan.begin_ms));
        let core = MemoryCore::new(&tariff, &folder.path().join("kept"), clock);
        core.account("1001", plan.balance);
        let (journal, _) = Journal::open(folder.path().join("journal"), JournalOptions::default()).expect("a journal");
        let switch = FreeSwitch::start().await;
        let mut calls = CallConfig::default();
        calls.numbers.bare_is_international = true;
        calls.interim = ConfigDuration::from_ms(0);
        let table = format!(
            "name = \"agent\"\ntenant = \"{TENANT}\"\nswitches = [{{ name = \"fs1\", address = \"{}\" }}]",
            switch.address
        );
        let mut config: FreeswitchConfig = toml::from_str(&table).expect("a configuration");
        config.calls = calls;
        (plan.change)(&mut config);
        assert_eq!(config.faults(), []);
        let (config, journal) = (Arc::new(config), Arc::new(journal));
        let shutdown = CancellationToken::new();
        let agent = start(&config, &core, &journal, clock, &folder, shutdown.clone());
        Self { core, switch, shutdown, agent, clock, journal, config, folder }
    }

    /// kill -9 of the agent.
    pub async fn agent_dies(&mut self) {
        self.settle().await;
        self.agent.abort();
        self.until("the agent's end", |stage| stage.agent.is_finished() && !stage.switch.is_connected()).await;
    }

    /// A new start of it.
    pub fn agent_starts(&mut self) {
        self.shutdown = CancellationToken::new();
        let (config, core, journal) = (&self.config, &self.core, &self.journal);
        self.agent = start(config, core, journal, self.clock, &self.folder, self.shutdown.clone());
    }

    /// Lets everything happen that needs no time.
    pub async fn settle(&mut self) {
        self.switch.tick(self.clock.now().utc.0);
        for _ in 0..SETTLING_TURNS {
            tokio::task::yield_now().await;
        }
    }

    /// Waits, without simulated time going on, until `met`.
    pub async fn until(&mut self, what: &str, met: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !met(self) {
            self.settle().await;
            std::thread::yield_now();
            assert!(begun.elapsed() < LONGEST_WAIT, "{what}: never; the agent said {:#?}", self.said());
        }
    }

    /// Lets simulated time go on until `met`, at most two minutes.
    pub async fn eventually(&mut self, what: &str, met: impl Fn(&Self) -> bool) {
        let begun = self.now();
        while !met(self) {
            self.pass(SLICE_MS).await;
            assert!(self.now() < begun + 120_000, "{what}: not within two minutes; the agent said {:#?}", self.said());
        }
    }

    /// Simulated time goes on.
    pub async fn pass(&mut self, ms: u64) {
        let mut left_ms = ms;
        self.settle().await;
        while left_ms > 0 {
            let slice_ms = left_ms.min(SLICE_MS);
            tokio::time::advance(Duration::from_millis(slice_ms)).await;
            left_ms -= slice_ms;
            self.settle().await;
        }
    }

    /// The wall clock.
    pub fn now(&self) -> i64 {
        self.clock.now().utc.0
    }

    /// Until the agent has made so many connections, and asked for the channels on the last.
    pub async fn connected(&mut self, connections: u32) {
        self.eventually("a connection", |stage| {
            let state = stage.switch.state();
            let lists = state.asked.iter().filter(|asked| asked.starts_with("show channels")).count();
            state.connections >= connections && lists >= connections as usize
        })
        .await;
        for _ in 0..20 {
            self.settle().await;
        }
    }

    /// Every command but questions so far.
    pub fn said(&self) -> Vec<String> {
        self.switch.state().said.clone()
    }

    /// Those that begin so.
    pub fn said_of(&self, begin: &str) -> Vec<String> {
        self.said().into_iter().filter(|said| said.starts_with(begin)).collect()
    }

    /// Where the agent listens for the dialplan's socket application.
    pub fn socket_address(&self) -> String {
        let switch = self.config.switches.first().expect("one");
        switch.socket.as_ref().expect("configured").listen.to_string()
    }

    /// What is on an account.
    pub fn balance(&self, account: &str) -> Money {
        self.core.view(account).balance
    }

    /// SIGTERM, and the end.
    pub async fn finish(mut self) {
        self.shutdown.cancel();
        self.until("the agent's end", |stage| stage.agent.is_finished()).await;
        (&mut self.agent).await.expect("the agent ends well");
    }

    /// All records that are on disk, a line each; see [`summary`].
    pub fn records(&self) -> Vec<String> {
        self.full_records().iter().map(summary).collect()
    }

    /// All records that are on disk.
    pub fn full_records(&self) -> Vec<CallRecord> {
        let records = cdr_journal::tail(self.folder.path().join("journal"), false, usize::MAX).expect("readable");
        records.map(|record| record.expect("readable").record).collect()
    }

    /// Asserts records and the account of user 1001: balance, nothing held.
    pub async fn expect_settled(&mut self, case: &str, records: &[&str], balance: &str) {
        let expected: Vec<String> = records.iter().map(|record| (*record).to_owned()).collect();
        let begun = Instant::now();
        while self.records() != expected || !self.core.view("1001").held.is_zero() {
            self.settle().await;
            if begun.elapsed() > LONGEST_WAIT {
                break;
            }
        }
        assert_eq!(self.records(), expected, "{case}");
        assert!(self.core.view("1001").held.is_zero(), "{case}: held");
        assert_eq!(self.balance("1001"), money(balance), "{case}: balance");
        assert!(self.core.replayed_books_are_the_same(), "{case}");
    }
}

/// One record, a line: type, what it says of the time, the money and the end.
pub fn summary(record: &CallRecord) -> String {
    let mut words = vec![record.record_type.as_str().to_owned()];
    words.extend(record.termination_reason.map(|reason| format!("{reason:?}")));
    words.extend(record.sip_status.map(|status| status.to_string()));
    words.extend(record.release_cause.map(|cause| cause.as_str().to_owned()));
    words.extend(record.duration.map(|duration| format!("{}.{:03}s", duration.scaled / 1000, duration.scaled % 1000)));
    words.extend(record.overrun_ms.map(|ms| format!("overrun {ms}ms")));
    words.extend(record.cost.as_ref().and_then(|cost| cost.amount).map(|amount| format!("cost {amount}")));
    words.extend(record.reconstructed.then(|| "reconstructed".to_owned()));
    words.extend(record.clock_anomaly.then(|| "anomaly".to_owned()));
    words.join(" ")
}

/// An amount.
pub fn money(amount: &str) -> Money {
    amount.parse().expect("an amount")
}

fn start(
    config: &Arc<FreeswitchConfig>,
    core: &MemoryCore,
    journal: &Arc<Journal>,
    clock: Clock,
    folder: &TempDir,
    shutdown: CancellationToken,
) -> JoinHandle<()> {
    let client_id = ClientId::from("agent/fs1");
    let (call_log, proven_before) = CallLog::open(&folder.path().join("calls")).expect("a call log");
    let driver = CallDriver::new(DriverParts {
        switch: Arc::from("fs1"),
        settings: config.calls.settings(client_id.clone()),
        authorise_timeout: config.calls.authorise_timeout.std(),
        maximum_calls: usize::try_from(config.calls.maximum_calls).expect("small"),
        charging: Client::start(client_id, Arc::new(core.clone()), &ClientConfig::default()),
        journal: Arc::clone(journal),
        call_log: Some(call_log),
        proven_before,
        clock,
    });
    let switch: SwitchConfig = config.switches.first().expect("one").clone();
    let password = Masked::new("ClueCon");
    tokio::spawn(Agent::run(AgentParts { config: Arc::clone(config), switch, password, driver, shutdown }))
}

/// More turns than any chain of tasks needs between two moments.
const SETTLING_TURNS: u32 = 40;
const SLICE_MS: u64 = 10;
/// Real time, for the disk.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
