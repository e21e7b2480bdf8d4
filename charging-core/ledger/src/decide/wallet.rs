//! Which balance pays for what, for accounts that have more than one.
//!
//! Usage is paid from its beginning in whole increments of the tariff: balances in their order of preference, each as
//! far as it reaches. Balances of units give units; what money pays costs price(end) - price(beginning) of its piece,
//! so that the price of a moment is the tariff's, whoever paid for the time before it; the connect fee belongs to
//! the first increment. Neighbouring balances of money pay together, down to the last nano. Usage that nobody can pay
//! for is charged to the main balance, below zero if need be. A rate that costs nothing takes from no bundle.

use types::Money;
use types::charging::BalanceDraw;

use super::Turn;
use crate::account::Account;
use crate::balance::{MAIN_BALANCE, Portions, Pot, Stretch, shown};
use crate::pricing::{RateKey, Rounding};
use crate::session::Session;

/// The account's balances during one decision: what the session may still take from each.
#[derive(Clone)]
pub(super) struct Wallet<'a> {
    turn: Turn<'a>,
    pots: &'a [Pot],
    /// By payer, with everything given back that this session holds.
    left: Vec<i128>,
    /// By payer, as anybody could take it before the decision.
    free_before: Vec<i128>,
    /// True when usage had to be charged that no balance could pay for.
    short: bool,
}

/// Balances that pay in turn.
enum Payers {
    Units { payer: u32, blocker: bool },
    Money { payers: Vec<u32>, blocker: bool },
}

/// How far the balances reached.
pub(super) struct Walk {
    pub stretches: Vec<Stretch>,
    pub end: u64,
}

/// How a piece of usage is priced.
#[derive(Debug, Clone, Copy)]
pub(super) enum Price {
    Charge(Rounding),
    /// Enough for either rounding.
    Hold,
}

impl<'a> Wallet<'a> {
    pub fn of(turn: &Turn<'a>, account: &'a Account, pots: &'a [Pot], session: Option<&Session>) -> Self {
        let portions = session.map_or(&[][..], |session| turn.books.portions_of(&session.id));
        let own = |payer: u32| portions.iter().map(|group| group.held_by(payer)).sum::<i128>();
        let own_main = session.map_or(Money::ZERO, Session::held).nanos()
            - (1..).zip(pots).filter(|(_, pot)| is_money(pot)).map(|(payer, _)| own(payer)).sum::<i128>();
        let main = account.available().nanos();
        let mut left = vec![main + own_main];
        let mut free_before = vec![main];
        for (payer, pot) in (1..).zip(pots) {
            let (own, free) = (own(payer), pot.value - pot.held);
            let valid = pot.is_valid_at(turn.now);
            // What was held while it was valid may be used after it.
            left.push(if valid { free + own } else { own.min(pot.value) });
            free_before.push(if valid { free } else { 0 });
        }
        Self { turn: *turn, pots, left, free_before, short: false }
    }

    /// What money is left, after all that was taken and held.
    pub fn money_left(&self) -> Money {
        let usable = (1..).zip(self.pots).filter(|(_, pot)| is_money(pot) && pot.is_valid_at(self.turn.now));
        let further: i128 = usable.map(|(payer, _)| self.left_of(payer).max(0)).sum();
        Money::from_nanos(self.left_of(0) + further)
    }

    /// True when usage was charged that no balance could pay for, or might.
    pub const fn was_short(&self) -> bool {
        self.short
    }

    /// True when some balance has more to spend than before, for whoever is short.
    pub fn frees_credit(&self) -> bool {
        self.left.iter().zip(&self.free_before).any(|(left, before)| left > before && *left > 0)
    }

    /// Charges usage up to `target`, a whole increment: what has been paid stays paid by whom it was, as far as it is
    /// still used; the rest is taken in the order of preference.
    pub fn charge(&mut self, rate: &RateKey, portions: &mut Portions, target: u64, rounding: Rounding) {
        let earlier = std::mem::take(&mut portions.paid);
        self.take(&earlier, 0, -1);
        let kept = self.keep(rate, &earlier, target, rounding);
        let from = kept.last().map_or(0, |stretch| stretch.to);
        portions.paid = kept;
        let walk = self.walk(rate, from, target, Price::Charge(rounding), None);
        portions.paid.extend(walk.stretches);
        if walk.end < target {
            self.short = true;
            let money = Some(self.price(rate, walk.end, target, Price::Charge(rounding)));
            self.take_one(Stretch { payer: 0, to: target, money }, walk.end);
            portions.paid.push(Stretch { payer: 0, to: target, money });
        }
        merge(&mut portions.paid);
    }

    /// The stretches up to `target`, with the money for them as it is now.
    fn keep(&mut self, rate: &RateKey, earlier: &[Stretch], target: u64, rounding: Rounding) -> Vec<Stretch> {
        let mut kept = Vec::with_capacity(earlier.len());
        let (mut at, mut next) = (0, 0);
        while let Some(first) = earlier.get(next).filter(|_| at < target) {
            if first.money.is_none() {
                let stretch = Stretch { to: first.to.min(target), ..*first };
                self.take_one(stretch, at);
                (at, next) = (stretch.to, next + 1);
                kept.push(stretch);
                continue;
            }
            // Money next to money is one piece with one price.
            let pool: Vec<Stretch> =
                earlier.iter().skip(next).take_while(|stretch| stretch.money.is_some()).copied().collect();
            let end = pool.last().map_or(at, |stretch| stretch.to).min(target);
            let cost = self.price(rate, at, end, Price::Charge(rounding));
            let before = pool.iter().map(|stretch| (stretch.payer, stretch.money.unwrap_or_default().nanos()));
            let pieces = self.spread(cost.nanos(), before, &pool);
            for (payer, amount) in pieces {
                let stretch = Stretch { payer, to: end, money: Some(Money::from_nanos(amount)) };
                self.take_one(stretch, at);
                kept.push(stretch);
            }
            (at, next) = (end, next + pool.len());
        }
        kept
    }

    /// Divides a cost as it was divided before; what is more goes to the same balances, then to the main one.
    fn spread(&self, cost: i128, before: impl Iterator<Item = (u32, i128)>, pool: &[Stretch]) -> Vec<(u32, i128)> {
        let mut rest = cost;
        let mut pieces: Vec<(u32, i128)> = Vec::with_capacity(pool.len() + 1);
        for (payer, amount) in before {
            let piece = amount.min(rest);
            rest -= piece;
            pieces.push((payer, piece));
        }
        for (payer, piece) in &mut pieces {
            let more = (self.left_of(*payer) - *piece).clamp(0, rest.max(0));
            *piece += more;
            rest -= more;
        }
        if rest != 0 {
            pieces.push((0, rest));
        }
        pieces.retain(|(payer, piece)| *piece != 0 || *payer == 0);
        if pieces.is_empty() {
            pieces.push((0, 0));
        }
        pieces
    }

    /// Holds for usage from `from` to `reach`, whether there is enough or not: it was granted.
    pub fn hold(&mut self, rate: &RateKey, from: u64, reach: u64) -> Vec<Stretch> {
        let mut walk = self.walk(rate, from, reach, Price::Hold, None);
        if walk.end < reach {
            let stretch = Stretch { payer: 0, to: reach, money: Some(self.price(rate, walk.end, reach, Price::Hold)) };
            self.take_one(stretch, walk.end);
            walk.stretches.push(stretch);
        }
        walk.stretches
    }

    /// Takes for usage from `from` to `to`, both whole increments, as far as the balances reach; money not beyond `cap`.
    pub fn walk(&mut self, rate: &RateKey, from: u64, to: u64, how: Price, cap: Option<Money>) -> Walk {
        let mut walk = Walk { stretches: Vec::new(), end: from };
        let mut cap = cap.map(|cap| cap.nanos().max(0));
        if from >= to {
            return walk;
        }
        let free = self.is_free(rate);
        for payers in self.order(rate) {
            let at = walk.end;
            let blocks = match payers {
                Payers::Units { .. } if free => continue,
                Payers::Units { payer, blocker } => {
                    let units = u64::try_from(self.left_of(payer).max(0)).unwrap_or(u64::MAX);
                    let end = self.whole(rate, at, at.saturating_add(units).min(to));
                    if end > at {
                        let stretch = Stretch { payer, to: end, money: None };
                        self.take_one(stretch, at);
                        walk.stretches.push(stretch);
                        walk.end = end;
                    }
                    blocker
                }
                Payers::Money { payers, blocker } => {
                    let there: i128 = payers.iter().map(|payer| self.left_of(*payer).max(0)).sum();
                    let amount = Money::from_nanos(cap.map_or(there, |cap| cap.min(there)));
                    walk.end = self.affordable(rate, at, to, how, amount);
                    let cost = self.price(rate, at, walk.end, how).nanos();
                    cap = cap.map(|cap| cap - cost);
                    self.pay(&payers, at, cost, &mut walk);
                    blocker
                }
            };
            if walk.end >= to || blocks {
                break;
            }
        }
        walk
    }

    /// Takes `cost` from balances of money in their order; there is enough.
    fn pay(&mut self, payers: &[u32], at: u64, cost: i128, walk: &mut Walk) {
        if walk.end <= at && cost == 0 {
            return;
        }
        let mut rest = cost;
        let mut first = true;
        for payer in payers {
            let piece = self.left_of(*payer).clamp(0, rest);
            rest -= piece;
            if piece == 0 && (rest > 0 || !first) {
                continue;
            }
            first = false;
            let stretch = Stretch { payer: *payer, to: walk.end, money: Some(Money::from_nanos(piece)) };
            self.take_one(stretch, at);
            walk.stretches.push(stretch);
        }
    }

    /// The end of what `amount` pays from `at`, at most `to`.
    fn affordable(&self, rate: &RateKey, at: u64, to: u64, how: Price, amount: Money) -> u64 {
        if self.price(rate, at, to, how) <= amount {
            return to;
        }
        let pricing = self.turn.pricing;
        let paid = |rounding| if at == 0 { Money::ZERO } else { pricing.price(rate, at, rounding) };
        let before = paid(Rounding::Running).min(paid(Rounding::Final));
        pricing.max_usage(rate, at, to, before + amount).clamp(at, to)
    }

    fn price(&self, rate: &RateKey, from: u64, to: u64, how: Price) -> Money {
        let pricing = self.turn.pricing;
        let at = |usage: u64, rounding| if usage == 0 { Money::ZERO } else { pricing.price(rate, usage, rounding) };
        let piece = |rounding| at(to, rounding) - at(from, rounding);
        match how {
            Price::Charge(rounding) => piece(rounding),
            Price::Hold => piece(Rounding::Running).max(piece(Rounding::Final)).or_zero(),
        }
    }

    /// The last whole increment from `from` that is not beyond `limit`.
    fn whole(&self, rate: &RateKey, from: u64, limit: u64) -> u64 {
        let billable = |usage| self.turn.pricing.billable(rate, usage);
        if limit <= from || billable(limit) == limit {
            return limit.max(from);
        }
        // billable() is a staircase: the highest usage whose step is not above the limit stands on the wanted one.
        let (mut low, mut high) = (from, limit);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if billable(middle) <= limit { low = middle } else { high = middle }
        }
        billable(low).clamp(from, limit)
    }

    /// True when usage costs nothing, as far as anybody talks.
    fn is_free(&self, rate: &RateKey) -> bool {
        self.turn.pricing.price(rate, FREE_USAGE, Rounding::Running).is_zero()
    }

    /// The balances that may pay for this, in their order; money next to money pays together.
    fn order(&self, rate: &RateKey) -> Vec<Payers> {
        let query = &rate.query;
        let called = query.destination.as_ref().map(|number| number.expose());
        let fits = |pot: &Pot| pot.fits(query.service, &query.category, called);
        let never = i64::MAX;
        let mut order: Vec<(i64, bool, i64, u32, bool)> = (1..)
            .zip(self.pots)
            .filter(|(payer, pot)| fits(pot) && (pot.is_valid_at(self.turn.now) || self.left_of(*payer) > 0))
            .map(|(payer, pot)| {
                let until = pot.terms.valid_until.map_or(never, |until| until.0);
                (-i64::from(pot.terms.weight), is_money(pot), until, payer, pot.terms.blocker)
            })
            .collect();
        order.push((0, true, never, 0, false));
        order.sort_unstable();
        let mut all: Vec<Payers> = Vec::with_capacity(order.len());
        for (_, money, _, payer, blocker) in order {
            match all.last_mut() {
                Some(Payers::Money { payers, blocker: blocks }) if money && !*blocks => {
                    payers.push(payer);
                    *blocks = blocker;
                }
                _ if money => all.push(Payers::Money { payers: vec![payer], blocker }),
                _ => all.push(Payers::Units { payer, blocker }),
            }
        }
        all
    }

    fn left_of(&self, payer: u32) -> i128 {
        usize::try_from(payer).ok().and_then(|payer| self.left.get(payer)).copied().unwrap_or(0)
    }

    fn take_one(&mut self, stretch: Stretch, from: u64) {
        self.take(&[stretch], from, 1);
    }

    /// Takes (`sign` 1) or gives back (-1) what stretches from `from` on take.
    fn take(&mut self, stretches: &[Stretch], mut from: u64, sign: i128) {
        for stretch in stretches {
            let amount = match stretch.money {
                Some(money) => money.nanos(),
                None => i128::from(stretch.to.saturating_sub(from)),
            };
            let left = usize::try_from(stretch.payer).ok().and_then(|payer| self.left.get_mut(payer));
            if let Some(left) = left {
                *left -= sign * amount;
            }
            from = from.max(stretch.to);
        }
    }
}

/// What the groups took from each balance, in all; balances that gave nothing are left out.
pub(crate) fn drawn<'p>(pots: &[Pot], groups: impl Iterator<Item = &'p Portions> + Clone) -> Vec<BalanceDraw> {
    let main = (0, MAIN_BALANCE, types::charging::BalanceKind::Money);
    let further = (1..).zip(pots).map(|(payer, pot)| (payer, pot.id.as_ref(), pot.kind));
    let draw = |(payer, id, kind): (u32, &str, _)| {
        let amount: i128 = groups.clone().map(|group| group.paid_by(payer)).sum();
        (amount != 0).then(|| BalanceDraw { balance_id: id.into(), kind, amount: shown(kind, amount) })
    };
    std::iter::once(main).chain(further).filter_map(draw).collect()
}

/// The money that stretches cost.
pub(super) fn money_of(stretches: &[Stretch]) -> Money {
    stretches.iter().filter_map(|stretch| stretch.money).sum()
}

/// Pieces of one payer in a row become one.
fn merge(stretches: &mut Vec<Stretch>) {
    stretches.dedup_by(|next, before| {
        let same = next.payer == before.payer && next.money.is_some() == before.money.is_some();
        if same {
            before.to = next.to;
            before.money = before.money.zip(next.money).map(|(one, other)| one + other);
        }
        same
    });
}

fn is_money(pot: &Pot) -> bool {
    pot.kind == types::charging::BalanceKind::Money
}

/// A day of talk in milliseconds, 86 MB, or more messages than anybody sends in one session.
const FREE_USAGE: u64 = 86_400_000;
