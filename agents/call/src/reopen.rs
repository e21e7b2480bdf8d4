//! A call that was over before the agent died, while the answer to its TERMINATION, or the last record, was still on the way.
//! The request was kept by the client's outbox and is asked again; the machine is made again to write what may be missing.
//! Records written twice have the same ids, and the first durable one counts.

use std::sync::Arc;

use types::Now;
use types::charging::ChargingRequest;

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
        now: Now,
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
}
