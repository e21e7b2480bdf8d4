//! The agent dies and comes back: the machine is made again from the core's copy of its state.

use agent_call::{CallMachine, Effect, Input, Phase, Snapshot, SwitchEvent};
use types::charging::SessionPhase;
use types::{LegId, ReleaseCause};

use super::core::R1;
use super::sim::{Sim, settings};

fn before(answered: bool) -> (Sim, usize) {
    let mut sim = Sim::with_balance(R1, settings(), "1.00");
    let call = sim.offer();
    sim.run_to(0);
    if answered {
        sim.answered(call);
        sim.run_to(26_000);
    }
    sim.take(call);
    (sim, call)
}

#[test]
fn ringing_then_answered() {
    let (mut sim, call) = before(false);
    sim.restore(call, 0);
    assert_eq!(sim.calls[call].machine.phase(), Phase::Ringing);
    sim.run_to(3_000);
    sim.switch(call, SwitchEvent::Ringing);
    sim.expect(call, "3.000 timer Ring 183.000");
    sim.run_to(4_000);
    sim.switch(call, SwitchEvent::Answered(super::sim::answer_at(4_000)));
    sim.run_to(14_000);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "4.000 START =0 answer 4.000
         14.000 TERMINATION #1 +10000 Final
         14.000 STOP =1 answer 4.000 end 14.000 talked 10.000 billable 10.000 usage 10000 reason Normal cause 16 cost 0.10
         14.000 finished",
    );
}

#[test]
fn ringing_then_ended_or_gone() {
    for gone in [false, true] {
        let (mut sim, call) = before(false);
        sim.restore(call, 0);
        if gone {
            sim.switch(call, SwitchEvent::Gone)
        } else {
            sim.unanswered(call, 486)
        }
        assert_eq!((sim.records(call).len(), sim.calls[call].machine.phase()), (1, Phase::Finished));
        sim.expect_balance("1.00", "0.00");
    }
}

/// The answer came after the last request: the core does not know of it, the switch does.
#[test]
fn answered_shortly_before_the_crash() {
    let (mut sim, call) = Sim::talking(R1, settings(), "1.00");
    sim.run_to(10_000);
    let start = sim.records(call)[0].clone();
    sim.restore(call, 8_000);
    sim.run_to(12_000);
    sim.take(call);
    sim.alive(call);
    sim.run_to(20_000);
    sim.ended(call);
    assert_eq!(sim.records(call)[1], &start, "written again it is the same record");
    sim.expect_balance("0.80", "0.00");
}

#[test]
fn talking_then_ended_while_away() {
    let (mut sim, call) = before(true);
    sim.restore(call, 26_000);
    sim.run_to(40_000);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "40.000 START =0 answer 0.000
         40.000 TERMINATION #2 +15000 Final
         40.000 STOP =1 answer 0.000 end 40.000 talked 40.000 billable 40.000 usage 40000 reason Normal cause 16 cost 0.40
         40.000 finished",
    );
}

/// Example 9: back late, the switch knows nothing; the last proof that was kept locally counts.
#[test]
fn talking_then_gone() {
    for (proven_ms, balance) in [(40_000, "0.60"), (0, "0.75")] {
        let (mut sim, call) = before(true);
        sim.restore(call, proven_ms);
        assert_eq!(sim.calls[call].machine.proven_ms(), proven_ms.max(25_000));
        sim.run_to(600_000);
        sim.switch(call, SwitchEvent::Gone);
        sim.expect_balance(balance, "0.00");
        assert!(sim.records(call).last().is_some_and(|stop| stop.reconstructed));
    }
}

#[test]
fn releasing_is_taken_up_again() {
    let (mut sim, call) = before(true);
    sim.core_up = false;
    sim.run_to(27_000);
    sim.release(call, ReleaseCause::Fraud);
    sim.calls[call].stored = Some(sim.calls[call].machine.snapshot());
    sim.restore(call, 27_000);
    sim.take(call);
    sim.core_up = true;
    sim.run_to(28_000);
    sim.expect(call, "");
    sim.alive(call);
    sim.run_to(30_500);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "28.000 START =0 answer 0.000
         28.000 -> release FRAUD attempt 1
         30.000 -> release FRAUD attempt 2
         30.500 TERMINATION #2 +5500 Final FRAUD
         30.500 STOP =1 answer 0.000 end 30.500 talked 30.500 billable 31.000 usage 30500 reason Normal release FRAUD \
             cause 16 cost 0.31
         30.500 finished",
    );
}

/// A restored call says nothing by itself until the switch has spoken. Its START is written again: with the same id, so that it
/// counts once.
#[test]
fn it_stands_still_until_the_switch_speaks() {
    let (mut sim, call) = before(true);
    sim.restore(call, 0);
    for timer in agent_call::TIMERS.into_iter().filter(|timer| *timer != agent_call::Timer::MaximumCall) {
        sim.input(call, Input::Timer(timer));
    }
    sim.input(call, Input::Reauthorize);
    sim.expect(call, "");
    sim.alive(call);
    sim.expect_untimed(
        call,
        "26.000 START =0 answer 0.000
         26.000 -> backstop 29000
         26.000 UPDATE #2 +1000 ForcedReauthorisation asks 30000
         26.000 -> backstop 30000",
    );
}

/// Closed with the core, but the STOP had not been written.
#[test]
fn a_settled_session_still_gets_its_stop() {
    let (mut sim, call) = before(true);
    sim.run_to(30_000);
    let (snapshot, settings) = (sim.calls[call].machine.snapshot(), std::sync::Arc::new(settings()));
    sim.ended(call);
    let summary = sim.core.summary(&snapshot.offer.session_id);
    assert_eq!(summary.phase, SessionPhase::Closed);
    sim.calls[call].machine = CallMachine::restore(settings, snapshot, &summary, 0);
    sim.take(call);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "30.000 START =0 answer 0.000
         30.000 STOP =1 answer 0.000 end 30.000 talked 30.000 billable 30.000 usage 30000 reason Normal cause 16 cost 0.30
         30.000 finished",
    );
}

#[test]
fn the_state_survives_text_and_takes_older_text() {
    let (mut sim, call) = before(true);
    sim.switch(call, SwitchEvent::Transferred { to: LegId::from("B") });
    sim.release(call, ReleaseCause::Operator);
    let snapshot = sim.calls[call].machine.snapshot();
    let text = serde_json::to_string(&snapshot).expect("encodes");
    assert_eq!(serde_json::from_str::<Snapshot>(&text).expect("decodes"), snapshot);
    let offer = serde_json::to_string(&snapshot.offer).expect("encodes");
    let older: Snapshot = serde_json::from_str(&format!("{{\"offer\":{offer}}}")).expect("decodes");
    assert_eq!((older.answered, older.next_record, older.release), (None, 0, None));
}

/// The core's copy is sent only when it changed.
#[test]
fn state_goes_with_a_request_only_when_it_is_new() {
    let (mut sim, call) = Sim::talking(R1, settings(), "9.00");
    sim.run_to(110_000);
    let with_state = sim.calls[call].effects.iter().filter_map(|effect| match effect {
        Effect::Charge { snapshot, .. } => Some(snapshot.is_some()),
        _ => None,
    });
    assert_eq!(with_state.collect::<Vec<_>>(), [true, true, false, false, false]);
}

/// The agent's own log knows of an answer that the core was never told of.
#[test]
fn answered_as_kept_locally_then_gone() {
    let (mut sim, call) = Sim::talking(R1, settings(), "1.00");
    sim.run_to(10_000);
    sim.restore(call, 0);
    sim.calls[call].machine.was_answered(super::sim::utc(0), 8_000);
    assert_eq!(sim.calls[call].machine.answered_at(), Some(super::sim::utc(0)));
    sim.take(call);
    sim.switch(call, SwitchEvent::Gone);
    sim.expect_untimed(
        call,
        "10.000 START =0 answer 0.000
         10.000 TERMINATION #1 +8000 Final
         10.000 STOP =1 answer 0.000 end 8.000 talked 8.000 billable 8.000 usage 8000 reason Normal cause 16 cost 0.08 \
             reconstructed
         10.000 finished",
    );
}

/// The core keeps the state of the last request. An INTERIM after it is written again under the same id, and whoever
/// deduplicates drops the second one with its delta: the deltas then lack something, the totals never do.
#[test]
fn totals_mend_what_deduplication_drops() {
    let mut settings = settings();
    settings.interim_ms = 3_000;
    let (mut sim, call) = Sim::talking(R1, settings, "1.00");
    sim.run_to(27_500);
    sim.restore(call, 27_500);
    sim.run_to(29_000);
    sim.alive(call);
    sim.run_to(36_000);
    sim.ended(call);
    let mut ids = Vec::new();
    let (mut added_ms, mut last_total_ms, mut lacking_ms) = (0, 0, 0);
    for record in sim.records(call) {
        if ids.contains(&record.record_id) {
            continue;
        }
        ids.push(record.record_id.clone());
        for usage in &record.usage {
            let (delta_ms, total_ms) = (usage.delta.time_ms.unwrap(), usage.total.time_ms.unwrap());
            added_ms += delta_ms;
            lacking_ms += total_ms - last_total_ms - delta_ms;
            last_total_ms = total_ms;
        }
    }
    assert_eq!(last_total_ms, 36_000, "the last total is the truth");
    assert!(lacking_ms > 0 && added_ms + lacking_ms == 36_000, "{added_ms} + {lacking_ms}");
    assert!(ids.len() < sim.records(call).len(), "one was written twice");
}
