//! Inputs a second on one core through [`CallMachine`] over whole prepaid calls, and what a live call weighs in memory.
//!
//! A call here is offered, granted, rings, is answered, reports twenty times with a proof of life before each report,
//! writes INTERIM records, is hung up and settled. Memory is told twice: what the machine asks the allocator for, counted
//! from its parts, and the growth of the resident set over many live calls, where the allocator's rounding counts too.
//! Fails when a goal is missed.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use agent_call::{Answer, CallEnd, CallMachine, CallOffer, CallSettings, Effect, Input, SwitchEvent, Timer};
use cdr_model::{CallDirection, SipData};
use types::charging::{
    ChargingAnswer, ChargingMode, Cost, Operation, ResultCode, Service, SubscriberId, UnitAnswer, Units,
};
use types::{ClientId, EndedBy, Money, MonoMs, Now, UtcMs};

const CALLS: u32 = 100_000;
const LIVE_CALLS: u32 = 100_000;
const REPORTS: u64 = 20;
const SLICE_MS: u64 = 120_000;
const MARGIN_MS: u64 = 30_000;
const GOAL_INPUTS_PER_S: u128 = 1_000_000;
const GOAL_BYTES_PER_CALL: usize = 1_024;

fn main() -> ExitCode {
    let settings = Arc::new(CallSettings::new(ClientId::from("agent-1")));
    // Memory first, before the heap has holes that could hide growth.
    let bytes = bytes_per_live_call(&settings);
    run(&settings, CALLS / 10);
    let started = Instant::now();
    let (inputs, effects) = run(&settings, CALLS);
    let elapsed = started.elapsed();
    let inputs_per_s = u128::from(inputs) * 1_000_000_000 / elapsed.as_nanos().max(1);
    println!("call_machine: {inputs_per_s} inputs/s on one core ({inputs} inputs, {effects} effects in {elapsed:.2?})");
    println!(
        "call_machine: machine {} bytes on the stack, effect {} bytes",
        size_of::<CallMachine>(),
        size_of::<Effect>()
    );
    let asked = size_of::<CallMachine>() + size_of::<CallOffer>() + text_bytes(&offer(LIVE_CALLS, UtcMs(0)));
    match bytes {
        Some(bytes) => println!("call_machine: a live call asks for {asked} bytes, {bytes} resident"),
        None => println!("call_machine: a live call asks for {asked} bytes"),
    }
    let fast = inputs_per_s >= GOAL_INPUTS_PER_S;
    if fast && asked <= GOAL_BYTES_PER_CALL { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whole calls, one after the other; inputs and effects counted.
fn run(settings: &Arc<CallSettings>, calls: u32) -> (u64, u64) {
    let (mut inputs, mut effects) = (0, 0);
    let mut buffer = Vec::new();
    for number in 0..calls {
        let mut life = Life::begin(settings, number, &mut buffer);
        life.talk(REPORTS);
        life.end();
        inputs += life.inputs;
        effects += life.effects;
    }
    (inputs, effects)
}

/// Calls that talk and have reported twice: each holds all that a live call ever does.
fn bytes_per_live_call(settings: &Arc<CallSettings>) -> Option<u64> {
    let mut buffer = Vec::new();
    let mut calls = Vec::with_capacity(LIVE_CALLS as usize);
    let live = |number, buffer: &mut Vec<Effect>| {
        let mut life = Life::begin(settings, number, buffer);
        life.talk(2);
        life.machine
    };
    drop(black_box(live(0, &mut buffer)));
    let before = resident_bytes()?;
    calls.extend((0..LIVE_CALLS).map(|number| live(number, &mut buffer)));
    let after = resident_bytes()?;
    drop(black_box(calls));
    Some(after.saturating_sub(before) / u64::from(LIVE_CALLS))
}

/// All text of an offer: each piece is a heap block of exactly its length.
fn text_bytes(offer: &CallOffer) -> usize {
    let sip = &offer.sip;
    let numbers = [&offer.calling, &offer.called, &sip.from_uri, &sip.to_uri];
    let texts = [&sip.call_id_header, &sip.user_agent, &sip.codec, &sip.ip_address, &offer.trunk];
    let ids = [offer.call_id.as_str(), offer.session_id.as_str(), offer.leg_id.as_str(), offer.tenant.as_str()];
    let always = [offer.dialled.expose(), &offer.category, &offer.node];
    let payer = offer.payer.iter().map(|payer| payer.value.expose().len());
    let numbers = numbers.into_iter().flatten().map(|number| number.expose().len());
    let texts = texts.into_iter().flatten().map(|text| text.len());
    numbers.chain(texts).chain(payer).chain(ids.into_iter().chain(always).map(str::len)).sum()
}

/// The process's resident set, from the pages that Linux counts.
fn resident_bytes() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

struct Life<'a> {
    machine: CallMachine,
    now: Now,
    answered: UtcMs,
    used_ms: u64,
    buffer: &'a mut Vec<Effect>,
    inputs: u64,
    effects: u64,
}

impl<'a> Life<'a> {
    fn begin(settings: &Arc<CallSettings>, number: u32, buffer: &'a mut Vec<Effect>) -> Self {
        let now = Now { mono: MonoMs(1_000_000), utc: UtcMs(1_795_309_600_000) };
        buffer.clear();
        let machine = CallMachine::offer(settings.clone(), offer(number, now.utc), now, buffer);
        let mut life = Self { machine, now, answered: now.utc, used_ms: 0, buffer, inputs: 1, effects: 0 };
        life.answer_requests();
        life.input(Input::Switch(SwitchEvent::Ringing));
        life.pass(4_000);
        life.answered = life.now.utc;
        life.input(Input::Switch(SwitchEvent::Answered(Answer { at: life.now.utc, elapsed_ms: 0 })));
        life
    }

    fn talk(&mut self, reports: u64) {
        self.pass(SLICE_MS - MARGIN_MS);
        for report in 0..reports {
            let elapsed_ms = self.now.utc.since(self.answered);
            self.input(Input::Switch(SwitchEvent::Alive(Answer { at: self.answered, elapsed_ms })));
            self.input(Input::Timer(Timer::Quota));
            if report % 4 == 3 {
                self.input(Input::Timer(Timer::Interim));
            }
            self.pass(SLICE_MS - MARGIN_MS);
        }
    }

    fn end(&mut self) {
        let end = CallEnd { qos: Some(cdr_model::Qos::default()), ..CallEnd::normal(self.now.utc, EndedBy::Caller) };
        self.input(Input::Switch(SwitchEvent::Ended(end)));
        assert_eq!(self.machine.phase(), agent_call::Phase::Finished);
    }

    fn pass(&mut self, ms: u64) {
        self.now = Now { mono: self.now.mono.plus(ms), utc: self.now.utc.plus(ms) };
    }

    fn input(&mut self, input: Input) {
        self.inputs += 1;
        self.machine.accept(self.now, input, self.buffer);
        self.answer_requests();
    }

    /// Takes the effects; the core grants every request at once.
    fn answer_requests(&mut self) {
        while !self.buffer.is_empty() {
            let mut answers = None;
            for effect in self.buffer.drain(..) {
                self.effects += 1;
                if let Effect::Charge { request, .. } = &effect {
                    let used = request.units.iter().flat_map(|unit| &unit.used);
                    self.used_ms += used.filter_map(|used| used.units.time_ms).sum::<u64>();
                    let grant = request.operation != Operation::Termination;
                    answers = Some(granted(request, grant, self.used_ms));
                }
                black_box(effect);
            }
            if let Some(answer) = answers {
                self.inputs += 1;
                self.machine.accept(self.now, Input::Charged(Box::new(answer)), self.buffer);
            }
        }
    }
}

fn granted(request: &types::charging::ChargingRequest, grant: bool, used_ms: u64) -> ChargingAnswer {
    let unit = UnitAnswer {
        rating_group: 0,
        service_identifier: None,
        result_code: ResultCode::SUCCESS,
        granted: grant.then(|| Units::time(SLICE_MS)),
        validity_time_ms: None,
        quota_threshold: None,
        quota_holding_time_ms: None,
        tariff_time_change: None,
        final_unit: None,
        billable: used_ms,
    };
    ChargingAnswer {
        units: vec![unit],
        cost: "EUR".parse().ok().map(|currency| Cost {
            currency,
            amount: Money::from_nanos(i128::from(used_ms) * 10_000),
            per_minute_rate: None,
            overrun: Money::ZERO,
        }),
        remaining_balance: Some(Money::from_units(5)),
        ..ChargingAnswer::refusal(request.session_id.clone(), request.request_number, ResultCode::SUCCESS)
    }
}

/// An offer with all that a SIP switch tells.
fn offer(number: u32, at: UtcMs) -> CallOffer {
    let call_id = format!("kamailio-1/1795309000/4711/{number}");
    CallOffer {
        call_id: call_id.as_str().into(),
        session_id: format!("{call_id}/7f3a9c51e2b84d0f@192.0.2.17").into(),
        leg_id: "A".into(),
        parent_leg_id: None,
        tenant: "example.org".into(),
        payer: Some(SubscriberId::account(format!("customer-{number:08}"))),
        charging_mode: ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: Some("+4930123456".into()),
        called: Some("+4989654321".into()),
        dialled: "089654321".into(),
        offered: at,
        never_refuse: false,
        direction: CallDirection::MobileOriginated,
        sip: SipData {
            from_uri: Some("sip:customer@example.org".into()),
            to_uri: Some("sip:089654321@example.org".into()),
            call_id_header: Some("7f3a9c51e2b84d0f@192.0.2.17".into()),
            user_agent: Some("Example Phone 4.2".into()),
            codec: Some("PCMA".into()),
            ip_address: Some("192.0.2.17".into()),
        },
        node: "kamailio-1".into(),
        trunk: Some("carrier-a".into()),
    }
}
