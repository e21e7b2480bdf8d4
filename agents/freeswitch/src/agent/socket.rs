//! Calls that wait on the `socket` application: from the connection to the verdict.
//!
//! What a connection names is asked over our own connection (`uuid_dump`), offered like a parked call, under the same
//! session, and armed like one. Then the dialplan goes on by itself, where a parked call is transferred. While our
//! connections are down it is kept until they stand.

use agent_runtime::Order;
use protocol_codecs::esl::{ApiCall, ApiResponse, Event};
use tokio::sync::oneshot;
use tracing::warn;
use types::SessionId;

use super::Agent;
use crate::command::Purpose;
use crate::native::{self, unique_id};
use crate::socket::Waiting;
use crate::translate;

impl Agent {
    /// The dialplan asks.
    pub(super) fn asked_for_a_verdict(&mut self, Waiting { session, go_on }: Waiting) {
        if self.outbound.get(&session).is_some_and(|earlier| !earlier.is_closed()) {
            // A channel has one application at a time: this is not the switch.
            return warn!(switch = %self.switch, session_id = %session, "a second connection for a call that waits: closed");
        }
        self.outbound.insert(session.clone(), go_on);
        self.ask_what_waits(&session);
    }

    fn ask_what_waits(&mut self, session: &SessionId) {
        let call = ApiCall::UuidDump { unique_id: unique_id(session).to_owned() };
        self.send((Purpose::Outbound(session.clone()), call));
    }

    /// Our connections stand again: what was asked before is lost.
    pub(crate) fn ask_about_all_that_wait(&mut self) {
        self.forget_closed_connections();
        let waiting: Vec<SessionId> = self.outbound.keys().cloned().collect();
        for session in waiting {
            self.ask_what_waits(&session);
        }
    }

    /// Connections that ended without us.
    pub(crate) fn forget_closed_connections(&mut self) {
        self.outbound.retain(|_, go_on| !go_on.is_closed());
    }

    /// What the channel is, as the switch says to those who know its password.
    pub(super) fn waiting_explained(&mut self, session: &SessionId, reply: Option<&ApiResponse>) {
        if !self.outbound.contains_key(session) {
            return;
        }
        let event = reply.and_then(|reply| reply.channel().ok());
        let told = event.filter(|event| native::session_id(&self.switch, event).as_ref() == Some(session));
        let reason = match &told {
            None => "no such channel",
            Some(event) if !translate::waits_on_socket(event) => "the channel does not wait on the socket application",
            Some(event) if !matches!(event.answered_us(), Ok(None)) => "the channel is answered already",
            Some(event) if translate::other_leg(event).is_some() => "the channel is not the leg that is charged",
            Some(event) if translate::is_free_of_charge(event) => "the dialplan says that nobody pays for it",
            Some(event) => return self.waits(session.clone(), event),
        };
        warn!(switch = %self.switch, session_id = %session, reason, "a call on the socket is left to the dialplan");
        self.outbound.remove(session);
    }

    /// As one that is parked. Known already: its connection or ours broke in between, and the verdict is said again.
    fn waits(&mut self, session: SessionId, event: &Event) {
        if self.driver.knows(&session) {
            return self.found_unanswered(session, event);
        }
        let offer = translate::offer(&self.config, &self.switch, session.clone(), event);
        self.calls.entry(session).or_default().on_socket = true;
        self.offer(offer, false, event);
    }

    /// The backstop is armed, and the dialplan will see that the call is admitted.
    pub(super) fn let_go_on(&mut self, session: &SessionId) {
        let connection = self.outbound.remove(session);
        if connection.is_none_or(|go_on| go_on.send(()).is_err()) {
            // The dialplan went on when the connection ended, a moment before: its next event tells how.
            warn!(switch = %self.switch, session_id = %session, "an admitted call does not wait any more");
        }
    }

    /// Nobody asks any more.
    pub(super) fn forget_connection(&mut self, order: &Order) {
        if let Order::Finished(session) = order {
            self.outbound.remove(session);
        }
    }
}

/// The calls that wait, by session.
pub(super) type Outbound = std::collections::HashMap<SessionId, oneshot::Sender<()>>;
