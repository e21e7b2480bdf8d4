//! What the core knows: open sessions after a restart, single sessions when the switch tells of a call we forgot.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use agent_call::Snapshot;
use charging_client::{ChargingFailure, Recovered};
use tokio_util::sync::CancellationToken;
use types::charging::SessionSummary;

use super::*;
use crate::backoff::Backoff;

/// The end of a call that we do not know.
#[derive(Debug, Clone)]
pub struct UnknownEnd {
    /// The call, from what the event tells.
    pub offer: Arc<CallOffer>,
    /// Its end.
    pub end: CallEnd,
}

/// What a look-up brought.
#[derive(Debug)]
pub(super) struct Found {
    session_id: SessionId,
    summary: Result<Option<SessionSummary>, ChargingFailure>,
    /// The end that asked for it; absent: the call is loaded again after a fault of ours.
    unknown: Option<Box<UnknownEnd>>,
}

/// Sessions finished lately, and looked up now.
#[derive(Debug, Default)]
pub(super) struct Recent {
    order: VecDeque<SessionId>,
    finished: HashSet<SessionId>,
    looked_up: HashSet<SessionId>,
}

impl Recent {
    pub(super) fn insert(&mut self, session_id: SessionId) {
        if self.finished.insert(session_id.clone()) {
            self.order.push_back(session_id);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.finished.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, session_id: &SessionId) -> bool {
        self.finished.contains(session_id)
    }

    pub(super) fn is_looked_up(&self, session_id: &SessionId) -> bool {
        self.looked_up.contains(session_id)
    }
}

impl CallDriver {
    /// [`Self::restore`] until the core answers, or `shutdown`: then false. The switch is not to be connected before:
    /// what it says of calls would be news of strangers. `longest`: the longest wait between two attempts.
    pub async fn restored(&mut self, longest: Duration, shutdown: &CancellationToken) -> bool {
        let mut backoff = Backoff::new(FIRST_WAIT, longest);
        loop {
            let restored = tokio::select! {
                restored = self.restore() => restored,
                () = shutdown.cancelled() => return false,
            };
            let failure = match restored {
                Ok(sessions) => {
                    info!(switch = %self.switch, sessions, "open sessions loaded from the charging core");
                    return true;
                }
                Err(failure) => failure,
            };
            let wait = backoff.next_wait();
            warn!(switch = %self.switch, error = &failure as &dyn std::error::Error, ?wait, "the charging core does not answer; the switch is not connected before it does");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => return false,
            }
        }
    }

    /// Loads the open sessions of this client from the core; their calls stand still until the switch says what became
    /// of them. Also subscribes to the core's notifications. Returns how many there are.
    pub async fn restore(&mut self) -> Result<usize, ChargingFailure> {
        // First what the former agent asked and had no answer to: only then does the list tell where each session stands.
        let recovered = self.charging.recovered().await;
        self.recovered.extend(recovered);
        let sessions = self.charging.list_sessions().await?;
        let count = sessions.len();
        let recovered = std::mem::take(&mut self.recovered).into_iter();
        let (ended, denied): (Vec<_>, Vec<_>) =
            recovered.partition(|recovered| recovered.request.operation == Operation::Termination);
        for ended in ended {
            self.reopen(ended);
        }
        for summary in sessions {
            if !self.knows(&summary.session_id) {
                self.revive(&summary);
            }
        }
        for denied in denied {
            if !self.knows(&denied.request.session_id) {
                self.take_denied(&denied);
            }
        }
        // Only now: a notification for a call that is not loaded would be taken for one that is over.
        self.restored = true;
        if self.notifications.is_none() {
            self.notifications = Some(self.charging.notifications());
        }
        Ok(count)
    }

    /// A call whose TERMINATION the former agent asked, and whose last records it may not have written.
    fn reopen(&mut self, ended: Recovered) {
        let Some(snapshot) = self.kept_of(&ended) else { return };
        let Recovered { request, answer } = ended;
        let session_id = request.session_id.clone();
        let (settings, mut effects) = (Arc::clone(&self.settings), Vec::new());
        let Some(machine) = CallMachine::reopen(settings, snapshot, &request, &mut effects) else {
            // Not of a call: nothing follows from it.
            return self.charging.settled(&session_id);
        };
        info!(switch = %self.switch, %session_id, "finishing a call that was over before the restart");
        let created = self.create(session_id.clone(), |first| {
            first.append(&mut effects);
            machine
        });
        if created && let Some(key) = self.by_session.get(&session_id).copied() {
            self.accept(key, Input::Charged(Box::new(answer)));
        }
    }

    /// A call whose INITIAL the core denies, and that the former agent may have let go on without the core, or not refused yet.
    fn take_denied(&mut self, denied: &Recovered) {
        let Some(snapshot) = self.kept_of(denied) else { return };
        let session_id = &denied.request.session_id;
        info!(switch = %self.switch, %session_id, "the core denies a call of before the restart");
        let mut machine = CallMachine::denied(Arc::clone(&self.settings), snapshot, &denied.answer);
        if let Some(proof) = self.proven_before.get(session_id) {
            machine.was_answered(proof.answered, proof.proven_ms);
        }
        self.create(session_id.clone(), |_| machine);
    }

    fn kept_of(&self, recovered: &Recovered) -> Option<Snapshot> {
        let session_id = &recovered.request.session_id;
        let snapshot = serde_json::from_slice(&recovered.request.client_state);
        if let Err(error) = &snapshot {
            error!(switch = %self.switch, %session_id, %error, "what the outbox kept of a call cannot be read: its last records may be missing");
            counter!(names::ALARMS, "switch" => self.label(), "alarm" => "state_unreadable").increment(1);
            self.charging.settled(session_id);
        }
        snapshot.ok()
    }

    fn revive(&mut self, summary: &SessionSummary) -> bool {
        let session_id = &summary.session_id;
        match serde_json::from_slice::<Snapshot>(&summary.client_state) {
            Ok(snapshot) => {
                let settings = Arc::clone(&self.settings);
                let proof = self.proven_before.get(session_id);
                let mut machine =
                    CallMachine::restore(settings, snapshot, summary, proof.map_or(0, |proof| proof.proven_ms));
                if let Some(proof) = proof {
                    machine.was_answered(proof.answered, proof.proven_ms);
                }
                let created = self.create(session_id.clone(), |_| machine);
                if let (Some(cause), true) = (self.notices.abort_of(session_id), created) {
                    // Told to the machine that is gone.
                    self.release(session_id, cause);
                }
                created
            }
            Err(error) => {
                error!(switch = %self.switch, %session_id, %error, "the core's state of a session cannot be read: it will expire there");
                counter!(names::ALARMS, "switch" => self.label(), "alarm" => "state_unreadable").increment(1);
                false
            }
        }
    }

    /// A call that we do not know is over. If it was answered, the core is asked whether it was charged already: a call
    /// is never charged twice because its end was told twice.
    pub fn unknown_ended(&mut self, unknown: UnknownEnd) {
        let session_id = unknown.offer.session_id.clone();
        if unknown.end.answered.is_none() || unknown.offer.never_refuse {
            self.adopt_ended(unknown.offer, unknown.end);
        } else {
            self.look_up(session_id, Some(Box::new(unknown)));
        }
    }

    pub(super) fn reload(&mut self, session_id: SessionId) {
        self.look_up(session_id, None);
    }

    fn look_up(&mut self, session_id: SessionId, unknown: Option<Box<UnknownEnd>>) {
        self.look_up_after(Duration::ZERO, session_id, unknown);
    }

    fn look_up_after(&mut self, pause: Duration, session_id: SessionId, unknown: Option<Box<UnknownEnd>>) {
        if self.recent.looked_up.insert(session_id.clone()) {
            let charging = self.charging.clone();
            self.lookups.spawn(async move {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                let summary = charging.session(&session_id).await;
                Found { session_id, summary, unknown }
            });
        }
    }

    pub(super) fn found(&mut self, joined: Result<Found, tokio::task::JoinError>) {
        let Ok(Found { session_id, summary, unknown }) = joined else { return };
        self.recent.looked_up.remove(&session_id);
        match (summary, unknown) {
            (Err(failure), None) => {
                // The switch may hold a live call that nobody meters: until the core says what it is.
                warn!(switch = %self.switch, %session_id, error = &failure as &dyn std::error::Error, "the core could not be asked about a call: again soon");
                self.look_up_after(LOOK_UP_PAUSE, session_id, None);
            }
            (Err(failure), Some(_)) => {
                // The switch keeps the end and is asked for it again.
                self.ends_owed = true;
                warn!(switch = %self.switch, %session_id, error = &failure as &dyn std::error::Error, "the core could not be asked about a call");
            }
            (Ok(Some(summary)), unknown) => {
                if self.revive(&summary) {
                    match unknown {
                        Some(unknown) => _ = self.event(&session_id, SwitchEvent::Ended(unknown.end)),
                        None => self.orders.push_back(Order::Resync),
                    }
                }
            }
            (Ok(None), Some(unknown)) => {
                info!(switch = %self.switch, %session_id, "charging a call that was answered and ended unseen");
                self.adopt_ended(unknown.offer, unknown.end);
            }
            (Ok(None), None) => {
                self.notices.finished(&session_id);
                error!(switch = %self.switch, %session_id, "a call was lost: the core does not know it")
            }
        }
    }
}

/// After the first attempt at the core that failed.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Between questions about a call of ours that the core did not answer.
const LOOK_UP_PAUSE: Duration = Duration::from_secs(1);
/// How many finished calls are remembered, to acknowledge ends that come twice.
const REMEMBERED: usize = 20_000;
