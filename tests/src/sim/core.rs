//! The charging core: the real decisions, books, log, snapshots and recovery on a disk that fails, in turns of simulated time.
//! Does what the ledger thread does: takes what is queued, decides, settles what has expired, commits once, and only then answers.

use std::sync::Arc;

use charging_server::{CoreError, DurableBooks, TariffPricing};
use ledger::{Books, Change, Command, Outcome, Settings};
use segment_log::fault::{Crash, FaultStorage};
use types::UtcMs;
use types::charging::{ChargingAnswer, ChargingRequest, Notification};

use super::auditor::Auditor;
use super::event::{Body, Event, Packet, Reply};
use super::plan::Plan;
use super::stage::Stage;

/// See the module's documentation.
pub(crate) struct Core {
    pub disk: FaultStorage,
    store: Option<DurableBooks>,
    pricing: Arc<TariffPricing>,
    pub settings: Settings,
    queue: Vec<Packet>,
    turn_planned: bool,
    /// Its wall clock is wrong by so much.
    pub skew_ms: i64,
    /// The latest time it decided at: what expired then may be found by a process whose clock was set back.
    latest: UtcMs,
    snapshot_records: u64,
    snapshot_log_percent: u64,
    segment_bytes: u64,
    names: Vec<types::ClientId>,
    pub crashes: u32,
    pub snapshots: u32,
}

/// What a batch has decided and nobody was told.
struct Decided {
    packet: Packet,
    outcome: Outcome,
}

type Checked = Result<(), String>;

impl Core {
    pub fn new(plan: &Plan, settings: Settings, pricing: Arc<TariffPricing>, names: Vec<types::ClientId>) -> Self {
        let disk = FaultStorage::new();
        if !plan.reserves {
            disk.set_capacity(Some(ROOM));
        }
        let store = DurableBooks::open(Arc::new(disk.clone()), plan.segment_bytes).expect("an empty disk opens");
        Self {
            disk,
            store: Some(store),
            pricing,
            settings,
            queue: Vec::new(),
            turn_planned: false,
            skew_ms: 0,
            latest: UtcMs::default(),
            snapshot_records: plan.snapshot_records,
            snapshot_log_percent: plan.snapshot_log_percent,
            segment_bytes: plan.segment_bytes,
            names,
            crashes: 0,
            snapshots: 0,
        }
    }

    /// What a query is answered from; absent while it is down.
    pub fn books(&self) -> Option<&Books> {
        self.store.as_ref().map(DurableBooks::books)
    }

    pub fn arrive(&mut self, stage: &mut Stage, packet: Packet) {
        if self.store.is_none() {
            return;
        }
        self.queue.push(packet);
        self.plan_turn(stage, 6);
    }

    pub fn plan_turn(&mut self, stage: &mut Stage, within_ms: u64) {
        if !std::mem::replace(&mut self.turn_planned, true) {
            let delay_ms = stage.roll(0, within_ms);
            stage.after(delay_ms, Event::Turn);
        }
    }

    /// One batch.
    pub fn turn(&mut self, stage: &mut Stage, auditor: &mut Auditor) -> Checked {
        self.turn_planned = false;
        let now = stage.utc(self.skew_ms);
        self.latest = self.latest.max(now);
        let Some(store) = &mut self.store else { return Ok(()) };
        let (mut decided, mut questions) = (Vec::new(), Vec::new());
        let mut told: Vec<(types::ClientId, Notification)> = Vec::new();
        for packet in std::mem::take(&mut self.queue) {
            let command = match &packet.body {
                Body::Charge(request) => Command::Charge(request.clone()),
                Body::Operate(command) => (**command).clone(),
                Body::Confirm(through) => match self.names.get(packet.client) {
                    Some(client_id) => {
                        Command::ConfirmNotifications { client_id: client_id.clone(), through: *through }
                    }
                    None => continue,
                },
                Body::Sessions | Body::Session(_) => {
                    questions.push(packet);
                    continue;
                }
            };
            let decision = store.decide(&*self.pricing, &self.settings, &command, now);
            let decision = decision.map_err(|error| format!("the log did not take a decision: {error}"))?;
            told.extend(decision.changes.iter().filter_map(told_to));
            decided.push(Decided { packet, outcome: decision.outcome });
        }
        let mut swept = Vec::new();
        while store.books().next_deadline().is_some_and(|deadline| deadline <= now) || stage.dice.per_mille(20) {
            let decision = store.decide(&*self.pricing, &self.settings, &Command::Expire, now);
            let decision = decision.map_err(|error| format!("the log did not take an expiry: {error}"))?;
            told.extend(decision.changes.iter().filter_map(told_to));
            match decision.outcome {
                Outcome::Swept { expired: Some(session), .. } => swept.push(session),
                _ => break,
            }
        }
        match store.commit() {
            Ok(true) => {}
            Ok(false) => {
                stage.tell(|| format!("the core's disk is full: {} requests are not taken", decided.len()));
                self.turn_planned = true;
                stage.after(500, Event::Turn);
                return Ok(());
            }
            Err(error) => {
                stage.tell(|| format!("the core dies in a commit of {}: {error:?}", decided.len()));
                let bodies = decided.iter().map(|decided| &decided.packet.body);
                return self.die(stage, auditor, bodies.cloned().collect());
            }
        }
        self.told(stage, auditor, now, &decided, &swept)?;
        self.answers(stage, decided, questions);
        self.push(stage, told);
        self.look_ahead(stage, now);
        Ok(())
    }

    /// The auditor sees what is about to be answered, in the order in which it was decided.
    fn told(
        &mut self,
        stage: &mut Stage,
        auditor: &mut Auditor,
        now: UtcMs,
        decided: &[Decided],
        swept: &[types::SessionId],
    ) -> Checked {
        let Some(store) = &self.store else { return Ok(()) };
        for Decided { packet, outcome } in decided {
            match (&packet.body, outcome) {
                (Body::Charge(request), Outcome::Charged(charged)) => {
                    stage.tell(|| line(request, &charged.answer));
                    auditor.charged(request, &charged.answer, now)?;
                }
                (Body::Operate(command), outcome) => {
                    stage.tell(|| format!("{command:?} -> {outcome:?}"));
                    auditor.operated(command, outcome)?;
                }
                _ => {}
            }
        }
        for session in swept {
            let summary = store.books().session(session).ok_or("an expired session is not there")?;
            stage.tell(|| format!("{session} expires: {:?}", summary.cost));
            auditor.swept(&summary, &store.books().drawn(session), now)?;
        }
        let mut asked = auditor.resolved();
        asked.extend(auditor.maybe_expired(now));
        for session in asked {
            // Settled by the process before, which told nobody that it was open.
            let summary = store.books().session(&session).ok_or_else(|| format!("session {session} is lost"))?;
            auditor.session_says(&summary, &store.books().drawn(&session), now)?;
        }
        auditor.nothing_is_overdue(now)?;
        for account in auditor.touched() {
            let view = store.books().account(&account).ok_or_else(|| format!("account {account:?} is not there"))?;
            auditor.account_says(&view)?;
        }
        Ok(())
    }

    fn answers(&mut self, stage: &mut Stage, decided: Vec<Decided>, questions: Vec<Packet>) {
        for Decided { packet, outcome } in decided {
            let reply = match outcome {
                Outcome::Charged(charged) => Reply::Charged(Box::new(Arc::unwrap_or_clone(charged.answer))),
                _ => Reply::Operated,
            };
            stage.answer(&packet, reply);
        }
        let Some(store) = &self.store else { return };
        for packet in questions {
            let reply = match (&packet.body, self.names.get(packet.client)) {
                (Body::Sessions, Some(client)) => Reply::Sessions(store.books().sessions_of(client)),
                (Body::Session(session), _) => Reply::Session(store.books().session(session).map(Box::new)),
                _ => continue,
            };
            stage.answer(&packet, reply);
        }
    }

    /// Notifications as they are made.
    fn push(&self, stage: &mut Stage, told: Vec<(types::ClientId, Notification)>) {
        for (client_id, notification) in told {
            if let Some(client) = self.names.iter().position(|name| *name == client_id) {
                let packet = Packet { client, life: ANY_LIFE, attempt: 0, body: Body::Sessions };
                stage.answer(&packet, Reply::Notices(vec![notification]));
            }
        }
    }

    /// All that is not confirmed, as after a new subscription.
    pub fn remind(&mut self, stage: &mut Stage) {
        let Some(store) = &self.store else { return };
        for (client, name) in self.names.iter().enumerate() {
            let pending = store.books().notifications(name);
            if !pending.is_empty() {
                let packet = Packet { client, life: ANY_LIFE, attempt: 0, body: Body::Sessions };
                stage.answer(&packet, Reply::Notices(pending));
            }
        }
    }

    /// The next turn: when something expires, and a snapshot when one is due.
    fn look_ahead(&mut self, stage: &mut Stage, now: UtcMs) {
        let Some(store) = &self.store else { return };
        if self.is_snapshot_due() {
            stage.after(1, Event::Snapshot);
        }
        if let Some(deadline) = store.books().next_deadline() {
            // Clocks jump: it looks again soon.
            let wait_ms = deadline.since(now).clamp(1, 1_000);
            if !std::mem::replace(&mut self.turn_planned, true) {
                stage.after(wait_ms, Event::Turn);
            }
        }
    }

    fn is_snapshot_due(&self) -> bool {
        let (records, percent) = (self.snapshot_records, self.snapshot_log_percent);
        self.store.as_ref().is_some_and(|store| store.is_snapshot_due(records, percent))
    }

    pub fn snapshot(&mut self, stage: &mut Stage, auditor: &mut Auditor) -> Checked {
        if !self.is_snapshot_due() {
            return Ok(());
        }
        let Some(store) = &mut self.store else { return Ok(()) };
        self.snapshots += 1;
        match store.snapshot() {
            Ok(()) => Ok(()),
            Err(CoreError::Store(segment_log::Error::NoSpace { .. })) => Ok(()),
            Err(error) => {
                stage.tell(|| format!("the core dies in a snapshot: {error:?}"));
                self.die(stage, auditor, Vec::new())
            }
        }
    }

    /// kill -9, or the power is gone; what was decided and not told may or may not be on the disk.
    pub fn die(&mut self, stage: &mut Stage, auditor: &mut Auditor, undecided: Vec<Body>) -> Checked {
        self.store = None;
        self.queue.clear();
        self.crashes += 1;
        for body in undecided {
            match body {
                Body::Charge(request) => auditor.fate_unknown(&Command::Charge(request)),
                Body::Operate(command) => {
                    auditor.fate_unknown(&command);
                    if let Command::Debit(_) = &*command {
                        // What is refused is not kept under its key. So a late copy may have been taken, and nobody would ask.
                        stage.after(0, Event::Unsure(command));
                    }
                }
                _ => {}
            }
        }
        let crash = a_crash(stage);
        stage.tell(|| format!("the core's disk: {crash:?}"));
        self.disk.crash(crash);
        if stage.plan.reserves {
            self.disk.set_capacity(None);
        } else {
            self.disk.set_capacity(Some(ROOM));
        }
        let away_ms = if stage.dice.per_mille(100) { stage.roll(30_000, 300_000) } else { stage.roll(20, 8_000) };
        stage.after(away_ms, Event::CoreUp);
        Ok(())
    }

    /// Recovers through the product's own code; now and then it dies in the middle of that, too.
    pub fn start(&mut self, stage: &mut Stage, auditor: &mut Auditor) -> Checked {
        if self.store.is_some() {
            return Ok(());
        }
        let dies = stage.mishap(150);
        if dies {
            let point = stage.roll(0, 12);
            self.disk.crash_at(usize::try_from(point).unwrap_or(0));
        }
        match DurableBooks::open(Arc::new(self.disk.clone()), self.segment_bytes) {
            Ok(store) => self.store = Some(store),
            Err(_) if dies => return self.die(stage, auditor, Vec::new()),
            Err(error) => return Err(format!("the core does not recover: {error:?}")),
        }
        let now = stage.utc(self.skew_ms);
        stage.tell(|| "the core has recovered".to_owned());
        self.compare_all(auditor, now)?;
        self.plan_turn(stage, 100);
        Ok(())
    }

    /// What the core says about everything after a recovery.
    pub fn compare_all(&self, auditor: &mut Auditor, now: UtcMs) -> Checked {
        let Some(store) = &self.store else { return Ok(()) };
        let now = now.max(self.latest);
        for session in auditor.maybe_expired(now) {
            let summary = store.books().session(&session);
            let summary = summary.ok_or_else(|| format!("session {session} is lost"))?;
            auditor.session_says(&summary, &store.books().drawn(&session), now)?;
        }
        for account in auditor.all_accounts() {
            let view = store.books().account(&account).ok_or_else(|| format!("account {account:?} is lost"))?;
            auditor.account_says(&view)?;
        }
        Ok(())
    }

    /// What a crash right now would leave: on a copy of the disk everything answered must be there, opening it twice must give
    /// the same, and asking any of the past again must change nothing.
    pub fn look(&mut self, stage: &mut Stage, auditor: &Auditor) -> Checked {
        let Some(store) = &self.store else { return Ok(()) };
        let disk = self.disk.fork();
        disk.crash(a_crash(stage));
        if disk.content("books.previous").is_some() && stage.dice.per_mille(300) {
            // A disk that has damaged the newest snapshot: the one before it and the log are enough.
            let offset = usize::try_from(stage.roll(20, 60)).unwrap_or(0);
            let damaged = disk.flip("books", offset, 1);
            stage.tell(|| format!("a copy of the disk has a damaged snapshot: {damaged}"));
        }
        let open = || {
            let opened = DurableBooks::open(Arc::new(disk.clone()), self.segment_bytes);
            opened.map_err(|error| format!("a copy of the disk: {error:?}"))
        };
        let first = open()?.books().clone();
        let mut second = open()?;
        if first != *second.books() {
            return Err("opening the same disk twice gives different books".to_owned());
        }
        if first != *store.books() {
            return Err("what is durable is not what the core answers from".to_owned());
        }
        first.check().map_err(|imbalance| format!("the books do not agree with themselves: {imbalance}"))?;
        let now = stage.utc(self.skew_ms);
        for (request, answer) in auditor.some_of_the_past(&mut stage.dice, 40) {
            let copy = ChargingRequest { retransmission: true, ..request.clone() };
            let decision = second.decide(&*self.pricing, &self.settings, &Command::Charge(Box::new(copy)), now);
            let decision = decision.map_err(|error| format!("a copy of the log: {error}"))?;
            let Outcome::Charged(charged) = decision.outcome else { continue };
            auditor.is_the_answer(request, answer, &charged.answer, now)?;
            if !decision.changes.is_empty() {
                return Err(format!("{} {} again changes something", request.session_id, request.request_number));
            }
        }
        Ok(())
    }

    /// The next but so many changes on the disk is the last.
    pub fn doom(&mut self, stage: &mut Stage, auditor: &mut Auditor) -> Checked {
        if self.store.is_none() {
            return Ok(());
        }
        if stage.dice.per_mille(250) {
            stage.tell(|| "the core is killed between two batches".to_owned());
            return self.die(stage, auditor, Vec::new());
        }
        if stage.dice.per_mille(150) {
            self.disk.fail_nth(segment_log::Operation::Sync, 1, segment_log::fault::Failure::Io);
            return Ok(());
        }
        let point = stage.roll(0, 14);
        self.disk.crash_at(usize::try_from(point).unwrap_or(0));
        Ok(())
    }

    pub fn fill_disk(&mut self, full: bool) {
        if self.store.is_none() {
            return;
        }
        let room = if full { self.disk.used() } else { ROOM };
        self.disk.set_capacity(Some(room));
    }
}

/// Any of the ways to lose what was not synced.
pub(crate) fn a_crash(stage: &mut Stage) -> Crash {
    match stage.roll(0, 3) {
        0 => Crash::KeepUnsynced,
        1 => Crash::DropUnsynced,
        2 => {
            let most = if stage.dice.per_mille(500) { 300 } else { 20_000 };
            Crash::Torn { bytes: usize::try_from(stage.roll(0, most)).unwrap_or(0) }
        }
        _ => {
            let sector_bytes = [16, 64, 512, 4096][usize::try_from(stage.roll(0, 3)).unwrap_or(0)];
            Crash::Scattered { seed: stage.dice.throw(), sector_bytes }
        }
    }
}

fn told_to(change: &Change) -> Option<(types::ClientId, Notification)> {
    match change {
        Change::Notified { client_id, notification } => Some((client_id.clone(), notification.clone())),
        _ => None,
    }
}

fn line(request: &ChargingRequest, answer: &ChargingAnswer) -> String {
    let used = request.units.iter().map(|unit| {
        let used: u64 = unit.used.iter().map(|used| super::auditor::amount(request.service, &used.units)).sum();
        let asked = unit.requested.as_ref().map(|units| super::auditor::amount(request.service, units));
        format!("{}: +{used} ask {asked:?}", unit.rating_group)
    });
    let told = answer.units.iter().map(|unit| {
        let granted = unit.granted.as_ref().map(|units| super::auditor::amount(request.service, units));
        let last = if unit.final_unit.is_some() { " last" } else { "" };
        format!("{} {} grant {granted:?}{last}", unit.rating_group, unit.result_code.0)
    });
    format!(
        "{} {} {:?} {} [{}] -> {} [{}] cost {} remaining {:?}",
        request.session_id,
        request.request_number,
        request.operation,
        request.release_cause.map_or("", types::ReleaseCause::as_str),
        used.collect::<Vec<_>>().join(", "),
        answer.result_code.0,
        told.collect::<Vec<_>>().join(", "),
        answer.cost.map_or_else(|| "-".to_owned(), |cost| cost.amount.to_string()),
        answer.remaining_balance.map(|money| money.to_string()),
    )
}

/// Less than a segment, so that files are not reserved as a whole.
const ROOM: usize = 60 * 1024 * 1024;
/// Not for one life of a client only.
pub(crate) const ANY_LIFE: u32 = u32::MAX;
