//! Configuration of the agent: one `[[agent]]` table with `kind = "diameter"`.

mod grants;
mod peers;
mod service;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use agent_call::numbers::NumberRules;
use agent_runtime::ContinueConfig;
use serde::{Deserialize, Serialize};
use types::ConfigDuration;
use types::charging::FailureHandling;

pub use grants::{GrantConfig, GrantsConfig, UnitGrants};
pub use peers::{Network, PeerConfig};
pub use service::{FinalUnitConfig, ServiceConfig, ServiceMatch};

/// One Diameter node of ours: a name, its ports, its peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiameterConfig {
    /// Name of the agent, and the client id at the charging core. Never change it while sessions are open: they belong to it.
    pub name: Box<str>,
    /// Our DiameterIdentity: the Origin-Host of what we send.
    pub origin_host: Box<str>,
    /// Our realm; absent: what follows the first dot of `origin_host`.
    #[serde(default)]
    pub origin_realm: Option<Box<str>>,
    /// Other realms whose requests we serve.
    #[serde(default)]
    pub realms: Vec<Box<str>>,
    /// Other hosts whose requests we serve.
    #[serde(default)]
    pub hosts: Vec<Box<str>>,
    /// Where peers connect, without TLS.
    #[serde(default)]
    pub listen: Vec<SocketAddr>,
    /// Where peers connect, and with which certificates.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Who may connect.
    #[serde(default)]
    pub peers: Vec<PeerConfig>,
    /// Whose customers are charged, where no service says otherwise.
    #[serde(default = "default_tenant")]
    pub tenant: Box<str>,
    /// What is charged how: the first one that fits counts.
    #[serde(default)]
    pub services: Vec<ServiceConfig>,
    /// How much is granted, where no service says otherwise.
    #[serde(default)]
    pub grants: GrantsConfig,
    /// How called numbers are written.
    #[serde(default)]
    pub numbers: NumberRules,
    /// Called numbers that are never refused: the call is free, whoever pays and whatever is down.
    #[serde(default = "default_emergency")]
    pub emergency_numbers: Vec<Box<str>>,
    /// How long a request may wait for the charging core; shorter than the clients' Tx timer.
    #[serde(default = "default_answer_timeout")]
    pub answer_timeout: ConfigDuration,
    /// What is answered when the charging core is not reached in time: `terminate` (5012), `retry_and_terminate` (3004: the client
    /// asks another server) or `continue` (sessions of known accounts go on, within the limits of `continue`; their usage is
    /// delivered later).
    #[serde(default)]
    pub on_core_failure: FailureHandling,
    /// Limits of `on_core_failure = "continue"`.
    #[serde(default)]
    pub r#continue: ContinueConfig,
    /// What clients do when they cannot reach us; absent: as the core says.
    #[serde(default)]
    pub failure_handling: Option<FailureHandling>,
    /// Whether clients may go on at another server; absent: as the core says.
    #[serde(default)]
    pub session_failover: Option<bool>,
    /// Distance of INTERIM records; 0s: none.
    #[serde(default = "default_interim")]
    pub interim: ConfigDuration,
    /// Tell clients what a session or event cost and what is left.
    #[serde(default)]
    pub tell_cost: bool,
    /// Hold peers to the RFCs to the letter, for conformance tests.
    #[serde(default)]
    pub strict: bool,
    /// Limits and times of connections.
    #[serde(default)]
    pub limits: LimitsConfig,
}

/// TLS 1.2 and 1.3, client certificates required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Where peers connect.
    pub listen: Vec<SocketAddr>,
    /// Our certificates, PEM, ours first.
    pub certificate_file: PathBuf,
    /// The key of the first one, PEM.
    pub key_file: PathBuf,
    /// Who signs the peers' certificates, PEM.
    pub authority_file: PathBuf,
    /// A peer's certificate must have its Origin-Host among its names (subjectAltName); else a peer could take another one's name.
    #[serde(default = "default_check_names")]
    pub check_names: bool,
}

/// Limits and times of connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Connections at once; more are closed at once.
    pub connections: u32,
    /// Connections at once whose peer has not said who it is.
    pub strangers: u32,
    /// Requests of one connection in work; more are answered 3004. The rate times the time an answer takes: 15,000/s on a disk that
    /// stands still for a quarter of a second.
    pub window: u32,
    /// Sessions at once; more are answered 3004.
    pub sessions: u32,
    /// How long the capabilities (and the TLS handshake) may take.
    pub capabilities_timeout: ConfigDuration,
    /// Tw of the watchdog, RFC 3539.
    pub watchdog: ConfigDuration,
    /// How long a peer may take to read what we send.
    pub write_timeout: ConfigDuration,
    /// How long a peer may take to agree that we leave.
    pub leave_timeout: ConfigDuration,
    /// How long answers are kept for copies of their requests.
    pub copies: ConfigDuration,
    /// Tx of our own requests (RAR, ASR).
    pub request_timeout: ConfigDuration,
    /// How often they are sent before we give up.
    pub request_attempts: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 4_096,
            strangers: 256,
            window: 4_096,
            sessions: 1_000_000,
            capabilities_timeout: ConfigDuration::from_s(10),
            watchdog: ConfigDuration::from_s(30),
            write_timeout: ConfigDuration::from_s(10),
            leave_timeout: ConfigDuration::from_s(5),
            copies: ConfigDuration::from_s(300),
            request_timeout: ConfigDuration::from_s(5),
            request_attempts: 3,
        }
    }
}

impl DiameterConfig {
    /// Our realm.
    pub fn realm(&self) -> &str {
        let host = &*self.origin_host;
        let of_host = || host.split_once('.').map_or(host, |(_, realm)| realm);
        self.origin_realm.as_deref().unwrap_or_else(of_host)
    }

    /// What is wrong with the values: key path below the table, and the remedy.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if !is_identity(&self.origin_host) {
            faults.push((
                "origin_host".to_owned(),
                "must be a host name with a domain, such as ocs.example.net".to_owned(),
            ));
        }
        for (key, names) in [("realms", &self.realms), ("hosts", &self.hosts)] {
            for (index, name) in names.iter().enumerate().filter(|(_, name)| !is_identity(name)) {
                faults.push((format!("{key}[{index}]"), format!("\"{name}\" is no name of a host or realm")));
            }
        }
        if self.listen.is_empty() && self.tls.as_ref().is_none_or(|tls| tls.listen.is_empty()) {
            faults.push(("listen".to_owned(), "needs at least one address, such as [\"0.0.0.0:3868\"]".to_owned()));
        }
        if self.peers.is_empty() {
            let text = "nobody may connect: needs at least one { host = \"pgw.example.net\" }";
            faults.push(("peers".to_owned(), text.to_owned()));
        }
        if self.services.is_empty() {
            let text = "nothing is charged: needs at least one { context = \"32251\", category = \"data\" }";
            faults.push(("services".to_owned(), text.to_owned()));
        }
        for (index, peer) in self.peers.iter().enumerate() {
            faults.extend(peer.faults().into_iter().map(|(key, text)| (format!("peers[{index}].{key}"), text)));
        }
        for (index, service) in self.services.iter().enumerate() {
            faults.extend(service.faults().into_iter().map(|(key, text)| (format!("services[{index}].{key}"), text)));
        }
        faults.extend(self.grants.faults().into_iter().map(|(key, text)| (format!("grants.{key}"), text)));
        let going_on = self.r#continue.faults().into_iter();
        faults.extend(going_on.map(|(key, text)| (format!("continue.{key}"), text)));
        self.limits.faults(&mut faults);
        if !(100..=10_000).contains(&self.answer_timeout.ms()) {
            let text = "must be between 100ms and 10s: clients wait 5 to 10 s for an answer";
            faults.push(("answer_timeout".to_owned(), text.to_owned()));
        }
        faults
    }
}

impl LimitsConfig {
    fn faults(&self, faults: &mut Vec<(String, String)>) {
        let counts = [
            ("connections", self.connections),
            ("strangers", self.strangers),
            ("window", self.window),
            ("sessions", self.sessions),
            ("request_attempts", self.request_attempts),
        ];
        for (key, _) in counts.iter().filter(|(_, count)| *count == 0) {
            faults.push((format!("limits.{key}"), "must be at least 1".to_owned()));
        }
        let times = [
            ("capabilities_timeout", self.capabilities_timeout, 100, 60_000),
            ("watchdog", self.watchdog, 6_000, 3_600_000),
            ("write_timeout", self.write_timeout, 100, 60_000),
            ("leave_timeout", self.leave_timeout, 100, 60_000),
            ("copies", self.copies, 240_000, 3_600_000),
            ("request_timeout", self.request_timeout, 100, 60_000),
        ];
        for (key, value, least, most) in times {
            if !(least..=most).contains(&value.ms()) {
                let (least, most) = (ConfigDuration::from_ms(least), ConfigDuration::from_ms(most));
                faults.push((format!("limits.{key}"), format!("must be between {least} and {most}")));
            }
        }
    }
}

/// Whether it can stand in an Origin-Host.
fn is_identity(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=255).contains(&name.len()) && name.bytes().all(plain)
}

fn default_tenant() -> Box<str> {
    "default".into()
}

fn default_emergency() -> Vec<Box<str>> {
    vec!["112".into(), "911".into()]
}

fn default_answer_timeout() -> ConfigDuration {
    ConfigDuration::from_s(3)
}

fn default_check_names() -> bool {
    true
}

fn default_interim() -> ConfigDuration {
    ConfigDuration::from_s(300)
}
