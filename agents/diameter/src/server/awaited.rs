//! Requests that the core has: whose they are, and how long their clients can wait.
//!
//! All wait equally long, so the oldest one is due first: one row and one timer for all, no hashing, and nothing to take back when an
//! answer comes in time, which is nearly always.

use std::collections::VecDeque;

use charging_client::Fate;
use foldhash::HashMap;
use tokio::time::Instant;
use types::SessionId;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// By ticket, rising without gaps; `None`: answered. The first one is not answered.
    row: VecDeque<Option<Waiting>>,
    first_ticket: u64,
    /// Those whose clients could not wait.
    overdue: HashMap<u64, (SessionId, u64)>,
}

#[derive(Debug)]
struct Waiting {
    session_id: SessionId,
    turn: u64,
    due: Instant,
    fate: Fate,
}

impl Awaited {
    /// The ticket of the next request.
    pub fn next_ticket(&self) -> u64 {
        self.first_ticket.saturating_add(u64::try_from(self.row.len()).unwrap_or(u64::MAX))
    }

    /// The core has the request of that ticket.
    pub fn push(&mut self, session_id: SessionId, turn: u64, due: Instant, fate: Fate) {
        self.row.push_back(Some(Waiting { session_id, turn, due, fate }));
    }

    /// It is answered: whose it is.
    pub fn answered(&mut self, ticket: u64) -> Option<(SessionId, u64)> {
        let place = ticket.checked_sub(self.first_ticket).and_then(|place| usize::try_from(place).ok());
        let waiting = place.and_then(|place| self.row.get_mut(place)).and_then(Option::take);
        let Some(Waiting { session_id, turn, .. }) = waiting else { return self.overdue.remove(&ticket) };
        self.shorten();
        Some((session_id, turn))
    }

    /// When the oldest one is due; absent: nothing is awaited.
    pub fn due(&self) -> Option<Instant> {
        self.row.front()?.as_ref().map(|waiting| waiting.due)
    }

    /// One whose client can wait no longer. Its answer is still awaited.
    pub fn next_overdue(&mut self, now: Instant) -> Option<(SessionId, u64, Fate)> {
        self.due().filter(|due| *due <= now)?;
        let (ticket, Waiting { session_id, turn, fate, .. }) = (self.first_ticket, self.row.front_mut()?.take()?);
        self.shorten();
        self.overdue.insert(ticket, (session_id.clone(), turn));
        Some((session_id, turn, fate))
    }

    fn shorten(&mut self) {
        while self.row.front().is_some_and(Option::is_none) {
            self.row.pop_front();
            self.first_ticket = self.first_ticket.saturating_add(1);
        }
    }
}
