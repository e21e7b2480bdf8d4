//! More balances than one: example 13 and everything around it.

use ledger::{BalanceTerms, ChangeBalance, Command, Outcome, Refusal};
use types::charging::{
    BalanceAmount, BalanceKind, ChargingAnswer, ChargingMode, ChargingRequest, NotificationKind, Operation,
    RequestedAction, ResultCode, Service, UnitUsage, Units,
};
use types::{Money, Number};

use crate::desk::{Desk, NOON, cost, granted, initial, key, request, termination, update};
use crate::tariff::{Rate, Tariff, money, r1, r3};

const SECOND: i64 = 1000;

pub fn units(amount: i64) -> BalanceAmount {
    BalanceAmount::Units(amount)
}

pub fn cash(amount: &str) -> BalanceAmount {
    BalanceAmount::Money(money(amount))
}

pub fn heavy(weight: i32) -> BalanceTerms {
    BalanceTerms { weight, ..BalanceTerms::default() }
}

impl Desk {
    /// Puts something into a balance of account `id`; made when it is not there.
    pub fn fill(&mut self, id: &str, balance: &str, kind: BalanceKind, amount: BalanceAmount, terms: BalanceTerms) {
        let operation_id = format!("fill-{}", self.log.len()).into();
        let change = ChangeBalance {
            account: key(id),
            operation_id,
            balance_id: balance.into(),
            kind: Some(kind),
            credit: true,
            amount,
            currency: None,
            terms: Some(terms),
            valid_until: None,
        };
        let outcome = self.run(&Command::ChangeBalance(Box::new(change)));
        assert!(matches!(outcome, Outcome::BalanceChanged(_)), "{outcome:?}");
    }

    pub fn bundle(&mut self, seconds: i64) {
        self.fill("a", "minutes", BalanceKind::Voice, units(seconds * SECOND), heavy(10));
    }

    /// Value and held of a balance of account `a`.
    #[track_caller]
    pub fn holds(&self, balance: &str) -> (BalanceAmount, BalanceAmount) {
        let all = self.books.balances(&key("a"));
        let found = all.iter().find(|view| *view.id == *balance).unwrap_or_else(|| panic!("no balance {balance}"));
        (found.value, found.held)
    }

    #[track_caller]
    fn expect_bundle(&self, value_s: i64, held_s: i64) {
        assert_eq!(self.holds("minutes"), (units(value_s * SECOND), units(held_s * SECOND)), "bundle");
    }
}

fn drawn(answer: &ChargingAnswer) -> Vec<(&str, BalanceAmount)> {
    answer.drawn.iter().map(|one| (one.balance_id.as_ref(), one.amount)).collect()
}

#[test]
fn example_13_minutes_before_money() {
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    desk.bundle(60);
    let answer = desk.answer(&initial("s", 30));
    assert_eq!((granted(&answer), drawn(&answer)), ((30_000, false), vec![]));
    desk.expect_bundle(60, 30);
    desk.expect("a", "1.00", "0");
    let answer = desk.at(25_000).answer(&update("s", 1, 25_000, 30));
    assert_eq!((granted(&answer), cost(&answer).0.as_str()), ((30_000, false), "0"));
    desk.expect_bundle(35, 30);
    let answer = desk.at(50_000).answer(&update("s", 2, 25_000, 30));
    assert_eq!((granted(&answer), answer.remaining_balance), ((30_000, false), Some(money("0.80"))));
    desk.expect_bundle(10, 10);
    desk.expect("a", "1.00", "0.20");
    let answer = desk.at(70_000).answer(&termination("s", 3, 20_000));
    assert_eq!((cost(&answer).0.as_str(), answer.units[0].billable), ("0.1", 70_000));
    assert_eq!(drawn(&answer), [("money", cash("0.10")), ("minutes", units(60_000))]);
    desk.expect_bundle(0, 0);
    desk.expect("a", "0.90", "0");
    let copy = desk.charge(&termination("s", 3, 20_000));
    assert_eq!((&*copy.answer, copy.replayed), (&answer, true), "bit for bit, with what was drawn");
    assert_eq!(desk.books.drawn(&"s".into()).len(), 2);
    let history = desk.books.balance_history(&key("a"));
    let lines: Vec<_> = history.iter().map(|line| (line.kind, line.amount, line.value)).collect();
    use ledger::MovementKind::{Charge, TopUp};
    assert_eq!(lines, [(TopUp, units(60_000), units(60_000)), (Charge, units(-60_000), units(0))]);
    let history = desk.books.history(&key("a"));
    assert_eq!(history.last().map(|line| (line.amount, line.balance)), Some((money("-0.10"), money("0.90"))));
}

/// Bundle left, money left, cost of a call of `total_ms` in slices.
fn sliced(rate: &Rate, bundle_s: i64, total_ms: u64, slice_ms: u64) -> (BalanceAmount, Money, String) {
    let mut desk = Desk::with(Tariff::of(rate.clone()), "1000");
    desk.bundle(bundle_s);
    desk.fill("a", "gift", BalanceKind::Money, cash("0.05"), heavy(5));
    let answered = |request: ChargingRequest| ChargingRequest { answer_time: Some(NOON.plus(10_000)), ..request };
    desk.answer(&initial("s", slice_ms.div_ceil(1000)));
    let (mut used_ms, mut number) = (0, 0);
    while total_ms - used_ms > slice_ms {
        (number, used_ms) = (number + 1, used_ms + slice_ms);
        desk.at(10_000 + used_ms).answer(&answered(update("s", number, slice_ms, slice_ms.div_ceil(1000))));
    }
    let answer = desk.at(10_000 + total_ms).answer(&answered(termination("s", number + 1, total_ms - used_ms)));
    let view = desk.books.account(&key("a")).unwrap_or_else(|| panic!("account"));
    (desk.holds("minutes").0, view.balance, cost(&answer).0)
}

#[test]
fn example_17_roundness_never_depends_on_slicing_over_balances() {
    let border = Some((NOON.plus(20_000), money("0.01")));
    let bordered = Rate { price: money("0.02"), border, ..r1() };
    let rounded = Rate { price: money("0.0007"), round_up_to: Some(money("0.01")), ..r1() };
    let odd = Rate { increment: 6000, connect: money("0.000000001"), price: money("0.003333333"), ..r1() };
    for rate in [r1(), r3(), bordered, rounded, odd] {
        for bundle_s in [1, 100] {
            for total_ms in [70_000, 500_500] {
                let whole = sliced(&rate, bundle_s, total_ms, total_ms);
                for slice_ms in [7000, 30_000, 500_000, 7123] {
                    let found = sliced(&rate, bundle_s, total_ms, slice_ms);
                    assert_eq!(found, whole, "{bundle_s} s, {total_ms} ms in {slice_ms} ms");
                }
            }
        }
    }
    assert_eq!(sliced(&r1(), 60, 70_000, 7000), (units(0), money("999.95"), "0.1".into()));
}

#[test]
fn a_bundle_pays_whole_increments_and_the_connect_fee_is_the_first_ones() {
    // 100 s of bundle pay one minute, fee included; the rest of the bundle makes no minute.
    let mut desk = Desk::with(Tariff::of(r3()), "1.00");
    desk.bundle(100);
    assert_eq!(granted(&desk.answer(&initial("s", 70))), (120_000, false));
    desk.expect_bundle(100, 60);
    desk.expect("a", "1.00", "0.60");
    assert_eq!(cost(&desk.answer(&termination("s", 1, 61_000))).0, "0.6");
    desk.expect_bundle(40, 0);
    desk.expect("a", "0.40", "0");
    // Not answered: nothing is taken.
    desk.answer(&initial("t", 30));
    desk.answer(&crate::desk::gone("t", 1));
    desk.expect_bundle(40, 0);
    desk.expect("a", "0.40", "0");
}

#[test]
fn the_order_is_weight_then_units_then_expiry() {
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    let until = |ms| BalanceTerms { valid_until: Some(NOON.plus(ms)), ..BalanceTerms::default() };
    desk.fill("a", "light", BalanceKind::Voice, units(10 * SECOND), heavy(-1));
    desk.fill("a", "later", BalanceKind::Voice, units(10 * SECOND), until(9_000_000));
    desk.fill("a", "sooner", BalanceKind::Voice, units(10 * SECOND), until(8_000_000));
    desk.fill("a", "gift", BalanceKind::Money, cash("0.05"), until(7_000_000));
    desk.fill("a", "bonus", BalanceKind::Money, cash("0.10"), heavy(1));
    let mut order = Vec::new();
    let mut left: Vec<_> = vec![];
    desk.answer(&initial("s", 150));
    for number in 1..=150 {
        desk.answer(&update("s", number, 1000, 5));
        let view = desk.books.account(&key("a")).unwrap_or_else(|| panic!("account"));
        let mut now: Vec<(Box<str>, BalanceAmount)> =
            desk.books.balances(&key("a")).into_iter().map(|one| (one.id, one.value)).collect();
        now.push(("money".into(), BalanceAmount::Money(view.balance)));
        let moved = now.iter().filter(|one| !left.is_empty() && !left.contains(*one)).map(|(id, _)| id.clone());
        moved.for_each(|id| {
            if !order.contains(&id) {
                order.push(id)
            }
        });
        left = now;
    }
    // The first second was taken before there was anything to compare with.
    assert_eq!(
        order.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        ["bonus", "sooner", "later", "gift", "money", "light"]
    );
    let answer = desk.answer(&termination("s", 151, 0));
    assert_eq!(cost(&answer), ("1.2".into(), "0.05".into()), "145 s there were, 5 s are beyond");
    desk.expect("a", "-0.05", "0");
}

#[test]
fn destinations_categories_kinds_and_validity_must_fit() {
    let terms = [
        (BalanceTerms { destinations: vec!["4930".into(), "+33".into()], ..heavy(1) }, true),
        (BalanceTerms { destinations: vec!["+4940".into()], ..heavy(1) }, false),
        (BalanceTerms { categories: vec!["call".into()], ..heavy(1) }, true),
        (BalanceTerms { categories: vec!["video".into()], ..heavy(1) }, false),
        (BalanceTerms { valid_from: Some(NOON), valid_until: Some(NOON.plus(1)), ..heavy(1) }, true),
        (BalanceTerms { valid_from: Some(NOON.plus(1)), ..heavy(1) }, false),
        (BalanceTerms { valid_until: Some(NOON), ..heavy(1) }, false),
    ];
    for (terms, fits) in terms {
        let mut desk = Desk::with(Tariff::of(r1()), "1.00");
        desk.fill("a", "minutes", BalanceKind::Voice, units(60 * SECOND), terms.clone());
        desk.answer(&initial("s", 30));
        desk.expect("a", "1.00", if fits { "0" } else { "0.30" });
        desk.expect_bundle(60, if fits { 30 } else { 0 });
    }
    for kind in [BalanceKind::Data, BalanceKind::Sms, BalanceKind::Generic] {
        let mut desk = Desk::with(Tariff::of(r1()), "1.00");
        desk.fill("a", "other", kind, units(60 * SECOND), heavy(1));
        desk.answer(&initial("s", 30));
        desk.expect("a", "1.00", "0.30");
    }
}

#[test]
fn a_blocker_refuses_what_it_cannot_pay() {
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    let blocker = BalanceTerms { blocker: true, ..heavy(10) };
    desk.fill("a", "minutes", BalanceKind::Voice, units(40 * SECOND), blocker);
    assert_eq!(granted(&desk.answer(&initial("s", 60))), (40_000, true));
    desk.expect("a", "1.00", "0");
    desk.answer(&termination("s", 1, 40_000));
    assert_eq!(desk.answer(&initial("t", 30)).result_code, ResultCode::CREDIT_LIMIT_REACHED);
    // What was used beyond it is charged all the same.
    desk.bundle(5);
    let terms = BalanceTerms { blocker: true, ..heavy(10) };
    desk.fill("a", "minutes", BalanceKind::Voice, units(0), terms);
    desk.answer(&initial("u", 30));
    desk.answer(&termination("u", 1, 8000));
    desk.expect("a", "0.97", "0");
}

#[test]
fn free_calls_take_nothing_from_a_bundle() {
    let mut desk = Desk::with(Tariff::of(Rate { price: money("0"), ..r1() }), "0");
    desk.bundle(10);
    assert_eq!(granted(&desk.answer(&initial("s", 30))), (30_000, false));
    desk.answer(&termination("s", 1, 30_000));
    desk.expect_bundle(10, 0);
    desk.expect("a", "0", "0");
}

#[test]
fn two_calls_share_a_bundle_and_a_gift_and_hear_of_what_comes_free() {
    let mut desk = Desk::new(Tariff::of(r1()));
    desk.open("a", "0");
    desk.bundle(40);
    desk.fill("a", "gift", BalanceKind::Money, cash("0.10"), heavy(1));
    assert_eq!(granted(&desk.answer(&initial("A", 30))), (30_000, false));
    assert_eq!(granted(&desk.answer(&initial("B", 30))), (20_000, true));
    assert_eq!(desk.holds("gift"), (cash("0.10"), cash("0.10")));
    desk.answer(&termination("A", 1, 12_000));
    let told = desk.books.notifications(&"agent-1".into());
    assert_eq!(told.iter().map(|one| one.kind).collect::<Vec<_>>(), [NotificationKind::Reauthorize]);
    let answer = desk.answer(&update("B", 1, 2000, 60));
    assert_eq!(granted(&answer), (36_000, true), "28 - 2 s of the bundle, 10 s of the gift");
    let answer = desk.answer(&crate::desk::cut("B", 2, 36_500));
    assert_eq!(cost(&answer), ("0.1".into(), "0".into()));
    desk.expect_bundle(0, 0);
    assert_eq!(desk.holds("gift"), (cash("0"), cash("0")));
    desk.expect("a", "0", "0");
}

#[test]
fn a_provisional_settlement_gives_back_to_whom_it_took_from() {
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    desk.bundle(40);
    desk.answer(&initial("s", 30));
    desk.answer(&update("s", 1, 25_000, 30));
    desk.at(3_600_000).sweep();
    desk.expect_bundle(0, 0);
    desk.expect("a", "0.85", "0");
    let answer = desk.answer(&termination("s", 2, 5000));
    assert_eq!(cost(&answer).0, "0");
    desk.expect_bundle(10, 0);
    desk.expect("a", "1.00", "0");
    assert_eq!(desk.books.history(&key("a")).len(), 3, "top-up, charge, refund");
}

#[test]
fn what_was_held_may_be_used_after_the_balance_expired() {
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    let until = BalanceTerms { valid_until: Some(NOON.plus(20_000)), ..heavy(1) };
    desk.fill("a", "minutes", BalanceKind::Voice, units(60 * SECOND), until);
    desk.answer(&initial("s", 30));
    desk.at(25_000).answer(&update("s", 1, 25_000, 30));
    desk.expect_bundle(35, 5);
    desk.expect("a", "1.00", "0.25");
    desk.at(70_000).answer(&termination("s", 2, 20_000));
    desk.expect_bundle(30, 0);
    desk.expect("a", "0.85", "0");
}

#[test]
fn modes_over_balances() {
    // mode, then bundle (value, held) and money (balance, held) after INITIAL 30, UPDATE +25 ask 30, TERMINATION +45.
    type Row = (ChargingMode, [((i64, i64), (&'static str, &'static str)); 3]);
    let rows: [Row; 4] = [
        (ChargingMode::Prepaid, [((40, 30), ("1", "0")), ((15, 15), ("1", "0.15")), ((0, 0), ("0.7", "0"))]),
        (ChargingMode::Pseudoprepaid, [((40, 30), ("1", "0")), ((40, 40), ("1", "0.15")), ((0, 0), ("0.7", "0"))]),
        (ChargingMode::Postpaid, [((40, 0), ("1", "0")), ((40, 0), ("1", "0")), ((0, 0), ("0.7", "0"))]),
        (ChargingMode::Rated, [((40, 0), ("1", "0")), ((40, 0), ("1", "0")), ((40, 0), ("1", "0"))]),
    ];
    for (charging_mode, states) in rows {
        let mut desk = Desk::with(Tariff::of(r1()), "1.00");
        desk.bundle(40);
        let requests = [initial("s", 30), update("s", 1, 25_000, 30), termination("s", 2, 45_000)];
        for (request, ((value, held), (balance, money_held))) in requests.into_iter().zip(states) {
            let answer = desk.answer(&ChargingRequest { charging_mode, ..request });
            assert_eq!(answer.result_code, ResultCode::SUCCESS, "{charging_mode:?}");
            desk.expect_bundle(value, held);
            desk.expect("a", balance, money_held);
        }
    }
}

#[test]
fn a_bundle_bought_in_a_call_pays_from_then_on() {
    let mut desk = Desk::with(Tariff::of(r1()), "0.40");
    desk.answer(&initial("s", 30));
    assert_eq!(granted(&desk.answer(&update("s", 1, 20_000, 30))), (20_000, true));
    desk.expect("a", "0.20", "0.20");
    desk.bundle(60);
    assert_eq!(desk.books.notifications(&"agent-1".into()).len(), 1);
    assert_eq!(granted(&desk.answer(&update("s", 2, 5000, 30))), (30_000, false));
    desk.expect("a", "0.20", "0");
    desk.expect_bundle(55, 30);
    let answer = desk.answer(&termination("s", 3, 10_000));
    assert_eq!((cost(&answer).0.as_str(), drawn(&answer).len()), ("0.2", 2));
    desk.expect_bundle(45, 0);
}

fn message(session: &str, number: u32, action: RequestedAction) -> ChargingRequest {
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
fn messages_from_a_bundle_and_their_refund() {
    let mut desk = Desk::with(Tariff::of(Rate { increment: 1, price: money("0.08"), ..r1() }), "0.10");
    desk.fill("a", "messages", BalanceKind::Sms, units(1), heavy(1));
    let answer = desk.answer(&message("m1", 0, RequestedAction::DirectDebit));
    assert_eq!((cost(&answer).0.as_str(), drawn(&answer)), ("0", vec![("messages", units(1))]));
    assert_eq!(cost(&desk.answer(&message("q", 0, RequestedAction::PriceEnquiry))).0, "0.08");
    desk.answer(&message("m2", 0, RequestedAction::DirectDebit));
    desk.expect("a", "0.02", "0");
    let denied = desk.answer(&message("m3", 0, RequestedAction::DirectDebit));
    assert_eq!(denied.result_code, ResultCode::CREDIT_LIMIT_REACHED);
    desk.answer(&message("m1", 1, RequestedAction::Refund));
    assert_eq!(desk.holds("messages").0, units(1));
    desk.answer(&message("m2", 1, RequestedAction::Refund));
    desk.expect("a", "0.10", "0");
}

#[test]
fn operations_on_balances_are_idempotent_and_bounded() {
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    desk.bundle(60);
    let change = |operation: &str, balance: &str, credit, amount| ChangeBalance {
        account: key("a"),
        operation_id: operation.into(),
        balance_id: balance.into(),
        kind: None,
        credit,
        amount,
        currency: None,
        terms: None,
        valid_until: None,
    };
    let run = |desk: &mut Desk, change: ChangeBalance| desk.run(&Command::ChangeBalance(Box::new(change)));
    let first = run(&mut desk, change("p", "minutes", true, units(5000)));
    assert_eq!(run(&mut desk, change("p", "minutes", true, units(5000))), first, "the receipt of then");
    desk.answer(&initial("s", 30));
    run(&mut desk, change("d", "minutes", false, units(35_000)));
    desk.expect_bundle(30, 30);
    let named = |balance: &str| change("x", balance, true, units(1));
    let dollars = ChangeBalance { currency: Some(crate::tariff::currency("USD")), ..named("minutes") };
    let rows = [
        (change("p", "minutes", true, units(5001)), Refusal::OperationReused),
        (change("top-up-1", "minutes", true, units(1)), Refusal::OperationReused),
        (change("x", "minutes", false, units(1)), Refusal::NotEnoughUnits { available: 0 }),
        (change("x", "minutes", true, units(0)), Refusal::InvalidAmount),
        (change("x", "minutes", true, units(-1)), Refusal::InvalidAmount),
        (change("x", "minutes", true, units(1 << 50)), Refusal::InvalidAmount),
        (change("x", "minutes", true, cash("1")), Refusal::BalanceKindMismatch),
        (change("x", "none", false, cash("1")), Refusal::UnknownBalance),
        (change("", "minutes", true, units(1)), Refusal::InvalidOperationId),
        (named("money"), Refusal::InvalidBalanceId),
        (named(""), Refusal::InvalidBalanceId),
        (ChangeBalance { kind: Some(BalanceKind::Sms), ..named("minutes") }, Refusal::BalanceKindMismatch),
        (dollars, Refusal::CurrencyMismatch { account: crate::tariff::currency("EUR") }),
        (ChangeBalance { account: key("b"), ..named("minutes") }, Refusal::UnknownAccount),
    ];
    for (change, refusal) in rows {
        assert_eq!(run(&mut desk, change.clone()), Outcome::Refused(refusal), "{change:?}");
    }
    let same_id = ledger::Transfer { account: key("a"), operation_id: "p".into(), amount: money("1"), currency: None };
    assert_eq!(desk.run(&Command::TopUp(same_id)), Outcome::Refused(Refusal::OperationReused));
    for number in 1..ledger::MAX_BALANCES {
        desk.fill("a", &format!("b{number}"), BalanceKind::Sms, units(1), heavy(0));
    }
    assert_eq!(run(&mut desk, change("x", "one more", true, cash("1"))), Outcome::Refused(Refusal::TooManyBalances));
    let day = 24 * 3_600_000;
    desk.at(31 * day).sweep();
    run(&mut desk, change("p", "minutes", true, units(5000)));
    assert_eq!(desk.holds("minutes").0, units(35_000), "remembered for the window, then new");
}

#[test]
fn a_debt_of_one_balance_is_not_paid_by_a_gift() {
    let mut desk = Desk::with(Tariff::of(r1()), "0.10");
    let abroad = BalanceTerms { destinations: vec!["33".into()], ..heavy(1) };
    desk.fill("a", "abroad", BalanceKind::Money, cash("1"), abroad);
    desk.answer(&initial("s", 30));
    desk.answer(&termination("s", 1, 15_000));
    desk.expect("a", "-0.05", "0");
    assert_eq!(desk.answer(&initial("t", 30)).result_code, ResultCode::CREDIT_LIMIT_REACHED);
    let abroad = ChargingRequest { called: Some(Number::from("+331")), ..initial("u", 30) };
    assert_eq!(granted(&desk.answer(&abroad)), (30_000, false));
    assert_eq!(desk.holds("abroad"), (cash("1"), cash("0.30")));
}
