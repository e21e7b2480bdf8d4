//! Which calls are still alive?
//!
//! After every connect: which channels does the switch list, and what is each of ours (`uuid_dump`). The list is a view
//! that lags behind and keeps ghosts, so it only finds calls that we do not know; of ours `uuid_exists` has the last
//! word. Every proof interval: is each of ours still there? One that is not is closed at its last proven usage, if the
//! event of its end does not come in a moment, nor with the events of its time. A few questions at a time, so that a cut never waits behind them.

mod strays;

use std::collections::{BTreeSet, HashSet, VecDeque};

use agent_call::{Answer, Command, Phase, SwitchEvent};
use agent_runtime::names;
use metrics::counter;
use protocol_codecs::esl::{ApiCall, ApiResponse, CallDirection, Event, MessageError};
use tokio::time::{Duration, Instant};
use tracing::{info, warn};
use types::{SessionId, UtcMs};

use crate::agent::Agent;
use crate::command::{self, Purpose};
use crate::lag::Lag;
use crate::native::{self, run_prefix};
use crate::translate::{self, TranslateError};
use strays::Found;

/// How far the conversation about live calls is.
#[derive(Debug, Default)]
pub(crate) struct Resync {
    /// Questions not sent yet.
    waiting: VecDeque<(Purpose, ApiCall)>,
    /// Questions not answered yet.
    asked: usize,
    /// The list is under way.
    listing: bool,
    /// Legs of the list that the switch called, and that we do not know.
    strays: BTreeSet<String>,
    /// What they are, and when it is decided who pays for them.
    found: Vec<Found>,
    judged: Option<Instant>,
    /// Calls that the switch does not have, oldest first, and when they are given up.
    missing: VecDeque<(Instant, Missing)>,
}

/// A call that the switch does not have.
#[derive(Debug)]
struct Missing {
    session: SessionId,
    /// When it said so, by its clock: its end was told before, and comes with the events of that time. `None`: nobody
    /// listened when it ended.
    told_before: Option<UtcMs>,
    given_up: Instant,
}

impl Resync {
    /// The connection is gone, and every answer with it.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.missing.front().map(|(due, _)| *due).into_iter().chain(self.judged).min()
    }
}

impl Agent {
    /// Connections were made: is this the run that we knew, and what happened meanwhile?
    pub(crate) fn connected(&mut self, core_uuid: &str, told: Option<UtcMs>) {
        counter!(names::RESYNCS, "switch" => self.switch_label()).increment(1);
        (self.lag, self.newest_event) = (Lag::default(), told.unwrap_or(UtcMs(0)));
        if let Some(told) = told {
            self.lag.of(self.now(), told);
        }
        let prefix = run_prefix(&self.switch, core_uuid);
        let of_other_runs = self.sessions_where(|session, _| !session.as_str().starts_with(&prefix));
        if !of_other_runs.is_empty() {
            warn!(switch = %self.switch, calls = of_other_runs.len(), "FreeSWITCH was restarted: its former calls are closed at their last proven usage");
        }
        for session in of_other_runs {
            self.driver.event(&session, SwitchEvent::Gone);
        }
        self.carry_known();
        info!(switch = %self.switch, calls = self.driver.sessions().count(), "asking FreeSWITCH for its live calls");
        self.ask_for_calls();
        self.ask_about_all_that_wait();
    }

    /// Every proof interval.
    pub(crate) fn look_after_calls(&mut self) {
        self.tell_ends_again();
        self.forget_closed_connections();
        self.forget_given_up();
        if !self.link.is_up() {
            return;
        }
        // Also when there are no calls: a connection that is half open must not wait for the next one to be seen.
        self.link.send(Purpose::Ping, ApiCall::Version);
        if !self.resync.waiting.is_empty() || self.resync.asked > 0 {
            // A switch that needs longer than the interval is not asked twice.
            return;
        }
        for session in self.sessions_where(|_, phase| is_up(phase)) {
            let seen = self.calls.get(&session).is_some_and(|call| call.seen);
            let question = if seen { self.exists(&session) } else { self.dump(&session) };
            self.resync.waiting.push_back(question);
        }
        self.ask();
    }

    /// The list, and every call of ours.
    pub(crate) fn ask_for_calls(&mut self) {
        if !self.link.is_up() {
            return;
        }
        if !std::mem::replace(&mut self.resync.listing, true) {
            self.link.send(Purpose::Channels, ApiCall::ShowChannels);
        }
        let ours = self.sessions_where(|_, phase| is_up(phase));
        let questions: Vec<_> = ours.iter().map(|session| self.dump(session)).collect();
        self.resync.waiting.extend(questions);
        self.ask();
    }

    /// Is this one there? Asked before all others.
    pub(crate) fn ask_exists(&mut self, session: &SessionId) {
        if self.driver.knows(session) {
            let question = self.exists(session);
            self.resync.waiting.push_front(question);
            self.ask();
        }
    }

    fn ask(&mut self) {
        while self.resync.asked < ASKED_AT_ONCE
            && let Some((purpose, call)) = self.resync.waiting.pop_front()
        {
            self.resync.asked = self.resync.asked.saturating_add(1);
            self.link.send(purpose, call);
        }
    }

    fn answer_came(&mut self) {
        self.resync.asked = self.resync.asked.saturating_sub(1);
        self.ask();
        if self.resync.asked == 0 {
            self.driver.log_proofs();
            self.ask_about_strays();
        }
    }

    /// Calls of the list that we do not know are looked at.
    pub(crate) fn listed(&mut self, reply: Option<&ApiResponse>) {
        self.resync.listing = false;
        let channels = match reply.map(ApiResponse::channels) {
            Some(Ok(channels)) => channels,
            Some(Err(error)) => return self.unreadable(&error, "the list of channels"),
            None => return,
        };
        let leg = |session| native::leg(session, self.calls.get(session));
        let known: HashSet<&str> = self.driver.sessions().map(|(session, _)| leg(session)).collect();
        let unknown = channels.rows().iter().filter(|row| !known.contains(&*row.uuid));
        let (inbound, called): (Vec<_>, Vec<_>) =
            unknown.partition(|row| row.direction() == Some(CallDirection::Inbound));
        let dump = |unique_id| (Purpose::DumpUnknown, ApiCall::UuidDump { unique_id });
        self.resync.waiting.extend(inbound.into_iter().map(|row| dump(row.uuid.clone().into_owned())));
        self.resync.strays = called.into_iter().map(|row| row.uuid.clone().into_owned()).collect();
        self.ask();
        if self.resync.asked == 0 {
            self.ask_about_strays();
        }
    }

    /// What a channel is; `asked`: the call that we thought it is.
    pub(crate) fn dumped(&mut self, asked: Option<&SessionId>, reply: Option<&ApiResponse>) {
        match reply.map(ApiResponse::channel) {
            Some(Ok(event)) => {
                self.called_leg_found(&event);
                let asked = asked.filter(|asked| {
                    let is_it = self.is_its_channel(asked, &event);
                    if !is_it {
                        // The id is another call's by now.
                        self.is_missing(asked);
                    }
                    is_it
                });
                match (asked, native::session_id(&self.switch, &event)) {
                    (Some(asked), _) => self.found_alive(asked.clone(), &event),
                    (None, Some(found)) if translate::other_leg(&event).is_none() => self.found_alive(found, &event),
                    _ => {}
                }
            }
            Some(Err(MessageError::Failed)) => {
                if let Some(asked) = asked {
                    self.is_missing(asked);
                }
            }
            Some(Err(error)) => self.unreadable(&error, "the state of a channel"),
            None => {}
        }
        self.answer_came();
    }

    /// A channel carries what was made in its life, and what has moved to it.
    fn is_its_channel(&self, session: &SessionId, event: &Event) -> bool {
        let moved = self.calls.get(session).is_some_and(|call| call.leg.is_some());
        let stamp: i64 = native::stamp(session).parse().unwrap_or(0);
        moved || event.created_us().ok().flatten().is_some_and(|created| created <= stamp)
    }

    /// When a call began whose channel had been answered before, or is another than it began with.
    fn answer_of_its_own(&mut self, session: &SessionId, event: &Event) -> Result<Option<Answer>, TranslateError> {
        let machine = self.driver.sessions().find(|(known, _)| *known == session);
        let answered = machine.and_then(|(_, machine)| machine.answered_at());
        let stamp: i64 = native::stamp(session).parse().unwrap_or(0);
        let far = || translate::other_leg_answered(event).filter(|at| *at >= translate::utc(stamp));
        let Some(at) = answered.or_else(far) else { return Ok(None) };
        let told = event.date_timestamp_us()?.map_or(at, translate::utc);
        Ok(Some(Answer { at, elapsed_ms: told.since(at) }))
    }

    fn found_alive(&mut self, session: SessionId, event: &Event) {
        if !matches!(event.hangup_us(), Ok(None)) {
            return self.found_left_ringing(&session, event);
        }
        if self.end_conversation(&session, event) {
            return;
        }
        let named = native::session_id(&self.switch, event).as_ref() == Some(&session);
        let of_channel = named && translate::other_leg(event).is_none();
        let other = translate::kept_waiting(event).or(event.other_leg_unique_id());
        if let Some(other) = other.filter(|_| self.driver.knows(&session)) {
            self.talks_to(&session, other);
            self.is_its_callee(other, event);
        }
        if !of_channel {
            self.calls.entry(session.clone()).or_default().on_answered_leg = true;
        }
        let answer = if of_channel { translate::answer(event, 0) } else { self.answer_of_its_own(&session, event) };
        match answer {
            Ok(Some(answer)) => self.answered(session, event, answer, SwitchEvent::Alive),
            Ok(None) => self.found_unanswered(session, event),
            Err(error) => self.broken(&error),
        }
    }

    /// It waits, or it rings. What it was told may have been lost with the former connection, or with a former agent.
    pub(crate) fn found_unanswered(&mut self, session: SessionId, event: &Event) {
        let on_socket = translate::waits_on_socket(event);
        let parked = on_socket || translate::is_parked(event);
        let state = self.driver.sessions().find(|(known, _)| **known == session);
        let Some((phase, granted_ms)) = state.map(|(_, machine)| (machine.phase(), machine.granted_ms())) else {
            if parked && !self.driver.finished_lately(&session) {
                let at = event.date_timestamp_us().ok().flatten().map_or(UtcMs(0), translate::utc);
                self.parked(session, translate::other_leg(event), at, event);
            }
            return;
        };
        let call = self.calls.entry(session.clone()).or_default();
        (call.seen, call.missing) = (true, false);
        call.on_socket |= on_socket;
        call.admitted |= !parked;
        call.granted_ms = granted_ms;
        (call.transfer_context, call.exports) = translate::transfers_of(event);
        let again = match (phase, call.refused) {
            (Phase::Refused, Some(cause)) => Some(Command::Refuse(cause)),
            (Phase::Ringing, _) if parked && !call.admitted && granted_ms > 0 => {
                call.destination = translate::route(event).to_owned();
                Some(Command::Admit { granted_ms })
            }
            _ => None,
        };
        if let Some(command) = again.filter(|_| parked) {
            let call = self.calls.entry(session.clone()).or_default();
            for told in command::calls(self.config.as_ref(), &session, call, command) {
                self.link.send(told.0, told.1);
            }
        }
        self.driver.event(&session, SwitchEvent::Ringing);
    }

    pub(crate) fn existence_told(&mut self, session: &SessionId, reply: Option<&ApiResponse>) {
        match reply.and_then(ApiResponse::exists) {
            Some(true) => {
                if let Some(call) = self.calls.get_mut(session) {
                    call.missing = false;
                    let answer = call.answered.map(|at| agent_call::Answer { at, elapsed_ms: 0 });
                    if let Some(answer) = answer.filter(|_| call.seen) {
                        self.driver.event(session, SwitchEvent::Alive(answer));
                    }
                }
            }
            Some(false) => self.is_missing(session),
            None => {}
        }
        self.answer_came();
    }

    /// The event of its end may still be on its way over the other connection.
    fn is_missing(&mut self, session: &SessionId) {
        if !self.driver.knows(session) || self.may_have_moved(session) {
            return;
        }
        let switch_time = self.lag.switch_time(self.now());
        let call = self.calls.entry(session.clone()).or_default();
        if !std::mem::replace(&mut call.missing, true) {
            let now = Instant::now();
            let told_before = switch_time.filter(|_| call.seen);
            let missing = Missing { session: session.clone(), told_before, given_up: now + EVENTS_AWAITED };
            self.resync.missing.push_back((now + END_AWAITED, missing));
        }
    }

    /// A former agent followed the talk to another leg: is that one there?
    fn may_have_moved(&mut self, session: &SessionId) -> bool {
        if self.calls.get(session).is_some_and(|call| call.seen || call.leg.is_some()) {
            return false;
        }
        let machine = self.driver.sessions().find(|(known, _)| *known == session);
        let Some(leg) = machine.and_then(|(_, machine)| last_leg(&machine.snapshot().tags)) else {
            return false;
        };
        self.calls.entry(session.clone()).or_default().leg = Some(leg.clone());
        self.legs.carry(&leg, session);
        let question = self.dump(session);
        self.resync.waiting.push_front(question);
        self.ask();
        true
    }

    pub(crate) fn close_missing(&mut self, now: Instant) {
        while self.resync.missing.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, missing)) = self.resync.missing.pop_front() else { return };
            let behind = missing.told_before.is_some_and(|told_before| self.newest_event < told_before);
            if behind && now < missing.given_up {
                // The switch's events are late, and its end is among them.
                self.resync.missing.push_back((now + END_AWAITED, missing));
                continue;
            }
            let session = missing.session;
            let missing = self.calls.get(&session).is_some_and(|call| call.missing) && self.driver.knows(&session);
            if missing && !self.goes_on_with_its_callee(&session) {
                warn!(switch = %self.switch, session_id = %session, "FreeSWITCH does not know the call any more: closed at its last proven usage");
                self.driver.event(&session, SwitchEvent::Gone);
            }
        }
    }

    fn exists(&self, session: &SessionId) -> (Purpose, ApiCall) {
        let unique_id = native::leg(session, self.calls.get(session)).to_owned();
        (Purpose::Exists(session.clone()), ApiCall::UuidExists { unique_id })
    }

    fn dump(&self, session: &SessionId) -> (Purpose, ApiCall) {
        let unique_id = native::leg(session, self.calls.get(session)).to_owned();
        (Purpose::Dump(session.clone()), ApiCall::UuidDump { unique_id })
    }

    fn unreadable(&self, error: &MessageError, what: &'static str) {
        let class = error.class().as_str();
        counter!(names::DECODE_ERRORS, "switch" => self.switch_label(), "class" => class).increment(1);
        warn!(switch = %self.switch, error = error as &dyn std::error::Error, what, "an answer of FreeSWITCH is skipped");
    }

    fn sessions_where(&self, wanted: impl Fn(&SessionId, Phase) -> bool) -> Vec<SessionId> {
        let sessions = self.driver.sessions().filter(|(session, machine)| wanted(session, machine.phase()));
        sessions.map(|(session, _)| session.clone()).collect()
    }
}

/// The leg that the machine was told of last.
fn last_leg(tags: &[Box<str>]) -> Option<String> {
    tags.iter().rev().find_map(|tag| tag.strip_prefix("TRANSFERRED:")).map(str::to_owned)
}

/// Not known to be over.
fn is_up(phase: Phase) -> bool {
    !matches!(phase, Phase::Closing | Phase::Finished)
}

/// A few milliseconds of the switch's time.
const ASKED_AT_ONCE: usize = 32;
/// Longer than the reporting of an end usually takes; nobody talks any more meanwhile.
const END_AWAITED: Duration = Duration::from_secs(2);
/// Longer than the switch's heartbeat: without any event for so long its clock was set, or the end is lost.
const EVENTS_AWAITED: Duration = Duration::from_secs(30);
