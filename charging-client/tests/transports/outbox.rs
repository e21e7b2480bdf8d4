//! Requests that outlive their client.

use std::sync::Arc;

use charging_client::{ChargingFailure, Client, ClientConfig, FailureCause};
use segment_log::Operation as DiskOperation;
use segment_log::fault::{Crash, Failure, FaultStorage};
use types::ClientId;
use types::charging::{Operation, ResultCode};

use crate::answerer::{Answerer, arrival};
use crate::in_process::InProcessCore;
use crate::suite::{Core, initial, request};
use crate::{PATIENCE, eventually};

struct Rig {
    answerer: Arc<Answerer>,
    core: InProcessCore,
    storage: FaultStorage,
}

impl Rig {
    async fn start() -> Self {
        let answerer = Arc::new(Answerer::default());
        let core = InProcessCore::start(answerer.clone()).await;
        Self { answerer, core, storage: FaultStorage::new() }
    }

    fn client(&self) -> Client {
        self.client_that(false)
    }

    /// `keep_denied`: see [`ClientConfig`].
    fn client_that(&self, keep_denied: bool) -> Client {
        let config = ClientConfig {
            max_pending: 100,
            retry_first_ms: 1,
            retry_max_ms: 10,
            keep_denied,
            ..ClientConfig::default()
        };
        let storage = Arc::new(self.storage.clone());
        Client::durable_on(ClientId::from("agent-1"), self.core.transport(), &config, storage).expect("an outbox")
    }

    /// The process dies: nothing is closed, and what was not synced is lost.
    fn kill(&self, client: Client) {
        self.storage.crash(Crash::DropUnsynced);
        drop(client);
    }
}

#[tokio::test]
async fn what_was_asked_is_asked_again_after_a_crash_in_order() {
    let rig = Rig::start().await;
    let client = rig.client();
    rig.answerer.hold();
    drop(client.submit(initial("a")).expect("room"));
    drop(client.submit(request("a", 1, Operation::Termination)).expect("room"));
    drop(client.submit(initial("b")).expect("room"));
    rig.answerer.arrivals(2).await;
    rig.kill(client);
    rig.answerer.release();
    let client = rig.client();
    let recovered = client.recovered().await;
    let again = rig.answerer.arrivals(5).await[2..].to_vec();
    for expected in [arrival("a", 0, true), arrival("a", 1, true), arrival("b", 0, true)] {
        assert!(again.contains(&expected), "{expected:?} in {again:?}");
    }
    assert!(again.iter().position(|one| one.request_number == 1) > again.iter().position(|one| one.session_id == "a"));
    assert_eq!(recovered.len(), 1, "the TERMINATION: its records may be missing");
    assert_eq!((recovered[0].request.request_number, recovered[0].answer.result_code), (1, ResultCode::SUCCESS));
    assert_eq!(recovered[0].request.client_state, [1, 2, 3]);
    assert_eq!(client.recovered().await, [], "once");
    assert_eq!(client.metrics().requests_recovered.value(), 3);
}

#[tokio::test]
async fn what_was_answered_is_not_asked_again_but_a_termination_until_it_is_settled() {
    let rig = Rig::start().await;
    let client = rig.client();
    for session in ["a", "b"] {
        client.charge(initial(session), PATIENCE).await.expect("an answer");
        client.charge(request(session, 1, Operation::Termination), PATIENCE).await.expect("an answer");
    }
    client.settled(&"a".into());
    // What is done is on disk when something later is.
    client.charge(initial("c"), PATIENCE).await.expect("an answer");
    client.charge(initial("d"), PATIENCE).await.expect("an answer");
    rig.kill(client);
    let client = rig.client();
    let recovered = client.recovered().await;
    assert_eq!(recovered.iter().map(|one| one.request.session_id.as_str()).collect::<Vec<_>>(), ["b"]);
    client.settled(&"b".into());
    assert_eq!(client.stop().await, []);
    let client = rig.client();
    assert_eq!(client.recovered().await, []);
}

#[tokio::test]
async fn what_is_undelivered_at_a_stop_is_asked_by_the_next_start() {
    let mut rig = Rig::start().await;
    let client = rig.client();
    rig.core.stop().await;
    drop(client.submit(initial("a")).expect("room"));
    assert_eq!(client.stop().await.len(), 1);
    drop(client);
    rig.core.restart().await;
    let client = rig.client();
    client.recovered().await;
    assert_eq!(rig.answerer.applied(), [("a".to_owned(), 0)]);
}

/// A call that a crash would forget is not begun; usage is told to the core whatever the disk does.
#[tokio::test]
async fn a_disk_that_fails_takes_no_new_sessions_and_holds_up_no_usage() {
    let rig = Rig::start().await;
    let client = rig.client();
    client.charge(initial("a"), PATIENCE).await.expect("an answer");
    rig.storage.fail_all(DiskOperation::Sync, Failure::Io);
    let refused = client.charge(initial("b"), PATIENCE).await.expect_err("not on disk");
    assert!(matches!(&refused, ChargingFailure::NotTaken { cause: FailureCause::Outbox { .. } }), "{refused:?}");
    client.charge(request("a", 1, Operation::Update), PATIENCE).await.expect("an answer");
    client.charge(request("a", 2, Operation::Termination), PATIENCE).await.expect("an answer");
    assert_eq!(rig.answerer.arrivals(3).await.len(), 3, "nothing of the refused session");
    assert!(client.metrics().outbox_failures.value() >= 2);
}

#[tokio::test]
async fn a_disk_that_is_back_takes_new_sessions_and_what_is_pending() {
    let rig = Rig::start().await;
    let client = rig.client();
    rig.answerer.hold();
    client.submit(initial("a")).map(drop).expect("room");
    rig.answerer.arrivals(1).await;
    rig.storage.fail_all(DiskOperation::Sync, Failure::Io);
    client.charge(initial("b"), PATIENCE).await.expect_err("not on disk");
    rig.storage.heal();
    rig.answerer.release();
    rig.answerer.hold_only("a");
    let taken = async {
        while client.charge(initial("c"), PATIENCE).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("the disk is tried again");
    rig.kill(client);
    rig.answerer.release();
    let client = rig.client();
    client.recovered().await;
    eventually("a is asked again", || client.metrics().requests_recovered.value() >= 1).await;
    assert!(rig.answerer.arrivals(3).await.contains(&arrival("a", 0, true)));
}

/// Usage that was sent without a disk, a TERMINATION that was answered meanwhile, and a request that was done.
#[tokio::test]
async fn what_happened_without_the_disk_is_on_it_when_it_is_back() {
    let rig = Rig::start().await;
    let client = rig.client();
    for session in ["a", "b", "c"] {
        client.charge(initial(session), PATIENCE).await.expect("an answer");
    }
    rig.answerer.hold_only("c");
    let mut done = client.submit(request("c", 1, Operation::Update)).expect("room");
    rig.answerer.arrivals(4).await;
    rig.storage.fail_all(DiskOperation::Sync, Failure::Io);
    client.charge(request("b", 1, Operation::Termination), PATIENCE).await.expect("an answer");
    rig.answerer.release();
    done.within(PATIENCE).await.expect("an answer");
    rig.answerer.hold_only("a");
    drop(client.submit(request("a", 1, Operation::Update)).expect("room"));
    rig.answerer.arrivals(6).await;
    rig.storage.heal();
    let taken = async {
        while client.charge(initial("d"), PATIENCE).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("the disk is tried again");
    let before = rig.answerer.arrivals(7).await.len();
    rig.kill(client);
    rig.answerer.release();
    let client = rig.client();
    let recovered = client.recovered().await;
    assert_eq!(recovered.iter().map(|one| one.request.session_id.as_str()).collect::<Vec<_>>(), ["b"]);
    let again = rig.answerer.arrivals(before + 2).await[before..].to_vec();
    assert!(again.contains(&arrival("a", 1, true)) && again.contains(&arrival("b", 1, true)), "{again:?}");
    assert!(!again.iter().any(|one| one.session_id == "c"), "done with: {again:?}");
}

/// A denied INITIAL is the last word, too, where the agent says so: until it is settled.
#[tokio::test]
async fn a_denied_initial_is_kept_like_a_termination_where_that_is_wanted() {
    for keep_denied in [false, true] {
        let rig = Rig::start().await;
        rig.answerer.deny();
        let client = rig.client_that(keep_denied);
        for session in ["a", "b"] {
            client.charge(initial(session), PATIENCE).await.expect("an answer");
        }
        client.settled(&"a".into());
        // What is done is on disk when something later is.
        client.charge(request("c", 1, Operation::Update), PATIENCE).await.expect("an answer");
        client.charge(request("c", 2, Operation::Update), PATIENCE).await.expect("an answer");
        rig.kill(client);
        let client = rig.client_that(keep_denied);
        let recovered = client.recovered().await;
        let found: Vec<_> = recovered.iter().map(|one| one.request.session_id.as_str()).collect();
        assert_eq!(found, if keep_denied { vec!["b"] } else { vec![] });
    }
}

/// What a TERMINATION is kept with can change until it is settled; whoever asks for it hears when that is on disk.
#[tokio::test]
async fn an_amended_termination_is_found_amended() {
    let rig = Rig::start().await;
    let client = rig.client();
    let amend = async |client: &Client, session: &str, state: &[u8]| {
        let (told, kept) = tokio::sync::oneshot::channel();
        client.amend(&session.into(), state.to_vec(), move || told.send(()).unwrap_or_default());
        kept.await.expect("told");
    };
    client.charge(initial("answered"), PATIENCE).await.expect("an answer");
    client.charge(request("answered", 1, Operation::Termination), PATIENCE).await.expect("an answer");
    rig.answerer.hold();
    drop(client.submit(request("waits", 1, Operation::Termination)).expect("room"));
    rig.answerer.arrivals(3).await;
    amend(&client, "answered", &[7]).await;
    amend(&client, "waits", &[8]).await;
    amend(&client, "nobody", &[9]).await;
    rig.kill(client);
    rig.answerer.release();
    let client = rig.client();
    let mut recovered = client.recovered().await;
    recovered.sort_by_key(|one| one.request.session_id.clone());
    let found: Vec<_> =
        recovered.iter().map(|one| (one.request.session_id.as_str(), one.request.client_state.clone())).collect();
    assert_eq!(found, [("answered", vec![7]), ("waits", vec![8])]);
    // A disk that fails holds nobody up.
    rig.storage.fail_all(DiskOperation::Sync, Failure::Io);
    amend(&client, "waits", &[9]).await;
}

/// Answered while the disk took nothing at all: its records may be missing, so it is written when the disk is back.
#[tokio::test]
async fn a_termination_that_was_answered_without_the_disk_is_on_it_when_it_is_back() {
    let rig = Rig::start().await;
    let client = rig.client();
    client.charge(initial("a"), PATIENCE).await.expect("an answer");
    rig.storage.fail_all(DiskOperation::Write, Failure::Io);
    client.charge(request("a", 1, Operation::Termination), PATIENCE).await.expect("an answer");
    rig.storage.heal();
    let taken = async {
        while client.charge(initial("b"), PATIENCE).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("the disk is tried again");
    rig.kill(client);
    let client = rig.client();
    let recovered = client.recovered().await;
    assert_eq!(recovered.iter().map(|one| one.request.session_id.as_str()).collect::<Vec<_>>(), ["a"]);
}

/// A request whose turn has come waits for the disk.
#[tokio::test]
async fn nothing_is_sent_that_is_not_on_disk() {
    let rig = Rig::start().await;
    // One that comes alone is written at once; the next ones wait for the interval, which is over long after the test.
    let config = ClientConfig { outbox_interval_ms: 3_600_000, ..ClientConfig::default() };
    let storage = Arc::new(rig.storage.clone());
    let client = Client::durable_on(ClientId::from("agent-1"), rig.core.transport(), &config, storage);
    let client = client.expect("an outbox");
    rig.answerer.hold();
    let mut first = client.submit(initial("a")).expect("room");
    rig.answerer.arrivals(1).await;
    drop(client.submit(request("a", 1, Operation::Update)).expect("room"));
    rig.answerer.release();
    first.within(PATIENCE).await.expect("an answer");
    // Another question has come there and back meanwhile.
    client.list_sessions().await.expect("an answer");
    assert_eq!(rig.answerer.arrivals(1).await, [arrival("a", 0, false)]);
    rig.kill(client);
}
