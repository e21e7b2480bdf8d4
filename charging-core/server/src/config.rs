//! Configuration of the charging core: the `[core]` table.

mod access;
mod tariff;

use std::net::SocketAddr;

use ledger::{DestinationRule, Policy, Settings};
use serde::{Deserialize, Serialize};
use types::ConfigDuration;

pub use access::{LimitsConfig, Role, TlsConfig, TokenConfig, TokenError};
pub use tariff::{TariffConfig, TaxConfig, TenantConfig};

/// The charging core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoreConfig {
    /// Where the gRPC API listens.
    pub listen: SocketAddr,
    /// True: listen on other addresses than loopback without TLS or without tokens, because the network sees to it.
    pub insecure: bool,
    /// Tariff plans, by what they are sold in.
    pub tariff: TariffConfig,
    /// Talk beyond the last grant, after our own cut, that is not charged.
    pub cut_tolerance: ConfigDuration,
    /// Longest time from INITIAL to the answer: the dearest start within it is reserved for.
    pub maximum_ring: ConfigDuration,
    /// How long after the end of a grant an unheard-of session expires; later than every switch's backstop.
    pub expiry_grace: ConfigDuration,
    /// How long answers are kept after the end of their session, for copies of requests.
    pub idempotency_window: ConfigDuration,
    /// Fewest log records between two snapshots.
    pub snapshot_records: u64,
    /// A snapshot is made when the log since the last one takes this share of it, in percent; 0: after
    /// `snapshot_records`, however large the books are. A start reads a snapshot and about so much of the log.
    pub snapshot_log_percent: u64,
    /// Most commands that wait for the ledger; more are answered 3004 (too busy).
    pub queue: usize,
    /// How long a grant of octets or units may be kept before the client reports; zero: without limit. Time tells by
    /// itself when it is over.
    pub validity_time: ConfigDuration,
    /// What accounts may do besides paying, where they have no limit of their own (`tollkeeper account limits`).
    pub policy: Policy,
    /// How much of the gRPC API is used at once.
    pub limits: LimitsConfig,
    /// Encryption of the gRPC API; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Who may use it; empty: whoever reaches it may do everything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token: Vec<TokenConfig>,
}

impl Default for CoreConfig {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7440)),
            insecure: false,
            tariff: TariffConfig::default(),
            cut_tolerance: ConfigDuration::from_ms(settings.cut_tolerance_ms),
            maximum_ring: ConfigDuration::from_ms(settings.maximum_ring_ms),
            expiry_grace: ConfigDuration::from_ms(settings.expiry_grace_ms),
            idempotency_window: ConfigDuration::from_ms(settings.idempotency_window_ms),
            snapshot_records: 1_000_000,
            snapshot_log_percent: 100,
            queue: 65_536,
            validity_time: ConfigDuration::from_ms(settings.validity_ms.unwrap_or(0)),
            policy: settings.policy,
            limits: LimitsConfig::default(),
            tls: None,
            token: Vec::new(),
        }
    }
}

impl CoreConfig {
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            cut_tolerance_ms: self.cut_tolerance.ms(),
            maximum_ring_ms: self.maximum_ring.ms(),
            expiry_grace_ms: self.expiry_grace.ms(),
            idempotency_window_ms: self.idempotency_window.ms(),
            validity_ms: Some(self.validity_time.ms()).filter(|ms| *ms > 0),
            policy: self.policy.clone(),
            ..Settings::default()
        }
    }

    /// What is wrong with the values: key path below the table, and the remedy.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        faults.extend(self.tariff.faults().into_iter().map(|(key, text)| (format!("tariff.{key}"), text)));
        if self.queue == 0 || self.snapshot_records == 0 {
            faults.push(("queue".into(), "queue and snapshot_records must be at least 1".into()));
        }
        if self.snapshot_log_percent > MOST_LOG_PERCENT {
            faults.push((
                "snapshot_log_percent".into(),
                format!("must be at most {MOST_LOG_PERCENT}: a start reads the log since the last snapshot"),
            ));
        }
        faults.extend(policy_faults(&self.policy));
        faults.extend(access::faults(&self.token, &self.limits));
        if !self.listen.ip().is_loopback() && !self.insecure && (self.tls.is_none() || self.token.is_empty()) {
            let text =
                "is not loopback: add [core.tls] and [[core.token]], or insecure = true if the network protects it";
            faults.push(("listen".into(), text.into()));
        }
        let idle_ms = Settings::default().idle_expiry_ms;
        if self.validity_time.ms() > idle_ms {
            let text = format!("must be at most {}: a silent session expires then", ConfigDuration::from_ms(idle_ms));
            faults.push(("validity_time".into(), text));
        }
        if self.expiry_grace.ms() < 5_000 {
            faults.push((
                "expiry_grace".into(),
                "must be at least 5s: a session must not expire before the switch's backstop".into(),
            ));
        }
        faults
    }
}

/// Of a snapshot: the log that a start may have to read.
const MOST_LOG_PERCENT: u64 = 1000;

/// What is wrong with the limits.
fn policy_faults(policy: &Policy) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let costs = [
        ("policy.maximum_cost_per_call", policy.maximum_cost_per_call),
        ("policy.maximum_cost_per_hour", policy.maximum_cost_per_hour),
        ("policy.maximum_cost_per_day", policy.maximum_cost_per_day),
    ];
    for (key, _) in costs.iter().filter(|(_, cost)| cost.is_some_and(|cost| cost.is_negative())) {
        faults.push(((*key).into(), "must not be below zero; leave it out for no limit".into()));
    }
    for (at, class) in policy.destinations.iter().enumerate() {
        let mut fault =
            |field: &str, text: &str| faults.push((format!("policy.destinations[{at}].{field}"), text.into()));
        if class.class.is_empty() || policy.destinations.iter().take(at).any(|other| other.class == class.class) {
            fault("class", "must be a name that no other class has");
        }
        let is_prefix = |prefix: &str| {
            let digits = prefix.trim_start_matches('+');
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if class.prefixes.is_empty() || !class.prefixes.iter().all(|prefix| is_prefix(prefix)) {
            fault("prefixes", "must be beginnings of called numbers, such as [\"+4900\", \"+88\"]");
        }
        if matches!(class.rule, DestinationRule::MaximumCostPerCall(limit) if limit.is_negative()) {
            fault("rule", "must not be below zero");
        }
    }
    faults
}
