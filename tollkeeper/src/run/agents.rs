//! The agents of this process, and their way to the core.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_diameter::PeerBoard;
use anyhow::Context as _;
use charging_client::{ChargingTransport, Client, GrpcTransport};
use charging_server::Core;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::readiness::Readiness;
use super::records::Records;
use crate::agents::AgentPlace;
use crate::config::Config;
use crate::in_process::InProcessTransport;

/// Running agents.
pub(super) struct Agents {
    transport: Option<Arc<dyn ChargingTransport>>,
    grpc: Option<Arc<GrpcTransport>>,
    clients: Vec<Client>,
    boards: Vec<Arc<PeerBoard>>,
    tasks: Mutex<JoinSet<Box<str>>>,
    threads: Handle,
    pub(super) shutdown: CancellationToken,
}

impl Agents {
    /// None yet; only the way to the core.
    pub(super) fn new(config: &Config, core: Option<&Core>, threads: &Handle) -> anyhow::Result<Self> {
        let _on_them = threads.enter();
        let mut grpc = None;
        let transport: Option<Arc<dyn ChargingTransport>> = match core {
            _ if !config.charging.addresses.is_empty() && !config.agents.is_empty() => {
                let started = Arc::new(GrpcTransport::start(&config.charging.grpc()).context("[charging]")?);
                info!(addresses = ?config.charging.addresses, "charging core elsewhere, over gRPC");
                grpc = Some(Arc::clone(&started));
                Some(started)
            }
            Some(core) => Some(Arc::new(InProcessTransport::new(core.clone()))),
            None => None,
        };
        let (tasks, shutdown) = (Mutex::default(), CancellationToken::new());
        Ok(Self { transport, grpc, clients: Vec::new(), boards: Vec::new(), tasks, threads: threads.clone(), shutdown })
    }

    /// Starts them all.
    pub(super) fn start(
        mut self,
        config: &Config,
        records: Option<&Arc<Records>>,
        readiness: &Readiness,
    ) -> anyhow::Result<Self> {
        let (Some(transport), Some(records)) = (&self.transport, records) else { return Ok(self) };
        let threads = self.threads.clone();
        let _on_them = threads.enter();
        let mut tasks = JoinSet::new();
        let mut place = AgentPlace {
            data_dir: &config.top.data_dir,
            transport: Arc::clone(transport),
            client: config.charging.client(),
            journal: Arc::clone(&records.journal),
            shutdown: self.shutdown.clone(),
            tasks: &mut tasks,
            clients: &mut self.clients,
            boards: &mut self.boards,
        };
        for agent in &config.agents {
            agent.start(&mut place).with_context(|| format!("agent {}", agent.name()))?;
        }
        readiness.exports().set_clients(self.clients.clone());
        readiness.set_boards(self.boards.clone());
        self.tasks = Mutex::new(tasks);
        Ok(self)
    }

    /// The way to the core, for whoever asks whether it answers.
    pub(super) fn transport(&self) -> Option<Arc<dyn ChargingTransport>> {
        self.transport.clone()
    }

    /// The same if it is gRPC, for its metrics.
    pub(super) fn grpc(&self) -> Option<Arc<GrpcTransport>> {
        self.grpc.clone()
    }

    /// How many tasks run.
    pub(super) fn count(&self) -> usize {
        self.tasks().len()
    }

    /// The switch of an agent that ended without being told.
    pub(super) fn ended(&self) -> Option<Box<str>> {
        match self.tasks().try_join_next()? {
            Ok(switch) => Some(switch),
            Err(error) => {
                error!(%error, "an agent died");
                Some("unknown (its task died)".into())
            }
        }
    }

    /// Waits until all have finished; dropped, it leaves those that have not.
    pub(super) async fn finished(&self) {
        // Taken out while it waits: a lock is not held over an await.
        let mut tasks = std::mem::take(&mut *self.tasks());
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(switch) => info!(%switch, "agent stopped"),
                Err(error) => error!(%error, "an agent died"),
            }
        }
    }

    /// The clients, to be stopped.
    pub(super) fn clients(&self) -> &[Client] {
        &self.clients
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<Box<str>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
