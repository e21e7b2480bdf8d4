//! The records of a session: START, INTERIM, STOP with what was used by rating group, and EVENT.
//!
//! What a record tells but its cost is fixed before the core is asked, and kept with the core beside the request: if we die between
//! the core's answer and the record, the record is written again, with the same id.
//!
//! | request | record |
//! |---|---|
//! | first, of data and other sessions: granted | START |
//! | first, refused | EVENT, an attempt |
//! | first report of used time, of voice | START |
//! | update, `interim` after the last record | INTERIM |
//! | last, after any use or a START | (START,) STOP |
//! | last, of voice without use | EVENT, an attempt |
//! | direct debit, refund | EVENT, a service |

use cdr_model::{
    CallDirection, CallRecord, CallType, CalledParty, CallingParty, CostState, EventKind, RecordCost, RecordMetadata,
    RecordType, RecordUnits, RecordUsage, SchemaVersion, Seconds, SipData,
};
use serde::{Deserialize, Serialize};
use types::charging::{
    ChargingAnswer, Cost, Operation, PartyRole, RequestedAction, ResultCode, Service, SubscriberIdKind,
};
use types::{CallId, LegId, Money, Number, ReleaseCause, SessionId, TerminationReason, UtcMs};

use super::ask::{Ask, Asked};
use super::memory::{Memory, Terms};

/// What was recorded of a session. Kept with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recorded {
    /// Sequence of the next record.
    next: u32,
    /// START is written, or is in the draft.
    started: bool,
    /// When the last record was due.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<UtcMs>,
    /// What was used, by rating group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    totals: Vec<Total>,
    /// Cost up to the last record.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Money>,
    /// It went on without the core.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub continued: bool,
    /// What the request on the way will record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<Draft>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Total {
    rating_group: u32,
    units: RecordUnits,
    /// Up to the last record.
    recorded: RecordUnits,
}

/// What one request records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// The request's number with the core.
    number: u32,
    /// Sequence of its START.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<u32>,
    /// Its other record, and the sequence of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<(RecordType, u32)>,
    /// For that record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    usage: Vec<RecordUsage>,
    /// When the request was made.
    at: UtcMs0,
    /// An attempt, or the debit or refund of an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<EventWord>,
}

impl Draft {
    /// Most updates leave nothing to be recorded.
    fn records_something(&self) -> bool {
        self.start.is_some() || self.other.is_some() || self.event.is_some()
    }
}

/// Milliseconds UTC that may be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct UtcMs0(i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EventWord {
    Attempt,
    Debit,
    Refund,
}

/// How a request came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Of the whole request, as the client is told.
    pub code: ResultCode,
    /// Charged so far.
    pub cost: Option<Cost>,
    /// Why we ended it; absent: the client did.
    pub release: Option<ReleaseCause>,
}

impl Outcome {
    /// Of the core's answer.
    pub fn of(answer: &ChargingAnswer, code: ResultCode) -> Self {
        Self { code, cost: answer.cost, release: None }
    }
}

impl Recorded {
    /// Takes what the request reports and drafts its records.
    pub fn take(&mut self, ask: &Ask, memory: &Facts<'_>, number: u32, at: UtcMs, interim_ms: u64) {
        let mut used = false;
        for group in &ask.groups {
            used |= self.add(group);
        }
        let due = self.last.is_none_or(|last| at.since(last) >= interim_ms) && interim_ms > 0;
        let mut draft = Draft { number, at: UtcMs0(at.0), ..Draft::default() };
        let is_voice = memory.service == Service::Voice;
        match ask.operation() {
            // Whether it is a START is told by the answer.
            Operation::Initial if is_voice => draft.event = Some(EventWord::Attempt),
            Operation::Initial => draft.start = self.start(at),
            Operation::Update => {
                if used && !self.started {
                    draft.start = self.start(at);
                } else if due && self.started {
                    self.draft_usage(&mut draft, RecordType::Interim, memory, at);
                }
            }
            Operation::Termination => {
                if used && !self.started {
                    draft.start = self.start(at);
                }
                let kind = if self.started { RecordType::Stop } else { RecordType::Event };
                if !self.started {
                    draft.event = Some(EventWord::Attempt);
                }
                self.draft_usage(&mut draft, kind, memory, at);
            }
            Operation::Event => {
                draft.event = match ask.action {
                    RequestedAction::DirectDebit => Some(EventWord::Debit),
                    RequestedAction::Refund => Some(EventWord::Refund),
                    RequestedAction::CheckBalance | RequestedAction::PriceEnquiry => None,
                };
                if draft.event.is_some() {
                    self.event_usage(ask);
                    self.draft_usage(&mut draft, RecordType::Event, memory, at);
                }
            }
        }
        self.draft = draft.records_something().then_some(draft);
    }

    /// Adds a report; true if anything was used.
    fn add(&mut self, group: &Asked) -> bool {
        let rating_group = group.rating_group.unwrap_or(0);
        let mut used = false;
        for container in &group.used {
            let total = self.total(rating_group);
            let units = &container.units;
            let has_parts = units.input_octets.is_some() || units.output_octets.is_some();
            add(&mut total.units.time_ms, units.time_ms);
            add(&mut total.units.input_octets, units.input_octets);
            add(&mut total.units.output_octets, units.output_octets);
            if let (Some(sum), false) = (units.total_octets, has_parts) {
                add(&mut total.units.total_octets, Some(sum));
            }
            add(&mut total.units.units, units.specific_units);
            let counts =
                [units.time_ms, units.input_octets, units.output_octets, units.total_octets, units.specific_units];
            used |= counts.iter().flatten().any(|count| *count > 0);
        }
        used
    }

    fn event_usage(&mut self, ask: &Ask) {
        for group in &ask.groups {
            let units = group.requested.and_then(|units| units.specific_units).unwrap_or(1);
            let total = self.total(group.rating_group.unwrap_or(0));
            add(&mut total.units.units, Some(units));
        }
    }

    fn total(&mut self, rating_group: u32) -> &mut Total {
        let at = self.totals.iter().position(|total| total.rating_group == rating_group).unwrap_or_else(|| {
            self.totals.push(Total { rating_group, ..Total::default() });
            self.totals.len() - 1
        });
        &mut self.totals[at]
    }

    fn start(&mut self, at: UtcMs) -> Option<u32> {
        self.started = true;
        self.last = Some(at);
        Some(self.sequence())
    }

    fn sequence(&mut self) -> u32 {
        let sequence = self.next;
        self.next = sequence.saturating_add(1);
        sequence
    }

    fn draft_usage(&mut self, draft: &mut Draft, kind: RecordType, facts: &Facts<'_>, at: UtcMs) {
        draft.other = Some((kind, self.sequence()));
        self.last = Some(at);
        for total in &mut self.totals {
            let delta = less(&total.units, &total.recorded);
            if kind == RecordType::Interim && total.units == total.recorded {
                continue;
            }
            total.recorded = total.units;
            draft.usage.push(RecordUsage {
                rating_group: total.rating_group,
                delta,
                total: total.units,
                plmn: facts.plmn.map(Box::from),
                apn: facts.apn.map(Box::from),
                imsi: facts.imsi.cloned(),
            });
        }
    }
}

/// Of a session, what its records need while they are drafted.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What is sold.
    pub service: Service,
    /// Serving network.
    pub plmn: Option<&'a str>,
    /// Access point.
    pub apn: Option<&'a str>,
    /// Of the subscriber.
    pub imsi: Option<&'a Number>,
}

fn add(total: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *total = Some(total.unwrap_or(0).saturating_add(more));
    }
}

fn less(total: &RecordUnits, recorded: &RecordUnits) -> RecordUnits {
    let minus =
        |total: Option<u64>, recorded: Option<u64>| total.map(|total| total.saturating_sub(recorded.unwrap_or(0)));
    RecordUnits {
        input_octets: minus(total.input_octets, recorded.input_octets),
        output_octets: minus(total.output_octets, recorded.output_octets),
        time_ms: minus(total.time_ms, recorded.time_ms),
        total_octets: minus(total.total_octets, recorded.total_octets),
        units: minus(total.units, recorded.units),
    }
}

/// The records of the request in the draft, now that it is known how it came out. The draft is used up.
pub fn records(session_id: &str, memory: &mut Memory, outcome: Outcome, node: &str) -> Vec<CallRecord> {
    let Some(draft) = memory.recorded.draft.take() else { return Vec::new() };
    let terms = memory.terms.clone();
    let Some(terms) = terms else { return Vec::new() };
    let granted = outcome.code.is_success();
    let mut records = Vec::new();
    let began = draft.start.filter(|_| granted || draft.other.is_some());
    if let Some(sequence) = began {
        records.push(record(session_id, memory, &terms, (RecordType::Start, sequence, 0), node));
    }
    let refused =
        !granted && draft.other.is_none() && (draft.start.is_some() || draft.event == Some(EventWord::Attempt));
    if refused {
        let mut attempt = record(session_id, memory, &terms, (RecordType::Event, draft.start.unwrap_or(0), 0), node);
        attempt.event_kind = Some(EventKind::CallAttempt);
        attempt.end_time = Some(UtcMs(draft.at.0));
        attempt.termination_reason = Some(TerminationReason::Failed);
        attempt.release_cause = Some(ReleaseCause::from_result_code(outcome.code));
        records.push(attempt);
    }
    if let Some((kind, sequence)) = draft.other {
        let ordinal = if matches!(kind, RecordType::Interim | RecordType::Event) { draft.number } else { 0 };
        let mut last = record(session_id, memory, &terms, (kind, sequence, ordinal), node);
        let amount = outcome.cost.map(|cost| cost.amount);
        let cost_before = memory.recorded.cost.unwrap_or(Money::ZERO);
        fill(&mut last, &draft, memory, (kind, outcome));
        last.cost = outcome.cost.map(|cost| RecordCost {
            state: if kind == RecordType::Interim { CostState::Pending } else { CostState::Final },
            currency: Some(cost.currency),
            amount: Some(cost.amount),
            delta: Some(cost.amount - cost_before),
            per_minute_rate: cost.per_minute_rate,
            tax_amount: None,
            tax_included: None,
        });
        memory.recorded.cost = amount.or(memory.recorded.cost);
        records.push(last);
    }
    records
}

fn fill(record: &mut CallRecord, draft: &Draft, memory: &Memory, (kind, outcome): (RecordType, Outcome)) {
    let at = UtcMs(draft.at.0);
    record.usage.clone_from(&draft.usage);
    record.end_time = Some(at);
    let talked_ms = draft.usage.iter().filter_map(|usage| usage.total.time_ms).max();
    let is_voice = record.service == Service::Voice;
    let lasted_ms = if is_voice { talked_ms } else { Some(at.since(memory.started)) };
    record.duration = lasted_ms.filter(|_| kind != RecordType::Event).map(Seconds::from_ms);
    record.event_kind = (kind == RecordType::Event).then_some(match draft.event {
        Some(EventWord::Attempt) => EventKind::CallAttempt,
        Some(EventWord::Debit | EventWord::Refund) | None => EventKind::Service,
    });
    if draft.event == Some(EventWord::Refund) {
        record.metadata.tags.push("REFUND".into());
    }
    if kind == RecordType::Interim {
        return;
    }
    let granted = outcome.code.is_success();
    record.termination_reason = Some(match draft.event {
        Some(EventWord::Attempt) => TerminationReason::Cancelled,
        _ if granted || kind == RecordType::Stop => TerminationReason::Normal,
        _ => TerminationReason::Failed,
    });
    let refused = (!granted && kind == RecordType::Event).then(|| ReleaseCause::from_result_code(outcome.code));
    record.release_cause = outcome.release.or(refused);
}

fn record(
    session_id: &str,
    memory: &Memory,
    terms: &Terms,
    (kind, sequence, ordinal): (RecordType, u32, u32),
    node: &str,
) -> CallRecord {
    let session_id = SessionId::from(session_id);
    let facts = &memory.facts;
    let information = &facts.information;
    let call_id = information.icid.as_deref().unwrap_or(session_id.as_str());
    let is_voice = terms.service == Service::Voice;
    let mut tags: Vec<Box<str>> = Vec::new();
    if facts.emergency {
        tags.push("EMERGENCY".into());
    }
    if memory.recorded.continued {
        tags.push("CONTINUED".into());
    }
    CallRecord {
        schema_version: SchemaVersion::CURRENT,
        record_id: CallRecord::make_id(&session_id, kind, ordinal),
        call_id: CallId::from(call_id),
        leg_id: LegId::from(session_id.as_str()),
        session_id,
        parent_leg_id: None,
        record_type: kind,
        record_sequence: sequence,
        event_kind: None,
        adjusts_record_id: None,
        tenant: terms.tenant.clone(),
        start_time: memory.started,
        answer_time: if is_voice { memory.answered.map(|(_, at)| at) } else { None },
        end_time: None,
        duration: None,
        billable_seconds: None,
        overrun_ms: None,
        calling_party: CallingParty {
            number: facts.calling.clone(),
            subscriber_id: facts.subscribers.first().map(|id| id.value.clone()),
            ..CallingParty::default()
        },
        called_party: CalledParty {
            number: facts.called.clone(),
            dialled_number: facts.dialled.clone().unwrap_or_default(),
            ..CalledParty::default()
        },
        service: terms.service,
        call_type: is_voice.then_some(CallType::Voice),
        call_direction: match information.role {
            Some(PartyRole::Terminating) => CallDirection::MobileTerminated,
            Some(PartyRole::Originating | PartyRole::Forwarding) | None => CallDirection::MobileOriginated,
        },
        termination_reason: None,
        release_cause: None,
        cause: None,
        sip_status: None,
        sip_data: SipData::default(),
        qos: None,
        usage: Vec::new(),
        cost: None,
        metadata: RecordMetadata { server_node: node.into(), recording_id: None, tags },
        reconstructed: false,
        clock_anomaly: false,
    }
}

/// The subscriber's IMSI.
pub fn imsi(facts: &super::facts::Facts) -> Option<&Number> {
    facts.subscribers.iter().find(|id| id.kind == SubscriberIdKind::Imsi).map(|id| &id.value)
}
