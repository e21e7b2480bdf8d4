use proptest::prelude::*;
use protocol_codecs::diameter::{DisconnectCause, ResultCode};
use types::MonoMs;

use super::*;

const TIMES: PeerTimes = PeerTimes { capabilities_ms: 5_000, watchdog_ms: 30_000, leave_ms: 5_000 };
const OK: ResultCode = ResultCode::SUCCESS;
const NO_COMMON: ResultCode = ResultCode::NO_COMMON_APPLICATION;
const REBOOTING: DisconnectCause = DisconnectCause::Rebooting;

fn machine(opening: Opening) -> PeerMachine {
    PeerMachine::new(opening, TIMES, false, 7, MonoMs(0))
}

fn accept(machine: &mut PeerMachine, event: Event, in_flight: usize) -> Vec<Action> {
    let mut actions = Vec::new();
    machine.accept(event, in_flight, MonoMs(0), &mut actions);
    actions
}

/// A machine in this state.
fn at(state: State) -> PeerMachine {
    let mut made = machine(if state == State::WaitCea { Opening::Made } else { Opening::Accepted });
    match state {
        State::WaitCer | State::WaitCea => {}
        State::Open => drop(accept(&mut made, Event::Cer(OK), 0)),
        State::Closing => {
            accept(&mut made, Event::Cer(OK), 0);
            accept(&mut made, Event::Stop(REBOOTING), 1);
        }
        State::Closed => made.accept(Event::Lost, 0, MonoMs(0), &mut Vec::new()),
    }
    assert_eq!(made.state(), state);
    made
}

#[test]
fn every_row_of_the_table() {
    use Action::{Close, Deliver, Opened, SendCea, SendDpa, SendDpr, SendDwa, TurnAway, Withdraw};
    use State::{Closed, Closing, Open, WaitCea, WaitCer};
    let out_of_turn = || vec![Close(CloseReason::OutOfTurn)];
    let rows: Vec<(State, Event, usize, Vec<Action>, State)> = vec![
        (WaitCer, Event::Cer(OK), 0, vec![SendCea(OK), Opened], Open),
        (WaitCer, Event::Cer(NO_COMMON), 0, vec![SendCea(NO_COMMON), Close(CloseReason::Refused(NO_COMMON))], Closed),
        (WaitCer, Event::ElectionLost, 0, vec![Close(CloseReason::ElectionLost)], Closed),
        (WaitCea, Event::ElectionLost, 0, vec![Close(CloseReason::ElectionLost)], Closed),
        (Open, Event::ElectionLost, 0, vec![], Open),
        (Closing, Event::ElectionLost, 0, vec![], Closing),
        (WaitCer, Event::Request, 0, out_of_turn(), Closed),
        (WaitCer, Event::Answer, 0, out_of_turn(), Closed),
        (WaitCer, Event::Dwr, 0, out_of_turn(), Closed),
        (WaitCer, Event::Dpr, 0, out_of_turn(), Closed),
        (WaitCer, Event::Cea(OK), 0, out_of_turn(), Closed),
        (WaitCer, Event::Stop(REBOOTING), 0, vec![Close(CloseReason::Left)], Closed),
        (WaitCer, Event::Idle, 0, vec![], WaitCer),
        (WaitCer, Event::Lost, 0, vec![], Closed),
        (WaitCea, Event::Cea(OK), 0, vec![Opened], Open),
        (WaitCea, Event::Cea(NO_COMMON), 0, vec![Close(CloseReason::RefusedByPeer(NO_COMMON))], Closed),
        (WaitCea, Event::Cer(OK), 0, out_of_turn(), Closed),
        (WaitCea, Event::Request, 0, out_of_turn(), Closed),
        (Open, Event::Request, 3, vec![Deliver], Open),
        (Open, Event::Answer, 3, vec![Deliver], Open),
        (Open, Event::Cer(OK), 0, vec![SendCea(OK)], Open),
        (Open, Event::Cer(NO_COMMON), 0, vec![SendCea(NO_COMMON)], Open),
        (Open, Event::Dwr, 0, vec![SendDwa], Open),
        (Open, Event::Dwa, 0, vec![], Open),
        (Open, Event::Cea(OK), 0, vec![], Open),
        (Open, Event::Dpa, 0, vec![], Open),
        (Open, Event::Dpr, 0, vec![Withdraw, SendDpa, Close(CloseReason::PeerLeft)], Closed),
        (Open, Event::Dpr, 2, vec![Withdraw, SendDpa], Closing),
        (Open, Event::Stop(REBOOTING), 0, vec![Withdraw, SendDpr(REBOOTING)], Closing),
        (Open, Event::Lost, 2, vec![], Closed),
        (Closing, Event::Request, 1, vec![TurnAway], Closing),
        (Closing, Event::Answer, 1, vec![Deliver], Closing),
        (Closing, Event::Dwr, 1, vec![SendDwa], Closing),
        (Closing, Event::Dpr, 1, vec![SendDpa], Closing),
        (Closing, Event::Idle, 0, vec![], Closing),
        (Closing, Event::Dpa, 1, vec![], Closing),
        (Closing, Event::Dpa, 0, vec![Close(CloseReason::Left)], Closed),
        (Closed, Event::Request, 0, vec![], Closed),
        (Closed, Event::Cer(OK), 0, vec![], Closed),
    ];
    for (from, event, in_flight, expected, next) in rows {
        let mut peer = at(from);
        let actions = accept(&mut peer, event, in_flight);
        assert_eq!((actions, peer.state()), (expected, next), "{from:?} {event:?} with {in_flight} in flight");
    }
}

#[test]
fn who_leaves_waits_for_the_answers_in_flight() {
    let mut left_by_peer = at(State::Open);
    accept(&mut left_by_peer, Event::Dpr, 1);
    assert_eq!(accept(&mut left_by_peer, Event::Idle, 0), [Action::Close(CloseReason::PeerLeft)]);

    let mut left_by_us = at(State::Closing);
    assert_eq!(accept(&mut left_by_us, Event::Dpa, 1), []);
    assert_eq!(accept(&mut left_by_us, Event::Idle, 0), [Action::Close(CloseReason::Left)]);
}

#[test]
fn every_state_but_open_ends_by_itself() {
    let rows = [
        (State::WaitCer, CloseReason::NoCapabilities),
        (State::WaitCea, CloseReason::NoCapabilities),
        (State::Closing, CloseReason::Left),
    ];
    for (state, reason) in rows {
        let (mut peer, mut actions) = (at(state), Vec::new());
        peer.tick(MonoMs(4_999), &mut actions);
        assert_eq!(actions, [], "{state:?}");
        peer.tick(MonoMs(5_000), &mut actions);
        assert_eq!((actions.as_slice(), peer.state()), ([Action::Close(reason)].as_slice(), State::Closed));
        assert_eq!(peer.due(), MonoMs(u64::MAX));
    }
}

/// Lets time go on by ticks until the end; what happened when, in seconds.
fn silence(peer: &mut PeerMachine, until_ms: u64) -> Vec<(u64, Action)> {
    let mut happened = Vec::new();
    while peer.due().0 <= until_ms {
        let (now, mut actions) = (peer.due(), Vec::new());
        peer.tick(now, &mut actions);
        happened.extend(actions.into_iter().map(|action| (now.0 / 1000, action)));
    }
    happened
}

#[test]
fn a_silent_peer_is_asked_once_and_dropped_two_intervals_later() {
    let mut peer = at(State::Open);
    let happened = silence(&mut peer, 600_000);
    let [(asked_s, Action::SendDwr), (closed_s, Action::Close(CloseReason::Silent))] = happened[..] else {
        panic!("{happened:?}");
    };
    assert!((28..=32).contains(&asked_s) && (84..=96).contains(&closed_s), "{asked_s} {closed_s}");
    assert!(peer.is_down());
}

#[test]
fn any_sign_of_life_keeps_a_peer() {
    for sign in [Event::Dwa, Event::Dwr, Event::Request, Event::Answer] {
        let mut peer = at(State::Open);
        for turn in 1..20_u64 {
            let now = MonoMs(turn * 40_000);
            silence(&mut peer, now.0);
            peer.accept(sign, 0, now, &mut Vec::new());
            assert_eq!(peer.state(), State::Open, "{sign:?} in turn {turn}");
            assert!(peer.is_usable());
        }
    }
}

#[test]
fn a_peer_that_was_down_proves_itself_with_three_answers() {
    let mut peer = PeerMachine::new(Opening::Accepted, TIMES, true, 7, MonoMs(0));
    assert_eq!(accept(&mut peer, Event::Cer(OK), 0), [Action::SendCea(OK), Action::Opened, Action::SendDwr]);
    for answers in 1..=3 {
        assert!(!peer.is_usable(), "after {} answers", answers - 1);
        let mut actions = Vec::new();
        peer.accept(Event::Request, 0, MonoMs(1), &mut actions);
        assert_eq!(actions, [Action::Deliver], "its requests are served");
        accept(&mut peer, Event::Dwa, 0);
        if answers < 3 {
            let due = peer.due();
            actions.clear();
            peer.tick(due, &mut actions);
            assert_eq!(actions, [Action::SendDwr]);
        }
    }
    assert!(peer.is_usable());
    let mut silent = PeerMachine::new(Opening::Accepted, TIMES, true, 7, MonoMs(0));
    accept(&mut silent, Event::Cer(OK), 0);
    assert_eq!(
        silence(&mut silent, 600_000).last().map(|(_, action)| *action),
        Some(Action::Close(CloseReason::Silent))
    );
}

fn event() -> impl Strategy<Value = Event> {
    let code = prop_oneof![Just(OK), Just(NO_COMMON)];
    prop_oneof![
        code.clone().prop_map(Event::Cer),
        code.prop_map(Event::Cea),
        Just(Event::Dwr),
        Just(Event::Dwa),
        Just(Event::Dpr),
        Just(Event::Dpa),
        Just(Event::Request),
        Just(Event::Answer),
        Just(Event::Idle),
        Just(Event::Stop(REBOOTING)),
        Just(Event::Lost),
    ]
}

proptest! {
    /// Whatever comes in whatever order.
    #[test]
    fn no_sequence_breaks_the_rules(
        made in any::<bool>(),
        was_down in any::<bool>(),
        seed in any::<u32>(),
        steps in prop::collection::vec((event(), 0_usize..3, 0_u64..40_000), 0..60),
    ) {
        let opening = if made { Opening::Made } else { Opening::Accepted };
        let mut peer = PeerMachine::new(opening, TIMES, was_down, seed, MonoMs(0));
        let (mut now, mut opened, mut closed) = (MonoMs(0), 0, 0);
        for (event, in_flight, pause_ms) in steps {
            let before = peer.state();
            let mut actions = Vec::new();
            now = now.plus(pause_ms);
            peer.tick(now, &mut actions);
            let ticked = actions.len();
            peer.accept(event, in_flight, now, &mut actions);
            opened += actions.iter().filter(|action| **action == Action::Opened).count();
            closed += actions.iter().filter(|action| matches!(action, Action::Close(_))).count();
            prop_assert!(opened <= 1 && closed <= 1, "{actions:?}");
            if before == State::Closed {
                prop_assert_eq!(actions.as_slice(), &[]);
            }
            if let Some(at) = actions.iter().position(|action| matches!(action, Action::Close(_))) {
                prop_assert_eq!(at, actions.len() - 1, "nothing is done after the close");
                prop_assert_eq!(peer.state(), State::Closed);
            }
            let delivers = actions.iter().skip(ticked).any(|action| *action == Action::Deliver);
            prop_assert!(!delivers || matches!(before, State::Open | State::Closing));
            prop_assert!(peer.state() == State::Closed || peer.due() < MonoMs(u64::MAX), "it always has a time limit");
        }
    }
}
