//! Which legs carry which calls.
//!
//! A session is named after the channel that waited for us and as a rule lives and ends with it. It follows the talk when
//! that channel leaves it to others: a caller who transfers has the leg that he called still to pay for. So a channel may
//! carry the session of another one, or several: its own, and that of the leg it was transferred to.

mod beside;
mod ended;
mod unanswered;
mod waiting;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use agent_call::{CallOffer, Phase, SwitchEvent};
use protocol_codecs::esl::Event;
use tokio::time::Instant;
use tracing::info;
use types::{DurationMs, LegId, SessionId, UtcMs};

use super::Agent;
use crate::command;
use crate::native::{self, NativeCall};
use crate::translate;
use beside::Beside;
pub(crate) use ended::Sent;
use waiting::Waiting;

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
    /// Legs that were called beside a call, and whose payer is asked for.
    beside: Vec<Beside>,
    /// Channels whose admitted call was over before anybody answered, and since when: what they called must not talk.
    given_up: HashMap<String, Instant>,
    /// Loopback legs that were let through because a session pays for the same number already.
    pub(crate) loopbacks: HashMap<String, SessionId>,
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

    /// The calls that this channel carries, where its event is not at hand.
    pub(crate) fn carried_by(&self, channel: &str) -> Vec<SessionId> {
        let sessions = self.legs.carried.get(channel).into_iter().flatten();
        let here = |session: &&SessionId| {
            self.driver.knows(session) && native::leg(session, self.calls.get(*session)) == channel
        };
        sessions.filter(here).cloned().collect()
    }

    /// The call whose talk partner this channel is.
    pub(crate) fn partner_of(&self, channel: &str) -> Option<&SessionId> {
        self.legs.partners.get(channel)
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

    /// After its last event nothing more comes of a channel.
    pub(super) fn forget_leg(&mut self, event: &Event) {
        if let Some(channel) = event.unique_id() {
            self.legs.sent.remove(channel);
            self.legs.waiting.retain(|waiting| waiting.channel != channel);
            self.legs.partners.remove(channel);
            self.resync.forget_stray(channel);
            self.legs.beside.retain(|beside| !beside.is_of(channel));
            self.legs.loopbacks.remove(channel);
            // Its calls may have to wait for the core yet; a new channel of the same id has no part in them.
            self.legs.carried.remove(channel);
        }
    }

    /// The talk goes on without the leg that carried it: backstop, cut and end are the other leg's from now on.
    pub(crate) fn follow(&mut self, session: &SessionId, to: &str) {
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

/// Left until the grant ends.
pub(crate) fn remaining_ms(due: Instant) -> DurationMs {
    let left = due.saturating_duration_since(Instant::now());
    DurationMs::try_from(left.as_millis()).unwrap_or(DurationMs::MAX)
}
