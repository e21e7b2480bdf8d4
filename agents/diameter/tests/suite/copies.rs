//! Copies, requests that overtake each other, whose session it is, and restarts.

use CcRequestType::{Event, Initial, Termination, Update};
use cdr_model::RecordType;
use protocol_codecs::diameter::{CcRequestType, Command, Exchange, RequestedAction};

use crate::stage::{MB, PGW, SMS, Stage, Told};

#[tokio::test]
async fn a_copy_gets_the_stored_answer_with_its_own_identifiers() {
    let stage = Stage::set("1.00").await;
    let mut pgw = stage.client(PGW).await;
    let ask = Some(5 * MB);
    let begin = pgw.data("s", Initial, 0, &[(10, 0, ask)]);
    let first = pgw.ask(&begin).await;
    let update = pgw.data("s", Update, 1, &[(10, 2 * MB, ask)]);
    let second = pgw.ask(&update).await;
    let asked = stage.core.requests().len();
    // The T bit, another Hop-by-Hop id; the second one over another connection.
    let again = Exchange { retransmitted: true, ..Exchange::new(77, 1_002) };
    let told = pgw.ask_as(&begin, again).await;
    assert_eq!(told.frame.bytes()[20..], first.frame.bytes()[20..]);
    let mut pgw = stage.client(PGW).await;
    let told = pgw.ask_as(&update, again).await;
    assert_eq!(told.frame.bytes()[20..], second.frame.bytes()[20..]);
    assert_eq!(stage.core.requests().len(), asked, "the core was not asked again");
    assert_eq!(stage.account(), ("0.8".into(), "0.5".into()));
}

#[tokio::test]
async fn a_copy_of_a_request_in_work_waits_with_it() {
    let stage = Stage::set("1.00").await;
    let mut pgw = stage.client(PGW).await;
    stage.core.set_reachable(false);
    let begin = pgw.data("s", Initial, 0, &[(10, 0, Some(5 * MB))]);
    for hop_by_hop in [5, 6] {
        pgw.send(begin.encoded(Exchange::new(hop_by_hop, 9)).expect("a CCR").bytes().clone()).await;
    }
    // Something behind them that is answered at once: both have arrived.
    let other = pgw.data("other", Initial, 0, &[(99, 0, None)]);
    assert_eq!(pgw.ask(&other).await.code(), 5031);
    stage.core.set_reachable(true);
    for hop_by_hop in [5, 6] {
        let told = Told::of(pgw.receive().await);
        assert_eq!((told.code(), told.frame.header().hop_by_hop_id), (2001, hop_by_hop));
    }
    assert_eq!(stage.core.requests().len(), 1);
}

#[tokio::test]
async fn the_same_number_with_other_usage_is_refused() {
    let stage = Stage::set("1.00").await;
    let mut pgw = stage.client(PGW).await;
    pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, Some(5 * MB))])).await;
    pgw.ask(&pgw.data("s", Update, 1, &[(10, 2 * MB, Some(MB))])).await;
    let told = pgw.ask(&pgw.data("s", Update, 1, &[(10, MB, Some(MB))])).await;
    assert_eq!((told.code(), told.failed()), (5004, Some(415)));
    assert_eq!(stage.account().0, "0.8");
}

#[tokio::test]
async fn requests_that_overtake_each_other_are_all_served() {
    let stage = Stage::set("1.00").await;
    let mut pgw = stage.client(PGW).await;
    let (ask, more) = (Some(2 * MB), Some(MB));
    let requests = [
        pgw.data("s", Initial, 0, &[(10, 0, ask), (20, 0, ask)]),
        pgw.data("s", Update, 2, &[(20, 2 * MB, more)]),
        pgw.data("s", Update, 1, &[(10, 2 * MB, more)]),
        pgw.data("s", Update, 7, &[(10, MB, more)]),
        pgw.data("s", Termination, 7, &[(10, MB, None), (20, MB, None)]),
    ];
    // All at once: the last comes before the first is answered.
    for (at, ccr) in (1..).zip(&requests) {
        pgw.send(ccr.encoded(Exchange::new(at, at)).expect("a CCR").bytes().clone()).await;
    }
    for at in 1..=5 {
        let told = Told::of(pgw.receive().await);
        assert_eq!((told.frame.header().hop_by_hop_id, told.code()), (at, 2001));
        let wants = (2..5).contains(&at);
        assert_eq!(told.groups()[0].2, wants.then_some(MB).or((at == 1).then_some(2 * MB)), "request {at}");
    }
    assert_eq!(stage.account(), ("0.57".into(), "0".into()));
    let told = pgw.ask(&pgw.data("s", Update, 8, &[(10, 0, ask)])).await;
    assert_eq!(told.code(), 5002, "it is over");
}

#[tokio::test]
async fn a_session_belongs_to_its_client() {
    let mut stage = Stage::set("1.00").await;
    let ask = Some(5 * MB);
    for _ in 0..2 {
        let mut pgw = stage.client(PGW).await;
        assert_eq!(pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, ask)])).await.code(), 2001);
        let mut other = stage.client("smf.core.example.net").await;
        for (kind, number) in [(Update, 1), (Termination, 2), (Initial, 0)] {
            let told = other.ask(&other.data("s", kind, number, &[(10, MB, ask)])).await;
            assert_ne!(told.code(), 2001, "{kind:?}");
        }
        assert_eq!(stage.account(), ("1".into(), "0.5".into()));
        stage.agent_dies().await;
    }
}

#[tokio::test]
async fn after_a_restart_sessions_go_on_and_copies_are_known() {
    let mut stage = Stage::with("1.00", |config| config.interim = types::ConfigDuration::from_ms(1)).await;
    let ask = Some(2 * MB);
    let mut pgw = stage.client(PGW).await;
    let begin = pgw.data("s", Initial, 0, &[(10, 0, ask), (20, 0, ask)]);
    let update = pgw.data("s", Update, 1, &[(10, 2 * MB, ask)]);
    let end = pgw.data("s", Termination, 2, &[(10, MB, None), (20, MB, None)]);
    pgw.ask(&begin).await;
    let before = pgw.ask(&update).await.groups();
    stage.agent_dies().await;
    let mut pgw = stage.client(PGW).await;
    assert_eq!(pgw.ask(&update).await.groups(), before, "the copy");
    assert_eq!(stage.account(), ("0.8".into(), "0.22".into()));
    assert_eq!(pgw.ask(&end).await.code(), 2001);
    stage.agent_dies().await;
    let mut pgw = stage.client(PGW).await;
    assert_eq!(pgw.ask(&end).await.code(), 2001, "the copy of the last");
    assert_eq!(stage.account(), ("0.69".into(), "0".into()));
    let recorded = [
        (RecordType::Start, 0, vec![], None),
        (RecordType::Interim, 1, vec![(10, 2 * MB)], Some("0.2".into())),
        (RecordType::Stop, 2, vec![(10, MB), (20, MB)], Some("0.31".into())),
    ];
    assert_eq!(stage.told("s"), recorded);
}

#[tokio::test]
async fn a_debit_is_made_once_whatever_is_repeated() {
    let mut stage = Stage::set("1.00").await;
    for _ in 0..2 {
        let mut pgw = stage.client(PGW).await;
        let mut debit = pgw.ccr("e", SMS, Event, 0);
        debit.requested_action = Some(RequestedAction::DirectDebiting);
        debit.event_timestamp = Some(protocol_codecs::diameter::Time(0xEEAC_B36F));
        for _ in 0..3 {
            assert_eq!(pgw.ask(&debit).await.code(), 2001);
            assert_eq!(stage.account().0, "0.92");
        }
        stage.agent_dies().await;
    }
}
