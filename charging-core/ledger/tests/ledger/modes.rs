//! Postpaid, pseudoprepaid, rated; credit limits; rounding once; blocking.

use types::charging::{ChargingMode, ChargingRequest, NotificationKind, ResultCode};
use types::{Money, ReleaseCause};

use crate::desk::{Desk, cost, cut, granted, initial, key, notices, termination, update};
use crate::tariff::{Rate, Tariff, currency, money, r1, r3};
use ledger::{Command, CreateAccount};

fn in_mode(charging_mode: ChargingMode, request: ChargingRequest) -> ChargingRequest {
    ChargingRequest { charging_mode, ..request }
}

#[test]
fn modes_row_by_row() {
    // mode, start, then balance and held after INITIAL, UPDATE +25 and TERMINATION +45.
    let rows = [
        (ChargingMode::Prepaid, "1.00", [("1.00", "0.30"), ("0.75", "0.30"), ("0.30", "0")]),
        (ChargingMode::Pseudoprepaid, "1.00", [("1.00", "0.30"), ("1.00", "0.55"), ("0.30", "0")]),
        (ChargingMode::Postpaid, "1.00", [("1.00", "0"), ("1.00", "0"), ("0.30", "0")]),
        (ChargingMode::Postpaid, "0", [("0", "0"), ("0", "0"), ("-0.70", "0")]),
        (ChargingMode::Rated, "0", [("0", "0"), ("0", "0"), ("0", "0")]),
    ];
    for (mode, start, states) in rows {
        let mut desk = Desk::with(Tariff::of(r1()), start);
        let requests = [initial("s", 30), update("s", 1, 25_000, 30), termination("s", 2, 45_000)];
        for (request, (balance, held)) in requests.into_iter().zip(states) {
            let answer = desk.answer(&in_mode(mode, request));
            assert_eq!(answer.result_code, ResultCode::SUCCESS);
            desk.expect("a", balance, held);
            if answer.request_number == 2 {
                assert_eq!(cost(&answer), ("0.7".into(), "0".into()), "{mode:?}");
            }
        }
    }
}

#[test]
fn pseudoprepaid_never_grants_beyond_the_balance() {
    let mut desk = Desk::with(Tariff::of(r1()), "0.45");
    let mode = ChargingMode::Pseudoprepaid;
    desk.answer(&in_mode(mode, initial("s", 30)));
    let answer = desk.answer(&in_mode(mode, update("s", 1, 25_000, 30)));
    assert_eq!(granted(&answer), (20_000, true));
    desk.expect("a", "0.45", "0.45");
    desk.answer(&in_mode(mode, termination("s", 2, 20_000)));
    desk.expect("a", "0", "0");
}

#[test]
fn a_postpaid_session_that_expires_is_debited_provisionally() {
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    let mode = ChargingMode::Postpaid;
    desk.answer(&in_mode(mode, initial("s", 30)));
    desk.answer(&in_mode(mode, update("s", 1, 25_000, 30)));
    desk.at(3_600_000).sweep();
    desk.expect("a", "0.45", "0");
    desk.answer(&in_mode(mode, termination("s", 2, 5000)));
    desk.expect("a", "0.70", "0");
}

#[test]
fn a_credit_limit_is_spent_like_money() {
    let mut desk = Desk::new(Tariff::of(r1()));
    desk.create(CreateAccount {
        key: key("a"),
        currency: currency("EUR"),
        identities: vec![],
        low_balance_limit: Some(money("0.10")),
        credit_limit: Some(money("0.40")),
    });
    let answer = desk.answer(&initial("s", 30));
    assert_eq!((granted(&answer), answer.low_balance), ((30_000, false), false));
    assert_eq!(answer.remaining_balance, Some(money("0.10")));
    let answer = desk.answer(&update("s", 1, 25_000, 30));
    assert_eq!((granted(&answer), answer.low_balance), ((15_000, true), true));
    assert_eq!(cost(&desk.answer(&termination("s", 2, 20_000))), ("0.45".into(), "0.05".into()));
    desk.expect("a", "-0.45", "0");
}

#[test]
fn the_warning_comes_below_the_limit_and_not_at_it() {
    for (limit, low) in [("0.70", false), ("0.700000001", true)] {
        let mut desk = Desk::new(Tariff::of(r1()));
        desk.create(CreateAccount {
            key: key("a"),
            currency: currency("EUR"),
            identities: vec![],
            low_balance_limit: Some(money(limit)),
            credit_limit: None,
        });
        desk.top_up("a", "1");
        assert_eq!(desk.answer(&initial("s", 30)).low_balance, low, "{limit}");
    }
}

#[test]
fn the_close_rounds_once_and_the_hold_covers_it() {
    let rate = Rate { price: money("0.001"), round_up_to: Some(money("0.05")), ..r1() };
    let mut desk = Desk::with(Tariff::of(rate), "0.10");
    desk.answer(&initial("s", 30));
    desk.expect("a", "0.10", "0.05");
    desk.answer(&update("s", 1, 25_000, 30));
    desk.expect("a", "0.075", "0.075");
    let answer = desk.answer(&update("s", 2, 35_000, 60));
    // 0.06 is charged, up to 0.10 the rounded price is there.
    assert_eq!(granted(&answer), (40_000, true));
    desk.expect("a", "0.04", "0.04");
    desk.answer(&termination("s", 3, 1000));
    desk.expect("a", "0", "0");
}

#[test]
fn nothing_left_at_an_update() {
    let mut desk = Desk::with(Tariff::of(r1()), "0.30");
    desk.answer(&initial("s", 30));
    let answer = desk.answer(&update("s", 1, 30_000, 30));
    assert_eq!(granted(&answer), (0, true));
    assert_eq!(answer.units[0].result_code, ResultCode::CREDIT_LIMIT_REACHED);
    desk.expect("a", "0", "0");
}

#[test]
fn blocking_ends_sessions_and_charges_what_was_used() {
    for mode in [ChargingMode::Prepaid, ChargingMode::Postpaid] {
        let mut desk = Desk::with(Tariff::of(r1()), "1.00");
        desk.answer(&in_mode(mode, initial("s", 30)));
        desk.run(&Command::Block(key("a")));
        let answer = desk.answer(&in_mode(mode, update("s", 1, 25_000, 30)));
        assert_eq!((answer.units[0].granted, granted(&answer)), (None, (0, true)));
        assert_eq!(answer.units[0].result_code, ResultCode::END_USER_SERVICE_DENIED);
        let listed = desk.books.session(&"s".into()).map(|session| (session.granted_time_ms, session.final_grant));
        assert_eq!(listed, Some((30_000, true)), "what was granted before runs out");
        let abort = NotificationKind::Abort(ReleaseCause::AccountBlocked);
        assert_eq!(notices(&answer), [("s".into(), abort)], "until it is confirmed or the session ends");
        let answer = desk.answer(&in_mode(mode, termination("s", 2, 1000)));
        assert!(answer.notifications.is_empty());
        desk.expect("a", "0.74", "0");
        assert_eq!(desk.answer(&initial("t", 30)).result_code, ResultCode::END_USER_SERVICE_DENIED);
    }
}

#[test]
fn the_core_decides_how_much_when_nothing_is_asked() {
    let mut desk = Desk::with(Tariff::of(r3()), "100");
    let mut asked = initial("s", 0);
    asked.units[0].requested = Some(types::charging::Units::default());
    assert_eq!(granted(&desk.answer(&asked)), (120_000, false));
    let huge = initial("t", u64::MAX / 1000);
    let answer = desk.answer(&ChargingRequest { charging_mode: ChargingMode::Prepaid, ..huge });
    assert_eq!(granted(&answer).0 % 60_000, 0);
    let view = desk.books.account(&key("a"));
    assert!(view.is_some_and(|view| view.available >= Money::ZERO));
}

#[test]
fn overrun_adds_up_and_shrinks_when_usage_turns_out_smaller() {
    let mut desk = Desk::with(Tariff::of(r1()), "0.45");
    desk.answer(&initial("s", 30));
    assert_eq!(cost(&desk.answer(&update("s", 1, 50_000, 30))), ("0.5".into(), "0.05".into()));
    assert_eq!(cost(&desk.answer(&termination("s", 2, 3000))), ("0.53".into(), "0.08".into()));
    desk.expect("a", "-0.08", "0");
    // An expiry that spends what another session overdrew, and the report that replaces it.
    let mut desk = Desk::with(Tariff::of(r1()), "0.60");
    desk.answer(&initial("s", 30));
    desk.answer(&update("s", 1, 1000, 30));
    desk.answer(&initial("t", 29));
    desk.answer(&termination("t", 1, 40_000));
    desk.at(3_600_000).sweep();
    desk.expect("a", "-0.11", "0");
    let overrun = |desk: &Desk| desk.books.session(&"s".into()).and_then(|session| session.cost).map(|c| c.overrun);
    assert_eq!(overrun(&desk), Some(money("0.11")));
    assert_eq!(cost(&desk.answer(&termination("s", 2, 20_000))), ("0.21".into(), "0.01".into()));
    desk.expect("a", "-0.01", "0");
}

#[test]
fn a_denied_update_lets_the_earlier_grant_run_out() {
    let mut desk = Desk::with(Tariff::of(r1()), "0.60");
    desk.answer(&initial("s", 30));
    desk.answer(&initial("t", 30));
    desk.answer(&termination("t", 1, 80_000));
    desk.expect("a", "-0.20", "0.30");
    let answer = desk.answer(&update("s", 1, 10_000, 30));
    assert_eq!((answer.units[0].granted, granted(&answer)), (None, (0, true)));
    desk.expect("a", "-0.30", "0.20");
    let listed = desk.books.session(&"s".into()).map(|session| session.granted_time_ms);
    assert_eq!(listed, Some(30_000));
    desk.answer(&cut("s", 2, 20_900));
    desk.expect("a", "-0.50", "0");
}
