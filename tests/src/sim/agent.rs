//! An agent: the real call machine for every call, carried out by the rules of the driver in `agents/runtime`: one driver owns all
//! calls, requests go through the client in order, a finished call is let go when its records are durable, a restart asks first
//! what the former life had asked, then the core for its sessions, then the switch for its calls.
//!
//! The driver itself is not used: it lives in tokio's tasks, with journals and outboxes that have threads of their own, and a
//! simulation that depends on how threads are scheduled does not repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agent_call::{
    CallEnd, CallMachine, CallOffer, CallSettings, Command, Effect, Input, Phase, Snapshot, SwitchEvent, Timer,
};
use cdr_model::CallRecord;
use segment_log::fault::FaultStorage;
use types::charging::{Notification, NotificationKind, Operation, SessionSummary};
use types::{MonoMs, Now, ReleaseCause, SessionId, UtcMs};

use super::client::{Dead, Delivered, SimClient, ends_here};
use super::event::{AgentEvent, AtSwitch, Body, Event, News, Packet, Reply};
use super::journal::SimJournal;
use super::stage::Stage;

/// What survives the agent: its disks. Proofs of life are written at once; the product takes up to 50 ms, and says so.
#[derive(Default)]
pub(crate) struct Disks {
    pub outbox: FaultStorage,
    pub journal: FaultStorage,
    pub proofs: BTreeMap<SessionId, (UtcMs, u64)>,
}

/// One life of an agent.
pub(crate) struct Agent {
    site: usize,
    pub life: u32,
    settings: Arc<CallSettings>,
    begun: u64,
    skew_ms: i64,
    client: SimClient,
    journal: SimJournal,
    calls: BTreeMap<SessionId, Slot>,
    timers: BTreeSet<(u64, SessionId, Timer)>,
    due: BTreeMap<(SessionId, Timer), u64>,
    proofs: BTreeMap<SessionId, (UtcMs, u64)>,
    finished: BTreeSet<SessionId>,
    looked_up: BTreeMap<SessionId, Option<(CallOffer, CallEnd)>>,
    /// The core has listed its sessions.
    restored: bool,
    pub connected: bool,
    recovered: Vec<Delivered>,
    notices: Notices,
    questions: BTreeMap<u64, SessionId>,
    listing: Option<u64>,
    /// Durable records since somebody looked.
    pub written: Vec<CallRecord>,
    /// Alarms that must not come.
    pub alarms: Vec<String>,
}

struct Slot {
    machine: CallMachine,
    /// Records that wait until the outbox keeps what says that they are written.
    held: Option<Vec<CallRecord>>,
    finished: bool,
}

/// What the core told, and up to where it may forget.
#[derive(Default)]
struct Notices {
    seen: u64,
    confirmed: u64,
    aborts: BTreeMap<u64, (SessionId, ReleaseCause)>,
}

impl Agent {
    /// Starts; absent when a disk fails even now. `records`: what the journal holds.
    pub fn start(
        stage: &mut Stage,
        site: usize,
        life: u32,
        settings: Arc<CallSettings>,
        disks: &Disks,
        skew_ms: i64,
    ) -> Result<Self, Dead> {
        let (journal, written) = SimJournal::open(&disks.journal)?;
        let client = SimClient::durable(stage, site, life, &disks.outbox)?;
        stage.after(1, Event::Agent { site, life, event: AgentEvent::Restore });
        Ok(Self {
            site,
            life,
            settings,
            begun: stage.now,
            skew_ms,
            client,
            journal,
            calls: BTreeMap::new(),
            timers: BTreeSet::new(),
            due: BTreeMap::new(),
            proofs: disks.proofs.clone(),
            finished: BTreeSet::new(),
            looked_up: BTreeMap::new(),
            restored: false,
            connected: false,
            recovered: Vec::new(),
            notices: Notices::default(),
            questions: BTreeMap::new(),
            listing: None,
            written,
            alarms: Vec::new(),
        })
    }

    pub fn is_idle(&self) -> bool {
        self.restored && self.calls.is_empty() && self.client.is_idle() && self.looked_up.is_empty()
    }

    /// What an idle agent would wait for, when it is not.
    pub fn state(&self) -> String {
        let calls: Vec<_> = self.calls.iter().map(|(id, slot)| format!("{id} {:?}", slot.machine.phase())).collect();
        let (restored, idle) = (self.restored, self.client.is_idle());
        format!(
            "agent {}: restored {restored}, client idle {idle}, calls {calls:?}, {:?}",
            self.site,
            self.looked_up.keys()
        )
    }

    /// The wall clock was set.
    pub fn set_clock(&mut self, skew_ms: i64) {
        self.skew_ms = skew_ms;
    }

    fn now(&self, stage: &Stage) -> Now {
        Now { mono: MonoMs(stage.now - self.begun), utc: stage.utc(self.skew_ms) }
    }

    pub fn happens(&mut self, stage: &mut Stage, event: AgentEvent) -> Result<(), Dead> {
        match event {
            AgentEvent::Outbox => {
                for session in self.client.flush(stage)? {
                    self.kept(stage, &session)?;
                }
                Ok(())
            }
            AgentEvent::Journal => self.flushed(stage),
            AgentEvent::Unanswered(attempt) => {
                self.client.unanswered(stage, attempt);
                if self.listing == Some(attempt) {
                    self.listing = None;
                    return self.restore(stage);
                }
                match self.questions.remove(&attempt) {
                    Some(session) => self.ask_about(stage, session),
                    None => Ok(()),
                }
            }
            AgentEvent::Again(lane) => {
                self.client.attempt(stage, &lane);
                Ok(())
            }
            AgentEvent::Impatient(session, request_number) => {
                let input = Input::ChargingFailed { request_number };
                if self.settings.on_core_failure == types::charging::FailureHandling::Continue {
                    self.accept(stage, &session, Input::Continue { longest_ms: CONTINUES_MS })?;
                    if self.calls.get(&session).is_some_and(|slot| slot.machine.is_continued()) {
                        return Ok(());
                    }
                }
                self.accept(stage, &session, input)
            }
            AgentEvent::Timers => self.fire(stage),
            AgentEvent::Restore => self.restore(stage),
            AgentEvent::Heard(news) => self.heard(stage, news),
            AgentEvent::SwitchLost => {
                self.connected = false;
                for session in self.sessions() {
                    self.accept(stage, &session, Input::SwitchLost)?;
                }
                Ok(())
            }
        }
    }

    /// An answer of the core.
    pub fn replied(&mut self, stage: &mut Stage, attempt: u64, reply: Reply) -> Result<(), Dead> {
        match reply {
            Reply::Sessions(sessions) if self.listing == Some(attempt) => self.listed(stage, sessions),
            Reply::Session(summary) => self.found(stage, attempt, summary.map(|summary| *summary)),
            Reply::Notices(notices) => notices.iter().try_for_each(|notice| self.notified(stage, notice)),
            reply => {
                let Some(delivered) = self.client.replied(stage, attempt, reply)? else { return Ok(()) };
                if delivered.from_before {
                    if ends_here(&delivered.request, &delivered.answer) {
                        self.recovered.push(delivered);
                    }
                    return self.restore(stage);
                }
                let notices = delivered.answer.notifications.clone();
                let session = delivered.request.session_id.clone();
                self.accept(stage, &session, Input::Charged(Box::new(delivered.answer)))?;
                notices.iter().try_for_each(|notice| self.notified(stage, notice))
            }
        }
    }

    fn heard(&mut self, stage: &mut Stage, news: News) -> Result<(), Dead> {
        if !self.connected && !matches!(news, News::List { fresh: true, .. }) {
            // Lost with the line.
            return Ok(());
        }
        match news {
            News::Offered(offer) => {
                let session = offer.session_id.clone();
                if self.calls.contains_key(&session) || self.finished.contains(&session) {
                    return Ok(());
                }
                let (settings, now, mut effects) = (self.settings.clone(), self.now(stage), Vec::new());
                let machine = CallMachine::offer(settings, *offer, now, &mut effects);
                self.create(stage, machine, effects)
            }
            News::Call(session, event) => {
                if !self.calls.contains_key(&session) {
                    if self.finished.contains(&session) {
                        self.order(stage, AtSwitch::Forget(session));
                    }
                    return Ok(());
                }
                self.accept(stage, &session, Input::Switch(event))
            }
            News::List { live, ended, fresh } => self.heard_list(stage, live, ended, fresh),
        }
    }

    fn heard_list(
        &mut self,
        stage: &mut Stage,
        live: Vec<(CallOffer, SwitchEvent)>,
        ended: Vec<(CallOffer, CallEnd)>,
        fresh: bool,
    ) -> Result<(), Dead> {
        let mut there: BTreeSet<SessionId> = BTreeSet::new();
        if fresh {
            self.connected = true;
        }
        for (offer, end) in ended {
            let session = offer.session_id.clone();
            there.insert(session.clone());
            let end = CallEnd { replayed: true, ..end };
            if self.calls.contains_key(&session) {
                self.accept(stage, &session, Input::Switch(SwitchEvent::Ended(end)))?;
            } else if self.finished.contains(&session) {
                self.order(stage, AtSwitch::Forget(session));
            } else if end.answered.is_none() {
                self.adopt_ended(stage, offer, end)?;
            } else if !self.looked_up.contains_key(&session) {
                self.looked_up.insert(session.clone(), Some((offer, end)));
                self.ask_about(stage, session)?;
            }
        }
        for (offer, event) in live {
            let session = offer.session_id.clone();
            there.insert(session.clone());
            if self.calls.contains_key(&session) {
                self.accept(stage, &session, Input::Switch(event))?;
                continue;
            }
            match event {
                SwitchEvent::Alive(answer) => {
                    let (settings, now, mut effects) = (self.settings.clone(), self.now(stage), Vec::new());
                    let machine = CallMachine::adopt(settings, offer, answer, now, &mut effects);
                    self.create(stage, machine, effects)?;
                }
                _ if fresh => {
                    let refuse = Command::Refuse(ReleaseCause::ChargingUnavailable);
                    self.order(stage, AtSwitch::Command(session, refuse));
                }
                _ => {}
            }
        }
        for session in self.sessions() {
            if !there.contains(&session) {
                self.accept(stage, &session, Input::Switch(SwitchEvent::Gone))?;
            }
        }
        self.prove();
        Ok(())
    }

    fn adopt_ended(&mut self, stage: &mut Stage, offer: CallOffer, end: CallEnd) -> Result<(), Dead> {
        let (settings, now, mut effects) = (self.settings.clone(), self.now(stage), Vec::new());
        let machine = CallMachine::adopt_ended(settings, offer, end, now, &mut effects);
        self.create(stage, machine, effects)
    }

    /// First what the former life asked; then the core's list.
    fn restore(&mut self, stage: &mut Stage) -> Result<(), Dead> {
        if self.restored || self.listing.is_some() || !self.client.has_recovered() {
            return Ok(());
        }
        let attempt = self.ask(stage, Body::Sessions);
        self.listing = Some(attempt);
        Ok(())
    }

    fn ask(&mut self, stage: &mut Stage, body: Body) -> u64 {
        let attempt = stage.dice.throw();
        stage.send(Packet { client: self.site, life: self.life, attempt, body });
        let event = AgentEvent::Unanswered(attempt);
        stage.after(QUESTION_MS, Event::Agent { site: self.site, life: self.life, event });
        attempt
    }

    fn listed(&mut self, stage: &mut Stage, sessions: Vec<SessionSummary>) -> Result<(), Dead> {
        self.listing = None;
        if self.restored {
            return Ok(());
        }
        stage.tell(|| format!("agent {} has {} sessions at the core", self.site, sessions.len()));
        let recovered = std::mem::take(&mut self.recovered).into_iter();
        let (ended, denied): (Vec<_>, Vec<_>) =
            recovered.partition(|recovered| recovered.request.operation == Operation::Termination);
        for ended in ended {
            self.reopen(stage, ended)?;
        }
        for summary in sessions {
            if !self.calls.contains_key(&summary.session_id) {
                self.revive(stage, &summary)?;
            }
        }
        for denied in denied {
            if !self.calls.contains_key(&denied.request.session_id) {
                self.take_denied(stage, &denied)?;
            }
        }
        self.restored = true;
        stage.after(1, Event::Switch { site: self.site, event: AtSwitch::Connect(self.life) });
        Ok(())
    }

    fn reopen(&mut self, stage: &mut Stage, ended: Delivered) -> Result<(), Dead> {
        let Delivered { request, answer, .. } = ended;
        let session = request.session_id.clone();
        let snapshot: Snapshot = serde_json::from_slice(&request.client_state).expect("what was kept can be read");
        let (settings, mut effects) = (self.settings.clone(), Vec::new());
        match CallMachine::reopen(settings, snapshot, &request, &mut effects) {
            Some(machine) => {
                self.create(stage, machine, effects)?;
                self.accept(stage, &session, Input::Charged(Box::new(answer)))
            }
            None => self.client.settled(&session),
        }
    }

    fn take_denied(&mut self, stage: &mut Stage, denied: &Delivered) -> Result<(), Dead> {
        let snapshot: Snapshot =
            serde_json::from_slice(&denied.request.client_state).expect("what was kept can be read");
        let mut machine = CallMachine::denied(self.settings.clone(), snapshot, &denied.answer);
        if let Some((answered, proven_ms)) = self.proofs.get(&denied.request.session_id) {
            machine.was_answered(*answered, *proven_ms);
        }
        self.create(stage, machine, Vec::new())
    }

    fn revive(&mut self, stage: &mut Stage, summary: &SessionSummary) -> Result<(), Dead> {
        let snapshot: Snapshot =
            serde_json::from_slice(&summary.client_state).expect("what the core keeps can be read");
        let proof = self.proofs.get(&summary.session_id).copied();
        let proven_ms = proof.map_or(0, |(_, proven_ms)| proven_ms);
        let mut machine = CallMachine::restore(self.settings.clone(), snapshot, summary, proven_ms);
        if let Some((answered, proven_ms)) = proof {
            machine.was_answered(answered, proven_ms);
        }
        self.create(stage, machine, Vec::new())?;
        let told = self.notices.aborts.values().find(|(session, _)| *session == summary.session_id);
        match told.map(|(_, cause)| *cause) {
            Some(cause) => self.accept(stage, &summary.session_id, Input::Release(cause)),
            None => Ok(()),
        }
    }

    /// What does the core know of a call that ended and that we do not know?
    fn ask_about(&mut self, stage: &mut Stage, session: SessionId) -> Result<(), Dead> {
        let attempt = self.ask(stage, Body::Session(session.clone()));
        self.questions.insert(attempt, session);
        Ok(())
    }

    fn found(&mut self, stage: &mut Stage, attempt: u64, summary: Option<SessionSummary>) -> Result<(), Dead> {
        let Some(session) = self.questions.remove(&attempt) else { return Ok(()) };
        let Some(Some((offer, end))) = self.looked_up.remove(&session) else { return Ok(()) };
        match summary {
            Some(summary) => {
                self.revive(stage, &summary)?;
                self.accept(stage, &session, Input::Switch(SwitchEvent::Ended(end)))
            }
            None => self.adopt_ended(stage, offer, end),
        }
    }

    fn notified(&mut self, stage: &mut Stage, notice: &Notification) -> Result<(), Dead> {
        if !self.restored {
            return Ok(());
        }
        if notice.sequence <= self.notices.seen {
            self.confirm(stage);
            return Ok(());
        }
        self.notices.seen = notice.sequence;
        let (session, known) = (notice.session_id.clone(), self.calls.contains_key(&notice.session_id));
        let input = match notice.kind {
            NotificationKind::Reauthorize => Input::Reauthorize,
            NotificationKind::Abort(cause) => {
                if known || self.looked_up.contains_key(&session) {
                    self.notices.aborts.insert(notice.sequence, (session.clone(), cause));
                }
                Input::Release(cause)
            }
        };
        if known {
            self.accept(stage, &session, input)?;
        }
        self.confirm(stage);
        Ok(())
    }

    fn confirm(&mut self, stage: &mut Stage) {
        let open = self.notices.aborts.first_key_value().map(|(sequence, _)| sequence.saturating_sub(1));
        let last = open.unwrap_or(self.notices.seen);
        if last > self.notices.confirmed {
            self.notices.confirmed = last;
            let (client, life) = (self.site, self.life);
            stage.send(Packet { client, life, attempt: 0, body: Body::Confirm(last) });
        }
    }

    fn create(&mut self, stage: &mut Stage, machine: CallMachine, effects: Vec<Effect>) -> Result<(), Dead> {
        let session = machine.session_id().clone();
        self.calls.insert(session.clone(), Slot { machine, held: None, finished: false });
        self.carry_out(stage, &session, effects)
    }

    fn accept(&mut self, stage: &mut Stage, session: &SessionId, input: Input) -> Result<(), Dead> {
        let now = self.now(stage);
        let Some(slot) = self.calls.get_mut(session) else { return Ok(()) };
        let mut effects = Vec::new();
        slot.machine.accept(now, input, &mut effects);
        self.carry_out(stage, session, effects)
    }

    fn carry_out(&mut self, stage: &mut Stage, session: &SessionId, effects: Vec<Effect>) -> Result<(), Dead> {
        let mut silent = false;
        for effect in effects {
            match effect {
                Effect::Charge { mut request, snapshot } => {
                    if let Some(snapshot) = snapshot {
                        request.client_state = serde_json::to_vec(&snapshot).expect("a snapshot is plain data");
                    }
                    if request.operation == Operation::Initial {
                        let event = AgentEvent::Impatient(session.clone(), request.request_number);
                        stage.after(AUTHORISES_MS, Event::Agent { site: self.site, life: self.life, event });
                    }
                    self.client.submit(stage, *request, true)?;
                }
                Effect::Record(record) => {
                    if let Some(answered) = record.answer_time {
                        self.proofs.entry(session.clone()).or_insert((answered, 0));
                    }
                    match self.calls.get_mut(session).and_then(|slot| slot.held.as_mut()) {
                        Some(held) => held.push(*record),
                        None => self.journal.append(stage, self.site, self.life, *record)?,
                    }
                }
                Effect::Keep(snapshot) => {
                    let state = serde_json::to_vec(&snapshot).expect("a snapshot is plain data");
                    if self.client.amend(stage, session, state)?
                        && let Some(slot) = self.calls.get_mut(session)
                    {
                        slot.held.get_or_insert_default();
                    }
                }
                Effect::Command(command) => self.order(stage, AtSwitch::Command(session.clone(), command)),
                Effect::SetTimer(timer, at) => self.set(stage, session, timer, at.0),
                Effect::CancelTimer(timer) => self.cancel(session, timer),
                Effect::CoreSilent => silent = true,
                Effect::Alarm(agent_call::Alarm::SessionLost) => {
                    self.alarms.push(format!("{session}: the core does not know it"));
                }
                Effect::Alarm(_) => {}
                Effect::Finished => {
                    if let Some(slot) = self.calls.get_mut(session) {
                        slot.finished = true;
                    }
                }
            }
        }
        self.retire(stage, session)?;
        if silent {
            return self.accept(stage, session, Input::Continue { longest_ms: CONTINUES_MS });
        }
        Ok(())
    }

    /// The outbox has what a call's records wait for.
    fn kept(&mut self, stage: &mut Stage, session: &SessionId) -> Result<(), Dead> {
        let held = self.calls.get_mut(session).and_then(|slot| slot.held.take());
        for record in held.unwrap_or_default() {
            self.journal.append(stage, self.site, self.life, record)?;
        }
        self.retire(stage, session)
    }

    /// A finished call is let go when its records are durable.
    fn retire(&mut self, stage: &mut Stage, session: &SessionId) -> Result<(), Dead> {
        let over = |slot: &Slot| slot.finished && slot.held.is_none();
        if !self.calls.get(session).is_some_and(over) || self.journal.waits_for(session) {
            return Ok(());
        }
        self.calls.remove(session);
        for timer in agent_call::TIMERS {
            self.cancel(session, timer);
        }
        self.proofs.remove(session);
        self.notices.aborts.retain(|_, (aborted, _)| aborted != session);
        self.confirm(stage);
        self.finished.insert(session.clone());
        self.order(stage, AtSwitch::Forget(session.clone()));
        self.client.settled(session)
    }

    fn flushed(&mut self, stage: &mut Stage) -> Result<(), Dead> {
        let records = self.journal.flush()?;
        let sessions: BTreeSet<SessionId> = records.iter().map(|record| record.session_id.clone()).collect();
        self.written.extend(records);
        sessions.iter().try_for_each(|session| self.retire(stage, session))
    }

    fn order(&self, stage: &mut Stage, event: AtSwitch) {
        let delay_ms = stage.roll(0, 20);
        if self.connected || matches!(event, AtSwitch::Forget(_)) {
            stage.after(delay_ms, Event::Switch { site: self.site, event });
        }
    }

    fn set(&mut self, stage: &mut Stage, session: &SessionId, timer: Timer, at: u64) {
        self.cancel(session, timer);
        self.timers.insert((at, session.clone(), timer));
        self.due.insert((session.clone(), timer), at);
        let late_ms = if stage.mishap(30) { stage.roll(1, 400) } else { 0 };
        let event = Event::Agent { site: self.site, life: self.life, event: AgentEvent::Timers };
        stage.at(self.begun + at + late_ms, event);
    }

    fn cancel(&mut self, session: &SessionId, timer: Timer) {
        if let Some(at) = self.due.remove(&(session.clone(), timer)) {
            self.timers.remove(&(at, session.clone(), timer));
        }
    }

    fn fire(&mut self, stage: &mut Stage) -> Result<(), Dead> {
        let now = stage.now - self.begun;
        while let Some((at, session, timer)) = self.timers.first().cloned().filter(|(at, ..)| *at <= now) {
            self.timers.remove(&(at, session.clone(), timer));
            self.due.remove(&(session.clone(), timer));
            self.accept(stage, &session, Input::Timer(timer))?;
        }
        Ok(())
    }

    /// What is proven of each call is written down.
    fn prove(&mut self) {
        for (session, slot) in &self.calls {
            if let Some(answered) = slot.machine.answered_at() {
                self.proofs.insert(session.clone(), (answered, slot.machine.proven_ms()));
            }
        }
    }

    /// What the disk has of it.
    pub fn proofs(&self) -> BTreeMap<SessionId, (UtcMs, u64)> {
        self.proofs.clone()
    }

    fn sessions(&self) -> Vec<SessionId> {
        let open = self.calls.iter().filter(|(_, slot)| slot.machine.phase() != Phase::Finished);
        open.map(|(session, _)| session.clone()).collect()
    }
}

/// How long a new call waits for the core.
const AUTHORISES_MS: u64 = 4_000;
const QUESTION_MS: u64 = 3_000;
/// How long a call goes on without the core.
const CONTINUES_MS: u64 = 60_000;
