//! What a seed is like: how many accounts and calls, and how often what goes wrong. Small ones are many, so that a fault is found by
//! a seed that is soon read; one in sixteen is large.

use charging_server::SEGMENT_BYTES;

use crate::kinesis::dice::Dice;

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub accounts: u64,
    pub sites: usize,
    /// Calls and data sessions and events, in all.
    pub sessions: u64,
    /// How long they are spread over.
    pub length_ms: u64,
    pub lost_per_mille: u32,
    pub copied_per_mille: u32,
    pub slow_per_mille: u32,
    /// Between crashes, on average; 0: none.
    pub core_crash_ms: u64,
    pub agent_crash_ms: u64,
    pub switch_crash_ms: u64,
    pub break_ms: u64,
    pub clock_ms: u64,
    pub disk_full_ms: u64,
    pub operate_ms: u64,
    /// Log records between snapshots, at least.
    pub snapshot_records: u64,
    /// What the log takes between snapshots, in hundredths of one, at least.
    pub snapshot_log_percent: u64,
    /// What a segment of the log takes: some are never filled, of others there are many.
    pub segment_bytes: u64,
    /// The core's disk reserves segments as a whole.
    pub reserves: bool,
    /// Switches tell of ends again until somebody acknowledges them.
    pub keeps_ends: bool,
    /// Calls go on while the core does not answer.
    pub goes_on: bool,
    pub slice_ms: u64,
    pub margin_ms: u64,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, 1);
        let large = seed % 16 == 15;
        let mut pick = |low: u64, high: u64| low + dice.below(high - low + 1);
        let often = |mean_ms: u64, chance: u64| if chance < 3 { 0 } else { mean_ms };
        let accounts = if large { pick(600, 1_500) } else { pick(2, 40) };
        let sessions = if large { pick(1_000, 2_000) } else { pick(30, 200) };
        let small = |value: u64| u32::try_from(value).unwrap_or(0);
        let slices = [(30_000, 5_000), (30_000, 5_000), (120_000, 30_000), (10_000, 4_000), (60_000, 45_000)];
        let (slice_ms, margin_ms) = slices[usize::try_from(pick(0, 4)).unwrap_or(0)];
        Self {
            accounts,
            sites: usize::try_from(pick(1, 3)).unwrap_or(1),
            sessions,
            length_ms: sessions * pick(1_000, 20_000),
            lost_per_mille: small(pick(0, 120)),
            copied_per_mille: small(pick(0, 120)),
            slow_per_mille: small(pick(0, 150)),
            core_crash_ms: often(pick(15_000, 400_000), pick(0, 9)),
            agent_crash_ms: often(pick(40_000, 600_000), pick(0, 9)),
            switch_crash_ms: often(pick(300_000, 1_500_000), pick(0, 6)),
            break_ms: often(pick(60_000, 600_000), pick(0, 6)),
            clock_ms: often(pick(60_000, 600_000), pick(0, 6)),
            disk_full_ms: often(pick(60_000, 900_000), pick(0, 4)),
            operate_ms: pick(2_000, 30_000),
            snapshot_records: pick(10, 600),
            reserves: pick(0, 19) == 0,
            keeps_ends: pick(0, 3) > 0,
            goes_on: pick(0, 4) == 0,
            slice_ms,
            margin_ms,
            // Behind all others: what a seed was before it had these it is still.
            snapshot_log_percent: [0, 0, 30, 100][usize::try_from(pick(0, 3)).unwrap_or(0)],
            segment_bytes: [8 << 10, 64 << 10, 512 << 10, SEGMENT_BYTES][usize::try_from(pick(0, 3)).unwrap_or(0)],
        }
    }
}
