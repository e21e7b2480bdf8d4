//! The core away, late or confused.

use agent_call::{Input, SwitchEvent};
use types::ReleaseCause;
use types::charging::{ChargingAnswer, ResultCode};

use super::core::R1;
use super::sim::{Sim, settings};

fn talking_without_core() -> (Sim, usize) {
    let (mut sim, call) = Sim::talking(R1, settings(), "1.00");
    sim.core_up = false;
    sim.run_to(25_000);
    sim.take(call);
    (sim, call)
}

#[test]
fn core_unreachable_at_initial() {
    let mut sim = Sim::with_balance(R1, settings(), "1.00");
    sim.core_up = false;
    let call = sim.offer();
    sim.run_to(-2_000);
    sim.fail(call, 0);
    sim.fail(call, 0);
    sim.expect(
        call,
        "-5.000 INITIAL #0 asks 30000 with state
         -2.000 -> refuse 503 CHARGING_UNAVAILABLE
         -2.000 ATTEMPT =0 end -2.000 reason Failed release CHARGING_UNAVAILABLE cause 41 sip 503 cost 0.00
         -2.000 TERMINATION #1 CHARGING_UNAVAILABLE
         -2.000 timer Ring 8.000",
    );
    sim.unanswered(call, 503);
    // The late grant of the lost INITIAL changes nothing; the TERMINATION behind it gives everything back.
    sim.run_to(60_000);
    sim.deliver();
    sim.expect(call, "60.000 cancel Ring\n60.000 finished");
    sim.expect_balance("1.00", "0.00");
}

#[test]
fn a_failure_of_another_request_is_not_a_failure_of_the_initial() {
    let mut sim = Sim::with_balance(R1, settings(), "1.00");
    sim.core_up = false;
    let call = sim.offer();
    sim.take(call);
    sim.fail(call, 3);
    sim.expect(call, "");
}

#[test]
fn update_unanswered_cuts_at_the_end_of_the_grant() {
    let (mut sim, call) = talking_without_core();
    sim.fail(call, 1);
    sim.run_to(30_050);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "30.000 -> release CHARGING_UNAVAILABLE attempt 1
         30.050 TERMINATION #2 +5050 Final CHARGING_UNAVAILABLE",
    );
    sim.deliver();
    sim.expect_untimed(
        call,
        "30.050 STOP =1 answer 0.000 end 30.050 talked 30.050 billable 31.000 overrun 50 usage 30050 reason Normal \
             release CHARGING_UNAVAILABLE cause 16 cost 0.31
         30.050 finished",
    );
}

#[test]
fn update_answered_late_but_in_time_goes_on() {
    let (mut sim, call) = talking_without_core();
    sim.fail(call, 1);
    sim.run_to(29_900);
    sim.deliver();
    sim.run_to(49_999);
    sim.expect(call, "29.900 -> backstop 25100\n29.900 timer Quota 50.000");
    sim.run_to(60_000);
    sim.ended(call);
    sim.expect_balance("0.40", "0.00");
}

#[test]
fn update_answered_after_the_cut_is_charged_and_stays_cut() {
    let (mut sim, call) = talking_without_core();
    sim.run_to(31_000);
    sim.deliver();
    sim.expect_untimed(call, "30.000 -> release CHARGING_UNAVAILABLE attempt 1");
    sim.ended(call);
    sim.expect_balance("0.69", "0.00");
}

#[test]
fn reauthorize_in_flight_is_coalesced() {
    let (mut sim, call) = talking_without_core();
    for _ in 0..3 {
        sim.input(call, Input::Reauthorize);
    }
    sim.expect(call, "");
    sim.run_to(26_000);
    sim.deliver();
    sim.expect_untimed(
        call,
        "26.000 -> backstop 29000
         26.000 UPDATE #2 +1000 ForcedReauthorisation asks 30000
         26.000 -> backstop 30000",
    );
    sim.run_to(50_999);
    sim.expect_untimed(call, "");
}

#[test]
fn reauthorize_before_the_answer_is_met_at_the_answer() {
    let mut sim = Sim::with_balance(R1, settings(), "0.03");
    let call = sim.offer();
    sim.core.top_up("a", "1.00");
    sim.tell();
    sim.run_to(0);
    sim.answered(call);
    sim.expect_untimed(
        call,
        "-5.000 INITIAL #0 asks 30000 with state
         -5.000 -> admit 3000
         0.000 START =0 answer 0.000
         0.000 UPDATE #1 +0 ForcedReauthorisation asks 30000 with state
         0.000 -> backstop 30000",
    );
}

#[test]
fn reauthorize_while_the_switch_is_lost_waits_for_it() {
    let (mut sim, call) = Sim::talking(R1, settings(), "1.00");
    sim.run_to(3_000);
    sim.input(call, Input::SwitchLost);
    sim.take(call);
    sim.input(call, Input::Reauthorize);
    sim.expect(call, "");
    sim.run_to(9_000);
    sim.alive(call);
    sim.expect_untimed(
        call,
        "9.000 -> backstop 21000
         9.000 UPDATE #1 +9000 ForcedReauthorisation asks 30000 with state
         9.000 -> backstop 30000",
    );
}

/// The denial of an UPDATE does not shorten what was granted, and its reason is the record's.
#[test]
fn a_denied_update_lets_the_grant_run_out() {
    for (code, told, cause) in [
        (ResultCode::CREDIT_LIMIT_REACHED, None, "CREDIT_EXHAUSTED"),
        (ResultCode::END_USER_SERVICE_DENIED, None, "ACCOUNT_BLOCKED"),
        (ResultCode::END_USER_SERVICE_DENIED, Some(ReleaseCause::Policy), "POLICY"),
        (ResultCode::END_USER_SERVICE_DENIED, Some(ReleaseCause::Fraud), "FRAUD"),
        (ResultCode::RATING_FAILED, None, "UNRATED_DESTINATION"),
    ] {
        let (mut sim, call) = talking_without_core();
        let session = sim.calls[call].machine.session_id().clone();
        let refusal = ChargingAnswer::refusal(session, 1, code);
        sim.answer(call, ChargingAnswer { release_cause: told, ..refusal });
        sim.run_to(29_999);
        sim.expect_untimed(call, "");
        sim.run_to(30_000);
        sim.expect_untimed(call, &format!("30.000 -> release {cause} attempt 1"));
    }
}

#[test]
fn a_session_that_the_core_does_not_know_is_alarmed() {
    let (mut sim, call) = talking_without_core();
    let session = sim.calls[call].machine.session_id().clone();
    let unknown = |number| ChargingAnswer::refusal(session.clone(), number, ResultCode::UNKNOWN_SESSION);
    sim.answer(call, unknown(1));
    sim.run_to(30_100);
    sim.ended(call);
    sim.answer(call, unknown(2));
    sim.expect_untimed(
        call,
        "25.000 ! session lost
         30.000 -> release CHARGING_UNAVAILABLE attempt 1
         30.100 TERMINATION #2 +5100 Final CHARGING_UNAVAILABLE
         30.100 ! session lost
         30.100 STOP =1 answer 0.000 end 30.100 talked 30.100 billable 0.000 overrun 100 usage 30100 reason Normal \
             release CHARGING_UNAVAILABLE cause 16 cost 0.00
         30.100 finished",
    );
}

/// A call that the switch let through by itself while the core was asked, and that the core then denies.
#[test]
fn answered_while_authorising_then_denied() {
    let mut sim = Sim::with_balance(R1, settings(), "0.00");
    sim.core_up = false;
    let call = sim.offer();
    sim.run_to(0);
    sim.answered(call);
    sim.take(call);
    sim.deliver();
    sim.expect_untimed(call, "0.000 -> release CREDIT_EXHAUSTED attempt 1");
    sim.run_to(700);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "0.700 ! uncharged
         0.700 STOP =1 answer 0.000 end 0.700 talked 0.700 usage 700 reason Normal release CREDIT_EXHAUSTED cause 16
         0.700 finished",
    );
}

/// Answered and over before the core said anything: the usage follows as soon as there is a session to report it to.
#[test]
fn answered_and_ended_while_authorising() {
    let mut sim = Sim::with_balance(R1, settings(), "1.00");
    sim.core_up = false;
    let call = sim.offer();
    sim.run_to(0);
    sim.answered(call);
    sim.run_to(2_500);
    sim.ended(call);
    sim.ended(call);
    sim.switch(call, SwitchEvent::Gone);
    sim.take(call);
    sim.deliver();
    sim.expect_untimed(
        call,
        "2.500 TERMINATION #1 +2500 Final
         2.500 STOP =1 answer 0.000 end 2.500 talked 2.500 billable 3.000 usage 2500 reason Normal cause 16 cost 0.03
         2.500 finished",
    );
}

/// A core that grants less than the margin is asked again when half of it is used, not in a storm.
#[test]
fn short_grants_do_not_make_a_storm() {
    let settings = agent_call::CallSettings { slice_ms: 4_000, ..settings() };
    let (mut sim, call) = Sim::talking(R1, settings, "1.00");
    sim.run_to(5_000);
    sim.expect_untimed(
        call,
        "-5.000 INITIAL #0 asks 4000 with state
         -5.000 -> admit 4000
         0.000 START =0 answer 0.000
         2.000 UPDATE #1 +2000 Threshold asks 4000 with state
         2.000 -> backstop 4000
         4.000 UPDATE #2 +2000 Threshold asks 4000
         4.000 -> backstop 4000",
    );
}
