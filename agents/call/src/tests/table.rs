//! Each row of the state table in the crate's documentation, and that nothing else happens.

use agent_call::{CallMachine, Input, Phase, SwitchEvent, Timer};
use types::{LegId, ReleaseCause};

use super::core::R1;
use super::sim::{Sim, offer_of, settings};

/// Brings a call into a phase; `None` for the core's answers: they wait.
fn in_phase(phase: Phase) -> (Sim, usize) {
    let mut sim = Sim::with_balance(R1, settings(), if phase == Phase::Refused { "0.00" } else { "1.00" });
    sim.core_up = phase != Phase::Authorising;
    let call = sim.offer();
    sim.run_to(0);
    match phase {
        Phase::Authorising | Phase::Ringing | Phase::Refused => {}
        Phase::Talking => sim.answered(call),
        Phase::Closing => {
            sim.answered(call);
            sim.run_to(10_000);
            sim.core_up = false;
            sim.ended(call);
        }
        Phase::Finished => sim.unanswered(call, 486),
    }
    assert_eq!(sim.calls[call].machine.phase(), phase);
    sim.take(call);
    (sim, call)
}

#[test]
fn offers() {
    let mut sim = Sim::with_balance(R1, settings(), "1.00");
    sim.core_up = false;
    let call = sim.offer();
    sim.expect(call, "-5.000 INITIAL #0 asks 30000 with state");
    assert_eq!(sim.calls[call].machine.phase(), Phase::Authorising);
    let machine = &sim.calls[call].machine;
    assert_eq!((machine.granted_ms(), machine.proven_ms()), (0, 0));
    assert_eq!((machine.session_id().as_str(), machine.call_offer().dialled.expose()), ("s/c0", "089654321"));
}

#[test]
fn authorising_released() {
    let (mut sim, call) = in_phase(Phase::Authorising);
    sim.release(call, ReleaseCause::Operator);
    sim.expect(
        call,
        "0.000 -> refuse 403 OPERATOR
         0.000 ATTEMPT =0 end 0.000 reason Failed release OPERATOR cause 31 sip 403 cost 0.00
         0.000 TERMINATION #1 OPERATOR
         0.000 timer Ring 10.000",
    );
    sim.unanswered(call, 403);
    sim.expect(call, "");
    sim.deliver();
    sim.expect(call, "0.000 cancel Ring\n0.000 finished");
    sim.expect_balance("1.00", "0.00");
}

#[test]
fn authorising_ended() {
    let (mut sim, call) = in_phase(Phase::Authorising);
    sim.unanswered(call, 487);
    sim.expect(
        call,
        "0.000 cancel all timers
         0.000 ATTEMPT =0 end 0.000 reason Cancelled cause 16 sip 487 cost 0.00
         0.000 TERMINATION #1",
    );
    sim.deliver();
    sim.expect(call, "0.000 finished");
    sim.expect_balance("1.00", "0.00");
}

#[test]
fn authorising_answered_then_granted() {
    let (mut sim, call) = in_phase(Phase::Authorising);
    sim.answered(call);
    sim.expect(call, "0.000 START =0 answer 0.000\n0.000 cancel Ring\n0.000 timer MaximumCall 14400.000");
    sim.run_to(400);
    sim.deliver();
    sim.expect(call, "0.400 -> backstop 29600\n0.400 timer Quota 25.000");
    assert_eq!(sim.calls[call].machine.phase(), Phase::Talking);
}

#[test]
fn ringing_ends_by_each_final_status() {
    for (status, reason, cause) in
        [(486, "Busy", 17), (480, "NoAnswer", 18), (408, "NoAnswer", 102), (487, "Cancelled", 16), (503, "Failed", 41)]
    {
        let (mut sim, call) = in_phase(Phase::Ringing);
        sim.unanswered(call, status);
        let end = format!(
            "0.000 cancel all timers
             0.000 ATTEMPT =0 end 0.000 reason {reason} cause {cause} sip {status} cost 0.00
             0.000 TERMINATION #1
             0.000 finished"
        );
        sim.expect(call, &end);
        sim.expect_balance("1.00", "0.00");
    }
}

#[test]
fn ringing_gone() {
    let (mut sim, call) = in_phase(Phase::Ringing);
    sim.switch(call, SwitchEvent::Gone);
    sim.expect(
        call,
        "0.000 cancel all timers
         0.000 ATTEMPT =0 end 0.000 reason Failed cause 127 cost 0.00 reconstructed
         0.000 TERMINATION #1
         0.000 finished",
    );
}

#[test]
fn ringing_too_long() {
    let (mut sim, call) = in_phase(Phase::Ringing);
    sim.run_to(175_000);
    sim.expect(
        call,
        "175.000 -> release SHUTDOWN attempt 1
         175.000 cancel all timers
         175.000 ATTEMPT =0 end 175.000 reason NoAnswer cause 19 sip 408 cost 0.00 reconstructed
         175.000 TERMINATION #1
         175.000 finished",
    );
}

#[test]
fn ringing_released() {
    let (mut sim, call) = in_phase(Phase::Ringing);
    sim.release(call, ReleaseCause::Fraud);
    sim.expect(
        call,
        "0.000 -> release FRAUD attempt 1
         0.000 cancel Quota
         0.000 cancel MaximumCall
         0.000 cancel Interim
         0.000 timer Release 2.000",
    );
    // What the switch reports then is our doing, not the caller's.
    sim.run_to(1_000);
    sim.unanswered(call, 487);
    sim.expect_untimed(
        call,
        "1.000 ATTEMPT =0 end 1.000 reason Failed release FRAUD cause 16 sip 487 cost 0.00
         1.000 TERMINATION #1 FRAUD
         1.000 finished",
    );
}

#[test]
fn ringing_found_alive_after_the_answer_was_lost() {
    let (mut sim, call) = in_phase(Phase::Ringing);
    sim.run_to(7_000);
    sim.alive(call);
    sim.expect(
        call,
        "7.000 START =0 answer 0.000
         7.000 cancel Ring
         7.000 timer MaximumCall 14400.000
         7.000 -> backstop 23000
         7.000 timer Quota 25.000",
    );
    assert_eq!(sim.calls[call].machine.proven_ms(), 7_000);
}

#[test]
fn refused_waits_for_the_switch_but_not_for_ever() {
    let (mut sim, call) = in_phase(Phase::Refused);
    sim.switch(call, SwitchEvent::Gone);
    sim.expect(call, "0.000 cancel Ring\n0.000 finished");
    let (mut sim, call) = in_phase(Phase::Refused);
    sim.run_to(5_000);
    sim.expect(call, "5.000 cancel Ring\n5.000 finished");
}

#[test]
fn talking_longest_call() {
    let mut settings = settings();
    settings.maximum_call_ms = 40_000;
    let (mut sim, call) = Sim::talking(R1, settings, "9.00");
    sim.run_to(26_000);
    sim.take(call);
    sim.run_to(40_500);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "40.000 -> release MAXIMUM_DURATION attempt 1
         40.500 TERMINATION #2 +15500 Final MAXIMUM_DURATION
         40.500 STOP =1 answer 0.000 end 40.500 talked 40.500 billable 41.000 usage 40500 reason Normal \
             release MAXIMUM_DURATION cause 16 cost 0.41
         40.500 finished",
    );
}

#[test]
fn talking_released_by_an_operator() {
    let (mut sim, call) = in_phase(Phase::Talking);
    sim.run_to(3_000);
    sim.release(call, ReleaseCause::Operator);
    sim.release(call, ReleaseCause::Fraud);
    sim.run_to(3_100);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "3.000 -> release OPERATOR attempt 1
         3.100 TERMINATION #1 +3100 Final OPERATOR
         3.100 STOP =1 answer 0.000 end 3.100 talked 3.100 billable 4.000 usage 3100 reason Normal release OPERATOR \
             cause 16 cost 0.04
         3.100 finished",
    );
}

#[test]
fn interim_records_carry_deltas_and_totals() {
    let mut settings = settings();
    settings.interim_ms = 20_000;
    let (mut sim, call) = Sim::talking(R1, settings, "9.00");
    sim.run_to(45_500);
    sim.ended(call);
    let records: Vec<_> = sim.records(call).into_iter().map(super::show::record).collect();
    assert_eq!(
        records,
        [
            "START =0 answer 0.000",
            "INTERIM =1 answer 0.000 end 20.000 talked 20.000 usage 20000 cost 0.00 pending",
            "INTERIM =2 answer 0.000 end 40.000 talked 40.000 usage 20000 cost 0.25 pending",
            "STOP =3 answer 0.000 end 45.500 talked 45.500 billable 46.000 usage 5500 reason Normal cause 16 cost 0.46",
        ]
    );
    let ids: Vec<_> = sim.records(call).into_iter().map(|record| record.record_id.to_string()).collect();
    assert_eq!(ids, ["s/c0/START/0", "s/c0/INTERIM/0", "s/c0/INTERIM/1", "s/c0/STOP/0"]);
}

#[test]
fn a_late_price_gives_a_pending_stop_and_one_adjustment() {
    let (mut sim, call) = in_phase(Phase::Closing);
    sim.run_to(30_000);
    sim.deliver();
    sim.expect(
        call,
        "20.000 keep pending
         20.000 STOP =1 answer 0.000 end 10.000 talked 10.000 usage 10000 reason Normal cause 16 cost 0.00 pending
         30.000 COST_ADJUSTMENT =2 answer 0.000 end 10.000 billable 10.000 cost 0.10 of s/c0/STOP/0
         30.000 cancel FinalRecord
         30.000 finished",
    );
    assert_eq!(sim.records(call).last().map(|record| &*record.record_id), Some("s/c0/EVENT/0"));
}

/// What no row names changes nothing: every other input leaves the phase and says nothing.
#[test]
fn what_is_not_in_the_table_is_ignored() {
    let event = |event| Input::Switch(event);
    let quiet = |phase: Phase| -> Vec<Input> {
        let mut inputs = vec![event(SwitchEvent::Ringing), Input::ChargingFailed { request_number: 77 }];
        let timers: &[Timer] = match phase {
            Phase::Authorising => &[Timer::Ring, Timer::Quota, Timer::Interim, Timer::Release, Timer::FinalRecord],
            Phase::Ringing => &[Timer::Quota, Timer::Interim, Timer::Release, Timer::FinalRecord],
            Phase::Refused => &[Timer::Quota, Timer::Interim, Timer::Release, Timer::FinalRecord, Timer::MaximumCall],
            Phase::Talking => &[Timer::Ring, Timer::Release, Timer::FinalRecord],
            Phase::Closing => &[Timer::Ring, Timer::Quota, Timer::Interim, Timer::Release, Timer::MaximumCall],
            Phase::Finished => &super::super::TIMERS,
        };
        inputs.extend(timers.iter().map(|timer| Input::Timer(*timer)));
        if phase != Phase::Talking {
            inputs.extend([event(SwitchEvent::Held), event(SwitchEvent::Resumed), Input::Reauthorize]);
            inputs.push(event(SwitchEvent::Transferred { to: LegId::from("C") }));
        }
        if matches!(phase, Phase::Refused | Phase::Closing | Phase::Finished) {
            inputs.push(Input::Release(ReleaseCause::Fraud));
            inputs.push(event(SwitchEvent::Answered(super::sim::answer_at(0))));
            inputs.push(event(SwitchEvent::Alive(super::sim::answer_at(0))));
        }
        inputs
    };
    for phase in [Phase::Authorising, Phase::Ringing, Phase::Refused, Phase::Talking, Phase::Closing, Phase::Finished] {
        for input in quiet(phase) {
            let (mut sim, call) = in_phase(phase);
            let shown = format!("{input:?} in {phase:?}");
            sim.input(call, input);
            assert_eq!(sim.take(call), Vec::<String>::new(), "{shown}");
            assert_eq!(sim.calls[call].machine.phase(), phase, "{shown}");
        }
    }
}

#[test]
fn transfers_are_named_in_the_record_and_bounded() {
    let (mut sim, call) = in_phase(Phase::Talking);
    for leg in 0..100 {
        sim.switch(call, SwitchEvent::Transferred { to: LegId::from(format!("leg{}", leg % 50)) });
    }
    sim.run_to(1_000);
    sim.ended(call);
    let stop = sim.records(call).pop().cloned().expect("a STOP");
    assert_eq!((stop.metadata.tags.len(), &*stop.metadata.tags[0]), (16, "TRANSFERRED:leg0"));
}

/// Emergency calls: recorded, never asked about, never touched, whatever happens.
#[test]
fn never_refused_calls_are_only_recorded() {
    let mut settings = settings();
    settings.hold = crate::HoldCharging::Free;
    settings.maximum_call_ms = 1_000;
    let mut sim = Sim::new(R1, settings);
    sim.core_up = false;
    let mut offer = offer_of("c0", "nobody");
    (offer.never_refuse, offer.payer, offer.called) = (true, None, None);
    let call = sim.offer_with(offer.clone());
    let touch = |sim: &mut Sim| {
        sim.release(call, ReleaseCause::Fraud);
        sim.input(call, Input::Reauthorize);
        sim.switch(call, SwitchEvent::Held);
        sim.switch(call, SwitchEvent::Resumed);
        for timer in super::super::TIMERS {
            sim.input(call, Input::Timer(timer));
        }
        sim.input(call, Input::SwitchLost);
        sim.switch(call, SwitchEvent::Ringing);
    };
    touch(&mut sim);
    sim.run_to(400_000);
    sim.answered(call);
    touch(&mut sim);
    sim.switch(call, SwitchEvent::Alive(super::sim::answer_at(400_000)));
    sim.run_to(500_000);
    sim.ended(call);
    sim.expect_untimed(
        call,
        "400.000 START =0 answer 400.000 tags NEVER_REFUSED
         500.000 STOP =1 answer 400.000 end 500.000 talked 100.000 usage 100000 reason Normal cause 16 \
             tags NEVER_REFUSED
         500.000 finished",
    );
    let mut sim = Sim::new(R1, super::sim::settings());
    let call = sim.offer_with(offer);
    sim.run_to(2_000);
    sim.unanswered(call, 486);
    sim.expect(
        call,
        "2.000 cancel all timers
         2.000 ATTEMPT =0 end 2.000 reason Busy cause 17 sip 486 tags NEVER_REFUSED
         2.000 finished",
    );
}

#[test]
fn no_room_refuses_all_but_emergencies() {
    let mut sim = Sim::with_balance(R1, settings(), "1.00");
    let mut offer = offer_of("c0", "a");
    let call = sim.refused(offer.clone(), ReleaseCause::Shutdown);
    sim.unanswered(call, 503);
    sim.expect(
        call,
        "-5.000 -> refuse 503 SHUTDOWN
         -5.000 ATTEMPT =0 end -5.000 reason Failed release SHUTDOWN cause 41 sip 503 cost 0.00
         -5.000 timer Ring 5.000
         -5.000 cancel Ring
         -5.000 finished",
    );
    offer.never_refuse = true;
    let call = sim.refused(offer, ReleaseCause::Shutdown);
    sim.expect(call, "");
    assert_eq!(sim.calls[call].machine.phase(), Phase::Ringing);
}

#[test]
fn a_machine_is_small() {
    assert!(size_of::<CallMachine>() <= 384, "{}", size_of::<CallMachine>());
}
