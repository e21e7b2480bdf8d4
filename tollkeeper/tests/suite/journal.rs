//! `journal`: verified, exported and replayed from the command line.

use std::io::Read as _;
use std::path::Path;

use cdr_journal::{Journal, JournalOptions};
use cdr_model::CallRecord;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::run;

fn record(number: u32) -> CallRecord {
    let value = json!({
        "recordId": format!("s{number}/STOP/0"), "callId": format!("c{number}"), "sessionId": format!("s{number}"),
        "legId": "A", "recordType": "STOP", "recordSequence": 0, "tenant": "default",
        "startTime": format!("2026-11-2{number}T10:00:00.000Z"),
        "callingParty": {"number": "+4930123456", "subscriberId": "alice"}, "calledParty": {"dialledNumber": "0044201"},
        "service": "VOICE", "callType": "VOICE", "callDirection": "MOBILE_ORIGINATED",
        "sipData": {}, "metadata": {"serverNode": "k1"},
    });
    CallRecord::from_json(value.to_string().as_bytes()).expect("a record")
}

/// A journal with four records.
async fn write(directory: &Path) -> Journal {
    let options = JournalOptions { segment_bytes: 65_536, ..JournalOptions::default() };
    let (journal, _) = Journal::open(directory, options).expect("a journal");
    for number in 0..4 {
        journal.append_durable(&record(number)).await.expect("durable");
    }
    journal
}

fn ids(text: &str) -> Vec<String> {
    let id = |line: &str| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        value["recordId"].as_str().unwrap_or_default().to_owned()
    };
    text.lines().map(id).collect()
}

#[tokio::test]
async fn a_journal_in_use_is_verified_and_damage_gives_exit_1() {
    let directory = TempDir::new().expect("a directory");
    let journal = write(directory.path()).await;
    let place = directory.path().to_str().expect("text");
    let report = &run(&["journal", "verify", "--json", "--journal", place]).json()[0];
    assert_eq!((&report["whole"], &report["records"], &report["segments"]), (&json!(true), &json!(4), &json!(1)));
    let shown = run(&["journal", "verify", "--files", "--journal", place]).ok();
    assert!(shown.contains("00000000000000000000.seg") && shown.trim_end().ends_with("whole"), "{shown}");
    journal.close().expect("closed");
    let segment = directory.path().join("00000000000000000000.seg");
    let mut content = std::fs::read(&segment).expect("a segment");
    content[100] ^= 1;
    std::fs::write(&segment, content).expect("written");
    let damaged = run(&["journal", "verify", "--journal", place]);
    assert_eq!(damaged.code, Some(1));
    let report = run(&["journal", "verify", "--json", "--journal", place]);
    assert_eq!(report.code, Some(1));
    assert_eq!(run(&["journal", "verify", "--journal", "/no/such"]).code, Some(64));
}

#[tokio::test]
async fn records_are_exported_to_a_file_or_to_standard_output() {
    let directory = TempDir::new().expect("a directory");
    let journal = write(directory.path()).await;
    let place = directory.path().to_str().expect("text");
    let all = run(&["journal", "export", "--journal", place]).ok();
    assert_eq!(ids(&all), ["s0/STOP/0", "s1/STOP/0", "s2/STOP/0", "s3/STOP/0"]);
    let file = directory.path().join("some.jsonl.gz");
    let name = file.to_str().expect("text");
    let conditions = ["--since", "2026-11-21", "--until", "2026-11-23"];
    let to_file = ["journal", "export", "--journal", place, "--gzip", "-o", name, "--json"];
    let report = &run(&[to_file.as_slice(), &conditions].concat()).json()[0];
    assert_eq!((&report["records"], &report["damaged"]), (&json!(2), &json!(0)));
    let mut lines = String::new();
    let packed = std::fs::File::open(&file).expect("the file");
    flate2::read::MultiGzDecoder::new(packed).read_to_string(&mut lines).expect("gzip");
    assert_eq!(ids(&lines), ["s1/STOP/0", "s2/STOP/0"]);
    assert_eq!(run(&["journal", "export", "--journal", place, "-o", "/no/such/file"]).code, Some(1));
    assert_eq!(run(&["journal", "export", "--journal", place, "--json"]).code, Some(64), "needs --output");
    journal.close().expect("closed");
}

#[tokio::test]
async fn a_sink_is_set_back_only_while_the_journal_is_stopped() {
    let directory = TempDir::new().expect("a directory");
    let journal = write(directory.path()).await;
    let place = directory.path().to_str().expect("text");
    let storage = segment_log::DirStorage::at(directory.path());
    let checkpoint = br#"{"version":1,"position":4,"state":""}"#;
    segment_log::write_snapshot(&storage, "lines.checkpoint", checkpoint).expect("a checkpoint");
    let replay = |rest: &[&str]| run(&[&["journal", "replay", "--json", "--journal", place, "--sink"], rest].concat());
    let in_use = replay(&["lines", "--from", "1"]);
    assert_eq!(in_use.code, Some(1), "{}", in_use.err);
    assert!(in_use.err.contains("is in use; stop that process first"), "{}", in_use.err);
    journal.close().expect("closed");
    let expected = |applied: bool| json!({"sink": "lines", "applied": applied, "checkpoint": 4, "from": 2, "records": 2, "lost": 0});
    assert_eq!(replay(&["lines", "--from", "2026-11-22T10:00:00Z"]).json(), [expected(false)]);
    assert_eq!(replay(&["lines", "--from", "2", "--apply"]).json(), [expected(true)]);
    assert_eq!(replay(&["lines", "--from", "3"]).code, Some(1), "only back");
    assert_eq!(replay(&["other", "--from", "3"]).code, Some(1), "no checkpoint");
    assert_eq!(replay(&["lines", "--from", "yesterday"]).code, Some(64));
}
