//! Hold, free and charged.

use agent_call::{CallEnd, CallSettings, HoldCharging, Input, SwitchEvent};
use types::EndedBy;

use super::core::R1;
use super::sim::{Sim, settings, utc};

fn talking(hold: HoldCharging) -> (Sim, usize) {
    let (mut sim, call) = Sim::talking(R1, CallSettings { hold, ..settings() }, "1.00");
    sim.run_to(10_000);
    sim.take(call);
    (sim, call)
}

#[test]
fn charged_hold_is_talk() {
    let (mut sim, call) = talking(HoldCharging::Charged);
    sim.switch(call, SwitchEvent::Held);
    sim.run_to(20_000);
    sim.switch(call, SwitchEvent::Resumed);
    sim.expect(call, "");
    sim.ended(call);
    sim.expect_balance("0.80", "0.00");
}

#[test]
fn free_hold_stops_the_clock() {
    let (mut sim, call) = talking(HoldCharging::Free);
    sim.switch(call, SwitchEvent::Held);
    sim.switch(call, SwitchEvent::Held);
    sim.run_to(70_000);
    sim.switch(call, SwitchEvent::Resumed);
    sim.switch(call, SwitchEvent::Resumed);
    sim.run_to(100_000);
    sim.ended(call);
    sim.expect(
        call,
        "10.000 cancel Quota
         10.000 -> backstop 14400000
         70.000 -> backstop 20000
         70.000 timer Quota 85.000
         85.000 UPDATE #1 +25000 Threshold asks 30000 with state
         85.000 timer Quota 90.000
         85.000 -> backstop 30000
         85.000 timer Quota 110.000
         100.000 cancel all timers
         100.000 TERMINATION #2 +15000 Final
         100.000 timer FinalRecord 110.000
         100.000 STOP =1 answer 0.000 end 100.000 talked 40.000 billable 40.000 usage 40000 reason Normal cause 16 cost 0.40
         100.000 cancel FinalRecord
         100.000 finished",
    );
}

#[test]
fn a_grant_during_free_hold_does_not_bring_the_backstop_near() {
    let (mut sim, call) = talking(HoldCharging::Free);
    sim.switch(call, SwitchEvent::Held);
    sim.take(call);
    sim.run_to(20_000);
    sim.input(call, Input::Reauthorize);
    sim.expect(
        call,
        "20.000 UPDATE #1 +10000 ForcedReauthorisation asks 30000 with state
         20.000 cancel Quota
         20.000 -> backstop 14400000
         20.000 cancel Quota",
    );
}

#[test]
fn hung_up_on_free_hold() {
    let (mut sim, call) = talking(HoldCharging::Free);
    sim.switch(call, SwitchEvent::Held);
    sim.run_to(40_000);
    sim.ended(call);
    sim.expect_balance("0.90", "0.00");
    assert!(sim.records(call).iter().all(|record| !record.clock_anomaly));
}

/// The hold lasted until the end of the call, however late the news of it.
#[test]
fn hung_up_on_free_hold_and_told_late() {
    let (mut sim, call) = talking(HoldCharging::Free);
    sim.switch(call, SwitchEvent::Held);
    sim.run_to(12_000);
    sim.input(call, Input::SwitchLost);
    sim.run_to(300_000);
    let end = CallEnd { replayed: true, ..CallEnd::normal(utc(15_000), EndedBy::Callee) };
    sim.switch(call, SwitchEvent::Ended(end));
    sim.expect_balance("0.90", "0.00");
    assert!(sim.records(call).iter().all(|record| !record.clock_anomaly));
}

#[test]
fn gone_on_free_hold() {
    let (mut sim, call) = talking(HoldCharging::Free);
    sim.switch(call, SwitchEvent::Held);
    sim.run_to(40_000);
    sim.alive(call);
    sim.switch(call, SwitchEvent::Gone);
    sim.expect_balance("0.90", "0.00");
}
