//! Hangups and answers that cross each other.

use agent_call::{CallEnd, Input, SwitchEvent};
use types::{EndedBy, ReleaseCause};

use super::core::R1;
use super::sim::{Sim, answer_at, settings, utc};

fn ringing() -> (Sim, usize) {
    let mut sim = Sim::with_balance(R1, settings(), "1.00");
    let call = sim.offer();
    sim.run_to(0);
    sim.take(call);
    (sim, call)
}

#[test]
fn ended_while_an_update_is_in_flight() {
    let (mut sim, call) = ringing();
    sim.answered(call);
    sim.core_up = false;
    sim.run_to(26_000);
    sim.ended(call);
    let [update, termination] = &sim.calls[call].unanswered[..] else { panic!("two requests wait") };
    let (update, termination) = (sim.core.clone().charge(update), termination.clone());
    assert_eq!((update.request_number, termination.request_number), (1, 2));
    sim.take(call);
    // In order; the UPDATE's answer says nothing new to a call that is over.
    sim.deliver();
    sim.expect(
        call,
        "26.000 STOP =1 answer 0.000 end 26.000 talked 26.000 billable 26.000 usage 26000 reason Normal cause 16 cost 0.26
         26.000 cancel FinalRecord
         26.000 finished",
    );
    sim.answer(call, update);
    sim.expect(call, "");
    sim.expect_balance("0.74", "0.00");
}

#[test]
fn answered_after_a_release_was_wanted() {
    let (mut sim, call) = ringing();
    sim.release(call, ReleaseCause::Operator);
    sim.run_to(500);
    sim.answered(call);
    sim.run_to(900);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "0.000 -> release OPERATOR attempt 1
         0.500 START =0 answer 0.500
         0.500 -> release OPERATOR attempt 1
         0.900 TERMINATION #1 +400 Final OPERATOR
         0.900 STOP =1 answer 0.500 end 0.900 talked 0.400 billable 1.000 usage 400 reason Normal release OPERATOR \
             cause 16 cost 0.01
         0.900 finished",
    );
}

#[test]
fn everything_twice() {
    let (mut sim, call) = ringing();
    sim.switch(call, SwitchEvent::Ringing);
    sim.answered(call);
    sim.run_to(100);
    sim.switch(call, SwitchEvent::Answered(answer_at(0)));
    sim.run_to(10_000);
    sim.core_up = false;
    sim.ended(call);
    sim.run_to(10_500);
    sim.ended(call);
    sim.switch(call, SwitchEvent::Gone);
    sim.switch(call, SwitchEvent::Answered(answer_at(0)));
    sim.deliver();
    sim.ended(call);
    sim.expect_untimed(
        call,
        "0.000 START =0 answer 0.000
         10.000 TERMINATION #1 +10000 Final
         10.500 STOP =1 answer 0.000 end 10.000 talked 10.000 billable 10.000 usage 10000 reason Normal cause 16 cost 0.10
         10.500 finished",
    );
}

#[test]
fn ended_after_gone_comes_too_late() {
    let (mut sim, call) = ringing();
    sim.answered(call);
    sim.run_to(8_000);
    sim.alive(call);
    sim.run_to(9_000);
    sim.core_up = false;
    sim.switch(call, SwitchEvent::Gone);
    sim.ended(call);
    sim.deliver();
    sim.expect_untimed(
        call,
        "0.000 START =0 answer 0.000
         9.000 TERMINATION #1 +8000 Final
         9.000 STOP =1 answer 0.000 end 8.000 talked 8.000 billable 8.000 usage 8000 reason Normal cause 16 cost 0.08 \
             reconstructed
         9.000 finished",
    );
}

/// The answer event was lost, but the end tells of it.
#[test]
fn an_end_that_tells_of_the_answer() {
    let (mut sim, call) = ringing();
    sim.run_to(12_000);
    let end = CallEnd { answered: Some(utc(2_000)), ..CallEnd::normal(utc(12_000), EndedBy::Callee) };
    sim.switch(call, SwitchEvent::Ended(end));
    sim.expect_untimed(
        call,
        "12.000 START =0 answer 2.000
         12.000 TERMINATION #1 +10000 Final
         12.000 STOP =1 answer 2.000 end 12.000 talked 10.000 billable 10.000 usage 10000 reason Normal cause 16 cost 0.10
         12.000 finished",
    );
}

/// Twenty seconds without the switch, over the margin of the grant: nothing is dropped.
#[test]
fn switch_lost_and_found_again() {
    let (mut sim, call) = ringing();
    sim.answered(call);
    sim.run_to(8_000);
    sim.take(call);
    sim.input(call, Input::SwitchLost);
    sim.expect(call, "8.000 cancel Quota\n8.000 cancel Interim\n8.000 cancel Release");
    sim.run_to(28_000);
    sim.expect(call, "");
    sim.alive(call);
    sim.run_to(60_000);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "28.000 -> backstop 2000
         28.000 UPDATE #1 +28000 Threshold asks 30000 with state
         28.000 -> backstop 30000
         53.000 UPDATE #2 +25000 Threshold asks 30000
         53.000 -> backstop 30000
         60.000 TERMINATION #3 +7000 Final
         60.000 STOP =1 answer 0.000 end 60.000 talked 60.000 billable 60.000 usage 60000 reason Normal cause 16 cost 0.60
         60.000 finished",
    );
}

/// Away for longer than the grant: nobody has asked the core, so nothing says that the credit is gone.
#[test]
fn switch_lost_for_longer_than_the_grant() {
    let (mut sim, call) = ringing();
    sim.answered(call);
    sim.run_to(8_000);
    sim.input(call, Input::SwitchLost);
    sim.run_to(30_400);
    sim.take(call);
    sim.alive(call);
    sim.run_to(30_450);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "30.400 -> backstop 0
         30.400 -> release CHARGING_UNAVAILABLE attempt 1
         30.450 TERMINATION #1 +30450 Final CHARGING_UNAVAILABLE
         30.450 STOP =1 answer 0.000 end 30.450 talked 30.450 billable 30.000 overrun 450 usage 30450 reason Normal \
             release CHARGING_UNAVAILABLE cause 16 cost 0.30
         30.450 finished",
    );
}

#[test]
fn switch_lost_and_the_call_gone() {
    let (mut sim, call) = ringing();
    sim.answered(call);
    sim.run_to(4_000);
    sim.alive(call);
    sim.run_to(8_000);
    sim.input(call, Input::SwitchLost);
    sim.run_to(18_000);
    sim.switch(call, SwitchEvent::Gone);
    sim.expect_balance("0.96", "0.00");
    assert!(sim.take(call).contains(
        &"18.000 STOP =1 answer 0.000 end 4.000 talked 4.000 billable 4.000 usage 4000 reason Normal cause 16 cost 0.04 \
          reconstructed"
            .to_owned()
    ));
}

/// What was reported is proven, even when the switch gave no proof since.
#[test]
fn gone_never_takes_back_a_report() {
    let (mut sim, call) = ringing();
    sim.answered(call);
    sim.run_to(26_000);
    sim.switch(call, SwitchEvent::Gone);
    sim.expect_balance("0.75", "0.00");
    assert_eq!(sim.records(call).last().and_then(|stop| stop.duration).map(|talked| talked.ms()), Some(25_000));
}

/// While the switch is away a ringing call is not given up: it may have been answered.
#[test]
fn switch_lost_while_ringing() {
    let (mut sim, call) = ringing();
    sim.input(call, Input::SwitchLost);
    sim.expect(call, "0.000 cancel Quota\n0.000 cancel Interim\n0.000 cancel Release\n0.000 cancel Ring");
    sim.run_to(200_000);
    sim.switch(call, SwitchEvent::Ringing);
    sim.expect(call, "200.000 timer Ring 380.000");
    sim.release(call, ReleaseCause::Operator);
    sim.input(call, Input::SwitchLost);
    sim.take(call);
    sim.run_to(210_000);
    sim.switch(call, SwitchEvent::Ringing);
    sim.expect_untimed(call, "210.000 -> release OPERATOR attempt 1");
    sim.run_to(212_000);
    sim.expect_untimed(call, "212.000 -> release OPERATOR attempt 2");
}
