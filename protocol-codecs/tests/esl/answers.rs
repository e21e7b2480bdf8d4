//! What commands answer.

use protocol_codecs::esl::{CallDirection, EventName, FailureKind, FrameError, MessageError, Outcome};

use crate::support::{answers, decode, events, from_switch, replies};

/// `ok:`, `text:` or the failure's kind, and the text.
fn told(outcome: Outcome<'_>) -> String {
    match outcome {
        Outcome::Done(text) => format!("ok:{text}"),
        Outcome::Text(text) => format!("text:{text}"),
        Outcome::Failed(failure) => format!("{}:{}", failure.kind.as_str(), failure.text),
    }
}

#[test]
fn every_form_of_an_api_answer() {
    let expected: &[&str] = &[
        "text:UP 0 years",
        "no_such_command:-ERR nosuchcommand Command not found!",
        "usage:-USAGE: <uuid> [cause]",
        "no_such_channel:-ERR No such channel!",
        "text:false",
        "text:false",
        "text:\n0 total.",
        "text:{\"row_count\": 0}",
        "text:{\"row_count\": 0}",
        "text:\n0 total.",
        "no_such_channel:-ERR No such channel!",
        "no_such_channel:-ERR No such channel!",
        "no_such_channel:-ERR No such channel!",
        "no_such_channel:-ERR No such channel!",
        "other:-ERROR",
        "no_such_channel:-ERR No such channel!",
        "usage:-USAGE: [+]<time> <uuid> [<cause>]",
        "ok:Deleted: 0",
        "no_such_channel:-ERR No such channel!",
        "no_reply:-ERR no reply",
        "text:7a78d53a-e136-4ea7-ae01-ee814b8eca59",
        "text:vm",
        "text:1795307749",
        "no_such_command:-ERR  Command not found!",
        "text:FreeSWITCH Version",
        "text:56201",
        "ok:last sessions per second: 0",
        "text:{\"command\":\"status\"",
    ];
    let answers = answers("03_api_replies");
    assert_eq!(answers.len(), expected.len());
    for (answer, expected) in answers.iter().zip(expected) {
        let told = told(answer.outcome());
        let exact = expected.ends_with(['!', ']', '}', '.', '0', '1']) || told.len() < 12;
        assert!(if exact { told == *expected } else { told.starts_with(expected) }, "{told} is not {expected}");
    }
    let exists: Vec<_> = answers[3..6].iter().map(|answer| answer.exists()).collect();
    assert_eq!(exists, [None, Some(false), Some(false)]);
    assert_eq!(answers[17].deleted(), Some(0));
    assert_eq!(answers[16].deleted(), None);
}

#[test]
fn variables_of_a_channel() {
    let answers = answers("20_park_auth_ok");
    assert!(answers[..3].iter().all(|answer| answer.outcome() == Outcome::Done("")));
    assert_eq!(answers[3].variable(), Ok(Some("4")));
    assert_eq!(answers[4].variable(), Ok(None), "_undef_");
    let gone = &self::answers("03_api_replies")[10];
    assert_eq!(gone.variable().unwrap_err().kind, FailureKind::NoSuchChannel);
    assert_eq!(self::answers("25_sched_hangup_traps")[4].deleted(), Some(2));
}

#[test]
fn replies_and_jobs() {
    let texts: Vec<String> = replies("03_api_replies").iter().map(|reply| told(reply.outcome())).collect();
    for expected in [
        "ok:accepted",
        "no_such_command:-ERR command not found",
        "other:-ERR no keywords supplied",
        "ok:event listener enabled json",
        "other:-ERR invalid syntax",
        "no_such_channel:-ERR invalid session id [00000000-0000-0000-0000-000000000000]",
        "ok:bye",
    ] {
        assert!(texts.iter().any(|text| text == expected), "{expected}");
    }
    assert_eq!(told(replies("02_auth_bad")[0].outcome()), "other:-ERR invalid");
    let user = &replies("02c_userauth");
    assert_eq!(user[0].fields().text("Allowed-API"), Some("show status uuid_exists"));
    assert_eq!(told(user[1].outcome()), "denied:-ERR permission denied");

    let jobs: Vec<String> = replies("04_bgapi").iter().filter_map(|reply| Some(reply.job_uuid()?.to_owned())).collect();
    assert!(jobs.iter().any(|job| job == "my-own-job-1"));
    let done = events("04_bgapi").into_iter().filter(|event| event.name() == Some(EventName::BackgroundJob));
    let done: Vec<(String, String)> =
        done.map(|event| (event.job_uuid().unwrap().to_owned(), told(event.job_outcome()))).collect();
    assert_eq!(done[1].1, "no_such_command:-ERR nosuchcommand Command not found!");
    assert_eq!(done[2].1, "no_such_channel:-ERR No such channel!");
    assert_eq!(done[3].0, "my-own-job-1");
    // The fifth is in plain, with a length of its own inside.
    assert!(done[4].1.starts_with("text:FreeSWITCH Version") && done[4].0 == "my-own-job-2");
    assert!(done.iter().all(|(job, _)| jobs.contains(job)));
}

#[test]
fn connect_brings_the_channel() {
    for name in
        ["40_outbound_async", "42_outbound_refuse", "43_outbound_hangup", "44_outbound_resume", "47_outbound_sync"]
    {
        let replies = replies(name);
        let connect = &replies[0];
        assert_eq!(connect.outcome(), Outcome::Done(""), "{name}: the text is encoded, and ends in a line end");
        let channel = connect.channel().unwrap();
        assert_eq!(channel.name(), Some(EventName::ChannelData));
        assert_eq!(channel.call_direction(), Some(CallDirection::Inbound));
        assert_eq!(channel.text("Caller-Caller-ID-Name"), Some("Alice A"));
        let authorised = (name != "47_outbound_sync").then_some("acc1001");
        assert_eq!(channel.variable("accountcode"), authorised, "{name}");
        assert_eq!(channel.elements("variable_DP_MATCH").unwrap().count(), 2);
        assert!(channel.variable("switch_r_sdp").unwrap().starts_with("v=0\r\n"));
        assert!(replies[1..].iter().all(|reply| reply.channel().is_none()));
    }
    let mode = |name| replies(name)[0].fields().text("Socket-Mode").map(str::to_owned);
    assert_eq!(
        (mode("40_outbound_async").as_deref(), mode("47_outbound_sync").as_deref()),
        (Some("async"), Some("static"))
    );
}

#[test]
fn lists_of_channels() {
    let empty = &answers("03_api_replies")[7];
    assert!(empty.channels().unwrap().rows().is_empty());
    let answers = answers("61_reconcile_after");
    let list = answers[0].channels().unwrap();
    let channel = answers[1].channel().unwrap();
    assert_eq!(list.rows().len(), 1);
    assert_eq!(list.rows()[0].uuid, channel.unique_id().unwrap());
    assert_eq!(list.rows()[0].direction(), Some(CallDirection::Inbound));
    assert_eq!(list.rows()[0].hostname, "fs-lab");
    assert_eq!((channel.name(), channel.answered_us().unwrap().is_some()), (Some(EventName::ChannelData), true));
    // `answer_epoch` is not set during a call.
    assert_eq!(answers[2].variable(), Ok(None));
    // A dump in plain is no JSON; a failure is no list.
    assert!(matches!(answers[3].channel(), Err(MessageError::BadJson { .. })));
    assert_eq!(self::answers("03_api_replies")[1].channels(), Err(MessageError::Failed));
    assert_eq!(self::answers("03_api_replies")[18].channel(), Err(MessageError::Failed));
}

#[test]
fn a_reply_of_over_511_bytes_ends_the_connection() {
    let (items, fault) = decode([from_switch("02e_userauth_long").as_slice()]);
    assert_eq!(items.len(), 1, "auth/request");
    assert!(matches!(fault, Some(FrameError::CutReply { .. })), "{fault:?}");
}
