//! Recorded event sequences of real switches, played to call machines. The captures are trimmed to one event a line:
//! its name, then `key=value` fields; the first line names the program, its version and the recording.
#![allow(dead_code, reason = "each switch's test uses its part")]

#[path = "../../src/tests/core.rs"]
mod core;

use std::collections::BTreeMap;
use std::sync::Arc;

use agent_call::{CallMachine, CallOffer, CallSettings, Command, Effect, Input, SwitchEvent};
use cdr_model::{CallDirection, CallRecord, SipData};
use types::charging::{ChargingMode, Service, SubscriberId};
use types::{ClientId, MonoMs, Now, UtcMs};

/// One event of a capture.
pub struct Line<'a> {
    pub name: &'a str,
    fields: BTreeMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    /// A field, or nothing where the switch wrote none.
    pub fn field(&self, key: &str) -> Option<&'a str> {
        self.fields.get(key).copied()
    }

    /// A field that must be there.
    pub fn text(&self, key: &str) -> &'a str {
        self.field(key).unwrap_or_else(|| panic!("{} has no {key}", self.name))
    }

    /// A time in microseconds, `1795307872746930` or `1795307103.190697`, cut to milliseconds.
    pub fn time(&self, key: &str) -> Option<UtcMs> {
        let micros: i64 = self.field(key)?.replace('.', "").parse().expect("microseconds");
        Some(UtcMs(micros / 1000))
    }

    /// A number field.
    pub fn number<N: std::str::FromStr>(&self, key: &str) -> Option<N> {
        self.field(key)?.parse().ok()
    }
}

/// The events of a capture; its first line must say where it was recorded.
pub fn parse(capture: &str) -> Vec<Line<'_>> {
    let (header, events) = capture.split_once('\n').expect("a header line");
    assert!(header.starts_with("# ") && header.contains("recorded"), "{header}");
    events
        .lines()
        .map(|line| {
            let (name, fields) = line.split_once(' ').expect("an event with fields");
            Line { name, fields: fields.split(' ').filter_map(|field| field.split_once('=')).collect() }
        })
        .collect()
}

/// What one line means for a call.
#[derive(Clone)]
pub enum Heard {
    Offer { call: String, at: UtcMs },
    Event { call: String, at: UtcMs, event: SwitchEvent },
}

/// How the core behaves, and how the switch tells.
#[derive(Clone, Copy)]
pub struct Play {
    /// Nano units on the account; the rate is 0.01 a second in seconds.
    pub balance: i128,
    /// The core answers only after the last event.
    pub late_core: bool,
    /// Every event comes twice.
    pub twice: bool,
}

/// An account that pays anything, a core that answers at once.
pub const FUNDED: Play = Play { balance: 9_000_000_000, late_core: false, twice: false };

/// What came of one call.
pub struct Outcome {
    pub records: Vec<CallRecord>,
    pub commands: Vec<Command>,
    pub finished: bool,
}

impl Outcome {
    /// The records, one line each.
    pub fn lines(&self) -> Vec<String> {
        self.records.iter().map(line).collect()
    }
}

fn line(record: &CallRecord) -> String {
    let mut text = record.record_type.as_str().to_owned();
    let mut add = |value: Option<String>| text += &value.map_or(String::new(), |value| format!(" {value}"));
    add(record.duration.map(|duration| format!("{} ms", duration.ms())));
    add(record.billable_seconds.map(|billable| format!("billed {}", billable.ms())));
    add(record.termination_reason.map(|reason| format!("{reason:?}")));
    add(record.release_cause.map(|cause| cause.as_str().to_owned()));
    add(record.cause.map(|cause| format!("cause {cause}")));
    add(record.sip_status.map(|status| format!("sip {status}")));
    add(record.cost.as_ref().and_then(|cost| cost.amount).map(|amount| format!("cost {amount:.2}")));
    assert!(!record.clock_anomaly && !record.reconstructed);
    text
}

struct Live {
    machine: CallMachine,
    effects: Vec<Effect>,
    asked: usize,
}

/// Plays what was heard; the outcome of each call under its name.
pub fn play(heard: &[Heard], how: Play) -> BTreeMap<String, Outcome> {
    let mut core = core::Core::new(core::R1);
    core.account("a").balance = how.balance;
    let settings = CallSettings { slice_ms: 30_000, margin_ms: 5_000, ..CallSettings::new(ClientId::from("agent-1")) };
    let settings = Arc::new(settings);
    let mut calls: BTreeMap<String, Live> = BTreeMap::new();
    let mut now = clocks(UtcMs(0));
    for heard in heard {
        let call = match heard {
            Heard::Offer { call, at } => {
                now = clocks(*at);
                let mut effects = Vec::new();
                let machine = CallMachine::offer(settings.clone(), offer(call, *at), now, &mut effects);
                assert!(calls.insert(call.clone(), Live { machine, effects, asked: 0 }).is_none(), "{call} twice");
                call
            }
            Heard::Event { call, at, event } => {
                now = clocks(*at);
                let live = calls.get_mut(call).expect("it was offered");
                for _ in 0..if how.twice { 2 } else { 1 } {
                    live.machine.accept(now, Input::Switch(event.clone()), &mut live.effects);
                }
                call
            }
        };
        if !how.late_core {
            answer(&mut core, calls.get_mut(call).expect("known"), now);
        }
    }
    for live in calls.values_mut() {
        answer(&mut core, live, now);
    }
    calls.into_iter().map(|(call, live)| (call, outcome(live.effects))).collect()
}

/// The core answers every request that has none yet.
fn answer(core: &mut core::Core, live: &mut Live, now: Now) {
    while let Some(effect) = live.effects.get(live.asked) {
        live.asked += 1;
        if let Effect::Charge { request, .. } = effect {
            let answer = core.charge(request);
            live.machine.accept(now, Input::Charged(Box::new(answer)), &mut live.effects);
        }
    }
}

fn outcome(effects: Vec<Effect>) -> Outcome {
    let mut outcome = Outcome { records: Vec::new(), commands: Vec::new(), finished: false };
    for effect in effects {
        match effect {
            Effect::Record(record) => outcome.records.push(*record),
            Effect::Command(command) => outcome.commands.push(command),
            Effect::Finished => outcome.finished = true,
            Effect::Alarm(alarm) => panic!("{alarm:?}"),
            _ => {}
        }
    }
    outcome
}

fn clocks(at: UtcMs) -> Now {
    Now { mono: MonoMs(at.0.unsigned_abs()), utc: at }
}

fn offer(call: &str, at: UtcMs) -> CallOffer {
    CallOffer {
        call_id: call.into(),
        session_id: format!("s/{call}").into(),
        leg_id: call.into(),
        parent_leg_id: None,
        tenant: "example.org".into(),
        payer: Some(SubscriberId::account("a")),
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
        sip: SipData::default(),
        node: "switch-1".into(),
        trunk: None,
    }
}
