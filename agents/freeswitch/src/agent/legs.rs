//! Which legs carry which calls.
//!
//! A session is named after the channel that waited for us and as a rule lives and ends with it. It follows the talk when
//! that channel leaves it to others: a caller who transfers has the leg that he called still to pay for. So a channel may
//! carry the session of another one, or several: its own, and that of the leg it was transferred to.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use agent_call::{CallOffer, Phase, SwitchEvent};
use protocol_codecs::esl::{ApiCall, Event, HangupCause};
use tokio::time::Instant;
use tracing::{info, warn};
use types::charging::SubscriberId;
use types::{DurationMs, LegId, ReleaseCause, SessionId, UtcMs};

use super::Agent;
use crate::command::{self, Purpose};
use crate::native::{self, NativeCall};
use crate::translate::{self, Moved};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Legs {
    /// Sessions of a channel besides the one that is named after it.
    carried: HashMap<String, Vec<SessionId>>,
    /// The session whose talk partner a channel is.
    partners: HashMap<String, SessionId>,
    /// Legs that were sent elsewhere, or that outlived the leg they talked to.
    sent: HashMap<String, Sent>,
    /// Legs that wait for us and whose talk is not known to be over; oldest first.
    waiting: VecDeque<Waiting>,
    /// Channels whose admitted call was over before anybody answered, and since when: what they called must not talk.
    given_up: HashMap<String, Instant>,
    /// Loopback legs that were let through because a session pays for the same number already.
    pub(crate) loopbacks: HashMap<String, SessionId>,
}

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

/// A leg that waits while the leg that it talked to is not known to have left: who has sent it here, the end of that one
/// will tell, which FreeSWITCH reports a moment before or after.
#[derive(Debug)]
struct Waiting {
    due: Instant,
    channel: String,
    named: SessionId,
    other: Option<&'static str>,
    at: UtcMs,
    event: Event,
}

impl Legs {
    /// When a leg has waited long enough for the end of another.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.due)
    }

    /// What the former connection told is no longer true of everything.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn carry(&mut self, channel: &str, session: &SessionId) {
        let sessions = self.carried.entry(channel.to_owned()).or_default();
        if !sessions.contains(session) {
            sessions.push(session.clone());
        }
    }

    pub(crate) fn take_sent(&mut self, channel: &str) -> Option<Sent> {
        self.sent.remove(channel)
    }

    pub(crate) fn is_sent(&self, channel: &str) -> bool {
        self.sent.contains_key(channel)
    }

    fn will_go_on(&mut self, channel: &str, sent: Sent) {
        if self.sent.len() >= SENT_AT_ONCE {
            // Ends that were lost left them behind; a moment later they mean nothing.
            self.sent.clear();
        }
        self.sent.insert(channel.to_owned(), sent);
    }

    fn finished(&mut self, session: &SessionId, call: Option<&NativeCall>) {
        let mut away = |channel: &str| {
            if let Some(sessions) = self.carried.get_mut(channel) {
                sessions.retain(|carried| carried != session);
                if sessions.is_empty() {
                    self.carried.remove(channel);
                }
            }
        };
        away(native::unique_id(session));
        away(native::leg(session, call));
        self.loopbacks.retain(|_, payer| payer != session);
        if let Some(other) = call.and_then(|call| call.other_leg.as_deref())
            && self.partners.get(other) == Some(session)
        {
            self.partners.remove(other);
        }
    }
}

impl Agent {
    /// The calls that this channel carries, the newest last. `named`: the session that is named after it.
    pub(crate) fn carried(&self, named: &SessionId, channel: &str) -> Vec<SessionId> {
        let further = self.legs.carried.get(channel).into_iter().flatten().filter(|session| *session != named);
        let all = std::iter::once(named).chain(further);
        let here = |session: &&SessionId| {
            self.driver.knows(session) && native::leg(session, self.calls.get(*session)) == channel
        };
        all.filter(here).cloned().collect()
    }

    /// A call is over and charged: nothing of it stays behind, in the switch neither.
    pub(crate) fn finished(&mut self, session: &SessionId) {
        let call = self.calls.remove(session);
        self.legs.finished(session, call.as_ref());
        if call.is_some_and(|call| call.answered.is_some()) {
            for (purpose, call) in command::disarm(session) {
                self.link.send(purpose, call);
            }
        }
    }

    /// A second leg after the first is a transfer; the session goes on.
    pub(super) fn bridged(
        &mut self,
        named: &SessionId,
        other: Option<String>,
        answered: Option<UtcMs>,
        late_ms: DurationMs,
        event: &Event,
    ) {
        let (Some(channel), Some(other)) = (event.unique_id(), other) else { return };
        let sessions = self.carried(named, channel);
        if !sessions.is_empty() && translate::consults_past_us(event) {
            warn!(switch = %self.switch, leg_id = channel, "att_xfer to a leg that nobody is charged for: call over loopback/NUMBER/CONTEXT with tollkeeper_account");
        }
        for session in &sessions {
            self.talks_to(session, &other);
            let waiting = self.calls.get(session).is_some_and(|call| call.on_answered_leg && call.answered.is_none());
            if let Some(at) = answered.filter(|_| waiting) {
                let age_ms = event.date_timestamp_us().ok().flatten().map_or(0, |told| translate::utc(told).since(at));
                self.far_leg_answered(session, agent_call::Answer { at, elapsed_ms: age_ms.saturating_add(late_ms) });
            }
        }
        // The other one of the two tells nothing of its own.
        let of_other = self.carried_by(&other);
        for session in &of_other {
            self.talks_to(session, channel);
        }
        if event.text("Caller-Context") == Some(&*self.config.admitted_context) {
            self.went_past_us(channel, sessions.last().or(of_other.last()));
        }
        if sessions.is_empty() && of_other.is_empty() {
            self.ignored("bridge_of_unknown_call");
        }
    }

    /// A leg that its partner sent elsewhere was routed without a question: by a dialplan that sets another
    /// `force_transfer_context`, as a rule. Nobody pays for that.
    fn went_past_us(&mut self, channel: &str, session: Option<&SessionId>) {
        if let Some(session) = session.filter(|_| self.legs.sent.get(channel).is_some_and(|sent| sent.blind)) {
            warn!(switch = %self.switch, session_id = %session, "a transfer was routed without authorisation: released; force_transfer_context must name a context that parks");
            self.driver.release(session, ReleaseCause::Policy);
        }
    }

    /// The calls that this channel carries, where its event is not at hand.
    pub(crate) fn carried_by(&self, channel: &str) -> Vec<SessionId> {
        let sessions = self.legs.carried.get(channel).into_iter().flatten();
        let here = |session: &&SessionId| {
            self.driver.knows(session) && native::leg(session, self.calls.get(*session)) == channel
        };
        sessions.filter(here).cloned().collect()
    }

    pub(crate) fn talks_to(&mut self, session: &SessionId, other: &str) {
        let call = self.calls.entry(session.clone()).or_default();
        call.other_ended = None;
        let former = call.other_leg.replace(other.to_owned());
        self.legs.partners.insert(other.to_owned(), session.clone());
        if let Some(former) = former.filter(|former| former != other) {
            if self.legs.partners.get(&former) == Some(session) {
                self.legs.partners.remove(&former);
            }
            self.driver.event(session, SwitchEvent::Transferred { to: LegId::new(other) });
        }
    }

    /// Held by the payer or by the other side: the talk stands still for both.
    pub(super) fn hold(&mut self, named: &SessionId, held: bool, event: &Event) {
        let Some(channel) = event.unique_id() else { return };
        let mut sessions = self.carried(named, channel);
        sessions.extend(self.legs.partners.get(channel).cloned());
        if sessions.is_empty() {
            return self.ignored("hold_of_unknown_call");
        }
        for session in sessions {
            self.holds(&session, channel, held);
        }
    }

    fn holds(&mut self, session: &SessionId, channel: &str, held: bool) {
        let call = self.calls.entry(session.clone()).or_default();
        let before = call.holders.is_empty();
        call.holders.retain(|holder| holder != channel);
        if held {
            call.holders.push(channel.to_owned());
        }
        match (before, call.holders.is_empty()) {
            (true, false) => _ = self.driver.event(session, SwitchEvent::Held),
            (false, true) => _ = self.driver.event(session, SwitchEvent::Resumed),
            _ => {}
        }
    }

    /// What the end of this channel means for those it talked with; before its own calls are looked at.
    pub(super) fn leg_ended(&mut self, named: &SessionId, at: UtcMs, event: &Event) {
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
        for session in own {
            let Some(offer) = self.offer_of(&session) else { continue };
            let left_behind = match moved {
                Moved::HandedOver(waiting) if self.is_answered(&session) => Some(waiting.to_owned()),
                _ => self.living_partner(&session, event),
            };
            let Some(other) = left_behind else { continue };
            let parent = LegId::new(channel);
            let blind = moved == Moved::Sent(&other);
            let sent = Sent { payer: offer.payer.clone(), from: offer, parent, by_callee: false, blind };
            self.legs.will_go_on(&other, sent);
            let away = self.calls.get(&session).is_some_and(|call| call.leg.is_some());
            let goes_on = matches!(moved, Moved::Joined | Moved::HandedOver(_)) || moved == Moved::Parted(&other);
            if !away && (blind || goes_on) {
                self.follow(&session, &other);
            }
        }
        self.look_at_waiting(None);
    }

    /// True: the leg that this one talked to has not ended as far as we were told, so why it waits is not known yet.
    pub(super) fn waits_too_early(
        &mut self,
        carried: &[SessionId],
        named: &SessionId,
        other: Option<&'static str>,
        at: UtcMs,
        event: &Event,
    ) -> bool {
        let Some(channel) = event.unique_id().filter(|channel| self.talks_on(channel, carried)) else { return false };
        let (due, channel, event) = (Instant::now() + END_EXPECTED, channel.to_owned(), event.clone());
        self.legs.waiting.push_back(Waiting { due, channel, named: named.clone(), other, at, event });
        true
    }

    fn talks_on(&self, channel: &str, carried: &[SessionId]) -> bool {
        let talks = |session: &SessionId| {
            let call = self.calls.get(session);
            let in_talk = |call: &NativeCall| call.answered.is_some() && call.other_leg.is_some();
            self.driver.knows(session) && call.is_some_and(|call| in_talk(call) && call.other_ended.is_none())
        };
        carried.last().or(self.legs.partners.get(channel)).is_some_and(talks)
    }

    /// Legs whose former talk is over by now, and those that have waited for it long enough.
    pub(super) fn look_at_waiting(&mut self, now: Option<Instant>) {
        for waiting in std::mem::take(&mut self.legs.waiting) {
            let carried = self.carried(&waiting.named, &waiting.channel);
            let told = self.legs.is_sent(&waiting.channel) || !self.talks_on(&waiting.channel, &carried);
            if told || now.is_some_and(|now| waiting.due <= now) {
                self.waits_for_us(waiting.named, waiting.other, waiting.at, &waiting.event);
            } else {
                self.legs.waiting.push_back(waiting);
            }
        }
    }

    /// After its last event nothing more comes of a channel.
    pub(super) fn forget_leg(&mut self, event: &Event) {
        if let Some(channel) = event.unique_id() {
            self.legs.sent.remove(channel);
            self.legs.waiting.retain(|waiting| waiting.channel != channel);
            self.legs.partners.remove(channel);
            self.legs.loopbacks.remove(channel);
            // Its calls may have to wait for the core yet; a new channel of the same id has no part in them.
            self.legs.carried.remove(channel);
        }
    }

    fn sent_by_callee(&mut self, session: &SessionId, callee: &str, leg: &str, own: &[SessionId], event: &Event) {
        let Some(offer) = self.offer_of(session) else { return };
        // One that called in itself pays as it does for that call; one that was called as its leg says.
        let of_own = own.iter().filter_map(|own| self.offer_of(own)).find(|own| own.parent_leg_id.is_none());
        let payer = match of_own {
            Some(own) => own.payer.clone(),
            None => translate::account_of_party(event, offer.payer.as_ref()),
        };
        let sent = Sent { from: offer, parent: LegId::new(callee), payer, by_callee: true, blind: true };
        self.legs.will_go_on(leg, sent);
    }

    /// Its call is over, and nobody has answered.
    pub(super) fn was_given_up(&mut self, session: &SessionId, channel: &str) {
        let charged = self.calls.get(session).is_some_and(|call| call.admitted && call.answered.is_none());
        if charged && self.offer_of(session).is_some_and(|offer| !offer.never_refuse) {
            self.legs.given_up.insert(channel.to_owned(), Instant::now());
        }
    }

    /// FreeSWITCH goes on ringing a leg that was brought together with one that did not stay (`intercept` by a stranger's
    /// Replaces, seen on 1.11.2), keeps it when it answers, and no timeout of media ends it. Nobody pays for it.
    pub(super) fn end_orphan(&mut self, event: &Event) -> bool {
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
    pub(super) fn rings_on(&mut self, session: &SessionId) -> bool {
        let Some(call) = self.calls.get_mut(session).filter(|call| call.admitted && call.answered.is_none()) else {
            return false;
        };
        (call.on_answered_leg, call.left_ringing) = (true, true);
        true
    }

    fn is_answered(&self, session: &SessionId) -> bool {
        self.calls.get(session).is_some_and(|call| call.answered.is_some())
    }

    /// The leg that the payer of this call leaves behind, if it has not ended before.
    fn living_partner(&self, session: &SessionId, event: &Event) -> Option<String> {
        let call = self.calls.get(session)?;
        call.answered?;
        let other = call.other_leg.clone().or_else(|| event.other_leg_unique_id().map(str::to_owned))?;
        call.other_ended.is_none().then_some(other)
    }

    /// The talk goes on without the leg that carried it: backstop, cut and end are the other leg's from now on.
    pub(super) fn follow(&mut self, session: &SessionId, to: &str) {
        info!(switch = %self.switch, session_id = %session, leg_id = to, "the payer has transferred the call: the session follows the leg that talks");
        let call = self.calls.entry(session.clone()).or_default();
        let held = !std::mem::take(&mut call.holders).is_empty();
        (call.leg, call.other_leg, call.other_ended) = (Some(to.to_owned()), None, None);
        (call.seen, call.missing) = (true, false);
        self.legs.carry(to, session);
        self.legs.partners.retain(|_, partner| partner != session);
        self.driver.event(session, SwitchEvent::Transferred { to: LegId::new(to) });
        if held {
            self.driver.event(session, SwitchEvent::Resumed);
        }
        if let Some(call) = self.calls.get(session)
            && let Some(due) = call.backstop_due
        {
            let remaining_ms = remaining_ms(due);
            let next = command::next_backstop(session, call, remaining_ms);
            self.send(next);
        }
        // Should it have ended in the same moment.
        self.ask_exists(session);
    }

    /// The leg was answered that a leg of ours, itself answered long ago, was waiting for.
    pub(super) fn far_leg_answered(&mut self, session: &SessionId, answer: agent_call::Answer) {
        let call = self.calls.entry(session.clone()).or_default();
        (call.answered, call.seen, call.missing) = (Some(answer.at), true, false);
        let unset = command::unset_on_answer(session, call);
        self.answered_with_backstop(session);
        self.driver.event(session, SwitchEvent::Answered(answer));
        self.send(unset);
    }

    /// The switch has armed the backstop at the answer.
    pub(super) fn answered_with_backstop(&mut self, session: &SessionId) {
        if let Some(call) = self.calls.get_mut(session) {
            let granted = std::time::Duration::from_millis(call.granted_ms);
            call.backstop_due = call.backstop_due.or(Some(Instant::now() + granted));
        }
    }

    /// Calls that wait for the answer of a leg that this channel has called.
    pub(super) fn waiting_for_answer(&self, calling: &str) -> Vec<SessionId> {
        let here = self.carried_by(calling).into_iter();
        let waiting = |call: &NativeCall| call.on_answered_leg && call.admitted && call.answered.is_none();
        here.filter(|session| self.calls.get(session).is_some_and(waiting)).collect()
    }

    /// The call as it was offered.
    pub(crate) fn offer_of(&self, session: &SessionId) -> Option<Arc<CallOffer>> {
        let kept = self.calls.get(session).and_then(|call| call.offer.clone());
        kept.or_else(|| {
            let machine = self.driver.sessions().find(|(known, _)| *known == session);
            machine.map(|(_, machine)| Arc::new(machine.call_offer().clone()))
        })
    }

    /// After a restart: the sessions of the core, by the channels that they are named after.
    pub(crate) fn carry_known(&mut self) {
        let open = self.driver.sessions().filter(|(_, machine)| machine.phase() != Phase::Closing);
        let known: Vec<SessionId> = open.map(|(session, _)| session.clone()).collect();
        for session in known {
            let channel = native::leg(&session, self.calls.get(&session)).to_owned();
            self.legs.carry(&channel, &session);
            if let Some(other) = self.calls.get(&session).and_then(|call| call.other_leg.clone()) {
                self.legs.partners.insert(other, session);
            }
        }
    }
}

/// Seen: both ends of one transfer within 20 ms, in either order.
const END_EXPECTED: std::time::Duration = std::time::Duration::from_millis(500);

/// More legs than are ever on their way from one talk to the next.
const SENT_AT_ONCE: usize = 10_000;

/// Left until the grant ends.
pub(crate) fn remaining_ms(due: Instant) -> DurationMs {
    let left = due.saturating_duration_since(Instant::now());
    DurationMs::try_from(left.as_millis()).unwrap_or(DurationMs::MAX)
}
