//! A switch: people who call, answer and hang up; a backstop for each call; a list of calls. It obeys the agent now and then late, or
//! not at all, dies, and loses its line to the agent. What it tells arrives in order.

use std::collections::BTreeMap;

use agent_call::{Answer, CallEnd, CallOffer, Command, SwitchEvent};
use cdr_model::{CallDirection, SipData};
use types::charging::{ChargingMode, Service, SubscriberId};
use types::{EndedBy, ReleaseCause, SessionId};

use super::auditor::Auditor;
use super::event::{AgentEvent, AtSwitch, Event, News};
use super::stage::Stage;
use super::tariff::TENANT;

/// See the module's documentation.
pub(crate) struct Switch {
    site: usize,
    run: u32,
    made: u64,
    calls: BTreeMap<SessionId, Call>,
    /// The agent's process that hears of everything; absent: none.
    line: Option<u32>,
    told_until: u64,
    /// Its wall clock is wrong by so much; the agent's, too: they share a machine.
    pub skew_ms: i64,
    backstops: u64,
    pub answered: u64,
}

struct Call {
    offer: CallOffer,
    state: State,
    backstop: Option<u64>,
    granted_ms: u64,
}

enum State {
    /// Held back for the agent.
    Held,
    Ringing,
    Talking {
        since: u64,
        at: types::UtcMs,
    },
    /// Kept until somebody acknowledges it.
    Over(Box<CallEnd>),
}

impl Switch {
    pub fn new(site: usize) -> Self {
        Self {
            site,
            run: 1,
            made: 0,
            calls: BTreeMap::new(),
            line: None,
            told_until: 0,
            skew_ms: 0,
            backstops: 0,
            answered: 0,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.calls.values().all(|call| matches!(call.state, State::Over(_)))
    }

    /// The agent's process is there.
    pub fn connect(&mut self, stage: &mut Stage, life: u32) {
        self.line = Some(life);
        self.list(stage, true);
    }

    pub fn disconnect(&mut self) {
        self.line = None;
    }

    /// When the last of what it told so far is heard.
    pub fn told_until(&self) -> u64 {
        self.told_until
    }

    pub fn happens(&mut self, stage: &mut Stage, auditor: &mut Auditor, event: AtSwitch) {
        match event {
            AtSwitch::Dial => self.dial(stage),
            AtSwitch::Command(session, command) => self.command(stage, auditor, &session, command),
            AtSwitch::Forget(session) => {
                if self.calls.get(&session).is_some_and(|call| matches!(call.state, State::Over(_))) {
                    self.calls.remove(&session);
                }
            }
            AtSwitch::GiveUp(session) => {
                if self.calls.get(&session).is_some_and(|call| matches!(call.state, State::Held)) {
                    self.over(stage, auditor, &session, CallEnd::unanswered(stage.utc(self.skew_ms), 480));
                }
            }
            AtSwitch::Answer(session) => self.answer(stage, auditor, &session),
            AtSwitch::HangUp(session) => {
                let at = stage.utc(self.skew_ms);
                self.over(stage, auditor, &session, CallEnd::normal(at, EndedBy::Caller));
            }
            AtSwitch::Backstop(session, number) => {
                if self.calls.get(&session).is_some_and(|call| call.backstop == Some(number)) {
                    let at = stage.utc(self.skew_ms);
                    let release_cause = Some(ReleaseCause::CreditExhausted);
                    let end = CallEnd { release_cause, ..CallEnd::normal(at, EndedBy::Tollkeeper) };
                    self.over(stage, auditor, &session, end);
                }
            }
            AtSwitch::List => {
                self.list(stage, false);
                stage.after(PROOF_MS, Event::Switch { site: self.site, event: AtSwitch::List });
            }
            AtSwitch::Connect(_) | AtSwitch::Break => {}
            AtSwitch::Dies => {
                stage.tell(|| format!("switch {} is killed", self.site));
                self.run += 1;
                self.calls.keys().for_each(|session| auditor.call_forgotten(session));
                self.calls.clear();
            }
        }
    }

    fn dial(&mut self, stage: &mut Stage) {
        self.made += 1;
        let account = stage.dice.below(stage.plan.accounts);
        let number = match stage.roll(0, 19) {
            0 => "+8812345678",
            1..=4 => "+442071234567",
            5..=7 => "+33123456789",
            _ => "+4930123456",
        };
        let has_bundle = account % 5 == 4;
        let mode = match stage.roll(0, 9) {
            _ if has_bundle => ChargingMode::Prepaid,
            0 => ChargingMode::Postpaid,
            1 => ChargingMode::Pseudoprepaid,
            2 => ChargingMode::Rated,
            _ => ChargingMode::Prepaid,
        };
        let called = if has_bundle { "+4930123456" } else { number };
        let payer = if stage.dice.per_mille(10) { "nobody".to_owned() } else { format!("a{account}") };
        let session: SessionId = format!("k{}/{}/{}", self.site, self.run, self.made).into();
        let offer = CallOffer {
            call_id: session.as_str().into(),
            session_id: session.clone(),
            leg_id: "A".into(),
            parent_leg_id: None,
            tenant: TENANT.into(),
            payer: Some(SubscriberId::account(payer)),
            charging_mode: mode,
            service: Service::Voice,
            category: "call".into(),
            subject: None,
            calling: Some("+49301111".into()),
            called: Some(called.into()),
            dialled: called.into(),
            offered: stage.utc(self.skew_ms),
            never_refuse: false,
            direction: CallDirection::MobileOriginated,
            sip: SipData::default(),
            node: "switch".into(),
            trunk: None,
        };
        let call = Call { offer: offer.clone(), state: State::Held, backstop: None, granted_ms: 0 };
        self.calls.insert(session.clone(), call);
        stage.after(GIVES_UP_MS, Event::Switch { site: self.site, event: AtSwitch::GiveUp(session) });
        self.tell(stage, News::Offered(Box::new(offer)));
    }

    fn command(&mut self, stage: &mut Stage, auditor: &mut Auditor, session: &SessionId, command: Command) {
        let Some(call) = self.calls.get_mut(session) else { return };
        if matches!(call.state, State::Over(_)) {
            return;
        }
        let at = stage.utc(self.skew_ms);
        match command {
            Command::Admit { granted_ms } if matches!(call.state, State::Held) => {
                (call.state, call.granted_ms) = (State::Ringing, granted_ms);
                self.ring(stage, session);
            }
            Command::Refuse(cause) => {
                let end = CallEnd {
                    by: EndedBy::Tollkeeper,
                    release_cause: Some(cause),
                    ..CallEnd::unanswered(at, cause.sip_status())
                };
                self.over(stage, auditor, session, end);
            }
            Command::MoveBackstop { remaining_ms } => self.arm(stage, session, remaining_ms),
            Command::Release { cause, attempt } => {
                if attempt < 3 && stage.mishap(60) {
                    return;
                }
                let end = CallEnd { by: EndedBy::Tollkeeper, ..CallEnd::normal(at, EndedBy::Tollkeeper) };
                let end = match call.state {
                    State::Talking { .. } => end,
                    _ => CallEnd { release_cause: Some(cause), ..CallEnd::unanswered(at, cause.sip_status()) },
                };
                self.over(stage, auditor, session, end);
            }
            Command::Admit { .. } | Command::WarnLowBalance { .. } => {}
        }
    }

    /// It rings, and one of many things becomes of it.
    fn ring(&mut self, stage: &mut Stage, session: &SessionId) {
        let site = self.site;
        let ring_ms = stage.roll(200, 15_000);
        let event = if stage.dice.per_mille(150) { AtSwitch::HangUp } else { AtSwitch::Answer };
        stage.after(ring_ms, Event::Switch { site, event: event(session.clone()) });
    }

    fn answer(&mut self, stage: &mut Stage, auditor: &mut Auditor, session: &SessionId) {
        let at = stage.utc(self.skew_ms);
        let Some(call) = self.calls.get_mut(session).filter(|call| matches!(call.state, State::Ringing)) else {
            return;
        };
        call.state = State::Talking { since: stage.now, at };
        let granted_ms = call.granted_ms;
        self.answered += 1;
        if stage.plan.keeps_ends {
            auditor.call_answered(session);
        }
        stage.tell(|| format!("{session} is answered"));
        self.arm(stage, session, granted_ms);
        let talk_ms = match stage.roll(0, 9) {
            0 => stage.roll(0, 1_000),
            1..=6 => stage.roll(1_000, 180_000),
            _ => stage.roll(60_000, 900_000),
        };
        stage.after(talk_ms, Event::Switch { site: self.site, event: AtSwitch::HangUp(session.clone()) });
        let answer = Answer { at, elapsed_ms: 0 };
        self.tell(stage, News::Call(session.clone(), SwitchEvent::Answered(answer)));
    }

    fn arm(&mut self, stage: &mut Stage, session: &SessionId, remaining_ms: u64) {
        self.backstops += 1;
        let number = self.backstops;
        let Some(call) = self.calls.get_mut(session) else { return };
        if !matches!(call.state, State::Talking { .. }) {
            call.granted_ms = remaining_ms;
            return;
        }
        call.backstop = Some(number);
        let event = Event::Switch { site: self.site, event: AtSwitch::Backstop(session.clone(), number) };
        // Whole seconds, and never early.
        stage.after(remaining_ms.div_ceil(1_000) * 1_000 + 1_000, event);
    }

    fn over(&mut self, stage: &mut Stage, auditor: &mut Auditor, session: &SessionId, end: CallEnd) {
        let Some(call) = self.calls.get_mut(session) else { return };
        let end = match call.state {
            State::Over(_) => return,
            State::Talking { at, since } => {
                if stage.plan.clock_ms == 0 {
                    auditor.call_talked(session, stage.now - since);
                }
                CallEnd { answered: Some(at), ..end }
            }
            _ => CallEnd { answered: None, cancelled: end.by == EndedBy::Caller, ..end },
        };
        stage.tell(|| format!("{session} is over: {:?}", end.release_cause));
        call.state = State::Over(Box::new(end.clone()));
        call.backstop = None;
        let heard = self.line.is_some();
        self.tell(stage, News::Call(session.clone(), SwitchEvent::Ended(end)));
        if !stage.plan.keeps_ends && !heard {
            self.calls.remove(session);
        }
    }

    /// All calls, as after a question.
    fn list(&mut self, stage: &mut Stage, fresh: bool) {
        let (mut live, mut ended) = (Vec::new(), Vec::new());
        for call in self.calls.values() {
            let offer = call.offer.clone();
            match &call.state {
                State::Held | State::Ringing => live.push((offer, SwitchEvent::Ringing)),
                State::Talking { since, at } => {
                    let answer = Answer { at: *at, elapsed_ms: stage.now - since };
                    live.push((offer, SwitchEvent::Alive(answer)));
                }
                State::Over(end) if stage.plan.keeps_ends => ended.push((offer, (**end).clone())),
                State::Over(_) => {}
            }
        }
        self.tell(stage, News::List { live, ended, fresh });
        if !stage.plan.keeps_ends {
            self.calls.retain(|_, call| !matches!(call.state, State::Over(_)));
        }
    }

    fn tell(&mut self, stage: &mut Stage, news: News) {
        let Some(life) = self.line else { return };
        let delay_ms = if stage.mishap(20) { stage.roll(20, 1_500) } else { stage.roll(0, 5) };
        self.told_until = self.told_until.max(stage.now + delay_ms);
        let event = AgentEvent::Heard(news);
        stage.at(self.told_until, Event::Agent { site: self.site, life, event });
    }
}

/// A call that nobody decides about.
const GIVES_UP_MS: u64 = 20_000;
/// Between lists.
pub(crate) const PROOF_MS: u64 = 10_000;
