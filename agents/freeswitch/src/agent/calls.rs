//! What the news of a call means: offered, answered, over, or not ours.

use agent_call::{Answer, SwitchEvent};
use agent_runtime::{UnknownCalls, UnknownEnd};
use protocol_codecs::esl::Event;
use tokio::time::{Duration, Instant};
use tracing::warn;
use types::{LegId, ReleaseCause, SessionId, UtcMs};

use super::Agent;
use crate::command;
use crate::translate::{self, News, TranslateError};

impl Agent {
    pub(super) fn news(
        &mut self,
        session: SessionId,
        at: UtcMs,
        late_ms: u64,
        news: News,
        event: &Event,
    ) -> Result<(), TranslateError> {
        match news {
            News::Parked => self.parked(session, event),
            News::Ringing => self.ringing(session, event),
            News::Answered => {
                if let Some(answer) = translate::answer(event, late_ms)? {
                    self.answered(session, event, answer, SwitchEvent::Answered);
                }
            }
            News::Held => self.told(&session, SwitchEvent::Held, "hold_of_unknown_call"),
            News::Resumed => self.told(&session, SwitchEvent::Resumed, "hold_of_unknown_call"),
            News::Bridged(other) => self.bridged(&session, other),
            News::HungUp => self.hung_up(session, event, at)?,
            News::Completed => self.completed(session, event, at, late_ms)?,
        }
        Ok(())
    }

    /// A leg waits for us, unless the dialplan parked it for somebody else.
    pub(crate) fn parked(&mut self, session: SessionId, event: &Event) {
        if translate::waits_on_socket(event) {
            // Parked by the socket application, ours or another's: it is let go on over its connection.
            return self.ignored("waits_on_socket");
        }
        let context = event.text("Caller-Context").unwrap_or_default();
        let contexts = &self.config.parked_contexts;
        if !contexts.is_empty() && !contexts.iter().any(|ours| **ours == *context) {
            return self.ignored("parked_elsewhere");
        }
        let answered = !matches!(event.answered_us(), Ok(None));
        if self.driver.knows(&session) {
            if answered || self.calls.get(&session).is_some_and(|call| call.admitted) {
                // Another destination than the one that was asked for; nobody would let it out of there either.
                warn!(switch = %self.switch, session_id = %session, "parked again after it was admitted: released");
                self.driver.release(&session, ReleaseCause::Policy);
            }
            return;
        }
        if answered {
            return self.ignored("parked_when_answered");
        }
        if translate::is_free_of_charge(event) {
            return self.ignored("not_charged");
        }
        let offer = translate::offer(&self.config, &self.switch, session.clone(), event);
        let call = self.calls.entry(session.clone()).or_default();
        (call.destination, call.seen) = (translate::route(event).to_owned(), true);
        let never_refuse = offer.never_refuse;
        if never_refuse {
            // It should not have been held up at all.
            let route = command::route(&self.config, &session, call);
            self.send(route);
        }
        self.driver.offer(offer);
    }

    fn ringing(&mut self, session: SessionId, event: &Event) {
        if self.driver.event(&session, SwitchEvent::Ringing) {
            return;
        }
        if translate::never_refuse(event) {
            self.driver.offer(translate::offer(&self.config, &self.switch, session, event));
        } else {
            self.ignored("ringing_of_unknown_call");
        }
    }

    /// It talks, as an event or an answer of the switch says.
    pub(crate) fn answered(
        &mut self,
        session: SessionId,
        event: &Event,
        answer: Answer,
        as_event: fn(Answer) -> SwitchEvent,
    ) {
        if self.driver.event(&session, as_event(answer)) {
            let call = self.calls.entry(session).or_default();
            (call.answered, call.seen, call.missing) = (Some(answer.at), true, false);
            if call.destination.is_empty() {
                call.destination = translate::dialled(event).to_owned();
            }
        } else if self.driver.finished_lately(&session) {
            self.ignored("finished_call");
        } else if !translate::is_chargeable(event) {
            self.ignored("not_charged");
        } else {
            self.unknown_answered(session, event, answer);
        }
    }

    /// The agent was away, or the dialplan let the call through without us.
    fn unknown_answered(&mut self, session: SessionId, event: &Event, answer: Answer) {
        let call = self.calls.entry(session.clone()).or_default();
        (call.answered, call.seen, call.admitted) = (Some(answer.at), true, true);
        let offer = translate::offer(&self.config, &self.switch, session.clone(), event);
        let release = !offer.never_refuse && self.config.calls.unknown_calls == UnknownCalls::Release;
        self.driver.adopt(offer, answer);
        if release {
            self.driver.release(&session, ReleaseCause::Operator);
        }
    }

    /// A second leg after the first is a transfer; the session goes on.
    fn bridged(&mut self, session: &SessionId, other: Option<String>) {
        let Some(other) = other else { return };
        if !self.driver.knows(session) {
            return self.ignored("bridge_of_unknown_call");
        }
        let call = self.calls.entry(session.clone()).or_default();
        let former = call.other_leg.replace(other.clone());
        if former.is_some_and(|former| former != other) {
            self.driver.event(session, SwitchEvent::Transferred { to: LegId::new(other) });
        }
    }

    /// The final numbers are a moment away, and may never come.
    fn hung_up(&mut self, session: SessionId, event: &Event, at: UtcMs) -> Result<(), TranslateError> {
        if !self.driver.knows(&session) {
            self.ignored("hangup_of_unknown_call");
            return Ok(());
        }
        let end = translate::hung_up(event, at, self.was_released(&session))?;
        let end = self.not_after_leaving(event, end);
        self.keep_end(&session, event, &end);
        self.hung_up.push_back((Instant::now() + COMPLETION_WAIT, session, end));
        Ok(())
    }

    fn completed(&mut self, session: SessionId, event: &Event, at: UtcMs, late_ms: u64) -> Result<(), TranslateError> {
        let end = translate::completed(event, at, late_ms, self.was_released(&session))?;
        let end = self.not_after_leaving(event, end);
        self.hung_up.retain(|(_, waiting, _)| *waiting != session);
        if self.driver.finished_lately(&session) {
            self.ignored("finished_call");
        } else if self.driver.knows(&session) {
            self.keep_end(&session, event, &end);
            self.driver.event(&session, SwitchEvent::Ended(end));
        } else if translate::is_chargeable(event) {
            self.keep_end(&session, event, &end);
            let offer = translate::offer(&self.config, &self.switch, session, event);
            self.driver.unknown_ended(UnknownEnd { offer, end });
        } else {
            self.ignored("not_charged");
        }
        Ok(())
    }

    /// The switch will not tell it again.
    fn keep_end(&mut self, session: &SessionId, event: &Event, end: &agent_call::CallEnd) {
        let offer = translate::offer(&self.config, &self.switch, session.clone(), event);
        let call = self.calls.entry(session.clone()).or_default();
        call.end = Some(Box::new(UnknownEnd { offer, end: end.clone() }));
    }

    /// Ends that core or journal did not take are told once more, by us.
    pub(crate) fn tell_ends_again(&mut self) {
        if !self.driver.take_ends_owed() {
            return;
        }
        let owed = self.calls.iter().filter(|(session, _)| !self.driver.knows(session));
        let owed: Vec<UnknownEnd> = owed.filter_map(|(_, call)| call.end.as_deref().cloned()).collect();
        for unknown in owed {
            self.driver.unknown_ended(unknown);
        }
    }

    fn was_released(&self, session: &SessionId) -> bool {
        self.calls.get(session).is_some_and(|call| call.released)
    }

    fn told(&mut self, session: &SessionId, event: SwitchEvent, unknown: &'static str) {
        if !self.driver.event(session, event) {
            self.ignored(unknown);
        }
    }
}

/// Recorded: 20 to 40 ms between hangup and final numbers. Longer than this the call must not be metered on.
const COMPLETION_WAIT: Duration = Duration::from_secs(1);
