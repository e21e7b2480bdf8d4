//! One session's working sheet: meters of all its groups, before and after, and the money that follows from them.
//! The only place where usage meets prices.

use std::borrow::Cow;

use types::charging::{ChargingMode, Service};
use types::{DurationMs, Money};

use super::Turn;
use crate::account::Account;
use crate::change::GroupChange;
use crate::pricing::{RateKey, Rounding};
use crate::session::{MAX_USAGE, Meter, Session};

/// How the usage is charged this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// The session goes on.
    Running,
    /// The session is closed; final rounding. After our own cut for lack of credit a little talk is free.
    Closing { cut: bool },
    /// The session was not heard of in time: the grant counts as used if charging had begun.
    Assumed { answered: bool },
}

/// One rating group.
pub(super) struct Draft<'a> {
    pub rating_group: u32,
    pub service_identifier: Option<u32>,
    /// Owned when new or resolved again.
    pub rate: Cow<'a, RateKey>,
    before: Meter,
    pub meter: Meter,
}

/// What a group was granted, from the point of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub amount: u64,
    /// Less than was asked for.
    pub last: bool,
}

pub(super) struct Sheet<'a> {
    turn: Turn<'a>,
    pub account: &'a Account,
    mode: ChargingMode,
    pub service: Service,
    overrun_before: Money,
    pub drafts: Vec<Draft<'a>>,
}

impl<'a> Sheet<'a> {
    pub fn new(turn: &Turn<'a>, account: &'a Account, mode: ChargingMode, service: Service) -> Self {
        Self { turn: *turn, account, mode, service, overrun_before: Money::ZERO, drafts: Vec::new() }
    }

    pub fn of_session(turn: &Turn<'a>, account: &'a Account, session: &'a Session) -> Self {
        let draft = |group: &'a crate::session::Group| Draft {
            rating_group: group.rating_group,
            service_identifier: group.service_identifier,
            rate: Cow::Borrowed(&group.rate),
            before: group.meter,
            meter: group.meter,
        };
        let drafts = session.groups.iter().map(draft).collect();
        let sheet = Self::new(turn, account, session.mode, session.service);
        Self { overrun_before: session.overrun, drafts, ..sheet }
    }

    /// Adds a group; its place.
    pub fn add(&mut self, rating_group: u32, service_identifier: Option<u32>, rate: RateKey) -> usize {
        let (before, meter) = (Meter::default(), Meter::default());
        self.drafts.push(Draft { rating_group, service_identifier, rate: Cow::Owned(rate), before, meter });
        self.drafts.len() - 1
    }

    /// Charges every group for its total usage: cost is the price of it, and what the mode debits now is the cost
    /// less what has been charged before.
    pub fn price(&mut self, basis: Basis) {
        let rounding = if basis == Basis::Running { Rounding::Running } else { Rounding::Final };
        let is_end = basis != Basis::Running;
        for draft in &mut self.drafts {
            let usage = chargeable(self.service, &draft.meter, basis, self.turn.settings.cut_tolerance_ms);
            let pricing = self.turn.pricing;
            // Without usage there is no connect fee either.
            draft.meter.cost = if usage == 0 { Money::ZERO } else { pricing.price(&draft.rate, usage, rounding) };
            draft.meter.billable = pricing.billable(&draft.rate, usage);
            draft.meter.per_minute_rate = pricing.per_minute_rate(&draft.rate, usage);
            draft.meter.charged = match self.mode {
                ChargingMode::Prepaid => draft.meter.cost,
                ChargingMode::Pseudoprepaid | ChargingMode::Postpaid if is_end => draft.meter.cost,
                ChargingMode::Pseudoprepaid | ChargingMode::Postpaid | ChargingMode::Rated => Money::ZERO,
            };
        }
    }

    /// Gives back every reservation.
    pub fn release_all(&mut self) {
        for draft in &mut self.drafts {
            draft.meter.held = Money::ZERO;
        }
    }

    /// Gives back the reservation of one group.
    pub fn release(&mut self, at: usize) {
        if let Some(draft) = self.drafts.get_mut(at) {
            draft.meter.held = Money::ZERO;
        }
    }

    /// Reserves again for the group's grant as it stands.
    pub fn hold_again(&mut self, at: usize) {
        let checked = self.checks_money();
        if let Some(draft) = self.drafts.get_mut(at) {
            let held = if checked { needed(&self.turn, draft, draft.meter.reach) } else { Money::ZERO };
            draft.meter.held = held;
        }
    }

    /// Grants up to `requested` units from the point of the report, as far as the money reaches.
    pub fn grant(&mut self, at: usize, requested: u64, request_number: u32) -> Grant {
        let (checked, available, turn) = (self.checks_money(), self.available().or_zero(), self.turn);
        let Some(draft) = self.drafts.get_mut(at) else { return Grant { amount: 0, last: true } };
        let used = draft.meter.used;
        let wanted = used.saturating_add(requested).min(MAX_USAGE);
        let limit = turn.pricing.billable(&draft.rate, wanted).max(used);
        let affordable = !checked || needed(&turn, draft, limit) <= available;
        let reach = if affordable {
            limit
        } else {
            let amount = draft.meter.charged + available;
            turn.pricing.max_usage(&draft.rate, used, limit, amount).clamp(used, limit)
        };
        draft.meter.final_grant = reach < limit;
        if reach > used || affordable {
            draft.meter.reach = reach;
            draft.meter.granted_by = request_number;
        } else {
            // Nothing more: what was granted before stands, and the client lets it run out.
            draft.meter.reach = draft.meter.reach.max(used);
        }
        draft.meter.held = if checked { needed(&turn, draft, draft.meter.reach) } else { Money::ZERO };
        Grant { amount: reach - used, last: draft.meter.final_grant }
    }

    /// Lets what was granted before run out, as the last grant.
    pub fn let_run_out(&mut self, at: usize) {
        if let Some(draft) = self.drafts.get_mut(at) {
            draft.meter.reach = draft.meter.reach.max(draft.meter.used);
            draft.meter.final_grant = true;
        }
        self.hold_again(at);
    }

    /// What the account may still spend after this sheet; negative when overdrawn.
    pub fn available(&self) -> Money {
        let held: Money = self.drafts.iter().map(|draft| draft.meter.held - draft.before.held).sum();
        self.account.available() - self.debit() - held
    }

    /// What this sheet takes from the balance; negative when it gives back.
    pub fn debit(&self) -> Money {
        self.drafts.iter().map(|draft| draft.meter.charged - draft.before.charged).sum()
    }

    pub fn cost(&self) -> Money {
        self.drafts.iter().map(|draft| draft.meter.cost).sum()
    }

    /// What the session was charged beyond the account's credit, in all. Giving back reduces it.
    pub fn overrun(&self) -> Money {
        if !self.checks_money() {
            return Money::ZERO;
        }
        let below_limit = |balance: Money| (-(balance + self.account.credit())).or_zero();
        let change = below_limit(self.account.balance - self.debit()) - below_limit(self.account.balance);
        (self.overrun_before + change).or_zero().min(self.cost())
    }

    /// True when this sheet left the account with more to spend than before.
    pub fn frees_credit(&self) -> bool {
        let available = self.available();
        available > self.account.available() && available > Money::ZERO
    }

    /// The groups that changed.
    pub fn group_changes(&self) -> Vec<GroupChange> {
        let changed = |draft: &&Draft<'_>| draft.meter != draft.before || matches!(draft.rate, Cow::Owned(_));
        let change = |draft: &Draft<'_>| GroupChange {
            rating_group: draft.rating_group,
            service_identifier: draft.service_identifier,
            rate: match &draft.rate {
                Cow::Owned(rate) => Some(rate.clone()),
                Cow::Borrowed(_) => None,
            },
            meter: draft.meter,
        };
        self.drafts.iter().filter(changed).map(change).collect()
    }

    /// The time left in the longest grant, in milliseconds; absent for other units than time.
    pub fn longest_grant_ms(&self) -> Option<DurationMs> {
        let left = |draft: &Draft<'_>| draft.meter.reach.saturating_sub(draft.meter.used);
        (self.service == Service::Voice).then(|| self.drafts.iter().map(left).max().unwrap_or(0))
    }

    fn checks_money(&self) -> bool {
        matches!(self.mode, ChargingMode::Prepaid | ChargingMode::Pseudoprepaid)
    }
}

/// The usage that is charged.
fn chargeable(service: Service, meter: &Meter, basis: Basis, tolerance_ms: DurationMs) -> u64 {
    let beyond = meter.used.saturating_sub(meter.reach);
    match basis {
        Basis::Closing { cut: true } if service == Service::Voice && beyond <= tolerance_ms => {
            meter.used.min(meter.reach)
        }
        Basis::Running | Basis::Closing { .. } | Basis::Assumed { answered: false } => meter.used,
        Basis::Assumed { answered: true } => meter.used.max(meter.reach),
    }
}

/// What must be reserved so that `reach` is paid for, whichever way the price is rounded in the end.
fn needed(turn: &Turn<'_>, draft: &Draft<'_>, reach: u64) -> Money {
    if reach == 0 {
        return Money::ZERO;
    }
    let exact = turn.pricing.price(&draft.rate, reach, Rounding::Running);
    let rounded = turn.pricing.price(&draft.rate, reach, Rounding::Final);
    (exact.max(rounded) - draft.meter.charged).or_zero()
}
