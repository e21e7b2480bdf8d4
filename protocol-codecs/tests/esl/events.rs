//! What the recorded events say.

use protocol_codecs::esl::{CallDirection, EventName, FieldError, HangupCause, Value};

use crate::support::{events, frames, names};

#[test]
fn a_bridged_call_in_json_and_in_plain_tells_the_same_story() {
    let story = |name| -> Vec<String> {
        let channel = events(name).into_iter().filter(|event| event.unique_id().is_some());
        channel.map(|event| format!("{} {}", event.call_direction().unwrap().as_str(), event.name().unwrap())).collect()
    };
    let json = story("10_json_bridged");
    assert_eq!(json[..2], ["inbound CHANNEL_CREATE", "outbound CHANNEL_OUTGOING"]);
    assert_eq!(json.last().unwrap(), "inbound CHANNEL_HANGUP_COMPLETE");
    let mut plain = story("11_plain_bridged");
    let mut sorted = json;
    plain.sort();
    sorted.sort();
    assert_eq!(plain, sorted);
}

#[test]
fn every_channel_event_has_what_charging_reads() {
    let mut seen = 0;
    for name in names().into_iter().filter(|name| name != "02e_userauth_long") {
        for event in events(&name) {
            assert_eq!(event.core_uuid().map(str::len), Some(36), "{name}");
            assert!(event.date_timestamp_us().unwrap() > Some(1_795_000_000_000_000), "{name}");
            // Changes of state carry no times; an agent does not ask for them.
            let bare = [EventName::ChannelState, EventName::ChannelCallstate, EventName::ChannelDestroy];
            if event.unique_id().is_none() || event.name().is_some_and(|name| bare.contains(&name)) {
                continue;
            }
            seen += 1;
            assert!(event.call_direction().is_some() && event.created_us().unwrap().is_some(), "{name} {event:?}");
            assert!(event.answered_us().is_ok() && event.hangup_us().is_ok());
            if event.name() == Some(EventName::ChannelAnswer) {
                assert!(event.answered_us().unwrap() >= event.created_us().unwrap());
            }
        }
    }
    assert!(seen > 190, "{seen}");
}

#[test]
fn the_end_of_a_call_has_its_length_in_microseconds() {
    let mut ends = 0;
    for name in names().into_iter().filter(|name| name != "02e_userauth_long") {
        let ends_of = |event: &protocol_codecs::esl::Event| event.name() == Some(EventName::ChannelHangupComplete);
        for event in events(&name).iter().filter(|event| ends_of(event)) {
            ends += 1;
            let hangup = event.hangup_us().unwrap().unwrap();
            let talked = event.answered_us().unwrap().map_or(0, |answered| hangup - answered);
            assert_eq!(event.count("variable_billusec").unwrap(), Some(talked as u64), "{name}");
            // Twice in each, equal; the first is meant.
            let causes = event.fields().iter().filter(|(field, _)| *field == "Hangup-Cause");
            let causes: Vec<_> = causes.map(|(_, value)| value).collect();
            let cause = event.text("Hangup-Cause").unwrap();
            assert_eq!(causes, [Value::Text(cause); 2], "{name}");
            // A number given as a cause is one that FreeSWITCH cannot name.
            let known = event.hangup_cause().map_or("UNKNOWN", HangupCause::as_str);
            assert_eq!((known, known == "UNKNOWN"), (cause, name == "23_09_kill_parked_402"), "{name}");
        }
    }
    assert!(ends > 30, "{ends}");
}

#[test]
fn a_call_cut_by_the_backstop() {
    let events = events("20_park_auth_ok");
    let park = events.iter().find(|event| event.name() == Some(EventName::ChannelPark)).unwrap();
    assert_eq!(park.call_direction(), Some(CallDirection::Inbound));
    assert_eq!(park.variable("accountcode"), Some("acc1001"));
    assert_eq!(park.variable("sip_h_X-Tenant"), Some("tenant-a"));
    assert_eq!(park.text("Caller-Destination-Number"), Some("park1"));
    assert_eq!(park.answered_us(), Ok(None));
    assert_eq!(park.elements("variable_DP_MATCH").unwrap().iter().collect::<Vec<_>>(), ["park1", "1"]);
    assert_eq!(park.variable("DP_MATCH"), None);

    let end = events.last().unwrap();
    assert_eq!(end.name(), Some(EventName::ChannelHangupComplete));
    assert_eq!(end.hangup_cause(), Some(HangupCause::AllottedTimeout));
    assert_eq!(end.variable("hangup_cause_q850"), Some("16"));
    assert_eq!(end.thousandths("variable_rtp_audio_in_mos"), Ok(Some(4_500)));
    assert_eq!(end.variable("sip_user_agent"), Some("LabPhone/1.0 (sipp)"));
    assert_eq!(end.variable("rtp_use_codec_name"), Some("PCMU"));
    // Transferring a call changes its destination; what was dialled stays.
    assert_ne!(end.text("Caller-Destination-Number"), Some("park1"));
    assert_eq!(end.variable("sip_req_user"), Some("park1"));
    let wrong = FieldError { field: "variable_sip_user_agent", expected: "a count" };
    assert_eq!(end.count("variable_sip_user_agent"), Err(wrong));
}

#[test]
fn a_restarted_switch_is_another_one() {
    let core = |name| events(name).first().unwrap().core_uuid().unwrap().to_owned();
    assert_ne!(core("62_kill9"), core("62_kill9_after"));
    let heartbeat = events("62_kill9_after").into_iter().next().unwrap();
    assert_eq!(heartbeat.name(), Some(EventName::Heartbeat));
    assert!(heartbeat.count("Uptime-msec").unwrap().unwrap() < 60_000);
}

#[test]
fn utf8_survives_both_formats() {
    for (name, lossy) in
        [("31_utf8_json", false), ("31_utf8_plain", false), ("32_latin1_json", true), ("32_latin1_plain", true)]
    {
        let events = events(name);
        assert!(!events.is_empty());
        for event in events {
            assert_eq!(event.lossy_utf8(), lossy, "{name}");
            let caller = event.text("Caller-Caller-ID-Name").unwrap();
            assert_eq!(caller.contains('\u{fffd}'), lossy, "{name}: {caller}");
            assert_eq!(caller.contains('ü'), !lossy, "{name}: {caller}");
        }
    }
}

#[test]
fn notices_say_whether_the_connection_stays() {
    use protocol_codecs::esl::Frame;
    let notices = |name| -> Vec<(bool, Option<i64>, bool, String)> {
        let notice = |frame| if let Frame::DisconnectNotice(notice) = frame { Some(notice) } else { None };
        let all = frames(name).into_iter().filter_map(notice);
        all.map(|notice| {
            let first = notice.text.lines().next().unwrap_or_default().to_owned();
            (notice.lingers, notice.linger_s, notice.controlled_session_uuid.is_some(), first)
        })
        .collect()
    };
    let bye = "Disconnected, goodbye.".to_owned();
    assert_eq!(notices("01_auth_ok"), [(false, None, false, bye.clone())]);
    assert_eq!(notices("40_outbound_async"), [(true, Some(5), true, String::new()), (false, None, true, bye.clone())]);
    assert_eq!(notices("42_outbound_refuse"), [(true, Some(-1), true, String::new()), (false, None, true, bye)]);
    assert_eq!(
        notices("50_reload_shutdown_reload"),
        [(false, None, false, "The system is being shut down.".to_owned())]
    );
}
