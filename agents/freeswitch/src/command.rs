//! Our commands in FreeSWITCH's words. Pure.
//!
//! Admission is two steps: the variables first, then the transfer, and the second only when the switch has taken the
//! first; a call without its backstop must not be routed. The backstop is a task of the switch that kills the leg, in a
//! group of tasks of the session's own, so that it can be replaced without touching what the operator has scheduled for
//! the channel (`sched_del` of the channel's id would). `api_on_answer_tollkeeper_...` arms it: FreeSWITCH runs every
//! variable that begins with `api_on_answer`, so the operator's own ones stay. The next is armed before the former is
//! deleted; two groups take turns, because a task cannot be moved from one to the other.

mod empty_balance;

use agent_call::Command;
use protocol_codecs::Masked;
use protocol_codecs::esl::{ApiCall, BroadcastLegs, HangupCause};
use types::{DurationMs, ReleaseCause, SessionId};

use crate::config::FreeswitchConfig;
use crate::native::{NativeCall, hangup_cause, leg, stamp};
use crate::translate::{
    ADMITTED_VARIABLE, DIALLED_VARIABLE, EXPORTS_VARIABLE, PAID_BY_VARIABLE, PART_OF_VARIABLE, SESSION_VARIABLE,
    TRANSFER_CONTEXT_VARIABLE,
};
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
    /// Away with a backstop that another one has replaced, or whose call is over.
    Disarm(SessionId),
    /// The next backstop; when it is armed the former goes.
    NextBackstop(SessionId),
    /// The same one where the former was; when it is armed the other goes.
    Backstop(SessionId),
    /// Away with a variable that has done its work.
    Unset(SessionId),
    /// A loopback leg goes on; its channel.
    Through(String),
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
    /// Who had a leg called beside a call; the leg's session.
    Transferor(SessionId),
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
    let unique_id = leg(session, Some(call)).to_owned();
    let out_of_credit = empty_balance::calls(config, session, call, command);
    match command {
        Command::Admit { granted_ms } => {
            vec![(Purpose::Arm(session.clone()), variables(session, unique_id, call, granted_ms))]
        }
        Command::Refuse(cause) => {
            call.refused = Some(cause);
            out_of_credit.unwrap_or_else(|| vec![refusal(config, session, unique_id, call, cause)])
        }
        Command::MoveBackstop { remaining_ms } => vec![next_backstop(session, call, remaining_ms)],
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
    let transfer = transfer(leg(session, Some(call)).to_owned(), destination, &config.admitted_context);
    (Purpose::Route(session.clone()), transfer)
}

/// The end of a call that cannot be handled as it should be.
pub(crate) fn kill(session: &SessionId, call: Option<&NativeCall>, cause: HangupCause) -> (Purpose, ApiCall) {
    let unique_id = leg(session, call).to_owned();
    (Purpose::Kill(session.clone()), ApiCall::UuidKill { unique_id, cause })
}

/// First step of a move: one more backstop, behind the grant.
pub(crate) fn next_backstop(session: &SessionId, call: &NativeCall, remaining_ms: DurationMs) -> (Purpose, ApiCall) {
    (Purpose::NextBackstop(session.clone()), armed(next_group(session), session, call, remaining_ms))
}

/// Second step: the former goes, and the same again takes its place.
pub(crate) fn replaced_backstop(
    session: &SessionId,
    call: &NativeCall,
    remaining_ms: DurationMs,
) -> [(Purpose, ApiCall); 2] {
    let former = (Purpose::Disarm(session.clone()), ApiCall::SchedDel { group: group(session) });
    [former, (Purpose::Backstop(session.clone()), armed(group(session), session, call, remaining_ms))]
}

/// Last step.
pub(crate) fn settled_backstop(session: &SessionId) -> (Purpose, ApiCall) {
    (Purpose::Disarm(session.clone()), ApiCall::SchedDel { group: next_group(session) })
}

/// The call is over; its tasks would outlive it.
pub(crate) fn disarm(session: &SessionId) -> [(Purpose, ApiCall); 2] {
    let former = (Purpose::Disarm(session.clone()), ApiCall::SchedDel { group: group(session) });
    [former, settled_backstop(session)]
}

/// The variable that arms the backstop is not to arm it again at another answer.
pub(crate) fn unset_on_answer(session: &SessionId, call: &NativeCall) -> (Purpose, ApiCall) {
    let (unique_id, name) = (leg(session, Some(call)).to_owned(), on_answer(session));
    (Purpose::Unset(session.clone()), ApiCall::UuidSetvar { unique_id, name, value: Masked::new("") })
}

fn armed(group: String, session: &SessionId, call: &NativeCall, remaining_ms: DurationMs) -> ApiCall {
    let (unique_id, cause) = (leg(session, Some(call)).to_owned(), HangupCause::AllottedTimeout);
    ApiCall::SchedKill { group, seconds: backstop_s(remaining_ms), unique_id, cause }
}

/// The session's own tasks in the switch.
fn group(session: &SessionId) -> String {
    format!("tollkeeper/{session}")
}

fn next_group(session: &SessionId) -> String {
    format!("tollkeeper-next/{session}")
}

/// Run by the switch at the answer of the channel that has it.
fn on_answer(session: &SessionId) -> String {
    format!("{ON_ANSWER}{}", stamp(session))
}

/// What makes the switch hold together what was admitted: the backstop at the answer, and every transfer of the legs
/// goes where calls are authorised, not to where admitted ones are routed.
fn variables(session: &SessionId, unique_id: String, call: &NativeCall, granted_ms: DurationMs) -> ApiCall {
    let (cause, seconds) = (HangupCause::AllottedTimeout, backstop_s(granted_ms));
    let backstop = format!("sched_api +{seconds} {} uuid_kill {unique_id} {cause}", group(session));
    let mut variables =
        vec![(SESSION_VARIABLE.to_owned(), session.as_str().to_owned()), (on_answer(session), backstop)];
    let mut exports: Vec<String> = Vec::new();
    if call.on_answered_leg {
        // The leg that is called then is the one that answers.
        exports.push(on_answer(session));
    }
    // For an agent that finds a leg that these have called, and nobody who has.
    let payer = call.offer.as_ref().and_then(|offer| offer.payer.as_ref()).map(|payer| payer.value.expose());
    for (name, value) in [(PART_OF_VARIABLE, Some(session.as_str())), (PAID_BY_VARIABLE, payer)] {
        if let Some(value) = value.filter(|value| call.exports.is_some() && is_word(value)) {
            variables.push((name.to_owned(), value.to_owned()));
            exports.push(name.to_owned());
        }
    }
    if let Some(context) = &call.transfer_context {
        variables.push((TRANSFER_CONTEXT_VARIABLE.to_owned(), context.clone()));
        exports.push(TRANSFER_CONTEXT_VARIABLE.to_owned());
    }
    if is_plain(&call.destination) {
        // For a later agent: a transfer changes the switch's own field.
        variables.push((DIALLED_VARIABLE.to_owned(), call.destination.clone()));
    }
    if call.on_socket {
        variables.push((ADMITTED_VARIABLE.to_owned(), "true".to_owned()));
    }
    let known = call.exports.as_deref().unwrap_or_default();
    exports.retain(|name| !known.split(',').any(|known| known == name));
    if !exports.is_empty() {
        let operators = Some(known.to_owned()).filter(|exports| !exports.is_empty());
        let all: Vec<String> = operators.into_iter().chain(exports).collect();
        variables.push((EXPORTS_VARIABLE.to_owned(), all.join(",")));
    }
    let variables = variables.into_iter().map(|(name, value)| (name, Masked::new(value))).collect();
    ApiCall::UuidSetvarMulti { unique_id, variables }
}

/// A number that a variable or an extension can be.
fn is_plain(destination: &str) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || "+*#-._".contains(character);
    !destination.is_empty() && destination.chars().all(plain)
}

/// Nothing that the list of variables in a command, or FreeSWITCH itself, would read as more than a word.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "+*#-._/:@".contains(letter))
}

/// A hangup cause where one makes the status, else an extension that says it.
fn refusal(
    config: &FreeswitchConfig,
    session: &SessionId,
    unique_id: String,
    call: &NativeCall,
    cause: ReleaseCause,
) -> (Purpose, ApiCall) {
    let (status, native) = (cause.sip_status(), refusal_cause(cause));
    // A leg that was answered long ago takes no status any more.
    if native.sip_status() == status || config.refuse_context.is_empty() || call.on_answered_leg {
        return kill(session, Some(call), native);
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

/// How the variables begin that arm backstops; FreeSWITCH runs all that begin with `api_on_answer`.
const ON_ANSWER: &str = "api_on_answer_tollkeeper_";

#[cfg(test)]
mod tests;
