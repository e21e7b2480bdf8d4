//! Sessions through the binary: a client opens one over gRPC, the operator looks and releases.

use std::path::Path;
use std::sync::Arc;

use charging_client::{Client, ClientConfig, GrpcConfig, GrpcTransport};
use serde_json::json;
use types::ClientId;
use types::charging::{NotificationKind, Operation};

use crate::in_process::request;
use crate::support::{PATIENCE, Tollkeeper};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_and_ends_a_session() {
    let tariff = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tariff");
    let core = Tollkeeper::start(&format!("[core.tariff]\nfolder = \"{}\"\n", tariff.display()));
    core.cli(&["account", "create", "alice", "--balance", "1.00"]).ok();
    let grpc = GrpcConfig { addresses: vec![core.core()], ..GrpcConfig::default() };
    let transport = Arc::new(GrpcTransport::start(&grpc).expect("started"));
    let client = Client::start(ClientId::from("agent/1"), transport, &ClientConfig::default());
    let mut notifications = client.notifications();
    client.charge(request("a", 0, Operation::Initial, 0), PATIENCE).await.expect("an answer");
    client.charge(request("a", 1, Operation::Update, 12_345), PATIENCE).await.expect("an answer");
    let shown = core.cli(&["session", "show", "a", "--json"]).json().remove(0);
    for (key, value) in [
        ("session_id", json!("a")),
        ("client_id", json!("agent/1")),
        ("phase", json!("open")),
        ("last_request_number", json!(1)),
        ("used_time_ms", json!(12_345)),
        ("granted_time_ms", json!(43_000)),
        ("billable_ms", json!(13_000)),
        ("cost", json!("0.13")),
        ("currency", json!("EUR")),
    ] {
        assert_eq!(shown[key], value, "{key}: {shown}");
    }
    assert_eq!(core.cli(&["session", "list", "--client", "agent/1", "--json"]).json(), [shown]);
    assert!(core.cli(&["session", "list", "--client", "agent/2", "--json"]).json().is_empty());
    let table = core.cli(&["session", "show", "a"]).ok();
    assert!(table.contains("12345 ms") && table.contains("0.13 EUR"), "{table}");
    core.cli(&["session", "release", "a", "--cause", "fraud"]).ok();
    let told = tokio::time::timeout(PATIENCE, notifications.recv()).await.expect("in time").expect("a notification");
    assert_eq!(told.kind, NotificationKind::Abort(types::ReleaseCause::Fraud));
    client.charge(request("a", 2, Operation::Termination, 655), PATIENCE).await.expect("an answer");
    let closed =
        core.cli(&["session", "list", "--tenant", "default", "--account", "alice", "--phase", "closed", "--json"]);
    assert_eq!(closed.json()[0]["cost"], "0.13");
    assert_eq!(core.cli(&["session", "release", "a"]).code, Some(1));
    assert_eq!(core.cli(&["account", "show", "alice", "--json"]).json()[0]["balance"], "0.87");
}
