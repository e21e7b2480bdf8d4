//! Names of the agent's metrics, in one place. Labels are bounded: agent, command, result code, reason.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Connections open now. Label `switch`.
pub const CONNECTIONS: &str = "tollkeeper_diameter_connections_open";
/// Connections that ended. Labels `switch`, `reason`.
pub const CLOSED: &str = "tollkeeper_diameter_connections_closed_total";
/// Peers refused at their CER. Labels `switch`, `reason`.
pub const REFUSED: &str = "tollkeeper_diameter_peers_refused_total";
/// Requests received. Labels `switch`, `command`.
pub const REQUESTS: &str = "tollkeeper_diameter_requests_total";
/// Answers given to CCRs. Labels `switch`, `result_code`.
pub const ANSWERS: &str = "tollkeeper_diameter_answers_total";
/// Copies answered from what was kept. Label `switch`.
pub const COPIES: &str = "tollkeeper_diameter_copies_total";
/// Messages that mean nothing to us. Labels `switch`, `reason`.
pub const IGNORED: &str = "tollkeeper_diameter_messages_ignored_total";
/// Sessions in memory. Label `switch`.
pub const SESSIONS: &str = "tollkeeper_diameter_sessions";
/// From a CCR to its CCA, in seconds. Label `switch`.
pub const SECONDS: &str = "tollkeeper_diameter_answer_duration_seconds";
/// CCRs that the charging core did not answer in time. Label `switch`.
pub const LATE: &str = "tollkeeper_diameter_core_late_total";
/// Our own requests. Labels `switch`, `command`, `outcome`.
pub const OWN: &str = "tollkeeper_diameter_own_requests_total";
/// Records that the journal did not take. Label `switch`.
pub const UNRECORDED: &str = "tollkeeper_diameter_record_failures_total";

/// Tells the recorder what the metrics mean. Call once, after the recorder is installed.
pub fn describe_metrics() {
    let counters = [
        (CLOSED, "Connections that ended, by reason"),
        (REFUSED, "Peers refused, by reason"),
        (REQUESTS, "Requests received, by command"),
        (ANSWERS, "Answers to credit-control requests, by result code"),
        (COPIES, "Copies of requests answered from what was kept"),
        (IGNORED, "Messages that mean nothing to us, by reason"),
        (LATE, "Requests that the charging core did not answer in time"),
        (OWN, "Our own requests (RAR, ASR), by outcome"),
        (UNRECORDED, "Records that the journal did not take"),
    ];
    for (name, text) in counters {
        describe_counter!(name, text);
    }
    describe_gauge!(CONNECTIONS, "Connections open now");
    describe_gauge!(SESSIONS, "Sessions in memory");
    describe_histogram!(SECONDS, Unit::Seconds, "From a credit-control request to its answer");
}
