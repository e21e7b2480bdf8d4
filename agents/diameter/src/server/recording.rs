//! A request's records on their way to the journal; its answer waits for them.

use std::sync::Arc;

use cdr_model::{CallRecord, Parties};
use charging_client::Recovered;
use metrics::counter;
use tracing::{error, info};
use types::SessionId;
use types::charging::{Operation, ResultCode, SessionPhase, SessionSummary};

use crate::credit::{Memory, Outcome, records};
use crate::metric;

use super::charge::Settled;
use super::desk::{Desk, Written};

impl Desk {
    /// The records of the last request that the core decided may be missing; those that are not are not written twice.
    pub(super) fn write_draft(&mut self, session_id: &str, turn: u64, memory: &mut Memory, summary: &SessionSummary) {
        let code = match summary.phase {
            SessionPhase::Denied => ResultCode::UNABLE_TO_COMPLY,
            SessionPhase::Open | SessionPhase::Expired | SessionPhase::Closed => ResultCode::SUCCESS,
        };
        let outcome = Outcome { code, cost: summary.cost, release: None };
        let missing = records(session_id, memory, outcome, &self.config.origin_host);
        if let Some(current) = self.sessions.get_mut(session_id).and_then(|session| session.current.as_mut()) {
            current.unwritten += missing.len();
        }
        for record in missing {
            self.append(session_id, turn, record);
        }
    }

    /// What the outbox knew of sessions that had ended before the start is done with: what follows from it is their last records.
    pub(super) fn recover(&mut self) {
        let charging = self.charging.clone();
        self.settling.push(Box::pin(async move { Settled::Recovered(charging.recovered().await) }));
    }

    pub(super) fn recovered(&mut self, ended: Vec<Recovered>) {
        for Recovered { request, answer } in ended {
            if request.operation != Operation::Termination {
                // Denied: there is no session, and no record.
                continue;
            }
            let session_id = request.session_id.as_str();
            let Some(mut memory) = Memory::read(&request.client_state) else {
                // One that was taken back: it has no records.
                self.charging.settled(&request.session_id);
                continue;
            };
            info!(agent = %self.config.name, session_id, "finishing a session that was over before the restart");
            let outcome = Outcome::of(&answer, answer.result_code);
            let last = records(session_id, &mut memory, outcome, &self.config.origin_host);
            let turn = self.new_turn();
            self.append_all(session_id, turn, last, true);
        }
    }

    /// Records that no answer waits for. `ends`: they are the session's last ones; when they are on disk the outbox may forget its end.
    pub(super) fn append_all(&mut self, session_id: &str, turn: u64, records: Vec<CallRecord>, ends: bool) {
        if ends {
            let session_id = SessionId::from(session_id);
            if records.is_empty() {
                self.charging.settled(&session_id);
            } else {
                self.unsettled.insert(turn, (session_id, records.len()));
            }
        }
        for record in records {
            self.append(session_id, turn, record);
        }
    }

    pub(super) fn append(&mut self, session_id: &str, turn: u64, mut record: CallRecord) {
        Parties::of(&record).describe(&mut record);
        self.append_again(session_id.into(), turn, Arc::new(record));
    }

    pub(super) fn append_again(&mut self, session_id: Arc<str>, turn: u64, record: Arc<CallRecord>) {
        let (sender, id, kept) = (self.written.0.clone(), session_id.clone(), Arc::clone(&record));
        // The answer of its request waits for it, with few exceptions.
        let taken = self.journal.append_awaited(&record, move |result| {
            let failure = result.err().map(|error| (error.to_string(), kept));
            // The desk is gone only when the process ends.
            drop(sender.send(Written { session_id: id, turn, failure }));
        });
        if let Err(error) = taken {
            self.record_written(Written { session_id, turn, failure: Some((error.to_string(), record)) });
        }
    }

    /// A record that the journal does not take is kept, and its request is not answered: nothing is given whose record is lost.
    pub(super) fn record_written(&mut self, written: Written) {
        if let Some((reason, record)) = written.failure {
            counter!(metric::UNRECORDED, "switch" => self.label()).increment(1);
            error!(agent = %self.config.name, session_id = %written.session_id, reason, "the journal did not take a record; it is tried again");
            self.unrecorded.push_back((written.session_id, written.turn, record));
            return;
        }
        if let Some((session_id, left)) = self.unsettled.get_mut(&written.turn) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.charging.settled(session_id);
                self.unsettled.remove(&written.turn);
            }
        }
        let session = self.sessions.get_mut(&written.session_id);
        let Some(current) = session.and_then(|session| session.current.as_mut()) else { return };
        if current.turn == written.turn {
            current.unwritten = current.unwritten.saturating_sub(1);
            self.answer_if_written(&written.session_id);
        }
    }

    /// Records that the journal did not take, once more.
    pub(super) fn append_unrecorded(&mut self) {
        for (session_id, turn, record) in std::mem::take(&mut self.unrecorded) {
            self.append_again(session_id, turn, record);
        }
    }

    pub(super) fn answer_if_written(&mut self, session_id: &str) {
        let Some(current) = self.sessions.get_mut(session_id).and_then(|session| session.current.as_mut()) else {
            return;
        };
        if current.unwritten > 0 || !current.decided {
            return;
        }
        let ends = current.job.ask.operation() == Operation::Termination;
        if let Some((rendered, keep)) = current.answer.take() {
            self.answer(session_id, &rendered, keep);
        }
        if ends {
            // Charged, and its records are durable.
            self.charging.settled(&SessionId::from(session_id));
        }
        self.over(session_id);
    }
}
