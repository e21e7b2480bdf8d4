//! The shape of the JSON: what operators' consumers see.

use super::*;
use types::charging::Service;
use types::{Money, Number, ReleaseCause, SessionId, TerminationReason, UtcMs};

fn stop() -> CallRecord {
    let session_id = SessionId::from("k1/7/12/a@b");
    CallRecord {
        schema_version: SchemaVersion::CURRENT,
        record_id: CallRecord::make_id(&session_id, RecordType::Stop, 0),
        call_id: "k1/7/12".into(),
        session_id,
        leg_id: "A".into(),
        parent_leg_id: None,
        record_type: RecordType::Stop,
        record_sequence: 1,
        event_kind: None,
        adjusts_record_id: None,
        tenant: "cgrates.org".into(),
        start_time: UtcMs(1_795_309_600_000),
        answer_time: Some(UtcMs(1_795_309_602_620)),
        end_time: Some(UtcMs(1_795_309_647_700)),
        duration: Some(Seconds::from_ms(45_080)),
        billable_seconds: Some(Seconds::from_ms(45_000)),
        overrun_ms: Some(80),
        calling_party: CallingParty { number: Some("+4930123456".into()), ..CallingParty::default() },
        called_party: CalledParty { dialled_number: "0044201".into(), ..CalledParty::default() },
        service: Service::Voice,
        call_type: Some(CallType::Voice),
        call_direction: CallDirection::MobileOriginated,
        termination_reason: Some(TerminationReason::Normal),
        release_cause: Some(ReleaseCause::CreditExhausted),
        cause: Some(50),
        sip_status: None,
        sip_data: SipData { codec: Some("PCMA".into()), ..SipData::default() },
        qos: None,
        usage: vec![RecordUsage {
            delta: RecordUnits::time(15_080),
            total: RecordUnits::time(45_080),
            ..RecordUsage::default()
        }],
        cost: Some(RecordCost {
            state: CostState::Final,
            currency: "EUR".parse().ok(),
            amount: Some(Money::from_nanos(450_000_000)),
            delta: Some(Money::from_nanos(150_000_000)),
            per_minute_rate: None,
            tax_amount: None,
            tax_included: None,
        }),
        metadata: RecordMetadata { server_node: "k1".into(), ..RecordMetadata::default() },
        reconstructed: false,
        clock_anomaly: false,
    }
}

/// A record with every field that there is, made to be masked and validated; no call looks like this.
pub(crate) fn full() -> CallRecord {
    let location = |country: &str, code, city: &str| Location {
        country: Some(country.into()),
        calling_code: Some(code),
        city: Some(city.into()),
        coordinates: Some(Coordinates {
            latitude: Degrees { micro: 52_520_008 },
            longitude: Degrees { micro: 13_404_954 },
        }),
    };
    let units = |n| RecordUnits {
        input_octets: Some(n),
        output_octets: Some(n),
        time_ms: Some(n),
        total_octets: Some(n),
        units: Some(n),
    };
    let stop = stop();
    CallRecord {
        call_id: "call-id-1@198.51.100.7".into(),
        leg_id: "leg-a".into(),
        parent_leg_id: Some("leg-b".into()),
        event_kind: Some(EventKind::CostAdjustment),
        adjusts_record_id: Some(CallRecord::make_id(&stop.session_id, RecordType::Stop, 0)),
        calling_party: CallingParty {
            number: Some("+4930123456".into()),
            number_type: Some(NumberType::Landline),
            subscriber_id: Some("alice".into()),
            location: Some(location("DE", 49, "Berlin")),
        },
        called_party: CalledParty {
            number: Some("+442071234567".into()),
            dialled_number: "00442071234567".into(),
            number_type: Some(NumberType::Landline),
            international: Some(true),
            location: Some(location("GB", 44, "Berlin Road")),
            destination: Some("UK_FIXED".into()),
        },
        sip_status: Some(487),
        sip_data: SipData {
            from_uri: Some("sip:alice@198.51.100.7".into()),
            to_uri: Some("sip:00442071234567@198.51.100.8".into()),
            call_id_header: Some("call-id-1@198.51.100.7".into()),
            user_agent: Some("alice's phone".into()),
            codec: Some("PCMA".into()),
            ip_address: Some("198.51.100.7".into()),
        },
        qos: Some(Qos {
            jitter: Some(Decimal { scaled: 1_500 }),
            packet_loss: Some(Decimal { scaled: 12 }),
            latency: Some(Decimal { scaled: 30_000 }),
            mos: Some(Decimal { scaled: 441 }),
        }),
        usage: vec![RecordUsage {
            rating_group: 10,
            delta: units(5),
            total: units(15),
            plmn: Some("26201".into()),
            apn: Some("internet".into()),
            imsi: Some("262011234567890".into()),
        }],
        cost: Some(RecordCost {
            state: CostState::Final,
            currency: "EUR".parse().ok(),
            amount: Some(Money::from_nanos(450_000_000)),
            delta: Some(Money::from_nanos(-50_000_000)),
            per_minute_rate: Some(Money::from_nanos(600_000_000)),
            tax_amount: Some(Money::from_nanos(71_848_739)),
            tax_included: Some(true),
        }),
        metadata: RecordMetadata {
            server_node: "k1".into(),
            recording_id: Some("20261122-alice.wav".into()),
            tags: vec!["TRANSFERRED:leg-c".into(), "ADOPTED".into()],
        },
        reconstructed: true,
        clock_anomaly: true,
        ..stop
    }
}

#[test]
fn json_names_and_forms_are_the_contract() {
    let json = String::from_utf8(stop().to_json().expect("encodes")).expect("utf-8");
    for part in [
        r#""recordId":"k1/7/12/a@b/STOP/0""#,
        r#""recordType":"STOP""#,
        r#""answerTime":"2026-11-22T01:06:42.620Z""#,
        r#""duration":45.080"#,
        r#""billableSeconds":45.000"#,
        r#""overrunMs":80"#,
        r#""dialledNumber":"0044201""#,
        r#""terminationReason":"NORMAL","releaseCause":"CREDIT_EXHAUSTED""#,
        r#""cost":{"state":"FINAL","currency":"EUR","amount":"0.45","delta":"0.15"}"#,
        r#""usage":[{"ratingGroup":0,"delta":{"timeMs":15080},"total":{"timeMs":45080}}]"#,
    ] {
        assert!(json.contains(part), "{part} is missing in {json}");
    }
    for absent in ["parentLegId", "qos", "reconstructed", "clockAnomaly", "null", "sipStatus"] {
        assert!(!json.contains(absent), "{absent} must be absent in {json}");
    }
}

#[test]
fn json_round_trips_and_ignores_newer_fields() {
    let json = stop().to_json().expect("encodes");
    assert_eq!(CallRecord::from_json(&json).expect("decodes"), stop());
    let newer = String::from_utf8(json).expect("utf-8").replacen('{', r#"{"fromTheFuture":[1,2],"#, 1);
    assert_eq!(CallRecord::from_json(newer.as_bytes()).expect("decodes"), stop());
}

#[test]
fn records_hide_numbers_from_logs() {
    let shown = format!("{:?}", stop());
    assert!(!shown.contains("4930123456") && !shown.contains("0044201"), "{shown}");
    assert_eq!(Number::from("+4930123456").to_string(), "+493*****56");
}
