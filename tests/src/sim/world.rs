//! One seed: sites with agents and switches, a gateway, an operator, the core, the network between them, and the auditor.

use std::sync::Arc;

use agent_call::CallSettings;
use charging_server::TariffPricing;
use ledger::Settings;
use types::ClientId;
use types::charging::FailureHandling;

use super::agent::{Agent, Disks};
use super::auditor::{Auditor, Terms};
use super::client::Dead;
use super::core::{ANY_LIFE, Core, a_crash};
use super::event::{AgentEvent, AtSwitch, Event, GatewayEvent, Reply};
use super::gateway::{self, Gateway};
use super::operator::Operator;
use super::plan::Plan;
use super::stage::Stage;
use super::switch::{PROOF_MS, Switch};

type Checked = Result<(), String>;

/// See the module's documentation.
pub(crate) struct World {
    pub stage: Stage,
    core: Core,
    sites: Vec<Site>,
    gateway: Gateway,
    operator: Operator,
    pub auditor: Auditor,
    evening: bool,
    pub steps: u64,
    pub agent_crashes: u32,
}

struct Site {
    switch: Switch,
    agent: Option<Agent>,
    life: u32,
    disks: Disks,
    settings: Arc<CallSettings>,
}

/// What a seed did, for the report.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Events.
    pub steps: u64,
    /// Charging answers seen by the auditor, copies included.
    pub answers: u64,
    /// Answers to copies.
    pub copies: u64,
    /// Charging sessions.
    pub sessions: u64,
    /// Calls that were answered.
    pub calls: u64,
    /// Records.
    pub records: u64,
    /// Sessions that expired.
    pub expired: u64,
    /// Answers with a last grant.
    pub last_grants: u64,
    /// Answers with an overrun.
    pub overruns: u64,
    /// Crashes of the core, those while it recovered included.
    pub core_crashes: u64,
    /// Crashes of agents.
    pub agent_crashes: u64,
    /// Snapshots of the core.
    pub snapshots: u64,
}

impl Counts {
    /// Adds those of another seed.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.answers += other.answers;
        self.copies += other.copies;
        self.sessions += other.sessions;
        self.calls += other.calls;
        self.records += other.records;
        self.expired += other.expired;
        self.last_grants += other.last_grants;
        self.overruns += other.overruns;
        self.core_crashes += other.core_crashes;
        self.agent_crashes += other.agent_crashes;
        self.snapshots += other.snapshots;
    }
}

impl World {
    pub fn new(seed: u64, pricing: Arc<TariffPricing>, traced: bool) -> Self {
        let plan = Plan::of(seed);
        let settings = Settings {
            idle_expiry_ms: 600_000,
            idempotency_window_ms: 1_800_000,
            validity_ms: None,
            ..Settings::default()
        };
        let terms = Terms {
            ring_ms: settings.maximum_ring_ms,
            grace_ms: settings.expiry_grace_ms,
            idle_ms: settings.idle_expiry_ms,
            window_ms: settings.idempotency_window_ms,
            tolerance_ms: settings.cut_tolerance_ms,
        };
        let mut names: Vec<ClientId> = (0..plan.sites).map(|site| format!("agent/{site}").into()).collect();
        let sites = names.iter().enumerate().map(|(site, name)| Site::new(site, name, &plan)).collect();
        names.push(gateway::name());
        let core = Core::new(&plan, settings, pricing, names);
        let (gateway, operator) = (Gateway::new(plan.sites), Operator::new(plan.sites + 1));
        let stage = Stage::new(seed, plan, traced);
        let auditor = Auditor::new(terms);
        Self { stage, core, sites, gateway, operator, auditor, evening: false, steps: 0, agent_crashes: 0 }
    }

    /// The whole day; at most so many steps.
    pub fn run(&mut self, most_steps: u64) -> Checked {
        self.operator.open_accounts(&mut self.stage);
        self.until_operated()?;
        self.operator.fill_bundles(&mut self.stage);
        self.until_operated()?;
        self.morning();
        while self.steps < most_steps {
            let Some(event) = self.stage.next() else { return Err("nothing happens any more".to_owned()) };
            self.steps += 1;
            self.step(event)?;
            if self.evening && self.steps.is_multiple_of(50) && self.is_idle() {
                return self.close();
            }
            if self.stage.now > self.stage.plan.length_ms * 2 + LONGEST_EVENING_MS {
                return Err(format!("does not come to rest: {}", self.states()));
            }
        }
        Ok(())
    }

    fn until_operated(&mut self) -> Checked {
        while !self.operator.is_idle() {
            let Some(event) = self.stage.next() else { return Err("the operator is not answered".to_owned()) };
            self.step(event)?;
        }
        Ok(())
    }

    fn morning(&mut self) {
        self.stage.faults = true;
        let begun = self.stage.now;
        for site in 0..self.sites.len() {
            self.stage.after(0, Event::AgentUp(site));
            self.stage.after(PROOF_MS, Event::Switch { site, event: AtSwitch::List });
        }
        let Plan { sessions, length_ms, .. } = self.stage.plan;
        for _ in 0..sessions {
            let at = begun + 2_000 + self.stage.roll(0, length_ms);
            let event = if self.stage.dice.per_mille(250) {
                Event::Gateway(GatewayEvent::Begin)
            } else {
                let site = usize::try_from(self.stage.dice.below(self.sites.len() as u64)).unwrap_or(0);
                Event::Switch { site, event: AtSwitch::Dial }
            };
            self.stage.at(at, event);
        }
        for event in [Event::Look, Event::Remind, Event::Operate, Event::CoreDies, Event::CoreDisk { full: true }] {
            self.again(event);
        }
        self.again(Event::Clock(None));
        for site in 0..self.sites.len() {
            self.again(Event::AgentDies(site));
            self.again(Event::Clock(Some(site)));
            self.again(Event::Switch { site, event: AtSwitch::Dies });
            self.again(Event::Switch { site, event: AtSwitch::Break });
        }
        self.stage.at(begun + length_ms + 10_000, Event::Evening);
    }

    /// What comes again and again, at intervals of the plan.
    fn again(&mut self, event: Event) {
        let plan = &self.stage.plan;
        let mean_ms = match &event {
            Event::Look => plan.length_ms / 12 + 1_000,
            Event::Remind => 15_000,
            Event::Operate => plan.operate_ms,
            Event::CoreDies => plan.core_crash_ms,
            Event::CoreDisk { .. } => plan.disk_full_ms,
            Event::AgentDies(_) => plan.agent_crash_ms,
            Event::Clock(_) => plan.clock_ms,
            Event::Switch { event: AtSwitch::Dies, .. } => plan.switch_crash_ms,
            Event::Switch { event: AtSwitch::Break, .. } => plan.break_ms,
            _ => 0,
        };
        let lasts = !self.evening || matches!(event, Event::Remind);
        if mean_ms > 0 && lasts {
            let pause_ms = self.stage.roll(mean_ms / 2, mean_ms * 3 / 2);
            self.stage.after(pause_ms, event);
        }
    }

    fn step(&mut self, event: Event) -> Checked {
        let Self { stage, core, auditor, .. } = self;
        match event {
            Event::Arrive(packet) => core.arrive(stage, packet),
            Event::Turn => core.turn(stage, auditor)?,
            Event::CoreUp => core.start(stage, auditor)?,
            Event::Snapshot => core.snapshot(stage, auditor)?,
            Event::CoreDies => {
                core.doom(stage, auditor)?;
                self.again(Event::CoreDies);
            }
            Event::CoreDisk { full } => {
                core.fill_disk(full);
                if full {
                    let full_ms = stage.roll(1_000, 20_000);
                    stage.after(full_ms, Event::CoreDisk { full: false });
                    self.again(Event::CoreDisk { full: true });
                }
            }
            Event::Look => {
                core.look(stage, auditor)?;
                self.again(Event::Look);
            }
            Event::Remind => {
                core.remind(stage);
                self.again(Event::Remind);
            }
            Event::Clock(whose) => self.set_clock(whose),
            Event::Reply { client, life, attempt, reply } => self.reply(client, life, attempt, reply)?,
            Event::Agent { site, life, event } => self.agent(site, life, |agent, stage| agent.happens(stage, event))?,
            Event::AgentDies(site) => {
                self.agent_dies(site);
                self.again(Event::AgentDies(site));
            }
            Event::AgentUp(site) => self.agent_up(site)?,
            Event::Switch { site, event } => self.switch(site, event),
            Event::Gateway(event) => self.gateway.happens(stage, event),
            Event::Operate => {
                self.operator.operate(stage);
                self.again(Event::Operate);
            }
            Event::Chase(operation) => self.operator.chase(stage, operation),
            Event::Unsure(command) => self.operator.unsure(stage, *command),
            Event::Evening => {
                (stage.faults, self.evening) = (false, true);
                core.fill_disk(false);
            }
        }
        Ok(())
    }

    fn reply(&mut self, client: usize, life: u32, attempt: u64, reply: Reply) -> Checked {
        if client < self.sites.len() {
            self.agent(client, life, |agent, stage| agent.replied(stage, attempt, reply))
        } else if client == self.sites.len() {
            self.gateway.replied(&mut self.stage, attempt, reply);
            Ok(())
        } else {
            self.operator.replied(attempt, &reply);
            Ok(())
        }
    }

    /// Something happens to an agent, if it is still the same process; it may die of it.
    fn agent(
        &mut self,
        at: usize,
        life: u32,
        happens: impl FnOnce(&mut Agent, &mut Stage) -> Result<(), Dead>,
    ) -> Checked {
        let Some(site) = self.sites.get_mut(at) else { return Ok(()) };
        let Some(agent) = site.agent.as_mut().filter(|agent| life == ANY_LIFE || agent.life == life) else {
            return Ok(());
        };
        let outcome = happens(agent, &mut self.stage);
        for record in std::mem::take(&mut agent.written) {
            self.stage.tell(|| format!("record {} {:?} {:?}", record.record_id, record.duration, record.cost));
            self.auditor.recorded(&record);
        }
        if let Some(alarm) = agent.alarms.pop() {
            return Err(alarm);
        }
        site.disks.proofs = agent.proofs();
        if outcome.is_err() {
            self.bury(at);
        }
        Ok(())
    }

    /// Now, or in one of its next writes.
    fn agent_dies(&mut self, at: usize) {
        let Some(site) = self.sites.get_mut(at) else { return };
        if site.agent.is_none() {
            return;
        }
        let point = usize::try_from(self.stage.roll(0, 8)).unwrap_or(0);
        match self.stage.roll(0, 3) {
            0 => site.disks.outbox.crash_at(point),
            1 => site.disks.journal.crash_at(point),
            _ => self.bury(at),
        }
    }

    fn bury(&mut self, at: usize) {
        let Some(site) = self.sites.get_mut(at) else { return };
        self.stage.tell(|| format!("agent {at} is dead"));
        self.agent_crashes += 1;
        site.agent = None;
        site.switch.disconnect();
        let crash = a_crash(&mut self.stage);
        site.disks.outbox.crash(crash);
        site.disks.journal.crash(crash);
        let away_ms =
            if self.stage.dice.per_mille(150) { self.stage.roll(60_000, 400_000) } else { self.stage.roll(50, 15_000) };
        self.stage.after(away_ms, Event::AgentUp(at));
    }

    fn agent_up(&mut self, at: usize) -> Checked {
        let Some(site) = self.sites.get_mut(at) else { return Ok(()) };
        if site.agent.is_some() {
            return Ok(());
        }
        site.life += 1;
        let (settings, skew_ms) = (site.settings.clone(), site.switch.skew_ms);
        match Agent::start(&mut self.stage, at, site.life, settings, &site.disks, skew_ms) {
            Ok(agent) => site.agent = Some(agent),
            Err(Dead) => self.bury(at),
        }
        self.agent(at, ANY_LIFE, |_, _| Ok(()))
    }

    fn switch(&mut self, at: usize, event: AtSwitch) {
        let Some(site) = self.sites.get_mut(at) else { return };
        let stage = &mut self.stage;
        match event {
            AtSwitch::Connect(life) => {
                if site.agent.as_ref().is_some_and(|agent| agent.life == life) {
                    stage.tell(|| format!("the line of switch {at} is not dead any more"));
                    site.switch.connect(stage, life);
                }
            }
            AtSwitch::Break => {
                if let Some(agent) = site.agent.as_ref().filter(|agent| agent.connected) {
                    let life = agent.life;
                    stage.tell(|| format!("the line of switch {at} is dead"));
                    site.switch.disconnect();
                    // What is on the line is heard first, or lost with it; never later.
                    let lost_at = if stage.dice.per_mille(500) { site.switch.told_until() } else { 0 };
                    stage.at(lost_at, Event::Agent { site: at, life, event: AgentEvent::SwitchLost });
                    let away_ms = stage.roll(100, 60_000);
                    stage.after(away_ms, Event::Switch { site: at, event: AtSwitch::Connect(life) });
                }
                self.again(Event::Switch { site: at, event: AtSwitch::Break });
            }
            AtSwitch::Dies => {
                site.switch.happens(stage, &mut self.auditor, AtSwitch::Dies);
                self.again(Event::Switch { site: at, event: AtSwitch::Dies });
            }
            event => site.switch.happens(stage, &mut self.auditor, event),
        }
    }

    fn set_clock(&mut self, whose: Option<usize>) {
        let by_ms = i64::try_from(self.stage.roll(0, 2 * MOST_SKEW_MS)).unwrap_or(0);
        let skew_ms = by_ms - i64::try_from(MOST_SKEW_MS).unwrap_or(0);
        match whose.and_then(|at| self.sites.get_mut(at)) {
            None => self.core.skew_ms = skew_ms,
            Some(site) => {
                site.switch.skew_ms = skew_ms;
                if let Some(agent) = &mut site.agent {
                    agent.set_clock(skew_ms);
                }
            }
        }
        self.stage.tell(|| format!("a clock is set to {skew_ms} ms from true: {whose:?}"));
        self.again(Event::Clock(whose));
    }

    fn is_idle(&self) -> bool {
        let site = |site: &Site| site.switch.is_idle() && site.agent.as_ref().is_some_and(Agent::is_idle);
        self.sites.iter().all(site)
            && self.gateway.is_idle()
            && self.operator.is_idle()
            && self.core.books().is_some_and(|books| books.open_session_count() == 0)
    }

    fn states(&self) -> String {
        let agents = self.sites.iter().filter_map(|site| site.agent.as_ref()).map(Agent::state);
        let open = self.core.books().map(ledger::Books::open_session_count);
        format!("open at the core {open:?}; {}", agents.collect::<Vec<_>>().join("; "))
    }

    fn close(&mut self) -> Checked {
        self.core.look(&mut self.stage, &self.auditor)?;
        self.core.compare_all(&mut self.auditor, self.stage.utc(self.core.skew_ms))?;
        self.auditor.finish()
    }

    pub fn counts(&self) -> Counts {
        let calls = self.sites.iter().map(|site| site.switch.answered).sum();
        Counts {
            steps: self.steps,
            answers: self.auditor.answers,
            copies: self.auditor.copies,
            sessions: self.auditor.count_sessions() as u64,
            calls,
            records: self.auditor.count_records() as u64,
            expired: self.auditor.expired,
            last_grants: self.auditor.last_grants,
            overruns: self.auditor.overruns,
            core_crashes: self.core.crashes.into(),
            agent_crashes: self.agent_crashes.into(),
            snapshots: self.core.snapshots.into(),
        }
    }
}

impl Site {
    fn new(site: usize, name: &ClientId, plan: &Plan) -> Self {
        let on_core_failure = if plan.goes_on { FailureHandling::Continue } else { FailureHandling::RetryAndTerminate };
        let settings = CallSettings {
            slice_ms: plan.slice_ms,
            margin_ms: plan.margin_ms,
            interim_ms: 60_000,
            on_core_failure,
            ..CallSettings::new(name.clone())
        };
        Self { switch: Switch::new(site), agent: None, life: 0, disks: Disks::default(), settings: Arc::new(settings) }
    }
}

/// No clock is further from true than this.
const MOST_SKEW_MS: u64 = 240_000;
/// What takes longer never ends.
const LONGEST_EVENING_MS: u64 = 6 * 3_600_000;
