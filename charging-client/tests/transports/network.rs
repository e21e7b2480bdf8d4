//! What only the network can do wrong: windows, silent peers, dead addresses, refusals.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use charging_client::{ChargingFailure, ChargingTransport, GrpcConfig, GrpcTransport};
use tokio::net::TcpListener;
use tonic::Code;
use types::class::ErrorClass;

use crate::answerer::{Answerer, arrival};
use crate::grpc_core::GrpcCore;
use crate::suite::{Core, client, initial};
use crate::{PATIENCE, eventually};

async fn begin() -> (Arc<Answerer>, GrpcCore) {
    let answerer = Arc::new(Answerer::default());
    let core = GrpcCore::start(answerer.clone()).await;
    (answerer, core)
}

fn transport(config: &GrpcConfig) -> Arc<GrpcTransport> {
    Arc::new(GrpcTransport::start(config).expect("a good configuration"))
}

#[tokio::test]
async fn a_full_window_holds_back() {
    let (answerer, core) = begin().await;
    let transport = transport(&GrpcConfig { window: 2, ..core.config() });
    let client = client(transport.clone(), 100);
    answerer.hold();
    let names = ["a", "b", "c", "d", "e"];
    let mut answers: Vec<_> = names.map(|name| client.submit(initial(name)).expect("room")).into();
    eventually("three wait", || transport.metrics().window_waits.value() == 3).await;
    assert_eq!(answerer.arrivals(2).await.len(), 2);
    assert_eq!(transport.metrics().in_flight.value(), 2);
    answerer.release();
    for answer in &mut answers {
        assert!(answer.within(PATIENCE).await.is_ok());
    }
    assert_eq!(answerer.applied().len(), 5);
    assert_eq!(transport.metrics().in_flight.value(), 0);
}

#[tokio::test]
async fn a_peer_gone_silent_is_given_up() {
    let (answerer, core) = begin().await;
    let config = GrpcConfig { attempt_timeout_ms: 100, heartbeat_ms: 60_000, ..core.config() };
    let transport = transport(&config);
    let client = client(transport.clone(), 100);
    client.charge(initial("a"), PATIENCE).await.expect("an answer");
    core.proxy.stall();
    client.charge(initial("b"), PATIENCE).await.expect("an answer over another connection");
    assert_eq!(answerer.arrivals(2).await.last(), Some(&arrival("b", 0, true)));
    let metrics = transport.metrics();
    assert_eq!((metrics.connections.value(), metrics.timeouts.value()), (2, 1));
}

#[tokio::test]
async fn a_silent_peer_is_found_by_heartbeat_without_traffic() {
    let (_answerer, core) = begin().await;
    let transport = transport(&GrpcConfig { heartbeat_ms: 20, ..core.config() });
    transport.ready().await;
    core.proxy.stall();
    eventually("another connection", || transport.metrics().connections.value() == 2).await;
}

#[tokio::test]
async fn one_slow_answer_does_not_end_a_lively_connection() {
    let (answerer, core) = begin().await;
    let transport = transport(&GrpcConfig { attempt_timeout_ms: 200, ..core.config() });
    transport.ready().await;
    answerer.hold_only("slow");
    let slow = transport.charge(initial("slow").into());
    tokio::pin!(slow);
    let failure = loop {
        tokio::select! {
            biased;
            outcome = &mut slow => break outcome.expect_err("held"),
            brisk = transport.charge(initial("brisk").into()) => assert!(brisk.is_ok()),
        }
    };
    assert!(matches!(failure, ChargingFailure::UnknownFate { .. }), "{failure:?}");
    assert!(transport.charge(initial("brisk").into()).await.is_ok());
    // The late answer finds nobody, and the connection is still the first.
    answerer.release();
    eventually("the late answer", || transport.metrics().answers_unmatched.value() >= 1).await;
    assert_eq!((transport.metrics().connections.value(), transport.metrics().connections_lost.value()), (1, 0));
}

#[tokio::test]
async fn the_next_address_takes_over() {
    let (answerer, mut first) = begin().await;
    let second = GrpcCore::start(answerer.clone()).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr()).expect("loopback");
    let addresses = [closed, first.proxy.address, second.proxy.address].map(|address| format!("http://{address}"));
    let transport = transport(&GrpcConfig { addresses: addresses.into(), ..first.config() });
    let client = client(transport.clone(), 100);
    client.charge(initial("a"), PATIENCE).await.expect("an answer of the first");
    answerer.hold();
    let mut answer = client.submit(initial("b")).expect("room");
    answerer.arrivals(2).await;
    first.stop().await;
    answerer.arrivals(3).await;
    answerer.release();
    answer.within(PATIENCE).await.expect("an answer of the second");
    assert_eq!(answerer.applied().len(), 2);
    assert_eq!((transport.metrics().connections.value(), transport.metrics().connection_failures.value()), (2, 1));
}

#[tokio::test]
async fn a_refusal_is_told_but_what_may_have_arrived_is_kept() {
    let (answerer, core) = begin().await;
    let transport = transport(&core.config());
    let client = client(transport.clone(), 100);
    answerer.hold();
    let mut kept = client.submit(initial("a")).expect("room");
    answerer.arrivals(1).await;
    core.services.refuses.store(true, Ordering::Release);
    core.proxy.cut();
    eventually("refused", || transport.metrics().connection_failures.value() >= 1).await;
    let failure = client.charge(initial("b"), PATIENCE).await.expect_err("refused");
    assert_eq!(failure.class(), ErrorClass::Refused);
    let code = match failure.cause() {
        charging_client::FailureCause::Status { code, .. } => Some(*code),
        _ => None,
    };
    assert_eq!(code, Some(Code::PermissionDenied));
    let waiting = kept.within(Duration::from_millis(5)).await.expect_err("refused and kept");
    assert!(matches!(waiting, ChargingFailure::UnknownFate { .. }), "{waiting:?}");
    core.services.refuses.store(false, Ordering::Release);
    answerer.release();
    assert!(kept.within(PATIENCE).await.is_ok());
    assert_eq!(answerer.applied(), [("a".to_owned(), 0)]);
}
