//! Configuration of the second form: calls that the dialplan's `socket` application brings to us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use types::ConfigDuration;

/// Where one switch's `socket` application connects. Without this table nothing listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketConfig {
    /// `host:port` to listen on, for this switch alone. Loopback unless you mean it: the protocol knows no password.
    pub listen: Box<str>,
    /// Who may connect; others are closed at once. Default: loopback only.
    #[serde(default = "loopback")]
    pub allow: Vec<IpAddr>,
    /// Connections at once at most, 1 to 10000: calls that wait for a verdict at the same time. More are closed, and
    /// the dialplan refuses them.
    #[serde(default = "default_connections")]
    pub maximum_connections: u32,
    /// How long a connection may take to name its call, 100 ms to 25 s (then FreeSWITCH itself gives up).
    #[serde(default = "default_handshake_timeout")]
    pub handshake_timeout: ConfigDuration,
}

impl SocketConfig {
    /// With every default.
    pub fn on(listen: &str) -> Self {
        Self {
            listen: listen.into(),
            allow: loopback(),
            maximum_connections: default_connections(),
            handshake_timeout: default_handshake_timeout(),
        }
    }

    /// What is wrong with the values: key below `socket`, and the remedy.
    pub(super) fn faults(&self) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        if !is_address(&self.listen) {
            faults.push(("listen", "must be host:port, such as 127.0.0.1:8084"));
        }
        if self.allow.is_empty() {
            faults.push(("allow", "permits nobody; write the switch's address, or leave the socket table away"));
        }
        if !(1..=10_000).contains(&self.maximum_connections) {
            faults.push(("maximum_connections", "must be between 1 and 10000"));
        }
        if !(100..=25_000).contains(&self.handshake_timeout.ms()) {
            faults.push(("handshake_timeout", "must be between 100ms and 25s"));
        }
        faults
    }
}

/// `host:port`.
pub(super) fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn loopback() -> Vec<IpAddr> {
    vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
}

fn default_connections() -> u32 {
    1_000
}

fn default_handshake_timeout() -> ConfigDuration {
    ConfigDuration::from_s(2)
}
