//! Configuration of the agent: one `[[agent]]` table with `kind = "freeswitch"`.

mod empty_balance;
mod socket;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use agent_call::numbers::NumberRules;
use agent_runtime::CallConfig;
use protocol_codecs::Masked;
use serde::{Deserialize, Serialize};
use types::ConfigDuration;

pub use socket::SocketConfig;

/// One agent, for one or more switches that share its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeswitchConfig {
    /// Name of the agent; with the switch's name it is the client id at the charging core. Never change it while calls
    /// are up: sessions belong to it.
    pub name: Box<str>,
    /// Whose customers call over these switches, where no channel variable says otherwise.
    #[serde(default = "default_tenant")]
    pub tenant: Box<str>,
    /// Tenants by the SIP domain (realm) that their users log on to; a digest user of any other domain pays for nothing.
    /// Empty: the switch has one domain. With several it must be filled, or `1001` of one is taken for `1001` of another.
    #[serde(default)]
    pub domains: BTreeMap<Box<str>, Box<str>>,
    /// The switches.
    pub switches: Vec<SwitchConfig>,
    /// The dialplan's context that routes admitted calls; the leg is transferred to the number it had dialled.
    #[serde(default = "default_admitted_context")]
    pub admitted_context: Box<str>,
    /// The dialplan's context whose extensions are SIP statuses and run `respond`, for the statuses that no hangup cause
    /// makes (402); empty: such calls are refused with 403.
    #[serde(default = "default_refuse_context")]
    pub refuse_context: Box<str>,
    /// Contexts in which a parked call waits for us; empty: all.
    #[serde(default)]
    pub parked_contexts: Vec<Box<str>>,
    /// Who pays for the leg that a transfer makes.
    #[serde(default)]
    pub transfers_paid_by: TransferPayer,
    /// What the caller hears, once, when the credit ends; empty: nothing. CGRateS's name for it is taken too.
    #[serde(default, alias = "low_balance_ann_file")]
    pub low_balance_file: Box<str>,
    /// What the caller hears, alone, when the credit is used up and the conversation was ended for it, then the end;
    /// empty: nothing. CGRateS's name for it is taken too.
    #[serde(default, alias = "empty_balance_ann_file")]
    pub empty_balance_file: Box<str>,
    /// The dialplan's context to which callers without credit are transferred, in mid-call (alone, free of charge) and
    /// before the answer instead of 402; empty: none.
    #[serde(default)]
    pub empty_balance_context: Box<str>,
    /// How long a caller may stay there, or hear the announcement, at most.
    #[serde(default = "default_empty_balance_limit")]
    pub empty_balance_limit: ConfigDuration,
    /// Silence on the event connection after which it is made again: three times the switch's heartbeat.
    #[serde(default = "default_heartbeat_timeout")]
    pub heartbeat_timeout: ConfigDuration,
    /// How long the switch may take to answer a command.
    #[serde(default = "default_reply_timeout")]
    pub reply_timeout: ConfigDuration,
    /// Longest wait between attempts to connect.
    #[serde(default = "default_reconnect")]
    pub reconnect_longest: ConfigDuration,
    /// How calls are charged.
    #[serde(default)]
    pub calls: CallConfig,
    /// Trunks, by name.
    #[serde(default)]
    pub trunks: BTreeMap<Box<str>, TrunkConfig>,
}

/// Who pays when one party of a call sends the other one on to a third.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferPayer {
    /// Who sent it. The call that was there before goes on and is paid as before. A callee whose account the switch does
    /// not know cannot transfer: that leg is refused.
    #[default]
    Transferor,
    /// Who made the call that is transferred, whoever sent it. Callees can then send callers to any number at the
    /// callers' expense.
    Caller,
}

/// One switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchConfig {
    /// Its name in records, metrics and session ids.
    pub name: Box<str>,
    /// `host:port` of its event socket.
    pub address: Box<str>,
    /// File with the password of its event socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Variable of the environment with the password; without file and variable it is [`PASSWORD_VARIABLE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<Box<str>>,
    /// Where its dialplan's `socket` application connects; absent: calls are authorised while they are parked, only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<SocketConfig>,
}

/// One trunk: a peer that is known by its address, or by the name that the dialplan sets in `tollkeeper_trunk`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrunkConfig {
    /// Where its calls come from; the switch's access list must admit nobody else from there.
    pub addresses: Vec<IpAddr>,
    /// Who pays for its calls when neither a channel variable nor a digest user says so; empty: nobody.
    pub account: Box<str>,
    /// How numbers are written on it.
    pub numbers: NumberRules,
}

/// Whose a SIP domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Domain<'a> {
    /// The switch has one, or nobody logged on.
    Any,
    /// This tenant's.
    Of(&'a str),
    /// It is not in the configuration.
    Unknown,
}

impl<'a> Domain<'a> {
    pub(crate) fn tenant(self) -> Option<&'a str> {
        if let Self::Of(tenant) = self { Some(tenant) } else { None }
    }
}

impl SwitchConfig {
    /// The password, from where it was said to be.
    ///
    /// # Errors
    /// What is missing, and the remedy.
    pub fn password(&self) -> Result<Masked, String> {
        let text = match (&self.password_file, &self.password_env) {
            (Some(_), Some(_)) => return Err("has password_file and password_env; keep one of them".to_owned()),
            (Some(path), None) => std::fs::read_to_string(path)
                .map_err(|error| format!("password_file {} cannot be read: {error}", path.display()))?,
            (None, name) => {
                let name = name.as_deref().unwrap_or(PASSWORD_VARIABLE);
                std::env::var(name).map_err(|_| {
                    format!("needs a password: write password_file or password_env, or set the variable {name}")
                })?
            }
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("has an empty password, or one of more than one line".to_owned());
        }
        Ok(Masked::new(text))
    }
}

impl FreeswitchConfig {
    /// What is wrong with the values: key path below the table, and the remedy. Passwords are not looked for here.
    pub fn faults(&self) -> Vec<(String, String)> {
        let calls = self.calls.faults().into_iter().map(|(key, text)| (format!("calls.{key}"), text));
        let mut faults: Vec<(String, String)> = calls.collect();
        let mut fault = |key: String, text: &str| faults.push((key, text.to_owned()));
        if self.switches.is_empty() {
            fault("switches".into(), "needs at least one { name = \"...\", address = \"host:port\" }");
        }
        for (index, switch) in self.switches.iter().enumerate() {
            if self.switches.iter().take(index).any(|other| other.name == switch.name) {
                fault(format!("switches[{index}].name"), "stands twice; each switch needs a name of its own");
            }
            if !is_name(&switch.name) {
                fault(
                    format!("switches[{index}].name"),
                    "must be 1 to 64 letters, digits, dots, dashes or underscores",
                );
            }
            if !socket::is_address(&switch.address) {
                fault(format!("switches[{index}].address"), "must be host:port, such as 127.0.0.1:8021");
            }
            let Some(socket) = &switch.socket else { continue };
            for (key, text) in socket.faults() {
                fault(format!("switches[{index}].socket.{key}"), text);
            }
            let others = self.switches.iter().take(index).filter_map(|other| other.socket.as_ref());
            if others.into_iter().any(|other| other.listen == socket.listen) {
                fault(format!("switches[{index}].socket.listen"), "stands twice; each switch needs a port of its own");
            }
        }
        for (key, context, needed) in
            [("admitted_context", &self.admitted_context, true), ("refuse_context", &self.refuse_context, false)]
        {
            if !is_name(context) && (needed || !context.is_empty()) {
                fault(key.into(), "must be a context's name: letters, digits, dots, dashes or underscores");
            }
        }
        if self.parked_contexts.contains(&self.admitted_context) {
            fault("parked_contexts".into(), "must not hold admitted_context: an admitted call would be parked again");
        }
        if self.low_balance_file.contains([' ', '\'', '\\']) || self.low_balance_file.starts_with('-') {
            fault("low_balance_file".into(), "must be a path without spaces, quotes and backslashes");
        }
        for (key, text) in self.empty_balance_faults() {
            fault(key.into(), text);
        }
        if !(1_000..=600_000).contains(&self.heartbeat_timeout.ms()) {
            fault("heartbeat_timeout".into(), "must be between 1s and 10m, and longer than the switch's heartbeat");
        }
        if !(100..=60_000).contains(&self.reply_timeout.ms()) {
            fault("reply_timeout".into(), "must be between 100ms and 1m");
        }
        faults
    }

    /// Whose the domain is of a user who logged on; `None`: nobody did.
    pub(crate) fn domain(&self, realm: Option<&str>) -> Domain<'_> {
        match realm {
            Some(realm) if !self.domains.is_empty() => {
                // As the switch's directory compares them.
                let found = self.domains.iter().find(|(domain, _)| domain.eq_ignore_ascii_case(realm));
                found.map_or(Domain::Unknown, |(_, tenant)| Domain::Of(tenant))
            }
            _ => Domain::Any,
        }
    }

    /// The trunk of that name, or else of that address.
    pub(crate) fn trunk(&self, name: Option<&str>, address: Option<IpAddr>) -> Option<(&str, &TrunkConfig)> {
        let of_address = |trunk: &TrunkConfig| address.is_some_and(|address| trunk.addresses.contains(&address));
        let found = match name {
            Some(name) => self.trunks.get_key_value(name),
            None => self.trunks.iter().find(|(_, trunk)| of_address(trunk)),
        };
        found.map(|(name, trunk)| (&**name, trunk))
    }
}

/// Names stand in session ids, which stand in channel variables and commands.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-')
}

/// Where the password is when nothing is said about it.
pub const PASSWORD_VARIABLE: &str = "TOLLKEEPER_ESL_PASSWORD";

fn default_tenant() -> Box<str> {
    "default".into()
}

fn default_admitted_context() -> Box<str> {
    "tollkeeper_admitted".into()
}

fn default_refuse_context() -> Box<str> {
    "tollkeeper_refused".into()
}

fn default_empty_balance_limit() -> ConfigDuration {
    ConfigDuration::from_s(60)
}

fn default_heartbeat_timeout() -> ConfigDuration {
    ConfigDuration::from_s(60)
}

fn default_reply_timeout() -> ConfigDuration {
    ConfigDuration::from_s(5)
}

fn default_reconnect() -> ConfigDuration {
    ConfigDuration::from_s(5)
}

#[cfg(test)]
mod tests;
