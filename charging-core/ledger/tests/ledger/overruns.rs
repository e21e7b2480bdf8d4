//! Usage beyond the grant, group by group: what is free after our own cut, what is charged, who pays a connect fee, and what an
//! expiry assumes until a report says better, also one that tells of some groups only.

use types::charging::{ChargingRequest, Operation, ResultCode, UnitUsage, Units};
use types::{Money, ReleaseCause};

use crate::desk::{Desk, cost, cut, initial, key, request, termination, update, used};
use crate::examples_more::{MB, data};
use crate::tariff::{Rate, Tariff, money, r1};

const HOUR: u64 = 3_600_000;

/// 0.10 a MB; 0.01 a MB and 0.05 to begin with.
fn octets(balance: &str) -> Desk {
    let rate =
        |price: &str, connect: &str| Rate { increment: MB, price: money(price), connect: money(connect), ..r1() };
    let rates = vec![(10, rate("0.10", "0")), (20, rate("0.01", "0.05"))];
    let mut desk = Desk::with(Tariff { rates, unrated: "+888", east_ms: 0 }, balance);
    let ask = Some(5 * MB);
    desk.answer(&data(0, Operation::Initial, &[(10, 0, ask), (20, 0, ask)]));
    desk.expect("a", balance, "0.60");
    desk
}

/// A report of groups of talk: rating group, used, wanted; in milliseconds.
fn talk(number: u32, operation: Operation, groups: &[(u32, u64, u64)]) -> ChargingRequest {
    let unit = |&(rating_group, used_ms, ask_ms): &(u32, u64, u64)| UnitUsage {
        rating_group,
        requested: (ask_ms > 0).then(|| Units::time(ask_ms)),
        used: if used_ms > 0 { vec![used(number, used_ms)] } else { Vec::new() },
        ..UnitUsage::default()
    };
    ChargingRequest { units: groups.iter().map(unit).collect(), ..request("s", number, operation) }
}

#[test]
fn a_moment_after_our_own_cut_is_free_and_nothing_else() {
    use ReleaseCause::{Backstop, ChargingUnavailable, CreditExhausted, Fraud, Operator, Policy};
    // The grant reaches 30 s.
    for (cause, used_ms, charged) in [
        (Some(CreditExhausted), 29_999, "0.30"),
        (Some(CreditExhausted), 30_001, "0.30"),
        (Some(CreditExhausted), 31_000, "0.30"),
        (Some(CreditExhausted), 31_001, "0.32"),
        (Some(Policy), 31_000, "0.30"),
        (Some(Policy), 31_001, "0.32"),
        (Some(Backstop), 30_001, "0.31"),
        (Some(ChargingUnavailable), 30_001, "0.31"),
        (Some(Operator), 30_001, "0.31"),
        (Some(Fraud), 30_001, "0.31"),
        (None, 30_001, "0.31"),
    ] {
        let mut desk = Desk::with(Tariff::of(r1()), "0.30");
        desk.answer(&initial("s", 30));
        desk.answer(&ChargingRequest { release_cause: cause, ..termination("s", 1, used_ms) });
        desk.expect("a", &(money("0.30") - money(charged)).to_string(), "0");
        // The same, said in two reports: the tolerance is one for the call.
        let mut desk = Desk::with(Tariff::of(r1()), "0.30");
        desk.answer(&initial("s", 30));
        desk.answer(&talk(1, Operation::Update, &[(0, 20_000, 0)]));
        desk.answer(&ChargingRequest { release_cause: cause, ..termination("s", 2, used_ms - 20_000) });
        desk.expect("a", &(money("0.30") - money(charged)).to_string(), "0");
    }
    // The tolerance is a setting; without one each millisecond counts.
    let mut desk = Desk::with(Tariff::of(r1()), "0.30");
    desk.settings.cut_tolerance_ms = 0;
    desk.answer(&initial("s", 30));
    desk.answer(&cut("s", 1, 30_001));
    desk.expect("a", "-0.01", "0");
    // Octets have no moment.
    let mut desk = octets("0.60");
    let over = data(1, Operation::Termination, &[(10, 5 * MB + 1, None), (20, 0, None)]);
    desk.answer(&ChargingRequest { release_cause: Some(CreditExhausted), ..over });
    desk.expect("a", "0.00", "0");
}

#[test]
fn talk_in_two_groups_is_cut_priced_and_forgiven_apart() {
    let dear = Rate { price: money("0.02"), connect: money("0.05"), ..r1() };
    for (cause, tens_ms, twenties_ms, balance, billable) in [
        (Some(ReleaseCause::CreditExhausted), 15_500, 20_900, "0", [30_000, 20_000]),
        (Some(ReleaseCause::CreditExhausted), 15_500, 21_500, "-0.04", [30_000, 22_000]),
        (Some(ReleaseCause::CreditExhausted), 16_001, 20_900, "-0.02", [32_000, 20_000]),
        (None, 15_500, 20_900, "-0.03", [31_000, 21_000]),
        (None, 10_000, 0, "0.50", [25_000, 0]),
    ] {
        let rates = vec![(10, r1()), (20, dear.clone())];
        let mut desk = Desk::with(Tariff { rates, unrated: "+888", east_ms: 0 }, "0.75");
        desk.answer(&talk(0, Operation::Initial, &[(10, 0, 20_000), (20, 0, 20_000)]));
        desk.expect("a", "0.75", "0.65");
        let answer = desk.answer(&talk(1, Operation::Update, &[(10, 15_000, 30_000)]));
        let granted = answer.units[0].granted.and_then(|units| units.time_ms);
        assert_eq!((granted, answer.units[0].final_unit.is_some()), (Some(15_000), true));
        desk.expect("a", "0.60", "0.60");
        let ended = talk(2, Operation::Termination, &[(10, tens_ms, 0), (20, twenties_ms, 0)]);
        let answer = desk.answer(&ChargingRequest { release_cause: cause, ..ended });
        assert_eq!([answer.units[0].billable, answer.units[1].billable], billable, "{cause:?} {tens_ms}");
        assert_eq!(cost(&answer).1, (-money(balance)).or_zero().to_string(), "{cause:?} {tens_ms}");
        desk.expect("a", balance, "0");
    }
}

#[test]
fn an_overrun_in_an_update_takes_what_nobody_holds_then_what_the_others_hold() {
    // RG 10 may use 5 MB; 0.40 is free, 0.10 is held for RG 20, which uses it afterwards.
    for (used_mb, balance, overrun, at_the_end, overrun_then) in
        [(9, "0.10", "0", "0", "0"), (10, "0", "0", "-0.10", "0.1"), (12, "-0.20", "0.2", "-0.30", "0.3")]
    {
        let mut desk = octets("1.00");
        let ask = Some(5 * MB);
        let answer = desk.answer(&data(1, Operation::Update, &[(10, used_mb * MB, ask)]));
        assert_eq!(answer.units[0].result_code, ResultCode::CREDIT_LIMIT_REACHED, "{used_mb}");
        assert_eq!((answer.units[0].granted, cost(&answer).1.as_str()), (None, overrun), "{used_mb}");
        desk.expect("a", balance, "0.10");
        let answer = desk.answer(&data(2, Operation::Termination, &[(20, 5 * MB, None)]));
        assert_eq!(cost(&answer).1, overrun_then, "{used_mb}");
        desk.expect("a", at_the_end, "0");
    }
}

#[test]
fn a_group_pays_its_connect_fee_once_and_only_when_it_is_used() {
    let none = |rating_group| (rating_group, 0, None);
    for (name, reports, charged) in [
        ("not used", vec![vec![(10, MB, None), none(20)]], "0.10"),
        ("not mentioned", vec![vec![(10, MB, None)]], "0.10"),
        ("an octet", vec![vec![(20, 1, None)]], "0.06"),
        ("in three reports", vec![vec![(20, MB, None)], vec![(20, MB, None)], vec![(20, MB, None)]], "0.08"),
        ("both", vec![vec![(10, 1, None), (20, 1, None)]], "0.16"),
        ("nothing at all", vec![vec![]], "0"),
    ] {
        let mut desk = octets("1.00");
        let last = reports.len();
        for (at, report) in (1..).zip(&reports) {
            let operation = if at as usize == last { Operation::Termination } else { Operation::Update };
            desk.answer(&data(at, operation, report));
        }
        let view = desk.books.account(&key("a")).expect("an account");
        assert_eq!((money("1.00") - view.balance, view.held), (money(charged), Money::ZERO), "{name}");
    }
}

/// RG 10: 2 MB of 7 MB used, RG 20: none of 5 MB; then nothing is heard any more.
fn expired(number: u32) -> Desk {
    let mut desk = octets("2.00");
    desk.answer(&data(number, Operation::Update, &[(10, 2 * MB, Some(5 * MB))]));
    desk.expect("a", "1.80", "0.60");
    assert_eq!(desk.at(2 * HOUR).sweep().len(), 1);
    desk.expect("a", "1.20", "0");
    desk
}

#[test]
fn an_expiry_of_several_groups_is_replaced_by_what_is_told_later() {
    // A report that goes on: the group that it does not name gets its grant back, unused.
    let mut desk = expired(1);
    desk.answer(&data(2, Operation::Update, &[(10, 3 * MB, Some(MB))]));
    desk.expect("a", "1.50", "0.20");
    let copy = data(2, Operation::Update, &[(10, 3 * MB, Some(MB))]);
    desk.answer(&copy);
    desk.expect("a", "1.50", "0.20");
    let end = data(3, Operation::Termination, &[(20, MB, None)]);
    assert_eq!(cost(&desk.answer(&end)), ("0.56".into(), "0".into()));
    desk.expect("a", "1.44", "0");
    // The end, which names one group: the other one used what it had reported.
    let mut desk = expired(1);
    desk.answer(&data(2, Operation::Termination, &[(20, MB, None)]));
    desk.expect("a", "1.74", "0");
    desk.answer(&data(2, Operation::Termination, &[(20, MB, None)]));
    desk.expect("a", "1.74", "0");
    // An end that names none.
    let mut desk = expired(1);
    desk.answer(&data(2, Operation::Termination, &[]));
    desk.expect("a", "1.80", "0");
    // Expired twice.
    let mut desk = expired(1);
    desk.answer(&data(2, Operation::Update, &[(20, MB, Some(MB))]));
    desk.expect("a", "1.74", "0.51");
    assert_eq!(desk.at(4 * HOUR).sweep().len(), 1);
    desk.expect("a", "1.23", "0");
}

#[test]
fn an_overtaken_report_of_an_expired_session_moves_its_own_group_only() {
    let mut desk = expired(2);
    // What RG 20 used is part of what was assumed for it.
    desk.answer(&data(1, Operation::Update, &[(10, MB, None), (20, MB, None)]));
    desk.expect("a", "1.10", "0");
    desk.answer(&data(3, Operation::Termination, &[]));
    desk.expect("a", "1.64", "0");
}

#[test]
fn what_was_assumed_and_is_spent_elsewhere_meanwhile_is_an_overrun_when_it_is_used_after_all() {
    let mut desk = expired(1);
    let spent =
        ledger::Transfer { account: key("a"), operation_id: "fee".into(), amount: money("1.20"), currency: None };
    desk.run(&ledger::Command::Debit(spent));
    desk.expect("a", "0", "0");
    let answer = desk.answer(&data(2, Operation::Update, &[(10, 6 * MB, Some(MB))]));
    assert_eq!((answer.units[0].granted, cost(&answer).1.as_str()), (None, "0"));
    // What RG 20 was granted stands.
    desk.expect("a", "0", "0.10");
    let answer = desk.answer(&data(3, Operation::Termination, &[(20, 5 * MB, None)]));
    assert_eq!(cost(&answer), ("0.9".into(), "0.1".into()));
    desk.expect("a", "-0.10", "0");
}

#[test]
fn an_answered_call_that_expires_pays_its_connect_fee_and_gets_back_what_it_did_not_talk() {
    let rate = Rate { connect: money("0.05"), ..r1() };
    let mut desk = Desk::with(Tariff::of(rate), "1.00");
    desk.answer(&initial("s", 30));
    desk.answer(&update("s", 1, 10_000, 30));
    desk.expect("a", "0.85", "0.30");
    desk.at(HOUR).sweep();
    desk.expect("a", "0.55", "0");
    desk.answer(&termination("s", 2, 1_000));
    desk.expect("a", "0.84", "0");
}
