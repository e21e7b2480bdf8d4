//! How much is granted at once, for each unit.

use serde::{Deserialize, Serialize};
use types::ConfigDuration;
use types::charging::Service;

/// Bounds of a grant, for each unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrantsConfig {
    /// Of time, in milliseconds; granted in whole seconds.
    pub time: GrantConfig,
    /// Of octets.
    pub octets: GrantConfig,
    /// Of messages and other units.
    pub units: GrantConfig,
    /// How long a grant of octets or units may be kept; 0s: without limit. Shorter than an hour: a session that is silent for an
    /// hour is settled as if its grant had been used.
    pub validity: ConfigDuration,
    /// The same for time.
    pub time_validity: ConfigDuration,
    /// Give octets back after so long without use; 0s: never.
    pub holding: ConfigDuration,
    /// Ask again when this share of the grant is left, in percent; 0: when all is used.
    pub threshold_percent: u8,
}

impl Default for GrantsConfig {
    fn default() -> Self {
        Self {
            time: GrantConfig { slice: 120_000, least: 1_000, most: 3_600_000 },
            octets: GrantConfig { slice: 5_000_000, least: 1, most: 1_000_000_000 },
            units: GrantConfig { slice: 1, least: 1, most: 1_000 },
            validity: ConfigDuration::from_s(1_800),
            time_validity: ConfigDuration::from_s(0),
            holding: ConfigDuration::from_s(0),
            threshold_percent: 20,
        }
    }
}

/// Bounds of a grant in one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantConfig {
    /// Where the client leaves it to us.
    pub slice: u64,
    /// Less than this is none: 4012.
    pub least: u64,
    /// No more than this, whatever the client asks for.
    pub most: u64,
}

/// The bounds that hold for one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitGrants {
    /// How much.
    pub amount: GrantConfig,
    /// For how long, in seconds; `None` = without limit.
    pub validity_s: Option<u32>,
    /// How long unused, in seconds; `None` = without limit.
    pub holding_s: Option<u32>,
    /// Share that is left when the client asks again, in percent.
    pub threshold_percent: u8,
}

impl GrantsConfig {
    /// The bounds for what is sold.
    pub fn of(&self, service: Service) -> UnitGrants {
        let seconds = |time: ConfigDuration| u32::try_from(time.ms() / 1_000).ok().filter(|seconds| *seconds > 0);
        let (amount, validity) = match service {
            Service::Voice => (self.time, self.time_validity),
            Service::Data => (self.octets, self.validity),
            Service::Sms | Service::Mms | Service::Generic => (self.units, self.validity),
        };
        let holding_s = seconds(self.holding).filter(|_| service != Service::Voice);
        UnitGrants { amount, validity_s: seconds(validity), holding_s, threshold_percent: self.threshold_percent }
    }

    /// What is wrong with the values, each with its key and the remedy.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for (key, grant) in [("time", self.time), ("octets", self.octets), ("units", self.units)] {
            if grant.least == 0 || grant.slice < grant.least || grant.most < grant.slice {
                faults.push((key.to_owned(), "must be 1 <= least <= slice <= most".to_owned()));
            }
        }
        if self.threshold_percent > 90 {
            faults.push(("threshold_percent".to_owned(), "must be at most 90".to_owned()));
        }
        faults
    }
}
