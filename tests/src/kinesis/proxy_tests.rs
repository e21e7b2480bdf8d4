//! The proxy over its socket, answering by itself.

use std::sync::mpsc;
use std::time::Duration;

use demo::lab::kinesis as ask;
use serde_json::{Value, json};

use super::*;
use crate::kinesis::ShardLimits;

fn proxy(plan: FaultPlan) -> FaultProxy {
    FaultProxy::start(plan, Backend::Own(Stream::new("s", 3, None, true))).expect("a port")
}

/// `count` entries of `bytes` octets, of keys of their own.
fn put(count: usize, bytes: usize) -> Value {
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![b'x'; bytes]);
    let entries: Vec<Value> = (0..count).map(|n| json!({"Data": data, "PartitionKey": format!("k{n}")})).collect();
    json!({"StreamName": "s", "Records": entries})
}

fn stored(proxy: &FaultProxy) -> usize {
    proxy.with_stream(|stream| stream.records().count())
}

#[test]
fn what_was_answered_is_what_the_stream_has() -> anyhow::Result<()> {
    let proxy = proxy(FaultPlan::quiet());
    let answer = ask(proxy.port(), "PutRecords", &put(300, 10))?;
    assert_eq!(answer["FailedRecordCount"], 0);
    let mut of_answer: Vec<(String, String)> = Vec::new();
    for record in answer["Records"].as_array().into_iter().flatten() {
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        of_answer.push((text("ShardId"), text("SequenceNumber")));
    }
    let mut of_stream: Vec<(String, String)> = proxy
        .with_stream(|stream| stream.records().map(|(id, r)| (id.to_owned(), r.sequence_number.to_string())).collect());
    of_answer.sort();
    of_stream.sort();
    assert_eq!(of_answer, of_stream);
    assert_eq!(of_stream.len(), 300);
    let shards: std::collections::BTreeSet<&String> = of_stream.iter().map(|(id, _)| id).collect();
    assert_eq!(shards.len(), 3, "keys spread over the shards");
    assert_eq!(proxy.statistics().accepted_bytes, 300 * 10 + (10 * 2 + 90 * 3 + 200 * 4), "data and keys");
    Ok(())
}

#[test]
fn a_shard_beyond_its_limits_refuses_entries_and_takes_others() -> anyhow::Result<()> {
    let limits = Some(ShardLimits { records: 40, bytes: 1_000_000 });
    let proxy = proxy(FaultPlan { limits, ..FaultPlan::quiet() });
    let answer = ask(proxy.port(), "PutRecords", &put(300, 10))?;
    let failed = answer["FailedRecordCount"].as_u64().unwrap_or_default();
    let (statistics, taken) = (proxy.statistics(), stored(&proxy));
    // Three shards of 40, and what a slow machine's time added.
    assert!((120..200).contains(&taken), "{taken} taken");
    assert_eq!((statistics.throttled_entries, statistics.accepted), (failed, taken as u64));
    assert_eq!(failed + taken as u64, 300);
    let refused = answer["Records"].as_array().into_iter().flatten().find(|record| record["ErrorCode"].is_string());
    let refused = refused.expect("one refused");
    assert_eq!(refused["ErrorCode"], "ProvisionedThroughputExceededException");
    assert!(refused["SequenceNumber"].is_null() && refused["ShardId"].is_null(), "{refused}");
    Ok(())
}

#[test]
fn each_fault_leaves_the_stream_as_it_says() {
    let always = 1000;
    let quiet = FaultPlan::quiet;
    let rows = [
        ("an answer lost", FaultPlan { lost_answers: always, ..quiet() }, 5),
        ("a request lost", FaultPlan { lost_requests: always, ..quiet() }, 0),
        ("a server's error", FaultPlan { server_errors: always, ..quiet() }, 0),
    ];
    for (what, plan, expected) in rows {
        let proxy = proxy(plan);
        let error = ask(proxy.port(), "PutRecords", &put(5, 10)).expect_err(what).to_string();
        assert_eq!(stored(&proxy), expected, "{what}");
        if what == "a server's error" {
            assert!(error.contains(": 50"), "{error}");
        }
    }
    let proxy = proxy(FaultPlan { entry_failures: always, ..quiet() });
    let answer = ask(proxy.port(), "PutRecords", &put(5, 10)).expect("an answer");
    assert_eq!((&answer["FailedRecordCount"], stored(&proxy)), (&json!(5), 0));
    assert_eq!(answer["Records"][4]["ErrorCode"], "InternalFailure");
}

#[test]
fn requests_that_are_wrong_are_refused() {
    let proxy = proxy(FaultPlan::quiet());
    let rows = [
        (put(501, 1), "ValidationException"),
        (put(0, 1), "ValidationException"),
        (put(1, 1024 * 1024), "ValidationException"),
        (json!({"StreamName": "s", "Records": [{"Data": "", "PartitionKey": ""}]}), "ValidationException"),
        (json!({"StreamName": "t", "Records": [{"Data": "", "PartitionKey": "k"}]}), "ResourceNotFoundException"),
        (json!({"StreamName": "s"}), "SerializationException"),
    ];
    for (request, expected) in rows {
        let error = ask(proxy.port(), "PutRecords", &request).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(stored(&proxy), 0);
}

#[test]
fn an_outage_and_a_frozen_stream() {
    let proxy = proxy(FaultPlan::quiet());
    let port = proxy.port();
    proxy.outage(Outage::Away);
    ask(port, "PutRecords", &put(1, 10)).expect_err("nobody is there");
    for frozen in [true, false] {
        let (done, ended) = mpsc::channel();
        let gate = frozen.then(|| proxy.freeze());
        proxy.outage(if frozen { Outage::None } else { Outage::Hangs });
        let asking = std::thread::spawn(move || {
            done.send(ask(port, "PutRecords", &put(1, 10)).is_ok()).expect("the test waits");
        });
        assert_eq!(ended.recv_timeout(Duration::from_millis(100)), Err(mpsc::RecvTimeoutError::Timeout));
        let before = stored(&proxy);
        drop(gate);
        proxy.outage(Outage::None);
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Ok(true), "answered afterwards");
        assert_eq!(stored(&proxy), before + 1);
        asking.join().expect("ended");
    }
}

#[test]
fn requests_at_the_same_time_for_one_shard_are_seen() {
    let proxy = proxy(FaultPlan { latency_ms: 50..=50, ..FaultPlan::quiet() });
    let port = proxy.port();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(move || ask(port, "PutRecords", &put(1, 10)).expect("an answer"));
        }
    });
    assert!(proxy.statistics().most_in_flight_per_shard > 1);
    let quiet = self::proxy(FaultPlan::quiet());
    for _ in 0..3 {
        ask(quiet.port(), "PutRecords", &put(1, 10)).expect("an answer");
    }
    assert_eq!(quiet.statistics().most_in_flight_per_shard, 1);
}
