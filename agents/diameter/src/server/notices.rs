//! The core's notifications: credit or tariff changed (RAR), end it (ASR). Confirmed when the peer has answered, or was given up: should
//! we die before, the core tells our successor again.

use std::collections::BTreeSet;

use charging_client::ChargingFailure;
use tracing::{debug, warn};
use types::SessionId;
use types::charging::{Notification, NotificationKind, SessionPhase, SessionSummary};

use crate::credit::Memory;

use super::charge::Settled;
use super::desk::Desk;

/// What was seen, and up to where the core may forget it.
#[derive(Debug, Default)]
pub(super) struct Notices {
    seen: u64,
    confirmed: u64,
    /// Not yet answered by their peer.
    open: BTreeSet<u64>,
    /// For lookups: what the notification asked for.
    kinds: std::collections::HashMap<u64, NotificationKind>,
}

impl Notices {
    /// It is answered, or nobody is there to answer.
    pub fn done(&mut self, sequence: u64) {
        self.open.remove(&sequence);
        self.kinds.remove(&sequence);
    }

    /// The core has, or has not, heard the confirmation.
    pub fn was_confirmed(&mut self, through: u64, heard: bool) {
        if !heard {
            self.confirmed = self.confirmed.min(through.saturating_sub(1));
        }
    }

    fn next_confirmation(&mut self) -> Option<u64> {
        let last = self.open.first().map_or(self.seen, |sequence| sequence.saturating_sub(1));
        (last > self.confirmed).then(|| {
            self.confirmed = last;
            last
        })
    }
}

impl Desk {
    /// The core wants something of a session. The same comes over the subscription and in answers.
    pub(super) fn notified(&mut self, notification: &Notification) {
        let (sequence, session_id) = (notification.sequence, &notification.session_id);
        if sequence <= self.notices.seen {
            return;
        }
        self.notices.seen = sequence;
        self.notices.open.insert(sequence);
        self.notices.kinds.insert(sequence, notification.kind);
        let known = self.sessions.get(session_id.as_str());
        if known.is_some_and(|session| session.closed) {
            return self.notices.done(sequence);
        }
        if let Some(memory) = known.and_then(|session| session.memory.clone()) {
            return self.request(session_id.as_str(), &memory, notification.kind, sequence);
        }
        let (charging, session_id) = (self.charging.clone(), session_id.clone());
        self.settling.push(Box::pin(async move {
            let result = charging.session(&session_id).await;
            Settled::Noticed { sequence, session_id, result }
        }));
    }

    /// The core said what it knows of the session of a notification.
    pub(super) fn notice_found(
        &mut self,
        sequence: u64,
        session_id: &SessionId,
        result: Result<Option<SessionSummary>, ChargingFailure>,
    ) {
        let summary = match result {
            Ok(summary) => summary,
            Err(error) => {
                warn!(agent = %self.config.name, %session_id, error = &error as &dyn std::error::Error, "a notification's session could not be read; the client hears of it at its next request");
                return self.notices.done(sequence);
            }
        };
        let live = summary.filter(|summary| matches!(summary.phase, SessionPhase::Open | SessionPhase::Expired));
        let memory = live.and_then(|summary| Memory::read(&summary.client_state));
        match (memory, self.notices.kinds.get(&sequence).copied()) {
            (Some(memory), Some(kind)) => self.request(session_id.as_str(), &memory, kind, sequence),
            _ => self.notices.done(sequence),
        }
    }

    /// Confirms what may be.
    pub(super) fn confirm_notices(&mut self) {
        if let Some(through) = self.notices.next_confirmation() {
            debug!(agent = %self.config.name, through, "notifications confirmed");
            let charging = self.charging.clone();
            self.settling.push(Box::pin(async move {
                let result = charging.confirm(through).await;
                Settled::Confirmed { through, result }
            }));
        }
    }
}
