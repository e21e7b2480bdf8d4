//! Idempotency keys: copies, conflicts, owners, reordering.

use types::charging::{ChargingRequest, Operation, ResultCode, ServiceInformation, UnitUsage, Units};
use types::{Number, ReleaseCause};

use crate::desk::{Desk, NOON, cut, granted, initial, request, termination, update, used};
use crate::examples::example_1;
use crate::tariff::{Tariff, r1};

fn with(change: impl FnOnce(&mut ChargingRequest)) -> ChargingRequest {
    let mut request = update("s", 1, 25_000, 30);
    change(&mut request);
    request
}

#[test]
fn what_is_chargeable_content_and_what_is_not() {
    let node = ServiceInformation { node: Some("n2".into()), trunk: Some("t".into()), ..Default::default() };
    let same = [
        with(|r| r.retransmission = true),
        with(|r| r.client_state = vec![1, 2]),
        with(|r| r.event_time = NOON.plus(9)),
        with(|r| r.calling = Some(Number::from("+1"))),
        with(|r| r.service_information = Some(Box::new(node.clone()))),
    ];
    let other = [
        with(|r| r.units[0].used = vec![used(1, 25_001)]),
        with(|r| r.units[0].requested = Some(Units::time(31_000))),
        with(|r| r.units[0].requested = None),
        with(|r| r.units[0].rating_group = 1),
        with(|r| r.units[0].category = Some("data".into())),
        with(|r| r.units[0].called = Some(Number::from("+4930"))),
        with(|r| r.units.push(UnitUsage { rating_group: 2, ..UnitUsage::default() })),
        with(|r| r.answer_time = Some(NOON.plus(1))),
        with(|r| r.answer_time = None),
        with(|r| r.called = Some(Number::from("+4930"))),
        with(|r| r.category = "sms".into()),
        with(|r| r.subject = Some("x".into())),
        with(|r| r.release_cause = Some(ReleaseCause::CreditExhausted)),
        with(|r| r.operation = Operation::Termination),
    ];
    let mut desk = example_1(2);
    let stored = desk.answer(&update("s", 1, 25_000, 30));
    let changes = desk.log.len();
    for (at, copy) in same.iter().enumerate() {
        assert_eq!(desk.answer(copy), stored, "same {at}");
    }
    for (at, conflict) in other.iter().enumerate() {
        assert_eq!(desk.answer(conflict).result_code, ResultCode::INVALID_VALUE, "other {at}");
    }
    assert_eq!(desk.log.len(), changes);
}

#[test]
fn only_the_owner_and_only_known_sessions() {
    let mut desk = example_1(2);
    let changes = desk.log.len();
    let foreign = with(|r| r.client_id = "agent-2".into());
    assert_eq!(desk.answer(&foreign).result_code, ResultCode::AUTHORIZATION_REJECTED);
    assert_eq!(desk.answer(&update("x", 1, 1, 30)).result_code, ResultCode::UNKNOWN_SESSION);
    assert_eq!(desk.answer(&termination("x", 1, 1)).result_code, ResultCode::UNKNOWN_SESSION);
    let second_initial = ChargingRequest { request_number: 5, ..initial("s", 30) };
    assert_eq!(desk.answer(&second_initial).result_code, ResultCode::INVALID_VALUE);
    let long = ChargingRequest { session_id: "x".repeat(513).into(), ..initial("s", 30) };
    assert_eq!(desk.answer(&long).result_code, ResultCode::INVALID_VALUE);
    assert_eq!(desk.log.len(), changes);
}

#[test]
fn absurd_usage_is_refused_and_changes_nothing() {
    let mut desk = example_1(2);
    let changes = desk.log.len();
    for used_ms in [u64::MAX, ledger::MAX_USAGE, ledger::MAX_USAGE + 1] {
        assert_eq!(desk.answer(&update("s", 2, used_ms, 30)).result_code, ResultCode::INVALID_VALUE);
    }
    let twice = with(|r| {
        r.request_number = 2;
        r.units.push(r.units[0].clone());
    });
    assert_eq!(desk.answer(&twice).result_code, ResultCode::INVALID_VALUE);
    let split = with(|r| {
        r.request_number = 2;
        r.units[0].used = vec![used(1, u64::MAX), used(2, u64::MAX)];
    });
    assert_eq!(desk.answer(&split).result_code, ResultCode::INVALID_VALUE);
    assert_eq!(desk.log.len(), changes);
}

#[test]
fn reports_in_any_order_cost_the_same() {
    let requests = [update("s", 1, 25_000, 30), update("s", 2, 25_000, 30), termination("s", 3, 20_000)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut desk = example_1(1);
        for at in order {
            desk.answer(&requests[at]);
        }
        desk.expect("a", "0.30", "0");
        assert_eq!(desk.books.session(&"s".into()).map(|session| session.used_time_ms), Some(70_000), "{order:?}");
    }
}

#[test]
fn an_overtaken_report_moves_the_later_grant() {
    let mut desk = example_1(1);
    assert_eq!(granted(&desk.answer(&update("s", 2, 25_000, 30))), (30_000, false));
    desk.expect("a", "0.75", "0.30");
    let late = desk.answer(&update("s", 1, 25_000, 30));
    assert_eq!(late.units[0].granted, None);
    desk.expect("a", "0.50", "0.30");
    assert_eq!(desk.books.session(&"s".into()).map(|session| session.granted_time_ms), Some(80_000));
}

#[test]
fn the_cut_tolerance_survives_reordering() {
    for order in [[0, 1], [1, 0]] {
        let mut desk = Desk::with(Tariff::of(r1()), "0.45");
        desk.answer(&initial("s", 30));
        desk.answer(&update("s", 1, 25_000, 30));
        let requests = [
            ChargingRequest {
                units: vec![UnitUsage { used: vec![used(2, 15_000)], ..Default::default() }],
                ..request("s", 2, Operation::Update)
            },
            cut("s", 3, 5080),
        ];
        for at in order {
            desk.answer(&requests[at]);
        }
        desk.expect("a", "0", "0");
    }
}

#[test]
fn usage_after_a_denial_is_charged_all_the_same() {
    // The core was away, the call went on by configuration, and the INITIAL is denied afterwards.
    let mut desk = Desk::with(Tariff::of(r1()), "0");
    let denied = desk.answer(&initial("s", 30));
    assert_eq!(denied.result_code, ResultCode::CREDIT_LIMIT_REACHED);
    let refused = ChargingRequest { units: vec![], ..request("s", 1, Operation::Update) };
    assert_eq!(desk.answer(&refused).result_code, ResultCode::UNKNOWN_SESSION);
    let answer = desk.answer(&update("s", 1, 25_000, 30));
    assert_eq!(answer.units[0].result_code, ResultCode::CREDIT_LIMIT_REACHED);
    desk.expect("a", "-0.25", "0");
    desk.answer(&termination("s", 2, 5000));
    desk.answer(&termination("s", 2, 5000));
    desk.expect("a", "-0.30", "0");
}
