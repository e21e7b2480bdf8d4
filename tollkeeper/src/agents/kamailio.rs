//! `kind = "kamailio"`.

use std::sync::Arc;

use agent_kamailio::{Agent, AgentParts, KamailioConfig};

use super::{AgentConfig, AgentKind, AgentPlace};
use crate::config::{Comment, Faults, Section};

/// The kind.
pub static KIND: AgentKind = AgentKind { name: NAME, read, comments: COMMENTS, example: EXAMPLE };

const NAME: &str = "kamailio";

fn read(section: &Section<'_>, faults: &mut Faults) -> Option<Arc<dyn AgentConfig>> {
    let config: KamailioConfig = section.read(&["kind"], faults)?;
    section.report(config.faults(), faults);
    Some(Arc::new(Configured(Arc::new(config))))
}

#[derive(Debug)]
struct Configured(Arc<KamailioConfig>);

impl AgentConfig for Configured {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn name(&self) -> &str {
        &self.0.name
    }

    fn switches(&self) -> Vec<&str> {
        self.0.switches.iter().map(|switch| &*switch.name).collect()
    }

    fn to_table(&self) -> Result<toml::Table, toml::ser::Error> {
        toml::Table::try_from(&*self.0)
    }

    fn start(&self, place: &mut AgentPlace<'_>) -> anyhow::Result<()> {
        for switch in &self.0.switches {
            let driver = place.driver(&self.0.name, &switch.name, &self.0.calls)?;
            let parts = AgentParts {
                config: Arc::clone(&self.0),
                switch: switch.clone(),
                driver,
                shutdown: place.shutdown.clone(),
            };
            let name = switch.name.clone();
            place.tasks.spawn(async move {
                Agent::run(parts).await;
                name
            });
            tracing::info!(agent = %self.0.name, kind = NAME, switch = %switch.name, address = %switch.address, "agent started");
        }
        Ok(())
    }
}

const EXAMPLE: &str = r#"[[agent]]
kind = "kamailio"
name = "sbc"
switches = [{ name = "kam1", address = "127.0.0.1:8448" }]
"#;

const COMMENTS: &[Comment] = &[
    Comment::new("tenant", "Whose customers call over these switches."),
    Comment::new("tag", "The connection tag, as TK_AGENT_TAG in kamailio.cfg."),
    Comment::new("ping_interval", "Application ping, 100ms to 5s; an answer may take three times that."),
    Comment::new("switches", "The Kamailios."),
    Comment::new("switches.address", "host:port of its evapi."),
    Comment::new("trunks", "How numbers are written on trunks, by the name that Kamailio sends."),
];
