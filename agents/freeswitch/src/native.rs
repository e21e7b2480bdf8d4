//! What FreeSWITCH calls a call: its inbound channel. The machines know only session ids.

use std::sync::Arc;

use agent_call::{CallOffer, Command};
use agent_runtime::UnknownEnd;
use protocol_codecs::esl::{Event, HangupCause};
use tokio::time::{Duration, Instant};
use types::{DurationMs, ReleaseCause, SessionId, UtcMs};

/// What the agent must know of one call besides its machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct NativeCall {
    /// The extension to go on with, as dialled; empty for a call that is not known to have been parked.
    pub(crate) destination: String,
    /// The channel that carries it now, when that is not the one it is named after: the payer has left the talk.
    pub(crate) leg: Option<String>,
    /// The leg it talks to, or talked to last.
    pub(crate) other_leg: Option<String>,
    /// When that leg hung up, by the switch's clock.
    pub(crate) other_ended: Option<UtcMs>,
    /// Its channel was answered before it was offered: it begins with the answer of the leg that the channel is bridged
    /// to.
    pub(crate) on_answered_leg: bool,
    /// Its channel was hung up for a transfer while the leg that it called still rang.
    pub(crate) left_ringing: bool,
    /// Legs of it that hold the other side now.
    pub(crate) holders: Vec<String>,
    /// Where transfers of its legs go, unless the operator said so himself: to where it waited for us.
    pub(crate) transfer_context: Option<String>,
    /// Variables that the channel exports to the legs it calls, as the operator has them; absent: names that no command
    /// can carry, which are left alone.
    pub(crate) exports: Option<String>,
    /// Granted from the answer on.
    pub(crate) granted_ms: DurationMs,
    /// When the grant ends, as far as the switch was told; absent before the answer.
    pub(crate) backstop_due: Option<Instant>,
    /// The call as it was offered, while that is known: a leg that is transferred out of it is charged after it.
    pub(crate) offer: Option<Arc<CallOffer>>,
    /// How it was refused, should the order have been lost.
    pub(crate) refused: Option<ReleaseCause>,
    /// It waits on the dialplan's `socket` application, or did: the dialplan routes it.
    pub(crate) on_socket: bool,
    /// The switch took the order to route it.
    pub(crate) admitted: bool,
    /// We ended it.
    pub(crate) released: bool,
    /// So often it was asked whether it has left its conversation.
    pub(crate) asked_whether_left: u32,
    /// When it was answered, by the switch's clock.
    pub(crate) answered: Option<UtcMs>,
    /// This connection has told of the channel.
    pub(crate) seen: bool,
    /// The switch said that there is no such channel; its end may be on the way.
    pub(crate) missing: bool,
    /// How it ended, kept until it is charged and recorded: the switch tells it only once.
    pub(crate) end: Option<Box<UnknownEnd>>,
}

impl NativeCall {
    /// How far the credit reaches, for the switch's own clock.
    pub(crate) fn was_told(&mut self, command: Command, now: Instant) {
        match command {
            Command::Admit { granted_ms } => self.granted_ms = granted_ms,
            Command::MoveBackstop { remaining_ms } => {
                self.backstop_due = now.checked_add(Duration::from_millis(remaining_ms));
            }
            _ => {}
        }
    }
}

/// Our session for a channel. The run tells channels of different lives of the switch apart, and the time of creation
/// those whose ids a caller chose (`inbound-use-callid-as-uuid`); `None` when the event names no channel.
pub(crate) fn session_id(switch: &str, event: &Event) -> Option<SessionId> {
    let created_us = event.created_us().ok().flatten()?;
    let prefix = run_prefix(switch, event.core_uuid()?);
    Some(SessionId::from(format!("{prefix}{created_us}-{}", event.unique_id()?)))
}

/// Our session for a further conversation of a channel: the time at which it was parked tells it from the others.
pub(crate) fn further_session_id(switch: &str, event: &Event) -> Option<SessionId> {
    let parked_us = event.date_timestamp_us().ok().flatten()?;
    let prefix = run_prefix(switch, event.core_uuid()?);
    Some(SessionId::from(format!("{prefix}{parked_us}-{}", event.unique_id()?)))
}

/// When the session was made, in microseconds: what tells it from others of its channel.
pub(crate) fn stamp(session: &SessionId) -> &str {
    let of_run = session.as_str().splitn(3, '/').nth(2).unwrap_or_default();
    of_run.split_once('-').map_or("", |(stamp, _)| stamp)
}

/// The channel that carries a session.
pub(crate) fn leg<'a>(session: &'a SessionId, call: Option<&'a NativeCall>) -> &'a str {
    call.and_then(|call| call.leg.as_deref()).unwrap_or_else(|| unique_id(session))
}

/// How all sessions of one run of a switch begin.
pub(crate) fn run_prefix(switch: &str, run: &str) -> String {
    format!("{switch}/{run}/")
}

/// The channel of a session.
pub(crate) fn unique_id(session: &SessionId) -> &str {
    let of_run = session.as_str().splitn(3, '/').nth(2).unwrap_or_default();
    of_run.split_once('-').map_or("", |(_, unique_id)| unique_id)
}

/// The hangup cause that ends a call for this reason; before the answer the caller gets its SIP status.
pub(crate) fn hangup_cause(cause: ReleaseCause) -> HangupCause {
    match cause {
        ReleaseCause::CreditExhausted | ReleaseCause::MaximumDuration | ReleaseCause::Backstop => {
            HangupCause::AllottedTimeout
        }
        ReleaseCause::Operator => HangupCause::ManagerRequest,
        ReleaseCause::InvalidNumber => HangupCause::InvalidNumberFormat,
        ReleaseCause::ChargingUnavailable | ReleaseCause::Shutdown => HangupCause::NormalTemporaryFailure,
        _ => HangupCause::OutgoingCallBarred,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_leads_back_to_its_channel() {
        for (session, expected) in [
            ("fs1/e6bd3949-49ae/1795307928766911-d4ad5ece-0296-43f5", "d4ad5ece-0296-43f5"),
            ("fs1/run/17-a/b-c", "a/b-c"),
            ("fs1/run", ""),
            ("", ""),
        ] {
            assert_eq!(unique_id(&SessionId::from(session)), expected, "{session}");
        }
        assert_eq!(stamp(&SessionId::from("fs1/run/17-a/b-c")), "17");
    }

    #[test]
    fn a_refusal_has_its_sip_status() {
        for (cause, status) in [
            (ReleaseCause::InvalidNumber, 484),
            (ReleaseCause::ChargingUnavailable, 503),
            (ReleaseCause::Shutdown, 503),
            (ReleaseCause::UnknownAccount, 403),
            (ReleaseCause::UnknownPayer, 403),
            (ReleaseCause::AccountBlocked, 403),
            (ReleaseCause::UnratedDestination, 403),
            (ReleaseCause::Fraud, 403),
            (ReleaseCause::MaximumDuration, 480),
        ] {
            assert_eq!((cause.sip_status(), hangup_cause(cause).sip_status()), (status, status), "{cause:?}");
        }
    }
}
