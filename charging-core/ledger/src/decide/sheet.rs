//! One session's working sheet: meters of all its groups, before and after, and the money that follows from them.
//! The only place where usage meets prices.

use std::borrow::Cow;
use std::cell::Cell;

use types::charging::{ChargingMode, Service};
use types::{DurationMs, Money};

use super::Turn;
use super::wallet::{Price, Wallet, drawn, money_of};
use crate::account::Account;
use crate::balance::{Portions, Pot, Stretch};
use crate::change::GroupChange;
use crate::policy::PolicyDenial;
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
#[derive(Clone)]
pub(super) struct Draft<'a> {
    pub rating_group: u32,
    pub service_identifier: Option<u32>,
    /// Owned when new or resolved again.
    pub rate: Cow<'a, RateKey>,
    before: Meter,
    pub meter: Meter,
    portions_before: Portions,
    /// Who pays and holds, where the account has more balances than one.
    portions: Portions,
    /// What the rest of the grant may cost beyond the cost so far.
    pledged: Money,
    /// The usage that was priced last for a grant, and its price: the same is asked several times.
    dearest: Cell<Option<(u64, Money)>>,
}

impl Draft<'_> {
    fn called(&self) -> Option<&str> {
        self.rate.query.destination.as_ref().map(|number| number.expose())
    }
}

/// What a group was granted, from the point of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub amount: u64,
    /// Less than was asked for.
    pub last: bool,
    /// The rule that allowed no more; absent when it was the credit.
    pub by: Option<PolicyDenial>,
}

/// The most that the session may cost in all, by rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cap {
    pub cost: Money,
    pub rule: PolicyDenial,
}

/// A sheet as it stood, to come back to.
pub(super) struct Mark<'a> {
    drafts: Vec<Draft<'a>>,
    wallet: Option<Wallet<'a>>,
}

pub(super) struct Sheet<'a> {
    turn: Turn<'a>,
    pub account: &'a Account,
    mode: ChargingMode,
    pub service: Service,
    overrun_before: Money,
    pub drafts: Vec<Draft<'a>>,
    /// Present when the account has more balances than one.
    wallet: Option<Wallet<'a>>,
    pots: &'a [Pot],
    cap: Option<Cap>,
}

impl<'a> Sheet<'a> {
    pub fn new(turn: &Turn<'a>, account: &'a Account, mode: ChargingMode, service: Service) -> Self {
        Self::with(turn, account, mode, service, None)
    }

    fn with(
        turn: &Turn<'a>,
        account: &'a Account,
        mode: ChargingMode,
        service: Service,
        session: Option<&'a Session>,
    ) -> Self {
        let pots = turn.books.pots_of(account.number);
        let many = !pots.is_empty() && mode != ChargingMode::Rated;
        Self {
            turn: *turn,
            account,
            mode,
            service,
            overrun_before: Money::ZERO,
            drafts: Vec::new(),
            wallet: many.then(|| Wallet::of(turn, account, pots, session)),
            pots,
            cap: None,
        }
    }

    pub fn of_session(turn: &Turn<'a>, account: &'a Account, session: &'a Session) -> Self {
        let sheet = Self::with(turn, account, session.mode, session.service, Some(session));
        let known = turn.books.portions_of(&session.id);
        let many = sheet.wallet.is_some();
        let draft = |group: &'a crate::session::Group| {
            let same = |portions: &&Portions| {
                portions.rating_group == group.rating_group && portions.service_identifier == group.service_identifier
            };
            let portions = match known.iter().find(same) {
                Some(portions) => portions.clone(),
                None if many => by_the_main_balance(group),
                None => Portions::default(),
            };
            Draft {
                rating_group: group.rating_group,
                service_identifier: group.service_identifier,
                rate: Cow::Borrowed(&group.rate),
                before: group.meter,
                meter: group.meter,
                portions_before: portions.clone(),
                portions,
                pledged: Money::ZERO,
                dearest: Cell::new(None),
            }
        };
        let drafts = session.groups.iter().map(draft).collect();
        Self { overrun_before: session.overrun, drafts, ..sheet }
    }

    /// Allows no cost beyond this, whatever credit there is.
    pub fn cap(&mut self, cap: Option<Cap>) {
        self.cap = cap;
    }

    /// Adds a group; its place.
    pub fn add(&mut self, rating_group: u32, service_identifier: Option<u32>, rate: RateKey) -> usize {
        let (before, meter) = (Meter::default(), Meter::default());
        let portions = Portions { rating_group, service_identifier, ..Portions::default() };
        self.drafts.push(Draft {
            rating_group,
            service_identifier,
            rate: Cow::Owned(rate),
            before,
            meter,
            portions_before: portions.clone(),
            portions,
            pledged: Money::ZERO,
            dearest: Cell::new(None),
        });
        self.drafts.len() - 1
    }

    /// Charges every group for its total usage: cost is the price of it, and what the mode debits now is the cost
    /// less what has been charged before.
    pub fn price(&mut self, basis: Basis) {
        let rounding = if basis == Basis::Running { Rounding::Running } else { Rounding::Final };
        let is_end = basis != Basis::Running;
        let debits = match self.mode {
            ChargingMode::Prepaid => true,
            ChargingMode::Pseudoprepaid | ChargingMode::Postpaid => is_end,
            ChargingMode::Rated => false,
        };
        let pricing = self.turn.pricing;
        for draft in &mut self.drafts {
            // The rate may be another one than when it was last asked.
            draft.dearest.set(None);
            let usage = chargeable(self.service, &draft.meter, basis, self.turn.settings.cut_tolerance_ms);
            draft.meter.billable = pricing.billable(&draft.rate, usage);
            draft.meter.per_minute_rate = pricing.per_minute_rate(&draft.rate, usage);
            draft.meter.cost = match &mut self.wallet {
                Some(wallet) => {
                    let target = if usage == 0 { 0 } else { draft.meter.billable };
                    if debits {
                        wallet.charge(&draft.rate, &mut draft.portions, target, rounding);
                        money_of(&draft.portions.paid)
                    } else {
                        wallet.charge(&draft.rate, &mut draft.portions, 0, rounding);
                        let mut as_if = draft.portions.clone();
                        wallet.clone().charge(&draft.rate, &mut as_if, target, rounding);
                        money_of(&as_if.paid)
                    }
                }
                // Without usage there is no connect fee either.
                None if usage == 0 => Money::ZERO,
                None => pricing.price(&draft.rate, usage, rounding),
            };
            draft.meter.charged = if debits { draft.meter.cost } else { Money::ZERO };
        }
    }

    /// Gives back every reservation.
    pub fn release_all(&mut self) {
        (0..self.drafts.len()).for_each(|at| self.release(at));
    }

    /// Gives back the reservation of one group.
    pub fn release(&mut self, at: usize) {
        if let Some(draft) = self.drafts.get_mut(at) {
            draft.meter.held = Money::ZERO;
            draft.portions.held = Vec::new();
            draft.pledged = Money::ZERO;
        }
    }

    /// Reserves again for the group's grant as it stands.
    pub fn hold_again(&mut self, at: usize) {
        let checked = self.checks_money();
        if let Some(draft) = self.drafts.get_mut(at) {
            hold(&self.turn, self.wallet.as_mut(), draft, checked);
        }
    }

    /// As it stands now.
    pub fn mark(&self) -> Mark<'a> {
        Mark { drafts: self.drafts.clone(), wallet: self.wallet.clone() }
    }

    /// As it stood then.
    pub fn back_to(&mut self, mark: &Mark<'a>) {
        self.drafts.clone_from(&mark.drafts);
        self.wallet.clone_from(&mark.wallet);
    }

    /// Grants up to `requested` units from the point of the report, as far as the money and the rules reach, and no more than `most`.
    pub fn grant(&mut self, at: usize, requested: u64, most: u64, request_number: u32) -> Grant {
        let (checked, available, turn) = (self.checks_money(), self.available().or_zero(), self.turn);
        let room = self.room();
        let rule = self.cap.map(|cap| cap.rule);
        let Some(draft) = self.drafts.get_mut(at) else { return Grant { amount: 0, last: true, by: None } };
        let used = draft.meter.used;
        let up_to = |amount: u64| {
            let wanted = used.saturating_add(amount).min(MAX_USAGE);
            turn.pricing.billable(&draft.rate, wanted).max(used)
        };
        let (whole, limit) = (up_to(requested), up_to(requested.min(most)));
        let reaches = Reach { used, limit, checked, available, room };
        let (reach, by_rule) = match self.wallet.as_mut().filter(|_| checked) {
            Some(wallet) => wallet_reach(wallet, draft, &reaches),
            None => money_reach(&turn, draft, &reaches),
        };
        let affordable = reach >= limit;
        draft.meter.final_grant = reach < whole;
        if reach > used || affordable {
            draft.meter.reach = reach;
            draft.meter.granted_by = request_number;
        } else {
            // Nothing more: what was granted before stands, and the client lets it run out.
            draft.meter.reach = draft.meter.reach.max(used);
        }
        hold(&turn, self.wallet.as_mut(), draft, checked);
        let last = draft.meter.final_grant;
        Grant { amount: reach - used, last, by: rule.filter(|_| last && by_rule) }
    }

    /// What the rules allow beyond the cost so far and what other groups may still use; absent: no rule.
    fn room(&self) -> Option<Money> {
        let pledged: Money = self.drafts.iter().map(|draft| draft.pledged).sum();
        self.cap.map(|cap| (cap.cost - self.cost() - pledged).or_zero())
    }

    /// Lets what was granted before run out, as the last grant.
    pub fn let_run_out(&mut self, at: usize) {
        if let Some(draft) = self.drafts.get_mut(at) {
            draft.meter.reach = draft.meter.reach.max(draft.meter.used);
            draft.meter.final_grant = true;
        }
        self.hold_again(at);
    }

    /// What open grants may still cost.
    pub fn pledged(&self) -> Money {
        self.drafts.iter().map(|draft| draft.pledged).sum()
    }

    /// What the session cost before this sheet.
    pub fn cost_before(&self) -> Money {
        self.drafts.iter().map(|draft| draft.before.cost).sum()
    }

    /// The called number of the first group.
    pub fn called(&self) -> Option<&str> {
        self.drafts.first().and_then(Draft::called)
    }

    /// The money that the account may still spend after this sheet; negative when overdrawn.
    pub fn available(&self) -> Money {
        if let Some(wallet) = &self.wallet {
            return wallet.money_left();
        }
        let held: Money = self.drafts.iter().map(|draft| draft.meter.held - draft.before.held).sum();
        self.account.available() - self.debit() - held
    }

    /// What this sheet takes from the account's money; negative when it gives back.
    pub fn debit(&self) -> Money {
        self.drafts.iter().map(|draft| draft.meter.charged - draft.before.charged).sum()
    }

    /// The part of [`Self::debit`] that the main balance pays.
    fn main_debit(&self) -> Money {
        if self.wallet.is_none() {
            return self.debit();
        }
        let by_main = |draft: &Draft<'_>| draft.portions.paid_by(0) - draft.portions_before.paid_by(0);
        Money::from_nanos(self.drafts.iter().map(by_main).sum())
    }

    /// True when the account can pay for what this sheet takes from it.
    pub fn is_covered(&self) -> bool {
        match &self.wallet {
            Some(wallet) => !wallet.was_short(),
            None => self.debit() <= self.account.available().or_zero(),
        }
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
        let change = below_limit(self.account.balance - self.main_debit()) - below_limit(self.account.balance);
        (self.overrun_before + change).or_zero().min(self.cost())
    }

    /// True when this sheet left the account with more to spend than before.
    pub fn frees_credit(&self) -> bool {
        if let Some(wallet) = &self.wallet {
            return wallet.frees_credit();
        }
        let available = self.available();
        available > self.account.available() && available > Money::ZERO
    }

    /// Who pays and holds for the groups where that changed.
    pub fn portions_changed(&self) -> Vec<Portions> {
        let changed = self.drafts.iter().filter(|draft| draft.portions != draft.portions_before);
        changed.filter(|_| self.wallet.is_some()).map(|draft| draft.portions.clone()).collect()
    }

    /// What the session took from which balance, where the account has more than one.
    pub fn drawn(&self) -> Vec<types::charging::BalanceDraw> {
        let groups = self.drafts.iter().map(|draft| &draft.portions);
        if self.wallet.is_some() { drawn(self.pots, groups) } else { Vec::new() }
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

/// What a group that was there before the account had more balances than one has been paid with.
fn by_the_main_balance(group: &crate::session::Group) -> Portions {
    let meter = &group.meter;
    let whole = |to: u64, money: Money| {
        let stretch = Stretch { payer: 0, to, money: Some(money) };
        if to == 0 && money.is_zero() { Vec::new() } else { vec![stretch] }
    };
    let paid_to = if meter.charged.is_zero() && !meter.cost.is_zero() { 0 } else { meter.billable };
    let paid = whole(paid_to, meter.charged);
    let held = if meter.held.is_zero() { Vec::new() } else { whole(meter.reach.max(paid_to), meter.held) };
    Portions { rating_group: group.rating_group, service_identifier: group.service_identifier, paid, held }
}

/// What a grant is limited by.
struct Reach {
    used: u64,
    limit: u64,
    checked: bool,
    available: Money,
    room: Option<Money>,
}

/// How far money alone reaches, and whether it was a rule that allowed no more.
fn money_reach(turn: &Turn<'_>, draft: &Draft<'_>, reach: &Reach) -> (u64, bool) {
    let Reach { used, limit, checked, available, room } = *reach;
    let by_credit = checked && needed(turn, draft, limit, draft.meter.charged) > available;
    let by_rule = room.is_some_and(|room| needed(turn, draft, limit, draft.meter.cost) > room);
    let credit = (draft.meter.charged + available, by_credit);
    let rule = (draft.meter.cost + room.unwrap_or_default(), by_rule);
    let amount = match (credit, rule) {
        ((_, false), (_, false)) => return (limit, false),
        ((credit, true), (_, false)) => credit,
        ((_, false), (rule, true)) => rule,
        ((credit, true), (rule, true)) => credit.min(rule),
    };
    let end = turn.pricing.max_usage(&draft.rate, used, limit, amount).clamp(used, limit);
    (end, by_rule && (!by_credit || rule.0 < credit.0))
}

/// The same over several balances.
fn wallet_reach(wallet: &mut Wallet<'_>, draft: &Draft<'_>, reach: &Reach) -> (u64, bool) {
    let Reach { used, limit, room, .. } = *reach;
    let from = draft.portions.paid_to();
    if from >= limit {
        return (limit, false);
    }
    // What is charged at the end only counts for the rule already.
    let due = draft.meter.cost - draft.meter.charged;
    let end = |cap| wallet.clone().walk(&draft.rate, from, limit, Price::Hold, cap).end.clamp(used, limit);
    let free = end(None);
    let ruled = room.map_or(free, |room| end(Some(room + due)));
    (free.min(ruled), ruled < free)
}

/// Reserves for the grant as it stands.
fn hold(turn: &Turn<'_>, wallet: Option<&mut Wallet<'_>>, draft: &mut Draft<'_>, checked: bool) {
    let reach = draft.meter.reach;
    draft.pledged = needed(turn, draft, reach, draft.meter.cost);
    draft.portions.held = Vec::new();
    draft.meter.held = match wallet {
        _ if !checked => Money::ZERO,
        None => needed(turn, draft, reach, draft.meter.charged),
        Some(wallet) => {
            let to = if reach == 0 { 0 } else { turn.pricing.billable(&draft.rate, reach) };
            draft.portions.held = wallet.hold(&draft.rate, draft.portions.paid_to(), to);
            let held = money_of(&draft.portions.held);
            draft.pledged = (held - (draft.meter.cost - draft.meter.charged)).or_zero();
            held
        }
    };
}

/// What `reach` needs beyond `paid`, whichever way the price is rounded in the end.
fn needed(turn: &Turn<'_>, draft: &Draft<'_>, reach: u64, paid: Money) -> Money {
    if reach == 0 {
        return Money::ZERO;
    }
    let price = match draft.dearest.get().filter(|(priced, _)| *priced == reach) {
        Some((_, price)) => price,
        None => {
            let price = turn.pricing.ceiling(&draft.rate, reach);
            draft.dearest.set(Some((reach, price)));
            price
        }
    };
    (price - paid).or_zero()
}
