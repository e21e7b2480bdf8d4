//! The metrics that every call touches, looked up once: by name and labels that costs more than counting.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use types::charging::{Operation, ResultCode};

use crate::metric::names;

/// Those of one switch.
pub(super) struct Figures {
    switch: Arc<str>,
    pub(super) calls_offered: Counter,
    pub(super) calls_admitted: Counter,
    pub(super) calls_open: Gauge,
    initial_seconds: Histogram,
    update_seconds: Histogram,
    termination_seconds: Histogram,
    event_seconds: Histogram,
    /// As many as the core has codes.
    answers: HashMap<ResultCode, Counter>,
}

impl Figures {
    pub(super) fn of(switch: &Arc<str>) -> Self {
        let label = || Arc::clone(switch);
        let seconds =
            |operation| histogram!(names::CHARGE_SECONDS, "switch" => label(), "operation" => word(operation));
        Self {
            switch: label(),
            calls_offered: counter!(names::CALLS_OFFERED, "switch" => label()),
            calls_admitted: counter!(names::CALLS_ADMITTED, "switch" => label()),
            calls_open: gauge!(names::CALLS_OPEN, "switch" => label()),
            initial_seconds: seconds(Operation::Initial),
            update_seconds: seconds(Operation::Update),
            termination_seconds: seconds(Operation::Termination),
            event_seconds: seconds(Operation::Event),
            answers: HashMap::new(),
        }
    }

    pub(super) fn charge_seconds(&self, operation: Operation) -> &Histogram {
        match operation {
            Operation::Initial => &self.initial_seconds,
            Operation::Update => &self.update_seconds,
            Operation::Termination => &self.termination_seconds,
            Operation::Event => &self.event_seconds,
        }
    }

    /// One more answer of that code.
    pub(super) fn answer(&mut self, code: ResultCode) {
        let (switch, text) = (&self.switch, || code.0.to_string());
        let counted = self.answers.entry(code);
        let counter = counted.or_insert_with(
            || counter!(names::CHARGE_ANSWERS, "switch" => Arc::clone(switch), "result_code" => text()),
        );
        counter.increment(1);
    }
}

/// The label's value.
pub(super) fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::Initial => "INITIAL",
        Operation::Update => "UPDATE",
        Operation::Termination => "TERMINATION",
        Operation::Event => "EVENT",
    }
}
