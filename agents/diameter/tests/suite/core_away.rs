//! The charging core does not answer.

use CcRequestType::{Event, Initial, Termination, Update};
use cdr_model::RecordType;
use protocol_codecs::diameter::CcRequestType;
use types::ConfigDuration;
use types::charging::FailureHandling;

use crate::stage::{MB, PGW, SMS, Stage};

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
        (FailureHandling::Continue, [3004, 2001, 3004]),
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
    assert_eq!(pgw.ask(&pgw.ccr("e", SMS, Event, 0)).await.code(), 3004);
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
