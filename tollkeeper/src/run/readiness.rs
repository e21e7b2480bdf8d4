//! Whether new calls should come here: started and not stopping, the core answers, the journal accepts calls. Switches and sinks
//! are listed, but a switch that is away does not make the others' agent unready, and a sink that is down costs no call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_diameter::{PeerBoard, PeersReport};
use charging_client::ChargingTransport;
use serde::Serialize;
use types::SessionId;

use super::exports::Exports;
use super::records::Records;
use crate::config::Config;
use crate::sinks::{Alarm, SinkReport};

/// Knows whom to ask.
pub(super) struct Readiness {
    exports: Exports,
    transport: Option<Arc<dyn ChargingTransport>>,
    records: Option<Arc<Records>>,
    switches: Vec<(String, String)>,
    boards: Mutex<Vec<Arc<PeerBoard>>>,
    started: AtomicBool,
    stopping: AtomicBool,
}

/// The answer of /readyz.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Everything below that must be so is so.
    pub(super) ready: bool,
    started: bool,
    stopping: bool,
    /// Absent: this process has no core and needs none.
    core: Option<CoreReport>,
    /// Absent: this process has no journal.
    journal: Option<JournalReport>,
    switches: Vec<SwitchReport>,
    sinks: Vec<SinkReport>,
    /// The alarms of all sinks, as sentences.
    alarms: Vec<String>,
}

#[derive(Debug, Serialize)]
struct CoreReport {
    answers: bool,
}

#[derive(Debug, Serialize)]
struct JournalReport {
    accepts_calls: bool,
}

#[derive(Debug, Serialize)]
struct SwitchReport {
    agent: String,
    switch: String,
    connected: bool,
}

impl Readiness {
    /// Not started yet.
    pub(super) fn new(
        config: &Config,
        exports: Exports,
        transport: Option<Arc<dyn ChargingTransport>>,
        records: Option<&Arc<Records>>,
    ) -> Self {
        let of = |agent: &Arc<dyn crate::agents::AgentConfig>| {
            let name = agent.name().to_owned();
            agent.switches().into_iter().map(|switch| (name.clone(), switch.to_owned())).collect::<Vec<_>>()
        };
        Self {
            exports,
            transport,
            records: records.cloned(),
            switches: config.agents.iter().flat_map(of).collect(),
            boards: Mutex::default(),
            started: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }

    pub(super) fn started(&self) {
        self.started.store(true, Ordering::Release);
    }

    pub(super) fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Who is connected to the Diameter agents, once there are any.
    pub(super) fn set_boards(&self, boards: Vec<Arc<PeerBoard>>) {
        *self.boards.lock().unwrap_or_else(PoisonError::into_inner) = boards;
    }

    /// Who is, now.
    pub(super) fn diameter_peers(&self) -> Vec<PeersReport> {
        let boards = self.boards.lock().unwrap_or_else(PoisonError::into_inner);
        boards.iter().map(|board| board.report()).collect()
    }

    pub(super) fn exports(&self) -> &Exports {
        &self.exports
    }

    pub(super) async fn report(&self) -> Report {
        let core = match &self.transport {
            Some(transport) => Some(CoreReport { answers: answers(transport.as_ref()).await }),
            None => None,
        };
        let journal = self.records.as_ref();
        let journal = journal.map(|records| JournalReport { accepts_calls: records.journal.accepts_calls() });
        let (started, stopping) = (self.started.load(Ordering::Acquire), self.stopping.load(Ordering::Acquire));
        let ready = started
            && !stopping
            && core.as_ref().is_none_or(|core| core.answers)
            && journal.as_ref().is_none_or(|journal| journal.accepts_calls)
            && !self.records.as_ref().is_some_and(|records| records.unready());
        let sinks = self.sinks();
        let alarms = sinks.iter().flat_map(sentences).collect();
        Report { ready, started, stopping, core, journal, switches: self.switches(), sinks, alarms }
    }

    fn switches(&self) -> Vec<SwitchReport> {
        if self.switches.is_empty() {
            return Vec::new();
        }
        let text = self.exports.render();
        let reports = self.switches.iter().map(|(agent, switch)| {
            let connected = exports_one(&text, agent_runtime::names::SWITCH_CONNECTED, switch);
            SwitchReport { agent: agent.clone(), switch: switch.clone(), connected }
        });
        reports.collect()
    }

    /// How it stands with the sinks.
    pub(super) fn sinks(&self) -> Vec<SinkReport> {
        self.records.as_ref().map(|records| records.reports()).unwrap_or_default()
    }

    /// The journal's directory.
    pub(super) fn journal_dir(&self) -> Option<&std::path::Path> {
        self.records.as_ref().map(|records| &*records.directory)
    }
}

/// The alarms of a sink in words.
fn sentences(report: &SinkReport) -> Vec<String> {
    let told = |alarm: &Alarm| match alarm {
        Alarm::NotRunning => format!("sink {} does not run", report.sink),
        Alarm::Lag => format!("sink {} lags {} s behind", report.sink, report.lag_ms / 1000),
        Alarm::Backlog => format!("sink {} has {} records to deliver", report.sink, report.backlog_records),
    };
    report.alarms.iter().map(told).collect()
}

/// One round trip, for a session that nobody has.
async fn answers(transport: &dyn ChargingTransport) -> bool {
    let nobodys = SessionId::from("readyz");
    matches!(tokio::time::timeout(PATIENCE, transport.session(&nobodys)).await, Ok(Ok(_)))
}

/// Whether a metric of a switch is 1 now. Agents tell their connection by metric, whatever their kind.
fn exports_one(text: &str, metric: &str, switch: &str) -> bool {
    let label = format!("switch=\"{switch}\"");
    let lines = text.lines().filter_map(|line| line.strip_prefix(metric)).filter(|line| line.starts_with('{'));
    let mut values = lines.filter(|line| line.contains(&label)).filter_map(|line| line.rsplit_once(' '));
    values.any(|(_, value)| value == "1")
}

const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_of_one_switch_is_found() {
        let text = "# TYPE up gauge\nup{switch=\"a\"} 0\nup{switch=\"b\"} 1\nup_not{switch=\"a\"} 1\n";
        for (switch, expected) in [("a", false), ("b", true), ("c", false)] {
            assert_eq!(exports_one(text, "up", switch), expected, "{switch}");
        }
    }
}
