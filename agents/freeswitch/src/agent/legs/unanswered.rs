//! Calls that nobody has answered yet: legs that ring on without the one who called, and legs that a leg of ours, itself
//! answered long ago, has called.

use agent_call::{Answer, SwitchEvent};
use protocol_codecs::esl::{ApiCall, Event, HangupCause};
use tokio::time::Instant;
use tracing::warn;
use types::SessionId;

use crate::agent::Agent;
use crate::command::{self, Purpose};
use crate::native::NativeCall;
use crate::translate;

impl Agent {
    /// Its call is over, and nobody has answered.
    pub(in crate::agent) fn was_given_up(&mut self, session: &SessionId, channel: &str) {
        let charged = self.calls.get(session).is_some_and(|call| call.admitted && call.answered.is_none());
        if charged && self.offer_of(session).is_some_and(|offer| !offer.never_refuse) {
            self.legs.given_up.insert(channel.to_owned(), Instant::now());
        }
    }

    /// FreeSWITCH goes on ringing a leg that was brought together with one that did not stay (`intercept` by a stranger's
    /// Replaces, seen on 1.11.2), keeps it when it answers, and no timeout of media ends it. Nobody pays for it.
    pub(in crate::agent) fn end_orphan(&mut self, event: &Event) -> bool {
        let Some(channel) = event.unique_id() else { return false };
        let orphaned = translate::called_by(event).is_some_and(|caller| self.legs.given_up.contains_key(caller));
        let paid = [Some(channel), event.other_leg_unique_id()].into_iter().flatten();
        let paid = paid.filter(|leg| !self.carried_by(leg).is_empty()).count() > 0;
        if !orphaned || paid {
            return false;
        }
        warn!(switch = %self.switch, leg_id = channel, "a leg was answered whose call is over: ended, nobody pays for it");
        let cause = HangupCause::OriginatorCancel;
        self.send((Purpose::Through(String::new()), ApiCall::UuidKill { unique_id: channel.to_owned(), cause }));
        true
    }

    /// No leg rings for so long.
    pub(crate) fn forget_given_up(&mut self) {
        let longest = self.config.calls.maximum_ring.std().saturating_mul(2);
        self.legs.given_up.retain(|_, since| since.elapsed() < longest);
    }

    /// The caller has left while the leg that he calls rings: its answer begins the call, as that of a leg that was called
    /// from an answered one.
    pub(crate) fn rings_on(&mut self, session: &SessionId) -> bool {
        let Some(call) = self.calls.get_mut(session).filter(|call| call.admitted && call.answered.is_none()) else {
            return false;
        };
        (call.on_answered_leg, call.left_ringing) = (true, true);
        true
    }

    /// The leg was answered that a leg of ours, itself answered long ago, was waiting for.
    pub(crate) fn far_leg_answered(&mut self, session: &SessionId, answer: Answer) {
        let call = self.calls.entry(session.clone()).or_default();
        (call.answered, call.seen, call.missing) = (Some(answer.at), true, false);
        let unset = command::unset_on_answer(session, call);
        self.answered_with_backstop(session);
        self.driver.event(session, SwitchEvent::Answered(answer));
        self.send(unset);
    }

    /// The switch has armed the backstop at the answer.
    pub(in crate::agent) fn answered_with_backstop(&mut self, session: &SessionId) {
        if let Some(call) = self.calls.get_mut(session) {
            let granted = std::time::Duration::from_millis(call.granted_ms);
            call.backstop_due = call.backstop_due.or(Some(Instant::now() + granted));
        }
    }

    /// Calls that wait for the answer of a leg that this channel has called.
    pub(in crate::agent) fn waiting_for_answer(&self, calling: &str) -> Vec<SessionId> {
        let here = self.carried_by(calling).into_iter();
        let waiting = |call: &NativeCall| call.on_answered_leg && call.admitted && call.answered.is_none();
        here.filter(|session| self.calls.get(session).is_some_and(waiting)).collect()
    }
}
