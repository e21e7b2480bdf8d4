//! What the news of a call means: offered, answered, over, or not ours.

use agent_call::{Answer, CallEnd, SwitchEvent};
use agent_runtime::UnknownEnd;
use protocol_codecs::esl::Event;
use tokio::time::{Duration, Instant};
use tracing::warn;
use types::{ReleaseCause, SessionId, UtcMs};

use super::Agent;
use crate::translate::{self, News, TranslateError};

/// A channel's event, read.
pub(super) struct ChannelNews {
    /// The session that is named after the channel.
    pub(super) session: SessionId,
    /// Why the channel is not a caller's leg.
    pub(super) other: Option<&'static str>,
    /// When, by the switch's clock.
    pub(super) at: UtcMs,
    /// How late it came.
    pub(super) late_ms: u64,
    /// What happened.
    pub(super) news: News,
}

impl Agent {
    pub(super) fn news(&mut self, told: ChannelNews, event: &Event) -> Result<(), TranslateError> {
        let ChannelNews { session, other, at, late_ms, news } = told;
        // Such a channel tells of calls only if it carries one.
        let other = other.filter(|_| !self.driver.knows(&session));
        match news {
            News::Parked => self.parked(session, other, at, event),
            News::Ringing => match other {
                Some(reason) => self.ignored(reason),
                None => self.ringing(session, event),
            },
            News::Answered => {
                if let Some(answer) = translate::answer(event, late_ms)? {
                    self.channel_answered(session, other, event, answer);
                }
            }
            News::Held => self.hold(&session, true, event),
            News::Resumed => self.hold(&session, false, event),
            News::Bridged(with, answered) => self.bridged(&session, with, answered, late_ms, event),
            News::HungUp => self.hung_up(session, other, event, at)?,
            News::Completed => self.completed(session, other, event, at, late_ms)?,
        }
        Ok(())
    }

    fn channel_answered(&mut self, named: SessionId, other: Option<&'static str>, event: &Event, answer: Answer) {
        let waiting = event.other_leg_unique_id().map(|calling| self.waiting_for_answer(calling)).unwrap_or_default();
        for session in &waiting {
            self.far_leg_answered(session, answer);
            if self.calls.get(session).is_some_and(|call| call.left_ringing) {
                self.follow(session, event.unique_id().unwrap_or_default());
            }
        }
        self.refuse_diversion(event);
        match other {
            Some(_) if waiting.is_empty() && (self.end_orphan(event) || self.charge_beside(&named, event, answer)) => {}
            Some(reason) if waiting.is_empty() => self.ignored(reason),
            Some(_) => {}
            None => {
                let channel = event.unique_id().unwrap_or_default();
                let further: Vec<SessionId> = self.carried(&named, channel);
                for session in further.into_iter().filter(|session| *session != named) {
                    let call = self.calls.entry(session.clone()).or_default();
                    if !call.on_answered_leg {
                        self.answered(session, event, answer, SwitchEvent::Answered);
                    }
                }
                self.answered(named, event, answer, SwitchEvent::Answered);
            }
        }
    }

    /// A callee that redirects (302) to another number than the one that is paid for.
    fn refuse_diversion(&mut self, event: &Event) {
        let Some(calling) = event.other_leg_unique_id() else { return };
        let Some(session) = self.carried_by(calling).pop() else { return };
        let admitted = self.calls.get(&session).map(|call| call.destination.clone()).filter(|to| !to.is_empty());
        if admitted.is_some_and(|admitted| translate::diverted_past_us(event, &admitted)) {
            warn!(switch = %self.switch, session_id = %session, "a redirection (302) was followed without authorisation: released; use manual-redirect with a context that parks, or outbound_redirect_fatal");
            self.driver.release(&session, ReleaseCause::Policy);
        }
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
            let call = self.calls.entry(session.clone()).or_default();
            (call.answered, call.seen, call.missing) = (Some(answer.at), true, false);
            if call.destination.is_empty() {
                call.destination = translate::dialled(event).to_owned();
            }
            self.answered_with_backstop(&session);
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
        let offer = translate::offer(&self.config, &self.switch, session, event);
        self.adopt_as_configured(offer, answer, event);
    }

    /// The final numbers are a moment away, and may never come.
    fn hung_up(
        &mut self,
        named: SessionId,
        other: Option<&'static str>,
        event: &Event,
        at: UtcMs,
    ) -> Result<(), TranslateError> {
        self.leg_ended(&named, at, event);
        let ended = self.carried(&named, event.unique_id().unwrap_or_default());
        if ended.is_empty() {
            self.ignored(other.unwrap_or("hangup_of_unknown_call"));
        }
        for session in ended {
            self.was_given_up(&session, event.unique_id().unwrap_or_default());
            if translate::left_ringing(event) && self.rings_on(&session) {
                continue;
            }
            let end = translate::hung_up(event, at, self.was_released(&session))?;
            let end = self.not_after_leaving(event, self.answered_as_its_own(&session, &named, end));
            self.keep_end(&session, event, &end);
            self.hung_up.push_back((Instant::now() + COMPLETION_WAIT, session, end));
        }
        Ok(())
    }

    fn completed(
        &mut self,
        named: SessionId,
        other: Option<&'static str>,
        event: &Event,
        at: UtcMs,
        late_ms: u64,
    ) -> Result<(), TranslateError> {
        let ended = self.carried(&named, event.unique_id().unwrap_or_default());
        self.forget_leg(event);
        for session in &ended {
            let end = translate::completed(event, at, late_ms, self.was_released(session))?;
            let end = self.not_after_leaving(event, self.answered_as_its_own(session, &named, end));
            self.hung_up.retain(|(_, waiting, _)| waiting != session);
            self.keep_end(session, event, &end);
            self.driver.event(session, SwitchEvent::Ended(end));
        }
        if !ended.is_empty() {
            return Ok(());
        }
        if self.driver.finished_lately(&named) {
            self.ignored("finished_call");
        } else if self.driver.knows(&named) {
            self.ignored("leg_left_its_call");
        } else if let Some(reason) = other {
            self.ignored(reason);
        } else if translate::is_chargeable(event) {
            let end = self.not_after_leaving(event, translate::completed(event, at, late_ms, false)?);
            self.keep_end(&named, event, &end);
            let offer = translate::offer(&self.config, &self.switch, named, event);
            self.driver.unknown_ended(UnknownEnd { offer: offer.into(), end });
        } else {
            self.ignored("not_charged");
        }
        Ok(())
    }

    /// The channel may have been answered long before the conversation was, or be another than it began with.
    fn answered_as_its_own(&self, session: &SessionId, named: &SessionId, end: CallEnd) -> CallEnd {
        let call = self.calls.get(session);
        let of_channel = session == named && call.is_none_or(|call| !call.on_answered_leg);
        let answered = if of_channel { end.answered } else { call.and_then(|call| call.answered) };
        CallEnd { answered, ..end }
    }

    /// The switch will not tell it again.
    fn keep_end(&mut self, session: &SessionId, event: &Event, end: &CallEnd) {
        let offer = match self.offer_of(session) {
            Some(offer) => offer,
            None => translate::offer(&self.config, &self.switch, session.clone(), event).into(),
        };
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
}

/// Recorded: 20 to 40 ms between hangup and final numbers. Longer than this the call must not be metered on.
const COMPLETION_WAIT: Duration = Duration::from_secs(1);
