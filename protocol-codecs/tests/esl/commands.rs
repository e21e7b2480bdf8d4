//! What we say, compared with what the recorded client said; and what we refuse to say.

use bytes::BytesMut;
use protocol_codecs::Masked;
use protocol_codecs::esl::limits::{COMMAND_BYTES_MAX, SCHED_SECONDS_MAX};
use protocol_codecs::esl::{
    ApiCall, BroadcastLegs, Command, EncodeError, EslCodec, EventFormat, EventName, Execute, HangupCause,
};
use tokio_util::codec::Encoder;

use crate::support::from_client;

fn wire(command: &Command) -> Result<String, EncodeError> {
    let mut out = BytesMut::from("before".as_bytes());
    let outcome = command.encode(&mut out);
    let written = String::from_utf8(out.to_vec()).unwrap();
    let rest = written.strip_prefix("before").unwrap().to_owned();
    assert!(outcome.is_ok() || rest.is_empty(), "a refused command writes nothing");
    outcome.map(|()| rest)
}

/// The recorded commands that are of ours, with the place where each was recorded.
fn recorded() -> Vec<(&'static str, Command)> {
    let api = |call| Command::Api(call);
    let park = || "d4ad5ece-0296-43f5-a86c-3e82035b89a3".to_owned();
    let zero = || "00000000-0000-0000-0000-000000000000".to_owned();
    let capped = || "332a2a5f-49c0-4c10-9455-b6c3a1c73fa6".to_owned();
    let message = || "021e392f-5050-43c8-b005-335efdf51a93".to_owned();
    let events = [
        "CHANNEL_CREATE",
        "CHANNEL_PROGRESS",
        "CHANNEL_PROGRESS_MEDIA",
        "CHANNEL_PARK",
        "CHANNEL_UNPARK",
        "CHANNEL_ANSWER",
        "CHANNEL_BRIDGE",
        "CHANNEL_UNBRIDGE",
        "CHANNEL_HOLD",
        "CHANNEL_UNHOLD",
        "CHANNEL_HANGUP",
        "CHANNEL_HANGUP_COMPLETE",
        "CHANNEL_UUID",
        "CHANNEL_ORIGINATE",
        "CHANNEL_OUTGOING",
        "HEARTBEAT",
        "BACKGROUND_JOB",
    ];
    let names = events.iter().map(|name| EventName::parse(name).unwrap()).collect();
    let variables = [("cgr_max_usage", "4"), ("cgr_account", "acc1001"), ("note", "a b c")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.into())).to_vec();
    let execute = |unique_id, application: &str, argument: Option<&str>, event_uuid: Option<&str>, event_lock| {
        Command::Execute(Execute {
            unique_id,
            application: application.to_owned(),
            argument: argument.map(Masked::from),
            event_uuid: event_uuid.map(str::to_owned),
            event_lock,
        })
    };
    vec![
        ("01_auth_ok", Command::Auth { password: "ClueCon".into() }),
        ("01_auth_ok", api(ApiCall::Version)),
        ("01_auth_ok", api(ApiCall::Status)),
        ("01_auth_ok", Command::Exit),
        (
            "02c_userauth",
            Command::UserAuth { user: "eslro".into(), domain: "127.0.0.1".into(), password: "ropass".into() },
        ),
        ("20_park_auth_ok", Command::Event { format: EventFormat::Json, names, subclasses: vec![] }),
        (
            "04b_sendevent_crlf",
            Command::Event { format: EventFormat::Json, names: vec![], subclasses: vec!["lab::ping".into()] },
        ),
        ("03_api_replies", Command::NoEvents),
        ("30_filter", Command::Filter { header: "Call-Direction".into(), value: "inbound".into() }),
        ("30_filter", Command::Filter { header: "Caller-Destination-Number".into(), value: "/^tone/".into() }),
        ("30_filter", Command::Filter { header: "Event-Name".into(), value: "-CHANNEL_HANGUP".into() }),
        ("30_filter", Command::FilterDeleteAll),
        ("40_outbound_async", Command::Connect),
        ("40_outbound_async", Command::MyEvents { format: EventFormat::Json }),
        ("40_outbound_async", Command::Linger { seconds: Some(5) }),
        ("42_outbound_refuse", Command::Linger { seconds: None }),
        ("44_outbound_resume", Command::Resume),
        ("04_bgapi", Command::BgApi { call: ApiCall::Version, job_uuid: Some("my-own-job-1".into()) }),
        ("04_bgapi", Command::BgApi { call: ApiCall::Status, job_uuid: None }),
        ("03_api_replies", api(ApiCall::UuidExists { unique_id: zero() })),
        ("03_api_replies", api(ApiCall::ShowChannels)),
        ("03_api_replies", api(ApiCall::UuidDump { unique_id: zero() })),
        ("03_api_replies", api(ApiCall::UuidPark { unique_id: zero() })),
        ("03_api_replies", api(ApiCall::UuidAnswer { unique_id: zero() })),
        (
            "20_park_auth_ok",
            api(ApiCall::UuidSetvar { unique_id: park(), name: "cgr_notify".into(), value: "AUTH_OK".into() }),
        ),
        (
            "20_park_auth_ok",
            api(ApiCall::UuidSetvar {
                unique_id: park(),
                name: "execute_on_answer".into(),
                value: "sched_hangup +4 ALLOTTED_TIMEOUT".into(),
            }),
        ),
        ("20_park_auth_ok", api(ApiCall::UuidSetvarMulti { unique_id: park(), variables })),
        ("20_park_auth_ok", api(ApiCall::UuidGetvar { unique_id: park(), name: "cgr_max_usage".into() })),
        (
            "20_park_auth_ok",
            api(ApiCall::UuidTransfer {
                unique_id: park(),
                destination: "auth_br15511".into(),
                dialplan: "XML".into(),
                context: "default".into(),
            }),
        ),
        (
            "25_sched_hangup_traps",
            api(ApiCall::SchedHangup { unique_id: capped(), seconds: 30, cause: HangupCause::AllottedTimeout }),
        ),
        ("25_sched_hangup_traps", api(ApiCall::SchedDel { group: capped() })),
        (
            "29_sendmsg_hangup",
            api(ApiCall::UuidBroadcast {
                unique_id: message(),
                path: "tone_stream://%(200,0,800)".into(),
                legs: BroadcastLegs::A,
            }),
        ),
        ("29_sendmsg_hangup", execute(Some(message()), "set", Some("foo=bar baz"), Some("my-exec-1"), false)),
        ("29_sendmsg_hangup", Command::HangUp { unique_id: Some(message()), cause: HangupCause::ManagerRequest }),
        ("40_outbound_async", execute(None, "answer", None, None, true)),
        ("42_outbound_refuse", execute(None, "respond", Some("402 Payment Required"), None, false)),
    ]
}

#[test]
fn commands_are_what_a_real_freeswitch_took() {
    for (name, command) in recorded() {
        let wire = wire(&command).unwrap();
        assert!(wire.ends_with("\n\n") && !wire.contains('\r'));
        let said = String::from_utf8(from_client(name)).unwrap();
        // At its own beginning: behind nothing, or behind the command before.
        assert!(said.starts_with(&wire) || said.contains(&format!("\n\n{wire}")), "{name}: {wire:?}");
        let mut out = BytesMut::new();
        EslCodec::new().encode(&command, &mut out).unwrap();
        assert_eq!(out, wire.as_bytes());
    }
    let kill = ApiCall::UuidKill { unique_id: "u".into(), cause: HangupCause::CallRejected };
    assert_eq!(wire(&Command::Api(kill)).unwrap(), "api uuid_kill u CALL_REJECTED\n\n");
    let unset = ApiCall::UuidSetvar { unique_id: "u".into(), name: "v".into(), value: "".into() };
    assert_eq!(wire(&Command::Api(unset)).unwrap(), "api uuid_setvar u v\n\n");
    let nix = Command::NixEvent { names: vec![EventName::ChannelPark] };
    assert_eq!(wire(&nix).unwrap(), "nixevent CHANNEL_PARK\n\n");
    let both = Command::Event {
        format: EventFormat::Plain,
        names: vec![EventName::Heartbeat],
        subclasses: vec!["a::b".into(), "c".into()],
    };
    assert_eq!(wire(&both).unwrap(), "event plain HEARTBEAT CUSTOM a::b c\n\n", "CUSTOM comes last");
}

/// Every text argument of every command, with `text` in it.
fn with_text(text: &str) -> Vec<(&'static str, Command)> {
    let (own, masked) = (|| text.to_owned(), || Masked::from(text));
    let u = || "u".to_owned();
    let api = Command::Api;
    let execute = |unique_id: Option<String>, application, argument, event_uuid| {
        Command::Execute(Execute { unique_id, application, argument, event_uuid, event_lock: false })
    };
    vec![
        ("password", Command::Auth { password: masked() }),
        ("user", Command::UserAuth { user: own(), domain: "d".into(), password: "p".into() }),
        ("domain", Command::UserAuth { user: "u".into(), domain: own(), password: "p".into() }),
        ("password", Command::UserAuth { user: "u".into(), domain: "d".into(), password: masked() }),
        ("subclass", Command::Event { format: EventFormat::Json, names: vec![], subclasses: vec![own()] }),
        ("header", Command::Filter { header: own(), value: "v".into() }),
        ("value", Command::Filter { header: "h".into(), value: own() }),
        ("job_uuid", Command::BgApi { call: ApiCall::Status, job_uuid: Some(own()) }),
        ("unique_id", api(ApiCall::UuidExists { unique_id: own() })),
        ("unique_id", api(ApiCall::UuidDump { unique_id: own() })),
        ("unique_id", api(ApiCall::UuidPark { unique_id: own() })),
        ("unique_id", api(ApiCall::UuidAnswer { unique_id: own() })),
        ("unique_id", api(ApiCall::UuidKill { unique_id: own(), cause: HangupCause::UserBusy })),
        ("unique_id", api(ApiCall::SchedHangup { unique_id: own(), seconds: 1, cause: HangupCause::UserBusy })),
        ("group", api(ApiCall::SchedDel { group: own() })),
        (
            "unique_id",
            api(ApiCall::SchedKill { group: "g".into(), seconds: 1, unique_id: own(), cause: HangupCause::UserBusy }),
        ),
        ("unique_id", api(ApiCall::UuidGetvar { unique_id: own(), name: "n".into() })),
        ("name", api(ApiCall::UuidGetvar { unique_id: u(), name: own() })),
        ("unique_id", api(ApiCall::UuidSetvar { unique_id: own(), name: "n".into(), value: "v".into() })),
        ("name", api(ApiCall::UuidSetvar { unique_id: u(), name: own(), value: "v".into() })),
        ("value", api(ApiCall::UuidSetvar { unique_id: u(), name: "n".into(), value: masked() })),
        ("unique_id", api(ApiCall::UuidSetvarMulti { unique_id: own(), variables: vec![("n".into(), "v".into())] })),
        ("name", api(ApiCall::UuidSetvarMulti { unique_id: u(), variables: vec![(own(), "v".into())] })),
        ("value", api(ApiCall::UuidSetvarMulti { unique_id: u(), variables: vec![("n".into(), masked())] })),
        ("unique_id", transfer(text, "1", "XML", "c")),
        ("destination", transfer("u", text, "XML", "c")),
        ("dialplan", transfer("u", "1", text, "c")),
        ("context", transfer("u", "1", "XML", text)),
        ("unique_id", api(ApiCall::UuidBroadcast { unique_id: own(), path: "p".into(), legs: BroadcastLegs::Both })),
        ("path", api(ApiCall::UuidBroadcast { unique_id: u(), path: own(), legs: BroadcastLegs::B })),
        ("unique_id", execute(Some(own()), "a".into(), None, None)),
        ("application", execute(None, own(), None, None)),
        ("argument", execute(None, "a".into(), Some(masked()), None)),
        ("event_uuid", execute(None, "a".into(), None, Some(own()))),
        ("unique_id", Command::HangUp { unique_id: Some(own()), cause: HangupCause::UserBusy }),
    ]
}

fn transfer(unique_id: &str, destination: &str, dialplan: &str, context: &str) -> Command {
    Command::Api(ApiCall::UuidTransfer {
        unique_id: unique_id.into(),
        destination: destination.into(),
        dialplan: dialplan.into(),
        context: context.into(),
    })
}

#[test]
fn nothing_can_end_a_command_or_begin_another() {
    for text in ["a\nb", "a\rb", "a\0b", "a\n\nexit\n\n", "\n", "a\u{7f}", "a\tb"] {
        for (argument, command) in with_text(text) {
            let error = wire(&command).unwrap_err();
            let expected = EncodeError::ControlCharacter { command: command.name(), argument };
            assert_eq!(error, expected, "{text:?}");
        }
    }
    assert!(with_text("plain-Text_1.é").iter().all(|(_, command)| wire(command).is_ok()));
}

#[test]
fn no_text_can_reload_the_module() {
    for (_, command) in with_text("reload.MOD_event_SOCKET") {
        assert_eq!(wire(&command), Err(EncodeError::NamesModule { command: command.name() }));
    }
}

#[test]
fn what_freeswitch_splits_at_is_refused_where_it_does() {
    let refused = |text: &str| -> Vec<&'static str> {
        let mut arguments: Vec<_> =
            with_text(text).into_iter().filter(|(_, command)| wire(command).is_err()).map(|(name, _)| name).collect();
        arguments.sort_unstable();
        arguments.dedup();
        arguments
    };
    let tokens = [
        "application",
        "context",
        "destination",
        "dialplan",
        "event_uuid",
        "group",
        "header",
        "job_uuid",
        "name",
        "path",
        "subclass",
        "unique_id",
    ];
    assert_eq!(refused("a b"), tokens);
    let split = |more: &[&'static str]| {
        let mut all = [tokens.as_slice(), more].concat();
        all.sort_unstable();
        all
    };
    assert_eq!(refused("it's"), split(&["value"]));
    assert_eq!(refused("a\\b"), split(&["value"]));
    assert_eq!(refused(" a"), split(&["argument", "domain", "password", "user", "value"]));
    assert_eq!(refused("a "), refused(" a"));
    assert_eq!(refused("a;b"), ["name", "value"], "the value only in uuid_setvar_multi");
    assert_eq!(refused("${x}"), ["name", "value"], "would be expanded");
    assert_eq!(refused("a$b"), ["name"], "means itself");
    assert_eq!(refused("a=b"), ["name"]);
    assert_eq!(refused("a[0]"), ["name"]);
    assert_eq!(refused("a@b"), ["domain", "user"]);
    assert_eq!(refused("delete"), ["header"]);
    assert_eq!(refused("4711"), ["group"], "sched_del would take it for a task");
    assert!(refused("-bleg").contains(&"destination"));
    // An empty value unsets a variable.
    assert_eq!(refused(""), split(&["argument", "domain", "password", "user", "value"]));
    let empty = ApiCall::UuidSetvarMulti { unique_id: "u".into(), variables: vec![("n".into(), "".into())] };
    assert_eq!(wire(&Command::Api(empty)).unwrap(), "api uuid_setvar_multi u n=\n\n");
}

#[test]
fn numbers_have_their_range() {
    let hangup = |seconds| {
        let cause = HangupCause::AllottedTimeout;
        wire(&Command::Api(ApiCall::SchedHangup { unique_id: "u".into(), seconds, cause }))
    };
    assert_eq!(hangup(1).unwrap(), "api sched_hangup +1 u ALLOTTED_TIMEOUT\n\n");
    let out_of_range =
        |command, argument, value, least, most| Err(EncodeError::OutOfRange { command, argument, value, least, most });
    let most = u64::from(SCHED_SECONDS_MAX);
    assert_eq!(hangup(0), out_of_range("sched_hangup", "seconds", 0, 1, most), "hangs up at once");
    assert_eq!(hangup(SCHED_SECONDS_MAX + 1), out_of_range("sched_hangup", "seconds", most + 1, 1, most));
    let multi = |count: u64| {
        let variables = (0..count).map(|number| (format!("v{number}"), "1".into())).collect();
        wire(&Command::Api(ApiCall::UuidSetvarMulti { unique_id: "u".into(), variables }))
    };
    assert!(multi(64).is_ok());
    assert_eq!(multi(65), out_of_range("uuid_setvar_multi", "variables", 65, 1, 64), "FreeSWITCH drops the rest");
    assert_eq!(multi(0), out_of_range("uuid_setvar_multi", "variables", 0, 1, 64));
    assert!(wire(&Command::Linger { seconds: Some(0) }).is_err());
    let none = Command::Event { format: EventFormat::Json, names: vec![], subclasses: vec![] };
    assert_eq!(wire(&none), Err(EncodeError::Unusable { command: "event", argument: "names" }));
    let custom = Command::Event { format: EventFormat::Json, names: vec![EventName::Custom], subclasses: vec![] };
    assert!(wire(&custom).is_err(), "subclasses have their own place");
    let long = Command::Auth { password: Masked::new("x".repeat(COMMAND_BYTES_MAX)) };
    let command_bytes = COMMAND_BYTES_MAX + "auth \n\n".len();
    let limit_bytes = COMMAND_BYTES_MAX;
    assert_eq!(wire(&long), Err(EncodeError::CommandTooLong { command: "auth", command_bytes, limit_bytes }));
}

#[test]
fn secrets_and_subscribers_are_not_in_debug() {
    for (_, command) in with_text("4930123456")
        .into_iter()
        .filter(|(argument, _)| ["password", "destination", "argument"].contains(argument))
    {
        assert!(!format!("{command:?}").contains("4930123456"), "{command:?}");
    }
    let set = ApiCall::UuidSetvar { unique_id: "u".into(), name: "n".into(), value: "4930123456".into() };
    assert!(!format!("{set:?}").contains("4930123456"));
}
