//! Nothing personal gets through, and what consumers join by still joins.

use super::*;
use crate::tests::full;
use crate::{CallRecord, RecordType};
use serde_json::{Map, Value};
use types::SessionId;

fn key() -> MaskingKey {
    MaskingKey::new(b"0123456789abcdef0123456789abcdef").expect("long enough")
}

fn masking(config: &str) -> Masking {
    let config: MaskingConfig = serde_json::from_str(config).expect("a configuration");
    Masking::new(&config, Some(&key())).expect("a profile")
}

fn personal(mut record: CallRecord) -> CallRecord {
    masking("{}").mask(&mut record);
    record
}

/// Path and value of every leaf.
fn leaves(value: &Value, path: &str, found: &mut Map<String, Value>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            leaves(value, &path, found);
        }),
        Value::Array(items) if items.iter().all(Value::is_object) => {
            items.iter().for_each(|value| leaves(value, path, found))
        }
        leaf => {
            found.insert(path.to_owned(), leaf.clone());
        }
    }
}

fn leaves_of(record: &CallRecord) -> Map<String, Value> {
    let mut found = Map::new();
    leaves(&serde_json::to_value(record).expect("encodes"), "", &mut found);
    found
}

/// Every field that the profile leaves, decided by hand: a new field of the record belongs here or is masked.
const LEFT: &[&str] = &[
    "schemaVersion recordType recordSequence eventKind tenant service callType callDirection",
    "startTime answerTime endTime duration billableSeconds overrunMs",
    "terminationReason releaseCause cause sipStatus reconstructed clockAnomaly",
    "callingParty.numberType callingParty.location.country callingParty.location.callingCode",
    "calledParty.numberType calledParty.location.country calledParty.location.callingCode",
    "calledParty.international calledParty.destination",
    "sipData.codec qos.jitter qos.packetLoss qos.latency qos.mos",
    "usage.ratingGroup usage.plmn usage.apn",
    "usage.delta.inputOctets usage.delta.outputOctets usage.delta.timeMs usage.delta.totalOctets usage.delta.units",
    "usage.total.inputOctets usage.total.outputOctets usage.total.timeMs usage.total.totalOctets usage.total.units",
    "cost.state cost.currency cost.amount cost.delta cost.perMinuteRate cost.taxAmount cost.taxIncluded",
    "metadata.serverNode",
];

#[test]
fn the_personal_profile_leaves_these_fields_and_no_other() {
    let before = leaves_of(&full());
    let after = leaves_of(&personal(full()));
    let mut left: Vec<&str> = LEFT.iter().flat_map(|line| line.split(' ')).collect();
    left.sort_unstable();
    let mut same: Vec<&str> =
        before.iter().filter(|(path, value)| after.get(*path) == Some(value)).map(|(path, _)| path.as_str()).collect();
    same.sort_unstable();
    assert_eq!(same, left);
    let text = String::from_utf8(personal(full()).to_json().expect("encodes")).expect("UTF-8");
    for secret in
        ["49301", "44207", "00442", "alice", "198.51.100", "call-id", "leg-", "262011", "Berlin", "52.5", "k1/7"]
    {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn the_full_record_has_every_field() {
    let record = full();
    assert!(!serde_json::to_string(&record).expect("encodes").contains("null"));
    let shown = leaves_of(&record);
    let named: Vec<String> = Field::ALL.iter().map(|field| field.name().to_owned()).collect();
    for name in named {
        let there = shown.keys().any(|path| *path == name || path.starts_with(&format!("{name}.")));
        assert!(there, "{name} is not in the full record");
    }
}

#[test]
fn joins_survive() {
    let of = |edit: fn(&mut CallRecord)| {
        let mut record = full();
        edit(&mut record);
        personal(record)
    };
    let caller = of(|record| record.calling_party.number = Some("+4930123456".into()));
    let called = of(|record| record.called_party.number = Some("+4930123456".into()));
    let account = of(|record| record.calling_party.subscriber_id = Some("4930123456".into()));
    let uri = of(|record| record.sip_data.from_uri = Some("sip:+4930123456;npdi@example.org:5060".into()));
    let tel = of(|record| record.sip_data.to_uri = Some("TEL:4930123456".into()));
    let expected = caller.calling_party.number.clone();
    assert!(expected.as_ref().is_some_and(|number| number.expose().starts_with(PSEUDONYM_PREFIX)));
    assert_eq!(called.called_party.number, expected);
    assert_eq!(account.calling_party.subscriber_id, expected);
    assert_eq!(uri.sip_data.from_uri, expected);
    assert_eq!(tel.sip_data.to_uri, expected);
    let dialled = of(|record| record.called_party.dialled_number = "+4930123456".into());
    assert_eq!(Some(dialled.called_party.dialled_number), expected);
    let local = of(|record| record.called_party.dialled_number = "4930123456".into());
    assert_ne!(Some(local.called_party.dialled_number), expected, "digits as dialled may be a local number");

    let record = full();
    assert_eq!(Some(record.call_id.as_str()), record.sip_data.call_id_header.as_deref(), "as with SIP proxies");
    let masked = personal(record);
    assert_eq!(Some(masked.call_id.as_str()), masked.sip_data.call_id_header.as_deref());
}

#[test]
fn deduplication_and_adjustments_survive() {
    let with = |session: &str, record_type| {
        let mut record = full();
        record.session_id = SessionId::from(session);
        record.record_type = record_type;
        record.record_id = CallRecord::make_id(&record.session_id, record_type, 0);
        record.adjusts_record_id = Some(CallRecord::make_id(&record.session_id, RecordType::Stop, 0));
        personal(record)
    };
    let stop = with("k1/7/12", RecordType::Stop);
    assert_eq!(stop.record_id, with("k1/7/12", RecordType::Stop).record_id, "the same again");
    assert_ne!(stop.record_id, with("k1/7/13", RecordType::Stop).record_id);
    assert_ne!(stop.record_id, with("k1/7/12", RecordType::Start).record_id);
    assert_eq!(with("k1/7/12", RecordType::Event).adjusts_record_id, Some(stop.record_id.clone()));
    assert!(stop.record_id.starts_with(stop.session_id.as_str()), "{}", stop.record_id);
    let mut foreign = full();
    foreign.record_id = "alice@example.org/STOP/0".into();
    assert!(!personal(foreign).record_id.contains("alice"), "an id that is not of the session is hashed whole");
}

/// Checked against `hmac.new(key, b"+4930123456", "sha256")` of Python, base 32 of the first 20 bytes.
#[test]
fn pseudonyms_are_hmac_sha_256() {
    let mut record = full();
    record.calling_party.number = Some("+4930123456".into());
    let masked = personal(record);
    assert_eq!(
        masked.calling_party.number.as_ref().map(|number| number.expose()),
        Some("hmac:wmmvmdxsgui5ifllusnqrfp77haxm7sk")
    );
    let config = MaskingConfig::default();
    let other = MaskingKey::new(&[1; 32]).expect("long enough");
    let mut record = full();
    record.calling_party.number = Some("+4930123456".into());
    Masking::new(&config, Some(&other)).expect("a profile").mask(&mut record);
    assert_ne!(record.calling_party.number, masked.calling_party.number, "the key matters");
}

#[test]
fn prefixes_keep_digits_for_statistics_but_never_the_last_four() {
    let masking = masking(r#"{"profile":"none","fields":{"callingParty.number":"prefix:6"}}"#);
    let rows = [
        ("+4930123456", "+493012*"),
        ("4930123456", "493012*"),
        ("+49301234", "+4930*"),
        ("+12345", "+1*"),
        ("1234", "*"),
        ("alice", "*"),
        ("sip:+4930123456@example.org", "+493012*"),
        ("sip:alice@example.org", "*"),
        ("\u{664}\u{664}\u{664}\u{664}\u{664}\u{664}\u{664}", "*"),
        ("", "*"),
    ];
    for (number, expected) in rows {
        let mut record = full();
        record.calling_party.number = Some(number.into());
        let before = record.clone();
        masking.mask(&mut record);
        assert_eq!(
            record.calling_party.number.take().map(|number| number.expose().to_owned()).as_deref(),
            Some(expected)
        );
        record.calling_party.number = before.calling_party.number.clone();
        assert_eq!(record, before, "nothing else changed");
    }
}

#[test]
fn removed_fields_are_absent() {
    let fields = r#"{"profile":"none","fields":{"calledParty.dialledNumber":"remove","callingParty.location":"remove",
        "metadata.tags":"remove","sipData.ipAddress":"remove","usage.imsi":"remove"}}"#;
    let mut record = full();
    masking(fields).mask(&mut record);
    let json = String::from_utf8(record.to_json().expect("encodes")).expect("UTF-8");
    for absent in ["dialledNumber", "ipAddress", "imsi", "leg-c"] {
        assert!(!json.contains(absent), "{absent} in {json}");
    }
    assert!(record.calling_party.location.is_none() && record.called_party.location.is_some());
    assert_eq!(record.metadata.tags, ["TRANSFERRED".into(), "ADOPTED".into()], "the words of tags stay");
    assert_eq!(CallRecord::from_json(json.as_bytes()).expect("decodes"), record);
}

#[test]
fn bad_configurations_are_refused_by_name() {
    let parse = |text: &str| serde_json::from_str::<MaskingConfig>(text).map_err(|error| error.to_string());
    for (text, said) in [
        (
            r#"{"fields":{"callingParty.nummer":"hmac"}}"#,
            "unknown variant `callingParty.nummer`, expected one of `callId`",
        ),
        (r#"{"fields":{"recordId":"hmac"}}"#, "unknown variant `recordId`"),
        (r#"{"fields":{"callId":"prefix:0"}}"#, "an action is keep, remove, hmac or prefix:N"),
        (r#"{"fields":{"callId":"prefix:16"}}"#, "1 to 15"),
        (r#"{"profil":"none"}"#, "unknown field `profil`"),
        (r#"{"profile":"public"}"#, "unknown variant `public`, expected `personal` or `none`"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.contains(said), "{text}: {error}");
    }
    for (field, action, takes) in [
        (Field::SessionId, "remove", "keep, hmac"),
        (Field::CallId, "prefix:3", "keep, hmac"),
        (Field::UserAgent, "prefix:3", "keep, remove, hmac"),
        (Field::CallingCoordinates, "hmac", "keep, remove"),
    ] {
        let config = parse(&format!(r#"{{"fields":{{"{}":"{action}"}}}}"#, field.name())).expect("parses");
        let error = Masking::new(&config, Some(&key())).expect_err(action).to_string();
        assert_eq!(error, format!("{} cannot be masked by {action}; it takes {takes}", field.name()));
    }
    let missing = Masking::new(&MaskingConfig::default(), None).expect_err("no key");
    assert_eq!(missing, MaskingError::KeyMissing { field: Field::CallId });
    let plain: MaskingConfig = parse(r#"{"profile":"none"}"#).expect("parses");
    assert!(Masking::new(&plain, None).is_ok(), "nothing to hash, no key needed");
}

#[test]
fn keys_are_long_and_never_shown() {
    assert_eq!(MaskingKey::new(&[7; 31]).err(), Some(MaskingError::KeyTooShort { bytes: 31 }));
    let shown = format!("{:?} {:?}", key(), masking("{}"));
    assert!(
        shown.contains("MaskingKey(secret)") && !shown.contains("48, 49, 50") && !shown.contains("0123"),
        "{shown}"
    );
}

#[test]
fn field_names_are_written_as_the_configuration_reads_them() {
    for field in Field::ALL {
        assert_eq!(serde_json::to_value(field).expect("encodes"), field.name());
        assert_eq!(Field::ALL.get(field as usize), Some(&field), "in order");
    }
}
