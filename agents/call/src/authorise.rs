//! From the offer to the answer: is there credit, and is the call let through?

use types::charging::{ChargingAnswer, Operation, ResultCode};
use types::{Cause, EndedBy, Now, ReleaseCause};

use crate::effect::{Command, Effect, Timer};
use crate::event::CallEnd;
use crate::machine::{CallMachine, Grant, Phase};

impl CallMachine {
    pub(crate) fn authorise(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.offer.never_refuse {
            if self.meter.is_some() {
                self.phase = Phase::Talking;
            } else {
                // No ring timer: nothing of ours may end this call, however long it rings.
                self.phase = Phase::Ringing;
            }
        } else if self.offer.payer.is_none() {
            self.refuse(ReleaseCause::UnknownPayer, now, effects);
        } else if self.offer.called.is_none() {
            self.refuse(ReleaseCause::InvalidNumber, now, effects);
        } else {
            self.phase = Phase::Authorising;
            self.requests.session_open = true;
            // An adopted call has talked already: the first grant counts from its answer too.
            let asked = self.settings.slice_ms.saturating_add(self.talked_ms(now));
            effects.push(self.request(Operation::Initial, now, None, Some(asked)));
        }
    }

    /// The answer to INITIAL.
    pub(crate) fn initial_answered(&mut self, answer: &ChargingAnswer, now: Now, effects: &mut Vec<Effect>) {
        self.requests.in_flight = None;
        let granted_ms = granted_ms(answer);
        if granted_ms == 0 {
            self.requests.session_open = false;
            self.refuse(denial(answer), now, effects);
            return;
        }
        self.grant =
            Grant { reach_ms: granted_ms, last: is_last(answer), denied: answer.release_cause, ..Grant::default() };
        self.cost = answer.cost;
        if self.end.is_some() {
            self.terminate(now, effects);
            return;
        }
        if self.meter.is_some() {
            self.phase = Phase::Talking;
            self.move_backstop(now, effects);
            self.go_on(now, effects);
        } else {
            self.phase = Phase::Ringing;
            self.command(Command::Admit { granted_ms }, effects);
            effects.push(Effect::SetTimer(Timer::Ring, now.mono.plus(self.settings.maximum_ring_ms)));
        }
    }

    /// The core could not be asked for the first grant.
    pub(crate) fn initial_failed(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.refuse(ReleaseCause::ChargingUnavailable, now, effects);
    }

    /// Do not route the call. One that talks already, because the switch let it through by itself, is released.
    pub(crate) fn refuse(&mut self, cause: ReleaseCause, now: Now, effects: &mut Vec<Effect>) {
        if self.end.is_some() {
            self.terminate(now, effects);
            return;
        }
        if self.meter.is_some() {
            self.phase = Phase::Talking;
            self.release_wanted(cause, now, effects);
            return;
        }
        self.command(Command::Refuse(cause), effects);
        let end = CallEnd {
            release_cause: Some(cause),
            cause: cause.cause(),
            ..CallEnd::unanswered(now.utc, cause.sip_status())
        };
        let end = CallEnd { by: EndedBy::Tollkeeper, cancelled: false, ..end };
        self.attempt_record(end.clone(), false, effects);
        if self.requests.session_open {
            // Its INITIAL may have reached the core: give back what it may hold. That the switch has not confirmed the end
            // is a matter of this process only.
            self.end = Some(crate::close::ending(end));
            effects.push(self.request(Operation::Termination, now, None, None));
            self.end = None;
        }
        self.phase = Phase::Refused;
        effects.push(Effect::SetTimer(Timer::Ring, now.mono.plus(REFUSAL_CONFIRMATION_MS)));
    }

    pub(crate) fn ring_timeout(&mut self, now: Now, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Refused => {
                self.end.get_or_insert_with(|| crate::close::ending(CallEnd::normal(now.utc, EndedBy::Unknown)));
                self.finish_refused(effects);
            }
            Phase::Ringing if self.connected && self.is_charged() => {
                self.command(Command::Release { cause: ReleaseCause::Shutdown, attempt: 1 }, effects);
                let end = CallEnd { cause: Cause::NO_ANSWER, ..CallEnd::unanswered(now.utc, 408) };
                self.close_unanswered(end, true, now, effects);
            }
            _ => {}
        }
    }

    /// A refused call is over when the switch confirmed it and the core has taken everything back.
    pub(crate) fn finish_refused(&mut self, effects: &mut Vec<Effect>) {
        let taken_back = !self.requests.session_open || self.requests.termination.is_none();
        if self.end.is_some() && taken_back {
            effects.push(Effect::CancelTimer(Timer::Ring));
            self.finish(effects);
        }
    }
}

/// How long a switch may take to confirm a refusal before we stop waiting for it.
const REFUSAL_CONFIRMATION_MS: u64 = 10_000;

/// The outcome that counts for a voice call: the message's, or its only rating group's.
pub(crate) fn outcome(answer: &ChargingAnswer) -> ResultCode {
    match answer.units.first() {
        Some(unit) if answer.result_code.is_success() => unit.result_code,
        _ => answer.result_code,
    }
}

/// Why nothing was granted.
pub(crate) fn denial(answer: &ChargingAnswer) -> ReleaseCause {
    let code = outcome(answer);
    let code = if code.is_success() { ResultCode::CREDIT_LIMIT_REACHED } else { code };
    answer.release_cause.unwrap_or_else(|| ReleaseCause::from_result_code(code))
}

pub(crate) fn granted_ms(answer: &ChargingAnswer) -> u64 {
    let granted = answer.units.first().filter(|unit| unit.result_code.is_success()).and_then(|unit| unit.granted);
    granted.and_then(|units| units.time_ms).filter(|_| answer.result_code.is_success()).unwrap_or(0)
}

pub(crate) fn is_last(answer: &ChargingAnswer) -> bool {
    answer.units.first().is_some_and(|unit| unit.final_unit.is_some())
}
