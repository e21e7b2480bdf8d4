//! FreeSWITCH's events in our terms. Pure and total: an event gives news of a call, a reason to ignore it, or an error.
//!
//! As a rule only inbound channels are calls to charge. The other leg of a bridge is outbound, and a loopback channel is
//! one more leg of a call that is there already, inbound or not: their events matter where a transfer left a call to them,
//! and where they wait for us themselves.

mod empty_balance;
mod end;
mod moved;
mod offer;

use agent_call::Answer;
use protocol_codecs::Class;
use protocol_codecs::esl::{CallDirection, Event, EventName, FieldError};
use types::{SessionId, UtcMs};

use crate::native;
pub(crate) use empty_balance::{left_conversation, sent_away};
pub(crate) use end::{completed, hung_up};
pub(crate) use moved::{
    Moved, called_by, diverted_past_us, is_bridged, is_called_leg, is_kept_by_the_switch, is_user_of_the_switch,
    kept_waiting, left_ringing, loopback_source, moved, redirected_here, transferor_waits,
};
pub(crate) use offer::{
    account_of_party, account_on_leg, codec, dialled, explicit_account, is_chargeable, is_free_of_charge, never_refuse,
    offer, offered, paid_by, part_of, rated_anew, route, transferred_offer, transfers_of,
};

/// What an event tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// News of a channel.
    Call {
        /// The session that is named after it, if there is one.
        session: SessionId,
        /// Why it is not the leg that is charged, as a rule; `None`: it is.
        other: Option<&'static str>,
        /// When the event was made, by the switch's clock.
        at: UtcMs,
        /// What happened.
        news: News,
    },
    /// Nothing about a call, but the switch lives.
    Ignored(&'static str),
}

/// What happened to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// It waits for us.
    Parked,
    /// The other side is alerted.
    Ringing,
    /// The inbound leg was answered.
    Answered,
    /// The caller put the other side on hold.
    Held,
    /// And took it off.
    Resumed,
    /// It talks to this leg, which was answered then.
    Bridged(Option<String>, Option<UtcMs>),
    /// It is over; the final numbers follow.
    HungUp,
    /// It is over, with the final numbers.
    Completed,
}

/// An event about a call that does not tell what it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TranslateError {
    /// No `Core-UUID`, `Unique-ID` or time of creation.
    #[error("a channel's event without its core, its id or its time of creation")]
    Nameless,
    /// No `Event-Date-Timestamp`.
    #[error("a channel's event without its own time")]
    Timeless,
    /// A field is not what its name promises.
    #[error("a channel's event with a broken field")]
    Field(#[from] FieldError),
}

impl TranslateError {
    /// Always this message only.
    pub(crate) fn class(&self) -> Class {
        Class::Skip
    }
}

/// What this event tells.
pub(crate) fn translate(switch: &str, event: &Event) -> Result<Told, TranslateError> {
    let news = match event.name() {
        Some(EventName::ChannelPark) => News::Parked,
        Some(EventName::ChannelProgress | EventName::ChannelProgressMedia) => News::Ringing,
        Some(EventName::ChannelAnswer) => News::Answered,
        Some(EventName::ChannelHold) => News::Held,
        Some(EventName::ChannelUnhold) => News::Resumed,
        Some(EventName::ChannelBridge) => {
            News::Bridged(event.other_leg_unique_id().map(str::to_owned), other_leg_answered(event))
        }
        Some(EventName::ChannelHangup) => News::HungUp,
        Some(EventName::ChannelHangupComplete) => News::Completed,
        Some(EventName::Heartbeat) => return Ok(Told::Ignored("heartbeat")),
        Some(EventName::Shutdown) => return Ok(Told::Ignored("shutdown")),
        Some(EventName::BackgroundJob) => return Ok(Told::Ignored("job_of_another")),
        _ => return Ok(Told::Ignored("unknown_event")),
    };
    let session = native::session_id(switch, event).ok_or(TranslateError::Nameless)?;
    let at = event.date_timestamp_us()?.ok_or(TranslateError::Timeless)?;
    Ok(Told::Call { session, other: other_leg(event), at: utc(at), news })
}

/// When the leg was answered that this channel talks to.
pub(crate) fn other_leg_answered(event: &Event) -> Option<UtcMs> {
    event.micros("Other-Leg-Channel-Answered-Time").ok().flatten().map(utc)
}

/// Why this channel is not the leg that is charged; `None`: it is.
pub(crate) fn other_leg(event: &Event) -> Option<&'static str> {
    let loopback = event.text("Channel-Name").is_some_and(|name| name.starts_with("loopback/"));
    match event.call_direction() {
        _ if loopback => Some("loopback_leg"),
        Some(CallDirection::Inbound) if event.variable("originating_leg_uuid").is_some() => Some("b_leg"),
        Some(CallDirection::Inbound) => None,
        Some(CallDirection::Outbound) => Some("b_leg"),
        None => Some("no_direction"),
    }
}

/// The answer that any event of an answered channel tells; `late_ms`: how late the event itself came.
pub(crate) fn answer(event: &Event, late_ms: u64) -> Result<Option<Answer>, TranslateError> {
    let Some(answered_us) = event.answered_us()? else { return Ok(None) };
    let told = event.date_timestamp_us()?.ok_or(TranslateError::Timeless)?;
    let at = utc(answered_us);
    // The event of the answer itself is some milliseconds younger than the answer, which is no delay.
    let age_ms = if event.name() == Some(EventName::ChannelAnswer) { 0 } else { utc(told).since(at) };
    Ok(Some(Answer { at, elapsed_ms: age_ms.saturating_add(late_ms) }))
}

/// It waits in the dialplan, for us as a rule.
pub(crate) fn is_parked(event: &Event) -> bool {
    event.variable("current_application") == Some("park")
}

/// It waits on the dialplan's `socket` application, ours or another's.
pub(crate) fn waits_on_socket(event: &Event) -> bool {
    event.variable("current_application") == Some("socket")
}

/// Set when a call is admitted, so that a later agent knows it.
pub(crate) const SESSION_VARIABLE: &str = "tollkeeper_session";
/// Set with it: what was dialled.
pub(crate) const DIALLED_VARIABLE: &str = "tollkeeper_dialled";
/// Set with it, and inherited by the legs that are called: the session beside which, or for which, they are.
pub(crate) const PART_OF_VARIABLE: &str = "tollkeeper_part_of";
/// The same: the account that pays for it.
pub(crate) const PAID_BY_VARIABLE: &str = "tollkeeper_paid_by";
/// FreeSWITCH's own: the context to which a leg is transferred that is told only a number, as by REFER.
pub(crate) const TRANSFER_CONTEXT_VARIABLE: &str = "force_transfer_context";
/// FreeSWITCH's own: names of the variables that legs called by this one get too.
pub(crate) const EXPORTS_VARIABLE: &str = "export_vars";

/// Set when a call that waits on the socket application is admitted: the dialplan behind it refuses all others.
pub(crate) const ADMITTED_VARIABLE: &str = "tollkeeper_admitted";
/// Set when a caller without credit is sent to hear of it.
pub(crate) const EMPTY_BALANCE_VARIABLE: &str = "tollkeeper_empty_balance";

/// Whole milliseconds, rounded down: differences of two are off by less than one.
pub(crate) fn utc(micros: i64) -> UtcMs {
    UtcMs(micros.div_euclid(1000))
}

#[cfg(test)]
mod tests;
