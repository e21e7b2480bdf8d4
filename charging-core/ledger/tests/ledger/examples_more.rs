//! The worked examples 9 to 12 and 14 to 16 of the money.

use types::charging::{
    ChargingMode, ChargingRequest, Operation, RequestedAction, ResultCode, Service, SessionPhase, UnitUsage, Units,
    UsedUnits,
};
use types::{Number, UtcMs};

use crate::desk::{Desk, NOON, cost, granted, initial, key, request, termination, update, used};
use crate::examples::example_1;
use crate::tariff::{Rate, Tariff, money, r1};
use ledger::Command;

#[test]
fn example_9_agent_killed_comes_back_late() {
    let mut desk = example_1(2);
    assert!(desk.at(55_000 + 60_000 - 1).sweep().is_empty(), "not before every backstop");
    assert_eq!(desk.at(55_000 + 60_000).sweep(), ["s".into()]);
    desk.expect("a", "0.45", "0");
    let listed = desk.books.sessions_of(&"agent-1".into());
    assert_eq!(listed[0].phase, SessionPhase::Expired);
    let answer = desk.at(600_000).answer(&termination("s", 2, 15_000));
    assert_eq!(cost(&answer).0, "0.4");
    desk.expect("a", "0.60", "0");
    assert_eq!(desk.answer(&termination("s", 2, 15_000)), answer);
    desk.expect("a", "0.60", "0");
    assert!(desk.sweep().is_empty());
    desk.expect("a", "0.60", "0");
}

#[test]
fn example_10_switch_dies() {
    let mut desk = example_1(2);
    desk.at(34_000).answer(&termination("s", 2, 5000));
    desk.expect("a", "0.70", "0");
}

#[test]
fn example_11_core_down_and_the_call_went_on() {
    let rows = [("1.00", "0.75", "0", "0"), ("0.45", "0.20", "-0.55", "0.55")];
    for (start, after_update, end, overrun) in rows {
        let mut desk = Desk::with(Tariff::of(r1()), start);
        desk.answer(&initial("s", 30));
        desk.at(200_000).answer(&ChargingRequest {
            units: vec![UnitUsage { requested: None, ..first_unit(25_000) }],
            ..update("s", 1, 25_000, 30)
        });
        assert_eq!(desk.books.account(&key("a")).map(|view| view.balance), Some(money(after_update)));
        let answer = desk.answer(&termination("s", 2, 75_000));
        assert_eq!(cost(&answer), ("1".into(), overrun.into()));
        desk.expect("a", end, "0");
    }
}

fn first_unit(used_ms: u64) -> UnitUsage {
    UnitUsage { used: vec![used(1, used_ms)], ..UnitUsage::default() }
}

/// 0.02 a second until `border` after noon, 0.01 after; or the other way round.
fn bordered(border_ms: u64, before: &str, after: &str) -> Tariff {
    let border = Some((NOON.plus(border_ms), money(after)));
    Tariff::of(Rate { price: money(before), border, ..r1() })
}

#[test]
fn example_12_tariff_border() {
    // Noon stands for 19:59:40, so that the border is at 20 s and the answer at 10 s.
    let mut desk = Desk::with(bordered(20_000, "0.02", "0.01"), "1.00");
    assert_eq!(granted(&desk.answer(&initial("s", 30))), (30_000, false));
    desk.expect("a", "1.00", "0.50");
    let answered = |request: ChargingRequest| ChargingRequest { answer_time: Some(NOON.plus(10_000)), ..request };
    let answer = desk.at(35_000).answer(&answered(update("s", 1, 25_000, 30)));
    assert_eq!((granted(&answer), cost(&answer).0.as_str()), ((30_000, false), "0.35"));
    desk.expect("a", "0.65", "0.30");
    let answer = desk.at(40_000).answer(&answered(termination("s", 2, 5000)));
    assert_eq!(cost(&answer).0, "0.4");
    desk.expect("a", "0.60", "0");
}

#[test]
fn example_12_the_dearer_hour_is_ahead() {
    // The dearer hour begins within the maximum ring: the call may be answered in it.
    let mut desk = Desk::with(bordered(60_000, "0.01", "0.02"), "1.00");
    desk.answer(&initial("s", 30));
    desk.expect("a", "1.00", "0.60");
    let mut desk = Desk::with(bordered(240_000, "0.01", "0.02"), "1.00");
    desk.answer(&initial("s", 30));
    desk.expect("a", "1.00", "0.30");
    // The moment of the answer counts from the first report that knows it, whatever later ones say.
    desk.answer(&ChargingRequest { answer_time: Some(NOON.plus(239_000)), ..update("s", 1, 2000, 30) });
    desk.expect("a", "0.97", "0.60");
    desk.answer(&ChargingRequest { answer_time: Some(NOON), ..termination("s", 2, 1000) });
    desk.expect("a", "0.95", "0");
}

pub fn event(session: &str, number: u32, action: RequestedAction) -> ChargingRequest {
    let one = Units { specific_units: Some(1), ..Units::default() };
    ChargingRequest {
        requested_action: Some(action),
        service: Service::Sms,
        answer_time: None,
        units: vec![UnitUsage { requested: Some(one), ..UnitUsage::default() }],
        ..request(session, number, Operation::Event)
    }
}

#[test]
fn example_14_events() {
    let sms = Rate { increment: 1, price: money("0.08"), ..r1() };
    let mut desk = Desk::with(Tariff::of(sms), "0.10");
    let debit = event("m1", 0, RequestedAction::DirectDebit);
    assert_eq!(cost(&desk.answer(&debit)).0, "0.08");
    desk.expect("a", "0.02", "0");
    desk.answer(&debit);
    desk.expect("a", "0.02", "0");
    let denied = desk.answer(&event("m2", 0, RequestedAction::DirectDebit));
    assert_eq!(denied.result_code, ResultCode::CREDIT_LIMIT_REACHED);
    desk.expect("a", "0.02", "0");
    let refund = event("m1", 1, RequestedAction::Refund);
    let refunded = desk.answer(&refund);
    assert_eq!(refunded.result_code, ResultCode::SUCCESS);
    desk.expect("a", "0.10", "0");
    assert_eq!(desk.answer(&refund), refunded);
    // Under a new key there is nothing left to give back.
    assert_eq!(desk.answer(&event("m1", 2, RequestedAction::Refund)).result_code, ResultCode::SUCCESS);
    desk.expect("a", "0.10", "0");
    // The denial stays under its key although the money is there now.
    let again = desk.answer(&event("m2", 0, RequestedAction::DirectDebit));
    assert_eq!(again, denied);
    let changes = desk.log.len();
    let price = desk.answer(&event("q", 0, RequestedAction::PriceEnquiry));
    assert_eq!(cost(&price).0, "0.08");
    assert_eq!(desk.answer(&event("q", 0, RequestedAction::CheckBalance)).result_code, ResultCode::SUCCESS);
    let unknown = desk.answer(&event("m9", 0, RequestedAction::Refund));
    assert_eq!(unknown.result_code, ResultCode::UNKNOWN_SESSION);
    assert_eq!(desk.log.len(), changes, "enquiries and refusals change nothing");
    desk.expect("a", "0.10", "0");
}

#[test]
fn a_call_is_not_refunded_like_an_event() {
    let mut desk = example_1(4);
    let refund = ChargingRequest { service: Service::Voice, ..event("s", 9, RequestedAction::Refund) };
    assert_eq!(desk.answer(&refund).result_code, ResultCode::INVALID_VALUE);
    desk.expect("a", "0.30", "0");
}

pub const MB: u64 = 1_000_000;

pub fn data(number: u32, operation: Operation, units: &[(u32, u64, Option<u64>)]) -> ChargingRequest {
    let octets = |amount| Units { total_octets: Some(amount), ..Units::default() };
    let unit = |&(rating_group, used_octets, ask): &(u32, u64, Option<u64>)| UnitUsage {
        rating_group,
        service_identifier: None,
        category: None,
        called: None,
        requested: ask.map(octets),
        used: if used_octets == 0 { vec![] } else { vec![UsedUnits { units: octets(used_octets), ..used(number, 0) }] },
    };
    ChargingRequest {
        service: Service::Data,
        answer_time: None,
        called: None,
        units: units.iter().map(unit).collect(),
        ..request("d", number, operation)
    }
}

#[test]
fn example_15_data_two_rating_groups() {
    let rate = |price: &str| Rate { increment: MB, price: money(price), ..r1() };
    let tariff = Tariff { rates: vec![(10, rate("0.10")), (20, rate("0.01"))], unrated: "+888", east_ms: 0 };
    let mut desk = Desk::with(tariff, "1.00");
    let ask = Some(5 * MB);
    let answer = desk.answer(&data(0, Operation::Initial, &[(10, 0, ask), (20, 0, ask)]));
    let octets = |answer: &types::charging::ChargingAnswer, at: usize| {
        let unit = &answer.units[at];
        (unit.granted.and_then(|units| units.total_octets), unit.final_unit.is_some())
    };
    assert_eq!((octets(&answer, 0), octets(&answer, 1)), ((ask, false), (ask, false)));
    desk.expect("a", "1.00", "0.55");
    let answer = desk.answer(&data(1, Operation::Update, &[(10, 5 * MB, ask)]));
    assert_eq!(octets(&answer, 0), (Some(4 * MB), true));
    desk.expect("a", "0.50", "0.45");
    desk.answer(&data(2, Operation::Termination, &[(10, 2 * MB, None), (20, 3 * MB, None)]));
    desk.expect("a", "0.27", "0");
}

#[test]
fn one_group_denied_beside_one_granted() {
    let rate = |price: &str| Rate { increment: MB, price: money(price), ..r1() };
    let tariff = Tariff { rates: vec![(10, rate("0.10")), (20, rate("0.01"))], unrated: "+888", east_ms: 0 };
    let mut desk = Desk::with(tariff, "0.05");
    let ask = Some(5 * MB);
    let answer = desk.answer(&data(0, Operation::Initial, &[(10, 0, ask), (20, 0, ask), (30, 0, ask)]));
    let codes: Vec<_> = answer.units.iter().map(|unit| unit.result_code).collect();
    let expected = [ResultCode::CREDIT_LIMIT_REACHED, ResultCode::SUCCESS, ResultCode::RATING_FAILED];
    assert_eq!((answer.result_code, codes.as_slice()), (ResultCode::SUCCESS, expected.as_slice()));
    assert_eq!(answer.units[0].granted, None);
    desk.expect("a", "0.05", "0.05");
}

#[test]
fn example_16_refusals() {
    let rows: [(&str, &str, &str, ResultCode); 6] = [
        ("0", "a", "+49", ResultCode::CREDIT_LIMIT_REACHED),
        ("0.005", "a", "+49", ResultCode::CREDIT_LIMIT_REACHED),
        ("1", "nobody", "+49", ResultCode::USER_UNKNOWN),
        ("1", "blocked", "+49", ResultCode::END_USER_SERVICE_DENIED),
        ("1", "dollars", "+49", ResultCode::RATING_FAILED),
        ("1", "a", "+8881", ResultCode::RATING_FAILED),
    ];
    for mode in [ChargingMode::Prepaid, ChargingMode::Pseudoprepaid, ChargingMode::Postpaid, ChargingMode::Rated] {
        for (balance, payer, called, code) in rows {
            let mut desk = Desk::with(Tariff::of(r1()), balance);
            desk.open("blocked", "1");
            desk.run(&Command::Block(key("blocked")));
            desk.create(ledger::CreateAccount {
                key: key("dollars"),
                currency: crate::tariff::currency("USD"),
                identities: vec![],
                low_balance_limit: None,
                credit_limit: None,
            });
            let asked = ChargingRequest {
                charging_mode: mode,
                subscribers: vec![types::charging::SubscriberId::account(payer)],
                called: Some(Number::from(called)),
                ..initial("s", 30)
            };
            let unchecked = matches!(mode, ChargingMode::Postpaid | ChargingMode::Rated);
            let code = if unchecked && code == ResultCode::CREDIT_LIMIT_REACHED { ResultCode::SUCCESS } else { code };
            let answer = desk.answer(&asked);
            assert_eq!(answer.result_code, code, "{mode:?} {balance} {payer} {called}");
            desk.expect("a", balance, "0");
            // The denial stays under its key, whatever happens to the account.
            desk.top_up("a", "5");
            desk.run(&Command::Unblock(key("blocked")));
            assert_eq!(desk.at(1000).answer(&asked), answer);
        }
    }
}

#[test]
fn free_destinations_are_granted_without_credit() {
    for balance in ["0", "1"] {
        let mut desk = Desk::with(Tariff::of(Rate { price: money("0"), ..r1() }), balance);
        assert_eq!(granted(&desk.answer(&initial("s", 30))), (30_000, false));
        desk.now = UtcMs(desk.now.0 + 1);
        desk.answer(&termination("s", 1, 30_000));
        desk.expect("a", balance, "0");
    }
}
