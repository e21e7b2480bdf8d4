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
                "api uuid_setvar_multi abc tollkeeper_session=fs1/run/17-abc;api_on_answer_tollkeeper_17=sched_api +31 tollkeeper/fs1/run/17-abc uuid_kill abc ALLOTTED_TIMEOUT;tollkeeper_dialled=+4930",
            ],
        ),
        (Command::Refuse(ReleaseCause::CreditExhausted), &["api uuid_transfer abc 402 XML tollkeeper_refused"]),
        (Command::Refuse(ReleaseCause::UnknownAccount), &["api uuid_kill abc OUTGOING_CALL_BARRED"]),
        (Command::Refuse(ReleaseCause::InvalidNumber), &["api uuid_kill abc INVALID_NUMBER_FORMAT"]),
        (Command::Refuse(ReleaseCause::Shutdown), &["api uuid_kill abc NORMAL_TEMPORARY_FAILURE"]),
        (
            Command::MoveBackstop { remaining_ms: 4_001 },
            &["api sched_api +6 tollkeeper-next/fs1/run/17-abc uuid_kill abc ALLOTTED_TIMEOUT"],
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

/// What the operator exports and where he lets transfers go stays as he has it.
#[test]
fn transfers_go_where_calls_are_authorised() {
    let context = Some("public".to_owned());
    for (context, exports, on_answered_leg, expected) in [
        (None, "", false, ";export_vars=tollkeeper_part_of"),
        (
            context.clone(),
            "",
            false,
            ";force_transfer_context=public;export_vars=tollkeeper_part_of,force_transfer_context",
        ),
        (
            context.clone(),
            "a,b",
            false,
            ";force_transfer_context=public;export_vars=a,b,tollkeeper_part_of,force_transfer_context",
        ),
        (
            context.clone(),
            "force_transfer_context,b",
            false,
            ";force_transfer_context=public;export_vars=force_transfer_context,b,tollkeeper_part_of",
        ),
        (None, "a", true, ";export_vars=a,api_on_answer_tollkeeper_17,tollkeeper_part_of"),
        (
            context,
            "",
            true,
            ";force_transfer_context=public;export_vars=api_on_answer_tollkeeper_17,tollkeeper_part_of,force_transfer_context",
        ),
    ] {
        let mut call = NativeCall {
            transfer_context: context,
            exports: Some(exports.to_owned()),
            on_answered_leg,
            ..NativeCall::default()
        };
        let words = wire(&calls(&config(), &session(), &mut call, Command::Admit { granted_ms: 1 })[0].1);
        let part_of = ";tollkeeper_part_of=fs1/run/17-abc";
        let rest = words.split_once("ALLOTTED_TIMEOUT").and_then(|(_, rest)| rest.strip_prefix(part_of));
        assert_eq!(rest, Some(expected), "{words}");
    }
}

/// What the operator exports and no command can carry is not touched; nor is an account exported that would be more than a
/// word.
#[test]
fn who_pays_is_told_to_the_legs_that_are_called() {
    let offer = |account: &str| {
        let event = r#"{"Event-Name": "CHANNEL_PARK", "Unique-ID": "abc"}"#;
        let event = protocol_codecs::esl::Event::from_json(event.as_bytes()).unwrap();
        let offer = crate::translate::offer(&config(), "fs1", session(), &event);
        agent_call::CallOffer { payer: Some(types::charging::SubscriberId::account(account)), ..offer }
    };
    let both =
        ";tollkeeper_part_of=fs1/run/17-abc;tollkeeper_paid_by=anna;export_vars=tollkeeper_part_of,tollkeeper_paid_by";
    for (account, exports, expected) in [
        ("anna", Some(""), both),
        ("an;na", Some(""), ";tollkeeper_part_of=fs1/run/17-abc;export_vars=tollkeeper_part_of"),
        ("anna", None, ""),
    ] {
        let (exports, offer) = (exports.map(str::to_owned), Some(std::sync::Arc::new(offer(account))));
        let mut call = NativeCall { exports, offer, ..NativeCall::default() };
        let words = wire(&calls(&config(), &session(), &mut call, Command::Admit { granted_ms: 1 })[0].1);
        assert_eq!(words.split_once("ALLOTTED_TIMEOUT").map(|(_, rest)| rest), Some(expected), "{words}");
    }
}

/// The next is armed before the former goes, and the channel's own tasks are the operator's.
#[test]
fn a_backstop_is_replaced_in_steps_and_on_the_leg_that_talks() {
    let call = NativeCall { leg: Some("b".to_owned()), ..NativeCall::default() };
    let (session, next) = (session(), next_backstop(&session(), &call, 1_000));
    assert_eq!(wire(&next.1), "api sched_api +2 tollkeeper-next/fs1/run/17-abc uuid_kill b ALLOTTED_TIMEOUT");
    let replaced = replaced_backstop(&session, &call, 1_000).map(|(_, call)| wire(&call));
    assert_eq!(
        replaced,
        [
            "api sched_del tollkeeper/fs1/run/17-abc",
            "api sched_api +2 tollkeeper/fs1/run/17-abc uuid_kill b ALLOTTED_TIMEOUT"
        ]
    );
    assert_eq!(wire(&settled_backstop(&session).1), "api sched_del tollkeeper-next/fs1/run/17-abc");
    assert_eq!(wire(&unset_on_answer(&session, &call).1), "api uuid_setvar b api_on_answer_tollkeeper_17");
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
