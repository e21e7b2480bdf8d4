//! The worked examples 1 to 8 of the money, row by row: balance and held after each.

use types::charging::{NotificationKind, ResultCode};

use crate::desk::{Desk, cost, cut, gone, granted, initial, notices, request, termination, update};
use crate::tariff::{Tariff, r1, r3};

fn desk(balance: &str) -> Desk {
    Desk::with(Tariff::of(r1()), balance)
}

/// Example 1 until the request of `rows` - 1 has been answered.
pub fn example_1(rows: usize) -> Desk {
    let mut desk = desk("1.00");
    let steps = [
        (0, initial("s", 30), "1.00", "0.30", 30_000),
        (25_000, update("s", 1, 25_000, 30), "0.75", "0.30", 30_000),
        (50_000, update("s", 2, 25_000, 30), "0.50", "0.30", 30_000),
        (70_000, termination("s", 3, 20_000), "0.30", "0", 0),
    ];
    for (at, request, balance, held, grant) in steps.into_iter().take(rows) {
        let answer = desk.at(at).answer(&request);
        assert_eq!(granted(&answer), (grant, false), "at {at}");
        desk.expect("a", balance, held);
    }
    desk
}

#[test]
fn example_1_a_call_that_ends_by_itself() {
    let desk = example_1(4);
    let session = desk.books.session(&"s".into()).expect("kept");
    assert_eq!((session.used_time_ms, session.billable_ms), (70_000, 70_000));
    assert_eq!(session.cost.map(|cost| cost.amount.to_string()).as_deref(), Some("0.7"));
}

/// Example 2 up to t = 40.
fn example_2() -> Desk {
    let mut desk = desk("0.45");
    let answer = desk.answer(&initial("s", 30));
    assert_eq!((granted(&answer), answer.low_balance), ((30_000, false), false));
    desk.expect("a", "0.45", "0.30");
    let answer = desk.at(25_000).answer(&update("s", 1, 25_000, 30));
    assert_eq!((granted(&answer), answer.low_balance), ((20_000, true), true));
    desk.expect("a", "0.20", "0.20");
    let answer = desk.at(40_000).answer(&update("s", 2, 15_000, 30));
    assert_eq!((granted(&answer), answer.low_balance), ((5000, true), true));
    desk.expect("a", "0.05", "0.05");
    desk
}

#[test]
fn example_2_credit_ends() {
    let mut desk = example_2();
    let answer = desk.at(45_080).answer(&cut("s", 3, 5080));
    assert_eq!(cost(&answer), ("0.45".into(), "0".into()));
    assert_eq!(answer.units[0].billable, 45_000);
    desk.expect("a", "0", "0");
}

#[test]
fn example_2_the_switch_obeys_late() {
    for (used_ms, balance, overrun) in [(6000, "0", "0"), (6001, "-0.02", "0.02"), (8000, "-0.03", "0.03")] {
        let mut desk = example_2();
        let answer = desk.at(48_000).answer(&cut("s", 3, used_ms));
        assert_eq!(cost(&answer).1, overrun, "{used_ms}");
        desk.expect("a", balance, "0");
    }
    // Not our cut: the caller talked beyond the grant, which is charged from the first millisecond.
    let mut desk = example_2();
    desk.at(45_080).answer(&termination("s", 3, 5080));
    desk.expect("a", "-0.01", "0");
}

#[test]
fn example_3_coarse_increments_and_a_connect_fee() {
    let mut desk = Desk::with(Tariff::of(r3()), "1.00");
    assert_eq!(granted(&desk.answer(&initial("s", 30))), (60_000, false));
    desk.expect("a", "1.00", "0.65");
    let answer = desk.at(55_000).answer(&update("s", 1, 55_000, 30));
    assert_eq!((granted(&answer), answer.low_balance), ((5000, true), true));
    assert_eq!(answer.units[0].result_code, ResultCode::SUCCESS);
    desk.expect("a", "0.35", "0");
    let answer = desk.at(60_040).answer(&cut("s", 2, 5040));
    assert_eq!((cost(&answer).0.as_str(), answer.units[0].billable), ("0.65", 60_000));
    desk.expect("a", "0.35", "0");
}

#[test]
fn example_4_not_answered() {
    for (rate, held) in [(r1(), "0.30"), (r3(), "0.65")] {
        let mut desk = Desk::with(Tariff::of(rate), "1.00");
        desk.answer(&initial("s", 30));
        desk.expect("a", "1.00", held);
        let answer = desk.at(20_000).answer(&gone("s", 1));
        assert_eq!(cost(&answer), ("0".into(), "0".into()));
        desk.expect("a", "1.00", "0");
    }
    // Answered, and gone before anything was used: still no connect fee.
    let mut desk = Desk::with(Tariff::of(r3()), "1.00");
    desk.answer(&initial("s", 30));
    desk.answer(&request("s", 1, types::charging::Operation::Termination));
    desk.expect("a", "1.00", "0");
}

#[test]
fn example_5_two_calls_on_one_account() {
    let mut desk = desk("0.45");
    assert_eq!(granted(&desk.answer(&initial("A", 30))), (30_000, false));
    desk.expect("a", "0.45", "0.30");
    assert_eq!(granted(&desk.answer(&initial("B", 30))), (15_000, true));
    desk.expect("a", "0.45", "0.45");
    let answer = desk.at(10_000).answer(&update("B", 1, 10_000, 30));
    assert_eq!(granted(&answer), (5000, true));
    desk.expect("a", "0.35", "0.35");
    let answer = desk.at(12_000).answer(&termination("A", 1, 12_000));
    assert_eq!(cost(&answer).0, "0.12");
    assert_eq!(notices(&answer), [("B".into(), NotificationKind::Reauthorize)]);
    desk.expect("a", "0.23", "0.05");
    let answer = desk.answer(&update("B", 2, 2000, 30));
    assert_eq!((granted(&answer), notices(&answer)), ((21_000, true), vec![]));
    desk.expect("a", "0.21", "0.21");
    assert_eq!(granted(&desk.at(28_000).answer(&update("B", 3, 16_000, 30))), (5000, true));
    desk.expect("a", "0.05", "0.05");
    let answer = desk.at(33_030).answer(&cut("B", 4, 5030));
    assert_eq!(cost(&answer), ("0.33".into(), "0".into()));
    desk.expect("a", "0", "0");
}

#[test]
fn example_6_a_top_up_saves_the_call() {
    let mut desk = example_2();
    desk.at(43_000).top_up("a", "1.00");
    desk.expect("a", "1.05", "0.05");
    let pending = desk.books.notifications(&"agent-1".into());
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].session_id.as_str(), pending[0].kind), ("s", NotificationKind::Reauthorize));
    assert_eq!(granted(&desk.answer(&update("s", 3, 3000, 30))), (30_000, false));
    desk.expect("a", "1.02", "0.30");
    desk.at(50_000).answer(&termination("s", 4, 7000));
    desk.expect("a", "0.95", "0");
}

#[test]
fn example_7_lost_answers_and_copies() {
    let mut desk = desk("1.00");
    let first = desk.answer(&initial("s", 30));
    let copy = desk.charge(&types::charging::ChargingRequest { retransmission: true, ..initial("s", 30) });
    assert_eq!((&*copy.answer, copy.replayed), (&first, true));
    desk.expect("a", "1.00", "0.30");
    let first = desk.answer(&update("s", 1, 25_000, 30));
    desk.answer(&update("s", 2, 25_000, 30));
    desk.expect("a", "0.50", "0.30");
    let changes = desk.log.len();
    assert_eq!(desk.answer(&update("s", 1, 25_000, 30)), first);
    let other = desk.answer(&update("s", 1, 26_000, 30));
    assert_eq!(other.result_code, ResultCode::INVALID_VALUE);
    assert_eq!(desk.log.len(), changes, "copies change nothing");
    desk.expect("a", "0.50", "0.30");
    desk.answer(&termination("s", 3, 20_000));
    desk.expect("a", "0.30", "0");
}

#[test]
fn example_8_agent_killed_comes_back() {
    let mut desk = example_1(2);
    let listed = desk.at(48_000).books.sessions_of(&"agent-1".into());
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].used_time_ms, listed[0].granted_time_ms, listed[0].final_grant), (25_000, 55_000, false));
    desk.at(50_000).answer(&update("s", 2, 25_000, 30));
    desk.at(70_000).answer(&termination("s", 3, 20_000));
    desk.expect("a", "0.30", "0");
    assert!(desk.books.sessions_of(&"agent-1".into()).is_empty());
}
