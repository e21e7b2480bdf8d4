//! `kind = "kamailio"`.

use std::sync::Arc;

use agent_kamailio::{Agent, AgentParts, KamailioConfig};
use agent_runtime::{CallDriver, CallLog, Clock, DriverParts};
use anyhow::Context as _;
use types::ClientId;

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
            let client_id = ClientId::from(format!("{}/{}", self.0.name, switch.name));
            let directory = place.data_dir.join("agents").join(&*self.0.name).join(&*switch.name);
            let (call_log, proven_before) = CallLog::open(&directory)
                .with_context(|| format!("proofs of life of switch {} in {}", switch.name, directory.display()))?;
            let calls = &self.0.calls;
            let driver = CallDriver::new(DriverParts {
                switch: Arc::from(&*switch.name),
                settings: calls.settings(client_id.clone()),
                authorise_timeout: calls.authorise_timeout.std(),
                maximum_calls: usize::try_from(calls.maximum_calls).unwrap_or(usize::MAX),
                charging: place.client(client_id),
                journal: Arc::clone(&place.journal),
                call_log: Some(call_log),
                proven_before,
                clock: Clock::system(),
            });
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
    Comment::new("kind", "The switch's kind."),
    Comment::new(
        "name",
        "Name of the agent; with the switch's name it is the client id at the charging core. Never change it while calls are up.",
    ),
    Comment::new("tenant", "Whose customers call over these switches."),
    Comment::new("tag", "The connection tag, as TK_AGENT_TAG in kamailio.cfg."),
    Comment::new("ping_interval", "Application ping, 100ms to 5s; an answer may take three times that."),
    Comment::new("reconnect_longest", "Longest wait between attempts to connect."),
    Comment::new("switches", "The Kamailios."),
    Comment::new("switches.name", "Its name in records, metrics and session ids."),
    Comment::new("switches.address", "host:port of its evapi."),
    Comment::new("calls", "How calls are charged."),
    Comment::new("calls.slice", "Time asked for at once."),
    Comment::new("calls.margin", "More is asked for when this much is left; shorter than slice."),
    Comment::new("calls.maximum_ring", "Longest ringing; the switch's own limit should be shorter."),
    Comment::new("calls.maximum_call", "Longest conversation."),
    Comment::new("calls.interim", "Distance of INTERIM records; 0s: none."),
    Comment::new("calls.final_record_wait", "How long a STOP waits for its price."),
    Comment::new(
        "calls.authorise_timeout",
        "How long a new call waits for the charging core; shorter than the switch waits for us.",
    ),
    Comment::new("calls.proof_interval", "How often the switch is asked for its live calls, 1s to 10m."),
    Comment::new("calls.hold", "Are held calls charged? charged or free."),
    Comment::new("calls.on_core_failure", "New calls while the core is away: terminate or retry_and_terminate."),
    Comment::new("calls.unknown_calls", "Answered calls that appear without an offer: adopt (charge) or release."),
    Comment::new("calls.mode", "How money is treated: prepaid, pseudoprepaid, postpaid, rated."),
    Comment::new("calls.category", "The rating category."),
    Comment::new("calls.maximum_calls", "Calls held at once at most; more are refused with 503."),
    Comment::new("calls.numbers", "How numbers are written."),
    Comment::new(
        "calls.numbers.country_code",
        "Country code for national numbers, digits only; empty: national numbers are refused.",
    ),
    Comment::new("calls.numbers.area_code", "Area code put before local numbers; empty: local numbers are refused."),
    Comment::new("calls.numbers.international_prefixes", "What is dialled before a country code."),
    Comment::new("calls.numbers.national_prefix", "What is dialled before an area code."),
    Comment::new("calls.numbers.technical_prefixes", "Prefixes that choose a route and are not part of the number."),
    Comment::new("calls.numbers.short_codes", "Numbers that are taken as they are: short codes, service numbers."),
    Comment::new(
        "calls.numbers.bare_is_international",
        "true: digits without any prefix are a country code and number.",
    ),
    Comment::new("trunks", "How numbers are written on trunks, by the name that Kamailio sends."),
    Comment::new("trunks.*", "One trunk."),
    Comment::new("trunks.*.numbers", "The keys of calls.numbers."),
];
