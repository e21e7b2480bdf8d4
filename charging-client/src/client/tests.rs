//! What only shows from inside: an old request does not keep everything since on disk.

use std::sync::Arc;

use segment_log::SyncWatch;
use segment_log::fault::FaultStorage;
use types::charging::{ChargingMode, ChargingRequest, ResultCode, Service};
use types::{Tenant, UtcMs};

use super::*;
use crate::outbox::{LONGEST_LOG, Outbox};
use crate::transport::{NotificationStream, Ready, TransportFuture};

/// Answers everybody but `old`.
struct Answers;

impl ChargingTransport for Answers {
    fn ready(&self) -> Ready<'_> {
        Box::pin(std::future::ready(()))
    }

    fn charge(&self, request: Arc<ChargingRequest>) -> TransportFuture<'_, ChargingAnswer> {
        Box::pin(async move {
            if request.session_id.as_str() == "old" {
                std::future::pending::<()>().await;
            }
            Ok(ChargingAnswer::refusal(request.session_id.clone(), request.request_number, ResultCode::SUCCESS))
        })
    }

    fn list_sessions<'a>(&'a self, _: &'a ClientId) -> TransportFuture<'a, Vec<SessionSummary>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn session<'a>(&'a self, _: &'a SessionId) -> TransportFuture<'a, Option<SessionSummary>> {
        Box::pin(async { Ok(None) })
    }

    fn notifications<'a>(&'a self, _: &'a ClientId) -> TransportFuture<'a, NotificationStream> {
        Box::pin(std::future::pending())
    }

    fn confirm<'a>(&'a self, _: &'a ClientId, _: u64) -> TransportFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

fn initial(session: &str) -> ChargingRequest {
    ChargingRequest {
        client_id: ClientId::from("agent"),
        session_id: SessionId::from(session),
        request_number: 0,
        operation: Operation::Initial,
        requested_action: None,
        tenant: Tenant::from("t"),
        subscribers: Vec::new(),
        charging_mode: ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: None,
        called: None,
        event_time: UtcMs(0),
        answer_time: None,
        service_information: None,
        units: Vec::new(),
        release_cause: None,
        client_state: Vec::new(),
        retransmission: false,
    }
}

#[tokio::test]
async fn a_request_that_nobody_answers_moves_to_the_end_of_a_long_log() {
    let storage = FaultStorage::new();
    let disk = Arc::new(storage.clone());
    let client = Client::durable_on(ClientId::from("agent"), Arc::new(Answers), &ClientConfig::default(), disk);
    let client = client.expect("an outbox");
    drop(client.submit(initial("old")).expect("room"));
    // Each is taken and done: two entries. A look at every so many answers writes the old one again, more than once.
    for batch in 0..8_u64 {
        let ids = (0..LONGEST_LOG / 2).map(|number| initial(&format!("{batch}/{number}")));
        let awaited: Vec<_> = ids.map(|request| client.submit(request).expect("room")).collect();
        for mut answer in awaited {
            answer.within(Duration::from_secs(30)).await.expect("an answer");
        }
    }
    assert_eq!(client.stop().await.len(), 1);
    let (outbox, loaded) = Outbox::open(Arc::new(storage), Duration::ZERO, SyncWatch::default()).expect("opens");
    assert_eq!(loaded.requests.len(), 1);
    assert_eq!(outbox.holding_back(2 * LONGEST_LOG), Vec::<u64>::new(), "it stands near the end");
}

#[tokio::test]
async fn a_queue_of_answers_gets_each_outcome_once_with_its_ticket() {
    let config = ClientConfig { max_pending: 2, ..ClientConfig::default() };
    let client = Client::start(ClientId::from("agent"), Arc::new(Answers), &config);
    let (answers, mut queue) = mpsc::unbounded_channel();
    let fate = client.submit_to(&answers, 7, initial("old")).expect("room");
    client.submit_to(&answers, 8, initial("new")).expect("room");
    let refused = client.submit_to(&answers, 9, initial("no room"));
    assert!(matches!(refused, Err(ChargingFailure::NotTaken { .. })), "{refused:?}");
    let answered = queue.recv().await.expect("an outcome");
    assert_eq!((answered.ticket, answered.outcome.is_ok()), (8, true));
    // What is never answered was sent, as far as anybody knows.
    let late = fate.deadline_passed(Duration::from_secs(1));
    assert_eq!(late, ChargingFailure::UnknownFate { cause: FailureCause::Deadline { after_ms: 1_000 } });
    assert_eq!((client.metrics().deadlines_passed.value(), client.stop().await.len()), (1, 1));
    let answered = queue.recv().await.expect("an outcome");
    let stopped = ChargingFailure::UnknownFate { cause: FailureCause::Stopped };
    assert_eq!((answered.ticket, answered.outcome.expect_err("stopped")), (7, stopped));
    drop(answers);
    assert!(queue.recv().await.is_none(), "nothing of the request that was not taken");
}
