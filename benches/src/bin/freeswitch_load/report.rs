//! The figures, side by side.

use comfy_table::Table;
use serde::Serialize;

use crate::{phase, reader};

/// Everything of one run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Load averages before anything was started.
    pub load_before: String,
    /// And after everything was stopped.
    pub load_after: String,
    /// The agent, for each detail of events, alone and with the core.
    pub agents: Vec<phase::Outcome>,
    /// Who only reads.
    pub readers: Vec<reader::Outcome>,
}

impl Report {
    /// Nothing lost, nobody refused, and the agent alone takes no more of one core than this, in percent.
    pub fn is_good(&self, at_most: u64) -> bool {
        let faultless = |agent: &phase::Outcome| {
            agent.charged == crate::charged::Charged::default() && agent.refused == 0 && agent.reconnects == 0
        };
        let cheap = |agent: &phase::Outcome| agent.cpu_permille <= at_most * 10;
        self.agents.iter().all(faultless) && self.agents.first().is_none_or(cheap)
    }

    /// One JSON object.
    pub fn print_json(&self) -> anyhow::Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }

    /// For people.
    pub fn print_table(&self) {
        let mut table = Table::new();
        table.set_header([
            "process",
            "events a call",
            "kB a call",
            "calls",
            "refused",
            "reconnects",
            "no records",
            "wrong price",
            "wrong balance",
            "answer p50",
            "answer p99",
            "CPU a call",
            "of one core",
            "double's CPU",
            "load",
        ]);
        for agent in &self.agents {
            table.add_row([
                agent.process.to_owned(),
                agent.events_per_call.to_string(),
                (agent.bytes_per_call / 1000).to_string(),
                agent.calls.to_string(),
                agent.refused.to_string(),
                agent.reconnects.to_string(),
                agent.charged.without_records.to_string(),
                agent.charged.wrong_price.to_string(),
                agent.charged.wrong_balance.to_string(),
                ms(agent.delay.p50_us),
                ms(agent.delay.p99_us),
                ms(agent.cpu_us_per_call),
                percent(agent.cpu_permille),
                ms(agent.double_cpu_us_per_call),
                agent.load_average.clone(),
            ]);
        }
        println!("{table}");
        let mut table = Table::new();
        table.set_header(["who reads the same events", "events a call", "events", "CPU a call", "of one core", "load"]);
        for reader in &self.readers {
            table.add_row([
                reader.reader.to_owned(),
                reader.events_per_call.to_string(),
                reader.events.to_string(),
                ms(reader.cpu_us_per_call),
                percent(reader.cpu_permille),
                reader.load_average.clone(),
            ]);
        }
        println!("{table}");
        println!("load average before: {}; after: {}", self.load_before, self.load_after);
        println!(
            "answer: from the park to the transfer that lets the call go on. CPU: of the process, user and system."
        );
    }
}

fn ms(us: u64) -> String {
    format!("{}.{:03} ms", us / 1000, us % 1000)
}

fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}
