//! Example 17: slicing never changes what a call costs; parallel sessions give out exactly what is there.

use types::charging::{ChargingRequest, ResultCode};

use crate::desk::{Desk, NOON, cost, granted, initial, termination, update};
use crate::tariff::{Rate, Tariff, money, r1, r3};

/// What a call of `total_ms` costs when it is reported in slices.
fn sliced(rate: &Rate, total_ms: u64, slice_ms: u64) -> String {
    let mut desk = Desk::with(Tariff::of(rate.clone()), "1000");
    let answered = |request: ChargingRequest| ChargingRequest { answer_time: Some(NOON.plus(10_000)), ..request };
    desk.answer(&initial("s", slice_ms.div_ceil(1000)));
    let (mut used_ms, mut number) = (0, 0);
    while total_ms - used_ms > slice_ms {
        number += 1;
        used_ms += slice_ms;
        let answer =
            desk.at(10_000 + used_ms).answer(&answered(update("s", number, slice_ms, slice_ms.div_ceil(1000))));
        assert!(!granted(&answer).1);
    }
    let answer = desk.at(10_000 + total_ms).answer(&answered(termination("s", number + 1, total_ms - used_ms)));
    cost(&answer).0
}

#[test]
fn example_17_roundness_never_depends_on_slicing() {
    let border = Some((NOON.plus(20_000), money("0.01")));
    let bordered = Rate { price: money("0.02"), border, ..r1() };
    let rounded = Rate { price: money("0.0007"), round_up_to: Some(money("0.01")), ..r1() };
    let odd = Rate { increment: 6000, connect: money("0.000000001"), price: money("0.003333333"), ..r1() };
    for rate in [r1(), r3(), bordered, rounded, odd] {
        for total_ms in [1, 999, 30_000, 70_000, 61_001, 499_999, 500_500] {
            let whole = sliced(&rate, total_ms, total_ms);
            for slice_ms in [7000, 30_000, 500_000, 7123] {
                assert_eq!(sliced(&rate, total_ms, slice_ms), whole, "{total_ms} ms in {slice_ms} ms");
            }
        }
    }
    assert_eq!(sliced(&r1(), 70_000, 7000), "0.7");
    assert_eq!(sliced(&r3(), 60_040, 7000), "1.25");
}

#[test]
fn sixty_four_sessions_share_credit_for_ten() {
    let mut desk = Desk::with(Tariff::of(r1()), "3.00");
    let mut admitted = 0;
    for number in 0..64 {
        let answer = desk.answer(&initial(&format!("s{number}"), 30));
        match answer.result_code {
            ResultCode::SUCCESS => admitted += u64::from(granted(&answer) == (30_000, false)),
            code => assert_eq!(code, ResultCode::CREDIT_LIMIT_REACHED),
        }
    }
    assert_eq!(admitted, 10);
    desk.expect("a", "3.00", "3.00");
    for number in 0..64 {
        desk.answer(&termination(&format!("s{number}"), 1, if number < 10 { 30_000 } else { 0 }));
    }
    desk.expect("a", "0", "0");
}
