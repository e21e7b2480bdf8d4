//! /metrics, /healthz, /readyz.

use serde_json::Value;

use crate::support::{Tollkeeper, eventually};

fn ready(core: &Tollkeeper) -> (u16, Value) {
    let (status, body) = core.get("/readyz");
    (status, serde_json::from_str(&body).expect("JSON"))
}

#[test]
fn a_core_alone_is_ready() {
    let core = Tollkeeper::start("");
    assert_eq!(core.get("/healthz"), (200, "up\n".to_owned()));
    let (_, report) = eventually("ready", || Some(ready(&core)).filter(|(status, _)| *status == 200));
    assert_eq!(
        (&report["ready"], &report["core"]["answers"], &report["journal"]),
        (&Value::Bool(true), &Value::Bool(true), &Value::Null)
    );
    assert_eq!(core.get("/nothing").0, 404);
}

#[test]
fn metrics_have_meaning_and_count() {
    let core = Tollkeeper::start("");
    core.cli(&["account", "create", "alice", "--balance", "1"]).ok();
    let (status, text) = core.get("/metrics");
    assert_eq!(status, 200);
    let decided = "tollkeeper_ledger_decisions_total";
    for line in [format!("# TYPE {decided} counter"), "# TYPE tollkeeper_build gauge".to_owned()] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let value = |text: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(decided) && line.contains("outcome=\"ok\""));
        line.and_then(|line| line.rsplit_once(' ')).and_then(|(_, value)| value.parse().ok()).expect("a count")
    };
    let before = value(&text);
    core.cli(&["account", "topup", "alice", "1"]).ok();
    assert_eq!(value(&core.get("/metrics").1), before + 1);
}

#[test]
fn switches_and_sinks_are_listed() {
    let sinks = tempfile::TempDir::new().expect("a directory");
    let more = format!(
        "[[agent]]\nkind = \"kamailio\"\nname = \"sbc\"\nswitches = [{{ name = \"kam1\", address = \"127.0.0.1:1\" }}]\n[[journal.sink]]\nkind = \"json-lines\"\npath = \"{}\"\n",
        sinks.path().join("records.jsonl").display()
    );
    let tollkeeper = Tollkeeper::start(&more);
    let (_, report) = eventually("ready", || Some(ready(&tollkeeper)).filter(|(status, _)| *status == 200));
    assert_eq!(report["switches"], serde_json::json!([{"agent": "sbc", "switch": "kam1", "connected": false}]));
    assert_eq!(report["sinks"][0]["running"], true);
    assert_eq!(report["journal"]["accepts_calls"], true);
    let text = tollkeeper.get("/metrics").1;
    for metric in [
        "tollkeeper_client_requests_pending{client=\"sbc/kam1\"} 0",
        "tollkeeper_journal_accepts_calls 1",
        "tollkeeper_sink_running{sink=\"json-lines\"} 1",
    ] {
        assert!(text.lines().any(|line| line == metric), "{metric}\n{text}");
    }
}

#[test]
fn without_room_for_records_it_is_not_ready() {
    // More than any disk has.
    let more = "[journal]\nreserve_bytes = 9000000000000000000\n[[agent]]\nkind = \"kamailio\"\nname = \"sbc\"\nswitches = [{ name = \"kam1\", address = \"127.0.0.1:1\" }]\n";
    let tollkeeper = Tollkeeper::start(more);
    let (status, report) =
        eventually("started", || Some(ready(&tollkeeper)).filter(|(_, report)| report["started"] == true));
    assert_eq!(
        (status, &report["ready"], &report["journal"]["accepts_calls"]),
        (503, &Value::Bool(false), &Value::Bool(false))
    );
}

/// Of a Diameter client whose subscriber nobody knows: the request was on disk before the core was asked, and the refusal is recorded.
#[test]
fn syncs_of_outbox_and_journal_are_counted() {
    // Below those that the kernel gives to connections.
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = (9_000..10_000).find(is_free).expect("a free port");
    let more = format!(
        "[[agent]]\nkind = \"diameter\"\nname = \"ocs\"\norigin_host = \"ocs.example.net\"\nlisten = [\"127.0.0.1:{port}\"]\npeers = [{{ host = \"pgw.example.net\" }}]\nservices = [{{ context = \"32251\" }}]\n"
    );
    let tollkeeper = Tollkeeper::start(&more);
    eventually("ready", || Some(ready(&tollkeeper)).filter(|(status, _)| *status == 200));
    tollkeeper.cli(&["diameter-load", "--target", &format!("127.0.0.1:{port}"), "--total", "3"]).ok();
    for metric in ["tollkeeper_outbox_sync_duration_seconds_count", "tollkeeper_journal_sync_duration_seconds_count"] {
        // No answer waits for the record.
        eventually(metric, || {
            let text = tollkeeper.get("/metrics").1;
            let line = text.lines().find(|line| line.starts_with(metric))?;
            line.rsplit_once(' ')?.1.parse::<u64>().ok().filter(|count| *count > 0)
        });
    }
}
