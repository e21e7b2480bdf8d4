//! Clients that lost their sessions: a higher Origin-State-Id says so (RFC 6733 section 8.16). Their sessions are closed with what they
//! reported.
//!
//! Some clients change the number all the time; those are not believed.

use std::sync::Arc;

use charging_client::ChargingFailure;
use foldhash::HashMap;
use protocol_codecs::diameter::CcRequestType;
use tokio::time::Instant;
use tracing::{info, warn};
use types::MonoMs;
use types::charging::{RequestedAction, SessionPhase, SessionSummary};

use crate::credit::{Ask, Memory};

use super::charge::Settled;
use super::desk::Desk;
use super::session::Job;

/// The last number of each client, and when it came.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    states: HashMap<Box<str>, (u32, MonoMs)>,
}

impl Restarts {
    /// True: the client has restarted since.
    fn has_restarted(&mut self, host: &str, state_id: u32, now: MonoMs) -> bool {
        let Some((known, since)) = self.states.get_mut(host) else {
            if self.states.len() < CLIENTS_MAX {
                self.states.insert(host.into(), (state_id, now));
            }
            return false;
        };
        if *known == state_id {
            return false;
        }
        let (rose, lasted_ms) = (state_id > *known, now.since(*since));
        (*known, *since) = (state_id, now);
        if rose && lasted_ms < BELIEVED_AFTER_MS {
            warn!(client = host, state_id, lasted_ms, "Origin-State-Id changes too often to mean a restart");
        }
        rose && lasted_ms >= BELIEVED_AFTER_MS
    }
}

impl Desk {
    /// A client told its Origin-State-Id.
    pub(super) fn client_state(&mut self, host: &str, state_id: u32) {
        if state_id == 0 || !self.restarts.has_restarted(host, state_id, self.now()) {
            return;
        }
        let is_lost = |memory: &Memory| memory.belongs_to(host);
        let open = self.sessions.iter().filter(|(_, session)| !session.closed);
        let lost: Vec<Arc<str>> = open
            .filter(|(_, session)| session.memory.as_deref().is_some_and(is_lost))
            .map(|(session_id, _)| session_id.clone())
            .collect();
        info!(agent = %self.config.name, client = host, state_id, sessions = lost.len(), "a client has restarted: its sessions are closed");
        for session_id in lost {
            let Some(session) = self.sessions.get_mut(&session_id) else { continue };
            let Some(memory) = &session.memory else { continue };
            let ask = Box::new(termination(&session_id, memory));
            session.queue.push_back(Job { ask, ways: Vec::new(), came: Instant::now() });
            self.next(&session_id);
        }
        // Those that were silent for a while are known to the core alone.
        let (charging, host) = (self.charging.clone(), host.into());
        self.settling.push(Box::pin(async move {
            let listed = charging.list_sessions().await;
            Settled::Lost { host, listed }
        }));
    }

    /// The core's sessions, of which this client lost its own.
    pub(super) fn lost(&mut self, host: &str, listed: Result<Vec<SessionSummary>, ChargingFailure>) {
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                warn!(agent = %self.config.name, client = host, error = &error as &dyn std::error::Error, "the sessions of a client that has restarted could not be listed; they expire");
                return;
            }
        };
        let live = |summary: &SessionSummary| matches!(summary.phase, SessionPhase::Open | SessionPhase::Expired);
        for summary in listed.into_iter().filter(live) {
            let session_id = summary.session_id.as_str();
            let memory = Memory::read(&summary.client_state).filter(|memory| memory.belongs_to(host));
            // What is in memory is closed already, or began since.
            let Some(mut memory) = memory.filter(|_| !self.sessions.contains_key(session_id)) else { continue };
            self.write_draft(session_id, 0, &mut memory, &summary);
            let ask = Box::new(termination(session_id, &memory));
            let session = self.sessions.entry(session_id.into()).or_default();
            session.memory = Some(Box::new(memory));
            session.queue.push_back(Job { ask, ways: Vec::new(), came: Instant::now() });
            self.next(session_id);
        }
    }
}

/// The last request that the client would have sent, without usage that nobody knows.
fn termination(session_id: &str, memory: &Memory) -> Ask {
    Ask {
        session_id: session_id.into(),
        origin_host: memory.origin_host.clone(),
        origin_realm: memory.origin_realm.clone(),
        request_type: CcRequestType::Termination,
        number: LAST,
        action: RequestedAction::DirectDebit,
        event_time: None,
        origin_state_id: None,
        sub_session_id: None,
        facts: memory.facts.clone(),
        groups: Vec::new(),
        grouped: false,
        retransmitted: false,
        content: 0,
    }
}

/// Above all numbers of clients, and below our own.
const LAST: u32 = u32::MAX - 1;
/// Nobody restarts more often.
const BELIEVED_AFTER_MS: u64 = 10_000;
/// Clients that are remembered; sessions of others expire.
const CLIENTS_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_that_rises_after_a_while_is_a_restart() {
        let mut restarts = Restarts::default();
        let rows = [
            (0, 5, false),
            (1_000, 5, false),
            (20_000, 6, true),
            (21_000, 7, false),
            (40_000, 3, false),
            (60_000, 4, true),
        ];
        for (at, state_id, restarted) in rows {
            assert_eq!(restarts.has_restarted("pgw", state_id, MonoMs(at)), restarted, "{state_id} at {at}");
        }
    }
}
