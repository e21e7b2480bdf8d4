use bytes::BytesMut;
use protocol_codecs::esl::Command as Wire;
use types::UtcMs;

use super::*;

fn config(keys: &str) -> FreeswitchConfig {
    toml::from_str(&format!("name = \"a\"\nswitches = []\n{keys}")).unwrap()
}

/// As they go over the wire, without `api`.
fn said(config: &FreeswitchConfig, call: &NativeCall, command: Command) -> Option<Vec<String>> {
    let calls = calls(config, &SessionId::from("fs1/run/17-abc"), call, command)?;
    let wire = |(_, call): (Purpose, ApiCall)| {
        let mut bytes = BytesMut::new();
        Wire::Api(call).encode(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).trim_end().trim_start_matches("api ").to_owned()
    };
    Some(calls.into_iter().map(wire).collect())
}

const CUT: Command = Command::Release { cause: ReleaseCause::CreditExhausted, attempt: 1 };
const GUARD: [&str; 4] = [
    "sched_api +3 tollkeeper-leaving/fs1/run/17-abc uuid_kill abc ALLOTTED_TIMEOUT",
    "sched_del tollkeeper/fs1/run/17-abc",
    "sched_del tollkeeper-next/fs1/run/17-abc",
    "uuid_setvar_multi abc tollkeeper_mode=none;tollkeeper_empty_balance=true",
];

#[test]
fn the_way_out_is_guarded_marked_and_last() {
    let file = "empty_balance_ann_file = \"/empty.wav\"";
    let context = "empty_balance_context = \"top_up\"";
    let rows: &[(&str, &str, &str)] = &[
        (file, "+4930", "uuid_transfer abc playback:/empty.wav,hangup:ALLOTTED_TIMEOUT inline inline"),
        (context, "+4930", "uuid_transfer abc +4930 XML top_up"),
        (context, "", "uuid_transfer abc empty_balance XML top_up"),
        (context, "-bleg", "uuid_transfer abc empty_balance XML top_up"),
        (context, "49 30;x", "uuid_transfer abc empty_balance XML top_up"),
    ];
    for (keys, destination, transfer) in rows {
        let call =
            NativeCall { destination: (*destination).to_owned(), answered: Some(UtcMs(1)), ..NativeCall::default() };
        let expected = [&GUARD[..], &[*transfer]].concat();
        assert_eq!(said(&config(keys), &call, CUT).unwrap(), expected, "{keys} {destination}");
    }
}

#[test]
fn a_refused_caller_is_sent_there_with_a_limit() {
    let config = config("empty_balance_context = \"top_up\"\nempty_balance_limit = \"90s\"");
    let call = NativeCall { destination: "4930".into(), ..NativeCall::default() };
    let refused = said(&config, &call, Command::Refuse(ReleaseCause::CreditExhausted)).unwrap();
    let expected = [
        "uuid_setvar_multi abc tollkeeper_mode=none;tollkeeper_empty_balance=true",
        "sched_api +90 tollkeeper-limit/fs1/run/17-abc uuid_kill abc ALLOTTED_TIMEOUT",
        "uuid_transfer abc 4930 XML top_up",
    ];
    assert_eq!(refused, expected);
}

#[test]
fn everything_else_is_plain() {
    let (file, context) = (config("empty_balance_file = \"/e.wav\""), config("empty_balance_context = \"top_up\""));
    let answered = NativeCall { answered: Some(UtcMs(1)), ..NativeCall::default() };
    let waiting = NativeCall::default();
    let release = |cause, attempt| Command::Release { cause, attempt };
    let rows = [
        (&config(""), &answered, CUT),
        (&context, &waiting, CUT),
        (&context, &answered, release(ReleaseCause::CreditExhausted, 2)),
        (&context, &answered, release(ReleaseCause::Fraud, 1)),
        (&context, &answered, release(ReleaseCause::MaximumDuration, 1)),
        (&context, &answered, release(ReleaseCause::ChargingUnavailable, 1)),
        (&context, &waiting, Command::Refuse(ReleaseCause::UnknownAccount)),
        (&file, &waiting, Command::Refuse(ReleaseCause::CreditExhausted)),
        (&context, &answered, Command::MoveBackstop { remaining_ms: 1 }),
    ];
    for (config, call, command) in rows {
        assert_eq!(said(config, call, command), None, "{command:?}");
    }
}
