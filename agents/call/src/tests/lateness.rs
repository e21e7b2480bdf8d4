//! Nothing that is reported can be taken back, and a call may be over while the news of it is on its way: no report may
//! cost more than the end turns out to.

use agent_call::{CallEnd, CallSettings, Input, SwitchEvent};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use types::charging::Operation;
use types::{EndedBy, Money};

use super::core::{COARSE, R1, Rate, money};
use super::sim::{Sim, answer_at, settings, utc};

/// A call as the switch sees it, and how late we see and do things.
#[derive(Debug, Clone)]
struct Late {
    coarse: bool,
    slice_ms: u64,
    margin_ms: u64,
    talk_ms: i64,
    answer_late_ms: i64,
    end_late_ms: i64,
    timers_late_ms: i64,
    /// When the core asks for a report, and when the switch proves the call alive.
    asked_ms: Vec<(i64, bool)>,
}

fn late() -> impl Strategy<Value = Late> {
    let slices = (2_000..40_000_u64, 1..100_u64);
    let talk = prop_oneof![1 => (0..60_i64).prop_map(|seconds| seconds * 1000), 2 => 0..60_000_i64];
    let lateness = (0..500_i64, 0..1_000_i64, prop_oneof![3 => 0..50_i64, 1 => 0..5_000_i64]);
    (any::<bool>(), slices, talk, lateness, prop::collection::vec((0..61_000_i64, any::<bool>()), 0..6)).prop_map(
        |(coarse, (slice_ms, share), talk_ms, (answer_late_ms, end_late_ms, timers_late_ms), asked_ms)| Late {
            coarse,
            slice_ms,
            margin_ms: slice_ms * share / 100,
            talk_ms,
            answer_late_ms,
            end_late_ms,
            timers_late_ms,
            asked_ms,
        },
    )
}

impl Late {
    fn rate(&self) -> Rate {
        if self.coarse { COARSE } else { R1 }
    }

    /// The whole call; everything happens when it is heard of.
    fn live(&self) -> Sim {
        let settings = CallSettings { slice_ms: self.slice_ms, margin_ms: self.margin_ms, ..settings() };
        let mut sim = Sim::with_balance(self.rate(), settings, "100.00");
        let call = sim.offer();
        sim.timers_late_ms = self.timers_late_ms;
        sim.run_to(self.answer_late_ms);
        sim.switch(call, SwitchEvent::Answered(answer_at(0)));
        let end_heard_ms = (self.talk_ms + self.end_late_ms).max(self.answer_late_ms);
        let mut asked_ms = self.asked_ms.clone();
        asked_ms.sort_unstable();
        for (ms, by_core) in asked_ms {
            if ms < self.answer_late_ms || ms > end_heard_ms {
                continue;
            }
            sim.run_to(ms);
            if by_core { sim.input(call, Input::Reauthorize) } else { sim.alive(call) }
        }
        sim.run_to(end_heard_ms);
        let end = CallEnd::normal(utc(self.talk_ms), EndedBy::Caller);
        sim.switch(call, SwitchEvent::Ended(end));
        sim
    }
}

fn price(rate: Rate, talked_ms: i64) -> i128 {
    let increments = u64::try_from(talked_ms).expect("positive").div_ceil(rate.increment_ms);
    if increments == 0 { 0 } else { rate.connect + rate.price * i128::from(increments) }
}

/// A timer comes a few milliseconds late, and the hangup of that very moment a few later still.
#[test]
fn a_call_that_ends_when_a_report_is_due_costs_what_it_lasted() {
    let settings = CallSettings { slice_ms: 4_000, margin_ms: 1_000, ..settings() };
    let (mut sim, call) = Sim::talking(R1, settings, "1.00");
    sim.timers_late_ms = 3;
    sim.run_to(3_010);
    sim.take(call);
    sim.switch(call, SwitchEvent::Ended(CallEnd::normal(utc(3_000), EndedBy::Caller)));
    sim.expect_untimed(
        call,
        "3.010 TERMINATION #2 +0 Final
         3.010 STOP =1 answer 0.000 end 3.000 talked 3.000 billable 3.000 usage 3000 reason Normal cause 16 cost 0.03
         3.010 finished",
    );
    sim.expect_balance("0.97", "0.00");
}

/// The process stood still over the moment at which it was to report, and over the end of the call.
#[test]
fn a_report_after_a_standstill_says_the_moment_that_was_planned() {
    let (mut sim, call) = Sim::talking(R1, settings(), "1.00");
    sim.timers_late_ms = 4_000;
    sim.run_to(29_500);
    sim.switch(call, SwitchEvent::Ended(CallEnd::normal(utc(27_900), EndedBy::Caller)));
    sim.expect_balance("0.72", "0.00");
    // But what the switch has proven since is reported.
    let call = sim.offer();
    sim.answered(call);
    sim.run_to(29_500 + 28_400);
    sim.switch(call, SwitchEvent::Alive(answer_at(29_500)));
    sim.run_to(29_500 + 29_200);
    let reports = sim.take(call).into_iter().filter(|line| line.contains("UPDATE")).collect::<Vec<_>>();
    assert_eq!(reports, ["58.500 UPDATE #1 +28000 Threshold asks 30000 with state"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, rng_seed: RngSeed::Fixed(20_261_122), failure_persistence: None, ..ProptestConfig::default() })]

    /// News that is less than a second late costs nobody an increment, however late our own timers are.
    #[test]
    fn no_lateness_makes_a_call_dearer(late in late()) {
        let sim = late.live();
        let charged = money("100.00") - sim.core.balance("a").0.nanos();
        let price = price(late.rate(), late.talk_ms);
        prop_assert!(charged <= price, "charged {} for {}", Money::from_nanos(charged), Money::from_nanos(price));
        if late.timers_late_ms < 50 && late.slice_ms - late.margin_ms > 100 {
            prop_assert!(charged == price, "charged {} for {}", Money::from_nanos(charged), Money::from_nanos(price));
        }
        let updates = sim.calls[0].effects.iter().filter(|effect| matches!(effect, agent_call::Effect::Charge { request, .. } if request.operation == Operation::Update));
        prop_assert!(updates.count() <= 70, "a report a second, and those that were asked for");
    }
}
