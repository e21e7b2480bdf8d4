//! The tables that belong to the binary itself; those of the core and of agents are declared in their crates.

use std::net::SocketAddr;
use std::path::PathBuf;

use cdr_journal::{Archive, JournalOptions, OnDiskError};
use charging_client::{ClientConfig, CoreAccess, GrpcConfig};
use serde::{Deserialize, Serialize};
use types::ConfigDuration;

/// What stands above all tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopLevel {
    /// Where everything durable is kept.
    pub data_dir: PathBuf,
    /// How long a shutdown may take before the process gives up and says what was left.
    pub shutdown_deadline: ConfigDuration,
    /// Threads that carry the calls of all agents of this process.
    pub agent_threads: u16,
}

impl Default for TopLevel {
    fn default() -> Self {
        Self { data_dir: "tollkeeper-data".into(), shutdown_deadline: ConfigDuration::from_s(20), agent_threads: 1 }
    }
}

impl TopLevel {
    /// What is wrong with the values: key and remedy.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let possible = (1..=256).contains(&self.agent_threads);
        let fault = ("agent_threads", format!("is {}, must be between 1 and 256", self.agent_threads));
        (!possible).then_some(fault).into_iter().collect()
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// A level, or a filter such as `info,agent_kamailio=debug`. The environment variable RUST_LOG goes before it.
    pub level: Box<str>,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Auto }
    }
}

impl LogConfig {
    /// What is wrong with the values: key and remedy.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let filter = tracing_subscriber::EnvFilter::builder().parse(&*self.level);
        let text = "must be error, warn, info, debug, trace, or a filter such as \"info,agent_kamailio=debug\"";
        filter.err().map(|_| ("level", text.to_owned())).into_iter().collect()
    }
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Where /metrics, /healthz and /readyz are served. Port 0: any free one.
    pub listen: SocketAddr,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9440)) }
    }
}

/// `[charging]`: how agents reach the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChargingConfig {
    /// gRPC addresses of core nodes, tried in turn. Empty: the core of this process.
    pub addresses: Vec<String>,
    /// Most requests in flight on the connection.
    pub window: usize,
    /// How long one attempt waits for its answer.
    pub attempt_timeout: ConfigDuration,
    /// How long connecting may take.
    pub connect_timeout: ConfigDuration,
    /// Time between pings, and for their answer.
    pub heartbeat: ConfigDuration,
    /// The pause after the first failed connection.
    pub reconnect_first: ConfigDuration,
    /// The longest pause between connections.
    pub reconnect_longest: ConfigDuration,
    /// Most requests held for one switch before no new calls are asked for.
    pub max_pending: usize,
    /// The pause before the first repetition of a request.
    pub retry_first: ConfigDuration,
    /// The longest pause between repetitions.
    pub retry_longest: ConfigDuration,
    /// Whose certificate the core must show, PEM; for `https` addresses. Absent: no TLS.
    pub ca: Option<PathBuf>,
    /// Our certificate, PEM, where the core asks for one; with `key`. Absent: none.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// A file with the agents' token, where the core asks for one. Absent: none.
    pub token_file: Option<PathBuf>,
}

impl Default for ChargingConfig {
    fn default() -> Self {
        let (grpc, client) = (GrpcConfig::default(), ClientConfig::default());
        Self {
            addresses: grpc.addresses,
            window: grpc.window,
            attempt_timeout: ConfigDuration::from_ms(grpc.attempt_timeout_ms),
            connect_timeout: ConfigDuration::from_ms(grpc.connect_timeout_ms),
            heartbeat: ConfigDuration::from_ms(grpc.heartbeat_ms),
            reconnect_first: ConfigDuration::from_ms(grpc.reconnect_first_ms),
            reconnect_longest: ConfigDuration::from_ms(grpc.reconnect_max_ms),
            max_pending: client.max_pending,
            retry_first: ConfigDuration::from_ms(client.retry_first_ms),
            retry_longest: ConfigDuration::from_ms(client.retry_max_ms),
            ca: None,
            certificate: None,
            key: None,
            token_file: None,
        }
    }
}

impl ChargingConfig {
    /// For the transport.
    pub fn grpc(&self) -> GrpcConfig {
        GrpcConfig {
            addresses: self.addresses.clone(),
            window: self.window,
            attempt_timeout_ms: self.attempt_timeout.ms(),
            connect_timeout_ms: self.connect_timeout.ms(),
            heartbeat_ms: self.heartbeat.ms(),
            reconnect_first_ms: self.reconnect_first.ms(),
            reconnect_max_ms: self.reconnect_longest.ms(),
            access: CoreAccess {
                ca: self.ca.clone(),
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                token_file: self.token_file.clone(),
            },
        }
    }

    /// For each client.
    pub fn client(&self) -> ClientConfig {
        ClientConfig {
            max_pending: self.max_pending,
            retry_first_ms: self.retry_first.ms(),
            retry_max_ms: self.retry_longest.ms(),
            ..ClientConfig::default()
        }
    }

    /// What is wrong with the values: key and remedy.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for (index, address) in self.addresses.iter().enumerate() {
            if !is_address(address) {
                faults.push((
                    format!("addresses[{index}]"),
                    "must be http://host:port, such as \"http://127.0.0.1:7440\", or https://host:port".to_owned(),
                ));
            }
            if address.starts_with("https:") != self.ca.is_some() {
                let text = "https and ca, the file with the certificate of the core's authority, go together";
                faults.push((format!("addresses[{index}]"), text.to_owned()));
            }
        }
        if self.certificate.is_some() != self.key.is_some() {
            let missing = if self.key.is_some() { "certificate" } else { "key" };
            faults.push((missing.to_owned(), "is missing: certificate and key go together".to_owned()));
        }
        if !(1..=65_536).contains(&self.window) {
            faults.push(("window".to_owned(), "must be between 1 and 65536".to_owned()));
        }
        let times = [
            ("attempt_timeout", self.attempt_timeout),
            ("connect_timeout", self.connect_timeout),
            ("heartbeat", self.heartbeat),
        ];
        for (key, time) in times.into_iter().filter(|(_, time)| !(1..=600_000).contains(&time.ms())) {
            faults.push((key.to_owned(), format!("is {time}, must be between 1ms and 10m")));
        }
        if self.max_pending == 0 {
            faults.push(("max_pending".to_owned(), "must be at least 1".to_owned()));
        }
        faults
    }
}

fn is_address(text: &str) -> bool {
    let uri = text.parse::<tonic::transport::Uri>().ok();
    uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.port_u16().is_some()
    })
}

/// `[journal]`: the durable spool of the call records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// Its directory. Absent: `journal` in the data directory.
    pub dir: Option<PathBuf>,
    /// Free space, in octets, below which no new chargeable calls are accepted.
    pub reserve_bytes: u64,
    /// What happens after a failed write or fsync.
    pub on_disk_error: OnDiskError,
    /// How many days records stay after every sink has them; 0: no longer than that.
    pub keep_days: u32,
    /// What becomes of shipped records in that time.
    pub archive: Archive,
    /// How old a file may become before a new one is begun. 0: by size only.
    pub segment_age: ConfigDuration,
    /// Size of one file, in octets; reserved on the disk at once.
    pub segment_bytes: u64,
    /// Records that may wait for the disk.
    pub queue_records: usize,
    /// Octets that may wait for the disk.
    pub queue_bytes: usize,
    /// The disk is made to keep what was written at most this often. 0: as often as it can.
    pub sync_interval: ConfigDuration,
    /// How many of the latest record ids are known, so that a copy is not stored again.
    pub recent_ids: usize,
    /// How often free space is measured and, after a disk error, recovery tried.
    pub space_interval: ConfigDuration,
}

impl Default for JournalConfig {
    fn default() -> Self {
        let options = JournalOptions::default();
        Self {
            dir: None,
            reserve_bytes: options.reserve_bytes,
            on_disk_error: options.on_disk_error,
            keep_days: options.keep_days,
            archive: options.archive,
            segment_age: options.segment_age,
            segment_bytes: options.segment_bytes,
            queue_records: options.queue_records,
            queue_bytes: options.queue_bytes,
            sync_interval: ConfigDuration::from_ms(100),
            recent_ids: options.recent_ids,
            space_interval: options.space_interval,
        }
    }
}

impl JournalConfig {
    /// For the journal; `sinks` are the names of all sinks.
    pub fn options(&self, sinks: Vec<String>) -> JournalOptions {
        JournalOptions {
            segment_bytes: self.segment_bytes,
            queue_records: self.queue_records,
            queue_bytes: self.queue_bytes,
            sync_interval: self.sync_interval,
            recent_ids: self.recent_ids,
            reserve_bytes: self.reserve_bytes,
            space_interval: self.space_interval,
            sinks,
            segment_age: self.segment_age,
            keep_days: self.keep_days,
            archive: self.archive,
            on_disk_error: self.on_disk_error,
        }
    }

    /// What is wrong with the values: key and remedy.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if !(4096..=1 << 30).contains(&self.segment_bytes) {
            faults.push(("segment_bytes", "must be between 4096 (4 KiB) and 1073741824 (1 GiB)".to_owned()));
        }
        if self.queue_records == 0 {
            faults.push(("queue_records", "must be at least 1".to_owned()));
        }
        if (1..1000).contains(&self.segment_age.ms()) {
            faults.push(("segment_age", format!("is {}, must be 0 or at least 1s", self.segment_age)));
        }
        if self.sync_interval.ms() > 1000 {
            let text =
                format!("is {}, must be at most 1s: a process that is killed loses what is newer", self.sync_interval);
            faults.push(("sync_interval", text));
        }
        if self.space_interval.ms() == 0 {
            faults.push((
                "space_interval",
                "must be longer than 0: at each of them the journal looks after its disk".to_owned(),
            ));
        }
        if self.queue_bytes < cdr_model::MAX_RECORD_BYTES {
            faults.push(("queue_bytes", format!("must be at least {}, one record", cdr_model::MAX_RECORD_BYTES)));
        }
        faults
    }
}
