//! The watchdog of RFC 3539 section 3.4.1. Pure: what was heard and the time in, what to do out.
//!
//! | state | event | action | next |
//! |---|---|---|---|
//! | INITIAL | connection up, first time | set the timer | OKAY |
//! | INITIAL | connection up after one that was lost for silence | DWR, set the timer | REOPEN |
//! | OKAY | DWA | nothing is pending, set the timer | OKAY |
//! | OKAY | anything else | set the timer | OKAY |
//! | OKAY | timer, no DWR pending | DWR, set the timer | OKAY |
//! | OKAY | timer, DWR pending | set the timer | SUSPECT |
//! | SUSPECT | DWA | nothing is pending, set the timer | OKAY |
//! | SUSPECT | anything else | set the timer | OKAY |
//! | SUSPECT | timer | close | DOWN |
//! | REOPEN | the third DWA | set the timer | OKAY |
//! | REOPEN | DWA before | DWR with the next timer | REOPEN |
//! | REOPEN | timer, no DWR pending | DWR, set the timer | REOPEN |
//! | REOPEN | timer, DWR pending, for the first time | set the timer | REOPEN |
//! | REOPEN | timer, DWR pending, again | close | DOWN |
//!
//! In SUSPECT and REOPEN requests of the peer are served all the same: it is their answers that tell it we live. Only our own
//! requests wait.

use types::MonoMs;

/// Where the watchdog stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchdogState {
    /// Capabilities are not exchanged yet.
    Initial,
    /// All is well.
    Okay,
    /// A watchdog request is overdue.
    Suspect,
    /// Silent for too long: the connection is to be closed.
    Down,
    /// A peer that was down is back, and has to prove itself.
    Reopen,
}

/// What came from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Heard {
    /// A watchdog answer.
    Answer,
    /// Anything else.
    Other,
}

/// What the timer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overdue {
    /// Nothing but waiting.
    Wait,
    /// Send a DWR.
    Ask,
    /// Close the connection.
    Close,
}

/// The watchdog of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watchdog {
    state: WatchdogState,
    interval_ms: u64,
    pending: bool,
    /// Answers since the connection came back; `None` = one was missed.
    answers: Option<u8>,
    due: MonoMs,
}

impl Watchdog {
    /// Not started. `interval_ms` is Tw: 30 s unless configured, at least 6 s by the RFC.
    pub fn new(interval_ms: u64) -> Self {
        Self { state: WatchdogState::Initial, interval_ms, pending: false, answers: Some(0), due: MonoMs(u64::MAX) }
    }

    /// The capabilities are exchanged. True: send a DWR now. `jitter_ms` is -2000 to 2000.
    pub fn opened(&mut self, was_down: bool, now: MonoMs, jitter_ms: i64) -> bool {
        self.set_timer(now, jitter_ms);
        self.state = if was_down { WatchdogState::Reopen } else { WatchdogState::Okay };
        self.pending = was_down;
        was_down
    }

    /// Something came.
    pub fn heard(&mut self, what: Heard, now: MonoMs, jitter_ms: i64) {
        match (self.state, what) {
            (WatchdogState::Initial | WatchdogState::Down, _) => {}
            (WatchdogState::Okay | WatchdogState::Suspect, _) => {
                self.pending &= what != Heard::Answer;
                self.state = WatchdogState::Okay;
                self.set_timer(now, jitter_ms);
            }
            (WatchdogState::Reopen, Heard::Answer) => {
                self.pending = false;
                let answers = self.answers.unwrap_or(0).saturating_add(1);
                self.answers = Some(answers);
                if answers >= PROOFS {
                    self.state = WatchdogState::Okay;
                    self.set_timer(now, jitter_ms);
                }
            }
            (WatchdogState::Reopen, Heard::Other) => {}
        }
    }

    /// The timer, if it is due.
    pub fn tick(&mut self, now: MonoMs, jitter_ms: i64) -> Overdue {
        if now < self.due {
            return Overdue::Wait;
        }
        self.set_timer(now, jitter_ms);
        match (self.state, self.pending) {
            (WatchdogState::Initial | WatchdogState::Down, _) => Overdue::Wait,
            (WatchdogState::Okay | WatchdogState::Reopen, false) => {
                self.pending = true;
                Overdue::Ask
            }
            (WatchdogState::Okay, true) => {
                self.state = WatchdogState::Suspect;
                Overdue::Wait
            }
            (WatchdogState::Reopen, true) if self.answers.is_some() => {
                self.answers = None;
                Overdue::Wait
            }
            (WatchdogState::Suspect | WatchdogState::Reopen, _) => {
                self.state = WatchdogState::Down;
                self.due = MonoMs(u64::MAX);
                Overdue::Close
            }
        }
    }

    /// Where it stands.
    pub fn state(&self) -> WatchdogState {
        self.state
    }

    /// When [`Watchdog::tick`] wants to be called next.
    pub fn due(&self) -> MonoMs {
        self.due
    }

    fn set_timer(&mut self, now: MonoMs, jitter_ms: i64) {
        let jitter_ms = jitter_ms.clamp(-JITTER_MS, JITTER_MS);
        self.due = now.plus(self.interval_ms.saturating_add_signed(jitter_ms).max(1));
    }
}

/// Answers that a peer which was down must give.
const PROOFS: u8 = 3;
/// RFC 3539 section 3.4.1: uniformly distributed between -2 and 2 seconds.
const JITTER_MS: i64 = 2_000;
