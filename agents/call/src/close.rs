//! The end: how long was it, what did it cost, what is written.

use types::charging::{ChargingAnswer, Operation, ReportingReason, ResultCode};
use types::{Cause, EndedBy, Now, TerminationReason};

use crate::authorise::outcome;
use crate::effect::{Alarm, Effect, TIMERS, Timer};
use crate::event::CallEnd;
use crate::machine::{CallMachine, Phase};
use crate::meter::Meter;
use crate::snapshot::Ending;

impl CallMachine {
    pub(crate) fn ended(&mut self, end: CallEnd, now: Now, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Refused => {
                self.end.get_or_insert_with(|| ending(end));
                self.finish_refused(effects);
            }
            Phase::Authorising | Phase::Ringing | Phase::Talking if self.end.is_none() => {
                if let (None, Some(at)) = (self.meter, end.answered) {
                    self.meter = Some(Meter::stopped(at, 0, 0));
                }
                match self.meter {
                    Some(meter) => self.close_answered(meter, end, now, effects),
                    None => self.close_unanswered(end, false, now, effects),
                }
            }
            _ => {}
        }
    }

    pub(crate) fn gone(&mut self, now: Now, effects: &mut Vec<Effect>) {
        match (self.phase, self.meter) {
            (Phase::Refused, _) => self.ended(CallEnd::normal(now.utc, EndedBy::Unknown), now, effects),
            (Phase::Authorising | Phase::Ringing, None) => {
                let end = CallEnd { cause: Cause::INTERWORKING, ..CallEnd::unanswered(now.utc, 500) };
                self.close_unanswered(CallEnd { sip_status: None, ..end }, true, now, effects);
            }
            (Phase::Authorising | Phase::Ringing | Phase::Talking, Some(meter)) if self.end.is_none() => {
                let talked_ms = meter.proven_ms.max(self.requests.reported_ms);
                let at = meter.answered.plus(talked_ms).plus(meter.held_ms);
                let end = CallEnd::normal(at, EndedBy::Unknown);
                let ending = Ending { end, talked_ms, reconstructed: true, clock_anomaly: false };
                self.close_with(ending, now, effects);
            }
            _ => {}
        }
    }

    fn close_answered(&mut self, meter: Meter, end: CallEnd, now: Now, effects: &mut Vec<Effect>) {
        let measured = meter.talked(now.mono);
        let switch_ms = end.at.since(meter.answered).saturating_sub(meter.held_ms);
        // Free hold lasts to the end of the call, not to the news of it.
        let switch_ms = measured.filter(|_| meter.on_hold()).map_or(switch_ms, |ours| ours.min(switch_ms));
        let tolerance_ms = self.settings.clock_tolerance_ms;
        let (talked_ms, clock_anomaly) = match measured {
            // A kept event comes late, so our clock is only an upper limit for it.
            Some(ours) if switch_ms > ours + tolerance_ms => (ours, true),
            Some(ours) if !end.replayed && ours > switch_ms + tolerance_ms => (ours, true),
            _ => (switch_ms, false),
        };
        if let (true, Some(measured_ms)) = (clock_anomaly, measured) {
            self.alarm(Alarm::ClockAnomaly { switch_ms, measured_ms }, effects);
        }
        self.close_with(Ending { end, talked_ms, reconstructed: false, clock_anomaly }, now, effects);
    }

    fn close_with(&mut self, ending: Ending, now: Now, effects: &mut Vec<Effect>) {
        if !self.records.started
            && let Some(meter) = self.meter
        {
            self.start_record(meter.answered, effects);
        }
        self.end = Some(Box::new(ending));
        for timer in TIMERS {
            effects.push(Effect::CancelTimer(timer));
        }
        // Without the INITIAL's answer nobody knows yet whether there is a session to terminate.
        if self.phase != Phase::Authorising {
            self.terminate(now, effects);
        }
    }

    /// Reports the last usage of an answered call that is over.
    pub(crate) fn terminate(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(ending) = &self.end else { return };
        self.phase = Phase::Closing;
        if self.requests.session_open {
            let used_ms = ending.talked_ms.saturating_sub(self.requests.reported_ms);
            effects.push(self.request(Operation::Termination, now, Some((used_ms, ReportingReason::Final)), None));
            effects.push(Effect::SetTimer(Timer::FinalRecord, now.mono.plus(self.settings.final_record_wait_ms)));
        } else {
            if self.is_charged() && self.cost.is_none() {
                self.alarm(Alarm::Uncharged, effects);
            }
            self.stop_record(effects);
            self.finish(effects);
        }
    }

    pub(crate) fn close_unanswered(&mut self, end: CallEnd, reconstructed: bool, now: Now, effects: &mut Vec<Effect>) {
        for timer in TIMERS {
            effects.push(Effect::CancelTimer(timer));
        }
        self.attempt_record(end.clone(), reconstructed, effects);
        self.end = Some(Box::new(Ending { reconstructed, ..*ending(end) }));
        self.phase = Phase::Closing;
        if self.requests.session_open {
            effects.push(self.request(Operation::Termination, now, None, None));
        } else {
            self.finish(effects);
        }
    }

    /// An answer of the core, whichever request it belongs to.
    pub(crate) fn charged(&mut self, now: Now, answer: &ChargingAnswer, effects: &mut Vec<Effect>) {
        if Some(answer.request_number) == self.requests.termination {
            self.terminated(answer, effects);
        } else if Some(answer.request_number) == self.requests.in_flight {
            match self.phase {
                Phase::Authorising => self.initial_answered(answer, now, effects),
                Phase::Ringing if self.grant.continued => self.initial_answered_late(answer, now, effects),
                Phase::Talking => self.update_answered(answer, now, effects),
                _ => self.requests.in_flight = None,
            }
        }
    }

    pub(crate) fn charging_failed(&mut self, now: Now, request_number: u32, effects: &mut Vec<Effect>) {
        // A failed UPDATE is not a no: the call lives to the end of its grant, and the answer may still come.
        if self.phase == Phase::Authorising && Some(request_number) == self.requests.in_flight {
            self.requests.in_flight = None;
            self.initial_failed(now, effects);
        }
    }

    fn terminated(&mut self, answer: &ChargingAnswer, effects: &mut Vec<Effect>) {
        self.requests.session_open = false;
        match self.phase {
            Phase::Refused => self.finish_refused(effects),
            Phase::Closing if self.meter.is_none() => self.finish(effects),
            Phase::Closing => {
                if outcome(answer).is_success() {
                    self.cost = answer.cost;
                    self.billable_ms = answer.units.first().map_or(self.billable_ms, |unit| unit.billable);
                } else {
                    let lost = outcome(answer) == ResultCode::UNKNOWN_SESSION;
                    self.alarm(if lost { Alarm::SessionLost } else { Alarm::Uncharged }, effects);
                }
                if let (Some(cost), Some(overrun_ms)) = (self.cost, self.overrun_ms())
                    && !cost.overrun.is_zero()
                {
                    self.alarm(Alarm::Overrun { overrun_ms }, effects);
                }
                if self.records.pending_stop {
                    self.adjustment_record(effects)
                } else {
                    self.stop_record(effects)
                }
                effects.push(Effect::CancelTimer(Timer::FinalRecord));
                self.finish(effects);
            }
            _ => {}
        }
    }

    pub(crate) fn price_late(&mut self, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Closing && self.meter.is_some() && !self.records.pending_stop {
            self.records.pending_stop = true;
            // A later agent must know that its price is owed, whatever its clock says.
            effects.push(Effect::Keep(Box::new(self.snapshot())));
            self.stop_record(effects);
        }
    }

    /// Talk beyond the last grant; `None` when there was none.
    pub(crate) fn overrun_ms(&self) -> Option<u64> {
        let talked_ms = self.end.as_ref()?.talked_ms;
        let beyond = talked_ms.checked_sub(self.grant.reach_ms).filter(|ms| *ms > 0)?;
        (self.is_charged() && self.grant.reach_ms > 0).then_some(beyond)
    }

    /// How an unanswered attempt came out, by the best word the switch gave.
    pub(crate) fn attempt_reason(end: &CallEnd) -> TerminationReason {
        match (end.cancelled, end.release_cause, end.sip_status) {
            (true, _, _) => TerminationReason::Cancelled,
            (_, Some(_), _) => TerminationReason::Failed,
            (_, _, Some(status)) => TerminationReason::from_sip_status(status),
            _ => TerminationReason::from_cause(end.cause),
        }
    }
}

pub(crate) fn ending(end: CallEnd) -> Box<Ending> {
    Box::new(Ending { end, talked_ms: 0, reconstructed: false, clock_anomaly: false })
}
