//! The kinds of agents. A further one is its crate, one file here, and one line in [`REGISTRY`].

mod diameter;
mod freeswitch;
mod kamailio;
mod shared;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use agent_diameter::PeerBoard;
use agent_runtime::{CallConfig, CallDriver, CallLog, Clock, DriverParts};
use anyhow::Context as _;
use cdr_journal::Journal;
use charging_client::{ChargingTransport, Client, ClientConfig};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use types::ClientId;

use crate::config::{Comment, Faults, Section};

pub use shared::COMMENTS;

/// Every kind of agent this binary has.
pub const REGISTRY: &[&AgentKind] = &[&diameter::KIND, &freeswitch::KIND, &kamailio::KIND];

/// One kind of agent.
pub struct AgentKind {
    /// As in `kind = "..."`.
    pub name: &'static str,
    /// Reads a table of this kind; what is wrong with it is reported.
    pub read: fn(&Section<'_>, &mut Faults) -> Option<Arc<dyn AgentConfig>>,
    /// What its own keys mean, paths below the table; [`COMMENTS`] has those of every kind.
    pub comments: &'static [Comment],
    /// A small table of this kind.
    pub example: &'static str,
}

/// A configured agent.
pub trait AgentConfig: Debug + Send + Sync {
    /// Its kind.
    fn kind(&self) -> &'static str;
    /// Its name, unique in the file.
    fn name(&self) -> &str;
    /// Its switches, each unique in the file.
    fn switches(&self) -> Vec<&str>;
    /// The effective configuration.
    fn to_table(&self) -> Result<toml::Table, toml::ser::Error>;
    /// Whether everybody whom it answers can wait for the end of a turn, some milliseconds, with others: callers can.
    fn works_in_turns(&self) -> bool {
        true
    }
    /// Starts one task for each switch.
    fn start(&self, place: &mut AgentPlace<'_>) -> anyhow::Result<()>;
}

/// Where agents are started.
pub struct AgentPlace<'a> {
    /// Where everything durable is kept.
    pub data_dir: &'a Path,
    /// The way to the core.
    pub transport: Arc<dyn ChargingTransport>,
    /// Limits of the clients.
    pub client: ClientConfig,
    /// Where records go.
    pub journal: Arc<Journal>,
    /// Cancelled when agents shall finish.
    pub shutdown: CancellationToken,
    /// Their tasks; each ends with the name of its switch.
    pub tasks: &'a mut JoinSet<Box<str>>,
    /// Their clients, one for each switch.
    pub clients: &'a mut Vec<Client>,
    /// Who is connected to the Diameter agents.
    pub boards: &'a mut Vec<Arc<PeerBoard>>,
}

impl AgentPlace<'_> {
    /// The calls of one switch, still empty: with their client of the core and their proofs of life on disk.
    pub fn driver(&mut self, agent: &str, switch: &str, calls: &CallConfig) -> anyhow::Result<CallDriver> {
        let client_id = ClientId::from(format!("{agent}/{switch}"));
        let directory = self.data_dir.join("agents").join(agent).join(switch);
        let outbox = directory.join("outbox");
        let (call_log, proven_before) = CallLog::open(&directory)
            .with_context(|| format!("proofs of life of switch {switch} in {}", directory.display()))?;
        Ok(CallDriver::new(DriverParts {
            switch: Arc::from(switch),
            settings: calls.settings(client_id.clone()),
            authorise_timeout: calls.authorise_timeout.std(),
            maximum_calls: usize::try_from(calls.maximum_calls).unwrap_or(usize::MAX),
            charging: self.client(client_id, &outbox, CALLERS_WAIT_MS, true)?,
            journal: Arc::clone(&self.journal),
            call_log: Some(call_log),
            proven_before,
            clock: Clock::system(),
            continuing: calls.continue_limits(),
        }))
    }

    /// A charging client of this name with its outbox, which keeps requests from the core for at most `outbox_interval_ms` to write
    /// them together; kept for metrics and for the drain. `keep_denied`: see [`ClientConfig::keep_denied`].
    pub fn client(
        &mut self,
        client_id: ClientId,
        outbox: &Path,
        outbox_interval_ms: u64,
        keep_denied: bool,
    ) -> anyhow::Result<Client> {
        let config = ClientConfig { outbox_interval_ms, keep_denied, ..self.client.clone() };
        let client = Client::durable(client_id, Arc::clone(&self.transport), &config, outbox)
            .with_context(|| format!("charging requests that were not answered, in {}", outbox.display()))?;
        self.clients.push(client.clone());
        Ok(client)
    }
}

/// Far below what a caller notices, whose ringing tone is seconds away; requests of a busy switch are sent and carried out together.
const CALLERS_WAIT_MS: u64 = 25;
