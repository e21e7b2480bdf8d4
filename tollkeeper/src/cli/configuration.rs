//! `check-config` and `print-config`.

use serde::Serialize;

use super::{ConfigArgs, show};
use crate::config::Config;
use crate::exit::UsageError;

/// `check-config`
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    format: show::Format,
}

/// What a configuration would run.
#[derive(Serialize)]
struct Summary {
    ok: bool,
    data_dir: String,
    grpc: Option<String>,
    http: String,
    core: Option<String>,
    journal: Option<String>,
    sinks: Vec<String>,
    agents: Vec<String>,
}

/// Prints `ok` and a summary, or fails with all mistakes.
pub fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    check_tariff(&config)?;
    let summary = Summary::of(&config);
    if args.format.json {
        return show::json(&summary);
    }
    let list = |items: &[String]| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    show::line("ok")?;
    show::fields(&[
        ("data directory", summary.data_dir.clone()),
        ("gRPC", summary.grpc.clone().unwrap_or_else(|| "none: no core in this process".to_owned())),
        ("HTTP", summary.http.clone()),
        ("agents' core", summary.core.clone().unwrap_or_else(|| "none".to_owned())),
        ("journal", summary.journal.clone().unwrap_or_else(|| "none: no agents and no sinks".to_owned())),
        ("sinks", list(&summary.sinks)),
        ("agents", list(&summary.agents)),
    ])
}

/// The tariff is part of what an operator configures: a folder that does not load would stop the start.
fn check_tariff(config: &Config) -> anyhow::Result<()> {
    let Some(tariff) = config.core.as_ref().map(|core| &core.tariff) else { return Ok(()) };
    let (Some(folder), Ok(options)) = (&tariff.folder, tariff.options()) else { return Ok(()) };
    match rating::Plan::load(folder, options) {
        Ok(_) => Ok(()),
        Err(faults) => Err(UsageError(format!("tariff folder {}:\n{faults}", folder.display())).into()),
    }
}

/// Prints the effective configuration.
pub fn print(args: &ConfigArgs) -> anyhow::Result<()> {
    show::raw(args.load()?.to_toml()?.as_bytes())
}

impl Summary {
    fn of(config: &Config) -> Self {
        let agents = config.agents.iter().flat_map(|agent| {
            let of = format!("{} ({})", agent.name(), agent.kind());
            agent.switches().into_iter().map(move |switch| format!("{of} at {switch}")).collect::<Vec<_>>()
        });
        let core = match (&config.core, config.charging.addresses.as_slice()) {
            (Some(_), []) => Some("in this process".to_owned()),
            (None, []) => None,
            (_, addresses) => Some(addresses.join(", ")),
        };
        Self {
            ok: true,
            data_dir: config.top.data_dir.display().to_string(),
            grpc: config.core.as_ref().map(|core| core.listen.to_string()),
            http: config.http.listen.to_string(),
            core: core.filter(|_| !config.agents.is_empty()),
            journal: config.has_journal().then(|| config.journal_dir().display().to_string()),
            sinks: config.sinks.iter().map(|sink| format!("{} ({})", sink.name(), sink.kind())).collect(),
            agents: agents.collect(),
        }
    }
}
