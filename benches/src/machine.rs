//! What the machine says: CPU time of processes, load, the speed of its disk.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;

/// Two points of a distribution, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Half are below.
    pub p50_us: u64,
    /// 99 of a hundred are below.
    pub p99_us: u64,
    /// How many were measured.
    pub count: usize,
}

impl Spread {
    /// Of these, in any order.
    pub fn of(mut values_us: Vec<u64>) -> Self {
        values_us.sort_unstable();
        let at = |percent: usize| {
            let rank = (values_us.len() * percent).div_ceil(100).saturating_sub(1);
            values_us.get(rank).copied().unwrap_or_default()
        };
        Self { p50_us: at(50), p99_us: at(99), count: values_us.len() }
    }
}

/// The three load averages as the kernel prints them.
pub fn load_average() -> anyhow::Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

/// Appends of 4 KiB, each written and synced.
pub fn fsync_baseline(folder: &Path) -> anyhow::Result<Spread> {
    let path = folder.join("fsync");
    let mut file = File::create(&path)?;
    let mut times_us = Vec::new();
    for _ in 0..500 {
        let begun = Instant::now();
        file.write_all(&[0x5A; 4096])?;
        file.sync_data()?;
        times_us.push(u64::try_from(begun.elapsed().as_micros())?);
    }
    fs::remove_file(path)?;
    Ok(Spread::of(times_us))
}

/// CPU time used so far by a process group, in milliseconds: user and system.
pub fn cpu_ms(group: u32) -> anyhow::Result<u64> {
    let mut ticks = 0;
    for entry in fs::read_dir("/proc")? {
        // Processes come and go while we look.
        let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
        ticks += ticks_of(&stat, group).unwrap_or_default();
    }
    Ok(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// User and system time out of `/proc/PID/stat`, if it is of the group.
fn ticks_of(stat: &str, group: u32) -> Option<u64> {
    // The name in brackets may hold anything; the fields behind it do not.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if *fields.get(2)? != group.to_string() {
        return None;
    }
    let (user, system) = (fields.get(11)?.parse::<u64>().ok()?, fields.get(12)?.parse::<u64>().ok()?);
    Some(user + system)
}

/// CPU time used so far by the calling thread, in microseconds.
pub fn thread_cpu_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000).saturating_add(nanos.unwrap_or(0) / 1000)
}

/// `12.345678` seconds in microseconds.
pub fn parse_seconds(text: &str) -> anyhow::Result<u64> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let micros = whole.parse::<u64>().with_context(|| text.to_owned())? * 1_000_000 + digits.parse::<u64>()?;
    Ok(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_printed() {
        for (text, micros) in [("12.345678", 12_345_678), ("0.5", 500_000), ("7", 7_000_000), ("1.23456789", 1_234_567)]
        {
            assert_eq!(parse_seconds(text).expect(text), micros, "{text}");
        }
        let stat = "42 (a) b) S 1 77 77 0 -1 4194560 1 0 0 0 15 25 0 0 20 0 1 0 1 1 1";
        assert_eq!((ticks_of(stat, 77), ticks_of(stat, 78)), (Some(40), None));
        let spread = Spread::of((1..=200).rev().collect());
        assert_eq!((spread.p50_us, spread.p99_us, spread.count), (100, 198, 200));
        assert_eq!(Spread::of(vec![]), Spread::default());
    }
}
