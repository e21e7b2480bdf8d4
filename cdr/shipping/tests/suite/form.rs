//! What goes over the wire: headers, signature, entries, keys, sizes.

use std::collections::BTreeSet;

use cdr_model::CallRecord;
use cdr_shipping::kinesis::{KinesisConfig, KinesisSink, PartitionKey};
use types::ErrorClass;

use crate::journal::{append, check, record, scene, ship, ship_all};

#[test]
fn requests_are_signed_and_entries_are_the_lines_of_the_journal() {
    let (double, disk, journal, setting) = scene(1);
    append(&journal, 0..700, 700);
    let mut shipping = ship(&journal, &disk, &setting.config);
    ship_all(&mut shipping);
    let puts = double.puts();
    let sizes: Vec<_> = puts.iter().map(|put| put.body["Records"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [500, 200], "as many as may go at once, and one after the other for one shard");
    for put in &puts {
        let header = |name: &str| put.headers[name].to_str().unwrap();
        assert_eq!(header("content-type"), "application/x-amz-json-1.1");
        let signature = header("authorization");
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{signature}");
        assert!(signature.contains("/eu-central-1/kinesis/aws4_request"), "{signature}");
        assert_eq!(put.body["StreamName"], "calls");
    }
    let stored = double.stored();
    for (n, stored) in (0..).zip(&stored) {
        assert_eq!(CallRecord::from_json(&stored.data).unwrap(), record(n, 700));
        assert_eq!((stored.data.last(), stored.key.clone()), (Some(&b'}'), format!("call-{n}")), "no newline");
    }
    check(&stored, 700, 700);
    assert_eq!(shipping.checkpoint().index(), 700);
}

#[test]
fn an_arn_names_a_stream_too() {
    let (double, disk, journal, setting) = scene(1);
    let stream = "arn:aws:kinesis:eu-central-1:123456789012:stream/calls".to_owned();
    double.deny_listing();
    append(&journal, 0..3, 3);
    ship_all(&mut ship(&journal, &disk, &KinesisConfig { stream: stream.clone(), ..setting.config.clone() }));
    assert_eq!(double.puts()[0].body["StreamARN"], stream);
}

#[test]
fn records_of_one_call_go_one_after_the_other_and_an_account_stays_in_its_shard() {
    for by in [PartitionKey::Call, PartitionKey::Account] {
        let (double, disk, journal, setting) = scene(3);
        append(&journal, 0..120, 40);
        let config = KinesisConfig { partition_key: by, ..setting.config.clone() };
        ship_all(&mut ship(&journal, &disk, &config));
        for put in double.puts() {
            let keys: Vec<_> =
                put.body["Records"].as_array().unwrap().iter().map(|record| record["Data"].as_str()).collect();
            assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
        }
        check(&double.stored(), 120, 40);
        assert!((1..=3).contains(&double.most_in_flight()), "one request a shard: {}", double.most_in_flight());
        let places: BTreeSet<_> = double.stored().into_iter().map(|stored| (stored.key, stored.shard)).collect();
        let (prefix, keys) = if by == PartitionKey::Call { ("call-", 40) } else { ("account-", 20) };
        assert_eq!(places.len(), keys, "each key in one shard");
        assert!(places.iter().all(|(key, _)| key.starts_with(prefix)));
    }
}

#[test]
fn a_record_that_is_too_large_is_parked_and_holds_nothing_up() {
    let (double, disk, journal, setting) = scene(2);
    let mut large = record(1, 2);
    large.sip_data.user_agent = Some("x".repeat(3000).into());
    append(&journal, 0..1, 2);
    let (answer, answered) = std::sync::mpsc::channel();
    journal.append(&large, move |outcome| answer.send(outcome).unwrap()).unwrap();
    answered.recv().unwrap().unwrap();
    append(&journal, 2..4, 2);
    let config = KinesisConfig { max_record_bytes: 2000, ..setting.config.clone() };
    let mut shipping = ship(&journal, &disk, &config);
    ship_all(&mut shipping);
    assert_eq!((shipping.checkpoint().index(), double.stored().len()), (4, 3));
    let parked = disk.content("kinesis.parked.jsonl").unwrap();
    assert_eq!(CallRecord::from_json(parked.strip_suffix(b"\n").unwrap()).unwrap(), large);
    assert_eq!(shipping.sink_counters().parked.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn a_configuration_with_faults_is_refused_before_anything_is_sent() {
    let config = KinesisConfig { batch_records: 501, ..KinesisConfig::of_stream("") };
    let error = KinesisSink::open("kinesis", &config).err().unwrap();
    assert_eq!(error.class(), ErrorClass::Refused);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("batch_records") && source.contains("stream must"), "{source}");
}
