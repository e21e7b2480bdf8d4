//! Legs that the switch calls beside a call, without a question: `att_xfer` or `bridge` of a leg that talks already, or
//! that was sent to a context that does not park.
//!
//! Nothing on the event socket can hold such a leg before it rings: FreeSWITCH dials it from within the application. So it
//! is charged from its answer, as any answered call that nobody has offered: adopted or released, as configured. The one
//! who had it called pays, as for any transferred leg. Of a callee nothing but its own channel says who that is, so the
//! switch is asked for it first.

use std::sync::Arc;

use agent_call::{Answer, CallOffer};
use agent_runtime::UnknownCalls;
use protocol_codecs::esl::{ApiCall, ApiResponse, Event};
use tokio::time::Instant;
use tracing::{info, warn};
use types::charging::SubscriberId;
use types::{LegId, ReleaseCause, SessionId};

use super::Sent;
use crate::agent::Agent;
use crate::command::Purpose;
use crate::config::TransferPayer;
use crate::translate;

/// A leg whose payer is asked for.
#[derive(Debug)]
pub(super) struct Beside {
    session: SessionId,
    event: Event,
    answer: Answer,
    asked: Instant,
    from: Arc<CallOffer>,
    /// The channel that had it called.
    by: String,
}

/// Who pays for a leg that was called beside a call.
#[derive(Debug)]
enum Payer {
    Known(Option<SubscriberId>),
    /// The party at the channel that had it called.
    AsItsChannelSays,
}

impl Beside {
    pub(super) fn is_of(&self, channel: &str) -> bool {
        self.event.unique_id() == Some(channel)
    }
}

impl Agent {
    /// An outbound leg was answered that nobody waits for. False: it is part of the call that it was called for, or of none.
    pub(crate) fn charge_beside(&mut self, named: &SessionId, event: &Event, answer: Answer) -> bool {
        let Some(by) = translate::called_by(event).filter(|_| translate::is_called_leg(event)) else { return false };
        let Some((from, known)) = self.who_called_beside(by, event) else { return false };
        if translate::is_free_of_charge(event) || translate::is_user_of_the_switch(event) {
            self.ignored("not_charged");
            return true;
        }
        let on_leg = translate::account_on_leg(event, from.payer.as_ref());
        match known {
            Payer::Known(known) => self.adopt_beside(named.clone(), event, answer, &from, by, on_leg.or(known)),
            Payer::AsItsChannelSays if on_leg.is_some() => {
                self.adopt_beside(named.clone(), event, answer, &from, by, on_leg);
            }
            Payer::AsItsChannelSays => {
                let ask = ApiCall::UuidDump { unique_id: by.to_owned() };
                let (session, event, by) = (named.clone(), event.clone(), by.to_owned());
                self.legs.beside.push(Beside { session, event, answer, asked: Instant::now(), from, by });
                self.send((Purpose::Transferor(named.clone()), ask));
            }
        }
        true
    }

    /// The call beside which this leg was called by `by`, and who pays.
    fn who_called_beside(&self, by: &str, event: &Event) -> Option<(Arc<CallOffer>, Payer)> {
        let created = translate::offered(event);
        let carried = self.carried_by(by);
        let older = |session: &SessionId| {
            self.calls.get(session).and_then(|call| call.answered).is_some_and(|answered| answered < created)
        };
        if !carried.iter().all(older) {
            // The leg that this call was made for; or one of several, of which another was faster.
            return None;
        }
        if let Some(Sent { from, payer, by_callee, .. }) = self.legs.sent.get(by) {
            let by_caller = *by_callee && self.caller_pays_for_transfers();
            let payer = if by_caller { &from.payer } else { payer };
            return Some((Arc::clone(from), Payer::Known(payer.clone())));
        }
        let session = carried.last().or(self.legs.partners.get(by)).filter(|session| older(session))?;
        if !self.talks_on(by, &carried) || self.talks_with(session, event) {
            return None;
        }
        let from = self.offer_of(session)?;
        let payer = match self.own_call(by, &carried) {
            Some(own) => Payer::Known(own.payer.clone()),
            None if self.caller_pays_for_transfers() => Payer::Known(from.payer.clone()),
            None => Payer::AsItsChannelSays,
        };
        Some((from, payer))
    }

    pub(crate) fn caller_pays_for_transfers(&self) -> bool {
        self.config.transfers_paid_by == TransferPayer::Caller
    }

    fn talks_with(&self, session: &SessionId, event: &Event) -> bool {
        self.calls.get(session).is_some_and(|call| call.other_leg.as_deref() == event.unique_id())
    }

    /// What the channel says that had the leg called; nothing, when it is gone.
    pub(crate) fn transferor_told(&mut self, session: &SessionId, reply: Option<&ApiResponse>) {
        let Some(position) = self.legs.beside.iter().position(|beside| beside.session == *session) else { return };
        let Beside { session, event, answer, asked, from, by } = self.legs.beside.swap_remove(position);
        let channel = reply.and_then(|reply| reply.channel().ok());
        let payer = channel.and_then(|channel| translate::account_of_party(&channel, from.payer.as_ref()));
        let waited_ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
        let answer = Answer { elapsed_ms: answer.elapsed_ms.saturating_add(waited_ms), ..answer };
        self.adopt_beside(session, &event, answer, &from, &by, payer);
    }

    pub(crate) fn adopt_beside(
        &mut self,
        session: SessionId,
        event: &Event,
        answer: Answer,
        from: &CallOffer,
        by: &str,
        payer: Option<SubscriberId>,
    ) {
        let own = translate::offer(&self.config, &self.switch, session.clone(), event);
        let offer = CallOffer { payer, ..translate::transferred_offer(&self.config, from, LegId::new(by), own) };
        if offer.payer.is_none() {
            warn!(switch = %self.switch, session_id = %session, leg_id = by, "a leg was called beside a call by one who has no account: ended; set tollkeeper_account on it, or tollkeeper_mode to none");
        } else {
            info!(switch = %self.switch, session_id = %session, leg_id = by, "a leg was called beside a call without authorisation: charged from its answer");
        }
        self.adopt_as_configured(offer, answer, event);
    }

    /// An answered leg that nobody has offered: charged from its answer, or ended.
    pub(crate) fn adopt_as_configured(&mut self, offer: CallOffer, answer: Answer, event: &Event) {
        let session = offer.session_id.clone();
        let call = self.calls.entry(session.clone()).or_default();
        (call.answered, call.seen, call.admitted) = (Some(answer.at), true, true);
        call.offer = Some(Arc::new(offer.clone()));
        self.legs.carry(event.unique_id().unwrap_or_default(), &session);
        let release = !offer.never_refuse && self.config.calls.unknown_calls == UnknownCalls::Release;
        self.driver.adopt(offer, answer);
        if release {
            self.driver.release(&session, ReleaseCause::Operator);
        }
    }
}
