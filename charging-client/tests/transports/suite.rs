//! The cases that hold over every transport.

use std::sync::Arc;
use std::time::Duration;

use charging_client::{ChargingFailure, ChargingTransport, Client, ClientConfig, FailureCause};
use types::charging::{ChargingMode, ChargingRequest, Operation, ResultCode, Service, UnitUsage, Units};
use types::class::ErrorClass;
use types::{ClientId, SessionId, Tenant, UtcMs};

use crate::PATIENCE;
use crate::answerer::{Answerer, arrival};

/// A core that can be reached, cut off, stopped and started again with what it remembered.
pub trait Core: Sized {
    async fn start(answerer: Arc<Answerer>) -> Self;
    fn transport(&self) -> Arc<dyn ChargingTransport>;
    /// Breaks every connection; answers under way are lost.
    async fn cut(&mut self);
    /// Ends the core; returns when its transports have noticed.
    async fn stop(&mut self);
    async fn restart(&mut self);
}

pub fn request(session_id: &str, request_number: u32, operation: Operation) -> ChargingRequest {
    ChargingRequest {
        client_id: ClientId::from("agent-1"),
        session_id: SessionId::from(session_id),
        request_number,
        operation,
        requested_action: None,
        tenant: Tenant::from("example"),
        subscribers: Vec::new(),
        charging_mode: ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: None,
        called: Some("+49301234567".into()),
        event_time: UtcMs(1_795_309_601_612),
        answer_time: None,
        service_information: None,
        units: vec![UnitUsage { requested: Some(Units::time(30_000)), ..UnitUsage::default() }],
        release_cause: None,
        client_state: vec![1, 2, 3],
        retransmission: false,
    }
}

pub fn initial(session_id: &str) -> ChargingRequest {
    request(session_id, 0, Operation::Initial)
}

pub fn client(transport: Arc<dyn ChargingTransport>, max_pending: usize) -> Client {
    let config = ClientConfig { max_pending, retry_first_ms: 1, retry_max_ms: 10, ..ClientConfig::default() };
    Client::start(ClientId::from("agent-1"), transport, &config)
}

async fn begin<C: Core>() -> (Arc<Answerer>, C, Client) {
    let answerer = Arc::new(Answerer::default());
    let core = C::start(answerer.clone()).await;
    let client = client(core.transport(), 100);
    (answerer, core, client)
}

pub async fn an_answer_comes_back<C: Core>() {
    let (answerer, _core, client) = begin::<C>().await;
    let answer = client.charge(initial("a"), PATIENCE).await.expect("an answer");
    assert_eq!((answer.session_id.as_str(), answer.request_number), ("a", 0));
    assert_eq!(answer.result_code, ResultCode::SUCCESS);
    assert_eq!(answer.units.first().and_then(|unit| unit.granted), Some(Units::time(30_000)));
    assert_eq!(answerer.arrivals(1).await, [arrival("a", 0, false)]);
    assert_eq!((client.metrics().requests_answered.value(), client.metrics().requests_pending.value()), (1, 0));
}

pub async fn a_cut_in_mid_request_is_resent_under_the_same_key<C: Core>() {
    let (answerer, mut core, client) = begin::<C>().await;
    answerer.hold();
    let mut answer = client.submit(initial("a")).expect("room");
    answerer.arrivals(1).await;
    core.cut().await;
    answerer.arrivals(2).await;
    answerer.release();
    let answer = answer.within(PATIENCE).await.expect("an answer");
    assert_eq!(answer.units.first().and_then(|unit| unit.granted), Some(Units::time(30_000)));
    assert_eq!(answerer.arrivals(2).await, [arrival("a", 0, false), arrival("a", 0, true)]);
    assert_eq!(answerer.applied(), [("a".to_owned(), 0)]);
}

pub async fn a_session_is_served_in_order_and_alone<C: Core>() {
    let (answerer, mut core, client) = begin::<C>().await;
    answerer.hold();
    let mut answers = Vec::new();
    for number in 0..3 {
        answers.push(client.submit(request("a", number, Operation::Update)).expect("room"));
    }
    answers.push(client.submit(initial("b")).expect("room"));
    // "b" does not wait for "a", and nothing of "a" is sent beside its first request, before or after the cut.
    let mut first: Vec<String> = answerer.arrivals(2).await.into_iter().map(|arrived| arrived.session_id).collect();
    first.sort();
    assert_eq!(first, ["a", "b"]);
    core.cut().await;
    answerer.arrivals(4).await;
    answerer.release();
    for answer in &mut answers {
        assert!(answer.within(PATIENCE).await.is_ok());
    }
    let applied = answerer.applied().into_iter().filter(|(session_id, _)| session_id == "a");
    assert_eq!(applied.map(|(_, number)| number).collect::<Vec<_>>(), [0, 1, 2]);
    let mut of_a = answerer.arrivals(6).await;
    of_a.retain(|arrived| arrived.session_id == "a");
    let expected = [arrival("a", 0, false), arrival("a", 0, true), arrival("a", 1, false), arrival("a", 2, false)];
    assert_eq!(of_a, expected);
}

pub async fn a_deadline_ends_the_waiting_not_the_request<C: Core>() {
    let (answerer, _core, client) = begin::<C>().await;
    answerer.hold();
    let mut awaited = client.submit(initial("a")).expect("room");
    let mut next = client.submit(request("a", 1, Operation::Update)).expect("room");
    answerer.arrivals(1).await;
    let deadline = FailureCause::Deadline { after_ms: 5 };
    let failure = awaited.within(Duration::from_millis(5)).await.expect_err("held");
    assert_eq!(failure, ChargingFailure::UnknownFate { cause: deadline.clone() });
    assert_eq!(failure.class(), ErrorClass::Retry);
    let failure = next.within(Duration::from_millis(5)).await.expect_err("behind the first");
    assert_eq!(failure, ChargingFailure::NotSent { cause: deadline });
    drop(next);
    answerer.release();
    assert_eq!(awaited.within(PATIENCE).await.map(|answer| answer.request_number), Ok(0));
    answerer.arrivals(2).await;
    client.drained().await;
    assert_eq!(answerer.applied(), [("a".to_owned(), 0), ("a".to_owned(), 1)]);
    let metrics = client.metrics();
    assert_eq!((metrics.deadlines_passed.value(), metrics.answers_unclaimed.value()), (2, 1));
    // The outcome is given once.
    assert_eq!(awaited.within(PATIENCE).await.map_err(|failure| failure.class()), Err(ErrorClass::Fatal));
}

pub async fn a_core_that_is_away_is_not_sent_to<C: Core>() {
    let (answerer, mut core, client) = begin::<C>().await;
    client.charge(initial("a"), PATIENCE).await.expect("an answer");
    core.stop().await;
    let mut awaited = client.submit(initial("b")).expect("room");
    let failure = awaited.within(Duration::from_millis(5)).await.expect_err("no core");
    assert_eq!(failure, ChargingFailure::NotSent { cause: FailureCause::Deadline { after_ms: 5 } });
    core.restart().await;
    assert!(awaited.within(PATIENCE).await.is_ok());
    assert_eq!(answerer.arrivals(2).await, [arrival("a", 0, false), arrival("b", 0, false)]);
}

pub async fn nothing_is_lost_over_restarts<C: Core>() {
    let (answerer, mut core, client) = begin::<C>().await;
    let submit = |round: u32| {
        let operation = if round == 0 { Operation::Initial } else { Operation::Update };
        (0..30)
            .map(|session| client.submit(request(&format!("s{session}"), round, operation)).expect("room"))
            .collect::<Vec<_>>()
    };
    let mut answers = submit(0);
    answerer.arrivals(5).await;
    core.stop().await;
    answers.extend(submit(1));
    core.restart().await;
    core.cut().await;
    answers.extend(submit(2));
    for answer in &mut answers {
        assert!(answer.within(PATIENCE).await.is_ok());
    }
    let applied = answerer.applied();
    assert_eq!(applied.len(), 90);
    for session in 0..30 {
        let name = format!("s{session}");
        let numbers: Vec<u32> = applied.iter().filter(|(of, _)| *of == name).map(|(_, number)| *number).collect();
        assert_eq!(numbers, [0, 1, 2], "{name}");
    }
}

pub async fn a_full_queue_takes_no_new_sessions<C: Core>() {
    let answerer = Arc::new(Answerer::default());
    let core = C::start(answerer.clone()).await;
    let client = client(core.transport(), 2);
    answerer.hold();
    let mut answers: Vec<_> = ["a", "b"].map(|name| client.submit(initial(name)).expect("room")).into();
    let full = |limit| Some(ChargingFailure::NotTaken { cause: FailureCause::QueueFull { limit } });
    assert_eq!(client.submit(initial("c")).err(), full(2));
    assert_eq!(client.submit(request("c", 0, Operation::Event)).err(), full(2));
    // Sessions already begun may still report.
    answers.push(client.submit(request("a", 1, Operation::Update)).expect("room"));
    answers.push(client.submit(request("b", 1, Operation::Termination)).expect("room"));
    assert_eq!(client.submit(request("a", 2, Operation::Termination)).err(), full(4));
    assert_eq!(client.metrics().requests_not_taken.value(), 3);
    answerer.release();
    for answer in &mut answers {
        assert!(answer.within(PATIENCE).await.is_ok());
    }
    assert!(client.charge(initial("c"), PATIENCE).await.is_ok());
}

pub async fn notifications_are_resumed<C: Core>() {
    let (answerer, mut core, client) = begin::<C>().await;
    let mut notifications = client.notifications();
    let mut next = async |expected: &[u64]| {
        for sequence in expected {
            let received = tokio::time::timeout(PATIENCE, notifications.recv()).await.ok().flatten();
            assert_eq!(received.map(|notification| notification.sequence), Some(*sequence));
        }
    };
    answerer.notify("a");
    next(&[1]).await;
    answerer.notify("b");
    next(&[2]).await;
    client.confirm(1).await.expect("confirmed");
    core.cut().await;
    // What was not confirmed comes again, then what is new.
    next(&[2]).await;
    core.stop().await;
    answerer.notify("c");
    core.restart().await;
    next(&[2, 3]).await;
    assert!(client.metrics().subscriptions.value() >= 3);
}

pub async fn too_busy_is_repeated<C: Core>() {
    let (answerer, _core, client) = begin::<C>().await;
    answerer.be_busy(2);
    let answer = client.charge(initial("a"), PATIENCE).await.expect("an answer");
    assert_eq!(answer.result_code, ResultCode::SUCCESS);
    // The core said that it did nothing, so these are no retransmissions.
    assert_eq!(answerer.arrivals(3).await, vec![arrival("a", 0, false); 3]);
    assert_eq!(client.metrics().too_busy.value(), 2);
}

pub async fn stopping_gives_back_what_is_undelivered<C: Core>() {
    let (answerer, _core, client) = begin::<C>().await;
    client.charge(initial("a"), PATIENCE).await.expect("an answer");
    answerer.hold();
    let mut awaited = client.submit(request("a", 1, Operation::Update)).expect("room");
    drop(client.submit(request("a", 2, Operation::Termination)).expect("room"));
    answerer.arrivals(2).await;
    let left = client.stop().await;
    let left: Vec<_> = left.iter().map(|request| (request.request_number, request.retransmission)).collect();
    assert_eq!(left, [(1, true), (2, false)]);
    let failure = awaited.within(PATIENCE).await.expect_err("stopped");
    assert_eq!(failure, ChargingFailure::UnknownFate { cause: FailureCause::Stopped });
    assert_eq!(failure.class(), ErrorClass::Fatal);
    assert_eq!(client.submit(initial("b")).err(), Some(ChargingFailure::NotTaken { cause: FailureCause::Stopped }));
    assert!(client.stop().await.is_empty());
    client.drained().await;
}

pub async fn sessions_are_listed<C: Core>() {
    let (_answerer, mut core, client) = begin::<C>().await;
    for name in ["a", "b"] {
        client.charge(initial(name), PATIENCE).await.expect("an answer");
    }
    let mut sessions = client.list_sessions().await.expect("a list");
    sessions.sort_by(|one, other| one.session_id.cmp(&other.session_id));
    let names: Vec<&str> = sessions.iter().map(|session| session.session_id.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(sessions.first().map(|session| session.client_state.as_slice()), Some([1, 2, 3].as_slice()));
    let found = client.session(&SessionId::from("b")).await.expect("an outcome");
    assert_eq!(found.as_ref(), sessions.get(1));
    assert_eq!(client.session(&SessionId::from("c")).await, Ok(None));
    core.stop().await;
    let session_id = SessionId::from("b");
    let away = tokio::time::timeout(Duration::from_millis(50), client.session(&session_id)).await;
    // Over the network it waits for a connection, as long as an attempt may take.
    assert!(!matches!(away, Ok(Ok(_))), "no core is there to answer: {away:?}");
}

pub async fn drained_means_answered<C: Core>() {
    let (answerer, _core, client) = begin::<C>().await;
    client.drained().await;
    answerer.hold();
    drop(client.submit(initial("a")).expect("room"));
    answerer.arrivals(1).await;
    let drained = client.drained();
    tokio::pin!(drained);
    let early = tokio::time::timeout(Duration::from_millis(5), &mut drained).await;
    assert!(early.is_err(), "a request is still held");
    answerer.release();
    drained.await;
    assert_eq!(client.metrics().answers_unclaimed.value(), 1);
}
