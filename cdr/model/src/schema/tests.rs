//! The schema file is what the types say, and records are what the schema says.

use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::*;
use crate::tests::full;
use crate::{CALL_RECORD_SCHEMA, EventKind, RecordType};

fn validator() -> Validator {
    jsonschema::validator_for(&serde_json::from_str(CALL_RECORD_SCHEMA).expect("JSON")).expect("a schema")
}

fn faults(validator: &Validator, record: &Value) -> Vec<String> {
    validator.iter_errors(record).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn golden() -> impl Iterator<Item = &'static str> {
    include_str!("golden-1.0.jsonl").lines()
}

#[test]
fn the_schema_file_is_what_the_types_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/call-record.schema.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, generated()).expect("writable");
    }
    let shipped = std::fs::read_to_string(&file).expect("readable");
    let command = "BLESS=1 cargo test -p cdr-model the_schema_file";
    assert!(
        shipped == generated(),
        "the types changed: decide on the version (docs/reference/call-record.md), then {command}"
    );
}

/// Written by releases with schema 1.0. Never edit this file: every later release must read it.
#[test]
fn records_of_version_1_0_are_read_for_ever() {
    let validator = validator();
    let mut kinds = Vec::new();
    for line in golden() {
        let record = CallRecord::from_json(line.as_bytes()).expect(line);
        assert_eq!(String::from_utf8(record.to_json().expect("encodes")).expect("UTF-8"), line, "nothing is lost");
        assert_eq!(faults(&validator, &serde_json::from_str(line).expect("JSON")), Vec::<String>::new(), "{line}");
        kinds.push((record.record_type, record.event_kind));
    }
    for kind in [
        (RecordType::Start, None),
        (RecordType::Interim, None),
        (RecordType::Stop, None),
        (RecordType::Event, Some(EventKind::CallAttempt)),
        (RecordType::Event, Some(EventKind::CostAdjustment)),
        (RecordType::Event, Some(EventKind::Service)),
    ] {
        assert!(kinds.contains(&kind), "{kind:?}");
    }
}

#[test]
fn a_full_record_and_its_masked_copy_are_valid() {
    let validator = validator();
    let mut record = full();
    let key = crate::MaskingKey::new(&[7; 32]).expect("long enough");
    let masking = crate::Masking::new(&crate::MaskingConfig::default(), Some(&key)).expect("a profile");
    for _ in 0..2 {
        let value = serde_json::to_value(&record).expect("encodes");
        assert_eq!(faults(&validator, &value), Vec::<String>::new());
        masking.mask(&mut record);
    }
}

/// Every property of the full record is in the schema, and the other way round.
#[test]
fn schema_and_record_have_the_same_fields() {
    let schema: Value = serde_json::from_str(CALL_RECORD_SCHEMA).expect("JSON");
    let mut missing = Vec::new();
    compare(&schema, &schema, &serde_json::to_value(full()).expect("encodes"), "", &mut missing);
    assert_eq!(missing, Vec::<String>::new());
}

fn compare(root: &Value, schema: &Value, value: &Value, path: &str, missing: &mut Vec<String>) {
    let schema = match schema["$ref"].as_str() {
        Some(name) => root.pointer(name.trim_start_matches('#')).expect("a definition"),
        None => schema,
    };
    if let Value::Array(items) = value {
        items.iter().for_each(|item| compare(root, &schema["items"], item, path, missing));
    }
    let Value::Object(fields) = value else { return };
    let properties = schema["properties"].as_object().expect(path);
    for (name, value) in fields {
        match properties.get(name) {
            Some(property) => compare(root, property, value, &format!("{path}/{name}"), missing),
            None => missing.push(format!("{path}/{name} is not in the schema")),
        }
    }
    let absent = properties.keys().filter(|name| !fields.contains_key(*name));
    missing.extend(absent.map(|name| format!("{path}/{name} is not in the record")));
    for (name, property) in properties {
        let described = property.get("description").is_some() || property.get("$ref").is_some();
        if !described {
            missing.push(format!("{path}/{name} has no description"));
        }
    }
}

#[test]
fn what_is_no_record_is_not_valid() {
    let validator = validator();
    let whole = serde_json::to_value(full()).expect("encodes");
    for (pointer, wrong) in [
        ("/schemaVersion", json!("2.0")),
        ("/schemaVersion", json!("1")),
        ("/recordType", json!("PAUSE")),
        ("/recordSequence", json!(-1)),
        ("/startTime", json!("2026-11-22 01:06:42")),
        ("/startTime", json!(null)),
        ("/answerTime", json!(null)),
        ("/duration", json!("45.080")),
        ("/duration", json!(-1)),
        ("/cost/amount", json!(0.45)),
        ("/cost/amount", json!("0,45")),
        ("/cost/currency", json!("eur")),
        ("/cost/state", json!("LATE")),
        ("/usage", json!({})),
        ("/usage/0/delta", json!(5)),
        ("/callingParty/number", json!(4930)),
        ("/calledParty/numberType", json!("mobile")),
        ("/calledParty/international", json!("yes")),
        ("/calledParty/location/callingCode", json!("+44")),
        ("/qos/mos", json!("4.41")),
        ("/metadata/tags", json!("ADOPTED")),
    ] {
        let mut record = whole.clone();
        *record.pointer_mut(pointer).expect(pointer) = wrong.clone();
        assert!(!validator.is_valid(&record), "{pointer} = {wrong}");
    }
    for required in
        ["recordId", "callId", "sessionId", "recordType", "recordSequence", "startTime", "metadata", "service"]
    {
        let mut record = whole.clone();
        record.as_object_mut().expect("an object").remove(required).expect(required);
        assert!(!validator.is_valid(&record), "without {required}");
    }
}

/// The rule of docs/reference/call-record.md for minor versions, from the side of an older reader.
#[test]
fn a_newer_minor_version_is_valid_and_readable() {
    let mut record = serde_json::to_value(full()).expect("encodes");
    record["schemaVersion"] = "1.7".into();
    record["carbonGrams"] = 3.into();
    record["calledParty"]["mood"] = "calm".into();
    record["calledParty"]["numberType"] = "TELEPATHY".into();
    record["releaseCause"] = "BOREDOM".into();
    record["terminationReason"] = "ENLIGHTENED".into();
    record["eventKind"] = "MIRACLE".into();
    assert_eq!(faults(&validator(), &record), Vec::<String>::new());
    let read = CallRecord::from_json(record.to_string().as_bytes()).expect("readable");
    assert_eq!(read.called_party.number_type, None, "what is not known is absent");
    assert_eq!((read.release_cause, read.termination_reason, read.event_kind), (None, None, None));
    assert_eq!(read.schema_version, SchemaVersion { major: 1, minor: 7 });
    assert_eq!(read.called_party.number, full().called_party.number);

    record["schemaVersion"] = "2.0".into();
    let error = CallRecord::from_json(record.to_string().as_bytes()).expect_err("another major version").to_string();
    assert!(error.starts_with("schema version 2.0 is not readable by this release, which reads 1.x"), "{error}");
}

#[test]
fn enumerations_are_listed_whole() {
    assert_eq!(words::<RecordType>(), ["START", "INTERIM", "STOP", "EVENT"]);
    assert_eq!(words::<types::charging::Service>(), ["VOICE", "DATA", "SMS", "MMS", "GENERIC"]);
    assert!(words::<types::ReleaseCause>().contains(&"CREDIT_EXHAUSTED"));
}
