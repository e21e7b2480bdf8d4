//! A release is repeated until it is proven, and metering goes on until then.

use agent_call::Input;
use types::ReleaseCause;

use super::core::R1;
use super::sim::{Sim, settings};

fn releasing() -> (Sim, usize) {
    let (mut sim, call) = Sim::talking(R1, settings(), "1.00");
    sim.run_to(1_000);
    sim.take(call);
    sim.release(call, ReleaseCause::Fraud);
    (sim, call)
}

#[test]
fn repeated_every_two_seconds_then_alarmed() {
    let (mut sim, call) = releasing();
    sim.run_to(7_500);
    sim.ended(call);
    sim.expect(
        call,
        "1.000 -> release FRAUD attempt 1
         1.000 cancel Quota
         1.000 cancel MaximumCall
         1.000 cancel Interim
         1.000 timer Release 3.000
         3.000 -> release FRAUD attempt 2
         3.000 timer Release 5.000
         5.000 -> release FRAUD attempt 3
         5.000 ! release unconfirmed 3
         5.000 timer Release 7.000
         7.000 -> release FRAUD attempt 4
         7.000 ! release unconfirmed 4
         7.000 timer Release 9.000
         7.500 cancel all timers
         7.500 TERMINATION #1 +7500 Final FRAUD
         7.500 timer FinalRecord 17.500
         7.500 STOP =1 answer 0.000 end 7.500 talked 7.500 billable 8.000 usage 7500 reason Normal release FRAUD \
             cause 16 cost 0.08
         7.500 cancel FinalRecord
         7.500 finished",
    );
}

#[test]
fn nothing_is_commanded_without_the_switch_and_everything_after() {
    let (mut sim, call) = releasing();
    sim.input(call, Input::SwitchLost);
    sim.take(call);
    sim.run_to(20_000);
    sim.input(call, Input::Timer(agent_call::Timer::Release));
    sim.expect(call, "");
    sim.alive(call);
    sim.run_to(22_000);
    sim.expect_untimed(call, "20.000 -> release FRAUD attempt 1\n22.000 -> release FRAUD attempt 2");
}

/// A grant, a REAUTHORIZE or a hold on the way does not bring back a call that is being ended.
#[test]
fn nothing_revives_a_released_call() {
    let mut settings = settings();
    settings.hold = agent_call::HoldCharging::Free;
    let (mut sim, call) = Sim::talking(R1, settings, "1.00");
    sim.core_up = false;
    sim.run_to(25_000);
    sim.input(call, Input::Reauthorize);
    sim.release(call, ReleaseCause::Operator);
    sim.take(call);
    sim.input(call, Input::Reauthorize);
    sim.switch(call, agent_call::SwitchEvent::Held);
    sim.switch(call, agent_call::SwitchEvent::Resumed);
    sim.deliver();
    sim.input(call, Input::Timer(agent_call::Timer::Quota));
    sim.expect_untimed(call, "");
}

#[test]
fn released_while_the_first_grant_is_on_its_way_to_a_talking_call() {
    let mut sim = Sim::with_balance(R1, settings(), "1.00");
    sim.core_up = false;
    let call = sim.offer();
    sim.run_to(0);
    sim.answered(call);
    sim.release(call, ReleaseCause::Operator);
    sim.input(call, Input::SwitchLost);
    sim.take(call);
    sim.run_to(500);
    sim.alive(call);
    sim.deliver();
    sim.run_to(2_500);
    sim.expect_untimed(call, "0.500 -> release OPERATOR attempt 1\n2.500 -> release OPERATOR attempt 2");
}
