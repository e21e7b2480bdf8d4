//! Records: read by `cdr`, shipped by `run`, and what a shutdown says of those that could not be shipped.

use std::path::Path;

use cdr_journal::{Journal, JournalOptions};
use cdr_model::CallRecord;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Tollkeeper, eventually, run};

fn record(number: u32, kind: &str, account: &str, start: &str) -> CallRecord {
    let value = json!({
        "recordId": format!("s{number}/{kind}/0"), "callId": format!("c{number}"), "sessionId": format!("s{number}"),
        "legId": "A", "recordType": kind, "recordSequence": 0, "tenant": "default", "startTime": start, "duration": 45.080,
        "callingParty": {"number": "+4930123456", "subscriberId": account}, "calledParty": {"dialledNumber": "0044201"},
        "service": "VOICE", "callType": "VOICE", "callDirection": "MOBILE_ORIGINATED", "terminationReason": "NORMAL",
        "sipData": {}, "cost": {"state": "FINAL", "currency": "EUR", "amount": "0.45"}, "metadata": {"serverNode": "k1"},
    });
    CallRecord::from_json(value.to_string().as_bytes()).expect("a record")
}

/// A journal with three records.
async fn write(directory: &Path) {
    let options = JournalOptions { segment_bytes: 65_536, ..JournalOptions::default() };
    let (journal, _) = Journal::open(directory, options).expect("a journal");
    for record in [
        record(1, "START", "alice", "2026-11-22T10:00:00.000Z"),
        record(1, "STOP", "alice", "2026-11-22T10:00:00.000Z"),
        record(2, "STOP", "bob", "2026-11-23T10:00:00.000Z"),
    ] {
        journal.append_durable(&record).await.expect("durable");
    }
    journal.close().expect("closed");
}

#[tokio::test]
async fn records_are_found() {
    let directory = TempDir::new().expect("a directory");
    write(directory.path()).await;
    let journal = directory.path().to_str().expect("text");
    let search = |conditions: &[&str]| {
        let found = run(&[["cdr", "search", "--json", "--journal", journal].as_slice(), conditions].concat()).json();
        found.iter().map(|record| record["recordId"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let rows: [(&[&str], &[&str]); 9] = [
        (&[], &["s1/START/0", "s1/STOP/0", "s2/STOP/0"]),
        (&["--account", "bob"], &["s2/STOP/0"]),
        (&["--type", "stop"], &["s1/STOP/0", "s2/STOP/0"]),
        (&["--call-id", "c1", "--type", "STOP"], &["s1/STOP/0"]),
        (&["--session-id", "s2"], &["s2/STOP/0"]),
        (&["--since", "2026-11-23"], &["s2/STOP/0"]),
        (&["--until", "2026-11-22T12:00:00Z"], &["s1/START/0", "s1/STOP/0"]),
        (&["--number", "4930123456", "--account", "alice"], &["s1/START/0", "s1/STOP/0"]),
        (&["--account", "nobody"], &[]),
    ];
    for (conditions, expected) in rows {
        assert_eq!(search(conditions), expected, "{conditions:?}");
    }
    let last = run(&["cdr", "tail", "-n", "1", "--journal", journal]).ok();
    let row: Vec<&str> = last.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    assert_eq!(row, ["2026-11-23T10:00:00.000Z", "STOP", "bob", "0044201", "45.080", "0.45", "EUR", "NORMAL", "c2"]);
    assert_eq!(run(&["cdr", "tail", "--journal", "/no/such"]).code, Some(64));
}

fn configuration(journal: &Path, sink: &Path) -> String {
    format!(
        "shutdown_deadline = \"300ms\"\n[journal]\ndir = \"{}\"\n[[journal.sink]]\nkind = \"json-lines\"\npath = \"{}\"\n",
        journal.display(),
        sink.display()
    )
}

#[tokio::test]
async fn what_the_journal_holds_is_shipped_once() {
    let directory = TempDir::new().expect("a directory");
    let (journal, sink) = (directory.path().join("journal"), directory.path().join("records.jsonl"));
    write(&journal).await;
    let mut tollkeeper = Tollkeeper::start(&configuration(&journal, &sink));
    for _ in 0..2 {
        let lines = eventually("three lines", || {
            let text = std::fs::read_to_string(&sink).ok()?;
            (text.lines().count() >= 3).then_some(text)
        });
        let ids: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["recordId"].clone()).collect();
        assert_eq!(ids, [json!("s1/START/0"), json!("s1/STOP/0"), json!("s2/STOP/0")]);
        assert_eq!(tollkeeper.terminate(), Some(0), "{}", tollkeeper.log());
        tollkeeper.restart();
    }
}

#[tokio::test]
async fn a_sink_that_takes_nothing_is_named_at_the_end() {
    let directory = TempDir::new().expect("a directory");
    let journal = directory.path().join("journal");
    write(&journal).await;
    // Every write to it fails as on a full disk.
    let mut tollkeeper = Tollkeeper::start(&configuration(&journal, Path::new("/dev/full")));
    eventually("a failed delivery", || {
        tollkeeper.get("/metrics").1.contains("tollkeeper_sink_failures_total{sink=\"json-lines\"} 1").then_some(())
    });
    tollkeeper.cli(&["account", "create", "alice", "--balance", "1"]).ok();
    assert_eq!(tollkeeper.terminate(), Some(3), "{}", tollkeeper.log());
    let log = tollkeeper.log();
    let last = log.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("error: shutdown unfinished: records for sink json-lines, which stay in the journal"),
        "{log}"
    );
    // The core was stopped in order all the same.
    assert!(log.contains("charging core stopped"), "{log}");
}
