//! From an input to a machine, and from its effects to the world.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use agent_call::{Alarm, Snapshot, Timer};
use cdr_model::{CallRecord, RecordType};
use charging_client::{AwaitedAnswer, ChargingFailure, FailureCause};
use metrics::histogram;
use tokio::time::Instant;
use tracing::{Instrument, debug_span, info_span};
use types::UtcMs;
use types::charging::{ChargingAnswer, ChargingRequest, FailureHandling};

use super::*;

/// What became of a request.
#[derive(Debug)]
pub(super) struct Charged {
    key: CallKey,
    request_number: u32,
    operation: Operation,
    sent: Instant,
    result: Result<ChargingAnswer, ChargingFailure>,
    /// An INITIAL whose time is over: its answer may still be waited for.
    late: Option<AwaitedAnswer>,
}

impl CallDriver {
    /// False: the machine panicked, and there is no call.
    pub(super) fn create(&mut self, session_id: SessionId, make: impl FnOnce(&mut Vec<Effect>) -> CallMachine) -> bool {
        let mut effects = std::mem::take(&mut self.effects);
        let machine = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            assert!(!std::mem::take(&mut self.next_panics), "the bug that the test asked for");
            make(&mut effects)
        }));
        let Ok(machine) = machine else {
            error!(switch = %self.switch, %session_id, "a new call's machine panicked: there is no such call");
            counter!(names::ALARMS, "switch" => self.label(), "alarm" => "machine_panicked").increment(1);
            return false;
        };
        let span = info_span!("call", switch = %self.switch, session_id = %session_id, call_id = %machine.call_offer().call_id);
        let key = CallKey(self.next_key);
        self.next_key += 1;
        let refused = self.owed.remove(&session_id).unwrap_or_default();
        self.by_session.insert(session_id, key);
        let slot = Slot {
            machine,
            parties: None,
            records_under_way: 0,
            refused,
            held: None,
            finished: false,
            span,
            #[cfg(test)]
            panics: false,
        };
        self.calls.insert(key, slot);
        self.carry_out(key, &mut effects);
        self.effects = effects;
        true
    }

    pub(super) fn accept(&mut self, key: CallKey, input: Input) {
        let now = self.clock.now();
        let mut effects = std::mem::take(&mut self.effects);
        let Some(slot) = self.calls.get_mut(&key) else { return };
        let entered = slot.span.clone().entered();
        let lateness = slot.machine.cut_due_mono().filter(|_| matches!(input, Input::Timer(Timer::Quota)));
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            assert!(!slot.panics, "the bug that the test asked for");
            slot.machine.accept(now, input, &mut effects);
        }));
        if outcome.is_ok() {
            if let Some(due) = lateness.filter(|_| effects.iter().any(is_release)) {
                histogram!(names::CUT_LATENESS_SECONDS, "switch" => self.label())
                    .record(Duration::from_millis(now.mono.since(due)));
            }
            self.carry_out(key, &mut effects);
            drop(entered);
        } else {
            drop(entered);
            effects.clear();
            self.machine_panicked(key);
        }
        self.effects = effects;
    }

    /// A bug in the machine costs one call its memory, not the others their agent: it is loaded again from the core.
    fn machine_panicked(&mut self, key: CallKey) {
        let Some(slot) = self.calls.remove(&key) else { return };
        let session_id = slot.machine.session_id().clone();
        error!(switch = %self.switch, %session_id, "a call's machine panicked: the call is loaded again from the core");
        counter!(names::ALARMS, "switch" => self.label(), "alarm" => "machine_panicked").increment(1);
        self.by_session.remove(&session_id);
        self.timers.cancel_all(key);
        if let Some(answered) = slot.machine.answered_at() {
            self.proven_before.insert(session_id.clone(), Proof { answered, proven_ms: slot.machine.proven_ms() });
        }
        self.owe(session_id.clone(), slot.refused);
        self.reload(session_id);
    }

    fn carry_out(&mut self, key: CallKey, effects: &mut Vec<Effect>) {
        let mut silent = false;
        for effect in effects.drain(..) {
            match effect {
                Effect::Charge { mut request, snapshot } => {
                    if let Some(snapshot) = snapshot {
                        // A snapshot is plain data; should it not encode, the core keeps the older one.
                        let mut state = Vec::with_capacity(STATE_BYTES);
                        if serde_json::to_writer(&mut state, &snapshot).is_ok() {
                            request.client_state = state;
                        }
                    }
                    self.charge(key, *request);
                }
                Effect::Keep(snapshot) => self.keep(key, &snapshot),
                Effect::Record(record) => self.record(key, record),
                Effect::Command(command) => self.command(key, command),
                Effect::SetTimer(timer, at) => self.timers.set(key, timer, at),
                Effect::CancelTimer(timer) => self.timers.cancel(key, timer),
                Effect::Alarm(alarm) => self.alarm(alarm),
                Effect::CoreSilent => silent = true,
                Effect::Finished => {
                    if let Some(slot) = self.calls.get_mut(&key) {
                        slot.finished = true;
                    }
                }
            }
        }
        self.retire(key);
        if silent {
            self.go_on_without_core(key);
        }
    }

    /// Lets a finished call go once its records are durable.
    fn retire(&mut self, key: CallKey) {
        let done = self.calls.get(&key).is_some_and(|slot| slot.finished && slot.records_under_way == 0);
        if !done {
            return;
        }
        let Some(slot) = self.calls.remove(&key) else { return };
        let session_id = slot.machine.session_id().clone();
        self.by_session.remove(&session_id);
        self.timers.cancel_all(key);
        self.notices.finished(&session_id);
        self.confirm();
        self.proven_before.remove(&session_id);
        if slot.refused.is_empty() {
            // Charged, and its records are durable.
            self.charging.settled(&session_id);
        }
        if !slot.refused.is_empty() {
            self.owe(session_id.clone(), slot.refused);
            // Not acknowledged: the switch keeps the end and sends it again when it is asked to.
            self.ends_owed = true;
            error!(switch = %self.switch, %session_id, "a record was not taken: the switch keeps the call's end");
        } else {
            self.recent.insert(session_id.clone());
            self.orders.push_back(Order::Finished(session_id));
        }
    }

    fn charge(&mut self, key: CallKey, request: ChargingRequest) {
        let (request_number, operation) = (request.request_number, request.operation);
        let deadline = (operation == Operation::Initial).then_some(self.authorise_timeout);
        let sent = Instant::now();
        let span = debug_span!("charge", request_number, operation = ?operation);
        // Into the queue of the session here, in the order of the machine; only the waiting is a task.
        let submitted = self.charging.submit(request);
        let waiting = async move {
            let (result, late) = match submitted {
                Ok(awaited) => wait_for(awaited, deadline).await,
                Err(failure) => (Err(failure), None),
            };
            Charged { key, request_number, operation, sent, result, late }
        };
        self.charges.spawn(waiting.instrument(span));
    }

    /// The answer of a call that was let through without it.
    fn wait_on(
        &mut self,
        key: CallKey,
        request_number: u32,
        operation: Operation,
        sent: Instant,
        awaited: AwaitedAnswer,
    ) {
        let waiting = async move {
            let (result, late) = wait_for(awaited, None).await;
            Charged { key, request_number, operation, sent, result, late }
        };
        self.charges.spawn(waiting.in_current_span());
    }

    /// The core is silent: how long may this call go on? 0: not at all.
    fn longest_without_core_ms(&self, key: CallKey) -> DurationMs {
        let Some(slot) = self.calls.get(&key) else { return 0 };
        let machines = self.calls.values().map(|slot| &slot.machine);
        self.continuing.longest_call_ms(&slot.machine, machines, self.clock.now().mono)
    }

    fn go_on_without_core(&mut self, key: CallKey) {
        let longest_ms = self.longest_without_core_ms(key);
        if longest_ms > 0 {
            counter!(names::CALLS_CONTINUED, "switch" => self.label()).increment(1);
            warn!(switch = %self.switch, longest_ms, "the charging core does not answer: a call goes on without it");
            self.accept(key, Input::Continue { longest_ms });
        }
    }

    pub(super) fn charged(&mut self, joined: Result<Charged, tokio::task::JoinError>) {
        let charged = match joined {
            Ok(charged) => charged,
            Err(error) => {
                error!(switch = %self.switch, %error, "a charging task died; its call is cut at the end of its grant");
                return;
            }
        };
        self.figures.charge_seconds(charged.operation).record(charged.sent.elapsed());
        match charged.result {
            Ok(answer) => {
                self.figures.answer(answer.result_code);
                let pending = answer.notifications.clone();
                if let Some(slot) = self.calls.get(&charged.key) {
                    self.continuing.call_answered(slot.machine.call_offer(), &answer, self.clock.now().mono);
                }
                self.accept(charged.key, Input::Charged(Box::new(answer)));
                for notification in pending {
                    self.notified(&notification);
                }
            }
            Err(failure) => {
                counter!(names::CHARGE_FAILURES, "switch" => self.label()).increment(1);
                let number = charged.request_number;
                let operation = figures::word(charged.operation);
                warn!(switch = %self.switch, operation, number, error = &failure as &dyn std::error::Error, "the charging core was not reached");
                let may_go_on = self.settings.on_core_failure == FailureHandling::Continue;
                if let Some(awaited) = charged.late.filter(|_| may_go_on) {
                    self.go_on_without_core(charged.key);
                    if self.calls.get(&charged.key).is_some_and(|slot| slot.machine.is_continued()) {
                        return self.wait_on(charged.key, number, charged.operation, charged.sent, awaited);
                    }
                }
                self.accept(charged.key, Input::ChargingFailed { request_number: number });
            }
        }
    }

    /// The records that follow wait until the outbox has this.
    fn keep(&mut self, key: CallKey, snapshot: &Snapshot) {
        let Some(slot) = self.calls.get_mut(&key) else { return };
        // Plain data, as for a request; should it not encode, the records are better than none.
        let Ok(state) = serde_json::to_vec(snapshot) else { return };
        slot.held.get_or_insert_default();
        slot.records_under_way += 1;
        let done = self.records_done.0.clone();
        let kept = move || done.send(RecordDone { key, kept: true, failure: None }).unwrap_or_default();
        self.charging.amend(slot.machine.session_id(), state, kept);
    }

    fn record(&mut self, key: CallKey, mut record: Box<CallRecord>) {
        if record.reconstructed {
            counter!(names::RECONSTRUCTED, "switch" => self.label()).increment(1);
        }
        if let Some(overrun_ms) = record.overrun_ms {
            counter!(names::OVERRUN_SECONDS, "switch" => self.label()).increment(overrun_ms.div_ceil(1000));
        }
        if let (RecordType::Start, Some(answered)) = (record.record_type, record.answer_time) {
            self.log_answer(&record.session_id, answered);
        }
        let Some(slot) = self.calls.get_mut(&key) else { return };
        let known = &mut self.known_numbers;
        slot.parties.get_or_insert_with(|| Box::new(known.parties(&record))).describe(&mut record);
        match &mut slot.held {
            Some(held) => held.push(Arc::from(record)),
            None => self.append_all(key, vec![Arc::from(record)]),
        }
    }

    /// Behind those that the journal refused.
    fn append_all(&mut self, key: CallKey, records: Vec<Arc<CallRecord>>) {
        let Some(slot) = self.calls.get_mut(&key) else { return };
        let refused = std::mem::take(&mut slot.refused);
        for record in refused.into_iter().chain(records) {
            self.append(key, record);
        }
    }

    fn append(&mut self, key: CallKey, record: Arc<CallRecord>) {
        let Some(slot) = self.calls.get_mut(&key) else { return };
        slot.records_under_way += 1;
        let (done, kept) = (self.records_done.0.clone(), Arc::clone(&record));
        let taken = self.journal.append(&record, move |result| {
            let failure = result.err().map(|error| (error.to_string(), kept));
            // The driver is gone only when the process ends.
            done.send(RecordDone { key, kept: false, failure }).unwrap_or_default();
        });
        if let Err(error) = taken {
            self.record_refused(key, &error.to_string(), record);
        }
    }

    fn record_refused(&mut self, key: CallKey, reason: &str, record: Arc<CallRecord>) {
        let Some(slot) = self.calls.get_mut(&key) else { return };
        slot.records_under_way = slot.records_under_way.saturating_sub(1);
        slot.refused.push(record);
        counter!(names::RECORD_FAILURES, "switch" => self.label()).increment(1);
        error!(switch = %self.switch, reason, "the journal did not take a record");
    }

    /// Records of a call that is let go; the START is written by nobody else when its end comes again.
    fn owe(&mut self, session_id: SessionId, refused: Vec<Arc<CallRecord>>) {
        if !refused.is_empty() && self.owed.len() < OWED {
            self.owed.insert(session_id, refused);
        }
    }

    /// The core hears of an answer only with the first UPDATE.
    fn log_answer(&self, session_id: &SessionId, answered: UtcMs) {
        let Some(call_log) = &self.call_log else { return };
        let switch = Arc::clone(&self.switch);
        let failed = move |reason| warn!(switch = %switch, reason, "an answer was not written");
        if let Err(error) = call_log.answered(session_id, answered, failed) {
            warn!(switch = %self.switch, error = &error as &dyn std::error::Error, "an answer was not written");
        }
    }

    pub(super) fn record_done(&mut self, done: RecordDone) {
        match done.failure {
            Some((reason, record)) => self.record_refused(done.key, &reason, record),
            None => {
                let Some(slot) = self.calls.get_mut(&done.key) else { return };
                slot.records_under_way = slot.records_under_way.saturating_sub(1);
                let held = if done.kept { slot.held.take() } else { None };
                if let Some(held) = held {
                    self.append_all(done.key, held);
                }
            }
        }
        self.retire(done.key);
    }

    fn command(&mut self, key: CallKey, command: Command) {
        let Some(slot) = self.calls.get(&key) else { return };
        let session_id = slot.machine.session_id().clone();
        match command {
            Command::Admit { granted_ms } => {
                self.figures.calls_admitted.increment(1);
                info!(granted_ms, "call admitted");
            }
            Command::Refuse(cause) => {
                counter!(names::CALLS_REFUSED, "switch" => self.label(), "cause" => cause.as_str()).increment(1);
                info!(cause = cause.as_str(), sip_status = cause.sip_status(), "call refused");
            }
            Command::Release { cause, attempt: 1 } => {
                counter!(names::CALLS_RELEASED, "switch" => self.label(), "cause" => cause.as_str()).increment(1);
                info!(cause = cause.as_str(), "ending the call");
            }
            Command::WarnLowBalance { remaining_ms } => {
                counter!(names::LOW_BALANCE, "switch" => self.label()).increment(1);
                info!(remaining_ms, "low balance");
            }
            Command::Release { .. } | Command::MoveBackstop { .. } => {}
        }
        self.orders.push_back(Order::Command(session_id, command));
    }

    fn alarm(&self, alarm: Alarm) {
        let name = match alarm {
            Alarm::Overrun { .. } => "overrun",
            Alarm::ReleaseUnconfirmed { .. } => "release_unconfirmed",
            Alarm::Uncharged => "uncharged",
            Alarm::SessionLost => "session_lost",
            Alarm::ClockAnomaly { .. } => "clock_anomaly",
        };
        counter!(names::ALARMS, "switch" => self.label(), "alarm" => name).increment(1);
        error!(switch = %self.switch, ?alarm, "alarm");
    }
}

/// An INITIAL is waited for as long as the switch waits; everything else until it is answered.
async fn wait_for(
    mut awaited: AwaitedAnswer,
    deadline: Option<Duration>,
) -> (Result<ChargingAnswer, ChargingFailure>, Option<AwaitedAnswer>) {
    loop {
        let answered = awaited.within(deadline.unwrap_or(FOR_EVER)).await;
        let timed_out = matches!(&answered, Err(failure) if matches!(failure.cause(), FailureCause::Deadline { .. }));
        if deadline.is_some() || !timed_out {
            return (answered, timed_out.then_some(awaited));
        }
    }
}

fn is_release(effect: &Effect) -> bool {
    matches!(effect, Effect::Command(Command::Release { attempt: 1, .. }))
}

/// Ended calls whose records are kept for the next try; beyond that the START of a call may be missing.
const OWED: usize = 20_000;
/// What a snapshot takes as a rule.
const STATE_BYTES: usize = 1_536;
/// Longer than any call.
const FOR_EVER: Duration = Duration::from_secs(7 * 86_400);
