//! Two clocks: the switch's timestamps are billed unless ours disagrees by more than two seconds.

use agent_call::{Answer, CallEnd, Input, SwitchEvent};
use types::EndedBy;

use super::core::R1;
use super::sim::{Sim, settings, utc};

/// Answered at 0, over at 40 by our clock; `switch_end_ms` by the switch's.
fn ends(switch_end_ms: i64, replayed: bool) -> Vec<String> {
    let (mut sim, call) = Sim::talking(R1, settings(), "9.00");
    sim.run_to(40_000);
    sim.take(call);
    let end = CallEnd { replayed, ..CallEnd::normal(utc(switch_end_ms), EndedBy::Caller) };
    sim.switch(call, SwitchEvent::Ended(end));
    let lines = sim.take(call).into_iter();
    lines.filter(|line| line.contains(" ! ") || line.contains("STOP") || line.contains("TERMINATION")).collect()
}

#[test]
fn the_switch_is_believed_within_two_seconds() {
    for (switch_end_ms, used, talked, cost) in
        [(40_000, 15_000, "40.000", "0.40"), (42_000, 17_000, "42.000", "0.42"), (38_000, 13_000, "38.000", "0.38")]
    {
        let billable = talked;
        let stop = format!(
            "40.000 STOP =1 answer 0.000 end {talked} talked {talked} billable {billable} usage {switch_end_ms} reason Normal \
             cause 16 cost {cost}"
        );
        assert_eq!(ends(switch_end_ms, false), [format!("40.000 TERMINATION #2 +{used} Final"), stop]);
    }
}

#[test]
fn beyond_that_ours_is_billed_and_marked() {
    for (switch_end_ms, shown) in
        [(42_001, "42.001"), (37_999, "37.999"), (-100_000, "-100.000"), (i64::from(i32::MAX), "")]
    {
        let lines = ends(switch_end_ms, false);
        let switch_ms = switch_end_ms.max(0);
        assert_eq!(lines[0], format!("40.000 ! clocks: switch {switch_ms} ours 40000"));
        assert_eq!(lines[1], "40.000 TERMINATION #2 +15000 Final");
        assert!(lines[2].contains(&format!("end {shown}")), "{}", lines[2]);
        assert!(
            lines[2]
                .ends_with("talked 40.000 billable 40.000 usage 40000 reason Normal cause 16 cost 0.40 clock-anomaly")
        );
    }
}

/// Our clock went on while the news of the end waited in the switch: it is only an upper limit.
#[test]
fn a_replayed_end_is_believed_unless_it_lies_in_the_future() {
    assert_eq!(ends(27_000, true)[0], "40.000 TERMINATION #2 +2000 Final");
    assert_eq!(ends(50_000, true)[0], "40.000 ! clocks: switch 50000 ours 40000");
}

#[test]
fn a_late_answer_event_starts_the_clock_in_the_past() {
    let mut sim = Sim::with_balance(R1, settings(), "9.00");
    let call = sim.offer();
    sim.run_to(4_000);
    sim.take(call);
    sim.switch(call, SwitchEvent::Answered(Answer { at: utc(0), elapsed_ms: 4_000 }));
    sim.expect(
        call,
        "4.000 START =0 answer 0.000
         4.000 cancel Ring
         4.000 timer MaximumCall 14400.000
         4.000 -> backstop 26000
         4.000 timer Quota 25.000",
    );
}

/// A timer that fires early is set again, never a cut.
#[test]
fn an_early_timer_is_harmless() {
    let (mut sim, call) = Sim::talking(R1, settings(), "0.30");
    sim.take(call);
    sim.run_to(29_999);
    sim.take(call);
    sim.core_up = false;
    sim.input(call, Input::Timer(agent_call::Timer::Quota));
    sim.expect(call, "29.999 timer Quota 30.000");
    let (mut sim, call) = Sim::talking(R1, settings(), "9.00");
    sim.core_up = false;
    sim.run_to(26_000);
    sim.take(call);
    sim.input(call, Input::Timer(agent_call::Timer::Quota));
    sim.expect(call, "26.000 timer Quota 30.000");
}

/// A switch that claims an impossible age does not keep the driver busy for ever.
#[test]
fn an_absurd_age_is_bounded() {
    let mut sim = Sim::with_balance(R1, settings(), "9.00");
    let call = sim.offer();
    sim.run_to(0);
    sim.switch(call, SwitchEvent::Answered(Answer { at: utc(0), elapsed_ms: u64::MAX }));
    sim.run_to(60_000);
    assert!(sim.take(call).len() < 200);
}
