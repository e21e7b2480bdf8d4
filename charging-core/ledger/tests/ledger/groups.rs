//! Rating groups that come and go within a session, validity, what a client finds again, and credit that comes back.

use types::charging::{ChargingAnswer, ChargingRequest, NotificationKind, Operation, RequestedAction, ResultCode};

use crate::desk::{Desk, gone, initial, notices, termination, update};
use crate::examples_more::{MB, data, event};
use crate::tariff::{Rate, Tariff, money, r1};

fn desk(balance: &str) -> Desk {
    let rate = |price: &str| Rate { increment: MB, price: money(price), ..r1() };
    let rates = vec![(10, rate("0.10")), (20, rate("0.01"))];
    Desk::with(Tariff { rates, unrated: "+888", east_ms: 0 }, balance)
}

fn octets(answer: &ChargingAnswer, at: usize) -> Option<u64> {
    answer.units.get(at).and_then(|unit| unit.granted).and_then(|units| units.total_octets)
}

#[test]
fn a_group_may_begin_in_an_update() {
    let mut desk = desk("1.00");
    let ask = Some(2 * MB);
    desk.answer(&data(0, Operation::Initial, &[(10, 0, ask)]));
    desk.expect("a", "1.00", "0.20");
    // The other group is not mentioned: its grant stays. One without a rate is denied alone.
    let answer = desk.answer(&data(1, Operation::Update, &[(20, 0, ask), (30, 0, ask)]));
    assert_eq!((octets(&answer, 0), octets(&answer, 1)), (ask, None));
    assert_eq!(answer.units[1].result_code, ResultCode::RATING_FAILED);
    desk.expect("a", "1.00", "0.22");
    // Used before it was asked for: charged all the same, and the group is known from then on.
    let answer = desk.answer(&data(2, Operation::Update, &[(20, 3 * MB, None)]));
    assert_eq!((octets(&answer, 0), answer.units[0].billable), (None, 3 * MB));
    desk.expect("a", "0.97", "0.20");
    desk.answer(&data(3, Operation::Termination, &[]));
    desk.expect("a", "0.97", "0");
}

/// Groups and what each asks, the balance, what each gets.
type Share = (&'static [(u32, u64)], &'static str, &'static [Option<u64>]);

#[test]
fn groups_of_one_request_share_what_is_left() {
    let rows: [Share; 8] = [
        // Enough for all: nothing is shared.
        (&[(10, 5), (20, 5)], "0.55", &[Some(5), Some(5)]),
        // One megabyte of group 10 costs 0.10, of group 20 0.01: the same share of what each asked for.
        (&[(10, 5), (20, 5)], "0.45", &[Some(4), Some(4)]),
        (&[(10, 5), (11, 5)], "0.45", &[Some(2), Some(2)]),
        (&[(10, 9), (11, 1)], "0.45", &[Some(3), Some(1)]),
        // In whichever order they are named.
        (&[(20, 5), (10, 5)], "0.45", &[Some(4), Some(4)]),
        // Too little for both: the first has it. Too little for one of them alone: it is out of the reckoning.
        (&[(10, 5), (11, 5)], "0.10", &[Some(1), None]),
        (&[(10, 5), (20, 5)], "0.05", &[None, Some(5)]),
        (&[(10, 5), (20, 5), (21, 5)], "0.08", &[None, Some(4), Some(4)]),
    ];
    for (groups, balance, granted) in rows {
        let rate = |price: &str| Rate { increment: MB, price: money(price), ..r1() };
        let rates = vec![(10, rate("0.10")), (11, rate("0.10")), (20, rate("0.01")), (21, rate("0.01"))];
        let mut desk = Desk::with(Tariff { rates, unrated: "+888", east_ms: 0 }, balance);
        let asked: Vec<_> = groups.iter().map(|(group, asked)| (*group, 0, Some(asked * MB))).collect();
        let answer = desk.answer(&data(0, Operation::Initial, &asked));
        for (at, granted) in granted.iter().enumerate() {
            assert_eq!(octets(&answer, at), granted.map(|megabytes| megabytes * MB), "{groups:?} of {balance}");
            let is_last = granted.is_some_and(|megabytes| megabytes < groups[at].1);
            assert_eq!(answer.units[at].final_unit.is_some(), is_last, "{groups:?}");
        }
        let cost = |group: u32| if group < 20 { 100_000_000_i128 } else { 10_000_000 };
        let held: i128 =
            groups.iter().zip(granted).map(|((group, _), got)| cost(*group) * i128::from(got.unwrap_or(0))).sum();
        desk.expect("a", balance, &types::Money::from_nanos(held).to_string());
    }
}

#[test]
fn the_same_group_with_another_service_is_another_group() {
    let mut desk = desk("1.00");
    let service = |request: ChargingRequest, id: u32| {
        let mut request = request;
        request.units.iter_mut().for_each(|unit| unit.service_identifier = Some(id));
        request
    };
    desk.answer(&service(data(0, Operation::Initial, &[(10, 0, Some(MB))]), 1));
    desk.answer(&service(data(1, Operation::Update, &[(10, 0, Some(MB))]), 2));
    desk.expect("a", "1.00", "0.20");
    desk.answer(&service(data(2, Operation::Update, &[(10, MB, None)]), 2));
    desk.expect("a", "0.90", "0.10");
}

#[test]
fn octets_are_granted_for_a_while_and_time_tells_by_itself() {
    let mut desk = desk("1.00");
    let validity = |answer: &ChargingAnswer| answer.units[0].validity_time_ms;
    assert_eq!(validity(&desk.answer(&data(0, Operation::Initial, &[(10, 0, Some(MB))]))), Some(1_800_000));
    assert_eq!(validity(&desk.answer(&data(1, Operation::Update, &[(10, MB, None)]))), None, "no grant");
    desk.settings.validity_ms = None;
    assert_eq!(validity(&desk.answer(&data(2, Operation::Update, &[(10, 0, Some(MB))]))), None);
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    assert_eq!(validity(&desk.answer(&initial("s", 30))), None);
    // A session is not given up before a grant of octets has run out.
    assert!(desk.settings.validity_ms.is_some_and(|validity| validity < desk.settings.idle_expiry_ms));
}

#[test]
fn a_client_finds_its_sessions_with_its_state() {
    let mut desk = Desk::with(Tariff::of(r1()), "5");
    let with_state =
        |request: ChargingRequest, state: &[u8]| ChargingRequest { client_state: state.to_vec(), ..request };
    desk.answer(&with_state(initial("s", 30), &[1]));
    desk.answer(&with_state(update("s", 1, 1000, 30), &[2, 2]));
    desk.answer(&update("s", 2, 1000, 30));
    desk.answer(&ChargingRequest { client_id: "agent-2".into(), ..initial("t", 30) });
    desk.answer(&initial("u", 30));
    desk.answer(&gone("u", 1));
    let listed = desk.books.sessions_of(&"agent-1".into());
    let found: Vec<_> = listed.iter().map(|one| (one.session_id.as_str(), one.client_state.as_slice())).collect();
    assert_eq!(found, [("s", &[2, 2][..])], "its own, not those it closed, the last state that was not empty");
    desk.answer(&with_state(update("s", 1, 1000, 30), &[9]));
    assert_eq!(desk.books.sessions_of(&"agent-1".into())[0].client_state, [2, 2], "a copy changes nothing");
}

#[test]
fn whatever_gives_credit_back_is_told_to_who_is_short() {
    let told = |desk: &Desk| {
        let all = desk.books.notifications(&"agent-1".into());
        all.iter().filter(|one| one.kind == NotificationKind::Reauthorize).count()
    };
    let mut tariff = Tariff::of(r1());
    tariff.rates[0].1.increment = 1000;
    let short = |tariff: Tariff| {
        let mut desk = Desk::with(tariff, "0.40");
        let debit = event("message", 0, RequestedAction::DirectDebit);
        assert_eq!(desk.answer(&debit).result_code, ResultCode::SUCCESS);
        desk.answer(&initial("holds", 10));
        desk.answer(&initial("short", 60));
        assert_eq!(told(&desk), 0);
        desk
    };
    // A refund, a call that ends or was never answered, a smaller grant, an expiry.
    let mut desk = short(tariff);
    let refund = event("message", 1, RequestedAction::Refund);
    assert_eq!(notices(&desk.answer(&refund)), [("short".into(), NotificationKind::Reauthorize)]);
    for (name, step) in [
        ("ended", Some(termination("holds", 1, 2000))),
        ("not answered", Some(gone("holds", 1))),
        ("smaller", Some(update("holds", 1, 1000, 2))),
        ("expired", None),
    ] {
        let mut desk = short(Tariff::of(r1()));
        match step {
            Some(request) => drop(desk.answer(&request)),
            None => {
                desk.at(260_000).sweep();
            }
        }
        assert_eq!(told(&desk), 1, "{name}");
    }
}
