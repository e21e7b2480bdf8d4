//! Sessions that nobody reports on any more, and keys that grow old.

use types::charging::{ChargingRequest, ResultCode, SessionPhase};

use crate::desk::{Desk, NOON, cost, granted, initial, termination, update};
use crate::examples::example_1;
use crate::tariff::{Tariff, r1, r3};

const HOUR: u64 = 3_600_000;

#[test]
fn an_unanswered_session_expires_for_nothing() {
    let mut desk = Desk::with(Tariff::of(r3()), "1.00");
    desk.answer(&initial("s", 30));
    assert!(desk.at(180_000 + 60_000 + 60_000 - 1).sweep().is_empty());
    assert_eq!(desk.at(180_000 + 60_000 + 60_000).sweep().len(), 1);
    desk.expect("a", "1.00", "0");
}

#[test]
fn an_expired_session_that_lives_goes_on() {
    let mut desk = example_1(2);
    desk.at(200_000).sweep();
    desk.expect("a", "0.45", "0");
    let answer = desk.at(201_000).answer(&update("s", 2, 35_000, 30));
    assert_eq!((granted(&answer), cost(&answer).0.as_str()), ((30_000, false), "0.6"));
    desk.expect("a", "0.40", "0.30");
    assert_eq!(desk.books.session(&"s".into()).map(|session| session.phase), Some(SessionPhase::Open));
    desk.at(400_000).sweep();
    desk.expect("a", "0.10", "0");
    desk.answer(&termination("s", 3, 1000));
    desk.expect("a", "0.39", "0");
}

#[test]
fn expiry_of_many_goes_one_by_one_and_oldest_first() {
    let mut desk = Desk::with(Tariff::of(r1()), "10");
    for (at, session) in [(0, "late"), (1, "later"), (2, "latest")] {
        desk.at(at).answer(&initial(session, 30));
    }
    assert_eq!(desk.at(HOUR).sweep(), ["late".into(), "later".into(), "latest".into()]);
    assert_eq!(desk.books.next_deadline(), None);
}

#[test]
fn keys_live_as_long_as_the_window_and_are_never_applied_after_it() {
    let mut desk = example_1(4);
    let first = desk.answer(&initial("s", 30));
    desk.at(70_000 + 49 * HOUR - 1).sweep();
    assert_eq!(desk.answer(&initial("s", 30)), first, "kept: the window and an hour for clocks that differ");
    desk.at(70_000 + 49 * HOUR + 120_000).sweep();
    assert_eq!(desk.books.kept_session_count(), 0);
    for request in [initial("s", 30), update("s", 1, 25_000, 30), termination("s", 3, 20_000)] {
        assert_eq!(desk.answer(&request).result_code, ResultCode::EXPIRED);
    }
    desk.expect("a", "0.30", "0");
    let fresh = ChargingRequest { event_time: desk.now, ..update("s", 1, 25_000, 30) };
    assert_eq!(desk.answer(&fresh).result_code, ResultCode::UNKNOWN_SESSION);
    assert!(desk.now > NOON);
}

#[test]
fn a_clock_ahead_cannot_outlive_its_keys() {
    let mut desk = Desk::with(Tariff::of(r1()), "10");
    let ahead = |desk: &Desk, ms: u64| ChargingRequest { event_time: desk.now.plus(ms), ..initial("s", 30) };
    let refused = ahead(&desk, HOUR + 1);
    assert_eq!(desk.answer(&refused).result_code, ResultCode::INVALID_VALUE);
    desk.expect("a", "10", "0");
    let taken = ahead(&desk, HOUR);
    assert_eq!(desk.answer(&taken).result_code, ResultCode::SUCCESS);
    desk.answer(&termination("s", 1, 0));
    // Whenever the copy comes: the stored answer, or none. Never a second session.
    for hour in 0..100 {
        desk.at(hour * HOUR + 60_000).sweep();
        let copy = desk.answer(&taken).result_code;
        assert!([ResultCode::SUCCESS, ResultCode::EXPIRED].contains(&copy), "{copy:?} after {hour} hours");
        desk.expect("a", "10", "0");
    }
    assert_eq!(desk.books.kept_session_count(), 0);
}

/// The rule is for keys that nobody knows: what a known session used is charged, whatever the clock says.
#[test]
fn a_clock_that_jumps_ahead_in_mid_call_costs_nobody_the_call() {
    let mut desk = example_1(1);
    let ahead =
        |desk: &Desk, request: ChargingRequest| ChargingRequest { event_time: desk.now.plus(5 * HOUR), ..request };
    desk.at(25_000);
    let report = ahead(&desk, update("s", 1, 25_000, 30));
    let answer = desk.answer(&report);
    assert_eq!(granted(&answer), (30_000, false));
    desk.expect("a", "0.75", "0.30");
    // A first request from the same clock is refused; nothing is stored, and it is taken when the clock is right again.
    let refused = ahead(&desk, ChargingRequest { request_number: 0, ..initial("t", 30) });
    assert_eq!(desk.answer(&refused).result_code, ResultCode::INVALID_VALUE);
    let right = ChargingRequest { event_time: desk.now, ..refused };
    assert_eq!(desk.answer(&right).result_code, ResultCode::SUCCESS);
    let end = ahead(&desk, termination("s", 2, 5_000));
    desk.answer(&end);
    desk.expect("a", "0.70", "0.30");
}

#[test]
fn a_provisional_settlement_that_nobody_replaces_is_final() {
    let mut desk = example_1(2);
    desk.at(HOUR).sweep();
    desk.at(60 * HOUR).sweep();
    assert!(desk.books.sessions_of(&"agent-1".into()).is_empty());
    desk.expect("a", "0.45", "0");
}
