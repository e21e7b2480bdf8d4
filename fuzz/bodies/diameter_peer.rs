//! Any sequence of events and pauses for the peer state machine: it opens and closes at most once, does nothing after it has closed, and
//! always has a time limit until then. Called by the fuzz target and by a plain test with a fixed corpus.

use agent_diameter::peer::{Action, Event, Opening, PeerMachine, PeerTimes, State};
use protocol_codecs::diameter::{DisconnectCause, ResultCode};
use types::MonoMs;

const EVENTS: [Event; 14] = [
    Event::Cer(ResultCode::SUCCESS),
    Event::Cer(ResultCode::UNKNOWN_PEER),
    Event::Cea(ResultCode::SUCCESS),
    Event::Cea(ResultCode::NO_COMMON_APPLICATION),
    Event::Dwr,
    Event::Dwa,
    Event::Dpr,
    Event::Dpa,
    Event::Request,
    Event::Answer,
    Event::Idle,
    Event::Stop(DisconnectCause::Rebooting),
    Event::Lost,
    Event::ElectionLost,
];

/// First byte: who made the connection, and whether the peer was down. Then pairs: event and answers in flight; pause in units of 250 ms.
pub fn run(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else { return };
    let opening = if first & 1 == 1 { Opening::Made } else { Opening::Accepted };
    let times = PeerTimes { capabilities_ms: 10_000, watchdog_ms: 30_000, leave_ms: 5_000 };
    let mut peer = PeerMachine::new(opening, times, first & 2 == 2, u32::from(first), MonoMs(0));
    let (mut now, mut opened, mut closed) = (MonoMs(0), 0, 0);
    for step in rest.chunks_exact(2) {
        let was_closed = peer.state() == State::Closed;
        let event = EVENTS[usize::from(step[0] & 0x0F) % EVENTS.len()];
        let mut actions = Vec::new();
        now = now.plus(u64::from(step[1]) * 250);
        peer.tick(now, &mut actions);
        peer.accept(event, usize::from(step[0] >> 6), now, &mut actions);
        opened += actions.iter().filter(|action| **action == Action::Opened).count();
        closed += actions.iter().filter(|action| matches!(action, Action::Close(_))).count();
        assert!(opened <= 1 && closed <= 1);
        assert!(!was_closed || actions.is_empty());
        let close = actions.iter().position(|action| matches!(action, Action::Close(_)));
        assert!(close.is_none_or(|at| at + 1 == actions.len() && peer.state() == State::Closed));
        assert_eq!(peer.state() == State::Closed, peer.due() == MonoMs(u64::MAX));
        assert!(!peer.is_usable() || peer.state() == State::Open);
    }
}
