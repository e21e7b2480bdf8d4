//! A simulated world around call machines: two clocks that only move when told, timers fired in order, the tiny core.

use std::collections::BTreeMap;
use std::sync::Arc;

use agent_call::{Answer, CallEnd, CallMachine, CallOffer, CallSettings, Effect, Input, Snapshot, SwitchEvent, Timer};
use cdr_model::{CallDirection, CallRecord, SipData};
use types::charging::{ChargingAnswer, ChargingMode, ChargingRequest, Service, SubscriberId};
use types::{ClientId, EndedBy, MonoMs, Now, ReleaseCause, SipStatus, UtcMs};

use super::core::{Core, Rate};
use super::show::{self, ZERO_MONO, ZERO_UTC};

/// Slice 30 s, margin 5 s, no INTERIM: as in the worked examples.
pub fn settings() -> CallSettings {
    CallSettings { slice_ms: 30_000, margin_ms: 5_000, interim_ms: 0, ..CallSettings::new(ClientId::from("agent-1")) }
}

/// An ordinary prepaid call that `payer` makes.
pub fn offer_of(name: &str, payer: &str) -> CallOffer {
    CallOffer {
        call_id: name.into(),
        session_id: format!("s/{name}").into(),
        leg_id: "A".into(),
        parent_leg_id: None,
        tenant: "example.org".into(),
        payer: Some(SubscriberId::account(payer)),
        charging_mode: ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: Some("+4930123456".into()),
        called: Some("+4989654321".into()),
        dialled: "089654321".into(),
        offered: utc(-5_000),
        never_refuse: false,
        direction: CallDirection::MobileOriginated,
        sip: SipData::default(),
        node: "switch-1".into(),
        trunk: None,
    }
}

/// Wall time, `ms` after the simulation's zero.
pub fn utc(ms: i64) -> UtcMs {
    UtcMs(ZERO_UTC + ms)
}

/// A fresh answer event, `ms` after zero by the switch.
pub fn answer_at(ms: i64) -> Answer {
    Answer { at: utc(ms), elapsed_ms: 0 }
}

/// One machine with its timers and everything it said.
pub struct Call {
    pub machine: CallMachine,
    timers: BTreeMap<Timer, u64>,
    pub effects: Vec<Effect>,
    log: Vec<String>,
    /// Charge requests that no answer was given to.
    pub unanswered: Vec<ChargingRequest>,
    /// The last snapshot that went out with a request.
    pub stored: Option<Snapshot>,
}

pub struct Sim {
    pub core: Core,
    settings: Arc<CallSettings>,
    /// False: requests wait in `Call::unanswered`.
    pub core_up: bool,
    now_ms: i64,
    /// So late every timer is carried out.
    pub timers_late_ms: i64,
    pub calls: Vec<Call>,
}

impl Sim {
    /// Five seconds before zero.
    pub fn new(rate: Rate, settings: CallSettings) -> Self {
        Self {
            core: Core::new(rate),
            settings: Arc::new(settings),
            core_up: true,
            now_ms: -5_000,
            timers_late_ms: 0,
            calls: Vec::new(),
        }
    }

    /// One account `a` with that balance.
    pub fn with_balance(rate: Rate, settings: CallSettings, balance: &str) -> Self {
        let mut sim = Self::new(rate, settings);
        sim.core.account("a").balance = super::core::money(balance);
        sim
    }

    /// The same, with a call of that account that is answered at zero.
    pub fn talking(rate: Rate, settings: CallSettings, balance: &str) -> (Self, usize) {
        let mut sim = Self::with_balance(rate, settings, balance);
        let call = sim.offer();
        sim.run_to(0);
        sim.answered(call);
        (sim, call)
    }

    pub fn now(&self) -> Now {
        Now { mono: MonoMs(ZERO_MONO.saturating_add_signed(self.now_ms)), utc: utc(self.now_ms) }
    }

    /// A call of account `a`; it is number 0, 1 ...
    pub fn offer(&mut self) -> usize {
        let name = format!("c{}", self.calls.len());
        self.offer_with(offer_of(&name, "a"))
    }

    pub fn offer_with(&mut self, offer: CallOffer) -> usize {
        let (settings, now) = (self.settings.clone(), self.now());
        self.add(|effects| CallMachine::offer(settings, offer, now, effects))
    }

    pub fn refused(&mut self, offer: CallOffer, cause: ReleaseCause) -> usize {
        let (settings, now) = (self.settings.clone(), self.now());
        self.add(|effects| CallMachine::refused(settings, offer, cause, now, effects))
    }

    pub fn adopt(&mut self, offer: CallOffer, answer: Answer) -> usize {
        let (settings, now) = (self.settings.clone(), self.now());
        self.add(|effects| CallMachine::adopt(settings, offer, answer, now, effects))
    }

    pub fn adopt_ended(&mut self, offer: CallOffer, end: CallEnd) -> usize {
        let (settings, now) = (self.settings.clone(), self.now());
        self.add(|effects| CallMachine::adopt_ended(settings, offer, end, now, effects))
    }

    /// The agent dies and comes back: the machine is made again from what the core kept. The log goes on.
    pub fn restore(&mut self, call: usize, proven_ms: u64) {
        let snapshot = self.calls[call].stored.clone().expect("a request carried one");
        let summary = self.core.summary(&snapshot.offer.session_id);
        self.calls[call].timers.clear();
        self.calls[call].machine = CallMachine::restore(self.settings.clone(), snapshot, &summary, proven_ms);
    }

    /// The agent dies and comes back, and the core denies the INITIAL that was kept.
    pub fn restore_denied(&mut self, call: usize) {
        let snapshot = self.calls[call].stored.clone().expect("the INITIAL carried one");
        let initial = self.calls[call].unanswered.remove(0);
        let answer = self.core.charge(&initial);
        self.calls[call].timers.clear();
        self.calls[call].machine = CallMachine::denied(self.settings.clone(), snapshot, &answer);
    }

    fn add(&mut self, make: impl FnOnce(&mut Vec<Effect>) -> CallMachine) -> usize {
        let mut effects = Vec::new();
        let machine = make(&mut effects);
        self.calls.push(Call {
            machine,
            timers: BTreeMap::new(),
            effects: Vec::new(),
            log: Vec::new(),
            unanswered: Vec::new(),
            stored: None,
        });
        let call = self.calls.len() - 1;
        self.carry_out(call, effects);
        call
    }

    /// Moves both clocks to `ms` after zero and fires what is due on the way, in order.
    pub fn run_to(&mut self, ms: i64) {
        let (mut fired, late_ms) = (0, self.timers_late_ms);
        loop {
            let pending = self.calls.iter().enumerate().flat_map(|(call, running)| {
                running.timers.iter().map(move |(timer, due)| (relative(*due) + late_ms, call, *timer))
            });
            let Some((due_ms, call, timer)) = pending.min().filter(|(due_ms, ..)| *due_ms <= ms) else { break };
            fired = if due_ms > self.now_ms { 0 } else { fired + 1 };
            assert!(fired < 1_000, "{timer:?} fires for ever");
            self.now_ms = self.now_ms.max(due_ms);
            self.calls[call].timers.remove(&timer);
            self.input(call, Input::Timer(timer));
        }
        self.now_ms = self.now_ms.max(ms);
    }

    pub fn input(&mut self, call: usize, input: Input) {
        let (now, mut effects) = (self.now(), Vec::new());
        self.calls[call].machine.accept(now, input, &mut effects);
        self.carry_out(call, effects);
    }

    fn carry_out(&mut self, call: usize, effects: Vec<Effect>) {
        let time = show::seconds(self.now_ms);
        let running = &mut self.calls[call];
        running.log.extend(show::lines(&effects).into_iter().map(|line| format!("{time} {line}")));
        running.effects.extend(effects.iter().cloned());
        let mut requests = Vec::new();
        for effect in effects {
            match effect {
                Effect::SetTimer(timer, due) => drop(running.timers.insert(timer, due.0)),
                Effect::CancelTimer(timer) => drop(running.timers.remove(&timer)),
                Effect::Charge { request, snapshot } => {
                    running.stored = snapshot.map(|snapshot| *snapshot).or_else(|| running.stored.take());
                    requests.push(*request);
                }
                Effect::Keep(snapshot) => running.stored = Some(*snapshot),
                _ => {}
            }
        }
        if self.core_up {
            for request in requests {
                let answer = self.core.charge(&request);
                self.answer(call, answer);
            }
        } else {
            running.unanswered.extend(requests);
        }
    }

    /// The core's answer arrives; then the REAUTHORIZEs that follow from it.
    pub fn answer(&mut self, call: usize, answer: ChargingAnswer) {
        self.input(call, Input::Charged(Box::new(answer)));
        self.tell();
    }

    /// Passes on the core's REAUTHORIZEs.
    pub fn tell(&mut self) {
        for session in std::mem::take(&mut self.core.reauthorize) {
            let told = self.calls.iter().position(|running| *running.machine.session_id() == session);
            self.input(told.expect("one of ours"), Input::Reauthorize);
        }
    }

    /// The core comes back and gets what waited, in order.
    pub fn deliver(&mut self) {
        self.core_up = true;
        for call in 0..self.calls.len() {
            for request in std::mem::take(&mut self.calls[call].unanswered) {
                let answer = self.core.charge(&request);
                self.answer(call, answer);
            }
        }
    }

    pub fn fail(&mut self, call: usize, request_number: u32) {
        self.input(call, Input::ChargingFailed { request_number });
    }

    pub fn release(&mut self, call: usize, cause: ReleaseCause) {
        self.input(call, Input::Release(cause));
    }

    pub fn switch(&mut self, call: usize, event: SwitchEvent) {
        self.input(call, Input::Switch(event));
    }

    /// Answered now, by both clocks.
    pub fn answered(&mut self, call: usize) {
        let answer = answer_at(self.now_ms);
        self.switch(call, SwitchEvent::Answered(answer));
    }

    /// Found alive now, answered at zero.
    pub fn alive(&mut self, call: usize) {
        let elapsed_ms = self.now_ms.unsigned_abs();
        self.switch(call, SwitchEvent::Alive(Answer { at: utc(0), elapsed_ms }));
    }

    /// Hung up now.
    pub fn ended(&mut self, call: usize) {
        let end = CallEnd::normal(utc(self.now_ms), EndedBy::Caller);
        self.switch(call, SwitchEvent::Ended(end));
    }

    /// Ended now without an answer.
    pub fn unanswered(&mut self, call: usize, status: SipStatus) {
        self.switch(call, SwitchEvent::Ended(CallEnd::unanswered(utc(self.now_ms), status)));
    }

    /// Everything since the last look, one line an effect.
    pub fn take(&mut self, call: usize) -> Vec<String> {
        std::mem::take(&mut self.calls[call].log)
    }

    /// Compares everything since the last look with the expected lines.
    #[track_caller]
    pub fn expect(&mut self, call: usize, text: &str) {
        assert_eq!(self.take(call), show::expected(text));
    }

    /// The same without the lines about timers.
    #[track_caller]
    pub fn expect_untimed(&mut self, call: usize, text: &str) {
        let lines: Vec<_> = self.take(call).into_iter().filter(|line| !show::is_timer(line)).collect();
        assert_eq!(lines, show::expected(text));
    }

    /// All records of a call.
    pub fn records(&self, call: usize) -> Vec<&CallRecord> {
        let records = self.calls[call].effects.iter();
        records.filter_map(|effect| if let Effect::Record(record) = effect { Some(&**record) } else { None }).collect()
    }

    #[track_caller]
    pub fn expect_balance(&self, balance: &str, held: &str) {
        let (has, holds) = self.core.balance("a");
        assert_eq!((format!("{has:.2}"), format!("{holds:.2}")), (balance.to_owned(), held.to_owned()));
    }
}

fn relative(mono: u64) -> i64 {
    i64::try_from(mono).unwrap_or(i64::MAX) - i64::try_from(ZERO_MONO).unwrap_or(0)
}
