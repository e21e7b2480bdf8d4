//! What every test plays on: the real agent with driver and journal, the real ledger, the double of Kamailio.
//!
//! Simulated time over real sockets: the test never lets the runtime go idle, so tokio's clock moves only where a test
//! says so, and socket and disk have all the time they need.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_kamailio::{Agent, AgentParts, KamailioConfig, SwitchConfig, TrunkConfig};
use agent_runtime::{CallConfig, CallDriver, CallLog, Clock, DriverParts};
use cdr_journal::{Journal, JournalOptions};
use cdr_model::{CallRecord, RecordType};
use charging_client::{Client, ClientConfig};
use protocol_codecs::evapi::{AuthVerdict, ToKamailio};
use tempfile::TempDir;
use tests::core::{MemoryCore, TENANT, write_tariff};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use types::charging::{SessionPhase, SessionSummary};
use types::{ClientId, ConfigDuration, Money, UtcMs};

use crate::double::{Greeting, Kamailio};
use crate::recording::{Json, Recording, Step};

/// See the module's documentation.
pub struct Stage {
    /// The core.
    pub core: MemoryCore,
    /// The switch.
    pub kamailio: Kamailio,
    /// Cancelled by SIGTERM.
    pub shutdown: CancellationToken,
    /// The agent.
    pub agent: JoinHandle<()>,
    clock: Clock,
    journal: Arc<Journal>,
    config: Arc<KamailioConfig>,
    folder: TempDir,
}

/// Settings of a test.
pub struct Plan {
    /// The wall clock's begin.
    pub begin: UtcMs,
    /// Balance of account 1001.
    pub balance: &'static str,
    /// Changes to the defaults.
    pub change: fn(&mut KamailioConfig),
}

impl Plan {
    /// A plan for a recording: its time, 10.00 on the account, slices of two minutes.
    pub fn of(recording: &Recording) -> Self {
        Self { begin: recording.begin(), balance: "10.00", change: |_| {} }
    }
}

impl Stage {
    /// Everything up, the agent started.
    pub async fn set(plan: Plan) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tariff = folder.path().join("tariff");
        write_tariff(&tariff);
        let clock = Clock::simulated(plan.begin);
        let core = MemoryCore::new(&tariff, &folder.path().join("kept"), clock);
        core.account("1001", plan.balance);
        core.account("trunk-a", "10.00");
        let journal_folder = folder.path().join("journal");
        let (journal, _) = Journal::open(&journal_folder, JournalOptions::default()).expect("a journal");
        let books = core.clone();
        let kamailio = Kamailio::start(Arc::new(move |end_id| {
            let session = session_of(end_id);
            let last = |record: &CallRecord| matches!(record.record_type, RecordType::Stop | RecordType::Event);
            let recorded =
                read(&journal_folder).iter().any(|record| last(record) && record.session_id.as_str() == session);
            let open = |summary: SessionSummary| matches!(summary.phase, SessionPhase::Open | SessionPhase::Expired);
            recorded && !books.session_summary(&session.as_str().into()).is_some_and(open)
        }))
        .await;
        let mut calls = CallConfig::default();
        calls.numbers.bare_is_international = true;
        calls.interim = ConfigDuration::from_ms(0);
        let mut config = KamailioConfig {
            name: "agent".into(),
            tenant: TENANT.into(),
            tag: "tollkeeper".into(),
            switches: vec![SwitchConfig { name: "k1".into(), address: kamailio.address.as_str().into() }],
            ping_interval: ConfigDuration::from_s(2),
            reconnect_longest: ConfigDuration::from_s(5),
            calls,
            trunks: [("trunk-a".into(), trunk_of_germany())].into(),
        };
        (plan.change)(&mut config);
        let (config, journal) = (Arc::new(config), Arc::new(journal));
        let shutdown = CancellationToken::new();
        let agent = start(&config, &core, &journal, clock, &folder, shutdown.clone());
        Self { core, kamailio, shutdown, agent, clock, journal, config, folder }
    }

    /// kill -9 of the agent.
    pub async fn agent_dies(&mut self) {
        self.settle().await;
        self.agent.abort();
        self.until("the agent's end", |stage| stage.agent.is_finished() && !stage.kamailio.is_connected()).await;
    }

    /// A new start of it.
    pub fn agent_starts(&mut self) {
        let (config, core, journal) = (&self.config, &self.core, &self.journal);
        self.shutdown = CancellationToken::new();
        self.agent = start(config, core, journal, self.clock, &self.folder, self.shutdown.clone());
    }

    /// Lets everything happen that needs no time.
    pub async fn settle(&mut self) {
        self.kamailio.state().now = self.clock.now().utc.0;
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
            assert!(begun.elapsed() < LONGEST_WAIT, "{what}: never; the agent said {:#?}", self.kamailio.state().said);
        }
    }

    /// Lets simulated time go on until `met`, at most a minute.
    pub async fn eventually(&mut self, what: &str, met: impl Fn(&Self) -> bool) {
        let begun = self.elapsed_ms();
        while !met(self) {
            self.pass(SLICE_MS).await;
            let said = || self.kamailio.state().said.clone();
            assert!(self.elapsed_ms() < begun + 60_000, "{what}: not within a minute; the agent said {:#?}", said());
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

    /// Simulated time since the begin.
    pub fn elapsed_ms(&self) -> u64 {
        self.clock.now().mono.0
    }

    /// The wall clock.
    pub fn now(&self) -> i64 {
        self.clock.now().utc.0
    }

    /// Until the agent is connected and has asked for everything.
    pub async fn connected(&mut self) {
        let lists =
            |stage: &Self| stage.kamailio.heard(|said| matches!(said, ToKamailio::CallList { .. }).then_some(())).len();
        let before = lists(self);
        self.eventually("the agent asking for its calls", |stage| {
            stage.kamailio.is_connected() && lists(stage) > before
        })
        .await;
        self.settle().await;
    }

    /// Plays a recording: Kamailio's bytes at their times, each after what the recorded agent had said before; what
    /// `skipped` says our agent need not say.
    pub async fn play(&mut self, recording: &Recording, skipped: impl Fn(&Json) -> bool) {
        self.kamailio.state().greeting = Greeting::Played;
        self.steps(recording, skipped).await;
    }

    /// The same on the connection that stands: HELLO is over.
    pub async fn play_on(&mut self, recording: &Recording, skipped: impl Fn(&Json) -> bool) {
        self.steps(recording, skipped).await;
    }

    async fn steps(&mut self, recording: &Recording, skipped: impl Fn(&Json) -> bool) {
        let mut greeted = 0;
        let mut rest = recording.steps.iter();
        while let Some((at, step)) = rest.next() {
            match step {
                Step::Connected => self.eventually("a connection", |stage| stage.kamailio.is_connected()).await,
                Step::Closed if rest.as_slice().iter().any(|(_, step)| matches!(step, Step::Connected)) => {
                    self.away(rest.as_slice()).await;
                }
                Step::Closed => {}
                Step::Agent(message) if skipped(message) => {}
                Step::Agent(message) => self.expect(message).await,
                Step::Kamailio(bytes, messages) => {
                    if messages.iter().any(|message| message["event"] == "HELLO_REPLY") {
                        greeted += 1;
                        self.eventually("HELLO", |stage| stage.kamailio.state().hellos.len() >= greeted).await;
                    }
                    if messages.iter().all(|message| !is_given_live(message)) {
                        let wait_ms = at.saturating_sub(self.elapsed_ms());
                        self.pass(wait_ms).await;
                        self.kamailio.play(bytes);
                    }
                    self.settle().await;
                }
            }
        }
    }

    /// The connection breaks; what happens until the next one nobody tells the agent.
    async fn away(&mut self, rest: &[(u64, Step)]) {
        self.kamailio.state().reachable = false;
        self.kamailio.hang_up();
        let unseen = rest.iter().find_map(|(at, step)| match step {
            Step::Kamailio(bytes, messages) => messages
                .iter()
                .any(|message| is_given_live(message) && message["event"] == "CALL_END")
                .then_some((at, bytes)),
            _ => None,
        });
        if let Some((at, bytes)) = unseen {
            let wait_ms = at.saturating_sub(self.elapsed_ms());
            self.pass(wait_ms).await;
            self.kamailio.play(bytes);
        }
        self.kamailio.state().reachable = true;
    }

    /// Our agent says what the recorded one said, as far as it matters.
    async fn expect(&mut self, recorded: &Json) {
        let number = |name: &str| recorded.get(name).and_then(serde_json::Value::as_u64);
        match recorded["event"].as_str() {
            Some("AUTH_REPLY") => {
                let wanted = (number("tr_index"), number("tr_label"), number("allow") == Some(1), number("code"));
                self.eventually("the recorded AUTH_REPLY", |stage| {
                    stage.verdicts().iter().any(|(index, label, verdict)| {
                        let (allow, code) = match verdict {
                            AuthVerdict::Allow { .. } => (true, None),
                            AuthVerdict::Deny { code, .. } => (false, Some(u64::from(*code))),
                        };
                        (Some(u64::from(*index)), Some(u64::from(*label)), allow, code) == wanted
                    })
                })
                .await;
            }
            Some("CALL_END_ACK") if recorded.contains_key("end_id") => {
                let end_id = recorded["end_id"].as_str().expect("text");
                let has = |stage: &Self| stage.kamailio.state().acks.iter().any(|(acked, _)| acked == end_id);
                self.until("CALL_END_ACK", has).await;
            }
            Some("DISCONNECT") => {
                let wanted = (number("h_entry"), recorded["callid"].as_str(), recorded["cause"].as_str());
                let said = |said: &ToKamailio| match said {
                    ToKamailio::Disconnect { h_entry, callid, cause, .. } => {
                        ((Some(u64::from(*h_entry)), Some(&**callid), Some(&**cause)) == wanted).then_some(())
                    }
                    _ => None,
                };
                self.eventually("DISCONNECT", |stage| !stage.kamailio.heard(said).is_empty()).await;
            }
            Some("SET_TIMEOUT") => {
                let wanted = (number("h_entry"), number("h_id"), number("cap_s"));
                self.eventually("SET_TIMEOUT", |stage| {
                    stage.timeouts().iter().any(|(entry, id, cap_s)| {
                        (Some(u64::from(*entry)), Some(u64::from(*id)), Some(u64::from(*cap_s))) == wanted
                    })
                })
                .await;
            }
            _ => {}
        }
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

    /// Every AUTH_REPLY so far.
    pub fn verdicts(&self) -> Vec<(u32, u32, AuthVerdict)> {
        self.kamailio.heard(|said| match said {
            ToKamailio::AuthReply { tr_index, tr_label, verdict } => Some((*tr_index, *tr_label, verdict.clone())),
            _ => None,
        })
    }

    /// Every SET_TIMEOUT so far: dialog and cap in seconds.
    pub fn timeouts(&self) -> Vec<(u32, u32, u32)> {
        self.kamailio.heard(|said| match said {
            ToKamailio::SetTimeout { h_entry, h_id, cap_s } => Some((*h_entry, *h_id, *cap_s)),
            _ => None,
        })
    }

    /// The causes of every DISCONNECT so far.
    pub fn disconnects(&self) -> Vec<String> {
        self.kamailio.heard(|said| match said {
            ToKamailio::Disconnect { cause, .. } => Some(cause.clone()),
            _ => None,
        })
    }

    /// All records that are on disk, a line each; see [`summary`].
    pub fn records(&self) -> Vec<String> {
        self.full_records().iter().map(summary).collect()
    }

    /// All records that are on disk.
    pub fn full_records(&self) -> Vec<CallRecord> {
        read(&self.folder.path().join("journal"))
    }

    /// Asserts records, the account of user 1001 (balance, nothing held), and that every end told was acknowledged
    /// once, after it was charged and recorded.
    pub async fn expect_settled(&mut self, case: &str, records: &[&str], balance: &str) {
        self.until(&format!("{case}: every end acknowledged"), |stage| stage.kamailio.state().kept.is_empty()).await;
        self.settle().await;
        assert_eq!(self.records(), records, "{case}");
        for account in ["1001", "trunk-a"] {
            assert!(self.core.view(account).held.is_zero(), "{case}: held of {account}");
        }
        assert_eq!(self.balance("1001"), money(balance), "{case}: balance");
        let state = self.kamailio.state();
        for (end_id, settled) in &state.acks {
            assert!(settled, "{case}: {end_id} was acknowledged before it was charged and recorded");
        }
        drop(state);
        assert!(self.core.replayed_books_are_the_same(), "{case}");
        let client = ClientId::from("agent/k1");
        assert!(self.core.requests().iter().all(|request| request.client_id == client), "{case}");
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

/// `<run>/<h_entry>:<h_id>` of an end to our session.
fn session_of(end_id: &str) -> String {
    format!("k1/{}", end_id.replace(':', "-"))
}

fn read(journal: &std::path::Path) -> Vec<CallRecord> {
    let records = cdr_journal::tail(journal, false, usize::MAX).expect("readable");
    records.map(|record| record.expect("readable").record).collect()
}

fn start(
    config: &Arc<KamailioConfig>,
    core: &MemoryCore,
    journal: &Arc<Journal>,
    clock: Clock,
    folder: &TempDir,
    shutdown: CancellationToken,
) -> JoinHandle<()> {
    let client_id = ClientId::from("agent/k1");
    let (call_log, proven_before) = CallLog::open(&folder.path().join("calls")).expect("a call log");
    let driver = CallDriver::new(DriverParts {
        switch: Arc::from("k1"),
        settings: config.calls.settings(client_id.clone()),
        authorise_timeout: config.calls.authorise_timeout.std(),
        maximum_calls: usize::try_from(config.calls.maximum_calls).expect("small"),
        charging: Client::start(client_id, Arc::new(core.clone()), &ClientConfig::default()),
        journal: Arc::clone(journal),
        call_log: Some(call_log),
        proven_before,
        clock,
    });
    let switch = config.switches.first().expect("one").clone();
    tokio::spawn(Agent::run(AgentParts { config: Arc::clone(config), switch, driver, shutdown }))
}

/// Is the answer given by the double itself, because our agent asks at other moments than the recorded one?
fn is_given_live(message: &Json) -> bool {
    match message["event"].as_str() {
        Some("RESEND_DONE" | "CALL_LIST_DONE") => true,
        Some("CALL_END") => !message.contains_key("event_time"),
        _ => false,
    }
}

fn trunk_of_germany() -> TrunkConfig {
    let mut numbers = agent_call::numbers::NumberRules::default();
    (numbers.country_code, numbers.bare_is_international) = ("49".into(), true);
    numbers.technical_prefixes = vec!["99".into()];
    TrunkConfig { numbers }
}

/// More turns than any chain of tasks needs between two moments.
const SETTLING_TURNS: u32 = 40;
const SLICE_MS: u64 = 10;
/// Real time, for the disk.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
