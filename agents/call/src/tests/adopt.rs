//! Calls that began while the agent was away.

use agent_call::{Answer, CallEnd};
use types::EndedBy;

use super::core::R1;
use super::sim::{Sim, offer_of, settings, utc};

/// Answered 100 s ago: the first grant covers what was talked already, so that a funded call goes on.
#[test]
fn an_answered_call_is_adopted() {
    let mut sim = Sim::with_balance(R1, settings(), "9.00");
    sim.run_to(100_000);
    let call = sim.adopt(offer_of("c0", "a"), Answer { at: utc(0), elapsed_ms: 100_000 });
    sim.run_to(130_000);
    sim.ended(call);
    sim.expect(
        call,
        "100.000 START =0 answer 0.000 tags ADOPTED
         100.000 cancel Ring
         100.000 timer MaximumCall 14400.000
         100.000 INITIAL #0 asks 130000 with state
         100.000 -> backstop 30000
         100.000 timer Quota 125.000
         125.000 UPDATE #1 +125000 Threshold asks 30000
         125.000 timer Quota 130.000
         125.000 -> backstop 30000
         125.000 timer Quota 150.000
         130.000 cancel all timers
         130.000 TERMINATION #2 +5000 Final
         130.000 timer FinalRecord 140.000
         130.000 STOP =1 answer 0.000 end 130.000 talked 130.000 billable 130.000 usage 130000 reason Normal cause 16 \
             cost 1.30 tags ADOPTED
         130.000 cancel FinalRecord
         130.000 finished",
    );
}

#[test]
fn an_adopted_call_without_credit_is_cut_where_the_credit_ends() {
    let mut sim = Sim::with_balance(R1, settings(), "1.10");
    sim.run_to(100_000);
    let call = sim.adopt(offer_of("c0", "a"), Answer { at: utc(0), elapsed_ms: 100_000 });
    sim.run_to(110_000);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "100.000 START =0 answer 0.000 tags ADOPTED
         100.000 INITIAL #0 asks 130000 with state
         100.000 -> backstop 10000
         105.000 UPDATE #1 +105000 Threshold asks 30000
         105.000 -> warn 5000
         110.000 -> release CREDIT_EXHAUSTED attempt 1
         110.000 TERMINATION #2 +5000 Final CREDIT_EXHAUSTED
         110.000 STOP =1 answer 0.000 end 110.000 talked 110.000 billable 110.000 usage 110000 reason Normal \
             release CREDIT_EXHAUSTED cause 16 cost 1.10 tags ADOPTED
         110.000 finished",
    );
}

#[test]
fn an_adopted_call_that_nobody_pays_is_released() {
    let mut sim = Sim::with_balance(R1, settings(), "0.00");
    let mut offer = offer_of("c0", "a");
    offer.payer = None;
    let call = sim.adopt(offer, Answer { at: utc(-6_000), elapsed_ms: 1_000 });
    sim.run_to(-4_000);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "-5.000 START =0 answer -6.000 tags ADOPTED
         -5.000 -> release UNKNOWN_PAYER attempt 1
         -4.000 ! uncharged
         -4.000 STOP =1 answer -6.000 end -4.000 talked 2.000 usage 2000 reason Normal release UNKNOWN_PAYER cause 16 \
             tags ADOPTED
         -4.000 finished",
    );
}

#[test]
fn a_call_that_is_over_already() {
    let mut sim = Sim::with_balance(R1, settings(), "1.00");
    sim.run_to(90_000);
    let end = CallEnd { answered: Some(utc(0)), replayed: true, ..CallEnd::normal(utc(40_250), EndedBy::Callee) };
    let call = sim.adopt_ended(offer_of("c0", "a"), end);
    sim.expect_untimed(
        call,
        "90.000 START =0 answer 0.000 tags ADOPTED
         90.000 INITIAL #0 asks 30000 with state
         90.000 TERMINATION #1 +40250 Final
         90.000 STOP =1 answer 0.000 end 40.250 talked 40.250 billable 41.000 overrun 10250 usage 40250 reason Normal \
             cause 16 cost 0.41 tags ADOPTED
         90.000 finished",
    );
    sim.expect_balance("0.59", "0.00");
}

#[test]
fn an_attempt_that_is_over_already() {
    let mut sim = Sim::with_balance(R1, settings(), "1.00");
    let call = sim.adopt_ended(offer_of("c0", "a"), CallEnd::unanswered(utc(-6_000), 486));
    sim.expect_untimed(
        call,
        "-5.000 ATTEMPT =0 end -6.000 reason Busy cause 17 sip 486 cost 0.00
         -5.000 finished",
    );
}

#[test]
fn emergency_calls_are_adopted_untouched() {
    let mut offer = offer_of("c0", "a");
    offer.never_refuse = true;
    let mut sim = Sim::with_balance(R1, settings(), "0.00");
    let live = sim.adopt(offer.clone(), Answer { at: utc(-6_000), elapsed_ms: 1_000 });
    sim.run_to(-1_000);
    sim.ended(live);
    let tags = "tags NEVER_REFUSED,ADOPTED";
    let log = format!(
        "-5.000 START =0 answer -6.000 {tags}
         -1.000 STOP =1 answer -6.000 end -1.000 talked 5.000 usage 5000 reason Normal cause 16 {tags}
         -1.000 finished"
    );
    sim.expect_untimed(live, &log);
    let end = CallEnd { answered: Some(utc(-6_000)), ..CallEnd::normal(utc(-2_000), EndedBy::Caller) };
    let over = sim.adopt_ended(offer, end);
    assert_eq!(sim.records(over).len(), 2);
}
