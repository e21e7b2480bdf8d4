//! `kind = "freeswitch"`.

use std::sync::Arc;

use agent_freeswitch::{Agent, AgentParts, FreeswitchConfig};

use super::{AgentConfig, AgentKind, AgentPlace};
use crate::config::{Comment, Faults, Section};

/// The kind.
pub static KIND: AgentKind = AgentKind { name: NAME, read, comments: COMMENTS, example: EXAMPLE };

const NAME: &str = "freeswitch";

fn read(section: &Section<'_>, faults: &mut Faults) -> Option<Arc<dyn AgentConfig>> {
    let config: FreeswitchConfig = section.read(&["kind"], faults)?;
    section.report(config.faults(), faults);
    Some(Arc::new(Configured(Arc::new(config))))
}

#[derive(Debug)]
struct Configured(Arc<FreeswitchConfig>);

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
            let password = switch.password().map_err(|text| anyhow::anyhow!("switch {} {text}", switch.name))?;
            let driver = place.driver(&self.0.name, &switch.name, &self.0.calls)?;
            let parts = AgentParts {
                config: Arc::clone(&self.0),
                switch: switch.clone(),
                password,
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
kind = "freeswitch"
name = "pbx"
switches = [{ name = "fs1", address = "127.0.0.1:8021", password_file = "/etc/tollkeeper/fs1.password" }]
"#;

const COMMENTS: &[Comment] = &[
    Comment::new("tenant", "Whose customers call over these switches, where no channel variable says otherwise."),
    Comment::new(
        "domains",
        "Tenants by the SIP domain their users log on to; users of other domains pay for nothing. Empty: there is one domain.",
    ),
    Comment::new("switches", "The FreeSWITCHes."),
    Comment::new("switches.address", "host:port of its event socket."),
    Comment::optional(
        "switches.password_file",
        "File with the password of its event socket.",
        "\"/etc/tollkeeper/fs1.password\"",
    ),
    Comment::optional(
        "switches.password_env",
        "Or the environment's variable with it. Without either it is TOLLKEEPER_ESL_PASSWORD.",
        "\"FS1_PASSWORD\"",
    ),
    Comment::optional(
        "switches.socket",
        "Where its dialplan's socket application connects, for calls that wait there instead of in park; see docs/freeswitch-socket.md. Keys: listen (host:port), allow (addresses that may connect; loopback only), maximum_connections (1000; more are left to the dialplan, which refuses them), handshake_timeout (2s).",
        "{ listen = \"127.0.0.1:8084\" }",
    ),
    Comment::new("switches.socket.listen", "host:port, a port of its own for each switch."),
    Comment::new("switches.socket.allow", "Who may connect."),
    Comment::new("switches.socket.maximum_connections", "Calls that wait for a verdict at once; more are refused."),
    Comment::new("switches.socket.handshake_timeout", "How long a connection may take to name its call."),
    Comment::new(
        "admitted_context",
        "The dialplan's context that routes admitted calls, to the number they had dialled.",
    ),
    Comment::new(
        "refuse_context",
        "The dialplan's context whose extensions are SIP statuses and run respond, for 402; empty: such calls get 403.",
    ),
    Comment::new("parked_contexts", "Contexts in which a parked call waits for us; empty: all."),
    Comment::new("low_balance_file", "What the caller hears, once, when the credit ends; empty: nothing."),
    Comment::new(
        "empty_balance_file",
        "What the caller hears, alone, when the credit is used up, before the end; empty: the call is just ended.",
    ),
    Comment::new(
        "empty_balance_context",
        "The dialplan's context for callers without credit, in mid-call (alone, free of charge) and instead of 402; empty: none.",
    ),
    Comment::new("transfers_paid_by", "Who pays for the leg that a transfer makes: transferor or caller."),
    Comment::new("empty_balance_limit", "How long they may stay there at most."),
    Comment::new(
        "heartbeat_timeout",
        "Silence after which the connections are made again: three times the switch's event-heartbeat-interval.",
    ),
    Comment::new("reply_timeout", "How long the switch may take to answer a command."),
    Comment::new("trunks", "Peers known by their address, or by the name that the dialplan sets in tollkeeper_trunk."),
    Comment::new(
        "trunks.*.addresses",
        "Where its calls come from; the switch's access list admits nobody else from there.",
    ),
    Comment::new("trunks.*.account", "Who pays for its calls when no digest user or variable says so; empty: nobody."),
];
