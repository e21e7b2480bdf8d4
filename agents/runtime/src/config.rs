//! Configuration that every agent has, whatever its switch.

use agent_call::numbers::NumberRules;
use agent_call::{CallSettings, HoldCharging};
use serde::{Deserialize, Serialize};
use types::charging::{ChargingMode, FailureHandling};
use types::{ClientId, ConfigDuration};

use crate::continuing::ContinueLimits;

/// How calls are charged. Every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallConfig {
    /// Time asked for at once.
    pub slice: ConfigDuration,
    /// More is asked for when this much is left; shorter than `slice`.
    pub margin: ConfigDuration,
    /// Longest ringing; the switch's own limit should be shorter.
    pub maximum_ring: ConfigDuration,
    /// Longest conversation.
    pub maximum_call: ConfigDuration,
    /// Distance of INTERIM records; 0s: none.
    pub interim: ConfigDuration,
    /// How long a STOP waits for its price.
    pub final_record_wait: ConfigDuration,
    /// How long a new call waits for the charging core; shorter than the switch waits for us.
    pub authorise_timeout: ConfigDuration,
    /// How often the switch is asked for its live calls.
    pub proof_interval: ConfigDuration,
    /// Are held calls charged? `charged` or `free`.
    pub hold: HoldCharging,
    /// While the core is away: `terminate` or `retry_and_terminate` refuse new calls and end running ones with their
    /// grant; `continue` lets calls of known accounts go on, within the limits of `continue`.
    pub on_core_failure: FailureHandling,
    /// Limits of `on_core_failure = "continue"`.
    pub r#continue: ContinueConfig,
    /// Answered calls that appear without an offer.
    pub unknown_calls: UnknownCalls,
    /// How money is treated: `prepaid`, `pseudoprepaid`, `postpaid`, `rated`.
    pub mode: ChargingMode,
    /// The rating category.
    pub category: Box<str>,
    /// Calls held at once at most; more are refused with 503.
    pub maximum_calls: u32,
    /// How numbers are written.
    pub numbers: NumberRules,
}

/// How far calls may go on while the core is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContinueConfig {
    /// Longest talk without the core.
    pub max_call: ConfigDuration,
    /// Calls of one account at once; 0: none.
    pub calls_per_account: u32,
    /// How old the core's last good word for the account may be.
    pub recent: ConfigDuration,
    /// Beginnings of E.164 numbers, such as `+882`, to which no call goes on.
    pub never: Vec<Box<str>>,
}

impl Default for ContinueConfig {
    fn default() -> Self {
        let ContinueLimits { longest_ms, calls_per_account, recent_ms, never } = ContinueLimits::default();
        let (max_call, recent) = (ConfigDuration::from_ms(longest_ms), ConfigDuration::from_ms(recent_ms));
        Self { max_call, calls_per_account, recent, never }
    }
}

impl ContinueConfig {
    /// The same as limits.
    pub fn limits(&self) -> ContinueLimits {
        ContinueLimits {
            longest_ms: self.max_call.ms(),
            calls_per_account: self.calls_per_account,
            recent_ms: self.recent.ms(),
            never: self.never.clone(),
        }
    }

    /// What is wrong with the values, each with its key and the remedy.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if !(1_000..=4 * 3_600_000).contains(&self.max_call.ms()) {
            faults.push(("max_call", "must be between 1s and 4h".to_owned()));
        }
        let e164 = |prefix: &str| prefix.strip_prefix('+').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
        if let Some(wrong) = self.never.iter().find(|prefix| !e164(prefix)) {
            faults.push(("never", format!("has {wrong}; write the beginning of E.164 numbers, such as +882")));
        }
        faults
    }
}

/// What happens to an answered call that was never offered to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownCalls {
    /// Charge it from the switch's own answer time.
    #[default]
    Adopt,
    /// End it; what was talked is charged.
    Release,
}

impl Default for CallConfig {
    fn default() -> Self {
        Self {
            slice: ConfigDuration::from_s(120),
            margin: ConfigDuration::from_s(30),
            maximum_ring: ConfigDuration::from_s(180),
            maximum_call: ConfigDuration::from_s(4 * 3600),
            interim: ConfigDuration::from_s(300),
            final_record_wait: ConfigDuration::from_s(10),
            authorise_timeout: ConfigDuration::from_s(4),
            proof_interval: ConfigDuration::from_s(10),
            hold: HoldCharging::Charged,
            on_core_failure: FailureHandling::RetryAndTerminate,
            r#continue: ContinueConfig::default(),
            unknown_calls: UnknownCalls::Adopt,
            mode: ChargingMode::Prepaid,
            category: "call".into(),
            maximum_calls: 50_000,
            numbers: NumberRules::default(),
        }
    }
}

impl CallConfig {
    /// The machine's settings for a client.
    pub fn settings(&self, client_id: ClientId) -> CallSettings {
        CallSettings {
            slice_ms: self.slice.ms(),
            margin_ms: self.margin.ms(),
            maximum_ring_ms: self.maximum_ring.ms(),
            maximum_call_ms: self.maximum_call.ms(),
            interim_ms: self.interim.ms(),
            final_record_wait_ms: self.final_record_wait.ms(),
            hold: self.hold,
            on_core_failure: self.on_core_failure,
            ..CallSettings::new(client_id)
        }
    }

    /// The limits of `on_core_failure = "continue"`.
    pub fn continue_limits(&self) -> ContinueLimits {
        self.r#continue.limits()
    }

    /// What is wrong with the values, each with its key and the remedy.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.margin >= self.slice {
            let text = format!("must be shorter than slice ({}), or every answer asks again at once", self.slice);
            faults.push(("margin", text));
        }
        if self.slice.ms() == 0 || self.slice.ms() > 24 * 3_600_000 {
            faults.push(("slice", "must be between 1ms and 1d".to_owned()));
        }
        if !(1_000..=600_000).contains(&self.proof_interval.ms()) {
            faults.push(("proof_interval", "must be between 1s and 10m".to_owned()));
        }
        if self.maximum_calls == 0 {
            faults.push(("maximum_calls", "must be at least 1".to_owned()));
        }
        faults.extend(self.r#continue.faults().into_iter().map(|(key, text)| {
            let key = match key {
                "never" => "continue.never",
                _ => "continue.max_call",
            };
            (key, text)
        }));
        faults
    }
}
