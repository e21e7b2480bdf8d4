//! The figures, side by side.

use comfy_table::Table;
use serde::Serialize;
use serde_json::json;

use crate::phase::Outcome;
use benches::machine::Spread;

/// Everything of one run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Load averages before anything was started.
    pub load_before: String,
    /// And after everything was stopped.
    pub load_after: String,
    /// write + fdatasync of 4 KiB, before the calls.
    pub fsync_before: Spread,
    /// And after them.
    pub fsync_after: Spread,
    /// One for each rate, charged and uncharged.
    pub phases: Vec<Outcome>,
}

impl Report {
    /// Calls that did not go as they should, and charged ones without a record.
    pub fn failed_calls(&self) -> u64 {
        let unrecorded = |phase: &Outcome| if phase.charged { phase.calls.abs_diff(phase.stops) } else { 0 };
        self.phases.iter().map(|phase| phase.failed + unrecorded(phase)).sum()
    }

    /// One JSON object.
    pub fn print_json(&self) -> anyhow::Result<()> {
        let added: Vec<_> = self
            .added()
            .map(|(rate, p50_us, p99_us)| json!({"calls_per_second": rate, "p50_us": p50_us, "p99_us": p99_us}))
            .collect();
        let mut all = serde_json::to_value(self)?;
        all["added_delay"] = added.into();
        println!("{all}");
        Ok(())
    }

    /// For people.
    pub fn print_table(&self) {
        let mut table = Table::new();
        table.set_header([
            "calls/s",
            "charged",
            "calls",
            "failed",
            "resent",
            "STOPs",
            "delay p50",
            "delay p99",
            "tollkeeper CPU",
            "Kamailio CPU",
            "load",
        ]);
        for phase in &self.phases {
            table.add_row([
                phase.calls_per_second.to_string(),
                if phase.charged { "yes" } else { "no" }.to_owned(),
                phase.calls.to_string(),
                phase.failed.to_string(),
                phase.retransmissions.to_string(),
                if phase.charged { phase.stops.to_string() } else { "-".to_owned() },
                ms(phase.post_dial_delay.p50_us),
                ms(phase.post_dial_delay.p99_us),
                ms(phase.tollkeeper_cpu_us_per_call),
                ms(phase.kamailio_cpu_us_per_call),
                phase.load_average.clone(),
            ]);
        }
        println!("{table}");
        for (rate, p50_us, p99_us) in self.added() {
            println!("{rate} calls/s: charging adds {} at p50, {} at p99", signed(p50_us), signed(p99_us));
        }
        for (when, fsync) in [("before", self.fsync_before), ("after", self.fsync_after)] {
            println!("write + fdatasync of 4 KiB {when}: p50 {}, p99 {}", ms(fsync.p50_us), ms(fsync.p99_us));
        }
        println!("load average before: {}; after: {}", self.load_before, self.load_after);
        println!("delay: INVITE with credentials to the first 180 or 200. CPU: per call.");
    }

    /// Rate, and what charging adds at p50 and p99 in microseconds.
    fn added(&self) -> impl Iterator<Item = (u32, i64, i64)> {
        let difference = |with: u64, without: u64| with.cast_signed() - without.cast_signed();
        self.phases.iter().filter(|phase| phase.charged).filter_map(move |with| {
            let other = |phase: &&Outcome| !phase.charged && phase.calls_per_second == with.calls_per_second;
            let without = self.phases.iter().find(other)?.post_dial_delay;
            let (rate, with) = (with.calls_per_second, with.post_dial_delay);
            Some((rate, difference(with.p50_us, without.p50_us), difference(with.p99_us, without.p99_us)))
        })
    }
}

fn ms(us: u64) -> String {
    format!("{}.{:02} ms", us / 1000, us % 1000 / 10)
}

fn signed(us: i64) -> String {
    let sign = if us < 0 { "-" } else { "" };
    format!("{sign}{}", ms(us.unsigned_abs()))
}
