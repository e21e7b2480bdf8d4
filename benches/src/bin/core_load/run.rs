//! What one run of load gave.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use benches::machine;
use serde::{Deserialize, Serialize};

use crate::threads;

/// Figures of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Run {
    pub in_flight: usize,
    pub operations: u64,
    pub operations_per_second: u64,
    pub p50_us: u32,
    pub p99_us: u32,
    pub longest_us: u32,
    /// CPU of the process that made the load for one operation, by thread, in nanoseconds.
    pub load_cpu_ns: BTreeMap<String, u64>,
    /// The same of the server's process, or of the ledger's own threads where there is one process.
    pub core_cpu_ns: BTreeMap<String, u64>,
    /// Commands in one commit, on average; and a bound of the largest.
    pub batch: u64,
    pub largest_batch: String,
    /// Time of one commit, on average, in microseconds.
    pub commit_us: u64,
    /// Memory of the core's process at the end, and at most.
    pub core_bytes: u64,
    pub core_peak_bytes: u64,
    pub load_average: String,
}

/// Counts while the load runs.
pub struct Meter {
    begun: Instant,
    cpu: BTreeMap<String, u64>,
    /// From asking to the answer, in microseconds.
    pub answers_us: Vec<u32>,
}

impl Meter {
    pub fn start() -> anyhow::Result<Self> {
        Ok(Self { begun: Instant::now(), cpu: threads::cpu_ns()?, answers_us: Vec::with_capacity(1 << 23) })
    }

    pub fn answered(&mut self, after: Duration) {
        self.answers_us.push(u32::try_from(after.as_micros()).unwrap_or(u32::MAX));
    }

    /// Everything but the core's side.
    pub fn finish(mut self, in_flight: usize) -> anyhow::Result<Run> {
        let elapsed = self.begun.elapsed();
        let cpu = threads::between(&self.cpu, &threads::cpu_ns()?);
        self.answers_us.sort_unstable();
        let operations = u64::try_from(self.answers_us.len())?;
        anyhow::ensure!(operations > 0, "nothing was answered");
        let at = |thousandth: usize| {
            let rank = (self.answers_us.len() * thousandth).div_ceil(1000).saturating_sub(1);
            self.answers_us.get(rank).copied().unwrap_or_default()
        };
        Ok(Run {
            in_flight,
            operations,
            operations_per_second: u64::try_from(u128::from(operations) * 1_000_000_000 / elapsed.as_nanos().max(1))?,
            p50_us: at(500),
            p99_us: at(990),
            longest_us: at(1000),
            load_cpu_ns: each(cpu, operations),
            load_average: machine::load_average()?,
            ..Run::default()
        })
    }
}

/// For one operation.
pub fn each(cpu: BTreeMap<String, u64>, operations: u64) -> BTreeMap<String, u64> {
    cpu.into_iter().map(|(name, ns)| (name, ns / operations.max(1))).filter(|(_, ns)| *ns > 0).collect()
}
