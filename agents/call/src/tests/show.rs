//! Effects as short lines, so that a test reads like a log: seconds since the answer, then what happened.

use agent_call::{Alarm, Command, Effect, TIMERS};
use cdr_model::{CallRecord, CostState, EventKind, RecordType, Seconds};
use types::UtcMs;
use types::charging::{ChargingRequest, Operation};

/// The simulation's zero on both clocks: wall time, and steady time in ms.
pub const ZERO_UTC: i64 = 1_795_309_600_000;
pub const ZERO_MONO: u64 = 1_000_000;

/// One line an effect; the cancelling of all timers is one line.
pub fn lines(effects: &[Effect]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = effects;
    while let [effect, after @ ..] = rest {
        let cancels = rest.iter().zip(TIMERS).filter(|(effect, timer)| **effect == Effect::CancelTimer(*timer)).count();
        if cancels == TIMERS.len() {
            lines.push("cancel all timers".to_owned());
            rest = &rest[cancels..];
        } else {
            lines.push(line(effect));
            rest = after;
        }
    }
    lines
}

/// True for lines about timers.
pub fn is_timer(line: &str) -> bool {
    line.contains(" timer ") || line.contains(" cancel ")
}

fn line(effect: &Effect) -> String {
    match effect {
        Effect::Charge { request, snapshot } => charge(request, snapshot.is_some()),
        Effect::Keep(snapshot) => format!("keep{}", if snapshot.pending_stop { " pending" } else { "" }),
        Effect::Record(record) => self::record(record),
        Effect::Command(command) => self::command(*command),
        Effect::SetTimer(timer, due) => {
            let due = i64::try_from(due.0).unwrap_or(i64::MAX) - i64::try_from(ZERO_MONO).unwrap_or(0);
            format!("timer {timer:?} {}", seconds(due))
        }
        Effect::CancelTimer(timer) => format!("cancel {timer:?}"),
        Effect::CoreSilent => "core silent".to_owned(),
        Effect::Alarm(alarm) => self::alarm(*alarm),
        Effect::Finished => "finished".to_owned(),
    }
}

fn charge(request: &ChargingRequest, snapshot: bool) -> String {
    let operation = match request.operation {
        Operation::Initial => "INITIAL",
        Operation::Update => "UPDATE",
        Operation::Termination => "TERMINATION",
        Operation::Event => "EVENT",
    };
    let mut text = format!("{operation} #{}", request.request_number);
    for used in &request.units[0].used {
        text += &format!(" +{}", used.units.time_ms.unwrap_or(0));
        text += &used.reason.map_or(String::new(), |reason| format!(" {reason:?}"));
    }
    if let Some(asked) = request.units[0].requested {
        text += &format!(" asks {}", asked.time_ms.unwrap_or(0));
    }
    text += &request.release_cause.map_or(String::new(), |cause| format!(" {}", cause.as_str()));
    // The last one always has it.
    if snapshot && request.operation != Operation::Termination { text + " with state" } else { text }
}

fn command(command: Command) -> String {
    match command {
        Command::Admit { granted_ms } => format!("-> admit {granted_ms}"),
        Command::Refuse(cause) => format!("-> refuse {} {}", cause.sip_status(), cause.as_str()),
        Command::MoveBackstop { remaining_ms } => format!("-> backstop {remaining_ms}"),
        Command::Release { cause, attempt } => format!("-> release {} attempt {attempt}", cause.as_str()),
        Command::WarnLowBalance { remaining_ms } => format!("-> warn {remaining_ms}"),
    }
}

fn alarm(alarm: Alarm) -> String {
    match alarm {
        Alarm::Overrun { overrun_ms } => format!("! overrun {overrun_ms}"),
        Alarm::ReleaseUnconfirmed { attempts } => format!("! release unconfirmed {attempts}"),
        Alarm::Uncharged => "! uncharged".to_owned(),
        Alarm::SessionLost => "! session lost".to_owned(),
        Alarm::ClockAnomaly { switch_ms, measured_ms } => format!("! clocks: switch {switch_ms} ours {measured_ms}"),
    }
}

/// Every field that differs between the records of one call.
pub fn record(record: &CallRecord) -> String {
    let mut text = match (record.record_type, record.event_kind) {
        (RecordType::Event, Some(EventKind::CostAdjustment)) => "COST_ADJUSTMENT".to_owned(),
        (RecordType::Event, Some(EventKind::CallAttempt)) => "ATTEMPT".to_owned(),
        (kind, event) => format!("{}{}", kind.as_str(), event.map_or(String::new(), |event| format!(" {event:?}"))),
    };
    let sequence = record.record_sequence;
    text += &format!(" ={sequence}");
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text += &format!(" {name} {value}");
        }
    };
    add("answer", record.answer_time.map(since_zero));
    add("end", record.end_time.map(since_zero));
    add("talked", record.duration.map(shown));
    add("billable", record.billable_seconds.map(shown));
    add("overrun", record.overrun_ms.map(|ms| ms.to_string()));
    add("usage", record.usage.first().and_then(|usage| usage.delta.time_ms).map(|ms| ms.to_string()));
    add("reason", record.termination_reason.map(|reason| format!("{reason:?}")));
    add("release", record.release_cause.map(|cause| cause.as_str().to_owned()));
    add("cause", record.cause.map(|cause| cause.to_string()));
    add("sip", record.sip_status.map(|status| status.to_string()));
    add(
        "cost",
        record.cost.as_ref().map(|cost| {
            let amount = cost.amount.map_or("?".to_owned(), |amount| format!("{amount:.2}"));
            if cost.state == CostState::Pending { format!("{amount} pending") } else { amount }
        }),
    );
    add("of", record.adjusts_record_id.as_ref().map(ToString::to_string));
    for (flag, name) in [(record.reconstructed, "reconstructed"), (record.clock_anomaly, "clock-anomaly")] {
        add(name, flag.then(String::new));
    }
    if !record.metadata.tags.is_empty() {
        text += &format!(" tags {}", record.metadata.tags.join(","));
    }
    text.trim_end().to_owned()
}

fn shown(length: Seconds) -> String {
    seconds(i64::try_from(length.ms()).unwrap_or(i64::MAX))
}

fn since_zero(time: UtcMs) -> String {
    seconds(time.0.saturating_sub(ZERO_UTC))
}

/// Milliseconds as seconds, three decimals.
pub fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
}

/// The lines of an expected log: trimmed, without empty ones.
pub fn expected(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
