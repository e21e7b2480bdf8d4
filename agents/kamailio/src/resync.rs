//! Which calls are still alive? Kamailio is asked after every connect and at every proof interval: first for the ends
//! that nobody has acknowledged, then for the list of live calls.
//!
//! A call that two lists in a row do not have, and of which no end came in between, is gone. Two, because its end may
//! be on its way while the first list is made. After a connect the second is asked for at once. Later it is the next
//! interval's: on a busy switch some call is always just ending, and a list holds up Kamailio's one evapi process.
//!
//! No list shows a call that was never answered. When the news of its end is lost - Kamailio writes nothing to an agent that it has
//! not heard for 6 s, and says so to nobody - only the ends themselves tell of it. So they are asked for every few intervals,
//! whatever else is known: Kamailio keeps them until they are acknowledged, and mostly there are none.

use agent_call::{Phase, SwitchEvent};
use agent_runtime::names;
use metrics::counter;
use protocol_codecs::evapi::ToKamailio;
use tracing::{info, warn};
use types::SessionId;

use crate::agent::Agent;
use crate::native::run_prefix;

/// How far the conversation about live calls is.
#[derive(Debug, Default)]
pub(crate) struct Resync {
    /// Counts the lists that were asked for.
    pub(crate) list: u64,
    /// The list is under way.
    pub(crate) listing: bool,
    /// Proof intervals without news of the list.
    pub(crate) silent_intervals: u8,
    /// Ends are being sent again: those that come now may be old.
    pub(crate) resending: bool,
    /// The connection's first list is to come: calls that ended while it was away are to be found now.
    pub(crate) catching_up: bool,
    /// Proof intervals since the ends were asked for.
    intervals_since_ends: u8,
}

impl Agent {
    /// A connection was made: is this the Kamailio we knew, and what happened meanwhile?
    pub(crate) fn connected(&mut self, run: String) {
        counter!(names::RESYNCS, "switch" => self.switch_label()).increment(1);
        let prefix = run_prefix(&self.switch, &run);
        let of_other_runs = self.sessions_where(|session| !session.as_str().starts_with(&prefix));
        if !of_other_runs.is_empty() {
            warn!(switch = %self.switch, calls = of_other_runs.len(), "Kamailio was restarted: its former calls are closed at their last proven usage");
        }
        for session in of_other_runs {
            self.driver.event(&session, SwitchEvent::Gone);
        }
        info!(switch = %self.switch, calls = self.driver.sessions().count(), "asking Kamailio for its live calls");
        self.run = Some(run);
        (self.resync.listing, self.resync.catching_up) = (false, true);
        self.ask_for_ends();
        self.ask_for_calls();
    }

    /// Every proof interval.
    pub(crate) fn look_after_calls(&mut self) {
        self.resync.intervals_since_ends = self.resync.intervals_since_ends.saturating_add(1);
        let due = self.resync.intervals_since_ends >= INTERVALS_BETWEEN_ENDS;
        if self.link.is_up() && (self.driver.take_ends_owed() || due) {
            self.ask_for_ends();
        }
        self.forget_lost_list();
        self.ask_for_calls();
    }

    pub(crate) fn ask_for_ends(&mut self) {
        (self.resync.resending, self.resync.intervals_since_ends) = (true, 0);
        self.link.send(ToKamailio::Resend {});
    }

    /// Kamailio can lose a frame: a list of which nothing more comes must not stop all proofs of life.
    fn forget_lost_list(&mut self) {
        if self.resync.listing {
            self.resync.silent_intervals = self.resync.silent_intervals.saturating_add(1);
            if self.resync.silent_intervals >= INTERVALS_AWAITED {
                warn!(switch = %self.switch, list = self.resync.list, "Kamailio does not answer the list: asking again");
                self.resync.listing = false;
            }
        }
    }

    /// Every end that Kamailio kept was told: what was ringing before the break and is not among them rings still.
    pub(crate) fn ends_told(&mut self) {
        self.resync.resending = false;
        let ringing = self.driver.sessions().filter(|(_, machine)| machine.phase() == Phase::Ringing);
        let ringing: Vec<SessionId> = ringing.map(|(session, _)| session.clone()).collect();
        for session in ringing {
            self.driver.event(&session, SwitchEvent::Ringing);
        }
    }

    /// One list at a time: a Kamailio that needs longer than the interval is not asked twice.
    pub(crate) fn ask_for_calls(&mut self) {
        if self.link.is_up() && !self.resync.listing {
            (self.resync.listing, self.resync.silent_intervals) = (true, 0);
            self.resync.list += 1;
            let list_id = self.resync.list.to_string();
            self.link.send(ToKamailio::CallList { list_id });
        }
    }

    pub(crate) fn call_seen(&mut self, session: &SessionId) {
        let list = self.resync.list;
        self.resync.silent_intervals = 0;
        if let Some(call) = self.calls.get_mut(session) {
            (call.seen_in, call.missing) = (list, 0);
        }
    }

    /// The list is whole: calls that it does not have are missing.
    pub(crate) fn list_done(&mut self, list_id: &str) {
        if list_id != self.resync.list.to_string() {
            return;
        }
        self.resync.listing = false;
        let catching_up = std::mem::take(&mut self.resync.catching_up);
        let (list, mut gone, mut missing) = (self.resync.list, Vec::new(), false);
        let talking: Vec<SessionId> = self
            .driver
            .sessions()
            .filter(|(_, machine)| machine.phase() == Phase::Talking)
            .map(|(session, _)| session.clone())
            .collect();
        for session in talking {
            let call = self.calls.entry(session.clone()).or_default();
            if call.seen_in == list || call.answered_in == list {
                continue;
            }
            call.missing = call.missing.saturating_add(1);
            missing = true;
            if call.missing >= LISTS_MISSED {
                gone.push(session);
            }
        }
        gone.extend(self.driver.ringing_too_long());
        for session in gone {
            warn!(switch = %self.switch, session_id = %session, "Kamailio does not know the call any more: closed at its last proven usage");
            self.driver.event(&session, SwitchEvent::Gone);
        }
        if missing {
            // Its end may have been lost on the way, and is kept by Kamailio; then look again.
            self.ask_for_ends();
            if catching_up {
                self.ask_for_calls();
            }
        }
        self.driver.log_proofs();
    }

    fn sessions_where(&self, wanted: impl Fn(&SessionId) -> bool) -> Vec<SessionId> {
        self.driver.sessions().map(|(session, _)| session).filter(|session| wanted(session)).cloned().collect()
    }
}

const LISTS_MISSED: u8 = 2;
const INTERVALS_AWAITED: u8 = 2;
/// A minute with the usual interval: what waits for a core that is away is told again that often.
const INTERVALS_BETWEEN_ENDS: u8 = 6;
