//! The load client against our own server, to the last unit: what it counts is what was debited.

use std::sync::Arc;
use std::time::Duration;

use agent_diameter::client::{Dial, TlsFiles};
use agent_diameter::config::TlsConfig;
use agent_diameter::load::{self, LoadError, LoadPlan, LoadReport, Profile, Progress, Stop};
use cdr_model::RecordType;
use ledger::Command as CoreCommand;
use types::{Money, ReleaseCause};

use crate::scripted::{Reaction, Scripted};
use crate::stage::{MB, PATIENCE, PGW, REALM, Stage};
use crate::tls::file;

fn plan(profile: Profile) -> LoadPlan {
    LoadPlan {
        profile,
        sessions: 8,
        rate: 2_000,
        updates: 3,
        duration: PATIENCE,
        total: Some(40),
        connections: 1,
        rating_groups: Vec::new(),
        units: profile.units(),
        first_subscriber: 49_170,
        subscribers: 1,
        called: "49301234567".into(),
        origin_host: PGW.into(),
        origin_realm: REALM.into(),
        destination_realm: REALM.into(),
        destination_host: None,
        context: None,
        tx: PATIENCE,
        attempts: 3,
        copies: 0,
    }
}

fn dial(address: std::net::SocketAddr, tls: Option<&TlsFiles>) -> Dial {
    Dial::new(&address.to_string(), tls, PATIENCE).expect("files")
}

async fn play(plan: LoadPlan, address: std::net::SocketAddr) -> Result<LoadReport, LoadError> {
    assert_eq!(plan.faults(), []);
    load::run(plan, dial(address, None), Arc::new(Progress::default()), Stop::default()).await
}

fn money(text: &str) -> Money {
    text.parse().expect("an amount")
}

/// Charged units by group.
fn charged(report: &LoadReport) -> Vec<(u32, u64)> {
    assert!(report.used.iter().all(|used| used.unreported == 0 && used.unknown == 0), "{:?}", report.used);
    report.used.iter().map(|used| (used.rating_group, used.charged)).collect()
}

#[tokio::test]
async fn data_costs_what_the_client_counted_and_copies_cost_nothing() {
    let stage = Stage::with("1000.00", |config| config.tell_cost = true).await;
    let plan = LoadPlan { rating_groups: vec![10, 20], copies: 3, ..plan(Profile::GyData) };
    let report = play(plan, stage.address).await.expect("a load");
    assert_eq!(report.faults(), Vec::<String>::new());
    assert_eq!((report.sent, report.answered), (200, 200));
    // Each copy has its answer, and it is that of the original.
    assert_eq!((report.copied, report.duplicates, report.differing), (66, 66, 0));
    assert_eq!(charged(&report), [(10, 160 * MB), (20, 160 * MB)]);
    assert_eq!(stage.account(), ("982.4".into(), "0".into()));
    assert_eq!(
        report.costs.iter().map(|cost| (cost.currency_code, cost.amount)).collect::<Vec<_>>(),
        [(978, money("17.6"))]
    );
    assert_eq!(report.result_codes.into_iter().collect::<Vec<_>>(), [(2001, 200)]);
    assert_eq!(report.latencies.all.count, 200);
    assert_eq!(
        report.latencies.kinds.iter().map(|(kind, latency)| (*kind, latency.count)).collect::<Vec<_>>(),
        [("initial", 40), ("termination", 40), ("update", 120)]
    );
    let stops = stage.records().iter().filter(|record| record.record_type == RecordType::Stop).count();
    assert_eq!(stops, 40);
    assert!(stage.core.replayed_books_are_the_same());
}

#[tokio::test]
async fn calls_and_messages_cost_what_the_client_counted() {
    let stage = Stage::with("1000.00", |config| {
        config.peers.push(serde_json::from_str(r#"{ "host": "*.example.net" }"#).expect("a peer"))
    })
    .await;
    let voice = LoadPlan { connections: 2, ..plan(Profile::RoVoice) };
    let report = play(voice, stage.address).await.expect("a load");
    assert_eq!(report.faults(), Vec::<String>::new());
    // Four minutes a call, 0.01 a second.
    assert_eq!(charged(&report), [(100, 40 * 240)]);
    assert_eq!(stage.account(), ("904".into(), "0".into()));
    let report = play(LoadPlan { copies: 1, ..plan(Profile::SmsEvent) }, stage.address).await.expect("a load");
    assert_eq!(report.faults(), Vec::<String>::new());
    assert_eq!((report.sent, report.copied, charged(&report)), (40, 40, vec![(0, 40)]));
    assert_eq!(stage.account(), ("900.8".into(), "0".into()));
    assert!(stage.core.replayed_books_are_the_same());
}

#[tokio::test]
async fn the_end_of_credit_ends_sessions_and_the_books_still_agree() {
    let stage = Stage::set("1.05").await;
    let plan = LoadPlan { rating_groups: vec![10], sessions: 3, total: Some(6), ..plan(Profile::GyData) };
    let report = play(plan, stage.address).await.expect("a load");
    assert_eq!(report.faults(), Vec::<String>::new());
    let used: u64 = charged(&report).iter().map(|(_, used)| used).sum();
    assert_eq!(used, 10 * MB, "all that the credit was worth");
    assert_eq!(stage.account(), ("0.05".into(), "0".into()));
    assert!(report.sessions.refused > 0 && report.sessions.closed > 0, "{:?}", report.sessions);
    assert_eq!(report.sessions.refused + report.sessions.closed, 6);
}

#[tokio::test]
async fn a_session_that_the_operator_releases_is_ended_by_the_client() {
    let stage = Stage::set("1000.00").await;
    let plan = LoadPlan {
        rating_groups: vec![10],
        sessions: 1,
        total: Some(1),
        updates: 1_000,
        rate: 50,
        ..plan(Profile::GyData)
    };
    let (progress, stop) = (Arc::new(Progress::default()), Stop::default());
    let playing = tokio::spawn(load::run(plan, dial(stage.address, None), Arc::clone(&progress), stop));
    stage.until("some requests", |_| progress.answered() > 2).await;
    let session = stage.core.requests()[0].session_id.clone();
    stage.core.command(&CoreCommand::Release { session_id: session, cause: ReleaseCause::Operator });
    let report = playing.await.expect("no panic").expect("a load");
    assert_eq!((report.abort_requests, report.sessions.closed), (1, 1));
    assert!(report.sent < 1_000, "{}", report.sent);
    let cost = Money::from_nanos(i128::from(charged(&report)[0].1) * 100);
    assert_eq!(money("1000") - cost, money(&stage.account().0));
    stage.until("the confirmation", |stage| stage.core.notifications("gy").is_empty()).await;
}

#[tokio::test]
async fn a_stopped_load_ends_its_sessions_and_says_goodbye() {
    let stage = Stage::set("1000.00").await;
    let plan = LoadPlan { rating_groups: vec![10], total: None, updates: 1_000, rate: 500, ..plan(Profile::GyData) };
    let (progress, stop) = (Arc::new(Progress::default()), Stop::default());
    let playing = tokio::spawn(load::run(plan, dial(stage.address, None), Arc::clone(&progress), stop.clone()));
    stage.until("some requests", |_| progress.answered() > 20).await;
    stop.finish.cancel();
    let report = playing.await.expect("no panic").expect("a load");
    assert_eq!(report.faults(), Vec::<String>::new());
    assert_eq!((report.sessions.begun, report.sessions.closed, stage.account().1.as_str()), (8, 8, "0"));
}

#[tokio::test]
async fn tls_with_certificates_of_both() {
    let stage = Stage::with("1000.00", |config| {
        config.listen.clear();
        config.tls = Some(TlsConfig {
            listen: vec![([127, 0, 0, 1], 0).into()],
            certificate_file: file("ocs.pem"),
            key_file: file("ocs.key"),
            authority_file: file("authority.pem"),
            check_names: true,
        });
    })
    .await;
    let files = |own: Option<&str>, name: &str| TlsFiles {
        authority: file("authority.pem"),
        own: own.map(|own| (file(&format!("{own}.pem")), file(&format!("{own}.key")))),
        peer_name: Some(name.into()),
    };
    let plan = LoadPlan { rating_groups: vec![10], total: Some(2), ..plan(Profile::GyData) };
    let rows = [
        (Some("pgw"), "ocs.example.net", true),
        (None, "ocs.example.net", false),
        (Some("pgw"), "other.example.net", false),
    ];
    for (own, name, admitted) in rows {
        let dial = dial(stage.address, Some(&files(own, name)));
        let played = load::run(plan.clone(), dial, Arc::new(Progress::default()), Stop::default()).await;
        assert_eq!(played.is_ok(), admitted, "{own:?} {name}: {played:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_us_is_named() {
    let stage = Stage::set("1.00").await;
    let plan = LoadPlan { origin_host: "stranger.example.org".into(), ..plan(Profile::GyData) };
    let error = play(plan, stage.address).await.expect_err("we are no peer");
    assert_eq!(error.class(), types::ErrorClass::Refused);
    let source = std::error::Error::source(&error).expect("a source").to_string();
    assert!(source.contains("3010"), "{error}: {source}");
}

/// What is not answered in Tx goes out again with the T bit; what is never answered is told as lost.
#[tokio::test]
async fn unanswered_requests_are_sent_again_and_at_last_given_up() {
    let plan =
        LoadPlan { total: Some(2), sessions: 1, updates: 1, tx: Duration::from_millis(20), ..plan(Profile::GyData) };
    let server = Scripted::start(vec![Reaction::OnlyRetransmissions]).await;
    let report = play(plan.clone(), server.address).await.expect("a load");
    assert_eq!(report.faults(), Vec::<String>::new());
    assert_eq!(report.sent, 6);
    assert!(report.retransmitted >= 6, "{}", report.retransmitted);
    let heard = server.heard();
    let firsts: Vec<_> = heard.iter().filter(|heard| !heard.retransmitted).collect();
    assert_eq!(firsts.len(), 6);
    for copy in heard.iter().filter(|heard| heard.retransmitted) {
        assert!(firsts.iter().any(|first| first.end_to_end_id == copy.end_to_end_id && first.content == copy.content));
    }

    let server = Scripted::start(vec![Reaction::Silence]).await;
    let report = play(LoadPlan { total: Some(1), attempts: 2, ..plan }, server.address).await.expect("a load");
    // The first request, and the end of what may stand at the server.
    assert_eq!((report.sent, report.lost, report.answered, report.retransmitted), (2, 2, 0, 2));
    assert_eq!((report.sessions.lost, report.used.len()), (1, 0));
    assert_eq!(report.faults().len(), 1, "{:?}", report.faults());
}

#[tokio::test]
async fn a_broken_connection_is_made_again_and_what_was_on_the_way_goes_over_it() {
    let server = Scripted::start(vec![Reaction::HangUp, Reaction::Answer]).await;
    let plan = LoadPlan { total: Some(1), sessions: 1, updates: 1, ..plan(Profile::GyData) };
    let report = play(plan, server.address).await.expect("a load");
    assert_eq!(report.faults(), Vec::<String>::new());
    assert_eq!((report.reconnects, report.retransmitted, report.sent, report.answered), (1, 1, 3, 3));
    let heard: Vec<_> = server.heard().iter().map(|heard| (heard.number, heard.retransmitted)).collect();
    assert_eq!(heard, [(0, false), (0, true), (1, false), (2, false)]);
}

/// The server asks: an update follows a RAR, the end an ASR; watchdogs and goodbyes are answered.
#[tokio::test]
async fn requests_of_the_server_are_obeyed() {
    let server = Scripted::start(vec![Reaction::ReAuthThenAbort]).await;
    let plan = LoadPlan { total: Some(1), sessions: 1, updates: 0, rate: 1, ..plan(Profile::GyData) };
    let report = play(plan, server.address).await.expect("a load");
    assert_eq!((report.re_auth_requests, report.abort_requests, report.other_requests), (2, 1, 0));
    let heard: Vec<_> = server.heard().iter().map(|heard| (heard.kind, heard.number)).collect();
    assert_eq!(heard, [(1, 0), (2, 1), (3, 2)], "before the second was due");
    // For the session, for one that is not there, and for the end of the session.
    assert_eq!(server.obeyed(), [2001, 5002, 2001]);
    assert_eq!(report.sessions.closed, 1);
}
