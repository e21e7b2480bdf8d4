//! A leg has ended: what that means for those it talked with. Sent elsewhere, brought together with others, or over.

use std::sync::Arc;

use agent_call::CallOffer;
use protocol_codecs::esl::Event;
use tracing::warn;
use types::charging::SubscriberId;
use types::{LegId, ReleaseCause, SessionId, UtcMs};

use super::Legs;
use crate::agent::Agent;
use crate::native;
use crate::translate::{self, Moved};

/// A leg that goes on to another destination.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// The call that it comes from.
    pub(crate) from: Arc<CallOffer>,
    /// The leg that sent it.
    pub(crate) parent: LegId,
    /// Who pays for it; absent: nobody that we know.
    pub(crate) payer: Option<SubscriberId>,
    /// Its own callee sent it: its call goes on besides.
    pub(crate) by_callee: bool,
    /// It was told a number only (REFER), not by somebody who may choose the context too.
    pub(crate) blind: bool,
}

impl Legs {
    fn will_go_on(&mut self, channel: &str, sent: Sent) {
        if self.sent.len() >= SENT_AT_ONCE {
            // Ends that were lost left them behind; a moment later they mean nothing.
            self.sent.clear();
        }
        self.sent.insert(channel.to_owned(), sent);
    }
}

impl Agent {
    /// What the end of this channel means for those it talked with; before its own calls are looked at.
    pub(in crate::agent) fn leg_ended(&mut self, named: &SessionId, at: UtcMs, event: &Event) {
        let Some(channel) = event.unique_id() else { return };
        let moved = translate::moved(event);
        let own = self.carried(named, channel);
        if let Moved::Redirected(calling) = moved
            && let Some(session) = self.carried_by(calling).pop()
        {
            self.sent_by_callee(&session, channel, calling, &own, event);
        }
        if let Some(session) = self.legs.partners.get(channel).cloned() {
            self.holds(&session, channel, false);
            if let Some(call) = self.calls.get_mut(&session) {
                call.other_ended = Some(at);
            }
            if let Moved::Sent(leg) = moved {
                self.sent_by_callee(&session, channel, leg, &own, event);
            }
        }
        let all = own.clone();
        for session in own {
            let Some(offer) = self.offer_of(&session) else { continue };
            let left_behind = match moved {
                Moved::HandedOver(waiting) if self.is_answered(&session) => Some(waiting.to_owned()),
                _ => self.living_partner(&session, event),
            };
            let Some(other) = left_behind else { continue };
            let parent = LegId::new(channel);
            let blind = moved == Moved::Sent(&other);
            // A party to whom the call of another has moved sends its partner on as a callee does.
            let by_callee = blind && self.own_call(channel, &all).is_none();
            let payer = match by_callee {
                true => translate::account_of_party(event, offer.payer.as_ref()),
                false => offer.payer.clone(),
            };
            let sent = Sent { payer, from: offer, parent, by_callee, blind };
            self.legs.will_go_on(&other, sent);
            let away = self.calls.get(&session).is_some_and(|call| call.leg.is_some());
            let goes_on = matches!(moved, Moved::Joined | Moved::HandedOver(_)) || moved == Moved::Parted(&other);
            if !away && (blind || goes_on) {
                self.follow(&session, &other);
            }
        }
        self.look_at_waiting(None);
    }

    /// A leg that its partner sent elsewhere was routed without a question: by a dialplan that sets another
    /// `force_transfer_context`, as a rule. Nobody pays for that.
    pub(super) fn went_past_us(&mut self, channel: &str, session: Option<&SessionId>) {
        if let Some(session) = session.filter(|_| self.legs.sent.get(channel).is_some_and(|sent| sent.blind)) {
            warn!(switch = %self.switch, session_id = %session, "a transfer was routed without authorisation: released; force_transfer_context must name a context that parks");
            self.driver.release(session, ReleaseCause::Policy);
        }
    }

    fn sent_by_callee(&mut self, session: &SessionId, callee: &str, leg: &str, own: &[SessionId], event: &Event) {
        let Some(offer) = self.offer_of(session) else { return };
        // One that called in itself pays as it does for that call; one that was called as its leg says.
        let payer = match self.own_call(callee, own) {
            Some(own) => own.payer.clone(),
            None => translate::account_of_party(event, offer.payer.as_ref()),
        };
        let sent = Sent { from: offer, parent: LegId::new(callee), payer, by_callee: true, blind: true };
        self.legs.will_go_on(leg, sent);
    }

    /// The call that the party at this channel has made itself: not one that has moved to it, which another pays for.
    pub(super) fn own_call(&self, channel: &str, carried: &[SessionId]) -> Option<Arc<CallOffer>> {
        let made_here = carried.iter().filter(|session| native::unique_id(session) == channel);
        made_here.filter_map(|session| self.offer_of(session)).find(|offer| offer.parent_leg_id.is_none())
    }

    /// The leg that the payer of this call leaves behind, if it has not ended before.
    fn living_partner(&self, session: &SessionId, event: &Event) -> Option<String> {
        let call = self.calls.get(session)?;
        call.answered?;
        let other = call.other_leg.clone().or_else(|| event.other_leg_unique_id().map(str::to_owned))?;
        call.other_ended.is_none().then_some(other)
    }

    fn is_answered(&self, session: &SessionId) -> bool {
        self.calls.get(session).is_some_and(|call| call.answered.is_some())
    }
}

/// More legs than are ever on their way from one talk to the next.
const SENT_AT_ONCE: usize = 10_000;
