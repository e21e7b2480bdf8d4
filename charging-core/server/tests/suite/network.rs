//! The agents' client over its real transport and the real core.

use std::sync::Arc;

use charging_client::{ChargingTransport, Client, ClientConfig, GrpcConfig, GrpcTransport};
use types::ReleaseCause;
use types::charging::{NotificationKind, Operation, ResultCode};

use crate::rig::{CLIENT, PATIENCE, Place, Server, account, books, initial, is, money, request, termination};

fn client(address: &str) -> Client {
    let config = GrpcConfig {
        addresses: vec![address.into()],
        reconnect_first_ms: 5,
        reconnect_max_ms: 50,
        ..GrpcConfig::default()
    };
    let transport: Arc<dyn ChargingTransport> = Arc::new(GrpcTransport::start(&config).expect("a configuration"));
    let config = ClientConfig { retry_first_ms: 5, retry_max_ms: 50, ..ClientConfig::default() };
    Client::start(CLIENT.into(), transport, &config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_from_offer_to_end() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "1").await;
    let server = Server::start(&core).await;
    let client = client(&server.address);
    let mut notifications = client.notifications();
    let answer = client.charge(initial("a", "s", 30), PATIENCE).await.expect("an answer");
    assert_eq!(answer.result_code, ResultCode::SUCCESS);
    let sessions = client.list_sessions().await.expect("listed");
    assert_eq!(sessions.iter().map(|one| one.session_id.as_str()).collect::<Vec<_>>(), ["s"]);
    let release = ledger::Command::Release { session_id: "s".into(), cause: ReleaseCause::Fraud };
    core.decide(release).await.expect("decided");
    let told = tokio::time::timeout(PATIENCE, notifications.recv()).await.expect("in time").expect("told");
    assert_eq!(told.kind, NotificationKind::Abort(ReleaseCause::Fraud));
    client.confirm(told.sequence).await.expect("confirmed");
    client.charge(termination("a", "s", 1, 10), PATIENCE).await.expect("an answer");
    assert_eq!(money(&core, "a").await, is("0.9", "0"));
    assert!(books(&core).await.notifications(&CLIENT.into()).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_of_the_core_in_the_middle_of_traffic_charge_once() {
    let place = Place::new();
    let mut core = place.start();
    account(&core, "a", "1000").await;
    let mut server = Server::start(&core).await;
    let address: std::net::SocketAddr = server.address.trim_start_matches("http://").parse().expect("an address");
    let client = client(&server.address);
    let mut awaited = Vec::new();
    for round in 0..6_u32 {
        for session in 0..40 {
            let id = format!("s {session}");
            let next = match round {
                0 => initial("a", &id, 30),
                5 => termination("a", &id, 5, 1),
                _ => request("a", &id, round, Operation::Update, Some(1), Some(30)),
            };
            awaited.push(client.submit(next).expect("room"));
        }
        // Stopped while requests are under way; what was decided and not answered is asked again.
        core.stop();
        server.shut_down().await;
        core = place.start();
        server = Server::start_at(&core, address).await;
    }
    for answer in &mut awaited {
        let answer = answer.within(PATIENCE).await.expect("an answer");
        assert_eq!(answer.result_code, ResultCode::SUCCESS, "{answer:?}");
    }
    assert_eq!(money(&core, "a").await, is("998", "0"), "40 sessions of 5 s");
    server.shut_down().await;
}
