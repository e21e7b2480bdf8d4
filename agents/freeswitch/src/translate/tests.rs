use agent_call::CallEnd;
use types::charging::ChargingMode;
use types::{Cause, EndedBy, ReleaseCause};

use super::*;
use crate::config::FreeswitchConfig;

type Fields<'a> = &'a [(&'a str, Option<&'a str>)];

/// What an end is told by, whether we asked for it, and what it is then.
type EndRow<'a> = (Fields<'a>, bool, EndedBy, u8, Option<ReleaseCause>);

/// A channel's event with these fields besides the usual ones; a field without a value is not there.
fn event(name: &str, fields: Fields<'_>) -> Event {
    let mut all = vec![
        ("Event-Name", Some(name)),
        ("Core-UUID", Some("run")),
        ("Unique-ID", Some("abc")),
        ("Call-Direction", Some("inbound")),
        ("Channel-Name", Some("sofia/internal/1001@192.0.2.9")),
        ("Event-Date-Timestamp", Some("1795300010500999")),
        ("Caller-Channel-Created-Time", Some("1795300000000001")),
        ("Caller-Channel-Answered-Time", Some("0")),
        ("Caller-Channel-Hangup-Time", Some("0")),
        ("Caller-Destination-Number", Some("004930123456")),
        ("Caller-Caller-ID-Number", Some("00493099")),
        ("variable_sip_req_user", Some("004930123456")),
    ];
    all.retain(|(field, _)| !fields.iter().any(|(other, _)| other == field));
    all.extend(fields);
    let pairs = all.iter().filter_map(|(field, value)| Some((*field, (*value)?)));
    let json: serde_json::Map<String, serde_json::Value> =
        pairs.map(|(field, value)| (field.to_owned(), value.into())).collect();
    Event::from_json(serde_json::Value::Object(json).to_string().as_bytes()).unwrap()
}

fn told(event: &Event) -> Result<News, &'static str> {
    match translate("fs1", event) {
        Ok(Told::Call { session, other, news, .. }) => {
            assert_eq!(session.as_str(), "fs1/run/1795300000000001-abc");
            other.map_or(Ok(news), Err)
        }
        Ok(Told::Ignored(reason)) => Err(reason),
        Err(TranslateError::Nameless) => Err("nameless"),
        Err(TranslateError::Timeless) => Err("timeless"),
        Err(TranslateError::Field(_)) => Err("field"),
    }
}

#[test]
fn every_event_is_news_or_ignored_for_a_reason() {
    let answered = ("Other-Leg-Channel-Answered-Time", Some("1795300005000700"));
    let bridged = event("CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", Some("b")), answered]);
    assert_eq!(told(&bridged), Ok(News::Bridged(Some("b".into()), Some(UtcMs(1_795_300_005_000)))));
    for (name, expected) in [
        ("CHANNEL_PARK", Ok(News::Parked)),
        ("CHANNEL_PROGRESS", Ok(News::Ringing)),
        ("CHANNEL_PROGRESS_MEDIA", Ok(News::Ringing)),
        ("CHANNEL_ANSWER", Ok(News::Answered)),
        ("CHANNEL_HOLD", Ok(News::Held)),
        ("CHANNEL_UNHOLD", Ok(News::Resumed)),
        ("CHANNEL_BRIDGE", Ok(News::Bridged(None, None))),
        ("CHANNEL_HANGUP", Ok(News::HungUp)),
        ("CHANNEL_HANGUP_COMPLETE", Ok(News::Completed)),
        ("HEARTBEAT", Err("heartbeat")),
        ("SHUTDOWN", Err("shutdown")),
        ("BACKGROUND_JOB", Err("job_of_another")),
        ("CHANNEL_CREATE", Err("unknown_event")),
        ("SOMETHING_NEW", Err("unknown_event")),
    ] {
        assert_eq!(told(&event(name, &[])), expected, "{name}");
    }
    let rows: &[(&str, Option<&str>, &str)] = &[
        ("Call-Direction", Some("outbound"), "b_leg"),
        ("Call-Direction", None, "no_direction"),
        ("variable_originating_leg_uuid", Some("x"), "b_leg"),
        ("Channel-Name", Some("loopback/49-b"), "loopback_leg"),
        ("Unique-ID", None, "nameless"),
        ("Core-UUID", None, "nameless"),
        ("Caller-Channel-Created-Time", Some("0"), "nameless"),
        ("Event-Date-Timestamp", None, "timeless"),
        ("Event-Date-Timestamp", Some("soon"), "field"),
    ];
    for (field, value, expected) in rows {
        assert_eq!(told(&event("CHANNEL_ANSWER", &[(field, *value)])), Err(*expected), "{field} {value:?}");
    }
}

#[test]
fn a_fresh_answer_has_no_age_and_a_dump_has() {
    let answered = [("Caller-Channel-Answered-Time", Some("1795300010480001"))];
    let rows = [("CHANNEL_ANSWER", 0, 0), ("CHANNEL_ANSWER", 5_000, 5_000), ("CHANNEL_DATA", 0, 20)];
    for (name, late_ms, elapsed_ms) in rows {
        let answer = answer(&event(name, &answered), late_ms).unwrap().unwrap();
        assert_eq!((answer.at, answer.elapsed_ms), (UtcMs(1_795_300_010_480), elapsed_ms), "{name}");
    }
    assert_eq!(answer(&event("CHANNEL_DATA", &[]), 0), Ok(None));
}

fn config() -> FreeswitchConfig {
    let text = "name = \"a\"\ntenant = \"t\"\nswitches = []\n[trunks.carrier]\naddresses = [\"192.0.2.7\"]\naccount = \"carrier\"\n[trunks.carrier.numbers]\nbare_is_international = true";
    toml::from_str(text).unwrap()
}

fn offered(fields: Fields<'_>) -> agent_call::CallOffer {
    offer(&config(), "fs1", SessionId::from("s"), &event("CHANNEL_PARK", fields))
}

const AUTHORISED: (&str, Option<&str>) = ("variable_sip_authorized", Some("true"));
/// An access list knew the address as that of a user of the directory.
const TOKEN: (&str, Option<&str>) = ("variable_acl_token", Some("office@a.example"));
const USER: (&str, Option<&str>) = ("variable_user_name", Some("office"));
const HIS_DOMAIN: (&str, Option<&str>) = ("variable_domain_name", Some("a.example"));
const DIGEST: (&str, Option<&str>) = ("variable_sip_auth_username", Some("user"));

#[test]
fn who_pays_is_what_the_switch_knows() {
    let rows: &[(Fields<'_>, Option<&str>)] = &[
        (&[], None),
        (&[("variable_accountcode", Some("code"))], Some("code")),
        (&[AUTHORISED, ("variable_accountcode", Some("code")), DIGEST], Some("user")),
        (&[AUTHORISED, DIGEST, ("variable_cgr_account", Some("cgr"))], Some("cgr")),
        // The dialplan's, for the leg to a carrier.
        (&[DIGEST], None),
        (&[("variable_sip_authorized", Some("false")), DIGEST], None),
        // `accept-blind-auth`: the From header named the user of the directory.
        (&[AUTHORISED, ("variable_user_name", Some("victim")), ("variable_accountcode", Some("victim"))], None),
        (
            &[AUTHORISED, ("variable_sip_acl_authed_by", Some("trunks")), ("variable_accountcode", Some("code"))],
            Some("code"),
        ),
        (&[AUTHORISED, ("variable_sip_network_ip", Some("192.0.2.7"))], Some("carrier")),
        (&[AUTHORISED, ("variable_accountcode", Some("v")), ("variable_tollkeeper_account", Some("own"))], Some("own")),
        (&[("variable_cgr_account", Some("cgr")), ("variable_tollkeeper_account", Some("own"))], Some("own")),
        (&[("variable_sip_network_ip", Some("192.0.2.7"))], Some("carrier")),
        (&[("variable_tollkeeper_trunk", Some("carrier"))], Some("carrier")),
        (&[("variable_tollkeeper_trunk", Some("other")), ("variable_sip_network_ip", Some("192.0.2.7"))], None),
        // A user of the directory with a `cidr`: the access list named him.
        (&[TOKEN, USER, HIS_DOMAIN], Some("office")),
        (&[AUTHORISED, ("variable_sip_acl_authed_by", Some("domains")), TOKEN, USER, HIS_DOMAIN], Some("office")),
        (&[TOKEN, USER, HIS_DOMAIN, ("variable_accountcode", Some("code"))], Some("code")),
        (&[TOKEN, USER, HIS_DOMAIN, AUTHORISED, DIGEST], Some("user")),
        (&[TOKEN, USER, HIS_DOMAIN, ("variable_sip_network_ip", Some("192.0.2.7"))], Some("carrier")),
        // Without the list, or past it, the name is anybody's.
        (&[USER, HIS_DOMAIN], None),
        (&[AUTHORISED, USER, HIS_DOMAIN], None),
        (&[AUTHORISED, TOKEN, USER, HIS_DOMAIN], None),
        (&[("variable_sip_h_acl_token", Some("office@a.example")), USER, HIS_DOMAIN], None),
        (&[TOKEN, ("Caller-Username", Some("victim")), ("variable_sip_from_user", Some("victim"))], None),
        (&[("variable_sip_from_user", Some("victim")), ("Caller-Username", Some("victim"))], None),
        (&[("variable_sip_h_X-Account", Some("victim"))], None),
        (&[("variable_cgr_account", Some("a\u{FFFD}"))], None),
    ];
    for (fields, expected) in rows {
        let payer = offered(fields).payer;
        assert_eq!(payer.as_ref().map(|payer| payer.value.expose()), *expected, "{fields:?}");
    }
}

/// A caller chooses the realm among the switch's domains, and has a password of one of them.
#[test]
fn a_user_of_another_domain_is_another_user() {
    let realm = |realm| ("variable_sip_auth_realm", Some(realm));
    let code = ("variable_accountcode", Some("code"));
    let rows: &[(Fields<'_>, Option<&str>, &str)] = &[
        (&[AUTHORISED, DIGEST, realm("a.example")], Some("user"), "tenant-a"),
        (&[AUTHORISED, DIGEST, realm("A.Example")], Some("user"), "tenant-a"),
        (&[AUTHORISED, DIGEST, realm("b.example"), code], None, "t"),
        (&[AUTHORISED, DIGEST, realm("b.example"), ("variable_cgr_account", Some("own"))], Some("own"), "t"),
        (&[AUTHORISED, DIGEST, realm("a.example"), ("variable_cgr_tenant", Some("own"))], Some("user"), "own"),
        (&[code], Some("code"), "t"),
        (&[TOKEN, USER, HIS_DOMAIN], Some("office"), "tenant-a"),
        (&[TOKEN, USER, ("variable_domain_name", Some("b.example"))], None, "t"),
        (&[TOKEN, USER, ("variable_domain_name", Some("b.example")), code], None, "t"),
    ];
    let mut config = config();
    config.domains.insert("a.example".into(), "tenant-a".into());
    for (fields, payer, tenant) in rows {
        let offer = offer(&config, "fs1", SessionId::from("s"), &event("CHANNEL_PARK", fields));
        assert_eq!(offer.payer.as_ref().map(|payer| payer.value.expose()), *payer, "{fields:?}");
        assert_eq!(offer.tenant.as_str(), *tenant, "{fields:?}");
    }
    assert_eq!(
        offered(&[AUTHORISED, DIGEST, realm("b.example")]).payer.map(|payer| payer.value.expose().to_owned()),
        Some("user".into())
    );
}

#[test]
fn words_of_both_dialplans_are_read() {
    for (prefix, star) in [("variable_tollkeeper", ""), ("variable_cgr", "*")] {
        let mode_field = if star.is_empty() { format!("{prefix}_mode") } else { format!("{prefix}_reqtype") };
        let names = ["tenant", "category", "subject", "destination"].map(|name| format!("{prefix}_{name}"));
        for (word, mode) in [
            ("prepaid", ChargingMode::Prepaid),
            ("pseudoprepaid", ChargingMode::Pseudoprepaid),
            ("postpaid", ChargingMode::Postpaid),
            ("rated", ChargingMode::Rated),
            ("something", ChargingMode::Prepaid),
        ] {
            let word = format!("{star}{word}");
            let mut fields = vec![(mode_field.as_str(), Some(word.as_str()))];
            fields.extend(names.iter().map(String::as_str).zip([Some("te"), Some("ca"), Some("su"), Some("+44207")]));
            let offer = offered(&fields);
            assert_eq!(offer.charging_mode, mode, "{word}");
            assert_eq!((&*offer.category, offer.subject.as_deref()), ("ca", Some("su")));
            assert_eq!(offer.tenant.as_str(), "te");
            assert_eq!(offer.called.as_ref().map(|called| called.expose()), Some("+44207"));
        }
        let none = format!("{star}none");
        assert!(is_free_of_charge(&event("CHANNEL_PARK", &[(&mode_field, Some(&none))])));
        assert!(!is_chargeable(&event("CHANNEL_ANSWER", &[(&mode_field, Some(&none))])));
    }
    assert!(!is_chargeable(&event("CHANNEL_ANSWER", &[("variable_accountcode", Some("1001"))])));
    assert!(is_chargeable(&event("CHANNEL_ANSWER", &[(&format!("variable_{SESSION_VARIABLE}"), Some("s"))])));
    assert!(is_chargeable(&event("CHANNEL_ANSWER", &[("variable_tollkeeper_never_refuse", Some("true"))])));
    assert!(!is_chargeable(&event("CHANNEL_ANSWER", &[("variable_tollkeeper_never_refuse", Some("no"))])));
}

/// A transfer changes the switch's own field, which is good while the call waits and only then.
#[test]
fn the_destination_is_what_was_dialled() {
    let transferred = ("Caller-Destination-Number", Some("00441"));
    let dialled = format!("variable_{DIALLED_VARIABLE}");
    let rows: &[(&str, Fields<'_>, &str)] = &[
        ("CHANNEL_PARK", &[transferred], "00441"),
        ("CHANNEL_ANSWER", &[transferred], "004930123456"),
        ("CHANNEL_DATA", &[transferred, ("variable_current_application", Some("park"))], "00441"),
        ("CHANNEL_ANSWER", &[transferred, (&dialled, Some("00495"))], "00495"),
        ("CHANNEL_ANSWER", &[(&dialled, Some("00495")), ("variable_cgr_destination", Some("00496"))], "00496"),
        // A leg that the switch called.
        (
            "CHANNEL_ANSWER",
            &[("variable_sip_req_user", None), transferred, ("Call-Direction", Some("outbound"))],
            "00441",
        ),
        // A parameter of the To header, of a caller's choice.
        ("CHANNEL_ANSWER", &[("variable_sip_req_user", None), ("variable_sip_to_user", Some("112"))], ""),
    ];
    for (name, fields, expected) in rows {
        let offer = offer(&config(), "fs1", SessionId::from("s"), &event(name, fields));
        assert_eq!(offer.dialled.expose(), *expected, "{name} {fields:?}");
    }
}

#[test]
fn numbers_follow_their_trunk() {
    let bare = ("Caller-Destination-Number", Some("4930123456"));
    assert_eq!(offered(&[bare]).called, None);
    let of_trunk = offered(&[bare, ("variable_sip_network_ip", Some("192.0.2.7"))]);
    assert_eq!(of_trunk.called.as_ref().map(|called| called.expose()), Some("+4930123456"));
    assert_eq!((of_trunk.trunk.as_deref(), of_trunk.offered), (Some("carrier"), UtcMs(1_795_300_000_000)));
}

const ANSWERED: (&str, Option<&str>) = ("Caller-Channel-Answered-Time", Some("1795300005000700"));

fn ended(fields: Fields<'_>, late_ms: u64, released: bool) -> CallEnd {
    let hangup = ("Caller-Channel-Hangup-Time", Some("1795300010400300"));
    let mut all = vec![hangup];
    all.extend(fields);
    let event = event("CHANNEL_HANGUP_COMPLETE", &all);
    completed(&event, UtcMs(1_795_300_010_500), late_ms, released).unwrap()
}

#[test]
fn an_end_says_who_and_why() {
    let cause = |word| ("Hangup-Cause", Some(word));
    let by = |word| ("variable_sip_hangup_disposition", Some(word));
    let q850 = |word| ("variable_hangup_cause_q850", Some(word));
    let rows: &[EndRow<'_>] = &[
        (&[ANSWERED, cause("NORMAL_CLEARING"), by("recv_bye"), q850("16")], false, EndedBy::Caller, 16, None),
        (&[ANSWERED, cause("NORMAL_CLEARING"), by("send_bye"), q850("16")], false, EndedBy::Callee, 16, None),
        (
            &[ANSWERED, cause("ALLOTTED_TIMEOUT"), by("send_bye"), q850("16")],
            false,
            EndedBy::Switch,
            16,
            Some(ReleaseCause::Backstop),
        ),
        (&[ANSWERED, cause("ALLOTTED_TIMEOUT"), by("send_bye"), q850("16")], true, EndedBy::Tollkeeper, 16, None),
        (&[ANSWERED, cause("MANAGER_REQUEST"), by("send_bye")], false, EndedBy::Switch, 16, None),
        (&[ANSWERED, cause("SYSTEM_SHUTDOWN"), by("send_bye")], false, EndedBy::Switch, 16, None),
        (&[cause("USER_BUSY"), by("send_refuse"), q850("17")], false, EndedBy::Callee, 17, None),
        (&[cause("USER_BUSY"), by("send_refuse"), q850("900")], false, EndedBy::Callee, 17, None),
        (
            &[cause("NORMAL_TEMPORARY_FAILURE"), ("variable_last_app", Some("park"))],
            false,
            EndedBy::Switch,
            41,
            Some(ReleaseCause::ChargingUnavailable),
        ),
        (&[cause("SOMETHING_NEW")], false, EndedBy::Unknown, 31, None),
        (&[], false, EndedBy::Unknown, 31, None),
    ];
    for (fields, released, by, number, release_cause) in rows {
        let end = ended(fields, 0, *released);
        let found = (end.by, end.cause, end.release_cause);
        assert_eq!(found, (*by, Cause(*number), *release_cause), "{fields:?}");
        assert_eq!(end.at, UtcMs(1_795_300_010_400));
        assert!(!end.replayed);
    }
    assert_eq!(ended(&[ANSWERED], 0, false).answered, Some(UtcMs(1_795_300_005_000)));
}

#[test]
fn a_cancelled_call_is_one_that_was_not_answered() {
    let cancel = ("Hangup-Cause", Some("ORIGINATOR_CANCEL"));
    let status = ("variable_sip_invite_failure_status", Some("487"));
    let end = ended(&[cancel, status], 0, false);
    assert_eq!((end.cancelled, end.sip_status), (true, Some(487)));
    let end = ended(&[cancel, status, ANSWERED], 0, false);
    assert_eq!((end.cancelled, end.sip_status), (false, None));
    for broken in ["200", "99999", "-1", "busy"] {
        assert_eq!(ended(&[("variable_sip_invite_failure_status", Some(broken))], 0, false).sip_status, None);
    }
}

#[test]
fn an_end_told_late_is_marked() {
    assert!(ended(&[], 3_000, false).replayed, "on the way");
    let held_up = ("Event-Date-Timestamp", Some("1795300012000000"));
    let event = event("CHANNEL_HANGUP_COMPLETE", &[("Caller-Channel-Hangup-Time", Some("1795300010400300")), held_up]);
    assert!(completed(&event, UtcMs(1_795_300_012_000), 0, false).unwrap().replayed, "inside the switch");
}

#[test]
fn quality_is_of_media_that_came() {
    let fields = |packets| {
        [
            ("variable_rtp_audio_in_media_packet_count", Some(packets)),
            ("variable_rtp_audio_in_jitter_max_variance", Some("84.95")),
            ("variable_rtp_audio_in_jitter_loss_rate", Some("0.05")),
            ("variable_rtp_audio_in_mos", Some("4.50")),
            ("variable_rtp_use_codec_name", Some("PCMU")),
        ]
    };
    let end = ended(&fields("200"), 0, false);
    let quality = end.qos.unwrap();
    let scaled = (quality.jitter.unwrap().scaled, quality.packet_loss.unwrap().scaled, quality.mos.unwrap().scaled);
    // The root of 84.95 ms squared; a twentieth is five percent.
    assert_eq!(scaled, (9_216, 500, 450));
    assert_eq!(end.codec.as_deref(), Some("PCMU"));
    assert_eq!(ended(&fields("0"), 0, false).qos, None);
    let mut broken = fields("200").to_vec();
    broken[1].1 = Some("nan");
    broken[3].1 = Some("9.9");
    let quality = ended(&broken, 0, false).qos.unwrap();
    assert_eq!((quality.jitter, quality.mos, quality.packet_loss.is_some()), (None, None, true));
}
