//! The records that agents wrote: the first durable one of each id counts.

use std::collections::{BTreeMap, BTreeSet};

use cdr_model::{CallRecord, CostState, EventKind, RecordType};
use types::charging::Service;
use types::{Money, SessionId};

use super::session::{Session, Stage};
use super::{Auditor, Checked};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Records {
    by_id: BTreeMap<Box<str>, Seen>,
    /// The switches' word: these calls were answered, and they remember it until somebody has heard of it.
    answered: BTreeSet<SessionId>,
    /// The same of how long they talked, in ms, where no clock was set.
    talked: BTreeMap<SessionId, u64>,
}

/// What counts of a record.
#[derive(Debug, Clone)]
struct Seen {
    session: SessionId,
    record_type: RecordType,
    kind: Option<EventKind>,
    amount: Option<Money>,
    is_final: bool,
    billable_ms: Option<u64>,
    duration_ms: Option<u64>,
    /// The duration is the switch's word.
    is_told: bool,
    adjusts: Option<Box<str>>,
}

impl Auditor {
    /// A record became durable.
    pub fn recorded(&mut self, record: &CallRecord) {
        let cost = record.cost.as_ref();
        let seen = Seen {
            session: record.session_id.clone(),
            record_type: record.record_type,
            kind: record.event_kind,
            amount: cost.and_then(|cost| cost.amount),
            is_final: cost.is_some_and(|cost| cost.state == CostState::Final),
            billable_ms: record.billable_seconds.map(|seconds| seconds.ms()),
            duration_ms: record.duration.map(|seconds| seconds.ms()),
            is_told: !record.reconstructed && !record.clock_anomaly,
            adjusts: record.adjusts_record_id.clone(),
        };
        self.records.by_id.entry(record.record_id.clone()).or_insert(seen);
    }

    /// A switch says that somebody answered.
    pub fn call_answered(&mut self, session: &SessionId) {
        self.records.answered.insert(session.clone());
    }

    /// A switch says how long it was.
    pub fn call_talked(&mut self, session: &SessionId, talked_ms: u64) {
        self.records.talked.insert(session.clone(), talked_ms);
    }

    /// The switch is gone, and with it what nobody had heard yet.
    pub fn call_forgotten(&mut self, session: &SessionId) {
        self.records.answered.remove(session);
    }
}

impl Records {
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    pub fn finish(&self, sessions: &BTreeMap<SessionId, Session>) -> Checked {
        let mut of: BTreeMap<&SessionId, Vec<&Seen>> = BTreeMap::new();
        for seen in self.by_id.values() {
            of.entry(&seen.session).or_default().push(seen);
        }
        let begun = of.iter().filter(|(_, records)| records.iter().any(|seen| seen.record_type == RecordType::Start));
        let begun = begun.map(|(id, _)| *id);
        for id in self.answered.iter().chain(begun) {
            let records = of.get(id).map(Vec::as_slice).unwrap_or_default();
            let count = |kind: RecordType| records.iter().filter(|seen| seen.record_type == kind).count();
            let (starts, stops) = (count(RecordType::Start), count(RecordType::Stop));
            if (starts, stops) != (1, 1) {
                return Err(format!("{id} was answered and has {starts} START and {stops} STOP: {records:?}"));
            }
        }
        for (id, records) in &of {
            let stops = records.iter().filter(|seen| seen.record_type == RecordType::Stop).count();
            let attempts = records.iter().filter(|seen| seen.kind == Some(EventKind::CallAttempt)).count();
            if stops > 1 || attempts > 1 {
                return Err(format!("{id} has {stops} STOP and {attempts} EVENT for an attempt"));
            }
            let stop = records.iter().find(|seen| seen.record_type == RecordType::Stop && seen.is_told);
            let duration_ms = stop.and_then(|stop| stop.duration_ms);
            if let (Some(duration_ms), Some(talked_ms)) = (duration_ms, self.talked.get(*id))
                && duration_ms != *talked_ms
            {
                return Err(format!("{id}: the STOP says {duration_ms} ms, the switch {talked_ms}"));
            }
            if let Some(session) = sessions.get(*id) {
                check_cost(id, records, session, self.talked.contains_key(*id))?;
            }
        }
        Ok(())
    }
}

/// The cost in the records is that of the session when it was closed.
fn check_cost(id: &SessionId, records: &[&Seen], session: &Session, true_clocks: bool) -> Checked {
    if session.service != Service::Voice || session.stage == Stage::Denied {
        return Ok(());
    }
    let Some(stop) = records.iter().find(|seen| seen.record_type == RecordType::Stop) else {
        let cost = session.told;
        return if cost == 0 { Ok(()) } else { Err(format!("{id} cost {cost} and has no STOP")) };
    };
    if stop.amount.is_none() && session.told == 0 {
        // What is unknown is absent: nobody could be charged.
        return Ok(());
    }
    let adjustment = records.iter().find(|seen| seen.adjusts.is_some());
    let last = if stop.is_final {
        stop
    } else {
        adjustment.ok_or_else(|| format!("{id}: the STOP says that its price follows, and it does not: {records:?}"))?
    };
    let told = last.amount.unwrap_or_default().nanos();
    let cost = session.told;
    if told != cost {
        return Err(format!("{id}: its records say {told}, it cost {cost}: {session:?}"));
    }
    let billable = session.groups.values().next().map(|meter| meter.billed);
    if let (true, Some(duration_ms), Some(meter)) = (stop.is_told, stop.duration_ms, session.groups.values().next()) {
        // What was reported cannot be taken back when the news of the end comes late.
        let most_ms = if true_clocks { duration_ms + LATE_NEWS_MS } else { u64::MAX };
        if !(duration_ms..=most_ms).contains(&meter.used) {
            return Err(format!("{id}: the STOP says {duration_ms} ms, {} were reported: {session:?}", meter.used));
        }
    }
    // A call that went on without the core, to a number without a rate, has no meter.
    let billable = billable.unwrap_or(0);
    if last.billable_ms.unwrap_or(0) != billable {
        return Err(format!("{id}: its records bill {:?} ms, it is {billable}", last.billable_ms));
    }
    Ok(())
}

/// The end of a call is heard of so much later at most, and reports go on until then.
const LATE_NEWS_MS: u64 = 3_000;
