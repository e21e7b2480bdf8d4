//! The load client and a real freeDiameterd between it and us: units times prices is what accounts paid.

mod diameter_lab;

use std::time::Duration;

use demo::lab::{Freediameter, eventually};
use diameter_lab::Server;
use serde_json::{Value, json};

/// The report of a load through the relay.
fn load(server: &Server, port: u16, words: &[&str]) -> anyhow::Result<Value> {
    let target = format!("127.0.0.1:{port}");
    let common =
        ["diameter-load", "--target", &target, "--destination-host", "ocs.example.net", "--first-subscriber", "49170"];
    server.tollkeeper.json(&[&common[..], words].concat())
}

#[test]
fn a_load_through_a_relay_costs_what_the_client_counted() -> anyhow::Result<()> {
    let server = Server::start("diameter_load", "100.00")?;
    let mut relay = Freediameter::start(&server.folder, server.port, &["pgw.example.net"])?;
    server.wait_peers(1)?;
    let words = [
        "--rating-groups",
        "10,20",
        "--total",
        "40",
        "--sessions",
        "10",
        "--rate",
        "200",
        "--updates",
        "2",
        "--copies",
        "4",
    ];
    let report = load(&server, relay.port, &words)?;
    assert_eq!((&report["sent"], &report["answered"], &report["lost"]), (&json!(160), &json!(160), &json!(0)));
    assert_eq!((&report["copied"], &report["duplicates"], &report["differing"]), (&json!(40), &json!(40), &json!(0)));
    assert_eq!(report["result_codes"], json!({ "2001": 160 }));
    assert_eq!(report["sessions"]["closed"], 40);
    // Three megabytes of each group a session: 0.33.
    assert_eq!(server.balance()?, ("86.8".into(), "0".into()));
    let words = ["--profile", "sms-event", "--total", "50", "--sessions", "5", "--rate", "200", "--copies", "2"];
    let report = load(&server, relay.port, &words)?;
    assert_eq!((&report["answered"], &report["used"][0]["charged"]), (&json!(50), &json!(50)));
    assert_eq!(server.balance()?, ("82.8".into(), "0".into()));
    let stops = server.tollkeeper.records(&["--type", "STOP"])?;
    assert_eq!(stops.len(), 40);
    assert_eq!(relay.complaints(), Vec::<String>::new(), "{}", relay.process.output());
    relay.process.terminate(Duration::from_secs(20))?;
    eventually("the relay leaving", Duration::from_secs(20), || server.wait_peers(0).ok())
}
