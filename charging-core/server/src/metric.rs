//! Names of the core's metrics, in one place.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Metric names.
pub mod names {
    /// Commands decided. Label `outcome`: `ok`, `denied`, `replayed`, `refused`.
    pub const DECISIONS: &str = "tollkeeper_ledger_decisions_total";
    /// Denials by their cause. Label `cause`.
    pub const DENIALS: &str = "tollkeeper_ledger_denials_total";
    /// Commands in one commit.
    pub const BATCH: &str = "tollkeeper_ledger_batch_commands";
    /// Time of one commit, in seconds.
    pub const COMMIT_SECONDS: &str = "tollkeeper_ledger_commit_duration_seconds";
    /// Commands waiting.
    pub const QUEUE: &str = "tollkeeper_ledger_queue_commands";
    /// Commands turned away because the queue was full.
    pub const TOO_BUSY: &str = "tollkeeper_ledger_too_busy_total";
    /// Sessions that hold a reservation.
    pub const OPEN_SESSIONS: &str = "tollkeeper_ledger_open_sessions";
    /// Accounts.
    pub const ACCOUNTS: &str = "tollkeeper_ledger_accounts";
    /// Sessions settled provisionally because nobody reported in time.
    pub const EXPIRED: &str = "tollkeeper_ledger_expired_sessions_total";
    /// Snapshots made. Label `result`: `ok`, `failed`.
    pub const SNAPSHOTS: &str = "tollkeeper_ledger_snapshots_total";
    /// What the last snapshot takes, in bytes.
    pub const SNAPSHOT_BYTES: &str = "tollkeeper_ledger_snapshot_bytes";
    /// Log records since the last snapshot: what a start reads behind it.
    pub const SNAPSHOT_AGE: &str = "tollkeeper_ledger_records_since_snapshot";
    /// Connections and calls that were not let in. Label `reason`: `connections`, `calls`, `token`.
    pub const TURNED_AWAY: &str = "tollkeeper_core_turned_away_total";
    /// Batches that the disk had no room for.
    pub const DISK_FULL: &str = "tollkeeper_ledger_disk_full_total";
    /// Tariffs that came over the API. Label `result`: `kept`, `dry_run`, `faulty`, `refused`.
    pub const TARIFF_LOADS: &str = "tollkeeper_tariff_loads_total";
    /// Activations of a tariff version over the API, those for a later time included. Label `result`: `ok`, `refused`.
    pub const TARIFF_ACTIVATIONS: &str = "tollkeeper_tariff_activations_total";
    /// 1 for the version in force, 0 for those that were before. Label `version`.
    pub const TARIFF_IN_FORCE: &str = "tollkeeper_tariff_in_force";
    /// Since when, in seconds of Unix time.
    pub const TARIFF_IN_FORCE_SINCE: &str = "tollkeeper_tariff_in_force_since_seconds";
    /// Versions in memory.
    pub const TARIFFS_HELD: &str = "tollkeeper_tariff_versions_held";
    /// Look-ups of a rate that found none. Label `reason`: `no_tariff`, `no_plan`, `no_rate`.
    pub const UNRATED: &str = "tollkeeper_tariff_unrated_total";
}

/// Tells the recorder what the metrics mean. Call once, after the recorder is installed.
pub fn describe_metrics() {
    use names::*;
    describe_counter!(DECISIONS, "Commands decided, by outcome");
    describe_counter!(DENIALS, "Charging requests denied in whole or in part, by cause");
    describe_histogram!(BATCH, "Commands in one commit");
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "Time of one commit to disk");
    describe_gauge!(QUEUE, "Commands waiting for the ledger");
    describe_counter!(TOO_BUSY, "Commands turned away because the queue was full");
    describe_gauge!(OPEN_SESSIONS, "Sessions that hold a reservation");
    describe_gauge!(ACCOUNTS, "Accounts");
    describe_counter!(EXPIRED, "Sessions settled provisionally because nobody reported in time");
    describe_counter!(SNAPSHOTS, "Snapshots made, by result");
    describe_gauge!(SNAPSHOT_BYTES, Unit::Bytes, "What the last snapshot takes");
    describe_gauge!(SNAPSHOT_AGE, "Log records since the last snapshot: what a start reads behind it");
    describe_counter!(TARIFF_LOADS, "Tariffs that came over the API, by result");
    describe_counter!(TARIFF_ACTIVATIONS, "Activations of a tariff version over the API, by result");
    describe_gauge!(TARIFF_IN_FORCE, "1 for the tariff version in force, 0 for those that were before");
    describe_gauge!(TARIFF_IN_FORCE_SINCE, Unit::Seconds, "Since when the version is in force, Unix time");
    describe_gauge!(TARIFFS_HELD, "Tariff versions in memory");
    describe_counter!(UNRATED, "Look-ups of a rate that found none, by reason");
    describe_counter!(TURNED_AWAY, "Connections and calls that were not let in, by reason");
    describe_counter!(DISK_FULL, "Batches that the disk had no room for: free space, nothing was lost");
}
