//! Our commands in FreeSWITCH's words. Pure.
//!
//! Admission is two steps: the variables first, then the transfer, and the second only when the switch has taken the
//! first; a call without its backstop must not be routed. The backstop is `sched_hangup`, armed by the switch itself at
//! the answer. A further one does not replace it: all of the channel are deleted first.

mod empty_balance;

use agent_call::Command;
use protocol_codecs::Masked;
use protocol_codecs::esl::{ApiCall, BroadcastLegs, HangupCause};
use types::{DurationMs, ReleaseCause, SessionId};

use crate::config::FreeswitchConfig;
use crate::native::{NativeCall, hangup_cause, unique_id};
use crate::translate::{ADMITTED_VARIABLE, DIALLED_VARIABLE, SESSION_VARIABLE};
pub(crate) use empty_balance::{INLINE, limit};

/// What an api call was for: its answer is read accordingly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Variables of an admitted call; when they are set it is routed.
    Arm(SessionId),
    /// The transfer of an admitted call.
    Route(SessionId),
    /// The transfer of a refused call to where it is refused.
    Refuse(SessionId, ReleaseCause),
    /// The end of a call.
    Kill(SessionId),
    /// Away with the former backstop.
    Disarm(SessionId),
    /// The next one.
    Backstop(SessionId),
    /// The caller hears that the credit ends.
    Announce(SessionId),
    /// Marks a channel as no longer charged, or ends a leg that should have ended already: whatever is answered.
    Mark(SessionId),
    /// The transfer of a caller without credit out of the conversation.
    Leave(SessionId),
    /// Has it left?
    Left(SessionId),
    /// How long it may stay there.
    Limit(SessionId),
    /// What the channel is that a connection of the socket application named.
    Outbound(SessionId),
    /// Which channels there are.
    Channels,
    /// What a channel is.
    Dump(SessionId),
    /// What a channel is that we do not know.
    DumpUnknown,
    /// Is it there?
    Exists(SessionId),
    /// Does the switch answer at all?
    Ping,
}

/// The api calls for a command.
pub(crate) fn calls(
    config: &FreeswitchConfig,
    session: &SessionId,
    call: &mut NativeCall,
    command: Command,
) -> Vec<(Purpose, ApiCall)> {
    let unique_id = unique_id(session).to_owned();
    let out_of_credit = empty_balance::calls(config, session, call, command);
    match command {
        Command::Admit { granted_ms } => {
            vec![(Purpose::Arm(session.clone()), variables(session, unique_id, call, granted_ms))]
        }
        Command::Refuse(cause) => {
            call.refused = Some(cause);
            out_of_credit.unwrap_or_else(|| vec![refusal(config, session, unique_id, cause)])
        }
        Command::MoveBackstop { remaining_ms } => {
            let disarm = ApiCall::SchedDel { unique_id: unique_id.clone() };
            let (seconds, cause) = (backstop_s(remaining_ms), HangupCause::AllottedTimeout);
            let backstop = ApiCall::SchedHangup { unique_id, seconds, cause };
            vec![(Purpose::Disarm(session.clone()), disarm), (Purpose::Backstop(session.clone()), backstop)]
        }
        Command::Release { cause, attempt } => {
            call.released = true;
            if let Some(calls) = out_of_credit {
                return calls;
            }
            let (cause, other) = (hangup_cause(cause), call.other_leg.clone().filter(|_| attempt > 1));
            let legs = std::iter::once(unique_id).chain(other);
            legs.map(|unique_id| (Purpose::Kill(session.clone()), ApiCall::UuidKill { unique_id, cause })).collect()
        }
        Command::WarnLowBalance { .. } if config.low_balance_file.is_empty() => vec![],
        Command::WarnLowBalance { .. } => {
            let (path, legs) = (config.low_balance_file.to_string(), BroadcastLegs::A);
            vec![(Purpose::Announce(session.clone()), ApiCall::UuidBroadcast { unique_id, path, legs })]
        }
    }
}

/// The second step of an admission.
pub(crate) fn route(config: &FreeswitchConfig, session: &SessionId, call: &NativeCall) -> (Purpose, ApiCall) {
    let destination = Masked::new(call.destination.as_str());
    let transfer = transfer(unique_id(session).to_owned(), destination, &config.admitted_context);
    (Purpose::Route(session.clone()), transfer)
}

/// The end of a call that cannot be handled as it should be.
pub(crate) fn kill(session: &SessionId, cause: HangupCause) -> (Purpose, ApiCall) {
    let unique_id = unique_id(session).to_owned();
    (Purpose::Kill(session.clone()), ApiCall::UuidKill { unique_id, cause })
}

fn variables(session: &SessionId, unique_id: String, call: &NativeCall, granted_ms: DurationMs) -> ApiCall {
    let hangup = format!("sched_hangup +{} {}", backstop_s(granted_ms), HangupCause::AllottedTimeout);
    let mut variables = vec![
        (SESSION_VARIABLE.to_owned(), Masked::new(session.as_str())),
        ("execute_on_answer".to_owned(), Masked::new(hangup)),
    ];
    if is_plain(&call.destination) {
        // For a later agent: a transfer changes the switch's own field.
        variables.push((DIALLED_VARIABLE.to_owned(), Masked::new(call.destination.as_str())));
    }
    if call.on_socket {
        variables.push((ADMITTED_VARIABLE.to_owned(), Masked::new("true")));
    }
    ApiCall::UuidSetvarMulti { unique_id, variables }
}

/// A number that a variable or an extension can be.
fn is_plain(destination: &str) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || "+*#-._".contains(character);
    !destination.is_empty() && destination.chars().all(plain)
}

/// A hangup cause where one makes the status, else an extension that says it.
fn refusal(
    config: &FreeswitchConfig,
    session: &SessionId,
    unique_id: String,
    cause: ReleaseCause,
) -> (Purpose, ApiCall) {
    let (status, native) = (cause.sip_status(), refusal_cause(cause));
    if native.sip_status() == status || config.refuse_context.is_empty() {
        return kill(session, native);
    }
    let transfer = transfer(unique_id, Masked::new(status.to_string()), &config.refuse_context);
    (Purpose::Refuse(session.clone(), cause), transfer)
}

/// The nearest to the status that a hangup cause makes.
pub(crate) fn refusal_cause(cause: ReleaseCause) -> HangupCause {
    match cause {
        ReleaseCause::CreditExhausted => HangupCause::OutgoingCallBarred,
        _ => hangup_cause(cause),
    }
}

fn transfer(unique_id: String, destination: Masked, context: &str) -> ApiCall {
    ApiCall::UuidTransfer { unique_id, destination, dialplan: "XML".to_owned(), context: context.to_owned() }
}

/// The switch's timer fires on whole seconds of its clock, up to a second early; with one more it never comes before our
/// own cut.
fn backstop_s(granted_ms: DurationMs) -> u32 {
    let seconds = granted_ms.div_ceil(1000).saturating_add(1);
    u32::try_from(seconds).unwrap_or(u32::MAX).min(LONGEST_BACKSTOP_S)
}

/// The codec's limit, a year: longer than any call.
const LONGEST_BACKSTOP_S: u32 = protocol_codecs::esl::limits::SCHED_SECONDS_MAX;

#[cfg(test)]
mod tests;
