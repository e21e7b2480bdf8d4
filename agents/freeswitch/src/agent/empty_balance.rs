//! The credit is used up, and the caller hears of it: the conversation ends, the leg stays for a while, free of charge.
//!
//! A leg that was transferred is out of the conversation when the switch shows it in its new place: its next state is
//! `CS_EXECUTE` again, in the context or dialplan that we sent it to. The end of the conversation is the time of the
//! transfer, by the switch's clock; the session ends there, and what follows belongs to nobody. As long as that is not
//! proven the call is metered on, and the machine's next release ends both legs.

use agent_call::{CallEnd, SwitchEvent};
use agent_runtime::UnknownEnd;
use protocol_codecs::esl::{ApiCall, ApiResponse, Event, HangupCause};
use tokio::time::{Duration, Instant};
use tracing::{info, warn};
use types::{EndedBy, ReleaseCause, SessionId, UtcMs};

use super::Agent;
use super::replies::Verdict;
use crate::command::{self, Purpose};
use crate::native;
use crate::translate;

impl Agent {
    /// The switch was told to take the leg out of the conversation.
    pub(super) fn leaving(&mut self, session: &SessionId, verdict: Verdict) {
        match verdict {
            Verdict::Done => self.ask_whether_left(session),
            Verdict::Gone => self.ask_exists(session),
            Verdict::Failed(_) | Verdict::Unsendable => {
                warn!(switch = %self.switch, session_id = %session, ?verdict, "the caller does not hear that the credit is used up: ended");
                self.send(command::kill(session, self.calls.get(session), HangupCause::AllottedTimeout));
            }
        }
    }

    fn ask_whether_left(&mut self, session: &SessionId) {
        let call = ApiCall::UuidDump { unique_id: native::leg(session, self.calls.get(session)).to_owned() };
        self.send((Purpose::Left(session.clone()), call));
    }

    /// Those that had not left when they were asked are asked again.
    pub(super) fn ask_who_left(&mut self, now: Instant) {
        while self.leaving.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, session)) = self.leaving.pop_front()
                && self.driver.knows(&session)
            {
                self.ask_whether_left(&session);
            }
        }
    }

    /// What the leg does now.
    pub(super) fn left(&mut self, session: &SessionId, reply: Option<&ApiResponse>) {
        let Some(event) = reply.and_then(|reply| reply.channel().ok()) else {
            // Over altogether, which its own event tells.
            return self.ask_exists(session);
        };
        if !self.driver.knows(session) || self.end_conversation(session, &event) {
            return;
        }
        let asked = &mut self.calls.entry(session.clone()).or_default().asked_whether_left;
        *asked = asked.saturating_add(1);
        if *asked < ASKED_AT_MOST {
            self.leaving.push_back((Instant::now() + ASKED_AGAIN, session.clone()));
        }
    }

    /// Ends the session of a leg that has left its conversation; false: it has not.
    pub(crate) fn end_conversation(&mut self, session: &SessionId, event: &Event) -> bool {
        let Some(at) = translate::left_conversation(&self.config, event) else { return false };
        let state = self.driver.sessions().find(|(known, _)| *known == session);
        let Some((_, machine)) = state else { return false };
        let (offer, answered) = (machine.call_offer().clone(), machine.answered_at());
        let Some(answered) = answered else { return false };
        info!(switch = %self.switch, session_id = %session, "out of credit and out of the conversation");
        let end = conversation_end(event, answered, at);
        let call = self.calls.entry(session.clone()).or_default();
        let other = call.other_leg.clone();
        call.end = Some(Box::new(UnknownEnd { offer: offer.into(), end: end.clone() }));
        for limited in command::limit(&self.config, session, call) {
            self.send(limited);
        }
        if let Some(unique_id) = other {
            // It hung up when the bridge ended, unless its own variables keep it.
            let cause = HangupCause::AllottedTimeout;
            self.send((Purpose::Mark(session.clone()), ApiCall::UuidKill { unique_id, cause }));
        }
        self.driver.event(session, SwitchEvent::Ended(end));
        true
    }

    /// The end of a channel that was sent away is not the end of its conversation, should that not have been seen yet.
    pub(super) fn not_after_leaving(&self, event: &Event, end: CallEnd) -> CallEnd {
        match translate::sent_away(&self.config, event).filter(|sent| end.answered.is_some_and(|at| at <= *sent)) {
            Some(sent) => {
                let release_cause = end.release_cause.or(Some(ReleaseCause::CreditExhausted));
                CallEnd { at: sent.min(end.at), replayed: true, release_cause, ..end }
            }
            None => end,
        }
    }

    /// The leg has a limit of its own now, or must not stay.
    pub(super) fn limited(&mut self, session: &SessionId, verdict: Verdict) {
        if matches!(verdict, Verdict::Failed(_) | Verdict::Unsendable) {
            warn!(switch = %self.switch, session_id = %session, ?verdict, "a caller without credit has no limit of time: ended");
            self.send(command::kill(session, self.calls.get(session), HangupCause::AllottedTimeout));
        }
    }
}

fn conversation_end(event: &Event, answered: UtcMs, at: UtcMs) -> CallEnd {
    let at = at.max(answered);
    CallEnd {
        answered: Some(answered),
        codec: translate::codec(event),
        // For an agent that was restarted in between.
        release_cause: Some(ReleaseCause::CreditExhausted),
        // Told later than it happened, and after a break much later.
        replayed: true,
        ..CallEnd::normal(at, EndedBy::Tollkeeper)
    }
}

/// The switch's own ticks are 20 ms; its thread must have come round.
const ASKED_AGAIN: Duration = Duration::from_millis(50);
/// Three seconds: by then the machine has ended the call by other means.
const ASKED_AT_MOST: u32 = 60;
