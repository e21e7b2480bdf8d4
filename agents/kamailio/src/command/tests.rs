use types::ReleaseCause;

use super::*;

fn call() -> NativeCall {
    NativeCall {
        transaction: Some((7, 9)),
        h_entry: 11,
        h_id: 12,
        callid: "c@h".into(),
        from_tag: "f".into(),
        to_tag: Some("t".into()),
        ..NativeCall::default()
    }
}

#[test]
fn the_backstop_lies_behind_the_grant() {
    for (granted_ms, cap_s) in [(0, 2), (1, 3), (30_000, 32), (30_001, 33), (u64::MAX, u32::MAX)] {
        assert_eq!(backstop_s(granted_ms), cap_s, "{granted_ms}");
    }
}

#[test]
fn every_command_in_kamailios_words() {
    let admit = AuthVerdict::Allow { cap_s: 62 };
    let deny = AuthVerdict::Deny { code: 402, reason: "Payment Required".into() };
    let disconnect = ToKamailio::Disconnect {
        h_entry: 11,
        h_id: 12,
        callid: "c@h".into(),
        from_tag: "f".into(),
        to_tag: Some("t".into()),
        cause: "FRAUD".into(),
    };
    let rows = [
        (
            Command::Admit { granted_ms: 60_000 },
            Some(ToKamailio::AuthReply { tr_index: 7, tr_label: 9, verdict: admit }),
        ),
        (
            Command::Refuse(ReleaseCause::CreditExhausted),
            Some(ToKamailio::AuthReply { tr_index: 7, tr_label: 9, verdict: deny }),
        ),
        (
            Command::MoveBackstop { remaining_ms: 2_500 },
            Some(ToKamailio::SetTimeout { h_entry: 11, h_id: 12, cap_s: 5 }),
        ),
        (Command::Release { cause: ReleaseCause::Fraud, attempt: 1 }, Some(disconnect.clone())),
        (Command::Release { cause: ReleaseCause::Fraud, attempt: 3 }, Some(disconnect)),
        (Command::WarnLowBalance { remaining_ms: 10 }, None),
    ];
    for (command, expected) in rows {
        assert_eq!(message(command, &mut call()), expected, "{command:?}");
    }
}

#[test]
fn an_invite_is_answered_once() {
    let mut call = call();
    assert!(message(Command::Refuse(ReleaseCause::CreditExhausted), &mut call).is_some());
    assert_eq!(message(Command::Admit { granted_ms: 1000 }, &mut call), None);
}

/// Every refusal has a status that a SIP response can carry.
#[test]
fn refusals_are_final_failures_with_a_reason() {
    use ReleaseCause::*;
    let all = [
        CreditExhausted,
        UnknownAccount,
        AccountBlocked,
        UnratedDestination,
        InvalidNumber,
        UnknownPayer,
        Policy,
        Fraud,
        Operator,
        ChargingUnavailable,
        MaximumDuration,
        Backstop,
        Shutdown,
    ];
    for cause in all {
        match message(Command::Refuse(cause), &mut call()) {
            Some(ToKamailio::AuthReply { verdict: AuthVerdict::Deny { code, reason }, .. }) => {
                assert!((400..700).contains(&code) && !reason.is_empty(), "{cause:?}");
            }
            other => panic!("{cause:?}: {other:?}"),
        }
    }
}

/// A caller chooses its Call-ID and tag: what cannot be sent back must not keep the call up.
#[test]
fn a_call_without_a_sendable_name_is_ended_by_its_timer() {
    let broken = [
        NativeCall { callid: "a\u{FFFD}b".into(), ..call() },
        NativeCall { from_tag: "a\r\nb".into(), ..call() },
        NativeCall { to_tag: Some("\u{1}".into()), ..call() },
    ];
    for mut call in broken {
        let ended = message(Command::Release { cause: ReleaseCause::Fraud, attempt: 1 }, &mut call);
        assert_eq!(ended, Some(ToKamailio::SetTimeout { h_entry: 11, h_id: 12, cap_s: 1 }), "{call:?}");
    }
}
