//! The charging core does not answer.

use CcRequestType::{Event, Initial, Termination, Update};
use cdr_model::RecordType;
use protocol_codecs::diameter::{CcRequestType, Command, Frame, ResultCode, Time};
use types::ConfigDuration;
use types::charging::{FailureHandling, Operation};

use crate::stage::{MB, PGW, Peer, SMS, Stage};

async fn stage(handling: FailureHandling) -> Stage {
    Stage::with("1.00", |config| {
        config.on_core_failure = handling;
        config.answer_timeout = ConfigDuration::from_ms(100);
    })
    .await
}

#[tokio::test]
async fn every_request_gets_an_answer() {
    let rows = [
        (FailureHandling::Terminate, [5012, 5012, 5012]),
        (FailureHandling::RetryAndTerminate, [3004, 3004, 3004]),
        (FailureHandling::Continue, [2001, 2001, 3004]),
    ];
    for (handling, codes) in rows {
        let stage = stage(handling).await;
        let mut pgw = stage.client(PGW).await;
        let ask = Some(5 * MB);
        assert_eq!(pgw.ask(&pgw.data("open", Initial, 0, &[(10, 0, ask)])).await.code(), 2001);
        stage.core.set_reachable(false);
        let requests = [
            pgw.data("new", Initial, 0, &[(10, 0, ask)]),
            pgw.data("open", Update, 1, &[(10, 5 * MB, ask)]),
            pgw.data("lost", Update, 1, &[(10, MB, ask)]),
        ];
        for (ccr, code) in requests.iter().zip(codes) {
            let told = pgw.ask(ccr).await;
            assert_eq!((told.code(), told.frame.header().flags.is_error()), (code, code == 3004), "{handling:?}");
        }
    }
}

#[tokio::test]
async fn usage_of_sessions_that_go_on_alone_is_delivered_later() {
    let stage = stage(FailureHandling::Continue).await;
    let mut pgw = stage.client(PGW).await;
    let ask = Some(2 * MB);
    pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, ask)])).await;
    stage.core.set_reachable(false);
    let told = pgw.ask(&pgw.data("s", Update, 1, &[(10, 2 * MB, ask)])).await;
    assert_eq!(told.groups(), [(10, 2001, ask, false)]);
    // The next one waits behind it with the core, and is answered in time all the same.
    assert_eq!(pgw.ask(&pgw.data("s", Termination, 2, &[(10, MB, None)])).await.code(), 2001);
    stage.core.set_reachable(true);
    stage.until("the debit", |stage| stage.account() == ("0.7".into(), "0".into())).await;
    stage.until("the record", |stage| stage.told("s").iter().any(|row| row.0 == RecordType::Stop)).await;
    assert_eq!(stage.told("s").last().and_then(|row| row.3.clone()), Some("0.3".into()));
}

#[tokio::test]
async fn what_was_refused_meanwhile_is_taken_back() {
    let stage = stage(FailureHandling::RetryAndTerminate).await;
    let mut pgw = stage.client(PGW).await;
    stage.core.set_reachable(false);
    assert_eq!(pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, Some(5 * MB))])).await.code(), 3004);
    let mut debit = pgw.ccr("e", SMS, Event, 0);
    debit.event_timestamp = Time::from_epoch_ms(now_ms());
    assert_eq!(pgw.ask(&debit).await.code(), 3004);
    stage.core.set_reachable(true);
    let both_back = |stage: &Stage| stage.core.requests().len() == 4 && stage.account() == ("1".into(), "0".into());
    stage.until("session and debit to be taken back", both_back).await;
    assert_eq!(pgw.ask(&pgw.data("s", Update, 1, &[(10, MB, None)])).await.code(), 5002);
}

#[tokio::test]
async fn a_lost_answer_of_the_core_is_asked_for_again() {
    let stage = stage(FailureHandling::RetryAndTerminate).await;
    let mut pgw = stage.client(PGW).await;
    stage.core.lose_answers(1);
    assert_eq!(pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, Some(5 * MB))])).await.code(), 2001);
    assert_eq!(stage.account().1, "0.5");
}

fn now_ms() -> i64 {
    agent_runtime::Clock::system().now().utc.0
}

/// A session that the core granted a moment ago, and the core is away now.
async fn away(change: impl FnOnce(&mut agent_diameter::DiameterConfig)) -> (Stage, Peer) {
    let stage = Stage::with("100", |config| {
        config.on_core_failure = FailureHandling::Continue;
        config.answer_timeout = ConfigDuration::from_ms(100);
        change(config);
    })
    .await;
    let mut pgw = stage.client(PGW).await;
    assert_eq!(pgw.ask(&pgw.data("known", Initial, 0, &[(10, 0, Some(MB))])).await.code(), 2001);
    stage.core.set_reachable(false);
    (stage, pgw)
}

#[tokio::test]
async fn only_known_accounts_go_on_and_only_so_many_of_their_sessions() {
    let (stage, mut pgw) = away(|config| config.r#continue.calls_per_account = 2).await;
    let ask = Some(50 * MB);
    let told = pgw.ask(&pgw.data("second", Initial, 0, &[(10, 0, ask)])).await;
    assert_eq!(told.groups(), [(10, 2001, Some(5 * MB), false)], "no more than a slice");
    assert_eq!(pgw.ask(&pgw.data("known", Update, 1, &[(10, MB, Some(MB))])).await.code(), 2001);
    assert_eq!(pgw.ask(&pgw.data("third", Initial, 0, &[(10, 0, ask)])).await.code(), 3004);
    let mut stranger = pgw.data("stranger", Initial, 0, &[(10, 0, ask)]);
    stranger.subscription_ids[0].subscription_id_data = "49171".into();
    assert_eq!(pgw.ask(&stranger).await.code(), 3004);
    // One ends: its place is free when the core has heard of it.
    assert_eq!(pgw.ask(&pgw.data("second", Termination, 1, &[(10, 3 * MB, None)])).await.code(), 2001);
    assert_eq!(pgw.ask(&pgw.data("fourth", Initial, 0, &[(10, 0, ask)])).await.code(), 3004);
    stage.core.set_reachable(true);
    let settled = |stage: &Stage| stage.account() == ("99.6".into(), "0.1".into());
    stage.until("usage and what was refused to be settled", settled).await;
    stage.until("the record", |stage| stage.told("second").iter().any(|row| row.0 == RecordType::Stop)).await;
    let kinds: Vec<_> = stage.told("second").into_iter().map(|row| row.0).collect();
    assert_eq!(kinds, [RecordType::Start, RecordType::Stop]);
    let records = stage.records();
    let of_second = records.iter().filter(|record| record.session_id.as_str() == "second");
    assert!(of_second.clone().all(|record| record.metadata.tags.contains(&"CONTINUED".into())), "{records:?}");
}

#[tokio::test]
async fn no_session_goes_on_for_ever() {
    let (stage, mut pgw) = away(|config| config.r#continue.max_call = ConfigDuration::from_s(1)).await;
    let begun = tokio::time::Instant::now();
    let mut number = 0;
    loop {
        number += 1;
        let code = pgw.ask(&pgw.data("known", Update, number, &[(10, MB, Some(MB))])).await.code();
        if code == 3004 {
            break;
        }
        assert_eq!(code, 2001);
        assert!(begun.elapsed() < crate::stage::PATIENCE, "it goes on and on");
    }
    assert!(number > 1, "it did go on");
    // The end is taken all the same.
    assert_eq!(pgw.ask(&pgw.data("known", Termination, number + 1, &[(10, MB, None)])).await.code(), 2001);
    stage.core.set_reachable(true);
    let used = (u64::from(number) + 1) * 10;
    let left = format!(
        "{}",
        "100".parse::<types::Money>().expect("money") - types::Money::from_nanos(i128::from(used) * 10_000_000)
    );
    stage.until("all usage to be debited", |stage| stage.account() == (left.clone(), "0".into())).await;
}

#[tokio::test]
async fn calls_to_some_numbers_never_go_on() {
    let (_stage, mut pgw) = away(|config| config.r#continue.never = vec!["+882".into()]).await;
    for (called, code) in [("tel:+88213", 3004), ("tel:+4930123456", 2001)] {
        let mut ccr = pgw.ccr(called, crate::stage::VOICE, Initial, 0);
        let ims = protocol_codecs::diameter::ImsInformation {
            called_party_address: Some(called.into()),
            ..protocol_codecs::diameter::ImsInformation::default()
        };
        ccr.service_information = Some(protocol_codecs::diameter::ServiceInformation {
            ims_information: Some(Box::new(ims)),
            ..protocol_codecs::diameter::ServiceInformation::default()
        });
        ccr.multiple_services_credit_control = vec![crate::stage::mscc((0, 0, Some(0)))];
        assert_eq!(pgw.ask(&ccr).await.code(), code, "{called}");
    }
}

#[tokio::test]
async fn a_session_that_the_core_denies_afterwards_is_aborted() {
    let (stage, mut pgw) = away(|_| {}).await;
    let ask = Some(5 * MB);
    assert_eq!(pgw.ask(&pgw.data("new", Initial, 0, &[(10, 0, ask)])).await.code(), 2001);
    stage.core.block("alice");
    stage.core.set_reachable(true);
    // The block itself aborts what was open; what was let begin is aborted for its denial.
    let mut aborted = Vec::new();
    while aborted.len() < 2 {
        let request = pgw.receive().await;
        assert_eq!(request.header().command, 274);
        let session = session_of(&request);
        answer_abort(&mut pgw, &request, &session).await;
        aborted.push(session);
    }
    aborted.sort();
    assert_eq!(aborted, ["known", "new"]);
    let told = pgw.ask(&pgw.data("new", Termination, 1, &[(10, 3 * MB, None)])).await;
    assert_eq!(told.code(), 2001, "what was used is debited");
    stage.until("the debit", |stage| stage.account().0 == "99.7").await;
}

fn session_of(frame: &Frame) -> String {
    let mut avps = frame.avps();
    while let Ok(Some(avp)) = avps.next_avp() {
        if (avp.code, avp.vendor) == (263, 0) {
            return String::from_utf8(avp.value.to_vec()).expect("text");
        }
    }
    panic!("no Session-Id")
}

async fn answer_abort(pgw: &mut Peer, request: &Frame, session: &str) {
    let answer = protocol_codecs::diameter::AbortSessionAnswer {
        session_id: session.into(),
        result_code: ResultCode::SUCCESS,
        origin_host: PGW.into(),
        origin_realm: crate::stage::REALM.into(),
        user_name: None,
        origin_state_id: None,
        termination_cause: None,
        error_message: None,
        error_reporting_host: None,
        failed_avps: vec![],
        proxy_infos: vec![],
    };
    pgw.send(answer.encoded(request.header().exchange()).expect("an answer").bytes().clone()).await;
}

/// The agent dies while the core is away: what it had asked is in its outbox.
#[tokio::test]
async fn usage_and_refusals_of_a_dead_agent_are_delivered() {
    let (mut stage, mut pgw) = away(|config| config.interim = ConfigDuration::from_ms(1)).await;
    let ask = Some(5 * MB);
    assert_eq!(pgw.ask(&pgw.data("known", Update, 1, &[(10, MB, ask)])).await.code(), 2001);
    assert_eq!(pgw.ask(&pgw.data("known", Termination, 2, &[(10, 2 * MB, None)])).await.code(), 2001);
    let mut stranger = pgw.data("refused", Initial, 0, &[(10, 0, ask)]);
    stranger.subscription_ids.clear();
    assert_eq!(pgw.ask(&stranger).await.code(), 3004);
    let mut debit = pgw.ccr("e", SMS, Event, 0);
    debit.event_timestamp = Time::from_epoch_ms(now_ms());
    assert_eq!(pgw.ask(&debit).await.code(), 3004);
    stage.agent_dies().await;
    stage.core.set_reachable(true);
    stage.until("the debit", |stage| stage.account() == ("99.7".into(), "0".into())).await;
    stage.until("the last record", |stage| stage.told("known").iter().any(|row| row.0 == RecordType::Stop)).await;
    let stop = stage.told("known").pop().expect("a record");
    assert_eq!((stop.0, stop.3), (RecordType::Stop, Some("0.3".into())));
    let refunded =
        |stage: &Stage| stage.core.requests().iter().filter(|one| one.operation == Operation::Event).count() == 2;
    stage.until("the refund", refunded).await;
    assert_eq!(stage.account(), ("99.7".into(), "0".into()));
}
