//! The stage: an agent, its core, its journal, and clients.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_diameter::config::LimitsConfig;
use agent_diameter::{Agent, AgentParts, DiameterConfig, PeerBoard};
use agent_runtime::Clock;
use bytes::Bytes;
use cdr_journal::{Journal, JournalOptions};
use cdr_model::{CallRecord, RecordType};
use charging_client::{Client, ClientConfig};
use futures_util::{SinkExt, StreamExt};
use ledger::{AccountKey, Command, CreateAccount, Outcome};
use protocol_codecs::diameter::{
    Address, Answer, CapabilitiesExchangeRequest, CcRequestType, Command as _, CreditControlAnswer,
    CreditControlRequest, DiameterCodec, Exchange, Frame, Message, Mode, MultipleServicesCreditControl,
    RequestedServiceUnit, ResultCode, SubscriptionId, SubscriptionIdType, UsedServiceUnit,
};
use tempfile::TempDir;
use tests::core::{MemoryCore, TENANT};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;
use types::charging::{SubscriberId, SubscriberIdKind};
use types::{ClientId, ConfigDuration};

/// Longer than anything here takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const HOST: &str = "ocs.example.net";
pub const REALM: &str = "example.net";
pub const PGW: &str = "pgw.example.net";
pub const MB: u64 = 1_000_000;
pub const DATA: &str = "32251@3gpp.org";
pub const VOICE: &str = "ext.01.001.8.32260@3gpp.org";
pub const SMS: &str = "32274@3gpp.org";

/// See the module's documentation.
pub struct Stage {
    pub core: MemoryCore,
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    pub agent: JoinHandle<()>,
    pub board: Arc<PeerBoard>,
    pub charging: Client,
    config: Arc<DiameterConfig>,
    clock: Clock,
    journal: Arc<Journal>,
    pub folder: TempDir,
}

/// Type, sequence, usage by rating group, cost.
pub type Row = (RecordType, u32, Vec<(u32, u64)>, Option<String>);

pub const CONFIG: &str = r#"{
    "name": "gy", "origin_host": "ocs.example.net", "listen": ["127.0.0.1:0"], "tenant": "example",
    "peers": [{ "host": "pgw.example.net" }, { "host": "*.core.example.net" }, { "host": "dra.example.net", "relay": true }],
    "services": [
        { "context": "32251", "rating_group": 10, "category": "data" },
        { "context": "32251", "rating_group": 20, "category": "data_cheap" },
        { "context": "32251", "rating_group": 30, "free": true },
        { "context": "32251", "rating_group": 40, "final_unit": { "redirect": "http://topup.example.net/" } },
        { "context": "32251", "rating_group": 50, "grant": { "slice": 3000000, "least": 2000000, "most": 4000000 } },
        { "context": "32251", "apn": "anything", "category": "data" },
        { "context": "32260" }, { "context": "32274" }
    ],
    "numbers": { "bare_is_international": true }
}"#;

impl Stage {
    /// With the configuration above.
    pub async fn set(balance: &str) -> Self {
        Self::with(balance, |_| {}).await
    }

    /// The same, changed.
    pub async fn with(balance: &str, change: impl FnOnce(&mut DiameterConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tariff = folder.path().join("tariff");
        write_tariff(&tariff);
        let clock = Clock::system();
        let core = MemoryCore::new(&tariff, &folder.path().join("kept"), clock);
        let key = AccountKey { tenant: TENANT.into(), id: "alice".into() };
        let identities = [(SubscriberIdKind::E164, "+49170"), (SubscriberIdKind::Imsi, "262010000000001")];
        let identities = identities.map(|(kind, value)| SubscriberId { kind, value: value.into() }).to_vec();
        let currency = "EUR".parse().expect("a currency");
        let create = CreateAccount { key, currency, identities, low_balance_limit: None, credit_limit: None };
        assert!(matches!(core.command(&Command::CreateAccount(Box::new(create))), Outcome::Account(_)));
        core.top_up("alice", balance);
        // No answer waits until the disk's work is shared: it would never come.
        let options = JournalOptions { sync_interval: ConfigDuration::from_s(3_600), ..JournalOptions::default() };
        let (journal, _) = Journal::open(folder.path().join("journal"), options).expect("a journal");
        let mut config: DiameterConfig = serde_json::from_str(CONFIG).expect("a configuration");
        config.limits = LimitsConfig { ..LimitsConfig::default() };
        change(&mut config);
        assert_eq!(config.faults(), []);
        let (config, journal, shutdown) = (Arc::new(config), Arc::new(journal), CancellationToken::new());
        let outbox = folder.path().join("outbox");
        let (address, charging, board, agent) = start(&config, &core, &journal, clock, 1, &shutdown, &outbox);
        Self { core, address, shutdown, agent, board, charging, config, clock, journal, folder }
    }

    /// kill -9 of the agent and a new start: memory is gone, core and journal are not.
    pub async fn agent_dies(&mut self) {
        self.agent.abort();
        drop((&mut self.agent).await);
        // Its outbox is locked until the last of it is gone.
        drop(self.charging.stop().await);
        self.shutdown = CancellationToken::new();
        let (config, core, journal) = (&self.config, &self.core, &self.journal);
        let outbox = self.folder.path().join("outbox");
        let (address, charging, board, agent) = start(config, core, journal, self.clock, 2, &self.shutdown, &outbox);
        (self.address, self.charging, self.board, self.agent) = (address, charging, board, agent);
    }

    /// A client whose capabilities are exchanged.
    pub async fn client(&self, host: &str) -> Peer {
        let mut peer = self.stranger(host).await;
        peer.exchange_capabilities().await;
        peer
    }

    /// A connection on which nothing was said.
    pub async fn stranger(&self, host: &str) -> Peer {
        let stream = TcpStream::connect(self.address).await.expect("connects");
        let mut codec = DiameterCodec::default();
        codec.capabilities_exchanged();
        Peer { framed: Framed::new(stream, codec), host: host.to_owned(), next: 1 }
    }

    /// Everything recorded, in order.
    pub fn records(&self) -> Vec<CallRecord> {
        read(&self.folder.path().join("journal"))
    }

    /// (type, sequence, usage deltas by rating group as input + output + units + ms, cost).
    pub fn told(&self, session: &str) -> Vec<Row> {
        let of_session = |record: &CallRecord| record.session_id.as_str() == session;
        let row = |record: CallRecord| {
            let used = |units: &cdr_model::RecordUnits| {
                [units.input_octets, units.output_octets, units.total_octets, units.units, units.time_ms]
                    .into_iter()
                    .flatten()
                    .sum()
            };
            let usage = record.usage.iter().map(|usage| (usage.rating_group, used(&usage.delta))).collect();
            let cost = record.cost.and_then(|cost| cost.amount).map(|amount| amount.to_string());
            (record.record_type, record.record_sequence, usage, cost)
        };
        self.records().into_iter().filter(of_session).map(row).collect()
    }

    /// (balance, held).
    pub fn account(&self) -> (String, String) {
        let view = self.core.view("alice");
        (view.balance.to_string(), view.held.to_string())
    }

    /// Waits until `met`.
    pub async fn until(&self, what: &str, met: impl Fn(&Self) -> bool) {
        let begun = tokio::time::Instant::now();
        while !met(self) {
            tokio::task::yield_now().await;
            assert!(begun.elapsed() < PATIENCE, "{what}: never");
        }
    }
}

fn start(
    config: &Arc<DiameterConfig>,
    core: &MemoryCore,
    journal: &Arc<Journal>,
    clock: Clock,
    origin_state_id: u32,
    shutdown: &CancellationToken,
    outbox: &Path,
) -> (SocketAddr, Client, Arc<PeerBoard>, JoinHandle<()>) {
    let client = ClientConfig { retry_first_ms: 5, ..ClientConfig::default() };
    let client_id = ClientId::from(&*config.name);
    let charging = Client::durable(client_id, Arc::new(core.clone()), &client, outbox).expect("an outbox");
    let parts = AgentParts {
        config: Arc::clone(config),
        charging: charging.clone(),
        journal: Arc::clone(journal),
        clock,
        origin_state_id,
        shutdown: shutdown.clone(),
    };
    let agent = Agent::bind(parts).expect("a free port");
    let (address, board) = (agent.addresses()[0], agent.board());
    (address, charging, board, tokio::spawn(agent.run()))
}

/// Data at 0.10 and 0.01 a megabyte, in whole megabytes; messages at 0.08; Germany at 0.01 a second.
fn write_tariff(folder: &Path) {
    let files = [
        ("Destinations.csv", "DE,49\n"),
        (
            "Rates.csv",
            "R1,0,0.01,1s,1s,0s\nMB10,0,0.10,1000000,1000000,0\nMB1,0,0.01,1000000,1000000,0\nSMS,0,0.08,1,1,0\n",
        ),
        (
            "DestinationRates.csv",
            "DRV,DE,R1,*up,4,0,\nDRD,*any,MB10,*up,4,0,\nDRC,*any,MB1,*up,4,0,\nDRS,*any,SMS,*up,4,0,\n",
        ),
        ("RatingPlans.csv", "RPV,DRV,*any,10\nRPD,DRD,*any,10\nRPC,DRC,*any,10\nRPS,DRS,*any,10\n"),
        (
            "RatingProfiles.csv",
            "example,call,*any,,RPV,\nexample,data,*any,,RPD,\nexample,data_cheap,*any,,RPC,\nexample,sms,*any,,RPS,\n",
        ),
    ];
    assert_eq!(TENANT, "example");
    std::fs::create_dir_all(folder).expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("a file");
    }
}

fn read(folder: &Path) -> Vec<CallRecord> {
    let records = cdr_journal::tail(folder, false, usize::MAX).expect("readable");
    records.map(|record| record.expect("readable").record).collect()
}

/// A client.
pub struct Peer {
    pub framed: Framed<TcpStream, DiameterCodec>,
    host: String,
    next: u32,
}

impl Peer {
    pub fn cer(&self) -> CapabilitiesExchangeRequest<'_> {
        CapabilitiesExchangeRequest {
            origin_host: self.host.as_str().into(),
            origin_realm: REALM.into(),
            host_ip_addresses: vec![Address::from(std::net::IpAddr::from([127, 0, 0, 1]))],
            vendor_id: 10_415,
            product_name: "test".into(),
            origin_state_id: None,
            supported_vendor_ids: vec![],
            auth_application_ids: vec![4],
            inband_security_ids: vec![],
            acct_application_ids: vec![],
            vendor_specific_application_ids: vec![],
            firmware_revision: None,
        }
    }

    pub async fn exchange_capabilities(&mut self) {
        let bytes = self.cer().encoded(Exchange::new(1, 1)).expect("a CER");
        self.send(bytes.bytes().clone()).await;
        let answer = self.receive().await;
        let decoded = answer.message(Mode::Strict).expect("a strict answer");
        let Message::Answer(Answer::CapabilitiesExchange(cea)) = decoded.message else { panic!("{decoded:?}") };
        assert_eq!(cea.result_code, ResultCode::SUCCESS);
        assert_eq!(cea.auth_application_ids, [4]);
    }

    pub async fn send(&mut self, bytes: Bytes) {
        self.framed.send(bytes).await.expect("the connection takes it");
    }

    /// The next message.
    pub async fn receive(&mut self) -> Frame {
        self.next().await.expect("a message")
    }

    /// The next message, or the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        match tokio::time::timeout(PATIENCE, self.framed.next()).await.expect("something, at last") {
            Some(Ok(frame)) => Some(frame),
            // A reset is an end, too.
            Some(Err(_)) | None => None,
        }
    }

    pub fn exchange(&mut self) -> Exchange {
        self.next += 1;
        Exchange::new(self.next, self.next + 1_000)
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, ccr: &CreditControlRequest<'_>) -> Told {
        let exchange = self.exchange();
        self.ask_as(ccr, exchange).await
    }

    pub async fn ask_as(&mut self, ccr: &CreditControlRequest<'_>, exchange: Exchange) -> Told {
        let bytes = ccr.encoded(exchange).expect("a CCR");
        self.send(bytes.bytes().clone()).await;
        let frame = self.receive().await;
        assert_eq!(frame.header().hop_by_hop_id, exchange.hop_by_hop_id);
        assert_eq!(frame.header().end_to_end_id, exchange.end_to_end_id);
        Told::of(frame)
    }

    pub fn ccr<'a>(
        &self,
        session: &'a str,
        context: &'a str,
        kind: CcRequestType,
        number: u32,
    ) -> CreditControlRequest<'a> {
        let origin = (self.host.clone().into(), REALM.into());
        let mut ccr = CreditControlRequest::new(session.into(), origin, REALM.into(), context.into(), (kind, number));
        ccr.subscription_ids.push(SubscriptionId {
            subscription_id_type: SubscriptionIdType::EndUserE164,
            subscription_id_data: "49170".into(),
        });
        ccr
    }

    /// A request of a data session: (rating group, used octets, asked octets; 0 = as you see fit).
    pub fn data<'a>(
        &self,
        session: &'a str,
        kind: CcRequestType,
        number: u32,
        groups: &[(u32, u64, Option<u64>)],
    ) -> CreditControlRequest<'a> {
        let mut ccr = self.ccr(session, DATA, kind, number);
        ccr.multiple_services_credit_control = groups.iter().map(|group| mscc(*group)).collect();
        ccr
    }
}

pub fn mscc((rating_group, used, asked): (u32, u64, Option<u64>)) -> MultipleServicesCreditControl<'static> {
    let used = (used > 0).then(|| UsedServiceUnit { cc_total_octets: Some(used), ..UsedServiceUnit::default() });
    MultipleServicesCreditControl {
        rating_group: Some(rating_group),
        requested_service_unit: asked.map(|asked| RequestedServiceUnit {
            cc_total_octets: (asked > 0).then_some(asked),
            ..RequestedServiceUnit::default()
        }),
        used_service_units: used.into_iter().collect(),
        ..MultipleServicesCreditControl::default()
    }
}

/// An answer.
pub struct Told {
    pub frame: Frame,
}

impl Told {
    pub fn of(frame: Frame) -> Self {
        Self { frame }
    }

    /// The result code of any answer.
    pub fn code(&self) -> u32 {
        let mut avps = self.frame.avps();
        while let Ok(Some(avp)) = avps.next_avp() {
            if (avp.code, avp.vendor) == (268, 0) {
                return u32::from_be_bytes(avp.value.try_into().expect("four bytes"));
            }
        }
        panic!("no result code in {:02x?}", self.frame.bytes())
    }

    /// Code and vendor of what is in its Failed-AVP.
    pub fn failed(&self) -> Option<u32> {
        let mut avps = self.frame.avps();
        while let Ok(Some(avp)) = avps.next_avp() {
            if (avp.code, avp.vendor) == (279, 0) {
                return avp.avps().next_avp().expect("an avp").map(|avp| avp.code);
            }
        }
        None
    }

    pub fn cca(&self) -> CreditControlAnswer<'_> {
        CreditControlAnswer::decode(&self.frame, Mode::Strict).expect("a strict CCA").message
    }

    /// (rating group, result code, granted octets, is the last).
    pub fn groups(&self) -> Vec<(u32, u32, Option<u64>, bool)> {
        let cca = self.cca();
        let row = |group: &MultipleServicesCreditControl<'_>| {
            let granted = group.granted_service_unit.as_ref().and_then(|unit| unit.cc_total_octets);
            let code = group.result_code.expect("a code").0;
            (group.rating_group.unwrap_or(0), code, granted, group.final_unit_indication.is_some())
        };
        cca.multiple_services_credit_control.iter().map(row).collect()
    }
}
