//! Metrics for Prometheus: those that the crates report through `metrics`, and the plain counters of client, journal and shippers.

mod sinks;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use cdr_journal::JournalCounters;
use charging_client::{Client, ClientMetrics, GrpcTransport, TransportMetrics};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::agents::Agents;
use super::records::Records;

/// Installs the recorder for the whole process.
pub(super) fn install() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_batch_commands".to_owned()), BATCHES))
        .context("metric buckets")?;
    let handle = builder.install_recorder().context("installing the metrics recorder")?;
    charging_server::describe_metrics();
    agent_diameter::metric::describe_metrics();
    agent_runtime::describe_metrics();
    describe();
    gauge!("tollkeeper_build", "version" => env!("CARGO_PKG_VERSION")).set(1);
    let upkeep = handle.clone();
    // Keeps histograms small when nobody asks for them; ends with the runtime.
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(UPKEEP);
        loop {
            interval.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// Everything that is exported.
pub(super) struct Exports {
    handle: PrometheusHandle,
    clients: Mutex<Vec<Client>>,
    grpc: Option<Arc<GrpcTransport>>,
    records: Option<Arc<Records>>,
}

impl Exports {
    pub(super) fn new(handle: PrometheusHandle, agents: &Agents, records: Option<&Arc<Records>>) -> Self {
        if let Some(records) = records {
            let seconds = histogram!(JOURNAL_SYNCS);
            records.journal.counters().syncs.hear(move |took| seconds.record(took));
        }
        Self { handle, clients: Mutex::default(), grpc: agents.grpc(), records: records.cloned() }
    }

    /// The clients, once there are any.
    pub(super) fn set_clients(&self, clients: Vec<Client>) {
        for client in &clients {
            let seconds = histogram!(OUTBOX_SYNCS, "client" => client.client_id().as_str().to_owned());
            client.metrics().outbox_syncs.hear(move |took| seconds.record(took));
        }
        *self.clients.lock().unwrap_or_else(PoisonError::into_inner) = clients;
    }

    /// The text for Prometheus, as of now.
    pub(super) fn render(&self) -> String {
        for client in &*self.clients.lock().unwrap_or_else(PoisonError::into_inner) {
            let (name, metrics) = (client.client_id().as_str().to_owned(), client.metrics());
            for row in CLIENT {
                row.show((row.value)(metrics), Some(("client", name.clone())));
            }
        }
        if let Some(grpc) = &self.grpc {
            TRANSPORT.iter().for_each(|row| row.show((row.value)(grpc.metrics()), None));
        }
        if let Some(records) = &self.records {
            show_records(records);
        }
        self.handle.render()
    }
}

fn show_records(records: &Records) {
    let counters = records.journal.counters();
    JOURNAL.iter().for_each(|row| row.show((row.value)(counters), None));
    gauge!(JOURNAL_QUEUE).set(f64_of(u64::try_from(records.journal.queue_depth()).unwrap_or(u64::MAX)));
    gauge!(JOURNAL_ACCEPTS).set(f64::from(u8::from(records.journal.accepts_calls())));
    for report in records.reports() {
        sinks::show(&report);
    }
}

/// One plain counter and the metric it becomes.
struct Row<S> {
    name: &'static str,
    text: &'static str,
    /// False: it only grows.
    gauge: bool,
    value: fn(&S) -> u64,
}

impl<S> Row<S> {
    const fn counter(name: &'static str, text: &'static str, value: fn(&S) -> u64) -> Self {
        Self { name, text, gauge: false, value }
    }

    const fn gauge(name: &'static str, text: &'static str, value: fn(&S) -> u64) -> Self {
        Self { name, text, gauge: true, value }
    }

    fn show(&self, value: u64, label: Option<(&'static str, String)>) {
        match (self.gauge, label) {
            (true, Some((key, label))) => gauge!(self.name, key => label).set(f64_of(value)),
            (true, None) => gauge!(self.name).set(f64_of(value)),
            (false, Some((key, label))) => counter!(self.name, key => label).absolute(value),
            (false, None) => counter!(self.name).absolute(value),
        }
    }

    fn describe(&self) {
        if self.gauge { describe_gauge!(self.name, self.text) } else { describe_counter!(self.name, self.text) }
    }
}

fn describe() {
    CLIENT.iter().for_each(Row::describe);
    TRANSPORT.iter().for_each(Row::describe);
    JOURNAL.iter().for_each(Row::describe);
    sinks::describe();
    describe_gauge!("tollkeeper_build", "Always 1; the label tells the version");
    describe_histogram!(JOURNAL_SYNCS, Unit::Seconds, "Time of one batch of records to disk");
    describe_histogram!(OUTBOX_SYNCS, Unit::Seconds, "Time of one batch of charging requests to disk");
    describe_gauge!(JOURNAL_QUEUE, "Records that wait for the disk");
    describe_gauge!(JOURNAL_ACCEPTS, "1 while there is room for the records of new calls");
}

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Exact up to 2^53, which no counter here reaches.
fn f64_of(value: u64) -> f64 {
    value as f64
}

const CLIENT: &[Row<ClientMetrics>] = &[
    Row::counter("tollkeeper_client_requests_taken_total", "Charging requests taken", |m| m.requests_taken.value()),
    Row::counter("tollkeeper_client_requests_not_taken_total", "Charging requests not taken: too many pending", |m| {
        m.requests_not_taken.value()
    }),
    Row::counter("tollkeeper_client_requests_answered_total", "Charging requests answered", |m| {
        m.requests_answered.value()
    }),
    Row::counter("tollkeeper_client_requests_refused_total", "Charging requests given back as refused", |m| {
        m.requests_refused.value()
    }),
    Row::gauge("tollkeeper_client_requests_pending", "Charging requests not answered yet", |m| {
        m.requests_pending.value()
    }),
    Row::counter("tollkeeper_client_attempts_total", "Attempts, first ones included", |m| m.attempts.value()),
    Row::counter("tollkeeper_client_retransmissions_total", "Attempts of requests that may have arrived before", |m| {
        m.retransmissions.value()
    }),
    Row::counter("tollkeeper_client_too_busy_total", "Attempts answered 3004, too busy", |m| m.too_busy.value()),
    Row::counter("tollkeeper_client_deadlines_passed_total", "Callers that stopped waiting for an answer", |m| {
        m.deadlines_passed.value()
    }),
    Row::counter("tollkeeper_client_answers_unclaimed_total", "Answers that nobody waited for any more", |m| {
        m.answers_unclaimed.value()
    }),
    Row::counter("tollkeeper_client_requests_recovered_total", "Requests from before the start, asked again", |m| {
        m.requests_recovered.value()
    }),
    Row::counter("tollkeeper_client_outbox_failures_total", "Charging requests that the outbox did not take", |m| {
        m.outbox_failures.value()
    }),
    Row::counter("tollkeeper_client_notifications_total", "Notifications from the core", |m| m.notifications.value()),
    Row::counter("tollkeeper_client_subscriptions_total", "Subscriptions to notifications", |m| {
        m.subscriptions.value()
    }),
];

const TRANSPORT: &[Row<TransportMetrics>] = &[
    Row::counter("tollkeeper_core_connections_total", "Streams opened to the core", |m| m.connections.value()),
    Row::counter("tollkeeper_core_connection_failures_total", "Failed attempts to open a stream to the core", |m| {
        m.connection_failures.value()
    }),
    Row::counter("tollkeeper_core_connections_lost_total", "Streams to the core that ended", |m| {
        m.connections_lost.value()
    }),
    Row::gauge("tollkeeper_core_connected", "1 while a stream to the core is open", |m| m.connected.value()),
    Row::gauge("tollkeeper_core_requests_in_flight", "Requests in flight to the core", |m| m.in_flight.value()),
    Row::counter("tollkeeper_core_requests_sent_total", "Requests written to a stream", |m| m.requests_sent.value()),
    Row::counter("tollkeeper_core_window_waits_total", "Requests that found the window full", |m| {
        m.window_waits.value()
    }),
    Row::counter("tollkeeper_core_answers_total", "Answers received", |m| m.answers.value()),
    Row::counter("tollkeeper_core_answers_unmatched_total", "Answers that matched no request in flight", |m| {
        m.answers_unmatched.value()
    }),
    Row::counter("tollkeeper_core_unreadable_total", "Answers and notifications that could not be read", |m| {
        m.unreadable.value()
    }),
    Row::counter("tollkeeper_core_timeouts_total", "Attempts without an answer in time", |m| m.timeouts.value()),
];

const JOURNAL: &[Row<JournalCounters>] = &[
    Row::counter("tollkeeper_journal_records_total", "Records that became durable", |c| of(&c.records)),
    Row::counter("tollkeeper_journal_bytes_total", "Octets of JSON that became durable", |c| of(&c.bytes)),
    Row::counter("tollkeeper_journal_duplicates_total", "Records that were there already", |c| of(&c.duplicates)),
    Row::counter("tollkeeper_journal_failures_total", "Records that were queued and failed", |c| of(&c.failures)),
    Row::counter("tollkeeper_journal_refused_total", "Records that were not queued", |c| of(&c.refused)),
    Row::counter(
        "tollkeeper_journal_recoveries_total",
        "Times the journal went on after a failed write or fsync",
        |c| of(&c.recoveries),
    ),
    Row::counter("tollkeeper_journal_archived_total", "Segments put into compressed archives", |c| of(&c.archived)),
    Row::counter(
        "tollkeeper_journal_removed_total",
        "Segments and archives removed after they were kept long enough",
        |c| of(&c.removed),
    ),
];
const JOURNAL_QUEUE: &str = "tollkeeper_journal_queue_records";
const JOURNAL_ACCEPTS: &str = "tollkeeper_journal_accepts_calls";
const JOURNAL_SYNCS: &str = "tollkeeper_journal_sync_duration_seconds";
const OUTBOX_SYNCS: &str = "tollkeeper_outbox_sync_duration_seconds";

const SECONDS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const BATCHES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
const UPKEEP: Duration = Duration::from_secs(5);
