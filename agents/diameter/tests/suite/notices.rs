//! RAR when credit comes back, ASR when a session is to end.

use CcRequestType::{Initial, Update};
use ledger::Command as CoreCommand;
use protocol_codecs::diameter::{
    AbortSessionAnswer, CcRequestType, Command, Frame, Message, Mode, ReAuthAnswer, ReAuthRequestType, Request,
    ResultCode,
};
use types::ReleaseCause;
use types::charging::NotificationKind;

use crate::stage::{HOST, MB, PGW, Peer, REALM, Stage};

async fn short_of_credit(stage: &Stage, pgw: &mut Peer) {
    let told = pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, Some(5 * MB))])).await;
    assert_eq!(told.groups(), [(10, 2001, Some(2 * MB), true)]);
    assert_eq!(stage.account().1, "0.2");
}

async fn answer(pgw: &mut Peer, request: &Frame, code: ResultCode) {
    let exchange = request.header().exchange();
    let bytes = if request.header().command == 258 {
        ReAuthAnswer {
            session_id: "s".into(),
            result_code: code,
            origin_host: PGW.into(),
            origin_realm: REALM.into(),
            user_name: None,
            origin_state_id: None,
            error_message: None,
            error_reporting_host: None,
            failed_avps: vec![],
            proxy_infos: vec![],
        }
        .encoded(exchange)
    } else {
        AbortSessionAnswer {
            session_id: "s".into(),
            result_code: code,
            origin_host: PGW.into(),
            origin_realm: REALM.into(),
            user_name: None,
            origin_state_id: None,
            termination_cause: None,
            error_message: None,
            error_reporting_host: None,
            failed_avps: vec![],
            proxy_infos: vec![],
        }
        .encoded(exchange)
    };
    pgw.send(bytes.expect("an answer").bytes().clone()).await;
}

#[tokio::test]
async fn a_top_up_asks_the_client_to_ask_again() {
    let mut stage =
        Stage::with("0.20", |config| config.limits.request_timeout = types::ConfigDuration::from_ms(200)).await;
    let mut pgw = stage.client(PGW).await;
    short_of_credit(&stage, &mut pgw).await;
    stage.core.top_up("alice", "1.00");
    let request = pgw.receive().await;
    {
        let decoded = request.message(Mode::Strict).expect("a strict message");
        let Message::Request(Request::ReAuth(rar)) = decoded.message else { panic!("{decoded:?}") };
        assert_eq!((&*rar.session_id, rar.re_auth_request_type), ("s", ReAuthRequestType::AuthorizeOnly));
        assert_eq!((&*rar.destination_host, &*rar.destination_realm, &*rar.origin_host), (PGW, REALM, HOST));
    }
    // Not answered: it comes again, with the T bit.
    let again = pgw.receive().await;
    assert!(again.header().flags.is_retransmitted() && !request.header().flags.is_retransmitted());
    assert_eq!(again.header().end_to_end_id, request.header().end_to_end_id);
    // The agent dies before it is answered: the next one tells it again.
    stage.agent_dies().await;
    let mut pgw = stage.client(PGW).await;
    let request = pgw.receive().await;
    assert_eq!(request.header().command, 258);
    answer(&mut pgw, &request, ResultCode::LIMITED_SUCCESS).await;
    let told = pgw.ask(&pgw.data("s", Update, 1, &[(10, MB, Some(5 * MB))])).await;
    assert_eq!(told.groups(), [(10, 2001, Some(5 * MB), false)]);
    // Confirmed: the next agent has nothing to tell.
    stage.until("the confirmation", |stage| stage.core.notifications("gy").is_empty()).await;
}

#[tokio::test]
async fn a_session_that_is_released_is_aborted() {
    let stage = Stage::set("0.20").await;
    let mut pgw = stage.client(PGW).await;
    short_of_credit(&stage, &mut pgw).await;
    stage.core.command(&CoreCommand::Release { session_id: "s".into(), cause: ReleaseCause::Operator });
    let request = pgw.receive().await;
    assert_eq!(request.header().command, 274);
    let kinds: Vec<_> = stage.core.notifications("gy").into_iter().map(|notice| notice.kind).collect();
    assert_eq!(kinds, [NotificationKind::Abort(ReleaseCause::Operator)]);
    answer(&mut pgw, &request, ResultCode::SUCCESS).await;
    stage.until("the confirmation", |stage| stage.core.notifications("gy").is_empty()).await;
}

#[tokio::test]
async fn a_peer_that_never_answers_is_given_up() {
    let stage = Stage::with("0.20", |config| {
        config.limits.request_timeout = types::ConfigDuration::from_ms(100);
        config.limits.request_attempts = 2;
    })
    .await;
    let mut pgw = stage.client(PGW).await;
    short_of_credit(&stage, &mut pgw).await;
    stage.core.top_up("alice", "1.00");
    for _ in 0..2 {
        assert_eq!(pgw.receive().await.header().command, 258);
    }
    stage.until("giving up", |stage| stage.core.notifications("gy").is_empty()).await;
}

/// A new tariff is told to the clients of the sessions that another one rates: each over its own connection.
#[tokio::test]
async fn a_new_tariff_is_told_where_the_session_lives() {
    let stage = Stage::set("1.00").await;
    let hosts = [PGW, "smf.core.example.net"];
    let mut clients = Vec::new();
    for (session, host) in ["s", "t"].into_iter().zip(hosts) {
        let mut client = stage.client(host).await;
        let told = client.ask(&client.data(session, Initial, 0, &[(10, 0, Some(MB))])).await;
        assert_eq!(told.code(), 2001);
        clients.push(client);
    }
    stage.core.command(&CoreCommand::Reauthorize(vec!["t".into()]));
    let request = clients[1].receive().await;
    let decoded = request.message(Mode::Strict).expect("a strict message");
    let Message::Request(Request::ReAuth(rar)) = decoded.message else { panic!("{decoded:?}") };
    assert_eq!((&*rar.session_id, &*rar.destination_host), ("t", hosts[1]));
    // Nothing came to the other one: its next message is the answer to what it asks.
    let update = clients[0].data("s", Update, 1, &[(10, 0, Some(MB))]);
    let told = clients[0].ask(&update).await;
    assert_eq!(told.code(), 2001);
}
