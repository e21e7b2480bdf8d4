//! What the keys mean, as `print-config` says it.

/// The meaning of a key.
#[derive(Debug, Clone, Copy)]
pub struct Comment {
    /// Its path below the table; `*` stands for any name.
    pub key: &'static str,
    /// One or two sentences.
    pub text: &'static str,
    /// For a key that may be absent: a value as it would be written.
    pub example: Option<&'static str>,
}

impl Comment {
    /// Of a key that always has a value.
    pub const fn new(key: &'static str, text: &'static str) -> Self {
        Self { key, text, example: None }
    }

    /// Of a key that may be absent.
    pub const fn optional(key: &'static str, text: &'static str, example: &'static str) -> Self {
        Self { key, text, example: Some(example) }
    }
}

/// Everything but the tables of kinds.
pub(super) const COMMENTS: &[Comment] = &[
    Comment::new("data_dir", "Where everything durable is kept."),
    Comment::new(
        "shutdown_deadline",
        "How long a shutdown may take before the process gives up (exit 3) and says what was left.",
    ),
    Comment::new(
        "agent_threads",
        "Threads that carry the calls of all agents of this process. One is the cheapest for each call; more are for processes with more than a thousand new calls a second.",
    ),
    Comment::new("log", "Logs go to standard error."),
    Comment::new(
        "log.level",
        "A level (error, warn, info, debug, trace), or a filter such as \"info,agent_kamailio=debug\". RUST_LOG goes before it.",
    ),
    Comment::new("log.format", "auto (text on a terminal, JSON elsewhere), json or text."),
    Comment::new("http", "/metrics, /healthz, /readyz."),
    Comment::new("http.listen", "Where they are served. Port 0: any free one."),
    Comment::new(
        "core",
        "The charging core: accounts, sessions, reservations. Without this table the process has none.",
    ),
    Comment::new("core.enabled", "false: as without this table."),
    Comment::new(
        "core.listen",
        "Where the gRPC API listens. Other addresses than loopback need core.tls and core.token. Port 0: any free one.",
    ),
    Comment::new(
        "core.insecure",
        "true: other addresses than loopback without TLS or tokens, because the network protects them.",
    ),
    Comment::optional(
        "core.tls",
        "Encryption of the gRPC API, PEM files. With client_ca, nobody without a certificate of that authority gets in.",
        "{ certificate = \"core.pem\", key = \"core.key\", client_ca = \"clients-ca.pem\" }",
    ),
    Comment::new("core.tls.certificate", "The server's certificate and what stands above it."),
    Comment::new("core.tls.key", "Its key."),
    Comment::new("core.tls.client_ca", "Whose certificates clients must show."),
    Comment::optional(
        "core.token",
        "Who may use the gRPC API. Absent: whoever reaches it may do everything. Roles: agent (charges, sees sessions), read_only, operator.",
        "[{ name = \"kamailio-1\", role = \"agent\", file = \"kamailio-1.token\", client_ids = [\"kamailio-1\"] }]",
    ),
    Comment::new("core.token.name", "Whose token it is, for error texts."),
    Comment::new("core.token.role", "agent, read_only or operator."),
    Comment::new("core.token.file", "A file with the token: at least 16 printable characters (openssl rand -hex 32)."),
    Comment::new("core.token.client_ids", "The agents that it may charge for. Empty: any."),
    Comment::new(
        "core.limits",
        "How much of the gRPC API is used at once. A client is a token; without tokens, an address.",
    ),
    Comment::new("core.limits.connections", "Connections in all; one more is closed."),
    Comment::new("core.limits.connections_per_address", "Connections from one address; one more is closed."),
    Comment::new("core.limits.calls_per_client", "Calls and streams of one client; one more is refused."),
    Comment::new(
        "core.limits.kibioctets_per_client",
        "Requests in work on one client's streams, in units of 1024 octets, each at least one; what is more waits.",
    ),
    Comment::new("core.cut_tolerance", "Talk beyond the last grant, after our own cut, that is not charged."),
    Comment::new(
        "core.maximum_ring",
        "Longest time from INITIAL to the answer: the dearest start within it is reserved for.",
    ),
    Comment::new(
        "core.expiry_grace",
        "How long after the end of a grant an unheard-of session expires; later than every switch's backstop.",
    ),
    Comment::new(
        "core.idempotency_window",
        "How long answers are kept after the end of their session, for copies of requests.",
    ),
    Comment::new("core.snapshot_records", "Fewest log records between two snapshots."),
    Comment::new(
        "core.snapshot_log_percent",
        "A snapshot is made when the log since the last one takes this share of it; 0: after snapshot_records alone.",
    ),
    Comment::new("core.queue", "Most commands that wait for the ledger; more are answered 3004 (too busy)."),
    Comment::new(
        "core.validity_time",
        "How long a grant of octets or units may be kept before the client reports; 0s: without limit.",
    ),
    Comment::new(
        "core.policy",
        "What accounts may do besides paying, where they have no limit of their own (tollkeeper account limits). Amounts are in the account's currency.",
    ),
    Comment::optional("core.policy.maximum_sessions", "Most sessions of an account at once. Absent: no limit.", "10"),
    Comment::optional(
        "core.policy.maximum_new_sessions_per_minute",
        "Most new sessions of an account, events included, in any 60 seconds. Absent: no limit.",
        "30",
    ),
    Comment::optional(
        "core.policy.maximum_cost_per_call",
        "Most that one session may cost. Absent: no limit.",
        "\"50.00\"",
    ),
    Comment::optional(
        "core.policy.maximum_cost_per_hour",
        "Most that the minute of now and the 59 before it may cost, with what open sessions may still use. Absent: no limit.",
        "\"100.00\"",
    ),
    Comment::optional(
        "core.policy.maximum_cost_per_day",
        "The same for one calendar day of the tenant. Absent: no limit.",
        "\"200.00\"",
    ),
    Comment::new(
        "core.policy.destinations",
        "Classes of destinations; the longest prefix decides: { class = \"premium\", prefixes = [\"+49900\"], rule = \"denied\" }, or rule = { maximum_cost_per_call = \"5.00\" }, or \"allowed\".",
    ),
    Comment::new("core.tariff", "Where prices come from."),
    Comment::optional(
        "core.tariff.folder",
        "Folder with Destinations.csv, Rates.csv, DestinationRates.csv, RatingPlans.csv, RatingProfiles.csv, Timings.csv; loaded and put in force at start when it changed. Absent: the version that was activated last is in force (tollkeeper tariff load); without one every chargeable call is refused.",
        "\"/etc/tollkeeper/tariff\"",
    ),
    Comment::new("core.tariff.currency", "Currency of all amounts in it."),
    Comment::new(
        "core.tariff.fallback_depth",
        "Rating profiles looked at for one number, the subject's own being the first, its fallback subjects behind; 1 to 32.",
    ),
    Comment::new(
        "core.tariff.plus_is_optional",
        "true: a number with + also matches prefixes without it. false: + is a character like any other.",
    ),
    Comment::new(
        "core.tariff.subject_prefix_matching",
        "true: a subject without a rating profile is shortened from the right until one is found, before *any is tried.",
    ),
    Comment::new(
        "core.tariff.time_zone",
        "Where the tables' times of day are read off the wall: a name of the IANA database, such as \"Europe/Berlin\".",
    ),
    Comment::optional(
        "core.tariff.tax",
        "Tax on all prices: per cent, and whether the tables' prices include it. Absent: prices know no tax.",
        "{ percent = \"19\", included = true }",
    ),
    Comment::new("core.tariff.tax.percent", "Per cent, with at most four decimals."),
    Comment::new("core.tariff.tax.included", "true: the tables' prices contain it. false: it is added to them."),
    Comment::optional(
        "core.tariff.tenants",
        "What is different for a tenant, by its name; what it does not say is as for all.",
        "{ acme = { time_zone = \"America/New_York\", tax = { percent = \"8.875\", included = false } } }",
    ),
    Comment::new("core.tariff.tenants.*", "What is different for this tenant."),
    Comment::new("core.tariff.tenants.*.time_zone", "Its time zone."),
    Comment::new("core.tariff.tenants.*.tax", "Its tax; percent = \"0\" for none."),
    Comment::new("core.tariff.tenants.*.tax.percent", "Per cent, with at most four decimals."),
    Comment::new("core.tariff.tenants.*.tax.included", "true: the tables' prices contain it. false: it is added."),
    Comment::new("charging", "How agents reach the core."),
    Comment::new(
        "charging.addresses",
        "gRPC addresses of core nodes, tried in turn, such as \"http://127.0.0.1:7440\". Empty: the core of this process.",
    ),
    Comment::optional(
        "charging.ca",
        "Whose certificate the core must show, a PEM file; for addresses that begin with https. Absent: no TLS.",
        "\"/etc/tollkeeper/ca.pem\"",
    ),
    Comment::optional(
        "charging.certificate",
        "Our certificate, PEM, where the core asks for one; with key. Absent: none is shown.",
        "\"/etc/tollkeeper/agent.pem\"",
    ),
    Comment::optional("charging.key", "Its key, PEM.", "\"/etc/tollkeeper/agent.key\""),
    Comment::optional(
        "charging.token_file",
        "A file with the agents' token, where the core asks for one. Absent: none is shown.",
        "\"/etc/tollkeeper/agent.token\"",
    ),
    Comment::new("charging.window", "Most requests in flight on the connection."),
    Comment::new("charging.attempt_timeout", "How long one attempt waits for its answer."),
    Comment::new("charging.connect_timeout", "How long connecting may take."),
    Comment::new("charging.heartbeat", "Time between pings, and for their answer."),
    Comment::new("charging.reconnect_first", "The pause after the first failed connection."),
    Comment::new("charging.reconnect_longest", "The longest pause between connections."),
    Comment::new("charging.max_pending", "Most requests held for one switch before no new calls are asked for."),
    Comment::new("charging.retry_first", "The pause before the first repetition of a request."),
    Comment::new("charging.retry_longest", "The longest pause between repetitions."),
    Comment::new("journal", "The durable spool of the call records."),
    Comment::optional("journal.dir", "Its directory. Absent: journal in data_dir.", "\"/var/lib/tollkeeper/journal\""),
    Comment::new(
        "journal.reserve_bytes",
        "Free space, in octets, below which no new chargeable calls are accepted; the rest is for running calls.",
    ),
    Comment::new(
        "journal.on_disk_error",
        "After a failed write or fsync: \"refuse_calls\" (no new calls until the disk works again, tried each space_interval) or \"stop\" (the process ends; what starts it again must do so).",
    ),
    Comment::new(
        "journal.sync_interval",
        "The disk is made to keep what was written at most this often, so that the records of a busy switch share its work; one that comes alone is written at once, and so are those that a Diameter answer waits for. No call waits for it, and no record counts as taken before; a process that is killed loses those newer than this, never what is charged. 0: as often as the disk can.",
    ),
    Comment::new(
        "journal.keep_days",
        "How many days records stay after every sink has them; older files are removed. 0: they go when they are shipped. Without sinks everything stays.",
    ),
    Comment::new(
        "journal.archive",
        "What becomes of shipped records in that time: \"gzip\" (JSON lines, for zcat and every other tool) or \"off\" (the files stay as they are).",
    ),
    Comment::new(
        "journal.segment_age",
        "How old a file may become before a new one is begun, so that it can be archived and removed. 0: by size only.",
    ),
    Comment::new("journal.segment_bytes", "Size of one file, in octets; reserved on the disk at once."),
    Comment::new("journal.queue_records", "Records that may wait for the disk."),
    Comment::new("journal.queue_bytes", "Octets that may wait for the disk."),
    Comment::new(
        "journal.recent_ids",
        "How many of the latest record ids are known, so that a copy is not stored again.",
    ),
    Comment::new("journal.space_interval", "How often free space is measured and, after a disk error, recovery tried."),
    Comment::new("journal.sink", "Where the records are shipped to."),
    Comment::new("agent", "One agent for one or more switches of a kind."),
];
