use protocol_codecs::Masked;
use protocol_codecs::evapi::PayerKind;
use types::TerminationReason;

use super::*;
use crate::config::{SwitchConfig, TrunkConfig};

fn fields() -> CallFields {
    CallFields {
        run: "1795315186.457556-1833346044".into(),
        callid: "1-4106@127.0.0.1".into(),
        from_tag: "4106uac1".into(),
        h_entry: 5536,
        h_id: 24219,
        payer: Some(Masked::new("1001")),
        payer_kind: Some(PayerKind::Digest),
        trunk: None,
        dest: Some(Masked::new("0170-1234567")),
        ruri: Some(Masked::new("sip:0170-1234567@127.0.0.1")),
        from_uri: Some(Masked::new("sip:1001@127.0.0.1")),
        to_uri: Some(Masked::new("sip:0170-1234567@127.0.0.1")),
        caller: Some(Masked::new("03012345")),
        src_ip: Some("127.0.0.9".into()),
        user_agent: Some("phone".into()),
        setup_time: EpochMicros::from_micros(1_795_315_187_021_560),
        event_time: Some(EpochMicros::from_micros(1_795_315_187_921_560)),
        never_refuse: false,
    }
}

fn config() -> KamailioConfig {
    let numbers = NumberRules { country_code: "49".into(), area_code: "30".into(), ..NumberRules::default() };
    let calls = agent_runtime::CallConfig { numbers, ..agent_runtime::CallConfig::default() };
    let trunk = NumberRules { bare_is_international: true, ..NumberRules::default() };
    KamailioConfig {
        name: "sbc".into(),
        tenant: "example".into(),
        tag: "tollkeeper".into(),
        switches: vec![SwitchConfig { name: "k1".into(), address: "127.0.0.1:8448".into() }],
        ping_interval: types::ConfigDuration::from_s(2),
        reconnect_longest: types::ConfigDuration::from_s(5),
        calls,
        trunks: [("trunk-a".into(), TrunkConfig { numbers: trunk })].into(),
    }
}

fn offered(fields: &CallFields) -> CallOffer {
    offer(&config(), "k1", crate::native::session_id("k1", fields), fields)
}

#[test]
fn every_field_of_a_call_finds_its_place() {
    let offer = offered(&fields());
    let expected = CallOffer {
        call_id: CallId::new("1-4106@127.0.0.1"),
        session_id: SessionId::from("k1/1795315186.457556-1833346044/5536-24219"),
        leg_id: LegId::new("4106uac1"),
        parent_leg_id: None,
        tenant: types::Tenant::new("example"),
        payer: Some(SubscriberId::account("1001")),
        charging_mode: types::charging::ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: Some(Number::from("+493012345")),
        called: Some(Number::from("+491701234567")),
        dialled: Number::from("0170-1234567"),
        offered: UtcMs(1_795_315_187_021),
        never_refuse: false,
        direction: CallDirection::MobileOriginated,
        sip: SipData {
            from_uri: Some(Number::from("sip:1001@127.0.0.1")),
            to_uri: Some(Number::from("sip:0170-1234567@127.0.0.1")),
            call_id_header: Some("1-4106@127.0.0.1".into()),
            user_agent: Some("phone".into()),
            codec: None,
            ip_address: Some("127.0.0.9".into()),
        },
        node: "k1".into(),
        trunk: None,
    };
    assert_eq!(offer, expected);
}

#[test]
fn what_is_absent_stays_absent_and_a_trunk_has_its_own_rules() {
    let bare = CallFields { payer: None, caller: None, dest: None, user_agent: None, src_ip: None, ..fields() };
    let offer = offered(&bare);
    assert_eq!((offer.payer, offer.calling, offer.sip.user_agent, offer.sip.ip_address), (None, None, None, None));
    assert_eq!((offer.called, offer.dialled), (None, Number::from("sip:0170-1234567@127.0.0.1")));
    assert_eq!(offered(&CallFields { ruri: None, ..bare }).dialled, Number::from(""));

    let claimed = CallFields { caller: Some(Masked::new("anonymous")), ..fields() };
    assert_eq!(offered(&claimed).calling, Some(Number::from("anonymous")));

    for (trunk, called) in [(Some("trunk-a"), "+4917012"), (Some("other"), "+49304917012"), (None, "+49304917012")] {
        let fields = CallFields { trunk: trunk.map(Into::into), dest: Some(Masked::new("4917012")), ..fields() };
        let offer = offered(&fields);
        assert_eq!(offer.called, Some(Number::from(called)), "{trunk:?}");
        assert_eq!(offer.trunk.as_deref(), trunk);
    }
}

/// An emergency number is no E.164 number, and is never a reason to refuse.
#[test]
fn a_never_refuse_number_is_taken_as_it_is() {
    let emergency = CallFields { never_refuse: true, dest: Some(Masked::new("112")), payer: None, ..fields() };
    let offer = offered(&emergency);
    assert_eq!((offer.called, offer.never_refuse, offer.payer), (Some(Number::from("112")), true, None));
    let urn = CallFields { dest: None, ruri: Some(Masked::new("urn:service:sos.police")), ..emergency };
    assert_eq!(offered(&urn).called, Some(Number::from("urn:service:sos.police")));
}

#[test]
fn an_answer_has_the_age_that_kamailio_gives_it() {
    let answered = EpochMicros::from_micros(1_795_315_187_121_999);
    assert_eq!(answer(answered, &fields()), Answer { at: UtcMs(1_795_315_187_121), elapsed_ms: 800 });
    let untold = CallFields { event_time: None, ..fields() };
    assert_eq!(answer(answered, &untold).elapsed_ms, 0);
    // Kamailio's clock was set back in between.
    let backwards = CallFields { event_time: Some(EpochMicros::from_micros(0)), ..fields() };
    assert_eq!(answer(answered, &backwards).elapsed_ms, 0);
}

fn end_of(by: &KamailioEndedBy, cause: &EndCause, q850: Option<u16>) -> CallEnd {
    ended(&End {
        answer_time: EpochMicros::from_micros(1_000_000_000),
        end_time: EpochMicros::from_micros(1_001_505_999),
        ended_by: by,
        cause,
        q850,
        rtp_stat: None,
        replayed: false,
    })
}

#[test]
fn every_end_of_a_conversation() {
    use KamailioEndedBy::{Callee, Caller, Proxy};
    let word = |word: &str| EndCause::parse(word);
    let unknown = KamailioEndedBy::Other("nobody".into());
    let rows = [
        (Caller, word("BYE"), None, EndedBy::Caller, None, 16),
        (Callee, word("BYE"), Some(31), EndedBy::Callee, None, 31),
        (Caller, word("BYE"), Some(127), EndedBy::Caller, None, 127),
        (Caller, word("BYE"), Some(128), EndedBy::Caller, None, 16),
        (Caller, word("BYE"), Some(u16::MAX), EndedBy::Caller, None, 16),
        (Proxy, word("MAX_DURATION"), None, EndedBy::Switch, Some(ReleaseCause::Backstop), 31),
        (Proxy, word("PEER_LOST"), None, EndedBy::Switch, None, 16),
        (Proxy, word("OPERATOR"), None, EndedBy::Tollkeeper, Some(ReleaseCause::Operator), 16),
        (Proxy, word("CREDIT_EXHAUSTED"), None, EndedBy::Tollkeeper, Some(ReleaseCause::CreditExhausted), 16),
        (Proxy, word("FRAUD"), None, EndedBy::Tollkeeper, Some(ReleaseCause::Fraud), 16),
        (Proxy, word("SOMETHING_NEW"), None, EndedBy::Tollkeeper, None, 16),
        (Caller, word("FRAUD"), None, EndedBy::Caller, None, 16),
        (unknown, word("BYE"), None, EndedBy::Unknown, None, 16),
    ];
    for (by, cause, q850, expected_by, release_cause, expected_cause) in rows {
        let end = end_of(&by, &cause, q850);
        let row = format!("{by:?} {cause:?} {q850:?}");
        assert_eq!((end.by, end.release_cause, end.cause.0), (expected_by, release_cause, expected_cause), "{row}");
        assert_eq!((end.at, end.answered), (UtcMs(1_001_505), Some(UtcMs(1_000_000))), "{row}");
        assert_eq!((end.sip_status, end.cancelled, end.replayed), (None, false, false), "{row}");
    }
}

#[test]
fn every_failure_of_an_attempt() {
    let rows = [
        (FailCause::Cancelled, Some(487), EndedBy::Caller, None, true, TerminationReason::Cancelled),
        (FailCause::Cancelled, None, EndedBy::Caller, None, true, TerminationReason::Cancelled),
        (FailCause::Failed, Some(486), EndedBy::Unknown, None, false, TerminationReason::Busy),
        (FailCause::Failed, Some(408), EndedBy::Unknown, None, false, TerminationReason::NoAnswer),
        (FailCause::Failed, Some(503), EndedBy::Unknown, None, false, TerminationReason::Failed),
        (FailCause::Failed, None, EndedBy::Unknown, None, false, TerminationReason::Failed),
        (FailCause::Rejected, Some(402), EndedBy::Unknown, None, false, TerminationReason::Failed),
        (FailCause::Other("NEW".into()), Some(500), EndedBy::Unknown, None, false, TerminationReason::Failed),
    ];
    for (cause, status, by, release_cause, cancelled, reason) in rows {
        let end = failed(EpochMicros::from_micros(5_000_999), status, &cause, true);
        let row = format!("{cause:?} {status:?}");
        assert_eq!((end.by, end.release_cause, end.cancelled), (by, release_cause, cancelled), "{row}");
        assert_eq!((end.sip_status, end.answered, end.at, end.replayed), (status, None, UtcMs(5_000), true), "{row}");
        let told = if cancelled {
            TerminationReason::Cancelled
        } else {
            status.map_or_else(|| TerminationReason::from_cause(end.cause), TerminationReason::from_sip_status)
        };
        assert_eq!(told, reason, "{row}");
    }
    for cause in [FailCause::NoAgent, FailCause::AuthTimeout] {
        let end = failed(EpochMicros::from_micros(0), None, &cause, false);
        assert_eq!(
            (end.release_cause, end.sip_status),
            (Some(ReleaseCause::ChargingUnavailable), Some(503)),
            "{cause:?}"
        );
    }
}

#[test]
fn quality_of_a_phone() {
    let quality = quality("PS=100,OS=16000,PR=99,OR=16000,PL=1,JI=12,LA=0").expect("has figures");
    assert_eq!(quality.jitter.map(|jitter| jitter.scaled), Some(12_000));
    assert_eq!(quality.packet_loss.map(|loss| loss.scaled), Some(100));
    assert_eq!(quality.latency, None);
    let semicolons = super::quality("PR=0; PL=0; LA=35").expect("has figures");
    assert_eq!((semicolons.packet_loss, semicolons.latency.map(|latency| latency.scaled)), (None, Some(35_000)));
    for nonsense in ["", "PL=", "JI=-1", "PS", "JI=99999999999999"] {
        assert_eq!(super::quality(nonsense), None, "{nonsense}");
    }
}
