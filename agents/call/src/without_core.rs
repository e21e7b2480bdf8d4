//! `on_core_failure = "continue"`: the core does not answer, and the driver, which knows the account, lets the call go on for a
//! while. What is talked meanwhile is reported with the requests that wait, and debited when the core is back.

use types::charging::{ChargingAnswer, FailureHandling, ReportingReason};
use types::{DurationMs, Now, ReleaseCause};

use crate::authorise::{granted_ms, is_last, outcome};
use crate::effect::{Command, Effect, Timer};
use crate::machine::{CallMachine, Grant, Phase};

impl CallMachine {
    /// The driver's word, for an INITIAL or an UPDATE that has no answer.
    pub(crate) fn go_on_without_core(&mut self, longest_ms: DurationMs, now: Now, effects: &mut Vec<Effect>) {
        if self.requests.in_flight.is_none() || self.end.is_some() || longest_ms == 0 {
            return;
        }
        match self.phase {
            Phase::Authorising => {
                self.continued(longest_ms);
                if self.meter.is_some() {
                    self.phase = Phase::Talking;
                    self.move_backstop(now, effects);
                    self.schedule(now, effects);
                } else {
                    self.phase = Phase::Ringing;
                    self.command(Command::Admit { granted_ms: longest_ms }, effects);
                    effects.push(Effect::SetTimer(Timer::Ring, now.mono.plus(self.settings.maximum_ring_ms)));
                }
            }
            Phase::Talking if self.release.is_none() && !self.grant.continued => {
                self.continued(self.grant.reach_ms.saturating_add(longest_ms));
                self.move_backstop(now, effects);
                self.schedule(now, effects);
            }
            _ => {}
        }
    }

    fn continued(&mut self, reach_ms: DurationMs) {
        self.grant = Grant { reach_ms, continued: true, ..Grant::default() };
        self.requests.snapshot_stale = true;
        let tag = "CONTINUED";
        if !self.tags.iter().any(|known| **known == *tag) {
            self.tags.push(tag.into());
        }
    }

    /// Is it worth asking whether the call may go on? Never beyond a last grant: that account has no more.
    pub(crate) fn may_continue(&self) -> bool {
        self.settings.on_core_failure == FailureHandling::Continue
            && self.requests.in_flight.is_some()
            && !self.grant.last
            && !self.grant.continued
            && !self.asked_to_continue
    }

    /// The answer to the INITIAL of a call that was let through without it, and still rings.
    pub(crate) fn initial_answered_late(&mut self, answer: &ChargingAnswer, now: Now, effects: &mut Vec<Effect>) {
        self.requests.in_flight = None;
        self.cost = answer.cost;
        let granted_ms = granted_ms(answer);
        if granted_ms == 0 {
            self.requests.session_open = outcome(answer).is_success();
            let cause = answer.release_cause.unwrap_or_else(|| ReleaseCause::from_result_code(outcome(answer)));
            self.release_wanted(cause, now, effects);
            return;
        }
        self.asked_to_continue = false;
        self.grant =
            Grant { reach_ms: granted_ms, last: is_last(answer), denied: answer.release_cause, ..Grant::default() };
        // The backstop that is armed at the answer is the longer one; the first UPDATE moves it.
        self.requests.snapshot_stale = true;
    }

    /// It talks although its grant is over and the core has not said that there is no other: a former agent let it go on.
    pub(crate) fn has_outlived_its_grant(&self, now: Now) -> bool {
        self.settings.on_core_failure == FailureHandling::Continue
            && self.is_charged()
            && self.requests.in_flight.is_none()
            && !self.grant.last
            && self.talked_ms(now) >= self.grant.reach_ms
    }

    /// The agent is back: the core is asked, and the call goes on for as long as that may take.
    pub(crate) fn take_up(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.continued(self.talked_ms(now).saturating_add(TAKING_UP_MS));
        self.move_backstop(now, effects);
        self.catch_up(now, effects);
    }

    /// The core is back, with a grant for what was reported long ago: what was talked since is reported at once, and until
    /// that is answered the driver's word stands.
    pub(crate) fn catch_up(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.grant.continued = true;
        if self.release.is_none() {
            self.update(ReportingReason::Threshold, now, effects);
        }
        self.schedule(now, effects);
    }
}

/// How long a call that a former agent let go on waits for the core's word: an outage of so long ends no funded call.
const TAKING_UP_MS: DurationMs = 20_000;

/// The switch's backstop must be moved before it fires.
pub(crate) const CONTINUE_LEAD_MS: DurationMs = 1_000;
