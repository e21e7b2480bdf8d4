//! What the client's outbox kept of calls of which the core has no session: they were over before the agent died, while the answer
//! to the TERMINATION, or the last record, was still on the way; or the core denies the INITIAL that the former agent asked. The
//! request is asked again, and the machine is made again to write what may be missing. Records written twice have the same ids,
//! and the first durable one counts.

use std::sync::Arc;

use types::charging::{ChargingAnswer, ChargingRequest};

use crate::authorise::denial;
use crate::effect::Effect;
use crate::machine::{CallMachine, Grant, Phase, Records, Requests};
use crate::meter::Meter;
use crate::settings::CallSettings;
use crate::snapshot::Snapshot;

impl CallMachine {
    /// The machine that waits for the answer to `termination`, whose `client_state` was `snapshot`. `None`: that snapshot
    /// is not of a call that was over.
    pub fn reopen(
        settings: Arc<CallSettings>,
        snapshot: Snapshot,
        termination: &ChargingRequest,
        effects: &mut Vec<Effect>,
    ) -> Option<Self> {
        let ending = snapshot.ending.clone()?;
        let mut call = Self::new(settings, snapshot.offer);
        call.phase = Phase::Closing;
        call.grant = Grant { reach_ms: snapshot.granted_ms, last: true, ..Grant::default() };
        call.requests = Requests {
            next: termination.request_number.saturating_add(1),
            termination: Some(termination.request_number),
            session_open: true,
            ..Requests::default()
        };
        call.release = snapshot.release.map(|cause| crate::machine::Release { cause, attempts: 1 });
        (call.warned, call.tags, call.cost) = (snapshot.warned, snapshot.tags, snapshot.cost);
        call.records = Records {
            interims: snapshot.interims,
            recorded_ms: snapshot.recorded_ms,
            recorded_cost: snapshot.recorded_cost,
            ..Records::default()
        };
        match snapshot.answered {
            Some(answered) => {
                call.meter = Some(Meter::stopped(answered, snapshot.held_ms, ending.talked_ms));
                call.records.next = snapshot.next_record;
                call.start_record(answered, effects);
                call.end = Some(Box::new(ending));
                if snapshot.pending_stop {
                    // The former agent has written it without its price, or was about to.
                    call.records.pending_stop = true;
                    call.stop_record(effects);
                }
            }
            None => {
                call.records.next = snapshot.next_record.saturating_sub(1);
                let reconstructed = ending.reconstructed;
                call.attempt_record(ending.end.clone(), reconstructed, effects);
                call.end = Some(Box::new(ending));
            }
        }
        Some(call)
    }

    /// The machine of a call whose INITIAL, whose `client_state` was `snapshot`, the core denies now, or denied before the former
    /// agent had carried that out. The call may wait, or be over, or go on: it may have been let through without the core. It
    /// stands still until the switch says what became of it, and is then refused or ended. [`CallMachine::was_answered`] says
    /// what was kept of an answer.
    pub fn denied(settings: Arc<CallSettings>, snapshot: Snapshot, answer: &ChargingAnswer) -> Self {
        let mut call = Self::new(settings, snapshot.offer);
        call.connected = false;
        call.phase = Phase::Ringing;
        call.grant = Grant { last: true, denied: Some(denial(answer)), ..Grant::default() };
        call.requests = Requests { next: answer.request_number.saturating_add(1), ..Requests::default() };
        call.records.next = snapshot.next_record;
        (call.cost, call.tags) = (answer.cost, snapshot.tags);
        call
    }
}
