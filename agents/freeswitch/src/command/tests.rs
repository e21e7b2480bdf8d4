use bytes::BytesMut;
use protocol_codecs::esl::Command as Wire;

use super::*;

fn config() -> FreeswitchConfig {
    let text = "name = \"a\"\nswitches = []\nlow_balance_file = \"/low.wav\"";
    toml::from_str(text).unwrap()
}

fn session() -> SessionId {
    SessionId::from("fs1/run/17-abc")
}

/// As it goes over the wire.
fn wire(call: &ApiCall) -> String {
    let mut bytes = BytesMut::new();
    Wire::Api(call.clone()).encode(&mut bytes).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap().trim_end().to_owned()
}

#[test]
fn the_backstop_lies_behind_the_grant() {
    // Fires up to 0.999 s before its time: still behind the grant.
    for (granted_ms, seconds) in [(0, 1), (1, 2), (30_000, 31), (30_001, 32), (u64::MAX, LONGEST_BACKSTOP_S)] {
        assert_eq!(backstop_s(granted_ms), seconds, "{granted_ms}");
    }
}

#[test]
fn every_command_in_freeswitchs_words() {
    let release = |cause, attempt| Command::Release { cause, attempt };
    let rows: &[(Command, &[&str])] = &[
        (
            Command::Admit { granted_ms: 30_000 },
            &[
                "api uuid_setvar_multi abc tollkeeper_session=fs1/run/17-abc;execute_on_answer=sched_hangup +31 ALLOTTED_TIMEOUT;tollkeeper_dialled=+4930",
            ],
        ),
        (Command::Refuse(ReleaseCause::CreditExhausted), &["api uuid_transfer abc 402 XML tollkeeper_refused"]),
        (Command::Refuse(ReleaseCause::UnknownAccount), &["api uuid_kill abc OUTGOING_CALL_BARRED"]),
        (Command::Refuse(ReleaseCause::InvalidNumber), &["api uuid_kill abc INVALID_NUMBER_FORMAT"]),
        (Command::Refuse(ReleaseCause::Shutdown), &["api uuid_kill abc NORMAL_TEMPORARY_FAILURE"]),
        (
            Command::MoveBackstop { remaining_ms: 4_001 },
            &["api sched_del abc", "api sched_hangup +6 abc ALLOTTED_TIMEOUT"],
        ),
        (release(ReleaseCause::CreditExhausted, 1), &["api uuid_kill abc ALLOTTED_TIMEOUT"]),
        (release(ReleaseCause::Fraud, 1), &["api uuid_kill abc OUTGOING_CALL_BARRED"]),
        (
            release(ReleaseCause::Operator, 2),
            &["api uuid_kill abc MANAGER_REQUEST", "api uuid_kill other MANAGER_REQUEST"],
        ),
        (Command::WarnLowBalance { remaining_ms: 20_000 }, &["api uuid_broadcast abc /low.wav aleg"]),
    ];
    for (command, expected) in rows {
        let mut call = NativeCall {
            destination: "+4930".to_owned(),
            other_leg: Some("other".to_owned()),
            ..NativeCall::default()
        };
        let calls = calls(&config(), &session(), &mut call, *command);
        let words: Vec<String> = calls.iter().map(|(_, call)| wire(call)).collect();
        assert_eq!(words, *expected, "{command:?}");
        assert_eq!(call.released, matches!(command, Command::Release { .. }));
        assert_eq!(call.refused.is_some(), matches!(command, Command::Refuse(_)));
    }
}

#[test]
fn without_a_context_for_refusals_402_is_403_and_without_a_file_there_is_no_warning() {
    let config = FreeswitchConfig { refuse_context: "".into(), low_balance_file: "".into(), ..config() };
    let mut call = NativeCall::default();
    let refused = calls(&config, &session(), &mut call, Command::Refuse(ReleaseCause::CreditExhausted));
    assert_eq!(wire(&refused[0].1), "api uuid_kill abc OUTGOING_CALL_BARRED");
    let warning = Command::WarnLowBalance { remaining_ms: 1 };
    assert_eq!(calls(&config, &session(), &mut call, warning), []);
}

#[test]
fn what_a_caller_dialled_ends_no_command_and_sets_no_variable() {
    for dialled in ["1;tollkeeper_account=victim", "1 XML public", "1\n\napi hupall", "-1", "'1", ""] {
        let mut call = NativeCall { destination: dialled.to_owned(), ..NativeCall::default() };
        let admitted = calls(&config(), &session(), &mut call, Command::Admit { granted_ms: 1 });
        let words = wire(&admitted[0].1);
        assert!(dialled == "-1" || !words.contains("dialled"), "{words}");
        let (_, transfer) = route(&config(), &session(), &call);
        let refused = Wire::Api(transfer).encode(&mut BytesMut::new()).is_err();
        assert_eq!(refused, !dialled.starts_with("1;"), "{dialled}");
    }
}
