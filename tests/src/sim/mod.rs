//! A simulation of agents, clients, core and the network between them, on a seed, in simulated time, with an auditor.
//!
//! | part | what is real |
//! |---|---|
//! | calls | `agent_call::CallMachine`, one for each; carried out by the rules of the driver in `agents/runtime` (`agent`) |
//! | client | the outbox's entries and its book; the order of attempts is played (`client`) |
//! | network | loses, copies, delays, reorders requests and answers (`stage`) |
//! | core | decisions, books, log, snapshots, recovery: the same code as the ledger thread's (`core`) |
//! | disks | `segment_log::fault::FaultStorage`: crash at any write, unsynced data lost or kept in part, torn writes, full disks |
//! | prices | the rating crate for the core; integers of its own for the auditor |
//!
//! The asynchronous driver and client are not run: they live in tokio's tasks, and their journals and outboxes in threads, and what
//! depends on the schedule of threads does not repeat. Everything here happens in one queue of events; the same seed is the same
//! run, on every machine. [`run`] is one seed; `auditor` says what must hold after every step.

mod agent;
mod auditor;
mod client;
mod core;
mod event;
mod gateway;
mod journal;
mod operator;
mod plan;
mod stage;
mod switch;
mod tariff;
mod world;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use charging_server::TariffPricing;

pub use world::Counts;
use world::World;

/// The core's prices, for all seeds: the tariff's files are written to `folder`.
///
/// # Errors
/// When the folder cannot be used.
pub fn pricing(folder: &Path) -> anyhow::Result<Arc<TariffPricing>> {
    tariff::pricing(folder)
}

/// What must not be, and the step at which it was seen.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Of the run.
    pub seed: u64,
    /// After so many events.
    pub step: u64,
    /// What is wrong.
    pub text: String,
    /// What happened before, oldest first; empty unless it was asked for.
    pub trace: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "    {line}")?;
        }
        writeln!(f, "seed {} step {}: {}", self.seed, self.step, self.text)?;
        write!(f, "again: make sim SEED={} (or cargo run -p tests --bin sim -- --seed {})", self.seed, self.seed)
    }
}

/// One seed, at most so many steps.
///
/// # Errors
/// The first thing that must not be; with the last steps before it when `traced` says how many.
pub fn run(seed: u64, most_steps: u64, pricing: &Arc<TariffPricing>, traced: usize) -> Result<Counts, Box<Violation>> {
    let mut world = World::new(seed, Arc::clone(pricing), traced > 0);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run(most_steps)));
    let text = match outcome {
        Ok(Ok(())) => return Ok(world.counts()),
        Ok(Err(text)) => text,
        Err(panic) => format!("panic: {}", words(&*panic)),
    };
    let mut trace = world.stage.trace.take().unwrap_or_default();
    let names: Vec<&str> = text.split([' ', ':', '\n']).filter(|word| word.contains('/')).collect();
    // What is about the session in question is worth more than what is about others.
    let is_of =
        |word: &str, name: &str| word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let about = |line: &String| names.iter().any(|name| line.split([' ', ':']).any(|word| is_of(word, name)));
    if !names.is_empty() && trace.iter().any(about) {
        let faults = |line: &String| line.contains(" dies ") || line.contains(" dead") || line.contains("clock");
        trace.retain(|line| about(line) || faults(line));
    }
    let from = trace.len().saturating_sub(traced);
    Err(Box::new(Violation { seed, step: world.steps, text, trace: trace.split_off(from) }))
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
