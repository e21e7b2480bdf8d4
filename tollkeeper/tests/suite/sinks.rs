//! Sinks as they are configured, watched and alarmed about.

use std::path::Path;

use cdr_journal::{Journal, JournalOptions};
use cdr_model::CallRecord;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Tollkeeper, eventually, run};

fn record(number: u32, kind: &str, tenant: &str) -> CallRecord {
    let value = json!({
        "recordId": format!("s{number}/{kind}/0"), "callId": format!("c{number}"), "sessionId": format!("s{number}"),
        "legId": "A", "recordType": kind, "recordSequence": 0, "tenant": tenant, "startTime": "2026-01-02T10:00:00.000Z",
        "callingParty": {"number": "+4930123456", "subscriberId": "alice"}, "calledParty": {"dialledNumber": "0044201"},
        "service": "VOICE", "callType": "VOICE", "callDirection": "MOBILE_ORIGINATED", "sipData": {},
        "metadata": {"serverNode": "k1"},
    });
    CallRecord::from_json(value.to_string().as_bytes()).expect("a record")
}

async fn write(directory: &Path) {
    let options = JournalOptions { segment_bytes: 65_536, ..JournalOptions::default() };
    let (journal, _) = Journal::open(directory, options).expect("a journal");
    for (number, kind, tenant) in
        [(1, "START", "one"), (1, "STOP", "one"), (2, "START", "two"), (2, "STOP", "two"), (3, "EVENT", "two")]
    {
        journal.append_durable(&record(number, kind, tenant)).await.expect("durable");
    }
    journal.close().expect("closed");
}

fn journal(directory: &Path) -> String {
    format!("shutdown_deadline = \"2s\"\n[journal]\ndir = \"{}\"\n", directory.display())
}

fn lines(path: &Path, count: usize) -> Vec<Value> {
    eventually("the lines", || {
        let text = std::fs::read_to_string(path).ok()?;
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (lines.len() >= count).then_some(lines)
    })
}

#[tokio::test]
async fn two_sinks_see_what_each_may_see() {
    let directory = TempDir::new().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    write(&at("journal")).await;
    std::fs::write(at("key"), "0123456789abcdef0123456789abcdef\n").expect("written");
    let config = format!(
        r#"{}
[[journal.sink]]
kind = "json-lines"
name = "billing"
path = "{}"
filter = {{ types = ["STOP", "EVENT"], tenant = "two" }}
[[journal.sink]]
kind = "json-lines"
name = "statistics"
path = "{}"
[journal.sink.masking]
key_file = "{}"
fields = {{ "callingParty.number" = "prefix:4" }}
"#,
        journal(&at("journal")),
        at("billing.jsonl").display(),
        at("statistics.jsonl").display(),
        at("key").display()
    );
    let mut tollkeeper = Tollkeeper::start(&config);
    let ids = |lines: &[Value]| lines.iter().map(|line| line["recordId"].to_string()).collect::<Vec<_>>();
    let billing = lines(&at("billing.jsonl"), 2);
    assert_eq!(ids(&billing), [r#""s2/STOP/0""#, r#""s3/EVENT/0""#]);
    assert_eq!(billing[0]["callingParty"]["number"], "+4930123456", "not masked");
    let statistics = lines(&at("statistics.jsonl"), 5);
    assert_eq!(statistics.len(), 5, "all of them");
    let number = statistics[0]["callingParty"]["number"].as_str().expect("a number");
    assert!(number.contains("4930") && !number.contains("123456"), "{number}");
    assert!(statistics[0]["callingParty"]["subscriberId"].as_str().is_some_and(|id| id.starts_with("hmac:")));
    eventually("both are done", || {
        let text = tollkeeper.get("/metrics").1;
        let done = [
            "tollkeeper_sink_withheld_total{sink=\"billing\"} 3",
            "tollkeeper_sink_records_total{sink=\"statistics\"} 5",
        ];
        done.iter().all(|line| text.lines().any(|found| found == *line)).then_some(())
    });
    assert_eq!(tollkeeper.terminate(), Some(0), "{}", tollkeeper.log());
}

#[tokio::test]
async fn a_destination_that_is_away_stops_nothing_and_is_told() {
    let directory = TempDir::new().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    write(&at("journal")).await;
    std::fs::write(at("blocked"), "a file where a directory should be").expect("written");
    let config = format!(
        "{}[[journal.sink]]\nkind = \"s3\"\nbucket = \"records\"\nendpoint_url = \"http://127.0.0.1:1\"\nobject_age = \"0s\"\nalarm_backlog_records = 4\ncredentials_file = \"{}\"\n[[journal.sink]]\nkind = \"json-lines\"\nname = \"blocked\"\npath = \"{}\"\n[[journal.sink]]\nkind = \"json-lines\"\npath = \"{}\"\n",
        journal(&at("journal")),
        at("credentials").display(),
        at("blocked/records.jsonl").display(),
        at("records.jsonl").display()
    );
    std::fs::write(at("credentials"), "[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
        .expect("written");
    let mut tollkeeper = Tollkeeper::start(&config);
    assert_eq!(lines(&at("records.jsonl"), 5).len(), 5, "the others get theirs");
    // The checkpoint follows the lines.
    let report = eventually("a failed request, and the file's checkpoint", || {
        let (status, body) = tollkeeper.get("/readyz");
        let report: Value = serde_json::from_str(&body).expect("JSON");
        let failed = report["sinks"][0]["counts"]["failed_requests"].as_u64() > Some(0);
        (status == 200 && failed && report["sinks"][2]["backlog_records"] == 0).then_some(report)
    });
    assert_eq!(report["sinks"][0]["alarms"], json!(["lag", "backlog"]), "{report}");
    assert_eq!(
        (&report["sinks"][1]["running"], &report["sinks"][1]["alarms"]),
        (&json!(false), &json!(["not_running"]))
    );
    assert_eq!(report["sinks"][2]["alarms"], json!([]));
    assert_eq!(report["alarms"].as_array().map(Vec::len), Some(3), "{report}");
    let text = tollkeeper.get("/metrics").1;
    for metric in [
        "tollkeeper_sink_alarm{sink=\"s3\",alarm=\"backlog\"} 1",
        "tollkeeper_sink_alarm{sink=\"json-lines\",alarm=\"lag\"} 0",
        "tollkeeper_sink_running{sink=\"blocked\"} 0",
    ] {
        assert!(text.lines().any(|line| line == metric), "{metric}\n{text}");
    }
    // The way is free: it goes on by itself.
    std::fs::remove_file(at("blocked")).expect("removed");
    assert_eq!(lines(&at("blocked/records.jsonl"), 5).len(), 5);
    let trouble = report["sinks"][0]["trouble"]["error"].as_str().unwrap_or_default();
    assert!(trouble.contains("object store"), "{trouble}");
    assert_eq!(tollkeeper.terminate(), Some(3), "{}", tollkeeper.log());
    assert!(tollkeeper.log().contains("records for sink s3, which stay in the journal"), "{}", tollkeeper.log());
}

#[tokio::test]
async fn an_alarm_makes_it_unready_where_that_is_wanted() {
    let directory = TempDir::new().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("blocked"), "").expect("written");
    let config = format!(
        "{}[[journal.sink]]\nkind = \"json-lines\"\nunready_on_alarm = true\npath = \"{}\"\n",
        journal(&at("journal")),
        at("blocked/records.jsonl").display()
    );
    let tollkeeper = Tollkeeper::start(&config);
    let body = eventually("started", || {
        let (status, body) = tollkeeper.get("/readyz");
        (body.contains("\"started\":true") && status == 503).then_some(body)
    });
    assert!(body.contains("sink json-lines does not run"), "{body}");
    std::fs::remove_file(at("blocked")).expect("removed");
    eventually("ready", || (tollkeeper.get("/readyz").0 == 200).then_some(()));
}

#[tokio::test]
async fn ship_status_asks_the_process_and_else_the_directory() {
    let directory = TempDir::new().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    write(&at("journal")).await;
    let config = format!(
        "{}[[journal.sink]]\nkind = \"json-lines\"\npath = \"{}\"\n",
        journal(&at("journal")),
        at("records.jsonl").display()
    );
    let mut tollkeeper = Tollkeeper::start(&config);
    let file = tollkeeper.directory.path().join("tollkeeper.toml");
    let status = ["cdr", "ship-status", "--json", "-c", file.to_str().expect("text")];
    let row = eventually("everything is shipped", || {
        let mut rows = run(&status).json();
        let shipped = rows.len() == 1 && rows[0]["checkpoint"] == 5 && rows[0]["last_success"].is_string();
        shipped.then(|| rows.remove(0))
    });
    assert_eq!(
        (&row["from"], &row["running"], &row["counts"]["records"]),
        (&json!("process"), &json!(true), &json!(5))
    );
    assert!(row["trouble"].is_null(), "{row}");
    let table = run(&["cdr", "ship-status", "-c", file.to_str().expect("text")]).ok();
    assert!(table.contains("json-lines") && table.contains("running") && !table.contains("No process"), "{table}");
    assert_eq!(tollkeeper.terminate(), Some(0), "{}", tollkeeper.log());
    // More comes while nothing ships.
    let (more, _) = Journal::open(at("journal"), JournalOptions::default()).expect("a journal");
    more.append_durable(&record(9, "STOP", "one")).await.expect("durable");
    more.close().expect("closed");
    for command in [&status[..], &["cdr", "ship-status", "--json", "--journal", at("journal").to_str().expect("text")]]
    {
        let row = run(command).json().remove(0);
        assert_eq!(
            (&row["from"], &row["checkpoint"], &row["backlog_records"]),
            (&json!("directory"), &json!(5), &json!(1))
        );
        assert_eq!(row["oldest_unshipped"], "2026-01-02T10:00:00.000Z");
    }
    assert_eq!(run(&["cdr", "ship-status", "--journal", "/no/such"]).code, Some(64));
    assert_eq!(run(&["cdr", "ship-status", "--http", "127.0.0.1:1"]).code, Some(1));
}

#[test]
fn mistakes_in_sinks_are_told_with_place_and_remedy() {
    const SINK: &str = "[[journal.sink]]\nkind = \"json-lines\"\npath = \"r.jsonl\"\n";
    const S3: &str = "[[journal.sink]]\nkind = \"s3\"\nbucket = \"records\"\n";
    let rows: &[(String, &str)] = &[
        (
            format!("{SINK}max_byte = 1"),
            "t.toml:4:1: journal.sink[0].max_byte: unknown key; did you mean \"max_bytes\"?",
        ),
        (
            format!("{SINK}maskin = \"personal\""),
            "t.toml:4:1: journal.sink[0].maskin: unknown key; did you mean \"masking\"?",
        ),
        (
            format!("{SINK}gzip = true"),
            "t.toml:4:8: journal.sink[0].gzip: needs max_bytes or max_age: without them no file is ever closed",
        ),
        (
            format!("{SINK}filter = {{ type = [\"STOP\"] }}"),
            "t.toml:4:12: journal.sink[0].filter.type: unknown key; did you mean \"types\"?",
        ),
        (
            format!("{SINK}filter = {{ types = [\"STOPP\"] }}"),
            "t.toml:4:21: journal.sink[0].filter.types[0]: is \"STOPP\", must be one of START, INTERIM, STOP, EVENT; did you mean \"STOP\"?",
        ),
        (
            format!("{SINK}masking = \"personal\""),
            "t.toml:4:11: journal.sink[0].masking: needs a key: write key_file or key_env into a [journal.sink.masking] table, or set TOLLKEEPER_MASKING_KEY",
        ),
        (
            format!("{SINK}masking = {{ key_file = \"/no/such\" }}"),
            "t.toml:4:11: journal.sink[0].masking: key_file /no/such cannot be read: No such file or directory (os error 2)",
        ),
        (
            format!("{SINK}name = \"Big\""),
            "t.toml:4:8: journal.sink[0].name: must be 1 to 64 of a-z, 0-9, - and _: it names a file",
        ),
        (
            format!("{SINK}{SINK}name = \"other\""),
            "t.toml:6:8: journal.sink[1].path: \"r.jsonl\" is another sink's, too; they would cut each other's records",
        ),
        (
            format!("{S3}region = 5"),
            "t.toml:4:10: journal.sink[0].region: must be a text in quotes (a duration too: \"30s\"), found integer `5`",
        ),
        (
            format!("{S3}object_byte = 5"),
            "t.toml:4:1: journal.sink[0].object_byte: unknown key; did you mean \"object_bytes\"?",
        ),
        (
            format!("{S3}endpoint_url = \"http://minio.example.net\""),
            "t.toml:4:16: journal.sink[0].endpoint_url: is plain http: records would travel readable; use https, or set allow_http = true",
        ),
        (
            "[[journal.sink]]\nkind = \"kinesis\"\nstream = \"s\"\nbatch_records = 501".to_owned(),
            "t.toml:4:17: journal.sink[0].batch_records: must be 1 to 500",
        ),
        ("[[journal.sink]]\nkind = \"kinesis\"".to_owned(), "t.toml:1:1: journal.sink[0].stream: is missing; add it"),
        (
            "[[journal.sink]]\nkind = \"kineses\"".to_owned(),
            "t.toml:2:8: journal.sink[0].kind: unknown kind; did you mean \"kinesis\"?",
        ),
    ];
    for (text, expected) in rows {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("t.toml");
        std::fs::write(&path, text).expect("written");
        let finished = run(&["check-config", "-c", path.to_str().expect("text")]);
        let told = finished.err.replace(&format!("{}/", directory.path().display()), "");
        assert_eq!(finished.code, Some(64), "{text}");
        assert!(told.lines().any(|line| line.ends_with(expected)), "{text}\n{told}\nexpected {expected}");
    }
}

#[test]
fn every_kind_of_sink_is_printed_with_comments_and_read_again() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("t.toml");
    let key = directory.path().join("key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef").expect("written");
    let text = format!(
        "[[journal.sink]]\nkind = \"json-lines\"\npath = \"r.jsonl\"\nmax_age = \"1h\"\nfilter = {{ types = [\"STOP\"], tenant = \"t\", account = \"a\" }}\n[[journal.sink]]\nkind = \"s3\"\nbucket = \"records\"\n[journal.sink.masking]\nkey_file = \"{}\"\nfields = {{ \"callId\" = \"keep\" }}\n[[journal.sink]]\nkind = \"kinesis\"\nstream = \"calls\"\n",
        key.display()
    );
    std::fs::write(&path, text).expect("written");
    let printed = run(&["print-config", "-c", path.to_str().expect("text")]).ok();
    let mut before = "";
    for line in printed.lines() {
        if line.contains(" = ") && !line.starts_with('#') || line.starts_with('[') {
            assert!(before.starts_with("# "), "no comment above: {line}\n{printed}");
        }
        before = line;
    }
    assert!(!printed.contains("0123456789abcdef"), "the key is not printed");
    std::fs::write(&path, &printed).expect("written");
    assert_eq!(run(&["print-config", "-c", path.to_str().expect("text")]).ok(), printed);
    let summary = run(&["check-config", "-c", path.to_str().expect("text"), "--json"]).json();
    assert_eq!(summary[0]["sinks"], json!(["json-lines (json-lines)", "s3 (s3)", "kinesis (kinesis)"]));
}
