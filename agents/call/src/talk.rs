//! From the answer to the end: quota, cuts, INTERIM records, proof of life.

use types::charging::{ChargingAnswer, Operation, ReportingReason, ResultCode};
use types::{LegId, Now, ReleaseCause};

use crate::authorise::{granted_ms, is_last, outcome};
use crate::effect::{Alarm, Command, Effect, Timer};
use crate::event::Answer;
use crate::machine::{CallMachine, Grant, Phase, Release};
use crate::meter::Meter;
use crate::settings::HoldCharging;
use crate::without_core::CONTINUE_LEAD_MS;

impl CallMachine {
    pub(crate) fn answered(&mut self, answer: Answer, now: Now, effects: &mut Vec<Effect>) {
        if self.meter.is_some() || !matches!(self.phase, Phase::Authorising | Phase::Ringing) {
            self.alive(answer, now, effects);
            return;
        }
        self.connected = true;
        self.meter = Some(Meter::start(answer, now.mono));
        self.requests.snapshot_stale = true;
        self.start_record(answer.at, effects);
        effects.push(Effect::CancelTimer(Timer::Ring));
        self.start_timers(now, effects);
        if self.phase == Phase::Ringing {
            self.phase = Phase::Talking;
            // Armed at the answer already; a fresh one needs no correction by milliseconds.
            if answer.elapsed_ms >= LATE_ANSWER_MS {
                self.move_backstop(now, effects);
            }
            self.go_on(now, effects);
        }
        if let Some(release) = self.release.take() {
            self.release_wanted(release.cause, now, effects);
        }
    }

    /// Alerting; after a break also its end: the ring timer and a release go on.
    pub(crate) fn ringing(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Ringing || std::mem::replace(&mut self.connected, true) || !self.is_charged() {
            return;
        }
        effects.push(Effect::SetTimer(Timer::Ring, now.mono.plus(self.settings.maximum_ring_ms)));
        if let Some(release) = self.release.take() {
            self.release_wanted(release.cause, now, effects);
        } else if let Some(cause) = self.never_granted() {
            // Should it ring already, without the core, and be answered, it is ended then.
            self.command(Command::Refuse(cause), effects);
        }
    }

    /// Proof of life; after a break also the end of it.
    pub(crate) fn alive(&mut self, answer: Answer, now: Now, effects: &mut Vec<Effect>) {
        let Some(meter) = &mut self.meter else {
            if self.phase == Phase::Ringing {
                self.answered(answer, now, effects);
            }
            return;
        };
        if self.end.is_some() || self.phase == Phase::Refused {
            return;
        }
        meter.prove(answer, now.mono);
        if std::mem::replace(&mut self.connected, true) {
            return;
        }
        if !self.records.started {
            self.start_record(answer.at, effects);
        }
        self.start_timers(now, effects);
        match self.release.take() {
            Some(release) => self.release_wanted(release.cause, now, effects),
            None if self.phase == Phase::Talking && self.has_outlived_its_grant(now) => self.take_up(now, effects),
            None if self.phase == Phase::Talking => {
                self.move_backstop(now, effects);
                self.go_on(now, effects);
            }
            None => {}
        }
    }

    /// Meets a REAUTHORIZE that had to wait, and sets the quota timer.
    pub(crate) fn go_on(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let free = self.connected && self.requests.in_flight.is_none() && self.release.is_none();
        if free && std::mem::take(&mut self.requests.reauthorize) {
            self.update(ReportingReason::ForcedReauthorisation, now, effects);
        }
        self.schedule(now, effects);
    }

    /// The timers that run while people talk, whatever the credit.
    fn start_timers(&self, now: Now, effects: &mut Vec<Effect>) {
        let longest = self.meter.and_then(|meter| meter.when(self.settings.maximum_call_ms));
        if let Some(due) = longest.filter(|_| self.is_charged()) {
            effects.push(Effect::SetTimer(Timer::MaximumCall, due.max(now.mono)));
        }
        if self.settings.interim_ms > 0 {
            effects.push(Effect::SetTimer(Timer::Interim, now.mono.plus(self.settings.interim_ms)));
        }
    }

    /// The answer to an UPDATE.
    pub(crate) fn update_answered(&mut self, answer: &ChargingAnswer, now: Now, effects: &mut Vec<Effect>) {
        self.requests.in_flight = None;
        let continued = std::mem::take(&mut self.grant.continued);
        self.asked_to_continue = false;
        self.cost = answer.cost.or(self.cost);
        if let Some(unit) = answer.units.first().filter(|_| answer.result_code.is_success()) {
            self.billable_ms = unit.billable;
        }
        if outcome(answer) == ResultCode::UNKNOWN_SESSION {
            self.alarm(Alarm::SessionLost, effects);
        }
        match granted_ms(answer) {
            // Nothing more: what was granted before still stands, and ends where it ended.
            0 => {
                self.grant.last = true;
                let code = outcome(answer);
                let cause = || answer.release_cause.unwrap_or_else(|| ReleaseCause::from_result_code(code));
                self.grant.denied = (!code.is_success()).then(cause);
                if continued {
                    // It was the agent's word, and the core does not stand for it.
                    self.grant.reach_ms = self.grant.reach_ms.min(self.talked_ms(now));
                }
            }
            granted => {
                let reach_ms = self.requests.reported_ms.saturating_add(granted);
                // Not while the switch is away: the call may be over since.
                if continued && self.connected && !is_last(answer) && self.talked_ms(now) >= reach_ms {
                    return self.catch_up(now, effects);
                }
                let moved = reach_ms != self.grant.reach_ms;
                // A rule, not the credit, may have made it the last one.
                self.grant =
                    Grant { reach_ms, last: is_last(answer), denied: answer.release_cause, ..Grant::default() };
                if moved {
                    self.move_backstop(now, effects);
                }
            }
        }
        if self.grant.last && answer.low_balance && !self.warned && self.release.is_none() {
            self.warned = true;
            self.requests.snapshot_stale = true;
            let remaining_ms = self.remaining_ms(now);
            self.command(Command::WarnLowBalance { remaining_ms }, effects);
        }
        if !self.grant.last {
            self.warned = false;
        }
        self.go_on(now, effects);
    }

    pub(crate) fn reauthorize(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.requests.reauthorize = self.is_charged();
        if self.phase == Phase::Talking && self.requests.in_flight.is_none() {
            self.go_on(now, effects);
        }
    }

    pub(crate) fn quota_due(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Talking || self.release.is_some() || !self.connected || !self.is_charged() {
            return;
        }
        let Some(talked_ms) = self.meter.and_then(|meter| meter.talked(now.mono)) else { return };
        if self.may_continue() && talked_ms.saturating_add(CONTINUE_LEAD_MS) >= self.grant.reach_ms {
            self.asked_to_continue = true;
            effects.push(Effect::CoreSilent);
            self.schedule(now, effects);
        } else if talked_ms >= self.grant.reach_ms {
            // An open request, or none while more could be had, means that the core did not say no: it could not be
            // asked, or we had lost the switch while there was time to.
            let unasked = self.requests.in_flight.is_some() || !self.grant.last;
            let answered = self.grant.denied.unwrap_or(ReleaseCause::CreditExhausted);
            let cause = if unasked { ReleaseCause::ChargingUnavailable } else { answered };
            self.release_wanted(cause, now, effects);
        } else {
            if self.may_ask() && talked_ms >= self.margin_at() {
                self.update(ReportingReason::Threshold, now, effects);
            }
            self.schedule(now, effects);
        }
    }

    /// Reports what was talked and asks for the next slice.
    pub(crate) fn update(&mut self, reason: ReportingReason, now: Now, effects: &mut Vec<Effect>) {
        let Some(meter) = self.meter else { return };
        let Some(talked_ms) = meter.talked(now.mono) else { return };
        let reportable_ms = match reason {
            ReportingReason::Threshold if !self.grant.continued => self.margin_at().max(whole_seconds(meter.proven_ms)),
            _ => whole_seconds(talked_ms),
        };
        let used_ms = reportable_ms.min(talked_ms).saturating_sub(self.requests.reported_ms);
        let asked_ms = self.settings.slice_ms;
        effects.push(self.request(Operation::Update, now, Some((used_ms, reason)), Some(asked_ms)));
    }

    /// Sets the timer for the next thing the grant asks for: the report at the margin, or the cut.
    pub(crate) fn schedule(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let running = self.phase == Phase::Talking && self.connected && self.release.is_none() && self.end.is_none();
        let (true, true, Some(meter)) = (running, self.is_charged(), self.meter) else { return };
        let target_ms = match (self.may_ask(), self.may_continue()) {
            (true, _) => self.margin_at(),
            (_, true) => self.grant.reach_ms.saturating_sub(CONTINUE_LEAD_MS),
            _ => self.grant.reach_ms,
        };
        match meter.when(target_ms) {
            Some(due) => effects.push(Effect::SetTimer(Timer::Quota, due.max(now.mono))),
            None => effects.push(Effect::CancelTimer(Timer::Quota)),
        }
    }

    /// One request at a time, and of the last grant's margin only one.
    fn may_ask(&self) -> bool {
        self.requests.in_flight.is_none() && !(self.grant.last && self.requests.reported_ms >= self.margin_at())
    }

    /// The talk at which more is asked for. A grant that is shorter than the margin is half used first: otherwise each
    /// answer would be followed by the next request at once.
    fn margin_at(&self) -> u64 {
        let Grant { reach_ms, last, .. } = self.grant;
        let margin_at = reach_ms.saturating_sub(self.settings.margin_ms);
        let half = reach_ms.saturating_sub(self.requests.reported_ms).div_ceil(2);
        let at = if last { margin_at } else { margin_at.max(self.requests.reported_ms.saturating_add(half)) };
        let whole = whole_seconds(at);
        if whole > self.requests.reported_ms { whole } else { at }
    }

    pub(crate) fn move_backstop(&self, now: Now, effects: &mut Vec<Effect>) {
        if self.is_charged() && self.connected && self.release.is_none() {
            let on_hold = self.meter.is_some_and(|meter| meter.on_hold());
            let remaining_ms = if on_hold { self.settings.maximum_call_ms } else { self.remaining_ms(now) };
            self.command(Command::MoveBackstop { remaining_ms }, effects);
        }
    }

    fn remaining_ms(&self, now: Now) -> u64 {
        self.grant.reach_ms.saturating_sub(self.talked_ms(now))
    }

    /// Chargeable talk by our clock; 0 while it does not run.
    pub(crate) fn talked_ms(&self, now: Now) -> u64 {
        self.meter.and_then(|meter| meter.talked(now.mono)).unwrap_or(0)
    }

    pub(crate) fn is_charged(&self) -> bool {
        !self.offer.never_refuse
    }

    /// Ends the call, unless that is under way. Metering goes on until the end is proven.
    pub(crate) fn release_wanted(&mut self, cause: ReleaseCause, now: Now, effects: &mut Vec<Effect>) {
        if self.release.is_some() || self.end.is_some() || !self.is_charged() {
            return;
        }
        match self.phase {
            Phase::Authorising if self.meter.is_none() => self.refuse(cause, now, effects),
            Phase::Authorising | Phase::Ringing | Phase::Talking => {
                self.release = Some(Release { cause, attempts: 1 });
                self.requests.snapshot_stale = true;
                self.command(Command::Release { cause, attempt: 1 }, effects);
                for timer in [Timer::Quota, Timer::MaximumCall, Timer::Interim] {
                    effects.push(Effect::CancelTimer(timer));
                }
                effects.push(Effect::SetTimer(Timer::Release, now.mono.plus(self.settings.release_repeat_ms)));
            }
            Phase::Refused | Phase::Closing | Phase::Finished => {}
        }
    }

    pub(crate) fn repeat_release(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let (Some(release), None, true) = (&mut self.release, &self.end, self.connected) else { return };
        release.attempts = release.attempts.saturating_add(1);
        let Release { cause, attempts } = *release;
        self.command(Command::Release { cause, attempt: attempts }, effects);
        if attempts >= ALARMING_ATTEMPTS {
            self.alarm(Alarm::ReleaseUnconfirmed { attempts }, effects);
        }
        effects.push(Effect::SetTimer(Timer::Release, now.mono.plus(self.settings.release_repeat_ms)));
    }

    pub(crate) fn interim_due(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let talked = self.meter.and_then(|meter| meter.talked(now.mono));
        let wanted = self.connected && self.settings.interim_ms > 0;
        if let (Phase::Talking, true, Some(talked_ms)) = (self.phase, wanted, talked) {
            self.interim_record(talked_ms, now.utc, effects);
            effects.push(Effect::SetTimer(Timer::Interim, now.mono.plus(self.settings.interim_ms)));
        }
    }

    /// Nothing can be proven or commanded: stand still. The backstop in the switch holds the money together.
    pub(crate) fn switch_lost(&mut self, effects: &mut Vec<Effect>) {
        self.connected = false;
        for timer in [Timer::Quota, Timer::Interim, Timer::Release] {
            effects.push(Effect::CancelTimer(timer));
        }
        if self.phase == Phase::Ringing {
            effects.push(Effect::CancelTimer(Timer::Ring));
        }
    }

    pub(crate) fn held(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let free = self.settings.hold == HoldCharging::Free;
        let Some(meter) = self.meter.as_mut().filter(|meter| free && !meter.on_hold() && self.end.is_none()) else {
            return;
        };
        meter.hold(now.mono);
        if self.phase == Phase::Talking {
            effects.push(Effect::CancelTimer(Timer::Quota));
            self.move_backstop(now, effects);
        }
    }

    pub(crate) fn resumed(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(meter) = self.meter.as_mut().filter(|meter| meter.on_hold() && self.end.is_none()) else { return };
        meter.resume(now.mono);
        self.requests.snapshot_stale = true;
        if self.phase == Phase::Talking {
            self.move_backstop(now, effects);
            self.schedule(now, effects);
        }
    }

    pub(crate) fn transferred(&mut self, to: LegId) {
        let tag = format!("TRANSFERRED:{to}").into_boxed_str();
        if self.tags.len() < MAX_TAGS && !self.tags.contains(&tag) {
            self.tags.push(tag);
            self.requests.snapshot_stale = true;
        }
    }
}

/// What is reported cannot be taken back, and the call may have ended while the news of it is on the way. So a report says
/// the moment that was planned, or a later one that the switch has proven, not when a timer came round to it; and whole
/// seconds, so that news that is less than a second old costs nobody an increment.
fn whole_seconds(ms: u64) -> u64 {
    ms / 1000 * 1000
}

/// The switch has ignored the first leg and the other one: somebody must look.
const ALARMING_ATTEMPTS: u32 = 3;

/// Transfers in a circle must not grow a record without end.
const MAX_TAGS: usize = 16;

/// An answer that is told later than this began while we were away.
const LATE_ANSWER_MS: u64 = 1_000;
