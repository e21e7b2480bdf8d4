//! What the auditor knows of one charging session: only what requests and answers said.

use std::collections::BTreeMap;

use types::charging::{
    BalanceAmount, BalanceDraw, ChargingAnswer, ChargingMode, ChargingRequest, Operation, RequestedAction, ResultCode,
    Service, Units,
};
use types::{ReleaseCause, UtcMs};

use super::price::Rate;

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    Expired,
    Closed,
    Denied,
}

/// One rating group.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    pub rate: Rate,
    pub used: u64,
    /// By which request.
    used_by: BTreeMap<u32, u64>,
    /// Where the last grant ends.
    pub reach: u64,
    pub granted_by: u32,
    /// The usage that is charged, in whole steps.
    pub billed: u64,
    pub cost: i128,
    pub charged: i128,
    pub held: i128,
}

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub account: String,
    pub mode: ChargingMode,
    pub service: Service,
    pub stage: Stage,
    pub groups: BTreeMap<u32, Meter>,
    pub called: Option<String>,
    pub answered: Option<UtcMs>,
    pub deadline: Option<UtcMs>,
    pub ended: Option<UtcMs>,
    pub last_number: u32,
    pub terminated_by: Option<u32>,
    pub cut: bool,
    pub overrun: i128,
    /// The cost in money as the core last said it.
    pub told: i128,
    /// Of balances beside money, as the last answer said: what it took in all.
    pub drawn: BTreeMap<Box<str>, i128>,
    /// Requests of it whose fate is not known.
    pub open_fates: u32,
    /// The last answer was decided before a crash, nobody knows when: the deadline may be earlier.
    pub vague: bool,
}

/// How long things take, by the core's settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub ring_ms: u64,
    pub grace_ms: u64,
    pub idle_ms: u64,
    pub window_ms: u64,
    pub tolerance_ms: u64,
}

impl Meter {
    fn new(rate: Rate) -> Self {
        let used_by = BTreeMap::new();
        Self { rate, used: 0, used_by, reach: 0, granted_by: 0, billed: 0, cost: 0, charged: 0, held: 0 }
    }

    /// What that request and those before it reported.
    fn used_through(&self, number: u32) -> u64 {
        self.used_by.range(..=number).map(|(_, used)| used).sum()
    }
}

impl Session {
    pub fn new(request: &ChargingRequest, account: &str) -> Self {
        Self {
            account: account.to_owned(),
            mode: request.charging_mode,
            service: request.service,
            stage: Stage::Denied,
            groups: BTreeMap::new(),
            called: request.called.as_ref().map(|called| called.expose().to_owned()),
            answered: None,
            deadline: None,
            ended: None,
            last_number: request.request_number,
            terminated_by: None,
            cut: false,
            overrun: 0,
            told: 0,
            drawn: BTreeMap::new(),
            open_fates: 0,
            vague: false,
        }
    }

    pub fn cost(&self) -> i128 {
        self.groups.values().map(|meter| meter.cost).sum()
    }

    pub fn charged(&self) -> i128 {
        self.groups.values().map(|meter| meter.charged).sum()
    }

    pub fn held(&self) -> i128 {
        self.groups.values().map(|meter| meter.held).sum()
    }

    pub fn checks_money(&self) -> bool {
        matches!(self.mode, ChargingMode::Prepaid | ChargingMode::Pseudoprepaid)
    }

    pub fn was_used(&self) -> bool {
        self.answered.is_some() || self.groups.values().any(|meter| meter.used > 0)
    }

    /// Whether a report with a higher number has been heard of.
    pub fn is_late(&self, request: &ChargingRequest) -> bool {
        request.request_number < self.last_number
            && (request.operation == Operation::Update || self.stage == Stage::Closed)
    }

    /// Takes in a request and the answer it got at `now`; both belong to this session and the key is new.
    pub fn take(&mut self, request: &ChargingRequest, answer: &ChargingAnswer, now: UtcMs, terms: Terms) {
        let number = request.request_number;
        self.vague = false;
        let closing = request.operation == Operation::Termination;
        let late = self.is_late(request);
        self.answered = self.answered.or(request.answer_time);
        if request.operation == Operation::Event {
            self.event(request);
        } else {
            self.meters(request, answer, late);
            let ours = matches!(request.release_cause, Some(ReleaseCause::CreditExhausted | ReleaseCause::Policy));
            self.cut |= closing && ours;
            self.stage = match self.stage {
                Stage::Closed => Stage::Closed,
                _ if closing => Stage::Closed,
                Stage::Denied if request.operation == Operation::Update => Stage::Denied,
                Stage::Expired if late => Stage::Expired,
                _ => Stage::Open,
            };
            if closing {
                self.terminated_by = self.terminated_by.or(Some(number));
            }
        }
        self.reprice(terms.tolerance_ms);
        self.last_number = self.last_number.max(number);
        match self.stage {
            Stage::Open if late => {}
            Stage::Open => {
                self.ended = None;
                self.deadline = Some(self.deadline_after(now, terms));
            }
            _ => {
                self.deadline = None;
                self.ended = Some(now);
            }
        }
        self.overrun = answer.cost.map_or(self.overrun, |cost| cost.overrun.nanos());
        self.told = answer.cost.map_or(self.told, |cost| cost.amount.nanos());
        self.drawn = draws(&answer.drawn);
    }

    /// The core says that it was not heard of in time: what was granted counts as used, if anything was.
    pub fn expire(&mut self, now: UtcMs) {
        self.stage = Stage::Expired;
        self.deadline = None;
        self.ended = Some(now);
        self.reprice(0);
    }

    fn event(&mut self, request: &ChargingRequest) {
        let refund = request.requested_action == Some(RequestedAction::Refund);
        self.stage = Stage::Closed;
        if refund {
            self.groups.values_mut().for_each(|meter| meter.used = 0);
            return;
        }
        for unit in &request.units {
            let used = unit.requested.as_ref().map_or(0, |units| amount(request.service, units));
            if let Some(meter) = self.meter(request.service, unit.rating_group) {
                (meter.used, meter.reach) = (used, used);
            }
        }
    }

    fn meters(&mut self, request: &ChargingRequest, answer: &ChargingAnswer, late: bool) {
        let number = request.request_number;
        let opens = matches!(self.stage, Stage::Open | Stage::Expired)
            || (request.operation == Operation::Initial && self.stage == Stage::Denied);
        for (unit, told) in request.units.iter().zip(&answer.units) {
            let used: u64 = unit.used.iter().map(|used| amount(request.service, &used.units)).sum();
            if told.result_code == ResultCode::RATING_FAILED {
                continue;
            }
            let Some(meter) = self.meter(request.service, unit.rating_group) else { continue };
            meter.used += used;
            *meter.used_by.entry(number).or_default() += used;
            if number < meter.granted_by {
                meter.reach += used;
            }
            let granted = told.granted.as_ref().map(|units| amount(request.service, units));
            if let (true, Some(granted)) = (late && number > meter.granted_by, granted) {
                // Only who comes in time is granted anything: it was decided before those that were heard of first, and from the
                // usage up to itself. Whether that can be, `promise` has seen.
                (meter.reach, meter.granted_by) = (meter.used_through(number) + granted, number);
            }
            if unit.requested.is_none() || late || !opens || request.operation == Operation::Termination {
                continue;
            }
            match granted {
                Some(granted) if granted > 0 || told.final_unit.is_none() => {
                    (meter.reach, meter.granted_by) = (meter.used + granted, number);
                }
                _ => meter.reach = meter.reach.max(meter.used),
            }
        }
    }

    fn meter(&mut self, service: Service, rating_group: u32) -> Option<&mut Meter> {
        let rate = Rate::of(service, rating_group, self.called.as_deref())?;
        Some(self.groups.entry(rating_group).or_insert_with(|| Meter::new(rate)))
    }

    /// Cost, debit and reservation of each group, from nothing but usage, grant and stage.
    fn reprice(&mut self, tolerance_ms: u64) {
        let (stage, cut, voice, used_at_all) = (self.stage, self.cut, self.service == Service::Voice, self.was_used());
        let checks = self.checks_money();
        for meter in self.groups.values_mut() {
            let beyond = meter.used.saturating_sub(meter.reach);
            let usage = match stage {
                Stage::Closed if cut && voice && beyond <= tolerance_ms => meter.used.min(meter.reach),
                Stage::Expired if used_at_all => meter.used.max(meter.reach),
                _ => meter.used,
            };
            let ended = matches!(stage, Stage::Closed | Stage::Expired);
            meter.billed = meter.rate.billable(usage);
            meter.cost = meter.rate.cost(usage);
            meter.charged = match self.mode {
                ChargingMode::Prepaid => meter.cost,
                ChargingMode::Pseudoprepaid | ChargingMode::Postpaid if ended => meter.cost,
                _ => 0,
            };
            let holds = stage == Stage::Open && checks;
            meter.held = if holds { (meter.rate.cost(meter.reach) - meter.charged).max(0) } else { 0 };
        }
    }

    fn deadline_after(&self, now: UtcMs, terms: Terms) -> UtcMs {
        if self.service != Service::Voice {
            return now.plus(terms.idle_ms);
        }
        let left = self.groups.values().map(|meter| meter.reach.saturating_sub(meter.used)).max().unwrap_or(0);
        let ring_ms = if self.was_used() { 0 } else { terms.ring_ms };
        now.plus(ring_ms).plus(left).plus(terms.grace_ms)
    }
}

/// What was taken from each balance beside money.
pub(super) fn draws(drawn: &[BalanceDraw]) -> BTreeMap<Box<str>, i128> {
    let nanos = |draw: &BalanceDraw| match draw.amount {
        BalanceAmount::Money(money) => money.nanos(),
        BalanceAmount::Units(units) => i128::from(units),
    };
    drawn.iter().map(|draw| (draw.balance_id.clone(), nanos(draw))).collect()
}

/// In the service's own unit.
pub(super) fn amount(service: Service, units: &Units) -> u64 {
    match service {
        Service::Voice => units.time_ms.unwrap_or(0),
        Service::Data => units.total_octets.unwrap_or(0),
        _ => units.specific_units.unwrap_or(0),
    }
}
