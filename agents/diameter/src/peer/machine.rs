//! The peer state machine of RFC 6733 section 5.6 for one connection. Pure: events and the time in, actions out.
//!
//! | state | event | actions | next |
//! |---|---|---|---|
//! | WAIT-CER | CER accepted | CEA 2001, opened | OPEN |
//! | WAIT-CER | CER refused | CEA with the code, close | CLOSED |
//! | WAIT-CER | anything else, or Tc over | close | CLOSED |
//! | WAIT-CEA | CEA 2001 | opened | OPEN |
//! | WAIT-CEA | CEA with another code, anything else, or Tc over | close | CLOSED |
//! | WAIT-CER, WAIT-CEA | the election is lost | close | CLOSED |
//! | OPEN | CER | CEA with the verdict; sessions stay | OPEN |
//! | OPEN | DWR | DWA | OPEN |
//! | OPEN | DWA, CEA, DPA | | OPEN |
//! | OPEN | another message | deliver | OPEN |
//! | OPEN | DPR | DPA, lost as a way to the peer; close when nothing is in flight, or after the grace | CLOSING |
//! | OPEN | stop | DPR, lost as a way to the peer | CLOSING |
//! | OPEN | watchdog over | close | CLOSED |
//! | CLOSING | DPA after our DPR | close when nothing is in flight, or after the grace | CLOSING |
//! | CLOSING | DPR | DPA | CLOSING |
//! | CLOSING | DWR | DWA | CLOSING |
//! | CLOSING | a request | turn away | CLOSING |
//! | CLOSING | an answer | deliver | CLOSING |
//! | CLOSING | time over | close | CLOSED |
//! | any | transport lost | | CLOSED |
//!
//! An accepted connection begins in WAIT-CER, one that we made in WAIT-CEA: the CER is sent at once. The election (section 5.6.4)
//! is between two connections of one peer: whoever owns them asks [`super::elect`] and tells the one that goes. Two connections that
//! the peer made are no election: the newer one stays.

use protocol_codecs::diameter::{DisconnectCause, ResultCode};
use types::MonoMs;

use super::watchdog::{Heard, Overdue, Watchdog, WatchdogState};

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Accepted; its CER has not come.
    WaitCer,
    /// Made by us; its CEA has not come.
    WaitCea,
    /// Capabilities exchanged.
    Open,
    /// DPR sent or received.
    Closing,
    /// Over.
    Closed,
}

/// Who made the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opening {
    /// The peer.
    Accepted,
    /// We.
    Made,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A CER, and what is to be said to it.
    Cer(ResultCode),
    /// A CEA with this code.
    Cea(ResultCode),
    /// A DWR.
    Dwr,
    /// A DWA.
    Dwa,
    /// A DPR.
    Dpr,
    /// A DPA.
    Dpa,
    /// Any other request.
    Request,
    /// Any other answer.
    Answer,
    /// The last answer that was in flight has gone out.
    Idle,
    /// We want to leave.
    Stop(DisconnectCause),
    /// The peer's connection and ours met, and this one has to go.
    ElectionLost,
    /// The transport is gone.
    Lost,
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// No CER, or no CEA, in time.
    NoCapabilities,
    /// Something else before the capabilities.
    OutOfTurn,
    /// The CER was refused.
    Refused(ResultCode),
    /// The peer refused our CER.
    RefusedByPeer(ResultCode),
    /// The peer said DPR.
    PeerLeft,
    /// We said DPR.
    Left,
    /// Another connection with the same peer stays.
    ElectionLost,
    /// No sign of life.
    Silent,
}

impl CloseReason {
    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCapabilities => "no_capabilities",
            Self::OutOfTurn => "out_of_turn",
            Self::Refused(_) => "refused",
            Self::RefusedByPeer(_) => "refused_by_peer",
            Self::PeerLeft => "peer_left",
            Self::Left => "left",
            Self::ElectionLost => "election_lost",
            Self::Silent => "silent",
        }
    }
}

/// What to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Answer the CER.
    SendCea(ResultCode),
    /// Ask for a sign of life.
    SendDwr,
    /// Give one.
    SendDwa,
    /// Say that we leave.
    SendDpr(DisconnectCause),
    /// Agree that the peer leaves.
    SendDpa,
    /// The capabilities are exchanged: longer messages may come, our own requests may go.
    Opened,
    /// The message is for the application.
    Deliver,
    /// The request comes too late: refuse it.
    TurnAway,
    /// No further requests of ours on this connection.
    Withdraw,
    /// Close the transport.
    Close(CloseReason),
}

/// Times of a connection, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerTimes {
    /// How long the capabilities may take.
    pub capabilities_ms: u64,
    /// Tw of the watchdog.
    pub watchdog_ms: u64,
    /// How long a DPA, or answers in flight, may take.
    pub leave_ms: u64,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerMachine {
    state: State,
    times: PeerTimes,
    watchdog: Watchdog,
    /// The peer was lost for silence before.
    was_down: bool,
    /// When the state's own time is over.
    deadline: MonoMs,
    /// Why it closes when nothing is in flight any more; `None` = the DPA has not come.
    leaving: Option<CloseReason>,
    jitter: u32,
}

impl PeerMachine {
    /// A new connection. `seed` spreads the watchdogs of many connections.
    pub fn new(opening: Opening, times: PeerTimes, was_down: bool, seed: u32, now: MonoMs) -> Self {
        Self {
            state: if opening == Opening::Made { State::WaitCea } else { State::WaitCer },
            times,
            watchdog: Watchdog::new(times.watchdog_ms),
            was_down,
            deadline: now.plus(times.capabilities_ms),
            leaving: None,
            jitter: seed | 1,
        }
    }

    /// The peer that is about to open this connection was lost for silence before: it has to prove itself.
    pub fn peer_was_down(&mut self) {
        self.was_down = true;
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether requests of ours should go this way.
    pub fn is_usable(&self) -> bool {
        self.state == State::Open && self.watchdog.state() == WatchdogState::Okay
    }

    /// Where the watchdog stands.
    pub fn watchdog_state(&self) -> WatchdogState {
        self.watchdog.state()
    }

    /// Whether the peer was lost for silence.
    pub fn is_down(&self) -> bool {
        self.watchdog.state() == WatchdogState::Down
    }

    /// When [`PeerMachine::tick`] wants to be called next.
    pub fn due(&self) -> MonoMs {
        match self.state {
            State::Open => self.watchdog.due(),
            State::Closed => MonoMs(u64::MAX),
            State::WaitCer | State::WaitCea | State::Closing => self.deadline,
        }
    }

    /// Something happened. `in_flight`: answers of ours that are still to go out.
    pub fn accept(&mut self, event: Event, in_flight: usize, now: MonoMs, actions: &mut Vec<Action>) {
        if event == Event::Lost {
            self.state = State::Closed;
            return;
        }
        if !matches!(event, Event::Idle | Event::Stop(_) | Event::ElectionLost) {
            let heard = if event == Event::Dwa { Heard::Answer } else { Heard::Other };
            let jitter_ms = self.next_jitter_ms();
            self.watchdog.heard(heard, now, jitter_ms);
        }
        match self.state {
            State::WaitCer => self.wait_cer(event, now, actions),
            State::WaitCea => self.wait_cea(event, now, actions),
            State::Open => self.open(event, in_flight, now, actions),
            State::Closing => self.closing(event, in_flight, now, actions),
            State::Closed => {}
        }
    }

    /// Time went on.
    pub fn tick(&mut self, now: MonoMs, actions: &mut Vec<Action>) {
        if now < self.due() {
            return;
        }
        match self.state {
            State::WaitCer | State::WaitCea => self.close(CloseReason::NoCapabilities, actions),
            State::Closing => self.close(self.leaving.unwrap_or(CloseReason::Left), actions),
            State::Open => {
                let jitter_ms = self.next_jitter_ms();
                match self.watchdog.tick(now, jitter_ms) {
                    Overdue::Wait => {}
                    Overdue::Ask => actions.push(Action::SendDwr),
                    Overdue::Close => self.close(CloseReason::Silent, actions),
                }
            }
            State::Closed => {}
        }
    }

    fn wait_cer(&mut self, event: Event, now: MonoMs, actions: &mut Vec<Action>) {
        match event {
            Event::Cer(code) if code.is_success() => {
                actions.push(Action::SendCea(code));
                self.opened(now, actions);
            }
            Event::Cer(code) => {
                actions.push(Action::SendCea(code));
                self.close(CloseReason::Refused(code), actions);
            }
            Event::Stop(_) => self.close(CloseReason::Left, actions),
            Event::ElectionLost => self.close(CloseReason::ElectionLost, actions),
            Event::Idle => {}
            _ => self.close(CloseReason::OutOfTurn, actions),
        }
    }

    fn wait_cea(&mut self, event: Event, now: MonoMs, actions: &mut Vec<Action>) {
        match event {
            Event::Cea(code) if code.is_success() => self.opened(now, actions),
            Event::Cea(code) => self.close(CloseReason::RefusedByPeer(code), actions),
            Event::Stop(_) => self.close(CloseReason::Left, actions),
            Event::ElectionLost => self.close(CloseReason::ElectionLost, actions),
            Event::Idle => {}
            _ => self.close(CloseReason::OutOfTurn, actions),
        }
    }

    fn open(&mut self, event: Event, in_flight: usize, now: MonoMs, actions: &mut Vec<Action>) {
        match event {
            Event::Cer(code) => actions.push(Action::SendCea(code)),
            Event::Dwr => actions.push(Action::SendDwa),
            Event::Request | Event::Answer => actions.push(Action::Deliver),
            Event::Dpr => {
                actions.extend([Action::Withdraw, Action::SendDpa]);
                self.leave(Some(CloseReason::PeerLeft), now);
                self.go_if_idle(in_flight, actions);
            }
            Event::Stop(cause) => {
                actions.extend([Action::Withdraw, Action::SendDpr(cause)]);
                self.leave(None, now);
            }
            Event::Cea(_) | Event::Dwa | Event::Dpa | Event::Idle | Event::ElectionLost | Event::Lost => {}
        }
    }

    fn closing(&mut self, event: Event, in_flight: usize, now: MonoMs, actions: &mut Vec<Action>) {
        match event {
            Event::Dpa if self.leaving.is_none() => {
                self.leave(Some(CloseReason::Left), now);
                self.go_if_idle(in_flight, actions);
            }
            Event::Idle => self.go_if_idle(in_flight, actions),
            Event::Dpr => actions.push(Action::SendDpa),
            Event::Dwr => actions.push(Action::SendDwa),
            Event::Request => actions.push(Action::TurnAway),
            Event::Answer => actions.push(Action::Deliver),
            Event::Cer(_)
            | Event::Cea(_)
            | Event::Dwa
            | Event::Dpa
            | Event::Stop(_)
            | Event::ElectionLost
            | Event::Lost => {}
        }
    }

    fn opened(&mut self, now: MonoMs, actions: &mut Vec<Action>) {
        self.state = State::Open;
        actions.push(Action::Opened);
        let jitter_ms = self.next_jitter_ms();
        if self.watchdog.opened(self.was_down, now, jitter_ms) {
            actions.push(Action::SendDwr);
        }
    }

    fn leave(&mut self, reason: Option<CloseReason>, now: MonoMs) {
        self.state = State::Closing;
        self.leaving = reason;
        self.deadline = now.plus(self.times.leave_ms);
    }

    fn go_if_idle(&mut self, in_flight: usize, actions: &mut Vec<Action>) {
        if let Some(reason) = self.leaving.filter(|_| in_flight == 0) {
            self.close(reason, actions);
        }
    }

    fn close(&mut self, reason: CloseReason, actions: &mut Vec<Action>) {
        self.state = State::Closed;
        actions.push(Action::Close(reason));
    }

    /// Spread over -2 to 2 seconds; nothing depends on its quality.
    fn next_jitter_ms(&mut self) -> i64 {
        self.jitter = self.jitter.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i64::from((self.jitter >> 8) % 4_001) - 2_000
    }
}
