//! Copies, requests that overtake each other, whose session it is, and restarts.

use CcRequestType::{Event, Initial, Termination, Update};
use cdr_model::RecordType;
use protocol_codecs::diameter::{CcRequestType, Command, Exchange, RequestedAction, Time};
use types::charging::Operation;

use crate::stage::{MB, PATIENCE, PGW, SMS, Stage, Told};

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
    for told_when in [true, false] {
        let mut stage = Stage::set("1.00").await;
        let time = Time::from_epoch_ms(agent_runtime::Clock::system().now().utc.0).filter(|_| told_when);
        for round in 0..4 {
            let mut pgw = stage.client(PGW).await;
            let mut debit = pgw.ccr("e", SMS, Event, 0);
            debit.requested_action = Some(RequestedAction::DirectDebiting);
            debit.event_timestamp = time;
            let mut refund = debit.clone();
            refund.requested_action = Some(RequestedAction::RefundAccount);
            for _ in 0..2 {
                assert_eq!(pgw.ask(&debit).await.code(), 2001, "round {round}, told when: {told_when}");
                assert_eq!(stage.account().0, if round < 2 { "0.92" } else { "1" });
            }
            // From the second life on it is taken back, once; the debit is known as a copy all the same.
            if round > 0 {
                for _ in 0..2 {
                    assert_eq!(pgw.ask(&refund).await.code(), 2001, "round {round}, told when: {told_when}");
                    assert_eq!(stage.account().0, "1");
                }
            }
            drop(pgw);
            stage.agent_dies().await;
        }
        let kinds: Vec<_> = stage.told("e").into_iter().map(|row| row.0).collect();
        assert_eq!(kinds, [RecordType::Event, RecordType::Event], "one for the debit, one for its refund");
    }
}

/// The client is gone, the core has decided the end, and the agent dies before its records are written: the next one writes them.
#[tokio::test]
async fn the_end_of_a_session_is_recorded_whoever_dies() {
    let mut stage = Stage::set("1.00").await;
    let mut pgw = stage.client(PGW).await;
    pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, Some(5 * MB))])).await;
    stage.core.lose_answers(u32::MAX);
    let end = pgw.data("s", Termination, 1, &[(10, 3 * MB, None)]);
    pgw.send(end.encoded(Exchange::new(9, 9)).expect("a CCR").bytes().clone()).await;
    stage.until("the end with the core", |stage| stage.account() == ("0.7".into(), "0".into())).await;
    drop(pgw);
    assert_eq!(stage.told("s").len(), 1, "no STOP yet");
    stage.agent_dies().await;
    stage.core.lose_answers(0);
    stage.until("the STOP", |stage| stage.told("s").len() == 2).await;
    let stop = stage.told("s").pop().expect("a record");
    assert_eq!(stop, (RecordType::Stop, 1, vec![(10, 3 * MB)], Some("0.3".into())));
    // Another record behind the STOP is answered: so the agent knows that the STOP is on disk.
    let mut pgw = stage.client(PGW).await;
    pgw.ask(&pgw.data("t", Initial, 0, &[(10, 0, None)])).await;
    let ends =
        |stage: &Stage| stage.core.requests().iter().filter(|one| one.operation == Operation::Termination).count();
    let before = ends(&stage);
    stage.agent_dies().await;
    stage.charging.recovered().await;
    assert_eq!(ends(&stage), before, "the outbox has let it go: it is not asked again");
    assert_eq!((stage.account().0, stage.told("s").len()), ("0.7".into(), 2));
}

/// A client that comes back with a higher Origin-State-Id has lost its sessions, also those that only the core still knows.
#[tokio::test]
async fn a_client_that_restarts_ends_the_sessions_that_the_agent_has_forgotten() {
    let mut stage = Stage::set("10.00").await;
    let mut pgw = stage.client(PGW).await;
    pgw.ask(&pgw.data("forgotten", Initial, 0, &[(10, 0, Some(MB))])).await;
    stage.agent_dies().await;
    let mut pgw = stage.client(PGW).await;
    let mut begin = pgw.data("remembered", Initial, 0, &[(10, 0, Some(MB))]);
    begin.origin_state_id = Some(5);
    assert_eq!(pgw.ask(&begin).await.code(), 2001);
    // A number that rises sooner is not believed.
    pass(11).await;
    let mut begin = pgw.data("new", Initial, 0, &[(10, 0, Some(MB))]);
    begin.origin_state_id = Some(6);
    assert_eq!(pgw.ask(&begin).await.code(), 2001);
    stage.until("the ends of both", |stage| stage.account() == ("10".into(), "0.1".into())).await;
    for session in ["forgotten", "remembered"] {
        stage.until("its STOP", |stage| stage.told(session).last().is_some_and(|row| row.0 == RecordType::Stop)).await;
    }
}

/// Copies are answered from memory for a time, not for ever: then by the core, which knows them as long as its keys live.
#[tokio::test]
async fn answers_are_kept_for_copies_and_then_forgotten() {
    let hour = types::ConfigDuration::from_s(3_600);
    let stage = Stage::with("1.00", |config| config.limits.watchdog = hour).await;
    let mut pgw = stage.client(PGW).await;
    let asked = |stage: &Stage| stage.core.requests().len();
    pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, Some(MB))])).await;
    let end = pgw.data("s", Termination, 1, &[(10, MB, None)]);
    assert_eq!(pgw.ask(&end).await.code(), 2001);
    let before = asked(&stage);
    assert_eq!((pgw.ask(&end).await.code(), asked(&stage)), (2001, before), "from memory");
    pass(301).await;
    let begun = std::time::Instant::now();
    // Until the agent has looked.
    while asked(&stage) == before {
        assert_eq!(pgw.ask(&end).await.code(), 2001);
        assert!(begun.elapsed() < PATIENCE, "never forgotten");
    }
    assert_eq!((stage.account(), stage.told("s").len()), (("0.9".into(), "0".into()), 2));
}

/// Lets time pass for the agent at a stroke.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
    tokio::time::resume();
}
