//! A client that floods: over many connections it sends without end, more than its limits let it have in work, and reads all its
//! answers. What is kept of it is bounded, and others are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use charging_proto::Bearer;
use charging_proto::v1::ChargingDataRequest;
use charging_proto::v1::charging_service_client::ChargingServiceClient;
use charging_server::{CoreConfig, LimitsConfig};
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::access::{AGENT, BOUND, charge, code, config, tokens, with};
use crate::rig::{Held, Place, Server, account, eventually, is, money};

/// What has become of the flood so far.
#[derive(Default)]
struct Flood {
    /// Requests that HTTP/2 took from it.
    sent: AtomicU64,
    /// Answers that it read.
    answered: AtomicU64,
}

/// One connection, one stream, one request for ever: a copy of the first, so that the books do not grow by it.
async fn flood(channel: Channel, counts: Arc<Flood>) -> Code {
    let sent = Arc::clone(&counts);
    let requests = (0_u64..).map(move |_| {
        sent.sent.fetch_add(1, Ordering::Relaxed);
        ChargingDataRequest { client_state: vec![7; OCTETS], ..charge("flood") }
    });
    let mut charging = ChargingServiceClient::new(Bearer::new(AGENT).expect("a token").over(channel));
    let mut answers = match charging.charge_stream(tokio_stream::iter(requests)).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return status.code(),
    };
    loop {
        match answers.message().await {
            Ok(Some(_)) => _ = counts.answered.fetch_add(1, Ordering::Relaxed),
            Ok(None) => return Code::Ok,
            Err(status) => return status.code(),
        }
    }
}

/// Lets the server, and the flood, go on until the flood has been still for a while; how much it has sent then.
async fn still(server: &Server, counts: &Flood) -> u64 {
    let mut health = HealthClient::new(server.channel().await);
    let (mut sent, mut quiet) = (0, 0);
    while quiet < 300 && sent <= MOST {
        health.check(HealthCheckRequest { service: String::new() }).await.expect("served beside the flood");
        let now = counts.sent.load(Ordering::Relaxed);
        quiet = if now == sent { quiet + 1 } else { 0 };
        sent = now;
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_held_to_its_budget_and_others_are_served() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "1000").await;
    let limits = LimitsConfig { kibioctets_per_client: 512, calls_per_client: STREAMS, ..LimitsConfig::default() };
    let config = CoreConfig { token: tokens(place.folder.path()), limits, ..config() };
    let server = Server::start_with(&core, config).await;
    // While nothing is decided, all that the server takes it keeps.
    let held = Held::hold(&core).await;
    let (counts, mut streams) = (Arc::new(Flood::default()), JoinSet::new());
    for _ in 0..STREAMS {
        streams.spawn(flood(server.channel().await, Arc::clone(&counts)));
    }
    eventually("a flood", || async { counts.sent.load(Ordering::Relaxed) > 16 }).await;
    let sent = still(&server, &counts).await;
    assert!(sent <= MOST, "{sent} requests of {OCTETS} octets were taken");
    // No stream more, wherever it comes from.
    let mut one_more = ChargingServiceClient::new(with(&server, AGENT).await);
    assert_eq!(code(one_more.charge_stream(tokio_stream::pending()).await), Code::ResourceExhausted);
    held.let_go().await;
    // The ledger works again, and the flood with it; somebody else asks meanwhile.
    eventually("answers to the flood", || async { counts.answered.load(Ordering::Relaxed) > sent }).await;
    let mut other = ChargingServiceClient::new(with(&server, BOUND).await);
    for number in 0..50 {
        let before = counts.answered.load(Ordering::Relaxed);
        let own = ChargingDataRequest { client_id: "k2".into(), ..charge(&format!("own {number}")) };
        assert_eq!(other.charge(own).await.expect("an answer").into_inner().result_code, 2001);
        eventually("more of the flood", || async { counts.answered.load(Ordering::Relaxed) > before }).await;
    }
    // One session of the flood's, fifty of the other's, a second each.
    assert_eq!(money(&core, "a").await, is("1000", "0.51"));
    assert_eq!(streams.len(), STREAMS, "it goes on to the end");
    streams.abort_all();
    while streams.join_next().await.is_some() {}
    server.shut_down().await;
}

const STREAMS: usize = 8;
const OCTETS: usize = 60_000;
/// 30 MB: half a mebioctet in work, and for each connection what its windows and buffers hold on both sides, a mebioctet each.
/// Without the budget each stream alone could have twice as much in work.
const MOST: u64 = 500;
