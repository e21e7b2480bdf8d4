//! A process from its first log line to its exit code.
//!
//! Start: logs, metrics, signals, data directory, core, journal and sinks, gRPC and HTTP, agents. The sockets come before the
//! agents, so that a port that is taken stops the start before a switch is told that we are here.
//! End: the module `drain` tells the order.

mod agent_threads;
mod agents;
mod drain;
mod endpoints;
mod exports;
mod http;
mod logging;
mod readiness;
mod records;
mod signals;
mod slot;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use charging_server::{Core, CoreError, ServeError, TariffError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::Config;
use crate::exit::{self, UsageError};
use agent_threads::AgentThreads;
use agents::Agents;
use endpoints::Endpoints;
use exports::Exports;
use readiness::Readiness;
use records::Records;
use signals::{Hangups, Signals};

/// Runs what the configuration names, until a signal or a failure.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    logging::start(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting threads")?;
    let in_turns = config.agents.iter().all(|agent| agent.works_in_turns());
    let for_agents = AgentThreads::start(config.top.agent_threads, in_turns)?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let process = Process::start(&config, for_agents.handle()).await?;
        let cause = process.watch(&mut signals).await;
        let left = tokio::select! {
            left = process.drain(config.top.shutdown_deadline.std()) => left,
            signal = signals.next() => vec![format!("a second {signal} came")],
        };
        anyhow::Ok((cause, left))
    });
    // What is still blocked has been named.
    runtime.shutdown_background();
    drop(for_agents);
    let (cause, left) = ended?;
    if !left.is_empty() {
        let left = left.join("; ");
        error!(left, "shutdown unfinished");
        exit::complain(&format!("error: shutdown unfinished: {left}"));
        return Ok(ExitCode::from(exit::UNFINISHED));
    }
    match cause {
        Cause::Signal(_) => {
            info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        Cause::Died(part) => {
            anyhow::bail!("{part} ended by itself, so everything was stopped; its last log lines say why")
        }
    }
}

/// Why it ends.
enum Cause {
    Signal(&'static str),
    /// A part that should have gone on.
    Died(String),
}

/// Everything that runs.
struct Process {
    core: Option<Core>,
    api: Option<Api>,
    records: Option<Arc<Records>>,
    agents: Agents,
    http: Api,
    readiness: Arc<Readiness>,
}

/// A server's task and its end.
struct Api {
    task: JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
}

impl Process {
    async fn start(config: &Config, for_agents: &tokio::runtime::Handle) -> anyhow::Result<Self> {
        let data_dir = &config.top.data_dir;
        let metrics = exports::install()?;
        std::fs::create_dir_all(data_dir).with_context(|| {
            format!("data directory {}; name another one with data_dir or --data-dir", data_dir.display())
        })?;
        info!(version = env!("CARGO_PKG_VERSION"), data_dir = %data_dir.display(), "starting");
        let core = config.core.as_ref().map(|core| start_core(config, core)).transpose()?;
        let records = if config.has_journal() { Some(Arc::new(Records::start(config)?)) } else { None };
        let (mut api, mut bound) = (None, Endpoints::default());
        if let (Some(core), Some(core_config)) = (&core, &config.core) {
            let (grpc, server) = serve(core, core_config).await?;
            bound.grpc = Some(grpc);
            api = Some(server);
        }
        let agents = Agents::new(config, core.as_ref(), for_agents)?;
        let exports = Exports::new(metrics, &agents, records.as_ref());
        let readiness = Arc::new(Readiness::new(config, exports, agents.transport(), records.as_ref()));
        let (address, http) = http::serve(config.http.listen, Arc::clone(&readiness)).await?;
        bound.http = Some(address);
        info!(grpc = bound.grpc.map(tracing::field::display), http = %address, "listening");
        bound.write(data_dir)?;
        let agents = agents.start(config, records.as_ref(), &readiness)?;
        readiness.started();
        info!(switches = agents.count(), "started");
        Ok(Self { core, api, records, agents, http, readiness })
    }

    /// Returns when a signal came or a part ended that should not.
    async fn watch(&self, signals: &mut Signals) -> Cause {
        let cause = tokio::select! {
            signal = signals.next() => Cause::Signal(signal),
            part = self.died() => Cause::Died(part),
        };
        match &cause {
            Cause::Signal(signal) => info!(signal, "stopping"),
            Cause::Died(part) => error!(part, "a part ended by itself: stopping"),
        }
        cause
    }

    async fn died(&self) -> String {
        let ended = |task: Option<&Api>| task.is_some_and(|api| api.task.is_finished());
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            if let Some(switch) = self.agents.ended() {
                return format!("the agent of switch {switch}");
            }
            if let Some(part) = self.records.as_ref().and_then(|records| records.ended()) {
                return part.to_owned();
            }
            if ended(self.api.as_ref()) {
                return "the gRPC server".to_owned();
            }
            if ended(Some(&self.http)) {
                return "the HTTP server".to_owned();
            }
        }
    }
}

fn start_core(config: &Config, core: &charging_server::CoreConfig) -> anyhow::Result<Core> {
    let data_dir = &config.top.data_dir;
    let started = Core::start(data_dir, core).map_err(|error| match error {
        CoreError::Tariff(TariffError::Faulty { .. } | TariffError::Setting { .. }) => {
            anyhow::Error::new(UsageError(error.to_string()))
        }
        CoreError::Store(segment_log::Error::Locked { .. }) => anyhow::Error::new(error).context(format!(
            "another process runs the core in {}; stop it, or name another data directory",
            data_dir.display()
        )),
        error => anyhow::Error::new(error).context(format!("charging core in {}", data_dir.display())),
    })?;
    let tariff = core.tariff.folder.as_ref().map(|folder| folder.display().to_string());
    info!(data_dir = %data_dir.display(), tariff, "charging core started");
    Ok(started)
}

async fn serve(core: &Core, config: &charging_server::CoreConfig) -> anyhow::Result<(std::net::SocketAddr, Api)> {
    let shutdown = CancellationToken::new();
    let (stop, reload) = (shutdown.clone().cancelled_owned(), Hangups::listen()?);
    let served = charging_server::serve_reloading(core.clone(), config, stop, reload).await;
    let (address, server) = served.map_err(|error| match error {
        ServeError::Listen { .. } => anyhow::Error::new(error).context("core.listen"),
        error => error.into(),
    })?;
    let task = tokio::spawn(async move { server.await.map_err(anyhow::Error::from) });
    Ok((address, Api { task, shutdown }))
}

/// How soon a dead part is noticed.
const WATCH_INTERVAL: std::time::Duration = std::time::Duration::from_millis(250);
