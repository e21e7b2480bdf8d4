//! `on_core_failure = "continue"`: the driver's word stands where the core is silent, and the money is right in the end.

use agent_call::{CallEnd, CallSettings, Input, Phase, SwitchEvent};
use types::charging::FailureHandling;
use types::{EndedBy, ReleaseCause};

use super::core::R1;
use super::sim::{Sim, settings};

fn continuing() -> CallSettings {
    CallSettings { on_core_failure: FailureHandling::Continue, ..settings() }
}

fn go_on(sim: &mut Sim, call: usize) {
    sim.input(call, Input::Continue { longest_ms: 600_000 });
}

/// Answered at zero; the core is away from five seconds on.
fn talking(balance: &str) -> (Sim, usize) {
    let (mut sim, call) = Sim::talking(R1, continuing(), balance);
    sim.run_to(5_000);
    sim.core_up = false;
    sim.run_to(25_000);
    sim.take(call);
    (sim, call)
}

/// Example 11 of the worked money: the core is away from t=5 to t=200, the call ends at t=100.
#[test]
fn what_is_talked_meanwhile_is_debited_later() {
    for (funds, left) in [("1.00", "0.00"), ("0.45", "-0.55")] {
        let (mut sim, call) = talking(funds);
        sim.run_to(29_000);
        sim.expect(call, "29.000 core silent\n29.000 timer Quota 30.000");
        go_on(&mut sim, call);
        sim.expect(call, "29.000 -> backstop 601000\n29.000 timer Quota 630.000");
        assert!(sim.calls[call].machine.is_continued());
        sim.run_to(100_000);
        sim.ended(call);
        sim.expect_untimed(call, "100.000 TERMINATION #2 +75000 Final");
        sim.run_to(110_000);
        assert_eq!(sim.records(call).len(), 2, "START and a STOP without its price");
        sim.run_to(200_000);
        sim.deliver();
        assert_eq!((sim.records(call).len(), sim.calls[call].machine.phase()), (3, Phase::Finished));
        assert!(sim.records(call)[1].metadata.tags.iter().any(|tag| **tag == *"CONTINUED"));
        sim.expect_balance(left, "0.00");
    }
}

#[test]
fn without_the_drivers_word_the_grant_ends_where_it_ends() {
    let (mut sim, call) = talking("1.00");
    sim.run_to(30_000);
    sim.expect_untimed(call, "29.000 core silent\n30.000 -> release CHARGING_UNAVAILABLE attempt 1");
}

#[test]
fn a_last_grant_is_never_continued() {
    let (mut sim, call) = Sim::talking(R1, continuing(), "0.30");
    sim.run_to(25_000);
    sim.core_up = false;
    sim.take(call);
    sim.run_to(30_000);
    sim.expect_untimed(call, "30.000 -> release CREDIT_EXHAUSTED attempt 1");
}

/// The core comes back while people talk: what was talked is reported at once, then all is as always.
#[test]
fn a_core_that_is_back_hears_of_all_at_once() {
    let (mut sim, call) = talking("5.00");
    sim.run_to(29_000);
    go_on(&mut sim, call);
    sim.run_to(200_000);
    sim.take(call);
    sim.deliver();
    sim.expect_untimed(call, "200.000 UPDATE #2 +175000 Threshold asks 30000 with state\n200.000 -> backstop 30000");
    assert!(!sim.calls[call].machine.is_continued());
    sim.expect_balance("3.00", "0.30");
    sim.run_to(225_000);
    sim.expect_untimed(call, "225.000 UPDATE #3 +25000 Threshold asks 30000\n225.000 -> backstop 30000");
}

/// Nor what may never have been talked: the switch is away, too, and its backstop has ended the call.
#[test]
fn a_core_that_is_back_before_the_switch_hears_of_nothing_unproven() {
    for ended in [true, false] {
        let (mut sim, call) = talking("5.00");
        sim.run_to(29_000);
        go_on(&mut sim, call);
        sim.run_to(60_000);
        sim.input(call, Input::SwitchLost);
        sim.run_to(150_000);
        sim.take(call);
        sim.deliver();
        sim.expect_untimed(call, "");
        if ended {
            let end = CallEnd { replayed: true, ..CallEnd::normal(super::sim::utc(70_000), EndedBy::Caller) };
            sim.switch(call, SwitchEvent::Ended(end));
            sim.expect_balance("4.30", "0.00");
        } else {
            // It is there after all: now it is told.
            sim.alive(call);
            let asked = sim.take(call).iter().any(|line| line.contains("UPDATE #2 +125000"));
            assert!(asked);
            sim.expect_balance("3.50", "0.30");
        }
    }
}

#[test]
fn a_core_that_is_back_and_says_no_ends_it() {
    let (mut sim, call) = talking("1.00");
    sim.run_to(29_000);
    go_on(&mut sim, call);
    sim.run_to(150_000);
    sim.take(call);
    sim.core.account("a").balance = super::core::money("0.25");
    sim.deliver();
    sim.run_to(150_000);
    sim.expect_untimed(call, "150.000 -> warn 0\n150.000 -> release CREDIT_EXHAUSTED attempt 1");
    sim.run_to(150_040);
    sim.ended(call);
    sim.expect_balance("-1.26", "0.00");
}

#[test]
fn the_drivers_word_has_an_end() {
    let (mut sim, call) = talking("1.00");
    sim.run_to(29_000);
    go_on(&mut sim, call);
    sim.run_to(629_999);
    sim.take(call);
    sim.run_to(630_000);
    sim.expect_untimed(call, "630.000 -> release CHARGING_UNAVAILABLE attempt 1");
}

/// A new call while the core is away; the INITIAL stays on its way.
#[test]
fn a_new_call_of_a_known_account_is_let_through() {
    for back_at in [-1_000, 10_000, 700_000] {
        let mut sim = Sim::with_balance(R1, continuing(), "9.00");
        sim.core_up = false;
        let call = sim.offer();
        sim.run_to(-2_000);
        sim.take(call);
        go_on(&mut sim, call);
        sim.fail(call, 0);
        sim.expect(call, "-2.000 -> admit 600000\n-2.000 timer Ring 178.000");
        for (at, answer) in [(back_at, false), (0, true)] {
            if back_at < 0 && !answer {
                sim.run_to(at);
                sim.deliver();
            }
            if answer {
                sim.run_to(0);
                sim.answered(call);
            }
        }
        if back_at > 0 && back_at < 100_000 {
            sim.run_to(back_at);
            sim.deliver();
        }
        sim.run_to(100_000);
        sim.ended(call);
        sim.run_to(back_at.max(100_000));
        sim.deliver();
        assert_eq!(sim.calls[call].machine.phase(), Phase::Finished, "{back_at}");
        sim.expect_balance("8.00", "0.00");
    }
}

#[test]
fn a_denial_that_comes_late_ends_what_rings_or_talks() {
    for talks in [false, true] {
        let mut sim = Sim::with_balance(R1, continuing(), "0.00");
        sim.core_up = false;
        let call = sim.offer();
        sim.run_to(-2_000);
        go_on(&mut sim, call);
        sim.run_to(0);
        if talks {
            sim.answered(call);
        }
        sim.run_to(10_000);
        sim.take(call);
        sim.deliver();
        sim.run_to(10_000);
        sim.expect_untimed(call, "10.000 -> release CREDIT_EXHAUSTED attempt 1");
        if talks {
            sim.ended(call)
        } else {
            sim.unanswered(call, 480)
        }
        assert_eq!(sim.calls[call].machine.phase(), Phase::Finished);
        sim.expect_balance("0.00", "0.00");
    }
}

/// The agent died before the core denied a call that had gone on: it is refused or ended when the switch tells of it, and has its
/// records whatever the switch says.
#[test]
fn a_denial_after_a_restart_ends_what_rings_or_talks() {
    let denied = || {
        let mut sim = Sim::with_balance(R1, continuing(), "0.00");
        sim.core_up = false;
        let call = sim.offer();
        sim.run_to(-2_000);
        go_on(&mut sim, call);
        sim.run_to(10_000);
        sim.restore_denied(call);
        sim.core_up = true;
        sim.take(call);
        (sim, call)
    };
    let (mut sim, call) = denied();
    sim.switch(call, SwitchEvent::Ringing);
    sim.expect_untimed(call, "10.000 -> refuse 402 CREDIT_EXHAUSTED");
    sim.switch(call, SwitchEvent::Ringing);
    sim.unanswered(call, 402);
    sim.expect_untimed(
        call,
        "10.000 ATTEMPT =0 end 10.000 reason Failed release CREDIT_EXHAUSTED cause 21 sip 402 cost 0.00\n10.000 finished",
    );
    let (mut sim, call) = denied();
    sim.switch(call, SwitchEvent::Ringing);
    sim.run_to(12_000);
    sim.answered(call);
    sim.run_to(12_000);
    sim.expect_untimed(
        call,
        "10.000 -> refuse 402 CREDIT_EXHAUSTED
         12.000 START =0 answer 12.000
         12.000 -> release CREDIT_EXHAUSTED attempt 1",
    );
    let (mut sim, call) = denied();
    sim.calls[call].machine.was_answered(super::sim::utc(0), 8_000);
    sim.alive(call);
    sim.run_to(10_000);
    sim.expect_untimed(
        call,
        "10.000 START =0 answer 0.000
         10.000 -> backstop 0
         10.000 -> release CREDIT_EXHAUSTED attempt 1",
    );
    let (mut sim, call) = denied();
    sim.calls[call].machine.was_answered(super::sim::utc(0), 8_000);
    sim.switch(call, SwitchEvent::Gone);
    sim.expect_untimed(
        call,
        "10.000 START =0 answer 0.000
         10.000 ! uncharged
         10.000 STOP =1 answer 0.000 end 8.000 talked 8.000 usage 8000 reason Normal cause 16 reconstructed
         10.000 finished",
    );
}

/// It went on without the core, the agent died, core and agent are back: the account is asked, not the call ended.
fn restarted_at_100(balance: &str) -> (Sim, usize) {
    let (mut sim, call) = talking(balance);
    sim.run_to(29_000);
    go_on(&mut sim, call);
    sim.run_to(90_000);
    let kept = std::mem::take(&mut sim.calls[call].unanswered);
    sim.core_up = true;
    for request in kept {
        sim.core.charge(&request);
    }
    sim.restore(call, 80_000);
    sim.run_to(100_000);
    sim.take(call);
    (sim, call)
}

#[test]
fn a_call_that_went_on_when_the_agent_died_goes_on_if_it_is_funded() {
    let (mut sim, call) = restarted_at_100("5.00");
    sim.alive(call);
    sim.run_to(100_000);
    sim.expect_untimed(
        call,
        "100.000 START =0 answer 0.000
         100.000 -> backstop 20000
         100.000 UPDATE #2 +75000 Threshold asks 30000 with state
         100.000 -> backstop 30000",
    );
    assert!(sim.calls[call].machine.snapshot().tags.iter().any(|tag| **tag == *"CONTINUED"));
    sim.expect_balance("4.00", "0.30");
}

#[test]
fn a_call_that_went_on_when_the_agent_died_ends_if_it_is_not_funded() {
    let (mut sim, call) = restarted_at_100("0.60");
    sim.alive(call);
    sim.run_to(100_000);
    let released = sim.take(call).iter().any(|line| line.ends_with("-> release CREDIT_EXHAUSTED attempt 1"));
    assert!(released);
    // And the core's word is not waited for for ever.
    let (mut sim, call) = restarted_at_100("5.00");
    sim.core_up = false;
    sim.alive(call);
    sim.run_to(119_999);
    assert!(!sim.take(call).iter().any(|line| line.contains("release")));
    sim.run_to(120_000);
    sim.expect_untimed(call, "120.000 -> release CHARGING_UNAVAILABLE attempt 1");
}

/// Other settings never let a call go on: what talks beyond its grant is cut.
#[test]
fn without_the_setting_a_restart_is_no_credit() {
    let (mut sim, call) = Sim::talking(R1, settings(), "5.00");
    sim.run_to(29_000);
    sim.restore(call, 25_000);
    sim.run_to(56_000);
    sim.take(call);
    sim.alive(call);
    sim.run_to(56_000);
    sim.expect_untimed(
        call,
        "56.000 START =0 answer 0.000\n56.000 -> backstop 0\n56.000 -> release CHARGING_UNAVAILABLE attempt 1",
    );
}

#[test]
fn other_settings_and_other_moments_take_no_such_word() {
    let (mut sim, call) = Sim::talking(R1, settings(), "1.00");
    sim.take(call);
    go_on(&mut sim, call);
    sim.expect(call, "");
    sim.core_up = false;
    sim.run_to(30_000);
    sim.expect_untimed(
        call,
        "25.000 UPDATE #1 +25000 Threshold asks 30000 with state
         30.000 -> release CHARGING_UNAVAILABLE attempt 1",
    );
    go_on(&mut sim, call);
    sim.release(call, ReleaseCause::Fraud);
    sim.expect(call, "");
}
