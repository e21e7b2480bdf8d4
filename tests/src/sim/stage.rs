//! Time, chance and what is to come: one queue of events for the whole simulation, in the order of simulated time, and of their
//! making where times are equal.

use std::collections::BTreeMap;

use types::UtcMs;

use super::event::{Event, Packet, Reply};
use super::plan::Plan;
use crate::kinesis::dice::Dice;

/// When simulated time begins.
const BEGIN: UtcMs = UtcMs(1_795_300_000_000);

/// See the module's documentation.
pub(crate) struct Stage {
    /// Milliseconds of true time since the beginning.
    pub now: u64,
    pub dice: Dice,
    pub plan: Plan,
    /// Whether anything goes wrong; not while accounts are opened, and not at the end.
    pub faults: bool,
    queue: BTreeMap<(u64, u64), Event>,
    made: u64,
    /// What happened last, when somebody wants to read it.
    pub trace: Option<Vec<String>>,
}

impl Stage {
    pub fn new(seed: u64, plan: Plan, traced: bool) -> Self {
        let trace = traced.then(Vec::new);
        Self { now: 0, dice: Dice::of(seed, 2), plan, faults: false, queue: BTreeMap::new(), made: 0, trace }
    }

    /// The next event, and moves time to it.
    pub fn next(&mut self) -> Option<Event> {
        let ((at, _), event) = self.queue.pop_first()?;
        self.now = self.now.max(at);
        Some(event)
    }

    /// The wall clock of somebody whose clock is wrong by so much.
    pub fn utc(&self, skew_ms: i64) -> UtcMs {
        UtcMs(BEGIN.plus(self.now).0 + skew_ms)
    }

    pub fn at(&mut self, time: u64, event: Event) {
        self.made += 1;
        self.queue.insert((time.max(self.now), self.made), event);
    }

    pub fn after(&mut self, delay_ms: u64, event: Event) {
        self.at(self.now + delay_ms, event);
    }

    /// From `low` to `high`.
    pub fn roll(&mut self, low: u64, high: u64) -> u64 {
        low + self.dice.below(high.saturating_sub(low) + 1)
    }

    /// So often in a thousand, while things go wrong.
    pub fn mishap(&mut self, per_mille: u32) -> bool {
        let falls = self.dice.per_mille(per_mille);
        self.faults && falls
    }

    /// To the core, over a network that loses, copies, delays and reorders.
    pub fn send(&mut self, packet: Packet) {
        if self.mishap(self.plan.copied_per_mille) {
            let late_ms = if self.dice.per_mille(200) { self.roll(60_000, 5_400_000) } else { self.roll(0, 20_000) };
            self.after(late_ms, Event::Arrive(packet.clone()));
        }
        if self.mishap(self.plan.lost_per_mille) {
            return;
        }
        let delay_ms = self.delay();
        self.after(delay_ms, Event::Arrive(packet));
    }

    /// Back to a client, over the same network.
    pub fn answer(&mut self, packet: &Packet, reply: Reply) {
        if self.mishap(self.plan.lost_per_mille) {
            return;
        }
        let delay_ms = self.delay();
        self.after(delay_ms, Event::Reply { client: packet.client, life: packet.life, attempt: packet.attempt, reply });
    }

    fn delay(&mut self) -> u64 {
        if self.mishap(self.plan.slow_per_mille) { self.roll(100, 4_000) } else { self.roll(0, 5) }
    }

    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let line = format!("{:>9} ms  {}", self.now, line());
            trace.push(line);
        }
    }
}
