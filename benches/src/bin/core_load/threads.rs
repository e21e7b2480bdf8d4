//! CPU time of this process by the names of its threads, and its memory.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context as _;

/// Nanoseconds on a processor by thread name; threads of one name together, and those that are gone as [`GONE`].
pub fn cpu_ns() -> anyhow::Result<BTreeMap<String, u64>> {
    let mut by_name = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let path = entry?.path();
        // Threads come and go while we look.
        let (Ok(name), Ok(times)) = (fs::read_to_string(path.join("comm")), fs::read_to_string(path.join("schedstat")))
        else {
            continue;
        };
        let ns: u64 = times.split_whitespace().next().context("no times")?.parse()?;
        *by_name.entry(name.trim().to_owned()).or_default() += ns;
    }
    let alive: u64 = by_name.values().sum();
    by_name.insert(GONE.to_owned(), process_ns()?.saturating_sub(alive));
    Ok(by_name)
}

/// Of all threads there ever were, to the hundredth of a second: proc(5), stat.
fn process_ns() -> anyhow::Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may have blanks; user time is field 14, system time the next.
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        behind_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second())
}

/// What ran between two looks, in nanoseconds.
pub fn between(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let used = |(name, ns): (&String, &u64)| (name.clone(), ns.saturating_sub(before.get(name).copied().unwrap_or(0)));
    after.iter().map(used).filter(|(_, ns)| *ns > 0).collect()
}

/// Memory in octets: held now, and at most so far.
pub fn memory() -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| -> anyhow::Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| name.to_owned())?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}

/// Threads that ended: the steps of snapshots, where the core is in this process.
pub const GONE: &str = "ended";
