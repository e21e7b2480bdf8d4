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

#[cfg(test)]
mod tests {
    use super::*;
    use types::ReleaseCause;

    #[test]
    fn the_backstop_lies_behind_the_grant() {
        for (granted_ms, cap_s) in [(0, 2), (1, 3), (30_000, 32), (30_001, 33), (u64::MAX, u32::MAX)] {
            assert_eq!(backstop_s(granted_ms), cap_s, "{granted_ms}");
        }
    }

    #[test]
    fn an_invite_is_answered_once() {
        let mut call = NativeCall { transaction: Some((7, 9)), ..NativeCall::default() };
        let refusal = message(Command::Refuse(ReleaseCause::CreditExhausted), &mut call);
        let expected = AuthVerdict::Deny { code: 402, reason: "Payment Required".into() };
        assert_eq!(refusal, Some(ToKamailio::AuthReply { tr_index: 7, tr_label: 9, verdict: expected }));
        assert_eq!(message(Command::Admit { granted_ms: 1000 }, &mut call), None);
    }
}
