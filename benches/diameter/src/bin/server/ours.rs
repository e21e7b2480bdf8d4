//! Our server with a charging backend that grants what is asked.

use std::sync::Arc;

use agent_diameter::client::Node;
use agent_diameter::{Agent, AgentParts, DiameterConfig};
use agent_runtime::Clock;
use anyhow::Context;
use cdr_journal::{Journal, JournalOptions};
use charging_client::{ChargingTransport, Client, ClientConfig, NotificationStream, Ready, TransportFuture};
use protocol_codecs::diameter::Exchange;
use tokio_util::sync::CancellationToken;
use types::charging::{ChargingAnswer, ChargingRequest, ResultCode, SessionSummary, UnitAnswer, Units};
use types::{ClientId, SessionId};

const CONFIG: &str = r#"{
    "name": "gy", "origin_host": "ocs.test.realm", "listen": ["127.0.0.1:0"],
    "peers": [{ "host": "pgw.test.realm" }], "interim": "0s",
    "services": [{ "context": "32251", "category": "data" }]
}"#;

pub async fn serve() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (journal, _) = Journal::open(folder.path().join("journal"), JournalOptions::default())?;
    let config: DiameterConfig = serde_json::from_str(CONFIG)?;
    let charging = Client::start(ClientId::from("gy"), Arc::new(Grants), &ClientConfig::default());
    let agent = Agent::bind(AgentParts {
        config: Arc::new(config),
        charging,
        journal: Arc::new(journal),
        clock: Clock::system(),
        origin_state_id: 1,
        shutdown: CancellationToken::new(),
    })?;
    println!("{}", agent.addresses().first().context("an address")?.port());
    agent.run().await;
    Ok(())
}

/// The CER of the recorded gateway.
pub fn cer() -> anyhow::Result<Vec<u8>> {
    let node = Node {
        origin_host: "pgw.test.realm".into(),
        origin_realm: "test.realm".into(),
        product_name: "replay".into(),
        origin_state_id: 1,
    };
    Ok(node.cer([127, 0, 0, 1].into(), Exchange::new(u32::MAX, u32::MAX))?.to_vec())
}

/// Grants a megabyte to each group.
struct Grants;

fn granted(request: &ChargingRequest) -> ChargingAnswer {
    let mut answer = ChargingAnswer::refusal(request.session_id.clone(), request.request_number, ResultCode::SUCCESS);
    answer.units = request
        .units
        .iter()
        .map(|unit| UnitAnswer {
            rating_group: unit.rating_group,
            service_identifier: unit.service_identifier,
            result_code: ResultCode::SUCCESS,
            granted: Some(Units { total_octets: Some(1_000_000), ..Units::default() }),
            validity_time_ms: None,
            quota_threshold: None,
            quota_holding_time_ms: None,
            tariff_time_change: None,
            final_unit: None,
            billable: 0,
        })
        .collect();
    answer
}

impl ChargingTransport for Grants {
    fn ready(&self) -> Ready<'_> {
        Box::pin(std::future::ready(()))
    }

    fn charge(&self, request: Arc<ChargingRequest>) -> TransportFuture<'_, ChargingAnswer> {
        Box::pin(std::future::ready(Ok(granted(&request))))
    }

    fn list_sessions<'a>(&'a self, _: &'a ClientId) -> TransportFuture<'a, Vec<SessionSummary>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn session<'a>(&'a self, _: &'a SessionId) -> TransportFuture<'a, Option<SessionSummary>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn notifications<'a>(&'a self, _: &'a ClientId) -> TransportFuture<'a, NotificationStream> {
        Box::pin(std::future::ready(Ok(Box::pin(futures_util::stream::pending()) as NotificationStream)))
    }

    fn confirm<'a>(&'a self, _: &'a ClientId, _: u64) -> TransportFuture<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
