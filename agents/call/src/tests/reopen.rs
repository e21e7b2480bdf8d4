//! The agent dies after the TERMINATION went out and before its answer, or the last record, was safe.

use agent_call::{CallMachine, Effect, Phase};
use cdr_model::{CallRecord, CostState, RecordType};
use types::charging::{ChargingRequest, Operation};

use super::core::R1;
use super::sim::{Sim, settings};

fn records(effects: &[Effect]) -> Vec<CallRecord> {
    let record = |effect: &Effect| if let Effect::Record(record) = effect { Some((**record).clone()) } else { None };
    effects.iter().filter_map(record).collect()
}

/// The TERMINATION that a call ended with, as the client's outbox keeps it.
fn termination(sim: &Sim, call: usize) -> ChargingRequest {
    let sent = sim.calls[call].effects.iter().rev().find_map(|effect| match effect {
        Effect::Charge { request, snapshot: Some(_) } if request.operation == Operation::Termination => Some(request),
        _ => None,
    });
    (**sent.expect("a TERMINATION with what the records are made of")).clone()
}

fn reopened(sim: &mut Sim, call: usize) -> (CallMachine, Vec<Effect>) {
    let (request, mut effects) = (termination(sim, call), Vec::new());
    let snapshot = sim.calls[call].stored.clone().expect("stored");
    let settings = settings().into();
    let machine = CallMachine::reopen(settings, snapshot, &request, &mut effects).expect("it was over");
    (machine, effects)
}

fn answered_again(sim: &mut Sim, call: usize, machine: &mut CallMachine, effects: &mut Vec<Effect>) {
    let answer = sim.core.charge(&termination(sim, call));
    machine.accept(sim.now(), agent_call::Input::Charged(Box::new(answer)), effects);
    assert_eq!(machine.phase(), Phase::Finished);
}

#[test]
fn the_same_records_are_written_again() {
    let (mut sim, call) = Sim::talking(R1, settings(), "1.00");
    sim.run_to(40_000);
    sim.ended(call);
    let written: Vec<CallRecord> = sim.records(call).into_iter().cloned().collect();
    sim.run_to(45_000);
    let (mut machine, mut effects) = reopened(&mut sim, call);
    answered_again(&mut sim, call, &mut machine, &mut effects);
    assert_eq!(records(&effects), written, "START and STOP, bit for bit");
    sim.expect_balance("0.60", "0.00");
}

/// That the price is owed is kept before the STOP is written without it.
#[test]
fn what_is_owed_is_kept_before_it_is_told() {
    let (mut sim, call) = Sim::talking(R1, settings(), "1.00");
    sim.run_to(20_000);
    sim.core_up = false;
    sim.ended(call);
    sim.take(call);
    sim.run_to(40_000);
    sim.expect(
        call,
        "30.000 keep pending
         30.000 STOP =1 answer 0.000 end 20.000 talked 20.000 usage 20000 reason Normal cause 16 cost 0.00 pending",
    );
}

/// The agent is away for an hour before it could write anything: no price is owed, the STOP has it.
#[test]
fn a_stop_that_was_never_written_has_its_price_however_late() {
    let (mut sim, call) = Sim::talking(R1, settings(), "1.00");
    sim.run_to(20_000);
    sim.core_up = false;
    sim.ended(call);
    sim.run_to(21_000);
    let (mut machine, mut effects) = reopened(&mut sim, call);
    sim.run_to(3_600_000);
    answered_again(&mut sim, call, &mut machine, &mut effects);
    let records = records(&effects);
    let kinds: Vec<_> = records.iter().map(|record| record.record_type).collect();
    assert_eq!(kinds, [RecordType::Start, RecordType::Stop]);
    assert_eq!(records[1].cost.as_ref().map(|cost| cost.state), Some(CostState::Final));
}

/// When the first agent has written the STOP without its price, the price follows it as it would have, whatever a clock says.
#[test]
fn a_price_that_was_late_follows_a_stop_without_it() {
    let (mut sim, call) = Sim::talking(R1, settings(), "1.00");
    sim.run_to(20_000);
    sim.core_up = false;
    sim.ended(call);
    sim.run_to(40_000);
    let pending = sim.records(call)[1].clone();
    let (mut machine, mut effects) = reopened(&mut sim, call);
    sim.deliver();
    let adjustment = sim.records(call)[2].clone();
    answered_again(&mut sim, call, &mut machine, &mut effects);
    let again = records(&effects);
    assert_eq!(again[1..], [pending, adjustment]);
    assert_eq!(again[1].cost.as_ref().map(|cost| cost.state), Some(CostState::Pending));
}

#[test]
fn an_unanswered_call_has_its_one_event() {
    for refused in [false, true] {
        let mut sim = Sim::with_balance(R1, settings(), "1.00");
        sim.core_up = !refused;
        let call = sim.offer();
        if refused {
            sim.run_to(-2_000);
            sim.fail(call, 0);
        } else {
            sim.unanswered(call, 486);
        }
        let written = sim.records(call)[0].clone();
        assert_eq!(written.record_type, RecordType::Event);
        let (mut machine, mut effects) = reopened(&mut sim, call);
        sim.deliver();
        answered_again(&mut sim, call, &mut machine, &mut effects);
        assert_eq!(records(&effects), [written], "refused: {refused}");
        sim.expect_balance("1.00", "0.00");
    }
}

#[test]
fn a_call_that_goes_on_is_not_reopened() {
    let (mut sim, call) = Sim::talking(R1, settings(), "1.00");
    sim.run_to(26_000);
    let snapshot = sim.calls[call].stored.clone().expect("stored");
    sim.ended(call);
    let request = termination(&sim, call);
    assert!(CallMachine::reopen(settings().into(), snapshot, &request, &mut Vec::new()).is_none());
}
