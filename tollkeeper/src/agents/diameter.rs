//! `kind = "diameter"`.

use std::sync::Arc;

use agent_diameter::{Agent, AgentParts, DiameterConfig};
use agent_runtime::Clock;
use types::ClientId;

use super::{AgentConfig, AgentKind, AgentPlace};
use crate::config::{Comment, Faults, Section};

/// The kind.
pub static KIND: AgentKind = AgentKind { name: NAME, read, comments: COMMENTS, example: EXAMPLE };

const NAME: &str = "diameter";
/// For requests of many subscribers to share the disk's work: below what a gateway notices, and several times what a sync takes.
const GATEWAYS_WAIT_MS: u64 = 2;

fn read(section: &Section<'_>, faults: &mut Faults) -> Option<Arc<dyn AgentConfig>> {
    let config: DiameterConfig = section.read(&["kind"], faults)?;
    section.report(config.faults(), faults);
    Some(Arc::new(Configured(Arc::new(config))))
}

#[derive(Debug)]
struct Configured(Arc<DiameterConfig>);

impl AgentConfig for Configured {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn name(&self) -> &str {
        &self.0.name
    }

    fn switches(&self) -> Vec<&str> {
        vec![&self.0.name]
    }

    /// A gateway waits for each answer, and so does what its subscriber loads.
    fn works_in_turns(&self) -> bool {
        false
    }

    fn to_table(&self) -> Result<toml::Table, toml::ser::Error> {
        toml::Table::try_from(&*self.0)
    }

    fn start(&self, place: &mut AgentPlace<'_>) -> anyhow::Result<()> {
        let clock = Clock::system();
        let seconds = clock.now().utc.0.div_euclid(1_000).rem_euclid(i64::from(u32::MAX));
        let outbox = place.data_dir.join("agents").join(&*self.0.name).join("outbox");
        let agent = Agent::bind(AgentParts {
            config: Arc::clone(&self.0),
            charging: place.client(ClientId::from(&*self.0.name), &outbox, GATEWAYS_WAIT_MS, false)?,
            journal: Arc::clone(&place.journal),
            clock,
            // Greater with every start, the same for all peers.
            origin_state_id: u32::try_from(seconds)?.max(1),
            shutdown: place.shutdown.clone(),
        })?;
        let name = self.0.name.clone();
        place.boards.push(agent.board());
        let addresses = agent.addresses();
        tracing::info!(agent = %name, kind = NAME, origin_host = %self.0.origin_host, ?addresses, "agent started");
        place.tasks.spawn(async move {
            agent.run().await;
            name
        });
        Ok(())
    }
}

const EXAMPLE: &str = r#"[[agent]]
kind = "diameter"
name = "gy"
origin_host = "ocs.example.net"
listen = ["127.0.0.1:3868"]
peers = [{ host = "pgw.example.net" }]
services = [{ context = "32251", category = "data" }]
"#;

const COMMENTS: &[Comment] = &[
    Comment::new("origin_host", "Our DiameterIdentity: the Origin-Host of what we send."),
    Comment::optional(
        "origin_realm",
        "Our realm. Without it: what follows the first dot of origin_host.",
        "\"example.net\"",
    ),
    Comment::new("realms", "Other realms whose requests we serve."),
    Comment::new("hosts", "Other hosts whose requests we serve."),
    Comment::new("listen", "Where peers connect, without TLS."),
    Comment::optional(
        "tls",
        "Where peers connect with TLS 1.2 or 1.3 and a certificate of their own. All keys are needed: listen, certificate_file and key_file (ours, PEM), authority_file (who signs the peers' certificates, PEM).",
        "{ listen = [\"0.0.0.0:5868\"], certificate_file = \"/etc/tollkeeper/ocs.pem\", key_file = \"/etc/tollkeeper/ocs.key\", authority_file = \"/etc/tollkeeper/peers.pem\" }",
    ),
    Comment::new("tls.listen", "Where peers connect."),
    Comment::new("tls.certificate_file", "Our certificates, PEM, ours first."),
    Comment::new("tls.key_file", "The key of the first one, PEM."),
    Comment::new("tls.authority_file", "Who signs the peers' certificates, PEM."),
    Comment::new(
        "tls.check_names",
        "true: a peer's certificate must have its Origin-Host among its names (subjectAltName).",
    ),
    Comment::new("peers", "Who may connect: host (*.example.net for all of a domain), realm, addresses, relay."),
    Comment::new("peers.host", "Its Origin-Host; *.example.net for all hosts of a domain."),
    Comment::optional("peers.realm", "Its Origin-Realm. Without it: any.", "\"example.net\""),
    Comment::new("peers.addresses", "Addresses and networks it connects from; empty: anywhere."),
    Comment::new("peers.relay", "true: it brings requests of other hosts; others may speak for themselves alone."),
    Comment::new("tenant", "Whose customers are charged, where no service says otherwise."),
    Comment::new(
        "services",
        "What is charged how. The first row that fits a rating group counts; what no row fits is answered 5031.",
    ),
    Comment::optional(
        "services.context",
        "Service-Context-Id: 32251 (data), 32260 (voice), 32274 (messages), 32270 (multimedia messages), or the whole text. Without it: any.",
        "\"32251\"",
    ),
    Comment::optional("services.rating_group", "Rating-Group. Without it: any, and none.", "10"),
    Comment::optional("services.service_identifier", "Service-Identifier. Without it: any, and none.", "1"),
    Comment::optional("services.apn", "Access point name. Without it: any.", "\"internet\""),
    Comment::optional(
        "services.plmn",
        "Serving network: MCC and MNC, or the first digits. Without it: any.",
        "\"26201\"",
    ),
    Comment::optional("services.role", "ORIGINATING, TERMINATING or FORWARDING. Without it: any.", "\"TERMINATING\""),
    Comment::optional("services.client_realm", "Origin-Realm of the client. Without it: any.", "\"example.net\""),
    Comment::optional("services.tenant", "Whose customers. Without it: tenant.", "\"default\""),
    Comment::optional(
        "services.service",
        "VOICE, DATA, SMS, MMS or GENERIC; the same for all groups of a session. Without it: by the context.",
        "\"DATA\"",
    ),
    Comment::optional(
        "services.category",
        "The rating category. Without it: call, data, sms, mms or generic.",
        "\"data\"",
    ),
    Comment::optional("services.subject", "The rating subject. Without it: the account.", "\"roaming\""),
    Comment::optional(
        "services.destination",
        "What is rated as the destination. Without it: the called party.",
        "\"+49\"",
    ),
    Comment::optional(
        "services.mode",
        "prepaid, pseudoprepaid, postpaid or rated. Without it: prepaid.",
        "\"prepaid\"",
    ),
    Comment::new("services.free", "true: no credit control for it (4011)."),
    Comment::optional(
        "services.final_unit",
        "What happens at the end of credit: { redirect = \"http://...\" } or { restrict = [\"filter\"] }. Without it: the service ends.",
        "{ redirect = \"http://topup.example.net/\" }",
    ),
    Comment::new("services.final_unit.redirect", "Where the user is sent."),
    Comment::new("services.final_unit.restrict", "What stays allowed."),
    Comment::optional(
        "services.grant",
        "How much is granted at once, in milliseconds, octets or units: slice (where the client leaves it to us), least (less is none: 4012), most. Without it: as in grants.",
        "{ slice = 5000000, least = 1, most = 1000000000 }",
    ),
    Comment::new("services.grant.slice", "Where the client leaves it to us."),
    Comment::new("services.grant.least", "Less than this is none: 4012."),
    Comment::new("services.grant.most", "No more than this."),
    Comment::optional("services.validity", "How long a grant may be kept. Without it: as in grants.", "\"30m\""),
    Comment::optional(
        "services.holding",
        "Give it back after so long without use. Without it: as in grants.",
        "\"10m\"",
    ),
    Comment::new("grants", "How much is granted at once, where no service says otherwise."),
    Comment::new("grants.time", "Of time, in milliseconds."),
    Comment::new("grants.time.slice", "Where the client leaves it to us."),
    Comment::new("grants.time.least", "Less than this is none: 4012."),
    Comment::new("grants.time.most", "No more than this."),
    Comment::new("grants.octets", "Of octets."),
    Comment::new("grants.octets.slice", "Where the client leaves it to us."),
    Comment::new("grants.octets.least", "Less than this is none: 4012."),
    Comment::new("grants.octets.most", "No more than this."),
    Comment::new("grants.units", "Of messages and other units."),
    Comment::new("grants.units.slice", "Where the client leaves it to us."),
    Comment::new("grants.units.least", "Less than this is none: 4012."),
    Comment::new("grants.units.most", "No more than this."),
    Comment::new(
        "grants.validity",
        "How long a grant of octets or units may be kept; 0s: without limit. Shorter than the hour after which a silent session is settled.",
    ),
    Comment::new("grants.time_validity", "The same for time."),
    Comment::new("grants.holding", "Give octets and units back after so long without use; 0s: never."),
    Comment::new("grants.threshold_percent", "Ask again when this share of the grant is left, 0 to 90."),
    Comment::new("numbers", "How called numbers are written."),
    Comment::new(
        "numbers.country_code",
        "Country code for national numbers, digits only; empty: national numbers are refused.",
    ),
    Comment::new("numbers.area_code", "Area code put before local numbers; empty: local numbers are refused."),
    Comment::new("numbers.international_prefixes", "What is dialled before a country code."),
    Comment::new("numbers.national_prefix", "What is dialled before an area code."),
    Comment::new("numbers.technical_prefixes", "Prefixes that choose a route and are not part of the number."),
    Comment::new("numbers.short_codes", "Numbers that are taken as they are."),
    Comment::new("numbers.bare_is_international", "true: digits without any prefix are a country code and number."),
    Comment::new(
        "emergency_numbers",
        "Called numbers that are never refused and cost nothing, beside urn:service:sos.",
    ),
    Comment::new(
        "answer_timeout",
        "How long a request may wait for the core, 100ms to 10s; shorter than the clients' Tx timer.",
    ),
    Comment::new(
        "on_core_failure",
        "Without the core: terminate (5012), retry_and_terminate (3004: the client asks another server) or continue (sessions of known accounts go on, their usage is delivered when the core is back).",
    ),
    Comment::new(
        "continue",
        "With on_core_failure = \"continue\": which sessions go on without the core; they are debited later.",
    ),
    Comment::new("continue.max_call", "Longest time that a session goes on without the core."),
    Comment::new("continue.calls_per_account", "Sessions of one account at once."),
    Comment::new("continue.recent", "How old the core's last good word for the account may be."),
    Comment::new("continue.never", "Beginnings of E.164 numbers, such as \"+882\", to which no call goes on."),
    Comment::optional(
        "failure_handling",
        "What clients do without us: terminate, continue, retry_and_terminate. Without it: as the core says.",
        "\"terminate\"",
    ),
    Comment::optional(
        "session_failover",
        "Whether clients may go on at another server. Without it: as the core says.",
        "true",
    ),
    Comment::new("interim", "Distance of INTERIM records; 0s: none."),
    Comment::new("tell_cost", "true: clients are told what a session or event cost, and what is left."),
    Comment::new("strict", "true: peers are held to the RFCs to the letter. No Kamailio passes it."),
    Comment::new("limits", "Limits and times of connections."),
    Comment::new("limits.connections", "Connections at once."),
    Comment::new("limits.strangers", "Connections at once whose peer has not said who it is."),
    Comment::new("limits.window", "Requests of one connection in work; more are answered 3004."),
    Comment::new("limits.sessions", "Sessions held in memory; more are answered 3004."),
    Comment::new(
        "limits.capabilities_timeout",
        "How long capabilities, TLS handshake and a begun message may take, 100ms to 60s.",
    ),
    Comment::new("limits.watchdog", "Tw of the watchdog (RFC 3539), 6s to 1h."),
    Comment::new("limits.write_timeout", "How long a peer may read nothing of what we send, 100ms to 60s."),
    Comment::new("limits.leave_timeout", "How long a peer may take to agree that we leave, 100ms to 60s."),
    Comment::new(
        "limits.copies",
        "How long answers are kept for copies of their requests, 4m to 1h; the core keeps them longer.",
    ),
    Comment::new("limits.request_timeout", "Tx of our own requests (RAR, ASR), 100ms to 60s."),
    Comment::new("limits.request_attempts", "How often they are sent."),
];
