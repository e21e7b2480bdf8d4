//! Our commands in Kamailio's words. Pure.

use agent_call::Command;
use protocol_codecs::evapi::{AuthVerdict, ToKamailio};
use types::DurationMs;

use crate::native::NativeCall;

/// The message for a command; `None` when Kamailio has no means for it or the call gives no handle.
pub(crate) fn message(command: Command, call: &mut NativeCall) -> Option<ToKamailio> {
    match command {
        Command::Admit { granted_ms } => verdict(call, AuthVerdict::Allow { cap_s: backstop_s(granted_ms) }),
        Command::Refuse(cause) => {
            let verdict_no = AuthVerdict::Deny { code: cause.sip_status(), reason: cause.sip_reason().to_owned() };
            verdict(call, verdict_no)
        }
        Command::MoveBackstop { remaining_ms } => {
            let (h_entry, h_id) = (call.h_entry, call.h_id);
            Some(ToKamailio::SetTimeout { h_entry, h_id, cap_s: backstop_s(remaining_ms) })
        }
        // Its Call-ID or tags cannot be sent back as they came; the numbers of the dialog still name it.
        Command::Release { .. } if !is_sendable(call) => {
            Some(ToKamailio::SetTimeout { h_entry: call.h_entry, h_id: call.h_id, cap_s: SHORTEST_CAP_S })
        }
        // BYE goes to both sides at once, so a further attempt is the same again.
        Command::Release { cause, .. } => Some(ToKamailio::Disconnect {
            h_entry: call.h_entry,
            h_id: call.h_id,
            callid: call.callid.clone(),
            from_tag: call.from_tag.clone(),
            to_tag: call.to_tag.clone(),
            cause: cause.as_str().to_owned(),
        }),
        // A SIP proxy has no media to warn with; the driver has counted and logged it.
        Command::WarnLowBalance { .. } => None,
    }
}

/// The suspended INVITE is answered once.
fn verdict(call: &mut NativeCall, verdict: AuthVerdict) -> Option<ToKamailio> {
    let (tr_index, tr_label) = call.transaction.take()?;
    Some(ToKamailio::AuthReply { tr_index, tr_label, verdict })
}

/// Kamailio's dialog timer has ticks of one second and was seen to end a call up to 0.75 s early; with two more seconds
/// it never comes before our own cut.
fn backstop_s(granted_ms: DurationMs) -> u32 {
    u32::try_from(granted_ms.div_ceil(1000).saturating_add(2)).unwrap_or(u32::MAX)
}

/// Broken UTF-8 came as U+FFFD, and the codec refuses control characters: a caller who chooses such a Call-ID must not
/// talk to the end of the backstop.
fn is_sendable(call: &NativeCall) -> bool {
    let tags = [Some(&call.callid), Some(&call.from_tag), call.to_tag.as_ref()];
    tags.into_iter()
        .flatten()
        .all(|text| !text.contains(|character: char| character == '\u{FFFD}' || character.is_control()))
}

const SHORTEST_CAP_S: u32 = 1;

#[cfg(test)]
mod tests;
