//! What we send: to the byte, and what we refuse to send.

use bytes::BytesMut;
use protocol_codecs::Class;
use protocol_codecs::diameter::{
    AbortSessionRequest, CapabilitiesExchangeAnswer, CcRequestType, CcSessionFailover, Command, CommandFlags,
    CreditControlAnswer, CreditControlFailureHandling, CreditControlRequest, DeviceWatchdogAnswer, DiameterCodec,
    EncodeError, EncodedMessage, Enumerated, Exchange, FinalUnitAction, FinalUnitIndication, GrantedServiceUnit,
    Identity, LowBalanceIndication, Mode, MultipleServicesCreditControl, ProxyInfo, ReAuthRequest, ReAuthRequestType,
    RedirectAddressType, RedirectServer, ResultCode, Trigger, limits,
};
use tokio_util::codec::Encoder;

use crate::support::{avp, frame, recorded, unhex};

const EXCHANGE: Exchange =
    Exchange { hop_by_hop_id: 0x0102_0304, end_to_end_id: 0x0506_0708, proxiable: true, retransmitted: false };

pub fn origin() -> (Identity<'static>, Identity<'static>) {
    ("ocs.test".into(), "test".into())
}

fn request(kind: CcRequestType) -> CreditControlRequest<'static> {
    CreditControlRequest::new(
        "s;1".into(),
        ("pgw.test".into(), "test".into()),
        "test".into(),
        "32251@3gpp.org".into(),
        (kind, 7),
    )
}

fn group() -> MultipleServicesCreditControl<'static> {
    MultipleServicesCreditControl {
        granted_service_unit: Some(Box::new(GrantedServiceUnit { cc_time: Some(60), ..Default::default() })),
        rating_group: Some(100),
        validity_time: Some(600),
        result_code: Some(ResultCode::SUCCESS),
        ..Default::default()
    }
}

/// A whole answer, byte by byte: order, flags, lengths and padding.
#[test]
fn an_answer_is_these_bytes() {
    let request = request(CcRequestType::Update);
    let mut answer = CreditControlAnswer::to(&request, origin(), ResultCode::SUCCESS);
    answer.cc_session_failover = Some(CcSessionFailover::Supported);
    answer.credit_control_failure_handling = Some(CreditControlFailureHandling::RetryAndTerminate);
    answer.low_balance_indication = Some(LowBalanceIndication::Yes);
    answer.multiple_services_credit_control = vec![group()];
    let expected = [
        "010000d4 40000110 00000004 01020304 05060708",
        "00000107 4000000b 733b3100",
        "0000010c 4000000c 000007d1",
        "00000108 40000010 6f63732e74657374",
        "00000128 4000000c 74657374",
        "00000102 4000000c 00000004",
        "000001a0 4000000c 00000002",
        "0000019f 4000000c 00000007",
        "000001a2 4000000c 00000001",
        "000001c8 40000040",
        "000001af 40000014 000001a4 4000000c 0000003c",
        "000001b0 4000000c 00000064",
        "000001c0 4000000c 00000258",
        "0000010c 4000000c 000007d1",
        "000007e4 c0000010 000028af 00000001",
        "000001ab 4000000c 00000002",
    ];
    let expected = unhex(&expected.concat().replace(' ', ""));
    let sent = answer.encoded(EXCHANGE).unwrap();
    assert_eq!(sent.bytes().len(), usize::from(expected[2]) * 256 + usize::from(expected[3]));
    assert_eq!(sent.bytes().as_ref(), expected);
}

#[test]
fn answers_have_the_p_bit_of_the_request() {
    let request = request(CcRequestType::Initial);
    let answer = CreditControlAnswer::to(&request, origin(), ResultCode::SUCCESS);
    let flags = |exchange| frame(answer.encoded(exchange).unwrap().bytes()).header().flags;
    assert_eq!(flags(EXCHANGE), CommandFlags(0x40));
    assert_eq!(flags(Exchange { proxiable: false, ..EXCHANGE }), CommandFlags(0));
    assert_eq!(flags(Exchange { retransmitted: true, ..EXCHANGE }), CommandFlags(0x40), "no T in answers");
    let again = Exchange { retransmitted: true, proxiable: false, ..EXCHANGE };
    assert_eq!(frame(request.encoded(again).unwrap().bytes()).header().flags, CommandFlags(0xD0), "P by the command");
    let answer = DeviceWatchdogAnswer {
        result_code: ResultCode::SUCCESS,
        origin_host: "a".into(),
        origin_realm: "b".into(),
        error_message: None,
        failed_avps: Vec::new(),
        origin_state_id: Some(1),
    };
    assert_eq!(frame(answer.encoded(EXCHANGE).unwrap().bytes()).header().flags, CommandFlags(0), "DWA never has P");
}

#[test]
fn proxies_get_their_state_back_to_the_byte() {
    // With a flag and an AVP that nobody knows: all of it belongs to the proxy.
    let state = [avp(280, 0, 0, b"dra"), avp(33, 0, 0x40, b"\0\xFF"), avp(7777, 99, 0x40, b"x")].concat();
    let info = avp(284, 0, 0x40, &state);
    let bytes = frame(&crate::support::ccr_with(&[info.clone(), info.clone()]));
    let request = CreditControlRequest::decode(&bytes, Mode::Tolerant).unwrap().message;
    let sent = CreditControlAnswer::to(&request, origin(), ResultCode::SUCCESS).encoded(EXCHANGE).unwrap();
    assert!(sent.bytes().ends_with(&[info.clone(), info].concat()));
    let made = ProxyInfo::new(&"dra.test".into(), b"state").unwrap();
    assert_eq!((made.proxy_host(), made.proxy_state()), (Some("dra.test"), Some(&b"state"[..])));
}

#[test]
fn copies_differ_in_the_hop_alone() {
    let sent = request(CcRequestType::Initial).encoded(EXCHANGE).unwrap();
    let copy = sent.with_hop_by_hop(0xAABB_CCDD);
    let mut expected = sent.bytes().to_vec();
    expected[12..16].copy_from_slice(&[0xAA, 0xBB, 0xCC, 0xDD]);
    assert_eq!(copy.bytes().as_ref(), expected);
    expected[4] |= 0x10;
    assert_eq!(sent.retransmitted(0xAABB_CCDD).bytes().as_ref(), expected);
    assert_eq!(EncodedMessage::new(copy.bytes().clone()), Some(copy.clone()));
    assert_eq!(EncodedMessage::new(copy.bytes().slice(..40)), None);
    let mut wire = BytesMut::new();
    DiameterCodec::default().encode(&copy, &mut wire).unwrap();
    assert_eq!(wire, copy.bytes());
}

/// Name, what is changed in an answer that is fine, and what is said about it.
#[test]
fn what_clients_stumble_over_is_not_sent() {
    type Change = fn(&mut CreditControlAnswer<'static>);
    let not_allowed = |avp| EncodeError::NotAllowed { avp, reason: "" };
    let rows: &[(&str, CcRequestType, Change, Option<EncodeError>)] = &[
        ("fine", CcRequestType::Initial, |_| {}, None),
        (
            "a group without a result",
            CcRequestType::Initial,
            |answer| answer.multiple_services_credit_control[0].result_code = None,
            Some(EncodeError::Missing { message: "CCA", avp: "Result-Code" }),
        ),
        (
            "validity 0 in a group",
            CcRequestType::Initial,
            |answer| answer.multiple_services_credit_control[0].validity_time = Some(0),
            Some(not_allowed("Validity-Time")),
        ),
        (
            "validity 0",
            CcRequestType::Initial,
            |answer| answer.validity_time = Some(0),
            Some(not_allowed("Validity-Time")),
        ),
        ("a grant at the end", CcRequestType::Termination, |_| {}, Some(not_allowed("Granted-Service-Unit"))),
        (
            "a host that is none",
            CcRequestType::Initial,
            |answer| answer.origin_host = "a b".into(),
            Some(EncodeError::BadValue { avp: "Origin-Host" }),
        ),
        (
            "a number without a name",
            CcRequestType::Initial,
            |answer| answer.cc_session_failover = Some(CcSessionFailover::Other(7)),
            Some(EncodeError::BadValue { avp: "CC-Session-Failover" }),
        ),
        (
            "too long",
            CcRequestType::Initial,
            |answer| answer.session_id = "s".repeat(limits::SENT_MESSAGE_BYTES_MAX).into(),
            Some(EncodeError::TooLong {
                what: "message",
                actual_bytes: 0,
                limit_bytes: limits::SENT_MESSAGE_BYTES_MAX,
            }),
        ),
        (
            "longer than an avp can tell",
            CcRequestType::Initial,
            |answer| answer.session_id = "s".repeat(limits::LENGTH_FIELD_MAX).into(),
            Some(EncodeError::TooLong { what: "Session-Id", actual_bytes: 0, limit_bytes: limits::LENGTH_FIELD_MAX }),
        ),
    ];
    for (name, kind, change, expected) in rows {
        let request = request(*kind);
        let mut answer = CreditControlAnswer::to(&request, origin(), ResultCode::SUCCESS).into_owned();
        answer.multiple_services_credit_control = vec![group()];
        change(&mut answer);
        let mut out = BytesMut::from(&b"before"[..]);
        let outcome = answer.encode(EXCHANGE, &mut out).map_err(without_details);
        assert_eq!(outcome.err(), *expected, "{name}");
        assert_eq!(out == b"before"[..], expected.is_some(), "{name}: all or nothing");
        if let Some(error) = expected {
            assert_eq!(error.class(), Class::Refused);
        }
    }
}

fn without_details(error: EncodeError) -> EncodeError {
    match error {
        EncodeError::NotAllowed { avp, .. } => EncodeError::NotAllowed { avp, reason: "" },
        EncodeError::TooLong { what, limit_bytes, .. } => EncodeError::TooLong { what, actual_bytes: 0, limit_bytes },
        other => other,
    }
}

#[test]
fn no_capabilities_without_an_address() {
    let recorded = recorded("python_diameter", "CEA").frame();
    let mut cea = CapabilitiesExchangeAnswer::decode(&recorded, Mode::Strict).unwrap().message;
    assert!(cea.encoded(EXCHANGE).is_ok());
    cea.host_ip_addresses.clear();
    assert_eq!(cea.encoded(EXCHANGE), Err(EncodeError::Missing { message: "CEA", avp: "Host-IP-Address" }));
}

/// One of each message that the server sends of its own accord or as an answer, for the other decoder.
pub fn samples() -> Vec<(&'static str, EncodedMessage)> {
    let initial = request(CcRequestType::Initial);
    let mut granted = CreditControlAnswer::to(&initial, origin(), ResultCode::SUCCESS);
    granted.cc_session_failover = Some(CcSessionFailover::Supported);
    granted.origin_state_id = Some(1);
    granted.multiple_services_credit_control = vec![
        MultipleServicesCreditControl {
            time_quota_threshold: Some(10),
            volume_quota_threshold: Some(100_000),
            unit_quota_threshold: Some(1),
            quota_holding_time: Some(300),
            quota_consumption_time: Some(10),
            service_identifiers: vec![1],
            trigger: Some(Box::new(Trigger { trigger_types: vec![Enumerated(1)] })),
            ..group()
        },
        MultipleServicesCreditControl {
            rating_group: Some(200),
            result_code: Some(ResultCode::CREDIT_LIMIT_REACHED),
            ..Default::default()
        },
        MultipleServicesCreditControl {
            rating_group: Some(300),
            final_unit_indication: Some(Box::new(FinalUnitIndication {
                final_unit_action: FinalUnitAction::Redirect,
                restriction_filter_rules: vec!["permit in ip from any to any".into()],
                filter_ids: vec!["top-up".into()],
                redirect_server: Some(RedirectServer {
                    redirect_address_type: RedirectAddressType::Url,
                    redirect_server_address: "https://top-up.test".into(),
                }),
            })),
            ..group()
        },
    ];
    let rar = ReAuthRequest {
        session_id: "s;1".into(),
        origin_host: "ocs.test".into(),
        origin_realm: "test".into(),
        destination_realm: "test".into(),
        destination_host: "pgw.test".into(),
        auth_application_id: 4,
        re_auth_request_type: ReAuthRequestType::AuthorizeOnly,
        user_name: None,
        origin_state_id: Some(1),
        cc_sub_session_id: None,
        gsu_pool_identifier: None,
        service_identifier: None,
        rating_group: Some(100),
        proxy_infos: Vec::new(),
        route_records: Vec::new(),
    };
    let asr = AbortSessionRequest {
        session_id: "s;1".into(),
        origin_host: "ocs.test".into(),
        origin_realm: "test".into(),
        destination_realm: "test".into(),
        destination_host: "pgw.test".into(),
        auth_application_id: 4,
        user_name: None,
        origin_state_id: Some(1),
        proxy_infos: Vec::new(),
        route_records: Vec::new(),
    };
    vec![
        ("CCA", granted.encoded(EXCHANGE).unwrap()),
        ("RAR", rar.encoded(EXCHANGE).unwrap()),
        ("ASR", asr.encoded(EXCHANGE).unwrap()),
    ]
}
