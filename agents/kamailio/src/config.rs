//! Configuration of the agent: one `[[agent]]` table with `kind = "kamailio"`.

use std::collections::BTreeMap;

use agent_call::numbers::NumberRules;
use agent_runtime::CallConfig;
use serde::{Deserialize, Serialize};
use types::ConfigDuration;

/// One agent, for one or more Kamailios that share its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KamailioConfig {
    /// Name of the agent; with the switch's name it is the client id at the charging core. Never change it while calls
    /// are up: sessions belong to it.
    pub name: Box<str>,
    /// Whose customers call over these switches.
    #[serde(default = "default_tenant")]
    pub tenant: Box<str>,
    /// The connection tag, as `TK_AGENT_TAG` in kamailio.cfg.
    #[serde(default = "default_tag")]
    pub tag: Box<str>,
    /// The Kamailios.
    pub switches: Vec<SwitchConfig>,
    /// Application ping, and how long an answer may take is three times that.
    #[serde(default = "default_ping")]
    pub ping_interval: ConfigDuration,
    /// Longest wait between attempts to connect.
    #[serde(default = "default_reconnect")]
    pub reconnect_longest: ConfigDuration,
    /// How calls are charged.
    #[serde(default)]
    pub calls: CallConfig,
    /// Settings of trunks, by the name that Kamailio sends.
    #[serde(default)]
    pub trunks: BTreeMap<Box<str>, TrunkConfig>,
}

/// One Kamailio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchConfig {
    /// Its name in records, metrics and session ids.
    pub name: Box<str>,
    /// `host:port` of its evapi.
    pub address: Box<str>,
}

/// One trunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkConfig {
    /// How numbers are written on it.
    pub numbers: NumberRules,
}

impl KamailioConfig {
    /// What is wrong with the values: key path below the table, and the remedy.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults: Vec<(String, String)> =
            self.calls.faults().into_iter().map(|(key, text)| (format!("calls.{key}"), text)).collect();
        if self.switches.is_empty() {
            faults.push(("switches".into(), "needs at least one { name = \"...\", address = \"host:port\" }".into()));
        }
        for (index, switch) in self.switches.iter().enumerate() {
            if self.switches.iter().take(index).any(|other| other.name == switch.name) {
                faults.push((format!("switches[{index}].name"), format!("\"{}\" stands twice", switch.name)));
            }
            if switch.name.is_empty() || switch.name.len() > 64 || switch.name.contains(['/', ' ']) {
                faults.push((
                    format!("switches[{index}].name"),
                    "must be 1 to 64 characters without / and spaces".into(),
                ));
            }
            if switch.address.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
                faults.push((format!("switches[{index}].address"), "must be host:port, such as 127.0.0.1:8448".into()));
            }
        }
        if self.tag.is_empty() || self.tag.len() > 63 {
            faults.push(("tag".into(), "must be 1 to 63 characters, a limit of evapi".into()));
        }
        if !(100..=5_000).contains(&self.ping_interval.ms()) {
            faults.push((
                "ping_interval".into(),
                "must be between 100ms and 5s: Kamailio forgets an agent after 6 s of silence".into(),
            ));
        }
        faults
    }
}

fn default_tenant() -> Box<str> {
    "default".into()
}

fn default_tag() -> Box<str> {
    "tollkeeper".into()
}

fn default_ping() -> ConfigDuration {
    ConfigDuration::from_s(2)
}

fn default_reconnect() -> ConfigDuration {
    ConfigDuration::from_s(5)
}
