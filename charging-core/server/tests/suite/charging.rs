//! ChargingService over loopback: unary, pipelined, notifications, and clients that do not behave.

use std::time::Duration;

use charging_proto::v1::charging_service_client::ChargingServiceClient;
use charging_proto::v1::{ChargingDataRequest, ChargingDataResponse, ConfirmNotificationsRequest, NotifyRequest};
use ledger::Command;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Streaming};
use types::charging::Operation;
use types::{ReleaseCause, UtcMs};

use crate::rig::{PATIENCE, Place, Server, account, charge, initial, is, money, request, termination};

async fn begin(balance: &str) -> (Place, charging_server::Core, Server, ChargingServiceClient<Channel>) {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", balance).await;
    let server = Server::start(&core).await;
    let client = ChargingServiceClient::new(server.channel().await);
    (place, core, server, client)
}

async fn stream(
    client: &mut ChargingServiceClient<Channel>,
) -> (mpsc::Sender<ChargingDataRequest>, Streaming<ChargingDataResponse>) {
    let (requests, outgoing) = mpsc::channel(4096);
    let answers = client.charge_stream(ReceiverStream::new(outgoing)).await.expect("a stream").into_inner();
    (requests, answers)
}

async fn next(answers: &mut Streaming<ChargingDataResponse>) -> ChargingDataResponse {
    tokio::time::timeout(PATIENCE, answers.message()).await.expect("in time").expect("good").expect("an answer")
}

#[tokio::test]
async fn one_by_one() {
    let (_place, core, _server, mut client) = begin("1").await;
    let answer = client.charge(ChargingDataRequest::from(initial("a", "s", 30))).await.expect("an answer").into_inner();
    assert_eq!((answer.result_code, answer.request_number), (2001, 0));
    assert_eq!(money(&core, "a").await, is("1", "0.3"));
    let mut unreadable = ChargingDataRequest::from(initial("a", "t", 30));
    unreadable.operation = 99;
    let refused = client.charge(unreadable).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("operation"), "{refused:?}");
    core.stop();
    let refused = client.charge(ChargingDataRequest::from(initial("a", "u", 30))).await.expect_err("stopped");
    assert_eq!(refused.code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stream_is_pipelined_and_keeps_each_sessions_order() {
    let (_place, core, _server, mut client) = begin("1000").await;
    let (requests, mut answers) = stream(&mut client).await;
    let sessions = 50;
    for number in 0..10_u32 {
        for session in 0..sessions {
            let id = format!("s {session}");
            let next = match number {
                0 => initial("a", &id, 30),
                9 => termination("a", &id, 9, 1),
                _ => request("a", &id, number, Operation::Update, Some(1), Some(30)),
            };
            requests.send(next.into()).await.expect("open");
        }
    }
    // All were sent before the first answer was read.
    let mut last = std::collections::HashMap::new();
    for _ in 0..10 * sessions {
        let answer = next(&mut answers).await;
        assert_eq!(answer.result_code, 2001, "{answer:?}");
        let expected = last.entry(answer.session_id).or_insert(0);
        assert_eq!(answer.request_number, *expected);
        *expected += 1;
    }
    assert_eq!(money(&core, "a").await, is("995.5", "0"), "50 sessions of 9 s");
    drop(requests);
    assert!(matches!(answers.message().await, Ok(None)), "the end of the requests is the end of the answers");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_under_its_key_or_ends_the_stream() {
    let (_place, core, _server, mut client) = begin("1").await;
    let (requests, mut answers) = stream(&mut client).await;
    let mut unreadable = ChargingDataRequest::from(initial("a", "bad", 30));
    unreadable.charging_mode = 77;
    requests.send(unreadable).await.expect("open");
    let answer = next(&mut answers).await;
    assert_eq!((answer.session_id.as_str(), answer.request_number, answer.result_code), ("bad", 0, 5004));
    requests.send(initial("a", "s", 30).into()).await.expect("the stream goes on");
    assert_eq!(next(&mut answers).await.result_code, 2001);
    let nameless = ChargingDataRequest { session_id: String::new(), ..initial("a", "s", 30).into() };
    requests.send(nameless).await.expect("open");
    let status = answers.message().await.expect_err("nobody can be answered");
    assert_eq!(status.code(), Code::InvalidArgument);
    let (requests, mut answers) = stream(&mut client).await;
    let mut huge = ChargingDataRequest::from(initial("a", "huge", 30));
    huge.client_state = vec![7; 1024 * 1024];
    requests.send(huge).await.expect("open");
    assert!(!matches!(answers.message().await, Ok(Some(_))), "over the limit of a message");
    assert_eq!(money(&core, "a").await, is("1", "0.3"));
}

#[tokio::test]
async fn senseless_times_and_amounts_do_not_stop_the_ledger() {
    let (_place, core, _server, mut client) = begin("1").await;
    let times = [i64::MIN, i64::MIN + 1, -62_135_596_800_001, -1, 0, 253_402_300_800_000, i64::MAX - 1, i64::MAX];
    for (number, time) in times.into_iter().enumerate() {
        for (kind, used) in [0, 1, u64::MAX / 1000, u64::MAX / 1000 - 1].into_iter().enumerate() {
            let id = format!("s {number} {kind}");
            let mut first = initial("a", &id, used);
            (first.event_time, first.answer_time) = (UtcMs(time), Some(UtcMs(time)));
            let mut later = request("a", &id, 1, Operation::Update, Some(used), Some(used));
            (later.event_time, later.answer_time) = (UtcMs(time), Some(UtcMs(time)));
            let mut last = termination("a", &id, u32::MAX, 0);
            (last.event_time, last.answer_time) = (UtcMs(time), Some(UtcMs(time)));
            for request in [first, later, last] {
                client.charge(ChargingDataRequest::from(request)).await.expect("an answer of some kind");
            }
        }
    }
    let checked = core.query(|books| books.check().map_err(|imbalance| imbalance.to_string())).await;
    assert_eq!(checked.expect("it lives"), Ok(()));
}

#[tokio::test]
async fn a_client_that_never_reads_is_not_read_from_for_ever() {
    let (_place, core, server, _) = begin("1").await;
    // A small window: it fills before the client's own library takes so many unread frames for an attack.
    let endpoint = tonic::transport::Endpoint::from_shared(server.address.clone()).expect("an address");
    let channel = endpoint.initial_stream_window_size(65_535).connect().await.expect("connected");
    let mut client = ChargingServiceClient::new(channel);
    let (requests, mut answers) = stream(&mut client).await;
    // Copies of one request: their answers pile up until the server stops reading.
    let copy = ChargingDataRequest::from(initial("a", "s", 30));
    let mut sent = 0;
    while sent < 2_000_000 {
        match tokio::time::timeout(Duration::from_millis(500), requests.send(copy.clone())).await {
            Ok(Ok(())) => sent += 1,
            Ok(Err(_)) => panic!("the stream was ended"),
            Err(_) => break,
        }
    }
    assert!(sent < 100_000, "{sent} were taken without an answer being read");
    // Others are served, and reading sets it going again.
    charge(&core, initial("a", "other", 1)).await;
    for _ in 0..sent {
        assert_eq!(next(&mut answers).await.result_code, 2001);
    }
    assert_eq!(money(&core, "a").await, is("1", "0.31"));
}

#[tokio::test]
async fn notifications_come_again_until_confirmed() {
    let (_place, core, _server, mut client) = begin("1").await;
    charge(&core, initial("a", "s", 30)).await;
    charge(&core, initial("a", "t", 30)).await;
    let abort = |id: &str| Command::Release { session_id: id.into(), cause: ReleaseCause::Operator };
    core.decide(abort("s")).await.expect("decided");
    let listen = NotifyRequest { client_id: "k1".into() };
    let mut first = client.notify(listen.clone()).await.expect("a stream").into_inner();
    let pending = first.message().await.expect("good").expect("pending");
    core.decide(abort("t")).await.expect("decided");
    let new = first.message().await.expect("good").expect("new");
    assert_eq!((pending.session_id.as_str(), new.session_id.as_str()), ("s", "t"));
    drop(first);
    let confirmed = ConfirmNotificationsRequest { client_id: "k1".into(), sequence: pending.sequence };
    client.confirm_notifications(confirmed).await.expect("confirmed");
    let mut again = client.notify(listen).await.expect("a stream").into_inner();
    assert_eq!(again.message().await.expect("good"), Some(new));
    let nobody = NotifyRequest { client_id: String::new() };
    assert_eq!(client.notify(nobody).await.map(|_| ()).expect_err("refused").code(), Code::InvalidArgument);
    core.stop();
    assert!(matches!(again.message().await, Ok(None)), "ends with the core");
}

#[tokio::test]
async fn a_shutdown_ends_the_streams_after_what_is_in_flight() {
    let (_place, core, server, mut client) = begin("1").await;
    let (requests, mut answers) = stream(&mut client).await;
    requests.send(initial("a", "s", 30).into()).await.expect("open");
    assert_eq!(next(&mut answers).await.result_code, 2001);
    let mut notifications = client.notify(NotifyRequest { client_id: "k1".into() }).await.expect("it").into_inner();
    server.shut_down().await;
    assert!(matches!(answers.message().await, Ok(None)));
    assert!(matches!(notifications.message().await, Ok(None)));
    drop(requests);
    assert_eq!(money(&core, "a").await, is("1", "0.3"), "the core goes on");
}
