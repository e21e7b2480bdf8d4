//! Legs that the switch called, after a restart or a break: which of them carries on a talk that we know, and which has
//! nobody to pay for it?
//!
//! While nobody listened a payer may have left his talk to others (REFER), and a leg may have been answered that was called
//! beside a call. The list names the legs, and `uuid_dump` says by whom each was called. A call whose own leg is gone goes
//! on with the one that it had called. What then belongs to no call is charged to whoever had it called, or ended, as
//! configured: the agent marks the legs of its calls with variables that legs called by them inherit, so that strangers'
//! legs are left alone.

use std::sync::Arc;

use agent_call::{Answer, CallOffer, SwitchEvent};
use protocol_codecs::esl::{ApiCall, Event};
use tokio::time::{Duration, Instant};
use types::SessionId;

use super::{END_AWAITED, Resync};
use crate::agent::Agent;
use crate::command::Purpose;
use crate::native;
use crate::translate;

/// An answered leg that the switch called.
#[derive(Debug)]
pub(super) struct Found {
    event: Event,
    told: Instant,
}

impl Resync {
    /// A channel is over.
    pub(crate) fn forget_stray(&mut self, channel: &str) {
        self.found.retain(|found| found.event.unique_id() != Some(channel));
    }
}

impl Agent {
    /// Our own calls are asked for: now the others of the list.
    pub(super) fn ask_about_strays(&mut self) {
        let listed = std::mem::take(&mut self.resync.strays);
        let dump = |unique_id| (Purpose::DumpUnknown, ApiCall::UuidDump { unique_id });
        self.resync.waiting.extend(listed.into_iter().map(dump));
        self.ask();
    }

    /// A leg that a call of ours talks to: called before the call was answered it is part of it, and needs no question.
    pub(super) fn is_its_callee(&mut self, other: &str, event: &Event) {
        let called = event.micros("Other-Leg-Channel-Created-Time").ok().flatten();
        let answered = event.answered_us().ok().flatten();
        if event.other_leg_unique_id() == Some(other)
            && called.zip(answered).is_some_and(|(called, answered)| called <= answered)
        {
            self.resync.strays.remove(other);
        }
    }

    /// A leg that the switch called; it may carry a call of ours, or none.
    pub(super) fn called_leg_found(&mut self, event: &Event) {
        let talks = !matches!(event.answered_us(), Ok(None)) && matches!(event.hangup_us(), Ok(None));
        let known = self.resync.found.iter().any(|found| found.event.unique_id() == event.unique_id());
        if talks && !known && translate::is_called_leg(event) {
            let now = Instant::now();
            self.resync.found.push(Found { event: event.clone(), told: now });
            self.resync.judged = now.checked_add(JUDGED_AFTER);
        }
    }

    /// The leg of this call is gone. Does its talk go on on the leg that it had called?
    pub(super) fn goes_on_with_its_callee(&mut self, session: &SessionId) -> bool {
        let channel = native::leg(session, self.calls.get(session));
        let machine = self.driver.sessions().find(|(known, _)| *known == session);
        let Some((_, machine)) = machine else { return false };
        let (answered, granted_ms) = (machine.answered_at(), machine.granted_ms());
        let its_own = |found: &&Found| {
            let event = &found.event;
            translate::called_by(event) == Some(channel)
                && answered.is_none_or(|answered| translate::offered(event) <= answered)
        };
        let callees = self.resync.found.iter().filter(its_own);
        let Some(callee) = callees.min_by_key(|found| translate::offered(&found.event)) else { return false };
        let (event, told) = (callee.event.clone(), callee.told);
        let leg = event.unique_id().unwrap_or_default();
        if answered.is_none() {
            let Some(answer) = answer_of(&event, told) else { return false };
            let left_ms = granted_ms.saturating_sub(answer.elapsed_ms);
            let call = self.calls.entry(session.clone()).or_default();
            (call.on_answered_leg, call.granted_ms) = (true, granted_ms);
            call.backstop_due = Instant::now().checked_add(Duration::from_millis(left_ms));
            self.far_leg_answered(session, answer);
        }
        self.follow(session, leg);
        // What it is doing was told a while ago.
        let question = self.dump(session);
        self.resync.waiting.push_front(question);
        self.ask();
        true
    }

    /// Legs that no call has taken.
    pub(crate) fn judge_strays(&mut self, now: Instant) {
        if self.resync.judged.is_none_or(|judged| now < judged) {
            return;
        }
        self.resync.judged = None;
        for Found { event, told } in std::mem::take(&mut self.resync.found) {
            let named = native::session_id(&self.switch, &event);
            let Some((named, answer)) = named.zip(answer_of(&event, told)) else { continue };
            if self.is_paid(&named, &event) || self.charge_beside(&named, &event, answer) {
                continue;
            }
            self.charge_left_over(named, &event, answer);
        }
    }

    /// It is, or it is part of, a call that we know.
    fn is_paid(&self, named: &SessionId, event: &Event) -> bool {
        let leg = event.unique_id().unwrap_or_default();
        if self.driver.finished_lately(named) || !self.carried(named, leg).is_empty() {
            return true;
        }
        self.partner_of(leg).is_some_and(|session| {
            let call = self.calls.get(session);
            let of_payer = translate::called_by(event) == Some(native::leg(session, call));
            let answered = call.and_then(|call| call.answered);
            of_payer || answered.is_none_or(|answered| translate::offered(event) <= answered)
        })
    }

    /// Whoever had it called is gone, and the leg talks on.
    fn charge_left_over(&mut self, named: SessionId, event: &Event, answer: Answer) {
        let Some(by) = translate::called_by(event) else { return };
        let by_is_here = !self.carried_by(by).is_empty() || self.partner_of(by).is_some();
        let Some(part_of) = translate::part_of(event).filter(|_| !by_is_here) else { return };
        if translate::is_free_of_charge(event)
            || translate::is_user_of_the_switch(event)
            || !translate::is_bridged(event)
        {
            return self.ignored("not_charged");
        }
        let from = self.offer_of(&part_of).unwrap_or_else(|| {
            let payer = translate::paid_by(event);
            let offer = translate::offer(&self.config, &self.switch, part_of.clone(), event);
            Arc::new(CallOffer { payer, ..offer })
        });
        // Had it called: the payer himself, or one of whom nothing is known any more.
        let of_payer = native::unique_id(&part_of) == by;
        let payer = from.payer.clone().filter(|_| of_payer || self.caller_pays_for_transfers());
        self.adopt_beside(named, event, answer, &from, by, payer);
    }

    /// It was hung up for a transfer, and the leg that it calls rings on.
    pub(super) fn found_left_ringing(&mut self, session: &SessionId, event: &Event) {
        let machine = self.driver.sessions().find(|(known, _)| *known == session);
        let Some(granted_ms) = machine.map(|(_, machine)| machine.granted_ms()) else { return };
        if translate::left_ringing(event) {
            let call = self.calls.entry(session.clone()).or_default();
            (call.admitted, call.granted_ms) = (true, granted_ms);
            self.rings_on(session);
            self.driver.event(session, SwitchEvent::Ringing);
        }
    }
}

/// When the leg itself was answered.
fn answer_of(event: &Event, told: Instant) -> Option<Answer> {
    let answer = translate::answer(event, 0).ok().flatten()?;
    let since_ms = u64::try_from(told.elapsed().as_millis()).unwrap_or(u64::MAX);
    Some(Answer { elapsed_ms: answer.elapsed_ms.saturating_add(since_ms), ..answer })
}

/// By then a call whose leg is gone goes on with another, or is closed.
const JUDGED_AFTER: Duration = END_AWAITED.saturating_mul(2);
