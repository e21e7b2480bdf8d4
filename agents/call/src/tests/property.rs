//! Random inputs in any order, possible or not: what must hold for every one of them.

use std::sync::LazyLock;

use agent_call::{Answer, CallEnd, Command, Effect, HoldCharging, Input, Phase, SwitchEvent, TIMERS, Timer};
use cdr_model::{CALL_RECORD_SCHEMA, CallRecord, EventKind, RecordType};
use jsonschema::Validator;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use types::charging::{ChargingAnswer, ChargingRequest, FailureHandling, Operation};
use types::{EndedBy, LegId, Money, ReleaseCause, UtcMs};

use super::core::{COARSE, R1};
use super::show::ZERO_UTC;
use super::sim::{Sim, offer_of, settings};

/// One thing that happens. Indices are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Pass(u32),
    Switch(SwitchEvent),
    /// The core decides a waiting request and the answer arrives.
    Answer(usize),
    /// The core decides it, but nobody hears of it.
    Lose(usize),
    /// An earlier answer arrives again.
    Copy(usize),
    Fail(usize),
    Reauthorize,
    Release(ReleaseCause),
    SwitchLost,
    StrayTimer(usize),
    /// The driver lets it go on without the core.
    Continue(u32),
}

fn utc_ms() -> impl Strategy<Value = UtcMs> {
    prop_oneof![8 => (0..200_000_i64).prop_map(|ms| UtcMs(ZERO_UTC + ms)), 1 => any::<i64>().prop_map(UtcMs)]
}

fn answer() -> impl Strategy<Value = Answer> {
    let elapsed = prop_oneof![6 => Just(0), 3 => 0..60_000_u64, 1 => any::<u64>()];
    (utc_ms(), elapsed).prop_map(|(at, elapsed_ms)| Answer { at, elapsed_ms })
}

fn end() -> impl Strategy<Value = CallEnd> {
    (utc_ms(), prop::option::of(utc_ms()), prop::option::of(400..700_u16), any::<bool>()).prop_map(
        |(at, answered, status, replayed)| {
            let end = status.map_or(CallEnd::normal(at, EndedBy::Callee), |status| CallEnd::unanswered(at, status));
            CallEnd { answered, replayed, ..end }
        },
    )
}

fn event() -> impl Strategy<Value = SwitchEvent> {
    prop_oneof![
        1 => Just(SwitchEvent::Ringing),
        4 => answer().prop_map(SwitchEvent::Answered),
        3 => answer().prop_map(SwitchEvent::Alive),
        1 => Just(SwitchEvent::Held),
        1 => Just(SwitchEvent::Resumed),
        1 => Just(SwitchEvent::Transferred { to: LegId::from("B") }),
        2 => end().prop_map(SwitchEvent::Ended),
        1 => Just(SwitchEvent::Gone),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..20_000_u32).prop_map(Step::Pass),
        6 => event().prop_map(Step::Switch),
        8 => any::<usize>().prop_map(Step::Answer),
        1 => any::<usize>().prop_map(Step::Lose),
        2 => any::<usize>().prop_map(Step::Copy),
        1 => any::<usize>().prop_map(Step::Fail),
        1 => Just(Step::Reauthorize),
        1 => prop_oneof![Just(ReleaseCause::Fraud), Just(ReleaseCause::Operator)].prop_map(Step::Release),
        1 => Just(Step::SwitchLost),
        1 => (0..TIMERS.len()).prop_map(Step::StrayTimer),
        1 => (0..60_000_u32).prop_map(Step::Continue),
    ]
}

#[derive(Debug, Clone)]
struct Life {
    balance_cents: u32,
    coarse: bool,
    free_hold: bool,
    never_refuse: bool,
    continuing: bool,
    adopted: Option<Answer>,
    steps: Vec<Step>,
}

fn life() -> impl Strategy<Value = Life> {
    let adopted = prop_oneof![4 => Just(None), 1 => answer().prop_map(Some)];
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.1), any::<bool>());
    (0..200_u32, flags, adopted, prop::collection::vec(step(), 0..60)).prop_map(
        |(balance_cents, (coarse, free_hold, never_refuse, continuing), adopted, steps)| Life {
            balance_cents,
            coarse,
            free_hold,
            never_refuse,
            continuing,
            adopted,
            steps,
        },
    )
}

/// What the test knows by itself, beside the machine.
#[derive(Default)]
struct Witness {
    /// Every request, in the order it was made.
    requests: Vec<ChargingRequest>,
    answers: Vec<ChargingAnswer>,
    /// The INITIAL or UPDATE that was neither answered nor given up.
    in_flight: Option<u32>,
    /// Effects already looked at.
    seen: usize,
    /// Our clock at the answer, as early as any event allows.
    started_ms: Option<i64>,
    /// How far the grants reach, counted from the requests and answers alone.
    reach_ms: u64,
    released: bool,
    talking: bool,
    /// The call was cut in time; repeats may follow whatever is granted after that.
    cut: bool,
}

impl Witness {
    /// Looks at the effects of the last input.
    fn look(&mut self, sim: &Sim, now_ms: i64) {
        for effect in &sim.calls[0].effects[self.seen..] {
            match effect {
                Effect::Charge { request, .. } => {
                    let number = request.request_number;
                    assert!(self.requests.last().is_none_or(|last| last.request_number < number), "numbers increase");
                    let last = self.requests.last().map(|last| last.operation);
                    assert_ne!(last, Some(Operation::Termination), "a TERMINATION is the last request");
                    if request.operation != Operation::Termination {
                        assert_eq!(self.in_flight.replace(number), None, "one INITIAL or UPDATE at a time");
                    }
                    self.requests.push((**request).clone());
                }
                Effect::Command(Command::Release { cause, .. }) => self.released(*cause, now_ms),
                Effect::Record(record) => self.talking |= record.record_type == RecordType::Start,
                _ => {}
            }
        }
        self.seen = sim.calls[0].effects.len();
    }

    fn released(&mut self, cause: ReleaseCause, now_ms: i64) {
        let talked_ms = self.started_ms.map(|started_ms| u64::try_from(now_ms.saturating_sub(started_ms)).unwrap_or(0));
        let over = talked_ms.is_some_and(|talked_ms| talked_ms >= self.reach_ms);
        match cause {
            ReleaseCause::CreditExhausted | ReleaseCause::ChargingUnavailable => {
                assert!(over || self.cut, "cut at {now_ms} before the grant to {} is over", self.reach_ms);
                self.cut = true;
            }
            ReleaseCause::Fraud | ReleaseCause::Operator => assert!(self.released),
            ReleaseCause::MaximumDuration => assert!(self.released || talked_ms >= Some(4 * 3_600_000)),
            ReleaseCause::Shutdown => assert!(!self.talking, "only ringing ends by patience"),
            other => panic!("nobody asked for {other:?}"),
        }
    }

    /// An answer is about to arrive.
    fn hear(&mut self, answer: &ChargingAnswer, continued: bool) {
        if self.in_flight != Some(answer.request_number) {
            return;
        }
        self.in_flight = None;
        let reported = self.requests.iter().filter(|request| request.request_number <= answer.request_number);
        let granted = answer.units.first().and_then(|unit| unit.granted).and_then(|units| units.time_ms);
        if let Some(granted_ms) = granted.filter(|granted_ms| *granted_ms > 0) {
            self.reach_ms = reported.map(used_ms).sum::<u64>() + granted_ms;
        } else if continued {
            // The core's no ends what the driver's word let go on.
            self.cut = true;
        }
    }

    fn starts(&mut self, answer: Answer, now_ms: i64) {
        let at = now_ms.saturating_sub_unsigned(answer.elapsed_ms);
        self.started_ms = Some(self.started_ms.map_or(at, |started_ms| started_ms.min(at)));
    }
}

fn used_ms(request: &ChargingRequest) -> u64 {
    request.units[0].used.iter().filter_map(|used| used.units.time_ms).sum()
}

/// Lives one life to its end and gives everything the machine said.
fn live(life: &Life) -> Vec<Effect> {
    let mut settings = settings();
    settings.interim_ms = 20_000;
    if life.continuing {
        settings.on_core_failure = FailureHandling::Continue;
    }
    settings.hold = if life.free_hold { HoldCharging::Free } else { HoldCharging::Charged };
    let mut sim = Sim::new(if life.coarse { COARSE } else { R1 }, settings);
    sim.core.account("a").balance = i128::from(life.balance_cents) * 10_000_000;
    sim.core_up = false;
    let mut offer = offer_of("c0", "a");
    offer.never_refuse = life.never_refuse;
    let (mut witness, mut now_ms) = (Witness::default(), -5_000);
    match life.adopted {
        Some(answer) => {
            witness.starts(answer, now_ms);
            sim.adopt(offer, answer);
        }
        None => drop(sim.offer_with(offer)),
    }
    witness.look(&sim, now_ms);
    for step in &life.steps {
        act(step, &mut sim, &mut witness, &mut now_ms);
    }
    finish(&mut sim, &mut witness, &mut now_ms);
    sim.calls.remove(0).effects
}

/// Time passes in steps of a second, so that the witness sees each release near its time.
fn pass(ms: u32, sim: &mut Sim, witness: &mut Witness, now_ms: &mut i64) {
    let until = *now_ms + i64::from(ms);
    while *now_ms < until {
        *now_ms = (*now_ms + 1).next_multiple_of_second().min(until);
        sim.run_to(*now_ms);
        witness.look(sim, *now_ms);
    }
}

trait NextSecond {
    fn next_multiple_of_second(self) -> Self;
}

impl NextSecond for i64 {
    fn next_multiple_of_second(self) -> Self {
        self.div_euclid(1000) * 1000 + 1000
    }
}

fn act(step: &Step, sim: &mut Sim, witness: &mut Witness, now_ms: &mut i64) {
    let waiting = sim.calls[0].unanswered.len();
    match step {
        Step::Pass(ms) => pass(*ms, sim, witness, now_ms),
        Step::Switch(event) => {
            if let SwitchEvent::Answered(answer) | SwitchEvent::Alive(answer) = event {
                witness.starts(*answer, *now_ms);
            }
            sim.switch(0, event.clone());
        }
        Step::Answer(index) if waiting > 0 => {
            let request = sim.calls[0].unanswered.remove(index % waiting);
            let answer = sim.core.charge(&request);
            witness.hear(&answer, sim.calls[0].machine.is_continued());
            witness.answers.push(answer.clone());
            sim.answer(0, answer);
        }
        Step::Lose(index) if waiting > 0 => {
            let request = sim.calls[0].unanswered.remove(index % waiting);
            sim.core.charge(&request);
        }
        Step::Copy(index) if !witness.answers.is_empty() => {
            let answer = witness.answers[index % witness.answers.len()].clone();
            witness.hear(&answer, sim.calls[0].machine.is_continued());
            sim.answer(0, answer);
        }
        Step::Fail(index) if !witness.requests.is_empty() => {
            let request = &witness.requests[index % witness.requests.len()];
            let number = request.request_number;
            if request.operation == Operation::Initial && sim.calls[0].machine.phase() == Phase::Authorising {
                witness.in_flight = None;
            }
            sim.fail(0, number);
        }
        Step::Answer(_) | Step::Lose(_) | Step::Copy(_) | Step::Fail(_) => {}
        Step::Reauthorize => sim.input(0, Input::Reauthorize),
        Step::Release(cause) => {
            witness.released = true;
            sim.release(0, *cause);
        }
        Step::SwitchLost => sim.input(0, Input::SwitchLost),
        Step::StrayTimer(index) => {
            let timer = TIMERS[index % TIMERS.len()];
            witness.released |= timer == Timer::MaximumCall;
            sim.input(0, Input::Timer(timer));
        }
        Step::Continue(ms) => {
            let (before, machine) = (sim.calls[0].machine.is_continued(), &sim.calls[0].machine);
            let waits = machine.phase() == Phase::Authorising;
            sim.input(0, Input::Continue { longest_ms: u64::from(*ms) });
            if !before && sim.calls[0].machine.is_continued() {
                witness.reach_ms = u64::from(*ms) + if waits { 0 } else { witness.reach_ms };
            }
        }
    }
    witness.look(sim, *now_ms);
}

/// The switch says that the call is over, and the outbox gets every request through.
fn finish(sim: &mut Sim, witness: &mut Witness, now_ms: &mut i64) {
    sim.switch(0, SwitchEvent::Gone);
    witness.look(sim, *now_ms);
    for _ in 0..2 {
        for request in witness.requests.clone() {
            let answer = sim.core.charge(&request);
            witness.hear(&answer, sim.calls[0].machine.is_continued());
            sim.answer(0, answer);
            witness.look(sim, *now_ms);
        }
        pass(20_000, sim, witness, now_ms);
    }
    assert_eq!(sim.calls[0].machine.phase(), Phase::Finished, "nothing is left to wait for");
    let said = sim.calls[0].effects.len();
    for timer in TIMERS {
        sim.input(0, Input::Timer(timer));
    }
    sim.switch(0, SwitchEvent::Gone);
    sim.release(0, ReleaseCause::Operator);
    assert_eq!(sim.calls[0].effects.len(), said, "silence after Finished");
}

fn check(effects: &[Effect], life: &Life) {
    let finished = effects.iter().filter(|effect| **effect == Effect::Finished).count();
    assert_eq!((finished, effects.last()), (1, Some(&Effect::Finished)));
    let records: Vec<&CallRecord> = effects
        .iter()
        .filter_map(|effect| if let Effect::Record(record) = effect { Some(&**record) } else { None })
        .collect();
    let of = |kind| records.iter().filter(move |record| record.record_type == kind);
    let attempts = records.iter().filter(|record| record.event_kind == Some(EventKind::CallAttempt)).count();
    let (starts, stops) = (of(RecordType::Start).count(), of(RecordType::Stop).count());
    assert!(
        matches!((starts, stops, attempts), (1, 1, 0) | (0, 0, 1)),
        "{starts} START, {stops} STOP, {attempts} attempts"
    );
    for (sequence, record) in records.iter().enumerate() {
        assert_eq!(usize::try_from(record.record_sequence).ok(), Some(sequence), "records count up");
    }
    let requests: Vec<&ChargingRequest> = effects
        .iter()
        .filter_map(|effect| if let Effect::Charge { request, .. } = effect { Some(&**request) } else { None })
        .collect();
    assert!(!life.never_refuse || requests.is_empty(), "nobody is asked about an emergency call");
    let touched = effects.iter().any(|effect| matches!(effect, Effect::Command(_)));
    assert!(!(life.never_refuse && touched), "an emergency call is never touched");
    let Some(stop) = of(RecordType::Stop).next() else { return };
    let talked_ms = stop.duration.expect("a STOP has a duration").ms();
    let told: u64 = records.iter().flat_map(|record| &record.usage).filter_map(|usage| usage.delta.time_ms).sum();
    let told_before = told - stop.usage.iter().filter_map(|usage| usage.delta.time_ms).sum::<u64>();
    assert_eq!(told, talked_ms.max(told_before), "the deltas of the records add up to the total");
    check_totals(&records);
    check_schema(&records);
    let reported: u64 = requests.iter().copied().map(used_ms).sum();
    if let Some(last) = requests.last().filter(|last| last.operation == Operation::Termination) {
        assert_eq!(reported, talked_ms.max(reported - used_ms(last)), "so do those of the requests");
    }
}

/// Whoever adds up deltas and whoever takes the last total comes to the same, at every record.
fn check_totals(records: &[&CallRecord]) {
    let (mut time_ms, mut amount) = (0, Money::ZERO);
    for record in records {
        for usage in &record.usage {
            time_ms += usage.delta.time_ms.expect("time");
            assert_eq!(usage.total.time_ms, Some(time_ms), "usage of {:?}", record.record_type);
        }
        let Some(cost) = &record.cost else { continue };
        assert_eq!(cost.amount.is_some(), cost.delta.is_some());
        amount += cost.delta.unwrap_or_default();
        assert_eq!(cost.amount.unwrap_or(amount), amount, "cost of {:?}", record.record_type);
    }
}

fn check_schema(records: &[&CallRecord]) {
    static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
        let schema = serde_json::from_str(CALL_RECORD_SCHEMA).expect("JSON");
        jsonschema::validator_for(&schema).expect("a schema")
    });
    for record in records {
        let json = serde_json::to_value(record).expect("encodes");
        let faults: Vec<String> = SCHEMA.iter_errors(&json).map(|fault| fault.to_string()).collect();
        assert_eq!(faults, Vec::<String>::new(), "{json}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, rng_seed: RngSeed::Fixed(20_261_122), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_inputs_keeps_the_rules(life in life()) {
        let effects = live(&life);
        check(&effects, &life);
        prop_assert_eq!(live(&life), effects, "the same inputs give the same effects");
    }
}
