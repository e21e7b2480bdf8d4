//! The way out of the conversation when the credit is used up: the leg is transferred to an announcement or a context of
//! the dialplan, which ends its bridge. Pure.
//!
//! The order of the commands is what keeps the money right. First the backstop is moved a few seconds on, so that it
//! does not cut the announcement off and yet ends the call if the transfer is not carried out. Then the channel is
//! marked as not charged, for agents to come. Then it is transferred. Only when the switch shows it out of the
//! conversation is the limit of its further stay set.

use agent_call::Command;
use protocol_codecs::Masked;
use protocol_codecs::esl::{ApiCall, HangupCause};
use types::{ReleaseCause, SessionId};

use super::{Purpose, disarm, transfer};
use crate::config::FreeswitchConfig;
use crate::native::{NativeCall, leg};
use crate::translate::EMPTY_BALANCE_VARIABLE;

/// The commands instead of a plain end or refusal; `None`: nothing is configured, or it is another reason, or it has
/// been tried.
pub(super) fn calls(
    config: &FreeswitchConfig,
    session: &SessionId,
    call: &NativeCall,
    command: Command,
) -> Option<Vec<(Purpose, ApiCall)>> {
    match command {
        Command::Release { cause: ReleaseCause::CreditExhausted, attempt: 1 } if call.answered.is_some() => {
            let way_out = (Purpose::Leave(session.clone()), way_out(config, session, call)?);
            // The next one first: never a moment without any.
            let mut calls = vec![guard(session, call)];
            calls.extend(disarm(session));
            calls.extend([mark(session, call), way_out]);
            Some(calls)
        }
        Command::Refuse(cause @ ReleaseCause::CreditExhausted) if !config.empty_balance_context.is_empty() => {
            let transfer = to_context(config, session, call);
            let refusal = (Purpose::Refuse(session.clone(), cause), transfer);
            let [limit, _] = limit(config, session, call);
            Some(vec![mark(session, call), limit, refusal])
        }
        _ => None,
    }
}

/// How long the leg may stay where it is now; then the guard goes. Not in the session's groups, whose tasks go with it.
pub(crate) fn limit(config: &FreeswitchConfig, session: &SessionId, call: &NativeCall) -> [(Purpose, ApiCall); 2] {
    let seconds = u32::try_from(config.empty_balance_limit.ms().div_ceil(1000)).unwrap_or(LEAVING_S);
    let limit = kill_in(format!("tollkeeper-limit/{session}"), seconds, session, call);
    let guard = ApiCall::SchedDel { group: leaving_group(session) };
    [(Purpose::Limit(session.clone()), limit), (Purpose::Disarm(session.clone()), guard)]
}

/// Ends the call all the same if the leg does not leave.
fn guard(session: &SessionId, call: &NativeCall) -> (Purpose, ApiCall) {
    (Purpose::Limit(session.clone()), kill_in(leaving_group(session), LEAVING_S, session, call))
}

fn leaving_group(session: &SessionId) -> String {
    format!("tollkeeper-leaving/{session}")
}

fn kill_in(group: String, seconds: u32, session: &SessionId, call: &NativeCall) -> ApiCall {
    let (unique_id, cause) = (leg(session, Some(call)).to_owned(), HangupCause::AllottedTimeout);
    ApiCall::SchedKill { group, seconds, unique_id, cause }
}

fn mark(session: &SessionId, call: &NativeCall) -> (Purpose, ApiCall) {
    let variables = vec![
        ("tollkeeper_mode".to_owned(), Masked::new("none")),
        (EMPTY_BALANCE_VARIABLE.to_owned(), Masked::new("true")),
    ];
    let unique_id = leg(session, Some(call)).to_owned();
    (Purpose::Mark(session.clone()), ApiCall::UuidSetvarMulti { unique_id, variables })
}

fn way_out(config: &FreeswitchConfig, session: &SessionId, call: &NativeCall) -> Option<ApiCall> {
    if !config.empty_balance_context.is_empty() {
        return Some(to_context(config, session, call));
    }
    if config.empty_balance_file.is_empty() {
        return None;
    }
    // The dialplan of the switch itself: applications in a row.
    let applications = format!("playback:{},hangup:{}", config.empty_balance_file, HangupCause::AllottedTimeout);
    let unique_id = leg(session, Some(call)).to_owned();
    let (destination, dialplan) = (Masked::new(applications), INLINE.to_owned());
    Some(ApiCall::UuidTransfer { unique_id, destination, dialplan, context: INLINE.to_owned() })
}

/// To the number that was dialled, as with CGRateS; where it is not known or no extension, to a word.
fn to_context(config: &FreeswitchConfig, session: &SessionId, call: &NativeCall) -> ApiCall {
    let usable = super::is_plain(&call.destination) && !call.destination.starts_with('-');
    let extension = if usable { call.destination.as_str() } else { "empty_balance" };
    transfer(leg(session, Some(call)).to_owned(), Masked::new(extension), &config.empty_balance_context)
}

/// Until the leg is out of the conversation: two tries of ours and the switch's ticks.
const LEAVING_S: u32 = 3;
/// Name of the dialplan that is written into the destination.
pub(crate) const INLINE: &str = "inline";

#[cfg(test)]
mod tests;
