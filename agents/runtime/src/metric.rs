//! Names of the agents' metrics, in one place. Labels are bounded: switch, class, result code, cause.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Metric names.
pub mod names {
    /// Calls offered by the switch. Label `switch`.
    pub const CALLS_OFFERED: &str = "tollkeeper_calls_offered_total";
    /// Calls admitted. Label `switch`.
    pub const CALLS_ADMITTED: &str = "tollkeeper_calls_admitted_total";
    /// Calls refused. Labels `switch`, `cause`.
    pub const CALLS_REFUSED: &str = "tollkeeper_calls_refused_total";
    /// Calls that tollkeeper ended. Labels `switch`, `cause`.
    pub const CALLS_RELEASED: &str = "tollkeeper_calls_released_total";
    /// Calls known now. Label `switch`.
    pub const CALLS_OPEN: &str = "tollkeeper_calls_open";
    /// Calls let through, or talking on, while the charging core does not answer. Label `switch`.
    pub const CALLS_CONTINUED: &str = "tollkeeper_calls_continued_total";
    /// Callers warned of low credit. Label `switch`.
    pub const LOW_BALANCE: &str = "tollkeeper_low_balance_warnings_total";
    /// Money at risk or lost, a human must look. Labels `switch`, `alarm`.
    pub const ALARMS: &str = "tollkeeper_call_alarms_total";
    /// From request to answer of the charging core, in seconds. Labels `switch`, `operation`.
    pub const CHARGE_SECONDS: &str = "tollkeeper_charge_duration_seconds";
    /// Answers of the charging core. Labels `switch`, `result_code`.
    pub const CHARGE_ANSWERS: &str = "tollkeeper_charge_answers_total";
    /// Requests that the charging core did not answer in time. Label `switch`.
    pub const CHARGE_FAILURES: &str = "tollkeeper_charge_failures_total";
    /// How late our own cut came behind the end of the grant, in seconds. Label `switch`.
    pub const CUT_LATENESS_SECONDS: &str = "tollkeeper_cut_lateness_seconds";
    /// Talk beyond the last grant, in seconds. Label `switch`.
    pub const OVERRUN_SECONDS: &str = "tollkeeper_overrun_seconds_total";
    /// Records that the journal did not take; the switch keeps the call's end until it does. Label `switch`.
    pub const RECORD_FAILURES: &str = "tollkeeper_record_failures_total";
    /// 1 while the switch is connected. Label `switch`.
    pub const SWITCH_CONNECTED: &str = "tollkeeper_switch_connected";
    /// Connections made to the switch. Label `switch`.
    pub const SWITCH_CONNECTS: &str = "tollkeeper_switch_connects_total";
    /// Resynchronisations with the switch's live calls. Label `switch`.
    pub const RESYNCS: &str = "tollkeeper_switch_resyncs_total";
    /// Seconds without a connection to the switch. Label `switch`.
    pub const GAP_SECONDS: &str = "tollkeeper_switch_gap_seconds_total";
    /// Frames from the switch. Label `switch`.
    pub const FRAMES_IN: &str = "tollkeeper_switch_frames_received_total";
    /// Frames to the switch. Label `switch`.
    pub const FRAMES_OUT: &str = "tollkeeper_switch_frames_sent_total";
    /// Frames that could not be decoded. Labels `switch`, `class`.
    pub const DECODE_ERRORS: &str = "tollkeeper_switch_decode_errors_total";
    /// Events that mean nothing to charging. Labels `switch`, `reason`.
    pub const EVENTS_IGNORED: &str = "tollkeeper_switch_events_ignored_total";
    /// Calls that ended unseen and were closed at their last proven usage. Label `switch`.
    pub const RECONSTRUCTED: &str = "tollkeeper_calls_reconstructed_total";
}

/// Tells the recorder what the metrics mean. Call once, after the recorder is installed.
pub fn describe_metrics() {
    use names::*;
    let counters = [
        (CALLS_OFFERED, "Calls offered by the switch"),
        (CALLS_ADMITTED, "Calls admitted"),
        (CALLS_REFUSED, "Calls refused, by cause"),
        (CALLS_RELEASED, "Calls that tollkeeper ended, by cause"),
        (CALLS_CONTINUED, "Calls that went on while the charging core did not answer"),
        (LOW_BALANCE, "Callers warned of low credit"),
        (ALARMS, "Money at risk or lost: look at the log"),
        (CHARGE_ANSWERS, "Answers of the charging core, by result code"),
        (CHARGE_FAILURES, "Requests that the charging core did not answer in time"),
        (OVERRUN_SECONDS, "Talk beyond the last grant"),
        (RECORD_FAILURES, "Records that the journal did not take"),
        (SWITCH_CONNECTS, "Connections made to the switch"),
        (RESYNCS, "Resynchronisations with the switch's live calls"),
        (GAP_SECONDS, "Time without a connection to the switch"),
        (FRAMES_IN, "Frames from the switch"),
        (FRAMES_OUT, "Frames to the switch"),
        (DECODE_ERRORS, "Frames that could not be decoded, by class"),
        (EVENTS_IGNORED, "Events that mean nothing to charging, by reason"),
        (RECONSTRUCTED, "Calls closed at their last proven usage"),
    ];
    for (name, text) in counters {
        describe_counter!(name, text);
    }
    describe_gauge!(CALLS_OPEN, "Calls known now");
    describe_gauge!(SWITCH_CONNECTED, "1 while the switch is connected");
    describe_histogram!(CHARGE_SECONDS, Unit::Seconds, "From request to answer of the charging core");
    describe_histogram!(CUT_LATENESS_SECONDS, Unit::Seconds, "How late our cut came behind the end of the grant");
}
