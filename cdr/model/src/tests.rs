//! The shape of the JSON: what operators' consumers see.

use super::*;
use types::charging::Service;
use types::{Money, Number, ReleaseCause, SessionId, TerminationReason, UtcMs};

fn stop() -> CallRecord {
    let session_id = SessionId::from("k1/7/12/a@b");
    CallRecord {
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
        call_type: CallType::Voice,
        call_direction: CallDirection::MobileOriginated,
        termination_reason: Some(TerminationReason::Normal),
        release_cause: Some(ReleaseCause::CreditExhausted),
        cause: Some(50),
        sip_status: None,
        sip_data: SipData { codec: Some("PCMA".into()), ..SipData::default() },
        qos: None,
        usage: vec![RecordUsage { time_ms: Some(45_080), ..RecordUsage::default() }],
        cost: Some(RecordCost {
            state: CostState::Final,
            currency: "EUR".parse().ok(),
            amount: Some(Money::from_nanos(450_000_000)),
            per_minute_rate: None,
            tax_amount: None,
            tax_included: None,
        }),
        metadata: RecordMetadata { server_node: "k1".into(), ..RecordMetadata::default() },
        reconstructed: false,
        clock_anomaly: false,
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
        r#""cost":{"state":"FINAL","currency":"EUR","amount":"0.45"}"#,
        r#""usage":[{"ratingGroup":0,"timeMs":45080}]"#,
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
