//! The metrics of sinks, from their reports.

use std::time::Duration;

use metrics::gauge;
use types::UtcMs;

use super::{Row, describe_gauge};
use crate::sinks::{Alarm, Counts, SinkReport};

/// Sets all of them for one sink.
pub(super) fn show(report: &SinkReport) {
    let label = || Some(("sink", report.sink.clone()));
    ROWS.iter().for_each(|row| row.show((row.value)(report), label()));
    if let Some(counts) = &report.counts {
        COUNTS.iter().for_each(|row| row.show((row.value)(counts), label()));
    }
    gauge!(LAG, "sink" => report.sink.clone()).set(Duration::from_millis(report.lag_ms).as_secs_f64());
    for alarm in Alarm::ALL {
        let raised = report.alarms.contains(&alarm);
        gauge!(ALARM, "sink" => report.sink.clone(), "alarm" => alarm.as_str()).set(f64::from(u8::from(raised)));
    }
}

/// Tells what they mean.
pub(super) fn describe() {
    ROWS.iter().for_each(Row::describe);
    COUNTS.iter().for_each(Row::describe);
    describe_gauge!(LAG, "How long the oldest record not delivered has been waiting");
    describe_gauge!(ALARM, "1 while a threshold of the sink is crossed");
}

/// Seconds since 1970; 0: unknown.
fn seconds(time: Option<&str>) -> u64 {
    let time = time.and_then(|time| time.parse::<UtcMs>().ok());
    time.map_or(0, |time| u64::try_from(time.0 / 1000).unwrap_or(0))
}

const ROWS: &[Row<SinkReport>] = &[
    Row::gauge("tollkeeper_sink_running", "1 while the sink's shipper runs; 0: the journal keeps the records", |r| {
        u64::from(r.running)
    }),
    Row::gauge("tollkeeper_sink_backlog_records", "Records committed and not delivered", |r| r.backlog_records),
    Row::gauge("tollkeeper_sink_checkpoint", "Position below which everything is delivered", |r| r.checkpoint),
    Row::gauge("tollkeeper_sink_oldest_unshipped_timestamp_seconds", "Time of the oldest record not delivered", |r| {
        seconds(r.oldest_unshipped.as_deref())
    }),
    Row::gauge("tollkeeper_sink_last_success_timestamp_seconds", "When records were last delivered", |r| {
        seconds(r.last_success.as_deref())
    }),
];
const LAG: &str = "tollkeeper_sink_lag_seconds";
const ALARM: &str = "tollkeeper_sink_alarm";

const COUNTS: &[Row<Counts>] = &[
    Row::counter("tollkeeper_sink_records_total", "Records delivered", |c| c.records),
    Row::counter("tollkeeper_sink_bytes_total", "Octets of JSON delivered", |c| c.bytes),
    Row::counter("tollkeeper_sink_failures_total", "Deliveries that failed", |c| c.failures),
    Row::counter("tollkeeper_sink_withheld_total", "Records that the sink's filter withheld", |c| c.withheld),
    Row::counter("tollkeeper_sink_undecodable_total", "Records withheld because they cannot be read", |c| {
        c.undecodable
    }),
    Row::counter("tollkeeper_sink_damaged_total", "Records damaged in the journal, never delivered", |c| c.damaged),
    Row::counter("tollkeeper_sink_removed_total", "Records removed before they were delivered", |c| c.removed),
    Row::counter("tollkeeper_sink_requests_total", "Requests to the destination", |c| c.requests),
    Row::counter("tollkeeper_sink_failed_requests_total", "Requests that failed as a whole", |c| c.failed_requests),
    Row::counter("tollkeeper_sink_retried_total", "Entries sent again", |c| c.retried),
    Row::counter("tollkeeper_sink_throttled_total", "Entries turned away because they came too fast", |c| c.throttled),
    Row::counter("tollkeeper_sink_possible_duplicates_total", "Entries sent again that may have arrived", |c| {
        c.possible_duplicates
    }),
    Row::counter("tollkeeper_sink_parked_total", "Records that the destination can never take", |c| c.parked),
];
