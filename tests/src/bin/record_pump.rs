//! The records' way through one process, to be killed at any moment: the journal, the shipper and the Kinesis sink as
//! the binary wires them, and in front of them an agent with many calls at once.
//!
//!     record_pump PLAN.json
//!
//! Like an agent it appends the next record of a call when the one before was acknowledged, and writes each acknowledged
//! `recordId` down before it counts it. Started again after a kill, it goes on from what it has written down and appends again
//! what had no answer. Ends when everything is acknowledged and shipped, with one line of JSON.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use cdr_journal::{Journal, JournalError, JournalOptions, JournalSource, Position, Shipper, ShipperOptions};
use cdr_shipping::kinesis::{KinesisConfig, KinesisSink};
use segment_log::{DirStorage, Storage};
use serde::Deserialize;
use serde_json::json;
use tests::kinesis::calls::{Scribe, lengths};

/// What to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    /// For the journal, the checkpoint, and `acknowledged`, the list of recordIds.
    folder: PathBuf,
    /// Which calls.
    seed: u64,
    /// Their records, all together.
    records: u64,
    /// Octets of JSON in one record, about.
    record_bytes: usize,
    /// Calls at the same time.
    calls: usize,
    /// Records a second at most; 0: as fast as they are acknowledged.
    rate: u64,
    /// How long the shipper may take once everything is acknowledged.
    grace_s: u64,
    journal: JournalOptions,
    shipper: ShipperOptions,
    kinesis: KinesisConfig,
}

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("record_pump PLAN.json")?;
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let plan: Plan = serde_json::from_str(&text).with_context(|| path.clone())?;
    let filter = tracing_subscriber::EnvFilter::new("info");
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    let directory = plan.folder.join("journal");
    let (journal, _) = Journal::open(&directory, plan.journal.clone())?;
    let checkpoints: Arc<dyn Storage> = Arc::new(DirStorage::create_dir(&directory)?);
    let sink = KinesisSink::open("kinesis", &plan.kinesis)?;
    let source = JournalSource::of(&journal);
    let shipper = Shipper::start(source, checkpoints, Box::new(sink), plan.shipper.clone())?;
    let mut agent = Agent::new(&plan, &journal)?;
    let begun = Instant::now();
    let appended = agent.run()?;
    let appended_ms = begun.elapsed().as_millis();
    journal.close()?;
    let shipped = shipper.close(Duration::from_secs(plan.grace_s))?;
    let counters = shipper.counters();
    let summary = json!({
        "appended": appended,
        "appended_ms": u64::try_from(appended_ms)?,
        "ended_ms": u64::try_from(begun.elapsed().as_millis())?,
        "checkpoint": shipped.checkpoint.index(),
        "backlog": shipped.backlog,
        "shipped": counters.records.load(Relaxed),
        "failures": counters.failures.load(Relaxed),
    });
    println!("{summary}");
    anyhow::ensure!(shipped.backlog == 0, "{} records are not shipped", shipped.backlog);
    Ok(())
}

/// The agent's side: which record of which call is next.
struct Agent<'a> {
    plan: &'a Plan,
    journal: &'a Journal,
    scribe: Scribe,
    /// Records of each call.
    lengths: Vec<u32>,
    /// Records of each call that are acknowledged.
    done: Vec<u32>,
    list: File,
    answers: Sender<Answered>,
    answered: Receiver<Answered>,
}

/// A record's fate.
struct Answered {
    call: usize,
    outcome: Result<Position, JournalError>,
}

impl<'a> Agent<'a> {
    /// Goes on from the list.
    fn new(plan: &'a Plan, journal: &'a Journal) -> anyhow::Result<Self> {
        let (scribe, lengths) = (Scribe::new(plan.seed, plan.record_bytes)?, lengths(plan.seed, plan.records));
        let path = plan.folder.join("acknowledged");
        // A kill may have come in the middle of a line: nobody was told about that one.
        let whole = cut_torn_line(&path)?;
        let mut done = vec![0; lengths.len()];
        let ids: HashMap<String, usize> =
            (0..lengths.len()).map(|call| (scribe.record(call, 0, 2).session_id.to_string(), call)).collect();
        for id in whole {
            let session = id.split('/').next().unwrap_or_default();
            let call = ids.get(session).with_context(|| format!("{id} is of no call of this seed"))?;
            done[*call] += 1;
        }
        let list = File::options().create(true).append(true).open(&path)?;
        let (answers, answered) = channel();
        Ok(Self { plan, journal, scribe, lengths, done, list, answers, answered })
    }

    /// Appends everything that is not acknowledged; returns how many records that was.
    fn run(&mut self) -> anyhow::Result<u64> {
        let open: Vec<usize> = (0..self.lengths.len()).filter(|call| self.done[*call] < self.lengths[*call]).collect();
        let mut waiting = open.into_iter();
        let mut ready: VecDeque<usize> = waiting.by_ref().take(self.plan.calls).collect();
        let (begun, mut appended, mut in_flight) = (Instant::now(), 0_u64, 0_u64);
        loop {
            while let Some(call) = ready.front().copied() {
                if !self.in_time(begun, appended) || !self.append(call)? {
                    break;
                }
                ready.pop_front();
                (appended, in_flight) = (appended + 1, in_flight + 1);
            }
            if ready.is_empty() && in_flight == 0 {
                return Ok(appended);
            }
            let acknowledged = self.acknowledged()?;
            in_flight -= u64::try_from(acknowledged.len())?;
            for call in acknowledged {
                self.done[call] += 1;
                let next = if self.done[call] < self.lengths[call] { Some(call) } else { waiting.next() };
                ready.extend(next);
            }
        }
    }

    /// Whether the rate allows one more now.
    fn in_time(&self, begun: Instant, appended: u64) -> bool {
        let due = begun.elapsed().as_micros().saturating_mul(u128::from(self.plan.rate)) / 1_000_000;
        self.plan.rate == 0 || u128::from(appended) <= due
    }

    /// Appends the call's next record; false: the journal is full, come again.
    fn append(&self, call: usize) -> anyhow::Result<bool> {
        let (answers, record) = (self.answers.clone(), self.scribe.record(call, self.done[call], self.lengths[call]));
        // The agent that would listen is gone only when the process ends.
        match self.journal.append(&record, move |outcome| drop(answers.send(Answered { call, outcome }))) {
            Ok(()) => Ok(true),
            Err(JournalError::QueueFull { .. }) => Ok(false),
            Err(reason) => Err(reason.into()),
        }
    }

    /// Waits for answers a moment, and writes down what was acknowledged before anybody counts it. In one write: the kernel
    /// keeps it when this process is killed.
    fn acknowledged(&mut self) -> anyhow::Result<Vec<usize>> {
        let (mut calls, mut lines) = (Vec::new(), String::new());
        let first = match self.answered.recv_timeout(Duration::from_millis(1)) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => return Ok(calls),
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("nobody can answer any more"),
        };
        for answered in std::iter::once(first).chain(self.answered.try_iter()) {
            answered.outcome?;
            let call = answered.call;
            lines.push_str(&self.scribe.record(call, self.done[call], self.lengths[call]).record_id);
            lines.push('\n');
            calls.push(call);
        }
        self.list.write_all(lines.as_bytes())?;
        Ok(calls)
    }
}

/// The whole lines of the list; what is behind the last of them is cut off.
fn cut_torn_line(path: &std::path::Path) -> anyhow::Result<Vec<String>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read(path)?;
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    File::options().write(true).open(path)?.set_len(u64::try_from(end)?)?;
    Ok(BufReader::new(&text[..end]).lines().collect::<Result<_, _>>()?)
}
