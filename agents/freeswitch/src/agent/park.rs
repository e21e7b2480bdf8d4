//! A leg waits in the dialplan: for us, and if so as what?
//!
//! | leg | it is |
//! |---|---|
//! | inbound, not answered, nothing known of it | a new call |
//! | not answered, admitted before, another account than before | forwarded: a call of the diverter's besides |
//! | not answered, admitted before | another destination instead: the first attempt is over |
//! | sent here by the leg it talked to (REFER) or called (302), or left behind by it | a leg of its own, paid as configured |
//! | answered, known | a second conversation: the first is over |
//! | answered, not known, the dialplan marks it as to be charged | click-to-call, or an IVR's second conversation |
//! | far end of a loopback channel, its number paid for by the session that called it | let through |
//! | far end of any other loopback channel | a new call if the dialplan names an account, else refused |

use std::sync::Arc;

use agent_call::{CallEnd, CallOffer, Phase, SwitchEvent};
use protocol_codecs::esl::{ApiCall, Event, HangupCause};
use tracing::{info, warn};
use types::{EndedBy, SessionId, SipStatus, UtcMs};

use super::Agent;
use super::legs::Sent;
use crate::command::{self, Purpose};
use crate::config::TransferPayer;
use crate::native;
use crate::translate;

impl Agent {
    /// `named`: the session that is named after the channel; `other`: why the channel is not a caller's leg.
    pub(crate) fn parked(&mut self, named: SessionId, other: Option<&'static str>, at: UtcMs, event: &Event) {
        let Some(channel) = event.unique_id() else { return };
        if translate::waits_on_socket(event) {
            // Parked by the socket application, ours or another's: it is let go on over its connection.
            return self.ignored("waits_on_socket");
        }
        let contexts = &self.config.parked_contexts;
        let context = event.text("Caller-Context").unwrap_or_default();
        let ours = contexts.iter().any(|ours| **ours == *context);
        if !contexts.is_empty() && !ours {
            return self.ignored("parked_elsewhere");
        }
        let answered = !matches!(event.answered_us(), Ok(None));
        let by_the_switch = translate::transferor_waits(event)
            || translate::is_kept_by_the_switch(event)
            || event.text("Caller-Dialplan") == Some("inline");
        if answered && by_the_switch {
            return self.ignored("parked_by_the_switch");
        }
        if other == Some("loopback_leg") && !self.driver.knows(&named) {
            return self.loopback_parked(named, event);
        }
        let carried = self.carried(&named, channel);
        if answered && !self.legs.is_sent(channel) && self.waits_too_early(&carried, &named, other, at, event) {
            return;
        }
        self.waits_for_us(named, other, at, event);
    }

    /// What it waits for is decided now.
    pub(super) fn waits_for_us(&mut self, named: SessionId, other: Option<&'static str>, at: UtcMs, event: &Event) {
        let Some(channel) = event.unique_id() else { return };
        let answered = !matches!(event.answered_us(), Ok(None));
        let context = event.text("Caller-Context").unwrap_or_default();
        let ours = self.config.parked_contexts.iter().any(|ours| **ours == *context);
        let carried = self.carried(&named, channel);
        if let Some(sent) = self.legs.take_sent(channel) {
            return self.sent_here(&carried, sent, answered, at, event);
        }
        match carried.last() {
            Some(newest) => self.parked_again(&newest.clone(), answered, at, event),
            None if other.is_some() && translate::explicit_account(event).is_none() => {
                self.ignored(other.unwrap_or_default())
            }
            None if translate::is_free_of_charge(event) => self.ignored("not_charged"),
            None if other.is_none() && answered && !ours && !translate::is_chargeable(event) => {
                self.ignored("parked_when_answered")
            }
            None => {
                let session = if answered && other.is_none() { self.further(event) } else { Some(named) };
                if let Some(session) = session {
                    let offer = self.offer_from(session, event, at);
                    self.offer(offer, answered, event);
                }
            }
        }
    }

    /// The leg goes on to somebody else: to whom, and who pays?
    fn sent_here(&mut self, carried: &[SessionId], sent: Sent, answered: bool, at: UtcMs, event: &Event) {
        let Some(session) = self.further(event) else { return };
        let by_caller = self.config.transfers_paid_by == TransferPayer::Caller && sent.by_callee;
        let payer = if by_caller { sent.from.payer.clone() } else { sent.payer.clone() };
        if by_caller && let Some(newest) = carried.last() {
            // He cannot be made to pay twice for one conversation.
            self.conversation_over(newest, at);
        }
        let own = self.offer_from(session, event, at);
        let offer = translate::transferred_offer(&self.config, &sent.from, sent.parent, own);
        info!(switch = %self.switch, session_id = %offer.session_id, payer_known = payer.is_some(), "a transferred leg waits");
        self.offer(CallOffer { payer, ..offer }, answered, event);
    }

    /// It was admitted before, and waits with another destination.
    fn parked_again(&mut self, newest: &SessionId, answered: bool, at: UtcMs, event: &Event) {
        let phase = self.driver.sessions().find(|(known, _)| *known == newest).map(|(_, machine)| machine.phase());
        let admitted = self.calls.get(newest).is_some_and(|call| call.admitted);
        if !matches!(phase, Some(Phase::Ringing | Phase::Talking)) || !admitted {
            return self.ignored("parked_already");
        }
        let Some(session) = self.further(event) else { return };
        let Some(former) = self.offer_of(newest) else { return };
        let route_before = self.calls.get(newest).map(|call| call.destination.clone()).unwrap_or_default();
        let own = self.offer_from(session, event, at);
        let own = translate::rated_anew(&self.config, own, &former, route_before == translate::route(event), event);
        // Not the SIP Call-ID of this leg, should it be a leg that was transferred to the call.
        let own = CallOffer { call_id: former.call_id.clone(), ..own };
        let diverter = translate::explicit_account(event).filter(|_| !answered);
        let is_payer = |account: &str| former.payer.as_ref().is_some_and(|payer| payer.value.expose() == account);
        let redirected = !answered && translate::redirected_here(event, translate::route(event));
        if diverter.is_some_and(|account| !is_payer(account)) || redirected {
            // The caller still pays for the number that he dialled, and the diverter for where that leads.
            // Of a callee that redirects (302), and that nothing is known of, he pays nothing either.
            let payer = own.payer.clone().filter(|payer| !is_payer(payer.value.expose()));
            let offer = CallOffer { payer, parent_leg_id: Some(former.leg_id.clone()), ..own };
            return self.offer(offer, false, event);
        }
        self.conversation_over(newest, at);
        let payer = own.payer.clone().or_else(|| former.payer.clone());
        self.offer(CallOffer { payer, parent_leg_id: former.parent_leg_id.clone(), ..own }, answered, event);
    }

    /// The channel goes on without this conversation.
    fn conversation_over(&mut self, session: &SessionId, at: UtcMs) {
        let call = self.calls.entry(session.clone()).or_default();
        let (at, unset) = (call.other_ended.unwrap_or(at), command::unset_on_answer(session, call));
        if call.answered.is_none() {
            self.send(unset);
        }
        let end = match self.calls.get(session).and_then(|call| call.answered) {
            // Its time is the switch's; when we hear of it says nothing.
            Some(_) => CallEnd { replayed: true, ..CallEnd::normal(at, EndedBy::Callee) },
            None => CallEnd { sip_status: None, ..CallEnd::unanswered(at, NOT_REACHED) },
        };
        self.driver.event(session, SwitchEvent::Ended(end));
    }

    /// The far end of a loopback channel: one more leg of a call that is there already, or a way around us.
    fn loopback_parked(&mut self, named: SessionId, event: &Event) {
        if translate::is_free_of_charge(event) {
            return self.ignored("not_charged");
        }
        let (channel, source) = (event.unique_id().unwrap_or_default(), translate::loopback_source(event));
        let offer = self.offer_from(named, event, UtcMs(0));
        let payer = source.and_then(|source| self.pays_for(source, &offer));
        if let Some(payer) = payer {
            self.ignored("loopback_leg_of_a_charged_call");
            self.legs.loopbacks.insert(channel.to_owned(), payer);
            let transfer = ApiCall::UuidTransfer {
                unique_id: channel.to_owned(),
                destination: protocol_codecs::Masked::new(translate::route(event)),
                dialplan: "XML".to_owned(),
                context: self.config.admitted_context.to_string(),
            };
            return self.send((Purpose::Through(channel.to_owned()), transfer));
        }
        let account = translate::explicit_account(event).is_some();
        if !account && !offer.never_refuse {
            warn!(switch = %self.switch, leg_id = channel, "a loopback leg that nobody pays for is refused: set tollkeeper_account on it, or tollkeeper_mode to none");
        }
        let payer = offer.payer.clone().filter(|_| account);
        let offered = translate::offered(event);
        self.offer(CallOffer { payer, offered, ..offer }, false, event);
    }

    /// The session that pays for this number already, at the channel from which the loopback channel was called.
    fn pays_for(&self, source: &str, offer: &CallOffer) -> Option<SessionId> {
        let through = self.legs.loopbacks.get(source).cloned();
        let session = through.or_else(|| self.carried_by(source).pop())?;
        // Who talks already calls somebody else besides.
        let calls_on = |call: &native::NativeCall| call.admitted && !call.released && call.other_leg.is_none();
        let admitted = self.calls.get(&session).is_some_and(calls_on);
        let same = self.offer_of(&session).is_some_and(|paid| paid.called.is_some() && paid.called == offer.called);
        (admitted && same && self.driver.knows(&session)).then_some(session)
    }

    fn further(&self, event: &Event) -> Option<SessionId> {
        native::further_session_id(&self.switch, event)
    }

    fn offer_from(&self, session: SessionId, event: &Event, at: UtcMs) -> CallOffer {
        let named = native::session_id(&self.switch, event).as_ref() == Some(&session);
        let offer = translate::offer(&self.config, &self.switch, session, event);
        // A further conversation begins when it waits for us, not with its channel.
        if named { offer } else { CallOffer { offered: at, ..offer } }
    }

    /// Asks for credit, and keeps what is needed to admit the leg.
    pub(super) fn offer(&mut self, offer: CallOffer, answered: bool, event: &Event) {
        let Some(channel) = event.unique_id() else { return };
        let (session, offer) = (offer.session_id.clone(), Arc::new(offer));
        let call = self.calls.entry(session.clone()).or_default();
        (call.destination, call.seen) = (translate::route(event).to_owned(), true);
        (call.on_answered_leg, call.offer) = (answered, Some(Arc::clone(&offer)));
        (call.transfer_context, call.exports) = translate::transfers_of(event);
        self.legs.carry(channel, &session);
        if offer.never_refuse {
            // It should not have been held up at all.
            let call = self.calls.entry(session.clone()).or_default();
            let route = command::route(&self.config, &session, call);
            self.send(route);
        }
        self.driver.offer(offer);
    }

    /// The switch's answer to letting a loopback leg through.
    pub(super) fn let_through(&mut self, channel: String, done: bool) {
        if !done {
            warn!(switch = %self.switch, leg_id = channel, "a loopback leg was not transferred: ended");
            let cause = HangupCause::NormalTemporaryFailure;
            self.send((Purpose::Through(String::new()), ApiCall::UuidKill { unique_id: channel, cause }));
        }
    }
}

/// Of an attempt that the dialplan gave up for another.
const NOT_REACHED: SipStatus = 480;
