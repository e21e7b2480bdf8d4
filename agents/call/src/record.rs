//! The records a call writes.

use cdr_model::{
    CallRecord, CallType, CalledParty, CallingParty, CostState, EventKind, RecordCost, RecordMetadata, RecordType,
    RecordUnits, RecordUsage, SchemaVersion, Seconds,
};
use types::charging::Service;
use types::{DurationMs, Money, TerminationReason, UtcMs};

use crate::effect::Effect;
use crate::event::CallEnd;
use crate::machine::CallMachine;

impl CallMachine {
    /// START: somebody answered. It is the first record, also when it is written again after a restart.
    pub(crate) fn start_record(&mut self, answered: UtcMs, effects: &mut Vec<Effect>) {
        self.records.started = true;
        let next = std::mem::take(&mut self.records.next).max(1);
        let record = self.record(RecordType::Start, 0);
        self.records.next = next;
        effects.push(Effect::Record(Box::new(CallRecord { answer_time: Some(answered), ..record })));
    }

    pub(crate) fn interim_record(&mut self, talked_ms: DurationMs, at: UtcMs, effects: &mut Vec<Effect>) {
        let ordinal = self.records.interims;
        self.records.interims = ordinal.saturating_add(1);
        self.requests.snapshot_stale = true;
        let record = self.record(RecordType::Interim, ordinal);
        let record = CallRecord {
            end_time: Some(at),
            duration: Some(Seconds::from_ms(talked_ms)),
            usage: self.usage(talked_ms),
            cost: self.is_charged().then(|| self.record_cost(CostState::Pending)),
            ..record
        };
        effects.push(Effect::Record(Box::new(record)));
    }

    pub(crate) fn stop_record(&mut self, effects: &mut Vec<Effect>) {
        let record = self.record(RecordType::Stop, 0);
        let pending = self.records.pending_stop;
        let state = if pending { CostState::Pending } else { CostState::Final };
        let known = self.is_charged() && (pending || self.cost.is_some());
        let cost = known.then(|| self.record_cost(state));
        let Some(ending) = &self.end else { return };
        let talked_ms = ending.talked_ms;
        let mut record = CallRecord {
            end_time: Some(ending.end.at),
            duration: Some(Seconds::from_ms(talked_ms)),
            billable_seconds: (known && !pending).then(|| Seconds::from_ms(self.billable_ms)),
            overrun_ms: self.overrun_ms(),
            termination_reason: Some(TerminationReason::Normal),
            release_cause: self.release_cause(),
            cause: Some(ending.end.cause.0),
            qos: ending.end.qos,
            cost,
            reconstructed: ending.reconstructed,
            clock_anomaly: ending.clock_anomaly,
            ..record
        };
        if let Some(codec) = &ending.end.codec {
            record.sip_data.codec = Some(codec.clone());
        }
        record.usage = self.usage(talked_ms);
        effects.push(Effect::Record(Box::new(record)));
    }

    /// The EVENT of a call that was refused or never answered. It costs nothing.
    pub(crate) fn attempt_record(&mut self, end: CallEnd, reconstructed: bool, effects: &mut Vec<Effect>) {
        let record = self.record(RecordType::Event, 0);
        let currency = self.cost.map(|cost| cost.currency);
        let free = RecordCost {
            state: CostState::Final,
            currency,
            amount: Some(Money::ZERO),
            delta: Some(Money::ZERO),
            per_minute_rate: None,
            tax_amount: None,
            tax_included: None,
        };
        let denied = self.never_granted().filter(|_| !end.cancelled);
        let release_cause = end.release_cause.or_else(|| self.release_cause()).or(denied);
        let record = CallRecord {
            event_kind: Some(EventKind::CallAttempt),
            end_time: Some(end.at),
            termination_reason: Some(if self.release.is_some() || denied.is_some() {
                TerminationReason::Failed
            } else {
                Self::attempt_reason(&end)
            }),
            release_cause,
            cause: Some(end.cause.0),
            sip_status: end.sip_status,
            cost: self.is_charged().then_some(free),
            reconstructed,
            ..record
        };
        effects.push(Effect::Record(Box::new(record)));
    }

    /// The price of a STOP that could not wait for it.
    pub(crate) fn adjustment_record(&mut self, effects: &mut Vec<Effect>) {
        let record = self.record(RecordType::Event, 0);
        let record = CallRecord {
            event_kind: Some(EventKind::CostAdjustment),
            adjusts_record_id: Some(CallRecord::make_id(&self.offer.session_id, RecordType::Stop, 0)),
            end_time: self.end.as_ref().map(|ending| ending.end.at),
            billable_seconds: Some(Seconds::from_ms(self.billable_ms)),
            cost: Some(self.record_cost(CostState::Final)),
            ..record
        };
        effects.push(Effect::Record(Box::new(record)));
    }

    fn usage(&mut self, talked_ms: DurationMs) -> Vec<RecordUsage> {
        let since_last = talked_ms.saturating_sub(self.records.recorded_ms);
        self.records.recorded_ms = self.records.recorded_ms.max(talked_ms);
        let (delta, total) = (RecordUnits::time(since_last), RecordUnits::time(self.records.recorded_ms));
        vec![RecordUsage { delta, total, ..RecordUsage::default() }]
    }

    fn record_cost(&mut self, state: CostState) -> RecordCost {
        let amount = self.cost.map(|cost| cost.amount);
        let delta = amount.map(|amount| amount - std::mem::replace(&mut self.records.recorded_cost, amount));
        RecordCost {
            state,
            currency: self.cost.map(|cost| cost.currency),
            amount,
            delta,
            per_minute_rate: self.cost.and_then(|cost| cost.per_minute_rate),
            tax_amount: None,
            tax_included: None,
        }
    }

    /// What all records of the call share.
    fn record(&mut self, record_type: RecordType, ordinal: u32) -> CallRecord {
        let record_sequence = self.records.next;
        self.records.next = record_sequence.saturating_add(1);
        let offer = &self.offer;
        CallRecord {
            schema_version: SchemaVersion::CURRENT,
            record_id: CallRecord::make_id(&offer.session_id, record_type, ordinal),
            call_id: offer.call_id.clone(),
            session_id: offer.session_id.clone(),
            leg_id: offer.leg_id.clone(),
            parent_leg_id: offer.parent_leg_id.clone(),
            record_type,
            record_sequence,
            event_kind: None,
            adjusts_record_id: None,
            tenant: offer.tenant.clone(),
            start_time: offer.offered,
            answer_time: self.meter.map(|meter| meter.answered),
            end_time: None,
            duration: None,
            billable_seconds: None,
            overrun_ms: None,
            calling_party: CallingParty {
                number: offer.calling.clone(),
                subscriber_id: offer.payer.as_ref().map(|payer| payer.value.clone()),
                ..CallingParty::default()
            },
            called_party: CalledParty {
                number: offer.called.clone(),
                dialled_number: offer.dialled.clone(),
                ..CalledParty::default()
            },
            service: offer.service,
            call_type: (offer.service == Service::Voice).then_some(CallType::Voice),
            call_direction: offer.direction,
            termination_reason: None,
            release_cause: None,
            cause: None,
            sip_status: None,
            sip_data: offer.sip.clone(),
            qos: None,
            usage: Vec::new(),
            cost: None,
            metadata: RecordMetadata { server_node: offer.node.clone(), recording_id: None, tags: self.tags.clone() },
            reconstructed: false,
            clock_anomaly: false,
        }
    }
}
