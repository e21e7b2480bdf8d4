//! The machine itself: what it holds, and which part answers which input.

use std::sync::Arc;

use types::charging::{
    ChargingRequest, Cost, Operation, ReportingReason, ServiceInformation, SessionPhase, SessionSummary, UnitUsage,
    Units, UsedUnits,
};
use types::{DurationMs, Money, MonoMs, Now, ReleaseCause, SessionId, UtcMs};

use crate::effect::{Alarm, Command, Effect, Input, Timer};
use crate::event::{Answer, CallEnd, CallOffer, SwitchEvent};
use crate::meter::Meter;
use crate::settings::CallSettings;
use crate::snapshot::{Ending, Snapshot};

/// One call. Feed it with [`CallMachine::accept`] until it emits [`Effect::Finished`].
#[derive(Debug)]
pub struct CallMachine {
    pub(crate) settings: Arc<CallSettings>,
    pub(crate) offer: Arc<CallOffer>,
    pub(crate) phase: Phase,
    pub(crate) meter: Option<Meter>,
    pub(crate) grant: Grant,
    pub(crate) requests: Requests,
    pub(crate) records: Records,
    pub(crate) release: Option<Release>,
    pub(crate) end: Option<Box<Ending>>,
    pub(crate) cost: Option<Cost>,
    /// Charged so far, rounded up to whole increments.
    pub(crate) billable_ms: DurationMs,
    /// The switch can be heard and commanded.
    pub(crate) connected: bool,
    pub(crate) warned: bool,
    /// The driver was asked whether the call may go on without the core, for this request.
    pub(crate) asked_to_continue: bool,
    pub(crate) tags: Vec<Box<str>>,
}

/// Where a call stands; see the table in the crate's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// INITIAL is on its way.
    Authorising,
    /// Admitted, not answered.
    Ringing,
    /// Refused; the switch has not confirmed the end yet.
    Refused,
    /// Answered.
    Talking,
    /// Over; TERMINATION is on its way.
    Closing,
    /// Nothing more will come.
    Finished,
}

/// How far the credit reaches.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Grant {
    /// Talk that is paid for, from the answer, in milliseconds.
    pub(crate) reach_ms: DurationMs,
    /// It was the last one.
    pub(crate) last: bool,
    /// Why there will be no other, when the core said more than that the credit ends.
    pub(crate) denied: Option<ReleaseCause>,
    /// Not the core's: it does not answer, and the call may go on so far.
    pub(crate) continued: bool,
}

/// The dialogue with the core.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// Number of the next request.
    pub(crate) next: u32,
    /// The INITIAL or UPDATE that waits for its answer.
    pub(crate) in_flight: Option<u32>,
    /// Number of the TERMINATION, once sent.
    pub(crate) termination: Option<u32>,
    /// Talk reported in all requests so far.
    pub(crate) reported_ms: DurationMs,
    /// Number of the next used-unit container.
    pub(crate) container: u32,
    /// The core has, or may have, a session.
    pub(crate) session_open: bool,
    /// REAUTHORIZE came while a request was in flight.
    pub(crate) reauthorize: bool,
    /// The core's copy of the snapshot is old.
    pub(crate) snapshot_stale: bool,
}

/// The records written.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) next: u32,
    pub(crate) interims: u32,
    /// Talk already told.
    pub(crate) recorded_ms: DurationMs,
    /// Cost already told.
    pub(crate) recorded_cost: Money,
    pub(crate) started: bool,
    /// The STOP was written without its price.
    pub(crate) pending_stop: bool,
}

/// We are ending the call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Release {
    pub(crate) cause: ReleaseCause,
    pub(crate) attempts: u32,
}

impl CallMachine {
    /// A call that the switch holds back until we say so.
    pub fn offer(
        settings: Arc<CallSettings>,
        offer: impl Into<Arc<CallOffer>>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut call = Self::new(settings, offer);
        call.authorise(now, effects);
        call
    }

    /// A call that there is no room for, whoever would pay. A never-refuse call goes through all the same.
    pub fn refused(
        settings: Arc<CallSettings>,
        offer: impl Into<Arc<CallOffer>>,
        cause: ReleaseCause,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut call = Self::new(settings, offer);
        if call.is_charged() {
            call.refuse(cause, now, effects);
        } else {
            call.authorise(now, effects);
        }
        call
    }

    /// An answered call that we did not know: the agent was away when it began.
    pub fn adopt(
        settings: Arc<CallSettings>,
        offer: impl Into<Arc<CallOffer>>,
        answer: Answer,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut call = Self::new(settings, offer);
        call.tags.push("ADOPTED".into());
        call.answered(answer, now, effects);
        call.authorise(now, effects);
        call
    }

    /// A call that we did not know and that is over already.
    pub fn adopt_ended(
        settings: Arc<CallSettings>,
        offer: impl Into<Arc<CallOffer>>,
        end: CallEnd,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut call = Self::new(settings, offer);
        match end.answered {
            Some(at) => {
                call.tags.push("ADOPTED".into());
                call.meter = Some(Meter::stopped(at, 0, 0));
                call.start_record(at, effects);
                call.authorise(now, effects);
                call.ended(end, now, effects);
            }
            None => {
                call.phase = Phase::Ringing;
                call.ended(end, now, effects);
            }
        }
        call
    }

    /// A call from before the agent's restart. It stands still until the switch says what became of it.
    ///
    /// `proven_ms` is the talk of the last proof that was kept locally; 0 when there is none.
    pub fn restore(
        settings: Arc<CallSettings>,
        snapshot: Snapshot,
        session: &SessionSummary,
        proven_ms: DurationMs,
    ) -> Self {
        let mut call = Self::new(settings, snapshot.offer);
        let answered = snapshot.answered.or(session.answer_time);
        call.connected = false;
        call.phase = if answered.is_some() { Phase::Talking } else { Phase::Ringing };
        call.meter = answered.map(|at| Meter::stopped(at, snapshot.held_ms, proven_ms.max(session.used_time_ms)));
        call.grant = Grant { reach_ms: session.granted_time_ms, last: session.final_grant, ..Grant::default() };
        call.requests = Requests {
            next: session.last_request_number.saturating_add(1),
            reported_ms: session.used_time_ms,
            container: session.last_request_number.saturating_add(1),
            session_open: matches!(session.phase, SessionPhase::Open | SessionPhase::Expired),
            ..Requests::default()
        };
        call.records = Records {
            next: snapshot.next_record,
            interims: snapshot.interims,
            recorded_ms: snapshot.recorded_ms,
            recorded_cost: snapshot.recorded_cost,
            // The core may have heard of the answer before the START was on disk; written twice it has the same id.
            started: false,
            pending_stop: false,
        };
        call.release = snapshot.release.map(|cause| Release { cause, attempts: 1 });
        (call.cost, call.billable_ms) = (session.cost, session.billable_ms);
        (call.warned, call.tags) = (snapshot.warned, snapshot.tags);
        call
    }

    /// What was kept of a call outside of the core, which hears of the answer only with the first UPDATE. For right
    /// after [`CallMachine::restore`].
    pub fn was_answered(&mut self, answered: UtcMs, proven_ms: DurationMs) {
        if self.meter.is_none() && self.phase == Phase::Ringing {
            self.meter = Some(Meter::stopped(answered, 0, proven_ms));
            self.phase = Phase::Talking;
        }
    }

    pub(crate) fn new(settings: Arc<CallSettings>, offer: impl Into<Arc<CallOffer>>) -> Self {
        let offer = offer.into();
        let tags = if offer.never_refuse { vec!["NEVER_REFUSED".into()] } else { Vec::new() };
        Self {
            settings,
            offer,
            phase: Phase::Authorising,
            meter: None,
            grant: Grant::default(),
            requests: Requests { snapshot_stale: true, ..Requests::default() },
            records: Records::default(),
            release: None,
            end: None,
            cost: None,
            billable_ms: 0,
            connected: true,
            warned: false,
            asked_to_continue: false,
            tags,
        }
    }

    /// Takes one input and appends what follows from it.
    pub fn accept(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Finished {
            return;
        }
        match input {
            Input::Switch(event) => self.accept_switch(now, event, effects),
            Input::Charged(answer) => self.charged(now, &answer, effects),
            Input::ChargingFailed { request_number } => self.charging_failed(now, request_number, effects),
            Input::Continue { longest_ms } => self.go_on_without_core(longest_ms, now, effects),
            Input::Reauthorize => self.reauthorize(now, effects),
            Input::Release(cause) => self.release_wanted(cause, now, effects),
            Input::SwitchLost => self.switch_lost(effects),
            Input::Timer(timer) => self.timer(now, timer, effects),
        }
    }

    fn accept_switch(&mut self, now: Now, event: SwitchEvent, effects: &mut Vec<Effect>) {
        match event {
            SwitchEvent::Ringing => self.ringing(now, effects),
            SwitchEvent::Answered(answer) => self.answered(answer, now, effects),
            SwitchEvent::Alive(answer) => self.alive(answer, now, effects),
            SwitchEvent::Held => self.held(now, effects),
            SwitchEvent::Resumed => self.resumed(now, effects),
            SwitchEvent::Transferred { to } => self.transferred(to),
            SwitchEvent::Ended(end) => self.ended(end, now, effects),
            SwitchEvent::Gone => self.gone(now, effects),
        }
    }

    fn timer(&mut self, now: Now, timer: Timer, effects: &mut Vec<Effect>) {
        match timer {
            Timer::Ring => self.ring_timeout(now, effects),
            Timer::Quota => self.quota_due(now, effects),
            Timer::Interim => self.interim_due(now, effects),
            Timer::MaximumCall => self.release_wanted(ReleaseCause::MaximumDuration, now, effects),
            Timer::Release => self.repeat_release(now, effects),
            Timer::FinalRecord => self.price_late(effects),
        }
    }

    /// The charging session.
    pub fn session_id(&self) -> &SessionId {
        &self.offer.session_id
    }

    /// The call as it was offered.
    pub fn call_offer(&self) -> &CallOffer {
        &self.offer
    }

    /// Where the call stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The switch's answer time; `None` before the answer.
    pub fn answered_at(&self) -> Option<UtcMs> {
        self.meter.map(|meter| meter.answered)
    }

    /// Talk that the switch has proven so far, in milliseconds; 0 before the answer.
    pub fn proven_ms(&self) -> DurationMs {
        self.meter.map_or(0, |meter| meter.proven_ms)
    }

    /// The call goes on although the core does not answer.
    pub fn is_continued(&self) -> bool {
        self.grant.continued
    }

    /// How far the credit reaches from the answer, in milliseconds; 0 without a grant.
    pub fn granted_ms(&self) -> DurationMs {
        self.grant.reach_ms
    }

    /// When the grant ends, by our clock; `None` while the call is not metered. A cut is late by the distance to it.
    pub fn cut_due_mono(&self) -> Option<MonoMs> {
        self.meter.and_then(|meter| meter.when(self.grant.reach_ms))
    }

    /// What must survive a crash of the agent.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            offer: Arc::clone(&self.offer),
            answered: self.meter.map(|meter| meter.answered),
            next_record: self.records.next,
            interims: self.records.interims,
            recorded_ms: self.records.recorded_ms,
            recorded_cost: self.records.recorded_cost,
            held_ms: self.meter.map_or(0, |meter| meter.held_ms),
            warned: self.warned,
            release: self.release.map(|release| release.cause),
            tags: self.tags.clone(),
            ending: self.end.as_deref().cloned(),
            granted_ms: self.grant.reach_ms,
            cost: self.cost,
            pending_stop: self.records.pending_stop,
        }
    }

    /// A request of this session. `used_ms`: talk since the last report; `asked_ms`: wanted next, `None`: nothing.
    pub(crate) fn request(
        &mut self,
        operation: Operation,
        now: Now,
        used: Option<(DurationMs, ReportingReason)>,
        asked_ms: Option<DurationMs>,
    ) -> Effect {
        let number = self.requests.next;
        self.requests.next = number.saturating_add(1);
        let used = used.map(|(time_ms, reason)| {
            let sequence = self.requests.container;
            self.requests.container = sequence.saturating_add(1);
            self.requests.reported_ms = self.requests.reported_ms.saturating_add(time_ms);
            UsedUnits {
                sequence,
                units: Units::time(time_ms),
                start: None,
                end: None,
                tariff_change: None,
                reason: Some(reason),
            }
        });
        let offer = &self.offer;
        let request = Box::new(ChargingRequest {
            client_id: self.settings.client_id.clone(),
            session_id: offer.session_id.clone(),
            request_number: number,
            operation,
            requested_action: None,
            tenant: offer.tenant.clone(),
            subscribers: offer.payer.iter().cloned().collect(),
            charging_mode: offer.charging_mode,
            service: offer.service,
            category: offer.category.clone(),
            subject: offer.subject.clone(),
            calling: offer.calling.clone(),
            called: offer.called.clone(),
            event_time: now.utc,
            answer_time: self.meter.map(|meter| meter.answered),
            service_information: Some(Box::new(ServiceInformation {
                trunk: offer.trunk.clone(),
                node: Some(offer.node.clone()),
                ..ServiceInformation::default()
            })),
            units: vec![UnitUsage {
                requested: asked_ms.map(Units::time),
                used: used.into_iter().collect(),
                ..UnitUsage::default()
            }],
            release_cause: if operation == Operation::Termination { self.release_cause() } else { None },
            client_state: Vec::new(),
            retransmission: false,
        });
        // The last request carries what the last record is made of: should the agent die before that is durable, a later
        // one finds it with the request.
        let wanted = self.requests.snapshot_stale || operation == Operation::Termination;
        let snapshot = wanted.then(|| Box::new(self.snapshot()));
        self.requests.snapshot_stale = false;
        match operation {
            Operation::Termination => self.requests.termination = Some(number),
            _ => self.requests.in_flight = Some(number),
        }
        Effect::Charge { request, snapshot }
    }

    /// Why the core never gave it anything, if a former agent could not carry that out.
    pub(crate) fn never_granted(&self) -> Option<ReleaseCause> {
        self.grant.denied.filter(|_| self.grant.last && self.grant.reach_ms == 0)
    }

    /// Why tollkeeper, or the switch in its name, ended the call.
    pub(crate) fn release_cause(&self) -> Option<ReleaseCause> {
        let of_switch = || self.end.as_ref().and_then(|ending| ending.end.release_cause);
        self.release.map(|release| release.cause).or_else(of_switch)
    }

    pub(crate) fn finish(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Finished;
        effects.push(Effect::Finished);
    }

    pub(crate) fn alarm(&self, alarm: Alarm, effects: &mut Vec<Effect>) {
        effects.push(Effect::Alarm(alarm));
    }

    pub(crate) fn command(&self, command: Command, effects: &mut Vec<Effect>) {
        effects.push(Effect::Command(command));
    }
}
