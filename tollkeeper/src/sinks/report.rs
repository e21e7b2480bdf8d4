//! How it stands with one sink: the same for /readyz, /sinks, metrics and `cdr ship-status`.

use serde::{Deserialize, Serialize};
use types::ConfigDuration;

/// One sink. Times are ISO 8601 UTC; counts are since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SinkReport {
    /// Its name.
    pub sink: String,
    /// Its kind; absent where only the journal's directory could be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where the records go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Whether it ships now.
    pub running: bool,
    /// Everything below this position of the journal has arrived.
    pub checkpoint: u64,
    /// Records that have not arrived.
    pub backlog_records: u64,
    /// How long the oldest of them has been waiting, in milliseconds since the time it tells of itself; 0: none is waiting.
    pub lag_ms: u64,
    /// The time that the oldest of them tells of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_unshipped: Option<String>,
    /// When records last arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<String>,
    /// What is wrong, and since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<TroubleReport>,
    /// Which thresholds are crossed.
    pub alarms: Vec<Alarm>,
    /// Absent where only the journal's directory could be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
}

/// What /sinks answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct SinksAnswer {
    /// The directory of the process's journal; absent: it has none.
    pub journal: Option<std::path::PathBuf>,
    /// All of them.
    pub sinks: Vec<SinkReport>,
}

/// A series of failures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleReport {
    /// Since when nothing has arrived.
    pub since: String,
    /// The last error.
    pub error: String,
}

/// Counts since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Records that arrived, a second, lately.
    pub records_per_s: u64,
    /// Their octets of JSON, a second, lately.
    pub bytes_per_s: u64,
    /// Records that arrived.
    pub records: u64,
    /// Their octets of JSON.
    pub bytes: u64,
    /// Deliveries that failed as a whole.
    pub failures: u64,
    /// Records that the filter withheld.
    pub withheld: u64,
    /// Records damaged in the journal.
    pub damaged: u64,
    /// Records removed before they were delivered.
    pub removed: u64,
    /// Records that a filtered or masked sink cannot get because nobody can read them.
    pub undecodable: u64,
    /// Requests to the destination.
    pub requests: u64,
    /// Requests that failed as a whole.
    pub failed_requests: u64,
    /// Entries sent again.
    pub retried: u64,
    /// Entries turned away because they came too fast.
    pub throttled: u64,
    /// Entries sent again although they may have arrived.
    pub possible_duplicates: u64,
    /// Records that the destination can never take.
    pub parked: u64,
}

/// Why somebody must look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// It does not ship.
    NotRunning,
    /// A record waits longer than `alarm_lag`.
    Lag,
    /// More records wait than `alarm_backlog_records`.
    Backlog,
}

impl Alarm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NotRunning, Self::Lag, Self::Backlog];

    /// As in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRunning => "not_running",
            Self::Lag => "lag",
            Self::Backlog => "backlog",
        }
    }
}

impl SinkReport {
    /// What is wrong by these thresholds.
    pub fn alarms_by(&self, lag: ConfigDuration, backlog: u64) -> Vec<Alarm> {
        let crossed = |alarm: &Alarm| match alarm {
            Alarm::NotRunning => !self.running,
            Alarm::Lag => self.backlog_records > 0 && self.lag_ms > lag.ms(),
            Alarm::Backlog => self.backlog_records > backlog,
        };
        Alarm::ALL.into_iter().filter(crossed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_follow_their_thresholds() {
        let rows = [
            (true, 0, 0, vec![]),
            (true, 10, 1000, vec![]),
            (true, 11, 1001, vec![Alarm::Lag, Alarm::Backlog]),
            (true, 0, 5000, vec![]),
            (false, 0, 0, vec![Alarm::NotRunning]),
        ];
        for (running, backlog_records, lag_ms, expected) in rows {
            let report = SinkReport { running, backlog_records, lag_ms, ..SinkReport::default() };
            assert_eq!(report.alarms_by(ConfigDuration::from_s(1), 10), expected, "{report:?}");
        }
    }
}
