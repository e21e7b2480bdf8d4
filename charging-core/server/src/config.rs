//! Configuration of the charging core: the `[core]` table.

mod tariff;

use std::net::SocketAddr;

use ledger::Settings;
use serde::{Deserialize, Serialize};
use types::ConfigDuration;

pub use tariff::{TariffConfig, TaxConfig, TenantConfig};

/// The charging core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoreConfig {
    /// Where the gRPC API listens. Loopback unless you mean it: this version has no TLS.
    pub listen: SocketAddr,
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
    /// A snapshot is made after so many log records.
    pub snapshot_records: u64,
    /// Most commands that wait for the ledger; more are answered 3004 (too busy).
    pub queue: usize,
}

impl Default for CoreConfig {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7440)),
            tariff: TariffConfig::default(),
            cut_tolerance: ConfigDuration::from_ms(settings.cut_tolerance_ms),
            maximum_ring: ConfigDuration::from_ms(settings.maximum_ring_ms),
            expiry_grace: ConfigDuration::from_ms(settings.expiry_grace_ms),
            idempotency_window: ConfigDuration::from_ms(settings.idempotency_window_ms),
            snapshot_records: 1_000_000,
            queue: 65_536,
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
        if self.expiry_grace.ms() < 5_000 {
            faults.push((
                "expiry_grace".into(),
                "must be at least 5s: a session must not expire before the switch's backstop".into(),
            ));
        }
        faults
    }
}
