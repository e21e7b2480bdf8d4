//! The worked money examples, at the level of the machine.

use agent_call::{Input, SwitchEvent};
use types::ReleaseCause;
use types::charging::ResultCode;

use super::core::{COARSE, R1};
use super::sim::{Sim, offer_of, settings};

/// Offered at -5, answered at 0.
fn talking(rate: super::core::Rate, balance: &str) -> (Sim, usize) {
    Sim::talking(rate, settings(), balance)
}

#[test]
fn example_1_a_call_that_ends_by_itself() {
    let (mut sim, call) = talking(R1, "1.00");
    sim.expect_balance("1.00", "0.30");
    sim.run_to(25_000);
    sim.expect_balance("0.75", "0.30");
    sim.run_to(50_000);
    sim.expect_balance("0.50", "0.30");
    sim.run_to(70_000);
    sim.ended(call);
    sim.expect_balance("0.30", "0.00");
    sim.expect(
        call,
        "-5.000 INITIAL #0 asks 30000 with state
         -5.000 -> admit 30000
         -5.000 timer Ring 175.000
         0.000 START =0 answer 0.000
         0.000 cancel Ring
         0.000 timer MaximumCall 14400.000
         0.000 timer Quota 25.000
         25.000 UPDATE #1 +25000 Threshold asks 30000 with state
         25.000 timer Quota 30.000
         25.000 -> backstop 30000
         25.000 timer Quota 50.000
         50.000 UPDATE #2 +25000 Threshold asks 30000
         50.000 timer Quota 55.000
         50.000 -> backstop 30000
         50.000 timer Quota 75.000
         70.000 cancel all timers
         70.000 TERMINATION #3 +20000 Final
         70.000 timer FinalRecord 80.000
         70.000 STOP =1 answer 0.000 end 70.000 talked 70.000 billable 70.000 usage 70000 reason Normal cause 16 cost 0.70
         70.000 cancel FinalRecord
         70.000 finished",
    );
}

#[test]
fn example_2_credit_ends() {
    let (mut sim, call) = talking(R1, "0.45");
    sim.run_to(25_000);
    sim.expect_balance("0.20", "0.20");
    sim.run_to(40_000);
    sim.expect_balance("0.05", "0.05");
    sim.run_to(45_080);
    sim.ended(call);
    sim.expect_balance("0.00", "0.00");
    sim.expect_untimed(
        call,
        "-5.000 INITIAL #0 asks 30000 with state
         -5.000 -> admit 30000
         0.000 START =0 answer 0.000
         25.000 UPDATE #1 +25000 Threshold asks 30000 with state
         25.000 -> backstop 20000
         25.000 -> warn 20000
         40.000 UPDATE #2 +15000 Threshold asks 30000 with state
         45.000 -> release CREDIT_EXHAUSTED attempt 1
         45.080 TERMINATION #3 +5080 Final CREDIT_EXHAUSTED
         45.080 STOP =1 answer 0.000 end 45.080 talked 45.080 billable 45.000 overrun 80 usage 45080 reason Normal \
             release CREDIT_EXHAUSTED cause 16 cost 0.45
         45.080 finished",
    );
}

#[test]
fn example_2_when_the_switch_obeys_after_three_seconds() {
    let (mut sim, call) = talking(R1, "0.45");
    sim.run_to(48_000);
    sim.ended(call);
    sim.expect_balance("-0.03", "0.00");
    let lines = sim.take(call);
    let tail = &lines[lines.len() - 6..];
    assert_eq!(
        tail.iter().filter(|line| !super::show::is_timer(line)).collect::<Vec<_>>(),
        [
            "48.000 TERMINATION #3 +8000 Final CREDIT_EXHAUSTED",
            "48.000 ! overrun 3000",
            "48.000 STOP =1 answer 0.000 end 48.000 talked 48.000 billable 48.000 overrun 3000 usage 48000 reason Normal \
             release CREDIT_EXHAUSTED cause 16 cost 0.48",
            "48.000 finished",
        ]
    );
    assert!(lines.contains(&"47.000 -> release CREDIT_EXHAUSTED attempt 2".to_owned()));
}

#[test]
fn example_3_coarse_increments_and_a_connect_fee() {
    let (mut sim, call) = talking(COARSE, "1.00");
    sim.expect_balance("1.00", "0.65");
    sim.run_to(55_000);
    sim.expect_balance("0.35", "0.00");
    sim.run_to(60_040);
    sim.ended(call);
    sim.expect_balance("0.35", "0.00");
    sim.expect_untimed(
        call,
        "-5.000 INITIAL #0 asks 30000 with state
         -5.000 -> admit 60000
         0.000 START =0 answer 0.000
         55.000 UPDATE #1 +55000 Threshold asks 30000 with state
         55.000 -> warn 5000
         60.000 -> release CREDIT_EXHAUSTED attempt 1
         60.040 TERMINATION #2 +5040 Final CREDIT_EXHAUSTED
         60.040 STOP =1 answer 0.000 end 60.040 talked 60.040 billable 60.000 overrun 40 usage 60040 reason Normal \
             release CREDIT_EXHAUSTED cause 16 cost 0.65
         60.040 finished",
    );
}

#[test]
fn example_4_not_answered() {
    for rate in [R1, COARSE] {
        let mut sim = Sim::with_balance(rate, settings(), "1.00");
        let call = sim.offer();
        sim.switch(call, SwitchEvent::Ringing);
        sim.run_to(15_000);
        sim.unanswered(call, 487);
        sim.expect_balance("1.00", "0.00");
        let lines = sim.take(call);
        assert_eq!(
            lines[3..],
            [
                "15.000 cancel all timers",
                "15.000 ATTEMPT =0 end 15.000 reason Cancelled cause 16 sip 487 cost 0.00",
                "15.000 TERMINATION #1",
                "15.000 finished",
            ]
        );
    }
}

#[test]
fn example_5_two_calls_on_one_account() {
    let mut sim = Sim::with_balance(R1, settings(), "0.45");
    let (a, b) = (sim.offer(), sim.offer());
    sim.expect_balance("0.45", "0.45");
    sim.run_to(0);
    sim.answered(a);
    sim.answered(b);
    sim.run_to(10_000);
    sim.expect_balance("0.35", "0.35");
    sim.run_to(12_000);
    sim.ended(a);
    sim.expect_balance("0.21", "0.21");
    sim.run_to(28_000);
    sim.expect_balance("0.05", "0.05");
    sim.run_to(33_030);
    sim.ended(b);
    sim.expect_balance("0.00", "0.00");
    sim.expect_untimed(
        a,
        "-5.000 INITIAL #0 asks 30000 with state
         -5.000 -> admit 30000
         0.000 START =0 answer 0.000
         12.000 TERMINATION #1 +12000 Final
         12.000 STOP =1 answer 0.000 end 12.000 talked 12.000 billable 12.000 usage 12000 reason Normal cause 16 cost 0.12
         12.000 finished",
    );
    sim.expect_untimed(
        b,
        "-5.000 INITIAL #0 asks 30000 with state
         -5.000 -> admit 15000
         0.000 START =0 answer 0.000
         10.000 UPDATE #1 +10000 Threshold asks 30000 with state
         10.000 -> warn 5000
         12.000 UPDATE #2 +2000 ForcedReauthorisation asks 30000 with state
         12.000 -> backstop 21000
         28.000 UPDATE #3 +16000 Threshold asks 30000
         33.000 -> release CREDIT_EXHAUSTED attempt 1
         33.030 TERMINATION #4 +5030 Final CREDIT_EXHAUSTED
         33.030 STOP =1 answer 0.000 end 33.030 talked 33.030 billable 33.000 overrun 30 usage 33030 reason Normal \
             release CREDIT_EXHAUSTED cause 16 cost 0.33
         33.030 finished",
    );
}

#[test]
fn example_6_a_top_up_saves_the_call() {
    let (mut sim, call) = talking(R1, "0.45");
    sim.run_to(43_000);
    sim.take(call);
    sim.core.top_up("a", "1.00");
    sim.tell();
    sim.expect_balance("1.02", "0.30");
    sim.run_to(50_000);
    sim.ended(call);
    sim.expect_balance("0.95", "0.00");
    sim.expect_untimed(
        call,
        "43.000 UPDATE #3 +3000 ForcedReauthorisation asks 30000
         43.000 -> backstop 30000
         50.000 TERMINATION #4 +7000 Final
         50.000 STOP =1 answer 0.000 end 50.000 talked 50.000 billable 50.000 usage 50000 reason Normal cause 16 cost 0.50
         50.000 finished",
    );
}

#[test]
fn example_7_lost_answers_and_copies() {
    let mut sim = Sim::with_balance(R1, settings(), "1.00");
    sim.core_up = false;
    let call = sim.offer();
    let initial = sim.calls[call].unanswered.remove(0);
    let lost = sim.core.charge(&initial);
    let again = sim.core.charge(&initial);
    assert_eq!(lost, again);
    sim.expect_balance("1.00", "0.30");
    sim.answer(call, again.clone());
    sim.answer(call, again.clone());
    sim.run_to(0);
    sim.answered(call);
    sim.run_to(25_000);
    let update = sim.calls[call].unanswered.remove(0);
    let first = sim.core.charge(&update);
    sim.answer(call, first.clone());
    sim.core_up = true;
    sim.run_to(50_000);
    assert_eq!(sim.core.charge(&update), first);
    let mut other = update.clone();
    other.units[0].used[0].units.time_ms = Some(26_000);
    assert_eq!(sim.core.charge(&other).result_code, ResultCode::INVALID_VALUE);
    // Copies of old answers reach the machine too.
    sim.answer(call, first);
    sim.answer(call, again);
    sim.run_to(70_000);
    sim.ended(call);
    sim.expect_balance("0.30", "0.00");
    sim.expect_untimed(
        call,
        "-5.000 INITIAL #0 asks 30000 with state
         -5.000 -> admit 30000
         0.000 START =0 answer 0.000
         25.000 UPDATE #1 +25000 Threshold asks 30000 with state
         25.000 -> backstop 30000
         50.000 UPDATE #2 +25000 Threshold asks 30000
         50.000 -> backstop 30000
         70.000 TERMINATION #3 +20000 Final
         70.000 STOP =1 answer 0.000 end 70.000 talked 70.000 billable 70.000 usage 70000 reason Normal cause 16 cost 0.70
         70.000 finished",
    );
}

#[test]
fn example_8_agent_killed_comes_back() {
    let (mut sim, call) = talking(R1, "1.00");
    sim.run_to(40_000);
    sim.take(call);
    sim.restore(call, 40_000);
    sim.run_to(48_000);
    sim.alive(call);
    sim.run_to(70_000);
    sim.ended(call);
    sim.expect_balance("0.30", "0.00");
    sim.expect_untimed(
        call,
        "48.000 START =0 answer 0.000
         48.000 -> backstop 7000
         50.000 UPDATE #2 +25000 Threshold asks 30000
         50.000 -> backstop 30000
         70.000 TERMINATION #3 +20000 Final
         70.000 STOP =1 answer 0.000 end 70.000 talked 70.000 billable 70.000 usage 70000 reason Normal cause 16 cost 0.70
         70.000 finished",
    );
}

#[test]
fn example_10_switch_dies() {
    let (mut sim, call) = talking(R1, "1.00");
    sim.run_to(30_000);
    sim.alive(call);
    sim.take(call);
    sim.run_to(33_700);
    sim.input(call, Input::SwitchLost);
    sim.run_to(41_000);
    sim.switch(call, SwitchEvent::Gone);
    sim.expect_balance("0.70", "0.00");
    sim.expect_untimed(
        call,
        "41.000 TERMINATION #2 +5000 Final
         41.000 STOP =1 answer 0.000 end 30.000 talked 30.000 billable 30.000 usage 30000 reason Normal cause 16 cost 0.30 \
             reconstructed
         41.000 finished",
    );
}

#[test]
fn example_16_refusals() {
    let unknown = offer_of("c", "nobody");
    let mut nobody = offer_of("c", "a");
    nobody.payer = None;
    let mut no_number = offer_of("c", "a");
    no_number.called = None;
    let mut no_rate = offer_of("c", "a");
    no_rate.called = Some("+1212".into());
    let poor = offer_of("c", "a");
    let rows = [
        (poor.clone(), "0.00", false, true, ReleaseCause::CreditExhausted, 402, 50),
        (poor.clone(), "0.005", false, true, ReleaseCause::CreditExhausted, 402, 50),
        (unknown, "1.00", false, true, ReleaseCause::UnknownAccount, 403, 21),
        (poor, "1.00", true, true, ReleaseCause::AccountBlocked, 403, 21),
        (no_rate, "1.00", false, true, ReleaseCause::UnratedDestination, 403, 21),
        (no_number, "1.00", false, false, ReleaseCause::InvalidNumber, 484, 28),
        (nobody, "1.00", false, false, ReleaseCause::UnknownPayer, 403, 21),
    ];
    for (offer, balance, blocked, asked, cause, status, q850) in rows {
        let mut sim = Sim::with_balance(R1, settings(), balance);
        sim.core.account("a").blocked = blocked;
        let call = sim.offer_with(offer);
        let refusal = format!(
            "{}-5.000 -> refuse {status} {name}
             -5.000 ATTEMPT =0 end -5.000 reason Failed release {name} cause {q850} sip {status} cost 0.00
             -5.000 timer Ring 5.000",
            if asked { "-5.000 INITIAL #0 asks 30000 with state\n" } else { "" },
            name = cause.as_str(),
        );
        sim.expect(call, &refusal);
        sim.run_to(-4_000);
        sim.unanswered(call, status);
        sim.expect(call, "-4.000 cancel Ring\n-4.000 finished");
        assert!(sim.calls[call].unanswered.is_empty(), "{cause:?}: a denial is not terminated");
    }
}
